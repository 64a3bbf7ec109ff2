"""Which groups each update was trained on: ``updates.jsonl``, one update a line."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from webdojo.tasks.errors import UserError
from webdojo.training.checkpoints import full_disk_told
from webdojo.training.rollouts.trajectory import Group
from webdojo.training.synced import write_synced

UPDATES_FILE = "updates.jsonl"


class UpdateLog:
    """An append-only file of the updates that the present weights came from.

    A line is ``{"version": n, "groups": [[group_id, [episode_id, …]], …]}``: the groups that turned
    version n − 1 into n. Updates that were lost in a kill leave with the weights they made.
    """

    def __init__(self, path: Path, version: int) -> None:
        """Open it for a learner at ``version``, dropping the updates after that.

        Raises UserError naming the line that tells of no update.
        """
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1].split(b"\n")[:-1]
        kept = [line for n, line in enumerate(whole, 1) if _version(line, path, n) <= version]
        with full_disk_told(path):
            write_synced(path, b"".join(line + b"\n" for line in kept))
        self._path = path

    def append(self, version: int, groups: Sequence[Group]) -> None:
        """Record the update that made ``version``; on the disk when this returns."""
        about = [[g.group_id, [t.episode_id for t in g.trajectories]] for g in groups]
        with full_disk_told(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"version": version, "groups": about}) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _version(line: bytes, path: Path, number: int) -> int:
    try:
        return int(json.loads(line)["version"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path}, line {number}, tells of no update ({type(error).__name__}); remove the line"
            " to go on without it"
        ) from error
