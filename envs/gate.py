"""The way out of an episode: every connection of its pages passes here, or there is none.

A SOCKS 5 server (RFC 1928) on this machine, one an episode, which the episode's browser context has
as its proxy. Chromium sends it whatever pages, popups, workers, WebSockets, prefetches, preconnects
and redirects ask for, before a byte goes out, and leaves the finding of host names to it.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from contextlib import suppress
from typing import Self

SOCKS_VERSION, NO_PASSWORD, CONNECT = 5, 0, 1
IPV4, HOST_NAME, IPV6 = 1, 3, 4
DONE, REFUSED_BY_RULE, UNREACHABLE, UNKNOWN_COMMAND = 0, 2, 4, 7
CHUNK_BYTES = 1 << 16
CONNECT_TIMEOUT_S = 5.0


class Gate:
    """Connects to what ``allows(host, port)`` lets through, and tells ``refused`` of the rest.

    ``place`` gives the host and port at which a host and port really are.
    """

    def __init__(
        self,
        allows: Callable[[str, int], bool],
        refused: Callable[[str, int], None],
        place: Callable[[str, int], tuple[str, int]],
    ) -> None:
        self.address = ""
        """Where it listens, as Chromium's proxy setting has it."""
        self._allows = allows
        self._refused = refused
        self._place = place
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(
        cls,
        allows: Callable[[str, int], bool],
        refused: Callable[[str, int], None],
        place: Callable[[str, int], tuple[str, int]] = lambda host, port: (host, port),
    ) -> Self:
        """Start listening on a free port of this machine."""
        gate = cls(allows, refused, place)
        gate._server = await asyncio.start_server(gate._serve, "127.0.0.1", 0)
        port = gate._server.sockets[0].getsockname()[1]
        gate.address = f"socks5://127.0.0.1:{port}"
        return gate

    async def close(self) -> None:
        """Cut every connection; closing twice is fine."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with suppress(OSError, EOFError):
                await self._pass(reader, writer)
        except asyncio.CancelledError:
            pass  # closed
        finally:
            self._open.discard(task)
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(bytes([SOCKS_VERSION, NO_PASSWORD]))
        _, command, _, kind = await reader.readexactly(4)
        host, port = await _destination(reader, kind)
        if command != CONNECT:
            writer.write(_answer(UNKNOWN_COMMAND))
            return
        if not self._allows(host, port):
            self._refused(host, port)
            writer.write(_answer(REFUSED_BY_RULE))
            return
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                there, out = await asyncio.open_connection(*self._place(host, port))
        except (OSError, TimeoutError):
            writer.write(_answer(UNREACHABLE))
            return
        writer.write(_answer(DONE))
        try:
            await asyncio.gather(_copy(reader, out), _copy(there, writer))
        finally:
            out.close()


async def _destination(reader: asyncio.StreamReader, kind: int) -> tuple[str, int]:
    if kind == HOST_NAME:
        (length,) = await reader.readexactly(1)
        host = (await reader.readexactly(length)).decode("ascii", "replace").lower()
    elif kind in (IPV4, IPV6):
        packed = await reader.readexactly(4 if kind == IPV4 else 16)
        host = str(ipaddress.ip_address(packed))
    else:
        raise EOFError
    return host, int.from_bytes(await reader.readexactly(2), "big")


def _answer(status: int) -> bytes:
    return bytes([SOCKS_VERSION, status, 0, IPV4, *bytes(4), *bytes(2)])


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while chunk := await source.read(CHUNK_BYTES):
            target.write(chunk)
            await target.drain()
    finally:
        if target.can_write_eof():
            with suppress(OSError, RuntimeError):
                target.write_eof()
