"""HTML without a browser: read into the tree that the in-page script gives of a live page.

What only a browser knows is left out: boxes, style sheets, listeners. Hidden is what says so in
its own attributes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from webdojo.envs.snapshot import Node

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
NOTHING: Mapping[str, Any] = {}

_HIDING = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_POINTING = re.compile(r"(?:^|;)\s*cursor\s*:\s*pointer", re.IGNORECASE)


def read_html(html: str) -> Node:
    """The document's body as a tree; an element's bid is its ``bid``, or else its number.

    Boxes are all zero. Never raises on malformed HTML.
    """
    data = html.encode("utf-8", "replace").replace(b"\0", b"") if html.strip() else b"<body>"
    # To visit the tree that the parser makes would cost five times what parsing does.
    reader = _Reader()
    with suppress(etree.XMLSyntaxError):  # nothing in it that could be a document
        etree.fromstring(data, etree.HTMLParser(encoding="utf-8", huge_tree=True, target=reader))
    return reader.body or Node("body", "", True, False, {}, {}, NOWHERE)


class _Open:
    """An element whose end has not come yet."""

    __slots__ = ("before", "children", "depth", "given", "node", "options", "points", "text")

    def __init__(self, node: Node, given: Mapping[str, str], depth: int, points: bool) -> None:
        self.node = node
        self.given = given
        self.depth = depth
        self.points = points
        """Whether it shows a hand, or something around it does."""
        self.children: list[Node | str] = []
        self.before = ""
        """Tag of the last element in it, shown or not."""
        self.text: list[str] = []
        """Pieces of the text that has come since."""
        self.options: list[tuple[bool, list[str]]] = []
        """Of a select: whether each is chosen, and its text; of a textarea its text alone."""


class _Reader:
    """Builds the tree as the parser goes: a target of lxml's parser, which calls these methods."""

    def __init__(self) -> None:
        self.body: Node | None = None
        self._count = 0
        self._open: list[_Open] = []
        self._skipped = 0
        """How many of the elements that are open are not shown."""
        self._field: _Open | None = None
        """The select or textarea that is open."""

    def start(self, tag: str, given: Mapping[str, str]) -> None:
        """An element begins."""
        if tag == "option" and self._field is not None:
            self._field.options.append(("selected" in given, []))
        if self._skipped:
            self._skipped += 1
            return
        depth, pointing = -1, False  # of <html>; the body is at level 0
        if self._open:
            inside = self._open[-1]
            if inside.text:
                _take_text(inside, tag)
            inside.before = tag
            depth, pointing = inside.depth + 1, inside.points
            if depth > DEEPEST or tag in SKIPPED_TAGS or (depth and _is_hidden(tag, given)):
                self._skipped = 1
                return
        attributes = NOTHING
        actionable = tag in INTERACTIVE_TAGS
        if given:
            attributes, points, handled = _described(given)
            actionable = tag not in ("option", "body") and (
                actionable
                or handled
                or (points and not pointing)
                or attributes.get("role") in INTERACTIVE_ROLES
            )
            pointing = pointing or points
        bid = ""
        if actionable:
            self._count += 1
            bid = given.get("bid") or str(self._count)
        opened = _Open(
            Node(tag, bid, True, actionable, attributes, NOTHING, NOWHERE), given, depth, pointing
        )
        self._open.append(opened)
        if tag in ("select", "textarea"):
            self._field = opened
            if tag == "textarea":
                opened.options.append((True, []))
                self._skipped = 1  # what it holds is its value

    def data(self, text: str) -> None:
        """A piece of text."""
        if self._field is not None and self._field.options:
            self._field.options[-1][1].append(text)
        if not self._skipped and self._open:
            self._open[-1].text.append(text)

    def end(self, tag: str) -> None:
        """An element ends."""
        if self._skipped:
            self._skipped -= 1
            if self._skipped or tag != "textarea" or self._field is None:
                return
        ended = self._open.pop()
        if ended.text:
            _take_text(ended, "")
        node = ended.node
        node.children = tuple(ended.children)
        if ended.given or tag in STATEFUL_TAGS:
            node.state = _state(ended)
        if ended is self._field:
            self._field = None
        if ended.depth == 0 and tag == "body" and self.body is None:
            self.body = node
        elif self._open:
            self._open[-1].children.append(node)
        elif self.body is None:
            self.body = node

    def close(self) -> None:
        """The document ends."""


def _described(given: Mapping[str, str]) -> tuple[Mapping[str, str], bool, bool]:
    """What tells something; whether the element shows a hand, and whether it listens."""
    attributes: dict[str, str] = {}
    points = handled = False
    for name, value in given.items():
        if name in KEPT_ATTRIBUTES:
            if value:
                attributes[name] = value[:MAX_VALUE]
        elif name == "style":
            points = _POINTING.search(value) is not None
        elif name in HANDLERS or (name, value) in EDITABLE:
            handled = True
    return attributes, points, handled


def _take_text(inside: _Open, after: str) -> None:
    """Keep the text that came before an element of tag ``after``, or before the end."""
    text = "".join(inside.text)
    inside.text.clear()
    if inside.before and inside.depth >= DEEPEST:
        return
    words = text.split()
    if words:
        start = " " if text[0].isspace() else ""
        end = " " if text[-1].isspace() else ""
        inside.children.append(f"{start}{' '.join(words)}{end}")
    elif inside.before in FLOWING_TAGS and after in FLOWING_TAGS:
        inside.children.append(" ")


def _is_hidden(tag: str, given: Mapping[str, str]) -> bool:
    return bool(given) and (
        "hidden" in given
        or ("style" in given and _HIDING.search(given["style"]) is not None)
        or (tag == "input" and given.get("type") == "hidden")
    )


def _state(ended: _Open) -> dict[str, Any]:
    state: dict[str, Any] = {}
    tag, given, options = ended.node.tag, ended.given, ended.options
    if tag == "input":
        if given.get("type") in ("checkbox", "radio"):
            if "checked" in given:
                state["checked"] = True
        else:
            value = given.get("value", "")
            state["value"] = "•" * len(value) if given.get("type") == "password" else value
    elif tag == "textarea":
        state["value"] = "".join(options[0][1])
    elif tag == "select":
        chosen = [text for selected, text in options if selected] or [text for _, text in options]
        state["value"] = " ".join("".join(chosen[0]).split()) if chosen else ""
    elif tag == "option" and "selected" in given:
        state["selected"] = True
    for name, value in given.items():
        if name in ("disabled", "readonly"):
            state[name] = True
        elif name in ARIA_STATES and value in ("true", "false"):
            state[name[5:]] = value == "true"
    return state
