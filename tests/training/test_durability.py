"""Kills at any moment of a course with a real pool, real learner and real files, in virtual time.

The environment is scripted, so that hours pass in seconds; with real browsers the same is checked
by tests/e2e/test_kills.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from test_learner import CONFIG, VOCABULARY, logprobs_of, tiny_model

from webdojo.tasks.sampling import AdaptiveSampler
from webdojo.training.checkpoints import Checkpoints
from webdojo.training.config_files import parse_config
from webdojo.training.learner import Learner
from webdojo.training.records import TrajectoryLog, read_trajectories
from webdojo.training.rollouts.episode import EpisodeRequest
from webdojo.training.rollouts.pool import RolloutPool
from webdojo.training.rollouts.trajectory import Trajectory, Turn
from webdojo.training.rollouts.virtual_time import run_in_virtual_time
from webdojo.training.run_folder import RunFolder
from webdojo.training.update_log import UPDATES_FILE, UpdateLog

# One thread: more only wait for one another on matrices of this size.
torch.set_num_threads(1)
UPDATES = 5
UPDATE_S = 25.0
RUN = parse_config({"name": "mine", "tasks": {"reinforced": ["miniwob.click-button"]}}, "test")


class Course:
    """A run of ``UPDATES`` updates in a folder; ``go`` may be killed, and called again."""

    def __init__(self, path: Path, *, staleness: int, checkpoint_every: int = 1) -> None:
        self.folder = RunFolder.create(RUN, path)
        self.staleness = staleness
        self.checkpoint_every = checkpoint_every
        self.episodes = self.folder.rollouts

    def go(self, kill_s: float = 1e9) -> bool:
        """Run until the end or until ``kill_s`` of simulated time; whether it is done."""
        return run_in_virtual_time(self._main(kill_s))

    async def _main(self, kill_s: float) -> bool:
        model = tiny_model()
        learner = Learner(model, CONFIG)
        checkpoints = Checkpoints(self.folder)
        saved = checkpoints.latest()
        version = 0
        if saved is not None:
            learner.load_state_dict(saved.learner)
            version = saved.version
        log = TrajectoryLog(self.episodes)
        updates = UpdateLog(self.folder.path / UPDATES_FILE, version)

        async def episode(request: EpisodeRequest) -> Trajectory:
            """Tokens drawn from the present weights by the episode's own chance."""
            chance = random.Random(f"{request.group_id}/{request.member}")
            await asyncio.sleep(chance.expovariate(1 / 20))
            prompt = tuple(request.seed % 7 + t for t in range(12))
            response = tuple(chance.randrange(VOCABULARY) for _ in range(4))
            (logprobs,) = logprobs_of(model, [(prompt, response)])
            row = Turn(prompt, response, tuple(logprobs.tolist()), (pool.version,) * 4, "noop()")
            return Trajectory(
                request.episode_id, request.task_id, request.seed, request.group_id,
                request.member, (row,), float(chance.random() < 0.5), "success",
            )  # fmt: skip

        async def keep(trajectory: Trajectory) -> None:
            log.append(trajectory)

        pool = RolloutPool(
            episode, AdaptiveSampler(["a.one", "a.two"], range(1000)), slots=6,
            groups_per_batch=2, group_size=3, staleness=self.staleness, version=version,
            collection="submission", on_trajectory=keep,
        )  # fmt: skip
        if saved is not None:
            repeats = self.staleness == 0
            pool.load_state_dict(saved.pool, read_trajectories(self.episodes), repeats=repeats)
        else:
            checkpoints.save(0, learner.state_dict(), pool.state_dict(), 0.0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(kill_s), pool:
                while version < UPDATES:
                    groups = await pool.next_batch(version)
                    tokens = [
                        version - drawn_by
                        for group in groups
                        for trajectory in group.trajectories
                        for drawn_by in trajectory.turns[0].versions
                    ]
                    assert 0 <= min(tokens) <= max(tokens) <= self.staleness
                    await asyncio.sleep(UPDATE_S)
                    figures = learner.update(groups, version)
                    # What counts as drawn by these weights was drawn by them.
                    assert figures.get("logprob_mismatch_max", 0.0) < 1e-4
                    version += 1
                    updates.append(version, groups)
                    pool.set_version(version)
                    if version % self.checkpoint_every == 0 or version == UPDATES:
                        checkpoints.save(version, learner.state_dict(), pool.state_dict(), 0.0)
        return version == UPDATES

    def weights(self) -> dict[str, torch.Tensor]:
        saved = Checkpoints(self.folder).latest()
        assert saved is not None
        assert saved.version == UPDATES
        weights: dict[str, torch.Tensor] = saved.learner["weights"]
        return weights

    def trained(self) -> list[tuple[int, list[str]]]:
        """Version and episodes of each update."""
        lines = (self.folder.path / UPDATES_FILE).read_text().splitlines()
        found = [json.loads(line) for line in lines]
        return [(f["version"], [e for _, members in f["groups"] for e in members]) for f in found]


def kills(seed: int, count: int) -> list[float]:
    chance = random.Random(seed)
    return [chance.uniform(1, 120) for _ in range(count)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Course:
    course = Course(tmp_path_factory.mktemp("whole"), staleness=0)
    assert course.go()
    return course


def assert_same_end(course: Course, whole: Course) -> None:
    for name, value in whole.weights().items():
        assert torch.equal(course.weights()[name], value), name
    assert course.trained() == whole.trained()


@pytest.mark.parametrize(("seed", "checkpoint_every"), [(0, 1), (1, 1), (2, 3), (3, 10)])
def test_a_deterministic_course_killed_again_and_again_ends_in_the_same_bits(
    tmp_path: Path, whole: Course, seed: int, checkpoint_every: int
) -> None:
    course = Course(tmp_path, staleness=0, checkpoint_every=checkpoint_every)
    done = [course.go(kill_s) for kill_s in kills(seed, 5)]
    assert not done[0]
    assert course.go()
    assert_same_end(course, whole)


def test_a_disk_that_fills_up_again_and_again_changes_nothing_of_the_end(
    tmp_path: Path, whole: Course
) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        course = Course(tmp_path / "course", staleness=0)
        ballast = tmp_path / "ballast"
        course.go(20)
        # From nothing at all: episodes, lines of updates and checkpoints find no room in turn.
        for room in (0, 2_000, 8_000, 30_000, 60_000, 150_000):
            fill(ballast, room)
            with pytest.raises(OSError, match="No space left") as caught:
                course.go()
            assert str(course.folder.path) in str(caught.value.filename)
            ballast.unlink()
        assert course.go()
        assert_same_end(course, whole)
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=False)


def fill(ballast: Path, room: int) -> None:
    """Leave about ``room`` bytes of the disk."""
    free = shutil.disk_usage(ballast.parent).free
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free - room)


@pytest.mark.parametrize(("seed", "checkpoint_every"), [(0, 1), (1, 2), (2, 3), (3, 10)])
def test_twenty_kills_lose_no_episode_and_train_on_none_twice(
    tmp_path: Path, seed: int, checkpoint_every: int
) -> None:
    course = Course(tmp_path, staleness=2, checkpoint_every=checkpoint_every)
    kept: list[str] = []
    for kill_s in kills(seed, 20):
        course.go(kill_s)
        found = [t.episode_id for t in read_trajectories(course.episodes)]
        assert found[: len(kept)] == kept
        kept = found
    assert course.go()
    versions = [version for version, _ in course.trained()]
    assert versions == list(range(1, UPDATES + 1))
    trained = [episode for _, episodes in course.trained() for episode in episodes]
    assert len(trained) == len(set(trained)) == UPDATES * 6
    on_disk = list(read_trajectories(course.episodes))
    assert set(trained) <= {t.episode_id for t in on_disk}
    # What was finished was never run again.
    places = [(t.group_id, t.member) for t in on_disk]
    assert len(places) == len(set(places))
