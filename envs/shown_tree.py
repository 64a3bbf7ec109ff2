"""The page's tree without what is hidden, decorative or empty.

What outlines and accessibility trees are made of; HTML prunes as it is written.
"""

from __future__ import annotations

from msgspec.structs import replace

from webdojo.envs.snapshot import Node

STRUCTURE_TAGS = frozenset(
    (
        *("h1", "h2", "h3", "h4", "h5", "h6", "p", "li", "ul", "ol", "dl", "dt", "dd"),
        *("table", "thead", "tbody", "tfoot", "tr", "th", "td", "caption"),
        *("form", "label", "fieldset", "legend", "pre", "blockquote", "code", "iframe", "dialog"),
        *("nav", "main", "header", "footer", "section", "article", "aside"),
    )
)
"""Tags that tell something about their content and are kept without being actionable."""


def prune(node: Node) -> Node | None:
    """The tree without hidden, decorative and empty parts; None if nothing is left."""
    kept = _prune(node)
    if len(kept) == 1 and isinstance(kept[0], Node):
        return kept[0]
    return replace(node, tag="body", actionable=False, children=tuple(kept)) if kept else None


def is_picture(node: Node) -> bool:
    """Whether an element without text stands for an image, and says of what."""
    given = node.attributes
    if given.get("role") != "img" or not given.get("aria-label", "").strip():
        return False
    return node.visible and not node.text()


def _prune(node: Node) -> list[Node | str]:
    children: list[Node | str] = []
    for child in node.children:
        if isinstance(child, str):
            if child.strip():
                children.append(child)
        else:
            children.extend(_prune(child))
    shown = node.visible and (
        node.actionable
        or (node.tag == "img" and "alt" in node.attributes)
        or (node.attributes.get("role") == "img" and is_picture(node))
        or (node.tag in ("progress", "meter") and "value" in node.state)
    )
    if node.tag in ("option", "optgroup"):
        shown = True
    if shown:
        return [replace(node, children=tuple(children))]
    if not children:
        return []
    if node.tag in STRUCTURE_TAGS or _is_text_block(node, children):
        return [replace(node, children=tuple(children))]
    return children


def _is_text_block(node: Node, children: list[Node | str]) -> bool:
    # A block that holds text directly stays one line: neighbouring texts must not run together.
    return node.tag not in ("span", "b", "i", "em", "strong", "font", "u", "small", "body") and any(
        isinstance(child, str) for child in children
    )
