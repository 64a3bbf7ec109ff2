"""A language model as a judge, behind any OpenAI-compatible endpoint.

One question, one JSON verdict. Every failure (no connection, an error status, a reply that is no
such JSON) is tried again a bounded number of times and then raised: it is never taken for a yes.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from webdojo.tasks.errors import UserError
from webdojo.tasks.evaluators.judge_questions import Question, checked, read_verdict
from webdojo.tasks.retry_after import seconds_of

LONGEST_REPLY = 1 << 20
MOST_TOKENS = 1 << 40
"""A reply that counts more has counted wrong."""
PARALLEL = 8
"""Questions that are asked at once."""
LONGEST_REFUSAL = 4096
MOST_PAUSE_S = 60.0
"""Longest pause before a try that an endpoint is granted."""
_WORTH_ANOTHER_TRY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_OF_WHAT_IS_ASKED = frozenset({400, 413, 422})
"""Statuses that may be for this question alone."""
_LIMITS = ("max_tokens", "max_completion_tokens")
"""Names of the longest reply's length; OpenAI's reasoning models take the second alone."""


class JudgeSettings(BaseModel):
    """Where the judge is and what it costs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    """Base of the endpoint, such as ``http://localhost:8000/v1``."""
    model: str
    api_key: str = Field("", repr=False)
    timeout_s: float = Field(60.0, gt=0, le=3600)
    """Real time for one reply."""
    tries: int = Field(3, ge=1, le=20)
    backoff_s: float = Field(1.0, ge=0, le=60)
    """Pause before the second try; it doubles with each."""
    max_tokens: int = Field(1024, gt=0)
    input_price: float = Field(0.0, ge=0, allow_inf_nan=False)
    """USD for a million tokens read."""
    output_price: float = Field(0.0, ge=0, allow_inf_nan=False)
    """USD for a million tokens written."""
    cache: Path | None = None
    """Folder for verdicts, shared by processes; without it they are kept while this one runs."""

    @field_validator("url")
    @classmethod
    def _is_web(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} must begin with http:// or https://")
        return url

    @classmethod
    def from_environment(cls) -> JudgeSettings:
        """Settings by ``WEBDOJO_JUDGE_…``; raises UserError where URL or MODEL are missing."""
        found = {
            name: value
            for name in cls.model_fields
            if (value := os.environ.get(f"WEBDOJO_JUDGE_{name.upper()}"))
        }
        if not {"url", "model"} <= found.keys():
            raise UserError(
                "this task is judged by a model: set WEBDOJO_JUDGE_URL to an OpenAI-compatible"
                " endpoint, such as http://localhost:8000/v1, and WEBDOJO_JUDGE_MODEL to a model"
                " that it serves (and WEBDOJO_JUDGE_API_KEY, if it wants one)"
            )
        try:
            return cls.model_validate(found)
        except ValueError as error:
            first = str(error).splitlines()[1:3]
            raise UserError(f"WEBDOJO_JUDGE_…: {' '.join(first)}") from None


@dataclass
class JudgeCounters:
    """What judging has taken so far."""

    questions: int = 0
    cached: int = 0
    """Of ``questions``, answered from the cache."""
    requests: int = 0
    """Sent to the endpoint, tries included."""
    retries: int = 0
    verdicts: int = 0
    """Of ``questions``, answered by the endpoint."""
    failed: int = 0
    """Questions that got no usable verdict."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    seconds: float = 0.0
    """Real time spent waiting for replies, summed over questions asked at once."""

    def as_dict(self) -> dict[str, float]:
        """All of them by name."""
        return asdict(self)


class JudgeFailedError(Exception):
    """No usable verdict was had; ``away`` says that it was not for what was asked."""

    def __init__(self, reason: str, *, away: bool = False) -> None:
        super().__init__(reason)
        self.away = away


@dataclass
class Judge:
    """Asks questions; the same one is asked once."""

    settings: JudgeSettings
    counters: JudgeCounters = field(default_factory=JudgeCounters)

    def __post_init__(self) -> None:
        self._threads = ThreadPoolExecutor(PARALLEL, thread_name_prefix="webdojo-judge")
        self._known: dict[str, dict[str, bool]] = {}
        self._limit = _LIMITS[0]
        self._lock = threading.Lock()

    async def ask(self, question: Question) -> dict[str, bool]:
        """The verdict, by key; raises JudgeFailedError if there is none to be had."""
        self.counters.questions += 1
        key = self._cache_key(question)
        known = await asyncio.to_thread(self._look_up, key, question.keys)
        if known is not None:
            self.counters.cached += 1
            return known
        began = time.monotonic()
        try:
            verdict = await self._ask(question)
        except JudgeFailedError:
            self.counters.failed += 1
            raise
        finally:
            self.counters.seconds += time.monotonic() - began
        self.counters.verdicts += 1
        await asyncio.to_thread(self._keep, key, verdict)
        return verdict

    async def _ask(self, question: Question) -> dict[str, bool]:
        request = {
            "model": self.settings.model,
            "messages": question.messages(),
            "temperature": 0,
        }
        loop = asyncio.get_running_loop()
        trouble, away, asked_for_s = "", False, 0.0
        for number in range(self.settings.tries):
            if number:
                self.counters.retries += 1
                own_s = self.settings.backoff_s * 2 ** (number - 1)
                await asyncio.sleep(max(own_s, min(asked_for_s, MOST_PAUSE_S)))
            asked_for_s = 0.0
            try:
                reply = await loop.run_in_executor(self._threads, self._post, request)
            except _FinalError as error:
                raise JudgeFailedError(str(error), away=error.away) from None
            except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
                trouble, away = _told(error), True
                asked_for_s = error.asked_for_s if isinstance(error, _BusyError) else 0.0
                continue
            try:
                return read_verdict(self._text(reply), question.keys)
            except (ValueError, RecursionError) as error:
                trouble, away = _told(error), False
        raise JudgeFailedError(
            f"no verdict from {self.settings.url} in {self.settings.tries} tries; {trouble}",
            away=away,
        )

    def _post(self, request: dict[str, Any]) -> Any:
        limit = self._limit
        try:
            return self._send({**request, limit: self.settings.max_tokens})
        except _FinalError as error:
            if limit == _LIMITS[1] or not error.other_limit:
                raise
        self._limit = _LIMITS[1]
        return self._send({**request, self._limit: self.settings.max_tokens})

    def _send(self, asked: dict[str, Any]) -> Any:
        with self._lock:
            self.counters.requests += 1
        request = urllib.request.Request(  # noqa: S310  # the scheme is checked in the settings
            self.settings.url.rstrip("/") + "/chat/completions",
            data=json.dumps(asked).encode(),
            headers={
                "Content-Type": "application/json",
                **({"Authorization": f"Bearer {key}"} if (key := self.settings.api_key) else {}),
            },
        )
        try:
            with _OPENER.open(request, timeout=self.settings.timeout_s) as answer:
                return json.loads(answer.read(LONGEST_REPLY))
        except urllib.error.HTTPError as error:
            said = error.read(LONGEST_REFUSAL).decode(errors="replace")
            told = f"status {error.code}: {said[:300]}"
            if error.code in _WORTH_ANOTHER_TRY:
                asked_for_s = seconds_of(error.headers.get("Retry-After", ""))
                raise _BusyError(told, asked_for_s) from None
            raise _FinalError(
                f"{self.settings.url} answered with {told}",
                away=error.code not in _OF_WHAT_IS_ASKED,
                other_limit=error.code == 400 and _LIMITS[1] in said,
            ) from None

    def _text(self, reply: Any) -> str:
        """The reply's text; its cost is counted whether it is of use or not."""
        if not isinstance(reply, dict):
            raise ValueError("the reply is no JSON object")
        told = reply.get("usage")
        usage = told if isinstance(told, dict) else {}
        read, written = (
            count if isinstance(count := usage.get(name), int) and 0 <= count < MOST_TOKENS else 0
            for name in ("prompt_tokens", "completion_tokens")
        )
        self.counters.prompt_tokens += read
        self.counters.completion_tokens += written
        prices = self.settings.input_price, self.settings.output_price
        self.counters.cost_usd += (read * prices[0] + written * prices[1]) / 1e6
        try:
            choice = reply["choices"][0]
            text = choice["message"]["content"]
        except (KeyError, IndexError, TypeError):
            raise ValueError("the reply has no choices[0].message.content") from None
        if choice.get("finish_reason") == "length":
            raise ValueError("the reply was cut off")
        if not isinstance(text, str):
            raise ValueError("the reply holds no text")
        return text

    # The cache ----------------------------------------------------------------------------------

    def _cache_key(self, question: Question) -> str:
        asked = f"{self.settings.url}\n{self.settings.model}\n{question.content_key}"
        return sha256(asked.encode()).hexdigest()

    def _look_up(self, key: str, keys: tuple[str, ...]) -> dict[str, bool] | None:
        with self._lock:
            if key in self._known:
                return self._known[key]
        if self.settings.cache is None:
            return None
        try:
            found = json.loads((self.settings.cache / f"{key}.json").read_text(encoding="utf-8"))
            return checked(found, keys)
        except (OSError, ValueError):
            return None  # not there, or damaged: it is asked again

    def _keep(self, key: str, verdict: dict[str, bool]) -> None:
        with self._lock:
            self._known[key] = verdict
        if self.settings.cache is None:
            return
        try:
            self.settings.cache.mkdir(parents=True, exist_ok=True)
            partial = self.settings.cache / f"{key}.{os.getpid()}.{threading.get_ident()}.partial"
            partial.write_text(json.dumps(verdict), encoding="utf-8")
            partial.replace(self.settings.cache / f"{key}.json")
        except OSError:
            pass  # a full disk costs a question asked again, no verdict


class _BusyError(OSError):
    """The endpoint has refused, and asks for a pause of so many seconds."""

    def __init__(self, told: str, asked_for_s: float) -> None:
        super().__init__(told)
        self.asked_for_s = asked_for_s


class _FinalError(Exception):
    """The endpoint has refused, and would again.

    ``away`` says that it would refuse whatever is asked, ``other_limit`` that it wants the other
    name of the longest reply's length.
    """

    def __init__(self, told: str, *, away: bool, other_limit: bool) -> None:
        super().__init__(told)
        self.away, self.other_limit = away, other_limit


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is refused: the key is for the endpoint that was named, and no other host."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


_judges: dict[JudgeSettings, Judge] = {}


def judging() -> dict[str, float]:
    """What all judges of this process have taken so far, by name; empty if nothing was asked."""
    counted = [judge.counters.as_dict() for judge in list(_judges.values())]
    if not any(each["questions"] for each in counted):
        return {}
    return {name: sum(each[name] for each in counted) for name in counted[0]}


def judge_of(settings: JudgeSettings) -> Judge:
    """The judge of these settings; one for the whole process, so that it asks nothing twice."""
    return _judges.setdefault(settings, Judge(settings))
