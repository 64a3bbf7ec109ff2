"""The task contract: what is to be done on a page, and how success is judged."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from playwright.async_api import Page

    from webdojo.tasks.view import PageView

MOST_ACTIONS = 10_000
"""The longest horizon."""
MOST_PX = 10_000
"""The widest and highest viewport."""
ID = re.compile(r"[a-z0-9][a-z0-9-]*\.[a-z0-9][a-z0-9-]*")
ID_RULE = '"suite.name" in lower case with hyphens, such as "my-shop.buy"'
Difficulty = Literal["easy", "medium", "hard"]
Check = Literal["oracle", "mutated", "deterministic", "targets", "goals"]
"""Checks of the certification that a task may give a reason for not passing in full."""
Oracle = Generator[str, "PageView", None]
"""Yields one action call after another; each ``yield`` gives back the page after that action."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an evaluation found.

    ``reward`` lies in [0, 1]; ``done`` says that nothing the agent could still do changes it;
    ``message`` is for people (why it failed), never shown to the agent. ``blocked`` says that the
    site would not have the agent (a captcha, say), ``undecided`` that whoever judges could not be
    had (a model that is away, say): an episode that ends so is counted apart, never as a failure.
    """

    reward: float
    done: bool
    message: str = ""
    blocked: bool = False
    undecided: bool = False


class ShownTab(Protocol):
    """A tab as the agent is shown it."""

    @property
    def url(self) -> str:
        """Its address."""

    async def screenshot(self, image_format: Literal["jpeg", "webp", "png"], quality: int) -> bytes:
        """Its viewport, one pixel a CSS pixel.

        Playwright's own screenshot waits for frames that a page whose clock stands never has.
        """


class Task(ABC):
    """One web task. An instance of it is chosen by a seed.

    A subclass names itself, opens its page, and judges the result:

        class Buy(Task):
            id = "my-shop.buy"

            async def setup(self, page, seed):
                await page.goto(SHOP)
                return "Buy a red mug."

            async def evaluate(self, page, answer):
                return Outcome(float(await page.locator("#thanks").count()), done=True)

    ``id`` is ``suite.name`` in lower case, with hyphens. ``horizon`` counts actions.
    """

    id: str
    difficulty: Difficulty = "easy"
    horizon: int = 10
    viewport: tuple[int, int] = (1280, 720)
    """Width and height of the page in CSS pixels."""
    allowed_origins: tuple[str, ...] = ()
    """Origins the page may reach, e.g. ``http://localhost:8000`` or ``file:///srv/site/``; ``*`` is
    the whole web."""
    verdict: str = ""
    """JavaScript expression that ``judge`` can decide by. It must only read the page. Where a task
    has one, it is asked together with the look at the page, which saves a round trip a step, and
    ``evaluate`` is used only where the page's first tab is not the one shown."""
    group: str = ""
    """Similarity group: who knows one of its tasks knows them all. Empty: the task stands alone."""
    site: str = ""
    """Name of the site that the task plays on, where others play on it too."""
    other_sites: tuple[str, ...] = ()
    """Names of further sites that it plays on; of a split by sites it belongs to each of them."""
    same_pages_as: str = ""
    """Id of the task whose pages it shows, for the same seed of the page the same one."""
    page_seeds: range | None = None
    """All seeds that its pages are ever given, where those are not the episodes' own: seeds for
    training and held-out ones then open the same pages, and nobody may train on it."""
    caveats: Mapping[Check, str] = MappingProxyType({})
    """Checks of the certification that this task cannot pass in full, each with the reason."""
    evaluation_s: float = 0.0
    """Real time that ``evaluate`` may take beyond a step's own, where it asks another machine."""
    shown: ShownTab | None = None
    """The tab that the agent is shown while ``evaluate`` runs, which is given the first one."""
    settles: bool = True
    """Whether a look waits until the page stops changing, within bounds; False for pages that play
    on by themselves, where every moment counts."""
    reuse_page: bool = False
    """True if ``setup`` can start afresh on a page it set up before, leaving no trace of it."""

    @property
    def suite(self) -> str:
        """The part of the id before the first dot."""
        return self.id.split(".", 1)[0]

    @classmethod  # noqa: B027 - most tasks need nothing
    def ready(cls) -> None:
        """Raise UserError if something is missing that every instance needs: a judge, the network.

        Asked before a run or an evaluation begins.
        """

    @abstractmethod
    async def setup(self, page: Page, seed: int) -> str:
        """Bring ``page`` to the start of the instance chosen by ``seed``; return the goal."""

    @abstractmethod
    async def evaluate(self, page: Page, answer: str | None) -> Outcome:
        """Judge the page after an action; ``answer`` is what the agent last told the user."""

    def judge(self, value: Any, answer: str | None) -> Outcome:
        """Judge by the JSON value of ``verdict``."""
        raise NotImplementedError(f"task {self.id!r} has a verdict and no judge")

    def oracle(self, view: PageView) -> Oracle:
        """Yield the actions of a correct solution, reading only the goal and the page."""
        raise NotImplementedError(f"task {self.id!r} has no oracle")
