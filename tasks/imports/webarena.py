"""Task files in the manner of WebArena-Verified: an answer of fixed form, and network events.

A file is a JSON list of objects with ``task_id``, ``sites``, ``start_urls``, ``intent`` and
``eval``, a list of evaluators: ``AgentResponseEvaluator`` with ``expected`` {``task_type``,
``status``, ``retrieved_data``}, and ``NetworkEventEvaluator`` with ``expected`` {``url``,
``http_method``, ``post_data``, ``query_params``, ``headers``, ``response_status``}.

Addresses begin with a mark such as ``__SHOPPING__``. Where each site is served stands beside the
file, in ``tasks.sites.toml`` for ``tasks.json``: ``shopping = "http://localhost:7770"``.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from webdojo.tasks.errors import UserError
from webdojo.tasks.evaluators.combining import AllOf
from webdojo.tasks.evaluators.evaluator import Evaluator, Evidence, Match, Verdict, first_problem
from webdojo.tasks.evaluators.normalise import LONGEST, plain, shown
from webdojo.tasks.evaluators.recording import SentRequest
from webdojo.tasks.evaluators.urls import Url
from webdojo.tasks.imports.live import LiveTask
from webdojo.tasks.sites.forms import Form, read_query
from webdojo.tasks.task import Task

MARK = frozenset({"start_urls", "intent", "eval"})
"""Fields by which such a file is known."""
HORIZON = 30
ANSWER_FORM = (
    "Answer with one JSON object: task_type (retrieve, navigate or mutate), status (SUCCESS, or the"
    " error that stops you, such as NOT_FOUND_ERROR), and retrieved_data (a list, or null)."
)
_PLACE = re.compile(r"__([A-Z][A-Z0-9_]*?)__", re.IGNORECASE)


class Response(Match):
    """The agent's answer as JSON: what it did, how that went, and what it found.

    ``retrieved_data`` is compared in any order, text as a reader sees it and numbers by value;
    a list in the place of an item gives alternatives.
    """

    kind: ClassVar[str] = "agent_response"
    task_type: str
    status: str
    retrieved_data: tuple[Any, ...] | None = None
    ordered: bool = False

    def mismatch(self, found: object) -> str:
        """Another act, status or finding, or no such object."""
        answer = _object(found)
        if answer is None:
            return f"{shown(found)} is no JSON object with task_type, status and retrieved_data"
        act = answer.get("task_type", answer.get("performed_operation"))
        for name, given, wanted in (
            ("task_type", act, self.task_type),
            ("status", answer.get("status"), self.status),
        ):
            if not isinstance(given, str) or plain(given) != plain(wanted):
                return f"{name} is {shown(given)}, not {wanted!r}"
        data = answer.get("retrieved_data")
        if self.retrieved_data is None:
            return "" if not data else f"retrieved_data is {shown(data)}, not null"
        items = data if isinstance(data, list) else [] if data is None else [data]
        if _same_items(self.retrieved_data, items, self.ordered):
            return ""
        return f"retrieved_data is {shown(data)}, not {shown(list(self.retrieved_data))}"


class NetworkEvent(Evaluator):
    """The last request of this method to one of these addresses carried what was expected."""

    kind: ClassVar[str] = "network_event"
    urls: tuple[Url, ...] = Field(min_length=1)
    method: str = "GET"
    post_data: dict[str, Any] | None = None
    query: dict[str, Any] | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    status: int | None = None
    absent: bool = False

    async def judge(self, evidence: Evidence) -> Verdict:
        """Look through the requests of the episode."""
        if evidence.recorder is None:
            return Verdict(False, "the episode's requests were not recorded")
        await evidence.recorder.caught_up(evidence.page)
        sent = [s for s in evidence.recorder.requests if s.method == self.method and self._here(s)]
        reasons = [self._difference(request) for request in sent]
        wanted = f"{self.method} {self.urls[0].value}"
        if self.absent:
            made = not all(reasons) if reasons else False
            return Verdict(not made, f"{wanted} was made" if made else "")
        if not reasons:
            return Verdict(False, f"{wanted}: no such request was made")
        return Verdict(not reasons[-1], reasons[-1] and f"{wanted}: {reasons[-1]}")

    def _here(self, sent: SentRequest) -> bool:
        # Where a query is expected by itself, the address is compared without one.
        address = sent.url.partition("?")[0] if self.query is not None else sent.url
        return any(not url.mismatch(address) for url in self.urls)

    def _difference(self, sent: SentRequest) -> str:
        if sent.failed or sent.status is None:
            return "it was not answered"
        if self.status is not None and sent.status != self.status:
            return f"it was answered with status {sent.status}"
        if self.query is not None and not _holds(read_query(urlsplit(sent.url).query), self.query):
            return f"its query was {shown(urlsplit(sent.url).query)}"
        if self.post_data is not None and not _holds(_posted(sent), self.post_data):
            return f"it carried {shown(sent.body)}"
        for name, value in self.headers.items():
            if sent.headers.get(name.lower()) != value:
                return f"its header {name} was {sent.headers.get(name.lower())!r}"
        return ""


class Expected(BaseModel):
    """What an evaluator of the file expects."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task_type: str = ""
    status: str = "SUCCESS"
    retrieved_data: tuple[Any, ...] | None = None
    url: str | tuple[str, ...] = ""
    http_method: str = "GET"
    post_data: dict[str, Any] | None = None
    query_params: dict[str, Any] | None = None
    headers: dict[str, str] | None = None
    response_status: int | None = None


class EvaluatorRow(BaseModel):
    """One evaluator of the file."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    evaluator: Literal["AgentResponseEvaluator", "NetworkEventEvaluator"]
    expected: Expected
    ordered: bool = False
    should_not_exist: bool = False
    ignored_query_params: tuple[str, ...] = ()

    @field_validator("ordered", "should_not_exist", mode="before")
    @classmethod
    def _unsaid(cls, value: Any) -> Any:
        return False if value is None else value

    @field_validator("ignored_query_params", mode="before")
    @classmethod
    def _none_ignored(cls, value: Any) -> Any:
        return () if value is None else value


class WebArenaRow(BaseModel):
    """One task as such files write it; fields of no use here are let pass."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task_id: int | str
    intent: str = Field(min_length=1)
    start_urls: tuple[str, ...] = Field(min_length=1)
    eval: tuple[EvaluatorRow, ...] = Field(min_length=1)
    sites: tuple[str, ...] = ()
    intent_template_id: int | str | None = None


class WebArenaTask(LiveTask):
    """A task made from a row."""

    row: WebArenaRow
    served: Mapping[str, str]
    at_answer = True

    async def start(self, page: Any, seed: int) -> str:
        """Open the first address; every seed is the same task."""
        made = [_evaluator(row, self.served) for row in self.row.eval]
        self.checks = AllOf(evaluators=tuple(made))
        await self.open(page, _address(self.row.start_urls[0], self.served))
        return f"{self.row.intent}\n{ANSWER_FORM}"


def webarena_tasks(file: Path, rows: Iterable[tuple[int, Mapping[str, Any]]]) -> list[type[Task]]:
    """The tasks of numbered rows; raises UserError naming task and field."""
    served = _served(file.with_suffix(".sites.toml"))
    suite = re.sub(r"[^a-z0-9]+", "-", file.stem.lower()).strip("-") or "webarena"
    tasks: dict[str, type[Task]] = {}
    for number, data in rows:
        place = f"{file}, task {data.get('task_id', number)}"
        try:
            row = WebArenaRow.model_validate(data)
            for part in row.eval:
                _evaluator(part, served)
            addresses = tuple(_address(url, served) for url in row.start_urls)
        except ValidationError as error:
            raise UserError(f"{place}: {first_problem(error)}") from None
        except ValueError as error:
            raise UserError(f"{place}: {error}") from None
        task_id = f"{suite}.{re.sub(r'[^a-z0-9]+', '-', str(row.task_id).lower())}"
        if task_id in tasks:
            raise UserError(f"{place}: the task is there twice; take one out")
        fields = {
            "__module__": f"webdojo_tasks_of.{file.stem}",
            "__doc__": row.intent,
            "row": row,
            "served": served,
            "id": task_id,
            "horizon": HORIZON,
            "site": "-".join(row.sites),
            "group": "" if row.intent_template_id is None else f"{suite}-{row.intent_template_id}",
            "allowed_origins": (*addresses, *served.values()),
        }
        tasks[task_id] = type("WebArenaTask", (WebArenaTask,), fields)
    return list(tasks.values())


def _evaluator(row: EvaluatorRow, served: Mapping[str, str]) -> Evaluator:
    expected = row.expected
    if row.evaluator == "AgentResponseEvaluator":
        return Response(
            task_type=expected.task_type,
            status=expected.status,
            retrieved_data=expected.retrieved_data,
            ordered=row.ordered,
        )
    urls = (expected.url,) if isinstance(expected.url, str) else expected.url
    if not all(urls):
        raise ValueError("a NetworkEventEvaluator expects a url")
    return NetworkEvent(
        urls=tuple(
            Url(value=_address(url, served), ignore=row.ignored_query_params) for url in urls
        ),
        method=expected.http_method.upper(),
        post_data=expected.post_data,
        query=expected.query_params,
        headers={
            name: _PLACE.sub(lambda m: _origin(m.group(1), served), value)
            for name, value in (expected.headers or {}).items()
        },
        status=expected.response_status,
        absent=row.should_not_exist,
    )


def _served(path: Path) -> dict[str, str]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid TOML: {error}") from None
    for name, url in data.items():
        if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https"):
            raise UserError(f'{path}: {name} must be an address, such as "http://localhost:7770"')
    return {name.lower(): url.rstrip("/") for name, url in data.items()}


def _address(url: str, served: Mapping[str, str]) -> str:
    found = _PLACE.sub(lambda m: _origin(m.group(1), served), url)
    if urlsplit(found).scheme not in ("http", "https"):
        raise ValueError(f"{url!r} is no address")
    return found


def _origin(name: str, served: Mapping[str, str]) -> str:
    if name.lower() not in served:
        raise ValueError(
            f"it is not known where {name.lower()} is served: write"
            f' {name.lower()} = "http://…" into the .sites.toml file beside the tasks'
        )
    return served[name.lower()]


def _object(found: object) -> dict[str, Any] | None:
    if not isinstance(found, str) or len(found) > LONGEST:
        return None
    try:
        answer = json.loads(found)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _posted(sent: SentRequest) -> Form | dict[str, Any] | None:
    form = sent.form()
    if form is not None:
        return form
    found = sent.json()
    return found if isinstance(found, dict) else None


def _holds(found: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> bool:
    """Whether every wanted field is there; text and numbers are compared as readers see them."""
    return found is not None and all(
        name in found and _same(value, found[name]) for name, value in wanted.items()
    )


def _same(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(found, dict) and wanted.keys() == found.keys() and _holds(found, wanted)
    if isinstance(wanted, list | tuple):
        return isinstance(found, list | tuple) and _same_items(wanted, list(found), True)
    if isinstance(wanted, bool) or isinstance(found, bool) or wanted is None or found is None:
        return wanted is found or str(wanted).lower() == str(found).lower()
    try:
        return float(wanted) == float(found)
    except (TypeError, ValueError):
        return bool(plain(str(wanted))) and plain(str(wanted)) == plain(str(found))


def _same_items(wanted: Iterable[Any], found: list[Any], ordered: bool) -> bool:
    """Whether each item is there once and nothing else is; a list among them gives alternatives."""
    items = list(wanted)
    if len(items) != len(found):
        return False
    left = list(found)
    for item in items:
        options = item if isinstance(item, list | tuple) else (item,)
        places = range(1) if ordered else range(len(left))
        place = next((p for p in places if any(_same(o, left[p]) for o in options)), None)
        if place is None:
            return False
        left.pop(place)
    return True
