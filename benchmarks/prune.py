"""What pruning makes of pages, beside BrowserGym's forms of the same pages.

    python benchmarks/prune.py [--pages A,B] [--miniwob N] [--no-browsergym] [--json]

On every MiniWoB page (first page of seed 0; ``--miniwob N`` takes the first N) and on the large
real pages of benchmarks/pages.py, in the same Chromium and viewport: bytes of each text form (the
usual rule makes four bytes a token), the share of actionable elements that it keeps, milliseconds.

Actionable is what a person would take for it, whatever either library thinks: links, buttons,
fields, ARIA widgets and elements with a click attribute that have a box and are not hidden. The
floor of a page is its rendered text (``innerText``, spaces collapsed), and for each of those
elements 8 bytes and its label or value where that is no part of the rendered text.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import platform
import re
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

sys.path.insert(0, str(Path(__file__).parent))
from pages import ROOT, RealPage, served

from webdojo.envs.browser import BrowserDiedError, Chromium, find_chromium
from webdojo.envs.certification import play_oracle
from webdojo.envs.core import Step, WebEnv
from webdojo.envs.pruning import prune_html
from webdojo.envs.spec import EnvSpec
from webdojo.tasks import registry
from webdojo.tasks.miniwob.task import START, MiniWobTask
from webdojo.tasks.task import Outcome, Task

if TYPE_CHECKING:
    from playwright.async_api import Page

BROWSERGYM = ROOT / ".venv-browsergym" / "bin" / "python"
VIEWPORT = (1280, 720)
BUDGET_TOKENS = 2000
TIMES = 5
IN_VIEW_FORM = "html_visible"
"""The form of BrowserGym that drops what is out of view: set beside ours that does the same."""
ACTIONABLE = """() => Array.from(document.querySelectorAll(
  'a[href], button, input:not([type=hidden]), select, textarea, summary, [onclick],' +
  '[contenteditable=""], [contenteditable=true], ' +
  ['button', 'link', 'checkbox', 'radio', 'textbox', 'searchbox', 'combobox', 'menuitem', 'tab',
   'switch', 'slider', 'spinbutton', 'option', 'treeitem'].map(r => `[role=${r}]`).join()
)).filter(e => { const b = e.getBoundingClientRect();
  return b.width > 0 && b.height > 0 && e.tagName !== 'OPTION' && e.tagName !== 'BODY' &&
    e.checkVisibility({ visibilityProperty: true }) })"""
MEASURE = """(() => {
  const bytes = text => new TextEncoder().encode(text.replace(/\\s+/g, " ").trim()).length;
  const found = (%(actionable)s)();
  const kept = new Set(%(bids)s.map(bid => webdojo.elementOf(bid)));
  let labels = 0;
  for (const e of found) {
    const said = e.value && e.type !== "checkbox" && e.type !== "radio" && e.tagName !== "SELECT"
      && e.tagName !== "BUTTON" ? e.value : "";
    const own = (e.innerText ?? "").trim();
    labels += 8 + bytes(said || (own ? "" :
      e.getAttribute("aria-label") || e.getAttribute("placeholder") || e.title || e.alt || ""));
  }
  const images = Array.from(document.images).filter(i => i.alt && i.checkVisibility());
  const seen = bytes(document.body.innerText) + images.reduce((n, i) => n + bytes(i.alt), 0);
  return { floor: seen + labels, actionable: found.length,
    missing: found.filter(e => !kept.has(e)).map(e => e.outerHTML.slice(0, 120)),
    nodes: document.getElementsByTagName("*").length };
})()"""


class OnePage(Task):
    """A page as it is, with nothing to do on it."""

    id = "benchmark.page"
    horizon = 1
    viewport = VIEWPORT

    def __init__(self, url: str) -> None:
        self.url = url

    async def setup(self, page: Page, seed: int) -> str:
        """Open it."""
        await page.goto(self.url)
        return "Look."

    async def evaluate(self, page: Page, answer: str | None) -> Outcome:
        """Never solved."""
        return Outcome(0.0, done=False)


@dataclass
class Measured:
    """One page in all its forms; sizes in bytes of UTF-8, times in milliseconds."""

    name: str
    nodes: int
    raw: int
    floor: int
    pruned: int
    budgeted: int
    """With a budget of BUDGET_TOKENS tokens."""
    actionable: int
    kept: int
    extract_ms: float
    """In-page script, transfer, and reading the tree."""
    prune_ms: float
    in_view: int
    """Of what lies in the viewport alone."""
    offline: int
    """What pruning makes of the raw HTML, without a browser."""
    offline_ms: float
    missing: list[str] = field(default_factory=list)
    browsergym: dict[str, Any] = field(default_factory=dict)

    @property
    def to_floor(self) -> float:
        """Size beside the floor."""
        return self.pruned / self.floor if self.floor else 1.0


async def measure(env: WebEnv, task: Task, name: str, times: int) -> Measured:
    """Look at one page."""
    await env.reset(task, 0)
    raw = await env.page.evaluate("document.documentElement.outerHTML")
    extractions, prunings, offline = [], [], []
    for _ in range(times):
        begun = time.perf_counter()
        tree = (await env.page.looking.snapshot()).tree
        extracted = time.perf_counter()
        text = prune_html(tree)
        pruned = time.perf_counter()
        without = prune_html(raw)
        offline.append(time.perf_counter() - pruned)
        prunings.append(pruned - extracted)
        extractions.append(extracted - begun)
    bids = re.findall(r" bid=(\d+)", text)
    asked = MEASURE % {"actionable": ACTIONABLE, "bids": json.dumps(bids)}
    seen = await env.page.worlds.evaluate(env.page.frame_id, asked)
    budgeted = prune_html(tree, max_tokens=BUDGET_TOKENS, viewport=task.viewport)
    return Measured(
        name,
        seen["nodes"],
        len(raw.encode()),
        seen["floor"],
        len(text.encode()),
        len(budgeted.encode()),
        seen["actionable"],
        seen["actionable"] - len(seen["missing"]),
        round(1e3 * statistics.median(extractions), 2),
        round(1e3 * statistics.median(prunings), 2),
        len(prune_html(tree, around=0, viewport=task.viewport).encode()),
        len(without.encode()),
        round(1e3 * statistics.median(offline), 2),
        seen["missing"],
    )


async def measure_real(pages: list[RealPage]) -> list[Measured]:
    """Every large page."""
    spec = EnvSpec(step_timeout_s=120)
    async with Chromium() as chromium, WebEnv(chromium, spec) as env:
        return [await measure(env, OnePage(page.url), page.name, TIMES) for page in pages]


async def measure_miniwob(names: list[str]) -> list[Measured]:
    """The first page of every MiniWoB task."""
    async with Chromium() as chromium, WebEnv(chromium, EnvSpec(step_timeout_s=60)) as env:
        return [await measure(env, registry.get(name), name, 1) for name in names]


class Aiming(WebEnv):
    """Counts the elements that actions name, and those of them that the pruned HTML held."""

    aimed = kept = 0

    async def step(self, text: str) -> Step:
        """Count, then act."""
        named = re.match(r'\w+\("(\d+)"', text)
        if named:
            self.aimed += 1
            self.kept += (
                re.search(rf" bid={named[1]}[ >]", self.observation.pruned_html) is not None
            )
        return await super().step(text)


async def oracle_targets(names: list[str]) -> dict[str, int]:
    """How many targets of oracle actions there were on MiniWoB, and how many were kept."""
    async with Chromium() as chromium, Aiming(chromium, EnvSpec(step_timeout_s=60)) as env:
        for name in names:
            with contextlib.suppress(NotImplementedError, BrowserDiedError):
                await play_oracle(env, registry.get(name), 0)
        return {"targets": env.aimed, "kept": env.kept}


def beside(found: list[Measured], asked: list[dict[str, Any]]) -> None:
    """Add what BrowserGym makes of those pages that it is asked about."""
    run = subprocess.run(
        [BROWSERGYM, Path(__file__).parent / "browsergym_pages.py", str(find_chromium())],
        input="".join(json.dumps(page) + "\n" for page in asked),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answers = {answer["name"]: answer for answer in map(json.loads, run.stdout.splitlines())}
    pages = {page.name: page for page in found}
    for name in (one["name"] for one in asked):
        pages[name].browsergym = answers[name]


def question(name: str, url: str, viewport: tuple[int, int], start: str) -> dict[str, Any]:
    """A page as browsergym_pages.py is asked about it."""
    return {
        **{"name": name, "url": url, "viewport": viewport, "start": start, "seed": 0},
        "actionable": ACTIONABLE,
    }


def summary(found: list[Measured]) -> dict[str, Any]:
    """The figures that the bars are about."""
    actionable = sum(page.actionable for page in found)
    told: dict[str, Any] = {
        "pages": len(found),
        "median_to_floor": round(statistics.median(page.to_floor for page in found), 3),
        "median_of_raw": round(statistics.median(page.pruned / page.raw for page in found), 3),
        "median_bytes": statistics.median(page.pruned for page in found),
        "actionable_kept": sum(page.kept for page in found) / actionable if actionable else 1.0,
        "prune_ms_per_100kb": round(
            statistics.median(1e5 * page.prune_ms / page.raw for page in found), 2
        ),
        "offline_ms_per_100kb": round(
            statistics.median(1e5 * page.offline_ms / page.raw for page in found), 2
        ),
    }
    compared = [page for page in found if "bytes" in page.browsergym]
    if compared:
        smallest = {
            page.name: min(
                size for form, size in page.browsergym["bytes"].items() if form != IN_VIEW_FORM
            )
            for page in compared
        }
        forms = compared[0].browsergym["bytes"]
        told["browsergym"] = {
            "pages": len(compared),
            "above_its_smallest": [p.name for p in compared if p.pruned > smallest[p.name]],
            "in_view_above_its": [
                p.name for p in compared if p.in_view > p.browsergym["bytes"][IN_VIEW_FORM]
            ],
            "median_bytes": {
                form: statistics.median(p.browsergym["bytes"][form] for p in compared)
                for form in forms
            },
            "median_smallest": statistics.median(smallest.values()),
            "actionable_kept": {
                form: round(
                    sum(p.browsergym["kept"][form] for p in compared)
                    / max(1, sum(p.browsergym["actionable"] for p in compared)),
                    4,
                )
                for form in forms
            },
            "least_times_faster": min(
                (
                    round(p.browsergym["extract_ms"] / (p.extract_ms + p.prune_ms), 1)
                    for p in compared
                    if p.nodes > 1500
                ),
                default=None,
            ),
        }
    return told


def linear(html: str) -> list[dict[str, float]]:
    """Milliseconds for each 100 KB as one page's HTML is repeated, up to 5 MB."""
    body = html[html.index("<body") :].partition(">")[2].partition("</body>")[0]
    told = []
    for megabytes in (0.5, 1, 2.5, 5):
        text = body * max(1, round(megabytes * 1e6 / len(body)))
        begun = time.perf_counter()
        prune_html(text)
        took_ms = 1e3 * (time.perf_counter() - begun)
        told.append({"bytes": len(text), "ms_per_100kb": round(1e5 * took_ms / len(text), 2)})
    return told


def main() -> None:
    """Print tables, or JSON with ``--json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", help="names of real pages, with commas; all by default")
    parser.add_argument("--miniwob", type=int, help="how many MiniWoB pages; all by default")
    parser.add_argument("--no-browsergym", action="store_true", help="measure WebDojo alone")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    compare = BROWSERGYM.exists() and not options.no_browsergym
    if not compare and not options.no_browsergym:
        print("no BrowserGym; run scripts/setup-browsergym.sh", file=sys.stderr)
    with served(options.pages.split(",") if options.pages else None) as pages:
        real = asyncio.run(measure_real(pages))
        if compare:
            beside(real, [question(page.name, page.url, VIEWPORT, "") for page in pages])
    names = registry.task_ids("miniwob")[: options.miniwob]
    miniwob = asyncio.run(measure_miniwob(names)) if names else []
    if compare and miniwob:
        tasks = [registry.get(name) for name in names]
        asked = [
            question(t.id, t.url, t.viewport, START) for t in tasks if isinstance(t, MiniWobTask)
        ]
        beside(miniwob, asked)
    repeated = linear((ROOT / "build/pages/git-doc/usr/share/doc/git-doc/git-log.html").read_text())
    machine = f"{psutil.cpu_count()} cores, {platform.system()}, load {psutil.getloadavg()[0]:.1f}"
    report = {
        "machine": machine,
        "real": summary(real) if real else {},
        "miniwob": summary(miniwob) if miniwob else {},
        "oracle_targets": asyncio.run(oracle_targets(names)),
        "linear": repeated,
        "pages": [asdict(page) for page in (*real, *miniwob)],
    }
    if options.json:
        print(json.dumps(report))
        return
    print(machine)
    columns = ("nodes", "raw", "floor", "pruned", "budgeted", "actionable", "kept")
    times = ("extract_ms", "prune_ms", "offline_ms")
    print(f"{'page':22}" + "".join(f"{c:>11}" for c in (*columns, *times, "BG least", "BG ms")))
    for page in real:
        figures = [getattr(page, column) for column in (*columns, *times)]
        theirs = page.browsergym
        least = min(theirs["bytes"].values()) if "bytes" in theirs else "-"
        figures += [least, theirs.get("extract_ms", "-")]
        print(f"{page.name:22}" + "".join(f"{figure!s:>11}" for figure in figures))
    for part in ("real", "miniwob", "oracle_targets", "linear"):
        print(f"\n{part}: {json.dumps(report[part], indent=1)}")


if __name__ == "__main__":
    main()
