"""What the pages of an episode have stored, so that no later episode finds it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from webdojo.tasks.sites.server import EPISODE_COOKIE, site_server

if TYPE_CHECKING:
    from webdojo.envs.devtools import Session

STORED = (
    "DOMStorage.domStorageItemAdded",
    "DOMStorage.domStorageItemUpdated",
    "Storage.cacheStorageListUpdated",
)
WITH_STORAGE = ("http://", "https://", "file://")
"""What origins that have storage begin with."""


class Storage:
    """The storage of one context, as its pages have used it."""

    def __init__(self) -> None:
        self._stored = False
        self._origins: set[str] = set()
        self._tracked: set[tuple[str, str]] = set()
        """Pages and origins whose caches and buckets are told of, empty ones too."""
        self._pages: dict[str, Session] = {}
        self._busy: set[asyncio.Task[None]] = set()

    async def watch(self, cdp: Session) -> None:
        """Notice what this page stores from now on; raises Playwright's Error if it is gone."""
        self._pages[cdp.target] = cdp
        for event in STORED:
            cdp.on(event, self._was_stored)
        cdp.on("Storage.storageBucketCreatedOrUpdated", self._bucket_was_made)
        cdp.on("Network.requestWillBeSent", self._asked)
        cdp.on("Page.frameNavigated", lambda event: self._navigated(cdp, event))
        await cdp.send("DOMStorage.enable")

    async def holds_anything(self, target: str) -> bool:
        """Whether anything is kept: cookies, local and session storage, databases, files, caches.

        What was put into local or session storage and taken away again counts as well, and so does
        a name given in an address, by which Chromium stays signed in. ``target`` is the protocol id
        of any page; raises Playwright's Error if it is gone.
        """
        cdp = self._pages[target]
        cookies, *used = await asyncio.gather(
            cdp.send("Network.getAllCookies"),
            *(cdp.send("Storage.getUsageAndQuota", {"origin": one}) for one in self._origins),
        )
        kept = [one for one in cookies["cookies"] if not _ours(one)]
        return self._stored or bool(kept) or any(one["usage"] for one in used)

    async def forget_fetched(self, target: str) -> None:
        """Forget what has been fetched over the network, in this context alone.

        ``target`` is the protocol id of any page; raises Playwright's Error if it is gone.
        """
        await self._pages[target].send("Network.clearBrowserCache")

    def _was_stored(self, _: dict[str, Any]) -> None:
        self._stored = True

    def _asked(self, event: dict[str, Any]) -> None:
        url = event["request"]["url"]
        if url.startswith(WITH_STORAGE) and "@" in url.split("/", 3)[2]:
            self._stored = True

    def _bucket_was_made(self, event: dict[str, Any]) -> None:
        if "name" in event["bucketInfo"]["bucket"]:  # every origin has one without
            self._stored = True

    def _navigated(self, cdp: Session, event: dict[str, Any]) -> None:
        origin = event["frame"].get("securityOrigin", "")
        if not origin.startswith(WITH_STORAGE):
            return
        self._origins.add(origin)
        if (cdp.target, origin) not in self._tracked:
            self._tracked.add((cdp.target, origin))
            task = asyncio.create_task(self._track(cdp, origin))
            self._busy.add(task)
            task.add_done_callback(self._busy.discard)

    async def _track(self, cdp: Session, origin: str) -> None:
        from playwright.async_api import Error

        with suppress(Error):  # an origin that has none, or the page is gone
            bucket = {"storageKey": f"{origin}/", "enable": True}
            await asyncio.gather(
                cdp.send("Storage.setStorageBucketTracking", bucket),
                cdp.send("Storage.trackCacheStorageForOrigin", {"origin": origin}),
            )
            there = await cdp.send("CacheStorage.requestCacheNames", {"securityOrigin": origin})
            if there["caches"]:
                self._stored = True


def _ours(cookie: dict[str, Any]) -> bool:
    """Whether it is the cookie of a site's own episode, which is another in each."""
    return cookie["name"] == EPISODE_COOKIE and cookie["value"] in site_server().instances
