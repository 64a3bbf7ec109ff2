"""The everlasting rollout pool: slots that never wait for an iteration to end."""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

from webdojo.training.rollouts.accounts import (
    Counters,
    EventKind,
    OnEvent,
    PoolEvent,
    PoolStatus,
    Rejection,
    SlotStatus,
)
from webdojo.training.rollouts.episode import Ended, EpisodeRequest, RunEpisode, finish
from webdojo.training.rollouts.pacing import Pacing
from webdojo.training.rollouts.sampler import TaskSampler
from webdojo.training.rollouts.trajectory import Group, Trajectory

Collection = Literal["completion", "submission"]
"""Which finished groups make a batch: whichever are finished, those with the oldest tokens first;
or always the next ones in the order in which they were begun, which repeats exactly whatever the
latencies but waits for stragglers."""

OnTrajectory = Callable[[Trajectory], Awaitable[None]]


class PoolClosedError(RuntimeError):
    """The pool was closed while a batch was awaited."""


class EpisodesFailError(RuntimeError):
    """Group after group was given up because episodes keep failing."""


@dataclass(slots=True, eq=False)
class _LiveGroup:
    """A group that was begun and is neither consumed nor rejected."""

    group_id: int
    task_id: str
    seed: int
    finished: dict[int, Trajectory] = field(default_factory=dict)
    running: dict[int, _Slot] = field(default_factory=dict)
    oldest: int | None = None
    """Version of the oldest token drawn by its finished members; None if there is none."""
    rejected: Rejection | None = None

    def oldest_version(self) -> int | None:
        """A version that no token of the group can be older than, None if it has none yet."""
        versions = [slot.request.version for slot in self.running.values() if slot.request]
        if self.oldest is not None:
            versions.append(self.oldest)
        return min(versions, default=None)

    def add(self, trajectory: Trajectory) -> None:
        """Take in a finished member."""
        self.finished[trajectory.member] = trajectory
        for turn in trajectory.turns:
            if turn.versions:
                drawn = min(turn.versions)
                self.oldest = drawn if self.oldest is None else min(self.oldest, drawn)

    def group(self) -> Group:
        """The finished group, members in order."""
        members = tuple(self.finished[member] for member in sorted(self.finished))
        return Group(self.group_id, self.task_id, self.seed, members)


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A member of a group that needs a slot."""

    group: _LiveGroup
    member: int
    attempt: int = 1


@dataclass(slots=True, eq=False)
class _Slot:
    """A place for one episode at a time."""

    index: int
    request: EpisodeRequest | None = None
    episode: asyncio.Task[Trajectory] | None = None
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

    An attempt that raises or passes ``deadline_s`` is run again, first in line, at most ``retries``
    times; then its whole group is replaced. So is a group whose rewards are all equal
    (``reject_zero_variance``; it carries no gradient), and a group that holds a token older than
    ``staleness`` versions behind the learner; what still runs of a replaced group is cancelled.
    ``failure_limit`` groups in a row given up for failed episodes end the run: ``next_batch``
    raises EpisodesFailError.

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
        failure_limit: int = 8,
        grace_s: float = 10.0,
        on_trajectory: OnTrajectory | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        if reject_zero_variance and group_size == 1:
            raise ValueError(
                "group_size 1 makes every group's rewards equal, so that none would ever be "
                "consumed: use a group_size of at least 2 or reject_zero_variance=False"
            )
        self.counters = Counters()
        self._pacing = Pacing(slots, staleness, groups_per_batch, group_size, version)
        self._run_episode = run_episode
        self._sampler = sampler
        self._collection = collection
        self._reject_zero_variance = reject_zero_variance
        self._deadline_s = deadline_s
        self._retries = retries
        self._failure_limit = failure_limit
        self._grace_s = grace_s
        self._on_trajectory = on_trajectory
        self._on_event = on_event

        self._slots = tuple(_Slot(index) for index in range(slots))
        self._tasks: list[asyncio.Task[None]] = []
        self._idle: deque[asyncio.Future[_Job]] = deque()
        self._waiting: deque[_Job] = deque()
        self._live: dict[int, _LiveGroup] = {}
        self._ready: dict[int, _LiveGroup] = {}
        self._next_group = 0
        self._arrival: asyncio.Future[None] | None = None
        self._failure: BaseException | None = None
        self._failed_in_a_row = 0
        self._clock_s = 0.0
        self._results: list[tuple[int, str, float]] = []
        self._reopen: deque[tuple[int, str, int]] = deque()
        self._found: dict[tuple[int, int], Trajectory] = {}
        self._counted: set[int] = set()

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
        if self._failure is None:
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
        self._pacing.next_version = version
        self._reject_stale(version)
        while (batch := self._collect()) is None or self._failure:
            if self._failure:
                raise self._failure
            self._dispatch()
            self._arrival = asyncio.get_running_loop().create_future()
            try:
                await self._arrival
            finally:
                self._arrival = None
        for live in batch:
            del self._live[live.group_id], self._ready[live.group_id]
            self.counters.staleness[max(0, version - _oldest(live, version))] += 1
            self._emit("consume", live, version=version)
        self._pacing.ready -= len(batch)
        self._pacing.next_version = version + 1
        self.counters.groups_consumed += len(batch)
        self.counters.consumed += sum(len(live.finished) for live in batch)
        self._record_results()
        self._dispatch()
        return [live.group() for live in batch]

    def set_version(self, version: int) -> None:
        """Say that episodes are drawn from ``version`` from now on: the engine has its weights."""
        if version < self.version:
            raise ValueError(f"policy version {version} lies behind {self.version}: it only rises")
        self._pacing.version = version
        self._pacing.next_version = max(self._pacing.next_version, version)
        self._emit("version")
        self._reject_stale(version)
        self._dispatch()

    def status(self) -> PoolStatus:
        """A snapshot: what every slot is doing, and the counters so far."""
        self._tick()
        now = self._clock_s
        return PoolStatus(
            version=self.version,
            capacity=self._pacing.capacity,
            running=self._pacing.running,
            waiting=self._pacing.waiting,
            groups_open=self._pacing.open,
            groups_ready=self._pacing.ready,
            counters=copy.deepcopy(self.counters),
            slots=tuple(_slot_status(slot, now) for slot in self._slots),
        )

    # Checkpoints ---------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The ledger, in plain JSON values: to be saved with the weights of ``version``.

        Raises RuntimeError between ``next_batch`` and ``set_version``: the batch then belongs
        neither to the old weights nor to the new ones.
        """
        if self._pacing.next_version != self.version:
            raise RuntimeError(
                f"a batch of version {self.version} is being trained on: save the pool's state "
                "after set_version"
            )
        self._tick()
        return {
            "version": self.version,
            "next_group": self._next_group,
            "groups": [[live.group_id, live.task_id, live.seed] for live in self._live.values()]
            + [list(group) for group in self._reopen],
            "counted": sorted(self._counted | self._ready.keys()),
            "results": [list(result) for result in self._results],
            "sampler": self._sampler.state_dict(),
            "counters": self.counters.state_dict(),
        }

    def load_state_dict(
        self, state: Mapping[str, Any], finished: Iterable[Trajectory] = ()
    ) -> None:
        """Go on from ``state``, before ``start``.

        Groups that were begun and not consumed are begun again, under the same numbers. An episode
        of theirs, or of the groups drawn after them, that is among ``finished`` (trajectories found
        on disk) counts as it is and is not run again; trajectories of other groups were trained on
        before and are left alone.
        """
        if self._tasks:
            raise RuntimeError("load the pool's state before it starts")
        self._pacing.version = self._pacing.next_version = int(state["version"])
        self._next_group = int(state["next_group"])
        self._reopen = deque((int(g), str(task), int(seed)) for g, task, seed in state["groups"])
        self._results = [(int(g), str(task), float(mean)) for g, task, mean in state["results"]]
        self._sampler.load_state_dict(state["sampler"])
        self.counters = Counters.from_state_dict(state["counters"])
        self.counters.submitted = (
            self.counters.consumed + self.counters.rejected.total() + self.counters.retried.total()
        )
        self.counters.groups_opened -= len(self._reopen)
        self._counted = {int(group_id) for group_id in state["counted"]}
        self._found = {(t.group_id, t.member): t for t in finished}

    # Slots ---------------------------------------------------------------------------------------

    async def _serve(self, slot: _Slot) -> None:
        while True:
            job = await self._next_job()
            try:
                ended = await self._attempt(slot, job)
            finally:
                self._pacing.running -= 1
                del job.group.running[job.member]
                slot.request = slot.episode = None
            self._account(slot, job, ended)

    async def _next_job(self) -> _Job:
        place: asyncio.Future[_Job] = asyncio.get_running_loop().create_future()
        self._tick()
        self._idle.append(place)
        self._dispatch()
        return await place

    async def _attempt(self, slot: _Slot, job: _Job) -> Ended:
        loop = asyncio.get_running_loop()

        def progress() -> None:
            slot.progress_s = loop.time()

        group = job.group
        slot.request = request = EpisodeRequest(
            episode_id=f"{group.group_id:06d}-{job.member}-{job.attempt}",
            group_id=group.group_id,
            member=job.member,
            task_id=group.task_id,
            seed=group.seed,
            attempt=job.attempt,
            version=self.version,
            progress=progress,
        )
        slot.began_s = slot.progress_s = loop.time()
        self.counters.submitted += 1
        group.running[job.member] = slot
        self._emit("begin", group, job.member, slot)
        slot.episode = loop.create_task(self._run_episode(request), name=request.episode_id)
        ended = await finish(slot.episode, deadline_s=self._deadline_s, grace_s=self._grace_s)
        trajectory = ended.trajectory
        if trajectory is not None and group.rejected is None:
            if (trajectory.group_id, trajectory.member) != (group.group_id, job.member):
                raise ValueError(
                    f"run_episode was asked for episode {request.episode_id} and gave member "
                    f"{trajectory.member} of group {trajectory.group_id}"
                )
            if self._on_trajectory is not None:
                await self._on_trajectory(trajectory)
        return ended

    def _account(self, slot: _Slot, job: _Job, ended: Ended) -> None:
        """Enter how an attempt ended: in exactly one of finished, retried, rejected."""
        group = job.group
        self.counters.abandoned += ended.abandoned
        if group.rejected is not None:
            self.counters.rejected[group.rejected] += 1
        elif ended.trajectory is not None:
            self._emit("finish", group, job.member, slot)
            group.add(ended.trajectory)
            self._settle(group)
        elif job.attempt <= self._retries:
            self.counters.retried[ended.cause] += 1
            self._emit("retry", group, job.member, slot, ended.cause)
            self._waiting.appendleft(_Job(group, job.member, job.attempt + 1))
            self._pacing.waiting += 1
        else:
            self.counters.rejected["failed"] += 1
            self._reject(group, "failed")
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= self._failure_limit:
                self._give_up(job, ended)

    def _give_up(self, job: _Job, ended: Ended) -> None:
        reason = f"{ended.cause}: {ended.error}" if ended.error else ended.cause
        failure = EpisodesFailError(
            f"{self._failed_in_a_row} groups in a row were given up, each after {job.attempt} "
            f"attempts at one episode; the last was {job.group.task_id!r} with seed "
            f"{job.group.seed}, which ended in {reason}. Run that task alone to see why."
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

    # Groups --------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        """Give idle slots work, as far as there is capacity. To be called after every change."""
        self._tick()
        while self._idle and self._pacing.capacity > 0 and self._failure is None:
            if not self._waiting:
                self._open_group()
                continue
            place = self._idle.popleft()
            if not place.done():
                self._pacing.waiting -= 1
                self._pacing.running += 1
                place.set_result(self._waiting.popleft())

    def _open_group(self) -> None:
        if self._reopen:
            group = _LiveGroup(*self._reopen.popleft())
        else:
            group = _LiveGroup(self._next_group, *self._sampler.draw())
            self._next_group += 1
        self._live[group.group_id] = group
        self._pacing.open += 1
        self.counters.groups_opened += 1
        for member in range(self._pacing.group_size):
            found = self._found.pop((group.group_id, member), None)
            if found and (found.task_id, found.seed) == (group.task_id, group.seed):
                self.counters.submitted += 1
                group.add(found)
            else:
                self._waiting.append(_Job(group, member))
                self._pacing.waiting += 1
        self._settle(group)

    def _settle(self, group: _LiveGroup) -> None:
        """Decide on a group whose members have all finished."""
        if len(group.finished) < self._pacing.group_size:
            return
        self._pacing.open -= 1
        self._pacing.ready += 1
        self._ready[group.group_id] = group
        rewards = [trajectory.reward for trajectory in group.finished.values()]
        mixed = len(set(rewards)) > 1
        self._failed_in_a_row = 0
        if group.group_id in self._counted:
            self._counted.remove(group.group_id)
        else:
            self.counters.groups_finished += 1
            self.counters.groups_mixed += mixed
            self._results.append((group.group_id, group.task_id, sum(rewards) / len(rewards)))
        if self._collection == "completion":
            self._record_results()
        if self._reject_zero_variance and not mixed:
            self._reject(group, "zero_variance")
        else:
            self._emit("ready", group)
        self._wake()

    def _record_results(self) -> None:
        """Tell the sampler how groups went.

        In submission order only with each batch and by group number, so that at staleness 0 an
        adaptive sampler draws the same whatever the latencies.
        """
        for _, task_id, success in sorted(self._results):
            self._sampler.record(task_id, success)
        self._results.clear()

    def _reject(self, group: _LiveGroup, cause: Rejection) -> None:
        group.rejected = cause
        del self._live[group.group_id]
        if self._ready.pop(group.group_id, None) is not None:
            self._pacing.ready -= 1
        else:
            self._pacing.open -= 1
        self.counters.groups_rejected[cause] += 1
        self.counters.rejected[cause] += len(group.finished)
        self._waiting = deque(job for job in self._waiting if job.group is not group)
        self._pacing.waiting = len(self._waiting)
        for slot in group.running.values():
            if slot.episode is not None:
                slot.episode.cancel()
        self._emit("reject", group, cause=cause)

    def _reject_stale(self, version: int) -> None:
        """Replace every group that could no longer be consumed at ``version``."""
        for group in list(self._live.values()):
            if version - _oldest(group, version) > self._pacing.staleness:
                self._reject(group, "stale")

    def _collect(self) -> list[_LiveGroup] | None:
        size = self._pacing.groups_per_batch
        if len(self._ready) < size:
            return None
        if self._collection == "completion":
            return sorted(self._ready.values(), key=lambda group: _oldest(group, self.version))[
                :size
            ]
        first = [group for group, _ in zip(self._live.values(), range(size), strict=False)]
        return first if all(group.group_id in self._ready for group in first) else None

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    # Accounts ------------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Bring slot time up to now; called before the number of idle slots changes."""
        if self._tasks:
            now = asyncio.get_running_loop().time()
            passed = now - self._clock_s
            self._clock_s = now
            self.counters.slot_s += passed * len(self._slots)
            self.counters.idle_s += passed * len(self._idle)

    def _emit(
        self,
        kind: EventKind,
        group: _LiveGroup | None = None,
        member: int = -1,
        slot: _Slot | None = None,
        cause: str = "",
        *,
        version: int | None = None,
    ) -> None:
        if self._on_event is not None:
            self._on_event(
                PoolEvent(
                    kind,
                    asyncio.get_running_loop().time(),
                    group.group_id if group else -1,
                    member,
                    slot.index if slot else -1,
                    cause,
                    self.version if version is None else version,
                )
            )


def _oldest(group: _LiveGroup, default: int) -> int:
    oldest = group.oldest_version()
    return default if oldest is None else oldest


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
