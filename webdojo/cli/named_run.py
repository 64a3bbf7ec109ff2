"""Runs as people name them: by folder, or by the name of a folder in ``runs/``."""

from __future__ import annotations

from pathlib import Path

RUNS = Path("runs")


def named_run(run: Path) -> Path:
    """The folder that is meant: the one given, or ``runs/<name>`` where there is but that one."""
    return run if run.exists() or not (RUNS / run).is_dir() else RUNS / run
