"""An episode's reward counts once, from the environment to what is trained on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from webdojo.agents.agent import Agent, Decision
from webdojo.envs.pool import EnvPool
from webdojo.tasks.task import Task
from webdojo.training.episodes import EpisodeId, run_episode
from webdojo.training.evaluation import Tally
from webdojo.training.objectives.advantages.gigpo import step_returns
from webdojo.training.objectives.batch import Batch
from webdojo.training.rollouts.trajectory import Group, Trajectory
from webdojo.training.update_figures import trained_on
from webdojo.training.warm_start import rows_of


@dataclass
class ScriptedEnvs:
    """In place of pages: what a task is worth after each step, until it ends with the last."""

    worth: list[float]

    @asynccontextmanager
    async def lease(self, task: Task) -> AsyncIterator[ScriptedEnvs]:
        yield self

    async def reset(self, task: Task, seed: int) -> Any:
        self.steps = 0
        return self._seen()

    async def step(self, action: str) -> Any:
        self.steps += 1
        ended = self.steps == len(self.worth)
        return SimpleNamespace(
            observation=self._seen(), reward=self.worth[self.steps - 1], terminated=ended,
            truncated=False, blocked=False, undecided=False, message="",
        )  # fmt: skip

    def _seen(self) -> Any:
        return SimpleNamespace(
            goal="Press it.", state_hash=f"s{self.steps}", last_action_error="", page_changed=True
        )


class Presser:
    """Always does the same."""

    modes = ()

    async def act(self, observation: object) -> Decision:
        return Decision("noop()", (1,), (2,), (-0.5,), (0,))


async def play(member: int, *worth: float) -> Trajectory:
    which = EpisodeId(f"0-{member}", "miniwob.click-button", 0, 0, member)
    envs = cast(EnvPool, ScriptedEnvs(list(worth)))
    return await run_episode(which, envs, lambda task, seed: cast(Agent, Presser()), 0)


async def test_the_reward_of_an_episode_is_in_the_return_of_its_turns_once() -> None:
    won, lost = await play(0, 0.0, 0.0, 1.0), await play(1, 0.0, 0.0)
    assert (won.reward, lost.reward) == (1.0, 0.0)
    batch = Batch.of([Group(0, "miniwob.click-button", 0, (won, lost))])
    returns = step_returns(batch, gamma=0.5, outcome_on_last_turn=True)
    assert returns.tolist() == [0.25, 0.5, 1.0, 0.0, 0.0]


async def test_a_turn_is_anchored_to_the_page_that_it_was_decided_on() -> None:
    played = await play(0, 0.0, 0.0, 1.0)
    assert [turn.state_hash for turn in played.turns] == ["s0", "s1", "s2"]


async def test_what_a_task_is_worth_on_the_way_is_not_added_up() -> None:
    played = await play(0, 0.25, 0.5, 0.75)
    batch = Batch.of([Group(0, "miniwob.click-button", 0, (played,))])
    assert step_returns(batch, gamma=1.0, outcome_on_last_turn=True).tolist() == [0.75] * 3


async def test_only_the_whole_reward_is_a_success() -> None:
    half, whole = await play(0, 0.0, 0.5), await play(1, 0.0, 1.0)
    assert (half.ending, half.reward, whole.ending) == ("failure", 0.5, "success")
    found = Tally()
    for each in (half, whole):
        found.add(each)
    assert found.figures == {"success": 0.5}
    assert len(rows_of([half])) == 0
    assert len(rows_of([whole])) == 2
    seen = trained_on([Group(0, "miniwob.click-button", 0, (half, whole))])
    assert (seen["steps/failure"], seen["steps/success"]) == (2, 2)
    assert seen["reward/trained"] == 0.75


async def test_the_reset_is_part_of_the_browsers_time() -> None:
    played = await play(0, 1.0)
    assert 0 < played.reset_seconds < played.env_seconds <= played.seconds
