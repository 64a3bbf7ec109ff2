"""The files that the pages of an episode give: waited for, and kept in a folder of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webdojo.tasks.folders import folder_prefix

if TYPE_CHECKING:
    from webdojo.envs.browser import Chromium

DOWNLOAD_BEGIN_S = 2.0
"""Real time in which a download must have begun whose page has become one."""
DOWNLOAD_TIMEOUT_S = 5.0
"""Real time in which a download must be complete."""


class Downloads:
    """The downloads of one episode; ``say`` hears of each file that has come or failed."""

    def __init__(self, chromium: Chromium, say: Callable[[str], None]) -> None:
        self.files: list[Path] = []
        """What has come, in the episode's folder."""
        self._chromium = chromium
        self._say = say
        self._folder: Path | None = None
        self._foretold: list[str] = []
        """Addresses of downloads that are known of and that Chromium has still to tell of."""
        self._begun = asyncio.Event()
        self._arriving: list[asyncio.Task[str]] = []
        self._told = 0
        """Files that the agent has been told of."""

    @property
    def folder(self) -> Path:
        """The episode's folder, where downloads land."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix=folder_prefix("episode")))
            # An episode that nobody has closed ends with the program.
            weakref.finalize(self, _remove, self._folder, os.getpid())
        return self._folder

    def expect(self, url: str, instead_of: str = "") -> None:
        """A download has been asked for: the next observation waits for it.

        It is one that was expected already where it was led on ``instead_of`` an address.
        """
        if instead_of in self._foretold:
            self._foretold.remove(instead_of)
        self._foretold.append(url)
        self._begun.clear()

    def begins(self, event: dict[str, Any], context: str) -> None:
        """Chromium tells of a download, asked for or made by the page itself: it is taken.

        ``event`` is that of ``Page.downloadWillBegin``, ``context`` the protocol id of the page's.
        """
        url = event["url"].partition("#")[0]
        if url in self._foretold:
            self._foretold.remove(url)
        if not self._foretold:
            self._begun.set()
        kept = self._keep(event["guid"], event["suggestedFilename"], context)
        self._arriving.append(asyncio.create_task(kept))

    async def arrived(self) -> None:
        """Wait for downloads under way, and tell of them by name: which was first is chance."""
        if self._foretold:
            with suppress(TimeoutError):
                async with asyncio.timeout(DOWNLOAD_BEGIN_S):
                    await self._begun.wait()
            self._foretold = []
        notices = []
        while self._arriving:
            notices.append(await self._arriving.pop(0))
        if notices:
            for notice in sorted(notices):
                self._say(notice)
            self.files[self._told :] = sorted(self.files[self._told :])
            self._told = len(self.files)

    def cancel(self) -> None:
        """Wait no more for what is under way."""
        for unfinished in self._arriving:
            unfinished.cancel()

    def remove(self) -> None:
        """Remove the episode's folder with all that it holds."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _keep(self, download: str, suggested: str, context: str) -> str:
        from playwright.async_api import Error

        name = Path(suggested).name or "download"
        place, count = self.folder / name, 1
        while place in self.files:
            count += 1
            place = self.folder / f"{Path(name).stem} ({count}){Path(name).suffix}"
        self.files.append(place)
        try:
            async with asyncio.timeout(DOWNLOAD_TIMEOUT_S):
                came = await self._chromium.downloaded(download)
            if came is not None:
                await asyncio.to_thread(shutil.copyfile, came, place)
                return f"the page gave the file {place.name!r} of {place.stat().st_size} bytes"
        except TimeoutError:
            with suppress(Error):
                await self._chromium.cancel_download(download, context)
        except OSError:
            pass  # no room, or the browser has gone with its files
        self.files.remove(place)
        return f"the download {name!r} failed"


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked child has the same to do when it ends
        shutil.rmtree(folder, ignore_errors=True)
