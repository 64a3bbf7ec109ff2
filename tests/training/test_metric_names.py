"""Every figure that is written is told of, and every figure told of is written."""

from __future__ import annotations

import copy
import io
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

import pytest
import torch
from rich.console import Console

from webdojo.agents.checkpoint import Checkpoint, find_checkpoint
from webdojo.agents.pictures import Pictures
from webdojo.agents.tiny_vision import drawn_screenshot, write_tiny_vision
from webdojo.envs.screenshots import ScreenshotStore
from webdojo.tasks.evaluators.judge import JudgeCounters
from webdojo.training.config import TrainConfig
from webdojo.training.config_files import parse_config
from webdojo.training.episodes import EpisodeId
from webdojo.training.learner import Learner
from webdojo.training.learner_config import LearnerConfig
from webdojo.training.metric_names import MARK, SECTIONS, metric_of, tables, write_tables
from webdojo.training.metrics import METRICS_FILE, MetricsLog
from webdojo.training.objectives.config import KlPenalty, ObjectiveConfig
from webdojo.training.progress import Progress
from webdojo.training.reinforcement import Reinforcement
from webdojo.training.rollouts.accounts import Counters, Rejection
from webdojo.training.rollouts.process import RolloutProcess
from webdojo.training.rollouts.trajectory import Group, Trajectory, Turn
from webdojo.training.run import _Run
from webdojo.training.run_folder import RunFolder
from webdojo.training.team import Team
from webdojo.training.warm_start import warm_start

torch.set_num_threads(1)

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "metrics.md"
IMAGE_TOKEN = 5
CONFIG = parse_config(
    {
        "tasks": {
            "demonstrated": ["miniwob.click-button"],
            "reinforced": ["miniwob.click-button", "miniwob.book-flight"],
            "unseen": ["miniwob.click-test-2"],
        },
        "evaluation": {"episodes_per_task": 2},
    },
    "test",
)


class ScriptedRollouts:
    """Takes the place of the rollout process, whose browsers are not needed for names."""

    def __init__(self) -> None:
        counters = Counters(
            finished=40, groups_finished=5, groups_mixed=2, slot_s=10.0, idle_s=1.0,
            retried=Counter({"deadline": 1, "BrowserDiedError": 2}),
            groups_rejected=Counter(dict.fromkeys(get_args(Rejection), 1)),
        )  # fmt: skip
        self.figures = {
            "recent_success": 0.5,
            "tasks": dict.fromkeys(CONFIG.tasks.reinforced, (10, 5)),
            "engine": {"drawn_tokens": 900},
            "judge": JudgeCounters(questions=3, verdicts=3).as_dict(),
            "pool": counters.state_dict()
            | {"idle_share": counters.idle_share, "longest_silence_s": 1.5},
        }

    def call(self, method: str, **arguments: object) -> Any:
        return self.figures["judge"] if method == "judging" else None

    def stream(
        self, method: str, episodes: list[EpisodeId], **arguments: object
    ) -> Iterator[Trajectory]:
        for which in episodes:
            yield Trajectory(which.episode_id, which.task_id, which.seed, 0, 0, (), 1.0, "success")


def run_of(tmp_path: Path, config: TrainConfig, log: MetricsLog) -> _Run:
    run = object.__new__(_Run)
    run.folder = RunFolder.create(config, tmp_path)
    run.config, run.metrics = config, log
    run.progress = Progress(Console(file=io.StringIO()))
    return run


def seen_by(checkpoint: Checkpoint, pictures: Pictures) -> list[Group]:
    """A group with a success, a failure, and an episode whose screenshot is gone."""
    picture = pictures.keep(drawn_screenshot(0))
    prompt = (1, 40, 3, *[IMAGE_TOKEN] * picture.tokens, 4, 50)
    turn = Turn(prompt, (200, 201), (-5.0, -5.0), (0, 0), "noop()", images=(picture.reference,))
    gone = replace(turn, images=("0" * len(picture.reference),))
    episodes = [
        Trajectory(f"0-{m}", "miniwob.click-button", 0, 0, m, (shown,), float(m % 2), "success")
        for m, shown in enumerate((turn, turn, gone))
    ]
    return [Group(0, "miniwob.click-button", 0, tuple(episodes))]


def learner_of(checkpoint: Checkpoint, pictures: Pictures) -> Learner:
    model = checkpoint.model()
    return Learner(
        model,
        LearnerConfig(lr=1e-3),
        ObjectiveConfig(kl=KlPenalty(coefficient=0.1)),
        reference=copy.deepcopy(model),
        pictures=pictures,
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """Phases and names that the code writes, by one step of every phase."""
    folder = tmp_path_factory.mktemp("metric-names")
    write_tiny_vision(folder / "policy")
    checkpoint = find_checkpoint(str(folder / "policy"))
    pictures = Pictures(ScreenshotStore(folder / "screenshots"), checkpoint.image_processor())
    learner = learner_of(checkpoint, pictures)
    rollouts = cast(RolloutProcess, ScriptedRollouts())
    with MetricsLog(folder / "log", loggers=()) as log:
        run = run_of(folder, CONFIG, log)
        for moment in ("before", "after"):
            run._evaluate(rollouts, moment, folder)
        shown = seen_by(checkpoint, pictures)[0].trajectories[0].turns[0]
        rows = [learner._rows.row(shown)]
        warm_start(learner, rows, 4096, 1, 0, lambda step, f: log.write("warm_start", step, f))
        groups = seen_by(checkpoint, pictures)
        reinforcement = Reinforcement(CONFIG, run.folder, rollouts, log, run.progress, Team())
        reinforcement._began = time.monotonic() - 1
        figures = learner.update(groups, 0)
        reinforcement._tell(1, groups, figures, waited_s=1.0, trained_s=1.0)
    lines = (folder / "log" / METRICS_FILE).read_text().splitlines()
    found: list[dict[str, Any]] = [json.loads(line) for line in lines]
    about = {"time_s", "phase", "step"}
    return {(line["phase"], name) for line in found for name in line.keys() - about}


def test_every_figure_that_is_written_is_told_of(written: set[tuple[str, str]]) -> None:
    assert len(written) > 60
    untold = sorted(which for which in written if metric_of(*which) is None)
    assert untold == [], "tell of them in training/metric_names.py"


def test_every_figure_told_of_is_written(written: set[tuple[str, str]]) -> None:
    met = {(phase, metric) for phase, name in written if (metric := metric_of(phase, name))}
    unwritten = [
        (phase, metric.name)
        for section in SECTIONS
        for phase in section.phases
        for metric in section.metrics
        if (phase, metric) not in met
    ]
    assert unwritten == [], "nothing writes them: take them out of training/metric_names.py"


def test_the_page_is_what_the_table_says() -> None:
    command = "python -m webdojo.training.metric_names docs/metrics.md"
    _, below = PAGE.read_text().split(MARK)
    assert below.strip() == tables().strip(), f"write the page anew: {command}"
    assert command in (ROOT / "training" / "metric_names.py").read_text()


def test_the_page_is_written_below_its_mark(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# By hand\n\n{MARK}\n\nsomething old\n")
    write_tables(page)
    assert page.read_text() == f"# By hand\n\n{MARK}\n\n{tables()}"


def test_figures_are_worked_out_where_the_page_says() -> None:
    for section in SECTIONS:
        text = "".join((ROOT / file).read_text() for file in section.sources)
        for metric in section.metrics:
            if "<" not in metric.name:
                ending = metric.name.rpartition("/")[2]
                assert f"/{ending}" in text or f'"{ending}"' in text, (metric.name, section.sources)


def test_an_unknown_name_is_no_figure() -> None:
    assert metric_of("reinforce", "loss") is not None
    assert metric_of("evaluate_before", "loss") is None
    assert metric_of("reinforce", "reward/hardest") is None
    found = metric_of("reinforce", "reward/miniwob.click-tab-2")
    assert found is not None
    assert found.name == "reward/<task>"
