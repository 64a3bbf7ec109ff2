"""Gradients against finite differences in float64, by token and through a small language model."""

import math

import pytest
import torch
from random_batches import Example, random_example
from torch import nn
from torch.func import functional_call

from webdojo.training.objectives.config import ObjectiveConfig
from webdojo.training.objectives.objective import prepare, surrogate

# Far enough off policy that clips, dual clips and drops all happen.
DRIFT = 1.0
SMOOTH = {
    "decoupled": {},
    "dual_clip_only": {"surrogate": {"clip_low": 1.0, "clip_high": 1.9, "dual_clip": 3.0}},
    "clip_higher": {"surrogate": {"name": "ppo", "clip_high": 0.28}},
    "tis": {"correction": "tis"},
    "icepop": {"correction": "icepop"},
    "gspo": {"surrogate": {"name": "gspo", "clip_low": 0.3, "clip_high": 0.3}},
    "k1": {"kl": {"coefficient": 0.3, "estimator": "k1"}},
    "k2": {"kl": {"coefficient": 0.3, "estimator": "k2"}},
    "k3": {"kl": {"coefficient": 0.3, "estimator": "k3"}},
    "weighted_k3": {"kl": {"coefficient": 0.3, "importance_weighted": True}},
    "entropy": {"entropy_coefficient": 0.3},
}
"""Objectives whose gradient is that of their value; CISPO and CTPO hold a factor fixed."""


@pytest.mark.parametrize("given", SMOOTH.values(), ids=SMOOTH)
def test_by_token(given):
    config = ObjectiveConfig.model_validate(given)
    example = random_example(0, groups=2, members=3, drift=DRIFT)

    def loss(logprobs, entropies):
        moved = Example(
            example.batch,
            logprobs,
            example.proximal,
            example.behaviour,
            example.reference,
            entropies,
        )
        return moved.loss(config)[0]

    rates = example.loss(config)[1].rates()
    assert rates["clip_rate"] > 0
    assert torch.autograd.gradcheck(
        loss, (example.logprobs, example.entropies), eps=1e-7, atol=1e-6
    )


@pytest.mark.parametrize("seed", range(3))
def test_cispo_holds_its_ratio_fixed(seed):
    example = random_example(seed, drift=DRIFT)
    config = ObjectiveConfig.model_validate({"surrogate": {"name": "cispo", "ratio_high": 1.5}})
    weights, advantages = prepare(example.batch, config)
    ratios = (example.logprobs.detach() - example.proximal).exp().clamp(max=1.5)
    correction = (example.proximal - example.behaviour).exp()
    correction[correction > 5] = 0
    loss, statistics = example.loss(config)
    assert statistics.rates()["clip_rate"] > 0
    assert statistics.rates()["dropped_token_rate"] > 0
    torch.testing.assert_close(
        torch.autograd.grad(loss, example.logprobs)[0],
        -weights * correction * ratios * advantages,
        atol=1e-12,
        rtol=1e-12,
    )


@pytest.mark.parametrize("seed", range(3))
def test_ctpo_holds_its_prefix_fixed(seed):
    """Against a loop over rows and tokens that differentiates each token by hand."""
    example = random_example(seed, drift=0.1)
    config = ObjectiveConfig.model_validate({"surrogate": "ctpo", "correction": "none"})
    weights, advantages = prepare(example.batch, config)
    log_ratios = (example.logprobs.detach() - example.proximal).tolist()
    expected, value = [], 0.0
    for row in range(example.batch.row_count):
        prefix = 0.0
        for tau, t in enumerate(example.batch.tokens_of([row]).tolist(), start=1):
            prefix += log_ratios[t]
            band = math.sqrt(tau)
            a = float(advantages[t])
            inside = prefix <= 0.05 * band if a > 0 else prefix >= -0.025 * band
            bounded = max(-0.025 * band, min(0.05 * band, prefix))
            effective = prefix if inside else bounded
            value -= float(weights[t]) * math.exp(effective) * a
            expected.append(-float(weights[t]) * math.exp(prefix) * a * inside)
    loss, statistics = example.loss(config)
    assert statistics.rates()["clip_rate"] > 0
    assert float(loss.detach()) == pytest.approx(value, rel=1e-12)
    torch.testing.assert_close(
        torch.autograd.grad(loss, example.logprobs)[0],
        torch.tensor(expected, dtype=torch.float64),
        atol=1e-12,
        rtol=1e-12,
    )


class LanguageModel(nn.Module):
    """One causal transformer layer over 13 tokens, in float64 throughout."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(13, 8)
        self.places = nn.Embedding(16, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 13)
        self.double()

    def forward(self, ids):
        """Log-probabilities of the next token, [tokens, 13], for ``ids`` [tokens]."""
        mask = torch.ones(len(ids), len(ids), dtype=torch.bool).triu(1)
        hidden = self.tokens(ids) + self.places(torch.arange(len(ids)))
        return self.head(self.layer(hidden[None], src_mask=mask)[0]).log_softmax(-1)


@pytest.mark.parametrize("given", SMOOTH.values(), ids=SMOOTH)
def test_through_a_small_language_model(given):
    """The slope of the loss along random directions in the space of all weights."""
    config = ObjectiveConfig.model_validate(given)
    example = random_example(2, groups=2, members=3, drift=DRIFT)
    batch = example.batch
    weights, advantages = prepare(batch, config)
    torch.manual_seed(0)
    model = LanguageModel()
    rows = [
        (torch.randint(13, (3,)), torch.randint(13, (int(count),)))
        for count in batch.token_counts
        if count
    ]

    def forward(parameters):
        logprobs, entropies = [], []
        for prompt, response in rows:
            table = functional_call(model, parameters, torch.cat([prompt, response]))[2:-1]
            logprobs.append(table.gather(1, response[:, None])[:, 0])
            entropies.append(-(table.exp() * table).sum(-1))
        return torch.cat(logprobs), torch.cat(entropies)

    parameters = dict(model.named_parameters())
    start = forward(parameters)[0].detach()
    noise = torch.randn(3, batch.token_count, dtype=torch.float64) * DRIFT

    def loss(parameters):
        logprobs, entropies = forward(parameters)
        return surrogate(
            logprobs,
            config,
            proximal=start + noise[0],
            behaviour=start + noise[0] + noise[1],
            advantages=advantages,
            weights=weights,
            token_rows=batch.spread(torch.arange(batch.row_count)),
            reference=start + noise[2],
            entropies=entropies,
        )[0]

    gradients = torch.autograd.grad(loss(parameters), list(parameters.values()))
    for _ in range(3):
        direction = [torch.randn_like(value) for value in parameters.values()]
        slope = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True))
        ahead, behind = (
            loss({n: p + step * d for (n, p), d in zip(parameters.items(), direction, strict=True)})
            for step in (1e-6, -1e-6)
        )
        difference = (ahead - behind).detach() / 2e-6
        torch.testing.assert_close(difference, slope, rtol=1e-6, atol=1e-7)
