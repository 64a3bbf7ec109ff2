"""A page's text within a budget: what is in view comes first, and the rest is said to be cut."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from webdojo.envs.snapshot import Node


def within(
    tree: Node | None,
    write: Callable[[Node | None], str],
    max_characters: int | None,
    viewport: tuple[int, int],
) -> str:
    """What ``write`` makes of the tree, in at most ``max_characters``.

    What does not fit loses first the elements outside the viewport [width, height in pixels], then
    the lines at its end. A last line tells what was cut and how it is got at.
    """
    text = write(tree)
    if max_characters is None or len(text) <= max_characters or tree is None:
        return text
    seen = in_view(tree, viewport)
    shown = write(seen)
    hidden = _actionable(tree) - (_actionable(seen) if seen else 0)
    note = f"… cut: what is out of view, with {hidden} elements to act on; scroll to see it"
    if len(shown) + 1 + len(note) <= max_characters:
        return f"{shown}\n{note}" if shown else note
    note = (
        "… cut: {} characters of what is in view, and what is out of view,"
        f" with {hidden} elements to act on"
    )
    room = max_characters - len(note) - 10
    kept = shown[: max(0, room)]
    kept = kept.rpartition("\n")[0] or kept.rpartition(" ")[0]
    return f"{kept}\n{note.format(len(shown) - len(kept))}"[:max_characters]


def beginning(document: str, max_characters: int | None) -> str:
    """As much of a document as fits into ``max_characters``, with a line that tells what is cut."""
    if max_characters is None or len(document) <= max_characters:
        return document
    note = "\n… cut: {} more characters; pruned_html begins with what is in view"
    kept = document[: max(0, max_characters - len(note) - 10)]
    return f"{kept}{note.format(len(document) - len(kept))}".lstrip()[:max_characters]


def in_view(node: Node, viewport: tuple[int, int]) -> Node | None:
    """The tree of what lies in the viewport at least in part; None if nothing does."""
    kept: tuple[Node | str, ...] = ()
    for child in node.children:
        if isinstance(child, str):
            kept += (child,)
        elif (inner := in_view(child, viewport)) is not None:
            kept += (inner,)
    holds_element = any(isinstance(child, Node) for child in kept)
    if not _overlaps(node, viewport):
        # An element may lie outside the box of the one that holds it.
        kept = tuple(child for child in kept if isinstance(child, Node))
    if not _overlaps(node, viewport) and not holds_element and node.tag != "option":
        return None
    return replace(node, children=kept)


def _overlaps(node: Node, viewport: tuple[int, int]) -> bool:
    x, y, width, height = node.box
    return x < viewport[0] and y < viewport[1] and x + width > 0 and y + height > 0


def _actionable(node: Node) -> int:
    return sum(inner.actionable for inner in node.walk())
