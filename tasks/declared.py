"""A task described in a file: what it may say, checked when it is read, and how it is played.

A field in braces is replaced by the seed's choice, in every text of the task. ``declared_files``
reads the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import prod
from random import Random
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from webdojo.tasks.declared_oracle import check_call, play_calls
from webdojo.tasks.declared_template import choose, fill_in, placeholders, told_by
from webdojo.tasks.evaluators.combining import AllOf
from webdojo.tasks.evaluators.evaluated_task import EvaluatedTask
from webdojo.tasks.evaluators.evaluator import (
    Evaluator,
    check_no_site_needed,
    inner,
    parse_evaluator,
)
from webdojo.tasks.evaluators.normalise import shown, visible
from webdojo.tasks.fields import NOTHING_EXCUSED
from webdojo.tasks.network import check_reach
from webdojo.tasks.task import ID, ID_RULE, MOST_ACTIONS, Check, Difficulty, Oracle
from webdojo.tasks.view import OracleError, PageView

EXAMPLE = ', such as evaluators = [{ type = "exact", value = "42" }]'
PORTS = {"http": 80, "https": 443}


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
        """Hosts, with their ports, that the page may reach besides that of ``url``."""
        return tuple(sorted({host_and_port(origin) for origin in self.allowed_origins} - {""}))

    @property
    def instances(self) -> int:
        """How many instances the seeds can choose: the product of the choices that are used."""
        used: dict[str, set[str]] = {}
        for field in placeholders([self.url, self.goal, *self.evaluators]):
            used.setdefault(field.partition(".")[0], set()).add(f"{{{field}}}")
        return prod(
            len({repr(fill_in(sorted(fields), {name: one})) for one in self.choices[name]})
            for name, fields in used.items()
        )

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


def host_and_port(address: str) -> str:
    """What tells one site from another; empty for what is no address.

    Two servers on one machine are two sites.
    """
    parts = urlsplit(address)
    if not parts.hostname:
        return ""
    try:
        port = parts.port
    except ValueError:  # a choice, as {port}
        return parts.hostname
    told = "" if port is None or PORTS.get(parts.scheme) == port else f":{port}"
    return f"{parts.hostname}{told}"


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
