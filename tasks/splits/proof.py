"""The proof that held-out splits share nothing with training splits that they hold back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.splits.split import New, Split, leaks


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found about one training and one held-out split."""

    train: str
    held_out: str
    statement: str
    """What they do not share if ``leaks`` is empty."""
    leaks: tuple[str, ...]
    """What they share, for people."""


def prove(splits: Iterable[Split]) -> list[Proof]:
    """Compare every training split with every held-out one.

    No two share a (task, seed); what else they must not share is what the held-out split says is
    new to that training split. Raises UserError if there is no pair to compare, if a task is not
    registered, or if a held-out split names a training split that is not given.
    """
    given = list(splits)
    for split in given:
        check_tasks(split, f"split {split.name!r}")
    trained = [split for split in given if split.trainable]
    held_out = [split for split in given if not split.trainable]
    if not trained or not held_out:
        missing = "training" if not trained else "held-out"
        raise UserError(f"no {missing} split among {', '.join(s.name for s in given)}: add one")
    for split in held_out:
        unknown = set(split.against) - {train.name for train in trained}
        if unknown:
            raise UserError(
                f"split {split.name!r}: against names {min(unknown)!r}, which is no training split"
                " among those given; give it as well, or correct the name"
            )
    return [_proof(train, split) for train in trained for split in held_out]


def check_tasks(split: Split, place: str) -> None:
    """Raise UserError beginning with ``place`` if the split names a task that is not registered."""
    for task_id in split.task_ids:
        try:
            registry.entry(task_id)
        except UserError as error:
            raise UserError(f"{place}: tasks: {error}") from None


def _proof(train: Split, held_out: Split) -> Proof:
    found = leaks(train, held_out)
    said = ["(task, seed)"]
    if train.name in held_out.against:
        for words, kinds_of in _HELD_BACK[held_out.new]:
            said.append(words)
            seen = {kind for task_id in train.task_ids for kind in kinds_of(task_id)}
            shared = {
                kind: task_id for task_id in held_out.task_ids for kind in kinds_of(task_id) & seen
            }
            found.extend(f"{words} {kind!r} ({task_id})" for kind, task_id in shared.items())
    return Proof(train.name, held_out.name, "no " + ", no ".join(said), tuple(found))


def _groups(task_id: str) -> set[str]:
    return {registry.entry(task_id).task.group or task_id}


def _sites(task_id: str) -> set[str]:
    """The site that a task names, or else the hosts that it may reach, or else none but itself."""
    task = registry.get(task_id)
    if task.site:
        return {task.site}
    return {_host(origin) for origin in task.allowed_origins} or {task_id}


def _host(origin: str) -> str:
    """``www.`` is no other site, and a folder of files is one."""
    return urlsplit(origin).netloc.removeprefix("www.") or origin


def _difficulty(task_id: str) -> set[str]:
    return {registry.entry(task_id).task.difficulty}


_Kinds = tuple[str, Callable[[str], set[str]]]
_TASK: _Kinds = ("task", lambda task_id: {task_id})
_GROUP: _Kinds = ("similarity group", _groups)
_SITE: _Kinds = ("site", _sites)
_HELD_BACK: dict[New, tuple[_Kinds, ...]] = {
    "seeds": (),
    "tasks": (_TASK,),
    "groups": (_TASK, _GROUP),
    "sites": (_TASK, _GROUP, _SITE),
    "difficulty": (_TASK, _GROUP, ("difficulty", _difficulty)),
}
"""What a held-out split of each kind must not share with its training splits."""
