"""Evaluation: fresh episodes on held-out seeds, greedy and sampled, with Wilson intervals."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from webdojo.tasks import registry
from webdojo.tasks.splits import HELD_OUT_SEEDS, Split
from webdojo.tasks.success import is_success
from webdojo.training.config import TrainConfig
from webdojo.training.episodes import EpisodeId
from webdojo.training.intervals import Rate, rate
from webdojo.training.rollouts.players import Player
from webdojo.training.rollouts.process import RolloutProcess
from webdojo.training.rollouts.trajectory import UNCOUNTED, Trajectory

Mode = Literal["greedy", "sampled"]
MODES: tuple[Mode, ...] = ("greedy", "sampled")
TEMPERATURE = {"greedy": 0.0, "sampled": 1.0}


def splits_of(config: TrainConfig) -> dict[str, Split]:
    """The three splits of a run.

    ``unseen_seeds``: held-out seeds of every task in the reinforced set. ``undemonstrated``: those
    of them whose task was never demonstrated. ``unseen_tasks``: tasks that no training saw.
    """
    parts = {
        "unseen_seeds": config.tasks.reinforced,
        "undemonstrated": config.undemonstrated,
        "unseen_tasks": config.tasks.unseen,
    }
    return {
        name: Split(name, 1, registry.select(tasks), HELD_OUT_SEEDS)
        for name, tasks in parts.items()
        if tasks
    }


@dataclass(frozen=True)
class EvaluationResult:
    """What was found in one mode: every episode once, and rates by split and by task."""

    records: tuple[dict[str, Any], ...]
    splits: Mapping[str, Rate | None]
    """None where not one episode counts, since all were blocked or undecided."""
    tasks: Mapping[str, Mapping[str, Rate | None]]
    """By split, then by task; None as above."""

    @property
    def counts(self) -> dict[str, Any]:
        """Episodes by the endings that are told of beside the rates, and reasons of the last ones.

        ``blocked`` and ``undecided`` ones are in no rate; ``overflow``, ``deadline`` and
        ``unanswered`` ones, which an endpoint refused, are failures (``overflow_at_once``: not one
        step was played).
        """
        once = {(r["task_id"], r["seed"]): r for r in self.records}.values()
        counts: dict[str, Any] = {
            ending: sum(r["ending"] == ending for r in once)
            for ending in (*UNCOUNTED, "overflow", "deadline", "unanswered")
        }
        counts["overflow_at_once"] = sum(r["ending"] == "overflow" and not r["steps"] for r in once)
        for ending in ("undecided", "unanswered"):
            reasons = [r.get("message", "") for r in once if r["ending"] == ending]
            counts[f"{ending}_reason"] = reasons[-1] if reasons else ""
        return counts


def in_words(counts: Mapping[str, Any]) -> list[str]:
    """What ``EvaluationResult.counts`` holds, for people: a phrase each of what there is."""
    told = []
    if counts["blocked"]:
        told.append(f"{counts['blocked']} episodes blocked by their sites, in no rate")
    if counts["undecided"]:
        reason = counts["undecided_reason"]
        told.append(f"{counts['undecided']} episodes that nobody judged, in no rate ({reason})")
    if counts["overflow"]:
        at_once = counts["overflow_at_once"]
        before = f", {at_once} before the first step" if at_once else ""
        told.append(
            f"{counts['overflow']} episodes failed as their prompt outgrew the context{before}"
        )
    if counts["deadline"]:
        told.append(f"{counts['deadline']} episodes failed as they were given up at the deadline")
    if counts["unanswered"]:
        reason = counts["unanswered_reason"]
        told.append(
            f"{counts['unanswered']} episodes failed as the endpoint did not answer ({reason})"
        )
    return told


@dataclass
class Tally:
    """What has come of an evaluation so far; episodes that say nothing count in no rate."""

    played: int = 0
    uncounted: int = 0
    successes: int = 0

    def add(self, trajectory: Trajectory) -> None:
        """Count an episode that has ended."""
        self.played += 1
        self.uncounted += trajectory.ending in UNCOUNTED
        self.successes += is_success(trajectory.reward)

    @property
    def figures(self) -> dict[str, float]:
        """``success``, as soon as an episode counts."""
        judged = self.played - self.uncounted
        return {"success": self.successes / judged} if judged else {}


def evaluate(
    rollouts: RolloutProcess,
    splits: Iterable[Split],
    *,
    per_task: int,
    skip: int = 0,
    player: Player,
    mode: Mode,
    seed: int,
    temperature: float | None = None,
    on_episode: Callable[[Trajectory], None] = lambda trajectory: None,
    played: dict[str, Trajectory] | None = None,
) -> EvaluationResult:
    """Play ``per_task`` episodes of each task of the splits, after the first ``skip`` seeds.

    An episode that lies in two splits is played once and counts in both. ``temperature`` is the
    mode's own (greedy 0, sampled 1) unless given. What is in ``played``, by episode, is not played
    again, and what is played is added to it, so that it is there if the rollout process is killed.
    """
    wanted = {split.name: list(_episodes(split, per_task, skip)) for split in splits}
    once = {which.episode_id: which for episodes in wanted.values() for which in episodes}
    found = {} if played is None else played
    for trajectory in found.values():
        on_episode(trajectory)
    for trajectory in rollouts.stream(
        "play",
        player=player,
        episodes=[which for name, which in once.items() if name not in found],
        temperature=TEMPERATURE[mode] if temperature is None else temperature,
        seed=seed,
        in_all=len(once),
    ):
        found[trajectory.episode_id] = trajectory
        on_episode(trajectory)
    records = tuple(
        _record(split, found[which.episode_id])
        for split, episodes in wanted.items()
        for which in episodes
    )
    return EvaluationResult(records, *_rates(records))


def count_episodes(splits: Iterable[Split], per_task: int) -> int:
    """How many episodes ``evaluate`` plays."""
    return per_task * len({task_id for split in splits for task_id in split.task_ids})


def by_difficulty(records: Iterable[Mapping[str, Any]]) -> dict[str, Rate]:
    """Rates by difficulty of the task, each episode once; those without an episode are left out.

    Episodes that were blocked, or that nobody judged, count in none.
    """
    told = (record for record in records if record["ending"] not in UNCOUNTED)
    once = {(record["task_id"], record["seed"]): record for record in told}
    outcomes: dict[str, list[int]] = defaultdict(list)
    for record in once.values():
        outcomes[registry.get(record["task_id"]).difficulty].append(record["success"])
    return {difficulty: rate(sum(s), len(s)) for difficulty, s in outcomes.items()}


def write_records(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write one episode a line, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    partial.replace(path)


def read_result(path: Path) -> EvaluationResult:
    """The result that ``write_records`` kept."""
    records = tuple(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return EvaluationResult(records, *_rates(records))


def _episodes(split: Split, per_task: int, skip: int) -> Iterator[EpisodeId]:
    for task_id, seed in split.episodes(per_task, skip):
        yield EpisodeId(f"eval-{task_id}-{seed}", task_id, seed)


def _record(split: str, trajectory: Trajectory) -> dict[str, Any]:
    return {
        "split": split,
        "task_id": trajectory.task_id,
        "seed": trajectory.seed,
        "success": int(is_success(trajectory.reward)),
        "steps": len(trajectory.turns),
        "response_tokens": trajectory.response_tokens,
        "ending": trajectory.ending,
        "message": trajectory.message,
        "goal": trajectory.goal,
        "actions": [turn.action for turn in trajectory.turns],
        "errors": [turn.error for turn in trajectory.turns],
    }


def _rates(
    records: Iterable[Mapping[str, Any]],
) -> tuple[dict[str, Rate | None], dict[str, dict[str, Rate | None]]]:
    outcomes: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        of_task = outcomes[record["split"]][record["task_id"]]
        if record["ending"] not in UNCOUNTED:
            of_task.append(record["success"])
    splits = {}
    tasks = {}
    for split, by_task in outcomes.items():
        splits[split] = _rate([success for found in by_task.values() for success in found])
        tasks[split] = {task: _rate(found) for task, found in by_task.items()}
    return splits, tasks


def _rate(successes: Sequence[int]) -> Rate | None:
    return rate(sum(successes), len(successes)) if successes else None
