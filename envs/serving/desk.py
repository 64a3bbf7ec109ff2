"""The desk: takes requests, opens sessions up to a limit, and closes those nobody asks any more."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from webdojo.envs.browser import BrowserDiedError, Chromium
from webdojo.envs.serving.protocol import (
    ActionRequest,
    EpisodeRequest,
    RequestError,
    read_action,
    read_episode,
)
from webdojo.envs.serving.session import Limits, Session
from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.task import Task

_log = logging.getLogger(__name__)


class Desk:
    """Sessions in contexts of one Chromium, on some tasks; the first is played where none is named.

    Whatever goes wrong is a RequestError.
    """

    def __init__(self, chromium: Chromium, task_ids: tuple[str, ...], limits: Limits) -> None:
        self.limits = limits
        self.task_ids = task_ids
        self._offered = frozenset(task_ids)
        self._chromium = chromium
        self._sessions: dict[str, Session] = {}
        self._connections = 0

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Count a request under way, and a WebSocket for as long as it is open."""
        if self._connections >= self.limits.connections:
            raise RequestError("CAPACITY_REACHED", "too many connections: try again later")
        self._connections += 1
        try:
            yield
        finally:
            self._connections -= 1

    def open(self) -> Session:
        """A new session."""
        if len(self._sessions) >= self.limits.sessions:
            raise RequestError(
                "CAPACITY_REACHED",
                f"all {self.limits.sessions} sessions are taken: close one, try again later,"
                " or start the server with a higher --max-sessions",
            )
        session = Session(self._chromium, self.limits)
        self._sessions[session.id] = session
        return session

    def find(self, session_id: str | None) -> Session:
        """The session of that id."""
        session = self._sessions.get(session_id or "")
        if session is None:
            raise RequestError(
                "SESSION_ERROR",
                "no such session: it was closed, was idle for too long, or never was;"
                " reset opens one and names it in metadata.session_id",
            )
        return session

    async def reset(self, session: Session, data: Any) -> dict[str, Any]:
        """Start an episode."""
        asked = read_episode(data)
        return await self._heard(session, session.reset(self.task(asked.task), asked))

    async def step(self, session: Session, data: Any) -> dict[str, Any]:
        """Do one action."""
        action = read_action(data)
        return await self._heard(session, session.step(action))

    async def picture(self, session: Session) -> dict[str, Any]:
        """Show the page as it is."""
        return await self._heard(session, session.picture())

    async def close(self, session: Session) -> None:
        """End a session; its page and context go at once. Ending it twice is fine."""
        self._sessions.pop(session.id, None)
        await asyncio.shield(session.close())

    async def close_all(self) -> None:
        """End every session."""
        await asyncio.gather(*map(self.close, list(self._sessions.values())))

    def task(self, task_id: str | None) -> Task:
        """A task that is offered."""
        wanted = self.task_ids[0] if task_id is None else task_id
        try:
            task = registry.get(wanted)
        except UserError as unknown:
            raise RequestError("VALIDATION_ERROR", str(unknown), "UserError") from None
        if wanted not in self._offered:
            message = f"this server does not offer {wanted!r}, but {_some(self.task_ids)}"
            raise RequestError("VALIDATION_ERROR", message, "UserError")
        return task

    def image(self, name: str) -> tuple[bytes, str] | None:
        """One of the latest images of any session, and its format."""
        for session in self._sessions.values():
            if name in session.images:
                return session.images[name]
        return None

    def schema(self, task_id: str | None) -> dict[str, Any]:
        """JSON schemas of actions, observations and state; with a task's id, its figures too."""
        from webdojo.envs.serving.schema import OBSERVATION_SCHEMA, STATE_SCHEMA

        told: dict[str, Any] = {
            "action": ActionRequest.model_json_schema(),
            "observation": OBSERVATION_SCHEMA,
            "state": STATE_SCHEMA,
            "reset": EpisodeRequest.model_json_schema(),
        }
        if task_id is not None:
            task = self.task(task_id)
            told["task"] = {
                "id": task.id,
                "suite": task.suite,
                "difficulty": task.difficulty,
                "horizon": task.horizon,
                "viewport": task.viewport,
                "evaluation_s": task.evaluation_s,
            }
        return told

    @asynccontextmanager
    async def reaping(self) -> AsyncIterator[None]:
        """Close sessions that have been idle for too long, for as long as the block runs."""
        reaper = asyncio.create_task(self._reap())
        try:
            yield
        finally:
            reaper.cancel()

    async def _reap(self) -> None:
        while True:
            await asyncio.sleep(min(self.limits.idle_s / 4, 5.0))
            before_s = time.monotonic() - self.limits.idle_s
            for session in list(self._sessions.values()):
                if session.used_s < before_s and not session.busy.locked():
                    _log.info("session %s: idle for %g s, closed", session.id, self.limits.idle_s)
                    await self.close(session)

    async def _heard(
        self, session: Session, work: Coroutine[Any, Any, dict[str, Any]]
    ) -> dict[str, Any]:
        """Do the work, one at a time a session, and turn what goes wrong into what is told."""
        if session.busy.locked():
            work.close()
            raise RequestError("SESSION_ERROR", "the session is busy with another request")
        async with session.busy:
            try:
                return await work
            except UserError as error:
                raise RequestError("VALIDATION_ERROR", str(error), "UserError") from None
            except BrowserDiedError as died:
                raise RequestError("EXECUTION_ERROR", str(died), "BrowserDiedError") from None
            except RequestError:
                raise
            except Exception as error:  # a task's own fault: told, and logged with its traceback
                _log.exception("session %s", session.id)
                message = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
                raise RequestError("EXECUTION_ERROR", message) from error
            finally:
                session.used_s = time.monotonic()


def _some(ids: tuple[str, ...], most: int = 5) -> str:
    shown = ", ".join(ids[:most])
    return shown if len(ids) <= most else f"{shown} and {len(ids) - most} more"
