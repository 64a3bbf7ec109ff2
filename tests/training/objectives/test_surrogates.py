"""Surrogates, corrections and divergences, token by token, against values worked out by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from webdojo.training.objectives.config import (
    CispoSurrogate,
    CtpoSurrogate,
    DecoupledCorrection,
    GspoSurrogate,
    IcepopCorrection,
    NoCorrection,
    ObjectiveConfig,
    PpoSurrogate,
    TisCorrection,
)
from webdojo.training.objectives.corrections import correct
from webdojo.training.objectives.kl import kl
from webdojo.training.objectives.objective import surrogate
from webdojo.training.objectives.surrogates import token_terms


def double(*values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def terms_and_gradient(config, ratios, advantages, rows=None, logprob=-1.0):
    """Terms for tokens with the given ratios, and the gradient of Σ s by log-probability."""
    logprobs = torch.full((len(ratios),), logprob, dtype=torch.float64, requires_grad=True)
    start = logprobs.detach() - double(*ratios).log()
    rows = torch.tensor(rows or list(range(len(ratios))))
    terms = token_terms(logprobs, logprobs - start, double(*advantages), rows, config)
    (gradient,) = torch.autograd.grad(terms.values.sum(), logprobs)
    return terms, gradient


def close(found, expected):
    torch.testing.assert_close(found.detach(), double(*expected), atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("config", "ratio", "advantage", "value", "gradient"),
    [
        (PpoSurrogate(), 1.1, 2.0, 2.2, 2.2),
        (PpoSurrogate(), 1.5, 2.0, 2.4, 0.0),
        (PpoSurrogate(), 0.5, 2.0, 1.0, 1.0),
        (PpoSurrogate(), 0.5, -2.0, -1.6, 0.0),
        (PpoSurrogate(), 1.5, -2.0, -3.0, -3.0),
        (PpoSurrogate(), 1.5, 0.0, 0.0, 0.0),
        # Clip-higher.
        (PpoSurrogate(clip_high=0.28), 1.25, 1.0, 1.25, 1.25),
        (PpoSurrogate(clip_high=0.28), 1.3, 1.0, 1.28, 0.0),
        # Dual clip bounds negative advantages only.
        (PpoSurrogate(dual_clip=3.0), 4.0, -2.0, -6.0, 0.0),
        (PpoSurrogate(dual_clip=3.0), 2.9, -2.0, -5.8, -5.8),
        (PpoSurrogate(dual_clip=3.0), 4.0, 2.0, 2.4, 0.0),
        # No clip at all: CISPO keeps the gradient, of a truncated ratio.
        (CispoSurrogate(ratio_high=2.0), 1.5, 2.0, -3.0, 3.0),
        (CispoSurrogate(ratio_high=2.0), 4.0, 2.0, -4.0, 4.0),
        (CispoSurrogate(ratio_low=0.5), 0.1, -2.0, 1.0, -1.0),
    ],
)
def test_one_token(config, ratio, advantage, value, gradient):
    terms, found = terms_and_gradient(config, [ratio], [advantage])
    close(terms.values, [value])
    close(found, [gradient])
    close(terms.ratios, [ratio])
    unclipped = advantage * (-1.0 if isinstance(config, CispoSurrogate) else 1.0) * ratio
    assert bool(terms.clipped) is not math.isclose(value, unclipped, abs_tol=1e-12)


def test_gspo_shares_the_geometric_mean_of_a_row():
    # Row 7 has ratios 2 and 8 (geometric mean 4), row 3 has 1.01.
    config = GspoSurrogate(clip_low=0.1, clip_high=9.0)
    terms, gradient = terms_and_gradient(config, [2.0, 1.01, 8.0], [1.0, -1.0, 1.0], [7, 3, 7])
    close(terms.values, [4.0, -1.01, 4.0])
    # Each token of row 7 moves the mean by a half and both terms by that.
    close(gradient, [4.0, -1.01, 4.0])
    clipped, gradient = terms_and_gradient(
        GspoSurrogate(clip_low=0.1, clip_high=0.1), [2.0, 1.01, 8.0], [1.0, -1.0, 1.0], [7, 3, 7]
    )
    close(clipped.values, [1.1, -1.01, 1.1])
    assert clipped.clipped.tolist() == [True, False, True]
    close(gradient, [0.0, -1.01, 0.0])


def test_ctpo_multiplies_the_prefix_and_widens_its_band():
    # Rows 0 (ratios e^.03, e^.03, e^.03) and 1 (e^−.1), interleaved; √τ = 1, 1.414, 1.732.
    step = math.exp(0.03)
    terms, gradient = terms_and_gradient(
        CtpoSurrogate(log_clip_low=0.025, log_clip_high=0.05),
        [step, math.exp(-0.1), step, step],
        [1.0, -1.0, 1.0, 1.0],
        [0, 1, 0, 0],
    )
    close(terms.ratios, [step, math.exp(-0.1), step**2, step**3])
    close(
        terms.values,
        [
            math.exp(0.03),
            -math.exp(-0.025),
            math.exp(0.06),
            math.exp(0.05 * math.sqrt(3)),
        ],
    )
    assert terms.clipped.tolist() == [False, True, False, True]
    # A token's own log-probability only, although the prefix is in its ratio.
    close(gradient, [math.exp(0.03), 0.0, math.exp(0.06), 0.0])


def test_ctpo_dual_clip():
    config = CtpoSurrogate(log_dual_clip=0.1, power=1.0)
    terms, gradient = terms_and_gradient(config, [1.05, 1.5], [-2.0, -2.0], [0, 0])
    close(terms.values, [-2.1, -2 * math.exp(0.2)])
    close(gradient, [-2.1, 0.0])


@settings(deadline=None)
@given(
    log_ratio=st.floats(-1, 1).filter(
        lambda x: min(abs(x + 0.02), abs(x - 0.05), abs(x - 0.7)) > 1e-6
    ),
    advantage=st.sampled_from([-2.0, 0.0, 1.5]),
    dual=st.sampled_from([0.7, math.inf]),
)
def test_ctpo_at_one_token_is_ppo_with_bounds_in_logarithms(log_ratio, advantage, dual):
    ratio = math.exp(log_ratio)
    ctpo = CtpoSurrogate(log_clip_low=0.02, log_clip_high=0.05, log_dual_clip=dual)
    ppo = PpoSurrogate(
        clip_low=1 - math.exp(-0.02), clip_high=math.exp(0.05) - 1, dual_clip=math.exp(dual)
    )
    mine, my_gradient = terms_and_gradient(ctpo, [ratio], [advantage])
    other, gradient = terms_and_gradient(ppo, [ratio], [advantage])
    torch.testing.assert_close(mine, other)
    torch.testing.assert_close(my_gradient, gradient)


@pytest.mark.parametrize(
    ("config", "weights", "dropped"),
    [
        (NoCorrection(), [1, 1, 1, 1], [0, 0, 0, 0]),
        (DecoupledCorrection(cap=5), [0.25, 1, 5, 0], [0, 0, 0, 1]),
        (DecoupledCorrection(cap=math.inf), [0.25, 1, 5, 8], [0, 0, 0, 0]),
        (TisCorrection(cap=2), [0.25, 1, 2, 2], [0, 0, 0, 0]),
        (TisCorrection(cap=math.inf), [0.25, 1, 5, 8], [0, 0, 0, 0]),
        (IcepopCorrection(low=0.5, high=6), [0, 1, 5, 0], [1, 0, 0, 1]),
        (IcepopCorrection(low=1, high=6), [0, 1, 5, 0], [1, 0, 0, 1]),
    ],
)
def test_corrections(config, weights, dropped):
    # ρ = 5 survives a cap of 5: the logarithm is chosen so that it is not rounded above it.
    found = correct(double(math.log(0.25), 0.0, math.log(5) - 1e-15, math.log(8)), config)
    close(found.weights, weights)
    assert found.dropped.tolist() == [bool(d) for d in dropped]


def test_kl_estimators():
    logprobs = double(-1.0, -2.0)
    other = double(-1.5, -1.0)
    close(kl(logprobs, other, "k1"), [0.5, -1.0])
    close(kl(logprobs, other, "k2"), [0.125, 0.5])
    close(kl(logprobs, other, "k3"), [math.exp(-0.5) - 1 + 0.5, math.e - 1 - 1.0])


def test_kl_estimates_and_their_gradients_in_expectation():
    """Summed over all tokens of a small distribution instead of sampled."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, generator=generator, dtype=torch.float64, requires_grad=True)
    reference = torch.randn(6, generator=generator, dtype=torch.float64).log_softmax(-1)
    logprobs = logits.log_softmax(-1)
    reverse = (logprobs.exp() * (logprobs - reference)).sum()
    forward = (reference.exp() * (reference - logprobs)).sum()

    def expected(estimator):
        return (logprobs.exp().detach() * kl(logprobs, reference, estimator)).sum()

    def gradient(value):
        return torch.autograd.grad(value, logits, retain_graph=True)[0]

    torch.testing.assert_close(expected("k1"), reverse)
    torch.testing.assert_close(expected("k3"), reverse)
    torch.testing.assert_close(gradient(expected("k2")), gradient(reverse))
    torch.testing.assert_close(gradient(expected("k3")), gradient(forward))
    assert gradient(expected("k1")).abs().max() < 1e-12

    behaviour = torch.randn(6, generator=generator, dtype=torch.float64).log_softmax(-1)
    for estimator in ("k1", "k3"):
        loss, _ = surrogate(
            logprobs,
            ObjectiveConfig.model_validate(
                {
                    "surrogate": "ppo",
                    "kl": {"coefficient": 1, "estimator": estimator, "importance_weighted": True},
                }
            ),
            proximal=behaviour,
            behaviour=behaviour,
            advantages=torch.zeros(6, dtype=torch.float64),
            weights=behaviour.exp(),
            token_rows=torch.arange(6),
            reference=reference,
        )
        torch.testing.assert_close(loss, reverse)
        torch.testing.assert_close(gradient(loss), gradient(reverse))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "config",
    [
        PpoSurrogate(),
        PpoSurrogate(dual_clip=3.0),
        GspoSurrogate(),
        CispoSurrogate(),
        CtpoSurrogate(),
    ],
    ids=lambda c: c.name,
)
def test_absurd_ratios_give_finite_losses_and_gradients(config, dtype):
    behaviour = torch.tensor([-1e-3, -300.0, -300.0, -1e-3, -200.0, -1.0], dtype=dtype)
    logprobs = torch.tensor([-300.0, -1e-3, -1e-3, -300.0, -1.0, -200.0], dtype=dtype)
    logprobs.requires_grad_()
    loss, statistics = surrogate(
        logprobs,
        ObjectiveConfig(surrogate=config, kl={"coefficient": 0.1}),
        proximal=behaviour,
        behaviour=behaviour.flip(0),
        advantages=torch.tensor([1, 1, -1, -1, 0, 0], dtype=dtype),
        weights=torch.full((6,), 0.1, dtype=dtype),
        token_rows=torch.tensor([0, 0, 0, 1, 2, 2]),
        reference=behaviour,
    )
    loss.backward()
    assert loss.isfinite()
    assert logprobs.grad.isfinite().all()
    assert all(math.isfinite(rate) for rate in statistics.rates().values())


def test_the_weight_of_a_divergence_is_the_ratio_to_the_policy_that_drew_the_token():
    """ℓ = −1, p = −1.5, b = −2, reference −1.2: k1 is 0.2, and π_θ/π_behave is e, not e^½."""
    config = ObjectiveConfig.model_validate(
        {"kl": {"coefficient": 1, "estimator": "k1", "importance_weighted": True}}
    )
    loss, _ = surrogate(
        torch.tensor([-1.0], dtype=torch.float64),
        config,
        proximal=torch.tensor([-1.5]),
        behaviour=torch.tensor([-2.0]),
        advantages=torch.tensor([0.0]),
        weights=torch.tensor([1.0]),
        token_rows=torch.tensor([0]),
        reference=torch.tensor([-1.2], dtype=torch.float64),
    )
    assert float(loss) == pytest.approx(0.2 * math.e)


@pytest.mark.parametrize(("apart", "weight"), [(6.0, math.exp(6)), (30.0, math.exp(20))])
def test_a_ratio_without_a_cap_is_whole_up_to_e_to_the_20(apart, weight):
    config = ObjectiveConfig.model_validate({"correction": {"name": "tis", "cap": math.inf}})
    loss, _ = surrogate(
        torch.tensor([-1.0], dtype=torch.float64),
        config,
        proximal=torch.tensor([-1.0], dtype=torch.float64),
        behaviour=torch.tensor([-1.0 - apart], dtype=torch.float64),
        advantages=torch.tensor([1.0]),
        weights=torch.tensor([1.0]),
        token_rows=torch.tensor([0]),
    )
    assert float(loss) == pytest.approx(-weight)
