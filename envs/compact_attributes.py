"""The attributes of compact HTML: those that tell something, as short as HTML lets them be."""

from __future__ import annotations

import re
from collections import Counter

from webdojo.envs.snapshot import Node

TOLD_ROLES = frozenset(
    (
        *("checkbox", "radio", "switch", "tab", "textbox", "searchbox", "combobox", "listbox"),
        *("slider", "spinbutton", "treeitem", "menuitemcheckbox", "menuitemradio"),
    )
)
"""Roles that tell what an element does besides being clicked."""
DEFAULT_TYPES = frozenset((("input", "text"), ("button", "submit"), ("button", "button")))
FLAGS = ("checked", "selected", "disabled", "inert", "readonly", "focused", "expanded")
MAX_ATTRIBUTE = 32
"""Characters of an attribute that names something; those that hold words are never cut."""

_UNQUOTED = re.compile(r"[^\s\"'=<>`&]*[^\s\"'=<>`&/]\Z")
_AMPERSAND = re.compile(r"&(?=[A-Za-z#])")


def told_attributes(node: Node, spoken: bool) -> str:
    """What the opening tag of an actionable element tells; ``spoken``: it holds words."""
    given, state = node.attributes, node.state
    parts = [f" bid={node.bid}"]
    value = state.get("value")
    if given.get("id") and not (spoken and node.tag == "a"):  # a link's is where others lead
        parts.append(f" id={quoted(cut(given['id']))}")
    elif given.get("name") and not spoken:
        parts.append(f" name={quoted(cut(given['name']))}")
    kind = given.get("type", "")
    if kind and (node.tag, kind) not in DEFAULT_TYPES:
        parts.append(f" type={quoted(cut(kind))}")
    if given.get("role") in TOLD_ROLES:
        parts.append(f" role={given['role']}")
    for words in ("aria-label", "placeholder", "alt"):
        if given.get(words):
            parts.append(f" {words}={quoted(given[words])}")
    if not spoken:
        if given.get("title") and not given.get("aria-label"):
            parts.append(f" title={quoted(given['title'])}")
        if not is_named(node) and not given.get("href", "#").startswith(("#", "javascript:")):
            parts.append(f" href={quoted(cut(given['href']))}")
    if value and node.tag in ("input", "label"):
        parts.append(f" value={quoted(str(value))}")
    parts.extend(f" {flag}" for flag in FLAGS if state.get(flag) is True)
    return "".join(parts)


def is_named(node: Node) -> bool:
    """Whether something besides its content tells what an element is."""
    given = node.attributes
    return node.tag in ("select", "textarea") or any(
        given.get(name) for name in ("aria-label", "title", "alt", "placeholder", "id", "name")
    )


def words_inside(node: Node) -> str:
    """What an icon in an element says that it is."""
    for inner in node.walk():
        words = inner.attributes.get("aria-label") or inner.attributes.get("title", "")
        if inner.visible and words.strip():
            return words.strip()
    return ""


def telling_class(node: Node, counts: Counter[str]) -> str:
    """Those of its class names that are rarest on the page; an icon in it tells more than it."""
    icons = " ".join(
        inner.attributes.get("class", "") for inner in node.walk() if inner is not node
    )
    names = list(dict.fromkeys(icons.split() or node.attributes.get("class", "").split()))
    rarest = min((counts[name] for name in names), default=0)
    kept = ""
    for name in names:
        if counts[name] == rarest and (not kept or len(kept) + 1 + len(name) <= MAX_ATTRIBUTE):
            kept = f"{kept} {name}" if kept else name
    return kept[: 2 * MAX_ATTRIBUTE]


def cut(value: str) -> str:
    """A value that names something, in ``MAX_ATTRIBUTE`` characters."""
    return value if len(value) <= MAX_ATTRIBUTE else value[:MAX_ATTRIBUTE] + "…"


def quoted(value: str) -> str:
    """An attribute's value, in quotes if it needs them."""
    if _UNQUOTED.match(value):
        return value
    value = _AMPERSAND.sub("&amp;", value).replace("\n", "&#10;")
    return '"' + value.replace('"', "&quot;") + '"'


def escaped(text: str) -> str:
    """Text as it stands between tags."""
    if "&" in text:
        text = _AMPERSAND.sub("&amp;", text)
    return text.replace("<", "&lt;") if "<" in text else text
