"""Which groups each update was trained on: ``updates.jsonl``, one update a line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from webdojo.training.rollouts.trajectory import Group

UPDATES_FILE = "updates.jsonl"


class UpdateLog:
    """An append-only file of the updates that the present weights came from.

    A line is ``{"version": n, "groups": [[group_id, [episode_id, …]], …]}``: the groups that turned
    version n − 1 into n. Updates that were lost in a kill leave with the weights they made.
    """

    def __init__(self, path: Path, version: int) -> None:
        """Open it for a learner at ``version``, dropping the updates after that."""
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
        whole = (line for line in lines if line.endswith("\n"))
        kept = [line for line in whole if json.loads(line)["version"] <= version]
        partial = path.with_name(path.name + ".partial")
        partial.write_text("".join(kept), encoding="utf-8")
        partial.replace(path)
        self._path = path

    def append(self, version: int, groups: Sequence[Group]) -> None:
        """Record the update that made ``version``; in the file when this returns."""
        about = [[g.group_id, [t.episode_id for t in g.trajectories]] for g in groups]
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"version": version, "groups": about}) + "\n")
