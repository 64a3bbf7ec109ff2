"""Corrections: the weight of a token for the policy that drew it not being the proximal one.

ρ = π_prox/π_behave covers staleness (older weights drew the token) and the numerical difference
between engine and learner. With π_prox = π_behave every weight is 1.
"""

from __future__ import annotations

from typing import NamedTuple, assert_never

import torch
from torch import Tensor

from webdojo.training.objectives.config import (
    Correction,
    DecoupledCorrection,
    IcepopCorrection,
    NoCorrection,
    TisCorrection,
)


class Weighting(NamedTuple):
    """One value a token each, [tokens], without gradients."""

    weights: Tensor
    """w; 0 for a dropped token."""
    dropped: Tensor
    """Whether the token was dropped, bool."""


def correct(log_ratios: Tensor, config: Correction) -> Weighting:
    """Weights of tokens; ``log_ratios`` is logπ_prox − logπ_behave, [tokens]."""
    ratios = log_ratios.detach().exp()
    match config:
        case NoCorrection():
            return Weighting(torch.ones_like(ratios), torch.zeros_like(ratios, dtype=torch.bool))
        case DecoupledCorrection():
            return decoupled(ratios, config.cap)
        case TisCorrection():
            return tis(ratios, config.cap)
        case IcepopCorrection():
            return icepop(ratios, config.low, config.high)
        case _:
            assert_never(config)


def decoupled(ratios: Tensor, cap: float) -> Weighting:
    """Decoupled PPO (arXiv 2110.00641) with AsyncWebRL's dropping cap: w = ρ · 1[ρ ≤ cap].

    A dropped token adds nothing, and the normalizer has counted it.
    """
    return icepop(ratios, 0.0, cap)


def tis(ratios: Tensor, cap: float) -> Weighting:
    """Truncated importance sampling: w = min(ρ, cap); nothing is dropped."""
    return Weighting(ratios.clamp(max=cap), torch.zeros_like(ratios, dtype=torch.bool))


def icepop(ratios: Tensor, low: float, high: float) -> Weighting:
    """ICEPOP: w = ρ · 1[low ≤ ρ ≤ high]."""
    dropped = (ratios < low) | (ratios > high)
    return Weighting(ratios.masked_fill(dropped, 0), dropped)
