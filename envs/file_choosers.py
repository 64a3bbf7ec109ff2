"""What a page asks for when it opens a file chooser: none is shown, and nothing waits for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webdojo.envs.devtools import Session


@dataclass(frozen=True, slots=True)
class Asked:
    """A file input that the page has opened a chooser for."""

    node: int
    """Protocol id of the input."""
    several: bool
    """Whether it takes more than one file."""


class FileChoosers:
    """The file choosers of one page; ``say`` hears of those that nobody has asked for here."""

    def __init__(self, cdp: Session, say: Callable[[str], None]) -> None:
        self._cdp = cdp
        self._say = say
        self._expected = False
        self._asked: Asked | None = None
        cdp.on("Page.fileChooserOpened", self._opened)

    async def open(self) -> None:
        """Have choosers told of instead of shown."""
        await self._cdp.send("Page.setInterceptFileChooserDialog", {"enabled": True})

    async def opened_by(
        self, acting: Awaitable[None], wait: Callable[[], Awaitable[None]]
    ) -> Asked | None:
        """What the page asks for while something is done, or after one ``wait`` at the latest."""
        with self._expecting():
            await acting
            # What the page began before this has been heard of after it.
            await self._cdp.send("Runtime.evaluate", {"expression": "0"})
            if self._asked is None:
                await wait()
            return self._asked

    async def answer(self, asked: Asked, paths: list[str]) -> bool:
        """Give files to who asked; False if the input is gone."""
        from playwright.async_api import Error

        try:
            await self._cdp.send(
                "DOM.setFileInputFiles", {"files": paths, "backendNodeId": asked.node}
            )
        except Error as error:
            if "node" not in error.message:
                raise
            return False
        return True

    @contextmanager
    def _expecting(self) -> Iterator[None]:
        self._expected, self._asked = True, None
        try:
            yield
        finally:
            self._expected = False

    def _opened(self, event: dict[str, Any]) -> None:
        node = event.get("backendNodeId")
        if node is None:  # Chromium has refused it
            self._say("the page wanted to pick a file of this machine: refused")
        elif self._expected:
            self._asked = Asked(node, several=event["mode"] == "selectMultiple")
        else:
            what = "files" if event["mode"] == "selectMultiple" else "a file"
            self._say(
                f"the page asks for {what}: upload_file(...) on the same element gives it {what}"
            )
