"""Trajectories: exactly the tokens that the policy saw and drew, turn by turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from typing import Any, Literal

from webdojo.training.rollouts.packed_turns import PackedTurns

Ending = Literal[
    "success", "failure", "horizon", "overflow", "deadline", "unanswered", "blocked", "undecided"
]
UNCOUNTED = ("blocked", "undecided")
"""Endings that say nothing of the agent: such episodes count in no rate, and are not trained on."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One prompt and its response: one training row.

    ``prompt_ids`` [prompt tokens]; ``response_ids``, ``logprobs`` (nats, of the distribution
    sampled from) and ``versions`` (policy version that drew each token) [response tokens].
    """

    prompt_ids: tuple[int, ...]
    response_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    versions: tuple[int, ...]
    action: str
    """The action call as executed; empty if the response held none."""
    error: str = ""
    """What the environment said was wrong with the action; empty if nothing was."""
    step_reward: float = 0.0
    """Reward of this turn besides the trajectory's; no task gives any."""
    state_hash: str = ""
    """Hash of URL and pruned page before the action."""
    page_changed: bool = True
    images: tuple[str, ...] = ()
    """References (content hashes) of the screenshots in the prompt, in order."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One finished episode of one member of a group."""

    episode_id: str
    """Unique in a run; a retried episode gets a new one."""
    task_id: str
    seed: int
    group_id: int
    member: int
    """Index in the group, 0 … group size − 1."""
    turns: tuple[Turn, ...]
    reward: float
    ending: Ending
    goal: str = ""
    started_s: float = 0.0
    """Unix time at which the episode began."""
    seconds: float = 0.0
    env_seconds: float = 0.0
    """Of ``seconds``, spent in the browser."""
    reset_seconds: float = 0.0
    """Of ``env_seconds``, spent until the first observation was there."""
    engine_seconds: float = 0.0
    """Of ``seconds``, spent waiting for the engine."""
    attempts: int = 1
    """How many times the episode was begun before it ended."""
    message: str = ""
    """What its evaluator said last, or why it was given up; for people."""

    @property
    def response_tokens(self) -> int:
        """Number of tokens drawn by the policy."""
        return sum(len(turn.response_ids) for turn in self.turns)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled with its turns packed."""
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "turns"}
        return _trajectory, (rest, PackedTurns.of(self.turns) if self.turns else None)


@dataclass(frozen=True, slots=True)
class Group:
    """The G trajectories of one (task, seed), compared with one another."""

    group_id: int
    task_id: str
    seed: int
    trajectories: tuple[Trajectory, ...] = field(default=())
    drawn: tuple[float, ...] = ()
    """Rewards of all that was drawn for the group; empty if all of it is in ``trajectories``."""

    @property
    def mixed(self) -> bool:
        """Whether rewards differ, so that the group carries a gradient."""
        return len({t.reward for t in self.trajectories}) > 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled with the turns of all its members packed together."""
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "trajectories"}
        turns = [turn for trajectory in self.trajectories for turn in trajectory.turns]
        members = [
            (replace(trajectory, turns=()), len(trajectory.turns))
            for trajectory in self.trajectories
        ]
        return _group, (rest, members, PackedTurns.of(turns) if turns else None)


def _trajectory(rest: dict[str, Any], packed: PackedTurns | None) -> Trajectory:
    return Trajectory(**rest, turns=packed.turns() if packed is not None else ())


def _group(
    rest: dict[str, Any],
    members: Sequence[tuple[Trajectory, int]],
    packed: PackedTurns | None,
) -> Group:
    turns = iter(packed.turns() if packed is not None else ())
    trajectories = tuple(
        replace(trajectory, turns=tuple(islice(turns, count))) for trajectory, count in members
    )
    return Group(**rest, trajectories=trajectories)
