"""A task's own code has so long to return, and people are told where it waits."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from contextlib import AbstractContextManager
from threading import Timer, get_ident
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

from webdojo.envs.certification.place import place_of, place_of_frame
from webdojo.tasks.errors import UserError

if TYPE_CHECKING:
    from webdojo.tasks.task import Task

T = TypeVar("T")
CODE_S = 40.0
"""Real time that one call of a task's own code has: less than a whole step, so that a task is not
taken for a page that hangs, and more than Playwright's own 30 s, which say what was waited for."""
GRACE_S = 2.0
"""Further time after which code that still runs can only be told of, not stopped."""


async def in_time(call: Awaitable[T], task: Task, place: str) -> T:
    """What the call gives; raises UserError saying where it waits once its time is over.

    ``place`` is for people: the file, the task and the method. A judge's own time
    (``evaluation_s``) comes on top. Code that never lets go of the thread cannot be ended:
    standard error says where it is.
    """
    limit_s = CODE_S + task.evaluation_s
    limit = asyncio.timeout(limit_s)
    try:
        with Overdue(task, place, limit_s):
            async with limit:
                return await call
    except TimeoutError as error:
        if not limit.expired():
            raise
        # Pythons before 3.11.3 tell of what the time-out ended as its context alone.
        where = place_of(error.__cause__ or error.__context__ or error, task)
        waits = f"; it waits at {where}" if where else ""
        raise UserError(f"{place} has not returned within {limit_s:g} s{waits}") from None


class Overdue(AbstractContextManager["Overdue"]):
    """Says on standard error where code is that does not come back, once its time is over."""

    def __init__(self, task: Task, place: str, limit_s: float | None = None) -> None:
        self._task = task
        self._place = place
        self._limit_s = CODE_S if limit_s is None else limit_s
        self._thread = get_ident()
        self._timer = Timer(self._limit_s + GRACE_S, self._tell)
        self._timer.daemon = True
        self._here: FrameType | None = None

    def __enter__(self) -> Overdue:
        self._here = sys._getframe(1)  # the one way to know whose call it is
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()
        self._here = None

    def _tell(self) -> None:
        running = sys._current_frames().get(self._thread)  # as above
        caller = running
        while caller is not None and caller is not self._here:
            caller = caller.f_back
        if running is None or caller is None:
            return  # it is other code that keeps the thread
        where = place_of_frame(running, self._task)
        print(
            f"{self._place} has not returned within {self._limit_s:g} s; it is at {where}, and only"
            " Ctrl-C ends it",
            file=sys.stderr,
            flush=True,
        )
