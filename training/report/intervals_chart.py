"""Dots with their 95 % intervals, before and after, on a track from 0 to 100 %.

Places on the track are percentages of its width, so that it fits any screen without scaling its
text.
"""

from __future__ import annotations

from webdojo.training.intervals import Rate
from webdojo.training.report.figures import interval, percent
from webdojo.training.report.markup import Markup, element, join
from webdojo.training.report.run_data import Change


def track(change: Change, label: str, height: int = 34, radius: float = 5.5) -> Markup:
    """One row: where a success rate was, above it where it came to."""
    upper, lower = height / 2 - height / 6, height / 2 + height / 6
    return element(
        "svg",
        element("title", f"{label}: {in_words(change)}"),
        [
            element("line", x1=f"{at}%", x2=f"{at}%", y1=0, y2=height, class_="grid")
            for at in (0, 25, 50, 75, 100)
        ],
        _dot(change.before, lower, radius, "before"),
        _dot(change.after, upper, radius, "after"),
        height=height,
        class_="track",
        role="img",
    )


def scale() -> Markup:
    """The labels under a column of tracks."""
    labels = [
        element(
            "text",
            percent(at / 100),
            x=f"{at}%",
            y=13,
            text_anchor="start" if at == 0 else "end" if at == 100 else "middle",
        )
        for at in (0, 25, 50, 75, 100)
    ]
    return element("svg", labels, height=18, class_="track", aria_hidden="true")


def in_words(change: Change) -> str:
    """``before 42 % (95 % interval 37–47), after 91 % (86–95)``."""
    told = [
        f"{when} {percent(rate['success'])} (95 % interval {interval(rate)}, of {rate['episodes']})"
        for when, rate in (("before", change.before), ("after", change.after))
        if rate is not None
    ]
    return ", ".join(told) or "not measured"


def _dot(rate: Rate | None, y: float, radius: float, when: str) -> Markup:
    if rate is None:
        return Markup()
    return join(
        element(
            "line",
            x1=f"{100 * rate['low']:.2f}%",
            x2=f"{100 * rate['high']:.2f}%",
            y1=y,
            y2=y,
            class_=f"range {when}",
        ),
        element(
            "circle", cx=f"{100 * rate['success']:.2f}%", cy=y, r=radius, class_=f"rate {when}"
        ),
    )
