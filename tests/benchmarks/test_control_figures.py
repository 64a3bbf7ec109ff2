"""What the controls benchmark concludes from rates, against values worked out by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from webdojo.training.intervals import Rate, rate

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))  # a folder of scripts

from control_figures import Comparison, Rates, compare, pooled


def run(reinforced: Rate, warm: Rate, colder: Rate) -> Rates:
    return {
        "reinforced": {"greedy": {"held-out": reinforced}, "sampled": {"held-out": reinforced}},
        "warm-start": {"greedy": {"held-out": warm}, "sampled": {"held-out": warm}},
        "low-temperature": {"sampled": {"held-out": colder}},
    }


def of(found: list[Comparison], control: str, mode: str, seed: int | None) -> Comparison:
    (one,) = (
        c for c in found if (c["control"], c["mode"], c["seed"]) == (control, mode, seed)
    )  # fmt: skip
    return one


def test_reinforcement_is_set_beside_every_control_run_by_run_and_together() -> None:
    found = compare(
        {
            0: run(rate(36, 40), rate(10, 40), rate(34, 40)),
            1: run(rate(20, 40), rate(10, 40), rate(38, 40)),
        }
    )
    controls = {(c["control"], c["mode"]) for c in found}
    assert controls == {
        ("warm-start", "greedy"),
        ("warm-start", "sampled"),
        ("low-temperature", "sampled"),
        ("greedy", "sampled"),
    }
    assert len(found) == 4 * 3
    together = of(found, "warm-start", "greedy", None)
    assert together["reinforced"] == rate(56, 80)
    assert together["beside"] == rate(20, 80)
    assert together["difference"] == pytest.approx(36 / 80)
    assert together["verdict"] == "ahead"


@pytest.mark.parametrize(
    ("reinforced", "beside", "verdict"),
    [(36, 10, "ahead"), (10, 36, "behind"), (20, 22, "unclear"), (22, 20, "unclear")],
)
def test_a_verdict_needs_an_interval_that_leaves_zero_out(
    reinforced: int, beside: int, verdict: str
) -> None:
    runs = {0: run(rate(reinforced, 40), rate(beside, 40), rate(beside, 40))}
    assert {c["verdict"] for c in compare(runs)} == {verdict}
    for c in compare(runs):
        assert (c["low"] > 0 or c["high"] < 0) == (verdict != "unclear")


def test_pooling_adds_successes_and_episodes() -> None:
    assert pooled([rate(1, 3), rate(5, 7)]) == rate(6, 10)
