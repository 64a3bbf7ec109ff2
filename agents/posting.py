"""One HTTP request with a body, bounded in time and size, that is sent nowhere else."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, NamedTuple
from urllib.error import URLError
from urllib.request import (
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    Request,
    build_opener,
)

MOST_BYTES = 16 << 20
"""Longest answer that is read."""


class Answer(NamedTuple):
    """What a server answered, whatever the status."""

    status: int
    body: bytes
    location: str
    """Where it sends callers on to; empty if nowhere."""
    retry_after: str
    """When it wants to be asked again, as it says so; empty if it does not."""


class NoAnswerError(Exception):
    """A server that could not be reached, or did not answer whole in time."""


def post(url: str, body: bytes, headers: dict[str, str], timeout_s: float) -> Answer:
    """Send ``body`` and read the answer; all of it together takes ``timeout_s`` at most.

    Redirects are not followed, because headers may hold a key that is for this host alone. Raises
    NoAnswerError, and OverflowError if the answer is longer than ``MOST_BYTES``.
    """
    watch = _Watch()
    opener = build_opener(_Plain(watch), _Secure(watch), _AsItIs())
    # The caller lets http and https through only.
    request = Request(url, data=body, headers=headers)  # noqa: S310
    # The time limit of a socket is for one read, of which there may be any number.
    timer = threading.Timer(timeout_s, watch.cut)
    timer.daemon = True
    timer.start()
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            found = _read(answer)
    except (OSError, HTTPException) as error:
        late = watch.is_cut or _is_late(error)
        raise NoAnswerError("it took too long" if late else _reason(error)) from None
    finally:
        timer.cancel()
    if watch.is_cut:
        raise NoAnswerError("it took too long")
    return found


def _read(answer: HTTPResponse) -> Answer:
    told = (answer.headers.get("Location", ""), answer.headers.get("Retry-After", ""))
    if answer.status >= 400:
        body = b""
        with suppress(OSError, HTTPException):  # the status says enough
            body = answer.read(MOST_BYTES)
        return Answer(answer.status, body, *told)
    body = answer.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise OverflowError(f"the answer is longer than {MOST_BYTES} bytes")
    if answer.length:
        raise HTTPException(f"the answer ends {answer.length} bytes early")
    return Answer(answer.status, body, *told)


class _Watch:
    """The socket of one request, which can be cut from outside."""

    def __init__(self) -> None:
        self.is_cut = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def watch(self, connected: socket.socket) -> None:
        with self._lock:
            self._socket = connected
        if self.is_cut:
            self.cut()

    def cut(self) -> None:
        self.is_cut = True
        with self._lock, suppress(OSError):
            if self._socket is not None:
                # That of an SSL socket would also drop what another thread is reading with.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _PlainConnection(HTTPConnection):
    def __init__(self, *args: Any, watch: _Watch, **options: Any) -> None:
        super().__init__(*args, **options)
        self._watch = watch

    def connect(self) -> None:
        super().connect()
        self._watch.watch(self.sock)


class _SecureConnection(_PlainConnection, HTTPSConnection):
    """The same over TLS."""


class _Plain(HTTPHandler):
    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(partial(_PlainConnection, watch=self._watch), req)


class _Secure(HTTPSHandler):
    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(partial(_SecureConnection, watch=self._watch), req)


class _AsItIs(HTTPErrorProcessor):
    """Gives every answer to the caller: errors are not raised, redirects not followed."""

    def http_response(self, request: Request, response: HTTPResponse) -> HTTPResponse:
        return response

    https_response = http_response


def _is_late(error: BaseException) -> bool:
    return isinstance(error.reason if isinstance(error, URLError) else error, TimeoutError)


def _reason(error: BaseException) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    return str(cause) or type(cause).__name__
