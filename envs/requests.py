"""What a page asks for: refused where it may not, and known while it is on its way."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webdojo.envs.devtools import Session
    from webdojo.envs.tabs import Tabs

NO_CONTENT = (204, 205)
"""Statuses of answers that leave the page as it is."""
HERE = ("file:", "data:", "blob:")
"""What these hold is there at once, whatever Chromium says of images."""


class Requests:
    """The requests of one page."""

    def __init__(self, cdp: Session, tabs: Tabs) -> None:
        self.fetched: set[str] = set()
        """Ids of requests to hosts that have not ended."""
        self.loading: set[str] = set()
        """The same with what is on this machine."""
        self.ended = 0
        """How many have ended: of an image in a style, say, the page itself tells nothing."""
        self.turned_away = ""
        """The last document that the page asked for and was not let open."""
        self.is_file = False
        """Whether the page was to show what is a download, and has shown nothing before."""
        self._cdp = cdp
        self._tabs = tabs
        self._shown = False
        self._answered: dict[str, str] = {}
        """Addresses of documents that have been answered and that no frame shows yet."""
        self._downloads: dict[str, str] = {}
        """Addresses that were asked for to be kept as files."""
        self._busy: set[asyncio.Task[None]] = set()
        cdp.on("Fetch.requestPaused", self._paused)
        cdp.on("Network.requestWillBeSent", self._began)
        cdp.on("Network.responseReceived", self._was_answered)
        cdp.on("Network.loadingFinished", self._ended)
        cdp.on("Network.loadingFailed", self._ended)
        cdp.on("Page.downloadWillBegin", self._download_begins)
        cdp.on("Page.frameNavigated", self._navigated)

    async def open(self) -> None:
        """Let nothing pass unseen from now on."""
        await asyncio.gather(
            self._cdp.send("Network.enable"),
            self._cdp.send("Fetch.enable", {"patterns": [{"urlPattern": "*"}]}),
        )

    def _began(self, event: dict[str, Any]) -> None:
        self.loading.add(event["requestId"])
        if not event["request"]["url"].startswith(HERE):
            self.fetched.add(event["requestId"])

    def _was_answered(self, event: dict[str, Any]) -> None:
        if event["type"] == "Document" and event["response"]["status"] not in NO_CONTENT:
            self._answered[event["requestId"]] = event["response"]["url"]

    def _ended(self, event: dict[str, Any]) -> None:
        request: str = event["requestId"]
        self.fetched.discard(request)
        self.loading.discard(request)
        self.ended += 1
        # A document that was answered, and given up before any frame showed it, is a download.
        # Chromium tells of that itself, but only after the page's clock has gone on.
        url = self._answered.pop(request, None)
        if url is not None and event.get("canceled"):
            self._tabs.downloads.expect(url)

    def _navigated(self, event: dict[str, Any]) -> None:
        self._answered.pop(event["frame"]["loaderId"], None)
        self._shown = self._shown or "parentId" not in event["frame"]

    def _download_begins(self, event: dict[str, Any]) -> None:
        self._tabs.downloads.begins(event, self._cdp.context)
        if event["frameId"] == self._cdp.target and not self._shown:
            self.is_file = True
            self._do(self._tabs.look_again())

    def _paused(self, event: dict[str, Any]) -> None:
        self._do(self._guard(event))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    async def _guard(self, event: dict[str, Any]) -> None:
        from playwright.async_api import Error

        url: str = event["request"]["url"]
        navigates = event.get("resourceType") == "Document"
        request = {"requestId": event["requestId"]}
        tabs = self._tabs
        try:
            if tabs.origins.allows(url):
                if navigates and "networkId" not in event:  # no frame is to show it
                    led_here = self._downloads.pop(event.get("redirectedRequestId", ""), "")
                    tabs.downloads.expect(url, led_here)
                    self._downloads[event["requestId"]] = url
                await self._cdp.send("Fetch.continueRequest", request)
                return
            tabs.refused.add(url)
            if navigates and event.get("frameId") == self._cdp.target:
                self.turned_away = url
                tabs.say(f"the page wanted to open {url}, which is outside this task: refused")
                await tabs.look_again()
            reason = "Aborted" if navigates else "BlockedByClient"
            await self._cdp.send("Fetch.failRequest", {**request, "errorReason": reason})
        except Error:
            pass  # the page went away with its requests
