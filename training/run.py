"""A whole run: demonstrations, warm start, evaluation, reinforcement, evaluation, report."""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webdojo.agents.checkpoint import Checkpoint, find_checkpoint
from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.files import load_files
from webdojo.training.config import TrainConfig
from webdojo.training.episodes import EpisodeId
from webdojo.training.evaluation import (
    MODES,
    EvaluationResult,
    count_episodes,
    evaluate,
    read_result,
    splits_of,
    write_records,
)
from webdojo.training.metrics import MetricsLog
from webdojo.training.progress import Progress
from webdojo.training.records import TrajectoryLog, read_trajectories
from webdojo.training.reinforcement import Reinforcement
from webdojo.training.rollouts.process import RolloutProcess
from webdojo.training.rollouts.worker import WorkerSettings
from webdojo.training.run_folder import RunFolder

if TYPE_CHECKING:
    from webdojo.training.rollouts.trajectory import Trajectory


def train(config: TrainConfig, runs: Path = Path("runs")) -> Path:
    """Do a whole run in a new folder below ``runs``; returns the folder."""
    load_files(map(str, config.tasks.files))
    config = _with_whole_task_names(config)
    find_checkpoint(config.policy.checkpoint, config.policy.layout)
    return _Run(RunFolder.create(config, runs), config).go()


def resume(path: Path) -> Path:
    """Go on with a run where it was left; returns its folder."""
    folder = RunFolder.existing(path)
    config = folder.config()
    load_files(map(str, config.tasks.files))
    return _Run(folder, config).go()


class _Run:
    def __init__(self, folder: RunFolder, config: TrainConfig) -> None:
        self.folder = folder
        self.config = config
        self.progress = Progress()
        self.metrics = MetricsLog(folder.path)
        self.base = find_checkpoint(config.policy.checkpoint, config.policy.layout)

    def go(self) -> Path:
        if self.folder.done("report"):
            print(f"{self.folder.path} is finished: see {self.folder.path / 'report.html'}")
            return self.folder.path
        settings = WorkerSettings(
            task_files=tuple(str(path.resolve()) for path in self.config.tasks.files),
            checkpoint=self.base.path,
            layout=self.base.layout.name,
            context_tokens=self.config.policy.context_tokens,
            max_response_tokens=self.config.policy.max_response_tokens,
            slots=self.config.rollout.slots,
            engine_threads=self.config.rollout.engine_threads,
            deadline_s=self.config.rollout.deadline_s,
        )
        print(f"run folder: {self.folder.path}")
        try:
            with self.progress, RolloutProcess(settings) as rollouts:
                self._phases(rollouts)
            self._report()
        except KeyboardInterrupt:
            print(
                f"\nstopped; go on with: webdojo train --resume {self.folder.path}",
                file=sys.stderr,
            )
            raise
        finally:
            self.metrics.close()
        return self.folder.path

    def _phases(self, rollouts: RolloutProcess) -> None:
        warm = self.folder.checkpoint("warm-start")
        if not self.folder.done("record"):
            with self.folder.timed("record"):
                self._record(rollouts)
        if not self.folder.done("warm_start"):
            with self.folder.timed("warm_start"):
                self._warm_start(warm)
        self._evaluate(rollouts, "before", warm)
        final = self.folder.checkpoint("final")
        if not self.folder.done("reinforce"):
            with self.folder.timed("reinforce"):
                reinforcement = Reinforcement(
                    self.config, self.folder, rollouts, self.metrics, self.progress
                )
                figures = reinforcement.run(Checkpoint(str(warm), self.base.layout), final)
                _write_json(self.folder.path / "throughput.json", figures)
        self._evaluate(rollouts, "after", final)

    # Phases --------------------------------------------------------------------------------------

    def _record(self, rollouts: RolloutProcess) -> None:
        config = self.config
        wanted = {
            f"demo-{task_id}-{seed}": EpisodeId(f"demo-{task_id}-{seed}", task_id, seed)
            for task_id in config.tasks.demonstrated
            for seed in range(config.warm_start.episodes_per_task)
        }
        total = len(wanted)
        for trajectory in read_trajectories(self.folder.demonstrations):
            wanted.pop(trajectory.episode_id, None)
        done = total - len(wanted)
        self.progress.phase("record demonstrations", total, "episodes", done)
        log = TrajectoryLog(self.folder.demonstrations)
        solved = 0
        started = time.monotonic()
        for count, trajectory in enumerate(
            rollouts.stream(
                "play",
                player="demonstrator",
                episodes=list(wanted.values()),
                temperature=0.0,
                seed=config.seed,
                noise=config.warm_start.action_noise,
            ),
            start=1,
        ):
            log.append(trajectory)
            solved += trajectory.reward > 0
            rate = 60 * count / (time.monotonic() - started)
            self.progress.update(done + count, success=solved / count, episodes_per_min=rate)
        log.close()
        if total:
            self.progress.end(f"{total} episodes of {len(config.tasks.demonstrated)} tasks")

    def _warm_start(self, target: Path) -> None:
        import torch

        from webdojo.training.learner import Learner
        from webdojo.training.learner_config import LearnerConfig
        from webdojo.training.warm_start import count_batches, rows_of, warm_start

        config = self.config.warm_start
        torch.manual_seed(self.config.seed)
        torch.set_num_threads(self.config.reinforce.learner_threads)
        model = self.base.model()
        rows = rows_of(read_trajectories(self.folder.demonstrations))
        if rows:
            steps = count_batches(rows, config.batch_tokens, config.epochs, self.config.seed)
            learner = Learner(
                model,
                LearnerConfig(
                    lr=config.lr,
                    betas=(0.9, 0.95),
                    schedule="cosine",
                    warmup_steps=max(1, min(20, steps // 10)),
                    total_steps=steps + 1,
                    seed=self.config.seed,
                ),
            )
            self.progress.phase("warm start", steps, "steps")

            def show(step: int, figures: dict[str, float]) -> None:
                self.metrics.write("warm_start", step, figures)
                self.progress.update(
                    step, loss=figures.get("loss", 0.0), tokens_per_s=figures["tokens_per_s"]
                )

            warm_start(learner, rows, config.batch_tokens, config.epochs, self.config.seed, show)
            self.progress.end(f"{len(rows)} turns")
        self.base.save(model, self.base.tokenizer(), target)

    def _evaluate(self, rollouts: RolloutProcess, moment: str, checkpoint: Path) -> None:
        phase = f"evaluate_{moment}"
        if self.folder.done(phase) or not self.config.evaluation.episodes_per_task:
            return
        splits = splits_of(self.config)
        with self.folder.timed(phase):
            rollouts.call("load", weights=checkpoint)
            for mode in MODES:
                total = count_episodes(splits.values(), self.config.evaluation.episodes_per_task)
                self.progress.phase(f"evaluate {moment}, {mode}", total, "episodes")
                seen = [0, 0]

                def show(trajectory: Trajectory, seen: list[int] = seen) -> None:
                    seen[0] += 1
                    seen[1] += trajectory.reward > 0
                    self.progress.update(seen[0], success=seen[1] / seen[0])

                result = evaluate(
                    rollouts,
                    splits.values(),
                    per_task=self.config.evaluation.episodes_per_task,
                    skip=self.config.evaluation.seed_offset,
                    player="policy",
                    mode=mode,
                    seed=self.config.seed,
                    on_episode=show,
                )
                write_records(self.folder.evaluation(moment, mode), result.records)
                self.metrics.write(
                    phase,
                    0,
                    {f"success/{mode}/{name}": r["success"] for name, r in result.splits.items()},
                )
                figures = ", ".join(f"{n} {r['success']:.2f}" for n, r in result.splits.items())
                self.progress.end(figures)

    def _report(self) -> None:
        from webdojo.training.report import write_report

        with self.folder.timed("report"):
            _write_json(self.folder.summary_file, self._summary())
            path = write_report(self.folder.path)
        _write_json(self.folder.summary_file, self._summary())
        print(f"report: {path}")

    def _summary(self) -> dict[str, Any]:
        seconds = self.folder.state()["seconds"]
        throughput = self.folder.path / "throughput.json"
        return {
            "seconds": round(sum(seconds.values()), 1),
            "preset": self.config.name,
            "seed": self.config.seed,
            **summarise(self.folder),
            "phases": seconds,
            "throughput": json.loads(throughput.read_text()) if throughput.is_file() else {},
            "demonstrated": list(self.config.tasks.demonstrated),
            "reinforced": list(self.config.tasks.reinforced),
            "policy": {"checkpoint": self.config.policy.checkpoint},
        }


def summarise(folder: RunFolder) -> dict[str, Any]:
    """Rates by split and by task, before and after, greedy and sampled."""
    splits: dict[str, Any] = defaultdict(lambda: defaultdict(dict))
    tasks: dict[str, Any] = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for moment in ("before", "after"):
        for mode in MODES:
            path = folder.evaluation(moment, mode)
            if not path.is_file():
                continue
            result: EvaluationResult = read_result(path)
            for split, found in result.splits.items():
                splits[split][moment][mode] = found
            for split, by_task in result.tasks.items():
                for task_id, found in by_task.items():
                    tasks[split][task_id][moment][mode] = found
    return {"splits": splits, "tasks": tasks}


def _with_whole_task_names(config: TrainConfig) -> TrainConfig:
    """Suites spelled out as their tasks; raises UserError for an unknown one."""
    tasks = config.tasks
    if not tasks.reinforced and config.reinforce.updates:
        raise UserError(f"{config.name}: tasks.reinforced is empty: name the tasks to train on")
    named = {
        part: registry.select(getattr(tasks, part))
        for part in ("demonstrated", "reinforced", "unseen")
    }
    return config.model_copy(update={"tasks": tasks.model_copy(update=named)})


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
