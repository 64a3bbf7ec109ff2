"""The asynchronous environment: one episode at a time in a context of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

from webdojo.envs import vocabulary as vocabulary  # fills the action registry
from webdojo.envs.actions import ACTIONS, Action, ActionError, parse_action
from webdojo.envs.browser import BrowserDiedError, Chromium
from webdojo.envs.observation import TEXT_MODES, Observation
from webdojo.envs.outline import to_outline
from webdojo.envs.page import SAFETY_NET_S, DrivenPage, PageScriptError
from webdojo.envs.pruning import prune, to_html
from webdojo.envs.screenshots import ScreenshotSpec

if TYPE_CHECKING:
    from webdojo.tasks.task import Outcome, Task

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EnvSpec:
    """What an environment shows, and how long it may take."""

    modes: tuple[str, ...] = ("pruned_html",)
    screenshot: ScreenshotSpec | None = None
    actions: frozenset[str] | None = None
    """Names of the verbs allowed; None allows all."""
    settle_ms: int = 500
    """Page time granted after each action."""
    step_timeout_s: float = 15.0
    """Real time after which a step counts as hung."""

    def __post_init__(self) -> None:
        unknown = set(self.modes) - set(TEXT_MODES)
        if unknown:
            raise ValueError(
                f"unknown observation mode {min(unknown)!r}; known: {', '.join(TEXT_MODES)}"
            )


@dataclass(frozen=True, slots=True)
class Step:
    """What one action led to."""

    observation: Observation
    reward: float
    terminated: bool
    truncated: bool
    message: str = ""
    """What the evaluator said; for people."""


class WebEnv:
    """Runs episodes of any task in one page of a shared Chromium.

    ``reset`` and ``step`` raise BrowserDiedError when the browser, the page or its script is gone or
    hung: the episode is lost, and the next ``reset`` starts on a fresh context. A wrong action is no
    error: it shows in ``last_action_error``.
    """

    def __init__(self, chromium: Chromium, spec: EnvSpec | None = None) -> None:
        self.spec = spec or EnvSpec()
        self._chromium = chromium
        self._page: DrivenPage | None = None
        self._page_task = ""
        self._task: Task | None = None
        self._goal = ""
        self._answer: str | None = None
        self._steps = 0
        self._over = True
        self._last: Observation | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    @property
    def page(self) -> DrivenPage:
        """The page of the running episode."""
        if self._page is None:
            raise RuntimeError("no episode: call reset first")
        return self._page

    async def reset(self, task: Task, seed: int) -> Observation:
        """Start the instance of ``task`` chosen by ``seed``."""
        self._over = True
        return await self._bounded(self._reset(task, seed), "reset")

    async def step(self, text: str) -> Step:
        """Do one action, let the page settle, look at it and judge it."""
        if self._over or self._task is None:
            raise RuntimeError("the episode is over: call reset first")
        return await self._bounded(self._step(self._task, text), "step")

    async def close(self) -> None:
        """Give the context back; closing twice is fine."""
        page, self._page = self._page, None
        self._over = True
        if page is not None:
            await page.close()

    async def _reset(self, task: Task, seed: int) -> Observation:
        page = await self._page_for(task, seed)
        async with page.clock.running(after_s=SAFETY_NET_S):
            self._goal = await task.setup(page.page, seed)
        self._task, self._page_task = task, task.id
        self._answer, self._steps, self._over, self._last = None, 0, False, None
        await page.clock.run(self.spec.settle_ms)
        return await self._observe("", "")

    async def _page_for(self, task: Task, seed: int) -> DrivenPage:
        if self._page is not None:
            if task.reuse_page and self._page_task == task.id:
                await self._page.call("restart", seed)
                await self._page.mouse_with_frames("mouseMoved", 0, 0)
                return self._page
            await self.close()
        context = await self._chromium.new_context(task.viewport)
        self._page = await DrivenPage.open(context, seed)
        return self._page

    async def _step(self, task: Task, text: str) -> Step:
        error = ""
        given_up = False
        try:
            action = parse_action(text, self.spec.actions)
            given_up = action.name == "report_infeasible"
            await self._perform(action)
        except ActionError as refused:
            error = str(refused)
        page = self.page
        await page.clock.run(self.spec.settle_ms)
        self._steps += 1
        observation = await self._observe(text, error)
        async with page.clock.running(after_s=SAFETY_NET_S):
            outcome: Outcome = await task.evaluate(page.page, self._answer)
        terminated = outcome.done or given_up
        truncated = not terminated and self._steps >= task.horizon
        self._over = terminated or truncated
        return Step(observation, float(outcome.reward), terminated, truncated, outcome.message)

    async def _perform(self, action: Action) -> None:
        spec = ACTIONS[action.name]
        if spec.perform is None:
            self._answer = str(next(iter(action.arguments.values())))
            return
        await spec.perform(self.page, **action.arguments)

    async def _observe(self, last_action: str, error: str) -> Observation:
        page = self.page
        snapshot = await page.snapshot()
        tree = prune(snapshot.tree) if snapshot.tree else None
        modes = self.spec.modes
        html = to_html(tree) if "pruned_html" in modes else ""
        outline = to_outline(tree, without=self._goal) if "outline" in modes else ""
        last = self._last
        changed = last is None or (last.url, last.pruned_html, last.outline) != (
            snapshot.url,
            html,
            outline,
        )
        image = b""
        if self.spec.screenshot is not None:
            image = await page.screenshot(
                self.spec.screenshot.image_format, self.spec.screenshot.quality
            )
            changed = changed or (last is not None and last.screenshot != image)
        self._last = Observation(
            goal=self._goal,
            url=snapshot.url,
            title=snapshot.title,
            pruned_html=html,
            outline=outline,
            screenshot=image,
            focused_element_bid=snapshot.focused,
            last_action=last_action,
            last_action_error=error,
            page_changed=changed,
            elapsed_steps=self._steps,
            boxes=snapshot.boxes() if "pruned_html" in modes else {},
        )
        return self._last

    async def _bounded(self, work: Awaitable[T], what: str) -> T:
        """Bound the time and turn every way in which a browser can die into one error."""
        from playwright.async_api import Error

        try:
            async with asyncio.timeout(self.spec.step_timeout_s):
                return await work
        except TimeoutError:
            await self._abandon()
            raise BrowserDiedError(f"{what} took over {self.spec.step_timeout_s:g} s") from None
        except (Error, PageScriptError) as error:
            await self._abandon()
            raise BrowserDiedError(f"{what}: {str(error).splitlines()[0]}") from error
        except BaseException:
            self._over = True
            raise

    async def _abandon(self) -> None:
        """Let go of a page that may never answer."""
        page, self._page = self._page, None
        self._over = True
        if page is None:
            return
        closing = asyncio.create_task(page.close())
        done: Any = await asyncio.wait([closing], timeout=2.0)
        if not done[0]:
            closing.cancel()
