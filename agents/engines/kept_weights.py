"""The weights that an engine serves, kept for the one that is started when it dies."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from webdojo.agents.engines.folders import is_published, process_folder
from webdojo.agents.engines.unchanged import RENAME, Unchanged
from webdojo.agents.engines.weights import INDEX, weight_files, whole_files
from webdojo.tasks.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

_numbers = itertools.count()


class KeptWeights:
    """Weights of a policy version as they are now: in memory, or in a file or folder.

    Those in memory are copied, as they may be trained on. Files are held by hard links, so that
    they may be renamed, replaced or deleted; in a file system that has none together with ours they
    are read again where they are. Either way they are never taken for what was served if they have
    changed.
    Raises FileNotFoundError if there is none, ValueError if they are damaged.
    """

    def __init__(self, source: Mapping[str, Tensor] | Path, version: int) -> None:
        self.version = version
        self._source = source
        self._links = ExitStack()
        self._before = self._watched = Unchanged([])
        self._lost: str | None = None
        if isinstance(source, Path):
            self._before = self._watched = whole_files(source)[2]
            with suppress(OSError):
                self._source, self._watched = self._hold(source)
        elif isinstance(source, Mapping):
            self._source = {
                name: value.detach().to("cpu", copy=True) for name, value in source.items()
            }

    def loaded(self) -> None:
        """Say that an engine has loaded them where they lay."""
        self._lost = self._before.changed()

    @property
    def source(self) -> Mapping[str, Tensor] | Path:
        """What the next engine is to load; raises UserError if it is no longer what was served."""
        lost = self._lost or self._watched.changed()
        if lost is not None:
            raise UserError(
                f"the engine died, and the weights of version {self.version} that it served cannot"
                f" be loaded again, because {lost} has changed since: {RENAME}, or leave it there"
            )
        return self._source

    def drop(self) -> None:
        """Let go of the files."""
        self._links.close()

    def _hold(self, source: Path) -> tuple[Path, Unchanged]:
        """Links to the files of ``source``, and what is to stay unchanged with them."""
        files = weight_files(source)
        if is_published(source):
            # Beside it, where it counts as published as well.
            links = [source.with_name(f".served-{os.getpid()}-{next(_numbers)}-{source.name}")]
            self._links.callback(links[0].unlink, missing_ok=True)
            held = links[0]
        else:
            folder = Path(self._links.enter_context(process_folder("served")))
            links = [folder / file.name for file in files]
            held = folder if source.is_dir() else links[0]
            if source.is_dir() and (source / INDEX).is_file():
                os.link(source / INDEX, folder / INDEX)
        for file, link in zip(files, links, strict=True):
            os.link(file, link)
        seen = dict(self._before.seen)
        seen.pop(str(source), None)  # the folder's name may be another's by then
        for file, link in zip(files, links, strict=True):
            seen[str(link)] = self._before.seen[str(file)]
            seen.pop(str(file), None)
        return held, Unchanged([], seen)
