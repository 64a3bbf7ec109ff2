"""The run folder: a name of its own, phases that are done once, room on the disk."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from webdojo.cli.app import app
from webdojo.tasks.errors import UserError
from webdojo.training.config_files import load_config, parse_config
from webdojo.training.run import resume
from webdojo.training.run_folder import RunFolder, check_room

CONFIG = parse_config({"name": "mine", "tasks": {"reinforced": ["miniwob.click-button"]}}, "test")


def test_every_run_has_a_folder_of_its_own_and_keeps_its_configuration(tmp_path: Path) -> None:
    folders = [RunFolder.create(CONFIG, tmp_path / "deep" / "runs") for _ in range(3)]
    assert [folder.path.name for folder in folders] == ["mine", "mine-2", "mine-3"]
    assert all(RunFolder.existing(folder.path).config() == CONFIG for folder in folders)


def test_a_phase_is_done_when_its_block_ends_well_and_its_time_adds_up(tmp_path: Path) -> None:
    folder = RunFolder.create(CONFIG, tmp_path)
    with pytest.raises(KeyboardInterrupt), folder.timed("record"):
        raise KeyboardInterrupt
    assert not folder.done("record")
    first = folder.state()["seconds"]["record"]
    with folder.timed("record"):
        pass
    assert folder.done("record")
    assert folder.state()["seconds"]["record"] >= first
    assert not folder.done("reinforce")


def test_the_latest_update_is_the_newest_whole_one(tmp_path: Path) -> None:
    folder = RunFolder.create(CONFIG, tmp_path)
    assert folder.latest_update() is None
    for name in ("update-000002", "update-000010", "update-000011.partial", "final"):
        folder.checkpoint(name).mkdir(parents=True)
    assert folder.latest_update() == folder.checkpoint("update-000010")


@pytest.mark.parametrize("left_out", ["config.toml", "state.json"])
def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, left_out: str) -> None:
    folder = RunFolder.create(CONFIG, tmp_path)
    (folder.path / left_out).unlink()
    with pytest.raises(UserError, match=f"mine is not the folder of a run: it holds no {left_out}"):
        RunFolder.existing(folder.path)
    with pytest.raises(UserError, match="is not the folder of a run"):
        RunFolder.existing(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"done": 3, "seconds": {}}'])
def test_a_damaged_state_is_a_sentence(tmp_path: Path, text: str) -> None:
    folder = RunFolder.create(CONFIG, tmp_path)
    folder.state_file.write_text(text)
    with pytest.raises(UserError, match=r"state\.json is damaged"):
        folder.done("record")


def test_a_disk_without_room_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 150 * 2**20))
    with pytest.raises(UserError, match="has 150 MiB of free disk space; a run needs at least 200"):
        check_room(tmp_path / "runs")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_runs_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(UserError, match="is a file"):
        check_room(tmp_path / "runs")


def test_two_processes_cannot_be_at_work_on_one_run(tmp_path: Path) -> None:
    folder = RunFolder.create(CONFIG, tmp_path)
    with folder.held(), pytest.raises(UserError, match=r"another process is at work on .*mine"):
        resume(folder.path)
    with folder.held():
        pass


@pytest.mark.parametrize("seconds", ['{"record": "x"}', '{"record": null}', '{"record": NaN}', "3"])
def test_seconds_that_are_no_numbers_are_a_sentence(tmp_path: Path, seconds: str) -> None:
    folder = RunFolder.create(CONFIG, tmp_path)
    folder.state_file.write_text(f'{{"done": [], "seconds": {seconds}}}')
    with pytest.raises(UserError, match=r"state\.json is damaged"):
        folder.state()


def test_a_dry_run_of_a_run_that_would_go_on_prints_its_plan_alone(tmp_path: Path) -> None:
    folder = RunFolder.create(CONFIG, tmp_path)
    files = {path: path.read_bytes() for path in folder.path.iterdir()}
    with patch("webdojo.training.run.resume") as resumed:
        result = CliRunner().invoke(app, ["train", "--resume", str(folder.path), "--dry-run"])
    assert not resumed.called
    assert result.exit_code == 0
    assert result.output.startswith("# warm start: ")
    (tmp_path / "printed.toml").write_text(result.output)
    assert load_config(str(tmp_path / "printed.toml")) == load_config(str(folder.config_file))
    assert {path: path.read_bytes() for path in folder.path.iterdir()} == files


def test_a_dry_run_of_a_run_tells_of_the_file_that_names_tasks_that_are_gone(
    tmp_path: Path,
) -> None:
    tasks = CONFIG.tasks.model_copy(update={"files": (tmp_path / "gone.py",)})
    folder = RunFolder.create(CONFIG.model_copy(update={"tasks": tasks}), tmp_path)
    result = CliRunner().invoke(app, ["train", "--resume", str(folder.path), "--dry-run"])
    said = str(result.exception)
    assert said.startswith(f"{folder.config_file}: tasks.files: {tmp_path / 'gone.py'}: no such")


@pytest.mark.parametrize("dry", [["--dry-run"], []])
def test_tasks_that_are_gone_are_told_of_with_the_configuration_that_names_them(
    tmp_path: Path, dry: list[str]
) -> None:
    def said(*arguments: str) -> str:
        return str(CliRunner().invoke(app, ["train", *arguments, *dry]).exception)

    named, own = tmp_path / "named.py", str(tmp_path / "own.py")
    config = str(tmp_path / "mine.toml")
    Path(config).write_text('[tasks]\nfiles = ["named.py"]\n')
    assert said(config).startswith(f"{config}: tasks.files: {named}: no such file")
    assert said(config, "--tasks", own).startswith(f"{config}: tasks.files: {named}: no such file")
    assert said("quickstart", "--tasks", own).startswith(f"{own}: no such file")
    told = said("quickstart", "--set", f"tasks.files=['{named}']")
    assert told.startswith(f"configuration 'quickstart': tasks.files: {named}: no such file")
