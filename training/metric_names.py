"""Every figure that a run writes: its name, its unit, what it means and what to make of it.

``docs/metrics.md`` holds the same as tables; after a change here write them anew:

    python -m webdojo.training.metric_names docs/metrics.md
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PLACES = {
    "task": r"[\w-]+\.[\w.-]+",
    "difficulty": "easy|medium|hard",
    "split": "unseen_seeds|undemonstrated|unseen_tasks",
    "mode": "greedy|sampled",
    "cause": r"\w+",
    "count": r"\w+",
}
"""What may stand in a name where it says ``<task>``, ``<cause>`` and so on."""
MARK = "<!-- Below this line the page is written by webdojo.training.metric_names. -->"


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure."""

    name: str
    """As it is written, without its phase; ``<task>`` stands for any task's id."""
    unit: str
    meaning: str
    advice: str
    """What is healthy, or what a bad value means and what to do about it."""

    def is_called(self, name: str) -> bool:
        """Whether this is the figure of that name."""
        pattern = re.escape(self.name)
        for place, values in PLACES.items():
            pattern = pattern.replace(f"<{place}>", f"(?:{values})")
        return re.fullmatch(pattern, name) is not None


@dataclass(frozen=True, slots=True)
class Section:
    """Figures about one thing, of the same phases and worked out in the same files."""

    title: str
    phases: tuple[str, ...]
    sources: tuple[str, ...]
    """Files, from the folder that holds ``training``."""
    metrics: tuple[Metric, ...]


_SPEED = "falls where memory is short or other work runs; `webdojo bench learner` has figures"

SECTIONS = (
    Section(
        "Success, before and after",
        ("evaluate_before", "evaluate_after"),
        ("training/run.py", "training/evaluation.py"),
        (
            Metric(
                "success/<mode>/<difficulty>",
                "share",
                "episodes solved (reward 1), of all tasks of a difficulty, each episode once",
                "says where a gain comes from; the report has intervals",
            ),
            Metric(
                "success/<mode>/<split>",
                "share",
                "episodes solved (reward 1) on held-out seeds of a split, `greedy` or `sampled` at"
                " temperature 1",
                "`after` above `before` by more than their intervals, which are in the report;"
                " `unseen_tasks` lower than before means that the policy forgets: fewer updates,"
                " a lower `learner.lr`, or a KL penalty (`objective.kl.coefficient`)",
            ),
            Metric(
                "undecided/<mode>",
                "count",
                "episodes that nobody judged, since a judge was away; in no rate",
                "0",
            ),
        ),
    ),
    Section(
        "Who judges",
        ("evaluate_before", "evaluate_after", "reinforce"),
        ("training/run.py", "training/update_figures.py", "tasks/evaluators/judge.py"),
        (
            Metric(
                "judge/<count>",
                "count",
                "what judging by a language model has taken since its process began: `questions`,"
                " of them `cached`, given `verdicts` and `failed`; `requests`, of them `retries`;"
                " `prompt_tokens` and `completion_tokens`; `cost_usd`, by the prices set; `seconds`"
                " waited; none where nothing was asked",
                "`failed` near 0; more: see that the judge is up, and that its key and limits hold",
            ),
        ),
    ),
    Section(
        "Warm start",
        ("warm_start",),
        ("training/learner.py", "training/turn_rows.py"),
        (
            Metric(
                "loss",
                "nats a token",
                "cross-entropy of the demonstrated responses, before the step",
                "falls, fast at first; if it rises lower `warm_start.lr`; near 0 the policy only"
                " repeats and explores little: fewer `warm_start.epochs`, or"
                " `warm_start.action_noise`",
            ),
            Metric(
                "grad_norm",
                "",
                "L2 norm of the gradient before clipping",
                "finite and falling; for good above `learner.max_grad_norm`: lower `warm_start.lr`",
            ),
            Metric("lr", "", "learning rate of the step", "rises, then falls as a cosine"),
            Metric("optimizer_steps", "count", "steps taken", "1"),
            Metric(
                "skipped_steps",
                "count",
                "steps not taken, as loss or gradient was not finite",
                "0; else lower `warm_start.lr`",
            ),
            Metric("tokens", "count", "tokens trained on", "as `warm_start.batch_tokens` allows"),
            Metric("seconds", "s", "time of the step", "even"),
            Metric("tokens_per_s", "1/s", "tokens trained on a second", _SPEED),
            Metric(
                "images_missing",
                "count",
                "screenshots that are gone from the run's `screenshots/`, whose turns are left out;"
                " only where prompts show any",
                "0; keep that folder as it is",
            ),
        ),
    ),
    Section(
        "Reward",
        ("reinforce",),
        ("training/update_figures.py",),
        (
            Metric(
                "reward/mean",
                "share",
                "successes (reward 1) among the latest 400 episodes of all tasks, trained on or"
                " not",
                "rises; level from the beginning: see `groups/mixed_share`; falls after rising:"
                " lower `learner.lr`, and see `effective_sample_size` and `entropy`",
            ),
            Metric(
                "reward/demonstrated",
                "share",
                "successes among the latest 80 episodes of each reinforced task that was"
                " demonstrated",
                "starts high after a warm start, and should not fall",
            ),
            Metric(
                "reward/undemonstrated",
                "share",
                "the same for tasks that no demonstration showed",
                "rises: this is what reinforcement adds",
            ),
            Metric(
                "reward/<difficulty>",
                "share",
                "the same for the tasks of a difficulty",
                'hard ones follow easy ones; `rollout.sampler = "adaptive"` plays what is half'
                " learned most",
            ),
            Metric(
                "reward/<task>",
                "share",
                "successes among the latest 80 episodes of one task",
                "0 for good: demonstrate the task, or take it out, as it never gives a gradient",
            ),
            Metric(
                "reward/trained",
                "reward",
                "mean reward of the episodes trained on",
                "about 0.2 to 0.8, since groups whose rewards are all equal are replaced; says"
                " little of progress",
            ),
            Metric(
                "groups/mixed_share",
                "share",
                "of the groups finished since the run began, those whose rewards differ",
                "0.3 and more; under 0.05 hardly anything is learned, and the run says so: easier"
                " or harder tasks, a warm start, a larger `rollout.group_size`, or"
                " `rollout.rounds = 4`",
            ),
        ),
    ),
    Section(
        "Episodes trained on",
        ("reinforce",),
        ("training/update_figures.py",),
        (
            Metric(
                "steps/success",
                "steps",
                "steps of an episode that succeeded, mean",
                "falls towards what the task needs",
            ),
            Metric(
                "steps/failure",
                "steps",
                "steps of an episode that failed, mean",
                "near the tasks' horizon: the policy wanders until it is stopped; near 1: it gives"
                " up or errs at once",
            ),
            Metric(
                "tokens/success",
                "tokens",
                "tokens that the policy drew in an episode that succeeded, mean",
                "rises with no gain in reward: answers grow for nothing;"
                " [1/T or 1/k](normalizers.md)",
            ),
            Metric(
                "tokens/failure",
                "tokens",
                "the same for episodes that failed",
                "at `policy.max_response_tokens` a step: responses are cut; raise it",
            ),
            Metric(
                "turns/unchanged_share",
                "share",
                "steps that left the page as it was",
                "falls; near 1 the actions hit nothing: look at the film strips of the report",
            ),
            Metric(
                "turns/error_share",
                "share",
                "steps whose action was refused, or that held none",
                "falls towards 0; stays high: the layout does not suit the model, or responses are"
                " cut (`policy.max_response_tokens`)",
            ),
            Metric(
                "episodes/stuck_share",
                "share",
                "episodes in which three steps in a row left the page as it was",
                "falls; else the policy repeats itself: a higher `rollout.temperature`, or a layout"
                " with memory",
            ),
        ),
    ),
    Section(
        "The update",
        ("reinforce",),
        ("training/learner.py", "training/turn_rows.py"),
        (
            Metric(
                "loss",
                "",
                "the objective, mean over the optimiser steps",
                "need not fall, as every batch is another; only its being finite counts",
            ),
            Metric(
                "grad_norm",
                "",
                "L2 norm of the gradient before clipping, mean over the optimiser steps",
                "of one size throughout; ten times the usual: lower `learner.lr`; it is scaled down"
                " to `learner.max_grad_norm`; 0: nothing is learned",
            ),
            Metric("lr", "", "learning rate", "as `learner.schedule` says"),
            Metric(
                "optimizer_steps",
                "count",
                "optimiser steps taken",
                "`learner.epochs` × `learner.minibatches`",
            ),
            Metric(
                "skipped_steps",
                "count",
                "optimiser steps not taken, as loss or gradient was not finite",
                "0; after five updates with nothing else the run stops: lower `learner.lr`",
            ),
            Metric("tokens", "count", "tokens trained on, once for each epoch", "even"),
            Metric("seconds", "s", "time of the learner's update", "even"),
            Metric("tokens_per_s", "1/s", "tokens trained on a second", _SPEED),
            Metric(
                "shared_token_rate",
                "share",
                "of the tokens to be read, those saved by reading common beginnings once",
                "0.3 to 0.8 where pages and instructions repeat; below 0, padding costs more than"
                " is saved: raise `learner.sequence_tokens`",
            ),
            Metric(
                "out_of_memory",
                "count",
                "times that micro-batches were halved in this update, as memory ran out",
                "0; else lower `learner.micro_batch_tokens`, or set"
                " `learner.gradient_checkpointing = true`",
            ),
            Metric(
                "images",
                "count",
                "different screenshots trained on; only where prompts show any",
                "grows with `policy.screenshots.images`",
            ),
            Metric(
                "images_missing",
                "count",
                "of these, those that are gone from the run's `screenshots/`",
                "0; keep that folder as it is",
            ),
            Metric(
                "trajectories_dropped",
                "count",
                "trajectories not trained on, as a screenshot of theirs is gone",
                "0; the run stops if all are, five updates in a row",
            ),
        ),
    ),
    Section(
        "How far from on-policy",
        ("reinforce",),
        ("training/mini_batch.py", "training/objectives/statistics.py"),
        (
            Metric(
                "staleness_mean",
                "versions",
                "how many versions before the learner's a token was drawn, mean over tokens",
                "between 0 and `rollout.staleness`",
            ),
            Metric(
                "staleness_max",
                "versions",
                "the same for the oldest token",
                "never above `rollout.staleness`",
            ),
            Metric(
                "effective_sample_size",
                "share",
                "(Σw)² / (N Σw²) of the weights w of new policy over the one that drew the token",
                "1 on policy, above 0.9 as a rule; under 0.5 few tokens carry the update: lower"
                " `rollout.staleness` or `learner.lr`",
            ),
            Metric(
                "mean_ratio",
                "",
                "mean importance ratio of the surrogate, before its clip",
                "1; exactly so with one optimiser step a batch where `objective.proximal` is"
                " `recomputed`; off by more than some hundredths: lower `learner.lr`, or, where it"
                " is `behaviour`, `rollout.staleness`",
            ),
            Metric(
                "clip_rate",
                "share",
                "tokens whose surrogate the clip changed",
                "0 with one optimiser step a batch where `objective.proximal` is `recomputed`, some"
                " hundredths with several; above 0.2 steps are too large: lower `learner.lr` or"
                " `learner.epochs`; where it is `behaviour`, tokens of older versions are clipped"
                " too: lower `rollout.staleness`",
            ),
            Metric(
                "dropped_token_rate",
                "share",
                "tokens that `objective.correction` dropped",
                "under 0.01; more: engine and learner differ (`logprob_mismatch_mean`), or tokens"
                " are too old",
            ),
            Metric(
                "kl_behaviour_k1",
                "nats a token",
                "KL from the policy that drew the tokens to the learner's, by the estimator k1,"
                " which may be negative",
                "under 0.02; more: as for `effective_sample_size`",
            ),
            Metric(
                "kl_behaviour_k3",
                "nats a token",
                "the same by the estimator k3, which is never negative but for rounding",
                "under 0.02; jumps just before a policy breaks down: lower `learner.lr`",
            ),
            Metric(
                "kl_reference",
                "nats a token",
                "KL to the policy that reinforcement began from, by `objective.kl.estimator`; only"
                " with `objective.kl.coefficient` above 0",
                "grows slowly; too fast: raise the coefficient",
            ),
            Metric(
                "entropy",
                "nats a token",
                "entropy of the distributions that tokens are drawn from",
                "falls slowly; near 0 early, all members of a group do the same: lower"
                " `learner.lr`, raise `objective.entropy_coefficient` or"
                " `objective.surrogate.clip_high`",
            ),
            Metric(
                "logprob_mismatch_mean",
                "nats",
                "difference of engine and learner on responses that the learner's very weights"
                " drew, mean; left out where there are none",
                "about 1e-6 in float32, up to some hundredths in bfloat16; more: the engine serves"
                " other weights or another precision",
            ),
            Metric(
                "logprob_mismatch_max",
                "nats",
                "the largest such difference",
                "under 1e-4 in float32; in bfloat16 single tokens may reach 1",
            ),
        ),
    ),
    Section(
        "Where the time goes",
        ("reinforce",),
        ("training/reinforcement.py", "training/update_figures.py"),
        (
            Metric(
                "learner/idle_share",
                "share",
                "of the time since the last update, what the learner waited for groups",
                "high where the small policy trains; with a large one it should be low. High while"
                " `rollout/idle_share` is 0: episodes are the bottleneck, so more `rollout.slots`,"
                " cores, or a faster engine",
            ),
            Metric(
                "rollout/idle_share",
                "share",
                "of the slots' time since the run began, what they stood without an episode",
                "0 to 0.05; more: the learner is the bottleneck, or `rollout.staleness` is too"
                " small for episodes of very different length ([the pool](pool.md))",
            ),
            Metric(
                "rollout/longest_silence_s",
                "s",
                "of the episodes that run, the longest time since one began or ended a step",
                "a few times as long as a step; near `rollout.deadline_s` episodes hang, and are"
                " begun again as it is reached (`rollout/retried/deadline`)",
            ),
            Metric(
                "rollout/episodes", "count", "episodes finished since the run began", "grows evenly"
            ),
            Metric(
                "episodes_per_min",
                "1/min",
                "the same a minute of reinforcement, mean since it began",
                "even; falls where pages or responses grow longer; too high after a resume, since"
                " episodes after the last checkpoint count and their time does not",
            ),
            Metric(
                "engine/tokens_per_s",
                "1/s",
                "tokens drawn a second of reinforcement, mean since it began",
                "falls with longer prompts; [engines](engines.md) has figures",
            ),
            Metric(
                "engine/turn_ms",
                "ms",
                "what a step of an episode waits for its response, its turn in the queue included,"
                " mean over the episodes trained on",
                "above `env/step_ms`: the engine holds episodes up; a larger machine or `vllm`",
            ),
            Metric(
                "env/step_ms",
                "ms",
                "what a step spends in the browser, mean over the episodes trained on",
                "grows with episodes at once on few cores: fewer `rollout.slots`",
            ),
            Metric(
                "env/reset_ms",
                "ms",
                "time until an episode's first observation, mean over the episodes trained on",
                "as for `env/step_ms`; a slow site of one's own shows here",
            ),
        ),
    ),
    Section(
        "What was lost",
        ("reinforce",),
        ("training/update_figures.py", "training/rollouts/accounts.py"),
        (
            Metric(
                "rollout/retried",
                "count",
                "attempts at an episode that died and were begun again, since the run began",
                "a few in thousands; more: see the cause",
            ),
            Metric(
                "rollout/retried/<cause>",
                "count",
                "the same by cause: `deadline`, `cancelled`, or the error's class",
                "`deadline`: raise `rollout.deadline_s`; `BrowserDiedError`: memory is short, fewer"
                " `rollout.slots`; `EngineDeadError`: its log says why; `UndecidedEpisodeError`:"
                " the judge is away",
            ),
            Metric(
                "rollout/rejected_groups",
                "count",
                "groups that were replaced, since the run began",
                "see the cause",
            ),
            Metric(
                "rollout/rejected_groups/<cause>",
                "count",
                "the same by cause: `zero_variance` (rewards all equal), `stale` (a token too old),"
                " `failed` (an episode that kept dying)",
                "`zero_variance`: as `groups/mixed_share`; `stale`: raise `rollout.staleness`;"
                " `failed`: as `rollout/retried`",
            ),
        ),
    ),
)
"""All of them. Of two names that fit, the first is meant."""


def metric_of(phase: str, name: str) -> Metric | None:
    """The figure that a phase writes under that name; None if there is none."""
    for section in SECTIONS:
        if phase in section.phases:
            for metric in section.metrics:
                if metric.is_called(name):
                    return metric
    return None


def tables() -> str:
    """All figures as Markdown tables, a heading each."""
    return "\n".join(line for section in SECTIONS for line in _table(section))


def write_tables(page: Path) -> None:
    """Write the tables into a page, in place of all that follows ``MARK``."""
    text = page.read_text(encoding="utf-8")
    page.write_text(text[: text.index(MARK)] + f"{MARK}\n\n{tables()}", encoding="utf-8")


def _table(section: Section) -> Iterator[str]:
    phases = " and ".join(f"`{phase}`" for phase in section.phases)
    sources = " and ".join(f"[`{file}`](../{file})" for file in section.sources)
    yield f"## {section.title}\n"
    yield f"Phase {phases}; worked out in {sources}.\n"
    yield "| name | unit | what it is | what to look for |"
    yield "| --- | --- | --- | --- |"
    for metric in section.metrics:
        yield f"| `{metric.name}` | {metric.unit} | {metric.meaning} | {metric.advice} |"
    yield ""


if __name__ == "__main__":
    write_tables(Path(sys.argv[1]))
