"""The one web server of this process: it hands each request to its episode's application.

Pages reach a site under a name of its own, ``http://my-shop.localhost``, the same in every process
and every run, so that observations repeat. The browser is started with ``browser_rule()``, which
leads all such names to the port that the operating system gave to this process. Which episode a
request belongs to is told by a cookie that page scripts cannot see; the application never gets it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import socket
import threading
import traceback
from dataclasses import dataclass, field
from typing import Any

from webdojo.tasks.sites.asgi import Application, Receive, Scope, Send, respond

_log = logging.getLogger(__name__)
EPISODE_COOKIE = "webdojo-episode"
CONTROL_HEADER = "x-webdojo-control"
DOMAIN = ".localhost"
RESERVED = {"/reset", "/state"}
"""What only WebDojo may ask of a site: a page that could would read or wipe its own score, by any
method where the application does not look at it."""


@dataclass(frozen=True, slots=True)
class Instance:
    """The application of one episode."""

    site: str
    application: Application
    state: dict[str, Any] = field(default_factory=dict)
    """What its lifespan keeps for its requests."""


class SiteServer:
    """Listens on a port of 127.0.0.1 from its first use on, in a thread of its own."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.control = secrets.token_urlsafe(16)
        """Shown by requests that WebDojo makes itself."""
        self.instances: dict[str, Instance] = {}
        """By episode key."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.bind(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def port(self) -> int:
        """The port, bound before anything listens on it."""
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that applications run on; the server starts with the first use."""
        with self._lock:
            if self._loop is None:
                self._loop = self._start()
            return self._loop

    def _start(self) -> asyncio.AbstractEventLoop:
        import uvicorn

        config = uvicorn.Config(
            self._serve,
            interface="asgi3",
            lifespan="off",
            access_log=False,
            log_level="error",
            http="h11",
            loop="asyncio",
            proxy_headers=False,
        )
        server = uvicorn.Server(config)
        loop = asyncio.new_event_loop()
        self._socket.listen(512)  # connections made before the server is up wait for it

        def run() -> None:
            asyncio.set_event_loop(loop)
            loop.run_until_complete(server.serve(sockets=[self._socket]))

        threading.Thread(target=run, name="webdojo-sites", daemon=True).start()
        return loop

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = scope["headers"]
        host = next((value for name, value in headers if name == b"host"), b"").decode("latin-1")
        instance = self.instances.get(_episode_key(headers))
        if instance is None or host.rsplit(":", 1)[0] != instance.site + DOMAIN:
            await _refuse(scope, receive, send, b"no episode of this site is running here")
            return
        ours = any(
            name == CONTROL_HEADER.encode() and secrets.compare_digest(value, self.control.encode())
            for name, value in headers
        )
        if scope["path"].rstrip("/") in RESERVED and not ours:
            await _refuse(scope, receive, send, b"not found")
            return
        scope["headers"] = _without_ours(headers)
        if instance.state:
            scope["state"] = dict(instance.state)
        try:
            await instance.application(scope, receive, send)
        except Exception as error:  # noqa: BLE001  # the application's fault: told, and a status 500
            self._tell(instance.site, scope, error)
            if scope["type"] == "http":
                await respond(send, 500, b"the site has failed", "text/plain")

    def _tell(self, site: str, scope: Scope, error: Exception) -> None:
        """Say what an application has raised; the same thing once."""
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{frame.filename}, line {frame.lineno}"
        if place not in self._told:
            self._told.add(place)
            asked = f"{scope.get('method', 'WEBSOCKET')} {scope['path']}"
            what = f"{type(error).__name__}: {error}"
            _log.warning("site %r: %s raised %s (%s)", site, asked, what, place)


_server: SiteServer | None = None


def site_server() -> SiteServer:
    """The server of this process."""
    global _server  # noqa: PLW0603
    if _server is None or _server.process != os.getpid():
        _server = SiteServer()
    return _server


def browser_rule() -> str:
    """A rule for Chromium's ``--host-resolver-rules`` that leads sites' names to this process."""
    return f"MAP *{DOMAIN}:80 127.0.0.1:{site_server().port}"


async def _refuse(scope: Scope, receive: Receive, send: Send, why: bytes) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    await respond(send, 404, why, "text/plain")


_COOKIE = re.compile(rb"(?:^|;\s*)" + EPISODE_COOKIE.encode() + rb"=([\w-]+)")


def _episode_key(headers: list[tuple[bytes, bytes]]) -> str:
    for name, value in headers:
        found = _COOKIE.search(value) if name == b"cookie" else None
        if found:
            return found.group(1).decode()
    return ""


def _without_ours(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    kept = []
    for name, value in headers:
        if name == CONTROL_HEADER.encode():
            continue
        left = _COOKIE.sub(b"", value).strip(b"; ") if name == b"cookie" else value
        if left or name != b"cookie":
            kept.append((name, left))
    return kept
