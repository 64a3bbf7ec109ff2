"""The warm start: which turns are trained on, and in what batches."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webdojo.training.config_files import parse_config
from webdojo.training.packing import Row
from webdojo.training.rollouts.trajectory import Trajectory, Turn
from webdojo.training.warm_start import (
    batches,
    count_batches,
    learner_config,
    rows_of,
    warm_start,
)


def turn(prompt: tuple[int, ...], response: tuple[int, ...]) -> Turn:
    return Turn(prompt, response, (), (), "")


def test_only_turns_with_tokens_of_episodes_that_went_well_are_trained_on() -> None:
    said, unsaid = turn((1, 2), (3,)), turn((1, 2), ())
    good = Trajectory("a", "test.page", 0, 0, 0, (said, unsaid, said), 1.0, "success")
    bad = Trajectory("b", "test.page", 0, 0, 0, (said,), 0.0, "failure")
    assert rows_of([good, bad]) == [Row.of((1, 2), (3,))] * 2


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=40),
    batch_tokens=st.integers(1, 100),
    epochs=st.integers(1, 3),
    seed=st.integers(0, 5),
)
def test_every_row_comes_once_an_epoch_in_batches_of_the_size_asked_for(
    lengths: list[int], batch_tokens: int, epochs: int, seed: int
) -> None:
    rows = [Row.of((i,) * length, (99,)) for i, length in enumerate(lengths)]
    made = list(batches(rows, batch_tokens, epochs, seed))
    assert made == list(batches(rows, batch_tokens, epochs, seed))
    assert len(made) == count_batches(rows, batch_tokens, epochs, seed)
    seen = Counter(row.token_ids for batch in made for row in batch)
    assert seen == Counter({row.token_ids: epochs for row in rows})
    sizes = [sum(len(row.token_ids) for row in batch) for batch in made]
    assert all(size < batch_tokens + 31 for size in sizes)
    assert sum(size < batch_tokens for size in sizes) <= epochs  # the rest of each epoch


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    rows = [Row.of((i,), (99,)) for i in range(50)]
    (first, second), (other, _) = batches(rows, 999, 2, 0), batches(rows, 999, 2, 1)
    assert first != second
    assert first != other


class CountingLearner:
    """Counts what it is given; the real one is tested with the learner."""

    def __init__(self) -> None:
        self.rows = 0

    def supervised_step(self, rows: list[Row]) -> dict[str, float]:
        self.rows += len(rows)
        return {"loss": 1.0}


def test_each_batch_is_a_step_and_is_told_of() -> None:
    learner, told = CountingLearner(), []
    rows = [Row.of((i,), (99,)) for i in range(10)]
    warm_start(learner, rows, 4, 2, 0, lambda step, figures: told.append((step, figures)))  # type: ignore[arg-type]
    assert learner.rows == 20
    assert told == [(step, {"loss": 1.0}) for step in range(1, 11)]


def test_no_rows_make_no_batches() -> None:
    assert list(batches([], 100, 3, 0)) == []
    assert count_batches([], 100, 3, 0) == 0
    assert rows_of([]) == []


@pytest.mark.parametrize("epochs", [1, 4])
def test_a_row_longer_than_a_batch_is_a_batch(epochs: int) -> None:
    assert count_batches([Row.of((1,) * 50, (2,))], 10, epochs, 0) == epochs


@pytest.mark.parametrize("steps", [1, 40, 1000])
def test_its_rate_falls_to_nothing_whatever_that_of_reinforcement_does(steps: int) -> None:
    """``learner.schedule``, its warm-up and where it ends are reinforcement's."""
    learner = {"lr": 3e-4, "schedule": "cosine", "warmup_steps": 9, "final_lr_ratio": 0.5}
    given = {"name": "mine", "learner": learner, "warm_start": {"lr": 1e-3}, "seed": 5}
    config = learner_config(parse_config(given, "test"), steps)
    rates = [config.lr_at(step) for step in range(steps + 2)]
    assert max(rates) == 1e-3
    peak = rates.index(1e-3)
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] == 0
    assert config.seed == 5
