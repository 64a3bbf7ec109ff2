"""Pages that are explored with the mouse: a hot spot, a cube, a calendar."""

from __future__ import annotations

from functools import cache

import numpy as np
from bs4 import Tag

from webdojo.tasks.calls import call, click, fill, hover, mouse_click, mouse_drag
from webdojo.tasks.miniwob.oracles.looking import box, rgb, seen
from webdojo.tasks.miniwob.oracles.oracle import solves
from webdojo.tasks.miniwob.oracles.reading import bid_of, button, match
from webdojo.tasks.task import Oracle
from webdojo.tasks.view import OracleError, PageView, text_of

# What the display says, and from how many pixels away.
HEAT = (("HOT", 0, 5), ("WARM", 5, 10), ("COLD", 10, 40), ("ICE COLD", 40, 1000))


@solves("hot-cold")
def hot_spot(view: PageView) -> Oracle:
    """Move the mouse where its reading tells most, until few places are left; click one of them."""
    left, top, width, height = box(seen(view, id="touch-area")[0])
    across, down = np.meshgrid(np.arange(5, width - 5, 2), np.arange(5, height - 5, 2))
    places = np.stack([across.ravel() + left, down.ravel() + top], axis=1)
    while True:
        x, y = _most_telling(places)
        view = yield call("mouse_move", float(x), float(y))
        reading = text_of(seen(view, id="display")[0])
        if reading == "HOT":
            break
        _, low, high = next(heat for heat in HEAT if heat[0] == reading)
        gaps = np.hypot(*(places - (x, y)).T)
        places = places[(gaps >= low - 1) & (gaps < high + 1)]
        if not len(places):
            raise OracleError("the readings contradict each other")
    yield mouse_click(float(x), float(y))


def _most_telling(places: np.ndarray) -> tuple[int, int]:
    """The place whose reading splits the places that are left most evenly."""
    if len(places) <= 2:
        return int(places[0][0]), int(places[0][1])
    probes = places[:: max(1, len(places) // 400)]
    gaps = np.hypot(*(probes[:, None, :] - places[None, :, :]).transpose(2, 0, 1))
    spread = np.zeros(len(probes))
    for _, low, high in HEAT:
        part = ((gaps >= low) & (gaps < high)).mean(axis=1)
        spread -= part * np.log(np.where(part > 0, part, 1))
    best = probes[int(np.argmax(spread))]
    return int(best[0]), int(best[1])


@solves("drag-cube")
def turn_cube(view: PageView) -> Oracle:
    """Hold the button and move on until the wanted side is the marked one, then submit.

    Sides 1 and 6 come up by moving up and down, the others by moving sideways.
    """
    wanted = match(r'"(\d)"', view.goal)[0]
    x, y = 5, 200
    view = yield call("mouse_move", x, y)
    view = yield call("mouse_down", x, y)
    while (side := _front(view)) != wanted:
        sideways = not (wanted in "16" or side in "16")
        to_x, to_y = (x + 40, y) if sideways else (x, y - 36)
        if to_x > 325 or to_y < 52:
            view = yield call("mouse_up", x, y)
            x, y = 5, 200
            view = yield call("mouse_move", x, y)
            view = yield call("mouse_down", x, y)
        else:
            x, y = to_x, to_y
            view = yield call("mouse_move", x, y)
    view = yield call("mouse_up", x, y)
    yield click(button(view))


def _front(view: PageView) -> str:
    """The number that is marked red."""
    for tag in seen(view, "div"):
        if "cube-image" in tag.get_attribute_list("class") and rgb(tag["color"]) == (255, 0, 0):
            return text_of(tag)
    raise OracleError("no side of the cube is marked")


@solves("daily-calendar")
def new_event(view: PageView) -> Oracle:
    """Drag over free half-hours of the wanted window, name the event, create it."""
    amount, unit, name, start, end = match(
        r'a ([\d.]+) (mins|hours?) event named "(.+)", between (\w+) and (\w+)\.', view.goal
    )
    length = round(float(amount) * (1 / 30 if unit == "mins" else 2))
    window = range(_half_hour(start), _half_hour(end))
    first = next(
        (n for n in window if n + length <= window.stop and _free(view, range(n, n + length))), None
    )
    if first is None:
        raise OracleError(f"no room for {length} half-hours between {start} and {end}")
    view = yield hover(_row_bid(view, first + length - 1))
    view = yield hover(_row_bid(view, first))
    x, y, width, _ = _row(view, first)
    _, to_y, _, to_height = _row(view, first + length - 1)
    middle = x + width / 2
    view = yield mouse_drag(middle, y + 5, middle, to_y + to_height - 5)
    view = yield fill(view.bid("input"), name)
    yield click(_create(view))


@cache
def _half_hour(time: str) -> int:
    """The number of half-hours before ``8AM`` or ``12PM``."""
    hour, half = int(time[:-2]) % 12, time[-2:]
    return 2 * (hour + (12 if half == "PM" else 0))


def _row_bid(view: PageView, number: int) -> str:
    return view.bid("div", id=f"hh-{number}")


def _row(view: PageView, number: int) -> tuple[float, float, float, float]:
    return box(seen(view, id=f"hh-{number}")[0])


def _free(view: PageView, rows: range) -> bool:
    """Whether no event covers any of the half-hours."""
    top = _row(view, rows[0])[1]
    bottom = _row(view, rows[-1])[1] + _row(view, rows[-1])[3]
    events = [tag for tag in seen(view, "div") if "event" in tag.get_attribute_list("class")]
    return all(box(e)[1] >= bottom - 1 or box(e)[1] + box(e)[3] <= top + 1 for e in events)


def _create(view: PageView) -> str:
    for tag in view.all():
        if isinstance(tag, Tag) and text_of(tag).lower() in ("create", "save"):
            return bid_of(tag)
    raise OracleError("nothing on the page creates the event")
