"""What pages, browsers and servers do wrong costs one episode at most, and is told in words."""

import asyncio
import os
import signal
from dataclasses import replace

import psutil
import pytest
from playwright.async_api import Page

from webdojo.envs.browser import BrowserDiedError, BrowserOptions, Chromium
from webdojo.envs.core import EVALUATE_MS, EVALUATE_WAITS_S, WebEnv
from webdojo.envs.spec import EnvSpec
from webdojo.tasks.calls import call
from webdojo.tasks.task import Outcome, Task

pytestmark = pytest.mark.asyncio(loop_scope="session")

OUTLINE = EnvSpec(modes=("outline",), step_timeout_s=60.0)


def renderers() -> int:
    return sum(
        "--type=renderer" in " ".join(process.cmdline())
        for process in psutil.Process().children(recursive=True)
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    )


async def until(condition, seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a process ends without telling
            await asyncio.sleep(0.05)


async def test_a_killed_browser_ends_all_its_episodes_and_the_next_begin_on_a_new_one(
    site, page_task
) -> None:
    site.pages["/"] = "<button>Go</button>"
    task = page_task(site.origin + "/")
    async with Chromium() as chromium:
        first, second = WebEnv(chromium, OUTLINE), WebEnv(chromium, OUTLINE)
        await first.reset(task, 1)
        await second.reset(task, 1)
        pid = await chromium.process_id()
        os.kill(pid, signal.SIGKILL)
        for env in (first, second):
            with pytest.raises(BrowserDiedError):
                await env.step("noop()")
            with pytest.raises(RuntimeError, match="call reset first"):
                await env.step("noop()")
        assert 'button"Go"' in (await first.reset(task, 1)).outline
        assert 'button"Go"' in (await second.reset(task, 2)).outline
        assert chromium.launches == 2
        await first.close()
        await second.close()
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_no_deadline_of_an_episode_runs_while_the_browser_starts(site, page_task) -> None:
    site.pages["/"] = "<p>x"
    running = []

    class Watched(Chromium):
        async def _launch(self):
            running.append(env._deadline)
            return await super()._launch()

    async with Watched() as chromium, WebEnv(chromium, OUTLINE) as env:
        await env.reset(page_task(site.origin + "/"), 1)
    assert running == [None]


async def test_a_browser_killed_during_a_step_ends_it_at_once(site, page_task) -> None:
    site.pages["/"] = "<button onclick='for(;;);'>Hang</button>"
    async with Chromium() as chromium, WebEnv(chromium, OUTLINE) as env:
        await env.reset(page_task(site.origin + "/"), 1)
        step = asyncio.create_task(env.step('click("1")'))
        await asyncio.sleep(0.3)
        os.kill(await chromium.process_id(), signal.SIGKILL)
        with pytest.raises(BrowserDiedError, match="step: "):
            await step
        assert (await env.reset(page_task(site.origin + "/"), 1)).outline


async def test_a_crashed_page_ends_its_own_episode_only(open_page) -> None:
    page, other = await open_page("<p>one"), await open_page("<p>two")
    cdp = await page.env.page.page.context.new_cdp_session(page.env.page.page)
    crash = asyncio.create_task(cdp.send("Page.crash"))
    with pytest.raises(BrowserDiedError, match="the page crashed"):
        for _ in range(50):
            await page.env.step("noop(10)")
    assert not (await other.look()).last_action_error
    assert (await page.env.reset(page.task, 1)).outline
    crash.cancel()


async def test_a_page_that_loops_for_ever_is_given_up_and_its_process_ended(open_page) -> None:
    page = await open_page("<button onclick='for(;;);'>Hang</button>")
    before = renderers()
    page.env.spec, patient = replace(page.env.spec, step_timeout_s=1.5), page.env.spec
    with pytest.raises(BrowserDiedError, match=r"step: no answer within 1\.5 s: the page hangs"):
        await page.env.step(call("click", page.bid("Hang")))
    page.env.spec = patient
    await until(lambda: renderers() < before)
    assert (await page.env.reset(page.task, 1)).outline


async def test_a_page_that_never_rests_is_observed_all_the_same(open_page) -> None:
    page = await open_page(
        """<p id=p></p><script>let n = 0;
        setInterval(() => { p.textContent = "tick " + ++n }, 1);
        const frame = () => { document.body.dataset.frames = n; requestAnimationFrame(frame) };
        frame();</script>"""
    )
    first = (await page.look("noop(1)")).outline
    assert "tick" in first
    assert (await page.look("noop(1)")).outline != first


async def test_a_page_that_writes_to_its_console_without_end_disturbs_nobody(
    chromium, site, page_task
) -> None:
    site.pages["/"] = "<button onclick='for (;;) console.log(1, 2, 3)'>Go</button>"
    site.pages["/quiet"] = "<p>quiet"
    async with WebEnv(chromium, OUTLINE) as loud, WebEnv(chromium, OUTLINE) as quiet:
        await loud.reset(page_task(site.origin + "/"), 1)
        await quiet.reset(page_task(site.origin + "/quiet"), 1)
        shouting = asyncio.create_task(loud.step('click("1")'))
        await asyncio.sleep(0.5)  # it has begun by now
        for _ in range(5):
            await quiet.step("noop(1)")
        assert not shouting.done()
        shouting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await shouting
        assert "quiet" in (await quiet.step("noop(1)")).observation.outline


@pytest.mark.slow
async def test_a_launch_cut_short_leaves_nothing() -> None:
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    for delay_s in (0.0, 0.05, 0.3):
        chromium = Chromium()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(delay_s):
                await chromium.new_context((300, 200))
        await chromium.close()
    await until(
        lambda: {process.pid for process in psutil.Process().children(recursive=True)} <= before
    )


async def test_an_interrupted_step_ends_the_episode_and_closes_its_page(open_page) -> None:
    page = await open_page("<button onclick='for(;;);'>Hang</button>")
    before = renderers()
    step = asyncio.create_task(page.env.step(call("click", page.bid("Hang"))))
    await asyncio.sleep(0.3)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    await until(lambda: renderers() < before)
    assert (await page.env.reset(page.task, 1)).outline


async def test_dialogs_are_answered_and_told(open_page) -> None:
    page = await open_page(
        """<button onclick="alert('hello'); out.textContent = confirm('sure?')
        + ' ' + prompt('name?', 'bob')">Ask</button><p id=out></p>"""
    )
    observation = await page.look(call("click", page.bid("Ask")))
    assert 'text"true bob"' in observation.outline
    assert observation.notices == (
        "the page showed an alert 'hello': closed",
        "the page showed a confirm 'sure?': accepted",
        "the page showed a prompt 'name?': accepted",
    )
    assert (await page.look()).notices == ()


async def test_a_page_that_asks_before_it_is_left_is_left(open_page, site) -> None:
    site.pages["/next"] = "<p>second page"
    page = await open_page(
        """<a href=/next>on</a><script>addEventListener("beforeunload", e => e.preventDefault())
        </script>"""
    )
    observation = await page.look(call("click", page.bid("on")))
    assert observation.url == site.origin + "/next"
    await page.env.close()


async def test_forbidden_addresses_are_refused_and_told(open_page, site) -> None:
    site.pages["/secret"] = "<p>secret"
    other = site.other_origin()
    page = await open_page(
        f"<a href='{other}/secret'>out</a><a href='file:///etc/passwd'>file</a>"
        f"<img src='{other}/i'>"
    )
    observation = await page.look(call("click", page.bid("out")))
    assert observation.url == site.origin + "/"
    assert observation.notices == (
        f"the page wanted to open {other}/secret, which is outside this task: refused",
    )
    for url in (other + "/secret", "file:///etc/passwd", "file://" + __file__):
        observation = await page.look(call("goto", url))
        assert f"goto: {url} is outside this task" in observation.last_action_error
        assert observation.url == site.origin + "/"
    await page.look(call("click", page.bid("file")))
    assert (await page.look()).url == site.origin + "/"
    assert "/secret" not in site.asked
    assert "/i" not in site.asked


async def test_redirects_do_not_lead_out(open_page, site) -> None:
    site.redirects["/away"] = site.other_origin() + "/secret"
    page = await open_page("<a href=/away>away</a>")
    observation = await page.look(call("click", page.bid("away")))
    assert observation.url == site.origin + "/"
    assert "outside this task" in observation.notices[0]
    assert "/secret" not in site.asked


async def test_scripts_cannot_reach_out(open_page, site) -> None:
    other = site.other_origin()
    page = await open_page(
        f"""<p id=p>waiting</p><script>
        fetch("{other}/stolen").catch(() => 0).then(() => new Promise(done => {{
          const socket = new WebSocket("{other.replace("http", "ws")}/socket");
          socket.onerror = socket.onopen = done;
        }})).catch(e => e).then(() => {{ p.textContent = "refused" }});</script>"""
    )
    observation = await page.look("noop(500)")
    for _ in range(200):  # a socket is refused in real time
        if 'text"refused"' in observation.outline:
            break
        await asyncio.sleep(0.05)
        observation = await page.look("noop(1)")
    assert 'text"refused"' in observation.outline
    assert not {"/stolen", "/socket"} & set(site.asked)


async def test_a_redirect_loop_is_told(open_page, site) -> None:
    site.redirects["/loop"] = "/loop"
    page = await open_page("<p>start")
    observation = await page.look(call("goto", site.origin + "/loop"))
    assert "did not open" in observation.last_action_error
    assert (await page.look(call("goto", site.origin + "/"))).last_action_error == ""


async def test_a_server_error_is_a_page_like_any_other(open_page, site) -> None:
    page = await open_page("<a href=/broken>on</a>")
    observation = await page.look(call("click", page.bid("on")))
    assert observation.url == site.origin + "/broken"
    assert "500" in observation.outline


@pytest.mark.slow
async def test_a_stalling_server_holds_nothing_up_for_long(open_page, site) -> None:
    page = await open_page(
        "<button onclick=\"fetch('/stall')\">Fetch</button><a href=/stall-page>on</a>",
        step_timeout_s=10.0,
    )
    observation = await page.look(call("click", page.bid("Fetch")))
    assert "still loading" in observation.notices[0]
    observation = await page.look(call("click", page.bid("on")))
    assert observation.url == site.origin + "/"
    observation = await page.look(call("goto", site.origin + "/stall-again"))
    assert "did not open" in observation.last_action_error


async def test_a_late_answer_is_waited_for(open_page, site) -> None:
    site.pages["/late"] = "<p>worth waiting for"
    page = await open_page("<a href=/late>on</a>")
    assert "worth waiting for" in (await page.look(call("click", page.bid("on")))).outline


async def test_a_strict_content_security_policy_is_no_hindrance(open_page, site) -> None:
    site.headers["/"] = {"Content-Security-Policy": "default-src 'none'; sandbox allow-scripts"}
    page = await open_page("<button>Go</button><script>document.title = 'ran'</script>")
    assert 'button"Go"' in page.first.outline
    assert page.first.title == "Test"
    assert not (await page.look(call("click", page.bid("Go")))).last_action_error


async def test_a_download_is_kept_and_told(open_page, site) -> None:
    site.pages["/file"] = "content"
    site.headers["/file"] = {"Content-Disposition": 'attachment; filename="a.bin"'}
    page = await open_page("<a href=/file>get</a>")
    observation = await page.look(call("click", page.bid("get")))
    assert observation.notices == ("the page gave the file 'a.bin' of 7 bytes",)
    assert observation.url == site.origin + "/"


async def test_a_deep_page_is_read(open_page) -> None:
    page = await open_page(
        """<div id=top></div><script>let at = top_ = document.getElementById("top");
        for (let i = 0; i < 1000; i++) at = at.appendChild(document.createElement("div"));
        at.innerHTML = "<button onclick='this.textContent = 1'>Deep</button>";</script>"""
    )
    assert 'button"Deep"' in page.first.outline
    assert "Deep" in page.first.pruned_html
    assert 'button"1"' in (await page.look(call("click", page.bid("Deep")))).outline


async def test_a_page_of_twenty_thousand_nodes_is_read(open_page) -> None:
    page = await open_page(
        """<script>document.body.innerHTML =
        Array.from({length: 10000}, (_, i) => `<p><a href="#${i}">link ${i}</a></p>`).join("")
        </script>"""
    )
    assert 'link"link 9999"' in page.first.outline


class Broken(Task):
    id = "test.broken"

    def __init__(self, url: str) -> None:
        self.url = url

    async def setup(self, page: Page, seed: int) -> str:
        await page.goto(self.url)
        if seed == 0:
            raise ZeroDivisionError("a task's own mistake")
        return "goal"

    async def evaluate(self, page: Page, answer: str | None) -> Outcome:
        return Outcome(float(await page.evaluate("verdict()")), done=True)


async def test_a_mistake_of_the_task_is_its_author_s_to_see(chromium, site) -> None:
    site.pages["/"] = "<p>x"
    async with WebEnv(chromium, OUTLINE) as env:
        with pytest.raises(ZeroDivisionError):
            await env.reset(Broken(site.origin + "/"), 0)
        await env.reset(Broken(site.origin + "/"), 1)
        step = await env.step("noop(1)")
        assert (step.reward, step.terminated) == (0.0, False)
        assert "evaluate failed: " in step.message


class Awaiting(Task):
    """Judged by an element that only the first page has."""

    id = "test.awaiting"

    def __init__(self, url: str) -> None:
        self.url = url

    async def setup(self, page: Page, seed: int) -> str:
        await page.goto(self.url)
        if seed == 1:
            page.set_default_timeout(100)
        return "goal"

    async def evaluate(self, page: Page, answer: str | None) -> Outcome:
        return Outcome(float(await page.locator("output").text_content() == "done"), done=True)


@pytest.mark.parametrize("seed", [0, 1])
async def test_an_agent_that_leaves_what_is_judged_has_not_lost_its_page(
    chromium, site, seed
) -> None:
    site.pages["/"] = "<a href=/away>away</a><output></output>"
    site.pages["/away"] = "<p>nothing to judge"
    async with WebEnv(chromium, OUTLINE) as env:
        await env.reset(Awaiting(site.origin + "/"), seed)
        step = await env.step('click("1")')
        assert (step.reward, step.terminated, step.truncated) == (0.0, False, False)
        waited_ms = 100 if seed == 1 else EVALUATE_WAITS_S * 1000
        assert f"evaluate failed: Locator.text_content: Timeout {waited_ms:g}ms" in step.message
        assert not (await env.step("go_back()")).truncated


@pytest.mark.slow
async def test_an_evaluator_s_wait_takes_the_same_page_time_always(chromium, site) -> None:
    site.pages["/"] = "<a href=/away>away</a><output></output>"
    site.pages["/away"] = "<p id=p>0</p><script>setInterval(() => { p.textContent++ }, 50)</script>"
    told = []
    for wait_s in (5, 2.5):
        async with WebEnv(chromium, replace(OUTLINE, step_timeout_s=3 * wait_s)) as env:
            await env.reset(Awaiting(site.origin + "/"), 0)
            step = await env.step('click("1")')
            assert f"Timeout {wait_s * 1000:g}ms" in step.message
            after = await env.step('click("1")')
            told.append((step.observation, after.observation))
    assert told[0] == told[1]
    before, after = told[0]
    assert after.page_time_ms == before.page_time_ms + EVALUATE_MS + 500


async def test_nothing_is_left_behind(site, page_task) -> None:
    site.pages["/"] = "<p>x"
    chromium = Chromium()
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    envs = [WebEnv(chromium, OUTLINE) for _ in range(3)]
    for env in envs:
        await env.reset(page_task(site.origin + "/"), 1)
        await env.reset(page_task(site.origin + "/"), 2)
    browser = chromium._browser
    assert browser is not None
    assert len(browser.contexts) == 3
    for env in envs:
        await env.close()
        await env.close()
    assert browser.contexts == []
    await chromium.close()
    await chromium.close()
    await until(
        lambda: {process.pid for process in psutil.Process().children(recursive=True)} <= before
    )


async def test_a_page_that_eats_memory_is_ended_and_said_to(site, page_task) -> None:
    site.pages["/"] = """<button onclick="setInterval(() => { for (let i = 0; i < 20; i++)
      held.push(new Uint8Array(1 << 20).fill(7)) }, 10)">Eat</button><script>held = []</script>"""
    task = page_task(site.origin + "/")
    options = BrowserOptions(renderer_memory_mib=500)
    async with Chromium(options) as chromium, WebEnv(chromium, OUTLINE) as env:
        await env.reset(task, 1)
        with pytest.raises(BrowserDiedError, match="held more than 500 MiB of memory"):
            await env.step('click("1")')
            for _ in range(30):
                await env.step("noop(1000)")
        assert (await env.reset(task, 1)).outline


async def test_a_server_that_cuts_the_connection_is_told(open_page, site) -> None:
    page = await open_page("<a href=/cut>on</a>")
    observation = await page.look(call("goto", site.origin + "/cut"))
    assert "did not open" in observation.last_action_error
    assert (await page.look(call("goto", site.origin + "/"))).last_action_error == ""


async def test_a_page_that_writes_itself_anew_each_frame_is_seen_and_used(open_page) -> None:
    page = await open_page(
        """<div id=d></div><button onclick="stop = true">Stop</button><script>
        let n = 0, stop = false;
        const draw = () => { d.innerHTML = `<p>frame ${++n}</p>`.repeat(50);
          if (!stop) requestAnimationFrame(draw) }; draw()</script>"""
    )
    step = await page.env.step("noop(1)")
    assert step.unsettled == "changes"
    assert "frame" in step.observation.outline
    await page.look(call("click", page.bid("Stop")))
    assert (await page.env.step("noop(1)")).unsettled == ""
