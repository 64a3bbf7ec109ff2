"""Two learner processes train a policy that sees: its weights, or adapters on them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_run import COIN_RUN, COIN_TASK, lines
from test_processes import LAUNCH
from test_vision_run import HANG_S, LEARNER, POLICY

from webdojo.agents.checkpoint import find_checkpoint
from webdojo.agents.tiny_vision import write_tiny_vision
from webdojo.training.records import read_trajectories
from webdojo.training.rollouts.trajectory import Group
from webdojo.training.run_folder import RunFolder
from webdojo.training.team import LearnerPlan


@pytest.mark.slow
@pytest.mark.timeout(HANG_S + 60)
@pytest.mark.parametrize("trained", ["weights", "adapters"])
def test_two_processes_train_on_screenshots_as_one_would(tmp_path: Path, trained: str) -> None:
    (tmp_path / "coin.py").write_text(COIN_TASK)
    write_tiny_vision(tmp_path / "policy")
    config = COIN_RUN.replace("[policy]\n", f"[policy]{POLICY}") + LEARNER
    # Until a checkpoint knows that an episode is over, its screenshots stay: they are asked for.
    config = config.replace("checkpoint_every = 1\n", "checkpoint_every = 10\n")
    if trained == "adapters":
        config += "lora = { rank = 4, alpha = 8 }\n"
    (tmp_path / "seeing.toml").write_text(config)
    found = subprocess.run(
        [sys.executable, *LAUNCH, "train", "seeing.toml"],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "200", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    run = RunFolder.existing(tmp_path / "runs" / "seeing")
    updates = [row for row in lines(run.path / "metrics.jsonl") if row["phase"] == "reinforce"]
    assert [row["step"] for row in updates] == [1, 2, 3]
    for row in updates:
        assert row["images"] >= 1
        assert (row["images_missing"], row["trajectories_dropped"]) == (0, 0)
    # The engine serves what the learner has; only responses of the present version are compared.
    gaps = [r["logprob_mismatch_mean"] for r in updates if "logprob_mismatch_mean" in r]
    assert gaps
    assert max(gaps) < 1e-3

    # One process alone takes the same first step from the same place on the same groups.
    own, start = run.config(), find_checkpoint(str(run.checkpoint("warm-start")))
    played = {t.episode_id: t for t in read_trajectories(run.rollouts)}
    first = lines(run.path / "updates.jsonl")[0]["groups"]
    members = [(number, [played[name] for name in names]) for number, names in first]
    groups = [Group(number, m[0].task_id, m[0].seed, tuple(m)) for number, m in members]
    plan = LearnerPlan(start, own.learner.whole(), own.objective, screenshots=run.screenshots)
    expected = plan.learner().update(groups, version=0)
    assert expected["images_missing"] == 0
    assert expected["grad_norm"] > 0
    for name in ("grad_norm", "entropy", "tokens", "images"):
        assert updates[0][name] == pytest.approx(expected[name], rel=1e-4)
