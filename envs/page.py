"""A page as the environment drives it: snapshots, input and time, straight over the protocol."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any, Literal, Self

from webdojo.envs.browser import BrowserDiedError
from webdojo.envs.clock import PageClock
from webdojo.envs.snapshot import PAGE_API, Snapshot, parse_snapshot, snapshot_script

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, CDPSession, Page, Response

ImageFormat = Literal["jpeg", "webp", "png"]
LOAD_MS = 1000
"""Page time granted after a navigation, so that what the page starts at load has happened."""
FRAME_MS = 17
"""Page time in which a page surely draws once."""
SAFETY_NET_S = 1.0
"""Task code that waits on a standing page gets its time moving after this."""


class DrivenPage:
    """One page in one context, with its clock held by us."""

    def __init__(self, page: Page, cdp: CDPSession) -> None:
        self.page = page
        self.clock = PageClock(cdp)
        self._cdp = cdp
        self._goto = page.goto

    @classmethod
    async def open(cls, context: BrowserContext, seed: int) -> Self:
        """A new blank page whose documents draw chance from ``seed``; raises BrowserDiedError."""
        from playwright.async_api import Error

        try:
            await context.add_init_script(snapshot_script(seed))
            page = await context.new_page()
            driven = cls(page, await context.new_cdp_session(page))
            await driven.clock.start()
        except Error as error:
            raise BrowserDiedError(f"no new page: {error.message}") from error
        # A task navigates with the page it is handed. Playwright's own goto would wait for a load
        # event that a standing clock never brings, and for a span of time that no seed fixes.
        setattr(page, "goto", driven.goto)  # noqa: B010
        return driven

    async def goto(self, url: str, **options: Any) -> Response | None:
        """Navigate, then let the page load for a fixed span of its own time."""
        options["wait_until"] = "commit"
        response = await self._goto(url, **options)
        await self.clock.run(LOAD_MS)
        return response

    async def evaluate(self, expression: str) -> Any:
        """The JSON value of an expression in the page's main world."""
        answer = await self._cdp.send(
            "Runtime.evaluate", {"expression": expression, "returnByValue": True}
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise PageScriptError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call the in-page script."""
        return await self.evaluate(f"{PAGE_API}.{method}({', '.join(map(json.dumps, arguments))})")

    async def snapshot(self) -> Snapshot:
        """Look at the page: one round trip."""
        return parse_snapshot(await self.call("snapshot"))

    async def screenshot(self, image_format: ImageFormat, quality: int) -> bytes:
        """The viewport at one image pixel a CSS pixel, straight from the compositor."""
        parameters: dict[str, Any] = {"format": image_format, "optimizeForSpeed": True}
        if image_format != "png":
            parameters["quality"] = quality
        answer = await self._cdp.send("Page.captureScreenshot", parameters)
        return base64.b64decode(answer["data"])

    async def mouse(self, kind: str, x: float, y: float, **parameters: Any) -> None:
        """Send one mouse event: ``mouseMoved``, ``mousePressed``, ``mouseReleased``, ``mouseWheel``."""
        await self._cdp.send(
            "Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **parameters}
        )

    async def mouse_with_frames(self, kind: str, x: float, y: float, **parameters: Any) -> None:
        """Send a move or a turn of the wheel, and let the page draw.

        Chromium hands these to the page with its next frame, which a standing clock never brings.
        """
        await asyncio.gather(self.mouse(kind, x, y, **parameters), self.clock.run(FRAME_MS))

    async def insert_text(self, text: str) -> None:
        """Insert text at the caret, as an input method does."""
        await self._cdp.send("Input.insertText", {"text": text})

    async def close(self) -> None:
        """Close the page's context; closing a dead one is fine."""
        from playwright.async_api import Error

        try:
            await self.page.context.close()
        except Error:
            pass  # already gone


class PageScriptError(Exception):
    """A script of ours raised in the page."""
