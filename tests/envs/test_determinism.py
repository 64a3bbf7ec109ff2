"""Same seed and same actions: the same observations, screenshots included, anywhere."""

import asyncio
import base64
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from webdojo.envs.screenshots import ScreenshotSpec
from webdojo.envs.worlds import PageScriptError
from webdojo.tasks import registry
from webdojo.tasks.calls import call

SAMPLE = (
    *("miniwob.click-button", "miniwob.login-user", "miniwob.choose-list", "miniwob.click-dialog"),
    *("miniwob.click-collapsible", "miniwob.focus-text", "miniwob.click-tab"),
)


def observed(tasks: tuple[str, ...], seeds: str, contexts: int, before: int) -> dict[str, object]:
    script = Path(__file__).parent / "observe.py"
    arguments = [",".join(tasks), seeds, str(contexts), str(before)]
    done = subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def differences(one: dict[str, object], other: dict[str, object]) -> list[str]:
    told: list[str] = []
    for episode, steps in one.items():
        others = other[episode]
        if len(steps) != len(others):
            told.append(f"{episode}: {len(steps)} and {len(others)} observations")
        for place, (a, b) in enumerate(zip(steps, others, strict=False)):
            wrong = [field for field in a if a[field] != b[field]]
            if wrong:
                told.append(f"{episode}, observation {place}: {', '.join(wrong)}")
                break
    return told


def test_processes_load_and_what_ran_before_make_no_difference() -> None:
    alone = observed(SAMPLE, "1,2", 1, 0)
    crowded = observed(SAMPLE, "1,2", 4, 1)
    assert len(alone) == 2 * len(SAMPLE)
    assert differences(alone, crowded) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_task_makes_a_difference() -> None:
    tasks = registry.task_ids("miniwob")
    assert differences(observed(tasks, "1,2,3", 2, 0), observed(tasks, "1,2,3", 4, 1)) == []


@pytest.mark.asyncio(loop_scope="session")
async def test_an_animated_image_stands_still(open_page) -> None:
    """Its frames come in real time, which is another in every run."""
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "green", "blue")]
    written = io.BytesIO()
    frames[0].save(written, "GIF", save_all=True, append_images=frames[1:], duration=50, loop=0)
    image = base64.b64encode(written.getvalue()).decode()
    page = await open_page(
        f'<img src="data:image/gif;base64,{image}"><p id=count>0</p><script>'
        "setInterval(() => { count.textContent++ }, 20)</script>",
        screenshot=ScreenshotSpec("png"),
    )
    for _ in range(12):
        await asyncio.sleep(0.08)
        shown = await page.look("noop(60)")
        with Image.open(io.BytesIO(shown.screenshot)) as picture:
            assert picture.convert("RGB").getpixel((20, 20)) == (255, 0, 0)


CLOCKS = """<pre id=out></pre><script>
const report = [Date.now(), new Date().getTimezoneOffset(), Math.random(), performance.now(),
  navigator.language, crypto.randomUUID(), [...crypto.getRandomValues(new Uint8Array(4))]];
let frames = 0, ticks = 0, last = 0;
requestAnimationFrame(function frame(t) { frames++; last = t; requestAnimationFrame(frame) });
setInterval(() => { ticks++ }, 100);
addEventListener("click", () => {
  out.textContent = JSON.stringify([...report, ticks, Date.now(), performance.now(), Date()]) });
</script>"""


@pytest.mark.asyncio(loop_scope="session")
async def test_date_chance_and_timers_repeat(open_page) -> None:
    seen = []
    for seed in (7, 7, 8):
        page = await open_page(CLOCKS, seed=seed)
        await page.look("noop(1000)")
        await page.look("mouse_click(300, 300)")
        seen.append(str(await page.js("document.body.innerText")))
        await asyncio.sleep(0.1)
    assert seen[0] == seen[1] != seen[2]
    assert "1750075" in seen[0]
    assert seen[0].startswith("[") and seen[0].endswith("]")  # all of it


CLOCKED = """Date.now(), Temporal.Now.instant().epochMilliseconds,
    Temporal.Now.zonedDateTimeISO("Asia/Tokyo").epochMilliseconds,
    Date.parse(`${Temporal.Now.plainDateTimeISO()}Z`),
    Date.parse(`${Temporal.Now.plainDateISO()}T${Temporal.Now.plainTimeISO("UTC")}Z`)"""


@pytest.mark.asyncio(loop_scope="session")
async def test_all_clocks_of_a_page_tell_the_same(open_page) -> None:
    page = await open_page("<p>x")
    if not await page.js("'Temporal' in self"):
        pytest.skip("this Chromium has no Temporal")
    page.task.reuse_page = True
    times = await page.js(f"[{CLOCKED}]")
    assert times == [1750075201500] * 5
    for _ in range(2):
        await page.env.reset(page.task, 1)
        assert await page.js(f"[{CLOCKED}]") == times
        await page.env.page.clock.lend(17)
        assert await page.js(f"[{CLOCKED}]") == times


@pytest.mark.asyncio(loop_scope="session")
async def test_events_come_at_the_page_s_own_time(open_page) -> None:
    page = await open_page(
        """<button>Go</button><p id=p></p><script>
        document.querySelector("button").addEventListener("click", (event) => {
          p.textContent = [event.timeStamp === performance.now(), event.timeStamp,
            event.timeStamp === event.timeStamp];
        });
        </script>"""
    )
    went = [(await page.look(call("click", page.bid("Go")))).outline for _ in range(2)]
    assert all('text"true,' in seen for seen in went)
    assert went[0] != went[1]


@pytest.mark.asyncio(loop_scope="session")
async def test_a_page_may_put_its_own_clock_in_place_of_the_date_s(open_page) -> None:
    page = await open_page("<p>x")
    told = "[new (new Date().constructor)().getTime() - Date.now(), performance.timeOrigin]"
    assert await page.js(told) == [0, 1750075200000]
    assert await page.js("Date.now = () => 42, Date.now()") == 42
    with pytest.raises(PageScriptError, match="Illegal invocation"):
        await page.js("Event.prototype.timeStamp")


@pytest.mark.asyncio(loop_scope="session")
async def test_a_mouse_is_never_locked(open_page) -> None:
    page = await open_page(
        """<button>Lock</button><p id=p>-</p><script>
        document.querySelector("button").onclick = () =>
          document.body.requestPointerLock().catch((error) => { p.textContent = error.name });
        </script>"""
    )
    for _ in range(2):
        seen = await page.look(call("click", page.bid("Lock")))
        assert seen.last_action_error == ""
        assert "NotAllowedError" in seen.outline


@pytest.mark.asyncio(loop_scope="session")
async def test_frames_come_with_the_page_s_own_time(open_page) -> None:
    page = await open_page(
        """<p id=p></p><script>let begun, seen = [];
        const frame = t => { begun ??= t; seen.push(t - begun);
          p.textContent = [seen.length, seen[1], seen.at(-1)]; requestAnimationFrame(frame) };
        const dropped = requestAnimationFrame(() => { p.textContent = "not cancelled" });
        cancelAnimationFrame(dropped);
        requestAnimationFrame(frame);</script>"""
    )
    first = page.first.outline
    assert first == 'text"187,16,2976"'
    assert (await page.look("noop(100)")).outline == 'text"225,16,3584"'


@pytest.mark.asyncio(loop_scope="session")
async def test_styles_in_motion_are_seen_at_rest(open_page, site) -> None:
    html = """<style>div { width: 50px; height: 50px; background: red; transition: all 5s }
        .moved { margin-left: 200px } p { animation: turn 3s infinite; width: 9px }
        @keyframes turn { to { margin-left: 100px } }</style>
        <div id=d onclick="d.className = 'moved'">Move</div><p>spin</p>"""
    seen = []
    for _ in range(2):
        page = await open_page(html, screenshot=ScreenshotSpec("png"))
        moved = await page.look(call("click", page.bid("Move")))
        assert moved.boxes[page.bid("Move")][0] == 208
        seen.append(moved.screenshot)
    assert seen[0] == seen[1]


@pytest.mark.asyncio(loop_scope="session")
async def test_time_passes_only_with_actions(open_page) -> None:
    page = await open_page(
        "<p id=p></p><script>setInterval(() => {p.textContent = Date()}, 50)</script>"
    )
    now = await page.js("Date.now()")
    await asyncio.sleep(0.2)
    assert await page.js("Date.now()") == now
    observation = await page.look("noop(700)")
    assert await page.js("Date.now()") == now + 1200
    assert observation.page_time_ms == 1200
