"""HTML pruning: what an agent needs of a page, and nothing else.

Every visible element that can be acted on survives, with its value, state and label, and every
visible text; what is hidden, decorative or a mere wrapper does not. Works on HTML text as on live
pages, with the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf

from webdojo.envs.compact_html import to_html
from webdojo.envs.html_tree import read_html
from webdojo.envs.pruning_rules import Rule, apply_rules
from webdojo.envs.snapshot import Node

VIEWPORT = (1280, 720)
BANDS = (8.0, 4.0, 2.0, 1.0, 0.5, 0.0)
"""How far around the viewport the page is shown, in viewports, as far as the budget goes."""
ROWS = (20, 8, 3)
"""Rows of a list that are shown where the viewport alone is too much for the budget."""
Span = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of the viewport."""
NOWHERE: Span = (inf, inf, -inf, -inf)
ANYWHERE: Span = (-inf, -inf, inf, inf)
"""The span of what has no box: it is shown wherever what holds it is."""
CHARACTERS_PER_TOKEN = 4
"""The rule of thumb that OpenAI publishes for its tokenizers."""


def prune_html(
    page: str | Node | None,
    *,
    rules: Iterable[Rule] = (),
    max_tokens: int | None = None,
    max_characters: int | None = None,
    max_rows: int | None = None,
    around: float | None = None,
    viewport: tuple[int, int] = VIEWPORT,
) -> str:
    """The page as pruned HTML, each element that can be acted on with its ``bid``.

    ``page`` is HTML text or the tree of a live page. Without a budget nothing that is shown is
    left out, unless ``max_rows`` is given: then elements of one kind in a row are folded after
    that many. With a budget (``max_characters``, or ``max_tokens`` of four characters) the viewport
    [width, height in pixels] comes first, then what lies around it; each stretch left out is one
    line that says how much it holds and the action that brings it into view. ``around`` leaves out
    what lies more than that many viewports out of view, whatever the budget.
    """
    tree = read_html(page) if isinstance(page, str) else page
    if rules and tree is not None:
        tree = apply_rules(tree, rules)
    if max_tokens is not None:
        in_tokens = max_tokens * CHARACTERS_PER_TOKEN
        max_characters = min(in_tokens, max_characters or in_tokens)
    if tree is None:
        return ""
    if around is None:
        text = to_html(tree, max_rows=max_rows)
    else:
        text = to_html(tree, shows=_Spans(tree).within(viewport, around), max_rows=max_rows)
    if max_characters is None or len(text) <= max_characters:
        return text
    spans = _Spans(tree)
    for rows in (max_rows, *(n for n in ROWS if max_rows is None or n < max_rows)):
        for band in BANDS if rows == max_rows else BANDS[-1:]:
            text = to_html(tree, shows=spans.within(viewport, band), max_rows=rows)
            if len(text) <= max_characters:
                return text
    return _cut(text, max_characters)


def _cut(text: str, max_characters: int) -> str:
    """As much as fits, and a line that tells how much is left out."""
    note = "… cut: {} more characters, {} elements to act on; scroll(0, 200) shows other parts"
    room = max_characters - len(note) - 12
    kept = text[: max(0, room)]
    # Whole lines, or whole words where a line is longer than what fits.
    kept = kept.rpartition("\n")[0] or kept.rpartition(" ")[0]
    left = text[len(kept) :]
    return f"{kept}\n{note.format(len(left), left.count(' bid='))}".lstrip()[:max_characters]


class _Spans:
    """Where each element lies, with all that it holds."""

    def __init__(self, tree: Node) -> None:
        self._spans: dict[int, Span] = {}
        self._measure(tree)

    def within(self, viewport: tuple[int, int], band: float) -> Callable[[Node], bool]:
        """Tells whether an element lies at most ``band`` viewports out of view."""
        width, height = viewport
        left, right = -band * width, (1 + band) * width
        top, bottom = -band * height, (1 + band) * height
        spans = self._spans

        def shows(node: Node) -> bool:
            x0, y0, x1, y1 = spans[id(node)]
            return x0 < right and x1 > left and y0 < bottom and y1 > top

        return shows

    def _measure(self, node: Node) -> Span:
        x, y, width, height = node.box
        seen = width > 0 and height > 0
        span: Span = (x, y, x + width, y + height) if seen else NOWHERE
        for child in node.children:
            if isinstance(child, Node):
                inner = self._measure(child)
                if inner is not ANYWHERE:
                    span = _around(span, inner)
        if span is NOWHERE:
            span = ANYWHERE
        self._spans[id(node)] = span
        return span


def _around(one: Span, other: Span) -> Span:
    return (
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
    )
