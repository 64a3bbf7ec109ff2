"""Surrogates: what is maximised for each token, before weights."""

from __future__ import annotations

from typing import assert_never

from torch import Tensor

from webdojo.training.objectives.config import (
    CispoSurrogate,
    CtpoSurrogate,
    GspoSurrogate,
    PpoSurrogate,
    Surrogate,
)
from webdojo.training.objectives.surrogates.cispo import cispo
from webdojo.training.objectives.surrogates.ctpo import ctpo
from webdojo.training.objectives.surrogates.gspo import gspo
from webdojo.training.objectives.surrogates.ppo import ppo
from webdojo.training.objectives.surrogates.terms import Terms


def token_terms(
    logprobs: Tensor,
    log_ratios: Tensor,
    advantages: Tensor,
    token_rows: Tensor,
    config: Surrogate,
) -> Terms:
    """Terms s of the tokens; every argument is [tokens], ``log_ratios`` is logπ_θ − logπ_prox."""
    match config:
        case PpoSurrogate():
            return ppo(log_ratios, advantages, config)
        case GspoSurrogate():
            return gspo(log_ratios, advantages, token_rows, config)
        case CispoSurrogate():
            return cispo(logprobs, log_ratios, advantages, config)
        case CtpoSurrogate():
            return ctpo(logprobs, log_ratios, advantages, token_rows, config)
        case _:
            assert_never(config)
