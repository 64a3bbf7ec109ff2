"""The asynchronous environment: one episode at a time in a context of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from webdojo.envs.actions import ACTIONS, COORDINATES, Action, ActionError, parse_action
from webdojo.envs.axtree import to_axtree
from webdojo.envs.browser import BrowserDiedError, Chromium
from webdojo.envs.budget import beginning, within
from webdojo.envs.marks import draw_marks
from webdojo.envs.observation import Observation
from webdojo.envs.origins import Origins
from webdojo.envs.outline import to_outline
from webdojo.envs.page import SAFETY_NET_S, DrivenPage
from webdojo.envs.page_diff import UNCHANGED, diff_html
from webdojo.envs.pruning import prune_html
from webdojo.envs.replay import ReplayError, catch_up, play
from webdojo.envs.screenshots import ScreenshotSpec
from webdojo.envs.shown_tree import prune
from webdojo.envs.snapshot import Node, Snapshot
from webdojo.envs.spec import EnvSpec
from webdojo.envs.tabs import Tabs
from webdojo.envs.worlds import PageScriptError
from webdojo.tasks.task import Outcome

if TYPE_CHECKING:
    from webdojo.tasks.task import Task

T = TypeVar("T")

SETTLE_STEP_MS = 250
"""Page time between two looks at a page that is not at rest."""
MAX_REUSES = 50
"""Episodes that one page is used for: what pages keep adds up, and goes only with their process."""
FORGET_EVERY = 4
"""Pages loaded anew after which the memory of documents that were left is given back."""
CLOSE_TIMEOUT_S = 2.0
"""Real time in which a lost page must have closed."""


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
        self._tabs_task = ""
        self._deadline: asyncio.Timeout | None = None
        self._lost = ""
        self._task: Task | None = None
        self._goal = ""
        self._answer: str | None = None
        self._steps = 0
        self._begun_ms = 0
        self._begun_url = ""
        """Where the task has set its page up."""
        self._over = True
        self._cut_short = False
        """Whether the page has not ended the episode itself: half done, it keeps what was done."""
        self._last: Observation | None = None
        self._seed = 0
        self._reuses = 0
        self._done: list[str] = []
        self._hashes: list[str] = []
        self._pictured: tuple[DrivenPage, str] | None = None
        """The page shown last and what its picture was known by."""
        self._before = ""
        """Pruned HTML of the look before, for what is new since."""

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
            raise RuntimeError("no episode: call reset first")
        return self._tabs

    async def reset(self, task: Task, seed: int) -> Observation:
        """Start the instance of ``task`` chosen by ``seed``."""
        self._over = True
        return await self._bounded(self._reset(task, seed), "reset")

    async def step(self, text: str) -> Step:
        """Do one action, let the page settle, look at it and judge it."""
        if self._over or self._task is None:
            raise RuntimeError("the episode is over: call reset first")
        return await self._bounded(self._step(self._task, text), "step")

    async def replay(self, actions: Sequence[str]) -> Observation:
        """Start the same instance anew and do these actions; gives what is seen after the last.

        Same seed and same actions give the same observations, so this reaches any earlier step of
        the episode again: ``await env.replay(env.actions[:3])``. Raises ReplayError if one of the
        actions ends the episode before the last.
        """
        if self._task is None:
            raise RuntimeError("no episode to replay: call reset first")
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
        return await self._bounded(self.page.screenshot("png", 100), "picture")

    async def close(self) -> None:
        """Give the context back; closing twice is fine."""
        tabs, self._tabs = self._tabs, None
        self._over = True
        if tabs is not None:
            await tabs.close()

    async def _reset(self, task: Task, seed: int) -> Observation:
        before = self._tabs
        tabs = await self._tabs_for(task, seed)
        page = tabs.active
        async with page.clock.running(after_s=SAFETY_NET_S):
            self._goal = await task.setup(page.page, seed)
        self._begun_url = page.page.url
        await page.forget_way()
        self._task, self._tabs_task = task, task.id
        self._answer, self._steps, self._over, self._last = None, 0, False, None
        self._seed, self._done, self._hashes = seed, [], []
        self._pictured, self._before = None, ""
        await page.clock.run(self.spec.settle_ms)
        if tabs.popups:
            await tabs.ready()
        snapshot = (await self._settled(task, tabs))[0] if task.settles else None
        self._begun_ms = tabs.elapsed_ms
        tabs.heard()  # what happened before the episode is none of the agent's business
        observation = await self._observe("", "", snapshot)
        self._hashes.append(observation.state_hash)
        if self._cut_short and tabs is before and self._reuses % FORGET_EVERY == 0:
            page.forget_left()
        self._cut_short = True
        return observation

    async def _tabs_for(self, task: Task, seed: int) -> Tabs:
        tabs = self._tabs
        if tabs is not None:
            reusable = task.reuse_page and self._tabs_task == task.id and len(tabs.pages) == 1
            self._reuses += 1
            reusable = reusable and tabs.alive() and self._reuses < MAX_REUSES
            if reusable and await self._begins_again(tabs, seed):
                return tabs
            await self.close()
        self._lost, self._reuses = "", 0
        origins = Origins(task.allowed_origins)
        self._tabs = await Tabs.open(self._chromium, task.viewport, seed, origins, self._lose)
        return self._tabs

    async def _begins_again(self, tabs: Tabs, seed: int) -> bool:
        """Begin another episode on the same page, unless the last one has stored anything there."""
        if self._cut_short:
            if await tabs.keep_anything():  # before the page left can be there anew and read it
                return False
            await tabs.active.leave(self._begun_url)
        kept, _ = await asyncio.gather(tabs.keep_anything(), tabs.active.restart(seed))
        return not kept

    async def _step(self, task: Task, text: str) -> Step:
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
        async with tabs.surviving():
            await tabs.active.clock.run(self.spec.settle_ms)
        await tabs.ready()
        await tabs.downloads.arrived()
        self._steps += 1
        snapshot, asked = await self._settled(task, tabs)
        if tabs.active.clock.stalled:
            tabs.say("the page is still loading: something it asked for has not come")
        observation = await self._observe(text, error, snapshot)
        if asked is not None:
            outcome = _decided(task, asked, self._answer)
        else:
            outcome = await self._judge(task, tabs)
        terminated = outcome.done or given_up
        truncated = not terminated and self._steps >= task.horizon
        self._over = terminated or truncated
        self._cut_short = not outcome.done
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
        )

    async def _settled(self, task: Task, tabs: Tabs) -> tuple[Snapshot, dict[str, Any] | None]:
        """Look at the page once nothing is about to happen on it, or its time is up."""
        granted_ms = self.spec.settle_ms
        while True:
            page = tabs.active
            asked = None
            if task.verdict and page is tabs.pages[0]:
                snapshot, asked = await page.snapshot_and(task.verdict)
            else:
                snapshot = await page.snapshot()
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
        if task.evaluation_s and self._deadline is not None and not self._lost:
            ends_s = self._deadline.when() or asyncio.get_running_loop().time()
            self._deadline.reschedule(ends_s + task.evaluation_s)
        try:
            async with page.clock.running(after_s=SAFETY_NET_S):
                task.shown = tabs.active.page
                return await task.evaluate(page.page, self._answer)
        except Error as error:
            if self._lost or not tabs.alive():
                raise
            # The agent has taken the page to where its evaluator finds nothing to read.
            first = error.message.splitlines()[0]
            return Outcome(0.0, done=False, message=f"evaluate failed: {first}")

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

    async def _observe(
        self, last_action: str, error: str, snapshot: Snapshot | None = None
    ) -> Observation:
        page = self.page
        if snapshot is None:
            snapshot = await page.snapshot()
        page.title = snapshot.title
        tree = prune(snapshot.tree) if snapshot.tree else None
        texts = {
            mode: self._text(mode, tree, snapshot) for mode in self.spec.modes if mode != "html"
        }
        if "html" in self.spec.modes:
            texts["html"] = beginning(await page.html(), self.spec.max_characters)
        last = self._last
        changed = (
            last is None
            or last.url != snapshot.url
            or any(_differs(last, mode, text) for mode, text in texts.items())
        )
        image = b""
        if self.spec.screenshot is not None:
            image = await self._picture(page, snapshot, self.spec.screenshot)
            changed = changed or (last is not None and last.screenshot != image)
        self._last = Observation(
            goal=self._goal,
            url=snapshot.url,
            title=snapshot.title,
            **texts,
            screenshot=image,
            focused_element_bid=snapshot.focused,
            last_action=last_action,
            last_action_error=error,
            page_changed=changed,
            elapsed_steps=self._steps,
            notices=self.tabs.heard(),
            open_pages_urls=tuple(tab.page.url for tab in self.tabs.pages),
            open_pages_titles=tuple(tab.title for tab in self.tabs.pages),
            page_time_ms=self.tabs.elapsed_ms - self._begun_ms,
            active_page_index=self.tabs.pages.index(page),
            viewport=page.size,
            boxes=snapshot.boxes() if "pruned_html" in texts else {},
            tree=snapshot.tree,
        )
        return self._last

    async def _picture(self, page: DrivenPage, snapshot: Snapshot, spec: ScreenshotSpec) -> bytes:
        """The page as it looks; the last picture of it where nothing can have changed that."""
        last, before = self._last, self._pictured
        self._pictured = None
        if snapshot.picture:
            self._pictured = (page, f"{snapshot.picture} {await page.styled()}")
            if before == self._pictured and last and last.tree == snapshot.tree:
                return last.screenshot
        if not spec.marks:
            return await page.screenshot(spec.image_format, spec.quality)
        return draw_marks(await page.screenshot("png", 100), snapshot.boxes(), spec)

    def _text(self, mode: str, tree: Node | None, snapshot: Snapshot) -> str:
        write: Callable[[Node | None], str]
        if mode in ("pruned_html", "pruned_html_diff"):
            text = prune_html(
                snapshot.tree,
                rules=self.spec.rules,
                max_characters=self.spec.max_characters,
                viewport=self.page.size,
            )
            if mode == "pruned_html":
                return text
            before, self._before = self._before, text
            return diff_html(before, text)
        if mode == "outline":
            write = partial(to_outline, without=self._goal)
        else:
            write = partial(to_axtree, title=snapshot.title)
        return within(tree, write, self.spec.max_characters, self.page.size)

    async def _bounded(self, work: Awaitable[T], what: str) -> T:
        """Bound the time and turn every way in which a browser can die into one error."""
        from playwright.async_api import Error

        try:
            async with asyncio.timeout(self.spec.step_timeout_s) as self._deadline:
                return await work
        except TimeoutError:
            bound = f"no answer within {self.spec.step_timeout_s:g} s"
            lost = self._lost or f"{bound}: the page hangs, or the machine is overloaded"
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


def _differs(last: Observation, mode: str, text: str) -> bool:
    return text != UNCHANGED if mode == "pruned_html_diff" else getattr(last, mode) != text


def _decided(task: Task, asked: dict[str, Any], answer: str | None) -> Outcome:
    if "error" in asked:
        return Outcome(0.0, done=False, message=f"evaluate failed: {asked['error']}")
    return task.judge(asked.get("value"), answer)
