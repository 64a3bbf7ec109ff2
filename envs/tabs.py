"""The pages of one episode: one context, its tabs, and what they may reach."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Self

from webdojo.envs.browser import BrowserDiedError
from webdojo.envs.page import LOAD_MS, DrivenPage
from webdojo.envs.snapshot import snapshot_script

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

    from webdojo.envs.origins import Origins

POPUP_TIMEOUT_S = 3.0
"""Real time in which an announced popup must have appeared."""
CLOSING_TIMEOUT_S = 1.0
"""Real time in which a tab that answers no more must be known to have closed."""
MAX_TABS = 8


class Tabs:
    """The tabs of one isolated context; a popup becomes a tab and is shown at once."""

    def __init__(
        self, context: BrowserContext, origins: Origins, on_lost: Callable[[str], None]
    ) -> None:
        self.context = context
        self.origins = origins
        self.pages: list[DrivenPage] = []
        """In the order in which they were opened."""
        self.active: DrivenPage
        self.refused: list[str] = []
        """Addresses that the page asked for and did not get."""
        self._on_lost = on_lost
        self._notices: list[str] = []
        self._adopting: dict[Page, asyncio.Task[None]] = {}
        self._past_ms = 0
        self._announced = 0
        self._appeared = 0
        self._opening = False
        self._closed = False
        self._news = asyncio.Condition()

    @classmethod
    async def open(
        cls,
        context: BrowserContext,
        seed: int,
        origins: Origins,
        on_lost: Callable[[str], None],
    ) -> Self:
        """One blank tab whose documents draw chance from ``seed``; raises BrowserDiedError."""
        from playwright.async_api import Error

        tabs = cls(context, origins, on_lost)
        try:
            await context.add_init_script(snapshot_script(seed, origins.web))
            context.on("page", tabs._appear)
            tabs.active = await tabs.new()
        except Error as error:
            raise BrowserDiedError(f"no new page: {error.message}") from error
        return tabs

    async def new(self) -> DrivenPage:
        """Open a blank tab and show it."""
        self._opening = True
        try:
            page = await self.context.new_page()
        finally:
            self._opening = False
        return await self._adopt(page)

    async def show(self, index: int) -> None:
        """Show another tab."""
        self.active = self.pages[index]
        await self.active.page.bring_to_front()

    async def close_active(self) -> None:
        """Close the tab shown; the one opened before it is shown next."""
        closing = self.active
        place = self.pages.index(closing)
        self.pages.remove(closing)
        self._past_ms += closing.clock.elapsed_ms
        await self.show(max(0, place - 1))
        await closing.page.close()

    async def ready(self) -> None:
        """Wait for popups that the page has asked for, and drop tabs that closed themselves."""
        if self._appeared < self._announced or self._adopting:
            try:
                async with asyncio.timeout(POPUP_TIMEOUT_S):
                    async with self._news:
                        await self._news.wait_for(lambda: self._appeared >= self._announced)
            except TimeoutError:
                self._announced = self._appeared  # blocked, or opened in a tab that was there
            await asyncio.gather(*self._adopting.values())
            self._adopting.clear()
        open_pages = [page for page in self.pages if not page.page.is_closed()]
        if len(open_pages) != len(self.pages):
            if not open_pages:
                open_pages.append(await self.new())
            gone = [page for page in self.pages if page not in open_pages]
            self._past_ms += sum(page.clock.elapsed_ms for page in gone)
            self.pages = open_pages
            if self.active not in open_pages:
                self.active = open_pages[-1]

    @asynccontextmanager
    async def surviving(self) -> AsyncIterator[None]:
        """Let a tab close itself inside the block, as long as others are left."""
        from playwright.async_api import Error

        shown = self.active
        try:
            yield
        except Error as error:
            if "closed" not in error.message:
                raise
            with suppress(TimeoutError):  # told of a lost browser, no tab closes
                async with asyncio.timeout(CLOSING_TIMEOUT_S):
                    await shown.closed.wait()
            await self.ready()
            if not self.alive():
                raise

    def alive(self) -> bool:
        """Whether the browser and at least one tab are still there."""
        browser = self.context.browser
        connected = browser is not None and browser.is_connected()
        return connected and any(not tab.page.is_closed() for tab in self.pages)

    async def close(self) -> None:
        """Close all tabs and forget their storage; closing a dead context is fine."""
        from playwright.async_api import Error

        self._closed = True
        with suppress(Error):  # already gone
            await self.context.close()

    @property
    def elapsed_ms(self) -> int:
        """Page time granted to all tabs so far."""
        return self._past_ms + sum(tab.clock.elapsed_ms for tab in self.pages)

    def say(self, notice: str) -> None:
        """Keep something that the agent should hear with its next observation."""
        self._notices.append(notice)

    def heard(self) -> tuple[str, ...]:
        """What was said since the last call."""
        notices, self._notices = tuple(self._notices), []
        return notices

    def lose(self, reason: str) -> None:
        """Give the episode up."""
        if not self._closed:
            self._on_lost(reason)

    def expect_popup(self) -> None:
        """A page has asked for a new window: the next observation waits for it."""
        self._announced += 1

    async def _appear(self, page: Page) -> None:
        if self._opening:
            return
        async with self._news:
            self._appeared += 1
            self._adopting[page] = asyncio.create_task(self._adopt_popup(page))
            self._news.notify_all()

    async def _adopt_popup(self, page: Page) -> None:
        from playwright.async_api import Error

        if not self.pages:
            return  # the browser died while the first tab was opened, and this is that tab
        url, driven = page.url, None
        if len(self.pages) < MAX_TABS and self.origins.allows(url):
            shown = self.active
            try:
                # A popup may share its opener's process and clock: two must not set it at once.
                async with shown.clock.standing():
                    driven = await self._adopt(page)
                await driven.clock.run(LOAD_MS)
                url = await driven.evaluate("location.href")  # what it was at first may be blank
            except (BrowserDiedError, Error):
                return  # closed before it was looked at
            if self.origins.allows(url):
                self.say(f"the page opened a new tab: {url}")
                return
            self.pages.remove(driven)
            self.active = shown
        self.say(f"the page wanted a new tab with {url}: refused")
        with suppress(Error):  # closed by itself
            await page.close()

    async def _adopt(self, page: Page) -> DrivenPage:
        driven = await DrivenPage.adopt(page, self)
        self.pages.append(driven)
        self.active = driven
        return driven
