"""How long a screenshot takes and how many bytes an episode of them is; and what is skipped.

    python benchmarks/screenshots.py [--tasks N] [--steps 20] [--json]

Beside Playwright's own ``page.screenshot()`` in a browser started as Playwright starts it, and raw
RGB frames; the floor is the same capture sent over the protocol alone. Then every MiniWoB task's
oracle plays an episode, waiting a step before each action: what the environment did not draw anew
because nothing had changed is drawn in full, and must be the same.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import psutil
from playwright.async_api import async_playwright

from webdojo.envs.browser import BrowserDiedError, Chromium, find_chromium
from webdojo.envs.certification import play_oracle
from webdojo.envs.core import Step, WebEnv
from webdojo.envs.screenshots import ScreenshotSpec
from webdojo.envs.spec import EnvSpec
from webdojo.tasks import registry
from webdojo.tasks.miniwob.task import START, MiniWobTask
from webdojo.tasks.task import Task

TASK = "miniwob.login-user"
TIMES = 30


async def median_ms(work: Callable[[], Awaitable[Any]], times: int = TIMES) -> float:
    """Median milliseconds of what is done again and again."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        await work()
        taken.append(time.perf_counter() - begun)
    return round(1e3 * statistics.median(taken), 2)


async def speed() -> dict[str, float]:
    """Milliseconds of one screenshot of a small page."""
    task = registry.get(TASK)
    assert isinstance(task, MiniWobTask)
    found: dict[str, float] = {}
    async with Chromium() as chromium, WebEnv(chromium, EnvSpec(step_timeout_s=60)) as env:
        await env.reset(task, 0)
        for name in ("jpeg", "webp", "png"):
            found[f"webdojo {name}"] = await median_ms(
                lambda name=name: env.page.looking.screenshot(name, 80)  # type: ignore[misc]
            )
        cdp = await env.page.page.context.new_cdp_session(env.page.page)
        asked = {"format": "jpeg", "quality": 80, "optimizeForSpeed": True}
        found["floor jpeg"] = await median_ms(lambda: cdp.send("Page.captureScreenshot", asked))
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=find_chromium(), chromium_sandbox=os.geteuid() != 0
        )
        width, height = task.viewport
        page = await browser.new_page(viewport={"width": width, "height": height})
        await page.goto(task.url)
        await page.evaluate(START, 0)
        found["playwright page.screenshot()"] = await median_ms(page.screenshot)
        await browser.close()
    found["times_faster"] = round(found["playwright page.screenshot()"] / found["webdojo jpeg"], 1)
    return found


async def bytes_of_an_episode(steps: int) -> dict[str, float]:
    """Bytes kept and moved for an episode in which each step changes the page."""
    task = registry.get("miniwob.click-checkboxes")
    task.horizon = steps + 1
    spec = EnvSpec(screenshot=ScreenshotSpec(), step_timeout_s=60)
    async with Chromium() as chromium, WebEnv(chromium, spec) as env:
        seen = [await env.reset(task, 0)]
        bids = [str(tag["bid"]) for tag in seen[0].view().all("input")]
        for number in range(steps):
            seen.append((await env.step(f'click("{bids[number % len(bids)]}")')).observation)
    kept = {observation.screenshot for observation in seen}
    raw = len(seen) * task.viewport[0] * task.viewport[1] * 3
    ours = sum(map(len, kept))
    moved = sum(len(shot.screenshot) for shot in seen)
    return {
        "steps": steps,
        "raw_rgb": raw,
        "kept": ours,
        "moved": moved,
        "times_fewer": round(raw / moved, 1),
    }


class Checked(WebEnv):
    """Waits once before each action; compares what it shows with a full picture after each step."""

    def __init__(self, chromium: Chromium) -> None:
        super().__init__(chromium, EnvSpec(screenshot=ScreenshotSpec("png"), step_timeout_s=60))
        self.told: dict[str, Any] = {"steps": 0, "not_drawn_again": 0, "wrongly": [], "lost": []}
        self.before = b""
        self.task_id = ""

    async def start(self, task: Task) -> None:
        """Play the task's oracle."""
        task.horizon *= 3
        self.task_id, self.before = task.id, b""
        try:
            await play_oracle(self, task, 0)
        except (BrowserDiedError, NotImplementedError) as left_out:
            self.told["lost"].append(f"{task.id}: {left_out}")

    async def step(self, text: str) -> Step:
        """Wait, then act."""
        waited = await self._checked("noop(1)")
        return waited if waited.terminated or waited.truncated else await self._checked(text)

    async def _checked(self, text: str) -> Step:
        done = await super().step(text)
        shown = done.observation.screenshot
        self.told["steps"] += 1
        if shown is self.before:
            self.told["not_drawn_again"] += 1
            if await self.page.looking.screenshot("png", 100) != shown:
                self.told["wrongly"].append(f"{self.task_id}: {text}")
        self.before = shown
        return done


async def skipped(names: list[str]) -> dict[str, Any]:
    """Whether what was taken for unchanged was, over oracle episodes."""
    async with Chromium() as chromium:
        async with Checked(chromium) as env:
            for name in names:
                await env.start(registry.get(name))
        return {"episodes": len(names), **env.told}


async def measure(tasks: int | None, steps: int) -> dict[str, Any]:
    """All of it."""
    return {
        "machine": f"{psutil.cpu_count()} cores, {platform.system()}",
        "ms": await speed(),
        "episode": await bytes_of_an_episode(steps),
        "skipped": await skipped(registry.task_ids("miniwob")[:tasks]),
    }


def main() -> None:
    """Print JSON, indented unless ``--json`` is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, help="how many MiniWoB tasks; all by default")
    parser.add_argument("--steps", type=int, default=20, help="steps of the episode measured")
    parser.add_argument("--json", action="store_true", help="print one line")
    options = parser.parse_args()
    report = asyncio.run(measure(options.tasks, options.steps))
    print(json.dumps(report, indent=None if options.json else 1))


if __name__ == "__main__":
    main()
