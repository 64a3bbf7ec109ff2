"""Runs that are killed, interrupted or robbed of a process: what is kept, and what goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from small_run import coin_run, family, finish, lines, start, updates_of, wait_until, webdojo

from webdojo.training.rollouts.process import RESTARTS

# Whole runs, which take minutes where the machine is busy.
pytestmark = pytest.mark.timeout(900)
UPDATES = 3


def kill_and_see_all_go(process: subprocess.Popen[str]) -> None:
    below = family(process)
    assert any("chrom" in each.name() for each in below)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(below, timeout=30)
    assert alive == []
    finish(process)


def assert_whole(run: Path, updates: int = UPDATES) -> None:
    """The run has every update once in its ledger, and no episode twice."""
    ids = [row["episode_id"] for row in lines(run / "trajectories" / "rollouts.jsonl")]
    assert len(ids) == len(set(ids))
    throughput = json.loads((run / "throughput.json").read_text())
    assert throughput["updates"] == updates
    assert throughput["groups"]["groups_consumed"] == updates
    assert (run / "report.html").is_file()
    assert (run / "checkpoints" / "final" / "model.safetensors").is_file()
    assert json.loads((run / "summary.json").read_text())["seconds"] > 0
    assert list(run.glob("**/*.partial")) == []


@pytest.mark.slow
def test_a_run_killed_while_it_learns_goes_on_where_it_was(tmp_path: Path) -> None:
    process = start(tmp_path, "train", str(coin_run(tmp_path)))
    run = tmp_path / "runs" / "coin"
    wait_until(lambda: len(updates_of(run)) >= 2, process)
    kill_and_see_all_go(process)
    before = (run / "trajectories" / "rollouts.jsonl").read_text().rpartition("\n")[0]
    saved = max(int(path.name[-6:]) for path in run.glob("checkpoints/update-??????"))

    status, output, errors = webdojo(tmp_path, "train", "--resume", str(run))
    assert (status, errors) == (0, "")
    assert f"going on from update {saved}" in output
    assert_whole(run)
    assert (run / "trajectories" / "rollouts.jsonl").read_text().startswith(before)
    reached = updates_of(run)
    assert reached[-1] == UPDATES
    assert set(reached) == set(range(1, UPDATES + 1))
    assert reached.count(saved + 1) <= 2  # what came after the last checkpoint is done again


@pytest.mark.slow
def test_a_run_killed_while_it_records_keeps_what_it_recorded(tmp_path: Path) -> None:
    config = coin_run(tmp_path)
    many = ("--set", "warm_start.episodes_per_task=40", "--set", "rollout.slots=2")
    process = start(tmp_path, "train", str(config), *many)
    run = tmp_path / "runs" / "coin"
    demonstrations = run / "trajectories" / "demonstrations.jsonl"
    wait_until(lambda: len(lines(demonstrations)) >= 3, process)
    kill_and_see_all_go(process)
    kept = demonstrations.read_text().rpartition("\n")[0]
    assert len(kept.splitlines()) < 40

    status, _, errors = webdojo(tmp_path, "train", "--resume", str(run))
    assert (status, errors) == (0, "")
    assert demonstrations.read_text().startswith(kept)
    ids = [row["episode_id"] for row in lines(demonstrations)]
    assert sorted(ids) == sorted({f"demo-test.coin-{seed}" for seed in range(40)})
    assert_whole(run)


@pytest.mark.parametrize("when", [pytest.param("start", marks=pytest.mark.slow), "learn"])
def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(tmp_path: Path, when: str) -> None:
    more = ("--set", "reinforce.updates=999", "--set", "warm_start.episodes_per_task=0")
    process = start(tmp_path, "train", str(coin_run(tmp_path)), *more)
    run = tmp_path / "runs" / "coin"
    if when == "start":
        wait_until(
            lambda: any("spawn_main" in " ".join(p.cmdline()) for p in family(process)), process
        )
    else:
        wait_until(lambda: updates_of(run), process)
    below = family(process)
    os.killpg(process.pid, signal.SIGINT)
    status, output, errors = finish(process)
    assert status == 130
    assert "Traceback" not in output + errors
    assert errors.endswith("webdojo: interrupted.\n")
    if when == "start":
        assert not run.exists()
    else:
        assert "go on with: webdojo train --resume runs/coin" in errors
    _, alive = psutil.wait_procs(below, timeout=30)
    assert alive == []


@pytest.mark.slow
def test_a_killed_browser_costs_its_episodes_alone(tmp_path: Path) -> None:
    more = ("--set", "reinforce.updates=20")
    process = start(tmp_path, "train", str(coin_run(tmp_path)), *more)
    run = tmp_path / "runs" / "coin"
    wait_until(lambda: updates_of(run), process)
    # Not the script that a distribution starts it by, nor a process of one page.
    browser = next(
        p
        for p in family(process)
        if "chrom" in p.cmdline()[0] and "--type=" not in " ".join(p.cmdline())
    )
    browser.kill()
    status, _, errors = finish(process)
    assert (status, errors) == (0, "")
    assert_whole(run, updates=20)
    assert json.loads((run / "throughput.json").read_text())["browser_launches"] == 2


def kill_rollouts(process: subprocess.Popen[str], but: set[int]) -> list[psutil.Process]:
    """Kill the rollout process, one that is not among ``but``; gives what ran below it."""

    def found() -> psutil.Process | None:
        for each in family(process):
            with suppress(psutil.NoSuchProcess):
                if each.pid not in but and "spawn_main" in " ".join(each.cmdline()):
                    return each
        return None

    rollouts = wait_until(found, process)
    but.add(rollouts.pid)
    below: list[psutil.Process] = rollouts.children(recursive=True)
    rollouts.kill()
    return below


@pytest.mark.slow
def test_a_killed_rollout_process_is_followed_by_another_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    process = start(tmp_path, "train", str(coin_run(tmp_path)))
    run = tmp_path / "runs" / "coin"
    wait_until(lambda: len(updates_of(run)) >= 2, process)
    before = (run / "trajectories" / "rollouts.jsonl").read_text().rpartition("\n")[0]
    below = kill_rollouts(process, set())
    status, output, errors = finish(process)
    assert status == 0
    assert "Traceback" not in output + errors
    assert "the rollout process was killed by SIGKILL" in errors
    assert "going on from update" in output
    assert_whole(run)
    assert (run / "trajectories" / "rollouts.jsonl").read_text().startswith(before)
    _, alive = psutil.wait_procs(below, timeout=30)
    assert alive == []


@pytest.mark.slow
def test_rollout_processes_killed_again_and_again_end_the_run_with_a_sentence_and_nothing_lost(
    tmp_path: Path,
) -> None:
    process = start(tmp_path, "train", str(coin_run(tmp_path)))
    run = tmp_path / "runs" / "coin"
    wait_until(lambda: len(updates_of(run)) >= 2, process)
    killed: set[int] = set()
    below = [each for _ in range(1 + RESTARTS) for each in kill_rollouts(process, killed)]
    status, output, errors = finish(process)
    assert status == 2
    assert "Traceback" not in output + errors
    assert "the rollout process was killed by SIGKILL" in errors
    assert "go on with: webdojo train --resume runs/coin" in errors
    _, alive = psutil.wait_procs(below, timeout=30)
    assert alive == []

    status, _, errors = webdojo(tmp_path, "train", "--resume", str(run))
    assert (status, errors) == (0, "")
    assert_whole(run)
