"""Waiting for what may wait for page time itself, as drawing does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from webdojo.envs.clock import FRAME_MS, PageClock

if TYPE_CHECKING:
    from webdojo.envs.devtools import Session

PATIENCE_S = 0.3
"""Real time in which a screenshot is taken and a mouse moved, unless it waits for page time."""
SLOWER = 10.0
"""How many times longer than a plain answer of the page they may take."""


class Patience:
    """Waits for what one page is asked over its session ``cdp``."""

    def __init__(self, cdp: Session, clock: PageClock) -> None:
        self._cdp = cdp
        self._clock = clock

    async def wait(
        self, *sent: Coroutine[Any, Any, Any], within_s: float = PATIENCE_S
    ) -> list[Any]:
        """Wait for answers; where they wait for page time themselves, lend them a frame's.

        Chromium begins a frame when the one before is over, and one in which nothing was drawn is
        over 16 ms after it began, by the page's clock.
        """
        answers = asyncio.gather(*sent)
        try:
            while not (await asyncio.wait([answers], timeout=within_s))[0]:
                # How busy the machine is shows in how long the page takes to say anything.
                begun_s = time.monotonic()
                await self._cdp.send("Runtime.evaluate", {"expression": "0"})
                more_s = SLOWER * (time.monotonic() - begun_s)
                if (await asyncio.wait([answers], timeout=more_s))[0]:
                    break
                await self._clock.lend(FRAME_MS)
            return list(await answers)
        finally:
            if not answers.done():
                answers.cancel()
                answers.add_done_callback(heard)


def heard(answers: asyncio.Future[Any]) -> None:
    """Take note of how abandoned answers ended, or asyncio complains that nobody did."""
    if not answers.cancelled():
        answers.exception()
