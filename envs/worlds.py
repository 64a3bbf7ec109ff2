"""The in-page script's own world in each frame of a page, out of reach of the page's scripts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webdojo.envs.devtools import Session

WORLD = "webdojo"
GRACE_S = 0.25
"""Real time in which a new document's world is there; where scripts are forbidden it never comes by
itself, and is made."""
FRAME_PATIENCE_S = 2.0
"""Real time in which a frame within the page must have answered."""
GONE = ("Cannot find context", "context was destroyed", "uniqueContextId not found", "navigated or")


class PageScriptError(Exception):
    """A script of ours raised in the page."""


class Worlds:
    """Contexts in which the in-page script runs, by frame.

    Frames of every origin are in the page's own process, so that one session reaches them all.
    """

    def __init__(self, cdp: Session, script: str) -> None:
        self._cdp = cdp
        self._script = script
        self._contexts: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._news = asyncio.Event()
        cdp.on("Runtime.executionContextCreated", self._created)
        cdp.on("Runtime.executionContextDestroyed", self._destroyed)
        cdp.on("Runtime.executionContextsCleared", lambda _: self._contexts.clear())
        cdp.on("Page.frameDetached", self._detached)

    async def open(self) -> None:
        """Put the script into every document, those that are there included."""
        await asyncio.gather(
            self._cdp.send("Runtime.enable"),
            self._cdp.send(
                "Page.addScriptToEvaluateOnNewDocument",
                {"source": self._script, "worldName": WORLD, "runImmediately": True},
            ),
        )

    def frames(self) -> list[str]:
        """Ids of all frames that have a document, in the order in which they came."""
        return list(self._contexts)

    def others(self, main: str) -> list[str]:
        """The same without the main one."""
        return [frame for frame in self._contexts if frame != main]

    async def name(self, frames: Sequence[str]) -> None:
        """Name frames that have none, those that are new together by where they are."""
        unnamed = [frame for frame in frames if frame not in self._names]
        if len(unnamed) > 1:  # they came in any order
            ways = await asyncio.gather(*map(self._way, unnamed))
            for _, frame in sorted(zip(ways, unnamed, strict=True)):
                self.prefix(frame)

    async def _way(self, frame: str) -> list[int]:
        try:
            async with asyncio.timeout(FRAME_PATIENCE_S):
                way = str(await self.evaluate(frame, "webdojo.way()"))
        except (PageScriptError, TimeoutError):
            return []  # a frame that goes away
        return [int(place) for place in way.split("/") if place]

    def prefix(self, frame: str) -> str:
        """What the ids of a frame's elements begin with: ``a`` for the first frame named."""
        if frame not in self._names:
            number, name = len(self._names) + 1, ""
            while number:
                number, letter = divmod(number - 1, len(ascii_lowercase))
                name = ascii_lowercase[letter] + name
            self._names[frame] = name
        return self._names[frame]

    def frame_of(self, bid: str) -> str | None:
        """The frame whose elements have ids like this one; None for the page itself."""
        prefix = bid.rstrip("0123456789")
        return next((frame for frame, name in self._names.items() if name == prefix), None)

    async def restart(self) -> None:
        """Begin another episode: elements and frames are named from the first name on again."""
        self._names.clear()
        await self.ask_all("webdojo.restart()")

    async def ask_all(self, expression: str) -> list[Any]:
        """What the expression gives in each frame, in the script's world; None if it goes away."""
        return await asyncio.gather(*(self._ask(frame, expression) for frame in self.frames()))

    async def _ask(self, frame: str, expression: str) -> Any:
        with suppress(PageScriptError, TimeoutError):
            async with asyncio.timeout(FRAME_PATIENCE_S):
                return await self.evaluate(frame, expression)

    async def call(self, frame: str, method: str, *arguments: Any) -> Any:
        """Call the in-page script; raises PageScriptError if it raises."""
        return await self.evaluate(
            frame, f"webdojo.{method}({', '.join(map(json.dumps, arguments))})"
        )

    async def evaluate(self, frame: str, expression: str) -> Any:
        """The JSON value of an expression in the script's world; raises PageScriptError.

        That of a promise comes when it is kept.
        """
        return (await self.send(frame, expression, by_value=True)).get("value")

    async def send(self, frame: str, expression: str, *, by_value: bool) -> Mapping[str, Any]:
        """Evaluate in the document that the frame shows, as soon as there is one.

        Gives a ``Runtime.RemoteObject``.
        """
        from playwright.async_api import Error

        while True:
            context = await self._context(frame)
            parameters = {
                "uniqueContextId": context,
                "returnByValue": by_value,
                "awaitPromise": by_value,
            }
            try:
                answer = await self._cdp.send(
                    "Runtime.evaluate", {"expression": expression, **parameters}
                )
            except Error as error:
                if not any(words in error.message for words in GONE):
                    raise
                if self._contexts.get(frame) == context:
                    del self._contexts[frame]
                continue
            if "exceptionDetails" in answer:
                details = answer["exceptionDetails"]
                told = details.get("exception", {}).get("description", details["text"])
                raise PageScriptError(told)
            found: Mapping[str, Any] = answer["result"]
            return found

    async def _context(self, frame: str) -> str:
        while frame not in self._contexts:
            self._news.clear()
            try:
                async with asyncio.timeout(GRACE_S):
                    await self._news.wait()
            except TimeoutError:
                await self._make(frame)
        return self._contexts[frame]

    async def _make(self, frame: str) -> None:
        from playwright.async_api import Error

        with suppress(Error):  # between two documents
            made = await self._cdp.send(
                "Page.createIsolatedWorld", {"frameId": frame, "worldName": WORLD}
            )
            await self._cdp.send(
                "Runtime.evaluate",
                {"expression": self._script, "contextId": made["executionContextId"]},
            )

    def _created(self, event: dict[str, Any]) -> None:
        context = event["context"]
        if context["name"] == WORLD:
            self._contexts[context["auxData"]["frameId"]] = context["uniqueId"]
            self._news.set()

    def _detached(self, event: dict[str, Any]) -> None:
        self._contexts.pop(event["frameId"], None)

    def _destroyed(self, event: dict[str, Any]) -> None:
        gone = event["executionContextUniqueId"]
        for frame, context in list(self._contexts.items()):
            if context == gone:
                del self._contexts[frame]
