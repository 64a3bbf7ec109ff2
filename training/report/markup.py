"""Markup in which text is escaped by construction: only what ``element`` made goes in as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

# Controls but tab and line break, marks and overrides of direction, and halves of characters.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
VOID = frozenset({"meta", "wbr"})
MAX_TEXT = 400
"""Characters of a page's or a model's text that are shown."""


class Markup(str):
    """Finished HTML or SVG. Any other string is text and is escaped where it is put in."""

    __slots__ = ()


Child = Markup | str | None
"""What an element may hold; None is left out."""


def element(
    name: str, /, *children: Child | Iterable[Child], **attributes: str | float | None
) -> Markup:
    """An element with its children.

    ``class_`` stands for ``class``, and other underscores for hyphens; an attribute that is None is
    left out. ``name`` and the attributes' names must be our own; everything else may be hostile.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(clean(_attribute(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: Child | Iterable[Child]) -> Markup:
    """Children one after another, without an element around them."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, str):
            parts.append(child if isinstance(child, Markup) else escape(clean(child)))
        else:
            parts.append(join(*child))
    return Markup("".join(parts))


def clean(text: str) -> str:
    """Text without control characters, bidirectional overrides and halves of characters."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)


def shorten(text: str, limit: int = MAX_TEXT) -> str:
    """Text cut to ``limit`` characters."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def table(
    headings: Sequence[Child], rows: Iterable[Sequence[Child]], caption: str | None = None
) -> Markup:
    """A table whose first column names the row; it scrolls sideways where it does not fit."""
    body = [
        element("tr", element("th", row[0], scope="row"), [element("td", cell) for cell in row[1:]])
        for row in rows
    ]
    head = element("tr", [element("th", heading, scope="col") for heading in headings])
    return element(
        "div",
        element(
            "table",
            element("caption", caption) if caption else None,
            element("thead", head),
            element("tbody", body),
        ),
        class_="scroll",
        tabindex="0",
    )


def details(summary: str, *children: Child | Iterable[Child]) -> Markup:
    """Something to be opened."""
    return element("details", element("summary", summary), *children)


def _attribute(value: str | float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
