"""What the optimiser is given: gradients of mini-batches, learning rates, clipping and decay."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_learner import CONFIG, groups_drawn_by, tiny_model
from torch import Tensor

from webdojo.training.learner import Learner
from webdojo.training.objectives.batch import Batch

# One thread: more only wait for one another on matrices of this size.
torch.set_num_threads(1)


class Steps:
    """The gradient and the learning rates of each step that a learner's optimiser takes."""

    def __init__(self, learner: Learner) -> None:
        self.gradients: list[Tensor] = []
        self.rates: list[list[float]] = []
        learner._stepper.optimizer.optimizer.register_step_pre_hook(self._note)

    def _note(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        every = [p for group in optimizer.param_groups for p in group["params"]]
        self.gradients.append(torch.cat([p.grad.flatten() for p in every]))
        self.rates.append([group["lr"] for group in optimizer.param_groups])


def learner_with(**settings: object) -> Learner:
    return Learner(tiny_model(), CONFIG.model_copy(update=settings))


def test_the_gradients_of_mini_batches_are_on_the_scale_of_the_whole_batch() -> None:
    groups = groups_drawn_by(tiny_model())
    found = []
    for minibatches in (1, 2):
        # The learning rate is so small that the second step's gradient is taken at the same place.
        learner = learner_with(minibatches=minibatches, lr=1e-12)
        steps = Steps(learner)
        learner.update(groups, version=0)
        assert len(steps.gradients) == minibatches
        found.append(sum(steps.gradients))
    whole, parts = found
    assert whole.norm() > 1e-3
    torch.testing.assert_close(parts, 2 * whole, atol=1e-6, rtol=1e-4)


def test_every_step_is_taken_at_the_rate_of_the_schedule() -> None:
    learner = learner_with(lr=1e-3, schedule="cosine", warmup_steps=2, total_steps=4, minibatches=2)
    steps = Steps(learner)
    groups = groups_drawn_by(tiny_model())
    told = [learner.update(groups, version=v)["lr"] for v in range(4)]
    assert told == pytest.approx([5e-4, 1e-3, 1e-3, 5e-4])
    assert steps.rates == [[rate, rate] for rate in told for _ in range(2)]


def test_a_gradient_is_scaled_down_to_the_largest_norm_and_told_as_it_was() -> None:
    groups = groups_drawn_by(tiny_model())
    free, clipped = learner_with(), learner_with(max_grad_norm=1e-3)
    steps, clipped_steps = Steps(free), Steps(clipped)
    norms = [learner.update(groups, version=0)["grad_norm"] for learner in (free, clipped)]
    (gradient,), (scaled,) = steps.gradients, clipped_steps.gradients
    assert norms[0] == norms[1] == pytest.approx(float(gradient.norm()), rel=1e-5)
    assert norms[0] > 1e-2
    assert float(scaled.norm()) == pytest.approx(1e-3, rel=1e-3)
    torch.testing.assert_close(scaled / scaled.norm(), gradient / gradient.norm())


def test_matrices_decay_and_vectors_do_not() -> None:
    before = tiny_model().state_dict()
    groups = groups_drawn_by(tiny_model())
    after = []
    for weight_decay in (0.0, 0.5):
        learner = learner_with(weight_decay=weight_decay, lr=1e-2)
        learner.update(groups, version=0)
        after.append(learner.weights())
    plain, decayed = after
    assert {value.ndim for value in before.values()} == {1, 2}
    for name, value in before.items():
        lost = 1e-2 * 0.5 * value if value.ndim > 1 else torch.zeros_like(value)
        torch.testing.assert_close(decayed[name], plain[name] - lost, atol=1e-7, rtol=1e-5)


def test_ratios_of_a_later_mini_batch_are_to_the_policy_before_the_first() -> None:
    groups = groups_drawn_by(tiny_model())
    assert learner_with(lr=1e-2).update(groups, version=0)["mean_ratio"] == 1
    two = learner_with(lr=1e-2, minibatches=2).update(groups, version=0)
    assert abs(two["mean_ratio"] - 1) > 1e-3
    assert two["clip_rate"] > 0


def test_the_mismatch_is_that_of_the_first_step_alone() -> None:
    """After it the weights are not those that drew the responses, whatever mini-batch is next."""
    for epochs in (1, 2):
        learner = learner_with(lr=1e-2, minibatches=2, epochs=epochs)
        metrics = learner.update(groups_drawn_by(tiny_model()), version=0)
        assert 0 < metrics["logprob_mismatch_max"] < 1e-4


def test_mini_batches_are_dealt_at_random_and_by_the_seed() -> None:
    batch = Batch.of(groups_drawn_by(tiny_model(), count=8))

    def dealt(seed: int) -> list[list[list[int]]]:
        learner = learner_with(minibatches=2, seed=seed)
        return [list(learner._deal(batch)) for _ in range(3)]

    assert dealt(0) == dealt(0)
    assert dealt(0) != dealt(1)
    first, second, third = dealt(0)
    assert first != second != third != first


def test_a_learner_goes_on_with_the_random_numbers_that_it_left() -> None:
    learner = learner_with()
    state = learner.state_dict()
    drawn = torch.rand(4)
    assert not torch.equal(torch.rand(4), drawn)
    learner.load_state_dict(state)
    assert torch.equal(torch.rand(4), drawn)


def test_a_run_that_goes_on_takes_the_settings_that_its_configuration_has_now() -> None:
    groups = groups_drawn_by(tiny_model())
    changed = {"betas": (0.5, 0.6), "weight_decay": 0.3, "lr": 1e-2}
    first = learner_with()
    first.update(groups, version=0)
    resumed = learner_with(**changed)
    resumed.load_state_dict(first.state_dict())
    seen: list[dict[str, Any]] = []
    optimizer = resumed._stepper.optimizer.optimizer
    optimizer.register_step_pre_hook(
        lambda taken, *_: seen.extend(dict(group) for group in taken.param_groups)
    )
    resumed.update(groups, version=1)
    assert [(g["betas"], g["weight_decay"], g["lr"]) for g in seen] == [
        ((0.5, 0.6), 0.3, 1e-2),
        ((0.5, 0.6), 0.0, 1e-2),
    ]
    assert {int(state["step"]) for state in optimizer.state.values()} == {2}
