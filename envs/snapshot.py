"""The page as the in-page script saw it: one tree for every observation mode."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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

VISIBLE, ACTIONABLE = 1, 2
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


@dataclass(slots=True)
class Node:
    """An element: its tag, its id (``bid``; empty if it cannot be acted on), and what it holds.

    Not to be changed; it is not frozen because a page has thousands, and frozen ones are made at
    half the speed.
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


def parse_snapshot(text: str, frames: Iterable[str] = ()) -> Snapshot:
    """Read the JSON text that the in-page script gives, and put in what its frames gave."""
    data = _read(text)
    told = [_read(frame) for frame in frames if frame]
    inner = {frame["way"]: frame for frame in told if "way" in frame}
    focused, at = data["focused"], data.get("within")
    while at in inner:  # each frame has a focus of its own; the page's is that of the innermost
        focused, at = inner[at]["focused"], inner[at]["within"]
    return Snapshot(
        url=data["url"],
        title=data["title"],
        focused=focused,
        scroll=(data["scroll"][0], data["scroll"][1]),
        tree=_node(data["tree"], inner, focused, None) if data["tree"] else None,
        picture=data.get("picture", ""),
        unsettled=min((one.get("unsettled", "") for one in (data, *told)), key=UNRESTS.index),
        framed=any(one.get("framed", False) for one in (data, *told)),
        changes=sum(one.get("changes", 0) for one in (data, *told)),
    )


def _read(text: str) -> Any:
    data = json.loads(text)
    # A page writes half a character, and else hardly anything, as such an escape.
    return json.loads(whole(json.dumps(data, ensure_ascii=False))) if "\\ud" in text else data


Place = tuple[float, float, float, float]
"""Where a frame's viewport begins on the page, and how many times wider and higher it is drawn."""


def _node(data: list[Any], frames: Mapping[str, Any], focused: str, place: Place | None) -> Node:
    tag, bid, flags, attributes, state, box, children, label, *frame = data
    inside = tuple(
        child if isinstance(child, str) else _node(child, frames, focused, place)
        for child in children
    )
    if frame:
        way, *at = frame[0]
        found = frames.get(way)
        if found and found["tree"]:
            inside += (_node(found["tree"], frames, focused, _within(at, place)),)
    if bid and bid != focused:
        state.pop("focused", None)
    return Node(
        tag=tag,
        bid=bid,
        visible=bool(flags & VISIBLE),
        actionable=bool(flags & ACTIONABLE),
        attributes=attributes,
        state=state,
        box=_drawn(box, place),
        children=inside,
        label=label,
    )


def _drawn(box: list[int], place: Place | None) -> Box:
    x, y, width, height = box
    if place is None:
        return (x, y, width, height)
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
