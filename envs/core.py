"""The asynchronous environment: one episode at a time in a context of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from webdojo.envs.actions import ACTIONS, COORDINATES, Action, ActionError, parse_action
from webdojo.envs.browser import BrowserDiedError, Chromium
from webdojo.envs.observation import Observation
from webdojo.envs.observer import Observer
from webdojo.envs.origins import Origins
from webdojo.envs.page import SAFETY_NET_S, DrivenPage
from webdojo.envs.page_reuse import PageReuse
from webdojo.envs.replay import ReplayError, catch_up, play
from webdojo.envs.snapshot import Snapshot
from webdojo.envs.spec import EnvSpec
from webdojo.envs.tabs import MAX_TABS, Tabs
from webdojo.envs.worlds import PageScriptError
from webdojo.tasks.task import Outcome

if TYPE_CHECKING:
    from webdojo.tasks.task import Task

T = TypeVar("T")

SETTLE_STEP_MS = 250
"""Page time between two looks at a page that is not at rest."""
CLOSE_TIMEOUT_S = 2.0
"""Real time in which a lost page must have closed."""
EVALUATE_WAITS_S = 5.0
"""Real time that an evaluator's look waits for an element unless its task says otherwise. It is
less than a step has: an element that is gone is no success, and no page that hangs."""
EVALUATE_PART = 1 / 3
"""How much of a step's time it may take where that is less."""
EVALUATE_MS = 3500
"""Page time that passes once an evaluator has waited: fixed, or what comes next would be chance."""
PLAYWRIGHT_WAITS_S = 30.0
"""What Playwright's own looks and navigations wait."""


class NoEpisodeError(RuntimeError):
    """No episode has begun, or it is over."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one action led to."""

    observation: Observation
    reward: float
    terminated: bool
    truncated: bool
    message: str = ""
    """What the evaluator said; for people."""
    blocked: bool = False
    """Whether the site would not have the agent, so that the episode says nothing about it."""
    unsettled: str = ""
    """What was still going on when the page was looked at: ``loading``, ``timers``, ``changes`` or
    nothing."""
    refused: tuple[str, ...] = ()
    """Addresses, or host and port, that the page asked for since the last step and did not get."""
    downloads: tuple[Path, ...] = ()
    """Files that the page has given in this episode; they go with it."""
    undecided: bool = False
    """Whether whoever judges could not be had, so that the reward says nothing about the agent."""


class WebEnv:
    """Runs episodes of any task in one page of a shared Chromium.

    ``reset`` and ``step`` raise BrowserDiedError when the browser, the page or its script is gone
    or hung: the episode is lost, and the next ``reset`` starts on a fresh context. A wrong action
    is no error: it shows in ``last_action_error``.
    """

    def __init__(self, chromium: Chromium, spec: EnvSpec | None = None) -> None:
        self.spec = spec or EnvSpec()
        self._chromium = chromium
        self._tabs: Tabs | None = None
        self._reuse = PageReuse()
        self._observer: Observer | None = None
        self._deadline: asyncio.Timeout | None = None
        self._lost = ""
        self._task: Task | None = None
        self._answer: str | None = None
        self._steps = 0
        self._over = True
        self._seed = 0
        self._done: list[str] = []
        self._hashes: list[str] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    @property
    def page(self) -> DrivenPage:
        """The tab that the running episode shows."""
        return self.tabs.active

    @property
    def tabs(self) -> Tabs:
        """All tabs of the running episode."""
        if self._tabs is None:
            raise NoEpisodeError("no episode: call reset first")
        return self._tabs

    @property
    def observation(self) -> Observation:
        """What was observed last."""
        if self._observer is None or self._observer.last is None:
            raise NoEpisodeError("no episode: call reset first")
        return self._observer.last

    async def reset(self, task: Task, seed: int) -> Observation:
        """Start the instance of ``task`` chosen by ``seed``."""
        self._over = True
        await self._chromium.start()  # a browser that is slow to start is no page that hangs
        return await self._bounded(self._reset(task, seed), "reset")

    async def step(self, text: str) -> Step:
        """Do one action, let the page settle, look at it and judge it."""
        if self._over or self._task is None or self._observer is None:
            raise NoEpisodeError("the episode is over: call reset first")
        return await self._bounded(self._step(self._task, self._observer, text), "step")

    async def replay(self, actions: Sequence[str]) -> Observation:
        """Start the same instance anew and do these actions; gives what is seen after the last.

        Same seed and same actions give the same observations, so this reaches any earlier step of
        the episode again: ``await env.replay(env.actions[:3])``. Raises ReplayError if one of the
        actions ends the episode before the last.
        """
        if self._task is None:
            raise NoEpisodeError("no episode to replay: call reset first")
        return (await play(self, self.reset(self._task, self._seed), actions))[-1]

    async def fork(self, step: int) -> WebEnv:
        """Another environment, at the state that this episode had after ``step`` actions.

        This one goes on undisturbed. Raises ReplayError if the way there was not the same.
        """
        if self._task is None or not 0 <= step <= len(self._done):
            raise ReplayError(f"the episode has {len(self._done)} steps; cannot fork at {step}")
        other = WebEnv(self._chromium, self.spec)
        begun = other.reset(self._task, self._seed)
        await catch_up(other, begun, self._done[:step], self._hashes[: step + 1])
        return other

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions of the running episode so far."""
        return tuple(self._done)

    def take_refused(self) -> tuple[str, ...]:
        """Addresses that the page asked for and did not get, each told once."""
        return self.tabs.take_refused()

    async def picture(self) -> bytes:
        """The tab shown as it looks now, as PNG; raises BrowserDiedError as a step does."""
        return await self._bounded(self.page.looking.screenshot("png", 100), "picture")

    async def close(self) -> None:
        """Give the context back; closing twice is fine."""
        tabs, self._tabs = self._tabs, None
        self._over = True
        if tabs is not None:
            await tabs.close()

    async def _reset(self, task: Task, seed: int) -> Observation:
        tabs = await self._tabs_for(task, seed)
        page = tabs.active
        async with page.clock.running(after_s=SAFETY_NET_S):
            goal = await task.setup(page.page, seed)
        self._reuse.set_up(page)
        await page.forget_way()
        self._task = task
        self._answer, self._steps, self._over = None, 0, False
        self._seed, self._done, self._hashes = seed, [], []
        await page.clock.run(self.spec.settle_ms)
        if tabs.popups:
            await tabs.ready()
        snapshot = (await self._settled(task, tabs))[0] if task.settles else None
        self._observer = Observer(self.spec, tabs, goal)
        tabs.heard()  # what happened before the episode is none of the agent's business
        observation = await self._observer.observe(snapshot or await tabs.active.looking.snapshot())
        self._hashes.append(observation.state_hash)
        self._reuse.begun(page)
        return observation

    async def _tabs_for(self, task: Task, seed: int) -> Tabs:
        if self._tabs is not None:
            if await self._reuse.begin_again(self._tabs, task, seed):
                return self._tabs
            await self.close()
        self._lost, self._reuse = "", PageReuse(task.id)
        origins = Origins(task.allowed_origins)
        self._tabs = await Tabs.open(self._chromium, task.viewport, seed, origins, self._lose)
        return self._tabs

    async def _step(self, task: Task, observer: Observer, text: str) -> Step:
        tabs = self.tabs
        error = ""
        given_up = False
        try:
            action = parse_action(text, self.spec.actions)
            given_up = action.name == "report_infeasible"
            async with tabs.surviving():
                await self._perform(action)
        except (ActionError, ValueError) as refused:
            error = str(refused)  # a path or an address that no machine has is no address
        if tabs.popups:
            # One that shares its opener's clock begins at the same time in every run.
            await tabs.ready()
        async with tabs.surviving():
            await tabs.active.clock.run(self.spec.settle_ms)
        await tabs.ready()
        await tabs.downloads.arrived()
        self._steps += 1
        snapshot, asked = await self._settled(task, tabs)
        if tabs.active.clock.stalled:
            tabs.say("the page is still loading: something it asked for has not come")
        observation = await observer.observe(
            snapshot, last_action=text, error=error, steps=self._steps
        )
        if asked is not None:
            outcome = _decided(task, asked, self._answer)
        else:
            outcome = await self._judge(task, tabs)
        terminated = outcome.done or given_up
        truncated = not terminated and self._steps >= task.horizon
        self._over = terminated or truncated
        self._reuse.cut_short = not outcome.done
        self._done.append(text)
        self._hashes.append(observation.state_hash)
        return Step(
            observation,
            float(outcome.reward),
            terminated,
            truncated,
            outcome.message,
            outcome.blocked,
            "loading" if tabs.active.clock.stalled else snapshot.unsettled,
            tabs.take_refused(),
            tuple(tabs.downloads.files),
            outcome.undecided,
        )

    async def _settled(self, task: Task, tabs: Tabs) -> tuple[Snapshot, dict[str, Any] | None]:
        """Look at the page once nothing is about to happen on it, or its time is up."""
        granted_ms = self.spec.settle_ms
        while True:
            page = tabs.active
            asked = None
            if task.verdict and page is tabs.pages[0]:
                snapshot, asked = await page.looking.snapshot_and(task.verdict)
            else:
                snapshot = await page.looking.snapshot()
            changing = snapshot.unsettled == "changes"
            # What never rests is waited for once, and then seen at the same moment of each step.
            waits = snapshot.unsettled in ("loading", "timers") and not page.clock.stalled
            waits = waits or (changing and task.settles and not page.restless)
            if not waits or granted_ms >= self.spec.settle_cap_ms:
                page.restless = changing
                return snapshot, asked
            more_ms = min(SETTLE_STEP_MS, self.spec.settle_cap_ms - granted_ms)
            granted_ms += more_ms
            async with tabs.surviving():
                await page.clock.run(more_ms)
            await tabs.ready()

    async def _judge(self, task: Task, tabs: Tabs) -> Outcome:
        from playwright.async_api import Error

        page = tabs.pages[0]
        context = page.page.context
        context.set_default_navigation_timeout(PLAYWRIGHT_WAITS_S * 1000)
        waits_s = min(EVALUATE_WAITS_S, self.spec.step_timeout_s * EVALUATE_PART)
        context.set_default_timeout((waits_s + task.evaluation_s) * 1000)
        if task.evaluation_s and self._deadline is not None and not self._lost:
            ends_s = self._deadline.when() or asyncio.get_running_loop().time()
            self._deadline.reschedule(ends_s + task.evaluation_s)
        try:
            after_s = SAFETY_NET_S + task.evaluation_s
            async with page.clock.running(after_s, whole_ms=EVALUATE_MS):
                task.shown = tabs.active.looking
                return await task.evaluate(page.page, self._answer)
        except Error as error:
            if self._lost or not tabs.alive():
                raise
            # The agent has taken the page to where its evaluator finds nothing to read.
            first = error.message.splitlines()[0]
            return Outcome(0.0, done=False, message=f"evaluate failed: {first}")
        finally:
            context.set_default_timeout(PLAYWRIGHT_WAITS_S * 1000)

    async def _perform(self, action: Action) -> None:
        spec = ACTIONS[action.name]
        if spec.perform is None:
            self._answer = str(next(iter(action.arguments.values())))
            return
        arguments = dict(action.arguments)
        if self.spec.coordinates == "thousandths":
            size = dict(zip("xy", self.page.size, strict=True))
            for name in sorted(arguments.keys() & COORDINATES):
                if not 0 <= arguments[name] <= 1000:
                    raise ActionError(
                        f"{action.name}: {name}={arguments[name]:g}, where places count from 0 to"
                        " 1000, whatever the page's size"
                    )
                # 1000 is the last pixel, not the one beyond it.
                pixels = size[name[-1]]
                arguments[name] = min(arguments[name] * pixels / 1000, pixels - 1)
        await spec.perform(self.page, **arguments)

    async def _bounded(self, work: Awaitable[T], what: str) -> T:
        """Bound the time and turn every way in which a browser can die into one error."""
        from playwright.async_api import Error

        try:
            async with asyncio.timeout(self.spec.step_timeout_s) as self._deadline:
                return await work
        except TimeoutError:
            why = "the page hangs, or the machine is overloaded"
            if self._tabs is not None and self._tabs.turned_away > MAX_TABS:
                why = "the page opens windows without end"
            lost = self._lost or f"no answer within {self.spec.step_timeout_s:g} s: {why}"
            await self._abandon()
            raise BrowserDiedError(f"{what}: {lost}") from None
        except (Error, PageScriptError, BrowserDiedError) as error:
            lost = self._lost or str(error).splitlines()[0]
            await self._abandon()
            raise BrowserDiedError(f"{what}: {lost}") from error
        except BaseException:
            # Cut short at an unknown point: the page is in no state to be used again.
            await asyncio.shield(self._abandon())
            raise
        finally:
            self._deadline = None

    def _lose(self, reason: str) -> None:
        """End the step under way: what it waits for will never come."""
        self._lost = reason
        if self._deadline is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time())

    async def _abandon(self) -> None:
        """Let go of a page that may never answer."""
        tabs, self._tabs = self._tabs, None
        self._over = True
        if tabs is not None:
            closing = asyncio.create_task(tabs.close())
            await asyncio.wait([closing], timeout=CLOSE_TIMEOUT_S)
            if not closing.done():
                closing.cancel()


def _decided(task: Task, asked: dict[str, Any], answer: str | None) -> Outcome:
    if "error" in asked:
        return Outcome(0.0, done=False, message=f"evaluate failed: {asked['error']}")
    return task.judge(asked.get("value"), answer)
