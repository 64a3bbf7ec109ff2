"""Files that describe tasks, TOML or JSON lines: read, and never executed.

    [sites.my-shop]                       # a folder of files, served for every episode anew
    folder = "shop"

    [[tasks]]
    id = "my-shop.buy"
    site = "my-shop"
    url = "/index.html"                   # or a whole address, where the page is served already
    goal = "Buy the {colour} mug."
    choices = { colour = ["red", "blue"] }
    evaluators = [{ type = "dom", selector = "#thanks", text = "One {colour} mug" }]
    oracle = ['click("css=#{colour}")', 'click("text=Buy")']

A JSON-lines file has the same fields, one task a line.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from webdojo.tasks.declared import EXAMPLE, Declaration, DeclaredTask, host_and_port
from webdojo.tasks.errors import UserError
from webdojo.tasks.evaluators.evaluator import MOST_DEPTH, first_problem, too_deep
from webdojo.tasks.evaluators.normalise import shown
from webdojo.tasks.sites.site import Site, shared_site
from webdojo.tasks.task import Task
from webdojo.tasks.toml_kinds import another_kind

Row = tuple[str, dict[str, Any]]
"""Where a task stands in its file, for people, and what stands there."""


def declared_tasks(file: Path, source: bytes) -> list[type[Task]]:
    """The tasks of a TOML or JSON-lines file; raises UserError naming line, task and field."""
    sites, rows = _read_toml(file, source) if file.suffix == ".toml" else _read_lines(file, source)
    return tasks_of_rows(file, rows, sites)


def tasks_of_rows(file: Path, rows: list[Row], sites: Mapping[str, Site]) -> list[type[Task]]:
    """Task classes for what stands in a file; raises UserError if there is none, or one twice."""
    if not rows:
        raise UserError(f'{file}: no task in it; begin one with [[tasks]], or {{"id": …}} a line')
    seen: dict[object, str] = {}
    for place, data in rows:
        task_id = str(data.get("id"))
        if task_id in seen:
            raise UserError(
                f"{file}, {place}: id {task_id!r} is taken by {seen[task_id]};"
                " give one of them another id"
            )
        seen[task_id] = place
    return [_task(file, place, data, sites) for place, data in rows]


def _task(file: Path, place: str, data: dict[str, Any], sites: Mapping[str, Site]) -> type[Task]:
    deep = next((name for name, value in data.items() if too_deep(value)), None)
    if deep is not None:
        raise UserError(
            f"{file}, {place}: {deep}: tables and lists lie more than {MOST_DEPTH} deep inside one"
            " another; write it flatter"
        )
    try:
        declared = Declaration.model_validate(data)
    except ValidationError as error:
        told = first_problem(error, Declaration.model_fields)
        if told.startswith("serves: there is no such field"):
            told = (
                'serves: that is for tasks in Python; write site = "NAME", a site of [sites.NAME]'
            )
        hint = EXAMPLE if told.startswith("evaluators is missing") else ""
        raise UserError(f"{file}, {place}: {told}{hint}") from None
    site = None
    if declared.site:
        try:
            site = sites.get(declared.site) or shared_site(declared.site, beside=sites)
        except UserError as error:
            raise UserError(f"{file}, {place}: site: {error}") from None
        try:
            for url in declared.urls():
                site.url(url)
        except UserError as error:
            raise UserError(f"{file}, {place}: url: {error}") from None
    fields = {
        # Not of this module, whose tasks are WebDojo's own.
        "__module__": f"webdojo_tasks_of.{file.stem}",
        "__doc__": declared.goal,
        "declaration": declared,
        "place": f"{file}, {place}",
        "serves": site,
        "site": "" if site else host_and_port(declared.url),
        "other_sites": declared.hosts,
        "instances": declared.instances,
        "id": declared.id,
        "difficulty": declared.difficulty,
        "horizon": declared.horizon,
        "viewport": declared.viewport,
        "group": declared.group,
        "allowed_origins": declared.allowed_origins,
        "caveats": declared.caveats,
        "at_answer": None if declared.ends is None else declared.ends == "answer",
    }
    if not declared.oracle:
        fields["oracle"] = Task.oracle
    name = "".join(part.title() for part in re.split(r"[.-]", declared.id))
    return type(name, (DeclaredTask,), fields)


def _read_toml(file: Path, source: bytes) -> tuple[dict[str, Site], list[Row]]:
    try:
        text = source.decode("utf-8-sig")
        data = tomllib.loads(text)
    except RecursionError:
        raise UserError(f"{file}: tables or lists lie too deep inside one another") from None
    except ValueError as error:
        raise UserError(f"{file} is not valid TOML: {error}") from None
    if other := another_kind(data, "tasks", file):
        raise UserError(other)
    unknown = min(data.keys() - {*SECTIONS}, default=None)
    if unknown is not None:
        near = get_close_matches(unknown, SECTIONS, n=1)
        hint = f"did you mean {SECTIONS[near[0]]}?" if near else ""
        raise UserError(
            f"{file}: there is no section {shown(unknown)};"
            f" {hint or 'write [sites.NAME], [defaults] and [[tasks]]'}"
        )
    tasks, defaults = data.get("tasks", []), data.get("defaults", {})
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise UserError(f"{file}: tasks must be a list: begin each with a line [[tasks]]")
    if not isinstance(defaults, dict):
        raise UserError(f"{file}: defaults must be a section: [defaults]")
    lines = [n for n, line in enumerate(text.splitlines(), 1) if _HEADING.match(line)]
    rows = []
    for number, task in enumerate(tasks):
        where = f"line {lines[number]}" if len(lines) == len(tasks) else f"task {number + 1}"
        rows.append((_place(where, task), {**defaults, **task}))
    return dict(_sites(file, data.get("sites", {}))), rows


SECTIONS = {"sites": "[sites.NAME]", "defaults": "[defaults]", "tasks": "[[tasks]]"}
_HEADING = re.compile(r"\s*\[\[\s*tasks\s*\]\]")


def _read_lines(file: Path, source: bytes) -> tuple[dict[str, Site], list[Row]]:
    sites: dict[str, Site] = {}
    rows: list[Row] = []
    for number, data in json_lines(file, source):
        if data.keys() == {"sites"}:
            new = dict(_sites(file, data["sites"]))
            if twice := min(sites.keys() & new.keys(), default=""):
                raise UserError(
                    f"{file}, line {number}: site {twice!r} is described above already; give one of"
                    " them another name"
                )
            sites |= new
        else:
            rows.append((_place(f"line {number}", data), data))
    return sites, rows


def json_lines(file: Path, source: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and objects of a JSON-lines file; raises UserError for what is none."""
    for number, line in enumerate(source.splitlines(), 1):
        if not line.strip():
            continue
        try:
            data = json.loads(line, object_pairs_hook=_once)
        except RecursionError:
            told = "tables or lists lie too deep inside one another"
            raise UserError(f"{file}, line {number}: {told}") from None
        except ValueError as error:
            raise UserError(f"{file}, line {number} is not valid JSON: {error}") from None
        if not isinstance(data, dict):
            raise UserError(f'{file}, line {number}: a task is an object: {{"id": …}}')
        yield number, data


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; raises ValueError where a key stands twice, of which one would win."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{shown(key)} stands twice in one object; keep one")
        found[key] = value
    return found


def _sites(file: Path, data: Any) -> Iterator[tuple[str, Site]]:
    if not isinstance(data, dict):
        raise UserError(f"{file}: sites must be a section for each site: [sites.NAME]")
    for name, fields in data.items():
        if (
            not isinstance(fields, dict)
            or fields.keys() != {"folder"}
            or not isinstance(fields["folder"], str)
        ):
            raise UserError(
                f'{file}, sites.{name}: a site in a file is a folder: folder = "…"; one that is a'
                " program is shared by a Python file (share_site) and named by tasks without this"
            )
        folder = file.parent / fields["folder"]
        try:
            if not folder.resolve().is_relative_to(file.parent.resolve()):
                raise UserError(
                    f"folder {shown(fields['folder'])} is not inside the folder of this file, and"
                    " pages would see all that lies there; move the pages beside this file, or"
                    " share the site by a Python file (share_site)"
                )
            if folder.resolve() == file.parent.resolve():
                raise UserError(
                    f"folder {shown(fields['folder'])} holds this file, and pages would see what"
                    " solves its tasks; move the pages into a folder beside it"
                )
            yield name, Site(name, folder=folder)
        except ValueError:
            raise UserError(f"{file}, sites.{name}: {shown(fields['folder'])} is no path") from None
        except UserError as error:
            raise UserError(f"{file}, sites.{name}: {error}") from None


def _place(where: str, data: Mapping[str, Any]) -> str:
    return f"{where} ({data['id']})" if isinstance(data.get("id"), str) else where
