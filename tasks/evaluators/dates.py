"""Days of the calendar, in the usual English writings."""

from __future__ import annotations

import re
from datetime import date
from typing import ClassVar, Literal

from webdojo.tasks.evaluators.claims import bounded, excluded, hedged, rough
from webdojo.tasks.evaluators.evaluator import Match
from webdojo.tasks.evaluators.normalise import shown, unreadable, visible

MONTHS = {
    name[:length]: number
    for number, name in enumerate(
        (
            *("january", "february", "march", "april", "may", "june", "july", "august"),
            *("september", "october", "november", "december"),
        ),
        start=1,
    )
    for length in (3, len(name))
} | {"sept": 9}
_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_WRITINGS = re.compile(
    r"(?<![\w/.-])(?:"
    r"(?P<y1>\d{4})[-/.](?P<m1>\d{1,2})[-/.](?P<d1>\d{1,2})"
    r"(?:t(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:z|[-+]\d\d:?\d\d)?)?"
    r"|(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})[-/.](?P<y2>\d{4})"
    rf"|(?P<d3>\d{{1,2}})(?:st|nd|rd|th|(?P<dot>\.))?(?: of)?[ -]"
    rf"(?P<m3>{_MONTH})\.?,?[ -](?P<y3>\d{{4}})"
    rf"|(?P<m4>{_MONTH})\.? (?P<d4>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<y4>\d{{4}})"
    r")(?![\w/-]|\.\d)"
)
Order = Literal["month-first", "day-first"]
_TIME = re.compile(
    r"\b(?:1[0-2]|0?[1-9])(?::[0-5]\d){0,2} ?[ap](?:m\b|\.m\.)"
    r"|\b(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?\b"
)
_ORDERS: dict[Order, re.Pattern[str]] = {
    "day-first": re.compile(
        r"\bd{1,2}[\W_]m{1,2}\b|\bdd?mm?yy|\bday[- ](?:first|month)\b"
        r"|\b(?:europe(?:an)?|british|uk) (?:date|format|notation|order|style)"
        r"|\((?:in )?(?:europe(?:an)?|british|uk|eu)\b"
    ),
    "month-first": re.compile(
        r"\bm{1,2}[\W_]d{1,2}\b|\bmm?dd?yy|\bmonth[- ](?:first|day)\b"
        r"|\b(?:america(?:n)?|us|u\.s\.) (?:date|format|notation|order|style)"
        r"|\((?:in )?(?:american|us)\b"
    ),
}
"""Words that say how a day in figures is meant."""


_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY = re.compile(r"\b(mon|tue(?:s)?|wed(?:s|nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?\b")
"""A weekday, whole or short."""
_ORDINALS = (
    *("third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh"),
    *("twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth"),
    *("eighteenth", "nineteenth", "twentieth", "twenty-first", "twenty-second", "thirtieth"),
    "thirty-first",
)
_ANOTHER = re.compile(
    rf"\b(?:{_MONTH}|{'|'.join(_ORDINALS)}|every|each|daily|weekly|tomorrow|yesterday|bce?"
    r"|(?:next|following|previous|preceding|other) (?:day|week|month|year))\b"
    r"|(?:\band|[,&-]) (?:the )?(?:first|second)\b"
)
"""Words that name a day in part; "the first order" does not."""
_UNTIL = re.compile(r"\b(?:by|through|thru|following|preceding)(?: the| \w+day,?)*\s*$")
_SPAN = re.compile(
    r"^\W*(?:to|through|thru|until|till|plus|minus|add)\b"
    r"|^\W*(?:\w+\W+){1,2}?(?:days?|weeks?|months?|years?) (?:later|earlier|after|before|on|ago)\b"
)


class Date(Match):
    """The day, the only one in the text; a time of day beside it is let pass.

    What does not claim one day does not match: a second one, in part or in words (``or May
    fifth``), a bound (``before May 4, 2026``), a denial, a question, a weekday that it does not
    fall on. See ``claims`` for what such rules cannot see.
    ``order`` says how ``05/04/2026`` is read, and with ``day-first`` so is ``4. May 2026``. A text
    that says the contrary (``d/m/y``) does not match. Example: ``Date(value="2026-05-04")``.
    """

    kind: ClassVar[str] = "date"
    value: date
    order: Order = "month-first"

    def mismatch(self, found: object) -> str:
        """No date, several, one that no calendar has, or another one."""
        if reason := unreadable(found):
            return reason
        text = visible(str(found)).casefold()
        matches = list(_WRITINGS.finditer(text))
        if len(matches) != 1:
            return f"{shown(text)} holds {len(matches) or 'no'} dates such as 2026-05-04"
        before, after = text[: matches[0].start()], text[matches[0].end() :]
        reason = _loose(_TIME.sub("", before), _TIME.sub("", after))
        if reason := reason or _said_otherwise(matches[0], f"{before}…{after}", self.order):
            return f"{shown(text)}: {reason}"
        try:
            day = _day(matches[0], self.order)
        except ValueError:
            return f"no calendar has {matches[0].group()!r}, read {self.order}"
        named = (found for part in (before, after) for found in _DAY.finditer(part))
        if wrong := [name for name in named if not _DAYS[day.weekday()].startswith(name[1][:3])]:
            return f"{day} is no {wrong[0].group().title()}"
        return "" if day == self.value else f"{day} is not {self.value}"


def _loose(before: str, after: str) -> str:
    """Why what stands around a day does not leave it alone and as it is."""
    rest = f"{before}…{after}"
    if any(c.isdigit() for c in rest):
        return "it holds other numbers beside the date"
    if another := _ANOTHER.search(rest):
        return f"it also names {another.group()!r}"
    if span := _UNTIL.search(before) or _SPAN.search(after):
        return f"{span.group().strip()!r} makes it the end of a time"
    return hedged(rest) or excluded(before) or bounded(before, after) or rough(before, after)


def read_day(text: str, order: Order = "month-first") -> date | None:
    """The day that the whole text is, a time of day beside it apart; None if it is none."""
    match = _WRITINGS.fullmatch(_TIME.sub("", visible(text).casefold()).strip())
    try:
        return _day(match, order) if match else None
    except ValueError:
        return None


def _said_otherwise(match: re.Match[str], text: str, order: Order) -> str:
    """Why a day in figures is not meant in the order that it is read in; empty if it may be."""
    other: Order = "month-first" if order == "day-first" else "day-first"
    found = _ORDERS[other].search(text) if match["y2"] else None
    return f"it says {found.group()!r}, and is read {order}" if found else ""


def _day(match: re.Match[str], order: Order) -> date:
    part = match.groupdict()
    if part["dot"] and order == "month-first":
        raise ValueError("4. May 2026 may be the fourth of a list")
    if part["y1"]:
        return date(int(part["y1"]), int(part["m1"]), int(part["d1"]))
    if part["y2"]:
        first, second = int(part["a"]), int(part["b"])
        month, day = (first, second) if order == "month-first" else (second, first)
        return date(int(part["y2"]), month, day)
    if part["y3"]:
        return date(int(part["y3"]), MONTHS[part["m3"]], int(part["d3"]))
    return date(int(part["y4"]), MONTHS[part["m4"]], int(part["d4"]))
