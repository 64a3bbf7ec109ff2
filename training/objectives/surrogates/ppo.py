"""PPO's clipped surrogate, with clip-higher and dual clip."""

from __future__ import annotations

from torch import Tensor

from webdojo.training.objectives.config import PpoSurrogate
from webdojo.training.objectives.surrogates.terms import Terms, clipped_terms


def ppo(log_ratios: Tensor, advantages: Tensor, config: PpoSurrogate) -> Terms:
    """PPO: s = min(ρA, clip(ρ, 1 − ε₋, 1 + ε₊)·A), and max(s, c·A) where A < 0, [tokens].

    From arXiv 1707.06347 eq. 7; ε₊ > ε₋ is clip-higher (DAPO, arXiv 2503.14476); c is the dual
    clip (arXiv 1912.09729 eq. 5). Arguments are [tokens].
    """
    ratios = log_ratios.exp()
    bounded = ratios.clamp(1 - config.clip_low, 1 + config.clip_high)
    return clipped_terms(ratios, bounded, advantages, ratios.new_tensor(config.dual_clip))
