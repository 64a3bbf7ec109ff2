"""What a judge's endpoint may not do: take the key elsewhere, or answer for another."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from scripted_endpoint import ScriptedEndpoint, yes

from webdojo.tasks.evaluators.judge import Judge, JudgeFailedError, JudgeSettings
from webdojo.tasks.evaluators.judge_questions import Question

QUESTION = Question("Does it hold?", (("answer", "12"),))


@pytest.fixture
def endpoint() -> Iterator[ScriptedEndpoint]:
    serving = ScriptedEndpoint(yes)
    yield serving
    serving.close()


def judge_at(url: str, cache: Path | None = None) -> Judge:
    return Judge(JudgeSettings(url=url, model="m", api_key="secret", tries=1, cache=cache))


async def test_a_redirect_is_refused_and_the_key_stays(endpoint: ScriptedEndpoint) -> None:
    class Elsewhere(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"{endpoint.url}/chat/completions")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(JudgeFailedError, match="status 302"):
            await judge_at(f"http://127.0.0.1:{server.server_port}/v1").ask(QUESTION)
    finally:
        server.shutdown()
        server.server_close()
    assert endpoint.requests == []


async def test_a_verdict_is_kept_for_the_endpoint_that_gave_it(
    endpoint: ScriptedEndpoint, tmp_path: Path
) -> None:
    assert await judge_at(endpoint.url, tmp_path).ask(QUESTION) == {"holds": True}
    assert await judge_at(endpoint.url, tmp_path).ask(QUESTION) == {"holds": True}
    assert len(endpoint.requests) == 1
    with pytest.raises(JudgeFailedError):
        await judge_at("http://127.0.0.1:9/v1", tmp_path).ask(QUESTION)


async def test_every_image_tells_one_question_from_another(endpoint: ScriptedEndpoint) -> None:
    judge = judge_at(endpoint.url)
    for images in ((b"a", b"b"), (b"a", b"c"), (b"a",), (b"b", b"a")):
        assert await judge.ask(Question("Does it hold?", (), images)) == {"holds": True}
    assert (len(endpoint.requests), judge.counters.cached) == (4, 0)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that this thread asks for, and does not make; a server in another goes on as usual."""
    asked_for: list[float] = []
    sleep, here = asyncio.sleep, threading.get_ident()

    async def pause(seconds: float) -> None:
        if threading.get_ident() == here:
            asked_for.append(seconds)
        else:
            await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", pause)
    return asked_for


async def test_the_pause_before_another_try_doubles(
    endpoint: ScriptedEndpoint, pauses: list[float]
) -> None:
    endpoint.script = lambda key, request: 503
    judge = Judge(JudgeSettings(url=endpoint.url, model="m", tries=4, backoff_s=1.5))
    with pytest.raises(JudgeFailedError, match="4 tries"):
        await judge.ask(QUESTION)
    assert pauses == [1.5, 3.0, 6.0]


async def test_counts_that_cannot_be_are_not_counted(endpoint: ScriptedEndpoint) -> None:
    message = {"message": {"content": '{"reason": "so", "holds": true}'}, "finish_reason": "stop"}
    endpoint.script = lambda key, request: {
        "choices": [message],
        "usage": {"prompt_tokens": 10**400, "completion_tokens": -5},
    }
    judge = judge_at(endpoint.url)
    assert await judge.ask(QUESTION) == {"holds": True}
    assert (judge.counters.prompt_tokens, judge.counters.completion_tokens) == (0, 0)


class Particular(BaseHTTPRequestHandler):
    """Is busy once and asks for a pause, then wants the other name of the limit."""

    asked: ClassVar[list[dict[str, Any]]] = []
    wait = ""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(request)
        status, content = 200, '{"choices": [{"message": {"content": "{\\"holds\\": true}"}}]}'
        if len(self.asked) == 1:
            status, content = 429, "busy"
        elif "max_tokens" in request:
            status, content = 400, "Unsupported parameter: use 'max_completion_tokens' instead."
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", self.wait)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("wait", "pause_s"), [("6", 6.0), ("3600", 60.0), ("0", 1.0)])
async def test_an_endpoint_gets_the_pause_and_the_name_that_it_asks_for(
    wait: str, pause_s: float, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Particular, "asked", [])
    monkeypatch.setattr(Particular, "wait", wait)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Particular)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/v1"
        judge = Judge(JudgeSettings(url=url, model="m", max_tokens=77))
        for answer in ("12", "13"):
            assert await judge.ask(Question("Does it?", (("answer", answer),))) == {"holds": True}
    finally:
        server.shutdown()
        server.server_close()
    assert pauses == [pause_s]
    limits = [request.get("max_completion_tokens") for request in Particular.asked]
    assert limits == [None, None, 77, 77]
    assert (judge.counters.requests, judge.counters.verdicts) == (4, 2)
