"""The two evaluators of WebArena-Verified's task files: an answer of fixed form, a request made."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from pydantic import Field, field_validator, model_validator

from webdojo.tasks.evaluators.bodies import LONGEST_BODY
from webdojo.tasks.evaluators.evaluator import Evaluator, Evidence, Match, Verdict, too_deep
from webdojo.tasks.evaluators.normalise import LONGEST, plain, shown
from webdojo.tasks.evaluators.recording import MORE_REQUESTS, UNKNOWN_BODY, SentRequest
from webdojo.tasks.evaluators.urls import Url
from webdojo.tasks.imports.json_paths import is_path, steps, value_at
from webdojo.tasks.imports.patterns import (
    SlowPatternError,
    check_pattern,
    check_patterns,
    is_pattern,
    judged,
    matches,
)
from webdojo.tasks.imports.typed_values import TYPES, fits, unknown_type
from webdojo.tasks.sites.forms import read_query

Schema = dict[str, Any]


class Response(Match):
    """The agent's answer as JSON: what it did, how that went, and what it found.

    ``retrieved_data`` is compared in any order, by the types that ``results_schema`` names, or
    else text as a reader sees it and numbers by value; a list for an item gives alternatives.
    """

    kind: ClassVar[str] = "agent_response"
    task_type: str
    status: str
    retrieved_data: tuple[Any, ...] | None = None
    results_schema: Schema | None = None
    ordered: bool = False

    @field_validator("results_schema")
    @classmethod
    def _known(cls, schema: Schema | None) -> Schema | None:
        return known(schema)

    @field_validator("retrieved_data")
    @classmethod
    def _expressions(cls, data: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        check_patterns(data)
        return data

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
        schema = self.results_schema
        if schema is None or schema.get("type") != "array":
            schema = {"type": "array", "items": schema}
        try:
            with judged():
                right = data is not None and fits(
                    self.retrieved_data, data, schema, ordered=self.ordered
                )
        except SlowPatternError as error:
            return str(error)
        if right:
            return ""
        return f"retrieved_data is {shown(data)}, not {shown(list(self.retrieved_data))}"


UNANSWERED = -1
"""The status, in such files, of a request that no answer came to."""


class NetworkEvent(Evaluator):
    """The last request of this method to one of these addresses carried what was expected.

    An address is written out or a regular expression, ``^…$``, for all of it but its query. With
    ``any_event`` one of the requests is enough. With ``absent`` there must be none, whatever it
    carried and however it was answered. Fields of ``post_data`` and ``response_content`` may be
    paths into JSON; null: there is no such field. What a regular expression has not decided after
    ``patterns.BUDGET_S`` has not passed.
    """

    kind: ClassVar[str] = "network_event"
    urls: tuple[str, ...] = Field(min_length=1)
    method: str = "GET"
    post_data: dict[str, Any] | None = None
    post_data_schema: Schema | None = None
    query: dict[str, Any] | None = None
    """In place of the queries of ``urls``."""
    query_schema: Schema | None = None
    headers: dict[str, str | list[str]] = Field(default_factory=dict)
    """A referer is compared as an address."""
    status: int = Field(200, ge=UNANSWERED, le=599)
    response_content: dict[str, Any] | None = None
    response_cookies: dict[str, str] | None = None
    ignored_query: tuple[str, ...] = ()
    ignored_query_patterns: tuple[str, ...] = ()
    """Expressions that are found in a name, in whatever case."""
    ignored_post_data_patterns: tuple[str, ...] = ()
    """Likewise of the outermost fields that were sent, in this case only."""
    query_in_path: bool = False
    """Whether parts of the path that are a query in base64 count as query."""
    any_event: bool = False
    absent: bool = False
    ends_at: tuple[str, ...] = ()
    """Where a page was asked for: the addresses of which the last page opened must have one."""

    @field_validator("status")
    @classmethod
    def _possible(cls, status: int) -> int:
        if UNANSWERED < status < 100:
            raise ValueError(
                f"no answer has the status {status}: write 100 to 599, or {UNANSWERED} for a"
                " request that is not answered"
            )
        return status

    @field_validator("post_data_schema", "query_schema")
    @classmethod
    def _known(cls, schema: Schema | None) -> Schema | None:
        return known(schema)

    @field_validator("post_data", "response_content")
    @classmethod
    def _paths(cls, fields: dict[str, Any] | None) -> dict[str, Any] | None:
        for name in filter(is_path, fields or {}):
            if is_pattern(name.removeprefix("$.")):
                check_pattern(name.removeprefix("$."))
            else:
                steps(name)
        check_patterns(fields)
        return fields

    @field_validator("urls", "query", "headers", "response_cookies")
    @classmethod
    def _expressions(cls, value: Any) -> Any:
        check_patterns(value)
        return value

    @model_validator(mode="after")
    def _addresses(self) -> NetworkEvent:
        for url in (*self.urls, *_listed(self._header("referer"))):
            if not is_pattern(url):
                _url(url)
        return self

    @field_validator("ignored_query_patterns", "ignored_post_data_patterns")
    @classmethod
    def _all_expressions(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            check_pattern(pattern)
        return patterns

    @property
    def needs_bodies(self) -> bool:
        """If it names some of one."""
        return self.post_data is not None

    async def judge(self, evidence: Evidence) -> Verdict:
        """Look through the requests of the episode."""
        if evidence.recorder is None:
            return Verdict(False, "the episode's requests were not recorded")
        await evidence.recorder.caught_up(evidence.page)
        if evidence.recorder.full and (self.absent or not self.any_event):
            return Verdict(False, MORE_REQUESTS)
        # An expression may take a while, and the browser must not wait for it.
        return await asyncio.to_thread(self._verdict, tuple(evidence.recorder.requests))

    def _verdict(self, requests: tuple[SentRequest, ...]) -> Verdict:
        wanted = f"{self.method} {self.urls[0]}"
        try:
            with judged():
                sent = [s for s in requests if s.method == self.method and self._here(s)]
                if self.absent:
                    return Verdict(not sent, f"{wanted} was made" if sent else "")
                reasons = [self._difference(request) for request in sent]
                left = self._left(sent, requests)
        except SlowPatternError as error:
            return Verdict(False, f"{wanted}: {error}")
        if not reasons:
            return Verdict(False, f"{wanted}: no such request was made")
        reason = left or ("" if self.any_event and not all(reasons) else reasons[-1])
        return Verdict(not reason, reason and f"{wanted}: {reason}")

    def _here(self, sent: SentRequest) -> bool:
        """Whether a request went to one of the addresses, from where it is said to come from."""
        referers = _listed(self._header("referer"))
        referer = sent.headers.get("referer")
        if referer and referers and not any(self._is_at(one, referer) for one in referers):
            return False
        return any(self._is_at(url, sent.url) for url in self.urls)

    def _left(self, sent: list[SentRequest], requests: tuple[SentRequest, ...]) -> str:
        """Which other page was opened last; empty if none was, or none may have been."""
        if not sent or not sent[-1].navigates or not self.ends_at:
            return ""
        last = next(s for s in reversed(requests) if s.navigates and s.method == self.method)
        ended = any(self._is_at(url, last.url) for url in self.ends_at)
        return "" if ended else f"the last page opened was {shown(last.url)}"

    def _is_at(self, wanted: str, found: str) -> bool:
        """Whether an address is the wanted one, queries aside."""
        place = self._parts(found)[0]
        if is_pattern(wanted):
            return matches(wanted, place) or matches(wanted, place.rstrip("/"))
        return not _url(self._parts(wanted)[0]).mismatch(place)

    def _asks(self, wanted: str, found: str, query: dict[str, Any] | None = None) -> bool:
        """Whether an address has the wanted one's query; a field without value is as none."""
        fields = self._parts(wanted)[1] if query is None else self._counted(query)
        here = self._parts(found)[1]
        extra = [name for name in here if name not in fields and here[name]]
        return not extra and _holds(here, fields, self.query_schema)

    def _parts(self, url: str) -> tuple[str, dict[str, Any]]:
        """An address without its query, and those fields of the query that count."""
        if is_pattern(url):
            return url, {}
        place, _, query = url.partition("#")[0].partition("?")
        if self.query_in_path:
            kept = []
            for part in place.split("/"):
                inner = _query_of(part)
                query = f"{query}&{inner}" if inner else query
                kept.extend([] if inner else [part])
            place = "/".join(kept)
        return place, self._counted(read_query(query))

    def _counted(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: fields[name]
            for name in fields
            if name not in self.ignored_query and not _found(self.ignored_query_patterns, name)
        }

    def _header(self, name: str) -> str | list[str] | None:
        return next((v for n, v in self.headers.items() if n.lower() == name), None)

    def _difference(self, sent: SentRequest) -> str:
        return next(filter(None, self._differences(sent)), "")

    def _differences(self, sent: SentRequest) -> Iterator[str]:
        """What is not as expected, one after another; empty where something is."""
        if self.status == UNANSWERED:
            yield "" if sent.status is None else f"it was answered with status {sent.status}"
        else:
            yield "" if sent.status is not None else "it was not answered"
            right = sent.status == self.status
            yield "" if right else f"it was answered with status {sent.status}"
        urls = [url for url in self.urls if self._is_at(url, sent.url)]
        right = any(self._asks(url, sent.url, self.query) for url in urls)
        yield "" if right else f"its query was {shown(urlsplit(sent.url).query)}"
        if self.post_data is not None:
            yield "" if sent.body_known else UNKNOWN_BODY
            right = _holds(self._posted(sent), self.post_data, self.post_data_schema)
            yield "" if right else f"it carried {shown(sent.body)}"
        for name, value in self.headers.items():
            header = sent.headers.get(name.lower())
            right = header is not None and any(
                self._same_header(name, one, header) for one in _listed(value)
            )
            yield "" if right else f"its header {name} was {shown(header)}"
        if self.response_content is not None:
            content = _object((sent.answer or b"").decode(errors="replace"), LONGEST_BODY)
            right = _holds(content, self.response_content, None)
            yield "" if right else f"its answer was {shown(sent.answer)}"
        for name, value in (self.response_cookies or {}).items():
            cookie = sent.cookies.get(name)
            right = fits(value, cookie, {"type": "string"})
            yield "" if right else f"its cookie {name} was {shown(cookie)}"

    def _same_header(self, name: str, wanted: str, found: str) -> bool:
        if name.lower() == "referer":
            return self._is_at(wanted, found) and self._asks(wanted, found)
        if is_pattern(wanted):
            return fits(wanted, found, {"type": "string"})
        return wanted.rstrip("/") == found.rstrip("/")

    def _posted(self, sent: SentRequest) -> dict[str, Any] | None:
        """What was sent, without the fields that do not count."""
        found = sent.form()
        fields = sent.json() if found is None else found
        if not isinstance(fields, dict):
            return None
        ignored = self.ignored_post_data_patterns
        return {n: fields[n] for n in fields if not _found(ignored, n, ignore_case=False)}


def known(schema: Schema | None) -> Schema | None:
    """The schema itself; raises ValueError if it names a type that is not known here."""
    unknown = unknown_type(schema)
    if unknown:
        near = get_close_matches(unknown, TYPES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(
            f"there is no type {shown(unknown)} here to compare by; {hint}there are"
            f" {', '.join(TYPES)}"
        )
    return schema


def _url(address: str) -> Url:
    """An address as a person writes it: spaces stand in it as they are, # says nothing."""
    return Url(value=address.partition("#")[0].replace(" ", "%20"))


def _listed(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []


def _found(patterns: tuple[str, ...], name: str, *, ignore_case: bool = True) -> bool:
    return any(matches(one, name, how="search", ignore_case=ignore_case) for one in patterns)


def _query_of(part: str) -> str:
    """The query that a part of a path is in base64; empty if it is none."""
    text = unquote(part).replace("-", "+").replace("_", "/").rstrip("=,~")
    try:
        query = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return ""
    return query if re.fullmatch(r"[\w%\[\].+-]+=[^\s]*", query) else ""


def _object(found: object, most: int = LONGEST) -> dict[str, Any] | None:
    if not isinstance(found, str) or len(found) > most:
        return None
    try:
        answer = json.loads(found)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) and not too_deep(answer) else None


def _holds(
    found: Mapping[str, Any] | None, wanted: Mapping[str, Any], schema: Schema | None
) -> bool:
    """Whether every wanted field is there, and none that is said not to be."""
    if found is None:
        return False
    types = (schema or {}).get("properties") or {}
    for name, value in wanted.items():
        here = value_at(found, name) if is_path(name) else found.get(name)
        listed = (
            isinstance(value, list) and types.get(name, {"type": "array"}).get("type") == "array"
        )
        if listed and not isinstance(here, list):
            here = [here]
        if not fits(value, here, types.get(name) or ({"type": "array"} if listed else None)):
            return False
    return True
