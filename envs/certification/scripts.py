"""Playing episodes by anything but the oracle: written-down actions, or a random agent."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from random import Random
from typing import TYPE_CHECKING

from webdojo.envs.certification.random_agent import random_action

if TYPE_CHECKING:
    from webdojo.envs.core import WebEnv
    from webdojo.envs.observation import Observation
    from webdojo.tasks.task import Task


async def play_script(
    env: WebEnv,
    task: Task,
    seed: int,
    actions: Iterable[str],
    watch: Callable[[Observation], None] = lambda seen: None,
) -> float:
    """The reward in the end of doing these actions, whatever the page says to them.

    ``watch`` is told what is seen before each action and after the last.
    """
    remaining = iter(actions)
    return await _play(env, task, seed, lambda seen: next(remaining, None), watch)


async def play_random(env: WebEnv, task: Task, seed: int, chance: Random) -> float:
    """The reward of an episode of the random agent."""
    return await _play(env, task, seed, lambda seen: random_action(seen.view(), chance))


EMPTY_ANSWERS = ("", "I do not know.")


def idle_actions(horizon: int, number: int) -> list[str]:
    """Doing nothing for so many actions, the last of which answers nothing, or nothing of use."""
    return ["noop()"] * (horizon - 1) + [f"send_msg_to_user({EMPTY_ANSWERS[number % 2]!r})"]


async def trace(env: WebEnv, task: Task, seed: int, actions: Iterable[str]) -> list[str]:
    """What is seen and earned at every step of an episode, one digest each."""
    seen: list[str] = []

    def choose(observation: Observation) -> str | None:
        seen.append(_digest(observation))
        return next(remaining, None)

    remaining = iter(actions)
    reward = await _play(env, task, seed, choose)
    return [*seen, str(reward)]


async def _play(
    env: WebEnv,
    task: Task,
    seed: int,
    choose: Callable[[Observation], str | None],
    watch: Callable[[Observation], None] = lambda seen: None,
) -> float:
    observation = await env.reset(task, seed)
    watch(observation)
    reward = 0.0
    while (text := choose(observation)) is not None:
        step = await env.step(text)
        observation, reward = step.observation, step.reward
        watch(observation)
        if step.terminated or step.truncated:
            break
    return reward


def _digest(seen: Observation) -> str:
    text = "\0".join((seen.goal, seen.url, seen.title, seen.pruned_html, seen.last_action_error))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass") + seen.screenshot).hexdigest()
