"""The page as an outline: one short line an element, made for small policies.

    text"Username"
    textbox"bob"#username[7]
    checkbox"I agree"+[9]
    button"Log in"[12]

A line is kind, text or value in quotes, ``#name`` where the text alone does not tell, ``+`` if
checked or selected, and the bid in brackets. The text comes before the bid, so that quoting a
line finds its bid.
"""

from __future__ import annotations

from webdojo.envs.snapshot import Node

KINDS = {
    "a": "link",
    "button": "button",
    "select": "select",
    "textarea": "textbox",
    "summary": "button",
    "img": "img",
}
INPUT_KINDS = {
    "checkbox": "checkbox",
    "radio": "radio",
    "button": "button",
    "submit": "button",
    "reset": "button",
    "image": "button",
    "file": "file",
    "range": "slider",
}
MAX_TEXT = 64


def to_outline(tree: Node | None, *, without: str = "") -> str:
    """The pruned tree as an outline; text equal to ``without`` (the goal) is left out."""
    if tree is None:
        return ""
    lines: list[str] = []
    named = {" ".join(node.label.split()) for node in tree.walk() if node.label}
    _outline(tree, lines, named | {" ".join(without.split())})
    return "\n".join(lines)


def _outline(node: Node, lines: list[str], known: set[str]) -> None:
    if node.actionable:
        line = _line(node)
        if line:
            lines.append(line)
        if node.tag == "select":
            lines.extend(
                f'option"{_quote(option.text())}"[{node.bid}]'
                for option in node.walk()
                if option.tag == "option"
            )
            return
    elif node.tag == "img":
        lines.append(f'img"{_quote(node.attributes.get("alt", ""))}"')
    own: list[str] = []
    covered = node.actionable and not _holds_actionable(node)
    for child in node.children:
        if isinstance(child, str):
            own.append(child)
            continue
        if own:
            _text_line("".join(own), lines, known, skip=covered)
            own = []
        if not (covered and child.tag != "img"):
            _outline(child, lines, known)
    if own:
        _text_line("".join(own), lines, known, skip=node.actionable)


def _text_line(text: str, lines: list[str], known: set[str], *, skip: bool) -> None:
    text = " ".join(text.split())
    if text and not skip and text not in known:
        lines.append(f'text"{_quote(text)}"')


def _holds_actionable(node: Node) -> bool:
    return any(inner.actionable for inner in node.walk() if inner is not node)


def _line(node: Node) -> str:
    kind = _kind(node)
    name = ""
    if kind in ("textbox", "select", "slider", "file"):
        text = str(node.state.get("value", ""))
        name = node.label or _attribute(node, "aria-label", "placeholder", "id", "name")
    elif kind in ("checkbox", "radio"):
        text = node.label or _attribute(node, "aria-label", "id")
    else:
        holds = _holds_actionable(node)
        text = _own_text(node) if holds else node.text()
        text = (
            text
            or str(node.state.get("value", ""))
            or _attribute(node, "aria-label", "title", "alt")
        )
        if not text:
            if holds:
                return ""
            name = _attribute(node, "id", "class")
    checked = any(node.state.get(flag) is True for flag in ("checked", "selected"))
    mark = "+" if checked else ""
    hint = f"#{_quote(name)}" if name else ""
    return f'{kind}"{_quote(text)}"{hint}{mark}[{node.bid}]'


def _own_text(node: Node) -> str:
    return " ".join("".join(child for child in node.children if isinstance(child, str)).split())


def _kind(node: Node) -> str:
    role = node.attributes.get("role", "")
    if node.tag == "input":
        return INPUT_KINDS.get(node.attributes.get("type", ""), "textbox")
    if role in ("button", "link", "checkbox", "radio", "tab", "menuitem", "textbox", "slider"):
        return "item" if role == "menuitem" else role
    return KINDS.get(node.tag, "item")


def _attribute(node: Node, *names: str) -> str:
    return next((node.attributes[name] for name in names if node.attributes.get(name)), "")


def _quote(text: str) -> str:
    text = " ".join(text.split()).replace('"', "'")
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
