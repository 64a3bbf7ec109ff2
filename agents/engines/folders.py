"""Folders for what engines and the learner hand each other, in shared memory or on disk."""

from __future__ import annotations

import tempfile
from pathlib import Path

from webdojo.agents.engines.memory import shared_memory
from webdojo.tasks.folders import folder_kind, folder_prefix, sweep

WEIGHTS = "weights"
"""Kind of the folders of published weights, in which files are replaced and never written to."""


def process_folder(kind: str, room: int | None = None) -> tempfile.TemporaryDirectory[str]:
    """A folder of this process: in shared memory if that has ``room`` bytes free, or on disk.

    Before, what processes that are gone have left in both places is removed: shared memory is what
    runs out first.
    """
    for left in (shared_memory(), tempfile.gettempdir()):
        if left is not None:
            sweep(Path(left))
    place = None if room is None else shared_memory(room)
    return tempfile.TemporaryDirectory(prefix=folder_prefix(kind), dir=place)


def is_published(path: Path) -> bool:
    """Whether it is a file of published weights: what it holds stays as it is."""
    return folder_kind(path.parent) == WEIGHTS and path.is_file()
