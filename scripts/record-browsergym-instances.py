"""Record which instances BrowserGym's MiniWoB gives, for the test that compares ours with them.

    scripts/setup-browsergym.sh
    .venv-browsergym/bin/python scripts/record-browsergym-instances.py CHROMIUM

Writes ``tests/tasks/miniwob/browsergym_instances.json``: the goal, and a digest of all that is
drawn, on every page for two seeds, as BrowserGym's own task classes set them up. Where two
recordings of one seed differ, the page draws by the clock, and the goal alone is kept.
"""

from __future__ import annotations

import hashlib
import json
import sys
from importlib.util import find_spec
from pathlib import Path

from browsergym.miniwob import ALL_MINIWOB_TASKS
from playwright.sync_api import Browser, sync_playwright

SEEDS = (0, 1_000_000_000)
FIXTURE = Path(__file__).parent.parent / "tests/tasks/miniwob/browsergym_instances.json"
AREA = "document.getElementById('area').innerHTML.replace(/\\s+/g, ' ').trim()"


def main() -> None:
    """Record every page under every seed, twice."""
    origin = find_spec("miniwob").origin
    pages = (Path(origin).parent / "html" / "miniwob").as_uri() + "/"
    rows = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=sys.argv[1], args=["--no-sandbox", "--headless"]
        )
        for task_class in ALL_MINIWOB_TASKS:
            for seed in SEEDS:
                goal, area = _set_up(browser, task_class, seed, pages)
                again = _set_up(browser, task_class, seed, pages)
                name = task_class.get_task_id().removeprefix("miniwob.")
                if (goal, area) != again:
                    print(f"{name}: drawn by the clock", file=sys.stderr)
                rows.append([name, seed, goal, area if area == again[1] else ""])
        browser.close()
    lines = ",\n".join(json.dumps(row) for row in rows)
    FIXTURE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{len(rows)} instances of {len(ALL_MINIWOB_TASKS)} pages in {FIXTURE}")


def _set_up(browser: Browser, task_class: type, seed: int, pages: str) -> tuple[str, str]:
    task = task_class(seed, base_url=pages)
    page = browser.new_page(viewport=task.viewport)
    goal, _ = task.setup(page)
    text = page.evaluate(AREA)
    page.close()
    return " ".join(goal.split()), hashlib.sha256(text.encode()).hexdigest()[:12]


if __name__ == "__main__":
    main()
