"""Temporary folders that go with the process that made them, or at the start of a later one.

What a process has made stays when it is killed. So folders carry the name of their process, and
later ones remove those of processes that are gone.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from zlib import crc32

_NAME = re.compile(r"webdojo-(?P<kind>[a-z]+)-(?P<owner>(?P<pid>\d+)-\d+-\d+)-\w+")


def folder_prefix(kind: str) -> str:
    """What the name of a folder of this process begins with; ``kind`` is one word."""
    owner = _owner(os.getpid())
    return f"webdojo-{kind}-{owner}-" if owner else f"webdojo-{kind}-"


def folder_kind(folder: Path) -> str:
    """The kind of a folder that some process has made; empty if it is none."""
    named = _NAME.fullmatch(folder.name)
    return "" if named is None else named["kind"]


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


def _owner(pid: int) -> str:
    """A process by its number, when it began, and on which machine and in which container.

    Empty if it is gone, or where the system does not tell.
    """
    try:
        # The name before it may hold spaces and brackets.
        state, *told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # Outside containers this number is the same on every machine, and folders may be shared.
        numbers = Path("/proc/self/ns/pid").stat().st_ino
        place = crc32(f"{os.uname().nodename} {numbers}".encode())
    except OSError:
        return ""
    return "" if state in "ZX" else f"{pid}-{told[18]}-{place}"
