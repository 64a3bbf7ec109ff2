"""The figures that one update of the reinforcement is recorded with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from webdojo.tasks import registry
from webdojo.tasks.success import is_success
from webdojo.training.rollouts.trajectory import Group, Trajectory

STUCK_TURNS = 3
"""Turns in a row that leave the page as it was, after which an episode counts as stuck."""


def trained_on(groups: Sequence[Group]) -> dict[str, float]:
    """What the episodes trained on were like, for successes and failures apart.

    ``reward/trained``; ``steps/…`` and ``tokens/…`` an episode; ``turns/…``: shares of turns that
    left the page unchanged, and whose action was an error; ``episodes/stuck_share``;
    ``env/reset_ms``, ``env/step_ms`` and ``engine/turn_ms``: means over episodes.
    """
    values: dict[str, list[float]] = defaultdict(list)
    for trajectory in (trajectory for group in groups for trajectory in group.trajectories):
        kind = "success" if is_success(trajectory.reward) else "failure"
        turns = max(1, len(trajectory.turns))
        values["reward/trained"].append(trajectory.reward)
        values[f"steps/{kind}"].append(len(trajectory.turns))
        values[f"tokens/{kind}"].append(trajectory.response_tokens)
        steps_s = trajectory.env_seconds - trajectory.reset_seconds
        values["env/reset_ms"].append(1000 * trajectory.reset_seconds)
        values["env/step_ms"].append(1000 * steps_s / turns)
        values["engine/turn_ms"].append(1000 * trajectory.engine_seconds / turns)
        values["episodes/stuck_share"].append(is_stuck(trajectory))
        for turn in trajectory.turns:
            values["turns/unchanged_share"].append(not turn.page_changed)
            values["turns/error_share"].append(bool(turn.error))
    return {name: sum(found) / len(found) for name, found in values.items()}


def is_stuck(trajectory: Trajectory) -> bool:
    """Whether ``STUCK_TURNS`` turns in a row left the page as it was."""
    run = 0
    for turn in trajectory.turns:
        run = 0 if turn.page_changed else run + 1
        if run == STUCK_TURNS:
            return True
    return False


def of_rollouts(figures: Mapping[str, Any], demonstrated: Collection[str]) -> dict[str, float]:
    """What the rollouts did so far, from the figures that their process tells.

    ``reward/mean`` is over the latest episodes of all tasks; ``reward/<task>``,
    ``reward/<difficulty>`` and ``reward/(un)demonstrated`` over the latest of each task, episodes
    weighing the same. ``rollout/retried`` and ``rollout/rejected_groups`` are counts since the run
    began, in all and ``…/<cause>``; ``judge/…`` is what judges have taken since then.
    """
    seen: dict[str, float] = {}
    pool = figures.get("pool", {})
    if finished := pool.get("groups_finished", 0):
        seen["groups/mixed_share"] = pool["groups_mixed"] / finished
        seen["rollout/idle_share"] = pool["idle_share"]
        seen["rollout/episodes"] = pool["finished"]
    if "longest_silence_s" in pool:
        seen["rollout/longest_silence_s"] = pool["longest_silence_s"]
    seen |= {f"judge/{name}": count for name, count in figures.get("judge", {}).items()}
    for name, counts in (("retried", "retried"), ("rejected_groups", "groups_rejected")):
        if counts in pool:
            seen[f"rollout/{name}"] = sum(pool[counts].values())
            seen |= {f"rollout/{name}/{cause}": n for cause, n in pool[counts].items()}
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for task_id, (episodes, successes) in figures.get("tasks", {}).items():
        seen[f"reward/{task_id}"] = successes / episodes
        shown = "demonstrated" if task_id in demonstrated else "undemonstrated"
        for kind in (registry.get(task_id).difficulty, shown):
            sums[kind][0] += episodes
            sums[kind][1] += successes
    seen |= {f"reward/{kind}": successes / n for kind, (n, successes) in sums.items()}
    if "recent_success" in figures:
        seen["reward/mean"] = figures["recent_success"]
    return seen
