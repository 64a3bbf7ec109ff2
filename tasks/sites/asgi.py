"""The parts of ASGI that serving a site touches: types, the start and end of an application."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from webdojo.tasks.fields import takes

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LIFESPAN_S = 10.0
"""Real time in which an application must have started or stopped."""


def as_asgi(application: Any) -> tuple[Application, bool]:
    """An application as ASGI, and whether it was that from the start."""
    if _is_asgi(application):
        return application, True
    from a2wsgi import WSGIMiddleware

    wrapped: Any = WSGIMiddleware(application, workers=2)
    return wrapped, False


def _is_asgi(application: Any) -> bool:
    """Whether it is a coroutine function, bare or in a partial, or takes what ASGI gives.

    ASGI gives three things and WSGI two; what takes either is WSGI unless it is a coroutine.
    """
    bare = application
    while isinstance(bare, functools.partial):
        bare = bare.func
    call = bare if inspect.isroutine(bare) else type(bare).__call__
    return inspect.iscoroutinefunction(call) or (
        takes(application, 3) and not takes(application, 2)
    )


class Lifespan:
    """Starts and stops an ASGI application as servers do; one that knows no lifespan is let be."""

    def __init__(self, application: Application) -> None:
        self.state: dict[str, Any] = {}
        """What the application keeps for its requests."""
        self._application = application
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._outbox: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Let the application start; what it says has gone wrong, empty if nothing has."""
        self._task = asyncio.create_task(self._run())
        answer = await self._ask("lifespan.startup")
        return (
            str(answer.get("message") or "it gave no reason") if "failed" in answer["type"] else ""
        )

    async def stop(self) -> None:
        """Let it end, for as long as that may take."""
        if self._task is None:
            return
        if not self._task.done():
            await self._ask("lifespan.shutdown")
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _ask(self, what: str) -> Message:
        assert self._task is not None
        self._inbox.put_nowait({"type": what})
        answer = asyncio.create_task(self._outbox.get())
        await asyncio.wait(
            {answer, self._task}, timeout=LIFESPAN_S, return_when=asyncio.FIRST_COMPLETED
        )
        if answer.done():
            return answer.result()
        answer.cancel()
        late = {"type": f"{what}.failed", "message": f"no answer within {LIFESPAN_S:g} s"}
        return {"type": f"{what}.complete"} if self._task.done() else late

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }

        async def send(message: Message) -> None:
            self._outbox.put_nowait(message)

        # An application without a lifespan raises whatever it likes: the standard has it so.
        with contextlib.suppress(Exception):
            await self._application(scope, self._inbox.get, send)


async def respond(send: Send, status: int, body: bytes, content_type: str) -> None:
    """Answer a request in one piece."""
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read_body(receive: Receive, most: int) -> bytes | None:
    """The body of a request; None if it is longer than ``most`` bytes."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most:
            return None
    return body
