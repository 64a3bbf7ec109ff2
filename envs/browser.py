"""One Chromium for many isolated contexts, started again when it dies."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

from webdojo.tasks.errors import UserError
from webdojo.tasks.folders import sweep
from webdojo.tasks.network import Network, network
from webdojo.tasks.sites.server import browser_rule

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, CDPSession, Page, Playwright

    from webdojo.envs.devtools import Arrived, DevToolsPipe, Session

SYSTEM_BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")

OFF = (
    # Playwright needs these off, and only the last such flag counts.
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "PaintHolding",
    "RenderDocument",
    "ThirdPartyStoragePartitioning",
    # Frames of other origins stay in their page's process, under its clock and its origin guard.
    "IsolateOrigins",
    "site-per-process",
    "DefaultSiteInstanceGroups",
    "IsolateSandboxedIframes",
    "OriginIsolationHeader",
    "SiteIsolationForCrossOriginOpenerPolicy",
    # Timers of a page that has just been clicked must not wait for its next frame, in real time.
    "DeferRendererTasksAfterInput",
    # A worker must not outlive the pages of its episode.
    "SharedWorkerExtendedLifetime",
    # Services that speak to the outside.
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "Translate",
)
FLAGS = (
    # A screenshot otherwise waits for the next 60 Hz frame, twice.
    "--disable-frame-rate-limit",
    "--disable-gpu-vsync",
    "--disable-gpu",
    # Rendering must not depend on the machine.
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
    "--disable-lcd-text",
    "--hide-scrollbars",
    # Smooth scrolling takes real time.
    "--disable-smooth-scrolling",
    # Nor on what was drawn before, or on which thread is first.
    "--disable-partial-raster",
    "--disable-checker-imaging",
    "--disable-threaded-animation",
    # An animated image shows its first frame: which other one is drawn is a matter of real time.
    # Only the last such flag counts, so this one says as well what Playwright's says: that there is
    # a mouse, which hovers.
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,"
    "availablePointerTypes=4,imageAnimationPolicy=2",
    "--disable-new-content-rendering-timeout",
    "--num-raster-threads=1",
    # A browser that speaks to nobody but the page.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    # The gate knows nothing of UDP, and a blank popup's first document nothing of main_world.js.
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--no-first-run",
    "--disable-site-isolation-trials",
    "--disable-features=" + ",".join(OFF),
)
# Host names are found by the gate that an episode's connections pass, not by Chromium.
NO_NAMES = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
MEMORY_LOOK_S = 0.5
"""Real time between two looks at what the renderer processes hold."""


class BrowserDiedError(Exception):
    """The browser, its context or its page is gone; the episode must be run again."""


def find_chromium(*, window: bool = False) -> Path:
    """The Chromium to use, in order: WEBDOJO_CHROMIUM, Playwright's own, the system's.

    With ``window`` one that can show a window comes before any that cannot. Raises UserError if
    there is none.
    """
    named = os.environ.get("WEBDOJO_CHROMIUM")
    if named:
        if not Path(named).is_file():
            raise UserError(
                f"WEBDOJO_CHROMIUM={named}: no such file; set it to a Chromium or unset it"
            )
        return Path(named)
    found = [*_playwright_browsers(), *_system_browsers()]
    if window:
        found.sort(key=lambda path: "headless" in path.name)
    for path in found:
        return path
    raise UserError(
        "no Chromium found: run `playwright install chromium-headless-shell`, or install the"
        " package chromium-headless-shell or chromium of your distribution, or set WEBDOJO_CHROMIUM"
    )


def _playwright_browsers() -> list[Path]:
    home = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    cache = Path(home) if home and home != "0" else Path.home() / ".cache" / "ms-playwright"
    found = [
        *cache.glob("chromium_headless_shell-*/*/*headless*shell"),
        *cache.glob("chromium-*/*/chrome"),
    ]
    return sorted((p for p in found if p.is_file()), key=lambda p: p.parts[-3], reverse=True)


def _system_browsers() -> list[Path]:
    return [Path(path) for name in SYSTEM_BROWSERS if (path := shutil.which(name))]


@dataclass(frozen=True, slots=True)
class BrowserOptions:
    """How Chromium is started."""

    headless: bool = True
    network: Network = field(default_factory=network)
    """``loopback`` connects to no host but this machine; ``open`` to all that a task names."""
    renderer_processes: int | None = None
    """Bound on Chromium's renderer processes; None leaves the choice to Chromium."""
    renderer_memory_mib: int = 2048
    """Resident memory past which a renderer process is ended, and with it the pages in it."""


class Chromium:
    """A running Chromium.

    Use as ``async with Chromium() as chromium``. ``new_context`` starts the browser on first use
    and again if it died since.
    """

    def __init__(self, options: BrowserOptions | None = None) -> None:
        self.options = options or BrowserOptions()
        self.launches = 0
        """How many times a browser was started; more than one means that one died."""
        self._playwright: asyncio.Task[Playwright] | None = None
        self._browser: Browser | None = None
        self._pipe: DevToolsPipe | None = None
        self._lock = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None
        self._unwatched = asyncio.Event()
        self._ended_for_memory = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Start the browser, unless it runs."""
        await self._running()

    async def new_context(
        self, viewport: tuple[int, int], proxy: str | None = None
    ) -> BrowserContext:
        """A context with storage, cookies and cache of its own; raises BrowserDiedError.

        ``proxy`` is the address that all its connections go through.
        """
        from playwright.async_api import Error

        browser = await self._running()
        try:
            return await browser.new_context(
                viewport={"width": viewport[0], "height": viewport[1]},
                device_scale_factor=1,
                locale="en-US",
                timezone_id="UTC",
                color_scheme="light",
                reduced_motion="reduce",
                service_workers="block",
                accept_downloads=True,
                proxy={"server": proxy} if proxy else None,
                bypass_csp=False,
            )
        except Error as error:
            raise BrowserDiedError(f"no new context: {error.message}") from error

    async def attach(self, page: Page) -> Session:
        """A line to a page of this browser that does not lead through Playwright.

        Raises Playwright's Error if the page is gone.
        """
        asked = await page.context.new_cdp_session(page)
        target = (await asked.send("Target.getTargetInfo"))["targetInfo"]["targetId"]
        await asked.detach()
        return self._direct.page(target)

    def hold_pages(self, context: str, arrived: Arrived) -> None:
        """Hand over every new page of a context before it loads anything; it waits to be resumed.

        ``context`` is the context's protocol id.
        """
        self._direct.on_page[context] = arrived

    def release_pages(self, context: str) -> None:
        """Hold pages no more of a context that closes."""
        if self._pipe is not None:
            self._pipe.on_page.pop(context, None)

    async def close_page(self, session: Session) -> None:
        """Close a page, whatever it says; raises Playwright's Error if it is gone."""
        await self._direct.close_page(session.target)

    async def downloaded(self, download: str) -> Path | None:
        """The file of a download, by its protocol id, once it is there; None if it has failed."""
        return await self._direct.downloaded(download)

    async def cancel_download(self, download: str, context: str) -> None:
        """Give a download up that may never end; raises Playwright's Error."""
        await self._direct.cancel_download(download, context)

    async def close(self) -> None:
        """Stop the browser; closing twice is fine."""
        from playwright.async_api import Error

        self._unwatch()
        browser, self._browser = self._browser, None
        playwright, self._playwright = self._playwright, None
        try:
            if browser is not None:
                await browser.close()
        except Error:
            pass  # already dead: nothing left to close
        finally:
            self._release()
            if playwright is not None:
                await (await playwright).stop()

    def why_crashed(self) -> str:
        """What is known of a page's crash."""
        if self._ended_for_memory:
            limit = self.options.renderer_memory_mib
            return f"the page crashed: its process held more than {limit} MiB of memory"
        return "the page crashed"

    async def process_id(self) -> int:
        """Process id of the browser's main process; starts the browser if need be."""
        browser = await self._running()
        cdp = await browser.new_browser_cdp_session()
        (found,) = await _processes(cdp, "browser")
        await cdp.detach()
        return found

    async def _running(self) -> Browser:
        async with self._lock:
            if self._browser is None or not self._browser.is_connected():
                self._browser = await self._launch()
            return self._browser

    @property
    def _direct(self) -> DevToolsPipe:
        assert self._pipe is not None, "a page without a browser"
        return self._pipe

    def _release(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()

    async def _launch(self) -> Browser:
        from playwright.async_api import Error, async_playwright

        from webdojo.envs.devtools import DevToolsPipe

        if self._playwright is None:
            self._playwright = asyncio.create_task(async_playwright().start())
        # Whoever waits may be cut short; the driver's process is known all the same, and ended.
        playwright = await asyncio.shield(self._playwright)
        executable = find_chromium(window=not self.options.headless)
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        # Sites that tasks bring with them; their names are led there by an episode's gate as well.
        arguments = [*FLAGS, f"--host-resolver-rules={browser_rule()}, {NO_NAMES}"]
        if self.options.renderer_processes is not None:
            arguments.append(f"--renderer-process-limit={self.options.renderer_processes}")
        self._release()
        # What episodes of programs that were killed have left.
        await asyncio.to_thread(sweep, Path(tempfile.gettempdir()))
        self._pipe = DevToolsPipe(executable)
        try:
            browser = await playwright.chromium.launch(
                executable_path=self._pipe.executable,
                headless=self.options.headless,
                chromium_sandbox=not root,
                args=arguments,
                handle_sigint=False,
                handle_sigterm=False,
                handle_sighup=False,
            )
            await self._pipe.joined()
        except (Error, TimeoutError) as error:
            self._release()
            first = (str(error).strip() or "no answer in time").splitlines()[0]
            raise UserError(
                f"Chromium at {executable} does not start: {first}; try `webdojo doctor`"
            ) from error
        self.launches += 1
        self._unwatch()
        self._ended_for_memory = False
        self._watch = asyncio.create_task(self._watch_memory(browser, self._unwatched))
        return browser

    def _unwatch(self) -> None:
        # Not cancelled: a call of Playwright's that is under way is not made to be cut short.
        self._unwatched.set()
        self._unwatched = asyncio.Event()

    async def _watch_memory(self, browser: Browser, over: asyncio.Event) -> None:
        """End renderer processes that grow past the limit, before the machine suffers."""
        from playwright.async_api import Error

        limit = self.options.renderer_memory_mib << 20
        with suppress(Error):  # the browser is gone
            cdp = await browser.new_browser_cdp_session()
            while not over.is_set():
                for pid in await _processes(cdp, "renderer"):
                    with suppress(psutil.Error):  # ended by itself
                        process = psutil.Process(pid)
                        if process.memory_info().rss > limit:
                            self._ended_for_memory = True
                            process.kill()
                with suppress(TimeoutError):
                    async with asyncio.timeout(MEMORY_LOOK_S):
                        await over.wait()


async def _processes(cdp: CDPSession, kind: str) -> list[int]:
    found = (await cdp.send("SystemInfo.getProcessInfo"))["processInfo"]
    return [int(process["id"]) for process in found if process["type"] == kind]
