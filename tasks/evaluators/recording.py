"""What an episode leaves behind: the requests that its pages made, and what they looked like."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from webdojo.tasks.evaluators.bodies import BODILESS, LONGEST_BODY, Bodies
from webdojo.tasks.sites.forms import Form, read_form

if TYPE_CHECKING:
    from playwright.async_api import Page, Request, Response

    from webdojo.tasks.task import ShownTab

MOST_REQUESTS = 10_000
MORE_REQUESTS = f"more than {MOST_REQUESTS:,} requests were made: not all are known"
UNKNOWN_BODY = "its body is not known"
MOST_SCREENSHOTS = 100
JPEG_QUALITY = 80
ANSWER_S = 1.0
"""Real time that an answer under way is waited for."""

KEPT = frozenset({"document", "fetch", "xhr"})
"""Kinds of requests whose answers are kept."""


@dataclass(slots=True, eq=False)
class SentRequest:
    """A request that a page of the episode made."""

    method: str
    url: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    navigates: bool = False
    """Whether it asked for a page rather than for a part of one or for a frame."""
    status: int | None = None
    """What was answered; None if nothing was yet."""
    failed: bool = False
    """No answer began: it was refused, cut short, or never reached a server."""
    answer: bytes | None = None
    """What came back, where answers are kept."""
    cookies: dict[str, str] = field(default_factory=dict)
    """Cookies that came with it, decoded, where answers are kept; ``headers`` has those sent."""
    body_known: bool = True
    """False where ``body`` is None though there may have been one."""

    def json(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return json.loads(self.body or b"")
        except (ValueError, RecursionError):
            return None

    def form(self) -> Form | None:
        """The fields of a form in the body; several values of one name are a list.

        A file's field holds its name where the browser does not tell what is in the file.
        """
        kind = self.headers.get("content-type", "")
        return read_form(self.body or b"", kind, name_empty_files=True)


@dataclass(frozen=True, slots=True)
class Screenshot:
    """The viewport as an image."""

    content: bytes
    """JPEG."""
    url: str

    @property
    def key(self) -> str:
        """SHA-256 of the content."""
        return sha256(self.content).hexdigest()


class Recorder:
    """Listens to all pages of one context, from ``attach`` on."""

    def __init__(self) -> None:
        self.keeps_answers = False
        """Whether texts that come back are kept, and their cookies."""
        self._reading: set[asyncio.Task[None]] = set()
        self._bodies: Bodies | None = None
        self.requests: list[SentRequest] = []
        self.full = False
        """Whether there were more requests than are kept: none can be said to be missing."""
        self.screenshots: list[Screenshot] = []
        """One for each look that differed from the last, oldest first; the newest are kept."""
        self._known: dict[Request, SentRequest] = {}

    def attach(self, page: Page) -> None:
        """Record what ``page`` and every other page of its context ask for."""
        page.context.on("request", self._sent)
        page.context.on("response", self._answered)
        page.context.on("requestfailed", self._failed)

    async def read_bodies(self, page: Page) -> None:
        """From now on know the bodies that hold a file or a Blob too, as far as they can be had."""
        if self._bodies is None:
            self._bodies = Bodies()
            await self._bodies.listen(page)

    async def caught_up(self, page: Page) -> None:
        """Wait until everything asked for so far is known, and answered if that is soon."""
        await page.evaluate("0")  # what happened before it has been heard of after it
        for _ in range(int(ANSWER_S / 0.01)):
            answered = all(s.failed or s.status is not None for s in self._known.values())
            told = self._bodies is None or self._bodies.settled
            if answered and told and not self._reading:
                break
            await asyncio.sleep(0.01)
        if self._bodies is not None:
            self._bodies.tell()

    async def shoot(self, tab: ShownTab) -> None:
        """Keep what ``tab`` looks like now, if it looks otherwise than before."""
        taken = Screenshot(await tab.screenshot("jpeg", JPEG_QUALITY), tab.url)
        if not self.screenshots or self.screenshots[-1].content != taken.content:
            self.screenshots = [*self.screenshots, taken][-MOST_SCREENSHOTS:]

    def _sent(self, request: Request) -> None:
        if request.url.startswith(("data:", "blob:")):
            return
        body = request.post_data_buffer
        untold = body is None and request.method not in BODILESS
        kept = body if body is None or len(body) <= LONGEST_BODY else None
        sent = SentRequest(
            method=request.method,
            url=request.url,
            body=kept,
            body_known=kept == body and not untold,
            headers={name.lower(): value for name, value in request.headers.items()},
            navigates=_asks_for_page(request),
        )
        if len(self.requests) < MOST_REQUESTS:
            self.requests.append(sent)
            self._known[request] = sent
            if untold and self._bodies is not None:
                self._bodies.expect(sent)
        else:
            self.full = True

    def _answered(self, response: Response) -> None:
        sent = self._known.get(response.request)
        if sent is None:
            return
        sent.status = response.status
        if self.keeps_answers and response.request.resource_type in KEPT:
            reading = asyncio.create_task(_read(response, sent))
            self._reading.add(reading)
            reading.add_done_callback(self._reading.discard)

    def _failed(self, request: Request) -> None:
        sent = self._known.get(request)
        # A download, an answer without content and one that a page leaves unread end as failed too.
        if sent is not None and sent.status is None:
            sent.failed = True


def _asks_for_page(request: Request) -> bool:
    from playwright.async_api import Error

    try:
        return request.is_navigation_request() and request.frame.parent_frame is None
    except Error:  # the frame is not there yet: that of a new tab
        return True


async def _read(response: Response, sent: SentRequest) -> None:
    from playwright.async_api import Error

    with suppress(Error):
        sent.headers |= await response.request.all_headers()
    with suppress(Error):  # a redirection has no text, and a page that was left keeps none
        set_cookies = (await response.all_headers()).get("set-cookie", "")
        pairs = (line.partition(";")[0].partition("=") for line in set_cookies.split("\n"))
        sent.cookies = {name.strip(): unquote(value) for name, _, value in pairs}
        body = await response.body()
        sent.answer = body if len(body) <= LONGEST_BODY else None
