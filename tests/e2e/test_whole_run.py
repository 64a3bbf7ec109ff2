"""`webdojo train` from its first demonstration to its report, and `webdojo eval` after it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from small_run import Finished, lines, updates_of, webdojo

from webdojo.agents.checkpoint import find_checkpoint
from webdojo.tasks.splits import HELD_OUT_SEEDS, TRAIN_SEEDS
from webdojo.training.config_files import load_config
from webdojo.training.evaluate_agent import evaluate_agent
from webdojo.training.evaluation import MODES, EvaluationResult
from webdojo.training.intervals import rate
from webdojo.training.metric_names import metric_of
from webdojo.training.metrics import EVENTS_FOLDER
from webdojo.training.records import read_trajectories

# A whole run takes minutes where the machine is busy.
pytestmark = pytest.mark.timeout(900)
SPLITS = {
    "unseen_seeds": ["miniwob.click-button", "miniwob.click-dialog-2"],
    "undemonstrated": ["miniwob.click-dialog-2"],
    "unseen_tasks": ["miniwob.click-test-2"],
}


@pytest.fixture(scope="module")
def summary(finished: Finished) -> dict[str, Any]:
    return json.loads((finished.folder / "summary.json").read_text())  # type: ignore[no-any-return]


def test_it_tells_what_it_does_and_nothing_else(finished: Finished) -> None:
    assert finished.errors == ""
    said = finished.output
    phases = ["record demonstrations", "warm start", "evaluate before, greedy"]
    phases += ["evaluate before, sampled", "reinforce", "evaluate after, greedy", "report: "]
    places = [said.index(phase) for phase in phases]
    assert places == sorted(places)
    assert said.startswith("run folder: runs/small\n")
    assert said.endswith("report: runs/small/report.html\n")
    for noise in ("Loading weights", "Writing model shards", "Traceback", "Warning"):
        assert noise not in said


def test_the_folder_holds_what_is_promised_and_nothing_half_written(finished: Finished) -> None:
    run = finished.folder
    promised = ["config.toml", "state.json", "summary.json", "metrics.jsonl", "report.html"]
    promised += ["throughput.json", "trajectories/demonstrations.jsonl"]
    promised += ["trajectories/rollouts.jsonl"]
    promised += [f"evaluation/{when}-{how}.jsonl" for when in ("before", "after") for how in MODES]
    for name in promised:
        assert (run / name).stat().st_size > 0, name
    assert list((run / EVENTS_FOLDER).glob("events.out.tfevents.*"))
    assert list(run.glob("**/*.partial")) == []
    assert load_config(str(run / "config.toml")).name == "small"


def test_the_summary_has_its_shape_and_agrees_with_the_episodes(
    finished: Finished, summary: dict[str, Any]
) -> None:
    assert summary["seconds"] > 0
    assert set(summary["splits"]) == set(SPLITS)
    for split, task_ids in SPLITS.items():
        for when in ("before", "after"):
            assert set(summary["splits"][split][when]) == set(MODES)
            for how in MODES:
                found = summary["splits"][split][when][how]
                assert set(found) == {"success", "low", "high", "episodes"}
                rows = lines(finished.folder / "evaluation" / f"{when}-{how}.jsonl")
                rows = [row for row in rows if row["split"] == split]
                assert {row["task_id"] for row in rows} == set(task_ids)
                assert found == rate(sum(row["success"] for row in rows), len(rows))
                assert found["episodes"] == 2 * len(task_ids)
                per_task = [summary["tasks"][split][task][when][how] for task in task_ids]
                assert sum(part["episodes"] for part in per_task) == found["episodes"]


def test_before_and_after_are_the_same_fresh_episodes(finished: Finished) -> None:
    seen = []
    for when in ("before", "after"):
        for how in MODES:
            rows = lines(finished.folder / "evaluation" / f"{when}-{how}.jsonl")
            seen.append([(row["split"], row["task_id"], row["seed"], row["goal"]) for row in rows])
            assert all(row["seed"] in HELD_OUT_SEEDS for row in rows)
    assert all(each == seen[0] for each in seen)
    for name in ("demonstrations", "rollouts"):
        for trajectory in read_trajectories(finished.folder / "trajectories" / f"{name}.jsonl"):
            assert trajectory.seed in TRAIN_SEEDS


def test_metrics_and_tensorboard_tell_the_same_course(finished: Finished) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert updates_of(finished.folder) == [1, 2]
    rows = [r for r in lines(finished.folder / "metrics.jsonl") if r["phase"] == "reinforce"]
    assert {"loss", "groups/mixed_share", "staleness_max", "episodes_per_min"} <= set(rows[0])
    assert max(row["staleness_max"] for row in rows) <= 2
    for row in lines(finished.folder / "metrics.jsonl"):
        for name in row.keys() - {"time_s", "phase", "step"}:
            assert metric_of(row["phase"], name) is not None, name
    events = EventAccumulator(str(finished.folder / EVENTS_FOLDER))
    events.Reload()
    told = {event.step: event.value for event in events.Scalars("reinforce/grad_norm")}
    assert told == pytest.approx({row["step"]: row["grad_norm"] for row in rows}, rel=1e-5)


def test_trajectories_are_the_tokens_drawn(finished: Finished) -> None:
    rollouts = list(read_trajectories(finished.folder / "trajectories" / "rollouts.jsonl"))
    ids = [trajectory.episode_id for trajectory in rollouts]
    assert len(ids) == len(set(ids)) >= 8
    assert {t.task_id for t in rollouts} <= set(SPLITS["unseen_seeds"])
    for turn in (turn for trajectory in rollouts for turn in trajectory.turns):
        assert len(turn.response_ids) == len(turn.logprobs) == len(turn.versions) > 0
        assert turn.prompt_ids
    demonstrations = list(
        read_trajectories(finished.folder / "trajectories" / "demonstrations.jsonl")
    )
    assert sorted(t.seed for t in demonstrations) == [0, 1, 2, 3]
    assert all(t.reward > 0 and t.turns[-1].response_ids for t in demonstrations)


def test_the_policy_has_changed_and_can_be_loaded(finished: Finished) -> None:
    checkpoints = finished.folder / "checkpoints"
    warm = find_checkpoint(str(checkpoints / "warm-start")).model().state_dict()
    final = find_checkpoint(str(checkpoints / "final"))
    assert final.layout.name == "outline"
    changed = [
        name for name, value in final.model().state_dict().items() if (value != warm[name]).any()
    ]
    assert changed


def test_the_report_shows_the_figures(finished: Finished, summary: dict[str, Any]) -> None:
    report = (finished.folder / "report.html").read_text()
    for task_ids in SPLITS.values():
        for task_id in task_ids:
            assert task_id in report
    after = summary["splits"]["unseen_seeds"]["after"]["greedy"]["success"]
    assert f"{after:.0%}" in report or f"{after:.0%}".replace("%", " %") in report


@pytest.mark.parametrize(
    "deterministic",
    [
        pytest.param(True, id="deterministic"),
        pytest.param(False, id="in-slots", marks=pytest.mark.slow),
    ],
)
def test_eval_repeats_the_figures_of_the_run(
    finished: Finished, summary: dict[str, Any], deterministic: bool
) -> None:
    final = str(finished.folder / "checkpoints" / "final")
    found = evaluate_agent(final, "unseen_seeds", deterministic=deterministic, quiet=True)
    assert found["trained_on"]["tasks"] == SPLITS["unseen_seeds"]
    for how in MODES:
        assert found["modes"][how]["all"] == summary["splits"]["unseen_seeds"]["after"][how]
        for task, given in found["modes"][how]["tasks"].items():
            assert given == summary["tasks"]["unseen_seeds"][task]["after"][how]


def test_eval_on_the_command_line_repeats_them_too(
    finished: Finished, summary: dict[str, Any]
) -> None:
    status, output, errors = webdojo(
        finished.folder.parent.parent, "eval", "--agent", "runs/small/checkpoints/warm-start",
        "--split", "undemonstrated", "--mode", "greedy", "--json",
    )  # fmt: skip
    assert (status, errors) == (0, "")
    found = json.loads(output)
    assert found["trained_on"] == {
        "tasks": [],
        "groups": [],
        "seeds": "held out",
        "few_instances": [],
        "begun_from": "",
    }
    assert found["modes"] == {
        "greedy": {
            "all": summary["splits"]["undemonstrated"]["before"]["greedy"],
            "tasks": {
                "miniwob.click-dialog-2": summary["tasks"]["undemonstrated"][
                    "miniwob.click-dialog-2"
                ]["before"]["greedy"]
            },
            **EvaluationResult((), {}, {}).counts,
        }
    }


@pytest.mark.slow
def test_the_oracle_solves_what_chance_does_not(finished: Finished) -> None:
    config = str(finished.folder / "config.toml")
    rates = {
        agent: evaluate_agent(agent, "unseen_seeds", config=config, episodes=4, quiet=True)
        for agent in ("oracle", "random")
    }
    assert rates["oracle"]["modes"]["oracle"]["all"]["success"] == 1.0
    assert rates["random"]["modes"]["random"]["all"]["success"] < 1.0
    again = evaluate_agent("random", "unseen_seeds", config=config, episodes=4, quiet=True)
    assert again == rates["random"]


def test_a_finished_run_is_not_done_again(finished: Finished) -> None:
    before = (finished.folder / "metrics.jsonl").read_text()
    status, output, errors = webdojo(
        finished.folder.parent.parent, "train", "--resume", "runs/small"
    )
    assert (status, errors) == (0, "")
    assert output == "runs/small is finished: see runs/small/report.html\n"
    assert (finished.folder / "metrics.jsonl").read_text() == before
