"""Sliders and spinners."""

from __future__ import annotations

import json
from collections.abc import Generator

from bs4 import Tag

from webdojo.tasks.calls import click, keyboard_press, mouse_click, press
from webdojo.tasks.miniwob.oracles.oracle import solves
from webdojo.tasks.miniwob.oracles.reading import bid_of, button, match, ordinal
from webdojo.tasks.task import Oracle
from webdojo.tasks.view import OracleError, PageView, text_of


@solves("use-slider")
def slider(view: PageView) -> Oracle:
    """Set one slider whose range is unknown, then submit."""
    wanted = int(match(r"Select (-?\d+) with", view.goal)[0])
    view = yield from _set(view, 0, wanted, None)
    yield click(button(view))


@solves("use-slider-2")
def sliders(view: PageView) -> Oracle:
    """Set three sliders from 0 to 20, then submit."""
    wanted = json.loads(match(r"(\[.*\])", view.goal)[0])
    for place, number in enumerate(wanted):
        view = yield from _set(view, place, number, (0, 20))
    yield click(button(view))


@solves("form-sequence")
def slider_then_checkbox(view: PageView) -> Oracle:
    """Set a slider from -10 to 10, click a numbered checkbox, submit."""
    wanted = int(match(r"Select (-?\d+) with", view.goal)[0])
    view = yield from _set(view, 0, wanted, (-10, 10))
    view = yield click(bid_of(view.all("input", type="checkbox")[ordinal(view.goal) - 1]))
    yield click(button(view))


@solves("use-spinner")
def spinner(view: PageView) -> Oracle:
    """Step to the number with the keys, ten at a time where that is shorter, then submit."""
    wanted = int(match(r"Select (-?\d+) with", view.goal)[0])
    field = view.find("input")
    if abs(wanted) > 5:
        view = yield press(bid_of(field), "PageUp" if wanted > 0 else "PageDown")
    while (value := int(str(view.find("input").get("value")))) != wanted:
        view = yield press(bid_of(field), "ArrowUp" if value < wanted else "ArrowDown")
    yield click(button(view))


def _set(
    view: PageView, place: int, wanted: int, span: tuple[int, int] | None
) -> Generator[str, PageView, PageView]:
    """Click near the wanted value, then step to it with the arrow keys."""
    track = _tracks(view)[place]
    x, y, width, height = view.boxes[bid_of(track)]
    flat = width >= height
    if span is None:
        view = yield mouse_click(x + width / 2, y + height / 2)
        view = yield keyboard_press("Home")
        low = _value(view, place)
        view = yield keyboard_press("End")
        span = low, _value(view, place)
    part = (wanted - span[0]) / (span[1] - span[0])
    if _value(view, place) != wanted:
        to_x = x + (_within(part * width, width) if flat else width / 2)
        to_y = y + (height / 2 if flat else _within((1 - part) * height, height))
        view = yield mouse_click(to_x, to_y)
    while (value := _value(view, place)) != wanted:
        view = yield keyboard_press("ArrowRight" if value < wanted else "ArrowLeft")
    return view


def _within(offset: float, length: float) -> float:
    """Not on the very end of the track, where a click would miss it."""
    return min(max(offset, 2), length - 2)


def _tracks(view: PageView) -> list[Tag]:
    return [tag for tag in view.all("div") if str(tag.get("id", "")).startswith("slider")]


def _value(view: PageView, place: int) -> int:
    for tag in _tracks(view)[place].find_all_next("div"):
        if text_of(tag).lstrip("-").isdigit():
            return int(text_of(tag))
    raise OracleError("no value by the slider")
