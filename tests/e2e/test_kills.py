"""kill -9 at random moments of real runs: every restart goes on, and no episode is lost."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from small_run import (
    PATIENCE_S,
    POLICY,
    coin_run,
    family,
    finish,
    lines,
    start,
    webdojo,
)

UPDATES = 40
DETERMINISTIC = f"""
name = "same"
seed = 3

[policy]
checkpoint = "{POLICY}"

[tasks]
reinforced = ["miniwob.click-button", "miniwob.click-dialog-2"]

[rollout]
slots = 4
group_size = 4
groups_per_batch = 2
staleness = 0
collection = "submission"
temperature = 1.3
deterministic = true

[learner]
lr = 1e-4

[reinforce]
updates = 4
checkpoint_every = 1

[evaluation]
episodes_per_task = 0
"""


def kill_after(arguments: list[str], folder: Path, run: Path, episodes: int, wait_s: float) -> bool:
    """Start a run, kill it ``wait_s`` after so many more episodes; whether it was still going."""
    rollouts = run / "trajectories" / "rollouts.jsonl"
    process = start(folder, *arguments)
    seen = len(lines(rollouts))
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        if len(lines(rollouts)) >= seen + episodes:
            break
        time.sleep(0.02)
    time.sleep(wait_s)
    going = process.poll() is None
    below = family(process) if going else []
    process.kill()
    finish(process)
    _, alive = psutil.wait_procs(below, timeout=30)
    assert alive == []
    return going


def trained_on(run: Path) -> list[str]:
    """Episodes of all updates, which must be numbered without a gap."""
    updates = lines(run / "updates.jsonl")
    assert [update["version"] for update in updates] == list(range(1, len(updates) + 1))
    return [episode for update in updates for _, members in update["groups"] for episode in members]


@pytest.mark.slow
@pytest.mark.parametrize("kills", [3, 20])
@pytest.mark.timeout(3600)
def test_every_restart_goes_on_and_no_episode_is_lost_or_trained_on_twice(
    tmp_path: Path, kills: int
) -> None:
    config = coin_run(tmp_path)
    updates = UPDATES if kills > 3 else 6
    settings = [f"reinforce.updates={updates}", "warm_start.episodes_per_task=0"]
    first = ["train", str(config), *(x for s in settings for x in ("--set", s))]
    run = tmp_path / "runs" / "coin"
    rollouts = run / "trajectories" / "rollouts.jsonl"
    chance = random.Random(kills)
    kept: list[dict[str, Any]] = []
    killed = 0
    for _ in range(kills):
        arguments = ["train", "--resume", str(run)] if (run / "state.json").exists() else first
        # Anything between the start, before a browser is there, and the middle of a checkpoint.
        episodes = chance.choice([0, 1, 4, 8])
        if not kill_after(arguments, tmp_path, run, episodes, chance.uniform(0, 1)):
            break
        killed += 1
        now = lines(rollouts)
        # Episodes before the first checkpoint were drawn for a learner that is gone.
        if any(run.glob("checkpoints/update-[0-9]*[0-9]")):
            assert now[: len(kept)] == kept
            kept = now

    assert killed == kills  # else there were too few updates to be killed so often
    resume = ["train", "--resume", str(run)] if (run / "state.json").exists() else first
    status, output, errors = webdojo(tmp_path, *resume)
    assert (status, errors) == (0, ""), output
    trained = trained_on(run)
    assert len(trained) == len(set(trained)) == 4 * updates
    found = lines(rollouts)
    assert found[: len(kept)] == kept
    assert set(trained) <= {row["episode_id"] for row in found}
    # What was finished was never run again.
    places = [(row["group_id"], row["member"]) for row in found]
    assert len(places) == len(set(places))
    throughput = json.loads((run / "throughput.json").read_text())
    assert throughput["groups"]["groups_consumed"] == throughput["updates"]
    assert list(run.glob("**/*.partial")) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_deterministic_run_killed_twice_ends_in_the_same_bits(tmp_path: Path) -> None:
    weights, trained = [], []
    for kills in (0, 2):
        folder = tmp_path / str(kills)
        folder.mkdir()
        (folder / "same.toml").write_text(DETERMINISTIC)
        run = folder / "runs" / "same"
        first = ["train", "same.toml"]
        for number in range(kills):
            arguments = ["train", "--resume", str(run)] if number else first
            assert kill_after(arguments, folder, run, 5 + 6 * number, 0.1)
        arguments = ["train", "--resume", str(run)] if kills else first
        status, output, errors = webdojo(folder, *arguments)
        assert (status, errors) == (0, ""), output
        weights.append((run / "checkpoints" / "final" / "model.safetensors").read_bytes())
        trained.append(trained_on(run))
    assert trained[0] == trained[1]
    assert weights[0] == weights[1]
