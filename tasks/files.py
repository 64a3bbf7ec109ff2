"""Tasks in a user's own files: ``--tasks my_tasks.py``, ``--tasks my_tasks.toml``.

A Python file is executed, and its task classes are registered. TOML, JSON and JSON-lines files are
only read: they describe tasks (``declared``) or are task sets of others (``imports``).
"""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.sites.site import shared_sites
from webdojo.tasks.task import Task

DATA_FILES = frozenset({".toml", ".json", ".jsonl"})
"""Endings of files that are read and never executed."""
PACKAGE = "__init__.py"
PROGRAM = ".py"
"""Ending of files that are executed; no other is."""


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """A file as it was when its tasks were registered."""

    content: str
    """SHA-256 of the file."""
    task_ids: tuple[str, ...]


_loaded: dict[Path, LoadedFile] = {}


def load_tasks_file(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Register every task that a file defines or describes; their ids.

    A file that was loaded before and has not changed since is left alone; one that has changed
    replaces its own tasks. Raises UserError naming file, line or field, and the fix.
    """
    file = Path(path).expanduser().resolve()
    source = _read(file)
    if file.suffix not in {PROGRAM, *DATA_FILES}:
        raise UserError(
            f"{file}: files of tasks end in {PROGRAM} (a program),"
            f" {', '.join(sorted(DATA_FILES))}; name it so if it is one"
        )
    content = sha256(source).hexdigest()
    known = _loaded.get(file)
    if known is not None and known.content == content:
        return known.task_ids
    classes = _classes(file, source)
    if known is not None:
        registry.forget(known.task_ids)
    ids: list[str] = []
    # Whoever listens for new tasks finds their file among the loaded ones.
    _loaded[file] = LoadedFile(content, ())
    try:
        for task in classes:
            registry.register(task, source=_place(file, task))
            ids.append(task.id)
    except UserError:
        registry.forget(ids)
        _loaded.pop(file, None)
        raise
    _loaded[file] = LoadedFile(content, tuple(ids))
    return tuple(ids)


def loaded_files() -> tuple[str, ...]:
    """Files whose tasks are registered, in order, for ``load_files`` in another process."""
    return tuple(
        str(file)
        for file, loaded in _loaded.items()
        # One that is being loaded has no tasks yet; of another they may have been forgotten since.
        if not loaded.task_ids
        or any(registry.is_from(task_id, str(file)) for task_id in loaded.task_ids)
    )


def load_files(files: Iterable[str]) -> None:
    """Load each file, as ``load_tasks_file`` does."""
    for file in files:
        load_tasks_file(file)


def _classes(file: Path, source: bytes) -> list[type[Task]]:
    if file.suffix in DATA_FILES:
        from webdojo.tasks.imports import read_tasks

        return read_tasks(file, source)
    before = shared_sites()
    module = _execute(file, source)
    classes = registry.classes_of(module.__name__)
    for task in registry.nameless(module.__name__):
        raise UserError(
            f'{file}: class {task.__name__}: id is missing; add id = "suite.name", or begin its'
            " name with _ if it is a base for others"
        )
    if not classes and shared_sites() == before and not _names_conditions(module):
        raise UserError(
            f'{file}: no task in it; define a subclass of webdojo.tasks.Task with id = "suite.name"'
        )
    return classes


def _names_conditions(module: ModuleType) -> bool:
    from webdojo.tasks.evaluators.python import names_conditions

    return names_conditions(module.__name__)


def _place(file: Path, task: type[Task]) -> str:
    return str(file) if file.suffix in DATA_FILES else f"{file}, class {task.__name__}"


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"{file}: no such file; give the path of a Python, TOML or JSON-lines file with tasks"
        ) from None
    except IsADirectoryError:
        raise UserError(
            f"{file} is a folder; give the path of a Python, TOML or JSON-lines file with tasks"
        ) from None
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None


def _execute(file: Path, source: bytes) -> ModuleType:
    digest = sha256(str(file).encode()).hexdigest()[:8]
    name = f"{registry.FILE_MODULE}{digest}_{file.stem.replace('-', '_')}"
    is_package = file.name == PACKAGE
    spec = importlib.util.spec_from_loader(
        name, loader=None, origin=str(file), is_package=is_package
    )
    assert spec is not None
    if is_package:
        spec.submodule_search_locations = [str(file.parent)]
        for part in [known for known in sys.modules if known.startswith(f"{name}.")]:
            del sys.modules[part]  # a package that is read anew is read whole
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(file)
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))  # so that a file can import its neighbours
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        exec(compile(source, str(file), "exec"), vars(module))  # noqa: S102 the user's own code
    except SyntaxError as error:
        _restore(name, before)
        raise UserError(f"{error.filename}, line {error.lineno}: {error.msg}") from error
    except UserError:
        _restore(name, before)
        raise
    except (Exception, SystemExit) as error:
        _restore(name, before)
        lines = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)]
        line = f", line {lines[-1].lineno}" if lines else ""
        mend = "mend the file and try again"
        if isinstance(error, ImportError) and "no known parent package" in str(error):
            mend = (
                "it is no package: import its neighbours by their names alone, without the dot, or"
                f" give the {PACKAGE} of its package"
            )
        raise UserError(f"{file}{line}: {type(error).__name__}: {error}; {mend}") from error
    return module


def _restore(name: str, before: ModuleType | None) -> None:
    if before is None:
        del sys.modules[name]
    else:
        sys.modules[name] = before
