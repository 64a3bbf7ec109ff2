"""Checkpoints of the reinforcement: what a killed run goes on from, whole or not there."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webdojo.tasks.errors import UserError
from webdojo.training.run_folder import RunFolder
from webdojo.training.synced import sync

LEARNER_FILE = "learner.pt"
POOL_FILE = "pool.json"
BEST = "best"
BEST_FILE = "best.json"
OLD = ".old"
"""How the name of a folder ends that another has taken the place of."""


@dataclass(frozen=True)
class Saved:
    """A checkpoint as it was read."""

    version: int
    learner: Mapping[str, Any]
    """Weights or adapters, optimiser, steps of the schedule, and random generators."""
    pool: dict[str, Any]
    """The pool's ledger and its sampler."""
    elapsed_s: float
    """Seconds of reinforcement until then."""
    drawn_tokens: int = 0
    """Tokens that engines drew for it until then."""
    waited_s: float = 0.0
    """Seconds that the learner had waited for groups."""
    trained_s: float = 0.0
    """Seconds that it had been at work."""


class Checkpoints:
    """The ``keep_last`` newest checkpoints of a run, and the policy of the best one.

    A checkpoint is a folder ``update-000010`` that gets its name when everything in it is on disk,
    so a kill or a power cut leaves the one before. ``best`` holds a policy alone: a folder like
    ``final``, with the figures that made it the best in ``best.json``.
    """

    def __init__(self, folder: RunFolder, keep_last: int = 2) -> None:
        self._folder = folder
        self._keep_last = keep_last

    def save(
        self,
        version: int,
        learner: Mapping[str, Any],
        pool: Mapping[str, Any],
        elapsed_s: float,
        drawn_tokens: int = 0,
        waited_s: float = 0.0,
        trained_s: float = 0.0,
    ) -> None:
        """Write one checkpoint and remove what is too old; OSError if the disk is full."""
        import torch

        target = self._folder.checkpoint(f"update-{version:06d}")
        state = {
            "version": version,
            "elapsed_s": round(elapsed_s, 3),
            "drawn_tokens": drawn_tokens,
            "waited_s": round(waited_s, 3),
            "trained_s": round(trained_s, 3),
            "pool": pool,
        }
        with replacing(target) as partial:
            torch.save(dict(learner), partial / LEARNER_FILE)
            (partial / POOL_FILE).write_text(json.dumps(state), encoding="utf-8")
        for old in sorted(target.parent.glob("update-[0-9]*[0-9]"))[: -self._keep_last]:
            shutil.rmtree(old)

    def latest(self) -> Saved | None:
        """The newest checkpoint; None if there is none. Raises UserError if it is damaged."""
        import torch

        self._tidy()
        found = self._folder.latest_update()
        if found is None:
            return None
        try:
            learner = torch.load(found / LEARNER_FILE, weights_only=True, map_location="cpu")
            state = json.loads((found / POOL_FILE).read_text(encoding="utf-8"))
            saved = Saved(
                int(state["version"]),
                learner,
                dict(state["pool"]),
                float(state["elapsed_s"]),
                int(state.get("drawn_tokens", 0)),
                float(state.get("waited_s", 0)),
                float(state.get("trained_s", 0)),
            )
            if found.name != f"update-{saved.version:06d}":
                raise ValueError(f"{POOL_FILE} is of version {saved.version}")
            if not isinstance(learner, Mapping):
                raise TypeError(f"{LEARNER_FILE} holds a {type(learner).__name__}")
            return saved
        except Exception as error:  # unpickling raises whatever the bytes lead it to
            raise damaged(found, error) from error

    def _tidy(self) -> None:
        """Finish or remove what a kill left half-way."""
        folder = self._folder.checkpoint(BEST).parent
        for old in folder.glob(f"*{OLD}"):
            shutil.rmtree(old)
        for partial in folder.glob("*.partial"):
            target = partial.with_suffix("")
            if target.name == BEST and not target.exists() and _best_success(partial) >= 0:
                partial.replace(target)
            else:
                shutil.rmtree(partial)

    @property
    def newest(self) -> Path:
        """Folder of the newest checkpoint."""
        found = self._folder.latest_update()
        assert found is not None
        return found

    def keep_if_best(self, version: int, success: float, write: Callable[[Path], object]) -> bool:
        """Let ``write`` put the policy into ``best`` if ``success`` is the highest so far.

        Of equal ones the later is kept. Returns whether it was.
        """
        target = self._folder.checkpoint(BEST)
        if success < _best_success(target):
            return False
        with replacing(target) as partial:
            write(partial)
            about = {"version": version, "success": success}
            (partial / BEST_FILE).write_text(json.dumps(about) + "\n", encoding="utf-8")
        return True


def damaged(folder: Path, error: Exception) -> UserError:
    """What to say of a checkpoint that cannot be loaded."""
    return UserError(
        f"the checkpoint {folder} is damaged ({type(error).__name__}); remove it to go on from the"
        " one before or, where there is none, to begin reinforcement anew"
    )


def misfit(folder: Path, error: Exception) -> UserError:
    """What to say of a checkpoint of another model or of other adapters."""
    return UserError(f"the checkpoint {folder} does not fit this configuration: {error}")


@contextmanager
def full_disk_told(path: Path) -> Iterator[None]:
    """Make what torch and safetensors raise when the disk of ``path`` is full into an OSError.

    An OSError that names no file, as one does that comes in the middle of writing, names ``path``.
    """
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    except Exception as error:
        # torch says something about positions in a file, safetensors gives the number as text.
        full = "os error 28" in str(error) or shutil.disk_usage(path).free < 2**20
        if not full:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A folder to fill, which becomes ``target`` once its files are on disk.

    Raises OSError if the disk fills up meanwhile.
    """
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with full_disk_told(partial):
        yield partial
    for file in (*partial.iterdir(), partial):
        sync(file)
    # To be removed takes longer than to be renamed: what is under the name is always whole.
    old = target.with_name(target.name + OLD)
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.replace(old)
    partial.replace(target)
    sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _best_success(folder: Path) -> float:
    try:
        return float(json.loads((folder / BEST_FILE).read_text(encoding="utf-8"))["success"])
    except (OSError, ValueError, KeyError):
        return -1.0  # none yet, or cut short by a kill
