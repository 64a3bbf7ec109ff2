"""CTPO: the ratio of the whole prefix, clipped in a band that widens with its length."""

from __future__ import annotations

import torch
from torch import Tensor

from webdojo.training.objectives.config import CtpoSurrogate
from webdojo.training.objectives.segments import running_sums
from webdojo.training.objectives.stability import limited
from webdojo.training.objectives.surrogates.terms import Terms, clipped_terms


def ctpo(
    logprobs: Tensor,
    log_ratios: Tensor,
    advantages: Tensor,
    token_rows: Tensor,
    config: CtpoSurrogate,
) -> Terms:
    """CTPO: s = min(exp(c)·A, exp(clip(c, −low·τ^q, high·τ^q))·A), and dual clip, [tokens].

    From arXiv 2605.07331: c = Σ of the row's log-ratios up to and including the token, τ = the
    number of trained tokens up to it. As in the paper's code the sum is a weight, and the
    gradient of a token's s is that of its own log-probability alone. The prefix is the row's: the
    turns before it belong to other rows. All tokens of a row must be here, in their order.
    """
    # In double: a running sum over the micro-batch, less what went before the row.
    prefix = running_sums(log_ratios.detach().double(), token_rows).to(log_ratios.dtype)
    band = running_sums(torch.ones_like(prefix), token_rows) ** config.power
    prefix = limited(prefix) + (logprobs - logprobs.detach())
    bounded = prefix.clamp(-config.log_clip_low * band, config.log_clip_high * band).exp()
    ceiling = (config.log_dual_clip * band).exp()
    return clipped_terms(prefix.exp(), bounded, advantages, ceiling)
