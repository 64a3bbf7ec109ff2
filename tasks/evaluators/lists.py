"""Lists: every item once, none besides."""

from __future__ import annotations

import json
import re
from typing import ClassVar

from pydantic import Field

from webdojo.tasks.evaluators.evaluator import Match, TextMatch
from webdojo.tasks.evaluators.normalise import LONGEST, shown

_BULLET = re.compile(r"^\s*(?:[-*•–—‣▪◦·●]|\d+[.)])\s+")
_AND = re.compile(r"(?<!\s)\s+(?:and|&)\s+")
MOST_ITEMS = 500


class ListOf(Match):
    """These items, each exactly once and nothing else, in any order unless ``ordered``.

    Text is split where ``separator`` says, or else is a JSON list, a line an item, or parted by
    semicolons or commas, or by "and" or "&" where that gives as many as are wanted.
    Example: ``ListOf(items=("red", "blue"))``.
    """

    kind: ClassVar[str] = "list"
    items: tuple[TextMatch, ...] = Field(min_length=1, max_length=MOST_ITEMS)
    ordered: bool = False
    separator: str | None = Field(None, min_length=1)

    def mismatch(self, found: object) -> str:
        """An item too many, too few, twice, or out of order."""
        parts = self._parts(found)
        if parts is None:
            return f"{shown(found)} is no list"
        if len(parts) != len(self.items):
            return f"{len(parts)} items, not {len(self.items)}: {shown(parts)}"
        if self.ordered:
            reasons = (item.mismatch(part) for item, part in zip(self.items, parts, strict=True))
            return next(filter(None, reasons), "")
        missing = _unpaired(self.items, parts)
        return "" if missing is None else f"no item fits {missing!r}: {shown(parts)}"

    def hedges(self, answer: str) -> str:
        """An item that is not said, by the rule of what it matches."""
        parts = [part for part in self._parts(answer) or () if isinstance(part, str)]
        reasons = (
            item.hedges(part) for item in self.items for part in parts if not item.mismatch(part)
        )
        return next(filter(None, reasons), "")

    def _parts(self, found: object) -> list[object] | None:
        if isinstance(found, list | tuple):
            return list(found) if len(found) <= MOST_ITEMS else None
        if not isinstance(found, str) or len(found) > LONGEST:
            return None
        return self._split(found.strip())

    def _split(self, text: str) -> list[object] | None:
        if self.separator is not None:
            return _items(text.split(self.separator))
        if text.startswith("["):
            return _listed(text)
        lines = _items(text.splitlines())
        if len(lines) > 1 or len(self.items) == 1:
            return lines
        if ";" in text:
            return _items(text.split(";"))
        parts = _items(re.split(r",(?!\d{3}\b)", text))
        last = str(parts[-1]) if parts else ""
        joints = list(_AND.finditer(last))
        if joints and len(parts) == len(self.items) - 1:
            parts[-1:] = _items([last[: joints[-1].start()], last[joints[-1].end() :]])
        elif len(parts) == 1 and len(joints) == len(self.items) - 1:
            parts = _items(_AND.split(last))
        return [re.sub(r"^(?:and|&)\s+", "", str(part)) for part in parts]


def _listed(text: str) -> list[object] | None:
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return listed if isinstance(listed, list) else None


def _items(parts: list[str]) -> list[object]:
    return [item for part in parts if (item := _BULLET.sub("", part).strip())]


def _unpaired(items: tuple[Match, ...], parts: list[object]) -> object:
    """The first item that is left over when items and parts are paired as well as can be."""
    fits = [[not item.mismatch(part) for part in parts] for item in items]
    owner: dict[int, int] = {}

    def place(item: int, tried: set[int]) -> bool:
        for part, fit in enumerate(fits[item]):
            if fit and part not in tried:
                tried.add(part)
                if part not in owner or place(owner[part], tried):
                    owner[part] = item
                    return True
        return False

    for index, item in enumerate(items):
        if not place(index, set()):
            return getattr(item, "value", item)
    return None
