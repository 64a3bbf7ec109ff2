"""A pool of four slots and groups of two: ten seconds an episode, and only member 0 succeeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from scripted_episodes import trajectory_of

from webdojo.tasks.sampling import UniformSampler
from webdojo.training.rollouts.episode import EpisodeRequest
from webdojo.training.rollouts.pool import RolloutPool
from webdojo.training.rollouts.trajectory import Trajectory

Run = Callable[[EpisodeRequest], Coroutine[Any, Any, Trajectory]]


def mixed(request: EpisodeRequest, *versions: int) -> Trajectory:
    """A trajectory of a group in which only member 0 succeeds."""
    return trajectory_of(request, versions or (request.version,), float(request.member == 0))


async def ten_seconds(request: EpisodeRequest) -> Trajectory:
    await asyncio.sleep(10)
    return mixed(request)


def make_pool(run: Run = ten_seconds, **settings: Any) -> RolloutPool:
    defaults = {"slots": 4, "groups_per_batch": 1, "group_size": 2, "staleness": 0}
    return RolloutPool(run, UniformSampler(["a.task"], range(10)), **{**defaults, **settings})


def now() -> float:
    return asyncio.get_running_loop().time()
