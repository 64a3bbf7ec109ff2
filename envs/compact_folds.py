"""What compact HTML leaves out: which elements, and the line that stands for those of one place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from webdojo.envs.compact_tags import INLINE_TAGS
from webdojo.envs.snapshot import Node


@dataclass(slots=True)
class Fold:
    """What one line stands for that was left out."""

    rows: int = 0
    characters: int = 0
    elements: int = 0
    """Those that can be acted on."""
    scroll_px: int = 0
    """How far down the first of it lies; negative is up."""

    def line(self) -> str:
        """What was left out, how much of it, and the action that brings it into view."""
        what = "row" if self.rows == 1 else "rows"
        acts = f", {self.elements} to act on" if self.elements else ""
        # Without a browser nothing is known of where things lie.
        way = f"; scroll(0, {self.scroll_px}) shows more" if self.scroll_px else ""
        return f"… {self.rows} more {what}: {self.characters} characters{acts}{way}"


class Folds:
    """The folds of one tree; elements for which ``shows`` is false are to be left out."""

    __slots__ = ("_folds", "_hidden", "_shows")

    def __init__(self, shows: Callable[[Node], bool] | None) -> None:
        self._shows = shows
        self._hidden: set[int] = set()
        self._folds: dict[int, Fold] = {}

    def shown(self, node: Node) -> bool:
        """Whether the element is not to be left out."""
        return id(node) not in self._hidden and (self._shows is None or self._shows(node))

    def hide_rest(self, children: Sequence[Node | str], max_rows: int) -> None:
        """Have left out what comes after the first of many elements of one kind in a row."""
        kind, run = "", 0
        for child in children:
            if isinstance(child, Node) and child.tag not in INLINE_TAGS and self.shown(child):
                run = run + 1 if child.tag == kind else 1
                kind = child.tag
                if run > max_rows:
                    self._hidden.add(id(child))

    def begin(self, place: int, node: Node) -> None:
        """Begin a fold with ``node``: its line is the piece of text at ``place``."""
        self._folds[place] = Fold(scroll_px=node.box[1])

    def add(self, characters: int, elements: int) -> None:
        """Leave an element out where the last fold is."""
        fold = self._folds[max(self._folds)]
        fold.rows += 1
        fold.characters += characters
        fold.elements += elements

    def lines(self) -> Iterator[tuple[int, str]]:
        """Each fold's place and line."""
        return ((place, fold.line()) for place, fold in self._folds.items())


def measure(node: Node) -> tuple[int, int]:
    """How many characters of text and actionable elements a node holds."""
    characters = elements = 0
    for inner in node.walk():
        elements += inner.actionable
        characters += sum(len(child.strip()) for child in inner.children if isinstance(child, str))
    return characters, elements
