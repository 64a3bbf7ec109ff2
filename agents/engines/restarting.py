"""An engine that is started anew when it dies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from webdojo.agents.engines.engine import Completion, Engine, EngineDeadError, Sampling
from webdojo.agents.engines.kept_weights import KeptWeights

if TYPE_CHECKING:
    from torch import Tensor

    from webdojo.agents.engines.decoder import Counters

E = TypeVar("E", bound=Engine)


class RestartingEngine(Generic[E]):
    """Keeps one engine of the kind that ``start`` makes, given the policy version, alive.

    When it dies, its calls wait for the next one, which first gets the newest weights; a response
    that was begun is drawn anew from its seed. One that dies of those weights counts as well; a
    call that is cancelled while it waits costs the next one nothing.
    Raises EngineDeadError after ``deaths`` in a row with no response between them, or where one
    call has met so many, UserError if the files of the newest weights have changed where nothing
    could hold them, and whatever else ``start`` or the loading of weights raises.
    """

    def __init__(self, start: Callable[[int], E], *, deaths: int = 3) -> None:
        self._start = start
        self._most = deaths
        self._deaths = 0
        self._newest: KeptWeights | None = None
        self._revival: asyncio.Task[None] | None = None
        self._closed = False
        self._past: Sequence[Counters] = ()
        self._away_s = 0.0
        self._away_since: float | None = None
        self.engine: E = start(0)
        """The one that serves now."""
        self.restarts = 0

    @property
    def version(self) -> int:
        """The policy version now in use."""
        return self.engine.version

    @property
    def counters(self) -> Counters:
        """What this engine and those before it have done so far."""
        done = self.engine.counters
        for past in self._past:
            for field in fields(done):
                setattr(done, field.name, getattr(done, field.name) + getattr(past, field.name))
        return done

    @property
    def away_s(self) -> float:
        """Seconds, so far, in which there was no engine: a dead one was being replaced."""
        since = self._away_since
        return self._away_s + (0.0 if since is None else time.monotonic() - since)

    async def generate(
        self, prompt_ids: Sequence[int], sampling: Sampling, *, images: Sequence[str] = ()
    ) -> Completion:
        """Draw one response, by the next engine if this one dies of it."""
        return await self.drawn(lambda engine: engine.generate(prompt_ids, sampling, images=images))

    async def drawn(self, draw: Callable[[E], Awaitable[Completion]]) -> Completion:
        """What ``draw`` has the engine draw, or the next one if this one dies of it."""
        met = 0
        while True:
            engine = self.engine
            try:
                drawn = await draw(engine)
            except EngineDeadError as error:
                met += 1
                if met > self._most:
                    raise  # it may be this prompt that every engine dies of
                await self._revive(engine, error)
            else:
                self._deaths = 0
                return drawn

    async def update_weights(self, source: Mapping[str, Tensor] | Path, version: int) -> None:
        """Swap weights between two decode steps, and keep them for the engine after this one."""
        kept = await asyncio.to_thread(KeptWeights, source, version)
        met = 0
        try:
            while True:
                engine = self.engine
                try:
                    await engine.update_weights(source, version)
                except EngineDeadError as error:
                    met += 1
                    if met > self._most:
                        raise  # it may be these weights that every engine dies of
                    await self._revive(engine, error)
                else:
                    if self.engine is engine and not self._reviving:
                        break
                    # It died with its answer, and the next one serves what was kept before.
                    await self._revived()
        except BaseException:
            kept.drop()
            raise
        kept.loaded()
        self._keep(kept)

    async def checksum(self) -> int:
        """Sum over the weights now served."""
        return await self.engine.checksum()

    async def close(self) -> None:
        """Stop serving; pending calls are cancelled. Closing twice is fine."""
        self._closed = True
        if self._revival is not None and self._reviving:
            self._revival.cancel()
            await asyncio.wait([self._revival])
        await self.engine.close()
        self._keep(None)

    async def _revive(self, dead: E, error: EngineDeadError) -> None:
        """Wait for the engine after ``dead``, which is started if nobody has seen to it."""
        if self._closed:
            raise error
        if self.engine is dead:
            if not self._reviving:
                self._revival = asyncio.create_task(self._replace(dead, error))
            await self._revived()

    @property
    def _reviving(self) -> bool:
        return self._revival is not None and not self._revival.done()

    async def _revived(self) -> None:
        """Wait for the next engine, which is everybody's: it is started whoever is cancelled."""
        if self._revival is not None:
            await asyncio.shield(self._revival)

    async def _replace(self, dead: E, error: EngineDeadError) -> None:
        self._away_since = time.monotonic()
        try:
            await self._next(dead, error)
        finally:
            self._away_s, self._away_since = self.away_s, None

    async def _next(self, dead: E, error: EngineDeadError) -> None:
        while True:
            self._deaths += 1
            if self._deaths > self._most:
                raise error
            await dead.close()
            newest = self._newest
            # Before it is started: that may take long, and there may be nothing for it to serve.
            source = None if newest is None else newest.source
            fresh = await self._started(0 if newest is None else newest.version)
            try:
                if newest is not None and source is not None:
                    await fresh.update_weights(source, newest.version)
                else:
                    await fresh.checksum()  # which it tells once it has loaded its model
            except EngineDeadError as next_error:
                error = next_error
                await fresh.close()
                continue
            except BaseException:
                await fresh.close()
                raise
            self._past = (*self._past, dead.counters)
            self.engine = fresh
            self.restarts += 1
            return

    async def _started(self, version: int) -> E:
        """The next engine: a model takes long to load, and episodes on their way need the loop."""
        # No task, which whoever ends the loop would cancel as well.
        starting = asyncio.get_running_loop().run_in_executor(None, self._start, version)
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # A thread cannot be stopped, and what it makes must not be left running.
            await asyncio.wait([starting])
            if starting.exception() is None:
                await starting.result().close()
            raise

    def _keep(self, newest: KeptWeights | None) -> None:
        if self._newest is not None:
            self._newest.drop()
        self._newest = newest
