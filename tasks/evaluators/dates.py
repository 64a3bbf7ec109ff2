"""Days of the calendar, in the usual English writings."""

from __future__ import annotations

import re
from datetime import date
from typing import ClassVar, Literal

from webdojo.tasks.evaluators.evaluator import Match
from webdojo.tasks.evaluators.normalise import shown, undecided, visible

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
    r"(?P<y1>\d{4})[-/.](?P<m1>\d{1,2})[-/.](?P<d1>\d{1,2})(?:t[\d:.]+(?:z|[-+][\d:]+)?)?"
    r"|(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})[-/.](?P<y2>\d{4})"
    rf"|(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?(?: of)?[ -](?P<m3>{_MONTH})\.?,?[ -](?P<y3>\d{{4}})"
    rf"|(?P<m4>{_MONTH})\.? (?P<d4>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<y4>\d{{4}})"
    r")(?![\w/-]|\.\d)"
)
Order = Literal["month-first", "day-first"]
_TIME = re.compile(r"\b\d{1,2}:\d{2}(?::\d{2})?\b")


class Date(Match):
    """The day, the only one in the text; a time of day beside it is let pass.

    ``order`` says how ``05/04/2026`` is read. Example: ``Date(value="2026-05-04")``.
    """

    kind: ClassVar[str] = "date"
    value: date
    order: Order = "month-first"

    def mismatch(self, found: object) -> str:
        """No date, several, one that no calendar has, or another one."""
        reason = undecided(found)
        if reason:
            return reason
        text = visible(str(found)).casefold()
        matches = list(_WRITINGS.finditer(text))
        rest = _TIME.sub("", _WRITINGS.sub("", text))
        if len(matches) != 1 or any(c.isdigit() for c in rest):
            return f"{shown(text)} does not hold one date, such as 2026-05-04, and nothing else"
        try:
            day = _day(matches[0], self.order)
        except ValueError:
            return f"no calendar has {matches[0].group()!r}"
        return "" if day == self.value else f"{day} is not {self.value}"


def read_day(text: str, order: Order = "month-first") -> date | None:
    """The day that the whole text is, a time of day beside it apart; None if it is none."""
    match = _WRITINGS.fullmatch(_TIME.sub("", visible(text).casefold()).strip())
    try:
        return _day(match, order) if match else None
    except ValueError:
        return None


def _day(match: re.Match[str], order: Order) -> date:
    part = match.groupdict()
    if part["y1"]:
        return date(int(part["y1"]), int(part["m1"]), int(part["d1"]))
    if part["y2"]:
        first, second = int(part["a"]), int(part["b"])
        month, day = (first, second) if order == "month-first" else (second, first)
        return date(int(part["y2"]), month, day)
    if part["y3"]:
        return date(int(part["y3"]), MONTHS[part["m3"]], int(part["d3"]))
    return date(int(part["y4"]), MONTHS[part["m4"]], int(part["d4"]))
