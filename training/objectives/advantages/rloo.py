"""Leave-one-out advantages."""

from __future__ import annotations

from torch import Tensor

from webdojo.training.objectives.advantages.grpo import dr_grpo
from webdojo.training.objectives.batch import Batch


def rloo(batch: Batch) -> Tensor:
    """A_i = R_i − mean of the others = G/(G − 1) · (R_i − mean), [trajectories].

    RLOO (arXiv 2402.14740). A trajectory that is alone in its group has no baseline and gets 0.
    """
    sizes = batch.group_sizes.double()
    return dr_grpo(batch) * (sizes / (sizes - 1).clamp(min=1))[batch.groups]
