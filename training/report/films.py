"""Films: recorded episodes played again in a real browser, with a picture of every step.

An environment gives the same page for the same seed and actions, so an evaluation need not keep
pictures: the few worth looking at are made when the report is. A replay that does not go as
recorded says where.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from webdojo.envs.actions import Action, ActionError, parse_action
from webdojo.envs.browser import BrowserDiedError, Chromium
from webdojo.envs.core import WebEnv
from webdojo.envs.observation import Observation
from webdojo.envs.screenshots import ScreenshotSpec
from webdojo.envs.spec import EnvSpec
from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.files import load_files
from webdojo.tasks.success import is_success
from webdojo.tasks.view import Box
from webdojo.training.report.pictures import pack
from webdojo.training.report.run_data import Episode, RunData, mapping

FILMS_TIMEOUT_S = 90.0
"""Real time for all films of a report; a report is not worth waiting longer for."""
LONG = 6
"""Steps from which an episode is more than is looked at with pleasure."""
PICTURE = ScreenshotSpec(image_format="png")


@dataclass(frozen=True, slots=True)
class Scene:
    """An episode chosen for the report, and why."""

    title: str
    why: str
    episode: Episode


@dataclass(frozen=True, slots=True)
class Frame:
    """The page before an action, the action, and what was wrong with it."""

    image: bytes
    action: str
    """Empty in the last frame, which shows how the page was left."""
    error: str
    target: Box | None
    """What the action is aimed at: x, y, width, height in CSS pixels of the viewport."""


@dataclass(frozen=True, slots=True)
class Film:
    """A replayed episode."""

    scene: Scene
    frames: tuple[Frame, ...]
    size: tuple[int, int]
    """Width and height of the frames in pixels."""
    verdict: str
    """What the task's evaluator said at the end; may be empty."""
    problem: str
    """Why there is no film, or where it left the record; empty if all went as recorded."""


def choose(run: RunData) -> list[Scene]:
    """One success after training, the same instance before if it failed, and one failure.

    Tasks that were never demonstrated come first, then episodes of several steps, not too many.
    """
    after, before = run.episodes("after", "greedy"), run.episodes("before", "greedy")
    failed_before = {_key(e): e for e in before if not e.success}
    scenes: list[Scene] = []
    solved = [e for e in after if e.success]
    if solved:
        best = min(solved, key=lambda e: (_key(e) not in failed_before, *_interest(e)))
        earlier = failed_before.get(_key(best))
        if earlier is not None:
            scenes.append(Scene("Before reinforcement", "This instance failed.", earlier))
            scenes.append(Scene("After reinforcement", "The same instance, solved.", best))
        else:
            scenes.append(Scene("A success", "Solved after reinforcement.", best))
    failed = [e for e in after if not e.success and e.actions]
    if failed:
        worst = min(failed, key=_interest)
        scenes.append(Scene("A failure that is left", "Not solved after reinforcement.", worst))
    return scenes


def make_films(run: RunData, scenes: Sequence[Scene]) -> list[Film]:
    """Replay each scene in a Chromium of its own; never raises for what goes wrong on the way.

    It may be called from a thread with a running event loop.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _make_films(run, scenes)).result()


async def _make_films(run: RunData, scenes: Sequence[Scene]) -> list[Film]:
    films: list[Film] = []
    try:
        _load_tasks(run)
        async with asyncio.timeout(FILMS_TIMEOUT_S), Chromium() as chromium:
            for scene in scenes:
                films.append(await _film(chromium, scene))
    except TimeoutError:
        problem = f"replaying took over {FILMS_TIMEOUT_S:g} s"
        films += [Film(scene, (), (0, 0), "", problem) for scene in scenes[len(films) :]]
    except (UserError, BrowserDiedError) as error:
        films += [Film(scene, (), (0, 0), "", str(error)) for scene in scenes[len(films) :]]
    return films


async def _film(chromium: Chromium, scene: Scene) -> Film:
    frames: list[Frame] = []
    verdict = problem = ""
    try:
        task = registry.get(scene.episode.task_id)
        async with WebEnv(chromium, EnvSpec(screenshot=PICTURE)) as env:
            observation = await env.reset(task, scene.episode.seed)
            verdict, problem = await _replay(env, observation, scene.episode, frames)
    except (UserError, BrowserDiedError) as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001  # a task's own code; the report says what it raised
        problem = f"the task's own code failed: {type(error).__name__}: {error}"
    images, size = pack([frame.image for frame in frames])
    packed = (replace(frame, image=image) for frame, image in zip(frames, images, strict=True))
    return Film(scene, tuple(packed), size, verdict, problem)


async def _replay(
    env: WebEnv, observation: Observation, episode: Episode, frames: list[Frame]
) -> tuple[str, str]:
    """Play the recorded actions, adding a frame for each; the verdict, and where it diverged."""
    if episode.goal and observation.goal != episode.goal:
        return "", f"the goal is now {observation.goal!r}; recorded was {episode.goal!r}"
    last = len(episode.actions)
    solved, ended, verdict = False, False, ""
    for number, (action, told) in enumerate(zip(episode.actions, episode.errors, strict=True), 1):
        step = await env.step(action)
        error = step.observation.last_action_error
        frames.append(Frame(observation.screenshot, action, error, _target(observation, action)))
        observation, verdict = step.observation, step.message
        solved, ended = is_success(step.reward), step.terminated or step.truncated
        if error != told:
            _close(frames, observation)
            return verdict, f"step {number} now says {error!r}; recorded was {told!r}"
        if ended and number < last:
            _close(frames, observation)
            return verdict, f"the episode now ends at step {number}; recorded were {last} steps"
    _close(frames, observation)
    if solved != episode.success:
        now = "succeeds" if solved else "fails"
        return verdict, f"the episode now {now}; recorded was the opposite"
    return verdict, ""


def _close(frames: list[Frame], observation: Observation) -> None:
    frames.append(Frame(observation.screenshot, "", "", None))


def _target(observation: Observation, text: str) -> Box | None:
    """Where on the page an action is aimed."""
    try:
        action: Action = parse_action(text)
    except ActionError:
        return None
    box = observation.boxes.get(str(action.arguments.get("bid", "")))
    if box is not None:
        return box
    x, y = action.arguments.get("x"), action.arguments.get("y")
    if isinstance(x, int | float) and isinstance(y, int | float):
        return (int(x) - 6, int(y) - 6, 12, 12)
    return None


def _load_tasks(run: RunData) -> None:
    """Tasks of the user's own, from the files that the run's configuration names."""
    files = mapping(run.config, "tasks").get("files")
    if isinstance(files, list):
        load_files([str(Path(str(file))) for file in files])


def _key(episode: Episode) -> tuple[str, int]:
    return episode.task_id, episode.seed


def _interest(episode: Episode) -> tuple[bool, bool, int, str, int]:
    """Sorts the more instructive episodes first, always in the same order."""
    steps = len(episode.actions)
    return (
        episode.split != "undemonstrated",
        steps > LONG,
        -steps if steps <= LONG else steps,
        episode.task_id,
        episode.seed,
    )
