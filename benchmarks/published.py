"""Raw figures of a benchmark, kept in benchmarks/results with the command and the machine."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
UNTOLD = ("--publish", "--json")
"""Options that change no figure."""


def publish(name: str, figures: Mapping[str, Any]) -> Path:
    """Write the figures of the benchmark that runs to ``results/<name>.json``; gives that file.

    With them stand the command that gives them again, and the machine.
    """
    text = json.dumps({"command": command(), "machine": machine(), **figures}, indent=1)
    # A list of numbers takes one line.
    text = re.sub(r"\[([^][{}\"]*)\]", lambda found: f"[{' '.join(found[1].split())}]", text)
    path = RESULTS / f"{name}.json"
    write_whole(path, text + "\n")
    return path


def command() -> str:
    """The command that gives the figures of the benchmark that runs again."""
    words = [word for word in sys.argv[1:] if word not in UNTOLD]
    return shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])


def write_whole(path: Path, text: str) -> None:
    """Write a file that takes its name when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def machine() -> str:
    """Processor, Python and torch."""
    model = platform.machine()
    if (cpuinfo := Path("/proc/cpuinfo")).is_file():
        lines = cpuinfo.read_text().splitlines()
        model = next((s.split(": ")[1] for s in lines if s.startswith("model name")), model)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores ({model}), Python {platform.python_version()}, torch {version('torch')}"
