"""Recent success with equal weights for tasks, whatever the mix in which they are played."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

EPISODES = 400
"""Latest episodes that are judged, in all, where tasks are few enough."""
LEAST_OF_TASK = 8
"""Latest episodes of one task, however many tasks there are."""


class EvenSuccess:
    """How well a policy does on the tasks it is trained on.

        success = (1 / n) Σ_task (successes / episodes of the task's latest max(8, 400 // n))

    over the n tasks, a task not played yet being a failure: samplers play the easy ones first, or
    those that are half solved, so the share of all episodes rises and falls with their mix. Of more
    than ``most`` tasks those ``most`` count that were played last, and n is ``most``.
    """

    def __init__(self, tasks: int, most: int = EPISODES // LEAST_OF_TASK) -> None:
        self._most = min(tasks, most)
        self._of_task = max(LEAST_OF_TASK, EPISODES // self._most)
        self._tasks: dict[str, deque[bool]] = {}
        """Longest ago first."""

    def add(self, task_id: str, success: bool) -> None:
        """Count an episode."""
        episodes = self._tasks.pop(task_id, None) or deque(maxlen=self._of_task)
        episodes.append(success)
        self._tasks[task_id] = episodes
        if len(self._tasks) > self._most:
            del self._tasks[next(iter(self._tasks))]

    @property
    def success(self) -> float:
        """From 0 to 1."""
        return sum(sum(each) / len(each) for each in self._tasks.values()) / self._most

    @property
    def episodes(self) -> int:
        """How many episodes that is seen from."""
        return sum(map(len, self._tasks.values()))

    def state_dict(self) -> list[list[Any]]:
        """Task ids and their episodes, as JSON has them."""
        return [[task_id, list(episodes)] for task_id, episodes in self._tasks.items()]

    def load_state_dict(self, state: list[list[Any]]) -> None:
        """Go on from ``state_dict``."""
        self._tasks.clear()
        for task_id, episodes in state:
            for success in episodes:
                self.add(task_id, success)


def check_episodes(pool: Mapping[str, Any]) -> None:
    """Raise TypeError or ValueError if a pool's state tells of its episodes in no known way."""
    for task_id, episodes in pool.get("latest", ()):
        if not isinstance(task_id, str) or any(type(success) is not bool for success in episodes):
            raise TypeError("the latest episodes are task ids, and true or false for each")
