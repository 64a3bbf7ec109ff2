"""The flat tables hold what the trajectories hold, and point at the right tokens."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_batches import random_example, table

from webdojo.training.objectives import segments
from webdojo.training.objectives.batch import Batch, RewardPool
from webdojo.training.rollouts.trajectory import Group, Trajectory, Turn


def turn(tokens: int, state: str = "", step_reward: float = 0.0) -> Turn:
    return Turn(
        prompt_ids=(1,),
        response_ids=(2,) * tokens,
        logprobs=(-1.0,) * tokens,
        versions=(0,) * tokens,
        action="noop()",
        step_reward=step_reward,
        state_hash=state,
    )


def trajectory(group: int, member: int, reward: float, *turns: Turn) -> Trajectory:
    return Trajectory(
        episode_id=f"{group}-{member}",
        task_id="suite.task",
        seed=0,
        group_id=group,
        member=member,
        turns=turns,
        reward=reward,
        ending="success" if reward else "failure",
    )


def test_from_groups():
    groups = [
        Group(
            70,
            "suite.task",
            0,
            (
                trajectory(70, 0, 1.0, turn(3, "a"), turn(1, "b", 0.5)),
                trajectory(70, 1, 0.0),
            ),
        ),
        Group(71, "suite.task", 1, (trajectory(71, 0, 0.5, turn(0, "a"), turn(2)),)),
    ]
    batch = Batch.of(groups)
    assert batch.rewards.tolist() == [1.0, 0.0, 0.5]
    assert batch.groups.tolist() == [0, 0, 1]
    assert batch.trajectories.tolist() == [0, 0, 2, 2]
    assert batch.turn_indices.tolist() == [0, 1, 0, 1]
    assert batch.token_counts.tolist() == [3, 1, 0, 2]
    assert batch.step_rewards.tolist() == [0.0, 0.5, 0.0, 0.0]
    assert batch.states.tolist()[0] == batch.states.tolist()[2] != batch.states.tolist()[1]
    assert batch.states.tolist()[3] == -1
    assert batch.group_sizes.tolist() == [2, 1]
    assert batch.turn_counts.tolist() == [2, 0, 2]
    assert (batch.group_count, batch.row_count, batch.token_count) == (2, 4, 6)


def test_tokens_of_rows():
    batch = table([[(1.0, [3, 0, 2]), (0.0, [1])]])
    assert batch.tokens_of([2, 0]).tolist() == [3, 4, 0, 1, 2]
    assert batch.tokens_of([1]).tolist() == []
    assert batch.tokens_of([]).tolist() == []
    assert batch.tokens_of([3]).tolist() == [5]
    assert batch.spread(torch.tensor([10, 11, 12, 13])).tolist() == [10, 10, 10, 12, 12, 13]


def test_broken_tables_are_refused():
    batch = table([[(1.0, [1, 2]), (0.0, [1])], [(1.0, [1])]])
    for change, message in [
        ({"token_counts": torch.tensor([1])}, r"token_counts has shape \(1,\).*\(4,\)"),
        ({"groups": torch.tensor([0, 0])}, r"one value a trajectory, \(3,\)"),
        ({"groups": torch.tensor([0, 0, 2])}, "groups skips 1"),
        ({"groups": torch.tensor([-1, 0, 1])}, "indices from 0 to 1"),
        ({"trajectories": torch.tensor([0, 0, 1, 3])}, "from 0 to 3; it takes indices from 0 to 2"),
        ({"pool": RewardPool(*(torch.ones(3),) * 3)}, r"pool.counts has shape \(3,\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            replace(batch, **change)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.floats(-1, 1)), max_size=30))
def test_running_sums_follow_each_label_in_its_own_order(entries):
    labels = torch.tensor([label for label, _ in entries], dtype=torch.long)
    values = torch.tensor([value for _, value in entries], dtype=torch.float64)
    totals = dict.fromkeys(range(5), 0.0)
    expected = []
    for label, value in entries:
        totals[label] += value
        expected.append(totals[label])
    found = segments.running_sums(values, labels)
    torch.testing.assert_close(found, values.new_tensor(expected), atol=1e-12, rtol=0)
    sums = segments.sums(values, labels, 5)
    torch.testing.assert_close(sums, values.new_tensor(list(totals.values())), atol=1e-12, rtol=0)


def test_random_examples_have_rows_without_tokens_and_unequal_trajectories():
    batch = random_example(0).batch
    assert 0 in batch.token_counts.tolist()
    assert len(set(batch.turn_counts.tolist())) > 1
