"""Whether another process, with another order of sets, gives the same instances.

A task that draws from a set, or by ``hash``, gives the same instance of a seed twice in one process
and another one in the next: Python mixes texts' hashes with a number of each process's own. So a
second process, of another such number, is asked once a check for goal and first look of each task.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from webdojo.envs.browser import BrowserDiedError, Chromium
from webdojo.envs.certification.guard import guarded
from webdojo.envs.certification.oracle import PATIENCE_S
from webdojo.envs.certification.reading import read, readable_text
from webdojo.envs.core import WebEnv
from webdojo.envs.layout import look
from webdojo.envs.spec import EnvSpec
from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.files import load_files, loaded_files

if TYPE_CHECKING:
    from webdojo.tasks.registry import Entry

TRIES = 3
LONGEST_TOLD = 80
"""Characters of a goal that is told."""
LONGEST_ERROR = 2000


@dataclass(slots=True)
class Elsewhere:
    """The second process, and what it has answered so far; a context that ends it."""

    entries: Sequence[Entry]
    seeds: Sequence[int]
    _process: asyncio.subprocess.Process | None = None
    _reading: asyncio.Task[None] | None = None
    _answers: dict[str, asyncio.Future[list[list[str]] | str]] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        ids = [entry.task.id for entry in self.entries if _is_registered(entry)]
        if not ids or not self.seeds:
            return self
        loop = asyncio.get_running_loop()
        self._answers = {task_id: loop.create_future() for task_id in ids}
        paths = [path for path in sys.path if path]
        own = os.environ.get("PYTHONHASHSEED")
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "webdojo.envs.certification.elsewhere"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": "1" if own == "0" else "0"},
        )
        asked = {"files": loaded_files(), "ids": ids, "seeds": list(self.seeds)}
        self._reading = asyncio.create_task(self._read(self._process, json.dumps(asked)))
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._process is None or self._reading is None:
            return
        answered = all(answer.done() for answer in self._answers.values())
        if self._process.returncode is None and not answered:
            self._process.kill()  # what is left is of tasks that nobody asks for any more
        await self._reading

    async def difference(self, task_id: str, instances: Sequence[tuple[str, str] | None]) -> str:
        """How the second process's instances differ from these, of ``seeds``; empty if nowhere.

        ``instances`` are goals and texts, None where there was none. A task that the other process
        cannot know of, as it is in no file and in no package, differs nowhere.
        """
        if task_id not in self._answers:
            return ""
        found = await self._answers[task_id]
        if isinstance(found, str):
            return f"a second process could not set it up: {found}" if found else ""
        for seed, here, there in zip(self.seeds, instances, found, strict=False):
            if here is not None and (mine := _digested(*here)) != there:
                told = (
                    f"the goals {mine[0]!r} and {there[0]!r}"
                    if mine[:2] != there[:2]
                    else "another text to read"
                )
                return (
                    f"two processes give other instances of one seed ({told} of seed {seed}); sort"
                    " sets before chance draws from them, and draw nothing by hash()"
                )
        return ""

    async def _read(self, process: asyncio.subprocess.Process, asked: str) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(asked.encode())
            process.stdin.write_eof()
            async for line in process.stdout:
                found = json.loads(line)
                self._answers[found["id"]].set_result(found["found"])
        finally:
            status = await process.wait()
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_result(f"it ended with status {status}")


def _is_registered(entry: Entry) -> bool:
    """Whether another process can find the task by its id."""
    try:
        return registry.entry(entry.task.id).task is entry.task
    except UserError:
        return False


def _digested(goal: str, text: str) -> list[str]:
    """The begin of a goal, for people, and digests of it and of the text: a line has a bound."""
    return [goal[:LONGEST_TOLD], _digest(goal), _digest(text)]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


async def _answer(ids: Sequence[str], seeds: Sequence[int], written: int) -> None:
    """Write a line a task: its instances, or why there are none; nothing where it is not known."""
    async with Chromium() as chromium, WebEnv(chromium, EnvSpec(step_timeout_s=PATIENCE_S)) as env:
        for task_id in ids:
            found: list[list[str]] | str
            try:
                entry = registry.entry(task_id)
            except UserError:
                found = ""
            else:
                found = await _instances(env, entry, seeds)
            _tell(written, task_id, found)


def _tell(written: int, task_id: str, found: list[list[str]] | str) -> None:
    told = found[:LONGEST_ERROR] if isinstance(found, str) else found
    os.write(written, f"{json.dumps({'id': task_id, 'found': told})}\n".encode())


async def _instances(env: WebEnv, entry: Entry, seeds: Sequence[int]) -> list[list[str]] | str:
    lost = ""
    for _ in range(TRIES):
        try:
            found = []
            for seed in seeds:
                task = guarded(entry.task(), entry.source)
                first = await look(env, await env.reset(task, seed))
                found.append(_digested(read(first.goal), read(readable_text(first))))
        except BrowserDiedError as error:
            lost = str(error)
        except UserError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  # a task's own code may raise anything
            return f"{type(error).__name__}: {error}"
        else:
            return found
    return lost


def main() -> None:
    """Answer what standard input asks for: files to load, ids and seeds."""
    # What files of tasks print is no part of the answer.
    written = os.dup(1)
    os.dup2(2, 1)
    asked = json.load(sys.stdin)
    try:
        load_files(asked["files"])
    except UserError as error:
        for task_id in asked["ids"]:
            _tell(written, task_id, str(error))
        return
    asyncio.run(_answer(asked["ids"], asked["seeds"], written))


if __name__ == "__main__":
    main()
