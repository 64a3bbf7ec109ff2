"""Folders that go with the process that made them, if need be at the start of a later one.

What lies in shared memory stays there when its process is killed. So folders carry the name of
their process, and whoever makes one removes those of processes that are gone.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from webdojo.agents.engines.memory import shared_memory

_NAME = re.compile(r"webdojo-(?P<kind>[a-z]+)-(?P<owner>(?P<pid>\d+)-\d+-\d+)-\w+")
WEIGHTS = "weights"
"""Kind of the folders of published weights, in which files are replaced and never written to."""


def process_folder(kind: str, room: int | None = None) -> tempfile.TemporaryDirectory[str]:
    """A folder of this process: in shared memory if that has ``room`` bytes free, or on disk.

    Before, what processes that are gone have left in both places is removed.
    """
    for left in (shared_memory(), tempfile.gettempdir()):
        if left is not None:
            sweep(Path(left))
    place = None if room is None else shared_memory(room)
    owner = _owner(os.getpid())
    prefix = f"webdojo-{kind}-{owner}-" if owner else f"webdojo-{kind}-"
    return tempfile.TemporaryDirectory(prefix=prefix, dir=place)


def sweep(place: Path) -> None:
    """Remove the folders in ``place`` whose processes are gone.

    Those of other users, of other machines and of other containers are let be.
    """
    here = _owner(os.getpid()).rpartition("-")[2]
    for folder in place.glob("webdojo-*"):
        named = _NAME.fullmatch(folder.name)
        if named is None or named["owner"].rpartition("-")[2] != here:
            continue
        if _owner(int(named["pid"])) != named["owner"]:
            shutil.rmtree(folder, ignore_errors=True)


def is_published(path: Path) -> bool:
    """Whether it is a file of published weights: what it holds stays as it is."""
    named = _NAME.fullmatch(path.parent.name)
    return named is not None and named["kind"] == WEIGHTS and path.is_file()


def _owner(pid: int) -> str:
    """A process by its number, when it began, and in which container the number counts.

    Empty if it is gone, or where the system does not tell.
    """
    try:
        # The name before it may hold spaces and brackets.
        state, *told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        container = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return ""
    return "" if state in "ZX" else f"{pid}-{told[18]}-{container}"
