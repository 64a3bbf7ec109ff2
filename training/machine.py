"""What this machine has that a run wants: memory, GPUs, and room on the disk. No torch here."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil

from webdojo.training.run_folder import RUNS, free_room

ANSWER_S = 20.0
"""How long the GPU's driver may take to tell what there is."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Memory in bytes."""

    memory: int
    gpus: tuple[int, ...] = ()
    """The memory of each NVIDIA GPU."""
    disk: int | None = None
    """What is free where runs are kept, if that is known."""


def look() -> Machine:
    """What the machine at hand has."""
    return Machine(memory(), gpus(), free_room(RUNS))


def memory() -> int:
    """Bytes of memory, within the container's limit where there is one."""
    total = int(psutil.virtual_memory().total)
    limit = cgroup("memory.max")
    return min(total, int(limit[0])) if limit and limit[0].isdigit() else total


def gpus() -> tuple[int, ...]:
    """The memory of each NVIDIA GPU that a process may use, in bytes; none if none can be seen."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    question = ["--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(  # noqa: S603  # found on the path, with arguments of our own
            [program, *question], capture_output=True, text=True, check=False, timeout=ANSWER_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    lines = [line.strip() for line in answer.stdout.splitlines()] if not answer.returncode else []
    found = [int(line) * 2**20 for line in lines if line.isdigit()]
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None:
        return tuple(found)
    named = [name for name in allowed.split(",") if name.strip() and name.strip() != "-1"]
    return tuple(found[: len(named)])


def cgroup(name: str) -> list[str]:
    """The words of one of the container's limits; none where there is no such limit."""
    try:
        return (Path("/sys/fs/cgroup") / name).read_text().split()
    except OSError:
        return []
