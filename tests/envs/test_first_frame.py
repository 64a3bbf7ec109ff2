"""A page hears what is done on it even where the machine is slow to draw its first frame."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import psutil
import pytest

from webdojo.envs.browser import Chromium
from webdojo.envs.core import WebEnv
from webdojo.tasks import Outcome, Task
from webdojo.tasks.calls import call

PAGE = """<button>Go</button>
<input><p id=told></p><p id=ticks>0</p><p id=heard></p><script>
told.textContent = `${new Date().toISOString()} ${performance.now()} ${Math.random()}`;
setInterval(() => ticks.textContent++, 7);
for (const kind of ['click', 'keydown']) addEventListener(kind, (e) => heard.append(e.type, ' '))
</script>"""


class Written(Task):
    id = "first-frame.written"
    settles = False

    async def setup(self, page, seed):
        await page.set_content(PAGE)
        return "Go"

    async def evaluate(self, page, answer):
        return Outcome(0.0, done=False)


def what_draws(browser: psutil.Process) -> psutil.Process:
    """The process that draws for a browser that has just begun, as soon as it is there."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for process in browser.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if "--type=gpu-process" in process.cmdline():
                    return process
        time.sleep(0.01)
    raise AssertionError("nothing draws for this browser")


async def seen(action: str, *, stalls: bool) -> list[str]:
    """What two looks show; the process that draws for Chromium may stand still at first."""
    async with Chromium() as chromium, WebEnv(chromium) as env:
        browser = psutil.Process(await chromium.process_id())
        if stalls:
            drawing = await asyncio.to_thread(what_draws, browser)
            drawing.suspend()
            asyncio.get_running_loop().call_later(1.0, drawing.resume)
        first = await env.reset(Written(), 1)
        second = (await env.step(action)).observation
        return [first.pruned_html, second.pruned_html]


@pytest.mark.parametrize(
    ("action", "heard"),
    [(call("click", "1"), "click"), (call("press", "2", "a"), "keydown")],
)
async def test_a_first_page_that_is_drawn_late_hears_its_first_action(
    action: str, heard: str
) -> None:
    looks = await seen(action, stalls=True)
    assert heard in looks[-1]
    assert looks == await seen(action, stalls=False)
