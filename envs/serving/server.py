"""The server process: one Chromium, a socket, and an orderly end."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

import uvicorn

from webdojo.envs.browser import BrowserOptions, Chromium
from webdojo.envs.serving.app import build_app
from webdojo.envs.serving.desk import Desk
from webdojo.envs.serving.patience import PatientProtocol
from webdojo.envs.serving.protocol import MAX_REQUEST
from webdojo.envs.serving.session import Limits
from webdojo.tasks.errors import UserError

STOP_TIMEOUT_S = 5
"""Real time in which requests under way must have been answered when the server stops."""
PING_S = 20.0
"""Real time between two looks at whether a WebSocket's client is there, and in which it answers."""
MIN_KEY = 16
"""Characters of the shortest key."""
REFUSED_ALREADY = "ASGI callable returned without completing handshake."
"""What uvicorn says of a WebSocket that was answered with a refusal."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where a server listens, what it offers and to whom."""

    task_ids: tuple[str, ...]
    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes a free one."""
    key: str | None = field(default=None, repr=False)
    limits: Limits = field(default_factory=Limits)


def serve(options: ServerOptions, on_ready: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; ``on_ready`` is told the address once requests are answered.

    Raises UserError if the address cannot be had, may not be had without a key, or no Chromium
    starts.
    """
    check_access(options.host, options.key)
    asyncio.run(_serve(options, on_ready))


def check_access(host: str, key: str | None) -> None:
    """Raise UserError if other machines could get in without a key, or with one easily guessed."""
    make = f"for instance {secrets.token_urlsafe(24)}"
    if key is not None and len(key) < MIN_KEY:
        raise UserError(f"the API key has {len(key)} characters; give it {MIN_KEY} or more, {make}")
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
        raise UserError(f"the API key may only hold ASCII letters, digits and signs, {make}")
    if key is None and not _is_loopback(host):
        raise UserError(
            f"--host {host} lets other machines in, so a key is needed: set WEBDOJO_API_KEY,"
            f" {make}, or leave --host out to serve this machine alone"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


async def _serve(options: ServerOptions, on_ready: Callable[[str], None]) -> None:
    with _listening(options) as listening:
        async with Chromium(BrowserOptions()) as chromium:
            await chromium.process_id()  # so that a browser that does not start is told of now
            desk = Desk(chromium, options.task_ids, options.limits)
            config = uvicorn.Config(
                build_app(desk, options.key),
                interface="asgi3",
                lifespan="off",
                loop="asyncio",
                http=PatientProtocol,
                ws="websockets-sansio",
                ws_max_size=MAX_REQUEST,
                ws_ping_interval=PING_S,
                ws_ping_timeout=PING_S,
                # What was packed could become any size once unpacked.
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=STOP_TIMEOUT_S,
                proxy_headers=False,
                server_header=False,
                access_log=False,
                log_level="warning",
            )
            # Our own guard has said whom it refused, and why.
            logging.getLogger("uvicorn.error").addFilter(lambda said: said.msg != REFUSED_ALREADY)
            server = _Server(config, lambda: on_ready(_url(options, listening)))
            try:
                async with desk.reaping():
                    await server.serve(sockets=[listening])
            except KeyboardInterrupt:
                pass  # the signal that has stopped the server, given again after its orderly end
            finally:
                await desk.close_all()


class _Server(uvicorn.Server):
    """Tells once it listens."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()


def _url(options: ServerOptions, listening: socket.socket) -> str:
    host = options.host.strip("[]")
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


def _listening(options: ServerOptions) -> socket.socket:
    host = options.host.strip("[]")
    try:
        found = socket.getaddrinfo(host, options.port, type=socket.SOCK_STREAM)[0]
        # With the protocol told, asyncio sends at once: an image waits for no acknowledgement.
        listening = socket.socket(*found[:3])
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(found[4])
    except (OSError, OverflowError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        advice = "another program has it: choose another --port" if taken else str(error)
        raise UserError(f"cannot listen on {host}, port {options.port}: {advice}") from None
    return listening
