"""Pages with a date picker, and the flight search."""

from __future__ import annotations

import re
from collections.abc import Generator
from datetime import datetime

from webdojo.tasks.calls import click, fill, hover
from webdojo.tasks.miniwob.oracles.oracle import solves
from webdojo.tasks.miniwob.oracles.reading import bid_of, button, match
from webdojo.tasks.task import Oracle
from webdojo.tasks.view import OracleError, PageView, text_of


@solves("choose-date", "choose-date-easy", "choose-date-medium", "choose-date-nodelay")
def pick_date(view: PageView) -> Oracle:
    """Open the picker, turn to the month, choose the day, submit."""
    wanted = match(r"(\d\d/\d\d/\d{4})", view.goal)[0]
    view = yield from _pick(view, wanted)
    yield click(button(view))


@solves("book-flight", "book-flight-nodelay")
def book_flight(view: PageView) -> Oracle:
    """Fill the search form, then book the cheapest or shortest flight."""
    best, origin, destination, date = match(
        r"Book the (\w+) one-way flight from: (.+) to: (.+) on (\d\d/\d\d/\d{4})", view.goal
    )
    for field, place in (("flight-from", origin), ("flight-to", destination)):
        # A list that opens under the mouse takes what lies there for chosen.
        view = yield hover(view.bid("input", id=field))
        view = yield fill(view.bid("input", id=field), place)
        view = yield click(_place(view, place))
    view = yield from _pick(view, date)
    view = yield click(view.bid("button", "Search"))
    yield click(_flight(view, cheapest=best == "cheapest"))


def _pick(view: PageView, date: str) -> Generator[str, PageView, PageView]:
    wanted = datetime.strptime(date, "%m/%d/%Y")
    view = yield click(view.bid("input", id="datepicker"))
    while (shown := _month(view)) != (wanted.year, wanted.month):
        earlier = (wanted.year, wanted.month) < shown
        view = yield click(view.bid("a", title="Prev" if earlier else "Next"))
    return (yield click(view.bid("a", str(wanted.day))))


def _month(view: PageView) -> tuple[int, int]:
    for tag in view.soup.find_all("div"):
        try:
            shown = datetime.strptime(text_of(tag).replace(" ", ""), "%B%Y")
        except ValueError:
            continue
        return shown.year, shown.month
    raise OracleError("no calendar on the page")


def _place(view: PageView, place: str) -> str:
    """The suggestion for a city or the code of an airport."""
    for tag in view.all("li"):
        text = text_of(tag)
        if text.endswith(f"({place})") or text.startswith(f"{place} ("):
            return bid_of(tag)
    raise OracleError(f"no suggestion for {place!r}")


def _flight(view: PageView, *, cheapest: bool) -> str:
    offers = []
    for offer in view.all("button"):
        if "$" not in text_of(offer):
            continue
        price = int(match(r"\$(\d+)", text_of(offer))[0])
        before = offer.find_all_previous(string=re.compile(r"\d+h \d+m"), limit=1)
        hours, minutes = match(r"(\d+)h (\d+)m", str(before[0]))
        offers.append((price if cheapest else int(hours) * 60 + int(minutes), bid_of(offer)))
    return min(offers)[1]
