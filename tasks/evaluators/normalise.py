"""Text as a reader sees it: what two writings of the same words have in common."""

from __future__ import annotations

import itertools
import re
import reprlib
import unicodedata
from functools import lru_cache

LONGEST = 10_000
"""Characters beyond which an answer is no answer."""

_SAME = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′`´ʼʹʻʽꞌ", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        "⁄": "/",
    }
)
_LOOK_ALIKES = "αγικνορτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ"
"""Greek letters that pass for Latin ones; µm and ΔT are written honestly."""
_ALPHABETS = ("CYRILLIC", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU")
"""Other alphabets with letters that do."""
_FACES = ("<wide>", "<narrow>", "<font>")
"""Ways of writing a character that mean the same; a raised or a circled digit does not."""


def visible(text: str) -> str:
    """Text with its look-alike forms made one, without what leaves no mark; spaces collapsed.

    The forms are those of Unicode's compatibility (NFKC), but for raised and lowered letters and
    for digits in other places: 2⁵ is not 25, and 5½ not 51/2.
    """
    # Quotes and dashes first: the compatibility form splits some accents off with a space.
    text = _folded(text.translate(_SAME)).translate(_SAME)
    kept = (
        c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cn")
    )
    return " ".join("".join(kept).split())


def plain(text: str) -> str:
    """``visible`` text without case, without the quotes around it and the full stop after it."""
    text = _folded(visible(text).casefold())
    before = None
    while text != before:
        before = text
        text = text.rstrip(".!").strip()
        if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
            text = text[1:-1].strip()
    return text


def mixed_words(text: str) -> list[str]:
    """Words of Latin letters among which stand others that pass for them: ``nоt``, Cyrillic о."""
    return [] if text.isascii() else list(filter(_is_mixed, re.findall(r"[^\W\d_]+", text)))


def has_foreign_digits(text: str) -> bool:
    """Whether there are numerals other than plain 0–9, full-width ones apart.

    Another reader may take them otherwise, some (¼, ²) run together with their neighbours, and a
    digit with a mark over it may be struck through.
    """
    marked = any(
        unicodedata.category(mark) in ("Mn", "Me") and c.isnumeric()
        for c, mark in itertools.pairwise(text)
    )
    return marked or any(c.isnumeric() and not c.isascii() and not "０" <= c <= "９" for c in text)


def unreadable(found: object) -> str:
    """Why a value is no text that a number can be read from; empty if it is one."""
    text = as_text(found)
    if text is None:
        return f"{shown(found)} is no text of at most {LONGEST} characters"
    return f"{shown(text)} holds numerals other than 0–9" if has_foreign_digits(text) else ""


def shown(found: object, most: int = 80) -> str:
    """A value for a message, cut where it gets long."""
    if isinstance(found, str):
        text = repr(found[: most + 1])
        return text if len(found) <= most else f"{text[:most]}… ({len(found)} characters)"
    # A value may hold itself many times over: it is written no further than it is shown.
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = most
    brief.maxdict = brief.maxlist = brief.maxtuple = brief.maxset = most // 4
    text = brief.repr(found)
    return text if len(text) <= most else f"{text[:most]}…"


def as_text(found: object) -> str | None:
    """A value as text if it is one and not too long; numbers as they are written."""
    if isinstance(found, bool):
        return None
    if isinstance(found, int | float):
        return repr(found)
    return found if isinstance(found, str) and len(found) <= LONGEST else None


def _is_mixed(word: str) -> bool:
    names = [unicodedata.name(c, "") for c in word if not c.isascii()]
    latin = len(names) < len(word) or any(name.startswith("LATIN") for name in names)
    strange = any(c in _LOOK_ALIKES for c in word)
    return latin and (strange or any(name.startswith(_ALPHABETS) for name in names))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", "".join(map(_face, text)))


@lru_cache(4096)
def _face(c: str) -> str:
    """The character that another face of it stands for, or itself."""
    kind = unicodedata.decomposition(c).partition(" ")[0]
    plain_one = unicodedata.normalize("NFKC", c)
    elsewhere = kind in ("<super>", "<sub>") or any(map(str.isdigit, plain_one))
    return c if elsewhere and kind not in _FACES else plain_one
