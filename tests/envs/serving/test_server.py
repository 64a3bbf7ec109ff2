"""What the server says over HTTP and WebSocket, to clients that keep to the form and to others."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from served import KEY, Served
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from webdojo.envs.serving.protocol import MAX_REQUEST
from webdojo.envs.serving.server import check_access
from webdojo.tasks.errors import UserError

RESET = {"task": "miniwob.login-user", "seed": 3}


def ask(
    server: Served,
    method: str,
    path: str,
    body: object = None,
    **headers: str,
) -> tuple[int, Any]:
    """Status and content of an answer; ``body`` goes as JSON, bytes as they are."""
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=120)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, content if body is not None else None, headers)
    answer = connection.getresponse()
    read = answer.read()
    kind = answer.headers["Content-Type"]
    return answer.status, json.loads(read) if kind == "application/json" else read


def socket(server: Served, **options: Any) -> Any:
    return connect(server.url.replace("http", "ws") + "/ws", **options)


def say(client: Any, kind: str, data: object = None) -> dict[str, Any]:
    client.send(json.dumps({"type": kind, **({} if data is None else {"data": data})}))
    answer: dict[str, Any] = json.loads(client.recv(120))
    return answer


def test_an_episode_over_http(server: Served) -> None:
    assert ask(server, "GET", "/health") == (200, {"status": "healthy"})
    status, first = ask(server, "POST", "/reset", RESET)
    assert (status, first["reward"], first["done"]) == (200, None, False)
    words = first["observation"]["goal"].split('"')
    session = first["metadata"]["session_id"]

    named = first["observation"]["screenshot"]
    status, image = ask(server, "GET", named["path"])
    assert status == 200
    assert hashlib.sha256(image).hexdigest() == named["sha256"]
    assert image.startswith(b"\x89PNG")

    for action in (f'fill("1", "{words[1]}")', f'fill("2", "{words[3]}")', 'click("3")'):
        body = {"action": {"action": action}, "session_id": session}
        status, step = ask(server, "POST", "/step", body)
        assert (status, step["observation"]["last_action"]) == (200, action)
    assert (step["reward"], step["done"], step["metadata"]["terminated"]) == (1.0, True, True)
    status, over = ask(server, "POST", "/step", body)
    assert (status, over["code"], over["message"]) == (
        409,
        "SESSION_ERROR",
        "the episode is over: call reset first",
    )

    status, state = ask(server, "GET", "/state", **{"X-Session-ID": session})
    assert (status, state["step_count"], state["seed"]) == (200, 3, 3)
    assert ask(server, "POST", "/close", {"session_id": session}) == (200, {"closed": True})
    assert ask(server, "GET", "/state", **{"X-Session-ID": session})[0] == 409
    assert ask(server, "GET", named["path"])[0] == 404


def test_an_episode_in_openenv_s_messages(server: Served) -> None:
    """One text answer to each message, as OpenEnv's client takes them; images stay behind."""
    with socket(server) as client:
        first = say(client, "reset", {**RESET, "episode_id": "mine"})
        assert first["type"] == "observation"
        assert set(first["data"]) == {"observation", "reward", "done", "metadata"}
        second = say(client, "step", {"action_str": "noop(1)", "metadata": {}})
        assert second["data"]["observation"]["last_action"] == "noop(1)"
        named = second["data"]["observation"]["screenshot"]
        assert ask(server, "GET", named["path"])[0] == 200
        state = say(client, "state")
        assert (state["type"], state["data"]["episode_id"], state["data"]["step_count"]) == (
            "state",
            "mine",
            1,
        )
        client.send('{"type": "close"}')
        with pytest.raises(Exception, match="1000"):
            client.recv(60)


def test_an_image_is_sent_once(server: Served) -> None:
    with socket(server) as client:
        named = say(client, "reset", {**RESET, "images": "frames"})["data"]["observation"]
        image = client.recv(60)
        assert hashlib.sha256(image).hexdigest() == named["screenshot"]["sha256"]
        again = say(client, "step", {"action": "no call at all"})["data"]["observation"]
        assert again["screenshot"] == named["screenshot"]
        assert say(client, "state")["type"] == "state"  # and no frame before it


def test_schemas_hold_for_what_is_said(server: Served) -> None:
    status, schema = ask(server, "GET", "/schema?task=miniwob.click-button")
    assert status == 200
    assert schema["task"]["viewport"] == [332, 214]
    assert {"action", "observation", "state"} <= set(schema)
    _, first = ask(server, "POST", "/reset", {**RESET, "modes": ["axtree_txt"], "tree": True})
    observation = first["observation"]
    assert set(observation) <= set(schema["observation"]["properties"])
    assert set(schema["observation"]["required"]) <= set(observation)
    ask(server, "POST", "/close", {"session_id": first["metadata"]["session_id"]})


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "no JSON"),
        (b"[" * 100_000, 400, "no JSON"),
        (b"\xff\xfe\x00", 400, "no JSON"),
        (b"[1]", 422, "a JSON object is wanted, not list"),
        ({"task": "miniwob.no-such-task"}, 422, "no task 'miniwob.no-such-task'"),
        ({"task": 7}, 422, "task: Input should be a valid string"),
        ({"seed": -1}, 422, "seed: Input should be greater than or equal to 0"),
        ({"seed": 2**70}, 422, "seed: "),
        ({"modes": ["smell"]}, 422, "modes.0: "),
        ({"actions": ["fly"]}, 422, "no action or action subset 'fly'"),
        ({"settle_ms": 10**9}, 422, "settle_ms: "),
        (
            {"max_characters": 99},
            422,
            "max_characters: Input should be greater than or equal to 100",
        ),
        ({"step_timeout_s": 1e9}, 422, "at most 60"),
        ({"tasks_files": ["/etc/passwd"]}, 422, "tasks_files: Extra inputs are not permitted"),
        ({"session_id": "guessed"}, 409, "no such session"),
        (b'{"task": "' + b"x" * MAX_REQUEST + b'"}', 413, "longer than"),
    ],
)
def test_a_reset_that_cannot_be_answered(
    server: Served, body: object, status: int, said: str
) -> None:
    got, answer = ask(server, "POST", "/reset", body)
    assert (got, said in answer["message"]) == (status, True), answer


def test_a_step_that_cannot_be_answered(server: Served) -> None:
    assert ask(server, "POST", "/step", {"action": "noop()"})[0] == 409
    _, first = ask(server, "POST", "/reset", RESET)
    session = {"session_id": first["metadata"]["session_id"]}
    for action in (None, 7, {}, {"action": ["noop()"]}, {"verb": "noop"}):
        status, answer = ask(server, "POST", "/step", {**session, "action": action})
        assert (status, answer["code"]) == (422, "VALIDATION_ERROR")
    status, step = ask(server, "POST", "/step", {**session, "action": "import os"})
    assert status == 200
    assert "not an action call" in step["observation"]["last_action_error"]
    ask(server, "POST", "/close", session)
    assert ask(server, "GET", "/nowhere")[0] == 404
    assert ask(server, "GET", "/reset")[0] == 405


def test_a_message_that_cannot_be_answered(server: Served) -> None:
    with socket(server) as client:
        client.send("{")
        assert json.loads(client.recv(60))["data"]["code"] == "INVALID_JSON"
        assert say(client, "dance")["data"]["code"] == "UNKNOWN_TYPE"
        assert say(client, "step", {"action": "noop()"})["data"]["code"] == "SESSION_ERROR"
        assert say(client, "reset", {"seed": "x"})["data"]["code"] == "VALIDATION_ERROR"
        assert say(client, "reset", RESET)["type"] == "observation"  # none of it has done harm
        with pytest.raises(ConnectionClosedError, match="1009"):
            say(client, "step", {"action": "x" * (MAX_REQUEST + 1)})
    assert ask(server, "GET", "/health")[0] == 200


def test_web_pages_are_not_served(server: Served) -> None:
    """Neither a page that names this server, nor one whose own name leads here."""
    for headers in ({"Origin": "http://127.0.0.1"}, {"Host": "rebound.example:8000"}):
        status, answer = ask(server, "GET", "/schema", **headers)
        assert (status, answer["code"]) == (403, "FORBIDDEN")
    with (
        pytest.raises(InvalidStatus, match="403"),
        socket(server, origin="http://somewhere.example"),
    ):
        pass


def test_other_machines_are_let_in_with_a_key_alone() -> None:
    for host in ("127.0.0.1", "::1", "localhost"):
        check_access(host, None)
    for host in ("0.0.0.0", "::", "192.168.1.7", "my-machine"):
        with pytest.raises(UserError, match="so a key is needed: set WEBDOJO_API_KEY"):
            check_access(host, None)
        check_access(host, KEY)
    for key, said in (("short", "has 5 characters"), ("a key with spaces in it", "may only hold")):
        with pytest.raises(UserError, match=said):
            check_access("127.0.0.1", key)
    command = [sys.executable, "-m", "webdojo", "serve", "--host", "0.0.0.0", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "so a key is needed" in done.stderr


@pytest.mark.slow
def test_a_key_opens(serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> None:
    import gymnasium

    server = serve("miniwob.click-button", "--host", "0.0.0.0", WEBDOJO_API_KEY=KEY)
    server.url = server.url.replace("0.0.0.0", "127.0.0.1")
    basic = base64.b64encode(f"anyone:{KEY}".encode()).decode()
    right = ({"Authorization": f"Bearer {KEY}"}, {"Authorization": f"Basic {basic}"})
    wrong = (
        {},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"Authorization": "Basic ***"},
        {"Authorization": KEY},
    )
    for headers in right:
        assert ask(server, "GET", "/schema", **headers)[0] == 200
        with socket(server, additional_headers=headers) as client:
            assert say(client, "state")["type"] == "state"
    for headers in wrong:
        status, answer = ask(server, "GET", "/schema", **headers)
        assert (status, answer["message"]) == (401, "the API key is missing or wrong")
        with (
            pytest.raises(InvalidStatus, match="401"),
            socket(server, additional_headers=headers),
        ):
            pass
    assert ask(server, "GET", "/health")[0] == 200

    name = "webdojo/miniwob.click-button-v0"
    with pytest.raises(UserError, match="the API key is missing or wrong; give api_key="):
        gymnasium.make(name, url=server.url)
    with_key = server.url.replace("http://", f"http://anyone:{KEY}@")
    for place in ({"url": server.url, "api_key": KEY}, {"url": with_key}):
        with gymnasium.make(name, **place) as env:
            assert env.reset(seed=1)[0]["goal"]
    monkeypatch.setenv("WEBDOJO_API_KEY", KEY)
    with gymnasium.make(name, url=server.url) as env:
        assert env.reset(seed=1)[0]["goal"]
    with pytest.raises(UserError, match=r"does not offer 'miniwob\.click-link'"):
        gymnasium.make("webdojo/miniwob.click-link-v0", url=server.url)
    server.stop()
    deadline = time.monotonic() + 30
    while server.said[-1] != "webdojo serve: stopped\n" and time.monotonic() < deadline:
        time.sleep(0.01)  # what it said last is still on its way
    refused = server.said[1:-1]
    assert len(refused) >= 2 * len(wrong)
    # One plain line each, and nothing else: no error of the server's own, no key.
    for line in refused:
        assert line == "webdojo serve: 127.0.0.1 refused: the API key is missing or wrong\n"


OPENENV = Path(__file__).parents[3] / ".venv-openenv" / "bin" / "python"
OPENENV_CLIENT = """
import asyncio, sys
from openenv.core import GenericEnvClient

async def main():
    async with GenericEnvClient(base_url=sys.argv[1]) as env:
        result = await env.reset(task="miniwob.login-user", seed=3)
        words = result.observation["goal"].split('"')
        for action in (f'fill("1", "{words[1]}")', f'fill("2", "{words[3]}")', 'click("3")'):
            result = await env.step({"action": action})
        print(result.reward, result.done, (await env.state())["step_count"])
        try:
            await env.step({"action": "noop()"})
        except RuntimeError as error:
            print(error)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.skipif(not OPENENV.exists(), reason="scripts/setup-openenv.sh makes .venv-openenv")
def test_openenv_s_own_client_plays_an_episode(serve: Callable[..., Served]) -> None:
    server = serve("miniwob", WEBDOJO_API_KEY=KEY)
    address = server.url.replace("http://", f"http://anyone:{KEY}@")
    command = [OPENENV, "-c", OPENENV_CLIENT, address]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "1.0 True 3",
        "Server error: the episode is over: call reset first (code: SESSION_ERROR)",
    ], done.stderr
