"""Reinforcement: groups in, updates, new weights out, while episodes run."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from webdojo.agents.checkpoint import Checkpoint
from webdojo.tasks.errors import UserError
from webdojo.tasks.splits import TRAIN_SEEDS
from webdojo.training.config import TrainConfig
from webdojo.training.metrics import MetricsLog
from webdojo.training.progress import Progress
from webdojo.training.rollouts.process import RolloutProcess
from webdojo.training.rollouts.trajectory import Group
from webdojo.training.run_folder import RunFolder

KEPT_CHECKPOINTS = 2


class Reinforcement:
    """The learner's loop of one run.

    For each version v: take a batch of groups no token of which is older than v − η, update, write
    the weights of v + 1 and let the engine load them between two decode steps.
    """

    def __init__(
        self,
        config: TrainConfig,
        folder: RunFolder,
        rollouts: RolloutProcess,
        metrics: MetricsLog,
        progress: Progress,
    ) -> None:
        self._config = config
        self._folder = folder
        self._rollouts = rollouts
        self._metrics = metrics
        self._progress = progress
        self._waited_s = 0.0
        self._trained_s = 0.0
        self._began = time.monotonic()
        self._before_s = 0.0
        """What the run had spent here before it was stopped and resumed."""

    @property
    def _elapsed_s(self) -> float:
        return self._before_s + time.monotonic() - self._began

    def run(self, start: Checkpoint, target: Path) -> dict[str, Any]:
        """Train from ``start`` and leave the last policy in ``target``; returns throughput."""
        import torch
        from safetensors.torch import save_file

        from webdojo.training.learner import Learner

        config = self._config
        torch.manual_seed(config.seed)
        torch.set_num_threads(config.reinforce.learner_threads)
        model = start.model()
        tokenizer = start.tokenizer()
        learner_config = config.learner.model_copy(
            update={"temperature": config.rollout.temperature}
        )
        learner = Learner(model, learner_config, config.objective)
        version, pool_state = self._restore(learner)
        updates = config.reinforce.updates
        self._began = time.monotonic()
        limit_s = 60 * config.reinforce.max_minutes
        self._progress.phase("reinforce", updates, "updates", version)
        with tempfile.TemporaryDirectory(
            prefix="webdojo-weights-", dir=_shared_memory()
        ) as passing:
            weights = Path(passing) / "weights.safetensors"

            def publish() -> None:
                partial = weights.with_suffix(".partial")
                save_file(learner.weights(), partial)
                partial.replace(weights)
                self._rollouts.call("publish", weights=weights, version=version)

            publish()
            self._rollouts.call(
                "start_pool",
                rollout=config.rollout,
                task_ids=config.tasks.reinforced,
                seeds=TRAIN_SEEDS,
                seed=config.seed,
                log_path=self._folder.rollouts,
                version=version,
                state=pool_state,
            )
            if pool_state is None:
                # From now on what is finished is kept through a kill.
                self._save(learner, version)
            while version < updates and (left_s := limit_s - self._elapsed_s) > 0:
                mark = time.monotonic()
                groups: list[Group] | None = self._rollouts.call(
                    "next_batch", version=version, patience_s=left_s
                )
                waited = time.monotonic() - mark
                if groups is None:
                    self._waited_s += waited
                    self._progress.note("time is up before enough groups whose rewards differ came")
                    break
                mark = time.monotonic()
                figures = learner.update(groups, version)
                version += 1
                publish()
                trained = time.monotonic() - mark
                self._waited_s += waited
                self._trained_s += trained
                self._tell(version, groups, figures, waited, trained)
                if version % config.reinforce.checkpoint_every == 0 and version < updates:
                    self._save(learner, version)
            last = self._rollouts.call("stop_pool")
        start.save(model, tokenizer, target)
        self._progress.end(f"{version} updates")
        return self._throughput(last, version, self._elapsed_s)

    # Checkpoints ---------------------------------------------------------------------------------

    def _save(self, learner: Any, version: int) -> None:
        """Learner and pool ledger of one version, whole or not at all."""
        import torch

        target = self._folder.checkpoint(f"update-{version:06d}")
        partial = target.with_name(target.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        torch.save(learner.state_dict(), partial / "learner.pt")
        pool = self._rollouts.call("pool_state")
        state = {"version": version, "elapsed_s": round(self._elapsed_s, 3), "pool": pool}
        (partial / "pool.json").write_text(json.dumps(state), encoding="utf-8")
        partial.replace(target)
        for old in sorted(target.parent.glob("update-[0-9]*[0-9]"))[:-KEPT_CHECKPOINTS]:
            shutil.rmtree(old)

    def _restore(self, learner: Any) -> tuple[int, dict[str, Any] | None]:
        import torch

        found = self._folder.latest_update()
        if found is None:
            # Episodes of a run that was stopped before its first checkpoint were drawn for a
            # learner that is gone.
            self._folder.rollouts.unlink(missing_ok=True)
            return 0, None
        try:
            learner.load_state_dict(torch.load(found / "learner.pt", weights_only=True))
            state = json.loads((found / "pool.json").read_text(encoding="utf-8"))
        except Exception as error:  # unpickling raises whatever the bytes lead it to
            raise UserError(
                f"the checkpoint {found} is damaged ({type(error).__name__}); remove it to go on"
                " from the one before"
            ) from error
        self._progress.note(f"going on from update {state['version']}")
        self._before_s = float(state["elapsed_s"])
        return int(state["version"]), state["pool"]

    # Figures -------------------------------------------------------------------------------------

    def _tell(
        self,
        version: int,
        groups: Sequence[Group],
        learner: dict[str, float],
        waited_s: float,
        trained_s: float,
    ) -> None:
        elapsed_s = self._elapsed_s
        figures = self._rollouts.figures
        pool = figures.get("pool", {})
        engine = figures.get("engine", {})
        seen = dict(learner)
        seen |= _outcomes(groups)
        finished = pool.get("groups_finished", 0)
        if finished:
            seen["groups/mixed_share"] = pool["groups_mixed"] / finished
            seen["rollout/idle_share"] = pool["idle_share"]
            seen["rollout/retried"] = sum(pool["retried"].values())
            seen["rollout/episodes"] = finished * self._config.rollout.group_size
            seen["episodes_per_min"] = 60 * seen["rollout/episodes"] / elapsed_s
        for task_id, (episodes, successes) in figures.get("tasks", {}).items():
            seen[f"reward/{task_id}"] = successes / episodes
        if "recent_success" in figures:
            seen["reward/mean"] = figures["recent_success"]
        seen["learner/idle_share"] = waited_s / (waited_s + trained_s)
        if engine:
            seen["engine/tokens_per_s"] = engine["drawn_tokens"] / (elapsed_s - self._before_s)
        self._metrics.write("reinforce", version, seen)
        shown = {
            "success": figures.get("recent_success"),
            "mixed_groups": seen.get("groups/mixed_share"),
            "episodes_per_min": seen.get("episodes_per_min"),
            "tokens_per_s": learner.get("tokens_per_s"),
            "staleness": learner.get("staleness_mean"),
        }
        self._progress.update(version, **{k: v for k, v in shown.items() if v is not None})

    def _throughput(self, last: dict[str, Any], version: int, elapsed_s: float) -> dict[str, Any]:
        pool = last.get("pool", {})
        episodes = pool.get("groups_finished", 0) * self._config.rollout.group_size
        engine = last.get("engine", {})
        return {
            "mode": "async" if self._config.rollout.staleness else "sync",
            "staleness": self._config.rollout.staleness,
            "updates": version,
            "seconds": round(elapsed_s, 1),
            "episodes": episodes,
            "episodes_per_min": round(60 * episodes / elapsed_s, 1),
            "updates_per_min": round(60 * version / elapsed_s, 2),
            # The engine counts from when it was started, which is anew when a run is resumed.
            "tokens_per_s": round(engine.get("drawn_tokens", 0) / (elapsed_s - self._before_s), 1),
            "idle_share_rollout": round(pool.get("idle_share", 0.0), 4),
            "idle_share_learner": round(
                self._waited_s / max(1e-9, self._waited_s + self._trained_s), 4
            ),
            "groups": {
                k: pool[k]
                for k in ("groups_finished", "groups_mixed", "groups_consumed")
                if k in pool
            },
            "rejected": pool.get("groups_rejected", {}),
            "retried": pool.get("retried", {}),
            "staleness_seen": pool.get("staleness", {}),
            "browser_launches": last["browser_launches"],
        }


def _outcomes(groups: Sequence[Group]) -> dict[str, float]:
    """Reward, steps and tokens of the episodes trained on, for successes and failures apart."""
    values: dict[str, list[float]] = defaultdict(list)
    for group in groups:
        for trajectory in group.trajectories:
            kind = "success" if trajectory.reward > 0 else "failure"
            values["reward/trained"].append(trajectory.reward)
            values[f"steps/{kind}"].append(len(trajectory.turns))
            values[f"tokens/{kind}"].append(trajectory.response_tokens)
            values["env/step_ms"].append(
                1000 * trajectory.env_seconds / max(1, len(trajectory.turns))
            )
            values["engine/turn_ms"].append(
                1000 * trajectory.engine_seconds / max(1, len(trajectory.turns))
            )
            for turn in trajectory.turns:
                values["turns/unchanged_share"].append(not turn.page_changed)
                values["turns/error_share"].append(bool(turn.error))
    return {name: sum(found) / len(found) for name, found in values.items()}


def _shared_memory() -> str | None:
    folder = Path("/dev/shm")  # noqa: S108  # memory, where there is one
    return str(folder) if folder.is_dir() else None
