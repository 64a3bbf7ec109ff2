"""Clients that vanish, pages that hang, servers that are killed: who is told what, what is left."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium
import psutil
import pytest
from served import Served
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from webdojo.envs.browser import BrowserDiedError
from webdojo.envs.remote import RemoteError, RemoteWebEnv
from webdojo.tasks.errors import UserError

pytestmark = pytest.mark.slow
NAME = "webdojo/miniwob.click-button-v0"
CLIENT = """
import asyncio, sys
from webdojo.envs.remote import RemoteWebEnv

async def main():
    env = RemoteWebEnv(sys.argv[1])
    await env.reset(sys.argv[2], 1)
    print("begun", flush=True)
    await env.step(sys.argv[3])
    await asyncio.sleep(600)

asyncio.run(main())
"""
STUCK = """
from webdojo.tasks.task import Outcome, Task

class Stuck(Task):
    id = "test.stuck"

    async def setup(self, page, seed):
        await page.set_content("<button onclick='for (;;);'>Press me</button>")
        return "Press the button."

    async def evaluate(self, page, answer):
        return Outcome(0.0)
"""


def renderers(server: Served) -> int:
    """Renderer processes of the server's Chromium: one a context that has a page."""
    found = 0
    for process in server.browsers():
        with contextlib.suppress(psutil.Error):  # it ends while it is looked at
            found += "--type=renderer" in process.cmdline()
    return found


def wait_until(true: Callable[[], bool], patience_s: float = 60) -> None:
    until = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.1)


@pytest.fixture
def stuck(tmp_path: Path) -> Path:
    file = tmp_path / "stuck.py"
    file.write_text(textwrap.dedent(STUCK))
    return file


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_is_stopped_leaves_nothing(
    serve: Callable[..., Served], number: signal.Signals
) -> None:
    server = serve()
    with gymnasium.make(NAME, url=server.url) as env:
        env.reset(seed=1)
        left = server.browsers()
        assert left
        assert server.stop(number) == 0
        wait_until(lambda: server.said[-1] == "webdojo serve: stopped\n")
        assert not psutil.wait_procs(left, 20)[1]
        *_, truncated, info = env.step("noop()")
        assert truncated
        assert f"environment server {server.url}: the connection was lost" in info["browser_died"]
        with pytest.raises(RemoteError, match="no environment server answers at"):
            env.reset(seed=1)


def test_a_server_that_is_killed(serve: Callable[..., Served]) -> None:
    server = serve()
    with gymnasium.make(NAME, url=server.url) as env:
        env.reset(seed=1)
        left = server.browsers()
        server.stop(signal.SIGKILL)
        observation, reward, terminated, truncated, info = env.step("noop()")
        assert (reward, terminated, truncated) == (0.0, False, True)
        assert "the connection was lost" in info["browser_died"]
        assert observation in env.observation_space
        with pytest.raises(RemoteError, match="start one with `webdojo serve`"):
            env.reset(seed=1)
        assert not psutil.wait_procs(left, 20)[1]


@pytest.mark.parametrize("action", ["noop()", 'click("1")'])
def test_a_client_that_is_killed_frees_its_place(
    serve: Callable[..., Served], stuck: Path, action: str
) -> None:
    """Between two steps, and within one that would last for ever."""
    server = serve("--max-sessions", "1", "--tasks", str(stuck))
    before = renderers(server)
    command = [sys.executable, "-c", CLIENT, server.url, "test.stuck", action]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "begun\n"
        assert renderers(server) > before

        async def try_to_get_in() -> str:
            async with RemoteWebEnv(server.url) as env:
                return (await env.reset("miniwob.click-button", 1)).goal

        with pytest.raises(RemoteError, match="all 1 sessions are taken"):
            asyncio.run(try_to_get_in())
        client.kill()
    wait_until(lambda: renderers(server) == before)
    assert asyncio.run(try_to_get_in())


def test_a_session_that_is_idle_ends(serve: Callable[..., Served]) -> None:
    server = serve("--idle", "1", "--max-sessions", "1")
    before = renderers(server)
    with gymnasium.make(NAME, url=server.url) as env:
        env.reset(seed=1)
        assert renderers(server) > before
        wait_until(lambda: renderers(server) == before)
        *_, truncated, info = env.step("noop()")
        assert truncated
        assert "nothing was asked for 1 s" in info["browser_died"]
        assert env.reset(seed=1)[0]["goal"]  # and begins anew


def test_a_step_beyond_its_deadline(serve: Callable[..., Served], stuck: Path) -> None:
    server = serve("--tasks", str(stuck), "--step-timeout", "20")
    with pytest.raises(UserError, match=r"step_timeout_s=21 is more than .* at most 20"):
        gymnasium.make(NAME, url=server.url, step_timeout_s=21).reset()
    made = {"task_id": "test.stuck", "url": server.url, "step_timeout_s": 5}
    with gymnasium.make(NAME, **made) as env:
        env.reset(seed=1)
        *_, truncated, info = env.step('click("1")')
        assert truncated
        assert info["browser_died"].startswith("step: ")
        assert env.reset(seed=1)[0]["goal"] == "Press the button."


def test_a_task_that_fails_is_told_and_costs_nobody_else(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    file = tmp_path / "broken.py"
    file.write_text(STUCK.replace('return "Press the button."', "return 1 / 0"))
    server = serve("--tasks", str(file))

    async def both() -> None:
        async with RemoteWebEnv(server.url) as well, RemoteWebEnv(server.url) as ill:
            await well.reset("miniwob.click-button", 1)
            with pytest.raises(BrowserDiedError, match="ZeroDivisionError: division by zero"):
                await ill.reset("test.stuck", 1)
            assert (await well.step("noop(1)")).observation.last_action == "noop(1)"

    asyncio.run(both())
    wait_until(lambda: any("ZeroDivisionError" in line for line in server.said))


def test_connections_are_bounded_too(serve: Callable[..., Served]) -> None:
    server = serve("--max-sessions", "1")
    address = server.url.replace("http", "ws") + "/ws"
    state = '{"type": "state"}'
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(address)) for _ in range(16)]
        for client in clients:
            client.send(state)
            assert '"state"' in client.recv(60)
        with connect(address) as late:
            assert "CAPACITY_REACHED" in late.recv(60)
            with pytest.raises(ConnectionClosedError, match="1013"):
                late.recv(60)
    with connect(address) as client:
        client.send(state)
        assert '"state"' in client.recv(60)
