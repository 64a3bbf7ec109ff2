from __future__ import annotations

import base64
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from webdojo.envs.browser import Chromium
from webdojo.envs.core import WebEnv
from webdojo.envs.observation import Observation
from webdojo.envs.spec import EnvSpec
from webdojo.tasks.task import Outcome, Task

if TYPE_CHECKING:
    from playwright.async_api import Page


@dataclass
class Site:
    """A real web server on this machine; ``pages`` maps a path to what it answers."""

    origin: str
    pages: dict[str, str] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    """Name and password, as "me:secret", without which a path answers 401."""
    asked: list[str] = field(default_factory=list)
    stalling: threading.Event = field(default_factory=threading.Event)

    def other_origin(self) -> str:
        return self.origin.replace("127.0.0.1", "localhost")


@pytest.fixture
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            path = self.path.split("?")[0]
            if path.startswith("/stall"):
                served.stalling.wait(30)
                if path not in served.pages:
                    return
            if path.startswith("/cut"):
                return
            if path.startswith("/late"):
                time.sleep(0.3)
            if path in served.redirects:
                self.send_response(302)
                self.send_header("Location", served.redirects[path])
                self.end_headers()
                return
            if path.startswith("/broken"):
                self.send_error(500)
                return
            if path in served.passwords:
                known = base64.b64encode(served.passwords[path].encode()).decode()
                signed_in = self.headers.get("Authorization") == f"Basic {known}"
                self.send_response(200 if signed_in else 401)
                self.send_header("WWW-Authenticate", 'Basic realm="site"')
                self.end_headers()
                return
            content = served.pages.get(path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            headers = {"Content-Type": "text/html; charset=utf-8", **served.headers.get(path, {})}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served = Site(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield served
    served.stalling.set()
    server.shutdown()
    server.server_close()


class PageTask(Task):
    """One page of a site; solved when its body says so: ``<body data-solved>``."""

    id = "test.page"
    horizon = 1000  # looks enough for what comes in real time
    viewport = (500, 400)

    def __init__(self, url: str, allowed: tuple[str, ...] = ()) -> None:
        self.url = url
        self.allowed_origins = allowed

    async def setup(self, page: Page, seed: int) -> str:
        await page.goto(self.url)
        return "Do what the page says."

    async def evaluate(self, page: Page, answer: str | None) -> Outcome:
        solved = answer == "42" or await page.evaluate("'solved' in document.body.dataset")
        return Outcome(float(solved), done=bool(solved))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Chromium]:
    async with Chromium() as shared:
        yield shared


@dataclass
class Opened:
    """An environment on a page, and what it saw first."""

    env: WebEnv
    first: Observation
    task: PageTask

    async def look(self, action: str = "noop(1)") -> Observation:
        return (await self.env.step(action)).observation

    async def js(self, expression: str) -> object:
        return await self.env.page.evaluate(expression)

    def bid(self, text: str) -> str:
        """The bid on the first outline line that holds ``text``."""
        last = self.env.observation
        for line in last.outline.splitlines():
            if text in line and line.endswith("]"):
                return line.rpartition("[")[2].rstrip("]")
        raise AssertionError(f"no line with {text!r} in:\n{last.outline}")


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(chromium: Chromium, site: Site) -> AsyncIterator[Callable[..., object]]:
    opened: list[WebEnv] = []

    async def open_one(
        html: str, *, seed: int = 1, allowed: tuple[str, ...] = (), **spec: object
    ) -> Opened:
        site.pages.setdefault("/", f"<!doctype html><title>Test</title><body>{html}")
        modes = spec.pop("modes", ("pruned_html", "outline"))
        spec.setdefault("step_timeout_s", 60)  # a busy machine is no fault of the page's
        env = WebEnv(chromium, EnvSpec(modes=modes, **spec))  # type: ignore[arg-type]
        opened.append(env)
        task = PageTask(site.origin + "/", allowed)
        return Opened(env, await env.reset(task, seed), task)

    yield open_one
    for env in opened:
        await env.close()


@pytest.fixture
def page_task() -> type[PageTask]:
    return PageTask
