"""Trajectories on disk: one JSON object a line, whole or not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from webdojo.training.metrics import drop_cut_line
from webdojo.training.rollouts.trajectory import Trajectory, Turn

_TURN_SEQUENCES = ("prompt_ids", "response_ids", "logprobs", "versions", "images")
_TURN_FIELDS = {field.name for field in fields(Turn)}
_FIELDS = {field.name for field in fields(Trajectory)}


class TrajectoryLog:
    """An append-only file of trajectories; each is on disk when ``append`` returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        drop_cut_line(path)
        self._path = path
        self._file = path.open("ab", buffering=0)

    def append(self, trajectory: Trajectory) -> None:
        """Write one trajectory; if the disk is full OSError is raised and nothing is written."""
        line = json.dumps(asdict(trajectory), separators=(",", ":")).encode() + b"\n"
        end = self._file.tell()
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            self._file.truncate(end)
            error.filename = str(self._path)
            raise

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        self._file.close()


def read_trajectories(path: Path) -> Iterator[Trajectory]:
    """All trajectories of a log, in the order written; a half-written last line is left out."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield trajectory_from_json(json.loads(line))


def trajectory_from_json(data: dict[str, Any]) -> Trajectory:
    """The trajectory that ``asdict`` described."""
    turns = []
    for turn in data["turns"]:
        known = {key: value for key, value in turn.items() if key in _TURN_FIELDS}
        for key in known.keys() & _TURN_SEQUENCES:
            known[key] = tuple(known[key])
        turns.append(Turn(**known))
    rest = {key: value for key, value in data.items() if key in _FIELDS}
    return Trajectory(**{**rest, "turns": tuple(turns)})
