"""How many earlier steps prompts tell of: one setting, the same in training and in evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from webdojo.agents.endpoint import EndpointAgents
from webdojo.agents.tiny_vision import write_tiny_vision
from webdojo.tasks.errors import UserError
from webdojo.tasks.task import Task
from webdojo.training import evaluate_agent as evaluation
from webdojo.training import run as training
from webdojo.training.config_files import load_config
from webdojo.training.episodes import PolicyAgents
from webdojo.training.rollouts.players import Players, WorkerSettings


class NotStartedError(Exception):
    """Holds what a rollout process was to be started with."""


def not_started(settings: WorkerSettings) -> Any:
    raise NotStartedError(settings)


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    write_tiny_vision(tmp_path / "policy")
    return str(tmp_path / "policy")


@pytest.mark.parametrize("history", [0, 3])
async def test_it_reaches_the_prompts_of_training_and_evaluation(
    checkpoint: str, history: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "RolloutProcess", not_started)
    monkeypatch.setattr(evaluation, "RolloutProcess", not_started)
    config = tmp_path / "mine.toml"
    config.write_text(
        f'[policy]\ncheckpoint = "{checkpoint}"\nhistory = {history}\n'
        '[tasks]\nreinforced = ["miniwob.click-button"]\nunseen = ["miniwob.click-link"]\n'
    )
    told = []
    with pytest.raises(NotStartedError) as started:
        training.train(load_config(str(config)))
    told.append(started.value.args[0])
    for agent in (checkpoint, "openai:m@http://127.0.0.1:9/v1"):
        with pytest.raises(NotStartedError) as started:
            evaluation.evaluate_agent(agent, "miniwob-test", config=str(config), episodes=1)
        told.append(started.value.args[0])
    for settings in told:
        players = Players(settings)
        agents = players.agents("policy", 1.0)
        if isinstance(agents, EndpointAgents):
            assert agents(cast(Task, None), 0)._layout.history == history
        else:
            assert isinstance(agents, PolicyAgents)
            assert agents.layout.history == history
        await players.close()


def test_it_is_refused_where_it_is_none() -> None:
    for value in (-1, 1001, '"all"'):
        with pytest.raises(UserError, match=r"policy\.history"):
            load_config("quickstart", [f"policy.history={value}"])
    assert load_config("quickstart").policy.history is None
