"""An environment on another machine, used as one here: ``RemoteWebEnv("http://host:8000")``.

The server is ``webdojo serve``. Pages, browsers and task code stay there; observations, the same to
the last byte, come over.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NoReturn, Self
from urllib.parse import unquote, urlsplit, urlunsplit

from webdojo.envs.browser import BrowserDiedError
from webdojo.envs.core import NoEpisodeError, Step
from webdojo.envs.replay import ReplayError, catch_up, play
from webdojo.envs.serving.messages import MalformedError, read_observation, read_step
from webdojo.envs.serving.protocol import MAX_ACTION, asked_of, image_name
from webdojo.envs.spec import EnvSpec
from webdojo.tasks.errors import UserError
from webdojo.tasks.extras import install_command
from webdojo.tasks.task import Task

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from webdojo.envs.observation import Observation

KEY_VARIABLE = "WEBDOJO_API_KEY"
MAX_ANSWER = 1 << 26
"""Bytes of the longest answer that is read."""
CONNECT_TIMEOUT_S = 10.0
GRACE_S = 30.0
"""Real time beyond a step's own in which its answer must have come."""
SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


class RemoteError(BrowserDiedError):
    """The server, the way to it or the session on it is gone: the episode must be run again."""


@dataclass(frozen=True, slots=True)
class TaskFigures:
    """What a server tells of a task before an episode of it begins."""

    id: str
    horizon: int
    viewport: tuple[int, int]
    """Width and height in CSS pixels."""


class RemoteWebEnv:
    """Runs episodes of a server's tasks; the same methods and errors as ``WebEnv``.

    ``api_key`` is by default the password in ``url``, and then WEBDOJO_API_KEY. With ``tree``,
    observations bring the page's tree and its boxes, which oracles need. RemoteError, which is a
    BrowserDiedError, means that the server cannot be reached or has ended the session; the next
    ``reset`` tries to begin another.
    """

    def __init__(
        self,
        url: str,
        spec: EnvSpec | None = None,
        *,
        api_key: str | None = None,
        tree: bool = False,
    ) -> None:
        if find_spec("websockets") is None:
            raise UserError(f"remote environments need a package: `{install_command('remote')}`")
        self.spec = spec or EnvSpec()
        if self.spec.rules:
            raise UserError(
                "rules are functions and stay on this machine: prune_html(observation.tree,"
                " rules=…) applies them here, with RemoteWebEnv(…, tree=True)"
            )
        self.url, self._address, key = _parts(url)
        self._key = api_key or key or os.environ.get(KEY_VARIABLE)
        self._tree = tree
        self._connection: ClientConnection | None = None
        self._image = ("", b"")
        """The image that came last, behind its name."""
        self._task = ""
        self._seed = 0
        self._evaluation_s = 0.0
        self._done: list[str] = []
        self._hashes: list[str] = []
        self._refused: tuple[str, ...] = ()
        self._over = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def describe(self, task_id: str) -> TaskFigures:
        """What the server says of a task; raises UserError if it has none of that name."""
        answer = await self._ask("schema", {"task": task_id})
        try:
            told = answer["task"]
            self._evaluation_s = float(told["evaluation_s"])
            width, height = told["viewport"]
            return TaskFigures(str(told["id"]), int(told["horizon"]), (int(width), int(height)))
        except (KeyError, TypeError, ValueError) as error:
            await self._lose(f"an answer that cannot be read: {error!r}")

    async def reset(self, task: Task | str, seed: int) -> Observation:
        """Start the instance of the server's task of that name which ``seed`` chooses."""
        self._over = True
        task_id = task if isinstance(task, str) else task.id
        asked = {"task": task_id, "seed": seed, "images": "frames", "tree": self._tree}
        answer = await self._ask("reset", {**asked_of(self.spec), **asked})
        observation = await self._observed(answer)
        try:
            self._evaluation_s = float(answer["metadata"]["evaluation_s"])
            self._refused = tuple(map(str, answer["metadata"]["refused"]))
        except (KeyError, TypeError, ValueError) as error:
            await self._lose(f"an answer that cannot be read: {error!r}")
        self._task, self._seed, self._over = task_id, seed, False
        self._done, self._hashes = [], [observation.state_hash]
        return observation

    async def step(self, text: str) -> Step:
        """Do one action, let the page settle, look at it and judge it."""
        if self._over:
            raise NoEpisodeError("the episode is over: call reset first")
        self._over = True
        answer = await self._ask("step", {"action": text[:MAX_ACTION]})
        try:
            step = read_step(answer, await self._observed(answer))
        except MalformedError as error:
            await self._lose(str(error))
        self._over = step.terminated or step.truncated
        self._done.append(text)
        self._hashes.append(step.observation.state_hash)
        return step

    async def replay(self, actions: Sequence[str]) -> Observation:
        """Start the same instance anew and do these actions; see ``WebEnv.replay``."""
        if not self._task:
            raise NoEpisodeError("no episode to replay: call reset first")
        return (await play(self, self.reset(self._task, self._seed), actions))[-1]

    async def fork(self, step: int) -> RemoteWebEnv:
        """Another session, at the state that this episode had after ``step`` actions."""
        if not self._task or not 0 <= step <= len(self._done):
            raise ReplayError(f"the episode has {len(self._done)} steps; cannot fork at {step}")
        other = RemoteWebEnv(self.url, self.spec, api_key=self._key, tree=self._tree)
        begun = other.reset(self._task, self._seed)
        await catch_up(other, begun, self._done[:step], self._hashes[: step + 1])
        return other

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions of the running episode so far."""
        return tuple(self._done)

    def take_refused(self) -> tuple[str, ...]:
        """Addresses that the page asked for at the start and did not get; each is told once."""
        refused, self._refused = self._refused, ()
        return refused

    async def picture(self) -> bytes:
        """The page as it looks now, as PNG."""
        answer = await self._ask("render", {})
        try:
            return await self._picture(answer["screenshot"])
        except (KeyError, TypeError) as error:
            await self._lose(f"an answer that cannot be read: {error!r}")

    async def close(self) -> None:
        """End the session; closing twice is fine."""
        connection, self._connection = self._connection, None
        self._over = True
        if connection is not None:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await connection.close()

    async def _observed(self, answer: dict[str, Any]) -> Observation:
        try:
            written = answer["observation"]
            reference = written["screenshot"]
            image = await self._picture(reference) if reference else b""
            return read_observation(written, image)
        except (MalformedError, KeyError, TypeError) as error:
            await self._lose(f"an answer that cannot be read: {error!r}")

    async def _picture(self, reference: dict[str, Any]) -> bytes:
        name = reference["sha256"]
        if name != self._image[0]:
            image = await self._receive()
            if not isinstance(image, bytes) or image_name(image) != name:
                await self._lose("an image that is not the one announced")
            self._image = (name, image)
        return self._image[1]

    async def _ask(self, kind: str, data: dict[str, Any]) -> dict[str, Any]:
        """The data of the answer to a message; raises what an environment here would."""
        from websockets.exceptions import ConnectionClosed

        try:
            connection = await self._connected()
            await connection.send(json.dumps({"type": kind, "data": data}))
            answer = json.loads(await self._receive())
            told = dict(answer["data"])
        except ConnectionClosed as closed:
            await self._lose(_why(closed))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            await self._lose(f"an answer that cannot be read: {error!r}")
        except asyncio.CancelledError:
            # An answer that nobody waits for would be taken for that to the next question.
            await asyncio.shield(self.close())
            raise
        if answer.get("type") == "error":
            await self._raise(told)
        return told

    async def _receive(self) -> str | bytes:
        from websockets.exceptions import ConnectionClosed

        assert self._connection is not None
        patience_s = self.spec.step_timeout_s + self._evaluation_s + GRACE_S
        try:
            async with asyncio.timeout(patience_s):
                return await self._connection.recv()
        except TimeoutError:
            await self._lose(f"no answer within {patience_s:g} s")
        except ConnectionClosed as closed:
            await self._lose(_why(closed))

    async def _raise(self, told: dict[str, Any]) -> NoReturn:
        message = str(told.get("message", "it gave no reason"))
        kind = told.get("error")
        if kind == "UserError":
            raise UserError(message)
        if kind == "RuntimeError":
            raise NoEpisodeError(message)
        if kind == "BrowserDiedError":
            raise BrowserDiedError(message)
        await self._lose(message)

    async def _lose(self, why: str) -> NoReturn:
        await self.close()
        raise RemoteError(f"environment server {self.url}: {why}")

    async def _connected(self) -> ClientConnection:
        if self._connection is None:
            self._image = ("", b"")
            self._connection = await self._connect()
        return self._connection

    async def _connect(self) -> ClientConnection:
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidHandshake, InvalidStatus

        try:
            return await connect(
                self._address,
                additional_headers={"Authorization": f"Bearer {self._key}"} if self._key else None,
                compression=None,
                max_size=MAX_ANSWER,
                open_timeout=CONNECT_TIMEOUT_S,
                proxy=None if urlsplit(self._address).hostname in _HERE else True,
            )
        except InvalidStatus as refused:
            status = refused.response.status_code
            if status == 401:
                raise UserError(
                    f"environment server {self.url}: the API key is missing or wrong; give"
                    f" api_key=, or set {KEY_VARIABLE}"
                ) from None
            reason = _told(bytes(refused.response.body or b""))
            raise RemoteError(
                f"environment server {self.url}: it answered with status {status}{reason}"
            ) from None
        except (OSError, TimeoutError, InvalidHandshake) as error:
            raise RemoteError(
                f"no environment server answers at {self.url}: {error or type(error).__name__};"
                " start one with `webdojo serve`, or mend the address"
            ) from None


_HERE = frozenset({"127.0.0.1", "localhost", "::1"})


def _parts(url: str) -> tuple[str, str, str | None]:
    """An address without its key, that of its WebSocket, and the key; raises UserError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UserError(f"{url!r} is no address of an environment server: {error}") from None
    if parts.scheme not in SCHEMES or not host:
        raise UserError(
            f"{url!r} is no address of an environment server: write http://host:port or https://…"
        )
    place = f"[{host}]" if ":" in host else host
    place = place if port is None else f"{place}:{port}"
    path = parts.path.rstrip("/")
    address = urlunsplit((SCHEMES[parts.scheme], place, f"{path}/ws", "", ""))
    key = unquote(parts.password) if parts.password else None
    return urlunsplit((parts.scheme, place, path, "", "")), address, key


def _why(closed: Any) -> str:
    reason = closed.rcvd.reason if closed.rcvd else ""
    return f"the connection was lost{': ' if reason else ''}{reason}"


def _told(body: bytes) -> str:
    try:
        return f": {json.loads(body)['message']}"
    except (ValueError, KeyError, TypeError):
        return ""
