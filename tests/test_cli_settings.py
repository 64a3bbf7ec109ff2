"""`webdojo settings`: every key for people and for programs; a wrong one gets the nearest name."""

import json

import pytest
from typer.testing import CliRunner, Result

from webdojo.cli.app import app
from webdojo.tasks.errors import UserError
from webdojo.training.config import TrainConfig
from webdojo.training.settings_reference import settings_of


def settings(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "90"}).invoke(app, ["settings", *arguments])


def test_a_section_is_shown_with_default_meaning_and_what_it_takes() -> None:
    shown = settings("rollout").output
    assert shown.startswith("rollout: How experience is gathered.\n")
    assert "  rollout.staleness = 2\n      Versions that the oldest token may lie" in shown
    assert "      Takes a whole number, 0 or more.\n" in shown
    assert max(map(len, shown.splitlines())) <= 90
    assert "learner." not in shown


def test_everything_is_shown_and_told_to_programs() -> None:
    every = {setting.key for setting in settings_of(TrainConfig)}
    shown = settings().output
    assert [key for key in every if f"  {key} " not in shown] == []
    told = json.loads(settings("--json").output)
    assert {row["key"] for row in told} == every
    (lr,) = json.loads(settings("learner.lr", "--json").output)
    assert (lr["section"], lr["default"], lr["takes"]) == (
        "learner",
        "5e-6",
        "a number above 0 and at most 10",
    )


def test_parts_of_an_objective_are_shown_with_their_kinds() -> None:
    shown = settings("objective.surrogate").output
    assert "- ppo: min(ρA, clip(" in shown
    assert "  objective.surrogate.ratio_high = 5.0\n      Of cispo. Upper bound" in shown


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("rolout", "'rollout'"),
        ("staleness", "'rollout.staleness'"),
        ("learner.lor", "'learner.lora'"),
    ],
)
def test_an_unknown_section_gets_the_nearest_name(name: str, nearest: str) -> None:
    refused = settings(name).exception
    assert isinstance(refused, UserError)
    assert f"no section or key '{name}': the nearest is {nearest}; sections are run," in str(
        refused
    )
