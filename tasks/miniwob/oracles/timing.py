"""Pages where it matters when something is done. Page time passes only while an action is done."""

from __future__ import annotations

import re
from math import inf

from bs4 import Tag

from webdojo.tasks.calls import call, click, mouse_click
from webdojo.tasks.miniwob.oracles.looking import box, seen
from webdojo.tasks.miniwob.oracles.oracle import solves
from webdojo.tasks.miniwob.oracles.reading import bid_of, match
from webdojo.tasks.task import Oracle
from webdojo.tasks.view import PageView

BETWEEN_MS = 500
"""Page time that passes after every action until the next look."""
AREA = (0.0, 50.0, 160.0, 210.0)
"""Left, top, right and bottom of the drawing area in CSS pixels."""


@solves("button-delay")
def two_buttons_apart(view: PageView) -> Oracle:
    """Click ONE, wait for the seconds that the goal names, click TWO."""
    wait_ms = 1000 * int(match(r"wait (\d+) seconds", view.goal)[0])
    view = yield click(view.bid("button", "ONE"))
    view = yield call("noop", max(wait_ms - 2 * BETWEEN_MS, 0))
    yield click(view.bid("button", "TWO"))


@solves("moving-items")
def moving_circles(view: PageView) -> Oracle:
    """Click each circle once it is well inside, the one that leaves next first; then wait."""
    while True:
        inside = [tag for tag in seen(view, "circle", class_="item") if _depth(tag) > 0]
        if not inside:
            view = yield call("noop", 1)
            continue
        left, top, width, height = box(max(inside, key=_depth))
        x = min(max(left + width / 2, AREA[0] + 1), AREA[2] - 2)
        y = min(max(top + height / 2, AREA[1] + 1), AREA[3] - 2)
        view = yield mouse_click(x, y)


def _depth(circle: Tag) -> float:
    """How far a circle has come in from the nearer side, in CSS pixels; negative outside."""
    left, _, width, _ = box(circle)
    return min(left + width - AREA[0], AREA[2] - left) - 4


@solves("simon-says")
def repeat(view: PageView) -> Oracle:
    """Wait while one button after another lights up, each at one look, then press them."""
    lit: list[str] = []
    while (shining := [bid_of(tag) for tag in view.all("button", class_="push")]) or not lit:
        lit.extend(shining)
        view = yield call("noop")
    for bid in lit:
        view = yield click(bid)


@solves("stock-market")
def stock_market(view: PageView) -> Oracle:
    """Watch the price as often as can be, and buy as soon as it is low enough."""
    limit = float(match(r"\$([\d.]+\d)", view.goal)[0])
    while not _price(view) < limit:
        view = yield call("noop", 0)
    yield click(view.bid("button", "Buy"))


def _price(view: PageView) -> float:
    shown = view.scene.find(id="stock-price")
    text = shown.get_text().strip() if isinstance(shown, Tag) else ""
    found = re.fullmatch(r"\$(\d+\.\d+)", text)
    return float(found[1]) if found else inf
