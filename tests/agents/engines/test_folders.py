"""Folders of processes that were killed: real processes, one of which lives on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from webdojo.agents.engines.folders import is_published, process_folder

MAKES_FOLDERS = """
import sys
from webdojo.agents.engines.folders import process_folder
folders = [process_folder(kind, room) for kind in ("weights", "vllm") for room in (0, None)]
for folder in folders:
    with open(folder.name + "/model.safetensors", "w") as file:
        file.write("weights")
print(*(folder.name for folder in folders), flush=True)
sys.stdin.read()
"""
pytestmark = pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="no /proc here")


@contextmanager
def another_process() -> Iterator[tuple[int, list[Path]]]:
    """One that has made folders, in shared memory and on disk; gives its number and them."""
    with subprocess.Popen(
        [sys.executable, "-c", MAKES_FOLDERS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": tempfile.gettempdir()},
    ) as process:
        assert process.stdout is not None
        yield process.pid, [Path(name) for name in process.stdout.readline().split()]


def test_what_a_killed_process_leaves_is_removed_by_the_next_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with ExitStack() as lives, another_process() as (killed, left):
        _, kept = lives.enter_context(another_process())
        with process_folder("weights") as own:
            pass
        assert all((folder / "model.safetensors").is_file() for folder in [*left, *kept])
        container = own.split("-")[-2]
        reused = tmp_path / f"webdojo-weights-{os.getpid()}-1-{container}-abc"
        elsewhere = tmp_path / f"webdojo-weights-{killed}-1-1-abc"
        unnamed = tmp_path / "webdojo-weights-abcdefgh"
        for folder in (reused, elsewhere, unnamed):
            folder.mkdir()
        os.kill(killed, signal.SIGKILL)
        os.waitid(os.P_PID, killed, os.WEXITED | os.WNOWAIT)  # as dead as it gets unnoticed
        with process_folder("weights", 0) as new:
            found = [each for each in [*left, *kept, reused, elsewhere, unnamed] if each.exists()]
            assert found == [*kept, elsewhere, unnamed]
            assert Path(new).exists()
        assert all((folder / "model.safetensors").is_file() for folder in kept)


def test_what_another_machine_has_in_a_shared_folder_is_let_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside containers the number of the processes' namespace is the same everywhere."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    here = os.uname()
    with another_process() as (killed, left):
        os.kill(killed, signal.SIGKILL)
        os.waitid(os.P_PID, killed, os.WEXITED | os.WNOWAIT)
        elsewhere = os.uname_result((here.sysname, "another-node", *here[2:]))
        monkeypatch.setattr(os, "uname", lambda: elsewhere)
        with process_folder("weights"):
            assert all(folder.exists() for folder in left)
        monkeypatch.setattr(os, "uname", lambda: here)
        with process_folder("weights"):
            pass
        with process_folder("weights", 0):
            assert not any(folder.exists() for folder in left)


def test_published_weights_are_known_by_their_folder(tmp_path: Path) -> None:
    for kind, published in (("weights", True), ("vllm", False)):
        with process_folder(kind) as folder:
            file = Path(folder) / "weights.safetensors"
            assert not is_published(file)
            file.touch()
            assert is_published(file) is published
    file = tmp_path / "weights.safetensors"
    file.touch()
    assert not is_published(file)
