"""Pages where points, lines and circles are drawn."""

from __future__ import annotations

import math
from collections.abc import Generator

from webdojo.tasks.calls import call, click, mouse_click
from webdojo.tasks.miniwob.oracles.looking import Point, box, middle, seen
from webdojo.tasks.miniwob.oracles.oracle import solves
from webdojo.tasks.miniwob.oracles.reading import button
from webdojo.tasks.task import Oracle
from webdojo.tasks.view import OracleError, PageView


@solves("circle-center")
def circle_centre(view: PageView) -> Oracle:
    """Mark the middle of the circle."""
    view = yield from _mark(view, middle(seen(view, "circle", class_="black-circle")[0]))
    yield click(button(view))


@solves("find-midpoint")
def midpoint(view: PageView) -> Oracle:
    """Mark the middle between two points."""
    (ax, ay), (bx, by) = (middle(tag) for tag in seen(view, "circle", class_="black-circle"))
    view = yield from _mark(view, ((ax + bx) / 2, (ay + by) / 2))
    yield click(button(view))


@solves("right-angle")
def right_angle(view: PageView) -> Oracle:
    """Mark a point at a right angle to the line, on whichever side has more room."""
    ax, ay = middle(seen(view, "circle", id="init-black")[0])
    vx, vy = middle(seen(view, "circle", id="init-blue")[0])
    length = math.hypot(ax - vx, ay - vy)
    across = (-(ay - vy) / length, (ax - vx) / length)
    view = yield from _mark(view, _farthest(view, (vx, vy), [across, (-across[0], -across[1])]))
    yield click(button(view))


@solves("bisect-angle")
def bisector(view: PageView) -> Oracle:
    """Mark a point on the line that halves the angle."""
    vx, vy = middle(seen(view, "circle", class_="init-blue")[0])
    arms = [middle(tag) for tag in seen(view, "circle", class_="init-black")]
    units = [((x - vx) / d, (y - vy) / d) for x, y in arms if (d := math.hypot(x - vx, y - vy))]
    towards = (units[0][0] + units[1][0], units[0][1] + units[1][1])
    length = math.hypot(*towards)
    if length < 0.05:  # nearly a straight line: both sides halve it
        towards, length = (-units[0][1], units[0][0]), 1.0
    unit = (towards[0] / length, towards[1] / length)
    view = yield from _mark(view, _farthest(view, (vx, vy), [unit]))
    yield click(button(view))


def _farthest(view: PageView, start: Point, directions: list[Point]) -> Point:
    """The point that lies farthest from ``start`` in one of the directions, inside the drawing."""
    x, y, width, height = box(seen(view, "svg")[0])
    best = (0.0, start)
    for dx, dy in directions:
        for step in range(5, 160):
            point = (start[0] + dx * step, start[1] + dy * step)
            free = x + 6 < point[0] < x + width - 6 and y + 6 < point[1] < y + height - 10
            if free and step > best[0]:
                best = (float(step), point)
    if best[0] == 0:
        raise OracleError("no room for the point inside the drawing")
    return best[1]


def _mark(view: PageView, wanted: Point) -> Generator[str, PageView, PageView]:
    """Click, see where the page draws its mark, and click again if it is off."""
    x, y = wanted
    for _ in range(3):
        view = yield mouse_click(round(x), round(y))
        drawn = middle(seen(view, "circle", id="blue-circle")[0])
        gap = wanted[0] - drawn[0], wanted[1] - drawn[1]
        if max(map(abs, gap)) <= 1:
            break
        x, y = x + gap[0], y + gap[1]
    return view


@solves("draw-line")
def line(view: PageView) -> Oracle:
    """Go straight through the dot with the button held down."""
    x, y = middle(seen(view, "circle")[0])
    left, top, width, height = box(seen(view, "svg")[0])
    vertical = "vertical" in view.goal
    start, end = (
        ((x, top + 4), (x, top + height - 4))
        if vertical
        else ((left + 4, y), (left + width - 4, y))
    )
    view = yield call("mouse_down", *start)
    view = yield call("mouse_move", x, y)
    view = yield call("mouse_move", *end)
    view = yield call("mouse_up", *end)
    yield click(button(view))


@solves("draw-circle")
def circle(view: PageView) -> Oracle:
    """Go round the dot with the button held down, in twelve steps."""
    x, y = middle(seen(view, "circle")[0])
    left, top, width, height = box(seen(view, "svg")[0])
    radius = min(x - left, left + width - x, y - top, top + height - y, 45) - 3
    around = [2 * math.pi * step / 12 for step in range(13)]
    points = [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in around]
    view = yield call("mouse_down", *points[0])
    for point in points[1:]:
        view = yield call("mouse_move", *point)
    view = yield call("mouse_up", *points[-1])
    yield click(button(view))
