"""Network events: a request with this method, address and body was made."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from webdojo.tasks.evaluators.evaluator import Evaluator, Evidence, Verdict
from webdojo.tasks.evaluators.recording import MORE_REQUESTS, UNKNOWN_BODY, SentRequest
from webdojo.tasks.evaluators.urls import Url
from webdojo.tasks.evaluators.values import JsonValue, holds_json, same_json

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Request(Evaluator):
    """A page of the episode made this request, and it was answered without an error.

    ``json_body`` and ``form`` must be the whole body unless ``partial``. ``status`` demands one
    answer; without it any below 400 will do. ``times`` demands a number of such requests. With 0
    none may have been sent, however it was answered, if at all; with ``status`` too none that was
    or may have been answered with it.

    A file in a form is its content or, where the browser does not tell that, as of one on a disk,
    its name. No body is known of more than 1 MiB, nor of a worker's request with a file or a Blob,
    nor of a page's that goes on before it can be asked for. It is not the wanted one, and where
    ``times`` counts such requests the verdict is against them.
    Example: ``Request(method="POST", url="/api/cart", json_body={"sku": "R1"})``.
    """

    kind: ClassVar[str] = "request"
    method: Method = "GET"
    url: Url
    json_body: JsonValue = None
    form: dict[str, Any] | None = None
    headers: dict[Annotated[str, Field(min_length=1)], str] = Field(default_factory=dict)
    partial: bool = False
    status: int | None = Field(None, ge=100, le=599)
    times: int | None = Field(None, ge=0)

    @field_validator("url", mode="before")
    @classmethod
    def _written_out(cls, value: object) -> object:
        if isinstance(value, dict):
            return {key: value[key] for key in value if key != "type"}
        return {"value": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_body(self) -> Request:
        if self.json_body is not None and self.form is not None:
            raise ValueError("json_body and form are both given; a request has one body")
        if self.url.fragment:
            raise ValueError("url: what follows # is never sent; leave it and fragment out")
        return self

    @property
    def needs_bodies(self) -> bool:
        """If it names one."""
        return self.json_body is not None or self.form is not None

    async def judge(self, evidence: Evidence) -> Verdict:
        """Look through the requests of the episode."""
        if evidence.recorder is None:
            return Verdict(False, "the episode's requests were not recorded")
        await evidence.recorder.caught_up(evidence.page)
        near: list[str] = []
        found = 0
        unknown = False
        for sent in evidence.recorder.requests:
            if sent.method == self.method and not self.url.mismatch(sent.url):
                reason = self._difference(sent)
                found += not reason
                near += [reason] * bool(reason)
                unknown |= reason == UNKNOWN_BODY
        wanted = f"{self.method} {self.url.value}"
        if self.times is not None:
            if evidence.recorder.full:
                return Verdict(False, MORE_REQUESTS)
            if unknown:
                return Verdict(False, f"{wanted}: {UNKNOWN_BODY}")
            right = found == self.times
            return Verdict(right, "" if right else f"{wanted}: made {found} times")
        if found:
            return Verdict(True)
        told = f": {near[-1]}" if near else ""
        return Verdict(False, f"{wanted}: no such request was made{told}")

    def _difference(self, sent: SentRequest) -> str:
        if wrong := self._wrong_answer(sent.status):
            return wrong
        for name, value in self.headers.items():
            if sent.headers.get(name.lower()) != value:
                return f"its header {name} was {sent.headers.get(name.lower())!r}"
        if self.needs_bodies and not sent.body_known:
            return UNKNOWN_BODY
        same = holds_json if self.partial else same_json
        if self.json_body is not None and not same(sent.json(), self.json_body):
            return f"its body was {_cut(sent.body)}"
        if self.form is not None and not same(sent.form(), _as_sent(self.form)):
            return f"its form was {json.dumps(sent.form())[:200]}"
        return ""

    def _wrong_answer(self, status: int | None) -> str:
        if status is None:
            return "" if self.times == 0 else "it was not answered"
        anything = status < 400 or self.times == 0
        right = anything if self.status is None else status == self.status
        return "" if right else f"it was answered with status {status}"


def _as_sent(form: dict[str, Any]) -> dict[str, Any]:
    """A form's values as text, which is all that a form can hold."""
    return {
        name: [str(part) for part in value] if isinstance(value, list) else str(value)
        for name, value in form.items()
    }


def _cut(body: bytes | None) -> str:
    return repr((body or b"")[:200].decode(errors="replace"))
