"""Answers that a thread gives to the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Reply(Generic[T]):
    """A future of the running event loop that another thread may settle; settled once, it stays."""

    def __init__(self) -> None:
        self.future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def give(self, value: T) -> None:
        """Settle it with a result."""
        self._settle(lambda: self.future.set_result(value))

    def fail(self, error: Exception) -> None:
        """Settle it with an exception."""
        self._settle(lambda: self.future.set_exception(error))

    def cancel(self) -> None:
        """Cancel whoever waits for it."""
        self._settle(self.future.cancel)

    def _settle(self, settle: Callable[[], object]) -> None:
        def unless_done() -> None:
            if not self.future.done():
                settle()

        loop = self.future.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(unless_done)
