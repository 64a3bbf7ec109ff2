"""Tasks described in a file, TOML or JSON lines: read, checked, and never executed.

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

A field in braces is replaced by the seed's choice, in every text of the task. A JSON-lines file has
the same fields, one task a line.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from math import prod
from pathlib import Path
from random import Random
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from webdojo.tasks.declared_oracle import check_call, play_calls
from webdojo.tasks.declared_template import choose, fill_in, placeholders, told_by
from webdojo.tasks.errors import UserError
from webdojo.tasks.evaluators.combining import AllOf
from webdojo.tasks.evaluators.evaluated_task import EvaluatedTask
from webdojo.tasks.evaluators.evaluator import (
    MOST_DEPTH,
    Evaluator,
    check_no_site_needed,
    first_problem,
    inner,
    parse_evaluator,
    too_deep,
)
from webdojo.tasks.evaluators.normalise import shown, visible
from webdojo.tasks.fields import NOTHING_EXCUSED
from webdojo.tasks.network import check_reach
from webdojo.tasks.sites.site import Site, shared_site
from webdojo.tasks.task import ID, ID_RULE, MOST_ACTIONS, Check, Difficulty, Oracle, Task
from webdojo.tasks.view import OracleError, PageView

EXAMPLE = ', such as evaluators = [{ type = "exact", value = "42" }]'
Row = tuple[str, dict[str, Any]]
"""Where a task stands in its file, for people, and what stands there."""


class Declaration(BaseModel):
    """The fields of one task in a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    url: str
    """Where the task begins: an address, or a path on ``site``."""
    goal: str
    evaluators: tuple[dict[str, Any], ...]
    """All must pass; put those that cost most last."""
    oracle: tuple[str, ...] = Field((), max_length=MOST_ACTIONS)
    """Calls that solve the task; an element is named by ``css=…``, ``text=…`` or ``label=…``."""
    choices: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    """For each name what a seed may choose from; a choice may be a table: ``{mug.price}``."""
    site: str = ""
    """A site of this file, or one that a Python file shares."""
    difficulty: Difficulty = "easy"
    horizon: int = Field(10, gt=0, le=MOST_ACTIONS)
    viewport: tuple[int, int] = (1280, 720)
    group: str = ""
    allowed_origins: tuple[str, ...] = ()
    """Origins that the page may reach besides that of ``url``."""
    caveats: dict[Check, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    """Checks of the certification that this task cannot pass in full, each with the reason."""
    ends: Literal["success", "answer"] | None = None
    """Judge after every action and end with the first success, or only at the agent's answer; by
    default at the answer if an evaluator reads it."""

    @field_validator("id")
    @classmethod
    def _names(cls, task_id: str) -> str:
        if not ID.fullmatch(task_id):
            raise ValueError(f"it must be {ID_RULE}; it is {shown(task_id)}")
        return task_id

    @field_validator("goal")
    @classmethod
    def _asks_something(cls, goal: str) -> str:
        if not visible(goal):
            raise ValueError("it says nothing: say what is to be done")
        return goal

    @field_validator("evaluators", mode="before")
    @classmethod
    def _judges(cls, evaluators: object) -> object:
        if evaluators in ([], ()):
            raise ValueError(f"there is none, so nothing is judged; write one{EXAMPLE}")
        return evaluators

    @field_validator("caveats", mode="before")
    @classmethod
    def _for_something(cls, caveats: object) -> object:
        if isinstance(caveats, dict) and "noop" in caveats:
            raise ValueError(NOTHING_EXCUSED.removeprefix("caveats: "))
        return caveats

    @field_validator("choices")
    @classmethod
    def _some(cls, choices: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        for name, options in choices.items():
            if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
                raise ValueError(f"{name!r} is no name: use lower-case letters, digits and _")
            if not options:
                raise ValueError(f"{name!r} has nothing to choose from")
        return choices

    @model_validator(mode="after")
    def _fits_together(self) -> Declaration:
        if not self.site:
            _check_address("url", self.url)
        for origin in self.allowed_origins:
            if origin != "*":
                _check_address("allowed_origins", origin)
        if self.site and not self.url.startswith("/"):
            raise ValueError(f"url {self.url!r}: on a site it is a path, such as '/index.html'")
        for field in ("goal", "url", "evaluators", "oracle"):
            for name in placeholders(getattr(self, field)):
                _check_placeholder(field, name, self.choices)
        told = {name.partition(".")[0] for name in placeholders(self.goal)}
        for place, call in enumerate(self.oracle):
            for name in placeholders(call):
                if name.partition(".")[0] not in told:
                    raise ValueError(
                        f"oracle.{place}: {{{name}}}: the goal names nothing of it, so no agent"
                        f" can know what was chosen; write {{{name}}} in the goal"
                    )
        for chosen in self._each():
            self.checks(chosen)
            for place, call in enumerate(fill_in(list(self.oracle), chosen)):
                try:
                    check_call(call)
                except ValueError as error:
                    raise ValueError(f"oracle.{place}: {error}") from None
        return self

    def urls(self) -> set[str]:
        """Where the task may begin: every choice is tried once."""
        return {fill_in(self.url, chosen) for chosen in self._each()}

    def _each(self) -> Iterator[dict[str, Any]]:
        """Every kind of choice once, so that what is wrong with it shows when it is read."""
        most = max(map(len, self.choices.values()), default=1)
        for index in range(most):
            yield {name: options[index % len(options)] for name, options in self.choices.items()}

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts that the page may reach besides that of ``url``."""
        named = {urlsplit(origin).hostname or "" for origin in self.allowed_origins}
        return tuple(sorted(named - {"", "*"}))

    @property
    def instances(self) -> int:
        """How many instances the seeds can choose: the product of the choices that are used."""
        used = {
            name.partition(".")[0]
            for value in (self.url, self.goal, self.evaluators)
            for name in placeholders(value)
        }
        return prod(len({repr(option) for option in self.choices[name]}) for name in used)

    def checks(self, chosen: Mapping[str, Any]) -> Evaluator:
        """The evaluators of one instance."""
        made = []
        for place, data in enumerate(self.evaluators):
            try:
                evaluator = parse_evaluator(fill_in(data, chosen))
            except ValueError as error:
                raise ValueError(f"evaluators.{place}: {error}") from None
            try:
                if not self.site:
                    check_no_site_needed(evaluator)
            except ValueError as error:
                fix = 'write site = "NAME", a site of [sites.NAME]'
                raise ValueError(f"evaluators.{place}: {error}; {fix}") from None
            made.append(evaluator)
        return made[0] if len(made) == 1 else AllOf(evaluators=tuple(made))


class DeclaredTask(EvaluatedTask):
    """A task made from a ``Declaration``."""

    declaration: Declaration
    place: str
    """The file, and where in it the task stands."""
    instances: int
    """How many instances all seeds together give."""

    @classmethod
    def ready(cls) -> None:
        """Raise UserError without a judge that it asks, or where its page is out of reach."""
        declared = cls.declaration
        chosen = choose(declared.choices, Random(declared.id))
        for part in inner(declared.checks(chosen)):
            part.ready()
        if cls.serves is None:
            check_reach(fill_in(declared.url, chosen))

    async def start(self, page: Any, seed: int) -> str:
        """Choose by the seed, open the page, say the goal."""
        declared = self.declaration
        chosen = choose(declared.choices, Random(f"{declared.id}/{seed}"))
        self.checks = declared.checks(chosen)
        url = fill_in(declared.url, chosen)
        await page.goto(url if self.serves is None else self.serves.url(url))
        return str(fill_in(declared.goal, chosen))

    def oracle(self, view: PageView) -> Oracle:
        """Make the declared calls."""
        declared = self.declaration
        told = told_by(declared.goal, view.goal, declared.choices)
        said = set(placeholders(declared.goal))
        untold: list[dict[str, Any]] = []
        for place, call in enumerate(declared.oracle):
            for name in placeholders(call):
                if name.partition(".")[0] not in told:
                    raise OracleError(
                        f"{self.place}: oracle.{place} uses {{{name}}}, which no agent can know: it"
                        f" is not in the goal that was told; write {{{name}}} there"
                    )
            names = set(placeholders(call)) - said
            untold.append({name: fill_in(f"{{{name}}}", told) for name in sorted(names)})
        try:
            yield from play_calls(fill_in(list(declared.oracle), told), view, untold)
        except OracleError as error:
            raise OracleError(f"{self.place}: {error}") from None


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
            site = sites.get(declared.site) or shared_site(declared.site)
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
        "site": "" if site else urlsplit(declared.url).hostname or "",
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
        data = tomllib.loads(source.decode())
    except RecursionError:
        raise UserError(f"{file}: tables or lists lie too deep inside one another") from None
    except ValueError as error:
        raise UserError(f"{file} is not valid TOML: {error}") from None
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
    lines = [n for n, line in enumerate(source.decode().splitlines(), 1) if _HEADING.match(line)]
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
            data = json.loads(line)
        except RecursionError:
            told = "tables or lists lie too deep inside one another"
            raise UserError(f"{file}, line {number}: {told}") from None
        except ValueError as error:
            raise UserError(f"{file}, line {number} is not valid JSON: {error}") from None
        if not isinstance(data, dict):
            raise UserError(f'{file}, line {number}: a task is an object: {{"id": …}}')
        yield number, data


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


def _check_address(field: str, address: str) -> None:
    """Raise ValueError unless it is of the web; a file may not open what lies on the disk."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        raise ValueError(
            f"{field} {shown(address)}: files are not opened; serve their folder as a site:"
            ' folder = "…" under [sites.NAME], then site = "NAME" and url = "/page.html"'
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            f"{field} {shown(address)}: give a whole address, such as http://localhost:8000/,"
            " or name a site for a path"
        )


def _check_placeholder(field: str, name: str, choices: Mapping[str, tuple[Any, ...]]) -> None:
    first, _, rest = name.partition(".")
    options = choices.get(first)
    if options is None:
        raise ValueError(
            f"{field}: {{{name}}} is not among choices ({', '.join(choices) or 'there are none'});"
            f" write {{{{{name}}}}} for the braces themselves"
        )
    if rest and not all(isinstance(option, dict) and rest in option for option in options):
        raise ValueError(f"{field}: {{{name}}}: not every choice of {first!r} has {rest!r}")
    if not rest and any(isinstance(option, dict) for option in options):
        raise ValueError(f"{field}: {{{name}}}: choices of {first!r} are tables; name a field")
