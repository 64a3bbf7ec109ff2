"""What an evaluator is: it looks at the evidence of an episode and says whether it passes, and why.

Evaluators are frozen models, so the same one can be written in Python, ``Dom(selector="#thanks")``,
and in a task file, ``{type = "dom", selector = "#thanks"}``.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from webdojo.tasks.evaluators.normalise import shown

if TYPE_CHECKING:
    from playwright.async_api import Page

    from webdojo.tasks.evaluators.recording import Recorder
    from webdojo.tasks.sites.episode import SiteEpisode


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an evaluator is satisfied; ``reason`` says why not, for people.

    ``undecided`` says that it could not find out, through no fault of the agent's: not passed, but
    no failure either.
    """

    passed: bool
    reason: str = ""
    undecided: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an episode when it is judged."""

    page: Page
    answer: str | None = None
    """What the agent last told the user."""
    goal: str = ""
    recorder: Recorder | None = None
    """What was recorded of the episode; needed for requests and screenshots."""
    site: SiteEpisode | None = None
    """The task's own site, if it has one; needed for its state."""


class EvaluatorError(ValueError):
    """An evaluator is built wrongly; ``told`` says what is wrong with which field."""

    def __init__(self, name: str, told: str) -> None:
        super().__init__(f"{name}: {told}")
        self.told = told


class Evaluator(BaseModel, ABC):
    """Base of all evaluators. A subclass names its ``kind`` and writes ``judge``."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)
    kind: ClassVar[str]
    """What ``type`` says in a task file."""

    def __init__(self, /, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            told = first_problem(error, type(self).model_fields)
            raise EvaluatorError(type(self).__name__, told) from None

    # Said to pydantic, so that what stands in a file is validated without a call of it.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @abstractmethod
    async def judge(self, evidence: Evidence) -> Verdict:
        """Decide. What cannot be decided has not passed: an evaluator fails closed."""

    def ready(self) -> None:
        """Raise UserError if something that it needs outside the episode is missing."""

    @property
    def needs_site(self) -> str:
        """What it asks of the task's own site, for people; empty if it can do without one."""
        return ""

    @property
    def reads_answer(self) -> bool:
        """Whether it judges what the agent said, so that saying it ends the episode."""
        return False

    @property
    def needs_screenshots(self) -> bool:
        """Whether it looks at screenshots, so that one is to be kept after each action."""
        return False

    @property
    def needs_bodies(self) -> bool:
        """Whether it looks at what requests carry, files and Blobs included."""
        return False

    @property
    def patience_s(self) -> float:
        """Real time that a decision may take, for evaluators that ask another machine."""
        return 0.0

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "kind" in vars(cls):
            KINDS[cls.kind] = cls


KINDS: dict[str, type[Evaluator]] = {}
"""Every evaluator that a task file can name, by its ``type``."""


class Match(Evaluator):
    """A condition on one value. On its own it judges the agent's answer."""

    @abstractmethod
    def mismatch(self, found: object) -> str:
        """Why ``found`` does not match; empty if it does."""

    def hedges(self, answer: str) -> str:
        """Why an answer that matches still does not say so, such as by denying it; empty if not."""
        return ""

    async def judge(self, evidence: Evidence) -> Verdict:
        """Whether the answer matches; no answer never does."""
        if evidence.answer is None:
            return Verdict(False, "no answer yet")
        # A long answer takes a while to look at, and the browser must not wait for it.
        reason = await asyncio.to_thread(self._unsaid, evidence.answer)
        return Verdict(not reason, reason and f"the answer: {reason}")

    def _unsaid(self, answer: str) -> str:
        return self.mismatch(answer) or self.hedges(answer)

    @property
    def reads_answer(self) -> bool:
        """It does."""
        return True


MOST_DEPTH = 50
"""Tables and lists inside one another, beyond which a description is refused."""


def too_deep(data: object) -> bool:
    """Whether tables and lists lie more than ``MOST_DEPTH`` deep inside one another."""
    level = [data]
    for _ in range(MOST_DEPTH + 1):
        tables = [part for part in level if isinstance(part, dict | list | tuple)]
        level = [x for t in tables for x in (t.values() if isinstance(t, dict) else t)]
        if not level:
            return False
    return True


def parse_evaluator(data: Any) -> Evaluator:
    """An evaluator from what a task file says; raises ValueError naming the field."""
    if isinstance(data, Evaluator):
        return data
    if too_deep(data):
        raise ValueError(f"evaluators lie more than {MOST_DEPTH} deep inside one another")
    if not isinstance(data, dict) or not isinstance(data.get("type"), str):
        raise ValueError(
            f'an evaluator is a table with a type, such as {{type = "text"}}: {shown(data)}'
        )
    name = data["type"]
    kind = KINDS.get(name)
    if kind is None:
        near = get_close_matches(name, KINDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(KINDS))}"
        raise ValueError(f"no evaluator of type {name!r}: {hint}")
    try:
        return kind.model_validate({key: data[key] for key in data if key != "type"})
    except ValidationError as error:
        told = first_problem(error, kind.model_fields)
        raise PydanticCustomError("evaluator", "{told}", {"told": told}) from None


def parse_text_match(data: Any) -> Match:
    """A match; plain text stands for ``text`` and a number for ``number``."""
    if isinstance(data, str):
        data = {"type": "text", "value": data}
    elif isinstance(data, int | float) and not isinstance(data, bool):
        data = {"type": "number", "value": data}
    elif isinstance(data, list):
        data = {"type": "list", "items": data}
    return _match(parse_evaluator(data))


def parse_value_match(data: Any) -> Match:
    """A match; anything without a known ``type`` stands for itself."""
    if isinstance(data, Match) or (isinstance(data, dict) and data.get("type") in KINDS):
        return _match(parse_evaluator(data))
    return _match(parse_evaluator({"type": "equals", "value": data}))


def first_problem(error: ValidationError, fields: Iterable[str] = ()) -> str:
    """The first problem of a validation: the field, and what is wrong with it.

    ``fields`` are those there are: the nearest is told where one is not known.
    """
    # A field that is not known is often one that is missing, misspelt.
    first = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    field = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        near = get_close_matches(field, fields, n=1, cutoff=0.5) if len(first["loc"]) == 1 else ()
        hint = f"; did you mean {near[0]!r}?" if near else ""
        known = f"; there are {', '.join(fields)}" if fields and not near else ""
        return f"{field}: there is no such field{hint or known}"
    if first["type"] == "missing":
        return f"{field} is missing: add it"
    message = _said_of(first)
    return f"{field}: {message}" if field else message


def _said_of(problem: ErrorDetails) -> str:
    """What is wrong with a value, in the words of task files, and what it is."""
    kind, given = problem["type"], shown(problem["input"])
    if kind in ("tuple_type", "list_type"):
        return f"it must be a list, such as [{given}]; it is {given}"
    if kind in ("dict_type", "model_type", "model_attributes_type"):
        return f"it must be a table, {{…}}; it is {given}"
    if kind in ("too_short", "too_long"):
        bound = problem["ctx"].get("min_length", problem["ctx"].get("max_length"))
        most = "at least" if kind == "too_short" else "at most"
        return f"{most} {bound} must be listed, not {problem['ctx']['actual_length']}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{message}; it is {given}" if message.startswith("Input should") else message


def _match(evaluator: Evaluator) -> Match:
    if not isinstance(evaluator, Match):
        raise ValueError(f"{evaluator.kind!r} judges a whole episode, not one value")
    return evaluator


def inner(value: object) -> Iterator[Evaluator]:
    """Every evaluator inside another, itself included."""
    if isinstance(value, Evaluator):
        yield value
        for name in type(value).model_fields:
            yield from inner(getattr(value, name))
    elif isinstance(value, tuple | list):
        for part in value:
            yield from inner(part)


def check_no_site_needed(evaluator: Evaluator) -> None:
    """Raise ValueError if an evaluator, or one inside it, asks a site of the task's own."""
    for part in inner(evaluator):
        if needs := part.needs_site:
            raise ValueError(f"{part.kind} {needs}, and the task has none")


AnyEvaluator = Annotated[Evaluator, BeforeValidator(parse_evaluator)]
TextMatch = Annotated[Match, BeforeValidator(parse_text_match)]
ValueMatch = Annotated[Match, BeforeValidator(parse_value_match)]
