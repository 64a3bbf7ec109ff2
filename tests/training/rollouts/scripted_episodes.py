"""Episodes that follow a script of latencies, faults and rewards, with no browser and no model."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from webdojo.training.rollouts.episode import EpisodeRequest
from webdojo.training.rollouts.pool import RolloutPool
from webdojo.training.rollouts.trajectory import Group, Trajectory, Turn
from webdojo.training.rollouts.virtual_time import VirtualTimeLoop

Result = TypeVar("Result")


class ScriptedDeathError(RuntimeError):
    """The environment died, as the script says."""


def trajectory_of(request: EpisodeRequest, versions: tuple[int, ...], reward: float) -> Trajectory:
    turn = Turn((1,), (0,) * len(versions), (0.0,) * len(versions), versions, "noop()")
    return Trajectory(
        episode_id=request.episode_id,
        task_id=request.task_id,
        seed=request.seed,
        group_id=request.group_id,
        member=request.member,
        turns=(turn,),
        reward=reward,
        ending="success" if reward else "failure",
        attempts=request.attempt,
    )


@dataclass
class ScriptedEpisodes:
    """What happens depends on the group, member and attempt; how long it takes also on ``latency``.

    Every step draws one token under the version that the pool has at that moment.
    """

    world: int = 0
    """Chooses rewards, deaths and numbers of steps."""
    latency: int = 0
    """Chooses how long steps take."""
    step_s: float = 10.0
    success: float = 0.5
    death: float = 0.0
    hang: float = 0.0
    """Share of attempts that never end by themselves."""
    stubborn: float = 0.0
    """Share of attempts that hang in their clean-up too, until cancelled once more."""
    max_steps: int = 6
    begun: list[EpisodeRequest] = field(default_factory=list)
    alive: int = 0
    """Attempts now running."""

    def __post_init__(self) -> None:
        self.pool: RolloutPool

    def reward(self, group_id: int, member: int) -> float:
        chance = random.Random(f"reward/{self.world}/{group_id}/{member}")
        return float(chance.random() < self.success)

    async def run(self, request: EpisodeRequest) -> Trajectory:
        self.begun.append(request)
        self.alive += 1
        what = random.Random(f"what/{self.world}/{request.episode_id}")
        took = random.Random(f"took/{self.latency}/{request.episode_id}")
        stubborn = what.random() < self.stubborn
        try:
            versions = []
            for _ in range(what.randint(1, self.max_steps)):
                versions.append(self.pool.version)
                await asyncio.sleep(took.expovariate(1 / self.step_s))
                request.progress()
            if what.random() < self.hang:
                await asyncio.Event().wait()
            if what.random() < self.death:
                raise ScriptedDeathError("the scripted browser died")
            return trajectory_of(
                request, tuple(versions), self.reward(request.group_id, request.member)
            )
        finally:
            try:
                if stubborn:
                    await asyncio.Event().wait()
            finally:
                self.alive -= 1


class AuditedLoop(VirtualTimeLoop):
    """Calls ``audit`` whenever time is about to pass: nothing is left to do at that moment."""

    def __init__(self) -> None:
        super().__init__()
        self.audit: Callable[[], None] = lambda: None

    def advance(self, seconds: float) -> None:
        self.audit()
        super().advance(seconds)


def run_audited(main: Coroutine[Any, Any, Result]) -> Result:
    with asyncio.Runner(loop_factory=AuditedLoop) as runner:
        return runner.run(main)


def set_audit(audit: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, AuditedLoop)
    loop.audit = audit


async def learn(
    pool: RolloutPool, updates: int, update_s: float = 25.0, first: int = 0
) -> list[list[Group]]:
    """Consume ``updates`` batches, with an update of ``update_s`` after each."""
    batches = []
    for version in range(first, first + updates):
        batches.append(await pool.next_batch(version))
        await asyncio.sleep(update_s)
        pool.set_version(version + 1)
    return batches


def other_tasks() -> set[asyncio.Task[Any]]:
    current = asyncio.current_task()
    return {task for task in asyncio.all_tasks() if task is not current}


async def never_mind(awaiting: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended."""
    awaiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await awaiting
