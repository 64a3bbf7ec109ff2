"""The everlasting rollout pool: slots that never wait for an iteration to end."""

from __future__ import annotations

import asyncio
import copy
import functools
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from webdojo.tasks.sampling import TaskSampler
from webdojo.training.rollouts.accounts import (
    EventKind,
    OnEvent,
    PoolEvent,
    PoolStatus,
    SlotStatus,
)
from webdojo.training.rollouts.episode import (
    GRACE_S,
    Ended,
    EpisodeRequest,
    HeldUp,
    RunEpisode,
    finish,
    never_held_up,
)
from webdojo.training.rollouts.ledger import Collection, Ledger
from webdojo.training.rollouts.live_group import Attempt, LiveGroup
from webdojo.training.rollouts.pacing import Pacing
from webdojo.training.rollouts.trajectory import Group, Trajectory

OnTrajectory = Callable[[Trajectory], Awaitable[None]]


class PoolClosedError(RuntimeError):
    """The pool was closed while a batch was awaited."""


class EpisodesFailError(RuntimeError):
    """Group after group was given up because episodes keep failing."""


@dataclass(slots=True, eq=False)
class _Slot:
    """A place for one episode at a time."""

    index: int
    request: EpisodeRequest | None = None
    began_s: float = 0.0
    progress_s: float = 0.0


class RolloutPool:
    """Runs episodes for ever, hands over whole groups, and keeps their tokens fresh.

    Each of ``slots`` slots takes the next member of the next group, runs it with ``run_episode``,
    and goes on with whatever is next: it waits neither for its group nor for the learner, only
    for capacity (``Pacing``). The learner's side:

        async with RolloutPool(run_episode, sampler, slots=64, …) as pool:
            for version in range(updates):
                groups = await pool.next_batch(version)
                ...                                  # one update, weights into the engine
                pool.set_version(version + 1)

    An attempt that raises, or is cancelled at ``deadline_s``, is run again, first in line, at most
    ``retries`` times; then its whole group is replaced. So is a group whose rewards are all equal
    (``reject_zero_variance``; it carries no gradient), and a group that holds a token older than
    ``staleness`` versions behind the learner. What still runs of a replaced group is cancelled.
    A cancelled episode has ``grace_s`` to clean up before it is cancelled again. Seconds by which
    ``held_up_s`` rises while an episode runs count against no deadline.

    With ``rounds`` above 1 a group whose members do not hold both outcomes in halves has
    ``group_size`` more drawn, up to that many rounds; ``group_size`` of all are kept, in halves as
    far as there are, and ``Group.drawn`` tells the rewards of all.

    If ``failure_limit`` groups in a row are given up for failed episodes (by default as many as fit
    in the slots, at least 8), ``next_batch`` raises EpisodesFailError.

    ``on_trajectory`` is awaited for every finished episode before it counts; ``on_event`` is called
    for metrics. If either raises, so does ``next_batch``, with that exception.
    """

    def __init__(
        self,
        run_episode: RunEpisode,
        sampler: TaskSampler,
        *,
        slots: int,
        groups_per_batch: int,
        group_size: int,
        staleness: int = 2,
        version: int = 0,
        collection: Collection = "completion",
        reject_zero_variance: bool = True,
        deadline_s: float = 600.0,
        retries: int = 2,
        rounds: int = 1,
        failure_limit: int | None = None,
        grace_s: float = GRACE_S,
        held_up_s: HeldUp = never_held_up,
        on_trajectory: OnTrajectory | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        self._pacing = Pacing(slots, staleness, groups_per_batch, group_size, version)
        self._ledger = Ledger(
            self._pacing,
            sampler,
            collection=collection,
            reject_zero_variance=reject_zero_variance,
            retries=retries,
            emit=self._emit,
            rounds=rounds,
        )
        self._run_episode = run_episode
        self._deadline_s = deadline_s
        self._failure_limit = failure_limit or max(8, slots // group_size)
        self._grace_s = grace_s
        self._held_up_s = held_up_s
        self._on_trajectory = on_trajectory
        self._on_event = on_event

        self._slots = tuple(_Slot(index) for index in range(slots))
        self._tasks: list[asyncio.Task[None]] = []
        self._idle: deque[asyncio.Future[Attempt]] = deque()
        self._arrival: asyncio.Future[None] | None = None
        self._failure: BaseException | None = None
        self._clock_s = 0.0

    # Life ----------------------------------------------------------------------------------------

    async def __aenter__(self) -> RolloutPool:
        self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def start(self) -> None:
        """Set the slots going on the running event loop."""
        if self._tasks or self._failure:
            raise RuntimeError("a rollout pool starts once; make a new one")
        loop = asyncio.get_running_loop()
        self._clock_s = loop.time()
        for slot in self._slots:
            task = loop.create_task(self._serve(slot), name=f"rollout-slot-{slot.index}")
            task.add_done_callback(self._slot_ended)
            self._tasks.append(task)

    async def close(self) -> None:
        """Cancel every episode and wait until all have ended. Closing twice is fine.

        If the caller is cancelled meanwhile, the episodes still end; close again to wait for them.
        """
        self._fail(PoolClosedError("the rollout pool was closed"))
        running = [task for task in self._tasks if not task.done()]
        for task in running:
            if not task.cancelling():
                task.cancel()
        if running:
            await asyncio.wait(running)

    # The learner's side --------------------------------------------------------------------------

    @property
    def version(self) -> int:
        """The policy version that episodes are drawn from."""
        return self._pacing.version

    async def next_batch(self, version: int) -> list[Group]:
        """The groups of the update that turns policy ``version`` into ``version + 1``.

        Gives ``groups_per_batch`` whole groups, no token of which is older than
        ``version − staleness``. A cancelled call loses nothing. Asking for the same version twice
        says that the first batch made no update, which gives its capacity back. It may be asked
        for ahead of ``set_version(version)``, while the weights are still on their way.

        Raises ValueError if ``version`` lies behind the pool's, PoolClosedError, EpisodesFailError,
        or whatever ``on_trajectory`` or ``on_event`` raised.
        """
        if version < self.version:
            raise ValueError(
                f"a batch was asked for at version {version}, but episodes are already drawn from "
                f"version {self.version}: ask with the learner's own version"
            )
        if self._arrival is not None:
            raise RuntimeError("a batch is already awaited: a pool has one learner")
        if self._failure is not None:
            raise self._failure
        self._pacing.next_version = version
        self._ledger.reject_stale(version)
        while (batch := self._ledger.consume(version)) is None:
            self._arrival = asyncio.get_running_loop().create_future()
            self._dispatch()
            try:
                if self._failure is None:
                    await self._arrival
            finally:
                self._arrival = None
            if self._failure is not None:
                raise self._failure
        for group in batch:
            self._emit("consume", group)
        return [group.group() for group in batch]

    def set_version(self, version: int) -> None:
        """Say that episodes are drawn from ``version`` from now on: the engine has its weights."""
        if version < self.version:
            raise ValueError(f"policy version {version} lies behind {self.version}: it only rises")
        self._pacing.version = version
        self._pacing.next_version = max(self._pacing.next_version, version)
        self._emit("version")
        self._ledger.reject_stale(version)
        self._dispatch()

    def status(self) -> PoolStatus:
        """A snapshot: what every slot is doing, and the counters so far."""
        self._tick()
        return PoolStatus(
            version=self.version,
            capacity=self._pacing.capacity,
            running=self._pacing.running,
            waiting=self._pacing.waiting,
            groups_open=self._pacing.open,
            groups_ready=self._pacing.ready,
            counters=copy.deepcopy(self._ledger.counters),
            slots=tuple(_slot_status(slot, self._clock_s) for slot in self._slots),
        )

    def state_dict(self) -> dict[str, Any]:
        """The pool's and its sampler's state, in JSON values: to be saved with the weights.

        To be saved before the first update too, so that a run killed before the second keeps what
        it has finished.

        Raises RuntimeError between ``next_batch`` and ``set_version``: the batch then belongs
        neither to the old weights nor to the new ones.
        """
        if self._pacing.next_version != self.version:
            raise RuntimeError(
                f"a batch of version {self._pacing.next_version - 1} is being trained on: save the "
                "pool's state after set_version"
            )
        self._tick()
        return self._ledger.state_dict()

    def load_state_dict(
        self,
        state: Mapping[str, Any],
        finished: Iterable[Trajectory] = (),
        *,
        repeats: bool = False,
    ) -> None:
        """Go on from ``state``, before ``start``.

        Groups that were begun and not consumed are begun again, under the same numbers. An episode
        of theirs, or of the groups drawn after them, that is among ``finished`` (trajectories found
        on disk) counts as it is and is not run again; trajectories of other groups were trained on
        before and are left alone.

        Tokens newer than ``state`` are of weights that are gone: they count as one version older
        than ``state``'s, unless the course ``repeats`` and makes the same weights again.
        """
        if self._tasks:
            raise RuntimeError("load the pool's state before it starts")
        self._ledger.load_state_dict(state, finished, repeats=repeats)

    # Slots ---------------------------------------------------------------------------------------

    async def _serve(self, slot: _Slot) -> None:
        while True:
            attempt = await self._next_attempt()
            try:
                ended = await self._run(slot, attempt)
            finally:
                slot.request = None
            self._ledger.counters.abandoned += ended.abandoned
            if ended.trajectory is not None:
                self._ledger.finish(attempt, ended.trajectory)
            else:
                self._ledger.fail(attempt, ended.cause)
                if self._ledger.failed_in_a_row >= self._failure_limit:
                    self._give_up(attempt, ended)

    async def _next_attempt(self) -> Attempt:
        place: asyncio.Future[Attempt] = asyncio.get_running_loop().create_future()
        self._tick()
        self._idle.append(place)
        self._dispatch()
        return await place

    def _dispatch(self) -> None:
        """Give idle slots work, as far as there is capacity. To be called after every change."""
        self._tick()
        while self._idle and self._failure is None:
            attempt = self._ledger.take()
            if attempt is None:
                break
            self._idle.popleft().set_result(attempt)

    async def _run(self, slot: _Slot, attempt: Attempt) -> Ended:
        loop = asyncio.get_running_loop()

        def progress() -> None:
            slot.progress_s = loop.time()

        group = attempt.group
        if group.rejected is not None:
            return Ended(cause="cancelled")
        slot.request = request = EpisodeRequest(
            episode_id=f"{group.group_id:06d}-{attempt.member}-{attempt.number}",
            group_id=group.group_id,
            member=attempt.member,
            task_id=group.task_id,
            seed=group.seed,
            attempt=attempt.number,
            version=attempt.version,
            progress=progress,
        )
        slot.began_s = slot.progress_s = loop.time()
        self._emit("begin", group, attempt.member)
        episode = loop.create_task(self._run_episode(request), name=request.episode_id)
        stop: asyncio.Future[None] = loop.create_future()
        attempt.cancel = functools.partial(_finish_waiting, stop)
        ended = await finish(
            episode,
            stop,
            deadline_s=self._deadline_s,
            grace_s=self._grace_s,
            held_up_s=self._held_up_s,
        )
        trajectory = ended.trajectory
        if trajectory is not None and group.rejected is None:
            if (trajectory.group_id, trajectory.member) != (group.group_id, attempt.member):
                raise ValueError(
                    f"run_episode was asked for episode {request.episode_id} and gave member "
                    f"{trajectory.member} of group {trajectory.group_id}"
                )
            if self._on_trajectory is not None:
                await self._on_trajectory(trajectory)
        return ended

    def _give_up(self, attempt: Attempt, ended: Ended) -> None:
        reason = f"{ended.cause}: {ended.error}" if ended.error else ended.cause
        slow = "" if ended.error else " On a busy machine fewer rollout.slots help;"
        failure = EpisodesFailError(
            f"{self._ledger.failed_in_a_row} groups in a row were given up, each after "
            f"{attempt.number} attempts at one episode; the last was {attempt.group.task_id!r} "
            f"with seed {attempt.group.seed}, which ended in {reason}.{slow} "
            "`webdojo tasks check` plays that task alone."
        )
        failure.__cause__ = ended.error
        self._fail(failure)

    def _slot_ended(self, task: asyncio.Task[None]) -> None:
        """A slot ends when the pool closes, or with an exception that is the run's, not its own."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
        self._wake()

    def _wake(self) -> None:
        if self._arrival is not None:
            _finish_waiting(self._arrival)

    # Accounts ------------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Bring slot time up to now; called before the number of idle slots changes."""
        if self._tasks:
            now = asyncio.get_running_loop().time()
            passed = now - self._clock_s
            self._clock_s = now
            self._ledger.counters.slot_s += passed * len(self._slots)
            self._ledger.counters.idle_s += passed * len(self._idle)

    def _emit(
        self, kind: EventKind, group: LiveGroup | None = None, member: int = -1, cause: str = ""
    ) -> None:
        if kind in {"ready", "reject"}:
            # In submission order a rejection too may complete the batch: of the groups behind it.
            self._wake()
        if self._on_event is not None:
            now = asyncio.get_running_loop().time()
            group_id = group.group_id if group else -1
            self._on_event(PoolEvent(kind, now, self.version, group_id, member, cause))


def _finish_waiting(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _slot_status(slot: _Slot, now: float) -> SlotStatus:
    request = slot.request
    if request is None:
        return SlotStatus(slot.index, "", "", 0, 0, 0.0, 0.0)
    return SlotStatus(
        slot.index,
        request.episode_id,
        request.task_id,
        request.attempt,
        request.version,
        now - slot.began_s,
        now - slot.progress_s,
    )
