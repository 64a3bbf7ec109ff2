"""Action calls as text, as oracles yield them and agents write them: ``click("12")``.

The verbs are those of the action vocabulary; ``call`` writes any of them.
"""

from __future__ import annotations

import json


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


def click(bid: str) -> str:
    """Click an element."""
    return call("click", bid)


def fill(bid: str, text: str) -> str:
    """Replace what a text field holds."""
    return call("fill", bid, text)


def select_option(bid: str, options: str | list[str]) -> str:
    """Choose options of a select by label or value."""
    return call("select_option", bid, options)


def press(bid: str, keys: str) -> str:
    """Focus an element and press a key or a combination such as ``Control+a``."""
    return call("press", bid, keys)


def hover(bid: str) -> str:
    """Move the mouse over an element."""
    return call("hover", bid)


def drag_and_drop(from_bid: str, to_bid: str) -> str:
    """Drag one element onto another."""
    return call("drag_and_drop", from_bid, to_bid)


def mouse_click(x: float, y: float) -> str:
    """Click at a point of the viewport, in CSS pixels."""
    return call("mouse_click", x, y)


def mouse_drag(from_x: float, from_y: float, to_x: float, to_y: float) -> str:
    """Drag from one point of the viewport to another, in CSS pixels."""
    return call("mouse_drag_and_drop", from_x, from_y, to_x, to_y)


def scroll(delta_x: float, delta_y: float) -> str:
    """Turn the mouse wheel by so many pixels, right and down positive."""
    return call("scroll", delta_x, delta_y)


def keyboard_press(keys: str) -> str:
    """Press a key or a combination where the focus is."""
    return call("keyboard_press", keys)


def keyboard_type(text: str) -> str:
    """Type text key by key where the focus is."""
    return call("keyboard_type", text)


def say(text: str) -> str:
    """Tell the user the answer."""
    return call("send_msg_to_user", text)
