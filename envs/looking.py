"""What is seen of a page: its tree, once all has been drawn that must be, and its picture."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any, Literal

from webdojo.envs.clock import FRAME_MS
from webdojo.envs.input import HOME
from webdojo.envs.patience import PATIENCE_S
from webdojo.envs.snapshot import Snapshot, parse_snapshot
from webdojo.envs.worlds import FRAME_PATIENCE_S, PageScriptError

if TYPE_CHECKING:
    from webdojo.envs.devtools import Session
    from webdojo.envs.page import DrivenPage

ImageFormat = Literal["jpeg", "webp", "png"]
STYLED = ("LayoutCount", "RecalcStyleCount")
DRAWN = (
    "new Promise((drawn) => {"
    " requestAnimationFrame(() => drawn(true)); setTimeout(drawn, {within_ms}, false) })"
)
"""Whether the page is drawn within so much page time, which costs it nothing."""
HELD_UP_MS = 500
"""Page time in which a page is drawn that may be held up."""
FIRST_FRAME_MS = 150
"""The same of a page's first frame, for each of which more real time passes."""
DRAWN_S = 0.02
"""Real time in which a page that is not held up begins its next frame."""
MOST_DRAWN = 5
"""Times in a row that a look has a page drawn that changes when it is."""


class Looking:
    """Looks at one page, over its session ``cdp``."""

    def __init__(self, page: DrivenPage, cdp: Session) -> None:
        self._page = page
        self._cdp = cdp
        self._shown = False
        """Whether the page has had its first frame."""

    @property
    def url(self) -> str:
        """The address of the document."""
        return self._page.url

    async def snapshot(self) -> Snapshot:
        """Look at the page: one round trip."""
        seen, _ = await self._look()
        return seen

    async def snapshot_and(self, expression: str) -> tuple[Snapshot, dict[str, Any]]:
        """Look at the page and ask for a JSON value of its own, in one round trip.

        The second is ``{"value": …}``, or ``{"error": …}`` if the expression raised.
        """
        return await self._look(
            f"(() => {{ try {{ return {{ value: ({expression}) }} }}"
            " catch (error) { return { error: String(error) } } })()"
        )

    async def _look(self, besides: str = "") -> tuple[Snapshot, Any]:
        if not self._shown:
            # Before a page's first frame Chromium drops what mouse and keys do. There is none where
            # a style does not come.
            await self._is_drawn(FIRST_FRAME_MS, PATIENCE_S)
            self._shown = True
        mouse = self._page.input.at if not self._page.input.pressed else None
        seen, asked, *frames = await self._see(besides, mouse)
        if not seen:
            # Whether the browser has drawn since, and so noticed what is hovered, is chance.
            await self._page.input.move(*(mouse or HOME))
            seen, asked, *frames = await self._see(besides, None)
        snapshot = parse_snapshot(seen, frames)
        for _ in range(MOST_DRAWN):
            if not snapshot.framed:
                break
            # What the page hears of when it is drawn it may have heard of already, by chance.
            drawn = await self._draw()
            if self._page.requests.loading:  # what was asked for when it was drawn
                await self._page.clock.fetch()
            if await self._changes() == snapshot.changes:
                asked = await self._page.evaluate(besides) if besides else asked
                break
            seen, asked, *frames = await self._see(besides, None)
            snapshot = parse_snapshot(seen, frames)
            if not drawn:
                break
        return snapshot, asked

    async def _changes(self) -> int:
        counts = await asyncio.gather(*map(self._frame_changes, self._page.worlds.frames()))
        return sum(counts)

    async def _frame_changes(self, frame: str) -> int:
        try:
            async with asyncio.timeout(FRAME_PATIENCE_S):
                return int(await self._page.worlds.call(frame, "changesSoFar"))
        except (PageScriptError, TimeoutError):
            return 0  # a frame that goes away

    async def _draw(self) -> bool:
        """Have the page drawn, and hear of it: in one frame, or in the next what began in it."""
        for _ in range(2):
            drawn = await self._is_drawn(HELD_UP_MS, DRAWN_S)
            await self._page.clock.lend(FRAME_MS)
            if not drawn:
                return False
        return True

    async def _is_drawn(self, within_ms: int, within_s: float) -> bool:
        frame = DRAWN.replace("{within_ms}", str(within_ms))
        (drawn,) = await self._page.patience.wait(
            self._page.worlds.evaluate(self._page.frame_id, frame), within_s=within_s
        )
        return bool(drawn)

    async def _see(self, besides: str, mouse: tuple[float, float] | None) -> list[Any]:
        others = self._page.worlds.others(self._page.frame_id)
        await self._page.worlds.name(others)
        frames = map(self._frame_snapshot, others)
        seeing = self._page.worlds.call(self._page.frame_id, "snapshot", None, mouse)
        if besides:
            return await asyncio.gather(seeing, self._page.evaluate(besides), *frames)
        seen, *inner = await asyncio.gather(seeing, *frames)
        return [seen, None, *inner]

    async def _frame_snapshot(self, frame: str) -> str:
        try:
            async with asyncio.timeout(FRAME_PATIENCE_S):
                return str(
                    await self._page.worlds.call(frame, "snapshot", self._page.worlds.prefix(frame))
                )
        except (PageScriptError, TimeoutError):
            return ""  # a frame that goes away is seen as empty

    async def styled(self) -> str:
        """How often styles and places were worked out, and requests ended: else all is the same."""
        metrics = (await self._cdp.send("Performance.getMetrics"))["metrics"]
        counts = (one["value"] for one in metrics if one["name"] in STYLED)
        return " ".join(map(str, (*counts, self._page.requests.ended)))

    async def screenshot(self, image_format: ImageFormat, quality: int) -> bytes:
        """The viewport at one image pixel a CSS pixel, straight from the compositor."""
        if self._page.requests.loading:
            # The look at the page has laid it out anew, and so asked for images not there yet.
            await self._page.clock.fetch()
        parameters: dict[str, Any] = {"format": image_format, "optimizeForSpeed": True}
        if image_format != "png":
            parameters["quality"] = quality
        # Something to be drawn may wait for the page's clock, an image to be decoded say.
        capture = self._cdp.send("Page.captureScreenshot", parameters)
        (answer,) = await self._page.patience.wait(capture)
        return base64.b64decode(answer["data"])
