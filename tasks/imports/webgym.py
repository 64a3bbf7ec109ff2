"""WebGym's task sets (arXiv 2601.02439): questions on live sites, judged by the rubric.

Each line of the file is an object with ``task_name`` (the goal), ``website``, ``domain``,
``subdomain``, ``evaluator_reference`` (``[{"description": …, "facts": […]}]``),
``reference_answer`` and ``difficulty``. Beside ``tasks.jsonl`` a file ``tasks.blocklist.txt`` may
name hosts whose tasks are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from webdojo.tasks.errors import UserError
from webdojo.tasks.evaluators.evaluator import EvaluatorError, first_problem
from webdojo.tasks.evaluators.normalise import shown, visible
from webdojo.tasks.evaluators.rubric import MOST_FACTS, Rubric
from webdojo.tasks.imports.addresses import web_address
from webdojo.tasks.imports.blocking import Blocklist
from webdojo.tasks.imports.live import ONE_INSTANCE, LiveTask
from webdojo.tasks.network import check_reach
from webdojo.tasks.task import Difficulty, Task

HORIZONS: dict[Difficulty, int] = {"easy": 10, "medium": 20, "hard": 30}
"""WebGym's training horizons."""
MARK = frozenset({"task_name", "evaluator_reference"})
"""Fields by which such a file is known."""


class FactGroup(BaseModel):
    """Facts that belong together."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    description: str = ""
    facts: tuple[str, ...] = Field(min_length=1, max_length=MOST_FACTS)

    @field_validator("facts")
    @classmethod
    def _all_say_something(cls, facts: tuple[str, ...]) -> tuple[str, ...]:
        if not all(map(visible, facts)):
            raise ValueError("a fact is empty: write a sentence, or take it out")
        return facts


class WebGymRow(BaseModel):
    """One task as WebGym writes it; fields of no use here are let pass."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task_name: str = Field(min_length=1)
    website: str
    evaluator_reference: tuple[FactGroup, ...] = Field(min_length=1)
    domain: str = ""
    subdomain: str = ""
    reference_answer: str | None = None
    difficulty: Difficulty | int | None = None
    """By name, or as the number of facts."""
    task_id: str | int | None = None

    @field_validator("task_name")
    @classmethod
    def _asks_something(cls, name: str) -> str:
        if not visible(name):
            raise ValueError("it is empty: say what is to be done")
        return name

    @field_validator("website")
    @classmethod
    def _address(cls, website: str) -> str:
        return web_address(website if "://" in website else f"https://{website}")

    @field_validator("difficulty", mode="before")
    @classmethod
    def _known(cls, found: Any, info: ValidationInfo) -> Any:
        groups = info.data.get("evaluator_reference", ())
        count = sum(len(group.facts) for group in groups)
        if (
            found is None
            or (isinstance(found, str) and found in HORIZONS)
            or (type(found) is int and found == count)
        ):
            return found
        raise ValueError(
            f"{shown(found)} is none of {', '.join(HORIZONS)}, nor the number of facts, {count};"
            " write one of them, or leave it out"
        )

    @property
    def facts(self) -> tuple[str, ...]:
        """All facts, in order."""
        return tuple(fact for group in self.evaluator_reference for fact in group.facts)

    @property
    def level(self) -> Difficulty:
        """Difficulty by name, or else by the number of facts: 1–3 easy, 4–6 medium, more hard."""
        if isinstance(self.difficulty, str):
            return self.difficulty
        count = len(self.facts)
        return "easy" if count <= 3 else "medium" if count <= 6 else "hard"


class WebGymTask(LiveTask):
    """A task made from a row."""

    row: WebGymRow
    allowed_origins = ("*",)  # what a live site is made of, nobody can list
    caveats = ONE_INSTANCE

    @classmethod
    def ready(cls) -> None:
        """Raise UserError without a judge, or where the site is out of reach."""
        _rubric(cls.row).ready()
        check_reach(cls.row.website)

    async def start(self, page: Any, seed: int) -> str:
        """Open the site; every seed is the same task."""
        self.checks = _rubric(self.row)
        await self.open(page, self.row.website)
        return self.row.task_name


def webgym_tasks(file: Path, rows: Iterable[tuple[int, Mapping[str, Any]]]) -> list[type[Task]]:
    """The tasks of numbered rows; raises UserError naming line and field."""
    blocklist = Blocklist.read(file.with_suffix(".blocklist.txt"))
    suite = _word(file.stem) or "webgym"
    tasks: dict[str, type[Task]] = {}
    for number, data in rows:
        try:
            row = WebGymRow.model_validate(data)
            _rubric(row)
        except ValidationError as error:
            raise UserError(f"{file}, line {number}: {first_problem(error)}") from None
        except EvaluatorError as error:
            raise UserError(f"{file}, line {number}: {error.told}") from None
        if blocklist.holds(row.website):
            continue
        task_id = f"{suite}.{_name(row)}"
        if task_id in tasks:
            raise UserError(f"{file}, line {number}: the task is there twice; take one out")
        tasks[task_id] = _task(file, task_id, row)
    if not tasks:
        raise UserError(f"{file}: no task in it whose host is not on the blocklist beside it")
    return list(tasks.values())


def _rubric(row: WebGymRow) -> Rubric:
    return Rubric(facts=row.facts, reference_answer=row.reference_answer or "")


def _task(file: Path, task_id: str, row: WebGymRow) -> type[Task]:
    site = urlsplit(row.website)
    fields = {
        "__module__": f"webdojo_tasks_of.{file.stem}",
        "__doc__": row.task_name,
        "row": row,
        "id": task_id,
        "difficulty": row.level,
        "horizon": HORIZONS[row.level],
        "site": site.hostname or "",
        # Whoever wrote the row may mean a site that is not on the public web.
        "allowed_origins": (*WebGymTask.allowed_origins, f"{site.scheme}://{site.netloc}"),
        "group": "/".join(filter(None, (row.domain, row.subdomain))),
    }
    return type("WebGymTask", (WebGymTask,), fields)


def _name(row: WebGymRow) -> str:
    if row.task_id is not None and _word(str(row.task_id)):
        return _word(str(row.task_id))
    content = sha256(f"{row.website}\n{row.task_name}".encode()).hexdigest()[:10]
    host = _word((urlsplit(row.website).hostname or "").removeprefix("www."))
    return f"{host}-{content}"


def _word(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
