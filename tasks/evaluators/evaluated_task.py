"""A task that is judged by evaluators, with a site of its own if it brings one."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from webdojo.tasks.errors import UserError
from webdojo.tasks.evaluators.evaluator import (
    Evaluator,
    Evidence,
    Verdict,
    check_no_site_needed,
    inner,
)
from webdojo.tasks.evaluators.recording import Recorder
from webdojo.tasks.task import Outcome, Task

if TYPE_CHECKING:
    from playwright.async_api import Page

    from webdojo.tasks.sites.episode import SiteEpisode
    from webdojo.tasks.sites.site import Site


class EvaluatedTask(Task):
    """A task whose ``start`` opens the page, says what to do, and sets ``self.checks``.

        class Buy(EvaluatedTask):
            id = "my-shop.buy"
            serves = Site("my-shop", folder=FOLDER)

            async def start(self, page, seed):
                await page.goto(self.serves.url("/"))
                self.checks = Dom(selector="#thanks")
                return "Buy a red mug."

    The episode ends with success as soon as the checks pass, and with a failure when the agent
    has answered and they do not. Checks that read the answer wait for one.
    """

    serves: ClassVar[Site | None] = None
    """A site of the task's own: a new instance of it runs for every episode."""
    checks: Evaluator
    """What must hold; set by ``start``, since it may depend on the seed."""
    at_answer: ClassVar[bool | None] = None
    """Judge only once the agent has answered; None does so where the checks read the answer."""
    episode: SiteEpisode | None = None
    """The running instance of ``serves``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.serves is not None:
            _check_site(cls.__name__, cls.serves)
            cls.site = cls.site or cls.serves.name
            cls.allowed_origins = tuple(sorted({*cls.allowed_origins, cls.serves.origin}))

    @abstractmethod
    async def start(self, page: Page, seed: int) -> str:
        """Bring ``page`` to the start, set ``self.checks``, and return the goal."""

    async def setup(self, page: Page, seed: int) -> str:
        """Start the site and the record of the episode, then the task."""
        self.shown = None
        self._recorder = Recorder()
        self._recorder.attach(page)
        self.episode = None if self.serves is None else await self.serves.begin(page, seed)
        self._goal = await self.start(page, seed)
        if not isinstance(getattr(self, "checks", None), Evaluator):
            raise UserError(
                f"task {self.id!r}: start must set self.checks to an evaluator, such as"
                ' `self.checks = Dom(selector="#done")`'
            )
        if self.episode is None:
            try:
                check_no_site_needed(self.checks)
            except ValueError as error:
                raise UserError(
                    f'task {self.id!r}: checks: {error}; give it one: serves = Site("my-shop", …)'
                ) from None
        parts = list(inner(self.checks))
        for part in parts:
            part.ready()
        self.evaluation_s = self.checks.patience_s
        self._looks = any(part.needs_screenshots for part in parts)
        if any(part.needs_bodies for part in parts):
            await self._recorder.read_bodies(page)
        return self._goal

    async def evaluate(self, page: Page, answer: str | None) -> Outcome:
        """Put the evidence before the checks."""
        if self._looks and self.shown is not None:
            await self._recorder.shoot(self.shown)
        waits = self.checks.reads_answer if self.at_answer is None else self.at_answer
        if waits and answer is None:
            return Outcome(0.0, done=False, message="no answer yet")
        evidence = Evidence(page, answer, self._goal, self._recorder, self.episode)
        verdict = await self._decide(evidence)
        done = verdict.passed or answer is not None
        return Outcome(float(verdict.passed), done, verdict.reason, undecided=verdict.undecided)

    async def _decide(self, evidence: Evidence) -> Verdict:
        patience_s = self.checks.patience_s
        try:
            async with asyncio.timeout(patience_s or None):
                return await self.checks.judge(evidence)
        except TimeoutError:
            told = f"not decided within {patience_s:g} s"
            return Verdict(False, told, undecided=True)


def _check_site(name: str, serves: object) -> None:
    from webdojo.tasks.sites.site import Site

    if not isinstance(serves, Site):
        raise UserError(
            f'class {name}: serves must be a site, such as serves = Site("my-shop", folder="shop");'
            f" it is {serves!r}"
        )
