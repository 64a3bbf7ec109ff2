"""The kinds of TOML files there are, told apart for who gives one where another is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ANOTHER = {
    "tasks": "holds tasks: give it as --tasks FILE, or under files of a configuration's [tasks]",
    "split": (
        "is a split's manifest: name it with --split FILE, or under reinforced, unseen or held_out"
        " of a configuration's [tasks]"
    ),
    "configuration": (
        "is a run's configuration: give it as `webdojo train FILE`, or as --config FILE"
    ),
}
"""What a file is, by its kind, and where it belongs; FILE stands for its name."""

PARTS = frozenset({"files", "demonstrated", "reinforced", "unseen", "held_out"})
"""What a configuration's ``[tasks]`` says, and a task of its own never does."""


def another_kind(data: Mapping[str, Any], wanted: str, file: object) -> str:
    """What a file is, and where it belongs, if it is plainly not of the kind wanted; else empty."""
    kind = _kind(data)
    return "" if kind in ("", wanted) else f"{file} {ANOTHER[kind].replace('FILE', str(file))}"


def _kind(data: Mapping[str, Any]) -> str:
    tasks = data.get("tasks")
    if isinstance(tasks, dict):
        return "configuration" if tasks.keys() & PARTS else ""
    if not isinstance(tasks, list) or not tasks:
        return ""
    if all(isinstance(task, dict) for task in tasks):
        return "tasks"
    return "split" if all(isinstance(task, str) for task in tasks) else ""
