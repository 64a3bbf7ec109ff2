"""Episodes that nobody judged: they are no failures, and an error where none was ever judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.evaluators import judge
from webdojo.tasks.files import load_tasks_file
from webdojo.training.episodes import EpisodeId
from webdojo.training.rollouts.players import WorkerSettings
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
