"""An episode as the pool sees it: what is asked for, and how it is brought to an end in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from webdojo.training.rollouts.trajectory import Trajectory

GRACE_S = 10.0
"""Seconds that a cancelled episode has to clean up before it is cancelled again."""
LEAST_WAIT_S = 1.0
"""Seconds, at least, by which what held an episode up puts its deadline off."""


def _ignore() -> None:
    pass


@dataclass(frozen=True, slots=True)
class EpisodeRequest:
    """One attempt at one member of a group."""

    episode_id: str
    """Unique in a run: ``group-member-attempt``."""
    group_id: int
    member: int
    """Index in the group, 0 … group size − 1."""
    task_id: str
    seed: int
    attempt: int = 1
    """1 for the first attempt."""
    version: int = 0
    """Policy version when the attempt began; later tokens may come from later versions."""
    progress: Callable[[], None] = field(default=_ignore, compare=False, repr=False)
    """To be called at every step: a sign of life, shown in the pool's status."""


RunEpisode = Callable[[EpisodeRequest], Coroutine[Any, Any, Trajectory]]
"""Runs one episode to its end, however it ends for the agent.

It raises if the episode's *environment* died; the pool then runs it again. It is cancelled at the
deadline, and when its group can no longer be used. Waiting for an engine or a browser to come back
is its own business, within the deadline but for what the pool is told of as ``held_up_s``.
"""
HeldUp = Callable[[], float]
"""Seconds, so far, in which no episode could go on through no fault of its own."""


def never_held_up() -> float:
    """For episodes that depend on nothing that may be away."""
    return 0.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How one attempt ended: with a trajectory, or for a cause."""

    trajectory: Trajectory | None = None
    cause: str = ""
    """``deadline``, ``cancelled`` or the name of the exception's class; empty if all went well."""
    error: BaseException | None = None
    abandoned: bool = False
    """Whether it ignored every cancellation, so that its task was left behind."""


async def finish(
    episode: asyncio.Task[Trajectory],
    stop: asyncio.Future[None],
    *,
    deadline_s: float,
    grace_s: float,
    cancels: int = 3,
    held_up_s: HeldUp = never_held_up,
) -> Ended:
    """Wait for ``episode``, and end it at the deadline or once ``stop`` is done.

    The deadline is put off by what ``held_up_s`` rises meanwhile.

    A cancelled episode may hang in its own clean-up (closing a page of a dead browser), so it is
    cancelled up to ``cancels`` times, ``grace_s`` apart, and then left behind. If the caller is
    cancelled meanwhile, the episode is ended the same way before that takes effect.
    """
    # Its exception is read whatever becomes of the caller, or asyncio complains that nobody did.
    episode.add_done_callback(lambda task: task.cancelled() or task.exception())
    late = False
    ends: set[asyncio.Future[Any]] = {episode, stop}
    interrupted: asyncio.CancelledError | None = None
    try:
        await _first_of(ends, deadline_s, held_up_s)
        late = not episode.done()
    except asyncio.CancelledError as cancellation:
        interrupted = cancellation
    for _ in range(cancels):
        if not episode.done():
            episode.cancel()
            try:
                await asyncio.wait({episode}, timeout=grace_s)
            except asyncio.CancelledError as cancellation:
                interrupted = cancellation  # in the clean-up: it has that much less time
    if interrupted is not None:
        raise interrupted
    if not episode.done():
        return Ended(cause="deadline", abandoned=True)
    if late:
        return Ended(cause="deadline", error=None if episode.cancelled() else episode.exception())
    if episode.cancelled():
        return Ended(cause="cancelled")
    error = episode.exception()
    if error is not None:
        return Ended(cause=type(error).__name__, error=error)
    return Ended(episode.result())


async def in_time(
    run: Coroutine[Any, Any, Trajectory], deadline_s: float, held_up_s: HeldUp
) -> Trajectory:
    """What an episode outside the pool gives; TimeoutError at its deadline, and what it raises."""
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    episode = asyncio.create_task(run)
    ended = await finish(
        episode, never, deadline_s=deadline_s, grace_s=GRACE_S, held_up_s=held_up_s
    )
    if ended.cause == "deadline":
        raise TimeoutError
    return ended.trajectory or episode.result()


async def _first_of(ends: set[asyncio.Future[Any]], deadline_s: float, held_up_s: HeldUp) -> None:
    left_s = deadline_s
    while left_s > 0:
        before_s = held_up_s()
        done, _ = await asyncio.wait(ends, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        lost_s = held_up_s() - before_s
        left_s = max(lost_s, LEAST_WAIT_S) if lost_s and not done else 0
