"""What an evaluation tells the rollout process of the run that a policy comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from webdojo.tasks.errors import UserError
from webdojo.training import evaluate_agent
from webdojo.training.rollouts.players import WorkerSettings

CONFIG = """
[tasks]
reinforced = ["miniwob.click-test"]

[learner]
precision = "bfloat16"
"""


class KeepsSettings:
    """Stands in for the rollout process: it remembers what it was told, and goes no further."""

    told: list[WorkerSettings] = []  # noqa: RUF012

    def __init__(self, settings: WorkerSettings) -> None:
        self.told.append(settings)
        raise UserError("far enough")


def test_a_policy_is_evaluated_in_the_precision_that_it_was_trained_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    monkeypatch.setattr(evaluate_agent, "RolloutProcess", KeepsSettings)
    with pytest.raises(UserError, match="far enough"):
        evaluate_agent.evaluate_agent("random", "miniwob-test", config=str(config), quiet=True)
    assert [settings.precision for settings in KeepsSettings.told] == ["bfloat16"]
