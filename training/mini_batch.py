"""A mini-batch of one update: its tokens, its loss, and what the steps on the batch saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from webdojo.training.gradient import GradientStepper
from webdojo.training.objectives.config import ObjectiveConfig
from webdojo.training.objectives.objective import surrogate
from webdojo.training.objectives.statistics import Statistics
from webdojo.training.packed_batch import PackedBatch
from webdojo.training.rollouts.trajectory import Turn


@dataclass(frozen=True, slots=True)
class TokenTable:
    """What an objective wants to know of each trained token, float32 [tokens] each."""

    weights: Tensor
    advantages: Tensor
    behaviour: Tensor
    proximal: Tensor | None
    reference: Tensor | None

    def at(self, places: Tensor) -> TokenTable:
        """The same for some of the tokens."""
        return TokenTable(
            self.weights[places],
            self.advantages[places],
            self.behaviour[places],
            None if self.proximal is None else self.proximal[places],
            None if self.reference is None else self.reference[places],
        )


class Seen:
    """What the steps on one batch saw."""

    def __init__(self, tokens: int, device: torch.device) -> None:
        self.sums = torch.zeros(len(fields(Statistics)), device=device)
        self.before = torch.zeros(2, tokens, device=device)
        """Log-probabilities in the first step, and 1 where there is one."""

    def statistics(self, stepper: GradientStepper) -> Statistics:
        """Sums over all processes."""
        return Statistics.from_tensor(stepper.accelerator.reduce(self.sums, "sum"))

    def mismatch(
        self, stepper: GradientStepper, behaviour: Tensor, same_weights: Tensor
    ) -> dict[str, float]:
        """How far engine and learner are apart on responses of these very weights, nats."""
        logprobs, known = stepper.accelerator.reduce(self.before, "sum")
        gaps = (logprobs - behaviour).abs()[same_weights & (known > 0)]
        if not gaps.numel():
            return {}
        return {
            "logprob_mismatch_mean": float(gaps.mean()),
            "logprob_mismatch_max": float(gaps.max()),
        }


@dataclass(frozen=True, slots=True)
class MiniBatch:
    """A mini-batch: its tokens, their places in the whole batch, and what is seen of them."""

    objective: ObjectiveConfig
    tokens: TokenTable
    places: Tensor
    seen: Seen
    first: bool

    def loss(self, packed: PackedBatch, logprobs: Tensor, entropies: Tensor) -> Tensor:
        """Loss of one micro-batch of the mini-batch."""
        tokens = self.tokens.at(packed.token_indices)
        loss, statistics = surrogate(
            logprobs,
            self.objective,
            proximal=logprobs.detach() if tokens.proximal is None else tokens.proximal,
            behaviour=tokens.behaviour,
            advantages=tokens.advantages,
            weights=tokens.weights,
            token_rows=packed.token_rows,
            reference=tokens.reference,
            entropies=entropies,
        )
        self.seen.sums += statistics.to_tensor()
        if self.first:
            places = self.places[packed.token_indices]
            self.seen.before[0, places] = logprobs.detach()
            self.seen.before[1, places] = 1
        return loss


def drawn_by(turns: Sequence[Turn], version: int, device: torch.device) -> Tensor:
    """Whether tokens belong to responses that this version alone drew.

    A response that older weights began goes on over their keys and values, which the learner has
    not: its difference says nothing of engine and learner.
    """
    alone = (all(v == version for v in turn.versions) for turn in turns)
    counted = [own for turn, own in zip(turns, alone, strict=True) for _ in turn.versions]
    return torch.tensor(counted, device=device)


def staleness(turns: Sequence[Turn], version: int) -> dict[str, float]:
    """How many versions behind the tokens were drawn."""
    gaps = [version - v for turn in turns for v in turn.versions]
    return {"staleness_mean": sum(gaps) / len(gaps), "staleness_max": float(max(gaps))}
