"""A batch as flat tables: groups, their trajectories, their turns (rows), their trained tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from webdojo.training.rollouts.trajectory import Group


@dataclass(frozen=True, slots=True)
class RewardPool:
    """Everything that was drawn for each group, kept or not, as sums that add over rounds.

    ``counts``, ``reward_sums`` and ``square_sums`` (Σ R²) are float64 [groups].
    """

    counts: Tensor
    reward_sums: Tensor
    square_sums: Tensor

    @classmethod
    def of(cls, groups: Sequence[Group]) -> RewardPool:
        """The rewards drawn for each group; those of its trajectories if nothing else was."""
        drawn = [group.drawn or tuple(t.reward for t in group.trajectories) for group in groups]
        return cls(
            counts=torch.tensor([len(rewards) for rewards in drawn], dtype=torch.float64),
            reward_sums=torch.tensor([sum(rewards) for rewards in drawn], dtype=torch.float64),
            square_sums=torch.tensor(
                [sum(reward * reward for reward in rewards) for rewards in drawn],
                dtype=torch.float64,
            ),
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """What an objective knows of a batch besides log-probabilities.

    One row is one turn. Flat token tensors [tokens] hold row 0's trained tokens in their order,
    then row 1's, and so on. How rows are later padded, packed, split into micro-batches or dealt
    to ranks changes nothing here: every rank holds the whole batch, which is a few numbers a row.

    A trajectory without rows still counts in its group, and a row without trained tokens (masked
    out) still counts as a turn and as a row.
    """

    rewards: Tensor
    """Reward of each trajectory, float64 [trajectories]."""
    groups: Tensor
    """Group of each trajectory, 0 … groups − 1, int64 [trajectories]."""
    trajectories: Tensor
    """Trajectory of each row, as an index into ``rewards``, int64 [rows]."""
    turn_indices: Tensor
    """Place of each row in its trajectory, counted from 0, int64 [rows]."""
    token_counts: Tensor
    """Number of trained tokens of each row, int64 [rows]."""
    step_rewards: Tensor
    """Reward of each turn besides the trajectory's, float64 [rows]."""
    states: Tensor
    """Equal for turns that began in the same state, −1 where unknown, int64 [rows]."""
    pool: RewardPool | None = None
    """None if nothing was drawn besides the batch."""

    def __post_init__(self) -> None:
        _check_length("groups", self.groups, self.rewards.numel(), "trajectory")
        rows = self.trajectories.numel()
        for name in ("turn_indices", "token_counts", "step_rewards", "states"):
            _check_length(name, getattr(self, name), rows, "row")
        _check_labels("trajectories", self.trajectories, self.rewards.numel())
        _check_labels("groups", self.groups, self.group_count)
        if empty := (self.group_sizes == 0).nonzero().flatten().tolist():
            raise ValueError(
                f"groups skips {empty[0]}; number groups 0, 1, 2 … without a gap, and leave out "
                "those without trajectories"
            )
        if self.pool is not None:
            _check_length("pool.counts", self.pool.counts, self.group_count, "group")

    @classmethod
    def of(cls, groups: Sequence[Group], pool: RewardPool | None = None) -> Batch:
        """Make a batch whose rows are the turns of ``groups``, group by group, in order.

        ``pool`` is by default made of what the groups say was drawn for them.
        """
        if pool is None and any(group.drawn for group in groups):
            pool = RewardPool.of(groups)
        trajectories = [trajectory for group in groups for trajectory in group.trajectories]
        turns = [(i, t, turn) for i, x in enumerate(trajectories) for t, turn in enumerate(x.turns)]
        known: dict[str, int] = {"": -1}
        return cls(
            rewards=torch.tensor([x.reward for x in trajectories], dtype=torch.float64),
            groups=torch.tensor(
                [g for g, group in enumerate(groups) for _ in group.trajectories], dtype=torch.long
            ),
            trajectories=torch.tensor([i for i, _, _ in turns], dtype=torch.long),
            turn_indices=torch.tensor([t for _, t, _ in turns], dtype=torch.long),
            token_counts=torch.tensor([len(x.response_ids) for *_, x in turns], dtype=torch.long),
            step_rewards=torch.tensor([x.step_reward for *_, x in turns], dtype=torch.float64),
            states=torch.tensor(
                [known.setdefault(x.state_hash, len(known)) for *_, x in turns], dtype=torch.long
            ),
            pool=pool,
        )

    @property
    def group_count(self) -> int:
        """Number of groups."""
        return int(self.groups.max()) + 1 if self.groups.numel() else 0

    @property
    def row_count(self) -> int:
        """Number of rows B."""
        return self.trajectories.numel()

    @property
    def token_count(self) -> int:
        """Number of trained tokens N."""
        return int(self.token_counts.sum())

    @property
    def group_sizes(self) -> Tensor:
        """Number of trajectories G of each group, int64 [groups]."""
        return torch.bincount(self.groups, minlength=self.group_count)

    @property
    def turn_counts(self) -> Tensor:
        """Number of turns T of each trajectory, int64 [trajectories]."""
        return torch.bincount(self.trajectories, minlength=self.rewards.numel())

    def spread(self, row_values: Tensor) -> Tensor:
        """Give every token its row's value: [rows] → [tokens]."""
        return row_values.repeat_interleave(self.token_counts)

    def tokens_of(self, rows: Sequence[int]) -> Tensor:
        """Places of the tokens of some rows in flat token tensors, row after row, int64."""
        starts = self.token_counts.cumsum(0) - self.token_counts
        chosen = torch.as_tensor(rows, dtype=torch.long)
        counts = self.token_counts[chosen]
        shifts = starts[chosen] - (counts.cumsum(0) - counts)
        return shifts.repeat_interleave(counts) + torch.arange(int(counts.sum()))


def _check_length(name: str, values: Tensor, expected: int, each: str) -> None:
    if values.shape != (expected,):
        raise ValueError(
            f"{name} has shape {tuple(values.shape)}; it takes one value a {each}, ({expected},)"
        )


def _check_labels(name: str, labels: Tensor, count: int) -> None:
    if labels.numel() and (int(labels.min()) < 0 or int(labels.max()) >= count):
        raise ValueError(
            f"{name} goes from {int(labels.min())} to {int(labels.max())}; "
            f"it takes indices from 0 to {count - 1}"
        )
