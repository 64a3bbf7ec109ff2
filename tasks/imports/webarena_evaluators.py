"""The two evaluators of WebArena-Verified's task files: an answer of fixed form, a request made."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from pydantic import Field, field_validator

from webdojo.tasks.evaluators.evaluator import Evaluator, Evidence, Match, Verdict, too_deep
from webdojo.tasks.evaluators.normalise import LONGEST, plain, shown
from webdojo.tasks.evaluators.recording import LONGEST_BODY, MORE_REQUESTS, SentRequest
from webdojo.tasks.evaluators.urls import Url
from webdojo.tasks.imports.json_paths import is_path, steps, value_at
from webdojo.tasks.imports.typed_values import TYPES, fits, is_pattern, unknown_type
from webdojo.tasks.sites.forms import Form, read_query

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
        if data is not None and fits(self.retrieved_data, data, schema, ordered=self.ordered):
            return ""
        return f"retrieved_data is {shown(data)}, not {shown(list(self.retrieved_data))}"


class NetworkEvent(Evaluator):
    """The last request of this method to one of these addresses carried what was expected.

    An address is written out or a regular expression, ``^…$``, for all of it but its query. With
    ``any_event`` one of the requests is enough, with ``absent`` there must be none. Fields of
    ``post_data`` and ``response_content`` may be paths into JSON; null: there is no such field.
    """

    kind: ClassVar[str] = "network_event"
    urls: tuple[str, ...] = Field(min_length=1)
    method: str = "GET"
    post_data: dict[str, Any] | None = None
    post_data_schema: Schema | None = None
    query: dict[str, Any] | None = None
    query_schema: Schema | None = None
    headers: dict[str, str | list[str]] = Field(default_factory=dict)
    status: int | None = None
    response_content: dict[str, Any] | None = None
    response_cookies: dict[str, str] | None = None
    ignored_query: tuple[str, ...] = ()
    ignored_query_patterns: tuple[str, ...] = ()
    query_in_path: bool = False
    """Whether parts of the path that are a query in base64 count as query."""
    any_event: bool = False
    absent: bool = False

    @field_validator("post_data_schema", "query_schema")
    @classmethod
    def _known(cls, schema: Schema | None) -> Schema | None:
        return known(schema)

    @field_validator("post_data", "response_content")
    @classmethod
    def _paths(cls, fields: dict[str, Any] | None) -> dict[str, Any] | None:
        for name in filter(is_path, fields or {}):
            if not name.removeprefix("$.").startswith("^"):
                steps(name)
        return fields

    @field_validator("urls", "ignored_query_patterns")
    @classmethod
    def _expressions(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            try:
                re.compile(text if is_pattern(text) else "")
            except re.error as error:
                raise ValueError(f"{text!r} is no regular expression: {error}") from None
        return texts

    async def judge(self, evidence: Evidence) -> Verdict:
        """Look through the requests of the episode."""
        if evidence.recorder is None:
            return Verdict(False, "the episode's requests were not recorded")
        await evidence.recorder.caught_up(evidence.page)
        if evidence.recorder.full and (self.absent or not self.any_event):
            return Verdict(False, MORE_REQUESTS)
        sent = [s for s in evidence.recorder.requests if s.method == self.method and self._here(s)]
        reasons = [self._difference(request) for request in sent]
        wanted = f"{self.method} {self.urls[0]}"
        if self.absent:
            made = not all(reasons) if reasons else False
            return Verdict(not made, f"{wanted} was made" if made else "")
        if not reasons:
            return Verdict(False, f"{wanted}: no such request was made")
        if self.any_event and not all(reasons):
            return Verdict(True)
        return Verdict(not reasons[-1], reasons[-1] and f"{wanted}: {reasons[-1]}")

    def _here(self, sent: SentRequest) -> bool:
        address, query = self._parts(sent.url)
        for wanted in self.urls:
            place, wanted_query = self._parts(wanted)
            if is_pattern(wanted):
                forms = (address, address.rstrip("/"))
                if any(re.fullmatch(wanted, form, re.IGNORECASE) for form in forms):
                    return True
            # Where a query is expected by itself, the address is compared without one.
            elif not Url(value=place).mismatch(address) and (
                self.query is not None or query == wanted_query
            ):
                return True
        return False

    def _parts(self, url: str) -> tuple[str, Form]:
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
        fields = read_query(query)
        return place, {name: fields[name] for name in fields if not self._ignores(name)}

    def _ignores(self, name: str) -> bool:
        return name in self.ignored_query or any(
            re.search(pattern, name, re.IGNORECASE) for pattern in self.ignored_query_patterns
        )

    def _difference(self, sent: SentRequest) -> str:
        return next(filter(None, self._differences(sent)), "")

    def _differences(self, sent: SentRequest) -> Iterator[str]:
        """What is not as expected, one after another; empty where something is."""
        yield "" if sent.status is not None and not sent.failed else "it was not answered"
        right = self.status in (None, sent.status)
        yield "" if right else f"it was answered with status {sent.status}"
        if self.query is not None:
            query = self._parts(sent.url)[1]
            right = query.keys() <= self.query.keys()
            right = right and _holds(query, self.query, self.query_schema)
            yield "" if right else f"its query was {shown(urlsplit(sent.url).query)}"
        if self.post_data is not None:
            right = _holds(_posted(sent), self.post_data, self.post_data_schema)
            yield "" if right else f"it carried {shown(sent.body)}"
        for name, value in self.headers.items():
            header = sent.headers.get(name.lower())
            yield "" if _same_header(value, header) else f"its header {name} was {header!r}"
        if self.response_content is not None:
            content = _object((sent.answer or b"").decode(errors="replace"), LONGEST_BODY)
            right = _holds(content, self.response_content, None)
            yield "" if right else f"its answer was {shown(sent.answer)}"
        for name, value in (self.response_cookies or {}).items():
            cookie = sent.cookies.get(name)
            right = fits(value, cookie, {"type": "string"})
            yield "" if right else f"its cookie {name} was {shown(cookie)}"


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


def _same_header(wanted: str | list[str], found: str | None) -> bool:
    if isinstance(wanted, list):
        return any(_same_header(one, found) for one in wanted)
    if found is None or is_pattern(wanted):
        return fits(wanted, found, {"type": "string"})
    return wanted.rstrip("/") == found.rstrip("/")


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


def _posted(sent: SentRequest) -> Form | dict[str, Any] | None:
    form = sent.form()
    if form is not None:
        return form
    found = sent.json()
    return found if isinstance(found, dict) else None


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
