"""Lists: every item once, none besides."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable
from functools import cache
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
        left = left_over(
            len(parts), len(parts), lambda i, part: not self.items[i].mismatch(parts[part])
        )
        if left is None:
            return ""
        missing = getattr(self.items[left], "value", self.items[left])
        return f"no item fits {missing!r}: {shown(parts)}"

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


def left_over(rows: int, columns: int, fits: Callable[[int, int], bool]) -> int | None:
    """The first row without a column of its own when they are paired as well as can be.

    ``fits`` is asked once, at most, of a row and a column; None if every row has one. A pair is
    given up where another column fits its row and so another row gets one (augmenting paths, Berge
    1957).
    """
    fit = cache(fits)
    row_of: dict[int, int] = {}
    column_of: dict[int, int] = {}
    for row in range(rows):
        came_from: dict[int, int] = {}
        found = _free_column(row, columns, fit, row_of, came_from)
        if found is None:
            return row
        while found is not None:
            taker = came_from[found]
            row_of[found] = taker
            column_of[taker], found = found, column_of.get(taker)
    return None


def _free_column(
    row: int,
    columns: int,
    fit: Callable[[int, int], bool],
    row_of: dict[int, int],
    came_from: dict[int, int],
) -> int | None:
    """A column that no row has, reached from one that wants a column by taking others' away."""
    waiting = deque([row])
    while waiting:
        here = waiting.popleft()
        for column in range(columns):
            if column not in came_from and fit(here, column):
                came_from[column] = here
                if column not in row_of:
                    return column
                waiting.append(row_of[column])
    return None
