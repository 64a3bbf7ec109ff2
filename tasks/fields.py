"""What the fields of a task class must be, and what is wrong where they are not."""

from __future__ import annotations

import dis
import inspect
import math
import traceback
from collections.abc import Callable, Mapping
from itertools import pairwise
from types import CodeType
from typing import Any, get_args
from urllib.parse import urlsplit

from webdojo.tasks.task import MOST_ACTIONS, MOST_PX, Check, Difficulty, Task

NOTHING_EXCUSED = (
    "caveats: nothing excuses a reward for doing nothing; take 'noop' out, and let the evaluator"
    " ask for what only the solution brings about"
)


def wrong_field(task: type[Task], name: str) -> str:
    """The first field that is wrong, and the fix; empty if none is. ``name`` is for people."""
    checks = (_numbers, _pages, _words, _origins, _caveats, _taken, _methods)
    problem = next(filter(None, (check(task) for check in checks)), "")
    return f"{name}: {problem}" if problem else ""


def _numbers(task: type[Task]) -> str:
    if task.difficulty not in get_args(Difficulty):
        return f"difficulty must be easy, medium or hard; it is {task.difficulty!r}"
    if type(task.horizon) is not int or not 1 <= task.horizon <= MOST_ACTIONS:
        return (
            f"horizon must be a number of actions from 1 to {MOST_ACTIONS}; it is {task.horizon!r}"
        )
    size = task.viewport
    if not (
        isinstance(size, tuple | list)
        and len(size) == 2
        and all(type(n) is int and 0 < n <= MOST_PX for n in size)
    ):
        return f"viewport must be (width, height) in pixels, each at most {MOST_PX}; it is {size!r}"
    seconds = task.evaluation_s
    if not _is_property(task, "evaluation_s") and not (
        type(seconds) in (int, float) and math.isfinite(seconds) and seconds >= 0
    ):
        return f"evaluation_s must be a number of seconds, 0 or more; it is {seconds!r}"
    return ""


def _pages(task: type[Task]) -> str:
    if task.page_seeds is not None and not isinstance(task.page_seeds, range):
        return f"page_seeds must be a range or None; it is {task.page_seeds!r}"
    for field in ("reuse_page", "settles"):
        if not isinstance(getattr(task, field), bool):
            return f"{field} must be True or False; it is {getattr(task, field)!r}"
    return ""


def _words(task: type[Task]) -> str:
    for field in ("group", "site", "same_pages_as", "verdict"):
        if not _is_property(task, field) and not isinstance(getattr(task, field), str):
            return f"{field} must be a text; it is {getattr(task, field)!r}"
    sites = task.other_sites
    if not isinstance(sites, tuple | list) or not all(isinstance(site, str) for site in sites):
        return f"other_sites must be a list of names; it is {sites!r}"
    return ""


def _origins(task: type[Task]) -> str:
    origins: Any = task.allowed_origins
    if _is_property(task, "allowed_origins"):
        return ""  # known once there is an object
    if not isinstance(origins, tuple | list | frozenset | set):
        return (
            "allowed_origins must be a tuple, such as ('http://localhost:8000',);"
            f" it is {origins!r}"
        )
    wrong = next((origin for origin in origins if not _is_origin(origin)), None)
    if wrong is None:
        return ""
    return (
        f"allowed_origins: {wrong!r} is no origin; write http://host:port, file:///folder/ or *"
        " alone"
    )


def _is_origin(origin: object) -> bool:
    if not isinstance(origin, str):
        return False
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if origin == "*" or (parts.scheme == "file" and not parts.netloc and parts.path):
        return True
    return parts.scheme in ("http", "https") and bool(host) and "*" not in host


def _caveats(task: type[Task]) -> str:
    checks = get_args(Check)
    caveats: Any = task.caveats
    if isinstance(caveats, Mapping) and "noop" in caveats:
        return NOTHING_EXCUSED
    if not isinstance(caveats, Mapping) or not all(
        check in checks and isinstance(reason, str) and reason.strip()
        for check, reason in caveats.items()
    ):
        return (
            f"caveats must give a reason for each of some checks ({', '.join(checks)});"
            f" it is {caveats!r}"
        )
    return ""


def _taken(task: type[Task]) -> str:
    """A name of the contract's own that the task uses for something else."""
    if not isinstance(inspect.getattr_static(task, "ready"), classmethod | staticmethod):
        return (
            "ready is asked of the class before a run begins: `@classmethod def ready(cls)`;"
            " name a method of your own otherwise"
        )
    if inspect.iscoroutinefunction(task.ready) or not takes(task.ready, 0):
        return f"ready must be `@classmethod def ready(cls)`; it is ready{_signature(task.ready)}"
    if task.shown is not None:
        return "shown is the tab that the agent is shown, set for evaluate; name yours otherwise"
    for kind in task.__mro__:
        for function in vars(kind).values() if not _is_own(kind) else ():
            code = getattr(function, "__code__", None)
            line = _line_that_sets_shown(code) if code is not None else 0
            if line:
                return (
                    f"line {line} sets self.shown, which is the tab that the agent is shown, set"
                    " for evaluate; name yours otherwise"
                )
    return ""


def _line_that_sets_shown(code: CodeType) -> int:
    """The line of a method that sets ``shown`` of its first argument; 0 if none does."""
    first = code.co_varnames[0] if code.co_argcount else ""
    line = code.co_firstlineno
    for before, instruction in pairwise(dis.get_instructions(code)):
        line = before.starts_line if type(before.starts_line) is int else line
        loaded = before.argval[-1] if isinstance(before.argval, tuple) else before.argval
        if (instruction.opname, instruction.argval) == ("STORE_ATTR", "shown") and loaded == first:
            return line
    return 0


def _is_own(kind: type) -> bool:
    """Whether a class is WebDojo's, or Python's."""
    return kind.__module__.startswith("webdojo.") or kind.__module__ in ("abc", "builtins")


def _signature(function: Callable[..., object]) -> str:
    return str(inspect.signature(function))


def _methods(task: type[Task]) -> str:
    oracle: Any = task.oracle
    if not callable(oracle) or not takes(oracle, 2):
        told = inspect.signature(oracle) if callable(oracle) else f" = {oracle!r}"
        return (
            "oracle must be `def oracle(self, view)`, which yields the actions of a solution;"
            f" it is oracle{told}"
        )
    try:
        inspect.signature(task).bind()
    except TypeError as error:
        return f"it must be creatable without arguments: {error}"
    if task.__init__ is object.__init__:
        return ""
    try:
        task()
    except Exception as error:  # noqa: BLE001  # the task's own code, which may raise anything
        last = traceback.extract_tb(error.__traceback__)[-1]
        return (
            f"__init__ raises {type(error).__name__}: {error} (line {last.lineno}: {last.line});"
            " set things up in setup, where there is a page"
        )
    return ""


def takes(function: Callable[..., object], count: int) -> bool:
    """Whether a function can be called with so many arguments, ``self`` among them."""
    try:
        inspect.signature(function).bind(*[None] * count)
    except (TypeError, ValueError):
        return False
    return True


def _is_property(task: type[Task], field: str) -> bool:
    return isinstance(inspect.getattr_static(task, field), property)
