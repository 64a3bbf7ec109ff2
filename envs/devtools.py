"""A direct line to Chromium, on the pipe that Playwright drives it by.

Playwright speaks to Chromium from a process of its own, so what is sent through it passes three
processes each way: a third of what a step costs. Here the pipe between the two leads through this
process. Playwright notices nothing and keeps its tasks (contexts, tabs, dialogs, downloads); what
happens at every step goes to Chromium straight from here.

The two share one pipe: a message is answered under its number, and Playwright counts from one; an
event belongs to a session, and each side knows its own.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shlex
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from playwright.async_api import Error

from webdojo.tasks.errors import UserError

Heard = Callable[[dict[str, Any]], object]
Arrived = Callable[["Session"], object]

STAND_IN = Path(__file__).with_name("chromium_stand_in.py")
FIRST_NUMBER = 1_000_000_000
"""Of our messages; Playwright would have to send as many to reach it."""
JOIN_TIMEOUT_S = 30.0
"""Real time in which a started stand-in must have handed over its pipe."""
GONE = "Target page, context or browser has been closed"
CRASHED = "Target crashed"


class Session:
    """What is said to one page, and heard from it."""

    def __init__(self, pipe: DevToolsPipe, name: str, target: str = "", context: str = "") -> None:
        self.target = target
        """Protocol id of the page, and of its main frame."""
        self.context = context
        """Protocol id of the browser context that it is in."""
        self._ended = ""
        """Why nothing is answered any more."""
        self._pipe = pipe
        self._name = name
        self._heard: dict[str, list[Heard]] = {}
        self._pending: dict[int, asyncio.Future[dict[str, Any]]] = {}

    def on(self, event: str, heard: Heard) -> None:
        """Call ``heard`` with the parameters of each event of this name."""
        self._heard.setdefault(event, []).append(heard)

    async def send(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a command and give its answer; raises Playwright's Error."""
        if self._ended:
            raise Error(f"{method}: {self._ended}")
        number = next(self._pipe.numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        message = {"id": number, "method": method, "params": parameters or {}}
        if self._name:
            message["sessionId"] = self._name
        self._pipe.write(json.dumps(message).encode())
        try:
            return await answer
        finally:
            self._pending.pop(number, None)

    def take(self, message: dict[str, Any]) -> None:
        """Take an answer or an event that came over the pipe."""
        if "id" not in message:
            for heard in self._heard.get(message["method"], ()):
                # In the order in which answers are noticed, and with errors of its own.
                asyncio.get_running_loop().call_soon(heard, message["params"])
            if message["method"] == "Inspector.targetCrashed":
                self.end(CRASHED)
            return
        answer = self._pending.get(message["id"])
        if answer is None or answer.done():
            return  # whoever asked waits no more
        if "error" in message:
            answer.set_exception(Error(message["error"]["message"]))
        else:
            answer.set_result(message["result"])

    def resume(self) -> asyncio.Task[None]:
        """Let the page begin that Chromium has held until now; it may be closed already."""
        return asyncio.create_task(self._resume())

    async def _resume(self) -> None:
        with suppress(Error):
            await self.send("Runtime.runIfWaitingForDebugger")

    def end(self, why: str = GONE) -> None:
        """Tell whoever waits for an answer that none will come."""
        self._ended = why
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(Error(why))


class DevToolsPipe:
    """The pipe of one Chromium, shared with Playwright.

    Playwright starts ``executable``, which hands its ends of the pipe to this process and becomes
    the browser. Use ``await pipe.joined()`` once the browser is launched.
    """

    def __init__(self, chromium: Path) -> None:
        self.numbers = itertools.count(FIRST_NUMBER)
        self.on_page: dict[str, Arrived] = {}
        """By context: takes its new pages, held by Chromium until they are resumed."""
        self._sessions: dict[str, Session] = {}
        self._pages: dict[str, Session] = {}
        self._root = Session(self, "")
        self._download_folder = ""
        self._downloaded: dict[str, asyncio.Future[bool]] = {}
        """Whether files have come whole, by the ids of their downloads."""
        self._to_chromium: asyncio.WriteTransport | None = None
        self._ends: list[asyncio.BaseTransport] = []
        self._folder, self._meeting = _meeting_place()
        meeting = self._meeting.getsockname()
        self.executable = self._folder / "chromium"
        """What Playwright is to start."""
        words = (sys.executable, "-I", "-S", STAND_IN, meeting, chromium)
        line = " ".join(shlex.quote(str(word)) for word in words)
        self.executable.write_text(f'#!/bin/sh\nexec {line} "$@"\n', encoding="utf-8")
        self.executable.chmod(0o700)
        self._joining = asyncio.create_task(self._join())

    async def joined(self) -> None:
        """Wait until the pipe leads through here; raises Playwright's Error or TimeoutError."""
        async with asyncio.timeout(JOIN_TIMEOUT_S):
            await self._joining
            answer = await self._root.send("Target.attachToBrowserTarget")
            browser = self._sessions[answer["sessionId"]] = Session(self, answer["sessionId"])
            browser.on("Target.attachedToTarget", self._attached)
            browser.on("Target.detachedFromTarget", self._detached)
            # A page must not load anything before it is guarded and its clock is held.
            await browser.send(
                "Target.setAutoAttach",
                {
                    "autoAttach": True,
                    "waitForDebuggerOnStart": True,
                    "flatten": True,
                    "filter": [{"type": "page"}],
                },
            )

    def page(self, target: str) -> Session:
        """The session with the page of this target id; raises Playwright's Error."""
        if target not in self._pages:
            raise Error(GONE)
        return self._pages[target]

    async def close_page(self, target: str) -> None:
        """Close the page of this target id, whatever it says; raises Playwright's Error."""
        await self._root.send("Target.closeTarget", {"targetId": target})

    async def downloaded(self, download: str) -> Path | None:
        """The file of a download, as soon as it is there; None if it has failed."""
        try:
            whole = await self._end_of(download)
        finally:
            self._downloaded.pop(download, None)
        return Path(self._download_folder, download) if whole else None

    async def cancel_download(self, download: str, context: str) -> None:
        """Give a download up that may never end; raises Playwright's Error."""
        parameters = {"guid": download, "browserContextId": context}
        await self._root.send("Browser.cancelDownload", parameters)

    def close(self) -> None:
        """Let go of the pipe: Chromium ends if it has not yet. Closing twice is fine."""
        self._joining.cancel()
        self._meeting.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        for transport in self._ends:
            transport.close()
        for session in (self._root, *self._sessions.values()):
            session.end()
        for end in self._downloaded.values():
            if not end.done():
                end.set_result(False)
        self._sessions.clear()
        self._pages.clear()
        self.on_page.clear()

    def write(self, message: bytes) -> None:
        """Send a message to Chromium."""
        if self._to_chromium is not None:
            self._to_chromium.write(message + b"\0")

    def _attached(self, event: dict[str, Any]) -> None:
        info = event["targetInfo"]
        target, context = info["targetId"], info.get("browserContextId", "")
        session = Session(self, event["sessionId"], target, context)
        self._sessions[event["sessionId"]] = self._pages[target] = session
        # The first page of a context is blank: whoever opened it guards it before it is used.
        self.on_page.get(context, Session.resume)(session)

    def _detached(self, event: dict[str, Any]) -> None:
        if (session := self._sessions.pop(event["sessionId"], None)) is not None:
            self._pages.pop(session.target, None)
            session.end()

    async def _join(self) -> None:
        loop = asyncio.get_running_loop()
        meeting, _ = await loop.sock_accept(self._meeting)
        with meeting:
            meeting.setblocking(True)
            from_playwright, to_playwright = await asyncio.to_thread(_received, meeting)
            chromium_reads, to_chromium = os.pipe()
            from_chromium, chromium_writes = os.pipe()
            # All is in place before Chromium says or is told anything.
            self._to_chromium = await self._writer(to_chromium)
            back = await self._writer(to_playwright)
            await self._reader(from_chromium, lambda message: self._take(message, back))
            await self._reader(from_playwright, self._listen_in)
            socket.send_fds(meeting, [b"!"], [chromium_reads, chromium_writes])
        os.close(chromium_reads)
        os.close(chromium_writes)
        self._meeting.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _take(self, raw: bytes, back: asyncio.WriteTransport) -> None:
        message = json.loads(raw)
        session = self._sessions.get(message.get("sessionId", ""), self._root)
        if session is not self._root or message.get("id", 0) >= FIRST_NUMBER:
            session.take(message)
            return
        if message.get("method") == "Browser.downloadProgress":
            self._download_goes_on(message["params"])
        back.write(raw + b"\0")

    def _listen_in(self, message: bytes) -> None:
        """Pass on what Playwright says, and learn where it has Chromium keep files."""
        if b"Browser.setDownloadBehavior" in message:
            parameters = json.loads(message).get("params", {})
            self._download_folder = parameters.get("downloadPath", self._download_folder)
        self.write(message)

    def _download_goes_on(self, event: dict[str, Any]) -> None:
        if event["state"] in ("completed", "canceled"):
            end = self._end_of(event["guid"])
            if not end.done():
                end.set_result(event["state"] == "completed")

    def _end_of(self, download: str) -> asyncio.Future[bool]:
        if download not in self._downloaded:
            self._downloaded[download] = asyncio.get_running_loop().create_future()
        return self._downloaded[download]

    async def _writer(self, end: int) -> asyncio.WriteTransport:
        transport, _ = await asyncio.get_running_loop().connect_write_pipe(
            asyncio.BaseProtocol, os.fdopen(end, "wb", buffering=0)
        )
        self._ends.append(transport)
        return transport

    async def _reader(self, end: int, take: Callable[[bytes], None]) -> None:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: _Messages(take, self.close), os.fdopen(end, "rb", buffering=0)
        )
        self._ends.append(transport)


def _meeting_place() -> tuple[Path, socket.socket]:
    """A folder of our own in which a program may be started, and a socket in it that listens.

    Some machines let nothing be started from where temporary files lie, and where their path is
    long no socket has room for it.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    places = [tempfile.gettempdir(), *([runtime] if runtime else []), str(Path.home() / ".cache")]
    refused = []
    for place in places:
        folder, meeting = None, socket.socket(socket.AF_UNIX)
        try:
            if os.statvfs(place).f_flag & getattr(os, "ST_NOEXEC", 0):
                raise OSError("programs in it may not be started")
            folder = Path(tempfile.mkdtemp(prefix="webdojo-", dir=place))
            meeting.bind(str(folder / "meeting"))
        except OSError as error:
            refused.append(f"{place}: {error.strerror or error}")
            meeting.close()
            if folder is not None:
                folder.rmdir()
            continue
        meeting.listen(1)
        meeting.setblocking(False)
        return folder, meeting
    raise UserError(
        f"no folder for the pipe to Chromium ({'; '.join(refused)}): set TMPDIR to one with a short"
        " name in which programs may be started"
    )


class _Messages(asyncio.Protocol):
    """Cuts what comes over a pipe into messages, each of which ends in a zero byte."""

    def __init__(self, take: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self._take = take
        self._lost = lost
        self._begun: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        first, *others = data.split(b"\0")
        self._begun.append(first)
        for following in others:
            message = b"".join(self._begun)
            self._begun = [following]
            self._take(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()


def _received(meeting: socket.socket) -> list[int]:
    flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
    _, ends, *_ = socket.recv_fds(meeting, 1, 2, flags)
    for end in ends:
        with suppress(OSError):
            os.set_inheritable(end, False)
    if len(ends) != 2:
        raise Error("the stand-in for Chromium ended before it handed over its pipe")
    return list(ends)
