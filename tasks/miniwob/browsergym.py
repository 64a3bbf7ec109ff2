"""The suite ``browsergym-miniwob``: MiniWoB++ as BrowserGym plays it, to compare figures with.

For the same seed the same instance, goal and reward as ``browsergym-miniwob`` 0.14, and ten actions
for every page. What differs from the suite ``miniwob``: the page's own goal is hidden, any raw
reward above zero counts as success, and leaving the page, for another tab too, ends the episode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webdojo.tasks.miniwob.catalogue import Page, pages
from webdojo.tasks.miniwob.task import RESULT, START, MiniWobTask, html_folder
from webdojo.tasks.task import Check, Outcome

if TYPE_CHECKING:
    from playwright.async_api import Page as BrowserPage

HORIZON = 10
UNSOLVED = {
    **dict.fromkeys(
        (
            *("book-flight", "book-flight-nodelay", "choose-date", "choose-date-nodelay"),
            *("click-checkboxes-large", "draw-circle", "hot-cold", "number-checkboxes"),
            "stock-market",
        ),
        "ten actions are too few for some instances or all",
    ),
    "search-engine": "its results are links to #, which counts as leaving the page",
}
"""Pages that these rules keep an oracle from solving always."""
_BOXES = "each box that is as it should be earns its part of the marks, ticked or not"
PART_MARKS = {
    "click-checkboxes": _BOXES,
    "click-checkboxes-large": _BOXES,
    "click-checkboxes-soft": _BOXES,
    "click-checkboxes-transfer": _BOXES,
    "drag-shapes-2": "most shapes on their side of the line earn part of the marks",
    "find-greatest": "any card that is turned up earns a tenth of the marks",
    "odd-or-even": "each number that is marked rightly earns its part of the marks",
    "phone-book": "the right person's wrong field earns part of the marks, as does the right field"
    " of a wrong person",
    "right-angle": "an angle that is less than 45° off earns part of the marks",
}
"""Pages on which a wrong solution may earn some of the marks, any of which count here."""
_INSIDE = "the button may cover the middle of what holds it: who clicks that clicks the button"
MUTABLE = {
    "click-collapsible": _INSIDE,
    "click-collapsible-nodelay": _INSIDE,
    "unicode-test": "two buttons may have the label that the goal names: either is right",
    "highlight-text": "a marking that ends below the paragraph takes in all of it",
}
"""Pages on which a changed solution may be as right; the other suite's instances do not show it."""
PAGE_SEEDS = range(1_000_000)
"""BrowserGym draws the page's seed from these, by NumPy's generator under the episode's."""
# BrowserGym empties the goal's place on the page. Here it is only hidden: pages read it again. An
# icon and a patch of colour in a goal become words, as they do there.
GOAL = """() => {
  const query = document.getElementById("query");
  query.style.visibility = "hidden";
  const [name] = location.pathname.split("/").slice(-1);
  if (name === "click-menu-2.html" && query.children.length) {
    const [before, icon, after] = query.childNodes;
    return `${before.textContent} "${icon.className.split(" ")[1]}" ${after.textContent}`;
  }
  if (name === "use-colorwheel-2.html") {
    const [before, patch, after] = query.children;
    const parts = patch.style.backgroundColor.match(/\\d+/g).map(Number);
    const hex = parts.map((part) => part.toString(16).padStart(2, "0")).join("");
    return `${before.textContent} #${hex} ${after.textContent}`;
  }
  const said = core.getUtterance();
  return typeof said === "string" ? said : said.utterance;
}"""


class BrowserGymTask(MiniWobTask):
    """One MiniWoB++ page under BrowserGym's rules; the reward is 1 if the raw one is above 0."""

    horizon = HORIZON
    page_seeds = PAGE_SEEDS
    verdict = f"[location.href, ...(window.core ? {RESULT} : [true, 0, ''])]"

    async def setup(self, page: BrowserPage, seed: int) -> str:
        """Start the instance that BrowserGym gives under ``seed``."""
        if page.url != self.url:
            await page.goto(self.url)
        await page.evaluate(START, page_seed(seed))
        return " ".join(str(await page.evaluate(GOAL)).split())

    async def evaluate(self, page: BrowserPage, answer: str | None) -> Outcome:
        """Read the page's own verdict; another tab than the page's own ends the episode."""
        if len(page.context.pages) > 1:
            return Outcome(0.0, True, "the page was left for another tab")
        return self.judge(await page.evaluate(self.verdict), answer)

    def judge(self, value: Any, answer: str | None) -> Outcome:
        """Read what ``verdict`` found; another address than the page's own ends the episode."""
        address, done, raw, reason = value
        if address != self.url:
            place = str(address).removeprefix(html_folder().as_uri() + "/")
            return Outcome(0.0, True, f"the page was left for {place}")
        return Outcome(float(raw > 0), bool(done), str(reason or ""))


def page_seed(seed: int) -> int:
    """The seed that BrowserGym hands to the page."""
    import numpy as np  # heavier than all else here, and needed only to play

    return int(np.random.RandomState(seed).randint(0, PAGE_SEEDS.stop))


def _task_class(page: Page) -> type[BrowserGymTask]:
    name = "".join(part.capitalize() for part in page.name.split("-"))
    reason: dict[Check, str] = dict(page.caveats)
    if page.name in MUTABLE | PART_MARKS:
        reason["mutated"] = (MUTABLE | PART_MARKS)[page.name]
    if page.name in UNSOLVED:
        reason["oracle"] = UNSOLVED[page.name]
    fields = {
        "__doc__": f"MiniWoB++ page {page.name} as BrowserGym plays it.",
        "__module__": __name__,
        "id": f"browsergym-miniwob.{page.name}",
        "page_name": page.name,
        "same_pages_as": f"miniwob.{page.name}",
        "group": page.group,
        "side": page.side,
        "difficulty": page.difficulty,
        "reuse_page": False,
        "caveats": reason,
    }
    return type(name, (BrowserGymTask,), fields)


TASKS: list[type[BrowserGymTask]] = [_task_class(page) for page in pages() if page.side]
"""Every page of the published split, by name."""
