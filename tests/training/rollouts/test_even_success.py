"""Success that is compared between policies does not move with the mix of tasks."""

from __future__ import annotations

import json

import pytest

from webdojo.training.rollouts.even_success import EvenSuccess


def test_tasks_weigh_alike_however_often_each_is_played() -> None:
    even = EvenSuccess(tasks=2)
    for number in range(90):
        even.add("easy", True)
        if number % 9 == 0:
            even.add("hard", number % 2 == 0)
    assert even.success == (1 + 0.5) / 2
    assert even.episodes == 100
    # An adaptive sampler that has left what is solved behind takes nothing from the policy.
    for _ in range(300):
        even.add("hard", True)
    for _ in range(300):
        even.add("hard", False)
    assert even.success == (1 + 0) / 2
    assert even.episodes == 90 + 200


def test_a_task_that_a_curriculum_has_not_come_to_is_not_yet_solved() -> None:
    early, late = EvenSuccess(tasks=4), EvenSuccess(tasks=4)
    for _ in range(100):
        early.add("first", True)
    for task_id in ("first", "second", "third", "fourth"):
        for number in range(25):
            late.add(task_id, number < 15)
    assert (early.success, late.success) == (0.25, 0.6)


def test_only_the_latest_episodes_count() -> None:
    even = EvenSuccess(tasks=40)  # ten of each
    for success in [False] * 50 + [True] * 5:
        even.add("a", success)
    assert even.success == pytest.approx(0.5 / 40)


def test_of_many_tasks_the_latest_count() -> None:
    even = EvenSuccess(tasks=100_000)
    for number in range(200):
        for _ in range(8):
            even.add(f"task {number}", number >= 175)
    assert (even.success, even.episodes) == (0.5, 400)
    every = EvenSuccess(tasks=200, most=200)
    for number in range(200):
        every.add(f"task {number}", number >= 175)
    assert (every.success, every.episodes) == (25 / 200, 200)


def test_a_resumed_run_judges_by_what_was_seen_before() -> None:
    even = EvenSuccess(tasks=60)
    for number in range(500):
        even.add(f"task {number % 60}", number % 3 == 0)
    again = EvenSuccess(tasks=60)
    again.load_state_dict(json.loads(json.dumps(even.state_dict())))
    for other in (even, again):
        other.add("task 7", True)
    assert again.state_dict() == even.state_dict()
    assert (again.success, again.episodes) == (even.success, even.episodes)
