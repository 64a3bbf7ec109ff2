"""New weights reach episodes that run, and no token that is trained on is too old."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from small_run import COIN_TASK, random_policy

from webdojo.tasks import registry
from webdojo.tasks.files import load_tasks_file
from webdojo.tasks.splits import TRAIN_SEEDS
from webdojo.training.config import RolloutConfig
from webdojo.training.rollouts.players import WorkerSettings
from webdojo.training.rollouts.process import RolloutProcess
from webdojo.training.rollouts.trajectory import Trajectory

UPDATES, MOST_UPDATES = 5, 100


@pytest.fixture(scope="module")
def rollouts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RolloutProcess]:
    folder = tmp_path_factory.mktemp("coins")
    file = folder / "coin.py"
    file.write_text(COIN_TASK)
    ids = load_tasks_file(file)
    settings = WorkerSettings(
        task_files=(str(file),),
        checkpoint=str(random_policy(folder / "policy")),
        max_response_tokens=8,
        slots=6,
    )
    with RolloutProcess(settings) as process:
        yield process
    registry.forget(ids)


def consumed(rollouts: RolloutProcess, staleness: int, folder: Path) -> list[list[Trajectory]]:
    """The trajectories of each update; the weights change a little every time.

    With staleness, updates go on until an episode was refreshed while it ran, which depends on
    how the processes' times fall.
    """
    checkpoint = Path(rollouts.settings.checkpoint) / "model.safetensors"
    weights = load_file(checkpoint)
    config = RolloutConfig(slots=6, group_size=4, groups_per_batch=2, staleness=staleness)
    published = folder / "weights.safetensors"

    def publish(version: int) -> None:
        save_file(
            {name: value * (1 + version / 1000) for name, value in weights.items()}, published
        )
        rollouts.call("publish", weights=published, version=version)

    batches = []
    publish(0)
    rollouts.call(
        "start_pool", rollout=config, task_ids=["test.coin"], seeds=TRAIN_SEEDS, seed=0,
        log_path=folder / "rollouts.jsonl",
    )  # fmt: skip
    for version in range(MOST_UPDATES):
        if version >= UPDATES and (staleness == 0 or any(map(_refreshed, chain(*batches)))):
            break
        groups = rollouts.call("next_batch", version=version, patience_s=900)
        assert len(groups) == 2
        assert all(group.mixed for group in groups)
        batches.append([t for group in groups for t in group.trajectories])
        publish(version + 1)
    rollouts.call("stop_pool")
    return batches


def _refreshed(trajectory: Trajectory) -> bool:
    return len({version for turn in trajectory.turns for version in turn.versions}) > 1


@pytest.mark.slow
def test_episodes_go_on_under_new_weights_and_none_is_too_old(
    rollouts: RolloutProcess, tmp_path: Path
) -> None:
    batches = consumed(rollouts, 2, tmp_path)
    for version, trajectories in enumerate(batches):
        for turn in (turn for t in trajectories for turn in t.turns):
            assert len(turn.versions) == len(turn.response_ids) == len(turn.logprobs) > 0
            assert all(version - 2 <= drawn <= version for drawn in turn.versions)
            assert list(turn.versions) == sorted(turn.versions)
    every = [t for trajectories in batches for t in trajectories]
    assert any(map(_refreshed, every))
    assert any(
        min(turn.versions) < version
        for version, trajectories in enumerate(batches)
        for t in trajectories
        for turn in t.turns
    )


def test_staleness_0_is_exactly_synchronous(rollouts: RolloutProcess, tmp_path: Path) -> None:
    for version, trajectories in enumerate(consumed(rollouts, 0, tmp_path)):
        assert {v for t in trajectories for turn in t.turns for v in turn.versions} == {version}


def test_a_batch_that_does_not_come_in_time_is_none_and_nothing_is_lost(
    rollouts: RolloutProcess, tmp_path: Path
) -> None:
    config = RolloutConfig(slots=4, group_size=4, groups_per_batch=1)
    weights = Path(rollouts.settings.checkpoint) / "model.safetensors"
    rollouts.call("publish", weights=weights, version=0)
    rollouts.call(
        "start_pool", rollout=config, task_ids=["test.coin"], seeds=TRAIN_SEEDS, seed=1,
        log_path=tmp_path / "rollouts.jsonl",
    )  # fmt: skip
    assert rollouts.call("next_batch", version=0, patience_s=0.001) is None
    (group,) = rollouts.call("next_batch", version=0, patience_s=900)
    assert group.mixed
    rollouts.call("stop_pool")
