"""Action calls as text, as oracles yield them and agents write them: ``click("12")``.

There is a function for every verb of the action vocabulary, with its name and its parameters.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Literal

Button = Literal["left", "middle", "right"]


def call(name: str, *arguments: object) -> str:
    """The text of a call: ``call("fill", "7", "bob")`` is ``fill("7", "bob")``."""
    return f"{name}({', '.join(map(repr_argument, arguments))})"


def repr_argument(value: object) -> str:
    """An argument as the vocabulary writes it: strings in double quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # whose escapes Python reads as well
    if isinstance(value, list):
        return "[" + ", ".join(map(repr_argument, value)) + "]"
    return repr(value)


# Each function has the parameters of its verb; what a verb does is told there.


def noop(wait_ms: float = 1000.0) -> str:
    """Do nothing for a while."""
    return call("noop", *([] if wait_ms == 1000.0 else [wait_ms]))


def click(bid: str, button: Button = "left") -> str:
    """Click an element."""
    return call("click", bid, *_unless_left(button))


def dblclick(bid: str, button: Button = "left") -> str:
    """Double-click an element."""
    return call("dblclick", bid, *_unless_left(button))


def hover(bid: str) -> str:
    """Move the mouse over an element."""
    return call("hover", bid)


def fill(bid: str, value: str) -> str:
    """Replace what a text field holds."""
    return call("fill", bid, value)


def clear(bid: str) -> str:
    """Empty a text field."""
    return call("clear", bid)


def select_option(bid: str, options: str | list[str]) -> str:
    """Choose options of a select by label or value."""
    return call("select_option", bid, options)


def upload_file(bid: str, file: str | list[str]) -> str:
    """Put one or several files of the task into a file input."""
    return call("upload_file", bid, file)


def check(bid: str) -> str:
    """Make sure that a checkbox or radio button is checked."""
    return call("check", bid)


def uncheck(bid: str) -> str:
    """Make sure that a checkbox is not checked."""
    return call("uncheck", bid)


def focus(bid: str) -> str:
    """Focus an element."""
    return call("focus", bid)


def press(bid: str, key_comb: str) -> str:
    """Focus an element and press a key or a combination such as ``Control+a``."""
    return call("press", bid, key_comb)


def drag_and_drop(from_bid: str, to_bid: str) -> str:
    """Drag one element onto another."""
    return call("drag_and_drop", from_bid, to_bid)


def scroll(delta_x: float, delta_y: float) -> str:
    """Turn the mouse wheel by so many pixels, right and down positive."""
    return call("scroll", delta_x, delta_y)


def goto(url: str) -> str:
    """Open an address."""
    return call("goto", url)


def go_back() -> str:
    """Go to the previous page of the history."""
    return call("go_back")


def go_forward() -> str:
    """Go to the next page of the history."""
    return call("go_forward")


def new_tab() -> str:
    """Open a blank tab and show it."""
    return call("new_tab")


def tab_close() -> str:
    """Close the tab shown."""
    return call("tab_close")


def tab_focus(index: int) -> str:
    """Show another tab; the first is 0."""
    return call("tab_focus", index)


def mouse_move(x: float, y: float) -> str:
    """Move the mouse to a point of the viewport, in CSS pixels."""
    return call("mouse_move", x, y)


def mouse_click(x: float, y: float, button: Button = "left") -> str:
    """Click at a point of the viewport, in CSS pixels."""
    return call("mouse_click", x, y, *_unless_left(button))


def mouse_dblclick(x: float, y: float, button: Button = "left") -> str:
    """Double-click at a point of the viewport, in CSS pixels."""
    return call("mouse_dblclick", x, y, *_unless_left(button))


def mouse_down(x: float, y: float, button: Button = "left") -> str:
    """Press a mouse button at a point of the viewport, in CSS pixels."""
    return call("mouse_down", x, y, *_unless_left(button))


def mouse_up(x: float, y: float, button: Button = "left") -> str:
    """Release a mouse button at a point of the viewport, in CSS pixels."""
    return call("mouse_up", x, y, *_unless_left(button))


def mouse_drag_and_drop(from_x: float, from_y: float, to_x: float, to_y: float) -> str:
    """Drag from one point of the viewport to another, in CSS pixels."""
    return call("mouse_drag_and_drop", from_x, from_y, to_x, to_y)


def keyboard_press(key: str) -> str:
    """Press a key or a combination where the focus is."""
    return call("keyboard_press", key)


def keyboard_type(text: str) -> str:
    """Type text key by key where the focus is."""
    return call("keyboard_type", text)


def keyboard_insert_text(text: str) -> str:
    """Insert text at once where the focus is."""
    return call("keyboard_insert_text", text)


def keyboard_down(key: str) -> str:
    """Press a key and hold it."""
    return call("keyboard_down", key)


def keyboard_up(key: str) -> str:
    """Let go of a key."""
    return call("keyboard_up", key)


def send_msg_to_user(text: str) -> str:
    """Tell the user the answer."""
    return call("send_msg_to_user", text)


def report_infeasible(reason: str) -> str:
    """Tell the user that the task cannot be done, and stop."""
    return call("report_infeasible", reason)


say = send_msg_to_user
mouse_drag = mouse_drag_and_drop

VERBS: dict[str, Callable[..., str]] = {
    verb.__name__: verb
    for verb in (
        *(noop, click, dblclick, hover, fill, clear, select_option, upload_file, check, uncheck),
        *(focus, press, drag_and_drop, scroll, goto, go_back, go_forward),
        *(new_tab, tab_close, tab_focus, mouse_move, mouse_click, mouse_dblclick, mouse_down),
        *(mouse_up, mouse_drag_and_drop, keyboard_press, keyboard_type, keyboard_insert_text),
        *(keyboard_down, keyboard_up, send_msg_to_user, report_infeasible),
    )
}
"""Every verb of the action vocabulary, by its name."""


def _unless_left(button: Button) -> tuple[str, ...]:
    return () if button == "left" else (button,)
