"""Samplers: an endless, seeded sequence of (task, seed) to run."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class TaskSampler(Protocol):
    """Says which task instance comes next, for ever."""

    def draw(self) -> tuple[str, int]:
        """The next (task_id, seed)."""
        ...

    def record(self, task_id: str, success: float) -> None:
        """Learn that a group of ``task_id`` ended with mean reward ``success`` in [0, 1]."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What ``load_state_dict`` needs to go on from here; plain JSON values."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state``."""
        ...


class UniformSampler:
    """Every task once a round, rounds in random order, each time with a random seed.

    The n-th draw is a function of ``random_seed`` and n alone, so the state is one number.
    """

    def __init__(self, task_ids: Sequence[str], seeds: range, random_seed: int = 0) -> None:
        _check(task_ids, seeds)
        self._task_ids = tuple(task_ids)
        self._seeds = seeds
        self._random_seed = random_seed
        self._drawn = 0
        self._round: list[str] = []

    def draw(self) -> tuple[str, int]:
        """The next (task_id, seed)."""
        number, place = divmod(self._drawn, len(self._task_ids))
        if place == 0 or not self._round:
            self._round = list(self._task_ids)
            _stream(self._random_seed, "round", number).shuffle(self._round)
        seed = _stream(self._random_seed, "draw", self._drawn).choice(self._seeds)
        self._drawn += 1
        return self._round[place], seed

    def record(self, task_id: str, success: float) -> None:
        """Nothing to learn: every task is drawn equally often."""

    def state_dict(self) -> dict[str, Any]:
        """``{"drawn": number of draws so far}``."""
        return {"drawn": self._drawn}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on after ``state["drawn"]`` draws."""
        self._drawn = int(state["drawn"])
        self._round = []


class AdaptiveSampler:
    """Prefer the tasks that the policy solves about half of the time.

    Each task keeps a moving average of its success, p ← (1 − α)·p + α·success, one step a group,
    and is drawn with probability proportional to max(floor, 4·p·(1 − p)) (WebGym, arXiv
    2601.02439). Tasks not seen yet start at p = 0.5, the highest priority. The floor keeps
    mastered and hopeless tasks in sight, since the policy may forget the one and learn the other.
    """

    def __init__(
        self,
        task_ids: Sequence[str],
        seeds: range,
        random_seed: int = 0,
        *,
        alpha: float = 0.3,
        floor: float = 0.1,
    ) -> None:
        _check(task_ids, seeds)
        if not 0 < alpha <= 1:
            raise ValueError(f"alpha must lie in (0, 1], got {alpha}")
        if not 0 < floor <= 1:
            raise ValueError(f"floor must lie in (0, 1], got {floor}; at 0 a task could be lost")
        self._seeds = seeds
        self._random_seed = random_seed
        self._alpha = alpha
        self._floor = floor
        self._success = dict.fromkeys(task_ids, 0.5)
        self._drawn = 0

    def draw(self) -> tuple[str, int]:
        """The next (task_id, seed)."""
        drawing = _stream(self._random_seed, "draw", self._drawn)
        priorities = [self.priority(task_id) for task_id in self._success]
        (task_id,) = drawing.choices(list(self._success), weights=priorities)
        self._drawn += 1
        return task_id, drawing.choice(self._seeds)

    def priority(self, task_id: str) -> float:
        """Weight of ``task_id`` in the draw, in [floor, 1]."""
        success = self._success[task_id]
        return max(self._floor, 4 * success * (1 - success))

    def record(self, task_id: str, success: float) -> None:
        """Move the task's average towards ``success``, the mean reward of one group."""
        if task_id in self._success:
            self._success[task_id] += self._alpha * (success - self._success[task_id])

    def state_dict(self) -> dict[str, Any]:
        """``{"drawn": number of draws, "success": {task_id: moving average}}``."""
        return {"drawn": self._drawn, "success": dict(self._success)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state``; tasks it does not know keep p = 0.5, tasks gone are dropped."""
        self._drawn = int(state["drawn"])
        for task_id in self._success:
            self._success[task_id] = float(state["success"].get(task_id, 0.5))


def _stream(random_seed: int, purpose: str, number: int) -> random.Random:
    return random.Random(f"{random_seed}/{purpose}/{number}")


def _check(task_ids: Sequence[str], seeds: range) -> None:
    if not task_ids:
        raise ValueError("no tasks to sample from: name at least one")
    if len(set(task_ids)) != len(task_ids):
        twice = sorted({task_id for task_id in task_ids if task_ids.count(task_id) > 1})
        raise ValueError(f"tasks named twice: {', '.join(twice)}; name each once")
    if not seeds:
        raise ValueError(f"no seeds to sample from: {seeds} is empty")
