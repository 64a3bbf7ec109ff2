"""Certifying tasks: the oracle solves them, and nothing that is not a solution does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from webdojo.envs.browser import BrowserDiedError, Chromium
from webdojo.envs.certification.choices import chosen
from webdojo.envs.certification.elsewhere import Elsewhere
from webdojo.envs.certification.guard import AwayError, guarded
from webdojo.envs.certification.mutations import (
    ANSWERS,
    TooMany,
    steps_that_may_matter,
    typed_otherwise,
    with_changed_step,
    with_changed_value,
    with_choices_too_many,
    with_stuffed_answers,
    without_last,
)
from webdojo.envs.certification.oracle import PATIENCE_S, OracleRun, play_oracle
from webdojo.envs.certification.reading import read, readable_text
from webdojo.envs.certification.report import TaskReport, report
from webdojo.envs.certification.scripts import idle_actions, play_random, play_script, trace
from webdojo.envs.certification.targets import targets_kept
from webdojo.envs.core import WebEnv
from webdojo.envs.layout import look
from webdojo.envs.screenshots import ScreenshotSpec
from webdojo.envs.spec import EnvSpec
from webdojo.tasks.errors import UserError
from webdojo.tasks.evaluators.evaluator import Evaluator
from webdojo.tasks.success import is_success
from webdojo.tasks.task import Task

if TYPE_CHECKING:
    from webdojo.envs.observation import Observation
    from webdojo.tasks.registry import Entry
    from webdojo.tasks.view import PageView

FIRST_SEED = 1_000_000_000
"""Certification plays held-out seeds, so that a certificate speaks of what is evaluated."""
TRIES = 3
"""Times that an instance is played if its browser is lost."""
ELSEWHERE = 2
"""Instances of a task that a second process is asked for, of those that are played twice."""
SEEN = EnvSpec(screenshot=ScreenshotSpec("png"), step_timeout_s=PATIENCE_S)
"""What two runs are compared by."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is played of each task, in episodes."""

    seeds: int = 5
    """Instances that the oracle solves; the wrong solutions are made of the first ``trials``."""
    trials: int = 5
    """Instances played by the wrong solutions."""
    random: int = 10
    """Instances played by the random agent."""
    idle: int = 2
    """Instances on which nothing is done for the whole horizon; on the others of ``seeds`` it is
    one look, and the answer of who knows nothing."""
    twice: int = 5
    """Of the first ``seeds`` instances, those on which two runs of the same are compared."""


@dataclass(frozen=True, slots=True)
class Rewarded:
    """A solution with one step changed that was rewarded all the same."""

    seed: int
    actions: tuple[str, ...]
    reward: float
    place: int
    """The step that is not the oracle's, from 0."""


@dataclass(slots=True)
class Findings:
    """What was found on one instance of a task. None and empty: not played."""

    seed: int
    oracle: OracleRun | None = None
    seconds: float = 0.0
    instance: tuple[str, str] | None = None
    """The goal, and the text that people can read at the first look."""
    kept: list[bool] = field(default_factory=list)
    idle: float | None = None
    random: float | None = None
    shortened: float | None = None
    changed: float | None = None
    chosen: float | None = None
    """What a solution earned in which one choice or value, by turns, was another, or with one
    choice more, whichever is more."""
    wrong: list[Rewarded] = field(default_factory=list)
    """Wrong solutions that were rewarded."""
    needless: list[Rewarded] = field(default_factory=list)
    """Rewarded solutions with a step changed that may have been of no matter."""
    tried: set[int] = field(default_factory=set)
    """Steps of the solution that something else was tried instead of, from 0."""
    matter: list[int] = field(default_factory=list)
    """Steps of the solution that may matter, from 0."""
    stuffed: float | None = None
    deterministic: bool | None = None
    fault: str = ""
    """What is wrong with the task's own code."""
    lost: str = ""
    """Why it could not be played to its end."""


async def certify(
    entries: Sequence[Entry],
    effort: Effort | None = None,
    contexts: int = 4,
    on_done: Callable[[TaskReport], None] = lambda done: None,
) -> list[TaskReport]:
    """Check tasks in one browser, ``contexts`` instances at a time; reports in their order.

    ``on_done`` hears of each task as soon as all of its instances have been played.
    """
    effort = effort or Effort()
    count = max(effort.seeds, effort.random, effort.idle, 1)
    found: dict[str, list[Findings]] = {entry.task.id: [] for entry in entries}
    reports: dict[str, TaskReport] = {}
    todo = [(entry, number) for entry in entries for number in range(count)][::-1]

    async def work(chromium: Chromium, elsewhere: Elsewhere) -> None:
        async with WebEnv(chromium, EnvSpec(step_timeout_s=PATIENCE_S)) as env:
            while todo:
                entry, number = todo.pop()
                mine = found[entry.task.id]
                if any(other.fault or other.lost for other in mine):
                    mine.append(Findings(FIRST_SEED + number))
                else:
                    mine.append(await _examine(env, chromium, entry, number, effort))
                if len(mine) == count:
                    differs = ""
                    if not any(one.fault or one.lost for one in mine):
                        by_seed = {one.seed: one.instance for one in mine}
                        instances = [by_seed.get(seed) for seed in elsewhere.seeds]
                        differs = await elsewhere.difference(entry.task.id, instances)
                    reports[entry.task.id] = done = report(entry.task(), mine, differs)
                    on_done(done)

    asked = range(FIRST_SEED, FIRST_SEED + min(ELSEWHERE, effort.twice, effort.seeds))
    async with Elsewhere(entries, asked) as elsewhere, Chromium() as chromium:
        await chromium.process_id()  # started here, it takes nothing of a first episode's time
        await asyncio.gather(*(work(chromium, elsewhere) for _ in range(contexts)))
    return [reports[entry.task.id] for entry in entries]


async def _examine(
    env: WebEnv, chromium: Chromium, entry: Entry, number: int, effort: Effort
) -> Findings:
    """Play one instance in every way; a lost browser costs a try."""
    lost = ""
    for _ in range(TRIES):
        found = Findings(FIRST_SEED + number)
        try:
            await _play_all(env, chromium, entry, number, effort, found)
        except BrowserDiedError as error:
            lost = str(error)
        except AwayError as error:
            found.lost = str(error)
            return found
        except UserError as error:
            found.fault = str(error)
            return found
        else:
            return found
    found.lost = f"the page was lost {TRIES} times: {lost}"
    return found


async def _play_all(
    env: WebEnv, chromium: Chromium, entry: Entry, number: int, effort: Effort, found: Findings
) -> None:
    entry.task.ready()
    task = guarded(entry.task(), entry.source)
    seed = found.seed
    views: list[PageView] = []
    actions: tuple[str, ...] = ()
    if number < effort.seeds and _has_oracle(entry):
        pruned: list[str] = []

        def watch(seen: Observation, view: PageView) -> None:
            views.append(view)
            pruned.append(seen.pruned_html)

        began = time.perf_counter()
        found.oracle = run = await play_oracle(
            env, task, seed, watch, solver=entry.task(), source=entry.source
        )
        found.seconds = time.perf_counter() - began
        # An action that raised was seen and not done.
        for action, view, shown in zip(run.actions, views, pruned, strict=False):
            found.kept.extend(targets_kept(action, view.boxes, shown))
        if number < effort.trials and is_success(run.reward):
            await _play_wrong(env, task, number, run.actions, views, found)
        actions = run.actions
    if number < effort.seeds:
        first = views[0] if views else await look(env, await env.reset(task, seed))
        found.instance = (read(first.goal), read(readable_text(first)))
    if number < min(effort.twice, max(effort.seeds, 1)):
        found.deterministic = await _deterministic(chromium, entry, seed, actions)
    if number < max(effort.idle, effort.seeds):
        # What a page pays at its start is told at once; what time brings about, by two of them.
        looks = task.horizon if number < effort.idle else min(2, task.horizon)
        found.idle = await play_script(env, task, seed, idle_actions(looks, number))
    if number < effort.random:
        found.random = await play_random(env, task, seed, Random(f"{task.id} {seed} random"))


async def _play_wrong(
    env: WebEnv,
    task: Task,
    number: int,
    actions: Sequence[str],
    views: Sequence[PageView],
    found: Findings,
) -> None:
    """Play what is made of a right solution by changing it."""
    seed, size = found.seed, task.viewport
    chance = Random(f"{task.id} {seed}")
    kept = () if _reads_answer(task) else tuple(ANSWERS)

    async def play(wrong: Sequence[str], rewarded: list[Rewarded]) -> float:
        seen: list[Observation] = []
        reward = await play_script(env, task, seed, wrong, seen.append)
        pairs = enumerate(zip(actions, wrong, strict=True))
        place = next((place for place, (right, other) in pairs if right != other), 0)
        other = None
        if reward > 0 and len(seen) > place + 1:
            after = views[place + 1] if len(views) > place + 1 else None
            other = typed_otherwise(wrong[place], actions[place], seen[place + 1].view(), after)
        if other is not None:
            return await play([*wrong[:place], other, *wrong[place + 1 :]], rewarded)
        found.tried.add(place)
        if reward > 0:
            rewarded.append(Rewarded(seed, tuple(wrong), reward, place))
        return reward

    found.matter = steps_that_may_matter(actions, views)
    found.shortened = await play(without_last(actions), found.wrong)
    changed = with_changed_value(actions, views, size, chance, kept)
    if changed is not None:
        found.changed = await play(changed, found.wrong)
    for stuffed in [] if kept else with_stuffed_answers(actions, views, chance):
        found.stuffed = max(found.stuffed or 0.0, await play(stuffed, found.wrong))
    by_turns = Random(f"{task.id} {seed} by turns")
    step = with_changed_step(actions, views, number, size, by_turns, kept)
    if step is not None and (changed is None or changed[step.place] == actions[step.place]):
        reward = await play(step.actions, found.wrong if step.wrong else found.needless)
        if step.wrong:
            found.chosen = reward
    too_many = with_choices_too_many(actions, views)
    if too_many:
        more = too_many[number % len(too_many)]
        earned = await _play_too_many(env, task, seed, actions, more)
        found.chosen = max(found.chosen or 0.0, earned)
        if earned > 0:
            found.wrong.append(Rewarded(seed, tuple(more.actions), earned, more.place))


async def _play_too_many(
    env: WebEnv, task: Task, seed: int, actions: Sequence[str], more: TooMany
) -> float:
    """What a solution with a choice too many earns; nothing if it chooses what the right one does.

    That may be where a box cannot be ticked, or where the right step takes the other one back or
    makes it too: a list that takes one option, a box that ticks all.
    """
    seen: list[Observation] = []
    right: list[Observation] = []
    reward = await play_script(env, task, seed, more.actions, seen.append)
    if reward > 0:
        after = more.place + 1
        await play_script(env, task, seed, actions[:after], right.append)
        ended = seen[: after + more.longer + 1][-1]  # or before, where the one too many will do
        if chosen(ended.view()) == chosen(right[-1].view()):
            return 0.0
    return reward


def _reads_answer(task: Task) -> bool:
    """Whether an answer may decide; what a task's own code asks for is not known."""
    checks = getattr(task, "checks", None)
    return not isinstance(checks, Evaluator) or checks.reads_answer


def _has_oracle(entry: Entry) -> bool:
    """Whether the task brings one; raises UserError if it does not and gives no reason."""
    if entry.task.oracle is not Task.oracle:
        return True
    if "oracle" in entry.task.caveats:
        return False
    raise UserError(
        f"{entry.source}: {entry.task.id}: oracle missing; add `def oracle(self, view)`, which"
        " yields the actions of a solution; in a file of tasks"
        """ oracle = ["click('text=Buy')"]"""
    )


async def _deterministic(
    chromium: Chromium, entry: Entry, seed: int, actions: Sequence[str]
) -> bool:
    """Whether two runs of the same actions, each on a fresh page, show and earn the same.

    A difference stands. Only where the two were given different times by the page's clock, which
    is let go of while a stalled machine sets a page up, were they not the same run: then two
    others are compared, ``TRIES`` times at most.
    """
    for _ in range(TRIES):
        (one, one_ms), (other, other_ms) = [
            await _traced(chromium, entry, seed, actions) for _ in range(2)
        ]
        if one == other or one_ms == other_ms:
            break
    return one == other


async def _traced(
    chromium: Chromium, entry: Entry, seed: int, actions: Sequence[str]
) -> tuple[list[str], int]:
    """What a run shows and earns, step by step, and the page time in ms that it was given."""
    async with WebEnv(chromium, SEEN) as env:
        found = await trace(env, guarded(entry.task(), entry.source), seed, actions)
        return found, env.tabs.elapsed_ms
