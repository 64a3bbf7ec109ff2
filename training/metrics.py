"""What a run measures of itself: ``metrics.jsonl``, and loggers such as TensorBoard beside it.

with MetricsLog(run_folder) as log:
    log.write("reinforce", step=3, figures={"reward/mean": 0.4, "grad_norm": 1.2})

``metric_names.py`` tells what each figure means.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from io import FileIO
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, Self

from webdojo.tasks.errors import UserError
from webdojo.tasks.extras import install_command
from webdojo.training.checkpoints import full_disk_told

METRICS_FILE = "metrics.jsonl"
EVENTS_FOLDER = "events"
TENSORBOARD = "tensorboard"
_BLOCK = 2**16
"""Bytes that are read at a time, from the end, to find the last line break."""


class Logger(Protocol):
    """A place that figures go to beside ``metrics.jsonl``."""

    def write(self, time_s: float, phase: str, step: int, figures: Mapping[str, float]) -> None:
        """Take the figures of one step; must neither block nor raise."""
        ...

    def close(self) -> None:
        """Write what is still held back; closing twice is fine."""
        ...


class MetricsLog:
    """Appends to a run's ``metrics.jsonl`` and hands the same figures to its loggers.

    A line is in the file when ``write`` returns, so a killed process loses nothing. A last line cut
    short by a kill is dropped when the log is opened again. Any thread may write.

    ``loggers`` are names (``tensorboard``, ``trackio``, ``wandb``); an unknown one, or one whose
    package is missing, raises UserError. When one that is no file of the run's raises later, it is
    told of on standard error and left out.
    """

    def __init__(self, folder: Path, loggers: Sequence[str] = (TENSORBOARD,)) -> None:
        for name in loggers:
            if name not in LOGGERS:
                raise UserError(f"unknown logger {name!r}; known: {', '.join(LOGGERS)}")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / METRICS_FILE
        drop_cut_line(path)
        self._loggers: dict[str, Logger] = {name: LOGGERS[name](folder) for name in loggers}
        self._file = path.open("ab", buffering=0)
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def write(self, phase: str, step: int, figures: Mapping[str, float]) -> None:
        """Record flat figures of one step of a phase; a figure that is not finite becomes null."""
        time_s = time.time()
        numbers = {name: _finite(value) for name, value in figures.items()}
        line = json.dumps(
            {"time_s": round(time_s, 3), "phase": phase, "step": step, **numbers}, allow_nan=False
        )
        with self._lock:
            if self._file.closed:
                raise ValueError("the metrics log is closed")
            append_line(self._file, line.encode())
            self._have_each(lambda logger: logger.write(time_s, phase, step, figures))

    def close(self) -> None:
        """Close the file and the loggers; closing twice is fine."""
        with self._lock:
            if self._file.closed:
                return
            self._file.close()
            self._have_each(lambda logger: logger.close())

    def _have_each(self, do: Callable[[Logger], None]) -> None:
        for name, logger in tuple(self._loggers.items()):
            try:
                do(logger)
            except Exception as error:  # a service raises what it likes
                if name == TENSORBOARD:
                    raise
                del self._loggers[name]
                print(
                    f"the logger {name!r} failed and gets no more figures; {METRICS_FILE} has them"
                    f" all: {_said(error)}",
                    file=sys.stderr,
                )


def check_loggers(names: Sequence[str]) -> None:
    """Raise UserError if a logger's package is missing; imports none of them."""
    for name in names:
        if find_spec(name) is None:
            raise _missing(name)


def append_line(file: FileIO, line: bytes) -> None:
    """Append a line whole or not at all: OSError, naming the file, if the disk is full."""
    end = file.seek(0, os.SEEK_END)  # what failed before has left the file's position behind it
    rest = line + b"\n"
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        file.truncate(end)
        error.filename = file.name
        raise


def drop_cut_line(path: Path) -> None:
    """Cut what follows the last line break of a file; a missing file is left missing."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        keep = size = file.seek(0, os.SEEK_END)
        while keep:
            start = max(0, keep - _BLOCK)
            file.seek(start)
            found = file.read(keep - start).rfind(b"\n")
            if found >= 0:
                keep = start + found + 1
                break
            keep = start
        if keep < size:
            file.truncate(keep)


class TensorBoardLogger:
    """TensorBoard event files in ``events/``, one scalar a figure, under ``phase/figure``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / EVENTS_FOLDER
        writer = _load("tensorboard.summary.writer.event_file_writer")
        self._event: Any = _load("tensorboard.compat.proto.event_pb2").Event
        self._summary: Any = _load("tensorboard.compat.proto.summary_pb2").Summary
        self._writer = writer.EventFileWriter(str(self._folder), flush_secs=10)

    def write(self, time_s: float, phase: str, step: int, figures: Mapping[str, float]) -> None:
        """Queue one event; a thread of its own writes it."""
        values = [
            self._summary.Value(tag=f"{phase}/{name}", simple_value=float(value))
            for name, value in figures.items()
        ]
        event = self._event(wall_time=time_s, step=step, summary=self._summary(value=values))
        with full_disk_told(self._folder):
            self._writer.add_event(event)

    def close(self) -> None:
        """Flush and close the event file."""
        with full_disk_told(self._folder):
            self._writer.close()


class TrackioLogger:
    """A trackio run named after the run folder, or as trackio has it where that name is taken."""

    def __init__(self, folder: Path) -> None:
        self._trackio = _load("trackio")
        name, kept = folder.resolve().name, _known_by(folder, "trackio")
        # Without resume a name that is taken, and be it by this very run, gives a run of another.
        again = {"resume": "allow"} if (before := _read(kept)) else {}
        with _begun("trackio"):
            run = self._trackio.init(project="webdojo", name=before or name, **again)
        kept.write_text(run.name, encoding="utf-8")

    def write(self, time_s: float, phase: str, step: int, figures: Mapping[str, float]) -> None:
        """Log one row; steps begin again in each phase, so the step travels as a figure."""
        self._trackio.log(_under_phase(phase, step, figures))

    def close(self) -> None:
        """Finish the run."""
        self._trackio.finish()


class WandbLogger:
    """A Weights & Biases run named after the run folder; where it goes is wandb's own setting."""

    def __init__(self, folder: Path) -> None:
        kept = _known_by(folder, "wandb")
        again = {"id": before, "resume": "allow"} if (before := _read(kept)) else {}
        wandb, name = _load("wandb"), folder.resolve().name
        with _begun("wandb"):
            self._run = wandb.init(project="webdojo", name=name, dir=str(folder), **again)
        kept.write_text(self._run.id, encoding="utf-8")

    def write(self, time_s: float, phase: str, step: int, figures: Mapping[str, float]) -> None:
        """Log one row; steps begin again in each phase, so the step travels as a figure."""
        self._run.log(_under_phase(phase, step, figures))

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()


LOGGERS: dict[str, Callable[[Path], Logger]] = {
    TENSORBOARD: TensorBoardLogger,
    "trackio": TrackioLogger,
    "wandb": WandbLogger,
}
"""Loggers by name. One's own is a class with Logger's methods, made from the run folder."""


@contextmanager
def _begun(service: str) -> Iterator[None]:
    """Make what keeps a service from taking a run, such as a login that is missing, a UserError."""
    try:
        yield
    except Exception as error:  # a service raises what it likes
        raise UserError(
            f"the logger {service!r} does not begin: {_said(error)}: mend that, or take it out of"
            " loggers"
        ) from error


def _said(error: Exception) -> str:
    """The first line of what a service says; whole traces may follow it."""
    return str(error).partition("\n")[0].rstrip(".") or type(error).__name__


def _known_by(folder: Path, service: str) -> Path:
    """File with what a service knows the folder's run by, so that it goes on as the same there."""
    return folder / f"{service}-run.txt"


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _finite(value: float) -> float | None:
    if isinstance(value, int):
        return value
    number = float(value)  # NumPy's and torch's scalars are no JSON
    return number if math.isfinite(number) else None


def _under_phase(phase: str, step: int, figures: Mapping[str, float]) -> dict[str, float]:
    return {f"{phase}/step": step, **{f"{phase}/{name}": v for name, v in figures.items()}}


def _load(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise _missing(module.partition(".")[0]) from None


def _missing(package: str) -> UserError:
    extra = "train" if package == TENSORBOARD else package
    return UserError(
        f"the logger {package!r} needs the package {package}: `{install_command(extra)}`"
    )
