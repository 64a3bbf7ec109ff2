"""Bodies of requests with a file or a Blob in them, which the browser tells only when asked."""

from __future__ import annotations

import asyncio
import base64
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page

    from webdojo.tasks.evaluators.recording import SentRequest

LONGEST_BODY = 1 << 20
"""Bytes of a request's body beyond which it is not kept."""
BODY_S = 1.0
"""Real time for which a request waits for its body."""
BODILESS = frozenset({"GET", "HEAD"})

_Key = tuple[str, str, str]
"""Method, address and content type; of a form with files the last is no other's."""


class Bodies:
    """Asks for the bodies of what a context's pages send from now on.

    Chromium's id of a request is not to be had from Playwright, so the two are paired by their
    order among those that look the same. Where one side has more of these than the other (a
    request of a worker, of a frame in a process of its own, or of a tab that had just opened), none
    of them is known.
    """

    def __init__(self) -> None:
        self._sent: defaultdict[_Key, list[SentRequest]] = defaultdict(list)
        self._asked: defaultdict[_Key, list[asyncio.Task[bytes | None]]] = defaultdict(list)
        self._waited_for: dict[_Key, int] = {}
        """How many of them were sent when their bodies had been waited for."""
        self._by_id: dict[str, asyncio.Task[bytes | None]] = {}
        self._busy: set[asyncio.Task[None]] = set()

    async def listen(self, page: Page) -> None:
        """Begin with ``page``, and every page that its context opens later."""
        page.context.on("page", self._opened)
        await self._listen(page)

    def expect(self, sent: SentRequest) -> None:
        """A request was sent of which Playwright knows no body."""
        self._sent[_key(sent.method, sent.url, sent.headers)].append(sent)

    @property
    def settled(self) -> bool:
        """Whether all that were asked for have come, or have been waited for already."""
        asked = self._asked
        return all(
            self._waited_for.get(key) == len(sent)
            or (len(asked[key]) >= len(sent) and all(task.done() for task in asked[key]))
            for key, sent in self._sent.items()
        )

    def tell(self) -> None:
        """Give the requests the bodies that are known by now; what is missing is given up."""
        for key, requests in self._sent.items():
            self._waited_for[key] = len(requests)
            asked = self._asked[key]
            paired = len(asked) == len(requests)
            for place, sent in enumerate(requests):
                body = asked[place].result() if paired and asked[place].done() else None
                sent.body, sent.body_known = body or None, body is not None

    def _opened(self, page: Page) -> None:
        opening = asyncio.create_task(self._listen(page))
        self._busy.add(opening)
        opening.add_done_callback(self._busy.discard)

    async def _listen(self, page: Page) -> None:
        from playwright.async_api import Error

        try:
            session = await page.context.new_cdp_session(page)
            session.on("Network.requestWillBeSent", lambda event: self._heard(session, event))
            session.on("Fetch.requestPaused", lambda event: self._stopped(session, event))
            await session.send("Network.enable")
            patterns = [{"urlPattern": "*", "resourceType": kind} for kind in ("Fetch", "XHR")]
            await session.send("Fetch.enable", {"patterns": patterns})
        except Error:  # the page has gone
            pass

    def _heard(self, session: CDPSession, event: dict[str, Any]) -> None:
        request = event["request"]
        if request["method"] in BODILESS or request.get("postDataEntries"):
            return
        headers = {name.lower(): value for name, value in request["headers"].items()}
        has_body = request.get("hasPostData", False)
        asking = asyncio.create_task(_ask(session, event["requestId"] if has_body else ""))
        self._by_id[event["requestId"]] = asking
        self._asked[_key(request["method"], request["url"], headers)].append(asking)

    def _stopped(self, session: CDPSession, event: dict[str, Any]) -> None:
        going_on = asyncio.create_task(self._let_go(session, event))
        self._busy.add(going_on)
        going_on.add_done_callback(self._busy.discard)

    async def _let_go(self, session: CDPSession, event: dict[str, Any]) -> None:
        """Send a script's request on its way once its body has come: its page may go on then."""
        from playwright.async_api import Error

        asking = self._by_id.pop(event.get("networkId", ""), None)
        if asking is not None:
            await asyncio.wait((asking,), timeout=BODY_S)
        with suppress(Error):  # the page has gone
            await session.send("Fetch.continueRequest", {"requestId": event["requestId"]})


async def _ask(session: CDPSession, request_id: str) -> bytes | None:
    """A request's body, of none if there is no id; None if it cannot be had."""
    from playwright.async_api import Error

    if not request_id:
        return b""
    try:
        answer = await session.send("Network.getRequestPostData", {"requestId": request_id})
    except Error:  # the page went on before
        return None
    text: str = answer["postData"]
    body = base64.b64decode(text) if answer.get("base64Encoded") else text.encode()
    return body if 0 < len(body) <= LONGEST_BODY else None


def _key(method: str, url: str, headers: dict[str, str]) -> _Key:
    return method, url.partition("#")[0], headers.get("content-type", "")
