"""The clipboard of an episode: Chromium has one for the pages of all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from webdojo.envs.worlds import WORLD

if TYPE_CHECKING:
    from webdojo.envs.devtools import Session
    from webdojo.envs.worlds import Worlds

CLIPBOARD_SCRIPT = Path(__file__).with_name("clipboard.js").read_text(encoding="utf-8")
"""To run in the in-page script's world, in every document."""
COPIED = "webdojoCopied"
"""What it tells of a copy by."""


class Clipboard:
    """What the pages of one episode have copied last."""

    def __init__(self) -> None:
        self._copied = ""
        """JSON text of it by type; empty if nothing was copied."""

    async def watch(self, cdp: Session) -> None:
        """Notice what a page copies from now on."""
        cdp.on("Runtime.bindingCalled", self._was_copied)
        await cdp.send("Runtime.addBinding", {"name": COPIED, "executionContextName": WORLD})

    async def offer(self, worlds: Worlds) -> None:
        """Have a page paste what was copied last, on whichever page that was."""
        if self._copied:
            await worlds.ask_all(f"webdojoClipboard.hold({self._copied})")

    async def forget(self, worlds: Worlds) -> None:
        """Empty it for another episode on this page."""
        if self._copied:
            self._copied = ""
            await worlds.ask_all("webdojoClipboard.hold({})")

    def _was_copied(self, event: dict[str, Any]) -> None:
        if event["name"] == COPIED:
            self._copied = event["payload"]
