"""What a surrogate gives for each token, and the pessimistic clip that several share."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Terms(NamedTuple):
    """One value a token each, [tokens]."""

    values: Tensor
    """s, to be maximised; proportional to the advantage."""
    ratios: Tensor
    """Importance ratio before clipping, without a gradient."""
    clipped: Tensor
    """Whether the clip changed s, bool."""


def clipped_terms(ratios: Tensor, bounded: Tensor, advantages: Tensor, ceiling: Tensor) -> Terms:
    """Clip: s = min(ρA, ρ_clip·A), and where A < 0 not below ceiling·A (dual clip).

    ``ratios`` ρ and ``bounded`` ρ_clip are [tokens]; ``ceiling`` (inf for no dual clip) is
    [tokens] or a scalar.
    """
    optimistic = torch.minimum(ratios, bounded)
    pessimistic = torch.minimum(torch.maximum(ratios, bounded), ceiling)
    effective = torch.where(advantages < 0, pessimistic, optimistic)
    clipped = (effective != ratios) & (advantages != 0)
    return Terms(effective * advantages, ratios.detach(), clipped)
