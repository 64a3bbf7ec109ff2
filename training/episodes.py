"""Running episodes: an agent in an environment, recorded as a trajectory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from webdojo.agents.agent import Agent, OracleAgent, PolicyAgent, RandomAgent
from webdojo.agents.constraint import ValidActions, ValidAgent
from webdojo.agents.engines.engine import ContextOverflowError, Engine, Sampling
from webdojo.agents.layouts.layout import Layout
from webdojo.envs.pool import EnvPool
from webdojo.tasks import registry
from webdojo.tasks.success import is_success
from webdojo.tasks.task import Task
from webdojo.tasks.view import OracleError
from webdojo.training.rollouts.trajectory import Ending, Trajectory, Turn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from webdojo.agents.engines.restarting import RestartingEngine
    from webdojo.agents.engines.transformers_engine import TransformersEngine
    from webdojo.agents.pictures import Pictures
    from webdojo.envs.core import Step

MOST_MESSAGE = 500
"""Characters of an evaluator's message that are kept."""
MakeAgent = Callable[[Task, int], Agent]
"""Makes the agent of one episode from its task and an episode seed."""


def oracle_agent(task: Task, seed: int) -> Agent:
    """Plays the task's oracle."""
    return OracleAgent(task)


def random_agent(task: Task, seed: int) -> Agent:
    """Acts by chance, repeatably."""
    return RandomAgent(seed)


@dataclass(frozen=True)
class PolicyAgents:
    """Makes agents that share one engine."""

    engine: Engine
    tokenizer: PreTrainedTokenizerBase
    layout: Layout
    context_tokens: int
    max_response_tokens: int
    temperature: float = 1.0
    pictures: Pictures | None = None

    def __call__(self, task: Task, seed: int) -> PolicyAgent:
        """An agent whose tokens are drawn from ``seed``."""
        sampling = Sampling(self.temperature, self.max_response_tokens, seed)
        return PolicyAgent(
            self.engine, self.tokenizer, self.layout, sampling, self.context_tokens, self.pictures
        )


class ValidAgents:
    """Makes the same agents, held to valid actions."""

    def __init__(self, free: PolicyAgents, engine: RestartingEngine[TransformersEngine]) -> None:
        self._free = free
        self._engine = engine
        self._valid = ValidActions(free.tokenizer)

    def __call__(self, task: Task, seed: int) -> Agent:
        """An agent whose tokens are drawn from ``seed``, valid actions only."""
        return ValidAgent(self._free(task, seed), self._engine, self._valid)


@dataclass(frozen=True)
class EpisodeId:
    """Which episode it is."""

    episode_id: str
    task_id: str
    seed: int
    group_id: int = 0
    member: int = 0
    attempt: int = 1


async def run_episode(
    which: EpisodeId,
    envs: EnvPool,
    make_agent: MakeAgent,
    agent_seed: int,
    progress: Callable[[], None] = lambda: None,
) -> Trajectory:
    """Play one episode to its end.

    Raises BrowserDiedError if the browser died, and whatever task or agent raise. A prompt over the
    context limit ends the episode as ``overflow``, an oracle that gives up as ``failure``.
    """
    task = registry.get(which.task_id)
    agent = make_agent(task, agent_seed)
    started = time.time()
    clock = time.perf_counter
    began = clock()
    engine_seconds = reward = 0.0
    message = ""
    turns: list[Turn] = []
    ending: Ending = "horizon"
    async with envs.lease(task) as env:
        mark = clock()
        observation = await env.reset(task, which.seed)
        env_seconds = reset_seconds = clock() - mark
        goal = observation.goal
        while True:
            mark = clock()
            try:
                decision = await agent.act(observation)
            except ContextOverflowError:
                ending = "overflow"
                break
            except OracleError:
                ending = "failure"
                break
            engine_seconds += clock() - mark
            mark = clock()
            step = await env.step(decision.action)
            env_seconds += clock() - mark
            progress()
            turns.append(
                Turn(
                    prompt_ids=decision.prompt_ids,
                    response_ids=decision.token_ids,
                    logprobs=decision.logprobs,
                    versions=decision.versions,
                    action=decision.action,
                    error=step.observation.last_action_error,
                    state_hash=observation.state_hash,
                    page_changed=step.observation.page_changed,
                    images=decision.images,
                )
            )
            observation, reward = step.observation, step.reward
            message = shown(step.message)
            if step.terminated:
                ending = "success" if is_success(reward) else _failing(step, "failure")
                break
            if step.truncated:
                ending = _failing(step, "horizon")
                break
    return Trajectory(
        episode_id=which.episode_id,
        task_id=which.task_id,
        seed=which.seed,
        group_id=which.group_id,
        member=which.member,
        turns=tuple(turns),
        reward=reward,
        ending=ending,
        goal=goal,
        started_s=started,
        seconds=clock() - began,
        env_seconds=env_seconds,
        reset_seconds=reset_seconds,
        engine_seconds=engine_seconds,
        attempts=which.attempt,
        message=message,
    )


def shown(message: str) -> str:
    """The beginning of what an evaluator or an endpoint said, safe to be shown: one line."""
    return "".join(c if c.isprintable() else " " for c in message[:MOST_MESSAGE])


def _failing(step: Step, otherwise: Ending) -> Ending:
    return "blocked" if step.blocked else "undecided" if step.undecided else otherwise
