"""Evaluation: which episodes are played, how they are counted, and what is kept of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from webdojo.tasks.splits import HELD_OUT_SEEDS
from webdojo.training.config_files import parse_config
from webdojo.training.episodes import EpisodeId
from webdojo.training.evaluation import (
    Tally,
    count_episodes,
    evaluate,
    in_words,
    read_result,
    splits_of,
    write_records,
)
from webdojo.training.intervals import rate
from webdojo.training.rollouts.trajectory import Trajectory, Turn

CLICK, LOGIN, TEST = "miniwob.click-button", "miniwob.login-user", "miniwob.click-test"
CONFIG = parse_config(
    {"tasks": {"demonstrated": [CLICK], "reinforced": [CLICK, LOGIN], "unseen": [TEST]}}, "test"
)
SPLITS = splits_of(CONFIG)


class ScriptedRollouts:
    """Ends episodes as told, out of order; in place of browsers, whose ends cannot be foretold."""

    def __init__(self, solved: set[tuple[str, int]], worth: float = 1.0) -> None:
        self.solved = solved
        self.worth = worth
        self.asked: list[EpisodeId] = []
        self.arguments: dict[str, Any] = {}

    def stream(
        self, method: str, *, episodes: Sequence[EpisodeId], **arguments: Any
    ) -> Iterator[Trajectory]:
        assert method == "play"
        self.asked, self.arguments = list(episodes), arguments
        for each in reversed(episodes):
            turn = Turn((1,), (2, 3), (-0.1, -0.2), (0, 0), 'click("1")', "too late")
            reward = self.worth * ((each.task_id, each.seed - HELD_OUT_SEEDS.start) in self.solved)
            ending = "success" if reward else "failure"
            yield Trajectory(
                each.episode_id, each.task_id, each.seed, 0, 0, (turn,), reward, ending, "Go."
            )


def play(
    solved: set[tuple[str, int]], worth: float = 1.0, **more: Any
) -> tuple[ScriptedRollouts, Any]:
    rollouts = ScriptedRollouts(solved, worth)
    arguments = {"per_task": 3, "player": "policy", "mode": "greedy", "seed": 5} | more
    return rollouts, evaluate(rollouts, SPLITS.values(), **arguments)  # type: ignore[arg-type]


def test_the_splits_of_a_run_are_its_tasks_on_held_out_seeds() -> None:
    assert {name: split.task_ids for name, split in SPLITS.items()} == {
        "unseen_seeds": (CLICK, LOGIN),
        "undemonstrated": (LOGIN,),
        "unseen_tasks": (TEST,),
    }
    assert all(split.seeds == HELD_OUT_SEEDS for split in SPLITS.values())
    alone = parse_config({"tasks": {"demonstrated": [CLICK], "reinforced": [CLICK]}}, "test")
    assert set(splits_of(alone)) == {"unseen_seeds"}


def test_an_episode_of_two_splits_is_played_once_and_counts_in_both() -> None:
    rollouts, result = play({(LOGIN, 0), (LOGIN, 2), (CLICK, 1), (TEST, 0)})
    assert len(rollouts.asked) == count_episodes(SPLITS.values(), 3) == 9
    assert len({each.episode_id for each in rollouts.asked}) == 9
    assert result.splits == {
        "unseen_seeds": rate(3, 6),
        "undemonstrated": rate(2, 3),
        "unseen_tasks": rate(1, 3),
    }
    assert result.tasks["unseen_seeds"] == {CLICK: rate(1, 3), LOGIN: rate(2, 3)}
    assert len(result.records) == 12


def test_the_same_episodes_are_asked_for_whatever_the_mode() -> None:
    greedy, _ = play(set())
    sampled, _ = play(set(), mode="sampled")
    assert greedy.asked == sampled.asked
    assert (greedy.arguments["temperature"], sampled.arguments["temperature"]) == (0.0, 1.0)
    moved, _ = play(set(), skip=3)
    seeds = {each.seed for each in moved.asked}
    assert seeds == set(HELD_OUT_SEEDS[3:6])
    assert seeds.isdisjoint(each.seed for each in greedy.asked)


def test_what_is_kept_gives_the_same_result_and_can_be_played_again(tmp_path: Path) -> None:
    _, result = play({(CLICK, 0)})
    path = tmp_path / "evaluation" / "before-greedy.jsonl"
    write_records(path, result.records)
    assert read_result(path) == result
    assert list(path.parent.iterdir()) == [path]
    first = result.records[0]
    assert (first["split"], first["task_id"], first["success"]) == ("unseen_seeds", CLICK, 1)
    assert (first["actions"], first["errors"]) == (['click("1")'], ["too late"])
    assert first["response_tokens"] == 2


def test_half_a_reward_solves_nothing() -> None:
    _, found = play({(CLICK, 0)}, worth=0.5)
    assert [record["success"] for record in found.records] == [0] * len(found.records)
    assert found.tasks["unseen_seeds"][CLICK] == rate(0, 3)


def test_every_episode_is_told_of_as_it_ends() -> None:
    told: list[str] = []
    rollouts, _ = play(set(), on_episode=lambda trajectory: told.append(trajectory.episode_id))
    assert told == [each.episode_id for each in reversed(rollouts.asked)]


def test_what_says_nothing_of_the_agent_is_in_no_rate_and_counted(tmp_path: Path) -> None:
    told = {"split": "mine", "task_id": CLICK, "success": 0, "message": "no key", "steps": 0}
    endings = ["undecided", "undecided", "blocked", "overflow", "deadline", "failure"]
    records = [{**told, "seed": seed, "ending": end} for seed, end in enumerate(endings)]
    records.append({**told, "seed": 9, "ending": "overflow", "steps": 2})
    records.append({**told, "seed": 10, "ending": "unanswered", "message": "HTTP 400"})
    write_records(tmp_path / "some.jsonl", records)
    result = read_result(tmp_path / "some.jsonl")
    assert result.splits == {"mine": rate(0, 5)}
    assert result.counts == {
        "blocked": 1, "undecided": 2, "overflow": 2, "deadline": 1, "overflow_at_once": 1,
        "undecided_reason": "no key", "unanswered": 1, "unanswered_reason": "HTTP 400",
    }  # fmt: skip
    assert in_words(result.counts) == [
        "1 episodes blocked by their sites, in no rate",
        "2 episodes that nobody judged, in no rate (no key)",
        "2 episodes failed as their prompt outgrew the context, 1 before the first step",
        "1 episodes failed as they were given up at the deadline",
        "1 episodes failed as the endpoint did not answer (HTTP 400)",
    ]
    alone = Tally()
    for end in ("undecided", "failure", "success"):
        alone.add(Trajectory("e", CLICK, 0, 0, 0, (), float(end == "success"), end))
    assert alone.figures == {"success": 0.5}
