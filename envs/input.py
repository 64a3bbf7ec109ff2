"""The mouse on one page: where it is, which buttons are held down, and what is being dragged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from webdojo.envs.devtools import Session
    from webdojo.envs.keyboard import Keyboard
    from webdojo.envs.patience import Patience

Button = Literal["left", "middle", "right"]
BUTTONS: dict[Button, int] = {"left": 1, "right": 2, "middle": 4}
"""Bits of ``MouseEvent.buttons``."""
HOME = (0.0, 0.0)
"""Where the mouse is when an episode begins."""


class Input:
    """What one page is told of the mouse, and of text put in, straight over the protocol.

    ``patience`` waits for answers that may need page time.
    """

    def __init__(self, cdp: Session, keyboard: Keyboard, patience: Patience) -> None:
        self.at: tuple[float, float] | None = None
        """Where the mouse is; None if it has not moved in this episode."""
        self.pressed: list[Button] = []
        """Mouse buttons that are held down, in the order in which they were pressed."""
        self._cdp = cdp
        self._keyboard = keyboard
        self._patience = patience
        self._keeps_drags = False
        self._dragged: dict[str, Any] | None = None
        cdp.on("Input.dragIntercepted", self._drag_began)

    async def move(self, x: float, y: float) -> None:
        """Move the mouse and see the page notice it; what is being dragged goes along."""
        if self._dragged is not None:
            await self._drag("dragOver", x, y)
            return
        # Chromium keeps a move back until the next frame, which a standing clock never brings,
        # unless another event follows. The in-page script hides this one from the page.
        await self._patience.wait(
            self._mouse("mouseMoved", x, y, button=self.pressed[-1] if self.pressed else "none"),
            self._cdp.send("Input.dispatchKeyEvent", {"type": "keyUp"}),
        )
        if self._keeps_drags:
            # What the page began before this has been heard of after it.
            await self._cdp.send("Runtime.evaluate", {"expression": "0"})
            if self._dragged is not None:
                await self._drag("dragEnter", x, y)
                await self._drag("dragOver", x, y)

    async def press(self, x: float, y: float, button: Button, count: int = 1) -> None:
        """Press a mouse button; ``count`` is 2 for the second time of a double click."""
        if button not in self.pressed:
            self.pressed.append(button)
        await self._mouse("mousePressed", x, y, button=button, clickCount=count)

    async def release(self, x: float, y: float, button: Button, count: int = 1) -> None:
        """Let go of a mouse button, and so of what is being dragged."""
        if self._dragged is not None:
            await self._drag("drop", x, y)
            self._dragged = None
        if button in self.pressed:
            self.pressed.remove(button)
        await self._mouse("mouseReleased", x, y, button=button, clickCount=count)
        if self._keeps_drags and not self.pressed:
            await self._keep_drags(False)

    async def down(self, x: float, y: float, button: Button) -> None:
        """Press a button somewhere, to be held while the mouse moves on."""
        await self.move(x, y)
        # The window system would take over a drag that begins.
        await self._keep_drags(True)
        await self.press(x, y, button)

    async def up(self, x: float, y: float, button: Button) -> None:
        """Let go of it, somewhere else maybe."""
        if self.at != (x, y):
            await self.move(x, y)
        await self.release(x, y, button)

    async def wheel(self, x: float, y: float, delta_x: float, delta_y: float) -> None:
        """Turn the mouse wheel over a point, by pixels right and down."""
        await self._patience.wait(
            self._mouse("mouseWheel", x, y, deltaX=delta_x, deltaY=delta_y),
            self._cdp.send("Input.dispatchKeyEvent", {"type": "keyUp"}),
        )

    async def insert_text(self, text: str) -> None:
        """Insert text at the caret, as an input method does."""
        await self._cdp.send("Input.insertText", {"text": text})

    async def let_go(self) -> None:
        """Let go of mouse buttons; what is being dragged falls nowhere."""
        if self._dragged is not None:
            await self._drag("dragCancel", *(self.at or HOME))
            self._dragged = None
        for button in tuple(self.pressed):
            await self.release(*(self.at or HOME), button)

    async def _mouse(self, kind: str, x: float, y: float, **parameters: Any) -> None:
        self.at = (x, y)
        await self._cdp.send(
            "Input.dispatchMouseEvent",
            {
                "type": kind,
                "x": x,
                "y": y,
                "buttons": sum(BUTTONS[button] for button in self.pressed),
                "modifiers": self._keyboard.modifiers,
                **parameters,
            },
        )

    async def _drag(self, kind: str, x: float, y: float) -> None:
        self.at = (x, y)
        place = {"type": kind, "x": x, "y": y, "modifiers": self._keyboard.modifiers}
        await self._cdp.send("Input.dispatchDragEvent", {**place, "data": self._dragged})

    async def _keep_drags(self, keeps: bool) -> None:
        if keeps is not self._keeps_drags:
            self._keeps_drags = keeps
            await self._cdp.send("Input.setInterceptDrags", {"enabled": keeps})

    def _drag_began(self, event: dict[str, Any]) -> None:
        if self._keeps_drags:
            self._dragged = event["data"]
