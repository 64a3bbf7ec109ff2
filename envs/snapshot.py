"""The page as the in-page script saw it: one tree for every observation mode."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from webdojo.tasks.view import Box

_SCRIPT = (Path(__file__).parent / "snapshot.js").read_text(encoding="utf-8")

PAGE_API = 'window[Symbol.for("webdojo")]'
"""The object that script makes; its methods return JSON-able values."""

VISIBLE, ACTIONABLE = 1, 2


def episode_script(seed: int, begun_ms: int) -> str:
    """A script that tells the documents of a page used again which episode they belong to."""
    episode = {"seed": seed & 0x7FFFFFFF, "begun": begun_ms}
    return f'window[Symbol.for("webdojo.episode")] = {json.dumps(episode)}'


def snapshot_script(seed: int, sockets: Iterable[str] = ()) -> str:
    """The script to install in every document before the page's own.

    ``seed`` feeds the page's chance; ``sockets`` are the origins to which it may open WebSockets
    besides its own.
    """
    script = _SCRIPT.replace("__SEED__", str(seed & 0x7FFFFFFF))
    return script.replace("__SOCKETS__", json.dumps(list(sockets)))


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
    """Live form state: value, checked, selected, disabled, readonly, focused, expanded."""
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

    def boxes(self) -> dict[str, Box]:
        """Where each element is, in CSS pixels of the viewport."""
        return {node.bid: node.box for node in self.tree.walk() if node.bid} if self.tree else {}


def parse_snapshot(text: str) -> Snapshot:
    """Read the JSON text that the in-page script gives."""
    data = json.loads(text)
    return Snapshot(
        url=data["url"],
        title=data["title"],
        focused=data["focused"],
        scroll=(data["scroll"][0], data["scroll"][1]),
        tree=_node(data["tree"]) if data["tree"] else None,
        picture=data.get("picture", ""),
    )


def _node(data: list[Any]) -> Node:
    tag, bid, flags, attributes, state, box, children, label = data
    return Node(
        tag=tag,
        bid=bid,
        visible=bool(flags & VISIBLE),
        actionable=bool(flags & ACTIONABLE),
        attributes=attributes,
        state=state,
        box=(box[0], box[1], box[2], box[3]),
        children=tuple(child if isinstance(child, str) else _node(child) for child in children),
        label=label,
    )
