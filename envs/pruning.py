"""HTML pruning: what an agent needs of a page, and nothing else.

Every visible actionable element and every visible text survives; wrappers without meaning of their
own collapse into their content; attributes are kept by salience.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from html import escape

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

VOID_TAGS = frozenset(("input", "img", "br", "hr"))
ALWAYS_KEPT = (
    "id",
    "name",
    "type",
    "role",
    "aria-label",
    "title",
    "alt",
    "placeholder",
    "href",
    "for",
)
FLAGS = ("checked", "selected", "disabled", "readonly", "focused", "expanded")
MAX_ATTRIBUTE = 32
UNTRIMMED = frozenset({"aria-label", "title", "alt", "placeholder", "value"})


def prune(node: Node) -> Node | None:
    """The tree without hidden, decorative and empty parts; None if nothing is left."""
    kept = _prune(node)
    if len(kept) == 1 and isinstance(kept[0], Node):
        return kept[0]
    return replace(node, tag="body", actionable=False, children=tuple(kept)) if kept else None


def _prune(node: Node) -> list[Node | str]:
    children: list[Node | str] = []
    for child in node.children:
        if isinstance(child, str):
            if child.strip():
                children.append(child)
        else:
            children.extend(_prune(child))
    shown = node.visible and (node.actionable or (node.tag == "img" and "alt" in node.attributes))
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


def to_html(node: Node | None) -> str:
    """Pruned HTML, one actionable or structural element a line."""
    if node is None:
        return ""
    lines: list[str] = []
    _write(node, lines, 0, _classes(node))
    return "\n".join(lines)


def _classes(tree: Node) -> Counter[str]:
    """How many actionable elements without words have each class."""
    return Counter(
        name
        for node in tree.walk()
        if _is_wordless(node)
        for name in set(node.attributes.get("class", "").split())
    )


def _is_wordless(node: Node) -> bool:
    return node.actionable and not node.text()


def _write(node: Node, lines: list[str], depth: int, classes: Counter[str]) -> None:
    pad = " " * depth
    opening = f"<{node.tag}{_attributes(node, classes)}>"
    if node.tag in VOID_TAGS:
        lines.append(pad + opening)
        return
    if all(isinstance(child, str) for child in node.children):
        text = escape(" ".join("".join(str(c) for c in node.children).split()), quote=False)
        if node.tag == "textarea":
            text = escape(str(node.state.get("value", "")), quote=False)
        lines.append(f"{pad}{opening}{text}</{node.tag}>")
        return
    lines.append(pad + opening)
    for child in node.children:
        if isinstance(child, str):
            lines.append(f"{pad} {escape(' '.join(child.split()), quote=False)}")
        else:
            _write(child, lines, depth + 1, classes)
    lines.append(f"{pad}</{node.tag}>")


def _attributes(node: Node, classes: Counter[str]) -> str:
    parts = [f' bid="{node.bid}"'] if node.actionable else []
    for name in ALWAYS_KEPT:
        value = node.attributes.get(name)
        if not value or (name in ("id", "name") and not node.actionable):
            continue
        if name not in UNTRIMMED and len(value) > MAX_ATTRIBUTE:
            value = value[:MAX_ATTRIBUTE] + "…"
        parts.append(f' {name}="{escape(value)}"')
    if _is_wordless(node) or node.tag == "svg":
        told = _telling(node.attributes.get("class", ""), classes)
        parts.append(f' class="{escape(told)}"' if told else "")
    if "value" in node.state and node.tag != "textarea":
        parts.append(f' value="{escape(str(node.state["value"]))}"')
    parts.extend(f" {flag}" for flag in FLAGS if node.state.get(flag) is True)
    return "".join(parts)


def _telling(names: str, classes: Counter[str]) -> str:
    """The rarest of an element's classes, as many as there is room for, in their own order."""
    kept: list[str] = []
    for name in sorted(set(names.split()), key=lambda n: (classes[n], names.index(n))):
        if kept and len(" ".join((*kept, name))) > MAX_ATTRIBUTE:
            break
        kept.append(name)
    return " ".join(sorted(kept, key=names.index))[: 2 * MAX_ATTRIBUTE]
