"""CISPO: the ratio is clipped as a weight, and every token keeps its gradient."""

from __future__ import annotations

from torch import Tensor

from webdojo.training.objectives.config import CispoSurrogate
from webdojo.training.objectives.surrogates.terms import Terms


def cispo(
    logprobs: Tensor, log_ratios: Tensor, advantages: Tensor, config: CispoSurrogate
) -> Terms:
    """CISPO: s = sg(clip(ρ, low, high)) · A · logπ_θ, [tokens] (arXiv 2506.13585 eq. 4–5).

    The value of s means little; its gradient is that of REINFORCE under a truncated ratio.
    """
    ratios = log_ratios.detach().exp()
    bounded = ratios.clamp(config.ratio_low, config.ratio_high)
    clipped = (bounded != ratios) & (advantages != 0)
    return Terms(bounded * advantages * logprobs, ratios, clipped)
