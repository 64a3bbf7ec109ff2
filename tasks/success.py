"""When an episode counts as solved: one rule, wherever episodes are counted."""

from __future__ import annotations

SUCCESS = 1.0
"""The reward that says a task is done in full."""


def is_success(reward: float) -> bool:
    """Whether an episode of this reward was solved.

    Rates, endings, demonstrations to learn from and certificates all go by it. A reward between 0
    and 1 is none; reinforcement takes such a reward as it is.
    """
    return reward >= SUCCESS
