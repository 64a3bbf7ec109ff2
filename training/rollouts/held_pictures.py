"""Which screenshots rollouts still need, and when they are freed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from webdojo.training.rollouts.accounts import PoolEvent
from webdojo.training.rollouts.trajectory import Trajectory

if TYPE_CHECKING:
    from webdojo.agents.pictures import Pictures


class HeldPictures:
    """Holds the screenshots of finished episodes until nobody can ask for them any more.

    That is when their group was consumed or rejected, and the learner has written a checkpoint
    since: a run that is killed goes on from its last checkpoint, and reads again what came after.
    """

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._of_group: defaultdict[int, list[str]] = defaultdict(list)
        self._over: set[int] = set()
        self._spent: list[str] = []
        self._settled: list[str] = []

    def finished(self, trajectory: Trajectory) -> None:
        """Hold what a trajectory of the pool refers to."""
        if trajectory.group_id in self._over:
            return  # nobody waits for it
        shown = references(trajectory)
        self._pictures.hold(shown)
        self._of_group[trajectory.group_id] += shown

    def happened(self, event: PoolEvent) -> None:
        """Take note of a group's end."""
        if event.kind in ("reject", "consume"):
            self._over.add(event.group_id)
            self._spent += self._of_group.pop(event.group_id, [])

    def checkpoint(self) -> None:
        """A checkpoint is about to be written, which knows of all that happened so far."""
        self._settled += self._spent
        self._spent = []

    def published(self) -> None:
        """New weights came, so the last checkpoint is whole: free what it does not need."""
        self._pictures.release(self._settled)
        self._settled = []

    def resume(self, trajectories: Iterable[Trajectory]) -> list[Trajectory]:
        """Hold what a run that was stopped left in groups that live on; gives what can be read.

        A run that goes back to an earlier checkpoint than its last finds episodes on disk whose
        screenshots are gone: they are to be played again. Whatever else lies in the store goes.
        """
        there = {path.name for path in self._pictures.store.folder.iterdir()}
        whole = [each for each in trajectories if there.issuperset(references(each))]
        for trajectory in whole:
            self.finished(trajectory)
        self._pictures.sweep()
        return whole


def references(trajectory: Trajectory) -> list[str]:
    """The screenshots that a trajectory refers to, each once."""
    return sorted({reference for turn in trajectory.turns for reference in turn.images})
