"""The control of more supervision: the warm start goes on for as long as the reinforcement took."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from webdojo.agents.checkpoint import Checkpoint, find_checkpoint
from webdojo.envs.actions import parse_action
from webdojo.tasks.errors import UserError
from webdojo.tasks.splits import TRAIN_SEEDS
from webdojo.training.config import TrainConfig
from webdojo.training.episodes import EpisodeId
from webdojo.training.learner import Learner
from webdojo.training.learner_config import LearnerConfig
from webdojo.training.packing import Row
from webdojo.training.progress import Progress
from webdojo.training.records import read_trajectories
from webdojo.training.rollouts.process import RolloutProcess
from webdojo.training.rollouts.trajectory import Trajectory
from webdojo.training.run_folder import RunFolder
from webdojo.training.warm_start import batches, rows_of

SEEDS_AT_ONCE = 4
"""Seeds of every demonstrated task that are recorded in one go."""


def supervise(
    run: RunFolder, clean: bool, rollouts: RolloutProcess, target: Path, progress: Progress
) -> dict[str, Any]:
    """Go on with the warm start for as long as the reinforcement took; gives what was done.

    Each pass is over all demonstrations so far. During a pass more are recorded beside it, until
    there are as many new ones as the pass has. The learning rate falls from that of the warm start
    to 0 over the time. ``clean`` leaves out the turns that were recorded as noise.
    """
    import torch

    config = run.config()
    seconds = run.state()["seconds"]["reinforce"]
    progress.phase(f"{config.name}: {target.name}", seconds, "s")
    began = time.monotonic()
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.reinforce.learner_threads)
    base = find_checkpoint(config.policy.checkpoint, config.policy.layout)
    warm = Checkpoint(str(run.checkpoint("warm-start")), base.layout)
    model, tokenizer = warm.model(), warm.tokenizer()

    def rows_from(trajectories: list[Trajectory]) -> list[Row]:
        return rows_of([_without_noise(t, warm, tokenizer) if clean else t for t in trajectories])

    rows = rows_from(list(read_trajectories(run.demonstrations)))
    if not rows:
        raise UserError(f"{run.path} has no demonstrations to go on with: leave {target.name} out")
    peak = config.warm_start.lr
    learner = Learner(model, LearnerConfig(lr=peak, betas=(0.9, 0.95), seed=config.seed))
    steps = passes = 0
    spent = 0.0
    with _Recorder(rollouts, config, 0.0 if clean else config.warm_start.action_noise) as recorder:
        while spent < seconds:
            recorder.want(len(rows))
            seed = config.seed + 1_000_003 * (passes + 1)
            for batch in batches(rows, config.warm_start.batch_tokens, 1, seed):
                spent = time.monotonic() - began
                if spent >= seconds:
                    break
                lr = peak * max(1e-6, (1 + math.cos(math.pi * spent / seconds)) / 2)
                learner.config = learner.config.model_copy(update={"lr": lr})
                figures = learner.supervised_step(batch)
                steps += 1
                progress.update(spent, loss=figures.get("loss", 0.0), passes=passes)
            else:
                passes += 1
            rows += rows_from(recorder.take())
    base.save(model, tokenizer, target)
    progress.end(f"{steps} steps, {passes} whole passes, {recorder.recorded} new demonstrations")
    return {
        "seconds": round(spent, 1),
        "steps": steps,
        "passes": passes,
        "turns": len(rows),
        "new_demonstrations": recorder.recorded,
        "learner_seconds_allowed": seconds,
    }


def _without_noise(trajectory: Trajectory, policy: Checkpoint, tokenizer: Any) -> Trajectory:
    """The trajectory without the turns whose response is not what the oracle did."""

    def told(call: str) -> tuple[str, object]:
        action = parse_action(call)
        # The layout says that something is focused by clicking on it.
        name = "click" if action.name == "focus" else action.name
        return name, action.arguments.get("bid")

    def said(response_ids: tuple[int, ...]) -> str:
        return policy.layout.action(tokenizer.decode(response_ids, skip_special_tokens=True))

    return replace(
        trajectory,
        turns=tuple(
            turn
            for turn in trajectory.turns
            if turn.response_ids and told(said(turn.response_ids)) == told(turn.action)
        ),
    )


@dataclass
class _Recorder:
    """Records further demonstrations in a thread, as many turns as are wanted."""

    rollouts: RolloutProcess
    config: TrainConfig
    noise: float
    recorded: int = 0
    """Episodes so far."""
    _new: list[Trajectory] = field(default_factory=list)
    _wanted: int = 0
    _closed: bool = False
    _failure: BaseException | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __enter__(self) -> _Recorder:
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def want(self, turns: int) -> None:
        """Record until this many turns wait to be taken."""
        with self._changed:
            self._wanted = turns
            self._changed.notify()

    def take(self) -> list[Trajectory]:
        """What has been recorded since; raises what recording raised."""
        with self._changed:
            if self._failure is not None:
                raise self._failure
            new, self._new = self._new, []
            return new

    def _serve(self) -> None:
        first = self.config.warm_start.episodes_per_task
        try:
            while self._goes_on():
                seeds = TRAIN_SEEDS[first : first + SEEDS_AT_ONCE]
                first += SEEDS_AT_ONCE
                episodes = [
                    EpisodeId(f"demo-{task_id}-{seed}", task_id, seed)
                    for seed in seeds
                    for task_id in self.config.tasks.demonstrated
                ]
                for trajectory in self.rollouts.stream(
                    "play",
                    player="demonstrator",
                    episodes=episodes,
                    temperature=0.0,
                    seed=self.config.seed,
                    noise=self.noise,
                ):
                    with self._changed:
                        self._new.append(trajectory)
                        self.recorded += 1
        except BaseException as error:  # noqa: BLE001  # raised again where it is taken
            with self._changed:
                self._failure = error

    def _goes_on(self) -> bool:
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or sum(len(t.turns) for t in self._new) < self._wanted
            )
            return not self._closed
