"""Group-relative advantages: GRPO's, and Dr. GRPO's without the division."""

from __future__ import annotations

from torch import Tensor

from webdojo.training.objectives.advantages.standardize import standardize
from webdojo.training.objectives.batch import Batch
from webdojo.training.objectives.config import Deviation


def grpo(batch: Batch, deviation: Deviation, epsilon: float) -> Tensor:
    """A_i = (R_i − mean) / (σ + ε) over the group, [trajectories] (GRPO, arXiv 2402.03300 eq. 3).

    Mean and σ are over trajectories, so a long one counts no more than a short one.
    """
    return standardize(batch.rewards, batch.groups, batch.group_count, deviation, epsilon)


def dr_grpo(batch: Batch) -> Tensor:
    """A_i = R_i − mean over the group, [trajectories] (Dr. GRPO, arXiv 2503.20783)."""
    return standardize(batch.rewards, batch.groups, batch.group_count, "none", 0.0)
