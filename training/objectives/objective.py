"""The objective that a learner minimises: prepared once a batch, evaluated micro-batch by part."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from webdojo.training.objectives.advantages import estimate
from webdojo.training.objectives.batch import Batch
from webdojo.training.objectives.config import ObjectiveConfig
from webdojo.training.objectives.corrections import correct
from webdojo.training.objectives.kl import kl
from webdojo.training.objectives.normalizers import normalize
from webdojo.training.objectives.stability import limited
from webdojo.training.objectives.statistics import Statistics
from webdojo.training.objectives.surrogates import token_terms


class Prepared(NamedTuple):
    """One value a trained token each, float64 [tokens], in the order of ``Batch``."""

    weights: Tensor
    """Weight in the batch's loss."""
    advantages: Tensor


@torch.no_grad()
def prepare(batch: Batch, config: ObjectiveConfig) -> Prepared:
    """Weights and advantages of a whole batch, over all ranks, before it is split.

    Raises ValueError if the batch has no trained token.
    """
    if batch.token_count == 0:
        raise ValueError(
            f"a batch of {batch.row_count} rows has no trained token; leave such a batch out"
        )
    return Prepared(
        weights=batch.spread(normalize(batch, config.normalizer)),
        advantages=batch.spread(estimate(batch, config.advantage)),
    )


def surrogate(
    logprobs: Tensor,
    config: ObjectiveConfig,
    *,
    proximal: Tensor | None,
    behaviour: Tensor,
    advantages: Tensor,
    weights: Tensor,
    token_rows: Tensor,
    reference: Tensor | None = None,
    entropies: Tensor | None = None,
) -> tuple[Tensor, Statistics]:
    """Loss of a part of a batch, and what was seen in it.

        loss = − Σ_t weight_t · (w_t · s_t − β · KL_t + α · H_t)

    A batch may be cut anywhere between rows, and the losses of its parts add up to its own:
    backpropagate each as it is, divide by nothing. Where gradients are averaged over ranks,
    multiply by the number of ranks.

    All tensors are [tokens]: ``logprobs`` (nats, with a gradient) under the policy being trained,
    ``proximal`` under the one before the first step on the batch (unused, and may be None, with
    ``proximal = "behaviour"``), ``behaviour`` under the one that drew the token; ``advantages``
    and ``weights`` from ``prepare``; ``token_rows`` equal for the tokens of one row, which must
    all be here and in their order. ``reference`` is needed for a KL penalty and ``entropies``
    (nats, with a gradient) for an entropy bonus; given without need they are only measured.

    Raises ValueError if shapes differ or something that the configuration needs is missing.
    """
    if config.proximal == "behaviour":
        proximal = behaviour
    _check_needs(config, proximal, reference, entropies)
    assert proximal is not None
    # Half precision would round ratios near 1 by up to a per cent.
    dtype = torch.promote_types(logprobs.dtype, torch.float32)
    current = logprobs.to(dtype)
    shape = current.shape
    proximal = _given("proximal", proximal, shape, dtype)
    behaviour = _given("behaviour", behaviour, shape, dtype)
    advantages = _given("advantages", advantages, shape, dtype)
    weights = _given("weights", weights, shape, dtype)
    token_rows = _given("token_rows", token_rows, shape, torch.long)

    terms = token_terms(
        current, limited(current - proximal), advantages, token_rows, config.surrogate
    )
    weighting = correct(limited(proximal - behaviour), config.correction)
    values = weighting.weights * terms.values
    statistics = Statistics.seen(
        terms.ratios, terms.clipped, weighting.dropped, limited(current.detach() - behaviour)
    )
    if reference is not None:
        reference = _given("reference", reference, shape, dtype)
        divergence = kl(current, reference, config.kl.estimator)
        if config.kl.importance_weighted:
            divergence = limited(current - behaviour).exp() * divergence
        statistics = statistics.with_reference(divergence)
        if config.needs_reference:
            values = values - config.kl.coefficient * divergence
    if entropies is not None:
        if entropies.shape != shape:
            raise _shape_error("entropies", entropies, shape)
        statistics = statistics.with_entropies(entropies.to(dtype))
        if config.needs_entropies:
            values = values + config.entropy_coefficient * entropies.to(dtype)
    return -(weights * values).sum(), statistics


def _given(name: str, values: Tensor, shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """A tensor that no gradient goes into."""
    if values.shape != shape:
        raise _shape_error(name, values, shape)
    return values.detach().to(dtype)


def _shape_error(name: str, values: Tensor, shape: torch.Size) -> ValueError:
    return ValueError(
        f"{name} has shape {tuple(values.shape)} but logprobs {tuple(shape)}; "
        "give one value a trained token of this part of the batch (see Batch.tokens_of)"
    )


def _check_needs(
    config: ObjectiveConfig,
    proximal: Tensor | None,
    reference: Tensor | None,
    entropies: Tensor | None,
) -> None:
    if proximal is None:
        raise ValueError(
            'proximal is None; pass log-probabilities under it, or set proximal = "behaviour"'
        )
    if config.needs_reference and reference is None:
        raise ValueError(
            f"kl.coefficient = {config.kl.coefficient} needs log-probabilities under a reference "
            "policy; pass reference, or set kl.coefficient = 0"
        )
    if not config.needs_entropies:
        return
    if entropies is None or (torch.is_grad_enabled() and not entropies.requires_grad):
        state = "entropies is None" if entropies is None else "entropies carries no gradient"
        raise ValueError(
            f"entropy_coefficient = {config.entropy_coefficient} but {state}; "
            "pass entropies with a gradient, or set entropy_coefficient = 0"
        )
