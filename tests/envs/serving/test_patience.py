"""Clients that hold connections and ask nothing."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from served import Served

from webdojo.envs.serving import patience

HALF = b"POST /reset HTTP/1.1\r\nHost: 127.0.0.1\r\n"
IMPATIENT_S = 0.5
WHOLE = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    assert parts.hostname is not None
    opened = socket.create_connection((parts.hostname, parts.port or 80))
    opened.settimeout(60)
    return opened


def cut(client: socket.socket) -> bool:
    """Wait until the server lets go of a connection; whether it said nothing before."""
    try:
        return client.recv(1000) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("said", [b"", HALF, HALF + b"Content-Length: 99\r\n\r\n{"])
def test_clients_that_ask_nothing_keep_nobody_out(server: Served, said: bytes) -> None:
    with contextlib.ExitStack() as stack:
        idle = []
        for _ in range(patience.MOST_WAITING + 20):
            idle.append(stack.enter_context(connected(server.url)))
            idle[-1].sendall(said)
        with urllib.request.urlopen(f"{server.url}/health", timeout=60) as answer:
            assert answer.status == 200
        assert cut(idle[0])  # the oldest make room


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server whose clients must be quick, and which answers before it has read a request."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/read":
            while (await receive()).get("more_body"):
                pass
        monkeypatch.setattr(patience, "REQUEST_S", IMPATIENT_S)
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    monkeypatch.setattr(patience, "REQUEST_S", IMPATIENT_S)
    config = uvicorn.Config(
        answer, http=patience.PatientProtocol, lifespan="off", log_level="error"
    )
    running = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=running.run, args=([listening],), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        running.should_exit = True
        thread.join(60)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        HALF,
        b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{",
        b"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ],
)
def test_a_request_that_never_ends_is_cut(impatient: str, said: bytes) -> None:
    with connected(impatient) as client:
        client.sendall(said)
        assert cut(client)


@pytest.mark.parametrize(
    "half", [HALF, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"]
)
def test_neither_is_it_waited_for_after_one_that_was_answered(
    impatient: str, half: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "REQUEST_S", 60.0)  # the first may come late on a busy machine
    with connected(impatient) as client:
        client.sendall(WHOLE)
        answer = b""
        while not answer.endswith(b"ok"):
            part = client.recv(1000)
            assert part, "cut before it was answered"
            answer += part
        client.sendall(half)
        with contextlib.suppress(ConnectionResetError):
            while client.recv(1000):
                pass


def test_a_client_that_dribbles_is_cut(impatient: str) -> None:
    with connected(impatient) as client, pytest.raises(OSError, match=r"reset|[Bb]roken pipe"):
        client.sendall(HALF)
        for _ in range(600):
            client.sendall(b"X: y\r\n")
            time.sleep(0.05)
