"""Copies of files that somebody else may write to, kept for as long as those stay as they are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock

from webdojo.agents.engines.folders import process_folder
from webdojo.agents.engines.unchanged import Stamp, Unchanged


class KeptCopies:
    """Copies of the files that were asked for last, such as the checkpoint beneath adapters.

    They lie in shared memory, or among the temporary files where that has no room.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        # Guarded by _lock.
        self._seen: dict[str, Stamp] = {}
        self._copies: list[Path] = []
        self._folder = ExitStack()

    @contextmanager
    def held(self, files: Sequence[Path], watched: Unchanged) -> Iterator[list[Path]]:
        """Copies of files, which stay until this ends; they are made unless they are there.

        ``watched`` are the files as they were seen before. Raises ValueError if they change while
        they are copied.
        """
        seen = {str(file): watched.seen[str(file)] for file in files}
        with self._lock:
            if seen != self._seen:
                self._drop()
                copies = copied(files, self._folder)
                try:
                    watched.check()
                except ValueError:
                    self._drop()
                    raise
                self._seen, self._copies = seen, copies
            yield self._copies

    def drop(self) -> None:
        """Delete the copies."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        self._seen, self._copies = {}, []
        self._folder.close()


def copied(files: Sequence[Path], until: ExitStack) -> list[Path]:
    """Copies of files that go when ``until`` is closed."""
    size = sum(file.stat().st_size for file in files)
    folder = until.enter_context(process_folder("copies", size))
    copies = [Path(folder) / f"{number}.safetensors" for number, _ in enumerate(files)]
    for file, copy in zip(files, copies, strict=True):
        # Other threads go on meanwhile, as they would not if Python read it.
        shutil.copyfile(file, copy)
    return copies
