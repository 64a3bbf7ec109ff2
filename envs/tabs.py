"""The pages of one episode: one context, its tabs and what they may reach."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from webdojo.envs.browser import BrowserDiedError
from webdojo.envs.clipboard import Clipboard
from webdojo.envs.downloads import Downloads
from webdojo.envs.gate import Gate
from webdojo.envs.keyboard import Keyboard
from webdojo.envs.notices import Notices
from webdojo.envs.page import LOAD_MS, DrivenPage
from webdojo.envs.patience import heard
from webdojo.envs.snapshot import main_world_script
from webdojo.envs.storage import Storage
from webdojo.tasks.network import is_near
from webdojo.tasks.sites.server import DOMAIN, site_server

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

    from webdojo.envs.browser import Chromium
    from webdojo.envs.devtools import Session
    from webdojo.envs.origins import Origins

POPUP_TIMEOUT_S = 3.0
"""Real time in which an announced popup must have appeared."""
CLOSING_TIMEOUT_S = 1.0
"""Real time in which a tab that answers no more must be known to have closed."""
MAX_TABS = 8
SITE_PORT = 80


class Tabs:
    """The tabs of one isolated context; a popup becomes a tab and is shown at once."""

    context: BrowserContext

    def __init__(
        self,
        chromium: Chromium,
        origins: Origins,
        viewport: tuple[int, int],
        on_lost: Callable[[str], None],
    ) -> None:
        self.origins = origins
        self.pages: list[DrivenPage] = []
        """In the order in which they were opened."""
        self.active: DrivenPage
        self.refused = Notices("addresses")
        """What the pages asked for and did not get."""
        self.keyboard = Keyboard()
        self.clipboard = Clipboard()
        self.downloads = Downloads(chromium, self.say)
        self.channel = secrets.token_hex(16)
        """Name by which the two in-page scripts find each other; no page can guess it."""
        self._chromium = chromium
        self._viewport = viewport
        self._storage = Storage()
        self._gate: Gate | None = None
        self._on_lost = on_lost
        self._notices = Notices("notices")
        self._coming: dict[Session, _Coming] = {}
        """Pages that are no tabs yet, in the order in which they came."""
        self._past_ms = 0
        self._context_id = ""
        self.turned_away = 0
        """Tabs that pages wanted where there were as many as there may be."""
        self._too_many: list[Session] = []
        self._opening = False
        """Whether a tab is being opened that no page has asked for."""
        self._closed = False
        self._moved = False
        self._news = asyncio.Condition()

    @classmethod
    async def open(
        cls,
        chromium: Chromium,
        viewport: tuple[int, int],
        seed: int,
        origins: Origins,
        on_lost: Callable[[str], None],
    ) -> Self:
        """One blank tab whose documents draw chance from ``seed``; raises BrowserDiedError.

        ``viewport`` is its width and height in CSS pixels.
        """
        from playwright.async_api import Error

        tabs = cls(chromium, origins, viewport, on_lost)
        try:
            tabs._gate = await Gate.open(
                tabs._lets_out, tabs._refuse_connection, _place, origins.allows_address
            )
            tabs.context = await chromium.new_context(viewport, tabs._gate.address)
            await tabs.context.add_init_script(main_world_script(seed, tabs.channel))
            tabs.context.on("page", tabs._appear)
            tabs.active = await tabs.new()
        except BaseException as error:
            await tabs.close()
            if isinstance(error, Error):
                raise BrowserDiedError(f"no new page: {error.message}") from error
            raise
        return tabs

    async def new(self) -> DrivenPage:
        """Open a blank tab and show it."""
        self._opening = True
        try:
            page = await self.context.new_page()
            session = await self._chromium.attach(page)
        finally:
            self._opening = False
        if session not in self._coming:  # the first tab, which tells us the name of its context
            self._context_id = session.context
            self._chromium.hold_pages(session.context, self._hold)
            self._hold(session)
        return await self._adopt(self._coming.pop(session), page)

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
        if self._moved:
            self._moved = False
            # What Chromium has told us it has told Playwright, whose answer follows that news.
            await self.context.cookies([])
        if self._coming:
            with suppress(TimeoutError):
                async with asyncio.timeout(POPUP_TIMEOUT_S), self._news:
                    await self._news.wait_for(lambda: all(p.known for p in self._coming.values()))
            for session in list(self._coming):
                await self._take_popup(session)
        too_many, self._too_many = self._too_many, []
        for session in too_many:
            await self._turn_away(session)
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

    async def keep_anything(self) -> bool:
        """Whether the pages have stored what the next episode would find."""
        page = self.active
        stored, name = await asyncio.gather(
            self._storage.holds_anything(page.frame_id),
            page.worlds.evaluate(page.frame_id, "self.name"),  # which outlasts the document
        )
        return stored or bool(name)

    async def forget_fetched(self) -> None:
        """Forget what the pages have fetched over the network."""
        if self._gate is not None and self._gate.was_used:
            await self._storage.forget_fetched(self.active.frame_id)

    def alive(self) -> bool:
        """Whether the browser and at least one tab are still there."""
        browser = self.context.browser
        connected = browser is not None and browser.is_connected()
        return connected and any(not tab.page.is_closed() for tab in self.pages)

    async def close(self) -> None:
        """Close all tabs and forget their storage; closing a dead context is fine."""
        from playwright.async_api import Error

        self._closed = True
        self._chromium.release_pages(self._context_id)
        self.downloads.cancel()
        for page in self._coming.values():
            page.held.cancel()
        try:
            if hasattr(self, "context"):
                with suppress(Error):  # already gone
                    await self.context.close()
        finally:
            self.downloads.remove()
            if self._gate is not None:
                await self._gate.close()

    @property
    def elapsed_ms(self) -> int:
        """Page time granted to all tabs so far."""
        return self._past_ms + sum(tab.clock.elapsed_ms for tab in self.pages)

    def say(self, notice: str) -> None:
        """Keep something that the agent should hear with its next observation."""
        self._notices.add(notice)

    def heard(self) -> tuple[str, ...]:
        """What was said since the last call."""
        return self._notices.take()

    def take_refused(self) -> tuple[str, ...]:
        """What the pages asked for and did not get, since the last call."""
        return self.refused.take()

    def lose(self, reason: str) -> None:
        """Give the episode up."""
        if not self._closed:
            self._on_lost(reason)

    def crashed(self) -> None:
        """Give the episode up because a page is gone."""
        self.lose(self._chromium.why_crashed())

    def _lets_out(self, host: str, port: int) -> bool:
        near = is_near(host) or self._chromium.options.network == "open"
        return near and self.origins.allows_connection(host, port)

    def _refuse_connection(self, host: str, port: int) -> None:
        self.refused.add(f"{host}:{port}")

    def moved(self) -> None:
        """Something has happened that Playwright hears of later than we do."""
        self._moved = True

    @property
    def popups(self) -> bool:
        """Whether a page has opened another that is no tab yet."""
        return bool(self._coming or self._too_many)

    async def look_again(self) -> None:
        """Something is known of a page that is no tab yet."""
        async with self._news:
            self._news.notify_all()

    def _hold(self, session: Session) -> None:
        if not self._opening and len(self.pages) + len(self._coming) >= MAX_TABS:
            # Held only: closed while page time passes, it may leave its opener spinning.
            self._too_many.append(session)
            self.turned_away += 1
            return
        driven = DrivenPage(session, self)
        self._coming[session] = _Coming(
            driven, asyncio.create_task(self._take_over(session, driven))
        )

    async def _take_over(self, session: Session, driven: DrivenPage) -> None:
        if not self.pages:
            await asyncio.gather(self._storage.watch(session), driven.hold())
            return
        # Chromium lets it ask for its address though it is held, and the clock may run meanwhile.
        guarded = asyncio.create_task(driven.requests.open())
        guarded.add_done_callback(heard)
        # A popup may share its opener's process and clock: two must not set it at once.
        async with self.active.clock.standing():
            await asyncio.gather(self._storage.watch(session), driven.hold())

    async def _appear(self, page: Page) -> None:
        from playwright.async_api import Error

        with suppress(Error):  # closed by itself
            session = await self._chromium.attach(page)
            if session in self._coming:
                self._coming[session].page = page
                await self.look_again()

    async def _take_popup(self, session: Session) -> None:
        from playwright.async_api import Error

        coming, shown = self._coming.pop(session), self.active
        driven = coming.driven
        said = "it did not open"
        try:
            if coming.page is not None and not driven.requests.is_file:
                await self._adopt(coming, coming.page)
                await self._fit(session, coming.page)
                async with shown.clock.standing():
                    await driven.clock.run(LOAD_MS)
                url = await driven.evaluate("location.href")
                if not driven.requests.turned_away and not driven.requests.is_file:
                    if self.origins.allows(url) and len(self.pages) <= MAX_TABS:
                        self.say(f"the page opened a new tab: {url}")
                        return
                    said = "refused"
        except (BrowserDiedError, Error):
            pass
        if driven in self.pages:
            self.pages.remove(driven)
            self.active = shown
        # What was turned away was told by name, and a file is.
        if not driven.requests.turned_away and not driven.requests.is_file:
            self.say(f"the page wanted a new tab: {said}")
        coming.held.cancel()
        with suppress(Error):  # closed by itself
            await self._chromium.close_page(session)

    async def _turn_away(self, session: Session) -> None:
        from playwright.async_api import Error

        self.say("the page wanted a new tab: refused")
        with suppress(Error):  # closed by itself
            await self._chromium.close_page(session)

    async def _fit(self, session: Session, page: Page) -> None:
        """Give a popup the viewport of all tabs, whatever size its opener has chosen."""
        width, height = self._viewport
        await page.set_viewport_size({"width": width, "height": height})
        # A popup may resize itself as well, which a screenshot taken by ``session`` would heed.
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await session.send("Emulation.setDeviceMetricsOverride", size)

    async def _adopt(self, coming: _Coming, page: Page) -> DrivenPage:
        await coming.held
        coming.driven.meet(page)
        self.pages.append(coming.driven)
        self.active = coming.driven
        return coming.driven


@dataclass
class _Coming:
    """A page that is no tab yet."""

    driven: DrivenPage
    held: asyncio.Task[None]
    page: Page | None = None
    """The same as Playwright knows it, which tells of it last."""

    @property
    def known(self) -> bool:
        """Whether nothing more is to come: Playwright never tells of a page that shows nothing."""
        requests = self.driven.requests
        return self.page is not None or requests.is_file or bool(requests.turned_away)


def _place(host: str, port: int) -> tuple[str, int]:
    """Where a host really is: the names of tasks' sites are known to nobody else."""
    if not host.endswith(DOMAIN):
        return host, port
    return "127.0.0.1", site_server().port if port == SITE_PORT else port
