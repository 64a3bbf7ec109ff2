"""The page as HTML with its structure and class names as they are: what oracles read.

Longer than pruned HTML and made from the same look at the page, so that an oracle sees nothing
that an agent does not, and need not care how agents are shown it.
"""

from __future__ import annotations

from collections import Counter
from html import escape

from webdojo.envs.snapshot import Node

VOID_TAGS = frozenset(("area", "input", "img", "br", "hr"))
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
FRAMES = frozenset({"iframe", "frame"})
"""Written as ``div``: who reads HTML takes what stands in a frame for text."""
FLAGS = ("checked", "selected", "disabled", "readonly", "focused", "expanded")
MAX_ATTRIBUTE = 32
UNTRIMMED = frozenset({"aria-label", "title", "alt", "placeholder", "value"})


def to_structured_html(node: Node | None) -> str:
    """HTML of a tree, one actionable or structural element a line."""
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
    tag = "div" if node.tag in FRAMES else node.tag
    opening = f"<{tag}{_attributes(node, classes)}>"
    if node.tag in VOID_TAGS:
        lines.append(pad + opening)
        return
    if all(isinstance(child, str) for child in node.children):
        text = escape(" ".join("".join(str(c) for c in node.children).split()), quote=False)
        if node.tag == "textarea":
            text = escape(str(node.state.get("value", "")), quote=False)
        lines.append(f"{pad}{opening}{text}</{tag}>")
        return
    lines.append(pad + opening)
    for child in node.children:
        if isinstance(child, str):
            lines.append(f"{pad} {escape(' '.join(child.split()), quote=False)}")
        else:
            _write(child, lines, depth + 1, classes)
    lines.append(f"{pad}</{tag}>")


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
