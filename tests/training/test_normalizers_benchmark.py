"""The comparison of normalizers: its figures by hand, and that the runs differ in nothing else."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import published
from normalizers import compare, config_of, endings, interval, rows_of, to_markdown

OPTIONS = argparse.Namespace(
    seeds=[0, 1], updates=3, minutes=1.0, groups=2, episodes=2, temperature=1.0, lr=1e-4
)


def write_run(folder: Path, successes: list[int], steps: int) -> Path:
    """A finished run's evaluations: as many episodes as outcomes, failures twice as long."""
    records: list[dict[str, Any]] = [
        {
            "task_id": "bench.corridor-6",
            "seed": seed,
            "success": success,
            "steps": steps if success else 2 * steps,
            "response_tokens": 10 * steps if success else 30 * steps,
        }
        for seed, success in enumerate(successes)
    ]
    (folder / "evaluation").mkdir(parents=True)
    text = "".join(json.dumps(record) + "\n" for record in records)
    for moment in ("before", "after"):
        # Every split that an episode lies in repeats it.
        (folder / "evaluation" / f"{moment}-sampled.jsonl").write_text(text + text)
    throughput = {"updates": 3, "seconds": 90.0, "episodes": 20}
    (folder / "throughput.json").write_text(json.dumps(throughput))
    return folder


def test_figures_and_paired_differences_by_hand(tmp_path: Path) -> None:
    runs = {
        name: {
            seed: write_run(tmp_path / f"{name[-1]}{seed}", outcomes[seed], steps)
            for seed in (0, 1)
        }
        for name, outcomes, steps in (
            ("1/T", ([1, 0, 0, 0], [1, 1, 0, 0]), 6),
            ("1/k", ([1, 1, 0, 0], [1, 1, 1, 0]), 5),
        )
    }
    rows = rows_of(runs)
    table = compare(rows)
    assert table["success"]["1/T"][0] == pytest.approx(0.375)
    assert table["success"]["1/k"][0] == pytest.approx(0.625)
    # Both seeds gain a quarter: the paired interval is a point.
    assert table["success"]["difference"] == pytest.approx((0.25, 0.25, 0.25))
    assert table["steps of successes"]["1/k"][0] == 5
    assert table["steps of failures"]["1/T"][0] == 12
    assert table["tokens of failures"]["difference"][0] == 150 - 180
    assert table["success"]["seeds"] == 2
    assert [(row["normalizer"], row["seed"], row["updates"]) for row in rows] == [
        ("1/T", 0, 3), ("1/T", 1, 3), ("1/k", 0, 3), ("1/k", 1, 3),
    ]  # fmt: skip
    # By Student's t it would be 0.375 ± 1.59: there is no such share.
    assert table["success"]["1/T"][1:] == (0, 1)
    text = to_markdown(table, rows, OPTIONS)
    assert "| success | 0.375 (" in text
    assert "| steps of failures | 12 (12 … 12) | 10 (10 … 10) | -2 (-2 … -2) | 2 |" in text


def test_how_the_runs_ended_is_told() -> None:
    rows = [{"updates": 3, "seconds": 60.0}, {"updates": 3, "seconds": 300.0}]
    assert endings(rows, 3) == "all 2 runs ended with the last of 3 updates, after 1 to 5 min"
    assert endings(rows, 4).startswith("2 of 2 runs ended when their time was up, with 3 to 3 of 4")


def test_the_page_says_what_was_measured() -> None:
    found = json.loads((published.RESULTS / "normalizers.json").read_text())
    page = (published.RESULTS.parents[1] / "docs" / "normalizers.md").read_text()
    assert found["command"] in page
    assert endings(found["runs"], 30) in page
    success = compare(found["runs"])["success"]
    for middle, low, high in (success["1/T"], success["1/k"], success["difference"]):
        assert f"{middle:.3g} ({low:.3g} … {high:.3g})" in page


def test_intervals_are_students() -> None:
    middle, low, high = interval([1.0, 2.0, 3.0])
    assert middle == 2
    assert (low, high) == pytest.approx((2 - 4.303 / 3**0.5, 2 + 4.303 / 3**0.5))
    assert interval([1.0])[1] != interval([1.0])[1]  # NaN: one seed says nothing of the spread


def test_runs_of_a_seed_differ_in_their_normalizer_alone() -> None:
    ours, theirs = (config_of(name, 7, OPTIONS).model_dump() for name in ("1/k", "1/T"))
    assert ours["objective"].pop("normalizer") == {"name": "constant_k", "k": 10.0}
    assert theirs["objective"].pop("normalizer") == {"name": "per_trajectory"}
    assert (ours.pop("name"), theirs.pop("name")) == ("1-over-k-seed-7", "1-over-T-seed-7")
    assert ours == theirs
