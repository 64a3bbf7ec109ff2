"""What a team's processes do: one learner after another, and errors of one alone."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch

from webdojo.agents.checkpoint import find_checkpoint
from webdojo.tasks.errors import UserError
from webdojo.training import team
from webdojo.training.learner_config import LearnerConfig
from webdojo.training.out_of_memory import AloneOutOfMemoryError
from webdojo.training.team import LearnerPlan, follow

torch.set_num_threads(1)


def test_what_is_left_of_a_learner_is_freed_before_the_next_is_made() -> None:
    plan = LearnerPlan(find_checkpoint("webdojo-nano"), LearnerConfig())
    learner = team._led(plan.learner(), hollow_state=False)
    left = weakref.ref(learner._stepper.causal_lm)
    gc.disable()
    try:
        del learner
        plan.learner()
        assert left() is None
    finally:
        gc.enable()


class Failing:
    """In place of a plan and its learner: a step of it fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def learner(self) -> Failing:
        return self

    def update(self) -> None:
        raise self.error


def followed(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Follow a leader that has two steps taken; there is no other process."""
    orders: list[Any] = [("learner", (Failing(error),)), ("update", ()), ("update", ()), None]
    monkeypatch.setattr(team, "_join", lambda: None)
    monkeypatch.setattr(team, "_hear", lambda: orders.pop(0))
    follow()


def test_a_follower_leaves_errors_of_all_to_the_leader_and_tells_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    followed(monkeypatch, UserError("memory ran out on a single row"))
    with pytest.raises(AloneOutOfMemoryError, match="in this one"):
        followed(monkeypatch, AloneOutOfMemoryError("memory ran out in this one"))
