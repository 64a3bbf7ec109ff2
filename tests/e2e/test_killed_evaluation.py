"""An evaluation whose rollout process is killed: nothing is played twice, nothing is lost."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from webdojo.tasks.errors import UserError
from webdojo.training.evaluate_agent import evaluate_agent
from webdojo.training.evaluation import Tally
from webdojo.training.rollouts.process import RESTARTS
from webdojo.training.rollouts.trajectory import Trajectory

PLAYED = (
    'name = "some"\nversion = 1\nseeds = [1_000_000_000, 1_000_000_100]\n'
    'tasks = ["miniwob.click-button", "miniwob.click-test-2"]\n'
)


@pytest.fixture
def split(tmp_path: Path) -> str:
    path = tmp_path / "some.toml"
    path.write_text(PLAYED)
    return str(path)


def evaluated(split: str, episodes: int = 3) -> dict[str, Any]:
    return evaluate_agent("random", split, episodes=episodes, quiet=True)


def killing(monkeypatch: pytest.MonkeyPatch, kills: int) -> list[str]:
    """Kill the rollout process at the first new episode it gives, so many times; tells them all."""
    seen: list[str] = []
    killed: set[int | None] = set()
    count = Tally.add

    def add(tally: Tally, trajectory: Trajectory) -> None:
        count(tally, trajectory)
        if trajectory.episode_id in seen:
            return
        seen.append(trajectory.episode_id)
        # There is none where what it gave before it was killed is still read.
        for child in multiprocessing.active_children() if len(killed) < kills else ():
            child.kill()
            child.join()
            killed.add(child.pid)

    monkeypatch.setattr(Tally, "add", add)
    return seen


def test_it_goes_on_with_the_episodes_that_are_left(
    split: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    seen = killing(monkeypatch, 1)
    interrupted = evaluated(split)
    assert len(seen) == len(set(seen)) == 6
    said = capfd.readouterr().err
    assert said.count("was killed by SIGKILL") == 1
    assert said.count("another plays the episodes that are left") == 1
    assert interrupted == evaluated(split)


@pytest.mark.slow
def test_one_that_is_killed_again_and_again_ends_with_a_sentence(
    split: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killing(monkeypatch, RESTARTS + 1)
    with pytest.raises(UserError, match=r"was killed by SIGKILL.*, for the 4th time"):
        evaluated(split, episodes=20)
