"""Reading the page as seen by eye: places, sizes and colours."""

from __future__ import annotations

import re

from bs4 import Tag

from webdojo.tasks.view import PageView, text_of

Point = tuple[float, float]

COLOURS: dict[str, tuple[int, ...]] = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "red": (255, 0, 0),
    "green": (0, 128, 0),
    "blue": (0, 0, 255),
    "aqua": (0, 255, 255),
    "cyan": (0, 255, 255),
    "magenta": (255, 0, 255),
    "yellow": (255, 255, 0),
}


def seen(view: PageView, *tags: str, **attributes: str) -> list[Tag]:
    """Elements of the layout by tag name and attributes."""
    wanted = {("class" if k == "class_" else k): v for k, v in attributes.items()}
    found = view.scene.find_all(list(tags) or True, attrs=dict(wanted))
    return [tag for tag in found if isinstance(tag, Tag)]


def box(tag: Tag) -> tuple[float, float, float, float]:
    """Left, top, width and height in CSS pixels of the viewport."""
    x, y, width, height = map(float, str(tag["box"]).split())
    return x, y, width, height


def middle(tag: Tag) -> Point:
    """The centre of an element's box."""
    x, y, width, height = box(tag)
    return x + width / 2, y + height / 2


def rgb(text: object) -> tuple[int, ...]:
    """The three numbers of ``rgb(1, 2, 3)``."""
    return tuple(int(float(part)) for part in re.findall(r"[\d.]+", str(text))[:3])


def colour_gap(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How far apart two colours are, summed over the channels."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


def words(tag: Tag) -> list[Tag]:
    """The words inside an element of the layout."""
    return [word for word in tag.find_all("w") if isinstance(word, Tag)]


def with_text(view: PageView, tag: str, text: str) -> Tag | None:
    """The first element of the layout with exactly this text."""
    return next((found for found in seen(view, tag) if text_of(found) == text), None)
