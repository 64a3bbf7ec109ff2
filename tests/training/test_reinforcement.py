"""What the learner's loop tells, and when it gives up."""

from __future__ import annotations

import io
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from webdojo.tasks.errors import UserError
from webdojo.training.config import parse_config
from webdojo.training.metrics import MetricsLog
from webdojo.training.progress import Progress
from webdojo.training.reinforcement import MOST_SKIPPED, Reinforcement
from webdojo.training.rollouts.process import RolloutProcess
from webdojo.training.run_folder import RunFolder
from webdojo.training.team import Team

CONFIG = parse_config({"name": "mine", "tasks": {"reinforced": ["miniwob.click-button"]}}, "test")


@pytest.fixture
def told() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def reinforcement(tmp_path: Path, told: io.StringIO) -> Reinforcement:
    folder = RunFolder.create(CONFIG, tmp_path)
    progress = Progress(Console(file=told))
    nowhere = None
    return Reinforcement(
        CONFIG, folder, cast(RolloutProcess, nowhere), cast(MetricsLog, nowhere), progress, Team()
    )


def finished(groups: int, mixed: int, success: float) -> dict[str, object]:
    return {
        "pool": {"groups_finished": groups, "groups_mixed": mixed},
        "recent_success": success,
    }


def test_updates_that_are_never_finite_end_the_run_with_a_sentence(
    reinforcement: Reinforcement,
) -> None:
    for _ in range(MOST_SKIPPED - 1):
        reinforcement._check_progress({"optimizer_steps": 0})
    reinforcement._check_progress({"optimizer_steps": 1})
    for _ in range(MOST_SKIPPED - 1):
        reinforcement._check_progress({"optimizer_steps": 0})
    with pytest.raises(UserError, match=r"not finite in 5 updates in a row: lower learner\.lr"):
        reinforcement._check_progress({"optimizer_steps": 0})


@pytest.mark.parametrize(("success", "fault"), [(0.0, "hard"), (1.0, "easy")])
def test_groups_that_teach_nothing_are_told_of_once(
    reinforcement: Reinforcement, told: io.StringIO, success: float, fault: str
) -> None:
    reinforcement._show_rollouts({})
    reinforcement._show_rollouts(finished(39, 0, success))
    assert not told.getvalue()
    for groups in (40, 80):
        reinforcement._show_rollouts(finished(groups, 1, success))
    assert told.getvalue().count("only 1 of 40 groups") == 1
    assert f"is too {fault} for this policy" in told.getvalue()


def test_enough_mixed_groups_are_nothing_to_tell(
    reinforcement: Reinforcement, told: io.StringIO
) -> None:
    reinforcement._show_rollouts(finished(100, 5, 0.5))
    assert not told.getvalue()
