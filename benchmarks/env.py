"""How fast an environment steps, beside what Chromium needs for the same round trips.

    python benchmarks/env.py [--contexts 1,8,16] [--episodes 10] [--json]

Plays MiniWoB's log-in (fill, fill, click) with outlines only, as rollouts do, and with a
screenshot a step. The floor is one trivial evaluation over the protocol, times the round trips
that a step cannot do without: input, time, look.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import psutil

from webdojo.envs.browser import Chromium
from webdojo.envs.core import EnvSpec, WebEnv
from webdojo.envs.screenshots import ScreenshotSpec
from webdojo.tasks import registry

TASK = "miniwob.login-user"
ROUND_TRIPS = 3


@dataclass(frozen=True)
class Figures:
    """One way of running, measured."""

    observation: str
    contexts: int
    steps_per_s: float
    """Resets counted in the time, not as steps."""
    reset_ms: float
    step_ms: float
    floor_ms: float
    """Of one step: round trips that cannot be done without, with as many contexts at once."""
    browser_cpu_ms: float
    """Processor time of browser and driver for each step."""
    mib_per_context: float
    """Proportional memory of browser and driver, shared by the contexts."""


async def measure(observation: str, spec: EnvSpec, contexts: int, episodes: int) -> Figures:
    """Play ``episodes`` episodes in each of ``contexts`` contexts at once."""
    task = registry.get(TASK)
    resets: list[float] = []
    steps: list[float] = []

    async def play(env: WebEnv, first: int) -> None:
        for seed in range(first, first + episodes):
            begun = time.perf_counter()
            seen = await env.reset(task, seed)
            resets.append(time.perf_counter() - begun)
            name, password = re.findall(r'"(.*?)"', seen.goal)
            fields = re.findall(r"\[(\d+)\]", seen.outline)
            for action in (
                f'fill("{fields[0]}", "{name}")',
                f'fill("{fields[1]}", "{password}")',
                f'click("{fields[2]}")',
            ):
                begun = time.perf_counter()
                done = await env.step(action)
                steps.append(time.perf_counter() - begun)
            assert done.reward == 1.0, done

    async with Chromium() as chromium:
        envs = [WebEnv(chromium, spec) for _ in range(contexts)]
        await together(lambda env: play(env, 0), envs)  # warm
        resets.clear()
        steps.clear()
        processor = busy_s()
        begun = time.perf_counter()
        await together(lambda env: play(env, 1000), envs)
        seconds = time.perf_counter() - begun
        processor = busy_s() - processor
        memory = sum(p.memory_full_info().pss for p in psutil.Process().children(recursive=True))
        floor = await floor_s(envs)
        await together(WebEnv.close, envs)
    return Figures(
        observation,
        contexts,
        round(len(steps) / seconds, 1),
        round(1e3 * sum(resets) / len(resets), 2),
        round(1e3 * sum(steps) / len(steps), 2),
        round(1e3 * floor, 2),
        round(1e3 * processor / len(steps), 2),
        round(memory / contexts / 2**20, 1),
    )


async def floor_s(envs: list[WebEnv], calls: int = 50) -> float:
    """Seconds that the bare round trips of one step take, with all contexts at once."""

    async def ask(env: WebEnv) -> None:
        for _ in range(calls):
            await env.page.evaluate("1")

    begun = time.perf_counter()
    await together(ask, envs)
    return ROUND_TRIPS * (time.perf_counter() - begun) / calls


async def together(work: Callable[[WebEnv], Awaitable[None]], envs: list[WebEnv]) -> None:
    """Do the same with every environment at once."""
    await asyncio.gather(*(work(env) for env in envs))


def busy_s() -> float:
    """Processor seconds of all child processes so far."""
    times = (process.cpu_times() for process in psutil.Process().children(recursive=True))
    return sum(t.user + t.system for t in times)


def main() -> None:
    """Print a table, or JSON with ``--json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contexts", default="1,8,16", help="how many at once, e.g. 1,8,16")
    parser.add_argument("--episodes", type=int, default=10, help="episodes in each context")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    specs = {
        "outline": EnvSpec(modes=("outline",)),
        "outline + jpeg": EnvSpec(modes=("outline",), screenshot=ScreenshotSpec()),
    }
    found = [
        asyncio.run(measure(name, spec, int(contexts), options.episodes))
        for contexts in options.contexts.split(",")
        for name, spec in specs.items()
    ]
    machine = f"{psutil.cpu_count()} cores, {platform.system()}, load {psutil.getloadavg()[0]:.1f}"
    if options.json:
        print(json.dumps({"machine": machine, "runs": [asdict(f) for f in found]}))
        return
    print(f"{machine}; {TASK}")
    columns = list(asdict(found[0]))
    print("  ".join(f"{column:>15}" for column in columns))
    for figures in found:
        print("  ".join(f"{value!s:>15}" for value in asdict(figures).values()))


if __name__ == "__main__":
    main()
