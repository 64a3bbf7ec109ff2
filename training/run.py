"""A whole run: demonstrations, warm start, evaluation, reinforcement, evaluation, report."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webdojo.agents.checkpoint import SHIPPED, Checkpoint, find_checkpoint
from webdojo.agents.engines.vllm_engine import check_nccl
from webdojo.envs.browser import find_chromium
from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.files import load_files
from webdojo.tasks.splits import few_instances
from webdojo.tasks.success import is_success
from webdojo.training.checkpoints import replacing
from webdojo.training.config import TrainConfig
from webdojo.training.config_files import load_its_tasks
from webdojo.training.episodes import EpisodeId
from webdojo.training.evaluation import (
    MODES,
    EvaluationResult,
    Tally,
    by_difficulty,
    count_episodes,
    evaluate,
    in_words,
    read_result,
    splits_of,
    write_records,
)
from webdojo.training.kept_prompts import keep_prompts, other_prompts
from webdojo.training.metrics import MetricsLog, check_loggers
from webdojo.training.named_tasks import check_roles, with_whole_suites
from webdojo.training.progress import Progress
from webdojo.training.records import TrajectoryLog, read_trajectories
from webdojo.training.reinforcement import Reinforcement
from webdojo.training.rollouts.players import WorkerSettings
from webdojo.training.rollouts.process import RESTARTS, RolloutProcess, RolloutsKilledError
from webdojo.training.rollouts.trajectory import UNCOUNTED
from webdojo.training.run_folder import RUNS, RunFolder, check_room
from webdojo.training.team import LearnerPlan, Team

if TYPE_CHECKING:
    from webdojo.training.rollouts.trajectory import Trajectory


def train(
    config: TrainConfig,
    runs: Path = RUNS,
    on_folder: Callable[[Path], object] = lambda folder: None,
    place: str = "",
) -> Path:
    """Do a whole run in a new folder below ``runs``; returns the folder.

    The folder is made, and ``on_folder`` told of it, when nothing stands in the way any more: the
    tasks, the policy, the browser and the disk. Raises UserError for whatever does, naming
    ``place``, where the configuration stands.
    """
    load_files(map(str, config.tasks.files))
    config = _with_whole_paths(with_whole_suites(config, place))
    check_room(runs)

    with ExitStack() as until_the_end:

        def new_folder() -> RunFolder:
            folder = RunFolder.create(config, runs)
            until_the_end.enter_context(folder.held())
            on_folder(folder.path)
            return folder

        return _go(config, new_folder, place or f"configuration {config.name!r}")


def resume(path: Path) -> Path:
    """Go on with a run where it was left; returns its folder. Raises as ``train`` does."""
    folder = RunFolder.existing(path)
    if folder.done("report"):
        print(f"{path} is finished: see {path / 'report.html'}")
        return path
    with folder.held():
        config = folder.config()
        place = str(folder.config_file)
        load_its_tasks(config, place)
        with_whole_suites(config, place)  # what is held out may have changed since, or the file
        return _go(config, lambda: folder, place)


def _go(config: TrainConfig, folder: Callable[[], RunFolder], place: str) -> Path:
    find_chromium()
    check_loggers(config.loggers)
    check_roles(config)
    tasks = config.tasks
    registry.check_ready((*tasks.demonstrated, *tasks.reinforced, *tasks.unseen))
    policy = config.policy
    if policy.weight_transfer == "nccl":
        check_nccl()
    base = find_checkpoint(policy.checkpoint, policy.layout, policy.vision, policy.history)
    base.check(config.policy.context_tokens)
    if config.learner.lora is not None:
        from webdojo.training.lora import check_targets

        check_targets(config.learner.lora, base.path, place)
    settings = WorkerSettings(
        task_files=tuple(map(str, config.tasks.files)),
        checkpoint=base.path,
        layout=base.layout.name,
        engine=config.policy.engine,
        weight_transfer=config.policy.weight_transfer,
        context_tokens=config.policy.context_tokens,
        max_response_tokens=config.policy.max_response_tokens,
        slots=config.rollout.slots,
        engine_threads=config.rollout.engine_threads,
        precision=config.learner.precision,
        deterministic=config.rollout.deterministic,
        deadline_s=config.rollout.deadline_s,
        vision=base.layout.vision,
        history=base.layout.history,
    )
    # What was broadcast to an engine in a process that is gone is nowhere to be had again.
    restarts = 0 if policy.weight_transfer == "nccl" else RESTARTS
    opened: RunFolder | None = None
    try:
        with Team() as team:
            while True:
                with RolloutProcess(settings) as rollouts:
                    try:
                        rollouts.call("open_browser")
                        opened = opened or folder()
                        return _Run(opened, config, base, team).go(rollouts)
                    except RolloutsKilledError as error:
                        if not restarts:
                            raise UserError(f"{error}; whatever it had finished is kept") from error
                        print(f"\n{error}; another goes on from what is on disk", file=sys.stderr)
                restarts -= 1
    except BaseException:
        if opened is not None:
            print(f"\nstopped; go on with: webdojo train --resume {opened.path}", file=sys.stderr)
        raise


class _Run:
    def __init__(
        self, folder: RunFolder, config: TrainConfig, base: Checkpoint, team: Team
    ) -> None:
        self.folder = folder
        self.config = config
        self.base = base
        self.team = team
        self.progress = Progress()
        self.metrics = MetricsLog(folder.path, ("tensorboard", *config.loggers))

    def go(self, rollouts: RolloutProcess) -> Path:
        print(f"run folder: {self.folder.path}", flush=True)
        if others := other_prompts(self.folder.path, self.base.layout):
            print(f"note: {others}", file=sys.stderr)
        keep_prompts(self.folder.path, self.base.layout)
        rollouts.call("keep_screenshots", folder=self.folder.screenshots.resolve())
        try:
            with self.progress:
                self._phases(rollouts)
            rollouts.close()
            self._report()
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
        if not self.config.reinforce.updates and not self.folder.done("reinforce"):
            with self.folder.timed("reinforce"), replacing(final) as partial:
                shutil.copytree(warm, partial, dirs_exist_ok=True)
        if not self.folder.done("reinforce"):
            with self.folder.timed("reinforce"):
                reinforcement = Reinforcement(
                    self.config, self.folder, rollouts, self.metrics, self.progress, self.team
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
            for seed in range(*config.tasks.seeds)[: config.warm_start.episodes_per_task]
        }
        total = len(wanted)
        for trajectory in read_trajectories(self.folder.demonstrations):
            wanted.pop(trajectory.episode_id, None)
        done = total - len(wanted)
        if not total:
            return
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
            solved += is_success(trajectory.reward)
            rate = 60 * count / (time.monotonic() - started)
            self.progress.update(done + count, success=solved / count, episodes_per_min=rate)
        log.close()
        self.progress.end(f"{total} episodes of {len(config.tasks.demonstrated)} tasks")

    def _warm_start(self, target: Path) -> None:
        from webdojo.training.demonstrations import Taught
        from webdojo.training.reinforcement import policy_of
        from webdojo.training.turn_rows import TurnRows
        from webdojo.training.warm_start import (
            count_batches,
            learner_config,
            rows_of,
            warm_start,
        )

        config = self.config.warm_start
        turns = TurnRows.of_checkpoint(self.base, self.folder.screenshots)
        taught = Taught()
        rows = rows_of(taught.through(read_trajectories(self.folder.demonstrations)), turns)
        for gap in taught.gaps(self.base.layout.name):
            self.progress.note(gap)
        if rows:
            steps = count_batches(rows, config.batch_tokens, config.epochs, self.config.seed)
            learner = self.team.learner(
                LearnerPlan(
                    self.base,
                    learner_config(self.config, steps),
                    seed=self.config.seed,
                    threads=self.config.reinforce.learner_threads,
                    screenshots=self.folder.screenshots,
                )
            )
            self.progress.phase("warm start", steps, "steps")

            def show(step: int, figures: dict[str, float]) -> None:
                self.metrics.write("warm_start", step, figures)
                self.progress.update(
                    step, loss=figures.get("loss", 0.0), tokens_per_s=figures["tokens_per_s"]
                )

            warm_start(learner, rows, config.batch_tokens, config.epochs, self.config.seed, show)
            self.progress.end(f"{len(rows)} turns")
            model = policy_of(self.base, learner)
        else:
            model = self.base.model()
        with replacing(target) as partial:
            self.base.write(model, self.base.tokenizer(), partial)

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
                tally = Tally()

                def show(trajectory: Trajectory, tally: Tally = tally) -> None:
                    tally.add(trajectory)
                    self.progress.update(tally.played, **tally.figures)

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
                rates = {**result.splits, **by_difficulty(result.records)}
                known = {name: r["success"] for name, r in rates.items() if r is not None}
                figures = {f"success/{mode}/{name}": share for name, share in known.items()}
                figures[f"undecided/{mode}"] = result.counts["undecided"]
                judging = rollouts.call("judging") or {}
                figures |= {f"judge/{name}": count for name, count in judging.items()}
                self.metrics.write(phase, 0, figures)
                told = [f"{n} {known[n]:.2f}" if n in known else f"{n} –" for n in result.splits]
                told += in_words(result.counts)
                self.progress.end(", ".join(told))

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
            "few_instances": few_instances(
                self.config.tasks.reinforced, range(*self.config.tasks.seeds)
            ),
            "policy": {"checkpoint": self.config.policy.checkpoint},
        }


def summarise(folder: RunFolder) -> dict[str, Any]:
    """Rates by split and by task, before and after, greedy and sampled, and what is in none.

    That is how many episodes were ``blocked`` and how many ``undecided``. A rate is null where not
    one episode counts.
    """
    splits: dict[str, Any] = defaultdict(lambda: defaultdict(dict))
    tasks: dict[str, Any] = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    uncounted: dict[str, Any] = {ending: defaultdict(dict) for ending in UNCOUNTED}
    for moment in ("before", "after"):
        for mode in MODES:
            path = folder.evaluation(moment, mode)
            if not path.is_file():
                continue
            result: EvaluationResult = read_result(path)
            for ending in UNCOUNTED:
                uncounted[ending][moment][mode] = result.counts[ending]
            for split, found in result.splits.items():
                splits[split][moment][mode] = found
            for split, by_task in result.tasks.items():
                for task_id, found in by_task.items():
                    tasks[split][task_id][moment][mode] = found
    return {"splits": splits, "tasks": tasks, **uncounted}


def _with_whole_paths(config: TrainConfig) -> TrainConfig:
    """A checkpoint's folder as seen from anywhere, so that the run can be resumed from anywhere."""
    folder = Path(config.policy.checkpoint)
    if config.policy.checkpoint in SHIPPED or not folder.is_dir():
        return config
    policy = config.policy.model_copy(update={"checkpoint": str(folder.resolve())})
    return config.model_copy(update={"policy": policy})


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
