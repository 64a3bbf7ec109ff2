"""Where in a task's own files an error was raised."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING

from webdojo.tasks.files import loaded_files

if TYPE_CHECKING:
    from webdojo.tasks.task import Task


def place_of(error: Exception, task: Task) -> str:
    """The last line of the user's own files on the way to an error: ``path:line: code``.

    Their own are the files of the task's classes and those given with ``--tasks``. Empty if the
    error has not come by there.
    """
    own = {*_files(task), *loaded_files()}
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in own]
    return f"{frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line}" if frames else ""


def _files(task: Task) -> Iterator[str]:
    for kind in type(task).__mro__:
        if kind.__module__.startswith("webdojo.tasks.") and kind is not type(task):
            continue
        try:
            yield inspect.getsourcefile(kind) or ""
        except (TypeError, OSError):  # made of a description, or built in
            continue
