"""Whether what a policy is measured on is what it was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webdojo.agents.checkpoint import SHIPPED
from webdojo.tasks import registry
from webdojo.tasks.splits import TRAIN_SEEDS, Split, few_instances, trained_among
from webdojo.training.config_files import load_config

NAMED = 5
"""Tasks that a line names."""
FEW = "whose few instances may all have been trained on"


@dataclass(frozen=True, slots=True)
class _Learnt:
    """What a policy was trained on, by its run and those that it began from."""

    tasks: tuple[str, ...] = ()
    drawn: tuple[range, ...] = ()
    """Seeds that one of the runs drew on, each in one range."""
    begun_from: str = ""
    """The folder that the first of the runs began from, if it lies in no run's: nothing is known of
    what was learnt before."""

    @property
    def seeds(self) -> range:
        """As many as the runs together drew on, from the first on."""
        first = self.drawn[0].start if self.drawn else 0
        return range(first, first + sum(map(len, self.drawn)))


def trained_on(agent: str, played: Split) -> dict[str, Any] | None:
    """Which of the tasks played a policy was trained on; None if that is not known.

    ``tasks`` are those whose pages it was trained on, ``groups`` others of a similarity group that
    it was trained on; ``seeds`` says whether those of ``tasks`` are held out or for training;
    ``few_instances`` are those of ``tasks`` of which training may have seen every instance;
    ``begun_from`` is the folder of a policy that the first of its runs began from, if nothing is
    known of what that was trained on.
    """
    learnt = _learnt(agent)
    if learnt is None:
        return None
    tasks, kin = trained_among(learnt.tasks, played.task_ids)
    few = few_instances(tasks, learnt.seeds)
    apart = played.seeds.start >= TRAIN_SEEDS.stop
    # What a task opens whatever the seed may have been opened in training too.
    repeats = any(registry.entry(task_id).task.page_seeds is not None for task_id in tasks)
    return {
        "tasks": list(tasks),
        "groups": list(kin),
        "seeds": "held out" if apart and not repeats and not few else "training",
        "few_instances": list(few),
        "begun_from": learnt.begun_from,
    }


def in_words(found: Mapping[str, Any] | None, played: int) -> str:
    """One line on what ``trained_on`` gives; ``played`` tasks were played."""
    if found is None:
        return "trained on: not known, for the policy lies in no run's folder"
    tasks, kin, few = found["tasks"], found["groups"], found["few_instances"]
    told = f"trained on: {len(tasks) or 'none'} of the {played} tasks played{_named(tasks)}"
    if few and few == tasks:
        told += f", {FEW}"
    elif tasks:
        apart = found["seeds"] == "held out"
        told += ", with other seeds" if apart else ", with these seeds perhaps"
        told += f"; among them {len(few)} {FEW}{_named(few)}" if few else ""
    if kin:
        told += f"; {len(kin)} more of a similarity group trained on{_named(kin)}"
    if found["begun_from"]:
        told += f"; what {found['begun_from']} was trained on before is not known"
    return told


def _named(ids: Sequence[str]) -> str:
    rest = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return f" ({', '.join(ids[:NAMED])}{rest})" if ids else ""


def run_of(agent: str) -> Path | None:
    """The folder of the run that a checkpoint lies in."""
    for folder in Path(agent).resolve().parents if Path(agent).is_dir() else ():
        if (folder / "config.toml").is_file() and (folder / "state.json").is_file():
            return folder
    return None


def learnt_before(agent: str) -> tuple[tuple[str, ...], range]:
    """Tasks that a policy was trained on, and as many seeds as its run and those before drew on.

    None of either if nothing is known: the policy lies in no run's folder.
    """
    learnt = _learnt(agent) or _Learnt()
    return learnt.tasks, learnt.seeds


def _learnt(agent: str) -> _Learnt | None:
    if agent in SHIPPED:
        return _Learnt()
    run = run_of(agent)
    if run is None:
        return None
    config = load_config(str(run / "config.toml"))
    before = config.policy.checkpoint
    # What a model hub gives has seen none of these tasks in a run of ours; a whole path is no name
    # there, whether or not the folder still is.
    is_folder = Path(before).is_absolute() or Path(before).is_dir()
    earlier = _learnt(before) if is_folder else _Learnt()
    if earlier is None:
        earlier = _Learnt(begun_from=before)
    own: tuple[str, ...] = ()
    if config.warm_start.episodes_per_task:
        own += config.tasks.demonstrated
    if config.reinforce.updates and Path(agent).name != "warm-start":
        own += config.tasks.reinforced
    tasks = tuple(dict.fromkeys((*earlier.tasks, *own)))
    drawn = _joined((*earlier.drawn, range(*config.tasks.seeds)))
    return _Learnt(tasks, drawn, earlier.begun_from)


def _joined(ranges: Iterable[range]) -> tuple[range, ...]:
    """The same seeds, each in one range."""
    found: list[range] = []
    for one in sorted(ranges, key=lambda each: each.start):
        if found and one.start <= found[-1].stop:
            found[-1] = range(found[-1].start, max(found[-1].stop, one.stop))
        else:
            found.append(one)
    return tuple(found)
