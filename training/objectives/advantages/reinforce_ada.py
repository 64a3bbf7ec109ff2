"""Advantages against everything that was drawn for a group, not only what was kept."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from webdojo.training.objectives import segments
from webdojo.training.objectives.batch import Batch, RewardPool
from webdojo.training.objectives.config import Deviation


def reinforce_ada(batch: Batch, deviation: Deviation | Literal["none"], epsilon: float) -> Tensor:
    """A_i = (R_i − mean) / (σ + ε) over the group's pool, [trajectories].

    Reinforce-Ada (arXiv 2510.04996): sampling stops when a group has enough of both outcomes and
    part of what was drawn is kept, so the kept rewards are a biased sample and the pool is not.
    The advantages of a group need not sum to 0. Without a pool in the batch it is GRPO.
    """
    pool = batch.pool or _kept(batch)
    mean = pool.reward_sums / pool.counts
    centred = batch.rewards - mean[batch.groups]
    if deviation == "none":
        return centred
    freedom = (pool.counts - int(deviation == "sample")).clamp(min=1)
    variance = (pool.square_sums - pool.counts * mean.square()).clamp(min=0) / freedom
    return centred / (variance.sqrt()[batch.groups] + epsilon)


def _kept(batch: Batch) -> RewardPool:
    rewards, groups, count = batch.rewards, batch.groups, batch.group_count
    return RewardPool(
        counts=batch.group_sizes.to(rewards.dtype),
        reward_sums=segments.sums(rewards, groups, count),
        square_sums=segments.sums(rewards.square(), groups, count),
    )
