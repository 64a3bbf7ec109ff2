"""What the pages of an episode have stored, so that no later episode finds it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from webdojo.tasks.sites.server import EPISODE_COOKIE

if TYPE_CHECKING:
    from webdojo.envs.devtools import Session

STORED = ("DOMStorage.domStorageItemAdded", "DOMStorage.domStorageItemUpdated")
WITH_STORAGE = ("http://", "https://", "file://")
"""What origins that have storage begin with."""


class Storage:
    """The storage of one context, as its pages have used it."""

    def __init__(self) -> None:
        self._stored = False
        self._origins: set[str] = set()
        self._pages: dict[str, Session] = {}

    async def watch(self, cdp: Session) -> None:
        """Notice what this page stores from now on; raises Playwright's Error if it is gone."""
        self._pages[cdp.target] = cdp
        for event in STORED:
            cdp.on(event, self._was_stored)
        cdp.on("Page.frameNavigated", self._navigated)
        await cdp.send("DOMStorage.enable")

    async def holds_anything(self, target: str) -> bool:
        """Whether anything is kept: cookies, local and session storage, databases, files, caches.

        What was put into local or session storage and taken away again counts as well. ``target``
        is the protocol id of any page; raises Playwright's Error if it is gone.
        """
        cdp = self._pages[target]
        cookies, *used = await asyncio.gather(
            cdp.send("Network.getAllCookies"),
            *(cdp.send("Storage.getUsageAndQuota", {"origin": one}) for one in self._origins),
        )
        # A site's own episode has a cookie of ours, which is another in each.
        kept = [one for one in cookies["cookies"] if one["name"] != EPISODE_COOKIE]
        return self._stored or bool(kept) or any(one["usage"] for one in used)

    def _was_stored(self, _: dict[str, Any]) -> None:
        self._stored = True

    def _navigated(self, event: dict[str, Any]) -> None:
        origin = event["frame"].get("securityOrigin", "")
        if origin.startswith(WITH_STORAGE):
            self._origins.add(origin)
