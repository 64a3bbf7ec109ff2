"""What an evaluation tells the rollout process of the run that a policy comes from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from webdojo.tasks.errors import UserError
from webdojo.training import evaluate_agent
from webdojo.training.rollouts.players import WorkerSettings
from webdojo.training.run import resume

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


def limits_of(
    agent: str, monkeypatch: pytest.MonkeyPatch, config: str | None = None
) -> tuple[int, int, float]:
    KeepsSettings.told.clear()
    monkeypatch.setattr(evaluate_agent, "RolloutProcess", KeepsSettings)
    with pytest.raises(UserError, match="far enough"):
        evaluate_agent.evaluate_agent(agent, "unseen_seeds", config=config, quiet=True)
    (told,) = KeepsSettings.told
    return told.context_tokens, told.max_response_tokens, told.deadline_s


def test_a_language_model_of_ones_own_gets_room_for_its_prompts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    shape = {
        "num_attention_heads": 2, "hidden_size": 8, "num_hidden_layers": 1, "vocab_size": 9,
        "intermediate_size": 8, "max_position_embeddings": 32_768,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(shape))
    assert limits_of(str(folder), monkeypatch) == (4096, 256, 900.0)
    (folder / "config.json").write_text(json.dumps(shape | {"max_position_embeddings": 2048}))
    assert limits_of(str(folder), monkeypatch)[0] == 2048
    assert limits_of("webdojo-nano", monkeypatch) == (1024, 48, 60.0)
    own = tmp_path / "own.toml"
    own.write_text(f"{CONFIG}\n[policy]\ncontext_tokens = 3000\n")
    assert limits_of(str(folder), monkeypatch, str(own))[0] == 3000


@pytest.mark.parametrize(
    ("agent", "sentence"),
    [
        ("gpt-4o", r"no agent 'gpt-4o': .* oracle, random, .* openai:MODEL@URL"),
        ("oracel", "did you mean 'oracle'"),
        ("http://127.0.0.1:8124/v1", r"write openai:MODEL@http://127\.0\.0\.1:8124/v1"),
        ("localhost:8124/v1", r"write openai:MODEL@http://localhost:8124/v1"),
        ("nowhere/at/all", "no policy 'nowhere/at/all'"),
    ],
)
def test_what_is_no_agent_is_told_what_is_one(agent: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        evaluate_agent.evaluate_agent(agent, "unseen_seeds", quiet=True)


def test_what_is_no_split_is_told_what_to_write(tmp_path: Path) -> None:
    run = tmp_path / "config.toml"
    run.write_text(CONFIG)
    instead = {
        "miniwob": "is a suite, .*--config mine.toml",
        "miniwob.click-test": "is a task, .*--config mine.toml",
        "quickstart": "is a run's configuration, .*--config quickstart ",
        str(run): f"is a run's configuration, .*--config {run} ",
        str(tmp_path): f"is a run's configuration, .*--config {run} ",
        "miniwob-tset": "did you mean 'miniwob-test'",
    }
    for name, sentence in instead.items():
        with pytest.raises(UserError, match=sentence):
            evaluate_agent.evaluate_agent("random", name, quiet=True)


@pytest.mark.parametrize(
    ("split", "why"),
    [
        ("undemonstrated", "each of its tasks.reinforced is demonstrated as well"),
        ("unseen_tasks", "its tasks.unseen is empty"),
    ],
)
def test_a_split_that_would_be_empty_is_told_as_such(tmp_path: Path, split: str, why: str) -> None:
    config = tmp_path / "mine.toml"
    config.write_text(
        '[tasks]\nreinforced = ["miniwob.click-test"]\ndemonstrated = ["miniwob.click-test"]\n'
    )
    with pytest.raises(UserError) as caught:
        evaluate_agent.evaluate_agent("random", split, config=str(config), quiet=True)
    assert str(caught.value) == f"{config} has no split {split!r}: {why}; it has unseen_seeds"


def test_a_task_that_a_manifest_names_and_nobody_loads_is_told_with_the_manifest(
    tmp_path: Path,
) -> None:
    manifest = tmp_path / "mine.toml"
    manifest.write_text(
        'name = "mine"\nversion = 1\nseeds = [1000000000, 1000000010]\ntasks = ["own.task"]\n'
    )
    with pytest.raises(UserError) as caught:
        evaluate_agent.evaluate_agent("random", str(manifest), quiet=True)
    told = str(caught.value)
    assert told.startswith(
        f"split '{manifest}': tasks: no task 'own.task': there is no suite 'own'"
    )
    assert "`--tasks my_tasks.py`" in told


def test_a_missing_file_of_tasks_is_told_with_who_names_it(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "mine"
    checkpoint = run / "checkpoints" / "final"
    checkpoint.mkdir(parents=True)
    (run / "state.json").write_text('{"done": [], "seconds": {}}')
    gone = tmp_path / "gone.py"
    for config, named in ((run / "config.toml", None), (tmp_path / "mine.toml", "given")):
        config.write_text(f'[tasks]\nfiles = ["{gone}"]\n')
        with pytest.raises(UserError) as caught:
            evaluate_agent.evaluate_agent(
                str(checkpoint), "unseen_seeds", config=named and str(config), quiet=True
            )
        assert str(caught.value).startswith(f"{config}: tasks.files: {gone}: no such file; ")
    with pytest.raises(UserError) as caught:
        resume(run)
    assert str(caught.value).startswith(f"{run / 'config.toml'}: tasks.files: {gone}: no such")
