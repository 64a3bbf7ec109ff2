"""A run's folder: what is in it, and how far the run has come."""

from __future__ import annotations

import fcntl
import json
import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from webdojo.tasks.errors import UserError
from webdojo.training.config import TrainConfig
from webdojo.training.config_files import config_to_toml, load_config
from webdojo.training.synced import sync, write_synced

RUNS = Path("runs")
LEAST_FREE_BYTES = 200 * 2**20
LOCK_FILE = "run.lock"


@dataclass(frozen=True)
class RunFolder:
    """``runs/<name>/`` and the files in it.

    ``state.json`` tells which phases are done and how many seconds each has taken so far.
    """

    path: Path

    @classmethod
    def create(cls, config: TrainConfig, runs: Path = RUNS) -> RunFolder:
        """A new folder named after the run, with a number if the name is taken.

        ``check_room`` should have been asked before.
        """
        runs.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            path = runs / (config.name if number == 1 else f"{config.name}-{number}")
            try:
                path.mkdir()
                break
            except FileExistsError:
                number += 1
        sync(runs)
        folder = cls(path)
        write_synced(folder.config_file, config_to_toml(config).encode())
        folder._keep({"done": [], "seconds": {}})
        return folder

    @classmethod
    def existing(cls, path: Path) -> RunFolder:
        """The folder of a run that was begun; raises UserError if it is none."""
        folder = cls(path)
        for needed in (folder.config_file, folder.state_file):
            if not needed.is_file():
                raise UserError(
                    f"{path} is not the folder of a run: it holds no {needed.name}; give one that"
                    " `webdojo train` made, such as runs/quickstart"
                )
        return folder

    @property
    def config_file(self) -> Path:
        """The whole configuration, defaults included."""
        return self.path / "config.toml"

    @property
    def state_file(self) -> Path:
        """How far the run has come."""
        return self.path / "state.json"

    @property
    def demonstrations(self) -> Path:
        """Recorded oracle episodes."""
        return self.path / "trajectories" / "demonstrations.jsonl"

    @property
    def rollouts(self) -> Path:
        """Every finished episode of the reinforcement."""
        return self.path / "trajectories" / "rollouts.jsonl"

    @property
    def screenshots(self) -> Path:
        """Screenshots that the learner may still look at, by the hash of their content."""
        return self.path / "screenshots"

    @property
    def summary_file(self) -> Path:
        """The figures of the finished run."""
        return self.path / "summary.json"

    def evaluation(self, moment: str, mode: str) -> Path:
        """Episodes of one evaluation."""
        return self.path / "evaluation" / f"{moment}-{mode}.jsonl"

    def checkpoint(self, name: str) -> Path:
        """A checkpoint folder: ``warm-start``, ``final``, or ``update-000010``."""
        return self.path / "checkpoints" / name

    def config(self) -> TrainConfig:
        """The configuration that the run was begun with."""
        return load_config(str(self.config_file))

    def state(self) -> dict[str, Any]:
        """``{"done": [phase …], "seconds": {phase: seconds}}``; UserError if it is damaged."""
        try:
            found: dict[str, Any] = json.loads(self.state_file.read_text(encoding="utf-8"))
            whole = isinstance(found["done"], list) and all(
                math.isfinite(seconds + 0.0) for seconds in found["seconds"].values()
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            whole = False
        if not whole:
            raise UserError(
                f"{self.state_file} is damaged, so it is not known what the run has done; begin"
                " the run anew, or mend the file by hand:"
                ' {"done": ["record", "warm_start", …], "seconds": {…}}'
            )
        return found

    def done(self, phase: str) -> bool:
        """Whether a phase is behind us."""
        return phase in self.state()["done"]

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Add the time the block takes to the phase; mark it done if the block ends well."""
        began = monotonic()
        ended_well = False
        try:
            yield
            ended_well = True
        finally:
            state = self.state()
            spent = state["seconds"].get(phase, 0.0) + monotonic() - began
            state["seconds"][phase] = round(spent, 3)
            if ended_well:
                state["done"].append(phase)
            self._keep(state)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes out of the folder: two would train on the same episodes.

        The kernel lets go of it when this process ends, however it ends. Raises UserError if
        another holds it.
        """
        with (self.path / LOCK_FILE).open("w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"another process is at work on {self.path}; wait until it ends, or stop it"
                ) from None
            yield

    def latest_update(self) -> Path | None:
        """The newest whole checkpoint of the reinforcement."""
        found = sorted(self.path.glob("checkpoints/update-[0-9]*[0-9]"))
        return found[-1] if found else None

    def _keep(self, state: Mapping[str, Any]) -> None:
        write_synced(self.state_file, json.dumps(state).encode() + b"\n")


def check_room(runs: Path) -> None:
    """Raise UserError if the disk is too full to begin a run below ``runs``, or that is a file."""
    there = _nearest(runs)
    if not there.is_dir():
        raise UserError(f"{there} is a file, and runs are kept in a folder of that name: move it")
    free = free_room(runs)
    if free < LEAST_FREE_BYTES:
        raise UserError(
            f"{runs.resolve()} has {free / 2**20:.0f} MiB of free disk space; a run needs at"
            f" least {LEAST_FREE_BYTES / 2**20:.0f} MiB: free some, or run elsewhere"
        )


def free_room(runs: Path) -> int:
    """Bytes that are free where ``runs`` is, or would be."""
    return shutil.disk_usage(_nearest(runs)).free


def _nearest(runs: Path) -> Path:
    return next(place for place in (runs, *runs.resolve().parents) if place.exists())
