"""The page's clock: stands still between actions, runs by a stated amount after each.

Chromium's virtual time makes a timer of 500 ms fire in a millisecond or two, and makes the page's
age the same at the same step of every run. While it stands still, input, scripts and screenshots
work, but nothing that waits for a frame or a timer ever comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.async_api import CDPSession

START_S = 1_750_075_200
"""Unix time at which a page's clock starts: 2025-06-16 12:00 UTC."""


class PageClock:
    """Virtual time of one page."""

    def __init__(self, cdp: CDPSession) -> None:
        self._cdp = cdp
        self._expired = asyncio.Event()
        self._turn = asyncio.Lock()
        cdp.on("Emulation.virtualTimeBudgetExpired", lambda _: self._expired.set())

    async def start(self) -> None:
        """Take over the page's time; it stands still from now on."""
        await self._policy("pause", initialVirtualTime=START_S)

    async def run(self, milliseconds: int) -> None:
        """Let page time pass; while a fetch is pending page time waits for it."""
        async with self._turn:
            self._expired.clear()
            await self._policy("pauseIfNetworkFetchesPending", budget=milliseconds)
            await self._expired.wait()

    @asynccontextmanager
    async def running(self, after_s: float, step_ms: int = 50) -> AsyncIterator[None]:
        """Keep page time moving inside the block, once it has lasted ``after_s`` seconds.

        For code that may wait on the page (a task's set-up, say) and would wait for ever.
        """
        pump = asyncio.create_task(self._pump(after_s, step_ms))
        try:
            yield
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)

    async def _pump(self, after_s: float, step_ms: int) -> None:
        await asyncio.sleep(after_s)
        while True:
            await self.run(step_ms)
            await asyncio.sleep(step_ms / 1000)

    async def _policy(self, policy: str, **parameters: Any) -> None:
        await self._cdp.send("Emulation.setVirtualTimePolicy", {"policy": policy, **parameters})
