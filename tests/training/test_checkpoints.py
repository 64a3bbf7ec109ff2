"""Checkpoints are whole or not there; the newest few and the best policy are kept."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from webdojo.tasks.errors import UserError
from webdojo.training.checkpoints import Checkpoints, full_disk_told, replacing
from webdojo.training.config import MOST_UPDATES
from webdojo.training.config_files import parse_config
from webdojo.training.rollouts.trajectory import Group, Trajectory
from webdojo.training.run_folder import RunFolder
from webdojo.training.update_log import UpdateLog

CONFIG = parse_config({"name": "mine", "tasks": {"reinforced": ["miniwob.click-button"]}}, "test")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(CONFIG, tmp_path)


def save(checkpoints: Checkpoints, version: int, size: int = 3) -> None:
    learner = {"weights": {"w": torch.full((size,), float(version))}, "step": version}
    checkpoints.save(version, learner, {"next_group": 7 * version}, 1.5 * version)


def names(folder: RunFolder) -> list[str]:
    return sorted(path.name for path in (folder.path / "checkpoints").iterdir())


def test_the_newest_few_are_kept_and_the_newest_is_read(folder: RunFolder) -> None:
    checkpoints = Checkpoints(folder, keep_last=3)
    assert checkpoints.latest() is None
    for version in range(0, 25, 5):
        save(checkpoints, version)
    assert names(folder) == ["update-000010", "update-000015", "update-000020"]
    found = checkpoints.latest()
    assert found is not None
    assert (found.version, found.elapsed_s, found.pool) == (20, 30.0, {"next_group": 140})
    assert found.learner["weights"]["w"].tolist() == [20.0] * 3


def test_the_newest_is_the_newest_up_to_the_most_updates_of_a_run(folder: RunFolder) -> None:
    checkpoints = Checkpoints(folder, keep_last=1)
    for version in (MOST_UPDATES - 1, MOST_UPDATES):
        save(checkpoints, version)
    found = checkpoints.latest()
    assert found is not None
    assert found.version == MOST_UPDATES


def test_what_a_kill_left_half_written_is_removed_and_the_one_before_is_read(
    folder: RunFolder,
) -> None:
    checkpoints = Checkpoints(folder)
    save(checkpoints, 4)
    half = folder.checkpoint("update-000005.partial")
    half.mkdir()
    (half / "learner.pt").write_bytes(b"half")
    found = checkpoints.latest()
    assert found is not None
    assert found.version == 4
    assert names(folder) == ["update-000004"]


def policy(text: str, folder: Path) -> None:
    (folder / "model").write_text(text)


def test_the_policy_with_the_highest_success_is_kept_and_of_equals_the_later(
    folder: RunFolder,
) -> None:
    checkpoints = Checkpoints(folder)
    best = folder.checkpoint("best")
    kept = [
        checkpoints.keep_if_best(version, success, lambda path, v=version: policy(str(v), path))
        for version, success in [(1, 0.0), (2, 0.5), (3, 0.25), (4, 0.5), (5, 0.4)]
    ]
    assert kept == [True, True, False, True, False]
    assert (best / "model").read_text() == "4"
    assert json.loads((best / "best.json").read_text()) == {"version": 4, "success": 0.5}


def test_a_kill_between_the_old_best_and_the_new_loses_neither(folder: RunFolder) -> None:
    checkpoints = Checkpoints(folder)
    checkpoints.keep_if_best(1, 0.5, lambda path: policy("1", path))
    best = folder.checkpoint("best")
    best.rename(best.with_name("best.partial"))  # the old one is gone, the new one not renamed
    checkpoints.latest()
    assert (best / "model").read_text() == "1"
    (best.with_name("best.partial")).mkdir()  # and one that was not even written whole
    checkpoints.latest()
    assert names(folder) == ["best"]


def test_a_kill_while_the_old_best_is_removed_leaves_the_new_one(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(folder)
    best = folder.checkpoint("best")
    checkpoints.keep_if_best(1, 0.5, lambda path: policy("1", path))
    remove = shutil.rmtree

    def killed(path: Path, **more: bool) -> None:
        if (path / "model").is_file():
            (path / "model").unlink()
            raise KeyboardInterrupt
        remove(path, **more)

    with monkeypatch.context() as half_way, pytest.raises(KeyboardInterrupt):
        half_way.setattr(shutil, "rmtree", killed)
        checkpoints.keep_if_best(2, 0.6, lambda path: policy("2", path))
    checkpoints.latest()
    assert (best / "model").read_text() == "2"
    assert json.loads((best / "best.json").read_text())["version"] == 2
    assert names(folder) == ["best"]


def test_all_of_a_checkpoint_is_on_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the calls that are made, in order: no power can be cut here."""
    calls: list[tuple[str, str]] = []
    fsync, replace = os.fsync, Path.replace

    def synced(handle: int) -> None:
        calls.append(("fsync", Path(f"/proc/self/fd/{handle}").readlink().name))
        fsync(handle)

    def renamed(path: Path, target: Path) -> Path:
        calls.append(("rename", path.name))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    with replacing(tmp_path / "final") as partial:
        (partial / "model").write_text("1")
        (partial / "config").write_text("2")
    *before, renaming, after = calls
    assert set(before) == {("fsync", name) for name in ("model", "config", "final.partial")}
    assert before[-1] == ("fsync", "final.partial")
    assert (renaming, after) == (("rename", "final.partial"), ("fsync", tmp_path.name))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no tmpfs can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=False)


def test_a_disk_that_fills_up_is_an_error_of_its_own_and_the_one_before_stays(
    small_disk: Path,
) -> None:
    folder = RunFolder.create(CONFIG, small_disk)
    checkpoints = Checkpoints(folder)
    save(checkpoints, 1)
    with pytest.raises(OSError, match="No space left") as caught:
        save(checkpoints, 2, size=10**6)
    assert caught.value.errno == errno.ENOSPC
    assert str(caught.value.filename).endswith("update-000002.partial")
    found = checkpoints.latest()
    assert found is not None
    assert found.version == 1
    # The weights that are handed to the engine go through safetensors.
    with pytest.raises(OSError, match="No space left"), full_disk_told(small_disk):
        save_file({"w": torch.zeros(10**6)}, small_disk / "weights.safetensors")


def test_other_errors_are_left_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), full_disk_told(tmp_path):
        raise ZeroDivisionError


@pytest.mark.parametrize("file", ["learner.pt", "pool.json"])
def test_a_damaged_checkpoint_is_a_sentence(folder: RunFolder, file: str) -> None:
    checkpoints = Checkpoints(folder)
    save(checkpoints, 3)
    (folder.checkpoint("update-000003") / file).write_bytes(b"\x80\x00")
    with pytest.raises(UserError, match="update-000003 is damaged"):
        checkpoints.latest()


@pytest.mark.parametrize("version", [-5, 99, "x"])
def test_a_checkpoint_under_anothers_name_is_damaged(folder: RunFolder, version: object) -> None:
    checkpoints = Checkpoints(folder)
    save(checkpoints, 3)
    file = folder.checkpoint("update-000003") / "pool.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"version": version}))
    with pytest.raises(UserError, match="update-000003 is damaged"):
        checkpoints.latest()


def test_a_learner_that_is_a_list_is_damaged(folder: RunFolder) -> None:
    checkpoints = Checkpoints(folder)
    save(checkpoints, 3)
    torch.save([1], folder.checkpoint("update-000003") / "learner.pt")
    with pytest.raises(UserError, match="update-000003 is damaged"):
        checkpoints.latest()


def group(number: int) -> Group:
    members = [
        Trajectory(f"{number:06d}-{m}-1", "test.coin", 0, number, m, (), float(m), "failure")
        for m in range(2)
    ]
    return Group(number, "test.coin", 0, tuple(members))


def test_the_log_of_updates_forgets_those_whose_weights_were_lost(tmp_path: Path) -> None:
    path = tmp_path / "updates.jsonl"
    log = UpdateLog(path, 0)
    for version in (1, 2, 3):
        log.append(version, [group(version)])
    with path.open("a") as file:
        file.write('{"version": 4, "gr')
    UpdateLog(path, 2).append(3, [group(9)])
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["version"] for line in found] == [1, 2, 3]
    assert found[-1]["groups"] == [[9, ["000009-0-1", "000009-1-1"]]]


@pytest.mark.parametrize("line", ["", "3", "{}", '{"version": "x"}', "\x00", "[" * 9000])
def test_a_damaged_line_of_the_log_of_updates_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "updates.jsonl"
    UpdateLog(path, 0).append(1, [group(1)])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(UserError, match=r"updates\.jsonl, line 2, tells of no update"):
        UpdateLog(path, 5)
