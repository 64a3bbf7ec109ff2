"""The task samplers: even, repeatable, resumable, and drawn to what is half learned."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webdojo.training.rollouts.sampler import AdaptiveSampler, TaskSampler, UniformSampler

TASKS = ("a.one", "a.two", "a.three", "b.four")
KINDS = (UniformSampler, AdaptiveSampler)


def draw(sampler: TaskSampler, number: int) -> list[tuple[str, int]]:
    """Draw, and let the sampler learn that only ``a.one`` is ever solved."""
    draws = []
    for _ in range(number):
        draws.append(sampler.draw())
        sampler.record(draws[-1][0], float(draws[-1][0] == "a.one"))
    return draws


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 99))
def test_a_resumed_sampler_goes_on_as_the_other_would(
    kind: type[UniformSampler | AdaptiveSampler], before: int, after: int, random_seed: int
) -> None:
    whole = draw(kind(TASKS, range(50), random_seed), before + after)
    first = kind(TASKS, range(50), random_seed)
    draw(first, before)
    second = kind(TASKS, range(50), random_seed)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert draw(second, after) == whole[before:]


@pytest.mark.parametrize("kind", KINDS)
def test_seeds_come_from_the_range_and_another_random_seed_draws_others(
    kind: type[UniformSampler | AdaptiveSampler],
) -> None:
    draws = draw(kind(TASKS, range(100, 120), 1), 400)
    assert {seed for _, seed in draws} == set(range(100, 120))
    assert draws != draw(kind(TASKS, range(100, 120), 2), 400)


def test_the_uniform_sampler_draws_every_task_once_a_round() -> None:
    draws = [task for task, _ in draw(UniformSampler(TASKS, range(9)), 40)]
    rounds = [tuple(draws[start : start + 4]) for start in range(0, 40, 4)]
    assert all(sorted(one) == sorted(TASKS) for one in rounds)
    assert len(set(rounds)) > 1


def test_the_moving_average_and_the_priority_by_hand() -> None:
    sampler = AdaptiveSampler(["a.one"], range(9), alpha=0.3, floor=0.1)
    assert sampler.priority("a.one") == 1.0  # 4 · 0.5 · 0.5
    sampler.record("a.one", 1.0)  # p = 0.5 + 0.3 · 0.5 = 0.65
    assert sampler.priority("a.one") == pytest.approx(0.91)
    for _ in range(50):
        sampler.record("a.one", 1.0)
    assert sampler.priority("a.one") == 0.1


def test_the_adaptive_sampler_prefers_what_is_half_learned_and_forgets_nothing() -> None:
    sampler = AdaptiveSampler(TASKS, range(9), floor=0.1)
    for _ in range(50):
        sampler.record("a.one", 0.0)
        sampler.record("a.two", 1.0)
    # Weights 0.1, 0.1, 1, 1: expected 45, 45, 455 and 455 of 1,000.
    drawn = Counter(sampler.draw()[0] for _ in range(1000))
    assert 15 < drawn["a.one"] < 90
    assert 15 < drawn["a.two"] < 90
    assert drawn["a.three"] > 350
    assert drawn["b.four"] > 350


def test_a_resumed_sampler_takes_a_changed_list_of_tasks() -> None:
    old = AdaptiveSampler(["a.one", "a.two"], range(9))
    old.record("a.one", 1.0)
    new = AdaptiveSampler(["a.one", "a.new"], range(9))
    new.load_state_dict(old.state_dict())
    assert new.priority("a.one") == pytest.approx(0.91)
    assert new.priority("a.new") == 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_sample_from_is_refused(kind: type[UniformSampler | AdaptiveSampler]) -> None:
    with pytest.raises(ValueError, match="name at least one"):
        kind([], range(9))
    with pytest.raises(ValueError, match=r"range\(5, 5\) is empty"):
        kind(TASKS, range(5, 5))
    with pytest.raises(ValueError, match=r"named twice: a\.one"):
        kind(["a.one", "a.one"], range(9))


def test_a_setting_that_would_never_learn_or_lose_a_task_is_refused() -> None:
    for alpha in (0.0, 1.5):
        with pytest.raises(ValueError, match="alpha must lie in"):
            AdaptiveSampler(TASKS, range(9), alpha=alpha)
    with pytest.raises(ValueError, match="floor must lie in"):
        AdaptiveSampler(TASKS, range(9), floor=0.0)
