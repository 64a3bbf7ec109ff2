"""Charts are right about their numbers, however few or odd these are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webdojo.training.report.bar_chart import Part, bar_chart
from webdojo.training.report.figures import count, duration, number, percent, signed
from webdojo.training.report.line_chart import (
    MAX_POINTS,
    MAX_ROWS,
    Line,
    LineChart,
    line_chart,
    smooth,
    ticks,
)
from webdojo.training.report.markup import Markup, element, join

finite = st.floats(-1e9, 1e9, allow_nan=False)


@given(finite, finite)
def test_ticks_are_few_and_span_the_range(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    marks = ticks(low, high)
    slack = 1e-6 * max(1.0, abs(low), abs(high))
    assert 2 <= len(marks) <= 7
    assert marks == sorted(set(marks))
    assert marks[0] <= low + slack
    assert marks[-1] >= high - slack


def test_ticks_are_round() -> None:
    assert ticks(0, 1) == [0, 0.25, 0.5, 0.75, 1]
    assert ticks(0, 87) == [0, 25, 50, 75, 100]
    assert ticks(3, 3) == [1, 2, 3, 4, 5]


@given(st.lists(finite, min_size=1, max_size=100))
def test_the_running_mean_keeps_steps_and_stays_in_range(values: list[float]) -> None:
    curve = tuple(enumerate(values))
    means = smooth(curve)
    assert [step for step, _ in means] == [step for step, _ in curve]
    slack = 1e-6 * max(1.0, *map(abs, values))
    assert all(min(values) - slack <= mean <= max(values) + slack for _, mean in means)


def test_a_straight_line_stays_straight_when_smoothed() -> None:
    curve = tuple((step, 2.0 * step) for step in range(100))
    for (_, mean), (_, value) in list(zip(smooth(curve), curve, strict=True))[10:-10]:
        assert mean == pytest.approx(value)


@pytest.mark.parametrize(
    "curve", [((5, 0.3),), ((1, 0.0), (2, 0.0)), tuple((i, 1e-7 * i) for i in range(40))]
)
def test_odd_curves_are_drawn_inside_the_chart(curve: tuple[tuple[int, float], ...]) -> None:
    drawn = line_chart(LineChart("Loss", "", [Line("loss", curve)]))
    width, height = map(int, re.findall(r'viewBox="0 0 (\d+) (\d+)"', drawn)[0])
    places = [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", drawn)]
    places += [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', drawn)]
    assert places
    assert all(0 <= x <= width and 0 <= y <= height for x, y in places)


def test_a_chart_says_in_words_what_it_shows() -> None:
    chart = LineChart("Reward", "", [Line("mean", ((1, 0.25), (9, 0.75)))], shares=True)
    drawn = line_chart(chart)
    assert "<title>Reward</title>" in drawn
    told = "mean: from 25\u202f% at update 1 to 75\u202f% at update 9, lowest 25\u202f%"
    assert f"<desc>{told}" in drawn


def test_long_curves_are_thinned_and_keep_their_end() -> None:
    curve = tuple((step, float(step % 7)) for step in range(5001))
    drawn = line_chart(LineChart("Loss", "", [Line("loss", curve)]))
    path = re.findall(r'd="([^"]+)" class="line faint', drawn)[0]
    assert path.count("L") < MAX_POINTS
    rows = re.findall(r'<th scope="row">(\d+)</th>', drawn)
    assert len(rows) <= MAX_ROWS
    assert rows[-1] == "5000"
    assert "Every 126th row" in drawn


def test_nothing_to_draw_is_no_chart() -> None:
    assert line_chart(LineChart("Loss", "", [Line("loss", ())])) == ""
    assert bar_chart("Phases", [Part("a", 0.0, "0 s", "s1")]) == ""


def test_the_parts_of_a_bar_make_a_whole() -> None:
    parts = [Part("a", 30.0, "30 s", "s1"), Part("b", 10.0, "10 s", "s2")]
    drawn = bar_chart("Phases", parts)
    assert re.findall(r'<rect x="([\d.]+)%" width="([\d.]+)%"', drawn) == [
        ("0.000", "75.000"),
        ("75.000", "25.000"),
    ]


@given(st.text())
def test_text_never_becomes_markup(text: str) -> None:
    made = element("p", text, title=text)
    inside = made.removeprefix('<p title="').removesuffix("</p>")
    assert "<" not in inside
    assert inside.count(">") == 1
    assert inside.count('"') == 1
    made.encode()


def test_only_finished_markup_goes_in_as_it_is() -> None:
    assert join("<b>", element("i", "&"), Markup("<hr>"), None) == "&lt;b&gt;<i>&amp;</i><hr>"
    assert element("svg", class_="a", x=1.0, aria_hidden="true", id=None) == (
        '<svg class="a" x="1" aria-hidden="true"></svg>'
    )


def test_numbers_are_written_for_people() -> None:
    assert [number(x) for x in (0.0, 0.12345, -2.5, 12345.6, 1.2e-5, float("nan"))] == [
        "0",
        "0.123",
        "−2.5",
        "12\u202f346",
        "1.2·10⁻⁵",
        "—",
    ]
    assert [duration(s) for s in (6.24, 41, 752, 7500)] == [
        "6.2 s",
        "41 s",
        "12 min 32 s",
        "2 h 5 min",
    ]
    assert (percent(0.914), signed(3.4), signed(-0.2), count(1, "task")) == (
        "91\u202f%",
        "+3",
        "0",
        "1 task",
    )
