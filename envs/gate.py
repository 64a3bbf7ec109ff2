"""The way out of an episode: every connection of its pages passes here, or there is none.

A SOCKS 5 server (RFC 1928) on this machine, one an episode, which the episode's browser context has
as its proxy. Chromium sends it whatever pages, popups, workers, WebSockets, prefetches, preconnects
and redirects ask for, before a byte goes out, and leaves the finding of host names to it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
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

    ``place`` gives the host and port at which a host and port really are. A host that is let
    through is connected to at an address that ``allows_address(host, port, address)``: at the very
    one that was looked at, so that a name cannot lead elsewhere the second time.
    """

    def __init__(
        self,
        allows: Callable[[str, int], bool],
        refused: Callable[[str, int], None],
        place: Callable[[str, int], tuple[str, int]],
        allows_address: Callable[[str, int, str], bool],
    ) -> None:
        self.address = ""
        """Where it listens, as Chromium's proxy setting has it."""
        self.was_used = False
        """Whether any connection was made."""
        self._allows = allows
        self._refused = refused
        self._place = place
        self._allows_address = allows_address
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(
        cls,
        allows: Callable[[str, int], bool],
        refused: Callable[[str, int], None],
        place: Callable[[str, int], tuple[str, int]],
        allows_address: Callable[[str, int, str], bool],
    ) -> Self:
        """Start listening on a free port of this machine."""
        gate = cls(allows, refused, place, allows_address)
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
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                there, out = await self._connect(host, port)
        except _RefusedError:
            self._refused(host, port)
            writer.write(_answer(REFUSED_BY_RULE))
            return
        except (OSError, TimeoutError):
            writer.write(_answer(UNREACHABLE))
            return
        self.was_used = True
        writer.write(_answer(DONE))
        try:
            await asyncio.gather(_copy(reader, out), _copy(there, writer))
        finally:
            out.close()

    async def _connect(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if not self._allows(host, port):
            raise _RefusedError
        name, number = self._place(host, port)
        found = await _addresses(name, number)
        allowed = [one for one in found if self._allows_address(host, port, one)]
        if not allowed:
            raise _RefusedError
        for address in allowed[:-1]:
            with suppress(OSError):
                return await asyncio.open_connection(address, number)
        return await asyncio.open_connection(allowed[-1], number)


class _RefusedError(Exception):
    pass


async def _addresses(host: str, port: int) -> list[str]:
    """Where a host is, one address or several; raises OSError if nobody knows."""
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    try:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host!r} is no host name") from error
    return [str(place[0]) for *_, place in found]


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
