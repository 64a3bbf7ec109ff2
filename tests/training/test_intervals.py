"""Intervals agree with published values and cover what they promise to."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webdojo.training.intervals import difference, rate, wilson


# Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17
# (1998), Table I, method 3.
@pytest.mark.parametrize(
    ("successes", "episodes", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_agrees_with_published_values(
    successes: int, episodes: int, low: float, high: float
) -> None:
    assert wilson(successes, episodes) == pytest.approx((low, high), abs=5e-5)


# Newcombe, "Interval estimation for the difference between independent proportions", Statistics in
# Medicine 17 (1998), Table II, method 10.
@pytest.mark.parametrize(
    ("after", "before", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ],
)
def test_difference_agrees_with_published_values(
    after: tuple[int, int], before: tuple[int, int], low: float, high: float
) -> None:
    found = difference(rate(*after), rate(*before))
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    assert found.clear == (low > 0)


def test_a_rate_is_what_summary_json_holds() -> None:
    with pytest.raises(ValueError, match="of no episodes there is no rate"):
        rate(0, 0)
    full = rate(20, 20)
    assert (full["success"], full["high"], full["episodes"]) == (1.0, 1.0, 20)
    assert full["low"] == pytest.approx(1 - 0.1611, abs=5e-5)


@pytest.mark.parametrize(("successes", "episodes"), [(3, 2), (-1, 4), (1, 0)])
def test_what_is_no_proportion_is_refused(successes: int, episodes: int) -> None:
    with pytest.raises(ValueError, match=f"{successes} successes of {episodes} episodes"):
        wilson(successes, episodes)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_lies_in_the_unit_range_around_the_rate(case: tuple[int, int]) -> None:
    found = rate(*case)
    assert 0 <= found["low"] <= found["success"] <= found["high"] <= 1
    mirrored = rate(case[1] - case[0], case[1])
    assert (mirrored["low"], mirrored["high"]) == pytest.approx(
        (1 - found["high"], 1 - found["low"])
    )


@pytest.mark.parametrize("p", [0.1, 0.5, 0.93])
def test_coverage_of_the_true_rate_is_near_95_percent(p: float) -> None:
    n = 60
    covered = 0.0
    for k in range(n + 1):
        low, high = wilson(k, n)
        if low <= p <= high:
            covered += comb(n, k) * p**k * (1 - p) ** (n - k)
    assert 0.92 < covered < 0.98
