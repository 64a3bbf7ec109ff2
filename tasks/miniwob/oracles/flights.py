"""The flight searches on copies of two airlines' sites."""

from __future__ import annotations

import json
from collections.abc import Generator

from webdojo.tasks.calls import click, fill, keyboard_type
from webdojo.tasks.miniwob.oracles.oracle import solves
from webdojo.tasks.miniwob.oracles.reading import bid_of
from webdojo.tasks.task import Oracle
from webdojo.tasks.view import OracleError, PageView, text_of

CODES = {
    "Austin": "AUS",
    "Boston": "BOS",
    "Dallas": "DFW",
    "Denver": "DEN",
    "Las Vegas": "LAS",
    "Los Angeles": "LAX",
    "New York": "NYC",
    "Portland": "PDX",
    "San Diego": "SAN",
    "San Francisco": "SFO",
    "Washington DC": "WAS",
}
"""The airport, or all airports, that travellers mean by a city."""


@solves("flight-aa")
def search_american(view: PageView) -> Oracle:
    """Choose both airports from the suggestions and both days from the calendar, then search."""
    wanted = json.loads(view.goal)
    for field, key in (("origin", "Departure City"), ("destination", "Destination City")):
        code = CODES[wanted[key]]
        view = yield fill(view.bid("input", id=f"segments0.{field}"), code)
        view = yield click(_suggestion(view, f"{code} - "))
    for number, key in enumerate(("Departure Day", "Returning Day")):
        view = yield click(view.bid("input", id=f"segments{number}.travelDate"))
        view = yield click(view.bid("a", str(wanted[key])))
    yield click(view.bid("button", "Search"))


@solves("flight-alaska", "flight-alaska-auto", "flight-alaska-auto-medium")
def search_alaska(view: PageView) -> Oracle:
    """Fill the form from top to bottom, the hidden part of it only where that is needed."""
    wanted = json.loads(view.goal)
    one_way = wanted.get("Ticket Type") == "One-way"
    if one_way:
        view = yield click(view.bid("label", "One-way"))
    for field, key in (("geo-from", "Departure City"), ("geo-to", "Destination City")):
        view = yield click(view.bid("input", id=field))
        view = yield keyboard_type(wanted[key])
        view = yield click(_airport(view, wanted[key]))
    view = yield from _day(view, "departure-date", wanted["Departure Day"])
    if not one_way:
        view = yield from _day(view, "return-date", wanted["Returning Day"])
    for _ in range(wanted.get("Passengers", 1) - 1):
        view = yield click(view.bid("div", "+"))
    if wanted.get("Seat type") == "First":
        view = yield click(view.bid("h2", "More search options"))
        view = yield click(view.bid("label", "First"))
    yield click(view.bid("input", type="submit"))


def _day(view: PageView, field: str, day: int) -> Generator[str, PageView, PageView]:
    """Choose a day of the month that the calendar opens with, which is the month of all goals."""
    view = yield click(view.bid("input", id=field))
    view = yield click(view.bid("a", str(day)))
    return (yield click(view.bid("div", "Done")))


def _airport(view: PageView, city: str) -> str:
    """The suggestion for all airports of a city, or else for its own: Portland is in Oregon."""
    start = "Washington, DC" if city == "Washington DC" else f"{city}, "
    found = [tag for tag in view.all("li") if text_of(tag).startswith(start)]
    chosen = [tag for tag in found if "(All Airports)" in text_of(tag)] or [
        tag for tag in found if not text_of(tag).startswith("Portland, ME")
    ]
    if not chosen:
        raise OracleError(f"no suggestion for {city!r}")
    return bid_of(chosen[0])


def _suggestion(view: PageView, start: str) -> str:
    for tag in view.all(["li", "a"]):
        if text_of(tag).startswith(start):
            return bid_of(tag)
    raise OracleError(f"no suggestion begins with {start!r}")
