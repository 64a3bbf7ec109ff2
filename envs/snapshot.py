"""The page as the in-page script saw it: one tree for every observation mode."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from webdojo.tasks.characters import whole
from webdojo.tasks.sight import SIGHT
from webdojo.tasks.view import Box

_FOLDER = Path(__file__).parent
_MAIN_WORLD = (_FOLDER / "main_world.js").read_text(encoding="utf-8")
_SNAPSHOT = (_FOLDER / "snapshot.js").read_text(encoding="utf-8").replace("__SIGHT__", SIGHT)
for _part in ("actionable", "acting", "extent", "walk"):
    _script = (_FOLDER / f"{_part}.js").read_text(encoding="utf-8").strip()
    _SNAPSHOT = _SNAPSHOT.replace(f"__{_part.upper()}__", _script)

MAIN_WORLD_API = 'window[Symbol.for("webdojo")]'

UNRESTS = ("loading", "timers", "changes", "")
"""What keeps a page, or a frame of it, from being at rest; the weightiest first."""


def episode_script(seed: int, begun_ms: int) -> str:
    """A script that tells the documents of a page used again which episode they belong to."""
    episode = {"seed": seed & 0x7FFFFFFF, "begun": begun_ms}
    return f'window[Symbol.for("webdojo.episode")] = {json.dumps(episode)}'


def main_world_script(seed: int, channel: str) -> str:
    """The script to run among each document's own, before them.

    ``seed`` feeds the page's chance; ``channel`` is a name that no page can guess, by which this
    script and that of ``snapshot_script`` find each other.
    """
    script = _MAIN_WORLD.replace("__SEED__", str(seed & 0x7FFFFFFF))
    return script.replace("__CHANNEL__", channel)


def snapshot_script(channel: str) -> str:
    """The script to run in a world of its own in every document; see ``main_world_script``."""
    return _SNAPSHOT.replace("__CHANNEL__", channel)


class Node(msgspec.Struct, array_like=True, gc=False):
    """An element: its tag, its id (``bid``; empty if it cannot be acted on), and what it holds.

    Not to be changed; it is not frozen because ``read_html`` makes it before all of it is known. A
    page has thousands: they are read without steps of Python's own, and are left alone by its
    garbage collector.
    """

    tag: str
    bid: str
    visible: bool
    actionable: bool
    attributes: Mapping[str, str]
    state: Mapping[str, Any]
    """Live form state: value, max, checked, selected, disabled, inert, readonly, focused,
    expanded."""
    box: Box
    children: tuple[Node | str, ...] = ()
    label: str = ""
    """Text of the <label> elements that name this control."""

    def walk(self) -> Iterator[Node]:
        """The node and all below it, in document order."""
        stack: list[Node] = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(child for child in reversed(node.children) if isinstance(child, Node))

    def text(self) -> str:
        """All text inside, spaces collapsed."""
        parts: list[str] = []
        stack: list[Node | str] = [self]
        while stack:
            node = stack.pop()
            if isinstance(node, str):
                parts.append(node)
            else:
                stack.extend(reversed(node.children))
        return " ".join("".join(parts).split())


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at a page."""

    url: str
    title: str
    focused: str
    """bid of the focused element; empty if none is."""
    scroll: tuple[int, int]
    tree: Node | None = field(repr=False)
    picture: str = ""
    """The same at two looks at one document only if nothing can have changed what it looks like;
    empty where that cannot be told."""
    unsettled: str = ""
    """What kept the page or a frame of it from being at rest: one of ``UNRESTS``."""
    framed: bool = False
    """Whether the page, or a frame of it, hears of something only when it is drawn."""
    changes: int = 0
    """Counts what has changed in the document and those of its frames."""

    def boxes(self) -> dict[str, Box]:
        """Where each element is, in CSS pixels of the viewport."""
        return {node.bid: node.box for node in self.tree.walk() if node.bid} if self.tree else {}


class _Seen(msgspec.Struct):
    """What a document told of itself: a page, a frame, or a frame that its page tells of."""

    url: str = ""
    title: str = ""
    way: str | None = None
    """How a frame is known to its page; None if that sees it."""
    focused: str = ""
    within: str | None = None
    """The way of the frame that has the focus."""
    scroll: tuple[int, int] = (0, 0)
    picture: str = ""
    unsettled: str = ""
    framed: bool = False
    changes: int = 0
    tree: Node | None = None


_DECODER = msgspec.json.Decoder(_Seen, strict=False)  # 1 is true: thousands of them are shorter
_FRAME = "#frame"
"""Tag of what stands in a tree for a document of another origin: ``bid`` is its way, ``state`` has
the place of its viewport (``at``)."""
NESTED_AT = 150
"""Levels below which an element lies beside what it holds: no page is too deep to be read."""
ACTED_ON_AT = 200
"""The same of one that can be acted on, whose words it holds."""
DEEPEST = 600
"""Levels of nested documents below which nothing is read."""


def parse_snapshot(text: str, frames: Iterable[str] = ()) -> Snapshot:
    """Read the JSON text that the in-page script gives, and put in what its frames gave."""
    page = _read(text)
    told = [_read(frame) for frame in frames if frame]
    inner = {frame.way: frame for frame in told if frame.way is not None}
    focused, at = page.focused, page.within
    # Each frame has a focus of its own; the page's is that of the innermost.
    while at is not None and at in inner:
        focused, at = inner[at].focused, inner[at].within
    tree = page.tree
    if tree is not None and f'"{_FRAME}"' in text:
        tree = _joined(tree, inner, focused, None)
    return Snapshot(
        url=page.url,
        title=page.title,
        focused=focused,
        scroll=page.scroll,
        tree=tree,
        picture=page.picture,
        unsettled=min((one.unsettled for one in (page, *told)), key=UNRESTS.index),
        framed=any(one.framed for one in (page, *told)),
        changes=sum(one.changes for one in (page, *told)),
    )


def _read(text: str) -> _Seen:
    # A page writes half a character, and else hardly anything, as such an escape.
    if "\\ud" in text:
        text = whole(json.dumps(json.loads(text), ensure_ascii=False))
    return _DECODER.decode(text)


Place = tuple[float, float, float, float]
"""Where a frame's viewport begins on the page, and how many times wider and higher it is drawn."""


def put(node: Node, level: int, beside: list[Node | str]) -> None:
    """Add an element of this level to what lies beside it."""
    bound = ACTED_ON_AT if node.actionable else NESTED_AT
    deep = level > bound and node.tag != "select"
    if deep and any(isinstance(child, Node) for child in node.children):
        beside.extend(node.children)
        node.children = ()
    beside.append(node)


def _joined(
    node: Node, frames: Mapping[str, _Seen], focused: str, place: Place | None, level: int = 0
) -> Node:
    """The tree with the documents of other origins in their frames, where they lie on the page."""
    children: list[Node | str] = []
    below = level + 1
    for child in node.children if level < DEEPEST else ():
        if isinstance(child, str):
            children.append(child)
        elif child.tag != _FRAME:
            put(_joined(child, frames, focused, place, below), below, children)
        elif child.bid in frames and (tree := frames[child.bid].tree) is not None:
            inner = _within(child.state["at"], place)
            put(_joined(tree, frames, focused, inner, below), below, children)
    state = node.state
    if node.bid and node.bid != focused:
        state = {name: value for name, value in state.items() if name != "focused"}
    box = node.box if place is None else _drawn(node.box, place)
    return replace(node, state=state, box=box, children=tuple(children))


def _drawn(box: Box, place: Place) -> Box:
    x, y, width, height = box
    left, top, times_x, times_y = place
    return (
        round(left + x * times_x),
        round(top + y * times_y),
        round(width * times_x),
        round(height * times_y),
    )


def _within(inner: Sequence[float], place: Place | None) -> Place:
    x, y, inner_x, inner_y = inner
    left, top, times_x, times_y = place or (0, 0, 1, 1)
    return (left + x * times_x, top + y * times_y, times_x * inner_x, times_y * inner_y)
