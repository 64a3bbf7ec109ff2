"""Where in a task's own files an error was raised."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING

from webdojo.tasks.files import loaded_files

if TYPE_CHECKING:
    from webdojo.tasks.task import Task


def place_of(error: BaseException, task: Task) -> str:
    """The last line of the user's own files on the way to an error: ``path:line: code``.

    Their own are the files of the task's classes and those given with ``--tasks``. Empty if the
    error has not come by there.
    """
    return _last(traceback.extract_tb(error.__traceback__), task)


def place_of_frame(frame: FrameType, task: Task) -> str:
    """The same for code that runs: the last line of the user's own, or else the last of all."""
    stack = traceback.extract_stack(frame)
    return _last(stack, task) or _written(stack[-1])


def _last(frames: traceback.StackSummary, task: Task) -> str:
    own = {*_files(task), *loaded_files()}
    found = [frame for frame in frames if frame.filename in own]
    return _written(found[-1]) if found else ""


def _written(frame: traceback.FrameSummary) -> str:
    return f"{frame.filename}:{frame.lineno}: {frame.line}"


def _files(task: Task) -> Iterator[str]:
    for kind in type(task).__mro__:
        if kind.__module__.startswith("webdojo.tasks.") and kind is not type(task):
            continue
        try:
            yield inspect.getsourcefile(kind) or ""
        except (TypeError, OSError):  # made of a description, or built in
            continue
