"""Task files that are read and never executed: our own kind, and other people's task sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from webdojo.tasks.declared_files import declared_tasks, json_lines
from webdojo.tasks.errors import UserError
from webdojo.tasks.evaluators.evaluator import MOST_DEPTH, too_deep
from webdojo.tasks.imports.webarena import MARK as WEBARENA_MARK
from webdojo.tasks.imports.webarena import webarena_tasks
from webdojo.tasks.imports.webgym import MARK as WEBGYM_MARK
from webdojo.tasks.imports.webgym import webgym_tasks
from webdojo.tasks.task import Task


def read_tasks(file: Path, source: bytes) -> list[type[Task]]:
    """The tasks of a TOML, JSON or JSON-lines file; the fields tell which kind it is.

    Raises UserError naming the file, the line or task, the field, and the fix.
    """
    if file.suffix == ".toml":
        return declared_tasks(file, source)
    rows = list(json_lines(file, source)) if file.suffix == ".jsonl" else _listed(file, source)
    kinds = {_kind(row) for _, row in rows}
    if len(kinds) > 1:
        raise UserError(
            f"{file} holds tasks of several kinds ({', '.join(sorted(kinds))}); part it"
        )
    unit = "line" if file.suffix == ".jsonl" else "task"
    for number, row in rows if kinds != {"declared"} else ():
        if too_deep(row):
            raise UserError(
                f"{file}, {unit} {number}: lists and objects lie more than {MOST_DEPTH} deep in"
                " one another; no task needs that"
            )
    if kinds == {"webgym"}:
        return webgym_tasks(file, rows)
    if kinds == {"webarena"}:
        return webarena_tasks(file, rows)
    if file.suffix == ".json":
        raise UserError(
            f"{file} is no task set that is known here; tasks of your own stand in a .toml or a"
            " .jsonl file"
        )
    return declared_tasks(file, source)


def _kind(row: dict[str, Any]) -> str:
    """Whose fields it has; one that is missing does not make it another's."""
    if row.keys() & WEBGYM_MARK:
        return "webgym"
    return "webarena" if row.keys() & WEBARENA_MARK else "declared"


def _listed(file: Path, source: bytes) -> list[tuple[int, dict[str, Any]]]:
    try:
        data = json.loads(source)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is not valid JSON: {error}") from None
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise UserError(f"{file}: a task set is a list of objects: [{{…}}, …]")
    return list(enumerate(data, 1))
