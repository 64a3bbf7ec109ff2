"""Whether files are still what they were.

Imports nothing of WebDojo: vLLM's process, which may live in another environment, asks it too.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from stat import S_ISDIR

RENAME = "write a checkpoint into a folder beside, and rename that when it is whole"

Stamp = tuple[int, ...]
"""What changes when a file is written to; empty if there is none."""


class Unchanged:
    """Files that are to be read as they are now, or as they were when they were ``seen``."""

    def __init__(self, files: Iterable[Path], seen: dict[str, Stamp] | None = None) -> None:
        self.seen: dict[str, Stamp] = {str(file): _stamp(file) for file in files} | (seen or {})

    def changed(self) -> str | None:
        """One of them that is no longer what it was, if there is one."""
        changed = (file for file, stamp in self.seen.items() if _stamp(Path(file)) != stamp)
        return next(changed, None)

    def check(self) -> None:
        """Raise ValueError if one of them is no longer what it was."""
        file = self.changed()
        if file is not None:
            raise ValueError(
                f"{file} was changed while it was read: {RENAME}, and load the weights again"
            )


def _stamp(file: Path) -> Stamp:
    try:
        found = file.stat()
    except OSError:
        return ()
    if S_ISDIR(found.st_mode):
        return (found.st_dev, found.st_ino)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
