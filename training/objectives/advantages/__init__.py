"""Advantage estimators: how much better than the rest of its group each turn did."""

from __future__ import annotations

from typing import assert_never

from torch import Tensor

from webdojo.training.objectives.advantages.gigpo import gigpo
from webdojo.training.objectives.advantages.grpo import dr_grpo, grpo
from webdojo.training.objectives.advantages.reinforce_ada import reinforce_ada
from webdojo.training.objectives.advantages.rloo import rloo
from webdojo.training.objectives.batch import Batch
from webdojo.training.objectives.config import (
    Advantage,
    DrGrpoAdvantage,
    GigpoAdvantage,
    GrpoAdvantage,
    ReinforceAdaAdvantage,
    RlooAdvantage,
)


def estimate(batch: Batch, config: Advantage) -> Tensor:
    """Advantage of each row, float64 [rows]."""
    match config:
        case GrpoAdvantage():
            return grpo(batch, config.deviation, config.epsilon)[batch.trajectories]
        case DrGrpoAdvantage():
            return dr_grpo(batch)[batch.trajectories]
        case RlooAdvantage():
            return rloo(batch)[batch.trajectories]
        case ReinforceAdaAdvantage():
            return reinforce_ada(batch, config.deviation, config.epsilon)[batch.trajectories]
        case GigpoAdvantage():
            return gigpo(batch, config)
        case _:
            assert_never(config)
