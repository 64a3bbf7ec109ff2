"""Virtual time: an asyncio event loop whose clock jumps to the next timer instead of waiting.

Hours of scripted latencies then pass in moments, through the same code that runs in real time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class DeadlockError(RuntimeError):
    """Every task waits and no timer is set, so nothing could ever happen again."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop on simulated seconds, starting at 0.

    ``time()``, ``call_later``, ``asyncio.sleep``, ``asyncio.timeout`` and the like all follow its
    clock. Only for programs that wait on timers and on each other: work in threads or processes
    takes no simulated time, and waiting for it alone raises DeadlockError.
    """

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """Simulated seconds since the loop was made."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass at once."""
        self._now += seconds


class _JumpingSelector(selectors.DefaultSelector):
    """Lets simulated time pass where a selector would wait."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return []
        events = super().select(0)
        if events:
            return events
        if timeout is None:
            raise DeadlockError(f"deadlock at {self._loop.time():g} s: no timer is set")
        self._loop.advance(timeout)
        return []


def run_in_virtual_time(main: Coroutine[Any, Any, Result]) -> Result:
    """Run ``main`` to its end on a fresh VirtualTimeLoop, like ``asyncio.run``."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
