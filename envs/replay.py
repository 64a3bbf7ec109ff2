"""Reaching an earlier step of an episode again, by doing the same."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from webdojo.envs.core import Step
    from webdojo.envs.observation import Observation


class ReplayError(Exception):
    """An earlier step of an episode could not be reached again."""


class Steps(Protocol):
    """What replaying needs of an environment, here or on a server."""

    async def step(self, text: str) -> Step:
        """Do one action."""

    async def close(self) -> None:
        """Give up what is held."""


async def play(
    env: Steps, reset: Awaitable[Observation], actions: Sequence[str]
) -> list[Observation]:
    """All that is seen, the reset's observation first.

    Raises ReplayError if one of the actions ends the episode before the last.
    """
    seen, over = [await reset], False
    for number, action in enumerate(actions):
        if over:
            raise ReplayError(f"the episode ended after {number} of {len(actions)} actions")
        step = await env.step(action)
        seen.append(step.observation)
        over = step.terminated or step.truncated
    return seen


async def catch_up(
    env: Steps, reset: Awaitable[Observation], actions: Sequence[str], hashes: Sequence[str]
) -> None:
    """Play ``actions`` and check that every state is that of ``hashes``, the reset's first.

    Closes the environment if anything fails; raises ReplayError naming the first step that differs.
    """
    try:
        seen = await play(env, reset, actions)
        for place, (now, then) in enumerate(zip(seen, hashes, strict=True)):
            if now.state_hash != then:
                raise ReplayError(f"the replay differs from the episode at step {place}")
    except BaseException:
        await env.close()
        raise
