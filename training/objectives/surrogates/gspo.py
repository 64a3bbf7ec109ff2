"""GSPO: one ratio for all tokens of a row."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from webdojo.training.objectives import segments
from webdojo.training.objectives.config import GspoSurrogate
from webdojo.training.objectives.surrogates.terms import Terms, clipped_terms


def gspo(
    log_ratios: Tensor, advantages: Tensor, token_rows: Tensor, config: GspoSurrogate
) -> Terms:
    """GSPO: s = min(rA, clip(r, 1 − ε₋, 1 + ε₊)·A), r = exp(mean log-ratio of the row), [tokens].

    From arXiv 2507.18071 eq. 5–7. Every token of a row carries the row's r, so all of them must
    be here; with ``sequence_mean`` weights each row then counts once.
    """
    rows, labels = torch.unique(token_rows, return_inverse=True)
    ratios = segments.means(log_ratios, labels, rows.numel()).exp()[labels]
    bounded = ratios.clamp(1 - config.clip_low, 1 + config.clip_high)
    return clipped_terms(ratios, bounded, advantages, ratios.new_tensor(math.inf))
