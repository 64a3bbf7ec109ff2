"""The rollout process's own side of the pipe: requests in, answers and streams out.

The learner's side is ``webdojo.training.rollouts.process``; what is done is ``Worker``.
"""

from __future__ import annotations

import asyncio
import errno
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing, suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

from webdojo.agents.engines.engine import EngineDeadError
from webdojo.tasks.errors import UserError
from webdojo.tasks.files import load_files
from webdojo.training.rollouts.players import WorkerSettings
from webdojo.training.rollouts.worker import Worker

ORPHAN_S = 5.0
"""Seconds an orphaned rollout process has to close its browser by itself."""
LAUNCHED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What several learner processes know one another by."""


def main(connection: Connection, settings: WorkerSettings) -> None:
    """Serve requests until the other side hangs up."""
    # Ctrl-C is the learner's business; with a session of our own the terminal does not tell us
    # or the browser.
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    for name in LAUNCHED:  # an engine here is none of the learner's processes
        os.environ.pop(name, None)
    threading.Thread(target=_die_with_parent, daemon=True, name="webdojo-watchdog").start()
    try:
        load_files(settings.task_files)
    except UserError as error:
        connection.recv()
        connection.send(("user_error", str(error)))
        return
    asyncio.run(_serve(connection, Worker(settings)))


def _die_with_parent() -> None:
    """End this process and its browsers when the learner was killed, whatever they are doing."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    time.sleep(ORPHAN_S)  # the usual way out is shorter and leaves nothing behind
    os.killpg(0, signal.SIGKILL)


async def _serve(connection: Connection, worker: Worker) -> None:
    tasks: set[asyncio.Task[None]] = set()
    news = asyncio.create_task(_tell(connection, worker, tasks))
    try:
        while True:
            try:
                request = await asyncio.to_thread(connection.recv)
            except (EOFError, OSError):
                break
            if request is None:
                break
            task = asyncio.create_task(_answer(connection, worker, *request))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    finally:
        for task in (news, *tasks):
            task.cancel()
        await asyncio.gather(news, *tasks, return_exceptions=True)
        await worker.close()


async def _answer(
    connection: Connection, worker: Worker, method: str, arguments: dict[str, Any]
) -> None:
    try:
        result = getattr(worker, method)(**arguments)
        if isinstance(result, AsyncGenerator):
            async with aclosing(result) as items:
                async for item in items:
                    connection.send(("item", item))
            connection.send(("done", None))
        else:
            given = await result
            if worker.pool is not None:
                connection.send(("figures", worker.figures()))
            # A batch of long prompts is large, and episodes are to go on while it is packed.
            message = await asyncio.to_thread(ForkingPickler.dumps, ("done", given))
            connection.send_bytes(message)
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001  # the boundary: the learner is told and decides
        with suppress(OSError):  # nobody is left to be told, and ``_serve`` ends as it hears that
            connection.send(_told(error))


def _told(error: Exception) -> tuple[str, Any]:
    from webdojo.training.rollouts.pool import EpisodesFailError

    cause = error.__cause__ if isinstance(error, EpisodesFailError) else None
    if isinstance(cause, UserError | EngineDeadError):
        error = cause
    if isinstance(error, EngineDeadError):
        return "user_error", f"the engine died, and with it every episode: {error}"
    if isinstance(error, UserError | EpisodesFailError):
        return "user_error", str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "cannot_write", (error.errno, error.strerror, error.filename)
    return "error", (f"{type(error).__name__}: {error}", traceback.format_exc())


async def _tell(
    connection: Connection, worker: Worker, requests: Collection[asyncio.Task[None]]
) -> None:
    """Send figures, or that all is well, twice a second while somebody waits for an answer.

    Whoever does not wait does not read either, and a full pipe would hold up every episode.
    """
    while True:
        await asyncio.sleep(0.5)
        if worker.pool is not None and requests:
            connection.send(("figures", worker.figures()))
        elif requests:
            connection.send(("alive", None))
