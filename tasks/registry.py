"""Which tasks there are: built in, from installed packages, and from a user's own files.

    load_tasks_file("my_tasks.py")
    task = get("my-shop.buy")
    everything = select(["miniwob", "my-shop.buy"])

A suite is loaded when one of its tasks is first asked for. Another process sees the same tasks
after ``load_files(files)``, where ``files`` is this process's ``loaded_files()``.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePath
from typing import TypeVar

from webdojo.tasks.errors import UserError
from webdojo.tasks.fields import takes, wrong_field
from webdojo.tasks.task import ID, ID_RULE, Task

TaskClass = TypeVar("TaskClass", bound=type[Task])

FILE_MODULE = "webdojo_tasks_"
"""How the names of modules begin that are made of users' files."""
ENTRY_POINT_GROUP = "webdojo.tasks"
BUILT_IN = {
    "miniwob": "webdojo.tasks.miniwob.suite",
    "browsergym-miniwob": "webdojo.tasks.miniwob.browsergym",
}
"""Suites that come with WebDojo, and the module whose ``TASKS`` holds each."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered task class and where it came from."""

    task: type[Task]
    source: str
    """For people: a file with its line, or a package."""


_entries: dict[str, Entry] = {}
_loaded_suites: set[str] = set()
listeners: list[Callable[[str], None]] = []
"""Called with the id of every task that is registered from now on."""
_packages_loaded = False


def register(task: TaskClass, source: str | None = None) -> TaskClass:
    """Register a task class; also usable as a decorator.

    Raises UserError if a field is missing or wrong, or if another class has the same id.
    """
    place = source or _place(task)
    problem = _problem(task)
    if problem:
        name = getattr(task, "__name__", "")
        raise UserError(f"{place.removesuffix(f', class {name}')}: {problem}")
    known = _entries.get(task.id)
    suite = task.id.split(".", 1)[0]
    if known is None and suite in BUILT_IN and not _is_built_in(task):
        raise UserError(
            f"{place}: id {task.id!r}: suite {suite!r} is WebDojo's own; choose another"
        )
    if known is not None and _is_source_of(known.task, task):
        return task  # the package's own file was given, which may have changed since
    if known is not None and known.task is not task and not _is_source_of(task, known.task):
        raise UserError(
            f"{place}: id {task.id!r} is taken by {known.source}; give one of them another id"
        )
    _entries[task.id] = Entry(task, place)
    for listener in listeners:
        listener(task.id)
    return task


def get(task_id: str) -> Task:
    """A new instance of a task; raises UserError naming the nearest id if there is none."""
    return entry(task_id).task()


def entry(task_id: str) -> Entry:
    """The class of a task and where it came from; raises UserError if there is none."""
    suite, dot, _ = task_id.partition(".")
    _load_suite(suite)
    found = _entries.get(task_id)
    if found is not None:
        return found
    if not dot and suite in suites():
        raise UserError(
            f"{task_id!r} is a suite, and one task is asked for: name it, such as"
            f" {task_ids(suite)[0]!r}"
        )
    if not dot or suite not in suites():
        _unknown_suite(task_id, suite)
    ids = task_ids(suite)
    near = get_close_matches(task_id, ids, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"the suite has {len(ids)} tasks"
    raise UserError(f"no task {task_id!r}: {hint} `webdojo tasks list --suite {suite}` shows all")


def suites() -> tuple[str, ...]:
    """Names of all suites, sorted."""
    _load_packages()
    return tuple(sorted({*BUILT_IN, *(task_id.split(".", 1)[0] for task_id in _entries)}))


def task_ids(suite: str | None = None) -> tuple[str, ...]:
    """Ids of a suite's tasks, or of all tasks, sorted; raises UserError for an unknown suite."""
    if suite is None:
        return tuple(task_id for name in suites() for task_id in task_ids(name))
    _load_suite(suite)
    found = tuple(sorted(i for i in _entries if i.split(".", 1)[0] == suite))
    if not found:
        _unknown_suite(suite, suite)
    return found


def select(names: Iterable[str]) -> tuple[str, ...]:
    """Ids named one by one or by suite, each once; raises UserError for an unknown name."""
    chosen: dict[str, None] = {}
    for name in names:
        ids = (entry(name).task.id,) if "." in name else task_ids(name)
        chosen.update(dict.fromkeys(ids))
    return tuple(chosen)


def check_ready(ids: Iterable[str]) -> None:
    """Raise UserError naming the first task that lacks something which every instance needs."""
    for task_id in ids:
        try:
            entry(task_id).task.ready()
        except UserError as error:
            raise UserError(f"{task_id}: {error}") from None


def check_new_id(task_id: str) -> None:
    """Raise UserError if no new task can have this id: malformed, taken, or of a suite of ours."""
    if not ID.fullmatch(task_id):
        raise UserError(f"{task_id!r} is no task id: write {ID_RULE}")
    suite = task_id.split(".", 1)[0]
    if suite in BUILT_IN:
        raise UserError(f"id {task_id!r}: suite {suite!r} is WebDojo's own; choose another")
    _load_packages()
    if task_id in _entries:
        raise UserError(f"id {task_id!r} is taken by {_entries[task_id].source}; choose another")


def is_from(task_id: str, file: str) -> bool:
    """Whether a task is registered, and by this file."""
    entry = _entries.get(task_id)
    return entry is not None and entry.source.split(", class ")[0] == file


def forget(ids: Iterable[str]) -> None:
    """Take tasks out of the registry; unknown ids are ignored."""
    for task_id in ids:
        _entries.pop(task_id, None)


def _load_suite(suite: str) -> None:
    if suite in _loaded_suites:
        return
    if suite not in BUILT_IN:
        _load_packages()
        return
    module = importlib.import_module(BUILT_IN[suite])
    tasks: Sequence[type[Task]] = module.TASKS
    for task in tasks:
        register(task, source=f"WebDojo's suite {suite}")
    _loaded_suites.add(suite)


def _load_packages() -> None:
    """Load what installed packages offer under the entry point group, once."""
    from importlib.metadata import entry_points  # takes longer than all else here

    global _packages_loaded  # noqa: PLW0603
    if _packages_loaded:
        return
    _packages_loaded = True
    for point in entry_points(group=ENTRY_POINT_GROUP):
        package = point.dist.name if point.dist else "?"
        source = f"package {package}, entry point {point.name} = {point.value}"
        try:
            offered = point.load()
            found = offered() if _is_function(offered) else offered
            tasks = classes_of(found.__name__) if inspect.ismodule(found) else _listed(found)
        except Exception as error:
            where = _line_of(error, point.module.split(".", 1)[0])
            raise UserError(
                f"{source} cannot be loaded: {where}{type(error).__name__}: {error};"
                f" mend or uninstall {package}"
            ) from error
        for task in tasks:
            if not (inspect.isclass(task) and issubclass(task, Task)):
                raise UserError(
                    f"{source} must give a list of task classes; it gives {found!r}:"
                    f" mend or uninstall {package}"
                )
            register(task, source=source)


def _listed(found: object) -> list[object]:
    """What a list holds; of anything else itself, which is no task class."""
    several = isinstance(found, Iterable) and not isinstance(found, str | type)
    return list(found) if several else [None]  # type: ignore[call-overload]


def _line_of(error: Exception, package: str) -> str:
    """The last line of a package on the way to an error: ``path, line 3: ``."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}: "
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if package in PurePath(frame.filename).with_suffix("").parts
    ]
    return f"{frames[-1].filename}, line {frames[-1].lineno}: " if frames else ""


def _is_source_of(own: type[Task], installed: type[Task]) -> bool:
    """Whether a class of a user's file is the same as an installed package's, in its source."""
    if own.__name__ != installed.__name__ or not own.__module__.startswith(FILE_MODULE):
        return False
    path = PurePath(getattr(sys.modules.get(own.__module__), "__file__", None) or "")
    parts = [part for part in path.with_suffix("").parts if part != "__init__"]
    wanted = installed.__module__.split(".")
    return parts[-len(wanted) :] == wanted


def classes_of(module_name: str) -> list[type[Task]]:
    """Task classes with an id that a loaded module, or the package it is, defines; in order."""
    return [
        task
        for task in _classes_of(module_name)
        if isinstance(getattr(task, "id", None), str | int)
    ]


def nameless(module_name: str) -> tuple[type[Task], ...]:
    """Complete task classes of a module that have no id and are no base of others in it."""
    mine = _classes_of(module_name)
    return tuple(
        task
        for task in mine
        if getattr(task, "id", None) is None
        and not task.__name__.startswith("_")
        and not task.__abstractmethods__
        and not any(issubclass(other, task) and other is not task for other in mine)
    )


def _classes_of(module_name: str) -> list[type[Task]]:
    """Task classes that a module names and that are written down in it or in a part of it."""
    return [
        value
        for value in dict.fromkeys(
            value for value in vars(sys.modules[module_name]).values() if inspect.isclass(value)
        )
        if issubclass(value, Task)
        and (value.__module__ == module_name or value.__module__.startswith(f"{module_name}."))
    ]


def _problem(task: type[Task]) -> str:
    """What is wrong with a task class, with its field and the way out; empty if nothing is."""
    if not (inspect.isclass(task) and issubclass(task, Task)):
        return f"{task!r} is not a subclass of webdojo.tasks.Task"
    task_id = getattr(task, "id", None)
    name = f"class {task.__name__}"
    if not isinstance(task_id, str) or not ID.fullmatch(task_id):
        return f"{name}: id must be {ID_RULE}; it is {task_id!r}"
    missing = sorted(task.__abstractmethods__)
    if missing:
        return f"{name} ({task_id}): {' and '.join(missing)} missing; add {_SIGNATURES[missing[0]]}"
    for method in ("setup", "evaluate"):
        own = getattr(task, method)
        if not inspect.iscoroutinefunction(own) or not takes(own, 3):
            told = f"; it is {method}{inspect.signature(own)}" if callable(own) else ""
            return f"{name} ({task_id}): {method} must be {_SIGNATURES[method]}{told}"
    if hasattr(task, "serves") and not hasattr(task, "start"):
        return (
            f"{name} ({task_id}): serves is for subclasses of EvaluatedTask, whose `start` finds"
            " the site served; here setup begins it: `self.shop = await SHOP.begin(page, seed)`"
        )
    return wrong_field(task, f"{name} ({task_id})")


_SIGNATURES = {
    "setup": "`async def setup(self, page, seed)`, which returns the goal",
    "evaluate": "`async def evaluate(self, page, answer)`, which returns an Outcome",
}


def _unknown_suite(name: str, suite: str) -> None:
    known = suites()
    near = get_close_matches(suite, known, n=1, cutoff=0.5)
    near = [task_id for task_id in task_ids() if task_id.endswith(f".{name}")] or near
    hint = f"did you mean {near[-1]!r}?" if near else f"known suites: {', '.join(known)}."
    what = (
        f"no task {name!r}: there is no suite {suite!r}" if "." in name else f"no suite {suite!r}"
    )
    raise UserError(f"{what}; {hint} Tasks of your own are loaded with `--tasks my_tasks.py`")


def _place(task: object) -> str:
    try:
        return f"{inspect.getsourcefile(task)}"  # type: ignore[arg-type]
    except (TypeError, OSError):
        return getattr(task, "__module__", "?")


def _is_built_in(task: type[Task]) -> bool:
    return task.__module__.startswith("webdojo.tasks.")


def _is_function(value: object) -> bool:
    return isinstance(value, Callable) and not inspect.isclass(value)  # type: ignore[arg-type]
