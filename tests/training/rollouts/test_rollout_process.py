"""The rollout process: answers, streams, errors that travel, and ends that leave nothing behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

from webdojo.agents.checkpoint import SHIPPED
from webdojo.tasks.errors import UserError
from webdojo.tasks.splits import HELD_OUT_SEEDS
from webdojo.training.episodes import EpisodeId
from webdojo.training.rollouts.players import WorkerSettings
from webdojo.training.rollouts.process import (
    RolloutProcess,
    RolloutsDiedError,
    RolloutsKilledError,
)

PROCESS = "webdojo.training.rollouts.process"


@pytest.fixture
def rollouts() -> Iterator[RolloutProcess]:
    with RolloutProcess(WorkerSettings(slots=2, checkpoint="nowhere")) as process:
        yield process


SLOW_TASK = """
import asyncio

from webdojo.tasks import Outcome, Task


class Slow(Task):
    "Its page takes ten seconds."

    id = "test.slow"

    async def setup(self, page, seed):
        await asyncio.sleep(10)
        await page.set_content("<button>Go</button>")
        return "Go."

    async def evaluate(self, page, answer):
        return Outcome(1.0, done=True)
"""


def episodes(count: int) -> list[EpisodeId]:
    seeds = HELD_OUT_SEEDS[:count]
    return [EpisodeId(f"e{seed}", "miniwob.click-button", seed) for seed in seeds]


def play(rollouts: RolloutProcess, count: int, player: str = "oracle") -> list[str]:
    stream = rollouts.stream(
        "play", player=player, episodes=episodes(count), temperature=0.0, seed=0
    )
    return sorted(f"{t.episode_id} {t.ending}" for t in stream)


def test_episodes_are_streamed_and_the_process_serves_on(rollouts: RolloutProcess) -> None:
    expected = [f"e{seed} success" for seed in HELD_OUT_SEEDS[:5]]
    assert play(rollouts, 5) == expected
    assert play(rollouts, 0) == []
    assert play(rollouts, 2) == expected[:2]


def test_a_killed_browser_costs_no_episode(rollouts: RolloutProcess) -> None:
    browser = rollouts.call("open_browser")
    stream = rollouts.stream("play", player="oracle", episodes=episodes(6), temperature=0.0, seed=0)
    found = [next(stream)]
    os.kill(browser, signal.SIGKILL)
    found += list(stream)
    assert sorted(t.episode_id for t in found) == [f"e{seed}" for seed in HELD_OUT_SEEDS[:6]]
    assert all(t.reward > 0 for t in found)
    assert rollouts.call("open_browser") != browser


def test_what_the_user_can_mend_travels_as_such_and_the_process_serves_on(
    rollouts: RolloutProcess,
) -> None:
    with pytest.raises(UserError, match="no policy 'nowhere'"):
        play(rollouts, 1, player="policy")
    assert len(play(rollouts, 1)) == 1


def test_a_defect_travels_with_its_traceback(rollouts: RolloutProcess) -> None:
    with pytest.raises(RolloutsDiedError, match="AttributeError") as caught:
        rollouts.call("no_such_method")
    assert "In the rollout process:\nTraceback" in "".join(caught.value.__notes__)
    assert not isinstance(caught.value, RolloutsKilledError)


@pytest.mark.parametrize("method", ["publish", "play"])
def test_an_engine_that_cannot_be_started_is_told_of_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'ValueError: no room for one sequence'\nexit 1\n")
    python.chmod(0o700)
    monkeypatch.setenv("WEBDOJO_VLLM_PYTHON", str(python))
    settings = WorkerSettings(slots=2, checkpoint="webdojo-nano", engine="vllm")
    with (
        RolloutProcess(settings) as process,
        pytest.raises(UserError, match=r"the engine died.*: no room for one sequence$"),
    ):
        if method == "publish":
            process.call("publish", weights=SHIPPED["webdojo-nano"], version=0)
        else:
            played = {"player": "policy", "episodes": episodes(1), "temperature": 0.0, "seed": 0}
            next(process.stream("play", **played))


def test_a_killed_process_is_told_from_a_defect(rollouts: RolloutProcess) -> None:
    assert rollouts.pid is not None
    rollouts.call("open_browser")
    below = psutil.Process(rollouts.pid).children(recursive=True)
    os.kill(rollouts.pid, signal.SIGKILL)
    with pytest.raises(RolloutsKilledError, match="killed by SIGKILL, perhaps because memory"):
        play(rollouts, 1)
    with pytest.raises(RolloutsKilledError):
        rollouts.call("open_browser")
    _, alive = psutil.wait_procs(below, timeout=30)
    assert alive == []


def test_a_process_that_hangs_is_killed_with_its_browser(
    rollouts: RolloutProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rollouts.pid is not None
    rollouts.call("open_browser")
    below = psutil.Process(rollouts.pid).children(recursive=True)
    monkeypatch.setattr("webdojo.training.rollouts.process.QUIET_S", 2.0)
    os.kill(rollouts.pid, signal.SIGSTOP)
    with pytest.raises(RolloutsKilledError, match="gave no sign of life for 2 s"):
        play(rollouts, 1)
    _, alive = psutil.wait_procs(below, timeout=30)
    assert alive == []


def _stops_within_an_answer(connection: Connection, settings: WorkerSettings) -> None:
    connection.recv()
    os.write(connection.fileno(), (1000).to_bytes(4, "big") + 500 * b"x")
    signal.pause()


@pytest.mark.parametrize("ends", ["call", "close"])
def test_a_process_that_stops_within_an_answer_is_killed(
    monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    forks = multiprocessing.get_context("fork")
    monkeypatch.setattr(f"{PROCESS}.multiprocessing.get_context", lambda kind: forks)
    monkeypatch.setattr(f"{PROCESS}.main", _stops_within_an_answer)
    monkeypatch.setattr(f"{PROCESS}.QUIET_S", 0.5)
    monkeypatch.setattr(f"{PROCESS}.STOP_S", 0.5)
    with RolloutProcess(WorkerSettings()) as process:
        if ends == "call":
            with pytest.raises(RolloutsKilledError, match=r"no sign of life for 0\.5 s"):
                process.call("figures")
    assert process.pid is not None
    assert not psutil.pid_exists(process.pid)


@pytest.mark.slow
def test_a_process_that_takes_long_is_alive(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "tasks.py"
    file.write_text(SLOW_TASK)
    with RolloutProcess(WorkerSettings(slots=1, task_files=(str(file),))) as rollouts:
        rollouts.call("open_browser")
        monkeypatch.setattr("webdojo.training.rollouts.process.QUIET_S", 6.0)
        slow = [EpisodeId("slow", "test.slow", HELD_OUT_SEEDS[0])]
        (found,) = rollouts.stream("play", player="random", episodes=slow, temperature=0.0, seed=0)
    assert found.ending == "success"


def test_closing_ends_process_and_browser_even_in_the_middle() -> None:
    with RolloutProcess(WorkerSettings(slots=2)) as rollouts:
        rollouts.call("open_browser")
        stream = rollouts.stream(
            "play", player="oracle", episodes=episodes(50), temperature=0.0, seed=0
        )
        next(stream)
        assert rollouts.pid is not None
        process = psutil.Process(rollouts.pid)
        below = [process, *process.children(recursive=True)]
    _, alive = psutil.wait_procs(below, timeout=30)
    assert alive == []
    rollouts.close()


def test_a_task_file_that_broke_meanwhile_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "tasks.py"
    file.write_text("x = 1\n")
    settings = WorkerSettings(task_files=(str(file),))
    with RolloutProcess(settings) as process, pytest.raises(UserError, match="no task in it"):
        process.call("open_browser")
