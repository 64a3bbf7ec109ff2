"""Pages that nobody will ask for again are closed."""

from __future__ import annotations

import psutil

from webdojo.training.episodes import EpisodeId
from webdojo.training.rollouts.players import WorkerSettings
from webdojo.training.rollouts.worker import Worker


def shows_a_page(process: psutil.Process) -> bool:
    try:
        return "--type=renderer" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # it has ended
        return False


async def test_the_pages_of_demonstrations_are_closed_after_the_last_one() -> None:
    worker = Worker(WorkerSettings(checkpoint="webdojo-nano", slots=2))
    try:
        browser = psutil.Process(await worker.open_browser())

        def renderers() -> list[psutil.Process]:
            return [child for child in browser.children(recursive=True) if shows_a_page(child)]

        before = len(renderers())
        episodes = [EpisodeId(f"demo-{seed}", "miniwob.click-button", seed) for seed in range(3)]
        seen = []
        async for trajectory in worker.play("demonstrator", episodes, 0.0, seed=0):
            seen.append((trajectory.reward > 0, len(renderers()) > before))
        assert seen == [(True, True)] * 3
        _, open_still = psutil.wait_procs(renderers(), timeout=30)
        assert len(open_still) == before == 0
    finally:
        await worker.close()
