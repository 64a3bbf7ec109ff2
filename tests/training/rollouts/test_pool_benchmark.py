"""The pool benchmark runs as its page says, and the bars hold in simulated time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_the_benchmark_prints_json_and_the_pool_meets_its_bars() -> None:
    command = [sys.executable, "benchmarks/pool.py", "--json", "--slots", "64", "--seeds", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    (run,) = found["runs"]
    assert run["slots"] == 64
    assert run["share_of_bound"] >= 0.95
    assert run["speedup_barrier"] >= 2.9
    assert run["speedup_cut"] > 1
    assert run["idle_share"] <= 0.05
    assert 0 < run["staleness_mean"] <= run["staleness_max"] <= run["staleness_bound"]
    (preset,) = found["runs_under_the_presets_staleness"]
    assert preset["staleness_bound"] == 2
    assert preset["share_of_bound"] < preset["share_possible"] < 0.95
    assert preset["share_of_bound"] > 0.95 * preset["share_possible_throughout"]


@pytest.mark.parametrize("wrong", ["--slots=12", "--slots=0", "--seeds=0", "--staleness=-1"])
def test_what_cannot_be_measured_is_refused(wrong: str) -> None:
    command = [sys.executable, "benchmarks/pool.py", wrong]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{wrong.partition('=')[0]} takes" in done.stderr
    assert "Traceback" not in done.stderr
