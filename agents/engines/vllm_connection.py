"""vLLM's process as the engine speaks to it: started, asked over a pipe, watched, ended.

The process is ``vllm_process.py``, which may run in an environment of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import queue
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path
from socket import SHUT_RDWR, socket
from typing import Any

from webdojo.agents.engines.decoder import Counters
from webdojo.agents.engines.engine import EngineDeadError
from webdojo.agents.engines.folders import process_folder
from webdojo.agents.engines.reply import Reply
from webdojo.agents.pictures import MissingPictureError

STOP_S = 10.0
"""Seconds the process may take to end before it is killed."""
START_S = 3600.0
"""Seconds the process may take to load its checkpoint, which it may have to download first."""
WATCH_S = 1.0
"""Seconds between two looks at whether it lives."""


class VllmConnection:
    """A process of ``python`` that serves with vLLM as ``settings`` say.

    ``threads`` bounds the CPU threads of a forward pass, and ``hang_s`` is how long the process,
    once it serves, may say nothing after it was asked, even if nobody waits for the answer any
    more; then it is killed. When it dies, whoever waits for an answer gets EngineDeadError with its
    last words, and so does whoever asks later.
    """

    def __init__(
        self, python: str, settings: dict[str, Any], threads: int | None, hang_s: float
    ) -> None:
        self._hang_s = hang_s
        self._counters = Counters()
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        # Guarded by _lock: who waits for what, since when the process has owed a word, and why
        # nothing more can be asked.
        self._replies: dict[int, Reply[Any]] = {}
        self._owing_since: float | None = time.monotonic()  # that it is ready
        self._failure = ""
        self._closed = False
        self._started = False
        self._buried = threading.Event()
        self._hung_s = 0.0
        self._outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._folder = process_folder("vllm")
        self._log = Path(self._folder.name) / "log"
        self._connection, theirs = Pipe()
        script = Path(__file__).resolve().with_name("vllm_process.py")
        environment = {
            "VLLM_CPU_KVCACHE_SPACE": str(settings["cache_gib"]),
            "VLLM_LOGGING_LEVEL": "WARNING",
            "VLLM_NO_USAGE_STATS": "1",
            **os.environ,
            **_last_gpu(),
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # ours is process enough
        }
        if threads is not None:
            environment |= {"OMP_NUM_THREADS": str(threads), "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own script
                [python, "-P", str(script), str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        theirs.close()
        self._outbox.put(settings)
        for target in (self._write, self._read, self._watch):
            threading.Thread(target=target, name="webdojo-vllm", daemon=True).start()

    @property
    def process_id(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def counters(self) -> Counters:
        """What the process has last told of what it has done (a copy)."""
        return replace(self._counters)

    def ask(self, what: str, *arguments: Any) -> tuple[int, Reply[Any]]:
        """Ask for something; gives the question's number and who waits for the answer."""
        number, reply = next(self._numbers), Reply[Any]()
        with self._lock:
            if self._failure:
                raise EngineDeadError(self._failure)
            if self._closed:
                raise EngineDeadError("the engine is closed; start a new one")
            self._replies[number] = reply
            if self._owing_since is None:
                self._owing_since = time.monotonic()
        self._outbox.put((what, number, *arguments))
        return number, reply

    def cancel(self, number: int) -> None:
        """Have a question dropped, if it is not answered yet."""
        if self._forget(number):
            self._outbox.put(("cancel", number))

    async def close(self) -> None:
        """End the process; whoever waits is cancelled. Closing twice is fine."""
        with self._lock:
            self._closed = True
        self._outbox.put(None)
        await asyncio.to_thread(self._end)

    def _forget(self, number: int) -> Reply[Any] | None:
        with self._lock:
            return self._replies.pop(number, None)

    # Threads: the pipe may be full, or silent, for as long as vLLM works ------------------------

    def _write(self) -> None:
        with suppress(OSError):  # the reader tells why
            while (message := self._outbox.get()) is not None:
                self._connection.send(message)
            self._connection.send(None)

    def _read(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                self._handle(*self._connection.recv())
                with self._lock:
                    self._owing_since = time.monotonic() if self._replies else None
        self._bury()

    def _watch(self) -> None:
        """Kill a process that hangs, and have the pipe end when the process does.

        Whoever reads cannot see to it: a process may stop within an answer, and another one, a
        child of its own perhaps, may have the pipe open. What it has said is still read.
        """
        silent = False
        while self._process.poll() is None:
            was_silent, most_s = silent, self._hang_s if self._started else START_S
            silent = self._silent_s() >= most_s
            if silent and was_silent:  # not once only: all of us may have been held up
                self._hung_s = most_s
                self._process.kill()
            self._buried.wait(WATCH_S)
        if not self._buried.is_set():
            with suppress(OSError), socket(fileno=os.dup(self._connection.fileno())) as pipe:
                pipe.shutdown(SHUT_RDWR)

    def _silent_s(self) -> float:
        """Seconds for which the process has owed a word. It has one for what was cancelled too."""
        with self._lock:
            return 0.0 if self._owing_since is None else time.monotonic() - self._owing_since

    def _handle(self, kind: str, *rest: Any) -> None:
        if kind == "ready":
            self._started = True
        elif kind == "counters":
            self._counters = Counters(*rest[0])
        elif (reply := self._forget(rest[0])) is not None:
            if kind == "answer":
                reply.give(rest[1])
            elif kind == "not_finite":
                reply.fail(
                    FloatingPointError(
                        f"policy version {rest[1]} gives logits that are not finite; "
                        "load sound weights with update_weights"
                    )
                )
            elif kind == "refused":
                reply.fail(ValueError(rest[1]))
            elif kind == "missing":
                reply.fail(MissingPictureError(rest[1]))
            else:
                reply.fail(ValueError(f"vLLM refuses the prompt: {rest[1]}"))

    def _bury(self) -> None:
        """Release every caller: cancelled if the engine was closed, an error if it died."""
        end = f"ended with status {self._process.wait()}"
        self._buried.set()
        if self._hung_s:
            end = f"was killed after {self._hung_s:g} s without a word"
        with self._lock:
            if not self._closed:
                self._failure = (
                    f"vLLM's process {end}; start a new engine. Its last words:"
                    f" {_last_words(self._log)}"
                )
            replies, self._replies = list(self._replies.values()), {}
        for reply in replies:
            if self._failure:
                reply.fail(EngineDeadError(self._failure))
            else:
                reply.cancel()

    def _end(self) -> None:
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()


def _last_gpu() -> dict[str, str]:
    """Learners take the first GPUs and the engine the last; with one both share it."""
    import torch

    count = torch.cuda.device_count()
    if count < 2:
        return {}
    names = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
    return {"CUDA_VISIBLE_DEVICES": names.split(",")[-1]}


def _last_words(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return "(none)"
    errors = [line for line in lines if "Error" in line]
    return (errors or lines or ["(none)"])[-1].strip()[-400:]
