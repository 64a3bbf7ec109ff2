"""The keyboard of an episode: one for all its tabs, whichever is shown."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Page

MODIFIERS = {"Alt": 1, "Control": 2, "ControlOrMeta": 2, "Meta": 4, "Shift": 8}
"""Bits by which the protocol knows the keys that change what others mean."""


class Keyboard:
    """Which keys are held down, and which pages have been told."""

    def __init__(self) -> None:
        self._held: dict[str, list[Page]] = {}

    @property
    def held(self) -> tuple[str, ...]:
        """Names of the keys that are held down, in the order in which they were pressed."""
        return tuple(self._held)

    @property
    def modifiers(self) -> int:
        """The bits of those of them that change what mouse and other keys mean."""
        bits = 0
        for name in self._held:
            bits |= MODIFIERS.get(_key(name), 0)
        return bits

    async def down(self, page: Page, name: str) -> None:
        """Press a key and hold it."""
        await self._carry(page)
        await page.keyboard.down(name)
        told = self._held.pop(self._known(name) or name, [])
        self._held[name] = told if page in told else [*told, page]

    async def up(self, name: str) -> bool:
        """Let go of a key, on every page that was told of it; False if it is not held.

        The left one of two that are the same is as the right.
        """
        known = self._known(name)
        if known is None:
            return False
        await self._lift(known)
        return True

    async def press(self, page: Page, names: str) -> None:
        """Press a key or combination such as Control+a; all of it is let go, held before or not."""
        from playwright.async_api import Error

        await self._carry(page)
        try:
            await page.keyboard.press(names)
        except Error:
            # Playwright has pressed what comes before a key that there is not.
            for name in names.split("+"):
                with suppress(Error):
                    await page.keyboard.up(name)
            raise
        finally:
            for name in names.split("+"):
                known = self._known(name)
                if known is not None:
                    self._held[known] = [told for told in self._held[known] if told is not page]
                    await self._lift(known)

    async def type(self, page: Page, text: str) -> None:
        """Type text key by key."""
        await self._carry(page)
        await page.keyboard.type(text)

    async def let_go(self) -> None:
        """Let go of all keys."""
        for name in self.held:
            await self._lift(name)

    async def _carry(self, page: Page) -> None:
        """Have a page that was not shown then know of what changes the meaning of keys."""
        for name, told in self._held.items():
            if page not in told and _key(name) in MODIFIERS:
                await page.keyboard.down(name)
                told.append(page)

    async def _lift(self, name: str) -> None:
        from playwright.async_api import Error

        for page in self._held.pop(name):
            try:
                await page.keyboard.up(name)
            except Error:
                if not page.is_closed():
                    raise

    def _known(self, name: str) -> str | None:
        return next((held for held in self._held if _key(held) == _key(name)), None)


def _key(name: str) -> str:
    one_of_two = name.removesuffix("Left").removesuffix("Right")
    return one_of_two if one_of_two in MODIFIERS else name
