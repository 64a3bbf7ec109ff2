"""A real ``webdojo serve`` in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field

import psutil

KEY = "a-key-that-nobody-guesses"


@dataclass
class Served:
    """The process, where it listens and what it has said."""

    process: subprocess.Popen[str]
    url: str
    said: list[str] = field(default_factory=list)

    def browsers(self) -> list[psutil.Process]:
        """Processes that the server has started, Chromium among them."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit status once the process has ended."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)


def start(*arguments: str, **environment: str) -> Served:
    process = subprocess.Popen(
        [sys.executable, "-m", "webdojo", "serve", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "WEBDOJO_API_KEY"} | environment,
    )
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        found = re.search(r"http://\S+", line)
        if found:
            # Read on, or a server that says much would wait for somebody to listen.
            threading.Thread(target=said.extend, args=(process.stdout,), daemon=True).start()
            return Served(process, found[0], said)
    raise AssertionError(f"the server ended with {process.wait()}: {''.join(said)}")
