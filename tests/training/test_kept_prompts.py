"""A run keeps the prompts that it was told by, and others are noticed."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from webdojo.agents.checkpoint import find_checkpoint
from webdojo.agents.layouts.layout import Layout, Vision, get_layout
from webdojo.agents.tiny_vision import write_tiny_vision
from webdojo.tasks.errors import UserError
from webdojo.training.config_files import load_config
from webdojo.training.evaluate_agent import evaluate_agent
from webdojo.training.kept_prompts import keep_prompts, other_prompts
from webdojo.training.rollouts.process import RolloutProcess
from webdojo.training.run import _Run
from webdojo.training.run_folder import RunFolder
from webdojo.training.team import Team

OWN = "Do it your way. {actions} {page}"


@pytest.fixture
def chat() -> Layout:
    return get_layout("chat")


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a prompt of the user's own, which is used from now on."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "vanilla.md").write_text(OWN)
    monkeypatch.setenv("WEBDOJO_PROMPTS", str(folder))
    return folder


def test_a_run_keeps_what_its_prompts_are_written_from(tmp_path: Path, others: Path) -> None:
    shown = get_layout("chat", Vision(text=False))
    keep_prompts(tmp_path, shown)
    kept = tmp_path / "prompts"
    assert sorted(path.name for path in kept.iterdir()) == ["see-screenshots.md", "vanilla.md"]
    assert (kept / "vanilla.md").read_text() == OWN
    (others / "vanilla.md").write_text("Another. {actions}")
    keep_prompts(tmp_path, shown)
    assert (kept / "vanilla.md").read_text() == OWN


def test_other_prompts_are_named_and_the_kept_ones_can_be_taken(
    tmp_path: Path, chat: Layout, others: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_prompts(tmp_path, chat)
    assert other_prompts(tmp_path, chat) == ""
    (others / "see-text.md").write_text("Look.")
    assert other_prompts(tmp_path, chat).startswith(f"see-text.md is not as {tmp_path} was")
    monkeypatch.delenv("WEBDOJO_PROMPTS")
    told = other_prompts(tmp_path, chat)
    assert f"set WEBDOJO_PROMPTS={tmp_path / 'prompts'}" in told
    monkeypatch.setenv("WEBDOJO_PROMPTS", str(tmp_path / "prompts"))
    assert other_prompts(tmp_path, chat) == ""


def test_nothing_is_kept_or_said_where_there_are_no_prompts(tmp_path: Path, chat: Layout) -> None:
    keep_prompts(tmp_path, get_layout("outline"))
    assert list(tmp_path.iterdir()) == []
    assert other_prompts(tmp_path, chat) == ""


@pytest.fixture
def seeing(tmp_path: Path) -> RunFolder:
    """The folder of a run that nothing has been done for, with a chat policy in it."""
    settings = ["policy.layout=chat", "evaluation.episodes_per_task=0"]
    folder = RunFolder.create(load_config("quickstart", settings), tmp_path / "runs")
    write_tiny_vision(folder.checkpoint("final"))
    return folder


class StoppedRollouts:
    """In place of the rollout process: stops the run at the first thing that is asked of it."""

    def call(self, what: str, **arguments: object) -> None:
        raise KeyboardInterrupt


def test_a_run_keeps_them_at_its_beginning_and_says_when_it_goes_on_with_others(
    seeing: RunFolder, others: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def go() -> str:
        base = find_checkpoint(str(seeing.checkpoint("final")))
        with Team() as team, pytest.raises(KeyboardInterrupt):
            _Run(seeing, seeing.config(), base, team).go(cast(RolloutProcess, StoppedRollouts()))
        return capsys.readouterr().err

    assert go() == ""
    assert (seeing.path / "prompts" / "vanilla.md").read_text() == OWN
    assert go() == ""
    (others / "vanilla.md").write_text("Another. {actions}")
    assert go().startswith("note: vanilla.md is not as")


def test_an_evaluation_with_others_says_so(
    seeing: RunFolder, others: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told() -> str:
        with pytest.raises(UserError, match="episodes_per_task is 0"):
            evaluate_agent(str(seeing.checkpoint("final")), "unseen_seeds")
        return capsys.readouterr().err

    keep_prompts(seeing.path, get_layout("chat"))
    assert told() == ""
    (others / "vanilla.md").write_text("Another. {actions}")
    assert told().startswith("note: vanilla.md is not as")
