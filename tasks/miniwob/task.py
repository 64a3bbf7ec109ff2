"""MiniWoB++ tasks on the HTML that the ``miniwob`` package carries."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webdojo.tasks.errors import UserError
from webdojo.tasks.miniwob.catalogue import Side
from webdojo.tasks.task import Oracle, Outcome, Task

if TYPE_CHECKING:
    from playwright.async_api import Page

    from webdojo.tasks.view import PageView

# The clock that people see, its cover and its click marks are no part of the page to be acted on.
# The time limit is lifted: an episode is bounded by its horizon.
START = """async seed => {
  // Files may come late on a busy machine; what the page does once it is loaded comes first.
  if (document.readyState !== "complete")
    await new Promise((done) => addEventListener("pageshow", done, { once: true }));
  if (!document.getElementById("webdojo-style")) {
    const style = document.createElement("style");
    style.id = "webdojo-style";
    style.textContent =
      "#reward-display, #click-canvas, #sync-task-cover { display: none !important }";
    document.head.append(style);
  }
  document.activeElement?.blur();
  Math.seedrandom(seed);
  core.EPISODE_MAX_TIME = 2000000000;
  core.startEpisodeReal();
  window[Symbol.for("webdojo.begun")] = true;
  const said = core.getUtterance();
  return typeof said === "string" ? said : said.utterance;
}"""
SUCCESS = 0.9
"""Raw reward from which an attempt counts. Most pages give 1 or -1. A dozen give part marks: were
any positive mark a success, as in BrowserGym, an untouched colour wheel would be (about 0.65)."""
RESULT = "[WOB_DONE_GLOBAL, WOB_RAW_REWARD_GLOBAL, WOB_REWARD_REASON]"
LEFT = "[true, 0, 'the page was left']"
VERDICT = f"window[Symbol.for('webdojo.begun')] ? {RESULT} : {LEFT}"
"""Another page, or this one loaded anew, has an easier question and a verdict of its own."""


@lru_cache(maxsize=1)
def html_folder() -> Path:
    """Where the ``miniwob`` package keeps its pages; raises UserError if it is not installed."""
    spec = importlib.util.find_spec("miniwob")
    if spec is None or spec.origin is None:
        raise UserError("the package `miniwob` is not installed: pip install miniwob")
    return Path(spec.origin).parent / "html"


class MiniWobTask(Task):
    """One MiniWoB++ page; the reward is 1 if its raw reward is at least SUCCESS, else 0.

    The raw reward does not shrink with time, as the page's own displayed one does.
    """

    viewport = (332, 214)
    settles = False
    reuse_page = True
    verdict = VERDICT
    page_name: str
    """File name of the page, without ``.html``."""
    folder = "miniwob"
    settings = ""
    """JavaScript run before the page's episode."""
    side: Side = ""
    """Side of the published split."""

    @property
    def url(self) -> str:
        """Where the page is."""
        return (html_folder() / self.folder / f"{self.page_name}.html").as_uri()

    @property
    def allowed_origins(self) -> tuple[str, ...]:  # type: ignore[override]
        """The package's own folder."""
        return (html_folder().as_uri() + "/",)

    async def setup(self, page: Page, seed: int) -> str:
        """Start the page's own episode under ``seed``."""
        if page.url != self.url:
            await page.goto(self.url)
        if self.settings:
            await page.evaluate(self.settings)
        goal = await page.evaluate(START, seed)
        return " ".join(str(goal).split())

    async def evaluate(self, page: Page, answer: str | None) -> Outcome:
        """Read the page's own verdict."""
        return self.judge(await page.evaluate(self.verdict), answer)

    def judge(self, value: Any, answer: str | None) -> Outcome:
        """Read what ``verdict`` found; leaving the page ends the episode."""
        done, raw, reason = value
        return Outcome(float(done and raw >= SUCCESS), bool(done), str(reason or ""))

    def oracle(self, view: PageView) -> Oracle:
        """The solution for this page."""
        from webdojo.tasks.miniwob.oracles import ORACLES

        return ORACLES[self.page_name](view)
