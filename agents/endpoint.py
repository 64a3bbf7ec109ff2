"""Agents behind any OpenAI-compatible endpoint, for evaluation: messages out, an action back.

They are named ``openai:MODEL@URL``, as in ``openai:qwen3-vl-8b@http://localhost:8000/v1``. Without
``@URL`` it is ``OPENAI_BASE_URL``, or OpenAI's own. The key is taken from ``OPENAI_API_KEY``.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
from base64 import b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import SplitResult, urlsplit

from webdojo.agents.agent import Decision
from webdojo.agents.engines.engine import ContextOverflowError
from webdojo.agents.layouts.chat import ChatLayout
from webdojo.agents.layouts.layout import HISTORY, Shot, Vision
from webdojo.agents.layouts.prompt_files import STYLES
from webdojo.agents.pictures import Picture
from webdojo.agents.posting import Answer, NoAnswerError, post
from webdojo.envs.observation import Observation
from webdojo.tasks.errors import UserError
from webdojo.tasks.retry_after import seconds_of
from webdojo.tasks.task import Task

PREFIX = "openai:"
KEY, BASE = "OPENAI_API_KEY", "OPENAI_BASE_URL"
OPENAI_URL = "https://api.openai.com/v1"
PAGE_CHARACTERS = 60_000
"""Longest page that is sent; what is longer is cut and says so."""
MOST_AT_ONCE = 1024
"""Requests at once in a process, each of an episode."""
MOST_PAUSE_S = 60.0
"""Longest pause before an attempt, whatever the endpoint asks for."""
_PASSING = (408, 409, 425, 429, 500, 502, 503, 504, 529)
"""HTTP statuses after which asking again may help."""
_LIMITS = ("max_tokens", "max_completion_tokens")
"""Names of the longest answer's length; OpenAI's reasoning models take the second alone."""
_TOO_LONG = re.compile(
    r"context.?(?:length|window|size)|too many (?:input )?tokens|(?:prompt|input) is too long"
    r"|longer than the (?:maximum )?model|exceeds? the (?:model'?s )?max\w* (?:number of )?tokens",
    re.IGNORECASE,
)
"""What endpoints say, with status 400 or 413, of a prompt that the model's context cannot hold."""
_TEMPLATE_TOKEN = re.compile(r"<(?=\|\w[^|<>\n]{0,40}\|>)")
_ADDRESS = re.compile(
    r"\s*(?:https?:|//|localhost\b|\[|[\w.-]+:\d|\d+(?:\.\d+){3}|[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}/)",
    re.IGNORECASE,
)
"""What follows the last ``@`` of a name and is meant as an address."""
# A thread is made only when all there are wait for an answer.
_REQUESTS = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="endpoint")


@dataclass
class Endpoint:
    """Where a model is served, and how patiently it is asked."""

    model: str
    url: str
    key: str = field(default="", repr=False)
    timeout_s: float = 120.0
    """Real time that one answer may take, from asking to its last byte."""
    attempts: int = 5
    pause_s: float = 1.0
    """Pause before the second attempt; it doubles with each, up to ``MOST_PAUSE_S``, and is as
    long as the endpoint asks for if that is longer."""
    _limit: str = field(default=_LIMITS[0], init=False, repr=False, compare=False)
    _answered: bool = field(default=False, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """UserError, which does not show it, for a key that no header can hold."""
        if not (self.key.isascii() and self.key.isprintable()) or " " in self.key:
            raise UserError(
                f"{KEY} holds characters that no key has, such as a space, a line's end or an"
                " accent: set it to the key alone"
            )

    async def complete(self, body: Mapping[str, Any]) -> str:
        """Ask for a chat completion, again if that may help; gives what it says.

        ``max_tokens`` is called what the endpoint calls it. Raises ContextOverflowError for what is
        longer than the model takes, and UserError if the endpoint cannot be reached, refuses, or
        answers with something else: EndpointFailedError if it has answered before.
        """
        try:
            said = await self._complete(body)
        except UserError as error:
            if self._answered:
                raise EndpointFailedError(str(error)) from error
            raise
        self._answered = True
        return said

    async def _complete(self, body: Mapping[str, Any]) -> str:
        reason, asked_for_s = "", 0.0
        for attempt in range(self.attempts):
            if attempt:
                await asyncio.sleep(self._pause(attempt, asked_for_s))
            try:
                return await asyncio.get_running_loop().run_in_executor(_REQUESTS, self._ask, body)
            except _PassingError as error:
                reason, asked_for_s = str(error), error.asked_for_s
        raise UserError(
            f"{self.url} did not answer in {self.attempts} attempts ({reason}); see that it is up"
            " and serves this model"
        )

    def _pause(self, attempt: int, asked_for_s: float) -> float:
        # Chance keeps the episodes that were refused together from coming back together.
        own = self.pause_s * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)
        return float(min(MOST_PAUSE_S, max(own, asked_for_s * random.uniform(1, 1.25))))

    def _ask(self, body: Mapping[str, Any]) -> str:
        limit = self._limit
        try:
            return self._post(_limited(body, limit))
        except _OtherLimitError:
            if limit == _LIMITS[1]:
                raise
        self._limit = _LIMITS[1]
        return self._post(_limited(body, _LIMITS[1]))

    def _post(self, body: Mapping[str, Any]) -> str:
        headers = {"Content-Type": "application/json", "User-Agent": "webdojo"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        asked = json.dumps({"model": self.model, **body}).encode()
        try:
            answer = post(f"{self.url}/chat/completions", asked, headers, self.timeout_s)
        except NoAnswerError as error:
            raise _PassingError(str(error)) from None
        except OverflowError as error:
            raise UserError(f"{self.url}: {error}; see what is served there") from None
        if answer.status != 200:
            raise self._refusal(answer)
        try:
            return _said(json.loads(answer.body))
        except (ValueError, LookupError, TypeError, RecursionError):
            raise UserError(
                f"{self.url} answers, but not as a chat completion: {self._quoted(answer.body)!r};"
                " give the address that ends before /chat/completions, such as"
                " http://localhost:8000/v1"
            ) from None

    def _refusal(self, answer: Answer) -> Exception:
        status, told = answer.status, self._quoted(answer.body)
        with suppress(ValueError, LookupError, TypeError, RecursionError):  # not in OpenAI's form
            told = self._quoted(str(json.loads(answer.body)["error"]["message"]).encode())
        if status in (400, 413) and _TOO_LONG.search(told):
            return ContextOverflowError(f"{self.url} takes no prompt as long: {told}")
        if status in _PASSING:
            return _PassingError(f"HTTP {status}: {told}", seconds_of(answer.retry_after))
        if 300 <= status < 400:
            return UserError(
                f"{self.url} sends its callers on to {self._quoted(answer.location.encode())!r}"
                f" (HTTP {status}), where the key is not taken: give that address if it is right"
            )
        way_out = {
            401: f"set {KEY} to a key that it takes",
            403: f"set {KEY} to a key that may use this model",
            404: "see that the address and the model's name are right",
        }.get(status, "see what it says of the request")
        kind = UserError
        if status == 400 and _LIMITS[1] in told:
            kind = _OtherLimitError
        elif status == 400 and "temperature" in told:
            way_out += "; one that draws at temperature 1 alone can be played with --mode sampled"
        return kind(f"{self.url} refuses {self.model!r} (HTTP {status}: {told}); {way_out}")

    def _quoted(self, text: bytes) -> str:
        """The beginning of what an endpoint said, safe to be shown: one line, without the key."""
        told = text[:10_000].decode(errors="replace")
        if self.key:
            told = told.replace(self.key, "…")
        return " ".join("".join(c if c.isprintable() else " " for c in told).split())[:200]


class EndpointFailedError(UserError):
    """An endpoint that has answered before does not answer this: others it may."""


class _PassingError(Exception):
    """An attempt that failed in a way that may pass."""

    def __init__(self, reason: str, asked_for_s: float = 0.0) -> None:
        super().__init__(reason)
        self.asked_for_s = asked_for_s


class _OtherLimitError(UserError):
    """A refusal that names the other name of the longest answer's length."""


def is_endpoint(name: str) -> bool:
    """Whether an agent's name is that of an endpoint."""
    return name.startswith(PREFIX)


def find_endpoint(name: str, **patience: Any) -> Endpoint:
    """The endpoint of a name such as ``openai:MODEL@URL``; ``patience`` is ``Endpoint``'s.

    Raises UserError if the name is malformed, or a key is needed and not there.
    """
    model, at, url = name.removeprefix(PREFIX).partition("@http")
    # The key and the pages must not go elsewhere because an address lacks its beginning.
    told, marked, address = name.rpartition("@")
    if marked and not at and _ADDRESS.match(address):
        meant = "http://" + re.sub(r"^\s*(\w*:)?/*", "", address, flags=re.IGNORECASE)
        raise UserError(
            f"{name!r}: an address begins with http:// or https://; write {told}@{meant}"
        )
    url = f"http{url}" if at else os.environ.get(BASE) or OPENAI_URL
    url = url.rstrip("/").removesuffix("/chat/completions")
    parts = _parts(url)
    if parts is None and not at:
        raise UserError(f"{BASE} is no address: give it as http://localhost:8000/v1 is given")
    if not model or parts is None:
        raise UserError(
            f"{name!r} is no endpoint: write openai:MODEL@URL, such as"
            " openai:my-model@http://localhost:8000/v1"
        )
    key = os.environ.get(KEY, "").strip()
    if not key and parts.hostname == urlsplit(OPENAI_URL).hostname:
        raise UserError(f"{url} needs a key: set {KEY}")
    return Endpoint(model, url, key, **patience)


def endpoint_layout(
    name: str | None, vision: Vision | None, history: int | None = None
) -> ChatLayout:
    """The layout of that name, if it is a chat's, else ``chat``; UserError as ``ChatLayout``."""
    chat = name if name in STYLES else "chat"
    return ChatLayout(chat, HISTORY if history is None else history, vision)


class EndpointAgent:
    """A model behind an endpoint, for one episode.

    Tokens and log-probabilities stay with the endpoint: its decisions carry the action only.
    A layout that shows screenshots has them sent along, the last few of the episode.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        layout: ChatLayout,
        *,
        temperature: float,
        max_tokens: int,
        seed: int,
    ) -> None:
        self._endpoint = endpoint
        self._layout = layout
        self._drawing = {"temperature": temperature, "max_tokens": max_tokens}
        self._seed = seed
        self._history: list[str] = []
        self._pending: str | None = None
        self._shots: list[Shot] = []
        self._images: dict[str, bytes] = {}

    @property
    def modes(self) -> tuple[str, ...]:
        """Those of the layout."""
        return self._layout.modes

    async def act(self, observation: Observation) -> Decision:
        """Ask the endpoint; UserError if it cannot be had."""
        if self._pending is not None:
            error, changed = observation.last_action_error, observation.page_changed
            self._history.append(self._layout.remember(self._pending, error, changed))
        page = self._layout.shortened(observation, observation.pruned_html, PAGE_CHARACTERS)
        self._pending = response = await self._endpoint.complete(
            {
                "messages": self._messages(observation, page),
                "seed": self._seed + observation.elapsed_steps,
                **self._drawing,
            }
        )
        return Decision(action=self._layout.action(response), remembered=response)

    def _messages(self, observation: Observation, page: str) -> list[dict[str, Any]]:
        if self._layout.vision is None:
            system, user = self._layout.messages(observation, page, self._history)
            return [system, user | {"content": _harmless(user["content"])}]
        reference = sha256(observation.screenshot).hexdigest()
        self._images[reference] = observation.screenshot
        # How many tokens an image takes is the endpoint's business.
        picture = Picture(reference, (0, 0, 0), 0)
        self._shots.append(Shot(observation.elapsed_steps + 1, picture))
        shown = self._layout.window_of(self._shots)
        self._shots = self._shots[-self._layout.vision.images :]
        self._images = {s.picture.reference: self._images[s.picture.reference] for s in self._shots}
        system, user = self._layout.messages(observation, page, self._history, shown)
        left = iter(shown)
        parts = [
            _image(self._images[next(left).picture.reference])
            if part["type"] == "image"
            else part | {"text": _harmless(part["text"])}
            for part in user["content"]
        ]
        return [system, {"role": "user", "content": parts}]


@dataclass(frozen=True)
class EndpointAgents:
    """Makes agents of one endpoint, which learns of itself once; ``layout`` is that of a chat."""

    endpoint: Endpoint
    layout: str | None
    max_tokens: int
    temperature: float
    vision: Vision | None = None
    history: int | None = None

    def __call__(self, task: Task, seed: int) -> EndpointAgent:
        """An agent whose answers are asked for with ``seed``."""
        return EndpointAgent(
            self.endpoint,
            endpoint_layout(self.layout, self.vision, self.history),
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            seed=seed,
        )


def _limited(body: Mapping[str, Any], limit: str) -> dict[str, Any]:
    return {limit if name in _LIMITS else name: value for name, value in body.items()}


def _harmless(text: str) -> str:
    """Text without what most chat templates spell their tokens like, as in ``<|im_end|>``.

    Those of another spelling are the endpoint's to take apart: it knows its tokenizer.
    """
    return _TEMPLATE_TOKEN.sub("< ", text)


def _image(image: bytes) -> dict[str, Any]:
    """A screenshot as OpenAI's chat messages hold it."""
    kind = "png" if image.startswith(b"\x89PNG") else "webp" if image[8:12] == b"WEBP" else "jpeg"
    url = f"data:image/{kind};base64,{b64encode(image).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def _parts(url: str) -> SplitResult | None:
    """A web address taken apart; None if it is none, or holds more than host, port and path."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    plain = url.isascii() and url.isprintable() and not set(url) & set(" @?#")
    fits = parts.scheme in ("http", "https") and parts.hostname and port != 0
    return parts if plain and fits else None


def _said(found: Any) -> str:
    """The text of a chat completion; raises LookupError, TypeError or ValueError if it is none."""
    content = found["choices"][0]["message"]["content"]
    if content is None:
        return ""  # a model that only called a tool, or was cut short while thinking
    if isinstance(content, list):
        content = "".join(part["text"] for part in content if part["type"] == "text")
    if not isinstance(content, str):
        raise TypeError(f"the content of a message is text, not {type(content).__name__}")
    # JSON can spell halves of characters, which no tokenizer or file takes.
    return content.encode(errors="replace").decode()
