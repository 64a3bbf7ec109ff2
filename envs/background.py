"""One event loop in a thread of its own, and the Chromium that every synchronous face shares."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from typing import Any, ClassVar, TypeVar

from webdojo.envs.browser import BrowserOptions, Chromium

T = TypeVar("T")

CLOSE_TIMEOUT_S = 10.0


class Background:
    """An event loop that runs beside the program, whether or not the program runs one itself.

    There is one a process: ``Background.get()``. A forked child gets its own. A Chromium lives as
    long as somebody holds it.
    """

    _instance: ClassVar[Background | None] = None
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._browsers: dict[BrowserOptions, tuple[Chromium, int]] = {}
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="webdojo", daemon=True).start()
        atexit.register(self._close)

    @classmethod
    def get(cls) -> Background:
        """The one of this process."""
        with cls._lock:
            if cls._instance is None:
                cls._instance = Background()
            return cls._instance

    @classmethod
    def forget(cls) -> None:
        """Leave the parent's loop and browsers to the parent."""
        cls._instance = None
        cls._lock = threading.Lock()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work in the loop and wait for it; an interrupt cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def hold(self, options: BrowserOptions) -> Chromium:
        """The process's Chromium with these options; ``release`` it as often."""
        return self.run(self._hold(options))

    def release(self, options: BrowserOptions) -> None:
        """Give a Chromium back; nobody's Chromium is closed."""
        self.run(self._release(options))

    async def _hold(self, options: BrowserOptions) -> Chromium:
        chromium, holders = self._browsers.get(options) or (Chromium(options), 0)
        self._browsers[options] = (chromium, holders + 1)
        return chromium

    async def _release(self, options: BrowserOptions) -> None:
        chromium, holders = self._browsers.pop(options)
        if holders > 1:
            self._browsers[options] = (chromium, holders - 1)
        else:
            await chromium.close()

    def _close(self) -> None:
        if self._pid != os.getpid():
            return
        browsers = [chromium for chromium, _ in self._browsers.values()]
        self._browsers.clear()
        for chromium in browsers:
            closing = asyncio.run_coroutine_threadsafe(chromium.close(), self._loop)
            closing.exception(CLOSE_TIMEOUT_S)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Background.forget)
