"""Playing a task's oracle in a real browser, to show that the task can be done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from webdojo.envs.browser import BrowserDiedError, Chromium
from webdojo.envs.certification.overdue import Overdue
from webdojo.envs.certification.place import place_of, place_of_frame
from webdojo.envs.core import WebEnv
from webdojo.envs.layout import look
from webdojo.envs.spec import EnvSpec
from webdojo.tasks.errors import UserError
from webdojo.tasks.success import is_success

if TYPE_CHECKING:
    from webdojo.envs.observation import Observation
    from webdojo.tasks.task import Task
    from webdojo.tasks.view import PageView

    Watch = Callable[[Observation, PageView], None]


PATIENCE_S = 60.0
"""Real time after which a step counts as hung: what is found must not depend on how busy the
machine is."""


@dataclass(frozen=True, slots=True)
class OracleRun:
    """One episode of one oracle."""

    task_id: str
    seed: int
    reward: float
    steps: int
    actions: tuple[str, ...]
    trouble: str = ""
    """Why it failed: an oracle that found nothing, a refused action, the evaluator's message."""


async def play_oracle(
    env: WebEnv,
    task: Task,
    seed: int,
    watch: Watch = lambda seen, view: None,
    solver: Task | None = None,
    source: str = "",
) -> OracleRun:
    """Let the oracle of ``task`` act until the episode is over.

    The oracle is that of ``solver`` if one is given: an object of the same task that never saw
    ``setup``, and so knows nothing that agents do not. ``watch`` is told before each action what
    an agent is shown and what the oracle reads. ``source`` is the task's file, for people.

    Raises BrowserDiedError if the browser or the page was lost.
    """
    observation = await env.reset(task, seed)
    actions: list[str] = []
    reward, trouble, said = 0.0, "", ""
    try:
        view = await look(env, observation)
        oracle = (solver or task).oracle(view)
        if not isinstance(oracle, GeneratorType):
            raise TypeError(f"oracle must yield actions; it returned {oracle!r}")
        text = _next_action(oracle, None, task, source)
        while True:
            watch(observation, view)
            step = await env.step(text)
            actions.append(text)
            observation, reward, said = step.observation, step.reward, step.message
            if observation.last_action_error:
                trouble = f"{text}: {observation.last_action_error}"
            if step.terminated or step.truncated:
                if not is_success(reward):
                    ended = "horizon reached" if step.truncated else f"reward {reward:g} at {text}"
                    trouble = trouble or step.message or ended
                break
            view = await look(env, observation)
            text = _next_action(oracle, view, task, source)
    except StopIteration:
        trouble = trouble or _stopped(said)
    except NoActionError as error:
        trouble = str(error)
    except (BrowserDiedError, UserError):
        raise
    except Exception as error:  # noqa: BLE001  # an oracle may raise anything; the others go on
        where = place_of(error, task)
        trouble = f"{where}{': ' if where else ''}{type(error).__name__}: {error}"
    return OracleRun(task.id, seed, reward, len(actions), tuple(actions), trouble)


class NoActionError(Exception):
    """An oracle yielded what is no text."""


def _next_action(
    oracle: GeneratorType[Any, Any, None], view: PageView | None, task: Task, source: str
) -> str:
    place = f"{source}: {task.id}" if source else task.id
    with Overdue(task, f"{place}: oracle"):
        text = oracle.send(view)
    if isinstance(text, str):
        return text
    while isinstance(oracle.gi_yieldfrom, GeneratorType):
        oracle = oracle.gi_yieldfrom
    where = f"{place_of_frame(oracle.gi_frame, task)}: " if oracle.gi_frame else ""
    raise NoActionError(
        f"{where}the oracle yielded {text!r}, which is no action; yield a call, such as"
        ' `yield click(view.bid("button"))`'
    )


def _stopped(said: str) -> str:
    """That the oracle was done before the evaluator was, with the evaluator's own words."""
    why = f"; the evaluator says: {said}" if said else ""
    return f"the oracle stopped before the episode was over{why}"


async def play_oracles(
    new_task: Callable[[str], Task], runs: Iterable[tuple[str, int]], contexts: int = 4
) -> list[OracleRun]:
    """Play many (task id, seed) pairs in one browser; results in the order of ``runs``.

    Each oracle is that of a second object that ``new_task`` gives.
    """
    todo = list(enumerate(runs))[::-1]
    done: dict[int, OracleRun] = {}

    async def work(chromium: Chromium) -> None:
        async with WebEnv(chromium, EnvSpec(step_timeout_s=PATIENCE_S)) as env:
            while todo:
                place, (task_id, seed) = todo.pop()
                task, solver = new_task(task_id), new_task(task_id)
                done[place] = await _play_again_if_lost(env, task, seed, solver)

    async with Chromium() as chromium:
        await asyncio.gather(*(work(chromium) for _ in range(contexts)))
    return [done[place] for place in sorted(done)]


async def _play_again_if_lost(env: WebEnv, task: Task, seed: int, solver: Task) -> OracleRun:
    """A lost page costs a try, of which there are three."""
    lost = ""
    for _ in range(3):
        try:
            return await play_oracle(env, task, seed, solver=solver)
        except BrowserDiedError as error:
            lost = str(error)
    return OracleRun(task.id, seed, 0.0, 0, (), f"the page was lost three times: {lost}")
