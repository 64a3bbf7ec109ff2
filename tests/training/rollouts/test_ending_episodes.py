"""However an episode is ended, its task has ended when ``finish`` returns."""

from __future__ import annotations

import asyncio

import pytest

from webdojo.training.rollouts.episode import finish
from webdojo.training.rollouts.trajectory import Trajectory


async def _hangs_in_its_clean_up() -> Trajectory:
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.Event().wait()  # as when a page of a dead browser is closed


def test_a_pool_that_closes_while_an_episode_cleans_up_leaves_no_task_behind() -> None:
    async def main() -> None:
        episode = asyncio.create_task(_hangs_in_its_clean_up())
        never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        caller = asyncio.create_task(finish(episode, never, deadline_s=0.01, grace_s=60))
        async with asyncio.timeout(60):
            while not episode.cancelling():  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.01)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert episode.done()

    asyncio.run(main())
