"""Plays oracle episodes and prints a hash of every observation: run in processes of its own.

    python observe.py TASKS SEEDS CONTEXTS BEFORE

plays every task of the comma-separated list with every seed, in CONTEXTS contexts at a time, each
episode after BEFORE others on the same page; prints {"task seed": [[field, hash], …] a step}.
"""

import asyncio
import dataclasses
import hashlib
import json
import sys

from webdojo.envs.browser import BrowserDiedError, Chromium
from webdojo.envs.core import WebEnv
from webdojo.envs.observation import Observation
from webdojo.envs.screenshots import ScreenshotSpec
from webdojo.envs.spec import EnvSpec
from webdojo.tasks import registry
from webdojo.tasks.view import OracleError

SPEC = EnvSpec(
    modes=("pruned_html", "outline"), screenshot=ScreenshotSpec("png"), step_timeout_s=60
)


def digest(observation: Observation) -> dict[str, str]:
    fields = dataclasses.asdict(observation)
    return {n: hashlib.sha256(repr(v).encode()).hexdigest()[:12] for n, v in fields.items()}


async def play(env: WebEnv, task_id: str, seed: int) -> list[dict[str, str]]:
    task = registry.get(task_id)
    observation = await env.reset(task, seed)
    seen = [digest(observation)]
    try:
        oracle = task.oracle(observation.view())
        action = next(oracle)
        while True:
            step = await env.step(action)
            seen.append(digest(step.observation))
            if step.terminated or step.truncated:
                break
            action = oracle.send(step.observation.view())
    except (StopIteration, NotImplementedError, OracleError, LookupError, ValueError):
        pass  # as far as the oracle comes: what it did so far is compared
    except BrowserDiedError as died:
        print(f"{task_id} {seed}, after {len(seen)} observations: {died}", file=sys.stderr)
        seen.append({"died": str(died)})
    return seen


async def main(tasks: list[str], seeds: list[int], contexts: int, before: int) -> None:
    todo = [(task, seed) for task in tasks for seed in seeds]
    found: dict[str, list[dict[str, str]]] = {}

    async def work(chromium: Chromium) -> None:
        async with WebEnv(chromium, SPEC) as env:
            while todo:
                task, seed = todo.pop()
                for other in range(before):
                    await play(env, task, 1000 + seed + other)
                found[f"{task} {seed}"] = await play(env, task, seed)

    async with Chromium() as chromium:
        await asyncio.gather(*(work(chromium) for _ in range(contexts)))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    names, numbers, width, others = sys.argv[1:]
    asyncio.run(
        main(names.split(","), [int(n) for n in numbers.split(",")], int(width), int(others))
    )
