"""Any agent on any split: what ``webdojo eval`` does."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from webdojo.agents.endpoint import endpoint_layout, find_endpoint, is_endpoint
from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.files import load_files
from webdojo.tasks.splits import TRAIN_SEEDS, Split, check_tasks, get_split, split_names
from webdojo.training.config import PolicyConfig, TrainConfig
from webdojo.training.config_files import load_config, load_its_tasks, presets
from webdojo.training.evaluation import (
    MODES,
    Mode,
    Tally,
    count_episodes,
    evaluate,
    splits_of,
)
from webdojo.training.evaluation import in_words as episodes_in_words
from webdojo.training.kept_prompts import other_prompts
from webdojo.training.model_shape import find_shape
from webdojo.training.named_tasks import with_whole_suites
from webdojo.training.progress import Progress
from webdojo.training.rollouts.players import Player, WorkerSettings
from webdojo.training.rollouts.process import RESTARTS, RolloutProcess, RolloutsKilledError
from webdojo.training.rollouts.trajectory import Trajectory
from webdojo.training.trained_on import in_words, run_of, trained_on

SCRIPTED = ("oracle", "random")
QUICKSTART = "quickstart"
"""The preset whose splits are played where neither a configuration nor a run tells of any."""
UNSEEN_SEEDS, UNSEEN_TASKS = "unseen_seeds", "unseen_tasks"
"""Splits that a configuration defines."""
EMPTY = {
    UNSEEN_SEEDS: "its tasks.reinforced is empty",
    "undemonstrated": "each of its tasks.reinforced is demonstrated as well",
    UNSEEN_TASKS: "its tasks.unseen is empty",
}
"""Why a configuration may have no such split."""
ENDPOINT_TOKENS = 1024
"""Tokens that a model behind an endpoint has at least, which may think before it answers."""
_ADDRESS = re.compile(r"https?://|(?:localhost|[\w-]+(?:\.[\w-]+)+):\d+(?:/|$)")
ENDPOINT_DEADLINE_S = 900.0
"""Real time that its episodes have at least."""


def evaluate_agent(
    agent: str,
    split: str,
    *,
    config: str | None = None,
    episodes: int | None = None,
    mode: str = "both",
    deterministic: bool = False,
    task_files: Sequence[Path] = (),
    quiet: bool = False,
) -> dict[str, Any]:
    """Play a split's episodes and return the rates.

    ``agent`` is a checkpoint, a policy's name, ``oracle``, ``random``, or a model behind an
    OpenAI-compatible endpoint as ``openai:MODEL@URL``. A split's name is looked
    up in ``config``, in the run that the checkpoint lies in, in the quick start, and among the
    published splits. The same checkpoint, split, seeds and mode repeat the figures of the run's
    report. ``trained_on`` tells which of the tasks played the policy was trained on, ``seeds`` the
    first and the last seed and whether they are held out or for training, ``judge`` what judges
    took, of the last rollout process if one was killed. Raises UserError for
    whatever is not there.
    """
    if mode not in (*MODES, "both"):
        raise UserError(f"unknown mode {mode!r}: choose greedy, sampled or both")
    settings, source = _config(agent, config)
    run = run_of(agent)
    load_its_tasks(settings, config or (str(run / "config.toml") if run is not None else source))
    load_files(map(str, task_files))
    # What is held out is the business of whoever trains.
    tasks = settings.tasks.model_copy(update={"held_out": ()})
    settings = with_whole_suites(settings.model_copy(update={"tasks": tasks}))
    own = splits_of(settings)
    chosen = _find(own, split, source)
    registry.check_ready(chosen.task_ids)
    per_task = episodes or settings.evaluation.episodes_per_task
    scripted = agent in SCRIPTED
    layout = "" if scripted else _check_policy(agent, settings.policy)
    if config is None and source == QUICKSTART and layout not in ("", "outline"):
        settings = _of_language_models(settings, agent)
    if not per_task:
        raise UserError("evaluation.episodes_per_task is 0: say with --episodes how many to play")
    worker = WorkerSettings(
        task_files=tuple(str(path.resolve()) for path in (*settings.tasks.files, *task_files)),
        checkpoint="" if scripted else agent,
        layout=settings.policy.layout,
        engine=settings.policy.engine,
        context_tokens=settings.policy.context_tokens,
        max_response_tokens=settings.policy.max_response_tokens,
        slots=1 if deterministic else settings.rollout.slots,
        engine_threads=settings.rollout.engine_threads,
        precision=settings.learner.precision,
        deadline_s=settings.rollout.deadline_s,
        vision=settings.policy.vision,
        history=settings.policy.history,
    )
    if is_endpoint(agent):
        worker = replace(
            worker,
            max_response_tokens=max(ENDPOINT_TOKENS, worker.max_response_tokens),
            deadline_s=max(ENDPOINT_DEADLINE_S, worker.deadline_s),
        )
    modes = MODES if mode == "both" else (cast(Mode, mode),)
    if scripted:
        modes = ("greedy",)  # they draw no tokens
    player = cast(Player, agent if scripted else "policy")
    found: dict[str, Any] = {
        "agent": agent,
        "split": chosen.name,
        "defined_by": source if split in own else split if split.endswith(".toml") else "published",
        "content_hash": chosen.content_hash,
        "seeds": seeds_played(chosen, settings.evaluation.seed_offset, per_task),
        "trained_on": None if scripted else trained_on(agent, chosen),
        "episodes_per_task": per_task,
        "modes": {},
    }
    played: dict[Mode, dict[str, Trajectory]] = {each: {} for each in modes}
    restarts = RESTARTS
    while True:
        with RolloutProcess(worker) as rollouts:
            try:
                for each in modes:
                    found["modes"][agent if scripted else each] = _play(
                        rollouts, chosen, per_task, settings, player, each, played[each], quiet
                    )
                found["judge"] = rollouts.call("judging") or None
            except RolloutsKilledError as error:
                if not restarts:
                    raise UserError(f"{error}, for the {RESTARTS + 1}th time") from error
                print(f"\n{error}; another plays the episodes that are left", file=sys.stderr)
            else:
                return found
        restarts -= 1


def show(found: Mapping[str, Any], *, as_json: bool = False) -> None:
    """Print what ``evaluate_agent`` found."""
    if as_json:
        print(json.dumps(found))
        return
    from rich.console import Console
    from rich.table import Table

    title = f"{found['split']} ({found['defined_by']}){_of_training(found['seeds'])}"
    for mode, result in found["modes"].items():
        table = Table("task", "success", "95 %", "episodes", title=f"{title}, {mode}")
        for name, rate in (*result["tasks"].items(), ("all", result["all"])):
            if rate is None:
                table.add_row(name, "–", "–", "0")
                continue
            interval = f"{rate['low']:.2f} – {rate['high']:.2f}"
            table.add_row(name, f"{rate['success']:.2f}", interval, str(rate["episodes"]))
        Console().print(table)
        for phrase in episodes_in_words(result):
            Console().print(phrase, soft_wrap=True, highlight=False, markup=False)
        if result["overflow_at_once"] and not is_endpoint(found["agent"]):
            told = "give them room: a larger policy.context_tokens in the file for --config"
            Console().print(told, soft_wrap=True, highlight=False)
    if found["agent"] not in SCRIPTED:
        told = in_words(found["trained_on"], len(result["tasks"]))
        Console().print(told, soft_wrap=True, highlight=False)


def seeds_played(split: Split, skip: int, per_task: int) -> dict[str, Any]:
    """The first and the last seed that an evaluation plays of every task, and what they are for."""
    seeds = split.seeds[skip : skip + per_task]
    training = bool(seeds) and seeds.start < TRAIN_SEEDS.stop
    return {
        "first": seeds[0] if seeds else None,
        "last": seeds[-1] if seeds else None,
        "for": "training" if training else "held out",
    }


def _of_training(seeds: Mapping[str, Any]) -> str:
    """Which seeds they are, for people, where training may have drawn on them."""
    if seeds["for"] != "training":
        return ""
    return f", seeds {seeds['first']:,} … {seeds['last']:,}, for training"


def _play(
    rollouts: RolloutProcess,
    split: Split,
    per_task: int,
    config: TrainConfig,
    player: Player,
    mode: Mode,
    played: dict[str, Trajectory],
    quiet: bool,
) -> dict[str, Any]:
    tally = Tally()
    with nullcontext() if quiet else Progress() as progress:
        if progress:
            seeds = seeds_played(split, config.evaluation.seed_offset, per_task)
            name = f"{split.name}{_of_training(seeds)}, {mode}"
            progress.phase(name, count_episodes([split], per_task), "episodes")

        def count(trajectory: Trajectory) -> None:
            tally.add(trajectory)
            if progress:
                progress.update(tally.played, **tally.figures)

        result = evaluate(
            rollouts,
            [split],
            per_task=per_task,
            skip=config.evaluation.seed_offset,
            player=player,
            mode=mode,
            seed=config.seed,
            on_episode=count,
            played=played,
        )
    return {
        "all": result.splits[split.name],
        "tasks": dict(result.tasks[split.name]),
        **result.counts,
    }


def _of_language_models(settings: TrainConfig, agent: str) -> TrainConfig:
    """With lengths and times that suit a language model, where those are the small policy's."""
    suits = load_config("cpu-text")
    shape, _ = find_shape(agent)
    most = (shape.positions if shape is not None else None) or suits.policy.context_tokens
    policy = {
        "context_tokens": min(most, suits.policy.context_tokens),
        "max_response_tokens": suits.policy.max_response_tokens,
    }
    rollout = {"slots": suits.rollout.slots, "deadline_s": suits.rollout.deadline_s}
    return settings.model_copy(
        update={
            "policy": settings.policy.model_copy(update=policy),
            "rollout": settings.rollout.model_copy(update=rollout),
        }
    )


def _check_policy(name: str, policy: PolicyConfig) -> str:
    """The name of the layout of its prompts; UserError for what is no agent."""
    if is_endpoint(name):
        find_endpoint(name)
        return endpoint_layout(policy.layout, policy.vision, policy.history).name
    if _ADDRESS.match(name):
        address = name if name.startswith("http") else f"http://{name}"
        raise UserError(f"{name!r} is an address: write openai:MODEL@{address}, with its model")
    from webdojo.agents.checkpoint import SHIPPED, find_checkpoint

    known = (*SCRIPTED, *SHIPPED)
    near = get_close_matches(name, known, n=1)
    if near and name not in known and not Path(name).exists():
        raise UserError(f"no agent {name!r}: did you mean {near[0]!r}?")
    if "/" not in name and name not in known and not Path(name).exists():
        raise UserError(
            f"no agent {name!r}: give a checkpoint folder, a hub id such as owner/name,"
            f" {', '.join(known)}, or a model behind an endpoint as openai:MODEL@URL"
        )
    found = find_checkpoint(name, policy.layout, policy.vision, policy.history)
    run = run_of(name)
    if run is not None and (others := other_prompts(run, found.layout)):
        print(f"note: {others}", file=sys.stderr)
    return found.layout.name


def _config(agent: str, named: str | None) -> tuple[TrainConfig, str]:
    """The configuration given, that of the run the checkpoint lies in, or the quick start's.

    With it, for people, where it is from.
    """
    if named is not None:
        return load_config(named), named
    run = run_of(agent)
    if run is not None:
        return load_config(str(run / "config.toml")), run.name
    return load_config(QUICKSTART), QUICKSTART


def _find(own: Mapping[str, Split], name: str, source: str) -> Split:
    if name in own:
        return own[name]
    if name in EMPTY:
        has = ", ".join(own) or "none"
        raise UserError(f"{source} has no split {name!r}: {EMPTY[name]}; it has {has}")
    if instead := _no_split(name):
        raise UserError(f"{instead}; see docs/splits.md")
    known = (*own, *split_names())
    if name in known or name.endswith(".toml") or Path(f"{name}.toml").is_file():
        found = get_split(name)
        check_tasks(found, f"split {name!r}")
        return found
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(known)}"
    raise UserError(f"no split {name!r}: {hint}")


def _no_split(name: str) -> str:
    """What a name is that is no split, and what to write instead; empty if nothing is known."""
    others = (
        "name it under tasks.unseen (or tasks.reinforced) of a file, mine.toml, and write"
        f" --config mine.toml with --split {UNSEEN_TASKS} (or {UNSEEN_SEEDS})"
    )
    if name in registry.suites():
        return f"{name!r} is a suite, not a split: {others}"
    suite, dot, _ = name.partition(".")
    if dot and suite in registry.suites() and name in registry.task_ids(suite):
        return f"{name!r} is a task, not a split: {others}"
    folder = Path(name)
    if name in presets() or (folder / "config.toml").is_file() or _is_configuration(folder):
        file = folder / "config.toml" if folder.is_dir() else name
        return (
            f"{name!r} is a run's configuration, not a split: write --config {file} with a split of"
            f" its, such as --split {UNSEEN_SEEDS}"
        )
    return ""


def _is_configuration(file: Path) -> bool:
    try:
        return isinstance(tomllib.loads(file.read_text(encoding="utf-8")).get("tasks"), dict)
    except (OSError, ValueError):
        return False  # whoever reads it as a split says what is wrong
