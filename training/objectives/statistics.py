"""What a loss observed, as sums that add over micro-batches and ranks."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Statistics:
    """Sums over tokens; each a scalar tensor without a gradient, so that none waits for a GPU."""

    tokens: Tensor
    """Number of tokens."""
    clipped: Tensor
    """Number of tokens whose surrogate the clip changed."""
    dropped: Tensor
    """Number of tokens that the correction dropped."""
    ratio: Tensor
    """Σ of the surrogate's importance ratio, before clipping."""
    weight: Tensor
    """Σ of w = π_θ/π_behave, the whole importance weight, uncapped."""
    weight_square: Tensor
    """Σ w²."""
    kl_behaviour_k1: Tensor
    """Σ of k1 estimates of KL(π_behave ‖ π_θ), nats."""
    kl_behaviour_k3: Tensor
    """Σ of k3 estimates of KL(π_behave ‖ π_θ), nats."""
    kl_reference: Tensor
    """Σ of the configured estimate of KL(π_θ ‖ π_ref), nats, over ``reference_tokens``."""
    reference_tokens: Tensor
    """Number of tokens with a reference."""
    entropy: Tensor
    """Σ of entropies, nats, over ``entropy_tokens``."""
    entropy_tokens: Tensor
    """Number of tokens with an entropy."""

    @classmethod
    def seen(
        cls, ratios: Tensor, clipped: Tensor, dropped: Tensor, log_weights: Tensor
    ) -> Statistics:
        """Sum over tokens; all [tokens], ``log_weights`` is logπ_θ − logπ_behave in nats."""
        count = ratios.new_tensor(ratios.numel())
        none = torch.zeros_like(count)
        weights = log_weights.exp()
        return cls(
            tokens=count,
            clipped=clipped.sum().to(ratios.dtype),
            dropped=dropped.sum().to(ratios.dtype),
            ratio=ratios.sum(),
            weight=weights.sum(),
            weight_square=weights.square().sum(),
            kl_behaviour_k1=-log_weights.sum(),
            kl_behaviour_k3=(weights - 1 - log_weights).sum(),
            kl_reference=none,
            reference_tokens=none,
            entropy=none,
            entropy_tokens=none,
        )

    def with_reference(self, divergence: Tensor) -> Statistics:
        """The same with estimates of KL(π_θ ‖ π_ref) of the same tokens, nats [tokens]."""
        total = divergence.detach().sum()
        return replace(self, kl_reference=total, reference_tokens=self.tokens)

    def with_entropies(self, entropies: Tensor) -> Statistics:
        """The same with the entropies of the same tokens' distributions, nats [tokens]."""
        return replace(self, entropy=entropies.detach().sum(), entropy_tokens=self.tokens)

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics.from_tensor(self.to_tensor() + other.to_tensor())

    def to_tensor(self) -> Tensor:
        """All sums in one tensor [fields], to be summed over ranks in one call."""
        return torch.stack([getattr(self, field.name) for field in fields(self)])

    @classmethod
    def from_tensor(cls, sums: Tensor) -> Statistics:
        """Undo ``to_tensor``."""
        return cls(*sums.unbind())

    def rates(self) -> dict[str, float]:
        """Means over tokens, by metric name; a quantity that was not measured is left out.

        ``effective_sample_size`` is the share (Σw)² / (N · Σw²), 1 on policy.
        """
        sums = {
            field.name: value
            for field, value in zip(fields(self), self.to_tensor().tolist(), strict=True)
        }
        rates: dict[str, float] = {}
        if tokens := sums["tokens"]:
            rates = {
                "clip_rate": sums["clipped"] / tokens,
                "dropped_token_rate": sums["dropped"] / tokens,
                "mean_ratio": sums["ratio"] / tokens,
                "effective_sample_size": sums["weight"] ** 2 / (tokens * sums["weight_square"]),
                "kl_behaviour_k1": sums["kl_behaviour_k1"] / tokens,
                "kl_behaviour_k3": sums["kl_behaviour_k3"] / tokens,
            }
        if sums["reference_tokens"]:
            rates["kl_reference"] = sums["kl_reference"] / sums["reference_tokens"]
        if sums["entropy_tokens"]:
            rates["entropy"] = sums["entropy"] / sums["entropy_tokens"]
        return rates
