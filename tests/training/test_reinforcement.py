"""What the learner's loop tells, and when it gives up."""

from __future__ import annotations

import io
import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from rich.console import Console

from webdojo.tasks.errors import UserError
from webdojo.tasks.sampling import UniformSampler
from webdojo.training.checkpoints import Checkpoints
from webdojo.training.config_files import parse_config
from webdojo.training.metrics import METRICS_FILE, MetricsLog
from webdojo.training.progress import Progress
from webdojo.training.reinforcement import MOST_SKIPPED, Reinforcement
from webdojo.training.rollouts.ledger import Ledger
from webdojo.training.rollouts.pacing import Pacing
from webdojo.training.rollouts.process import RolloutProcess
from webdojo.training.rollouts.trajectory import Group, Trajectory, Turn
from webdojo.training.run_folder import RunFolder
from webdojo.training.team import Team

CONFIG = parse_config({"name": "mine", "tasks": {"reinforced": ["miniwob.click-button"]}}, "test")


@pytest.fixture
def told() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def reinforcement(tmp_path: Path, told: io.StringIO) -> Reinforcement:
    folder = RunFolder.create(CONFIG, tmp_path)
    progress = Progress(Console(file=told))
    nowhere = None
    return Reinforcement(
        CONFIG, folder, cast(RolloutProcess, nowhere), cast(MetricsLog, nowhere), progress, Team()
    )


def finished(groups: int, mixed: int, success: float) -> dict[str, object]:
    return {
        "pool": {"groups_finished": groups, "groups_mixed": mixed, "finished": 8 * groups},
        "recent_success": success,
    }


def test_updates_that_are_never_finite_end_the_run_with_a_sentence(
    reinforcement: Reinforcement,
) -> None:
    for _ in range(MOST_SKIPPED - 1):
        reinforcement._check_progress({"optimizer_steps": 0, "skipped_steps": 2})
    reinforcement._check_progress({"optimizer_steps": 1, "skipped_steps": 1})
    for _ in range(MOST_SKIPPED - 1):
        reinforcement._check_progress({"optimizer_steps": 0, "skipped_steps": 2})
    with pytest.raises(UserError, match=r"not finite in 5 updates in a row: lower learner\.lr"):
        reinforcement._check_progress({"optimizer_steps": 0, "skipped_steps": 2})


def test_updates_that_lost_every_screenshot_are_not_called_infinite(
    reinforcement: Reinforcement,
) -> None:
    for _ in range(MOST_SKIPPED - 1):
        reinforcement._check_progress({"optimizer_steps": 0, "skipped_steps": 0})
    reinforcement._check_progress({"optimizer_steps": 1, "skipped_steps": 0})
    for _ in range(MOST_SKIPPED - 1):
        reinforcement._check_progress({"optimizer_steps": 0, "skipped_steps": 0})
    with pytest.raises(UserError, match=r"screenshots of every episode of 5 updates.*/screenshots"):
        reinforcement._check_progress({"optimizer_steps": 0, "skipped_steps": 0})


@pytest.mark.parametrize(("spent_s", "asked"), [(60.0, 1), (180.0, 0)])
def test_it_ends_when_its_minutes_are_over_with_those_before_it_went_on(
    reinforcement: Reinforcement,
    told: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    spent_s: float,
    asked: int,
) -> None:
    patience_s: list[float] = []
    begun: list[dict[str, Any]] = []

    def call(name: str, **given: Any) -> object:
        if name == "next_batch":
            patience_s.append(given["patience_s"])
        return {"browser_launches": 1} if name == "stop_pool" else None

    def restore(self: Reinforcement, learner: object) -> tuple[int, dict[str, Any]]:
        self._before_s = spent_s
        return 3, {}

    limit = CONFIG.reinforce.model_copy(update={"max_minutes": 2.0})
    reinforcement._config = CONFIG.model_copy(update={"reinforce": limit})
    reinforcement._rollouts = cast(Any, SimpleNamespace(figures={}, call=call))
    monkeypatch.setattr(Reinforcement, "_learner", lambda self: None)
    monkeypatch.setattr(Reinforcement, "_restore", restore)
    monkeypatch.setattr(Reinforcement, "_publishing", lambda *_: nullcontext(lambda version: None))
    monkeypatch.setattr(Reinforcement, "_write_policy", lambda self, _, to: (to / "it").touch())
    monkeypatch.setattr(reinforcement._progress, "phase", lambda *_, **given: begun.append(given))
    final = reinforcement._folder.checkpoint("final")
    nothing: Any = None
    assert reinforcement.run(nothing, final)["updates"] == 3
    assert begun == [{"most_s": max(0.0, 120 - spent_s)}]
    assert len(patience_s) == asked
    assert all(0 < each <= 120 - spent_s for each in patience_s)
    assert ("time is up before enough groups" in told.getvalue()) == bool(asked)
    assert (final / "it").is_file()


def test_no_success_is_shown_before_an_episode_has_ended(
    reinforcement: Reinforcement, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resumed run knows of groups at once, and of success once its first episode ends."""
    shown: list[dict[str, float]] = []
    monkeypatch.setattr(reinforcement._progress, "update", lambda **given: shown.append(given))
    known = finished(9, 8, 0.0)
    reinforcement._show_rollouts({"pool": known["pool"]})
    reinforcement._show_rollouts(known)
    assert [figures.get("success") for figures in shown] == [None, 0.0]
    assert [figures["mixed_groups"] for figures in shown] == [8 / 9, 8 / 9]


@pytest.mark.parametrize(("success", "fault"), [(0.0, "hard"), (1.0, "easy")])
def test_groups_that_teach_nothing_are_told_of_once(
    reinforcement: Reinforcement, told: io.StringIO, success: float, fault: str
) -> None:
    reinforcement._show_rollouts({})
    reinforcement._show_rollouts(finished(39, 0, success))
    assert not told.getvalue()
    for groups in (40, 80):
        reinforcement._show_rollouts(finished(groups, 1, success))
    assert told.getvalue().count("only 1 of 40 groups") == 1
    assert f"is too {fault} for this policy" in told.getvalue()


def test_enough_mixed_groups_are_nothing_to_tell(
    reinforcement: Reinforcement, told: io.StringIO
) -> None:
    reinforcement._show_rollouts(finished(100, 5, 0.5))
    assert not told.getvalue()


def group() -> Group:
    turn = Turn((1,), (2, 3), (-1.0, -1.0), (0, 0), "noop()")
    members = [
        Trajectory(f"0-{m}", "miniwob.click-button", 0, 0, m, (turn,), float(m), "success")
        for m in range(2)
    ]
    return Group(0, "miniwob.click-button", 0, tuple(members))


def rollouts(**figures: Any) -> RolloutProcess:
    """Figures as a rollout process tells them."""
    return cast(RolloutProcess, SimpleNamespace(figures=figures))


def test_shares_and_paces_of_an_update_are_counted_by_hand(
    tmp_path: Path, told: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(monotonic=lambda: 1000.0)
    monkeypatch.setattr("webdojo.training.reinforcement.time", clock)
    pool = {"groups_finished": 3, "groups_mixed": 2, "finished": 40, "idle_share": 0.5}
    found = rollouts(pool=pool, engine={"drawn_tokens": 900})
    with MetricsLog(tmp_path, loggers=()) as log:
        run = Reinforcement(
            CONFIG, RunFolder(tmp_path), found, log, Progress(Console(file=told)), Team()
        )
        # 100 s before a kill, in which 300 tokens were drawn; 20 s since, with an engine that had
        # drawn 200 tokens for an evaluation.
        run._before_s, run._drawn_before = 100.0, 300 - 200
        run._began = 1000.0 - 20
        run._tell(7, [group()], {"tokens_per_s": 5.0}, waited_s=1.0, trained_s=3.0)
        run._waited_s, run._trained_s = 1.0, 3.0
        whole = run._throughput(found.figures | {"browser_launches": 1}, 7, 120.0)
    (seen,) = map(json.loads, (tmp_path / METRICS_FILE).read_text().splitlines())
    assert (seen["phase"], seen["step"]) == ("reinforce", 7)
    assert seen["learner/idle_share"] == 0.25
    assert seen["engine/tokens_per_s"] == pytest.approx(1000 / 120, rel=0.01)
    assert seen["rollout/episodes"] == 40
    assert seen["episodes_per_min"] == pytest.approx(20, rel=0.01)
    assert (whole["episodes"], whole["episodes_per_min"]) == (40, 20.0)
    assert whole["tokens_per_s"] == 8.3
    assert whole["idle_share_learner"] == 0.25


def test_a_resumed_run_counts_the_learners_idle_time_from_its_beginning(
    reinforcement: Reinforcement,
) -> None:
    checkpoints = Checkpoints(reinforcement._folder)
    weights = {"w": torch.zeros(1)}
    checkpoints.save(3, weights, ledger_state(), 60.0, 12, waited_s=30.0, trained_s=10.0)
    reinforcement._restore(cast(Any, Picky(None)))
    reinforcement._waited_s += 10.0
    reinforcement._trained_s += 30.0
    whole = reinforcement._throughput({"browser_launches": 1}, 7, 120.0)
    assert whole["idle_share_learner"] == 0.5
    still = SimpleNamespace(figures={}, call=lambda what: ledger_state())
    reinforcement._rollouts = cast(RolloutProcess, still)
    reinforcement._save(cast(Any, SimpleNamespace(state_dict=lambda: weights)), 4)
    again = checkpoints.latest()
    assert again is not None
    assert (again.waited_s, again.trained_s) == (40.0, 40.0)


class Picky:
    """In place of a learner: one that another checkpoint does not fit."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def load_state_dict(self, state: object) -> None:
        if self._error is not None:
            raise self._error


def ledger_state(**changes: object) -> dict[str, Any]:
    pacing = Pacing(4, 0, 1, 2, 3)
    ledger = Ledger(
        pacing, UniformSampler(["miniwob.click-button"], range(9)), collection="completion",
        reject_zero_variance=True, retries=1, emit=lambda *args, **more: None,
    )  # fmt: skip
    assert ledger.take() is not None
    return ledger.state_dict() | changes


def restored(run: Reinforcement, error: Exception | None = None, **changes: object) -> object:
    Checkpoints(run._folder).save(3, {"w": torch.zeros(1)}, ledger_state(**changes), 60.0, 12)
    return run._restore(cast(Any, Picky(error)))


def test_a_resumed_run_goes_on_from_what_was_saved(reinforcement: Reinforcement) -> None:
    version, pool = cast(Any, restored(reinforcement))
    assert (version, pool) == (3, json.loads(json.dumps(ledger_state())))
    assert (reinforcement._before_s, reinforcement._drawn_before) == (60.0, 12)


def test_weights_that_do_not_fit_are_told_in_their_own_words(reinforcement: Reinforcement) -> None:
    with pytest.raises(UserError, match="does not fit this configuration: the adapters differ"):
        restored(reinforcement, ValueError("the adapters differ in w"))
    with pytest.raises(UserError, match="update-000003 is damaged"):
        restored(reinforcement, RuntimeError("no tensor"))


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"groups": [["x", "miniwob.click-button", 1]]},
        {"groups": 3},
        {"next_group": "x"},
        {"counted": None},
        {"results": [[1]]},
        {"sampler": 3},
        {"latest": [["miniwob.click-button", [1]]]},
        {"latest": 3},
        {"counters": {}},
        {"counters": {"staleness": {}, "unknown": 1}},
        {"counters": {"staleness": {"x": 1}}},
        {"counters": {"staleness": {}, "consumed": "many"}},
        {"counters": {"staleness": {}, "retried": {"deadline": "many"}}},
    ],
)
def test_a_damaged_ledger_is_a_sentence(
    reinforcement: Reinforcement, changes: dict[str, object]
) -> None:
    with pytest.raises(UserError, match="update-000003 is damaged"):
        restored(reinforcement, **changes)


class Learned:
    """In place of a learner whose checkpoint and policy are to be written."""

    def state_dict(self) -> dict[str, Any]:
        return {"w": torch.zeros(1)}


def best_of(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, *seen: tuple[int, float], keep: bool = True
) -> str | None:
    """The version that is kept as the best, after checkpoints that saw episodes and success."""
    monkeypatch.setattr(
        Reinforcement, "_write_policy", lambda self, learner, to: (to / "policy").touch()
    )
    config = CONFIG.model_copy(
        update={"reinforce": CONFIG.reinforce.model_copy(update={"keep_best": keep})}
    )
    for version, (episodes, success) in enumerate(seen, 1):
        figures = {"even_episodes": episodes, "even_success": success, "recent_success": 1.0}
        state = ledger_state()
        found = SimpleNamespace(figures=figures, call=lambda name, state=state: state)
        nowhere: Any = None
        run = Reinforcement(config, folder, cast(Any, found), nowhere, nowhere, Team())
        run._save(cast(Any, Learned()), version)
    best = folder.checkpoint("best") / "best.json"
    return json.loads(best.read_text())["version"] if best.exists() else None


def test_the_best_policy_is_the_one_that_does_best_on_tasks_weighed_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.create(CONFIG, tmp_path)
    assert best_of(folder, monkeypatch, (99, 0.9)) is None
    assert best_of(folder, monkeypatch, (100, 0.9), keep=False) is None
    assert best_of(folder, monkeypatch, (100, 0.1)) == 1
    assert best_of(folder, monkeypatch, (99, 1.0), (100, 0.5), (400, 0.6), (400, 0.4)) == 3
