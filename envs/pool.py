"""A pool of environments that episodes borrow, each kept at the page it last showed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from webdojo.envs.browser import BrowserDiedError, Chromium
from webdojo.envs.core import WebEnv
from webdojo.envs.spec import EnvSpec
from webdojo.tasks.task import Task


class EnvPool:
    """At most ``size`` episodes at once, in pages of one Chromium.

    An episode gets an environment that last played the same task if there is one: such a page
    starts anew in milliseconds. Up to ``kept`` idle pages, by default ``size``, wait for their task
    to come again.
    """

    def __init__(
        self, chromium: Chromium, spec: EnvSpec, size: int, kept: int | None = None
    ) -> None:
        self.spec = spec
        self._chromium = chromium
        self._places = asyncio.Semaphore(size)
        self._kept = size if kept is None else kept
        self._idle: list[tuple[str, WebEnv]] = []

    @asynccontextmanager
    async def lease(self, task: Task) -> AsyncIterator[WebEnv]:
        """Borrow an environment; a dead one is not given back."""
        async with self._places:
            env = self._take(task.id)
            try:
                yield env
            except BrowserDiedError:
                await env.close()
                raise
            except BaseException:
                await asyncio.shield(env.close())
                raise
            self._idle.append((task.id, env))
            if len(self._idle) > self._kept:
                _, oldest = self._idle.pop(0)
                await oldest.close()

    async def close(self) -> None:
        """Close every idle environment."""
        while self._idle:
            await self._idle.pop()[1].close()

    def _take(self, task_id: str) -> WebEnv:
        for i, (name, env) in enumerate(self._idle):
            if name == task_id:
                del self._idle[i]
                return env
        return WebEnv(self._chromium, self.spec)
