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

from webdojo.envs.snapshot import Node, put

INTERACTIVE_TAGS = frozenset(("a", "button", "input", "select", "textarea", "summary"))
INTERACTIVE_ROLES = frozenset(
    (
        *("button", "link", "checkbox", "radio", "textbox", "searchbox", "combobox", "listbox"),
        *("option", "menuitem", "menuitemcheckbox", "menuitemradio", "tab", "switch", "slider"),
        *("spinbutton", "treeitem", "gridcell"),
    )
)
SKIPPED_TAGS = frozenset(
    (
        *("script", "style", "noscript", "template", "head", "meta", "link", "base", "svg"),
        *("iframe", "datalist"),
    )
)
HANDLERS = frozenset(
    (
        *("onclick", "onmousedown", "onmouseup", "onpointerdown", "onpointerup", "ondblclick"),
        *("oncontextmenu", "ontouchstart", "ontouchend", "onmouseenter", "onpointerenter"),
        *("ondragover", "ondrop"),
    )
)
KEY_HANDLERS = frozenset(("onkeydown", "onkeyup", "onkeypress"))
"""Of what can have the focus, which ``tabindex`` tells."""
WORKED_INPUTS = frozenset(
    ("checkbox", "radio", "file", "button", "submit", "reset", "image", "color")
)
"""Fields that a click on their label works."""
DISABLED_TAGS = frozenset(
    ("button", "fieldset", "input", "optgroup", "option", "select", "textarea")
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
EDITED = frozenset(("", "true", "plaintext-only"))
"""Values of ``contenteditable``."""
EDITABLE = frozenset((*(("contenteditable", value) for value in EDITED), ("draggable", "true")))
ARIA_STATES = frozenset(("aria-checked", "aria-selected", "aria-expanded", "aria-disabled"))
MAX_VALUE = 200
DEEPEST = 300
"""Levels below which nothing is read."""
NOWHERE = (0, 0, 0, 0)
NOTHING: Mapping[str, Any] = {}

_TOLD_BY = {"area": "href", "audio": "controls", "video": "controls"}
"""By which attribute some tags can be acted on."""
_HIDING = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_POINTING = re.compile(r"(?:^|;)\s*cursor\s*:\s*pointer", re.IGNORECASE)


def read_html(html: str) -> Node:
    """The document's body as a tree; an element's bid is its ``bid``, or else its number.

    A label that stands for a field that is not shown is numbered where the later of both is. Boxes
    are all zero. Never raises on malformed HTML.
    """
    data = html.encode("utf-8", "replace").replace(b"\0", b"") if html.strip() else b"<body>"
    # To visit the tree that the parser makes would cost five times what parsing does.
    reader = _Reader()
    with suppress(etree.XMLSyntaxError):  # nothing in it that could be a document
        etree.fromstring(data, etree.HTMLParser(encoding="utf-8", huge_tree=True, target=reader))
    return reader.body or Node("body", "", True, False, {}, {}, NOWHERE)


class _Open:
    """An element whose end has not come yet."""

    __slots__ = (
        *("before", "children", "depth", "disabled", "folded", "given", "inert", "node"),
        *("options", "points", "text"),
    )

    def __init__(
        self,
        node: Node,
        given: Mapping[str, str],
        depth: int,
        points: bool,
        holder: _Open | None,
    ) -> None:
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
        self.options: list[tuple[bool, list[str] | tuple[str]]] = []
        """Of a select: whether each is chosen, and its text, or the label that is shown in its
        place; of a textarea its text alone."""
        self.folded = node.tag == "details" and "open" not in given
        """Whether nothing in it is shown but its summary."""
        self.inert: bool = "inert" in given or (holder is not None and holder.inert)
        self.disabled: bool = holder is not None and (
            holder.disabled
            or ("disabled" in holder.given and _turns_off(holder.node.tag, node.tag))
        )
        """Whether something around it has turned it off."""


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
        self._behind: dict[str, Mapping[str, str]] = {}
        """Fields that are not shown and that a label works, by id."""
        self._labels: dict[str, list[Node]] = {}
        """Labels by the id of their field."""

    def start(self, tag: str, given: Mapping[str, str]) -> None:
        """An element begins."""
        if tag == "option" and self._field is not None:
            label = given.get("label", "")
            self._field.options.append(("selected" in given, (label,) if label else []))
        if self._skipped or not self._shows(tag, given):
            self._skipped += 1
            if tag == "input":
                self._hide_field(given)
            return
        depth, pointing = -1, False  # of <html>; the body is at level 0
        if self._open:
            depth, pointing = self._open[-1].depth + 1, self._open[-1].points
        attributes = NOTHING
        actionable = tag in INTERACTIVE_TAGS
        if given:
            attributes, points, handled = _described(given)
            may_be = tag != "option" and (tag != "body" or given.get("contenteditable") in EDITED)
            actionable = may_be and (
                actionable
                or handled
                or (tag in _TOLD_BY and _TOLD_BY[tag] in given)
                or (points and not pointing)
                or attributes.get("role") in INTERACTIVE_ROLES
            )
            pointing = pointing or points
        bid = ""
        if actionable:
            self._count += 1
            bid = given.get("bid") or str(self._count)
        node = Node(tag, bid, True, actionable, attributes, NOTHING, NOWHERE)
        opened = _Open(node, given, depth, pointing, self._open[-1] if self._open else None)
        self._open.append(opened)
        if tag == "label" and "for" in given:
            self._labels.setdefault(given["for"], []).append(node)
            if given["for"] in self._behind:
                self._stand_for(node, self._behind[given["for"]])
        if tag in ("select", "textarea"):
            self._field = opened
            if tag == "textarea":
                opened.options.append((True, []))
                self._skipped = 1  # what it holds is its value

    def _shows(self, tag: str, given: Mapping[str, str]) -> bool:
        """Take note that an element begins; whether it is shown."""
        if not self._open:
            return True
        inside = self._open[-1]
        if inside.text:
            _take_text(inside, tag)
        inside.before = tag
        depth = inside.depth + 1
        return not (
            depth > DEEPEST or tag in SKIPPED_TAGS or (depth and _is_hidden(tag, given, inside))
        )

    def data(self, text: str) -> None:
        """A piece of text."""
        if self._field is not None and self._field.options:
            texts = self._field.options[-1][1]
            if isinstance(texts, list):
                texts.append(text)
        if not self._skipped and self._open and not self._open[-1].folded:
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
        label = ended.given.get("label") if tag == "option" else None
        node.children = (label,) if label else tuple(ended.children)
        if ended.given or tag in STATEFUL_TAGS or ended.disabled or ended.inert:
            state = _state(ended)
            node.state = {**node.state, **state} if node.state else state
        if ended is self._field:
            self._field = None
        if ended.depth == 0 and tag == "body" and self.body is None:
            self.body = node
        elif self._open:
            put(node, ended.depth, self._open[-1].children)
        elif self.body is None:
            self.body = node

    def _hide_field(self, given: Mapping[str, str]) -> None:
        """A field that is not shown: its labels stand for it."""
        if given.get("type") not in WORKED_INPUTS:
            return
        name = given.get("id", "")
        around = next((open_ for open_ in reversed(self._open) if open_.node.tag == "label"), None)
        if around is not None and around.given.get("for", name) == name:
            self._stand_for(around.node, given)
        if name:
            self._behind[name] = given
            for label in self._labels.get(name, ()):
                self._stand_for(label, given)

    def _stand_for(self, label: Node, given: Mapping[str, str]) -> None:
        """Have a label acted on in place of a field."""
        if not label.actionable:
            self._count += 1
            label.actionable, label.bid = True, str(self._count)
        label.attributes = {**label.attributes, "type": given["type"]}
        label.state = {flag: True for flag in ("checked", "disabled") if flag in given}

    def close(self) -> None:
        """The document ends."""


def _described(given: Mapping[str, str]) -> tuple[Mapping[str, str], bool, bool]:
    """What tells something; whether the element shows a hand, and whether it listens."""
    attributes: dict[str, str] = {}
    points = handled = focusable = keyed = False
    for name, value in given.items():
        if name in KEPT_ATTRIBUTES:
            if value:
                attributes[name] = value[:MAX_VALUE]
                if name == "role" and value not in INTERACTIVE_ROLES:
                    attributes[name] = _role(value)
        elif name == "style":
            points = _POINTING.search(value) is not None
        elif name in HANDLERS or (name, value) in EDITABLE:
            handled = True
        elif name == "tabindex":
            focusable = not value.strip().startswith("-")
        elif name in KEY_HANDLERS:
            keyed = True
        elif name == "label":  # of a group of options
            attributes[name] = value[:MAX_VALUE]
    return attributes, points, handled or (focusable and keyed)


def _role(roles: str) -> str:
    """Of several roles the first that can be acted on; all of them if none can."""
    return next((role for role in roles.lower().split() if role in INTERACTIVE_ROLES), roles)


def _turns_off(holder: str, tag: str) -> bool:
    """Whether a disabled element disables one of its children; a fieldset's legend stays."""
    return holder == "optgroup" or (holder == "fieldset" and tag != "legend")


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


def _is_hidden(tag: str, given: Mapping[str, str], holder: _Open) -> bool:
    if holder.folded:
        if tag != "summary" or holder.children:
            return True
    elif tag == "dialog" and "open" not in given:
        return True
    return bool(given) and (
        "hidden" in given
        or "popover" in given
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
    elif tag in ("meter", "progress"):
        state.update({name: given[name] for name in ("value", "max") if given.get(name)})
    _add_flags(ended, state)
    return state


def _add_flags(ended: _Open, state: dict[str, Any]) -> None:
    if ended.disabled and ended.node.tag in DISABLED_TAGS:
        state["disabled"] = True
    if ended.inert and ended.node.actionable:
        state["inert"] = True
    for name, value in ended.given.items():
        if name in ("disabled", "readonly"):
            state[name] = True
        elif name in ARIA_STATES and value in ("true", "false"):
            state[name[5:]] = value == "true"
