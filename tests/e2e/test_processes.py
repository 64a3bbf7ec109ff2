"""Several learner processes train one policy; what goes wrong in one ends them all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_run import PATIENCE_S, coin_run, lines

from webdojo.agents.checkpoint import find_checkpoint
from webdojo.training.records import read_trajectories
from webdojo.training.rollouts.trajectory import Group
from webdojo.training.run_folder import RunFolder
from webdojo.training.team import LearnerPlan

LAUNCH = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "webdojo")


def launch(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``webdojo`` in two processes."""
    return subprocess.run(
        [sys.executable, *LAUNCH, *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_where_there_is_nothing_to_train_no_process_waits(tmp_path: Path) -> None:
    coin_run(tmp_path)
    nothing = ("warm_start.episodes_per_task=0", "reinforce.updates=0")
    settings = [word for setting in nothing for word in ("--set", setting)]
    assert launch(tmp_path, "train", "coin.toml", "--dry-run").returncode == 0
    assert launch(tmp_path, "train", "coin.toml", *settings).returncode == 0
    again = launch(tmp_path, "train", "--resume", "runs/coin")
    assert (again.returncode, "is finished" in again.stdout) == (0, True)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("sharded", ["false", "true"])
def test_two_processes_do_the_run_of_one(tmp_path: Path, sharded: str) -> None:
    coin_run(tmp_path)
    found = launch(tmp_path, "train", "coin.toml", "--set", f"learner.sharded={sharded}")
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("run folder:") == 1  # one process speaks
    run = RunFolder.existing(tmp_path / "runs" / "coin")
    updates = [row for row in lines(run.path / "metrics.jsonl") if row["phase"] == "reinforce"]
    assert [row["step"] for row in updates] == [1, 2, 3]
    # One process alone takes the same first step from the same place on the same groups.
    config, start = run.config(), find_checkpoint(str(run.checkpoint("warm-start")))
    alone = LearnerPlan(start, config.learner.whole(), config.objective).learner()
    played = {trajectory.episode_id: trajectory for trajectory in read_trajectories(run.rollouts)}
    first = lines(run.path / "updates.jsonl")[0]["groups"]
    members = [(number, [played[name] for name in names]) for number, names in first]
    groups = [Group(number, m[0].task_id, m[0].seed, tuple(m)) for number, m in members]
    expected = alone.update(groups, version=0)
    assert expected["grad_norm"] > 0
    for name in ("grad_norm", "entropy", "tokens"):
        assert updates[0][name] == pytest.approx(expected[name], rel=1e-5)


@pytest.mark.slow
def test_bad_input_ends_every_process(tmp_path: Path) -> None:
    coin_run(tmp_path)
    found = launch(tmp_path, "train", "coin.toml", "--set", "tasks.reinforced=test.coim")
    assert found.returncode != 0
    assert found.stderr.count("test.coim") == 1
    assert not (tmp_path / "runs").exists()
