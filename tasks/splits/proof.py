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

    No two share an instance, which is a (task, seed), and what a page shows under a seed even where
    two tasks show it; what else they must not share is what the held-out split says is
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


def shared(train: Split, held_out: Split) -> tuple[str, ...]:
    """What a training split shares of what a held-out one holds back, for people."""
    return _leaks(train, held_out, _HELD_BACK[held_out.new])


def shared_pages(train: Split, held_out: Split) -> tuple[str, ...]:
    """Tasks that open the same instances of a page on both sides, for people."""
    shown: dict[str, list[tuple[str, range]]] = {}
    for task_id in train.task_ids:
        shown.setdefault(_pages(task_id), []).append((task_id, _page_seeds(task_id, train)))
    found = []
    for task_id in held_out.task_ids:
        seeds = _page_seeds(task_id, held_out)
        for other, trained in shown.get(_pages(task_id), ()):
            first, last = max(seeds.start, trained.start), min(seeds.stop, trained.stop) - 1
            # The same task on its own seeds is told of by ``leaks``.
            plain = other == task_id and registry.entry(task_id).task.page_seeds is None
            if first <= last and not plain:
                both = task_id if other == task_id else f"{other} and {task_id}"
                found.append(f"instances of {both}: their pages get the seeds {first} … {last}")
    return tuple(found)


def trained_among(
    trained: Iterable[str], played: Iterable[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of the tasks played, those whose pages were trained on, and others of a trained group.

    Tasks that are not registered here any more count under their ids alone.
    """
    known = tuple(trained)
    pages = {page for task_id in known for page in _if_known(_TASK, task_id)}
    groups = {group for task_id in known for group in _if_known(_GROUP, task_id)}
    tasks, kin = [], []
    for task_id in played:
        if _if_known(_TASK, task_id) & pages:
            tasks.append(task_id)
        elif _if_known(_GROUP, task_id) & groups:
            kin.append(task_id)
    return tuple(tasks), tuple(kin)


def _if_known(kinds: _Kinds, task_id: str) -> set[str]:
    try:
        return kinds[1](task_id)
    except UserError:
        return {task_id}


def _proof(train: Split, held_out: Split) -> Proof:
    kinds = _HELD_BACK[held_out.new] if train.name in held_out.against else ()
    said = ["instance", *(words for words, _ in kinds)]
    found = _leaks(train, held_out, kinds)
    return Proof(train.name, held_out.name, "no " + ", no ".join(said), found)


def _leaks(train: Split, held_out: Split, kinds: Iterable[_Kinds]) -> tuple[str, ...]:
    found = [*leaks(train, held_out), *shared_pages(train, held_out)]
    for words, kinds_of in kinds:
        seen = {kind for task_id in train.task_ids for kind in kinds_of(task_id)}
        both = {kind: task_id for task_id in held_out.task_ids for kind in kinds_of(task_id) & seen}
        found.extend(f"{words} {kind!r} ({task_id})" for kind, task_id in both.items())
    return tuple(found)


def _pages(task_id: str) -> str:
    """The task whose pages these are: one that is named, or that this is but another name of."""
    task = registry.entry(task_id).task
    if task.same_pages_as:
        registry.entry(task.same_pages_as)  # a name that is none would part what is one
        return task.same_pages_as
    base = task.__mro__[1]
    own = {name for name in vars(task) if not name.startswith("_")} - LABELS
    known = getattr(base, "id", "")
    if known and not own and known in registry.task_ids(known.split(".", 1)[0]):
        return _pages(known)
    return task_id


def _page_seeds(task_id: str, split: Split) -> range:
    own = registry.entry(task_id).task.page_seeds
    return split.seeds if own is None else own


def _groups(task_id: str) -> set[str]:
    return {registry.entry(task_id).task.group or _pages(task_id)}


def _sites(task_id: str) -> set[str]:
    """The sites that a task names, or else the hosts that it may reach, or else none but itself."""
    task = registry.get(task_id)
    named = {task.site, *task.other_sites} - {""}
    reached = (urlsplit(origin).netloc or origin for origin in task.allowed_origins)
    return set(map(_one_name, named or reached)) or {task_id}


def _one_name(site: str) -> str:
    """``www.``, capitals and a last dot make no other site; a folder of files is one."""
    return site if "/" in site else site.lower().removeprefix("www.").rstrip(".")


def _difficulty(task_id: str) -> set[str]:
    return {registry.entry(task_id).task.difficulty}


LABELS = {"id", "group", "difficulty", "horizon", "caveats"}
"""What a class may say of a task without making its pages other pages."""
_Kinds = tuple[str, Callable[[str], set[str]]]
_TASK: _Kinds = ("task", lambda task_id: {_pages(task_id)})
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
