"""The page on which the mouse has to stay within a moving circle.

The circle makes five straight legs of two seconds each, slowly at both ends of each. A look at it
early on a leg tells where the leg leads, so that the mouse can be put where the circle will be.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import dist

from webdojo.tasks.calls import call
from webdojo.tasks.miniwob.oracles.looking import Point, middle, seen
from webdojo.tasks.miniwob.oracles.oracle import solves
from webdojo.tasks.task import Oracle
from webdojo.tasks.view import OracleError, PageView

FIRST_LOOK_MS = 500
BETWEEN_MS = 501
"""Page time from one look to the next."""
LEGS = 5
LEG_MS = 2000
TURN_MS = 17
"""From the end of a leg to the beginning of the next: one frame."""
REACH_PX = 21.0
"""The mouse is counted as within the circle up to here from its middle."""
FORESEEN_MS = 20
"""Page time between two places of the circle that are foreseen."""
TOLD = 0.002
"""Share of a leg's way after which its direction can be told."""


@solves("chase-circle")
def stay_within(view: PageView) -> Oracle:
    """Put the mouse where the circle is and will be for most of the time until the next look."""
    way, now_ms = Way(), FIRST_LOOK_MS
    while True:
        circles = seen(view, "circle", id="circ")
        if not circles:
            raise OracleError("there is no circle")
        way.note(now_ms, middle(circles[0]))
        places = [way.at(now_ms + later) for later in range(0, BETWEEN_MS, FORESEEN_MS)]
        within = [place for place in places if dist(place, places[0]) < REACH_PX]
        x, y = max(within, key=lambda place: _held(place, places))
        view = yield call("mouse_move", round(x, 2), round(y, 2))
        now_ms += BETWEEN_MS


def _held(mouse: Point, places: list[Point]) -> tuple[int, float]:
    """How many of the places lie within reach of the mouse, and how near all are."""
    away = [dist(mouse, place) for place in places]
    return sum(far < REACH_PX for far in away), -sum(away)


@dataclass(slots=True)
class Way:
    """The circle's way as far as it is known."""

    ends: dict[int, Point] = field(default_factory=dict)
    """Where each leg begins; the last leg's end is that of a sixth."""
    looks: list[tuple[int, float, Point]] = field(default_factory=list)
    """Leg, share of its way, and place of each look."""

    def note(self, now_ms: float, place: Point) -> None:
        """Learn from a look where the leg leads, and at the second on the first where it began."""
        leg, share = _leg(now_ms)
        self.looks.append((leg, share, place))
        if leg not in self.ends:
            _, past, before = next(look for look in self.looks if look[0] == leg)
            if share - past <= TOLD:
                return
            self.ends[leg] = _along(before, place, -past / (share - past))
        if share > TOLD:
            self.ends[leg + 1] = _along(self.ends[leg], place, 1 / share)

    def at(self, then_ms: float) -> Point:
        """Where the circle will be; where it was last if that cannot be told."""
        leg, share = _leg(then_ms)
        if leg in self.ends and leg + 1 in self.ends:
            return _along(self.ends[leg], self.ends[leg + 1], share)
        return self.ends.get(leg, self.looks[-1][2])


def _leg(now_ms: float) -> tuple[int, float]:
    """Which leg the circle is on, and the share of its way that it has gone: cubic, in and out."""
    leg = min(int(now_ms // (LEG_MS + TURN_MS)), LEGS - 1)
    time = min(max((now_ms - leg * (LEG_MS + TURN_MS)) / LEG_MS, 0.0), 1.0)
    return leg, 4 * time**3 if time < 0.5 else 1 - 4 * (1 - time) ** 3


def _along(start: Point, end: Point, share: float) -> Point:
    """The point at a share of the way; beyond the end where that is above 1."""
    return (start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share)
