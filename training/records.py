"""Trajectories on disk: one JSON object a line, whole or not there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from webdojo.tasks.errors import UserError
from webdojo.training.metrics import append_line, drop_cut_line
from webdojo.training.rollouts.trajectory import Trajectory, Turn
from webdojo.training.synced import sync

_TURN_SEQUENCES = ("prompt_ids", "response_ids", "logprobs", "versions", "images")
_TURN_FIELDS = tuple(field.name for field in fields(Turn))
_FIELDS = tuple(field.name for field in fields(Trajectory))


class TrajectoryLog:
    """An append-only file of trajectories.

    Each is in the file when ``append`` returns, so a kill loses none; ``sync`` waits until all are
    on the disk, so that a power cut loses none either.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        drop_cut_line(path)
        self._path = path
        self._file = path.open("ab", buffering=0)

    def append(self, trajectory: Trajectory) -> None:
        """Write one trajectory; if the disk is full OSError is raised and nothing is written."""
        found = json.dumps(trajectory_to_json(trajectory), separators=(",", ":"))
        append_line(self._file, found.encode())

    def sync(self) -> None:
        """Wait until everything appended is on the disk."""
        os.fsync(self._file.fileno())
        sync(self._path.parent)

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        self._file.close()


def read_trajectories(path: Path) -> Iterator[Trajectory]:
    """All trajectories of a log, in the order written; a half-written last line is left out.

    Raises UserError naming a line that holds no trajectory.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                trajectory = trajectory_from_json(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise UserError(
                    f"{path}, line {number}, holds no trajectory ({type(error).__name__}); remove"
                    " the line to have its episode run again"
                ) from error
            yield trajectory


def trajectory_to_json(trajectory: Trajectory) -> dict[str, Any]:
    """All its fields, and those of its turns; sequences are its own, none is copied."""
    # Episodes stand still meanwhile: dataclasses.asdict, which copies every token, takes seven
    # times as long as this and the encoding together.
    found = {name: getattr(trajectory, name) for name in _FIELDS}
    found["turns"] = [
        {name: getattr(turn, name) for name in _TURN_FIELDS} for turn in trajectory.turns
    ]
    return found


def trajectory_from_json(data: dict[str, Any]) -> Trajectory:
    """The trajectory that ``trajectory_to_json`` described."""
    turns = []
    for turn in data["turns"]:
        known = {key: value for key, value in turn.items() if key in _TURN_FIELDS}
        for key in known.keys() & _TURN_SEQUENCES:
            known[key] = tuple(known[key])
        turns.append(Turn(**known))
    rest = {key: value for key, value in data.items() if key in _FIELDS}
    found = Trajectory(**{**rest, "turns": tuple(turns)})
    for number in (found.reward, found.group_id, found.member):
        if not isinstance(number, int | float):
            raise TypeError(f"{number!r} is no number")
    return found
