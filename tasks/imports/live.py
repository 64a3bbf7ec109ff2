"""Tasks on sites that are not ours: they may be away, or turn the agent away."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

from webdojo.tasks.evaluators.evaluated_task import EvaluatedTask
from webdojo.tasks.imports.blocking import AWAY, document_in, document_of
from webdojo.tasks.task import Check, Outcome

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page

GONE = frozenset({404, 410})
"""Statuses that say that there is no page at an address, or none any more."""
AGAIN_S = 8.0
"""Real time that a site has to answer when it is asked once more."""
LONGEST_ANSWER = 1 << 18
"""Bytes of its answer that are looked at."""
ONE_INSTANCE: Mapping[Check, str] = MappingProxyType(
    {
        "oracle": "a site of others, whose right actions nobody has written down",
        "goals": "every seed is the same task",
    }
)
"""Caveats of a task that is one row of a file."""


class LiveTask(EvaluatedTask):
    """A task whose episode ends as blocked when its site will not have the agent.

    What the agent can bring about by itself proves nothing: it may search for "access denied", or
    open a page that is forbidden or not there. So an episode is blocked in three cases only:

    * the page that it begins on is not there (any more);
    * the page that it begins on refuses, before the agent has done anything, and still does when
      its first action is judged;
    * the page shown refuses later, and the address that the episode began on, which did not refuse
      then, is asked for once more and refuses too.

    Refused is the main document of the page (see ``Document.refusal``), never a frame or another
    part of it.
    """

    async def open(self, page: Page, url: str) -> None:
        """Go to where the task begins."""
        from playwright.async_api import Error

        self._begins, self._gone, self._refused, self._plainly = url, "", "", ""
        self._asked_after = -1
        try:
            response = await page.goto(url)
        except Error:
            if page.is_closed():
                raise
            self._refused = AWAY
        else:
            if response is not None and response.status in GONE:
                self._gone = f"{url} answers {response.status}: the page to begin on is not there"
            with suppress(Error):  # the page has sent itself elsewhere meanwhile
                self._refused = (await document_of(page)).refusal
                if response is not None:
                    self._plainly = document_in(response.status, await response.text()).refusal
        self._begun_at = page.url

    async def evaluate(self, page: Page, answer: str | None) -> Outcome:
        """Judge as usual, unless the site will not have the agent."""
        reason = self._gone or await self._refusal(page)
        if reason:
            return Outcome(0.0, done=True, message=f"blocked: {reason}", blocked=True)
        return await super().evaluate(page, answer)

    async def _refusal(self, page: Page) -> str:
        nothing = page.url.startswith(("chrome-error:", "about:"))
        shown = AWAY if nothing else (await document_of(page)).refusal
        if self._refused:
            # Where a check lets the visitor pass after a moment, the page is another by now.
            if shown or page.url != self._begun_at:
                return self._refused
            self._refused = ""
        seen = len(self._recorder.requests)
        if not shown or seen == self._asked_after:
            return ""
        self._asked_after = seen
        asked = await self._ask_again(page)
        # What the answer had in it from the start, a captcha for later say, is no refusal.
        return "" if asked == self._plainly else asked

    async def _ask_again(self, page: Page) -> str:
        """How the address that the episode began on refuses now; empty if it does not.

        Asked by the browser, with the cookies of the episode, without leaving the page shown. An
        answer that is late proves nothing.
        """
        from playwright.async_api import Error

        cdp = await page.context.new_cdp_session(page)
        try:
            async with asyncio.timeout(AGAIN_S):
                status, html = await _fetch(cdp, self._begins)
        except (Error, TimeoutError):
            return ""
        finally:
            await cdp.detach()
        return document_in(status, html).refusal if status else AWAY


async def _fetch(cdp: CDPSession, url: str) -> tuple[int, str]:
    """Status and text of an answer; 0 if there was none, no text with an error's status."""
    tree = await cdp.send("Page.getFrameTree")
    answer = await cdp.send(
        "Network.loadNetworkResource",
        {
            "frameId": tree["frameTree"]["frame"]["id"],
            "url": url,
            "options": {"disableCache": True, "includeCredentials": True},
        },
    )
    found = answer["resource"]
    text = ""
    if "stream" in found:
        part = await cdp.send("IO.read", {"handle": found["stream"], "size": LONGEST_ANSWER})
        data = part["data"]
        text = b64decode(data).decode(errors="replace") if part.get("base64Encoded") else data
        await cdp.send("IO.close", {"handle": found["stream"]})
    return int(found.get("httpStatusCode", 0)), text
