"""The page's clock: stands still between actions, runs by a stated amount after each.

Chromium's virtual time makes a timer of 500 ms fire in a millisecond or two, and makes the page's
age the same at the same step of every run. While it stands still, input, scripts and screenshots
work, but nothing that waits for a frame or a timer ever comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webdojo.envs.devtools import Session

START_S = 1_750_075_200
"""Unix time at which a page's clock starts: 2025-06-16 12:00 UTC."""
FRAME_MS = 17
"""Page time in which a page has noticed where the mouse is: one frame."""
NETWORK_CAP_S = 2.0
"""Real time that a page's clock waits for pending fetches before it goes on without them."""
STALLED_CAP_S = 0.1
"""The same while the last wait was in vain."""
LEAK_CAP_S = 1.0
"""Real time that it waits where nothing is known to be pending."""
AFTER_MS = 0.01
"""By how much a grant outlasts what it grants: whether a timer due at its very end fires would be
chance."""
CATCH_UP_GRANTS = 100
"""Milliseconds of page time lent, at most, until all has come that is late."""
CATCH_UP_PAUSE_S = 0.01
"""Real time between two of them."""
LOOK_S = 0.25
"""Real time between two looks at a clock that has not come to the end of its grant."""
LOOK_AGAIN_S = 0.05
"""Real time in which a page's clock that is not waiting moves on."""


class PageClock:
    """Virtual time of one page.

    ``now_ms`` asks the browser for the page's time since 1970. ``hold(None)`` keeps the
    page's own clock and timers standing while the browser's goes ahead, ``hold(30)`` lets them
    follow by 30 ms; ``behind`` tells whether what fell due meanwhile is still to come, and keeps
    the page's clock from going further than that.
    """

    def __init__(
        self,
        cdp: Session,
        now_ms: Callable[[], Awaitable[float]],
        fetching: Callable[[], bool] = lambda: True,
        hold: Callable[[int | None], Awaitable[None]] | None = None,
        behind: Callable[[], Awaitable[bool]] | None = None,
        network_cap_s: float = NETWORK_CAP_S,
    ) -> None:
        self.elapsed_ms = 0
        """Page time granted so far."""
        self.stalled = False
        """Whether the last grant went on without fetches that never came back."""
        self._cdp = cdp
        self._now_ms = now_ms
        self._fetching = fetching
        self._hold = hold
        self._behind = behind
        self._held = False
        self._cap_s = network_cap_s
        self.granted_ms = 0
        """The same with what was lent ahead of the next run."""
        self._ahead_ms = 0
        self._grants = 0
        self._expired = asyncio.Event()
        self._turn = asyncio.Lock()
        cdp.on("Emulation.virtualTimeBudgetExpired", lambda _: self._expired.set())

    async def start(self) -> None:
        """Take over the page's time; it stands still from now on."""
        await self._policy("pause", initialVirtualTime=START_S)

    async def run(self, milliseconds: int) -> None:
        """Let page time pass.

        While a fetch is pending page time waits for it, up to ``network_cap_s`` of real time; then
        it passes all the same and ``stalled`` says so.
        """
        async with self._turn:
            self.elapsed_ms += milliseconds
            left = milliseconds - self._ahead_ms
            self._ahead_ms = max(0, -left)
            if self._held and self._hold is not None:
                self._held = left < 0
                await self._hold(milliseconds)
                await self._pass(max(0, left))
                await self._catch_up()
            elif left > 0:
                await self._pass(left)

    async def _catch_up(self) -> None:
        """Let come what fell due while the page's clock was held.

        Chromium may put it off on a busy machine, beyond the end of a grant.
        """
        for _ in range(CATCH_UP_GRANTS):
            if self._behind is None or not await self._behind():
                return
            self._held = True
            self._ahead_ms += 1
            await self._grant("advance", 1)
            await self._expired.wait()
            await asyncio.sleep(CATCH_UP_PAUSE_S)

    async def _pass(self, milliseconds: int) -> None:
        await self._grant("pauseIfNetworkFetchesPending", milliseconds)
        waited_s = 0.0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._expired.wait()
            if self._expired.is_set():
                self.stalled = False
                return
            waited_s += LOOK_S
            fetching = self._fetching()
            patience_s = (
                (STALLED_CAP_S if self.stalled else self._cap_s) if fetching else LEAK_CAP_S
            )
            if waited_s >= patience_s and not await self._moves():
                # Chromium may count a fetch as pending for ever that has ended; that is no stall.
                self.stalled = fetching
                break
        # What had passed before the wait must not pass twice.
        missing = START_S * 1000 + self.granted_ms - await self._now_ms()
        await self._grant("advance", min(milliseconds, max(1, round(missing))), anew=False)
        await self._expired.wait()

    async def _moves(self) -> bool:
        before = await self._now_ms()
        await asyncio.sleep(LOOK_AGAIN_S)
        return self._expired.is_set() or await self._now_ms() > before

    def standing(self) -> asyncio.Lock:
        """Held, it keeps this clock from being run; taken once no grant is under way."""
        return self._turn

    async def lend(self, milliseconds: int) -> None:
        """Let some page time pass ahead of the next ``run``, which gives it back.

        The page's own timers wait for that run, and see the times at which they were due.
        """
        async with self._turn:
            if self._hold is not None:
                self._held = True
                await self._hold(None)
            self._ahead_ms += milliseconds
            await self._grant("advance", milliseconds)
            await self._expired.wait()

    async def fetch(self) -> None:
        """Wait for what the page is fetching, as ``run`` does, in one millisecond of page time.

        The next ``run`` gives it back.
        """
        async with self._turn:
            self._ahead_ms += 1
            await self._pass(1)

    @asynccontextmanager
    async def running(
        self, after_s: float, step_ms: int = 50, whole_ms: int | None = None
    ) -> AsyncIterator[None]:
        """Keep page time moving inside the block, whenever it stood for ``after_s`` real seconds.

        For code that may wait on the page (a task's set-up, say) and would wait for ever. With
        ``whole_ms`` it moves by that much if it moves at all, however long the block takes.
        """
        over = asyncio.Event()
        begun = self._grants
        pumps: list[asyncio.Task[None]] = []

        def pump() -> None:
            work = self._pump(over, begun, after_s, step_ms, whole_ms)
            pumps.append(asyncio.create_task(work))

        alarm = asyncio.get_running_loop().call_later(after_s, pump)
        try:
            yield
        finally:
            alarm.cancel()
            over.set()
            # A grant is never cut short: its end would be taken for that of the next one.
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(
        self, over: asyncio.Event, seen: int, after_s: float, step_ms: int, whole_ms: int | None
    ) -> None:
        moved_ms = 0
        while moved_ms < whole_ms if whole_ms and moved_ms else not over.is_set():
            if (whole_ms and moved_ms) or (seen == self._grants and not self._turn.locked()):
                await self.run(step_ms)
                moved_ms += step_ms
                pause_s = step_ms / 1000
            else:
                pause_s = after_s
            seen = self._grants
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await over.wait()

    async def _grant(self, policy: str, milliseconds: int, *, anew: bool = True) -> None:
        self._grants += 1
        if anew:
            self.granted_ms += milliseconds
        self._expired.clear()
        await self._policy(policy, budget=milliseconds + AFTER_MS)

    async def _policy(self, policy: str, **parameters: Any) -> None:
        await self._cdp.send("Emulation.setVirtualTimePolicy", {"policy": policy, **parameters})
