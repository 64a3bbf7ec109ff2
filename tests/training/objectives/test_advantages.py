"""Advantages against values worked out by hand, and the limits in which they coincide."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_batches import random_example, table

from webdojo.training.objectives.advantages import estimate
from webdojo.training.objectives.advantages.gigpo import step_returns
from webdojo.training.objectives.batch import RewardPool
from webdojo.training.objectives.config import (
    DrGrpoAdvantage,
    GigpoAdvantage,
    GrpoAdvantage,
    ReinforceAdaAdvantage,
    RlooAdvantage,
)

TINY = 1e-12
ALL = [
    GrpoAdvantage(),
    GrpoAdvantage(deviation="sample"),
    DrGrpoAdvantage(),
    RlooAdvantage(),
    GigpoAdvantage(),
    ReinforceAdaAdvantage(),
]


def close(found, expected):
    torch.testing.assert_close(
        found, torch.as_tensor(expected, dtype=torch.float64), atol=1e-9, rtol=0
    )


def test_grpo_with_either_deviation():
    # Rewards 1, 0, 0, 0: mean 1/4, population σ √3/4, sample σ 1/2.
    batch = table([[(1.0, [1, 1]), (0.0, [1]), (0.0, [1]), (0.0, [1])]])
    root = math.sqrt(3)
    close(
        estimate(batch, GrpoAdvantage(deviation="population", epsilon=TINY)),
        [root, root, -1 / root, -1 / root, -1 / root],
    )
    close(
        estimate(batch, GrpoAdvantage(deviation="sample", epsilon=TINY)),
        [1.5, 1.5, -0.5, -0.5, -0.5],
    )
    close(estimate(batch, GrpoAdvantage(deviation="sample", epsilon=0.5))[0], 0.75)


def test_dr_grpo_and_rloo():
    batch = table([[(1.0, [1]), (0.0, [1]), (0.5, [1])], [(1.0, [1]), (0.0, [1])]])
    close(estimate(batch, DrGrpoAdvantage()), [0.5, -0.5, 0.0, 0.5, -0.5])
    # Each against the mean of the others: 1 − 0.25, 0 − 0.75, 0.5 − 0.5; 1 − 0, 0 − 1.
    close(estimate(batch, RlooAdvantage()), [0.75, -0.75, 0.0, 1.0, -1.0])


def test_a_long_trajectory_counts_once_in_its_group():
    short = table([[(1.0, [1]), (0.0, [1])]])
    long = table([[(1.0, [1]), (0.0, [1] * 9)]])
    for config in ALL:
        close(estimate(long, config)[:2], estimate(short, config).tolist())


def test_a_trajectory_without_turns_counts_in_its_group():
    batch = table([[(1.0, [1]), (0.0, []), (0.0, [1]), (0.0, [])]])
    close(estimate(batch, DrGrpoAdvantage()), [0.75, -0.25])


@pytest.mark.parametrize("config", ALL, ids=lambda c: f"{c.name}-{getattr(c, 'deviation', '')}")
def test_equal_rewards_and_single_trajectories_give_nothing(config):
    batch = table([[(0.1, [1]), (0.1, [1]), (0.1, [1])], [(0.7, [1, 1])]])
    close(estimate(batch, config), [0.0] * 5)


@pytest.mark.parametrize("config", ALL[:4], ids=lambda c: f"{c.name}-{getattr(c, 'deviation', '')}")
@settings(deadline=None)
@given(rewards=st.lists(st.floats(0, 1), min_size=2, max_size=9), shift=st.floats(-3, 3))
def test_advantages_of_a_group_sum_to_zero_whatever_all_rewards_share(config, rewards, shift):
    batch = table([[(r, [1]) for r in rewards]])
    advantages = estimate(batch, config)
    assert abs(advantages.sum()) < 1e-6
    if max(rewards) - min(rewards) > 1e-3:
        shifted = estimate(table([[(r + shift, [1]) for r in rewards]]), config)
        torch.testing.assert_close(shifted, advantages, atol=1e-6, rtol=0)


def test_step_returns():
    batch = table([[(1.0, [1, 1, 1]), (0.0, [1])]], step_rewards=[0.0, 0.2, 0.0, 0.3])
    # Turn 2: 1. Turn 1: 0.2 + ½·1. Turn 0: ½·0.7.
    close(step_returns(batch, 0.5, outcome_on_last_turn=True), [0.35, 0.7, 1.0, 0.3])
    close(step_returns(batch, 0.5, outcome_on_last_turn=False), [0.1, 0.2, 0.0, 0.3])


def test_gigpo_compares_turns_at_the_same_state():
    # Trajectory 0 succeeds through states 0, 1; trajectory 1 fails through 0, 2; 2 fails at 0.
    batch = table(
        [[(1.0, [1, 1]), (0.0, [1, 1]), (0.0, [1])]],
        states=[0, 1, 0, 2, 0],
    )
    config = GigpoAdvantage(omega=2.0, gamma=0.5, deviation="none")
    # Returns at state 0 are ½, 0, 0; states 1 and 2 are visited once.
    close(
        estimate(batch, config),
        [
            2 / 3 + 2 * (1 / 2 - 1 / 6),
            2 / 3,
            -1 / 3 - 2 * (1 / 6),
            -1 / 3,
            -1 / 3 - 2 * (1 / 6),
        ],
    )


def test_gigpo_divides_by_the_deviation_at_the_state():
    batch = table([[(1.0, [1]), (0.0, [1])]], states=[0, 0])
    config = GigpoAdvantage(omega=1.0, deviation="population", epsilon=TINY)
    close(estimate(batch, config), [2.0, -2.0])


def test_gigpo_does_not_compare_across_groups_nor_unknown_states():
    config = GigpoAdvantage(omega=5.0)
    across = table([[(1.0, [1]), (1.0, [1])], [(0.0, [1]), (0.0, [1])]], states=[7, 8, 7, 8])
    close(estimate(across, config), [0.0] * 4)
    unknown = table([[(1.0, [1]), (0.0, [1])]], states=[-1, -1])
    close(estimate(unknown, config), estimate(unknown, GrpoAdvantage()).tolist())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("deviation", ["population", "sample"])
def test_gigpo_without_omega_is_grpo(seed, deviation):
    batch = random_example(seed).batch
    close(
        estimate(batch, GigpoAdvantage(omega=0, deviation=deviation)),
        estimate(batch, GrpoAdvantage(deviation=deviation)).tolist(),
    )


def pool_of(*groups: list[float]) -> RewardPool:
    rows = [torch.tensor(rewards, dtype=torch.float64) for rewards in groups]
    return RewardPool(
        counts=torch.tensor([float(r.numel()) for r in rows], dtype=torch.float64),
        reward_sums=torch.stack([r.sum() for r in rows]),
        square_sums=torch.stack([r.square().sum() for r in rows]),
    )


def test_reinforce_ada_measures_against_the_pool():
    # Kept 1 and 0 of 1, 0, 0, 0: mean 1/4, sample σ 1/2.
    batch = table([[(1.0, [1]), (0.0, [1])]], pool=pool_of([1.0, 0.0, 0.0, 0.0]))
    close(estimate(batch, ReinforceAdaAdvantage(epsilon=TINY)), [1.5, -0.5])
    close(estimate(batch, ReinforceAdaAdvantage(deviation="none")), [0.75, -0.25])


@pytest.mark.parametrize("deviation", ["population", "sample"])
def test_reinforce_ada_with_nothing_dropped_is_grpo(deviation):
    groups = [[(1.0, [1]), (0.0, [1]), (0.5, [2])], [(0.0, [1]), (1.0, [1])]]
    grpo = estimate(table(groups), GrpoAdvantage(deviation=deviation)).tolist()
    config = ReinforceAdaAdvantage(deviation=deviation)
    close(estimate(table(groups), config), grpo)
    pool = pool_of(*([reward for reward, _ in group] for group in groups))
    close(estimate(table(groups, pool=pool), config), grpo)
