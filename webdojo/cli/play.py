"""``webdojo play``: one episode by hand, or by the task's oracle, action by action."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from webdojo.cli.own_tasks import TaskFiles

if TYPE_CHECKING:
    from webdojo.envs.core import Step, WebEnv
    from webdojo.envs.observation import Observation
    from webdojo.tasks.task import Oracle, Task

EXAMPLE = (
    "Example: webdojo play miniwob.click-button --seed 7\n\n"
    "Or: webdojo play my-shop.add-to-cart --oracle --tasks add_to_cart.py"
)
LOOK_S = 1.0
"""Real time before each action of an oracle that is watched in a window."""


def play(
    task_id: Annotated[str, typer.Argument(metavar="TASK", help="A task's id.")],
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which instance of the task.")] = 0,
    oracle: Annotated[bool, typer.Option("--oracle", help="Let the task's solution act.")] = False,
    headed: Annotated[bool, typer.Option("--headed", help="Show the browser's window.")] = False,
    tasks: TaskFiles = None,
) -> None:
    """Play a task: shows the goal and the page, and does the actions typed, one a line.

    `help` lists the actions; `quit`, or the end of the input, ends the episode.
    """
    from webdojo.envs.background import Background
    from webdojo.envs.browser import BrowserDiedError, BrowserOptions, find_chromium
    from webdojo.envs.certification.oracle import PATIENCE_S
    from webdojo.envs.certification.place import place_of
    from webdojo.envs.core import WebEnv
    from webdojo.envs.spec import EnvSpec
    from webdojo.tasks import registry
    from webdojo.tasks.errors import UserError
    from webdojo.tasks.files import load_files
    from webdojo.tasks.view import OracleError

    load_files(map(str, tasks or ()))
    task, options = registry.get(task_id), BrowserOptions(headless=not headed)
    if headed and "headless" in str(chromium := find_chromium(window=True)):
        raise UserError(f"--headed: {chromium} has no window; set WEBDOJO_CHROMIUM to one that has")
    env = WebEnv(Background.get().hold(options), EnvSpec(step_timeout_s=PATIENCE_S))
    pause_s = LOOK_S if headed else 0.0
    if not oracle and sys.stdin.isatty():
        typer.echo('Type an action a line, such as click("2"); help lists them, quit ends.')
    try:
        # The oracle is that of a second object, which has not seen what `setup` kept.
        _episode(
            env, task, seed, _oracle(env, registry.get(task_id), pause_s) if oracle else _typed
        )
        time.sleep(3 * pause_s)
    except BrowserDiedError as died:
        raise UserError(f"{task_id}: the page is lost: {died}; play it again") from died
    except (NotImplementedError, OracleError) as error:
        raise UserError(str(error)) from error
    except Exception as error:
        place = place_of(error, task)
        if not place or isinstance(error, UserError):
            raise
        raise UserError(f"{place}: {type(error).__name__}: {error}; mend the task") from error
    finally:
        Background.get().run(env.close())
        Background.get().release(options)


def _episode(env: WebEnv, task: Task, seed: int, choose: Callable[[Observation], str]) -> None:
    """Do what is chosen until the episode is over; an empty choice ends it."""
    from webdojo.envs.background import Background

    seen = Background.get().run(env.reset(task, seed))
    typer.echo(f"{task.id}, seed {seed}, at most {task.horizon} actions\ngoal: {seen.goal}")
    typer.echo(f"\n{seen.pruned_html}\n")
    while action := choose(seen):
        step = Background.get().run(env.step(action))
        seen = step.observation
        typer.echo(_told(step))
        if step.terminated or step.truncated:
            why = "" if step.terminated else f", at its horizon of {task.horizon} actions"
            typer.echo(f"the episode is over{why}: reward {step.reward:g}")
            return
        typer.echo(f"\n{seen.pruned_html}\n")
    typer.echo(f"no more actions after {seen.elapsed_steps}: the episode is not over")


def _told(step: Step) -> str:
    """An action and what came of it, without the page."""
    seen = step.observation
    told = (
        (f"{seen.elapsed_steps}. {seen.last_action}: reward", f"{step.reward:g}"),
        ("error:", seen.last_action_error),
        ("message:", step.message),
        ("notices:", "; ".join(seen.notices)),
        ("unsettled:", step.unsettled),
        ("refused:", ", ".join(step.refused)),
        ("downloads:", ", ".join(path.name for path in step.downloads)),
        ("blocked:", "yes" if step.blocked else ""),
    )
    return "\n   ".join(f"{name} {fact}" for name, fact in told if fact)


def _typed(seen: Observation) -> str:
    """The next line of the input that says something; empty at its end, or at ``quit``."""
    from webdojo.envs.action_sets import prompt_text

    for line in map(str.strip, iter(sys.stdin.readline, "")):
        if line == "help":
            typer.echo(prompt_text())
        elif line in ("quit", "exit"):
            return ""
        elif line:
            return line
    return ""


def _oracle(env: WebEnv, solver: Task, pause_s: float) -> Callable[[Observation], str]:
    """The actions of a task's oracle, one after another."""
    from webdojo.envs.background import Background
    from webdojo.envs.layout import look

    acting: list[Oracle] = []

    def choose(seen: Observation) -> str:
        time.sleep(pause_s)
        view = Background.get().run(look(env, seen))
        try:
            if acting:
                return acting[0].send(view)
            acting.append(solver.oracle(view))
            return next(acting[0])
        except StopIteration:
            return ""

    return choose
