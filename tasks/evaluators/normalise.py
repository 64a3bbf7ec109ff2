"""Text as a reader sees it: what two writings of the same words have in common."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 10_000
"""Characters beyond which an answer is no answer."""

_SAME = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′`´", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        "⁄": "/",
    }
)
_DENIAL = re.compile(r"\b(?:not|never|neither|nor|cannot|no longer)\b|n't\b")


def visible(text: str) -> str:
    """Text in its compatibility form, without what leaves no mark; spaces collapsed."""
    # Quotes and dashes first: the compatibility form splits some accents off with a space.
    text = unicodedata.normalize("NFKC", text.translate(_SAME)).translate(_SAME)
    kept = (
        c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cn")
    )
    return " ".join("".join(kept).split())


def plain(text: str) -> str:
    """``visible`` text without case, without the quotes around it and the full stop after it."""
    text = unicodedata.normalize("NFKC", visible(text).casefold())
    before = None
    while text != before:
        before = text
        text = text.rstrip(".!").strip()
        if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
            text = text[1:-1].strip()
    return text


def has_foreign_digits(text: str) -> bool:
    """Whether there are numerals other than 0–9, full-width ones apart.

    Another reader may take them otherwise, and some (¼, ²) run together with their neighbours.
    """
    return any(c.isnumeric() and not c.isascii() and not "０" <= c <= "９" for c in text)


def denies(text: str) -> bool:
    """Whether the text says what something is not."""
    return _DENIAL.search(text.casefold()) is not None


def undecided(found: object) -> str:
    """Why a text says no one thing: it is no text, denies something, or has odd numerals."""
    text = as_text(found)
    if text is None:
        return f"{shown(found)} is no text of at most {LONGEST} characters"
    if has_foreign_digits(text):
        return f"{shown(text)} holds numerals other than 0–9"
    return f"{shown(text)} says what it is not" if denies(visible(text)) else ""


def shown(found: object, most: int = 80) -> str:
    """A value for a message, cut where it gets long."""
    text = repr(found)
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def as_text(found: object) -> str | None:
    """A value as text if it is one and not too long; numbers as they are written."""
    if isinstance(found, bool):
        return None
    if isinstance(found, int | float):
        return repr(found)
    return found if isinstance(found, str) and len(found) <= LONGEST else None
