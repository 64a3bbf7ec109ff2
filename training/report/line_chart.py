"""Line charts as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from webdojo.training.report.figures import number, percent
from webdojo.training.report.markup import Markup, details, element, table
from webdojo.training.report.run_data import Curve

LARGE, SMALL = (450, 190), (280, 130)
"""Width and height in the chart's own units, about those of the screen."""
LEFT, RIGHT, TOP, BOTTOM = 50, 8, 8, 22
SMOOTH_FROM = 12
"""Curves of at least so many points get a running mean."""
MAX_ROWS = 40
MAX_POINTS = 600


@dataclass(frozen=True, slots=True)
class Line:
    """One curve of a chart; ``colour`` is one of the style's series, 1 to 6."""

    label: str
    curve: Curve
    colour: int = 1
    smoothed: bool = True
    """Whether a long curve gets a running mean."""


@dataclass(frozen=True, slots=True)
class LineChart:
    """What a chart shows. ``shares`` are in [0, 1], drawn over that whole range and in percent."""

    title: str
    note: str
    lines: Sequence[Line]
    shares: bool = False
    from_zero: bool = False
    small: bool = False
    x_label: str = "update"


def line_chart(chart: LineChart) -> Markup:
    """A figure with a heading, a legend with the latest values, the curves, and their numbers.

    Empty markup if there is nothing to draw.
    """
    lines = [line for line in chart.lines if line.curve]
    if not lines:
        return Markup()
    show = percent if chart.shares else number
    legend = [
        element(
            "span",
            element("i", class_=f"swatch s{line.colour}") if len(lines) > 1 else None,
            f"{line.label} " if len(lines) > 1 else None,
            element("b", show(_latest(line))),
            class_="key",
        )
        for line in lines
    ]
    heading = element("h4" if chart.small else "h3", chart.title)
    return element(
        "figure",
        element("figcaption", heading, element("div", legend, class_="legend")),
        _svg(chart, lines),
        element("p", chart.note, class_="note") if chart.note else None,
        None if chart.small else details("Numbers", _numbers(chart, lines)),
        class_="chart small" if chart.small else "chart",
    )


def smooth(curve: Curve) -> Curve:
    """The running mean over a window of about an eighth of the curve, centred."""
    half = max(1, len(curve) // 16)
    values = [value for _, value in curve]
    return tuple(
        (step, math.fsum(window) / len(window))
        for i, (step, _) in enumerate(curve)
        if (window := values[max(0, i - half) : i + half + 1])
    )


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers that span [low, high]."""
    if high - low <= max(1e-9 * max(abs(low), abs(high)), 1e-200):
        pad = abs(low) / 2 if abs(low) > 1e-100 else 0.5
        low, high = low - pad, high + pad
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    # Multiples of 0.1 and the like come out as 0.30000000000000004.
    digits = 3 - math.floor(math.log10(step))
    return [round(n * step, digits) for n in range(first, last + 1)]


def _latest(line: Line) -> float:
    """The last value, or the end of the running mean where there is one."""
    return (smooth(line.curve) if _is_smoothed(line) else line.curve)[-1][1]


def _is_smoothed(line: Line) -> bool:
    return line.smoothed and len(line.curve) >= SMOOTH_FROM


def _svg(chart: LineChart, lines: Sequence[Line]) -> Markup:
    steps = [step for line in lines for step, _ in line.curve]
    values = [value for line in lines for _, value in line.curve]
    width, height = SMALL if chart.small else LARGE
    low, high = min(values), max(values)
    if chart.from_zero:
        low = min(0.0, low)
    marks = [0.0, 0.25, 0.5, 0.75, 1.0] if chart.shares else ticks(low, high)
    low, high = min(low, marks[0]), max(high, marks[-1])
    first, last = min(steps), max(steps)

    def x(step: float) -> float:
        across = (step - first) / (last - first) if last > first else 0.5
        return LEFT + across * (width - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (height - TOP - BOTTOM)

    axis = [
        _grid(y(mark), width, percent(mark) if chart.shares else number(mark)) for mark in marks
    ]
    for step, anchor in ((first, "start"), (last, "end")):
        if step != last or anchor == "end":
            label = f"{chart.x_label} {step}" if anchor == "end" else str(step)
            axis.append(
                element(
                    "text",
                    label,
                    x=x(step) if last > first else float(width - RIGHT),
                    y=height - 6,
                    text_anchor=anchor,
                )
            )
    drawn: list[Markup] = []
    for line in lines:
        thinned = _thin(line.curve)
        places = [(x(step), y(value)) for step, value in thinned]
        if len(places) == 1:
            (cx, cy) = places[0]
            drawn.append(element("circle", cx=cx, cy=cy, r=3, class_=f"dot s{line.colour}"))
        elif not _is_smoothed(line):
            weight = "line" if line.smoothed else "line thin"
            drawn.append(_path(places, f"{weight} s{line.colour}"))
        else:
            drawn.append(_path(places, f"line faint s{line.colour}"))
            means = _thin(smooth(line.curve))
            drawn.append(_path([(x(s), y(v)) for s, v in means], f"line s{line.colour}"))
    told = _description(chart, lines)
    return element(
        "svg",
        element("title", chart.title),
        element("desc", told),
        axis,
        drawn,
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=f"{chart.title}. {told}",
    )


def _grid(y: float, width: int, label: str) -> Markup:
    return element(
        "g",
        element("line", x1=LEFT, x2=width - RIGHT, y1=y, y2=y, class_="grid"),
        element("text", label, x=LEFT - 6, y=y + 3.5, text_anchor="end"),
    )


def _path(places: Sequence[tuple[float, float]], style: str) -> Markup:
    return element("path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places), class_=style)


def _thin(curve: Curve) -> Curve:
    """At most MAX_POINTS points, evenly chosen, the last among them."""
    if len(curve) <= MAX_POINTS:
        return curve
    stride = math.ceil(len(curve) / MAX_POINTS)
    return curve[(len(curve) - 1) % stride :: stride]


def _description(chart: LineChart, lines: Sequence[Line]) -> str:
    show = percent if chart.shares else number
    told = []
    for line in lines:
        values = [value for _, value in line.curve]
        told.append(
            f"{line.label}: from {show(values[0])} at {chart.x_label} {line.curve[0][0]}"
            f" to {show(values[-1])} at {chart.x_label} {line.curve[-1][0]},"
            f" lowest {show(min(values))}, highest {show(max(values))}"
        )
    return ". ".join(told)


def _numbers(chart: LineChart, lines: Sequence[Line]) -> Markup:
    by_step: dict[int, list[str]] = {}
    for i, line in enumerate(lines):
        for step, value in line.curve:
            by_step.setdefault(step, [""] * len(lines))[i] = number(value)
    steps = sorted(by_step)
    stride = math.ceil(len(steps) / MAX_ROWS)
    shown = steps[(len(steps) - 1) % stride :: stride]
    every = f"Every {stride}th row; all of them are in metrics.jsonl." if stride > 1 else None
    return table(
        [chart.x_label, *(line.label for line in lines)],
        [[str(step), *by_step[step]] for step in shown],
        every,
    )
