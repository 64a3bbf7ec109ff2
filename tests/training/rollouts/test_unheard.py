"""What goes wrong when nobody waits for it any more is no traceback on the user's terminal."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Coroutine
from multiprocessing import Pipe
from typing import Any

import pytest

from webdojo.training.rollouts.episode import finish
from webdojo.training.rollouts.players import WorkerSettings
from webdojo.training.rollouts.serving import _serve
from webdojo.training.rollouts.trajectory import Trajectory
from webdojo.training.rollouts.worker import Worker


def complaints(work: Coroutine[Any, Any, object]) -> list[str]:
    """What asyncio says while and after ``work`` runs."""
    said: list[str] = []

    async def listen() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: said.append(str(told)))
        await work
        gc.collect()
        await asyncio.sleep(0)

    asyncio.run(listen())
    gc.collect()
    return said


async def _fails_when_cancelled() -> Trajectory:
    try:
        await asyncio.Event().wait()
    finally:
        raise RuntimeError("the browser is gone")


async def _ended_with_its_caller() -> None:
    episode = asyncio.create_task(_fails_when_cancelled())
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    caller = asyncio.create_task(finish(episode, never, deadline_s=60, grace_s=60))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert episode.done()
    assert not episode.cancelled()


async def _forgotten() -> None:
    asyncio.create_task(_fails_when_cancelled()).cancel()
    failing = asyncio.create_task(_fails_when_cancelled())
    await asyncio.sleep(0)
    failing.cancel()
    await asyncio.sleep(0)


def test_the_complaint_would_be_heard() -> None:
    assert any("never retrieved" in told for told in complaints(_forgotten()))


def test_an_episode_that_fails_as_the_pool_closes_is_quiet() -> None:
    assert complaints(_ended_with_its_caller()) == []


class StreamingWorker(Worker):
    """Streams numbers for ever, in place of episodes, which would need a browser."""

    ended = False

    async def play(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        try:
            number = 0
            while True:
                yield (number := number + 1)
                await asyncio.sleep(0)
        finally:
            StreamingWorker.ended = True


@pytest.mark.parametrize("method", ["play", "nothing_of_the_kind"])
def test_a_learner_that_has_hung_up_is_told_nothing_more(method: str) -> None:
    mine, theirs = Pipe()
    mine.send((method, {}))
    mine.close()
    StreamingWorker.ended = False
    assert complaints(_serve(theirs, StreamingWorker(WorkerSettings()))) == []
    assert StreamingWorker.ended or method != "play"
