"""Episodes outside the pool that cannot be played: one is given up, many in a row are an error."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from webdojo.agents.checkpoint import find_checkpoint
from webdojo.agents.engines.decoder import Counters
from webdojo.agents.engines.restarting import RestartingEngine
from webdojo.agents.engines.transformers_engine import TransformersEngine
from webdojo.agents.layouts.layout import Vision
from webdojo.agents.pictures import Picture, Pictures
from webdojo.agents.tiny_vision import write_tiny_vision
from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.files import load_tasks_file
from webdojo.training.episodes import EpisodeId
from webdojo.training.rollouts.players import WorkerSettings
from webdojo.training.rollouts.trajectory import Trajectory
from webdojo.training.rollouts.worker import Worker

HANGS = '''
import asyncio
from webdojo.tasks import Outcome, Task


class Hangs(Task):
    """Its instance does not load before ``loads`` is set."""

    id = "test.hangs"
    loads = asyncio.Event()

    async def setup(self, page, seed):
        await self.loads.wait()

    async def evaluate(self, page, answer):
        return Outcome(1.0, done=True)
'''


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[EpisodeId]:
    file = tmp_path / "hangs.py"
    file.write_text(HANGS)
    ids = load_tasks_file(file)
    yield EpisodeId("e", ids[0], 0)
    registry.forget(ids)


class Away:
    """In place of an engine: from a deadline on it is away for long, and what waits goes on."""

    def __init__(self, goes_on: asyncio.Event) -> None:
        self.counters = Counters()
        self._asked = 0
        self._goes_on = goes_on

    @property
    def away_s(self) -> float:
        self._asked += 1
        if self._asked == 1:
            return 0.0
        self._goes_on.set()
        return 900.0

    async def drawn(self, draw: Any) -> None:
        """It answers."""

    async def close(self) -> None:
        """It has nothing to close."""


async def played(worker: Worker, episodes: list[EpisodeId], **more: Any) -> list[Trajectory]:
    player: Any = "policy" if worker.settings.checkpoint else "random"
    return [each async for each in worker.play(player, episodes, 0.0, 0, **more)]


async def test_the_last_episode_of_many_may_be_given_up(hanging: EpisodeId) -> None:
    worker = Worker(WorkerSettings(slots=1, deadline_s=0.2))
    try:
        (given_up,) = await played(worker, [hanging], in_all=2)
        assert (given_up.ending, given_up.reward, given_up.attempts) == ("deadline", 0.0, 3)
        with pytest.raises(UserError, match=r"2 episodes in a row .* no end within 0\.2 s"):
            await played(worker, [hanging], in_all=2)
    finally:
        await worker.close()


@pytest.mark.parametrize(
    ("deadline_s", "step_s"),
    [(1.0, 15.0), (60.0, 15.0), (120.0, 30.0), (240.0, 60.0), (900.0, 60.0)],
)
async def test_a_longer_deadline_gives_a_slow_site_longer_steps(
    deadline_s: float, step_s: float
) -> None:
    """Up to the time within which tasks are certified: what passes there can be trained on."""
    worker = Worker(WorkerSettings(slots=1, deadline_s=deadline_s))
    for player in ("policy", "demonstrator"):
        assert worker._envs(cast(Any, player), ("pruned_html",)).spec.step_timeout_s == step_s


async def test_no_deadline_of_an_episode_runs_while_an_engine_is_replaced(
    hanging: EpisodeId,
) -> None:
    worker = Worker(WorkerSettings(slots=1, deadline_s=0.2))
    task: Any = registry.entry(hanging.task_id).task
    worker.players.running = cast(Any, Away(task.loads))
    try:
        (found,) = await played(worker, [hanging])
        assert (found.ending, found.attempts) == ("success", 1)
    finally:
        await worker.close()


@pytest.mark.slow
async def test_an_episode_whose_screenshot_is_damaged_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_vision(tmp_path / "p")
    settings = WorkerSettings(
        checkpoint=str(tmp_path / "p"), layout="chat", context_tokens=4096, max_response_tokens=4,
        slots=1, vision=Vision(images=1),
    )  # fmt: skip
    worker = Worker(settings)
    keep = Pictures.keep
    damaged: list[str] = []

    def damaging(pictures: Pictures, image: bytes) -> Picture:
        picture = keep(pictures, image)
        if not damaged:
            damaged.append(picture.reference)
            file = pictures.store.folder / picture.reference
            file.write_bytes(file.read_bytes()[:300])
        return picture

    monkeypatch.setattr(Pictures, "keep", damaging)
    episodes = [EpisodeId(f"e{n}", "miniwob.click-test-2", 10**9 + n) for n in range(2)]
    try:
        assert [each.episode_id for each in await played(worker, episodes)] == ["e0", "e1"]
        assert len(damaged) == 1
    finally:
        await worker.close()


class Loading(TransformersEngine):
    """Takes the place of vLLM, which is there long before its model is loaded."""

    loaded: asyncio.Event
    asked: asyncio.Event

    async def checksum(self) -> int:
        self.asked.set()
        await self.loaded.wait()
        return await super().checksum()

    async def generate(self, *arguments: Any, **options: Any) -> Any:
        assert self.loaded.is_set()
        return await super().generate(*arguments, **options)


@pytest.mark.slow
async def test_no_episode_begins_before_the_engine_has_loaded_its_model() -> None:
    worker = Worker(WorkerSettings(checkpoint="webdojo-nano", slots=1))
    Loading.loaded, Loading.asked = asyncio.Event(), asyncio.Event()
    model = find_checkpoint("webdojo-nano").model()
    running: Any = RestartingEngine(lambda version: Loading(model, version=version))
    worker.players.running = running
    try:
        playing = asyncio.create_task(
            played(worker, [EpisodeId("e", "miniwob.click-button", 10**9)])
        )
        ends = [asyncio.create_task(Loading.asked.wait()), playing]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        assert not playing.done()
        Loading.loaded.set()
        assert len(await playing) == 1
    finally:
        await worker.close()
