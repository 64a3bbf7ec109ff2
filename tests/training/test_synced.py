"""What a power cut may not take is on the disk when it counts, as docs/durability.md promises."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from webdojo.training.config_files import parse_config
from webdojo.training.records import TrajectoryLog
from webdojo.training.rollouts.trajectory import Group, Trajectory
from webdojo.training.run_folder import RunFolder
from webdojo.training.synced import write_synced
from webdojo.training.update_log import UpdateLog

EPISODE = Trajectory("000001-0-1", "test.coin", 0, 1, 0, (), 1.0, "success")


class Disk:
    """What has been synchronised: for files their content then, for folders their names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.holds: dict[str, bytes | set[str]] = {}
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self._sync)

    def _sync(self, handle: int) -> None:
        self._fsync(handle)
        path = Path(f"/proc/self/fd/{handle}").readlink()
        names = {each.name for each in path.iterdir()} if path.is_dir() else None
        self.holds[path.name] = path.read_bytes() if names is None else names


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_an_update_is_on_the_disk_when_append_returns(tmp_path: Path, disk: Disk) -> None:
    path = tmp_path / "updates.jsonl"
    log = UpdateLog(path, 0)
    assert "updates.jsonl" in disk.holds[tmp_path.name]
    for version in (1, 2):
        log.append(version, [Group(version, "test.coin", 0, (EPISODE,))])
        assert disk.holds["updates.jsonl"] == path.read_bytes()
    UpdateLog(path, 1)
    assert disk.holds["updates.jsonl.partial"] == path.read_bytes()


def test_what_is_done_and_how_it_was_asked_for_is_on_the_disk(tmp_path: Path, disk: Disk) -> None:
    config = parse_config({"tasks": {"reinforced": ["miniwob.click-button"]}}, "test")
    folder = RunFolder.create(config, tmp_path / "runs")
    assert "run" in disk.holds["runs"]
    assert {"config.toml", "state.json"} <= set(disk.holds["run"])
    assert disk.holds["config.toml.partial"] == folder.config_file.read_bytes()
    with folder.timed("record"):
        pass
    kept = disk.holds["state.json.partial"]
    assert isinstance(kept, bytes)
    assert json.loads(kept)["done"] == ["record"]


def test_episodes_are_on_the_disk_after_sync(tmp_path: Path, disk: Disk) -> None:
    path = tmp_path / "trajectories" / "rollouts.jsonl"
    log = TrajectoryLog(path)
    log.append(EPISODE)
    log.sync()
    log.close()
    assert disk.holds["rollouts.jsonl"] == path.read_bytes() != b""
    assert disk.holds["trajectories"] == {"rollouts.jsonl"}


def test_a_file_is_synchronised_before_it_takes_its_name(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"
    write_synced(path, b"old")

    def cut(self: Path, target: Path) -> Path:
        assert disk.holds[self.name] == b"new"
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", cut)
    with pytest.raises(KeyboardInterrupt):
        write_synced(path, b"new")
    assert path.read_bytes() == b"old"
