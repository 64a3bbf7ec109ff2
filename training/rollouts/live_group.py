"""A group while it lives: what its episodes came to, which still run, which are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from webdojo.tasks.success import is_success
from webdojo.training.rollouts.accounts import Rejection
from webdojo.training.rollouts.trajectory import Group, Trajectory


@dataclass(slots=True, eq=False)
class LiveGroup:
    """A group that was begun and is neither consumed nor rejected."""

    group_id: int
    task_id: str
    seed: int
    finished: dict[int, Trajectory] = field(default_factory=dict)
    """By member."""
    running: dict[int, Attempt] = field(default_factory=dict)
    """By member."""
    oldest: int | None = None
    """Version of the oldest token drawn by its finished members; None if there is none."""
    rejected: Rejection | None = None
    asked: int = 0
    """Members asked for so far."""
    kept: tuple[int, ...] = ()
    """Of the finished members, those that are trained on; set when the group is ready."""

    def add(self, trajectory: Trajectory) -> None:
        """Take in a finished member."""
        self.finished[trajectory.member] = trajectory
        versions = [min(turn.versions) for turn in trajectory.turns if turn.versions]
        if self.oldest is not None:
            versions.append(self.oldest)
        self.oldest = min(versions, default=None)

    def staleness(self, version: int) -> int:
        """Versions between ``version`` and the oldest token, drawn or still possible.

        A running attempt may have drawn its first token under the version it began with.
        """
        versions = [attempt.version for attempt in self.running.values()]
        if self.oldest is not None:
            versions.append(self.oldest)
        return max(0, version - min(versions, default=version))

    def group(self) -> Group:
        """The finished group, members in order."""
        members = tuple(self.finished[member] for member in self.kept)
        drawn: tuple[float, ...] = ()
        if len(self.kept) < len(self.finished):
            drawn = tuple(self.finished[member].reward for member in sorted(self.finished))
        return Group(self.group_id, self.task_id, self.seed, members, drawn)

    def balanced(self, size: int) -> bool:
        """Whether half of ``size`` members, rounded down, succeeded and as many failed."""
        good = sum(is_success(trajectory.reward) for trajectory in self.finished.values())
        return min(good, len(self.finished) - good) >= size // 2

    def keep(self, size: int) -> None:
        """Choose ``size`` of the finished members: both outcomes in halves, as far as there are.

        Within an outcome the first members are taken, so that chance alone decides.
        """
        good = [m for m in sorted(self.finished) if is_success(self.finished[m].reward)]
        bad = [m for m in sorted(self.finished) if not is_success(self.finished[m].reward)]
        of_good = min(len(good), max(size // 2, size - len(bad)))
        self.kept = tuple(sorted(good[:of_good] + bad[: size - of_good]))


@dataclass(slots=True, eq=False)
class Attempt:
    """One attempt at one member of a group: first waiting for a slot, then running."""

    group: LiveGroup
    member: int
    number: int = 1
    """1 for the first attempt."""
    version: int = 0
    """Policy version when it began to run."""
    cancel: Callable[[], object] | None = None
    """Ends it early, once it runs; may be called again."""
