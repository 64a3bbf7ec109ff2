"""Pruning rules of one's own: small functions that change a beautifulsoup4 soup of the page.

    def no_adverts(page: BeautifulSoup) -> None:
        for tag in page.select(".advert"):
            tag.decompose()

A rule sees the page before pruning: everything shown, with all attributes that were looked at, and
``bid`` on what can be acted on. The same rules run on HTML text and on live pages.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString
from msgspec.structs import replace

from webdojo.envs.snapshot import Node
from webdojo.tasks.errors import UserError

Rule = Callable[[BeautifulSoup], None]


def apply_rules(tree: Node, rules: Iterable[Rule]) -> Node | None:
    """The tree as the rules leave it; None if they leave nothing.

    Elements that a rule adds are shown as they are, and cannot be acted on. Raises UserError naming
    file and line if a rule raises anything.
    """
    soup = BeautifulSoup("", "lxml")
    sources: dict[int, tuple[Tag, Node]] = {}
    root = _tag(tree, soup, sources)
    soup.append(root)
    for rule in rules:
        try:
            rule(soup)
        except Exception as error:
            name = getattr(rule, "__name__", type(rule).__name__)
            raise UserError(
                f"pruning rule {name}{_place(error, rule)}: {type(error).__name__}: {error};"
                " mend the rule, which is given a beautifulsoup4 soup of the page"
            ) from error
    tops = _children(soup, sources)
    if not tops:
        return None
    if len(tops) == 1 and isinstance(tops[0], Node):
        return tops[0]
    return replace(tree, tag="body", actionable=False, bid="", children=tops)


def _place(error: Exception, rule: Rule) -> str:
    """The last line of the rule's own file on the way to an error; of the rule if none was come by.

    The first frame is the caller's, and the next one the rule itself.
    """
    frames = traceback.extract_tb(error.__traceback__)[1:]
    if frames:
        last = [frame for frame in frames if frame.filename == frames[0].filename][-1]
        return f" ({last.filename}, line {last.lineno}: {last.line})"
    code = getattr(rule, "__code__", None)
    return f" ({code.co_filename}, line {code.co_firstlineno})" if code else ""


def _tag(node: Node, soup: BeautifulSoup, sources: dict[int, tuple[Tag, Node]]) -> Tag:
    attributes = {**({"bid": node.bid} if node.actionable else {}), **node.attributes}
    tag = soup.new_tag(node.tag, attrs=attributes)
    sources[id(tag)] = (tag, node)
    for child in node.children:
        tag.append(NavigableString(child) if isinstance(child, str) else _tag(child, soup, sources))
    return tag


def _children(tag: Tag, sources: dict[int, tuple[Tag, Node]]) -> tuple[Node | str, ...]:
    return tuple(
        _node(child, sources) if isinstance(child, Tag) else str(child)
        for child in tag.children
        if isinstance(child, Tag | NavigableString)
    )


def _node(tag: Tag, sources: dict[int, tuple[Tag, Node]]) -> Node:
    children = _children(tag, sources)
    given = {
        name: " ".join(value) if isinstance(value, list) else str(value)
        for name, value in tag.attrs.items()
        if name != "bid"
    }
    if id(tag) not in sources:
        return Node(tag.name, "", True, False, given, {}, (0, 0, 0, 0), children)
    return replace(sources[id(tag)][1], tag=tag.name, attributes=given, children=children)
