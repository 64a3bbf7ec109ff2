"""Estimates of a KL divergence from the log-probabilities of tokens that were drawn."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from webdojo.training.objectives.stability import limited


def kl(logprobs: Tensor, other: Tensor, estimator: Literal["k1", "k2", "k3"]) -> Tensor:
    """Estimate KL(π ‖ π_other) at each token drawn from π, [tokens], in nats.

    With d = logπ − logπ_other (Schulman, "Approximating KL Divergence", 2020):
    k1 = d, unbiased, of either sign; k2 = d²/2, biased; k3 = exp(−d) − 1 + d, unbiased and ≥ 0.

    As a penalty they differ: on policy the gradient of k2 is that of KL(π ‖ π_other), the gradient
    of k3 that of KL(π_other ‖ π), and the gradient of k1 has mean 0, so k1 does not penalise.
    Multiplied by the ratio π/π_behave, gradient included, k1 and k3 both give KL(π ‖ π_other)'s.
    """
    difference = limited(logprobs - other)
    if estimator == "k1":
        return difference
    if estimator == "k2":
        return difference.square() / 2
    return (-difference).exp() - 1 + difference
