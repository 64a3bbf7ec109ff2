"""The flight searches of MiniWoB++: a copy of an airline's site in a frame, served on this machine.

A page opened from a file may not look into its frames, so these are served, each airline under a
name of its own: ``http://flight-aa.localhost``.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from webdojo.tasks.miniwob.task import LEFT, START, VERDICT, html_folder
from webdojo.tasks.sites import Site
from webdojo.tasks.splits import HELD_OUT_SEEDS
from webdojo.tasks.task import Oracle, Outcome, Task

if TYPE_CHECKING:
    from playwright.async_api import Page

    from webdojo.tasks.view import PageView

# What people wrote down as the right search for an instruction is sometimes another one: another
# day, or Portland in Maine. Such a question has no right answer and is left out. What a city means
# is what it means most often.
SOUND = """held_out => {
  WOB_DATA_MODE = held_out ? "test" : "train";
  if (!window.DATA_TRAIN) return;
  const [from, to, out, back] = core.requiredFields;
  const ends = ({instruction, request}) => [
    `${instruction["Departure City"]}: ${request[from]}`,
    `${instruction["Destination City"]}: ${request[to]}`,
  ];
  const named = {};
  for (const end of [...DATA_TRAIN, ...DATA_TEST].flatMap(ends)) named[end] = (named[end] ?? 0) + 1;
  const usual = end => Object.keys(named).every(
    other => other.split(":")[0] !== end.split(":")[0] || named[other] <= named[end]);
  const meant = (date, month, day) => {
    const [m, d] = date.split("/").map(Number);
    return m === month && d === day;
  };
  const sound = question => ends(question).every(usual)
    && meant(question.request[out], question.instruction["Departure Month"],
             question.instruction["Departure Day"])
    && meant(question.request[back], question.instruction["Returning Month"],
             question.instruction["Returning Day"]);
  DATA_TRAIN = DATA_TRAIN.filter(sound);
  DATA_TEST = DATA_TEST.filter(sound);
}"""

BEGIN = """if (top === self) addEventListener("load", () => setTimeout(async () => {{
  ({sound})({held_out});
  await ({start})({seed});
}}))"""
READY = "document.getElementById('wrap').src !== '' && WOB_TASK_READY"
POLL_MS = 50
"""Page time between two looks whether the frame has loaded."""


class FlightTask(Task):
    """One flight search; the reward is 1 if every field of the form is as it was asked for.

    The page's own reward is the share of right fields, nearly all of which are right from the
    start. Seeds for training draw from the package's questions for training, held-out seeds from
    those for testing, where it has two kinds.
    """

    viewport = (560, 667)
    page_name: str
    folder: str
    """Folder of the airline's page in the package's folder ``flight``."""

    @property
    def verdict(self) -> str:  # type: ignore[override]
        """What tells how the episode stands; leaving the page ends it."""
        return f"location.href.split('#')[0] === {json.dumps(self.url)} ? ({VERDICT}) : {LEFT}"

    @property
    def url(self) -> str:
        """Where the page is."""
        return served(self.site).url(f"flight/{self.folder}/wrapper.html")

    @property
    def allowed_origins(self) -> tuple[str, ...]:  # type: ignore[override]
        """The airline's site alone."""
        return (served(self.site).origin,)

    async def setup(self, page: Page, seed: int) -> str:
        """Serve the site and start the page's own episode under ``seed``."""
        await served(self.site).begin(page, seed)
        # Started as soon as it has loaded, the page loads its frame in the time of its opening.
        held_out = json.dumps(seed in HELD_OUT_SEEDS)
        await page.add_init_script(
            BEGIN.format(sound=SOUND, start=START, seed=seed, held_out=held_out)
        )
        await page.goto(self.url)
        await page.wait_for_function(READY, polling=POLL_MS, timeout=0)
        return str(await page.evaluate("core.getUtterance()"))

    async def evaluate(self, page: Page, answer: str | None) -> Outcome:
        """Read the page's own verdict."""
        return self.judge(await page.evaluate(self.verdict), answer)

    def judge(self, value: Any, answer: str | None) -> Outcome:
        """Read what ``verdict`` found."""
        done, raw, reason = value
        return Outcome(float(done and raw >= 1), bool(done), str(reason or ""))

    def oracle(self, view: PageView) -> Oracle:
        """The solution for this page."""
        from webdojo.tasks.miniwob.oracles import ORACLES

        return ORACLES[self.page_name](view)


@cache
def served(name: str) -> Site:
    """The package's pages as the site of that name."""
    return Site(name, folder=html_folder())
