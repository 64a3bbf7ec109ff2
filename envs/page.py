"""A page as the environment drives it: history, elements and time, straight over the protocol."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from webdojo.envs.browser import BrowserDiedError
from webdojo.envs.clipboard import CLIPBOARD_SCRIPT
from webdojo.envs.clock import FRAME_MS, PageClock
from webdojo.envs.file_choosers import FileChoosers
from webdojo.envs.input import HOME, Input
from webdojo.envs.looking import Looking
from webdojo.envs.patience import Patience, heard
from webdojo.envs.requests import Requests
from webdojo.envs.snapshot import MAIN_WORLD_API, episode_script, snapshot_script
from webdojo.envs.worlds import FRAME_PATIENCE_S, PageScriptError, Worlds
from webdojo.tasks.characters import whole

if TYPE_CHECKING:
    from playwright.async_api import Dialog, Page, Response

    from webdojo.envs.devtools import Session
    from webdojo.envs.tabs import Tabs

GATE_FAILED = "ERR_SOCKS_CONNECTION_FAILED"
"""What Chromium says where the gate could not connect."""
PLAYWRIGHT_KNOWS = (
    "Page.frameDetached",
    "Page.frameNavigated",
    "Page.navigatedWithinDocument",
    "Page.windowOpen",
)
"""Events after which Playwright must have caught up before it is asked."""
LOAD_MS = 1000
"""Page time granted after a navigation, so that what the page starts at load has happened."""
NEXT_FRAME = "new Promise((drawn) => { requestAnimationFrame(drawn); setTimeout(drawn, 50) })"
"""Kept when the page is drawn, or is not for 50 ms of page time."""
SENT_TURNS = 3
"""Turns of the event loop in which all that guards a page has been sent: one for each task within a
task."""
SAFETY_NET_S = 1.5
"""Task code that waits on a standing page gets its time moving after this."""


class DrivenPage:
    """One page in one context, with its clock held by us.

    Made by ``Tabs``, which is found again as ``tabs``. It is held before Playwright knows it, which
    then brings ``page``.
    """

    page: Page

    def __init__(self, cdp: Session, tabs: Tabs) -> None:
        self.tabs = tabs
        self.frame_id = cdp.target
        """Protocol id of the main frame."""
        self.requests = Requests(cdp, tabs)
        self.clock = PageClock(
            cdp, self._now_ms, lambda: bool(self.requests.fetched), self._hold, self._behind
        )
        self.worlds = Worlds(cdp, snapshot_script(tabs.channel) + CLIPBOARD_SCRIPT)
        self.patience = Patience(cdp, self.clock)
        self.input = Input(cdp, tabs.keyboard, self.patience)
        self.looking = Looking(self, cdp)
        self.choosers = FileChoosers(cdp, tabs.say)
        self._cdp = cdp
        self.title = ""
        """Title when the page was last looked at."""
        self.restless = False
        """Whether it was still changing when a look had waited for it as long as one waits."""
        self.closed = asyncio.Event()
        self._forgetting: asyncio.Task[dict[str, Any]] | None = None
        self._told: str | None = None

    async def hold(self) -> None:
        """Guard the page, stop its clock and let it begin; raises BrowserDiedError."""
        from playwright.async_api import Error

        self._listen()
        guards = asyncio.gather(
            self.clock.start(),
            self._cdp.send("Page.enable"),
            self._cdp.send("Performance.enable"),
            self.worlds.open(),
            self.requests.open(),
            self.choosers.open(),
            self.tabs.clipboard.watch(self._cdp),
        )
        try:
            # Chromium must have been told all of it before the page begins, and answers nothing of
            # it before the page has a process.
            for _ in range(SENT_TURNS):
                await asyncio.sleep(0)
            await asyncio.gather(guards, self._cdp.resume())
        except Error as error:
            raise BrowserDiedError(f"no new page: {error.message}") from error

    def meet(self, page: Page) -> None:
        """Take the same page as Playwright knows it."""
        self.page, self._goto = page, page.goto
        page.on("close", lambda _: self.closed.set())
        page.on("dialog", self._answer)
        # A task navigates with the page it is handed. Playwright's own goto would wait for a load
        # event that a standing clock never brings, and for a span of time that no seed fixes.
        setattr(page, "goto", self.task_goto)  # noqa: B010

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the viewport in CSS pixels."""
        size = self.page.viewport_size
        return (size["width"], size["height"]) if size else (1280, 720)

    async def goto(self, url: str, **options: Any) -> Response | None:
        """Navigate, then let the page load for a fixed span of its own time."""
        from playwright.async_api import Error

        options["wait_until"] = "commit"
        try:
            response = await self._goto(url, **options)
        except Error as error:
            if GATE_FAILED not in error.message:
                raise
            # The way leads through the gate, which people need not know of.
            raise Error(error.message.replace(GATE_FAILED, "ERR_CONNECTION_REFUSED")) from error
        await self.clock.run(LOAD_MS)
        return response

    async def go(self, pages: int) -> bool:
        """Go so many pages on in the history, back if negative; False where there is none."""
        history = await self._cdp.send("Page.getNavigationHistory")
        if not 0 <= history["currentIndex"] + pages < len(history["entries"]):
            return False
        await self.worlds.evaluate(self.frame_id, f"history.go({pages})")
        return True

    async def stop_loading(self) -> None:
        """Give up a navigation that is under way."""
        await self._cdp.send("Page.stopLoading")

    async def task_goto(self, url: str, **options: Any) -> Response | None:
        """Navigate as the task's own code does: what the task opens, the page may reach."""
        self.tabs.origins.add_page(url)
        return await self.goto(url, **options)

    async def leave(self, url: str) -> None:
        """Leave the document, and all that it keeps, for a new one of the same address.

        It is left for an empty one if it is not at ``url`` any more.
        """
        await self.let_go()
        if self.page.url == url and "#" not in url:
            await self.goto(url)
        else:
            await self._goto("about:blank", wait_until="commit")

    def forget_left(self) -> None:
        """Give back the memory of documents that were left, while whoever acts here thinks."""
        # Chromium lets a dozen of them add up, which doubles what the page takes.
        self._forgetting = asyncio.create_task(self._cdp.send("HeapProfiler.collectGarbage"))
        self._forgetting.add_done_callback(heard)

    async def let_go(self) -> None:
        """Let go of keys and mouse buttons, and put the mouse where it is at the beginning."""
        await self.tabs.keyboard.let_go()
        await self.input.let_go()
        if self.input.at != HOME:
            await self.input.move(*HOME)
            # A page that changes under a mouse just moved is drawn a frame late, in real time.
            await self.clock.run(FRAME_MS)

    async def forget_state(self) -> None:
        """Forget what the page has put into its history, which is there when it is loaded anew."""
        await self.worlds.evaluate(
            self.frame_id,
            "history.scrollRestoration = 'auto';"
            " history.state === null || history.replaceState(null, '')",
        )

    async def forget_way(self) -> None:
        """Let nothing lead back to before the document that is shown."""
        from playwright.async_api import Error

        try:
            await self._cdp.send("Page.resetNavigationHistory")
        except Error as error:
            if "Not attached to an active page" not in error.message:  # it shows what went wrong
                raise

    async def restart(self, seed: int) -> None:
        """Begin another episode on this page: chance, ids and date start anew."""
        await self.let_go()
        begun_ms, *_ = await asyncio.gather(
            self.evaluate(f"{MAIN_WORLD_API}.restart({seed})"),
            self.worlds.restart(),
            self.tabs.clipboard.forget(self.worlds),
        )
        self.input.at = None
        source = episode_script(seed, begun_ms)
        told, self._told = self._told, None
        answer = await self._cdp.send("Page.addScriptToEvaluateOnNewDocument", {"source": source})
        if told is not None:
            await self._cdp.send("Page.removeScriptToEvaluateOnNewDocument", {"identifier": told})
        self._told = answer["identifier"]

    async def evaluate(self, expression: str) -> Any:
        """The JSON value of an expression in the page's main world."""
        answer = await self._cdp.send(
            "Runtime.evaluate", {"expression": expression, "returnByValue": True}
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise PageScriptError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    async def ask(self, method: str, bid: str, *arguments: Any) -> dict[str, Any]:
        """Call the in-page script about an element, in the frame where it is."""
        frame = self.worlds.frame_of(bid) or self.frame_id
        answer: dict[str, Any] = await self.worlds.call(frame, method, bid, *arguments)
        return answer

    async def ask_again(self, method: str, bid: str, *arguments: Any) -> dict[str, Any]:
        """The same once something was done; empty if that has taken the element's frame away."""
        if self.worlds.frame_of(bid) is None:
            return await self.ask(method, bid, *arguments)
        try:
            async with asyncio.timeout(FRAME_PATIENCE_S):
                return await self.ask(method, bid, *arguments)
        except (PageScriptError, TimeoutError):
            return {}

    async def point(
        self, bid: str, *, hovers: bool = False, scrolls: bool = True
    ) -> dict[str, Any]:
        """Where a click would reach an element: ``x`` and ``y``, or ``error`` in plain words.

        One that ``hovers`` may do so over what is disabled; without ``scrolls`` it must be in view.
        """
        tries = ([False, True], [True]) if scrolls else ([False],)
        frame = self.worlds.frame_of(bid)
        if frame is None:
            return await self.ask("clickPoint", bid, tries[0], hovers)
        way = str(await self.worlds.evaluate(frame, "webdojo.way()"))
        holders = [self.frame_id]
        for depth in range(1, way.count("/") + 1):
            holders.append(await self._frame_at(way, depth))
        around = list(zip(holders, map(int, way.split("/")), strict=True))
        for holder, place in around if scrolls else ():
            await self.worlds.call(holder, "reveal", place)
        found: dict[str, Any] = {}
        for tried in tries:
            found = await self.ask("clickPoint", bid, tried, hovers)
            for holder, place in reversed(around):
                if "error" not in found:
                    found = await self.worlds.call(holder, "outward", place, found["x"], found["y"])
            if "error" not in found:
                break
        return found

    async def _frame_at(self, way: str, depth: int) -> str:
        wanted = "/".join(way.split("/")[:depth])
        for frame in self.worlds.others(self.frame_id):
            if await self.worlds.evaluate(frame, "webdojo.way()") == wanted:
                return frame
        raise PageScriptError(f"no frame at {wanted}")

    async def html(self) -> str:
        """The document as it stands; empty where there is none."""
        expression = "document.documentElement?.outerHTML ?? ''"
        return whole(str(await self.worlds.evaluate(self.frame_id, expression)))

    async def _now_ms(self) -> float:
        return float(await self.worlds.evaluate(self.frame_id, "Date.now()"))

    async def _hold(self, lets_ms: int | None) -> None:
        await asyncio.gather(
            *(self._tell(frame, "hold", lets_ms) for frame in self.worlds.frames())
        )

    async def _behind(self) -> bool:
        frames = self.worlds.frames()
        late = await asyncio.gather(*(self._tell(frame, "behind") for frame in frames))
        if any(late):  # the others wait where they are
            others = [frame for frame, is_late in zip(frames, late, strict=True) if not is_late]
            await asyncio.gather(*(self._tell(frame, "hold", None) for frame in others))
        return any(late)

    async def _tell(self, frame: str, method: str, *arguments: Any) -> Any:
        with suppress(PageScriptError, TimeoutError):  # it goes away
            async with asyncio.timeout(FRAME_PATIENCE_S):
                return await self.worlds.call(frame, method, *arguments)

    @property
    def url(self) -> str:
        """The address of the document."""
        return self.page.url

    async def turn_wheel(self, x: float, y: float, delta_x: float, delta_y: float) -> None:
        """Turn the mouse wheel over a point, by pixels right and down."""
        await self.input.wheel(x, y, delta_x, delta_y)
        # Chromium turns pages without asking them, and tells them when they are next drawn.
        await self.patience.wait(self.worlds.evaluate(self.frame_id, NEXT_FRAME))

    async def set_files(self, bid: str, paths: list[str]) -> None:
        """Put files into a file input."""
        frame = self.worlds.frame_of(bid) or self.frame_id
        found = await self.worlds.send(frame, f"webdojo.fieldOf({json.dumps(bid)})", by_value=False)
        await self._cdp.send(
            "DOM.setFileInputFiles", {"files": paths, "objectId": found["objectId"]}
        )

    def _listen(self) -> None:
        for event in PLAYWRIGHT_KNOWS:
            self._cdp.on(event, lambda _: self.tabs.moved())
        self._cdp.on("Inspector.targetCrashed", lambda _: self.tabs.crashed())

    async def _answer(self, dialog: Dialog) -> None:
        from playwright.async_api import Error

        kind, text = dialog.type, dialog.message
        if kind != "beforeunload":
            done = "closed" if kind == "alert" else "accepted"
            self.tabs.say(f"the page showed {_article(kind)} {kind} {text!r}: {done}")
        with suppress(Error):  # the page went away with its dialog
            await dialog.accept(dialog.default_value if kind == "prompt" else "")


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"
