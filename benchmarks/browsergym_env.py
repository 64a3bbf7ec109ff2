"""BrowserGym stepping through a MiniWoB page: run by benchmarks/env.py in BrowserGym's environment.

    .venv-browsergym/bin/python benchmarks/browsergym_env.py CHROMIUM TASK STEPS RESETS DELAYS

DELAYS is ``default`` (500 ms before each observation, and 100 ms of slow motion, as its tasks set
them) or ``zero``. A step is a click, an observation (screenshot included) and its pruned HTML. Says
``ready`` on a line, waits for a line on stdin, steps, and prints one JSON line of figures.
"""

from __future__ import annotations

import json
import re
import sys
import time
from typing import Any

import browsergym.miniwob  # type: ignore[import-not-found]  # noqa: F401 - registers its tasks
import gymnasium
import playwright.sync_api
import psutil
from browsergym.utils.obs import (  # type: ignore[import-not-found]
    flatten_dom_to_str,
    prune_html,
)


def main(executable: str, task: str, steps: int, resets: int, delays: str) -> None:
    """Measure one environment."""
    launch = playwright.sync_api.BrowserType.launch

    def launch_ours(self: playwright.sync_api.BrowserType, **options: Any) -> Any:
        # Its chat window opens a second browser, whose place no option tells.
        return launch(self, **{**options, "executable_path": executable})

    playwright.sync_api.BrowserType.launch = launch_ours  # type: ignore[method-assign]
    options: dict[str, Any] = {}
    if delays == "zero":
        options |= {"pre_observation_delay": 0.0, "slow_mo": 0}
    env = gymnasium.make(f"browsergym/{task}", disable_env_checker=True, **options)
    observation, _ = env.reset(seed=0)
    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.perf_counter()
    for seed in range(1, resets + 1):
        observation, _ = env.reset(seed=seed)
    reset_s = (time.perf_counter() - begun) / max(1, resets)
    html = prune_html(flatten_dom_to_str(observation["dom_object"]))
    bid = next(iter(re.findall(r'<input bid="(\w+)"[^>]*type="checkbox"', html)))
    began = begun = time.perf_counter()
    size = 0
    for _ in range(steps):
        observation, *_ = env.step(f'click("{bid}")')
        prune_html(flatten_dom_to_str(observation["dom_object"]))
        size += observation["screenshot"].nbytes
    ended = time.perf_counter()
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    memory = sum(process.memory_full_info().pss for process in processes)
    figures = {
        "reset_ms": round(1e3 * reset_s, 1),
        "step_ms": round(1e3 * (ended - began) / steps, 1),
        "steps": steps,
        "seconds": ended - begun,
        "mib": round(memory / 2**20, 1),
        "screenshot_bytes": size // steps,
        "error": observation["last_action_error"],
    }
    print(json.dumps(figures), flush=True)
    env.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
