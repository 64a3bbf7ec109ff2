"""Which pages a task shows, under whatever id, and how many instances of them there are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from types import CodeType
from typing import Any

from pydantic import BaseModel

from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.task import Task

LABELS = frozenset(
    {
        *("id", "group", "difficulty", "horizon", "caveats", "site", "other_sites", "reuse_page"),
        *("oracle", "evaluate", "judge", "verdict", "at_answer", "evaluation_s"),
    }
)
"""What a class may say of a task, or judge it by, without making its pages other pages."""


WHICH = frozenset({"__class__", "__dict__", "__name__", "getattr", "type", "vars"})
"""Names by which code may ask what it is part of."""


def pages_of(task_id: str) -> str:
    """What two tasks have in common if their pages are the same.

    It is the id of the task whose pages they are, be it named by ``same_pages_as`` or known by
    another id; of a task that is read from a file, where it begins, what it asks for and what it
    chooses from; of others the base that gives them their pages. Raises UserError if
    ``same_pages_as`` names no task.
    """
    task = registry.entry(task_id).task
    if task.same_pages_as:
        registry.entry(task.same_pages_as)  # a name that is none would part what is one
        return task.same_pages_as
    known = _known_base(task)
    return pages_of(known) if known else _read_from_a_file(task) or _one_base(task) or task_id


def instances_of(task_id: str) -> int | None:
    """How many instances all seeds together give; None if nobody counted them."""
    task = registry.entry(task_id).task
    if not _read_from_a_file(task):
        return None
    # A row of another's task set is one instance, whatever the seed.
    return int(getattr(task, "instances", 1))


def few_instances(task_ids: Iterable[str], seeds: range) -> dict[str, int]:
    """Tasks that give fewer instances than there are ``seeds`` to train on, and how many.

    Held-out seeds of such a task may open nothing that was not trained on.
    """
    counts = ((task_id, instances_of(task_id)) for task_id in task_ids)
    return {task_id: count for task_id, count in counts if count is not None and count < len(seeds)}


def _known_base(task: type[Task]) -> str:
    """The id of the registered task that this is but another name of; empty if it is of none."""
    for base in task.__mro__[1:]:
        known = vars(base).get("id")
        if not isinstance(known, str) or not _is_registered(known, base):
            continue
        added = set(task.__mro__) - set(base.__mro__)
        own = {name for part in added for name in vars(part) if not name.startswith("_")}
        if own <= LABELS:
            return known
    return ""


def _one_base(task: type[Task]) -> str:
    """A digest of the user's own base that alone makes a task's pages; empty if none does.

    None does where the base may ask which task it is: by its id, say.
    """
    found: type | None = None
    for base in task.__mro__[1:]:
        if base.__module__.startswith("webdojo.") or not issubclass(base, Task):
            continue
        added = set(task.__mro__) - set(base.__mro__)
        own = {name for part in added for name in vars(part) if not name.startswith("__")}
        if own - {"_abc_impl"} <= LABELS:
            found = base
    if found is None or _asks_which(found):
        return ""
    return f"pages {sha256(f'{found.__qualname__} {id(found)}'.encode()).hexdigest()}"


def _asks_which(base: type) -> bool:
    """Whether a class reads of itself what its subclasses say of themselves."""
    parts = (part for part in base.__mro__ if not part.__module__.startswith("webdojo."))
    left = [
        code
        for part in parts
        for value in vars(part).values()
        for function in (getattr(value, "__func__", value), getattr(value, "fget", None))
        if (code := getattr(function, "__code__", None))
    ]
    while left:
        code = left.pop()
        if {*code.co_names} & (LABELS | WHICH):
            return True
        left += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
    return False


def _is_registered(task_id: str, task: type) -> bool:
    try:
        return registry.entry(task_id).task is task
    except UserError:
        return False


def _read_from_a_file(task: Any) -> str:
    """A digest of what a task that was read from a file shows; empty if it is of a program."""
    read = getattr(task, "declaration", getattr(task, "row", None))
    if not isinstance(read, BaseModel):
        return ""
    told = read.model_dump(mode="json")
    if hasattr(task, "declaration"):
        shown = [told[name] for name in ("url", "site", "goal", "choices")]
    else:
        # WebGym's names for the address and the goal, and those of WebArena.
        shown = [told.get(n) for n in ("website", "task_name", "sites", "start_urls", "intent")]
    text = json.dumps(shown, sort_keys=True, default=str)
    return f"pages {sha256(text.encode()).hexdigest()}"
