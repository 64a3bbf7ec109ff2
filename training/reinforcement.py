"""Reinforcement: groups in, updates, new weights out, while episodes run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webdojo.agents.checkpoint import Checkpoint
from webdojo.agents.engines.decoder import check_fit
from webdojo.tasks.errors import UserError
from webdojo.training.checkpoints import Checkpoints, damaged, misfit, replacing
from webdojo.training.config import TrainConfig
from webdojo.training.metrics import MetricsLog
from webdojo.training.nccl import NcclPublisher
from webdojo.training.progress import Progress
from webdojo.training.publishing import publishing
from webdojo.training.rollouts.even_success import check_episodes
from webdojo.training.rollouts.ledger import check_state
from webdojo.training.rollouts.process import RolloutProcess
from webdojo.training.rollouts.trajectory import Group
from webdojo.training.run_folder import RunFolder
from webdojo.training.team import LearnerPlan, Team
from webdojo.training.update_figures import of_rollouts, trained_on
from webdojo.training.update_log import UPDATES_FILE, UpdateLog

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from webdojo.training.learner import Learner

LEAST_EPISODES = 100
"""Episodes over which success must have been seen to make a policy the best."""
ENOUGH_GROUPS = 40
"""Groups after which it can be told whether the tasks suit the policy."""
LEAST_MIXED = 0.05
"""Share of groups with successes and failures below which hardly anything is learned."""
MOST_SKIPPED = 5
"""Updates in a row without a step, for one reason, after which going on is pointless."""


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
        team: Team,
    ) -> None:
        self._config = config
        self._folder = folder
        self._rollouts = rollouts
        self._metrics = metrics
        self._progress = progress
        self._team = team
        self._checkpoints = Checkpoints(folder, config.reinforce.keep_last)
        self._skipped = 0
        """Updates in a row whose loss was not finite."""
        self._blind = 0
        """Updates in a row whose screenshots were all gone."""
        self._warned = False
        self._waited_s = 0.0
        """What the learner waited for groups since the run began, and below was at work."""
        self._trained_s = 0.0
        self._began = time.monotonic()
        self._before_s = 0.0
        """What the run had spent here before it was stopped and resumed."""
        self._drawn_before = 0
        """Tokens that had been drawn until then, less what this engine has drawn for others."""

    @property
    def _elapsed_s(self) -> float:
        return self._before_s + time.monotonic() - self._began

    def run(self, start: Checkpoint, target: Path) -> dict[str, Any]:
        """Train from ``start`` and leave the last policy in ``target``; returns throughput."""
        config = self._config
        self._start = start
        learner = self._learner()
        version, pool_state = self._restore(learner)
        self._updates = UpdateLog(self._folder.path / UPDATES_FILE, version)
        updates = config.reinforce.updates
        self._began = time.monotonic()
        limit_s = 60 * config.reinforce.max_minutes
        may_take_s = max(0.0, limit_s - self._before_s)
        self._progress.phase("reinforce", updates, "updates", version, most_s=may_take_s)
        self._rollouts.on_figures = self._show_rollouts
        with self._publishing(learner) as publish:
            publish(version)
            self._rollouts.call(
                "start_pool",
                rollout=config.rollout,
                task_ids=config.tasks.reinforced,
                seeds=range(*config.tasks.seeds),
                seed=config.seed,
                log_path=self._folder.rollouts,
                version=version,
                state=pool_state,
            )
            self._drawn_before -= _drawn_by_engine(self._rollouts.figures)
            if pool_state is None:
                # From now on what is finished is kept through a kill.
                self._save(learner, version)
            while version < updates and (left_s := limit_s - self._elapsed_s) > 0:
                mark = time.monotonic()
                groups: list[Group] | None = self._rollouts.call(
                    "next_batch", version=version, patience_s=left_s
                )
                waited_s = time.monotonic() - mark
                if groups is None:
                    self._waited_s += waited_s
                    self._progress.note("time is up before enough groups whose rewards differ came")
                    break
                version = self._update(learner, version, groups, publish, waited_s)
                if version % config.reinforce.checkpoint_every == 0 and version < updates:
                    self._save(learner, version)
            last = self._rollouts.call("stop_pool")
        with replacing(target) as partial:
            self._write_policy(learner, partial)
        self._progress.end(f"{version} updates")
        return self._throughput(last, version, self._elapsed_s)

    def _learner(self) -> Learner:
        config = self._config
        return self._team.learner(
            LearnerPlan(
                self._start,
                config.learner.whole(
                    temperature=config.rollout.temperature,
                    seed=config.seed,
                    total_steps=config.learner.total_steps or max(1, config.reinforce.updates),
                ),
                config.objective,
                config.seed,
                config.reinforce.learner_threads,
                config.rollout.deterministic,
                self._folder.screenshots,
            )
        )

    def _publishing(self, learner: Learner) -> AbstractContextManager[Callable[[int], None]]:
        if self._config.policy.weight_transfer == "nccl":
            return nullcontext(NcclPublisher(learner, self._rollouts).publish)
        return publishing(learner, Path(self._start.path), self._rollouts)

    def _update(
        self,
        learner: Learner,
        version: int,
        groups: Sequence[Group],
        publish: Callable[[int], None],
        waited_s: float,
    ) -> int:
        """Train on one batch of groups; returns the version that it made."""
        mark = time.monotonic()
        figures = learner.update(groups, version)
        self._check_progress(figures)
        version += 1
        self._updates.append(version, groups)
        publish(version)
        trained_s = time.monotonic() - mark
        self._waited_s += waited_s
        self._trained_s += trained_s
        self._tell(version, groups, figures, waited_s, trained_s)
        return version

    def _check_progress(self, figures: dict[str, float]) -> None:
        """Raise UserError if one update after another took no step."""
        idle = not figures["optimizer_steps"]
        self._skipped = self._skipped + 1 if idle and figures["skipped_steps"] else 0
        self._blind = self._blind + 1 if idle and not figures["skipped_steps"] else 0
        if self._blind >= MOST_SKIPPED:
            raise UserError(
                f"the screenshots of every episode of {self._blind} updates in a row were gone from"
                f" {self._folder.screenshots}: keep that folder as it is, and go on from the last"
                " checkpoint"
            )
        if self._skipped >= MOST_SKIPPED:
            raise UserError(
                f"the loss or its gradient was not finite in {self._skipped} updates in a row:"
                " lower learner.lr or learner.max_grad_norm in the run's config.toml, and go on"
                " from its last checkpoint"
            )

    # Checkpoints ---------------------------------------------------------------------------------

    def _save(self, learner: Learner, version: int) -> None:
        """Learner and pool ledger of one version, and the policy if it is the best so far."""
        pool = self._rollouts.call("pool_state")
        figures = self._rollouts.figures
        drawn = self._drawn_tokens(figures)
        self._checkpoints.save(
            version,
            learner.state_dict(),
            pool,
            self._elapsed_s,
            drawn,
            self._waited_s,
            self._trained_s,
        )
        if self._config.reinforce.keep_best and figures.get("even_episodes", 0) >= LEAST_EPISODES:
            self._checkpoints.keep_if_best(
                version,
                figures["even_success"],
                lambda folder: self._write_policy(learner, folder),
            )

    def _write_policy(self, learner: Learner, folder: Path) -> None:
        self._start.write(policy_of(self._start, learner), self._start.tokenizer(), folder)

    def _restore(self, learner: Learner) -> tuple[int, dict[str, Any] | None]:
        saved = self._checkpoints.latest()
        if saved is None:
            # Episodes of a run that was stopped before its first checkpoint were drawn for a
            # learner that is gone.
            self._folder.rollouts.unlink(missing_ok=True)
            return 0, None
        newest = self._checkpoints.newest
        try:
            check_state(saved.pool, saved.version)
            check_episodes(saved.pool)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise damaged(newest, error) from error
        try:
            learner.load_state_dict(saved.learner)
        except ValueError as error:
            raise misfit(newest, error) from error
        except (KeyError, TypeError, AttributeError, RuntimeError) as error:
            raise damaged(newest, error) from error
        self._progress.note(f"going on from update {saved.version}")
        self._before_s = saved.elapsed_s
        self._drawn_before = saved.drawn_tokens
        self._waited_s, self._trained_s = saved.waited_s, saved.trained_s
        return saved.version, saved.pool

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
        config = self._config
        seen = learner | trained_on(groups)
        seen |= of_rollouts(figures, config.tasks.demonstrated)
        if "rollout/episodes" in seen:
            seen["episodes_per_min"] = 60 * seen["rollout/episodes"] / elapsed_s
        seen["learner/idle_share"] = waited_s / (waited_s + trained_s)
        if "engine" in figures:
            seen["engine/tokens_per_s"] = self._drawn_tokens(figures) / elapsed_s
        self._metrics.write("reinforce", version, seen)
        shown = {
            "tokens_per_s": learner.get("tokens_per_s"),
            "staleness": learner.get("staleness_mean"),
        }
        self._progress.update(version, **{k: v for k, v in shown.items() if v is not None})
        self._show_rollouts(figures)

    def _show_rollouts(self, figures: Mapping[str, Any]) -> None:
        """What the rollouts do, also while the learner waits for them."""
        pool = figures.get("pool", {})
        groups, mixed = pool.get("groups_finished", 0), pool.get("groups_mixed", 0)
        if not groups:
            return
        success = figures.get("recent_success")
        shown = {} if success is None else {"success": success}  # none yet where a run goes on
        self._progress.update(
            **shown,
            mixed_groups=mixed / groups,
            episodes_per_min=60 * pool["finished"] / self._elapsed_s,
        )
        if success is None:
            return
        if not self._warned and groups >= ENOUGH_GROUPS and mixed < LEAST_MIXED * groups:
            self._warned = True
            self._progress.note(
                f"only {mixed} of {groups} groups had both successes and failures, and only those"
                f" teach (success so far {success:.0%}): tasks.reinforced is too"
                f" {'hard' if success < 0.5 else 'easy'} for this policy"
            )

    def _drawn_tokens(self, figures: Mapping[str, Any]) -> int:
        """Tokens that engines have drawn for the reinforcement since the run began."""
        return self._drawn_before + _drawn_by_engine(figures)

    def _throughput(self, last: dict[str, Any], version: int, elapsed_s: float) -> dict[str, Any]:
        pool = last.get("pool", {})
        episodes = pool.get("finished", 0)
        return {
            "mode": "async" if self._config.rollout.staleness else "sync",
            "staleness": self._config.rollout.staleness,
            "updates": version,
            "seconds": round(elapsed_s, 1),
            "episodes": episodes,
            "episodes_per_min": round(60 * episodes / elapsed_s, 1),
            "updates_per_min": round(60 * version / elapsed_s, 2),
            "tokens_per_s": round(self._drawn_tokens(last) / elapsed_s, 1),
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


def _drawn_by_engine(figures: Mapping[str, Any]) -> int:
    """What the engine has drawn since it was started, evaluations too."""
    return int(figures.get("engine", {}).get("drawn_tokens", 0))


def policy_of(start: Checkpoint, learner: Learner) -> PreTrainedModel:
    """The model as it is after training, adapters merged, ready to be written."""
    model = start.model()
    check_fit(model, weights := learner.weights())
    model.load_state_dict(weights, strict=False)
    return model
