"""Which HTML parser pruning stands on: parsing and walking a page with each.

    .venv-browsergym/bin/python benchmarks/html_engines.py FILE...

The walk visits every element, its attributes and its text, as reading a page for pruning does.
Milliseconds for each 100 KB, best of five. Runs where selectolax is (scripts/setup-browsergym.sh).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from lxml import etree  # type: ignore[import-untyped]
from selectolax.lexbor import LexborHTMLParser, LexborNode  # type: ignore[import-not-found]


def with_lxml(html: str) -> int:
    """The element tree of lxml."""
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    root = etree.fromstring(html.encode(), parser)
    found = 0
    for element in root.iter():
        found += len(element.attrib) + bool(element.text) + bool(element.tail)
    return found


def with_lexbor(html: str) -> int:
    """The tree of selectolax, on lexbor."""

    def walk(node: LexborNode) -> int:
        found = 0
        child = node.child
        while child is not None:
            if child.tag == "-text":
                found += bool(child.text_content)
            else:
                found += len(child.attributes) + walk(child)
            child = child.next
        return found

    return walk(LexborHTMLParser(html).root)


def with_soup(parser: str) -> Callable[[str], int]:
    """beautifulsoup4 on one of its parsers."""

    def count(html: str) -> int:
        found = 0
        for node in BeautifulSoup(html, parser).descendants:
            found += len(node.attrs) if isinstance(node, Tag) else bool(node)
        return found

    return count


ENGINES: dict[str, Callable[[str], int]] = {
    "lxml": with_lxml,
    "lexbor": with_lexbor,
    "bs4 on lxml": with_soup("lxml"),
    "bs4 on html.parser": with_soup("html.parser"),
}


def main(paths: list[str]) -> None:
    """Print a table."""
    sys.setrecursionlimit(10_000)
    print(f"{'page':24}" + "".join(f"{name:>20}" for name in ENGINES))
    for path in map(Path, paths):
        html = path.read_text(errors="replace")
        figures = []
        for count in ENGINES.values():
            best = min(_took_s(count, html) for _ in range(5))
            figures.append(f"{1e8 * best / len(html):20.2f}")
        print(f"{path.name:24}" + "".join(figures))


def _took_s(count: Callable[[str], int], html: str) -> float:
    begun = time.perf_counter()
    count(html)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main(sys.argv[1:])
