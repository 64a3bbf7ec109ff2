"""One episode of a site: an application of its own, its folder, its state."""

from __future__ import annotations

import asyncio
import http.client
import json
import secrets
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from webdojo.tasks.errors import UserError
from webdojo.tasks.folders import folder_prefix
from webdojo.tasks.sites.asgi import Lifespan, as_asgi
from webdojo.tasks.sites.server import (
    CONTROL_HEADER,
    DOMAIN,
    EPISODE_COOKIE,
    Instance,
    site_server,
)

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext

    from webdojo.tasks.sites.site import Site

T = TypeVar("T")
ANSWER_S = 10.0
"""Real time in which a site must answer what WebDojo asks it."""
NO_SUCH_PAGE = (404, 405)


class SiteStateError(Exception):
    """A site gave no state: it has none, it failed, or its episode is over."""


class SiteEpisode:
    """A running application, reached by the pages of one browser context alone."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._kept = tempfile.TemporaryDirectory(
            prefix=folder_prefix("site"), ignore_cleanup_errors=True
        )
        self.folder = Path(self._kept.name)
        """A folder for what the application keeps; it goes when the episode ends."""
        self._key = secrets.token_urlsafe(16)
        self._server = site_server()
        self._lifespan: Lifespan | None = None
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def begin(cls, site: Site, context: BrowserContext, seed: int) -> Self:
        """Start an application for the pages of ``context``; it ends when the context closes.

        Raises UserError if it does not start or refuses ``POST /reset``.
        """
        episode = cls(site)
        try:
            await episode._on_server(episode._start)
            await episode._reset(seed)
            await context.add_cookies(
                [
                    {
                        "name": EPISODE_COOKIE,
                        "value": episode._key,
                        "url": site.origin + "/",
                        "httpOnly": True,
                        "sameSite": "Lax",
                    }
                ]
            )
        except BaseException:
            await asyncio.shield(episode.close())
            raise
        context.on("close", lambda _: episode._context_closed())
        return episode

    async def state(self) -> Any:
        """What the site's ``GET /state`` gives; raises SiteStateError."""
        try:
            status, body = await asyncio.to_thread(self._ask, "GET", "/state")
        except OSError as error:
            raise SiteStateError(f"site {self.site.name!r} does not answer: {error}") from error
        if status != 200:
            raise SiteStateError(f"site {self.site.name!r}: GET /state was answered with {status}")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise SiteStateError(f"site {self.site.name!r}: GET /state gave no JSON") from None

    async def close(self) -> None:
        """End the application and remove its folder; closing twice is fine."""
        if self._server.instances.pop(self._key, None) is not None and self._lifespan is not None:
            await self._on_server(self._lifespan.stop)
        await asyncio.to_thread(self._kept.cleanup)

    async def _start(self) -> None:
        """Make the application where it is served, since some things keep to one thread."""
        application, is_asgi = as_asgi(self.site.make_application(self.folder))
        state: dict[str, Any] = {}
        if is_asgi and not self.site.is_static:
            self._lifespan = Lifespan(application)
            problem = await self._lifespan.start()
            if problem:
                raise UserError(f"site {self.site.name!r} does not start: {problem}")
            state = self._lifespan.state
        self._server.instances[self._key] = Instance(self.site.name, application, state)

    async def _reset(self, seed: int) -> None:
        if self.site.is_static:
            return
        status, body = await asyncio.to_thread(self._ask, "POST", "/reset", {"seed": seed})
        if status not in NO_SUCH_PAGE and not 200 <= status < 300:
            told = " ".join(body.decode(errors="replace").split())[:200]
            raise UserError(
                f"site {self.site.name!r}: POST /reset was answered with {status}: {told};"
                " mend it, or leave it out: each episode has an application of its own anyway"
            )

    async def _on_server(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        loop = await asyncio.to_thread(lambda: self._server.loop)  # the first time takes a while
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), loop))

    def _ask(self, method: str, path: str, content: Any = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=ANSWER_S)
        try:
            headers = {
                "Host": self.site.name + DOMAIN,
                "Cookie": f"{EPISODE_COOKIE}={self._key}",
                CONTROL_HEADER: self._server.control,
                "Content-Type": "application/json",
            }
            body = None if content is None else json.dumps(content)
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as error:
            raise OSError(f"no proper answer: {error!r}") from error
        finally:
            connection.close()

    def _context_closed(self) -> None:
        self._closing = asyncio.create_task(self.close())
