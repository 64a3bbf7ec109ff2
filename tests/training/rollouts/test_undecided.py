"""Episodes that nobody judged: they are no failures, and an error where none was ever judged."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.evaluators import judge
from webdojo.tasks.files import load_tasks_file
from webdojo.tasks.splits import TRAIN_SEEDS
from webdojo.training.config import RolloutConfig
from webdojo.training.episodes import EpisodeId
from webdojo.training.records import read_trajectories
from webdojo.training.rollouts.players import WorkerSettings
from webdojo.training.rollouts.pool import EpisodesFailError
from webdojo.training.rollouts.serving import _told
from webdojo.training.rollouts.worker import Worker

TASK = '''
from webdojo.tasks import Outcome, Task


class Judged(Task):
    """Its judge is away, except for seed 0."""

    id = "test.judged"

    async def setup(self, page, seed):
        self.seed = seed
        await page.set_content("<button>Go</button>")
        return "Go."

    async def evaluate(self, page, answer):
        if self.seed:
            return Outcome(0.0, done=self.seed == 1, message="the judge\\nis away", undecided=True)
        return Outcome(0.0, done=True, message="it is wrong")
'''


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[str]:
    file = tmp_path / "judged.py"
    file.write_text(TASK)
    ids = load_tasks_file(file)
    yield ids[0]
    registry.forget(ids)


async def test_an_episode_that_nobody_judged_is_undecided(
    judged: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "_judges", {})
    worker = Worker(WorkerSettings(slots=1))
    episodes = [EpisodeId(f"e{seed}", judged, seed) for seed in range(3)]
    try:
        found = [each async for each in worker.play("random", episodes, 0.0, 0)]
        assert [(each.ending, each.message) for each in found] == [
            ("failure", "it is wrong"),
            ("undecided", "the judge is away"),
            ("undecided", "the judge is away"),
        ]
        with pytest.raises(UserError, match=r"4 episodes were judged by nobody.*judge is away"):
            async for _ in worker.play("random", episodes[1:], 0.0, 0, in_all=4):
                pass
    finally:
        await worker.close()


AWAY = '''
from collections import Counter

from webdojo.tasks import Outcome, Task


class Away(Task):
    """Its judge is away {times} times, and then passes every other episode of a seed."""

    id = "test.away"
    away = {times}
    judged = Counter()

    async def setup(self, page, seed):
        self.seed = seed
        await page.set_content("<button>Go</button>")
        return "Go."

    async def evaluate(self, page, answer):
        if Away.away:
            Away.away -= 1
            return Outcome(0.0, done=True, message="the judge is away", undecided=True)
        Away.judged[self.seed] += 1
        return Outcome(float(Away.judged[self.seed] % 2), done=True)
'''


@contextlib.asynccontextmanager
async def rolling(tmp_path: Path, times: int) -> AsyncIterator[Worker]:
    """A worker whose pool plays a task with a judge that is away so many times."""
    file = tmp_path / "away.py"
    file.write_text(AWAY.format(times=times))
    ids = load_tasks_file(file)
    worker = Worker(WorkerSettings(checkpoint="webdojo-nano", max_response_tokens=8, slots=4))
    rollout = RolloutConfig(slots=4, group_size=4, groups_per_batch=1, deadline_s=900)
    log = tmp_path / "rollouts.jsonl"
    try:
        await worker.start_pool(rollout, ids, TRAIN_SEEDS, 0, log)
        yield worker
    finally:
        await worker.close()
        registry.forget(ids)


@pytest.mark.slow
async def test_the_pool_plays_again_what_nobody_judged(tmp_path: Path) -> None:
    async with rolling(tmp_path, times=2) as worker:
        (group,) = await worker.next_batch(0, 900) or ()
        figures = worker.figures()
    assert sorted(each.ending for each in group.trajectories) == ["failure"] * 2 + ["success"] * 2
    assert sum(each.attempts - 1 for each in group.trajectories) == 2
    assert figures["pool"]["retried"] == {"UndecidedEpisodeError": 2}
    assert figures["pool"]["groups_rejected"] == {}
    # Nobody counts them, and a run that is resumed does not find them.
    played = list(read_trajectories(tmp_path / "rollouts.jsonl"))
    assert {each.ending for each in played} == {"failure", "success"}
    assert figures["tasks"]["test.away"][0] == len(played)


@pytest.mark.slow
async def test_where_nobody_judges_the_run_is_told_so(tmp_path: Path) -> None:
    async with rolling(tmp_path, times=10**9) as worker:
        with pytest.raises(EpisodesFailError) as caught:
            await worker.next_batch(0, 900)
    kind, told = _told(caught.value)
    assert kind == "user_error"
    assert "was judged by nobody: the judge is away" in told
