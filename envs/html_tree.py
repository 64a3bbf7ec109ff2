"""HTML without a browser: read into the tree that the in-page script gives of a live page.

What only a browser knows is left out: boxes, style sheets, listeners. Hidden is what says so in
its own attributes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from webdojo.envs.snapshot import Node

HtmlElement = Any
"""An lxml element; lxml brings no types."""
INTERACTIVE_TAGS = frozenset(("a", "button", "input", "select", "textarea", "summary"))
INTERACTIVE_ROLES = frozenset(
    (
        *("button", "link", "checkbox", "radio", "textbox", "searchbox", "combobox", "listbox"),
        *("option", "menuitem", "menuitemcheckbox", "menuitemradio", "tab", "switch", "slider"),
        *("spinbutton", "treeitem"),
    )
)
SKIPPED_TAGS = frozenset(
    ("script", "style", "noscript", "template", "head", "meta", "link", "base", "svg", "iframe")
)
HANDLERS = frozenset(
    ("onclick", "onmousedown", "onmouseup", "onpointerdown", "onpointerup", "ondblclick")
)
STATEFUL_TAGS = frozenset(("input", "textarea", "select"))
KEPT_ATTRIBUTES = frozenset(
    (
        *("id", "name", "type", "role", "aria-label", "title", "alt", "placeholder", "href"),
        *("for", "class"),
    )
)
FLOWING_TAGS = frozenset(
    (
        *("a", "abbr", "b", "button", "cite", "code", "em", "font", "i", "img", "input", "kbd"),
        *("label", "mark", "select", "small", "span", "strong", "sub", "sup", "time", "u", "var"),
    )
)
"""Between two of these a space that stands alone parts words."""
EDITABLE = frozenset((("contenteditable", ""), ("contenteditable", "true"), ("draggable", "true")))
ARIA_STATES = frozenset(("aria-checked", "aria-selected", "aria-expanded", "aria-disabled"))
MAX_VALUE = 200
DEEPEST = 300
"""Levels below which nothing is read."""
NOWHERE = (0, 0, 0, 0)

_HIDING = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_POINTING = re.compile(r"(?:^|;)\s*cursor\s*:\s*pointer", re.IGNORECASE)
_PARSER = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)


def read_html(html: str) -> Node:
    """The document's body as a tree; an element's bid is its ``bid``, or else its number.

    Boxes are all zero. Never raises on malformed HTML.
    """
    data = html.encode("utf-8", "replace").replace(b"\0", b"") if html.strip() else b"<body>"
    try:
        root = etree.fromstring(data, _PARSER)
    except etree.XMLSyntaxError:  # nothing in it that could be a document
        root = None
    if root is None:
        return Node("body", "", True, False, {}, {}, NOWHERE)
    body = root.find("body") if root.tag == "html" else root
    return _Reader().node(root if body is None else body, 0, False)


class _Reader:
    def __init__(self) -> None:
        self.count = 0

    def node(self, element: HtmlElement, depth: int, pointing: bool) -> Node:
        """One element that is shown, with all that is shown in it."""
        tag = element.tag
        given = element.attrib
        attributes: dict[str, str] = {}
        points, handled = _described(given, attributes) if given else (False, False)
        actionable = tag not in ("option", "body") and (
            tag in INTERACTIVE_TAGS
            or handled
            or (points and not pointing)
            or attributes.get("role") in INTERACTIVE_ROLES
        )
        bid = ""
        if actionable:
            self.count += 1
            bid = given.get("bid") or str(self.count)
        children: list[Node | str] = []
        if element.text and tag != "textarea":
            _add_text(children, element.text, None, None)
        if depth < DEEPEST:
            for child in element:
                if child.tag not in SKIPPED_TAGS and not _is_hidden(child):
                    children.append(self.node(child, depth + 1, pointing or points))
                if child.tail:
                    _add_text(children, child.tail, child, child.getnext())
        state = _state(element, tag, given) if given or tag in STATEFUL_TAGS else {}
        return Node(tag, bid, True, actionable, attributes, state, NOWHERE, tuple(children))


def _described(given: Mapping[str, str], attributes: dict[str, str]) -> tuple[bool, bool]:
    """Keep what tells something; whether the element shows a hand, and whether it listens."""
    points = handled = False
    for name, value in given.items():
        if name in KEPT_ATTRIBUTES:
            if value:
                attributes[name] = value[:MAX_VALUE]
        elif name == "style":
            points = _POINTING.search(value) is not None
        elif name in HANDLERS or (name, value) in EDITABLE:
            handled = True
    return points, handled


def _add_text(
    children: list[Node | str], text: str, before: HtmlElement | None, after: HtmlElement | None
) -> None:
    words = text.split()
    if words:
        start = " " if text[0].isspace() else ""
        end = " " if text[-1].isspace() else ""
        children.append(f"{start}{' '.join(words)}{end}")
    elif (
        before is not None
        and after is not None
        and before.tag in FLOWING_TAGS
        and after.tag in FLOWING_TAGS
    ):
        children.append(" ")


def _is_hidden(element: HtmlElement) -> bool:
    given = element.attrib
    return bool(given) and (
        "hidden" in given
        or ("style" in given and _HIDING.search(given["style"]) is not None)
        or (element.tag == "input" and given.get("type") == "hidden")
    )


def _state(element: HtmlElement, tag: str, given: Mapping[str, str]) -> dict[str, Any]:
    state: dict[str, Any] = {}
    if tag == "input":
        if given.get("type") in ("checkbox", "radio"):
            if "checked" in given:
                state["checked"] = True
        else:
            value = given.get("value", "")
            state["value"] = "•" * len(value) if given.get("type") == "password" else value
    elif tag == "textarea":
        state["value"] = "".join(element.itertext())
    elif tag == "select":
        options = list(element.iter("option"))
        chosen = [option for option in options if "selected" in option.attrib] or options[:1]
        state["value"] = " ".join("".join(chosen[0].itertext()).split()) if chosen else ""
    elif tag == "option" and "selected" in given:
        state["selected"] = True
    for name, value in given.items():
        if name in ("disabled", "readonly"):
            state[name] = True
        elif name in ARIA_STATES and value in ("true", "false"):
            state[name[5:]] = value == "true"
    return state
