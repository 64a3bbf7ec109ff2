"""The ledger: which groups live, and what is next for each of their episodes.

Plain synchronous bookkeeping; the pool (pool.py) lets time pass and runs the episodes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Literal, Protocol

from webdojo.tasks.sampling import TaskSampler
from webdojo.training.rollouts.accounts import Counters, EventKind, Rejection
from webdojo.training.rollouts.bygone import Bygone
from webdojo.training.rollouts.live_group import Attempt, LiveGroup
from webdojo.training.rollouts.pacing import Pacing
from webdojo.training.rollouts.trajectory import Trajectory

Collection = Literal["completion", "submission"]
"""Which finished groups make a batch: whichever are finished, those with the oldest tokens first;
or always the next ones in the order in which they were begun, which repeats exactly whatever the
latencies but waits for stragglers."""


class Emit(Protocol):
    """Reports something that happened to a group or to one of its members."""

    def __call__(
        self, kind: EventKind, group: LiveGroup, member: int = -1, cause: str = ""
    ) -> None:
        """Report it."""
        ...


class Ledger:
    """Keeps the groups and their episodes, under the pacing."""

    def __init__(
        self,
        pacing: Pacing,
        sampler: TaskSampler,
        *,
        collection: Collection,
        reject_zero_variance: bool,
        retries: int,
        emit: Emit,
        rounds: int = 1,
    ) -> None:
        if rounds < 1:
            raise ValueError(f"rounds must be at least 1, got {rounds}")
        if reject_zero_variance and pacing.group_size == 1:
            raise ValueError(
                "group_size 1 makes every group's rewards equal, so that none would ever be "
                "consumed: use a group_size of at least 2 or reject_zero_variance=False"
            )
        self.pacing = pacing
        self.counters = Counters()
        self.failed_in_a_row = 0
        """Groups given up for failed episodes since the last one that finished."""
        self._sampler = sampler
        self._collection = collection
        self._reject_zero_variance = reject_zero_variance
        self._retries = retries
        self._rounds = rounds
        self._emit = emit
        self._next_group = 0
        self._live: dict[int, LiveGroup] = {}
        self._ready: dict[int, LiveGroup] = {}
        self._waiting: deque[Attempt] = deque()
        self._results: list[tuple[int, str, float]] = []
        self._reopen: deque[tuple[int, str, int]] = deque()
        self._found: dict[int, dict[int, Trajectory]] = {}
        self._counted: set[int] = set()
        self._bygone = Bygone()

    # Episodes ------------------------------------------------------------------------------------

    def take(self) -> Attempt | None:
        """The next attempt to run, None while there is no capacity.

        Those to run again come first, then the members of open groups, then a new group.
        """
        while self.pacing.capacity > 0:
            if self._waiting:
                attempt = self._waiting.popleft()
                attempt.version = self.pacing.version
                attempt.group.running[attempt.member] = attempt
                self.pacing.waiting -= 1
                self.pacing.running += 1
                self.counters.submitted += 1
                return attempt
            self._open_group()
        return None

    def finish(self, attempt: Attempt, trajectory: Trajectory) -> None:
        """The attempt ended with a trajectory."""
        group = attempt.group
        self._leave(attempt)
        if group.rejected is not None:
            self.counters.rejected[group.rejected] += 1
            return
        group.add(trajectory)
        self.counters.finished += 1
        self._emit("finish", group, attempt.member)
        self._settle(group)

    def fail(self, attempt: Attempt, cause: str) -> None:
        """The attempt ended without a trajectory; it is run again, or its group is given up."""
        group = attempt.group
        self._leave(attempt)
        if group.rejected is not None:
            self.counters.rejected[group.rejected] += 1
        elif attempt.number <= self._retries:
            self.counters.retried[cause] += 1
            self._emit("retry", group, attempt.member, cause)
            self._waiting.appendleft(Attempt(group, attempt.member, attempt.number + 1))
            self.pacing.waiting += 1
        else:
            self.counters.rejected["failed"] += 1
            self.failed_in_a_row += 1
            self._reject(group, "failed")

    def _leave(self, attempt: Attempt) -> None:
        del attempt.group.running[attempt.member]
        self.pacing.running -= 1

    # Groups --------------------------------------------------------------------------------------

    def _open_group(self) -> None:
        if self._reopen:
            group = LiveGroup(*self._reopen.popleft())
        else:
            group = LiveGroup(self._next_group, *self._sampler.draw())
            self._next_group += 1
        found = self._found.pop(group.group_id, {})
        for trajectory in found.values():
            # A sampler that learns may not repeat a draw made after its state was saved.
            group.task_id, group.seed = trajectory.task_id, trajectory.seed
        self._live[group.group_id] = group
        self.pacing.open += 1
        self.counters.groups_opened += 1
        for trajectory in found.values():
            self.counters.submitted += 1
            self.counters.finished += 1
            group.add(trajectory)
        # A restart finds members of later rounds only where those rounds had begun.
        size = self.pacing.group_size
        begun = 1 + max(found, default=0) // size
        self._ask(group, begun * size)
        self._settle(group)
        if found and group.rejected is None:
            self._reject_stale({group.group_id: group}, self.pacing.version)

    def _ask(self, group: LiveGroup, members: int) -> None:
        """Have the group's members up to that number drawn, those that are not there yet."""
        for member in range(group.asked, members):
            if member not in group.finished:
                self._waiting.append(Attempt(group, member))
                self.pacing.waiting += 1
        group.asked = members

    def _settle(self, group: LiveGroup) -> None:
        """Decide on a group once its members have all finished: draw more, keep, or replace.

        More are drawn, round by round, until both outcomes can be kept in halves (Reinforce-Ada,
        arXiv 2510.04996, balanced stop).
        """
        size = self.pacing.group_size
        if len(group.finished) < group.asked:
            return
        if group.asked < self._rounds * size and not group.balanced(size):
            self._ask(group, group.asked + size)
            return
        group.keep(size)
        self.pacing.open -= 1
        self.pacing.ready += 1
        self._ready[group.group_id] = group
        self.failed_in_a_row = 0
        rewards = [trajectory.reward for trajectory in group.finished.values()]
        mixed = len({group.finished[member].reward for member in group.kept}) > 1
        if group.group_id not in self._counted:
            self.counters.groups_finished += 1
            self.counters.groups_mixed += mixed
            self._results.append((group.group_id, group.task_id, sum(rewards) / len(rewards)))
        self._counted.discard(group.group_id)
        if self._collection == "completion":
            self._record_results()
        if self._reject_zero_variance and not mixed:
            self._reject(group, "zero_variance")
        else:
            self._emit("ready", group)

    def _record_results(self) -> None:
        """Tell the sampler how groups went.

        In submission order only with each batch and by group number, so that at staleness 0 an
        adaptive sampler draws the same whatever the latencies.
        """
        for _, task_id, success in sorted(self._results):
            self._sampler.record(task_id, success)
        self._results.clear()

    def _reject(self, group: LiveGroup, cause: Rejection) -> None:
        group.rejected = cause
        del self._live[group.group_id]
        if self._ready.pop(group.group_id, None) is not None:
            self.pacing.ready -= 1
        else:
            self.pacing.open -= 1
        self.counters.groups_rejected[cause] += 1
        self.counters.rejected[cause] += len(group.finished)
        self._waiting = deque(a for a in self._waiting if a.group is not group)
        self.pacing.waiting = len(self._waiting)
        for attempt in group.running.values():
            if attempt.cancel is not None:
                attempt.cancel()
        self._emit("reject", group, cause=cause)

    def reject_stale(self, version: int) -> None:
        """Replace every group that can no longer be consumed, given a learner at ``version``."""
        self._reject_stale(self._live, version)

    def _reject_stale(self, groups: Mapping[int, LiveGroup], version: int) -> None:
        for group in list(groups.values()):
            if group.staleness(version) > self.pacing.staleness:
                self._reject(group, "stale")

    def consume(self, version: int) -> list[LiveGroup] | None:
        """Take a batch for a learner at ``version``; None while there is none.

        Finished groups are checked by the tokens they hold, whatever version they began with.
        """
        size = self.pacing.groups_per_batch
        if len(self._ready) >= size:
            self._reject_stale(self._ready, version)
        if len(self._ready) < size:
            return None
        if self._collection == "completion":
            oldest_first = sorted(self._ready.values(), key=lambda group: -group.staleness(version))
            batch = oldest_first[:size]
        else:
            batch = list(islice(self._live.values(), size))
            if any(group.group_id not in self._ready for group in batch):
                return None
        for group in batch:
            del self._live[group.group_id], self._ready[group.group_id]
            self.counters.staleness[group.staleness(version)] += 1
            self.counters.consumed += len(group.kept)
            if surplus := len(group.finished) - len(group.kept):
                self.counters.rejected["surplus"] += surplus
        self.counters.groups_consumed += size
        self.pacing.ready -= size
        self.pacing.next_version = version + 1
        self._record_results()
        return batch

    # Checkpoints ---------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        live = [[group.group_id, group.task_id, group.seed] for group in self._live.values()]
        groups = live + [list(group) for group in self._reopen]
        # Those of living groups are found on disk, and counted, when their group is begun again.
        unfinished = sum(len(group.finished) for group in self._live.values())
        counters = replace(
            self.counters,
            finished=self.counters.finished - unfinished,
            groups_opened=self.counters.groups_opened + len(self._reopen),
        )
        return {
            "version": self.pacing.version,
            "next_group": self._next_group,
            "groups": groups,
            "counted": sorted(self._counted | self._ready.keys()),
            "results": [list(result) for result in self._results],
            "bygone": self._bygone.state(_living(groups, self._next_group)),
            "sampler": self._sampler.state_dict(),
            "counters": counters.state_dict(),
        }

    def load_state_dict(
        self, state: Mapping[str, Any], finished: Iterable[Trajectory], *, repeats: bool = False
    ) -> None:
        """Go on from ``state``: groups that lived are to be opened again, under their numbers.

        Tokens in ``finished`` that are newer than ``state`` were drawn by weights that are gone.
        They are ``Bygone``; with ``repeats`` the same weights are made again, and they stay as they
        are.
        """
        version = int(state["version"])
        self.pacing.version = self.pacing.next_version = version
        self._next_group = int(state["next_group"])
        self._reopen = deque((int(g), str(task), int(seed)) for g, task, seed in state["groups"])
        self._counted = {int(group_id) for group_id in state["counted"]}
        self._results = [(int(g), str(task), float(mean)) for g, task, mean in state["results"]]
        self._bygone = Bygone(state.get("bygone", ()))
        self._sampler.load_state_dict(state["sampler"])
        self._found = {}
        wanted = lives_on(state)
        for trajectory in finished:
            if wanted(trajectory.group_id):
                if not repeats:
                    self._bygone.notice(trajectory, version)
                members = self._found.setdefault(trajectory.group_id, {})
                members[trajectory.member] = self._bygone.aged(trajectory)
        self.counters = counters = Counters.from_state_dict(state["counters"])
        ended = counters.consumed + counters.rejected.total() + counters.retried.total()
        counters.submitted = ended
        counters.groups_opened -= len(self._reopen)


def lives_on(state: Mapping[str, Any]) -> Callable[[int], bool]:
    """Whether a group lived when a ledger's state was saved, or was begun after that."""
    return _living(state["groups"], int(state["next_group"]))


def _living(groups: Iterable[Sequence[Any]], since: int) -> Callable[[int], bool]:
    living = {group_id for group_id, *_ in groups}
    return lambda group_id: group_id in living or group_id >= since


def check_state(state: Mapping[str, Any], version: int) -> None:
    """Raise what is wrong with a ledger's state that was read from a file, for a policy version.

    KeyError, TypeError or AttributeError. The sampler's part is its own to judge.
    """
    if state["version"] != version:
        raise TypeError(f"the ledger is of version {state['version']!r}, the weights of {version}")
    groups = [*state["groups"], *state["results"]]
    if not all(
        isinstance(group, list) and list(map(type, group)) in ([int, str, int], [int, str, float])
        for group in groups
    ):
        raise TypeError("groups and results are lists of a number, a task and a number")
    if any(list(map(type, place)) != [int] * 3 for place in state.get("bygone", ())):
        raise TypeError("what is bygone is a group, a member and a version each")
    numbers = [state["next_group"], *state["counted"]]
    if not all(isinstance(number, int) for number in numbers):
        raise TypeError("groups have whole numbers")
    state["sampler"].keys()
    Counters.from_state_dict(state["counters"])
