"""Task files in the manner of WebArena-Verified: an answer of fixed form, and network events.

A file is a JSON list of objects with ``task_id``, ``sites``, ``start_urls``, ``intent`` and
``eval``, a list of evaluators: ``AgentResponseEvaluator`` with ``expected`` {``task_type``,
``status``, ``retrieved_data``}, and ``NetworkEventEvaluator`` with ``expected`` {``url``,
``http_method``, ``post_data``, ``query_params``, ``headers``, ``response_status``}. A status that
is not said is 200, and -1 stands for a request that is not answered. With ``should_not_exist``
there must be no request of that method to that address, whatever it carried and however it was
answered. In a task to navigate the last page opened must be one of those named.

Addresses begin with a mark such as ``__SHOPPING__``. Where each site is served stands beside the
file, in ``tasks.sites.toml`` for ``tasks.json``: ``shopping = "http://localhost:7770"``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from webdojo.tasks.errors import UserError
from webdojo.tasks.evaluators.combining import AllOf
from webdojo.tasks.evaluators.evaluator import Evaluator, EvaluatorError, first_problem
from webdojo.tasks.evaluators.network import Method
from webdojo.tasks.evaluators.normalise import shown
from webdojo.tasks.imports.addresses import web_address
from webdojo.tasks.imports.live import ONE_INSTANCE, LiveTask
from webdojo.tasks.imports.patterns import is_pattern
from webdojo.tasks.imports.webarena_evaluators import NetworkEvent, Response
from webdojo.tasks.network import check_reach
from webdojo.tasks.task import Task

MARK = frozenset({"start_urls", "intent", "eval"})
"""Fields by which such a file is known."""
HORIZON = 30
ANSWER_FORM = (
    "Answer with one JSON object: task_type (retrieve, navigate or mutate), status (SUCCESS, or the"
    " error that stops you, such as NOT_FOUND_ERROR), and retrieved_data (a list, or null)."
)
_PLACE = re.compile(r"__([A-Z][A-Z0-9_]*?)__", re.IGNORECASE)


TASK_TYPES = ("retrieve", "navigate", "mutate")
STATUSES = (
    *("SUCCESS", "ACTION_NOT_ALLOWED_ERROR", "PERMISSION_DENIED_ERROR", "NOT_FOUND_ERROR"),
    *("DATA_VALIDATION_ERROR", "UNKNOWN_ERROR"),
)
"""What WebArena-Verified's file says, in either case."""


class Row(BaseModel):
    """An object of the file. Fields of no use here are let pass, misspelt ones are not."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    besides: ClassVar[frozenset[str]] = frozenset()
    """Fields of no use that look like others."""

    @model_validator(mode="before")
    @classmethod
    def _none_misspelt(cls, data: Any) -> Any:
        fields = cls.model_fields
        for name in data if isinstance(data, dict) else ():
            near = get_close_matches(name, fields, n=1)
            if near and name not in fields and name not in cls.besides:
                raise ValueError(
                    f"there is no field {shown(name)}, and nothing would be checked by it; did you"
                    f" mean {near[0]!r}?"
                )
        return data


class Expected(Row):
    """What an evaluator of the file expects."""

    task_type: str = ""
    status: str = "SUCCESS"
    retrieved_data: tuple[Any, ...] | None = None
    url: str | tuple[str, ...] = ""
    http_method: str = "GET"
    post_data: dict[str, Any] | None = None
    query_params: dict[str, Any] | None = None
    headers: dict[str, str | list[str]] | None = None
    response_status: int = 200
    response_content: dict[str, Any] | None = None
    response_cookies: dict[str, str] | None = None

    @field_validator("task_type")
    @classmethod
    def _act(cls, value: str) -> str:
        return _one_of(TASK_TYPES, value)

    @field_validator("status")
    @classmethod
    def _outcome(cls, value: str) -> str:
        return _one_of(STATUSES, value)

    @field_validator("response_status", mode="before")
    @classmethod
    def _answered(cls, value: Any) -> Any:
        return 200 if value is None else value

    @field_validator("http_method")
    @classmethod
    def _method(cls, value: str) -> str:
        return _one_of(get_args(Method), value)


class EvaluatorRow(Row):
    """One evaluator of the file."""

    evaluator: Literal["AgentResponseEvaluator", "NetworkEventEvaluator"]
    expected: Expected
    results_schema: dict[str, Any] | None = None
    post_data_schema: dict[str, Any] | None = None
    query_params_schema: dict[str, Any] | None = None
    ordered: bool = False
    should_not_exist: bool = False
    decode_base64_query: bool = False
    last_event_only: bool = True
    ignored_query_params: tuple[str, ...] = ()
    ignored_query_params_patterns: tuple[str, ...] = ()
    ignored_post_data_params_patterns: tuple[str, ...] = ()

    @field_validator("ordered", "should_not_exist", "decode_base64_query", mode="before")
    @classmethod
    def _unsaid(cls, value: Any) -> Any:
        return False if value is None else value

    @field_validator(
        "ignored_query_params",
        "ignored_query_params_patterns",
        "ignored_post_data_params_patterns",
        mode="before",
    )
    @classmethod
    def _none_ignored(cls, value: Any) -> Any:
        return () if value is None else value


class WebArenaRow(Row):
    """One task as such files write it."""

    besides = frozenset({"intent_template"})
    task_id: int | str
    intent: str = Field(min_length=1)
    start_urls: tuple[str, ...] = Field(min_length=1)
    eval: tuple[EvaluatorRow, ...] = Field(min_length=1)
    sites: tuple[str, ...] = ()
    intent_template_id: int | str | None = None


class UnservedError(ValueError):
    """It is not known where a site, which it names, is served."""


class WebArenaTask(LiveTask):
    """A task made from a row."""

    row: WebArenaRow
    served: Mapping[str, str]
    at_answer = True
    caveats = ONE_INSTANCE

    @classmethod
    def ready(cls) -> None:
        """Raise UserError where the site is out of reach."""
        check_reach(_placed(cls.row.start_urls[0], cls.served))

    async def start(self, page: Any, seed: int) -> str:
        """Open the first address; every seed is the same task."""
        self._recorder.keeps_answers = True
        self.checks = AllOf(evaluators=tuple(_evaluators(self.row, self.served)))
        await self.open(page, _placed(self.row.start_urls[0], self.served))
        return f"{self.row.intent}\n{ANSWER_FORM}"


def webarena_tasks(file: Path, rows: Iterable[tuple[int, Mapping[str, Any]]]) -> list[type[Task]]:
    """The tasks of numbered rows; raises UserError naming task and field."""
    sites = file.with_suffix(".sites.toml")
    served = _served(sites)
    suite = re.sub(r"[^a-z0-9]+", "-", file.stem.lower()).strip("-") or "webarena"
    tasks: dict[str, type[Task]] = {}
    for number, data in rows:
        place = f"{file}, task {data.get('task_id', number)}"
        try:
            row = WebArenaRow.model_validate(data)
            _evaluators(row, served)
            addresses = tuple(web_address(_placed(url, served)) for url in row.start_urls)
        except ValidationError as error:
            raise UserError(f"{place}: {first_problem(error)}") from None
        except EvaluatorError as error:
            raise UserError(f"{place}: {error.told}") from None
        except UnservedError as error:
            name = str(error)
            known = f", which names {', '.join(served)}" if served else ""
            raise UserError(
                f'{place}: it is not known where {name} is served: write {name} = "http://…" into'
                f" {sites.name} beside it{known}"
            ) from None
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
            "site": row.sites[0] if row.sites else "",
            "other_sites": row.sites[1:],
            "group": "" if row.intent_template_id is None else f"webarena-{row.intent_template_id}",
            "allowed_origins": (*addresses, *served.values()),
        }
        tasks[task_id] = type("WebArenaTask", (WebArenaTask,), fields)
    return list(tasks.values())


def _evaluators(task: WebArenaRow, served: Mapping[str, str]) -> list[Evaluator]:
    pages: tuple[str, ...] = ()
    if any(row.expected.task_type == "navigate" for row in task.eval):
        pages = tuple(url for row in task.eval for url in _pages(row, served))
    return [_evaluator(row, served, pages) for row in task.eval]


def _pages(row: EvaluatorRow, served: Mapping[str, str]) -> tuple[str, ...]:
    """Addresses of pages that should be opened."""
    asked = row.evaluator == "NetworkEventEvaluator" and row.expected.http_method == "GET"
    return _addresses(row, served) if asked and not row.should_not_exist else ()


def _evaluator(
    row: EvaluatorRow, served: Mapping[str, str], pages: tuple[str, ...] = ()
) -> Evaluator:
    expected = row.expected
    if row.evaluator == "AgentResponseEvaluator":
        if not expected.task_type:
            raise ValueError(
                f"an AgentResponseEvaluator expects a task_type: {', '.join(TASK_TYPES)}"
            )
        data = expected.retrieved_data
        return Response(
            task_type=expected.task_type,
            status=expected.status,
            retrieved_data=None if data is None else tuple(_rendered(list(data), served)),
            results_schema=row.results_schema,
            ordered=row.ordered,
        )
    return NetworkEvent(
        urls=_addresses(row, served),
        method=expected.http_method,
        post_data=_rendered(expected.post_data, served),
        post_data_schema=row.post_data_schema,
        query=_rendered(expected.query_params, served),
        query_schema=row.query_params_schema,
        headers=_rendered(expected.headers or {}, served),
        status=expected.response_status,
        response_content=_rendered(expected.response_content, served),
        response_cookies=expected.response_cookies,
        ignored_query=row.ignored_query_params,
        ignored_query_patterns=row.ignored_query_params_patterns,
        ignored_post_data_patterns=row.ignored_post_data_params_patterns,
        query_in_path=row.decode_base64_query,
        any_event=not row.last_event_only,
        absent=row.should_not_exist,
        ends_at=pages if expected.http_method == "GET" else (),
    )


def _one_of(known: tuple[str, ...], value: str) -> str:
    """The one that a value is, in whatever case; raises ValueError naming the nearest."""
    found = next((one for one in known if one.casefold() == value.casefold()), None)
    if found is None:
        near = get_close_matches(value.casefold(), [one.casefold() for one in known], n=1)
        hint = f"did you mean {_one_of(known, near[0])!r}? " if near else ""
        raise ValueError(f"{shown(value)} is none; {hint}there are {', '.join(known)}")
    return found


def _rendered(value: Any, served: Mapping[str, str]) -> Any:
    """A value with the addresses of sites in place of their marks, as far as those are known."""
    if isinstance(value, dict):
        return {name: _rendered(inner, served) for name, inner in value.items()}
    if isinstance(value, list):
        return [_rendered(inner, served) for inner in value]
    if not isinstance(value, str):
        return value

    def put(mark: re.Match[str]) -> str:
        origin = served.get(mark[1].lower())
        if origin is None:
            return mark[0]
        return re.escape(origin) if is_pattern(value) else origin

    return _PLACE.sub(put, value)


def _served(path: Path) -> dict[str, str]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid TOML: {error}") from None
    for name, url in data.items():
        try:
            web_address(url if isinstance(url, str) else "")
        except ValueError:
            raise UserError(
                f'{path}: {name} must be an address, such as "http://localhost:7770"; it is {url!r}'
            ) from None
    return {name.lower(): url.rstrip("/") for name, url in data.items()}


def _addresses(row: EvaluatorRow, served: Mapping[str, str]) -> tuple[str, ...]:
    url = row.expected.url
    urls = (url,) if isinstance(url, str) else url
    if not urls or not all(urls):
        raise ValueError("a NetworkEventEvaluator expects a url")
    return tuple(_address(one, served) for one in urls)


def _address(url: str, served: Mapping[str, str]) -> str:
    """An address that a request is compared with, which may be a regular expression."""
    if is_pattern(url):
        return _PLACE.sub(lambda m: re.escape(_origin(m.group(1), served)), url)
    return web_address(_placed(url, served))


def _placed(url: str, served: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda m: _origin(m.group(1), served), url)


def _origin(name: str, served: Mapping[str, str]) -> str:
    if name.lower() not in served:
        raise UnservedError(name.lower())
    return served[name.lower()]
