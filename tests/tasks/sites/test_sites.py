"""Sites of tasks: served under a stable name, each episode with an instance of its own."""

from __future__ import annotations

import asyncio
import functools
import json
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from webdojo.envs.browser import Chromium
from webdojo.envs.certification import play_oracle
from webdojo.envs.core import WebEnv
from webdojo.tasks import UserError
from webdojo.tasks.calls import click, fill
from webdojo.tasks.evaluators import Dom, EvaluatedTask, State
from webdojo.tasks.files import load_tasks_file
from webdojo.tasks.sites import Site, SiteStateError
from webdojo.tasks.sites.server import site_server
from webdojo.tasks.sites.site import shared_site

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHOP = """<!doctype html><title>Shop</title><script src="shop.js"></script>
<form method=post action=thanks.html>
<label>Name <input name=name></label><button>Order</button></form>"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "index.html").write_text(SHOP)
    (shop / "thanks.html").write_text("<!doctype html><h1 id=thanks>Thank you</h1>")
    (shop / "shop.js").write_text("window.loaded = true")
    (tmp_path / "secret.txt").write_text("secret")
    return shop


def counter(folder: Path) -> Any:
    """WSGI: counts visits in itself, and says what it was asked to begin with."""
    kept: dict[str, Any] = {"visits": 0, "folder": str(folder)}

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        kind, body = "text/html", "<button>More</button>"
        if (method, path) == ("POST", "/reset"):
            length = int(environ.get("CONTENT_LENGTH") or 0)
            kept["begun"] = json.loads(environ["wsgi.input"].read(length))
        elif path == "/state":
            kind, body = "application/json", json.dumps(kept)
        elif path == "/cookies":
            body = environ.get("HTTP_COOKIE", "none")
        else:
            kept["visits"] += 1
        start_response("200 OK", [("Content-Type", kind), ("Set-Cookie", "a=1; Path=/")])
        return [body.encode()]

    return application


class Order(EvaluatedTask):
    """Order under a name, in a static shop."""

    id = "site-tests.order"

    async def start(self, page: Any, seed: int) -> str:
        assert self.serves is not None
        await page.goto(self.serves.url())
        self.name = f"Ada {seed}"
        query = "requests[?method=='POST'].form.name"
        self.checks = State(query=query, expected={"type": "equals", "value": [self.name]})
        return f"Order as {self.name}."

    def oracle(self, view: Any) -> Any:
        name = view.goal.removeprefix("Order as ").removesuffix(".")
        view = yield fill(view.bid("input"), name)
        yield click(view.bid("button"))


async def test_an_episode_is_played_on_a_static_site(env: WebEnv, folder: Path) -> None:
    class Here(Order):
        serves = Site("static-shop", folder=folder)

    task = Here()
    first = await env.reset(task, 3)
    assert first.url == "http://static-shop.localhost/"
    assert task.site == "static-shop"
    played = await play_oracle(env, task, 3)
    assert (played.reward, played.steps) == (1.0, 2), played.trouble
    again = await env.reset(task, 3)
    assert again.pruned_html == first.pruned_html
    assert again.url == first.url


async def test_two_episodes_at_once_share_nothing(chromium: Chromium) -> None:
    site = Site("counter", application=counter)
    contexts = [await chromium.new_context((400, 300)) for _ in range(2)]
    pages = [await context.new_page() for context in contexts]
    episodes = await asyncio.gather(*(site.begin(page, seed) for seed, page in enumerate(pages)))
    await asyncio.gather(*(page.goto(site.url("/")) for page in pages))
    await pages[1].goto(site.url("/again"))
    states = [await episode.state() for episode in episodes]
    assert states[1]["visits"] == states[0]["visits"] + 1
    assert [state["begun"] for state in states] == [{"seed": 0}, {"seed": 1}]
    assert states[0]["folder"] != states[1]["folder"]
    folders = [episode.folder for episode in episodes]
    assert all(folder.is_dir() for folder in folders)
    for context in contexts:
        await context.close()
    for episode in episodes:
        assert episode._closing is not None
        await episode._closing
    assert not any(folder.exists() for folder in folders)
    with pytest.raises(SiteStateError, match="answered with 404"):
        await episodes[0].state()


async def test_a_page_can_neither_read_nor_wipe_its_score(chromium: Chromium) -> None:
    site = Site("guarded", application=counter)
    context = await chromium.new_context((400, 300))
    page = await context.new_page()
    episode = await site.begin(page, 1)
    await page.goto(site.url("/"))
    ask = "([path, method]) => fetch(path, {method}).then(answer => answer.status)"
    for path in ("/state", "/reset", "/state/"):
        for method in ("GET", "POST", "PUT", "DELETE"):
            assert await page.evaluate(ask, [path, method]) == 404, (method, path)
    assert (await episode.state())["begun"] == {"seed": 1}
    await page.goto(site.url("/cookies"))
    assert await page.inner_text("body") == "a=1"
    assert await page.evaluate("document.cookie") == "a=1"
    await context.close()


async def test_without_the_episodes_cookie_nothing_is_served(chromium: Chromium) -> None:
    site = Site("closed", application=counter)
    context = await chromium.new_context((400, 300))
    page = await context.new_page()
    await site.begin(page, 1)
    stranger = await (await chromium.new_context((400, 300))).new_page()
    answer = await stranger.goto(site.url("/"))
    assert answer is not None
    assert answer.status == 404
    elsewhere = await page.goto("http://another.localhost/")
    assert elsewhere is not None
    assert elsewhere.status == 404
    for each in (context, stranger.context):
        await each.close()


async def test_a_static_site_stays_in_its_folder(chromium: Chromium, folder: Path) -> None:
    site = Site("walled", folder=folder)
    context = await chromium.new_context((400, 300))
    page = await context.new_page()
    episode = await site.begin(page, 1)
    (folder / "link.txt").symlink_to(folder.parent / "secret.txt")

    def status(path: str) -> int:
        request = Request(
            f"http://127.0.0.1:{site_server().port}{path}",
            headers={"Host": "walled.localhost", "Cookie": f"webdojo-episode={episode._key}"},
        )
        try:
            with urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except OSError as error:
            return int(getattr(error, "code", 0))

    found = {
        path: await asyncio.to_thread(status, path)
        for path in ("/", "/shop.js", "/../secret.txt", "/%2e%2e/secret.txt", "/link.txt", "/%00")
    }
    assert list(found.values()) == [200, 200, 404, 404, 404, 404], found
    await context.close()


async def test_an_application_starts_and_stops_with_its_episode(chromium: Chromium) -> None:
    events: list[str] = []

    def make() -> Any:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                while True:
                    message = await receive()
                    events.append(message["type"])
                    scope["state"]["greeting"] = "hello"
                    await send({"type": f"{message['type']}.complete"})
                    if message["type"] == "lifespan.shutdown":
                        return
            body = scope["state"]["greeting"].encode()
            start = {"type": "http.response.start", "status": 200, "headers": []}
            await send(start)
            await send({"type": "http.response.body", "body": body})

        return application

    site = Site("alive", application=make)
    context = await chromium.new_context((400, 300))
    page = await context.new_page()
    episode = await site.begin(page, 1)
    await page.goto(site.url("/"))
    assert await page.inner_text("body") == "hello"
    await context.close()
    assert episode._closing is not None
    await episode._closing
    assert events == ["lifespan.startup", "lifespan.shutdown"]


async def test_what_an_application_raises_is_told_once(
    chromium: Chromium, caplog: pytest.LogCaptureFixture
) -> None:
    def failing() -> Any:
        def application(environ: Any, start_response: Any) -> list[bytes]:
            if environ["PATH_INFO"] == "/reset":
                start_response("204 No Content", [])
                return []
            raise KeyError("quantity")

        return application

    site = Site("failing", application=failing)
    context = await chromium.new_context((400, 300))
    page = await context.new_page()
    episode = await site.begin(page, 1)
    for path in ("/order", "/again"):
        answer = await page.goto(site.url(path))
        assert answer is not None
        assert answer.status == 500
    with pytest.raises(SiteStateError, match="answered with 500"):
        await episode.state()
    (told,) = [record.getMessage() for record in caplog.records if "failing" in record.getMessage()]
    assert told.startswith("site 'failing': GET /order raised KeyError: 'quantity' (")
    assert "test_sites.py, line" in told
    await context.close()


async def test_a_site_that_refuses_to_begin_says_so(chromium: Chromium) -> None:
    def broken() -> Any:
        def application(environ: Any, start_response: Any) -> list[bytes]:
            start_response("503 Unavailable", [])
            return [b"no seed"]

        return application

    def unstartable() -> Any:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no database"})

        return application

    context = await chromium.new_context((400, 300))
    page = await context.new_page()
    with pytest.raises(UserError, match="POST /reset was answered with 503: no seed"):
        await Site("broken", application=broken).begin(page, 1)
    with pytest.raises(UserError, match="does not start: no database"):
        await Site("unstartable", application=unstartable).begin(page, 1)
    with pytest.raises(UserError, match="made None, which is no ASGI"):
        await Site("empty", application=lambda: None).begin(page, 1)
    await context.close()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "My Shop", "folder": "."}, "lower-case letters"),
        ({"name": "shop"}, "either a folder or an application"),
        ({"name": "shop", "folder": ".", "application": counter}, "either a folder or"),
        ({"name": "shop", "folder": "nowhere"}, "no folder 'nowhere'"),
        ({"name": "shop", "folder": "/"}, "is the whole disk"),
        ({"name": "shop", "folder": "/tmp/.."}, "is the whole disk"),
        ({"name": "shop", "application": lambda a, b: None}, "must be a function that makes one"),
    ],
)
async def test_mistakes_are_told(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Site(**fields)


async def test_a_page_that_is_not_there_is_told_with_the_nearest(folder: Path) -> None:
    site = Site("shop", folder=folder)
    for path in ("/", "thanks.html", "/thanks.html?from=cart#top", "/th%61nks.html"):
        assert site.url(path) == f"http://shop.localhost/{path.lstrip('/')}"
    with pytest.raises(UserError, match=r"site 'shop': there is no page '/thank\.html' in .*shop"):
        site.url("/thank.html")
    with pytest.raises(UserError, match=r"did you mean '/thanks\.html'\?"):
        site.url("thank.html?from=cart")
    with pytest.raises(UserError, match="put it there, or name one that is"):
        site.url("/quite/another/place")
    with pytest.raises(UserError, match="there is no page"):
        site.url("/../secret.txt")
    (folder / "index.html").unlink()
    with pytest.raises(UserError, match="there is no page '/'"):
        site.url()
    assert Site("shop", application=counter).url("/anything") == "http://shop.localhost/anything"


SHARING = """
from webdojo.tasks.sites import Site, share_site


def application():
    return lambda environ, start_response: []


share_site(Site("{}", application=application))
"""


async def test_two_files_do_not_share_a_site_of_one_name(write: Any) -> None:
    first = write(SHARING.format("twice-shared"), "first.py")
    second = write(SHARING.format("twice-shared"), "second.py")
    load_tasks_file(first)
    with pytest.raises(UserError) as raised:
        load_tasks_file(second)
    assert f"{second}: site 'twice-shared' is shared by {first} already" in str(raised.value)
    before = shared_site("twice-shared")
    write(SHARING.format("twice-shared") + "\n", "first.py")
    load_tasks_file(first)
    assert shared_site("twice-shared") is not before
    write(SHARING.format("shared-once"), "second.py")
    load_tasks_file(second)
    first.unlink()
    write(SHARING.format("twice-shared"), "second.py")
    load_tasks_file(second)


async def test_a_task_that_sets_no_checks_is_told(env: WebEnv) -> None:
    class Careless(EvaluatedTask):
        id = "site-tests.careless"

        async def start(self, page: Any, seed: int) -> str:
            return "Do something."

    with pytest.raises(UserError, match=r"start must set self\.checks"):
        await env.reset(Careless(), 1)


async def test_a_folder_of_pages_is_opened_with_a_last_slash(env: WebEnv, folder: Path) -> None:
    (folder / "my docs").mkdir()
    (folder / "my docs" / "index.html").write_text("<a href='page.html'>Page</a>")
    (folder / "my docs" / "page.html").write_text("<h1>Page</h1>")
    (folder / "index.html").write_text("<a href='my docs?from=home'>Docs</a>")

    class Docs(EvaluatedTask):
        id = "docs.read"
        serves = Site("docs-shop", folder=folder)

        async def start(self, page: Any, seed: int) -> str:
            await page.goto(Docs.serves.url("/"))
            self.checks = Dom(selector="h1", text="Page")
            return "Read the page."

    first = await env.reset(Docs(), 1)
    step = await env.step(click(first.view().bid("a")))
    assert step.observation.url == "http://docs-shop.localhost/my%20docs/?from=home"
    step = await env.step(click(step.observation.view().bid("a")))
    assert step.reward == 1
    answer = await env.page.goto("http://docs-shop.localhost//my docs")
    assert answer is not None
    assert answer.url == "http://docs-shop.localhost/my%20docs/"


async def _asgi(store: dict[str, str], scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        raise ValueError("none here")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": store["says"].encode()})


def _wsgi(store: dict[str, str], environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [store["says"].encode()]


STORE = {"says": "hello"}


@pytest.mark.parametrize(
    ("name", "application"),
    [
        ("asgi-partial", functools.partial(_asgi, STORE)),
        ("asgi-wrapped", lambda scope, receive, send: _asgi(STORE, scope, receive, send)),
        ("wsgi-partial", functools.partial(_wsgi, STORE)),
        ("wsgi-wrapped", lambda environ, start: _wsgi(STORE, environ, start)),
    ],
)
async def test_applications_in_wrappings_are_told_apart(
    chromium: Chromium, name: str, application: Any
) -> None:
    site = Site(name, application=lambda: application)
    context = await chromium.new_context((400, 300))
    page = await context.new_page()
    await site.begin(page, 1)
    await page.goto(site.url("/"))
    assert await page.inner_text("body") == "hello"
    await context.close()
