"""What a configuration's names of tasks stand for; nothing held out is trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.splits import (
    HELD_OUT_SEEDS,
    TRAIN_SEEDS,
    Split,
    check_tasks,
    get_split,
    require_trainable,
    shared,
    split_names,
)
from webdojo.tasks.task import Task
from webdojo.training.config import ALL_SEEDS, MANIFEST, TRAINED_ON, TrainConfig
from webdojo.training.config_files import parse_config
from webdojo.training.trained_on import learnt_before


def with_whole_suites(config: TrainConfig, place: str = "") -> TrainConfig:
    """Suites and splits spelled out as their tasks; raises UserError for an unknown one.

    ``place`` is where the configuration stands, for people.

    What is trained on must share nothing with what is held out: not with a split under ``unseen``
    or ``held_out``, in the sense of what is new in it, and no task with the rest of ``unseen``. A
    split that is trained on gives its tasks and the seeds of all training; of one that is evaluated
    the tasks are taken.
    """
    place = place or f"configuration {config.name!r}"
    named: dict[str, tuple[str, ...]] = {}
    splits: dict[str, list[Split]] = {}
    for field in ("demonstrated", "reinforced", "unseen", "held_out"):
        try:
            named[field], splits[field] = _spelled_out(getattr(config.tasks, field))
            if field in TRAINED_ON:
                _check_trainable(named[field], splits[field])
            if field == "held_out":
                _check_held_out(config.tasks.held_out, splits[field])
        except UserError as error:
            raise UserError(f"{place}: tasks.{field}: {error}") from None
    seeds = _seeds(config, [split for field in TRAINED_ON for split in splits[field]], place)
    learnt = {f"tasks.{field}": (named[field], seeds) for field in TRAINED_ON}
    # What the policy has learnt before counts as well; of another project's tasks nothing is known.
    before, drawn = learnt_before(config.policy.checkpoint)
    learnt["policy.checkpoint"] = tuple(i for i in before if i in registry.task_ids()), drawn
    for field in ("unseen", "held_out"):
        for split in splits[field]:
            if not split.trainable:
                holder = f"split {split.name!r} under tasks.{field}"
                _keep_apart(learnt, split, holder, place)
    _check_unseen(named, splits["unseen"], place)
    tasks = config.tasks.model_dump() | named
    tasks |= {"held_out": config.tasks.held_out, "seeds": (seeds.start, seeds.stop)}
    whole = parse_config(config.model_dump() | {"tasks": tasks}, place)
    if named["unseen"]:
        unseen = Split("unseen", 1, named["unseen"], HELD_OUT_SEEDS, "tasks")
        _keep_apart(learnt, unseen, "tasks.unseen", place)
    return whole


def _check_unseen(named: Mapping[str, Sequence[str]], unseen: Sequence[Split], place: str) -> None:
    """Raise UserError for a split that is new in its seeds alone, which is no split of tasks."""
    learnt = {task_id for field in TRAINED_ON for task_id in named[field]}
    for split in unseen:
        both = sorted(learnt & set(split.task_ids))
        if split.new == "seeds" and both:
            raise UserError(
                f"{place}: tasks.unseen: split {split.name!r} holds other seeds of what is trained"
                f" on ({both[0]}), and unseen tasks are not trained on at all: name it under"
                " tasks.held_out. A run plays held-out seeds of what it trains on by itself, as"
                " unseen_seeds, and `webdojo eval --split` the split"
            )


def check_roles(config: TrainConfig) -> None:
    """Raise UserError if tasks cannot play the parts that they are named for.

    ``config`` has its suites spelled out and its task files loaded.
    """
    tasks = config.tasks
    if not tasks.reinforced and config.reinforce.updates:
        raise UserError(f"{config.name}: tasks.reinforced is empty: name the tasks to train on")
    for task_id in tasks.demonstrated if config.warm_start.episodes_per_task else ():
        if registry.entry(task_id).task.oracle is Task.oracle:
            raise UserError(
                f"tasks.demonstrated names {task_id}, which has no oracle: write its `oracle`, or"
                " list it in tasks.reinforced alone"
            )


def _spelled_out(names: Sequence[str]) -> tuple[tuple[str, ...], list[Split]]:
    """The tasks of these names, and the splits among them."""
    found: list[str] = []
    splits: list[Split] = []
    for name in names:
        bare = name.partition("@")[0]
        if name.endswith(MANIFEST) or (name not in registry.suites() and bare in split_names()):
            splits.append(get_split(name))
            check_tasks(splits[-1], f"split {name!r}")
            found += splits[-1].task_ids
        elif "." in name or name in registry.suites():
            found.append(name)
        else:
            known = [*registry.suites(), *split_names()]
            near = get_close_matches(bare, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise UserError(
                f"no suite or split {name!r}: {hint}; a manifest of your own is named by its file,"
                f" which ends in {MANIFEST}"
            )
    return registry.select(found), splits


def _check_trainable(task_ids: Sequence[str], splits: Sequence[Split]) -> None:
    for split in splits:
        require_trainable(split)
    for task_id in task_ids:
        task = registry.entry(task_id).task
        if task.page_seeds is not None:
            instead = f"train on {task.same_pages_as}" if task.same_pages_as else "take it out"
            raise UserError(
                f"{task_id} is for measuring: seeds for training and held-out ones open the same"
                f" pages of it; {instead}"
            )


def _check_held_out(names: Sequence[str], splits: Sequence[Split]) -> None:
    if len(splits) < len(names):
        raise UserError(
            "name splits, or manifests of your own (my-split.toml); tasks one by one stand under"
            " tasks.unseen"
        )
    for split in splits:
        if split.trainable:
            raise UserError(
                f"split {split.name!r} is for training (seeds {split.seeds.start} …"
                f" {split.seeds.stop - 1}); what is held out has seeds from {HELD_OUT_SEEDS.start}"
            )


def _seeds(config: TrainConfig, splits: Sequence[Split], place: str) -> range:
    """The seeds that are trained on; raises UserError if they are not one range."""
    own = config.tasks.seeds
    named = {} if own == ALL_SEEDS else {"tasks.seeds": range(*own)}
    named |= {f"split {split.name!r}": split.seeds for split in splits}
    seeds = next(iter(named.values()), TRAIN_SEEDS)
    for other, others in named.items():
        if others != seeds:
            raise UserError(
                f"{place}: tasks: {next(iter(named))} has the seeds {seeds.start} …"
                f" {seeds.stop - 1}, {other} has {others.start} … {others.stop - 1}, and all"
                " training draws on the same: give both the same, or train on one of them"
            )
    shown = config.warm_start.episodes_per_task if config.tasks.demonstrated else 0
    if shown > len(seeds):
        raise UserError(
            f"{place}: warm_start.episodes_per_task is {shown}, and there are {len(seeds)} seeds to"
            " train on: lower it, or train on more seeds"
        )
    return seeds


def _keep_apart(
    learnt: Mapping[str, tuple[Sequence[str], range]], split: Split, holder: str, place: str
) -> None:
    """Raise UserError if a task is trained on of which the split holds something back.

    ``learnt`` gives the tasks and their seeds by where they are named.
    """
    for source, (task_ids, seeds) in learnt.items():
        for task_id in task_ids:
            found = shared(Split("training", 1, (task_id,), seeds), split)
            if found:
                raise UserError(
                    f"{place}: {source}: {task_id} may not be trained on, since {holder} holds"
                    f" it back; they share {found[0]}: take one of the two out"
                )
