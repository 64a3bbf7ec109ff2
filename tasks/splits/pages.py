"""Which pages a task shows, under whatever id, and how many instances of them there are."""

from __future__ import annotations

import json
import re
from abc import ABC
from collections.abc import Iterable
from dis import get_instructions
from hashlib import sha256
from inspect import getattr_static, unwrap
from itertools import pairwise
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


WHICH = frozenset({"__class__", "__dict__", "getattr", "type", "vars"})
"""Names by which code may ask what it is part of."""
READS = ("LOAD_ATTR", "LOAD_METHOD")
"""Python's instructions, from 3.11 on, by which something is read of what was loaded last."""
MAKERS = frozenset({"setup", "start"})
"""What makes a task's pages."""


def pages_of(task_id: str) -> str:
    """What two tasks have in common if their pages are the same.

    It is the id of the task whose pages they are (see ``owner_of``); of a task that is read from a
    file, where it begins, what it asks for and what it chooses from; of others the functions that
    make their pages, and what these may use. Raises UserError if ``same_pages_as`` names no task.
    """
    owner = owner_of(task_id)
    task = registry.entry(owner).task
    return _read_from_a_file(task) or _made_by(task) or owner


def owner_of(task_id: str) -> str:
    """The task whose pages a task shows, by ``same_pages_as`` or as another name of it; or itself.

    Raises UserError if ``same_pages_as`` names no task.
    """
    task = registry.entry(task_id).task
    if task.same_pages_as:
        registry.entry(task.same_pages_as)  # a name that is none would part what is one
        return task.same_pages_as
    known = _known_base(task)
    return owner_of(known) if known else task_id


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
        # What a base's own __init_subclass__ has set anew is mostly what it was.
        ours, theirs = (
            [_told(getattr_static(c, n, own)) for n in own - LABELS] for c in (task, base)
        )
        if ours == theirs:
            return known
    return ""


def _made_by(task: type[Task]) -> str:
    """A digest of what a user's own classes make a task's pages of; empty if that does not tell.

    It does not where they may ask which task it is: by its id, say.
    """
    own = {name: value for name, value in _own_of(task).items() if name not in LABELS}
    if not MAKERS & own.keys() or any(map(_asks_which, own.values())):
        return ""
    made = sorted((name, _told(value)) for name, value in own.items())
    return f"pages {sha256(repr(made).encode()).hexdigest()}"


def _told(value: object) -> str:
    """What tells a value from others: itself if it is plain, else which it is."""
    plain = (str, int, float, bool, tuple, frozenset, range, type(None))
    return repr(value) if isinstance(value, plain) else f"object {id(value)}"


def _own_of(task: type) -> dict[str, Any]:
    """What a class has of its own or from bases that are not WebDojo's."""
    found: dict[str, Any] = {}
    for part in reversed(task.__mro__):
        if not part.__module__.startswith("webdojo.") and part not in (object, ABC):
            found |= vars(part)
    # Of the names that Python gives itself those of functions count: __init__, say.
    return {
        name: value
        for name, value in found.items()
        if name != "_abc_impl" and (not name.startswith("__") or _code_of(value) is not None)
    }


def _code_of(value: Any) -> CodeType | None:
    function = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
    return getattr(unwrap(function), "__code__", None) if callable(function) else None


def _asks_which(value: Any) -> bool:
    """Whether a function reads of its first argument, ``self``, what tasks say of themselves."""
    whole = _code_of(value)
    if whole is None:
        return False
    left = [whole]
    while left:
        code = left.pop()
        for before, here in pairwise(get_instructions(code)):
            if here.opname == "LOAD_GLOBAL" and here.argval in WHICH:
                return True
            loaded = before.argval if isinstance(before.argval, tuple) else (before.argval,)
            # From 3.13 on one instruction may store or load another variable before.
            variable = re.search("LOAD_(FAST|DEREF)", before.opname)
            of_self = variable and loaded[-1] in whole.co_varnames[:1]
            if of_self and here.opname in READS and here.argval in LABELS | WHICH:
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
