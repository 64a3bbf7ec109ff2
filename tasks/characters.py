"""Half characters: what is left of an emoji, say, where a page cuts a text in the middle of it."""

from __future__ import annotations


def whole(text: str) -> str:
    """The text with U+FFFD for each half character, as browsers show it: no UTF-8 can hold one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
