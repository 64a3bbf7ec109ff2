import asyncio
import json

import pytest

from webdojo.envs.core import WebEnv
from webdojo.envs.spec import EnvSpec

pytestmark = pytest.mark.asyncio(loop_scope="session")

TICKS = (
    "<p id=p>0</p><script>setInterval(() => { p.textContent = +p.textContent + 1 }, 10)</script>"
)


async def test_page_time_passes_by_what_is_granted(open_page) -> None:
    page = await open_page(TICKS)
    clock = page.env.page.clock
    ticks = "+p.textContent"
    before = await page.js(ticks)
    await clock.run(200)
    assert await page.js(ticks) == before + 20
    await asyncio.sleep(0.1)
    assert await page.js(ticks) == before + 20


async def test_what_is_lent_is_given_back(open_page) -> None:
    page = await open_page("<p>x")
    clock = page.env.page.clock
    begun = await page.js("Date.now()")
    for _ in range(3):
        await clock.lend(1)
    assert await page.js("Date.now()") == begun
    await clock.run(100)
    assert await page.js("Date.now()") == begun + 100
    await clock.lend(30)
    await clock.run(17)
    assert await page.js("Date.now()") == begun + 117
    await clock.run(20)
    assert await page.js("Date.now()") == begun + 137
    await clock.lend(17)
    await clock.run(17)
    assert await page.js("Date.now()") == begun + 154


async def test_what_chromium_puts_off_beyond_a_grant_comes_before_the_run_is_over(
    open_page, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing_comes(milliseconds: int) -> None:
        assert milliseconds == 0

    page = await open_page(TICKS)
    clock = page.env.page.clock
    begun, ticks = await page.js("[Date.now(), +p.textContent]")
    await clock.lend(200)
    with monkeypatch.context() as busy:
        busy.setattr(clock, "_pass", nothing_comes)
        await clock.run(200)
    assert await page.js("[Date.now(), +p.textContent]") == [begun + 200, ticks + 20]
    await clock.run(100)
    assert await page.js("[Date.now(), +p.textContent]") == [begun + 300, ticks + 30]


TIMED = """<script>
const told = [], ids = {};
const tell = (what) => told.push([what, Date.now(), Math.floor(performance.now())].join());
function start(name) {
  const after = (wait, what) => setTimeout(tell, wait, `${name} ${what}`);
  tell(name);
  after(undefined, "at once");
  setTimeout((...given) => {
    tell(`${name} 9 ${given}`);
    Promise.resolve().then(() => tell(name + " then"));
    after(3, "9 and 3");
    after(30, "9 and 30");
  }, 9, 1, 2);
  after(12, "12");
  after(40, "40");
  requestAnimationFrame(() => tell(name + " frame"));
  requestIdleCallback(() => tell(name + " idle"));
  setTimeout(`tell("${name} as text")`, 8);
  const kept = document.createElement("i");
  kept.dataset.id = setInterval(() => { tell(name + " once"); clearInterval(kept.dataset.id) }, 4);
  ids[name] = [setInterval(tell, 7, name + " every 7"), after(11, 11), after(60, 60)];
  let count = 0;
  const five = setInterval(() => {
    if (++count === 5) clearInterval(five);
    tell(name + " every 5");
  }, 5);
}
function stop(name) {
  ids[name].forEach(clearInterval);
  tell(name + " stopped");
}
</script>"""


@pytest.mark.parametrize("frame", [False, True])
async def test_what_is_lent_is_not_noticed(open_page, frame: bool) -> None:
    """Timers come in their order, at their own times, though the browser was ahead of the page."""
    inner = "document.querySelector('iframe').contentWindow"
    told = []
    for lends in ((0, 0, 0), (17, 0, 0), (0, 17, 34), (17, 17, 17), (34, 1, 17)):
        page = await open_page(TIMED if not frame else "<iframe></iframe>")
        clock = page.env.page.clock
        if frame:
            await page.js(f"{inner}.document.write({json.dumps(TIMED)})")
        window = inner if frame else "window"
        for turn, milliseconds in enumerate(lends):
            for doing in (f"start('{turn}')", f"stop('{turn - 1}')", "0")[: 1 if not turn else 3]:
                if milliseconds:
                    await clock.lend(milliseconds)
                await page.js(f"{window}.eval({json.dumps(doing)})")
            await clock.run(53)
        await clock.run(53)
        told.append(await page.js(f"{window}.eval('told')"))
    assert len(told[0]) > 60
    for other in told[1:]:
        assert other == told[0]


MANY = {
    "at one time": "for (let i = 0; i < 600; i++) setTimeout(tell, 10, i)",
    "that await much": """(async () => { for (let i = 0; i < 12; i++) {
        await new Promise((over) => setTimeout(over));
        for (let j = 0; j < 20; j++) await j;
        tell(i) } })()""",
    "by messages": """const { port1, port2 } = new MessageChannel(); let i = 0;
        port1.onmessage = () => { tell(i); if (++i < 12) setTimeout(() => port2.postMessage(0)) };
        port2.postMessage(0)""",
    "within timers": """let i = 0;
        (function tick() { tell(i); if (++i < 12) setTimeout(tick) })()""",
    **{
        f"in an interval of {wait} ms": f"""let i = 0;
        const every = setInterval(tick, {wait});
        function tick() {{ tell(i); if (++i > 12) clearInterval(every) }}"""
        for wait in (0, 2)
    },
    "of signals": """AbortSignal.timeout(9).onabort = (e) => tell(e.target.reason.name);
        setTimeout(tell, 8, "8"); setTimeout(tell, 10, "10"); setTimeout(tell, 30, "30");
        for (let i = 0; i < 9; i++) AbortSignal.timeout(12 + i).onabort = () => tell(i)""",
    "that note down when they come": """for (let i = 0; i < 12; i++) setTimeout(() => {
        const at = performance.now(), { startTime } = performance.mark(`${i}`);
        const { duration } = performance.measure("m", `${i}`);
        performance.mark("end", { startTime: at + 7 });
        tell([startTime - at, duration, performance.measure("m", `${i}`, "end").duration,
          performance.measure("m", { start: at, duration: 3 }).startTime - at,
          performance.measure("m").duration - at].map(Math.round)) }, i * 3)""",
    "in an interval within timers": """(function tick(depth) {
        if (depth < 8) return setTimeout(tick, 0, depth + 1);
        let i = 0;
        const every = setInterval(() => { tell(i); if (++i > 12) clearInterval(every) }, 1);
        })(0)""",
}


@pytest.mark.parametrize("which", MANY)
async def test_many_timers_come_as_they_do_where_nothing_is_lent(open_page, which: str) -> None:
    told = []
    for lends in ((0, 0), (17, 0), (17, 34)):
        page = await open_page(
            f"""<script>const told = [], begun = Date.now();
            const tell = (what) => told.push([what, Date.now() - begun]);
            function start() {{ {MANY[which]} }}</script>"""
        )
        for milliseconds in lends:
            if milliseconds:
                await page.env.page.clock.lend(milliseconds)
            await page.js("start()")
            await page.env.page.clock.run(53)
        await page.env.page.clock.run(53)
        told.append(await page.js("told"))
    assert len(told[0]) >= 24
    assert told[1:] == [told[0]] * 2


async def test_a_signal_s_time_out_may_be_as_long_as_one_likes(open_page) -> None:
    page = await open_page(
        """<script>
        const long = [2 ** 31 - 1, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER];
        const signals = long.map((wait) => AbortSignal.timeout(wait));
        const refused = [Infinity, NaN, -1, 2 ** 53, undefined].filter((wait) => {
          try { AbortSignal.timeout(wait) } catch (error) { return error instanceof TypeError }
        });</script>"""
    )
    await page.look("noop(1000)")
    assert await page.js("signals.map((signal) => signal.aborted)") == [False] * 4
    assert await page.js("refused.length") == 5


@pytest.mark.parametrize(
    "tick",
    [
        "setTimeout(tick)",
        "setTimeout(tick, 1)",
        "sleep().then(tick)",
        "setTimeout(() => port2.postMessage(0))",
    ],
)
async def test_timers_that_begin_anew_at_once_hold_no_clock_up(open_page, tick: str) -> None:
    page = await open_page(
        f"""<p id=p>0</p><script>
        const sleep = async () => {{ await new Promise((over) => setTimeout(over)) }};
        const {{ port1, port2 }} = new MessageChannel();
        port1.onmessage = tick;
        function tick() {{ {tick} }}
        tick();
        setInterval(() => {{ p.textContent = +p.textContent + 1 }}, 10)</script>"""
    )
    clock = page.env.page.clock
    begun, ticks = await page.js("[Date.now(), +p.textContent]")
    for _ in range(3):
        await clock.lend(17)
        await clock.run(200)
    assert await page.js("[Date.now(), +p.textContent]") == [begun + 600, ticks + 60]


async def test_code_that_waits_on_a_standing_page_gets_its_time(open_page) -> None:
    page = await open_page(TICKS)
    playwright_page = page.env.page.page
    async with page.env.page.clock.running(after_s=0.05):
        await playwright_page.wait_for_function("+p.textContent > 200", timeout=200_000)
    stood = await page.js("+p.textContent")
    await asyncio.sleep(0.1)
    assert await page.js("+p.textContent") == stood


async def test_quick_code_moves_no_time(open_page) -> None:
    page = await open_page(TICKS)
    stood = await page.js("Date.now()")
    async with page.env.page.clock.running(after_s=30):
        await page.env.page.page.evaluate("1")
    assert await page.js("Date.now()") == stood


@pytest.mark.slow
async def test_a_task_may_use_playwright_s_own_waiting(chromium, site, page_task) -> None:
    site.pages["/"] = (
        "<button onclick=\"setTimeout(() => { p.textContent = 'done' }, 3000)\">Go</button><p id=p>"
    )

    class Waits(page_task):
        async def setup(self, page, seed):
            await super().setup(page, seed)
            await page.get_by_role("button").click()
            await page.get_by_text("done").wait_for()
            return "goal"

    async with WebEnv(chromium, EnvSpec(modes=("outline",), step_timeout_s=60)) as env:
        assert 'text"done"' in (await env.reset(Waits(site.origin + "/"), 1)).outline
