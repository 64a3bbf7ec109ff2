"""The proof that held-out splits share nothing with training splits that they hold back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.splits.pages import instances_of, owner_of, pages_of
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
    unproven: tuple[str, ...] = ()
    """What they share of what is new in the held-out split, where it says so to others alone."""


def prove(splits: Iterable[Split]) -> list[Proof]:
    """Compare every training split with every held-out one.

    No two share an instance, which is a (task, seed), and what a page shows under a seed even where
    two tasks show it; what else they must not share is what the held-out split says is
    new to that training split. A training split that none of the held-out ones names in ``against``
    is held to what is new in every one of them; one that another names, and this one does not,
    may share that with it, and then it is told as unproven. Raises UserError if there is no pair to
    compare, if two splits have one name, if a task is not registered, or if a held-out split names
    a training split that is not given.
    """
    given = list(splits)
    names = [split.name for split in given]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(
            f"two splits are named {twice!r}, and `against` goes by name; rename one of them"
        )
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
    named = {name for split in held_out for name in split.against}
    return [
        _proof(train, split, meant=train.name in split.against or train.name not in named)
        for train in trained
        for split in held_out
    ]


def check_tasks(split: Split, place: str) -> None:
    """Raise UserError beginning with ``place`` if the split names a task that is not registered."""
    for task_id in split.task_ids:
        try:
            if "." not in task_id and task_id in registry.suites():
                like = f"such as {registry.task_ids(task_id)[0]!r}"
                raise UserError(f"{task_id!r} is a suite; a manifest names task ids, {like}")
            registry.entry(task_id)
        except UserError as error:
            raise UserError(f"{place}: tasks: {error}") from None


def shared(train: Split, held_out: Split) -> tuple[str, ...]:
    """What a training split shares of what a held-out one holds back, for people."""
    return _leaks(train, held_out, _HELD_BACK[held_out.new])


def shared_pages(train: Split, held_out: Split) -> tuple[str, ...]:
    """Tasks that open the same instances of a page on both sides, for people.

    Of a task with fewer instances than there are seeds to train on, none is new to who trained.
    """
    shown: dict[str, list[tuple[str, range]]] = {}
    for task_id in train.task_ids:
        shown.setdefault(pages_of(task_id), []).append((task_id, _page_seeds(task_id, train)))
    found = []
    for task_id in held_out.task_ids:
        seeds = _page_seeds(task_id, held_out)
        count = instances_of(task_id)
        for other, trained in shown.get(pages_of(task_id), ()):
            first, last = max(seeds.start, trained.start), min(seeds.stop, trained.stop) - 1
            # The same task on its own seeds is told of by ``leaks``.
            plain = other == task_id and registry.entry(task_id).task.page_seeds is None
            both = task_id if other == task_id else f"{other} and {task_id}"
            if count is not None and count < len(trained):
                found.append(f"instances of {both}: all seeds together give {count}")
            elif first <= last and not plain:
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


def _proof(train: Split, held_out: Split, *, meant: bool) -> Proof:
    kinds = _HELD_BACK[held_out.new] if meant else ()
    statement = "no " + ", no ".join(["instance", *(words for words, _ in kinds)])
    if held_out.known_overlap and train.name in held_out.against:
        statement += f"; known all the same: {held_out.known_overlap}"
    found = _leaks(train, held_out, kinds)
    rest = () if meant else _kinds_shared(train, held_out, _HELD_BACK[held_out.new])
    return Proof(train.name, held_out.name, statement, found, tuple(rest))


def _leaks(train: Split, held_out: Split, kinds: Iterable[_Kinds]) -> tuple[str, ...]:
    own = (*leaks(train, held_out), *shared_pages(train, held_out))
    return (*own, *_kinds_shared(train, held_out, kinds))


def _kinds_shared(train: Split, held_out: Split, kinds: Iterable[_Kinds]) -> Iterator[str]:
    for words, kinds_of in kinds:
        seen: dict[str, str] = {}
        for task_id in train.task_ids:
            for kind in kinds_of(task_id):
                seen.setdefault(kind, task_id)
        both = {kind: i for i in held_out.task_ids for kind in kinds_of(i) if kind in seen}
        for kind, task_id in both.items():
            # Pages may be known by a digest; people know them by the task that was trained on.
            yield f"{words} {(seen[kind] if kinds_of is _task else kind)!r} ({task_id})"


def _page_seeds(task_id: str, split: Split) -> range:
    own = registry.entry(task_id).task.page_seeds
    return split.seeds if own is None else own


def _task(task_id: str) -> set[str]:
    return {pages_of(task_id)}


def _groups(task_id: str) -> set[str]:
    """Its group, and that of the task whose pages it shows; none if it stands alone."""
    return {registry.entry(i).task.group for i in (task_id, owner_of(task_id))} - {""}


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


_Kinds = tuple[str, Callable[[str], set[str]]]
_TASK: _Kinds = ("task", _task)
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
