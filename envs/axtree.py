"""The page as an accessibility tree in text, in BrowserGym's form.

    RootWebArea 'Log in'
      [7] textbox 'Username', clickable, visible, value='bob', focused
      StaticText 'Forgot it?'

Made from the same look at the page as every other form, so that it costs no round trip.
"""

from __future__ import annotations

from webdojo.envs.shown_tree import is_picture
from webdojo.envs.snapshot import Node

ROLES = {
    **{"a": "link", "button": "button", "summary": "button", "textarea": "textbox", "img": "img"},
    **{"select": "combobox", "option": "option", "optgroup": "group", "iframe": "Iframe"},
    **{f"h{level}": "heading" for level in range(1, 7)},
    **{"p": "paragraph", "ul": "list", "ol": "list", "li": "listitem", "label": "LabelText"},
    **{"table": "table", "tr": "row", "td": "gridcell", "th": "columnheader", "form": "form"},
    **{"nav": "navigation", "main": "main", "header": "banner", "footer": "contentinfo"},
    **{"dialog": "dialog", "article": "article", "aside": "complementary", "pre": "Pre"},
    **{"progress": "progressbar", "meter": "meter", "area": "link"},
    **{"fieldset": "group", "section": "region", "caption": "caption", "code": "code"},
}
INPUT_ROLES = {
    **{"checkbox": "checkbox", "radio": "radio", "range": "slider", "number": "spinbutton"},
    **{"button": "button", "submit": "button", "reset": "button", "image": "button"},
    **{"file": "button", "search": "searchbox"},
}
NAMED_BY_CONTENT = frozenset({"link", "button", "heading", "option", "tab", "menuitem", "treeitem"})
FLAGS = ("checked", "selected", "disabled", "inert", "expanded", "focused")


def to_axtree(tree: Node | None, title: str = "") -> str:
    """The pruned tree as an accessibility tree, one node a line, indented by depth."""
    lines = [f"RootWebArea {_quoted(title)}"]
    if tree is not None:
        for child in tree.children if tree.tag == "body" and not tree.actionable else (tree,):
            _write(child, lines, 1)
    return "\n".join(lines)


def _write(node: Node | str, lines: list[str], depth: int) -> None:
    pad = "  " * depth
    if isinstance(node, str):
        if node.strip():
            lines.append(f"{pad}StaticText {_quoted(node)}")
        return
    role = role_of(node)
    name = name_of(node)
    parts = [f"{role} {_quoted(name)}"]
    if node.actionable:
        parts += ["clickable", "visible"]
    if node.state.get("value") and role not in ("button", "checkbox", "radio"):
        parts.append(f"value={_quoted(str(node.state['value']))}")
    for flag in FLAGS:
        if flag in node.state:
            value = node.state[flag]
            parts.append("focused" if flag == "focused" else f"{flag}={value}")
    bid = f"[{node.bid}] " if node.bid else ""
    lines.append(f"{pad}{bid}{', '.join(parts)}")
    if not (_is_named_by_content(node) and _content(node) in " ".join(name.split())):
        for child in node.children:
            _write(child, lines, depth + 1)


def role_of(node: Node) -> str:
    """The ARIA role of an element: the one it gives itself, or its tag's."""
    given = node.attributes.get("role", "")
    if given:
        return given
    kind = node.attributes.get("type", "")
    if node.tag == "input":
        return INPUT_ROLES.get(kind, "textbox")
    if node.tag == "label" and node.actionable and kind in INPUT_ROLES:  # it stands for its field
        return INPUT_ROLES[kind]
    return ROLES.get(node.tag, "generic")


def name_of(node: Node) -> str:
    """The name of an element: given by its attributes or its label, or what can be read in it."""
    given = node.attributes
    if given.get("aria-label") or given.get("alt"):
        return given.get("aria-label") or given["alt"]
    if node.label:
        return node.label
    if node.tag == "optgroup":
        return given.get("label", "")
    name = ""
    if node.tag == "input" and role_of(node) == "button":
        name = str(node.state.get("value", ""))
    elif _is_named_by_content(node):
        name = _content(node)
    return name or given.get("title") or given.get("placeholder", "")


def _is_named_by_content(node: Node) -> bool:
    """Whether an element's name is what can be read in it, which is then told once."""
    return role_of(node) in NAMED_BY_CONTENT and not any(
        inner.actionable for inner in node.walk() if inner is not node
    )


def _content(node: Node) -> str:
    """What can be read in an element, the words of images too."""
    parts: list[str] = []
    stack: list[Node | str] = [*reversed(node.children)]
    while stack:
        inner = stack.pop()
        if isinstance(inner, str):
            parts.append(inner)
        else:
            words = inner.attributes.get("alt") or (is_picture(inner) and name_of(inner))
            parts.append(f" {words} " if words else "")
            stack.extend(reversed(inner.children))
    return " ".join("".join(parts).split())


def _quoted(text: str) -> str:
    return repr(" ".join(text.split()))
