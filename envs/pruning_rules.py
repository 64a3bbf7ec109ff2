"""Pruning rules of one's own: small functions that change a beautifulsoup4 soup of the page.

    def no_adverts(page: BeautifulSoup) -> None:
        for tag in page.select(".advert"):
            tag.decompose()

A rule sees the page before pruning: everything shown, with all attributes that were looked at, and
``bid`` on what can be acted on. The same rules run on HTML text and on live pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString

from webdojo.envs.snapshot import Node

Rule = Callable[[BeautifulSoup], None]


def apply_rules(tree: Node, rules: Iterable[Rule]) -> Node | None:
    """The tree as the rules leave it; None if they leave nothing.

    Elements that a rule adds are shown as they are, and cannot be acted on.
    """
    soup = BeautifulSoup("", "lxml")
    sources: dict[int, tuple[Tag, Node]] = {}
    root = _tag(tree, soup, sources)
    soup.append(root)
    for rule in rules:
        rule(soup)
    tops = [tag for tag in soup.children if isinstance(tag, Tag)]
    if not tops:
        return None
    if len(tops) == 1:
        return _node(tops[0], sources)
    return replace(
        tree,
        tag="body",
        actionable=False,
        bid="",
        children=tuple(_node(top, sources) for top in tops),
    )


def _tag(node: Node, soup: BeautifulSoup, sources: dict[int, tuple[Tag, Node]]) -> Tag:
    attributes = {**({"bid": node.bid} if node.actionable else {}), **node.attributes}
    tag = soup.new_tag(node.tag, attrs=attributes)
    sources[id(tag)] = (tag, node)
    for child in node.children:
        tag.append(NavigableString(child) if isinstance(child, str) else _tag(child, soup, sources))
    return tag


def _node(tag: Tag, sources: dict[int, tuple[Tag, Node]]) -> Node:
    children = tuple(
        _node(child, sources) if isinstance(child, Tag) else str(child)
        for child in tag.children
        if isinstance(child, Tag | NavigableString)
    )
    given = {
        name: " ".join(value) if isinstance(value, list) else str(value)
        for name, value in tag.attrs.items()
        if name != "bid"
    }
    if id(tag) not in sources:
        return Node(tag.name, "", True, False, given, {}, (0, 0, 0, 0), children)
    return replace(sources[id(tag)][1], tag=tag.name, attributes=given, children=children)
