"""The learner's side of the rollout process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from types import TracebackType
from typing import Any, Self

from webdojo.tasks.errors import UserError
from webdojo.training.rollouts.players import WorkerSettings
from webdojo.training.rollouts.serving import main

RESTARTS = 3
"""Rollout processes that are followed by another when they are killed, in one command."""
QUIET_S = 600.0
"""Seconds without a word, while an answer is awaited, after which the process is taken to hang: it
speaks twice a second."""
STOP_S = 15.0
"""How long the process may take to close its browser before it is killed."""


class RolloutsDiedError(RuntimeError):
    """The rollout process ended, or something in it failed."""


class RolloutsKilledError(RolloutsDiedError):
    """The rollout process was ended from outside, by a signal or for want of memory, or hung."""


class RolloutProcess:
    """Browsers, agents and engine in a process of their own.

    ``call`` and ``stream`` name a method of ``Worker``; one request is answered at a time. Both
    raise UserError for what the user can mend, OSError for a full disk, RolloutsKilledError if the
    process is gone, and RolloutsDiedError for everything else.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        context = multiprocessing.get_context("spawn")
        self.settings = settings
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=main, args=(theirs, settings), name="webdojo-rollouts", daemon=False
        )
        with _interrupts_held():
            self._process.start()
        theirs.close()
        self._is_hung = False
        self.figures: dict[str, Any] = {}
        """The latest figures of the rollouts."""
        self.on_figures: Callable[[dict[str, Any]], object] = lambda figures: None
        """Told of figures that come while an answer is waited for, twice a second."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Process id."""
        return self._process.pid

    def call(self, method: str, **arguments: Any) -> Any:
        """Ask for one answer and wait for it."""
        self._send(method, arguments)
        while True:
            kind, value = self._receive()
            if kind == "done":
                return value

    def stream(self, method: str, **arguments: Any) -> Iterator[Any]:
        """Ask for a stream and give each item as it arrives; to be read to its end."""
        self._send(method, arguments)
        while True:
            kind, value = self._receive()
            if kind == "item":
                yield value
            elif kind == "done":
                return

    def close(self) -> None:
        """End the process; closing twice is fine."""
        if self._connection.closed:
            return
        with suppress(OSError):  # it may be gone already
            self._connection.send(None)
        # It may be in the middle of sending to us: read on, or neither side would get further.
        waited = 0.0
        while self._process.is_alive() and waited < STOP_S:
            try:
                while self._connection.poll(0.1):
                    self._read(STOP_S)
            except (EOFError, OSError):
                self._process.join(STOP_S - waited)
                break
            waited += 0.1
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._connection.close()

    def _send(self, method: str, arguments: dict[str, Any]) -> None:
        try:
            self._connection.send((method, arguments))
        except OSError as error:
            raise self._death() from error

    def _receive(self) -> tuple[str, Any]:
        heard_s = time.monotonic()
        while True:
            try:
                while not self._connection.poll(1.0):
                    if not self._process.is_alive():
                        raise self._death()
                    if time.monotonic() - heard_s > QUIET_S:
                        self._kill()
                kind, value = self._read(QUIET_S)
            except (EOFError, OSError):
                raise self._death() from None
            heard_s = time.monotonic()
            if kind == "alive":
                continue
            if kind == "figures":
                self.figures = value
                self.on_figures(value)
            elif kind == "user_error":
                raise UserError(value)
            elif kind == "cannot_write":
                raise OSError(*value)
            elif kind == "error":
                message, trace = value
                error = RolloutsDiedError(message)
                error.add_note(f"In the rollout process:\n{trace}")
                raise error
            else:
                return kind, value

    def _read(self, most_s: float) -> tuple[str, Any]:
        """A message that has begun to come; who stops in the midst of it for so long is killed."""
        stopped = threading.Timer(most_s, self._kill)
        stopped.daemon = True
        stopped.start()
        try:
            kind, value = self._connection.recv()
        finally:
            stopped.cancel()
        return kind, value

    def _kill(self) -> None:
        """End one that hangs, and with it its pipe."""
        self._is_hung = True
        with suppress(ProcessLookupError):  # its browsers are in its session
            os.killpg(self._process.pid or 0, signal.SIGKILL)
        self._process.kill()

    def _death(self) -> RolloutsDiedError:
        self._process.join(1.0)
        code = self._process.exitcode
        if self._is_hung:
            return RolloutsKilledError(
                f"the rollout process gave no sign of life for {QUIET_S:g} s and was killed"
            )
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            memory = ", perhaps because memory ran out" if -code == signal.SIGKILL else ""
            return RolloutsKilledError(f"the rollout process was killed by {name}{memory}")
        return RolloutsDiedError(f"the rollout process ended unasked (exit code {code})")


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start a process that a Ctrl-C does not reach before it can say that it will not have it."""
    resource_tracker.ensure_running()  # it lets interrupts through when it is started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
