"""What the controls benchmark runs: whole runs, and controls of each.

Nothing is run twice: a finished run, checkpoint or evaluation in the folder is taken as it is.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Literal

from control_supervision import supervise

from webdojo.tasks.errors import UserError
from webdojo.tasks.success import is_success
from webdojo.training.config import TrainConfig
from webdojo.training.config_files import config_to_toml
from webdojo.training.evaluation import Mode, count_episodes, evaluate, splits_of, write_records
from webdojo.training.progress import Progress
from webdojo.training.rollouts.players import Player, WorkerSettings
from webdojo.training.rollouts.process import RolloutProcess
from webdojo.training.rollouts.trajectory import Trajectory
from webdojo.training.run import resume, train
from webdojo.training.run_folder import RunFolder

Control = Literal["supervised", "supervised-clean", "low-temperature", "valid-actions"]
MODES: dict[Control, tuple[Mode, ...]] = {
    "supervised": ("greedy", "sampled"),
    "supervised-clean": ("greedy", "sampled"),
    "low-temperature": ("sampled",),
    "valid-actions": ("greedy", "sampled"),
}
"""The controls, and how each is played."""

SYNC_MINUTES = 24 * 60.0
"""Longest synchronous run; it is to do as many updates as the other, whatever that takes."""


# Whole runs -------------------------------------------------------------------------------------


def reinforced_run(config: TrainConfig, runs: Path) -> RunFolder:
    """The finished run of ``config`` in ``runs``, begun or gone on with if it is not.

    Raises UserError if the folder holds a run of another configuration.
    """
    folder = RunFolder(runs / config.name)
    if not folder.path.exists():
        return RunFolder(train(config, runs))
    _same(RunFolder.existing(folder.path), config)
    if not folder.done("report"):
        resume(folder.path)
    return folder


def synchronous_run(run: RunFolder, runs: Path) -> RunFolder:
    """The same run with staleness 0, from the same warm start and for as many updates."""
    config = run.config()
    config = config.model_copy(
        update={
            "name": f"{config.name}-sync",
            "rollout": config.rollout.model_copy(update={"staleness": 0}),
            "reinforce": config.reinforce.model_copy(
                update={"updates": throughput(run)["updates"], "max_minutes": SYNC_MINUTES}
            ),
        }
    )
    folder = RunFolder(runs / config.name)
    if folder.path.exists():
        _same(RunFolder.existing(folder.path), config)
    else:
        folder = RunFolder.create(config, runs)
    if not folder.done("record"):
        with folder.timed("record"):
            folder.demonstrations.parent.mkdir(exist_ok=True)
            shutil.copyfile(run.demonstrations, folder.demonstrations)
    if not folder.done("warm_start"):
        with folder.timed("warm_start"):
            warm = folder.checkpoint("warm-start")
            shutil.copytree(run.checkpoint("warm-start"), warm, dirs_exist_ok=True)
    if not folder.done("evaluate_before"):
        with folder.timed("evaluate_before"):
            folder.evaluation("before", "greedy").parent.mkdir(exist_ok=True)
            for mode in ("greedy", "sampled"):
                shutil.copyfile(run.evaluation("before", mode), folder.evaluation("before", mode))
    if not folder.done("report"):
        resume(folder.path)
    return folder


def throughput(run: RunFolder) -> dict[str, Any]:
    """What a run's reinforcement did in its time."""
    found: dict[str, Any] = json.loads((run.path / "throughput.json").read_text(encoding="utf-8"))
    return found


def _same(folder: RunFolder, config: TrainConfig) -> None:
    if config_to_toml(folder.config()) != config_to_toml(config):
        raise UserError(
            f"{folder.path} holds a run of another configuration: remove it, or choose another"
            " folder with --runs"
        )


# Controls ---------------------------------------------------------------------------------------


def records_of(run: RunFolder, control: Control, mode: Mode, temperature: float) -> Path:
    """Where the episodes of a control are kept."""
    name = f"{control}-{temperature:g}" if control == "low-temperature" else control
    return run.path / "controls" / f"{name}-{mode}.jsonl"


def figures_of(run: RunFolder, control: Control) -> Path:
    """Where it is kept what more supervised training did in its time."""
    return run.path / "controls" / f"{control}.json"


def run_control(run: RunFolder, control: Control, temperature: float, progress: Progress) -> None:
    """Do one control of a finished run; ``temperature`` is that of ``low-temperature``."""
    files = {mode: records_of(run, control, mode, temperature) for mode in MODES[control]}
    missing = {mode: file for mode, file in files.items() if not file.is_file()}
    if not missing:
        return
    config = run.config()
    warm = run.checkpoint("warm-start")
    settings = _settings(config, warm)
    with RolloutProcess(settings) as rollouts:
        if control == "valid-actions":
            for mode, file in missing.items():
                _play(rollouts, run, mode, file, progress, player="valid-policy")
            return
        if control == "low-temperature":
            file = missing["sampled"]
            _play(rollouts, run, "sampled", file, progress, temperature=temperature)
            return
        # As in the run itself, the process is up and the policy loaded when the clock starts.
        rollouts.call("load", weights=warm)
        trained = run.path / "controls" / control
        if not figures_of(run, control).is_file():
            figures = supervise(run, control == "supervised-clean", rollouts, trained, progress)
            trained.mkdir(parents=True, exist_ok=True)
            figures_of(run, control).write_text(json.dumps(figures) + "\n", encoding="utf-8")
        rollouts.call("load", weights=trained)
        for mode, file in missing.items():
            _play(rollouts, run, mode, file, progress)


def _settings(config: TrainConfig, checkpoint: Path) -> WorkerSettings:
    return WorkerSettings(
        task_files=tuple(map(str, config.tasks.files)),
        checkpoint=str(checkpoint),
        layout=config.policy.layout,
        context_tokens=config.policy.context_tokens,
        max_response_tokens=config.policy.max_response_tokens,
        slots=config.rollout.slots,
        engine_threads=config.rollout.engine_threads,
        deadline_s=config.rollout.deadline_s,
    )


def _play(
    rollouts: RolloutProcess,
    run: RunFolder,
    mode: Mode,
    file: Path,
    progress: Progress,
    *,
    player: Player = "policy",
    temperature: float | None = None,
) -> None:
    """Evaluate as the run itself does: the same splits, seeds and episode seeds."""
    config = run.config()
    splits = splits_of(config)
    per_task = config.evaluation.episodes_per_task
    total = count_episodes(splits.values(), per_task)
    progress.phase(f"{config.name}: {file.stem}", total, "episodes")
    seen = [0, 0]

    def show(trajectory: Trajectory) -> None:
        seen[0] += 1
        seen[1] += is_success(trajectory.reward)
        progress.update(seen[0], success=seen[1] / seen[0])

    result = evaluate(
        rollouts,
        splits.values(),
        per_task=per_task,
        skip=config.evaluation.seed_offset,
        player=player,
        mode=mode,
        seed=config.seed,
        temperature=temperature,
        on_episode=show,
    )
    write_records(file, result.records)
    progress.end(", ".join(f"{name} {r['success']:.2f}" for name, r in result.splits.items()))
