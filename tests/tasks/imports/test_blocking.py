"""Episodes that their sites would not have are left out of the rates, and no others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from local_pages import Page, served
from mug_shop import PAGES
from scripted_endpoint import ScriptedEndpoint
from task_rows import Write, webgym_row, write_lines

from webdojo.envs.browser import Chromium
from webdojo.envs.certification import Effort, certify
from webdojo.envs.core import Step, WebEnv
from webdojo.tasks import registry
from webdojo.tasks.evaluators import Text
from webdojo.tasks.files import load_tasks_file
from webdojo.tasks.imports.blocking import AWAY, document_in, document_of
from webdojo.tasks.imports.live import LiveTask
from webdojo.tasks.splits import Split
from webdojo.training.evaluation import evaluate
from webdojo.training.rollouts.players import WorkerSettings
from webdojo.training.rollouts.process import RolloutProcess

NOWHERE = "http://127.0.0.1:9/"
REFUSED = (403, "<title>Attention</title><p>Please verify you are human.</p>")
HONEST = {
    "": (200, "<title>Mugs</title><h1>Mugs</h1><p>Red, $12.</p><a href='forbidden'>Staff</a>"),
    "forbidden": REFUSED,
    "quoting": (200, '<title>Help</title><h1>Help</h1><p>My mug says "access denied".</p>'),
    "asked": (200, '<h1>Why does my router tell me "access denied" at night?</h1><p>Anyone?</p>'),
    "article": (200, "<h1>Verify you are human</h1><p>On captchas.</p>" + "<p>Words. " * 500),
    "hidden": (200, "<h1>Mugs</h1><div class='g-recaptcha' style='display:none'>?</div>"),
    "framed": (200, "<h1>Mugs</h1><iframe src='forbidden'></iframe>"),
    "parts": (200, "<h1>Mugs</h1><img src='forbidden'><script>fetch('forbidden')</script>"),
    "missing": (404, "<h1>Not found</h1>"),
    "gone": (410, "<h1>Gone</h1>"),
    "login": (
        200,
        "<title>Sign in</title><form><label>User <input name=u></label>"
        "<button class=g-recaptcha data-sitekey=x>Sign in</button></form>",
    ),
    "invisible": (200, "<h1>Mugs</h1><a href='.'>Red</a><button class=g-recaptcha>Buy</button>"),
    "badge": (
        200,
        "<h1>Mugs</h1><p>Red, $12.</p><div class=grecaptcha-badge style='position:fixed'>"
        "<iframe width=256 height=60 src='anchor?captcha'></iframe>"
        "<iframe src='recaptcha/api2/anchor?k=x'></iframe></div>",
    ),
    "anchor": (200, "<h1>Mugs</h1><p>$12</p><iframe src='recaptcha/api2/anchor?k=x'></iframe>"),
    "newsletter": (
        200,
        "<h1>Mugs</h1><p>Red, $12.</p><form>News <input name=mail>"
        "<div class=cf-turnstile>widget</div><button>Subscribe</button></form>",
    ),
    "shelf": (
        200,
        "<h1>Mugs</h1>" + "<a href='.'>Mug</a> " * 9 + "<div class=g-recaptcha>A comment?</div>",
    ),
    "protected": (200, "<h1>Mugs</h1><p>protected by reCAPTCHA</p>"),
    "film": (
        200,
        "<title>Films</title><h1>Access Denied - a film of 1999</h1>" + "<a href='.'>Film</a> " * 9,
    ),
}
WALLS = {
    "forbidding": REFUSED,
    "limiting": (429, "<p>Come back later</p>"),
    "closed": (451, ""),
    "robots": (200, "<title>Pardon Our Interruption</title><p>Something made us think.</p>"),
    "captcha": (200, "<p>One more thing</p><div class='h-captcha'>?</div>"),
    "captcha.button": (
        200,
        "<p>One more thing</p><form><div class=g-recaptcha>?</div><button>Go on</button></form>"
        "<a href='.'>Privacy</a>",
    ),
    "press": (
        200,
        "<title>Robot or human?</title><h1>Robot or human?</h1>"
        "<p>Activate and hold the button to confirm that you're human. Thank You!</p>",
    ),
    "characters": (
        200,
        "<title>Shop</title><h4>Enter the characters you see below</h4>"
        "<p>Sorry, we just need to make sure you're not a robot.</p><input><button>Go on</button>",
    ),
    "sure": (200, "<p>Sorry, we just need to make sure you're not a robot.</p><input>"),
    "verification": (
        405,
        "<title>Human Verification</title><h1>Let's confirm you are human</h1><p>Go on.</p>",
    ),
    "contracted": (200, "<title>One moment</title><h1>Verify you&rsquo;re human</h1>"),
    "incident": (200, "<p>Request unsuccessful. Incapsula incident ID: 877000-123</p>"),
    "incident.framed": (200, "<iframe src='/_Incapsula_Resource?x'>Request unsuccessful</iframe>"),
    "denied": (
        200,
        "<title>Access Denied - The Mug Store of Springfield</title>"
        "<h1>Access Denied - you do not have permission</h1>",
    ),
    "gateway": (502, "<title>502 Bad Gateway</title><h1>502 Bad Gateway</h1>"),
    "handshake": (525, "<title>525: SSL handshake failed</title><p>Words.</p>" * 300),
}
"""What a site shows of itself to whom it will not have."""
CHECK = (
    "<title>Just a moment...</title><p>Wait.</p>"
    "<script>document.cookie = 'human=1'; setTimeout(() => location.reload(), 20)</script>"
)


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    """A real web server with a site for each first part of the path.

    ``honest`` has pages, ``checking`` lets in who waits, sites of WALLS let nobody in, and
    ``turning-WALL-…`` lets nobody in any more once its page ``more`` was asked for.
    """
    turned = set()

    def page(path: str, query: str, cookies: str) -> tuple[int, str]:
        site, _, rest = path.strip("/").partition("/")
        if site in WALLS:
            return WALLS[site]
        if site.startswith("turning"):
            if rest == "more":
                turned.add(site)
            return WALLS[site.split("-")[1]] if site in turned else HONEST[""]
        if site == "checking" and "human=1" not in cookies:
            return 503, CHECK
        if rest == "search":
            asked = parse_qs(query)["q"][0]
            return 200, f"<title>{asked}</title><h1>{asked}</h1><p>Nothing found.</p>"
        return HONEST[rest]

    def answer(request: BaseHTTPRequestHandler) -> Page:
        parts = urlsplit(request.path)
        return *page(parts.path, parts.query, request.headers.get("Cookie", "")), {}

    with served(answer) as address:
        yield address


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def page(chromium: Chromium) -> Any:
    context = await chromium.new_context((800, 600))
    yield await context.new_page()
    await context.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("path", "shown", "plainly"),
    [
        ("forbidding/", "the page says 'verify you are human'", True),
        ("limiting/", "the site answered with status 429", True),
        ("closed/", "the site answered with status 451", True),
        ("robots/", "the page says 'Pardon Our Interruption'", True),
        ("captcha/", "the page asks for a captcha", True),
        ("honest/hidden", "", True),  # what is hidden shows only where there is a browser
        *((f"honest/{name}", "", False) for name in HONEST if name not in ("forbidden", "hidden")),
        ("captcha.button/", "the page asks for a captcha", True),
        ("press/", "the page says 'Robot or human'", True),
        ("characters/", "the page says 'Enter the characters you see below'", True),
        ("sure/", 'the page says "Sorry, we just need to make sure you\'re not a robot"', True),
        ("verification/", "the page says 'Human Verification'", True),
        ("contracted/", 'the page says "Verify you\'re human"', True),
        ("incident/", "the page says 'Request unsuccessful. Incapsula incident'", True),
        ("incident.framed/", "the page asks for a captcha", True),
        ("denied/", "the page says 'Access Denied'", True),
        ("gateway/", AWAY, True),
        ("handshake/", AWAY, True),
    ],
)
async def test_pages_that_turn_visitors_away(
    page: Any, web: str, path: str, shown: str, plainly: bool
) -> None:
    response = await page.goto(f"{web}/{path}")
    assert (await document_of(page)).refusal == shown
    assert bool(document_in(response.status, await response.text()).refusal) == plainly


class Look(LiveTask):
    id = "live-tests.look"
    allowed_origins = ("*",)

    def __init__(self, url: str) -> None:
        self.url = url

    async def start(self, page: Any, seed: int) -> str:
        self.checks = Text(value="$12")
        await self.open(page, self.url)
        return "What does a mug cost?"


async def play(env: WebEnv, web: str, begins: str, *goes: str) -> Step:
    """Go to addresses one after another, then give a wrong answer; the last step."""
    url = begins if "//" in begins else f"{web}/{begins}"
    await env.reset(Look(url), 1)
    for place in goes:
        step = await env.step(f'goto("{place if "//" in place else f"{web}/{place}"}")')
        if step.terminated:
            return step
    return await env.step('send_msg_to_user("$13")')


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "goes",
    [
        (),
        ("honest/forbidden",),
        ("honest/search?q=access+denied",),
        ("honest/missing",),
        ("honest/framed",),
        ("honest/parts",),
        ("honest/quoting",),
        ("captcha/",),
        ("forbidding/", "limiting/"),
        (NOWHERE,),
        ("about:blank",),
    ],
)
async def test_no_agent_talks_itself_out_of_a_failure(
    env: WebEnv, web: str, goes: tuple[str, ...]
) -> None:
    step = await play(env, web, "honest/", *goes)
    assert (step.blocked, step.terminated, step.reward) == (False, True, 0.0), step.message


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "begins",
    ["asked", "quoting", "hidden", "framed", "parts", "article", "login", "badge", "newsletter"],
)
async def test_an_honest_page_to_begin_on_blocks_nobody(env: WebEnv, web: str, begins: str) -> None:
    assert not (await play(env, web, f"honest/{begins}")).blocked
    assert not (await play(env, web, f"honest/{begins}", "honest/forbidden")).blocked


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "begins", [*(f"{wall}/" for wall in WALLS), NOWHERE, "honest/missing", "honest/gone"]
)
async def test_a_site_that_lets_nobody_in_is_blocked(env: WebEnv, web: str, begins: str) -> None:
    step = await play(env, web, begins)
    assert (step.blocked, step.terminated) == (True, True)
    assert step.message.startswith("blocked: ")
    assert (await play(env, web, begins, "honest/")).blocked


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("wall", WALLS)
async def test_a_site_that_begins_to_refuse_is_blocked(env: WebEnv, web: str, wall: str) -> None:
    site = f"turning-{wall}-late"
    step = await play(env, web, f"{site}/", "honest/forbidden", f"{site}/more")
    assert (step.blocked, step.terminated) == (True, True), step.message


@pytest.mark.asyncio(loop_scope="module")
async def test_a_check_that_lets_the_visitor_in_after_a_moment_blocks_nobody(
    env: WebEnv, web: str
) -> None:
    step = await play(env, web, "checking/")
    assert (step.blocked, step.terminated, step.reward) == (False, True, 0.0), step.message


@pytest.mark.asyncio(loop_scope="module")
async def test_a_network_that_goes_away_is_blocked(chromium: Chromium, env: WebEnv) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Once)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    web = f"http://127.0.0.1:{server.server_port}"
    await env.reset(Look(f"{web}/"), 1)
    server.shutdown()
    server.server_close()
    step = await env.step(f'goto("{web}/more")')
    assert (step.blocked, step.message) == (True, f"blocked: {AWAY}")


class _Once(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"Mugs")

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.slow
def test_blocked_episodes_are_counted_apart(
    write: Write, shop: str, endpoint: ScriptedEndpoint
) -> None:
    rows = [
        webgym_row(shop + path, task_id=path[1:], difficulty="easy")
        for path in ("/blocked", "/open")
    ]
    # A server that is not there is no failure of the agent's either.
    rows.append(webgym_row("http://127.0.0.1:9/", task_id="away"))
    PAGES["/open"] = PAGES["/"]
    file = write_lines(write, *rows, name="gym-blocked.jsonl")
    ids = load_tasks_file(file)
    split = Split("live", 1, ids, range(100, 110))
    with RolloutProcess(WorkerSettings(task_files=(str(file),), slots=2)) as rollouts:
        rollouts.call("open_browser")  # not in the time of the first episode
        result = evaluate(rollouts, [split], per_task=1, player="random", mode="greedy", seed=1)
    endings = {record["task_id"]: record["ending"] for record in result.records}
    assert endings["gym-blocked.blocked"] == endings["gym-blocked.away"] == "blocked"
    assert endings["gym-blocked.open"] != "blocked"
    assert result.counts["blocked"] == 2
    rate = result.splits["live"]
    assert rate is not None
    assert rate["episodes"] == 1
    assert result.tasks["live"]["gym-blocked.blocked"] is None


@pytest.mark.slow
async def test_a_row_whose_site_is_away_is_not_certified(
    write: Write, shop: str, web: str, endpoint: ScriptedEndpoint
) -> None:
    away = {
        "nobody": "http://127.0.0.1:9/",
        "broken": f"{web}/gateway/",
        "refusing": f"{web}/honest/forbidden",
        "missing": f"{web}/honest/missing",
    }
    rows = [webgym_row(url, task_id=name) for name, url in {"there": shop, **away}.items()]
    ids = load_tasks_file(write_lines(write, *rows, name="gym-certified.jsonl"))
    entries = [registry.entry(task_id) for task_id in ids]
    there, *others = await certify(entries, Effort(seeds=2, random=1, twice=1), 1)
    assert there.lost == there.fault == ""
    for found in others:
        (problem,) = found.problems
        assert problem.startswith("could not be measured: blocked: ")
    assert "/honest/missing answers 404: the page to begin on is not there" in problem
