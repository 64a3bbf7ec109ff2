"""Pacing: how many episodes may begin now, so that tokens are fresh when they are trained on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Pacing:
    """How many episodes may begin now.

    Bounding what is begun bounds staleness without throwing work away (AReaL, arXiv 2505.24298):

        capacity = min(max_running − running, (η + version + 1)·batch − (accepted + running))

    The left term counts places, the right one work in the learner's queue, so each is in its own
    unit. Places hold episodes. The queue holds groups of G episodes, because only a whole group
    can be consumed: a group that is begun is charged in full until it is consumed or rejected,
    however many of its episodes have ended. With ``waiting``, the episodes of begun groups that
    have no place yet, the episodes that may begin are

        capacity = min(max_running − running,
                       waiting + G · max(0, (η + version + 1)·batch − (accepted + open)))

    A group that begins under version v therefore has fewer than (η + v + 1)·batch groups before it,
    and is consumed by version v + η at the latest if groups are consumed in the order they began.

    ``accepted`` is not counted but derived: the batches before ``next_version`` (the version at
    which the next batch will be consumed) and the finished groups that wait. So a rejected group
    gives its capacity back, and a resumed run starts at accepted = version · batch by itself.

    η = 0 is exactly synchronous: after one batch of groups nothing begins until the next version.
    """

    max_running: int
    """Places for episodes (slots)."""
    staleness: int
    """η ≥ 0: how many versions the oldest token may lie behind the learner when consumed."""
    groups_per_batch: int
    """Groups the learner consumes in one update."""
    group_size: int
    """G, episodes in a group."""
    version: int = 0
    """Policy version that episodes are drawn from now."""
    next_version: int = 0
    """Version at which the learner consumes the next batch; ahead of ``version`` by at most the
    update under way."""
    running: int = 0
    """Episodes in a place."""
    waiting: int = 0
    """Episodes of open groups that still need a place."""
    open: int = 0
    """Groups begun and not yet finished or rejected."""
    ready: int = 0
    """Groups finished, kept and not yet consumed."""

    def __post_init__(self) -> None:
        """Refuse numbers under which nothing could ever run."""
        for name in ("max_running", "groups_per_batch", "group_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.staleness < 0:
            raise ValueError(f"staleness must be at least 0, got {self.staleness}")
        self.next_version = max(self.next_version, self.version)

    @property
    def accepted(self) -> int:
        """Groups consumed or ready since version 0, as if every version had taken one batch."""
        return self.next_version * self.groups_per_batch + self.ready

    @property
    def groups(self) -> int:
        """Groups that may be opened now without making tokens too stale."""
        allowed = (self.staleness + self.version + 1) * self.groups_per_batch
        return max(0, allowed - (self.accepted + self.open))

    @property
    def capacity(self) -> int:
        """Episodes that may begin now."""
        return min(self.max_running - self.running, self.waiting + self.group_size * self.groups)
