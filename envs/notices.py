"""What happens besides: told with the next observation, of which it must not be most."""

from __future__ import annotations

from webdojo.tasks.characters import whole

MOST_TOLD = 30
"""Of one kind between two looks; a page that goes on and on says no more by it."""
MAX_CHARACTERS = 1000
"""Of each."""


class Notices:
    """Lines to be told, each with ``noun`` as its name; what is too many is counted."""

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._lines: list[str] = []
        self._more = 0

    def add(self, line: str) -> None:
        """Keep a line until the next look, cut where it is too long."""
        if len(self._lines) == MOST_TOLD:
            self._more += 1
            return
        line = whole(line)
        left = len(line) - MAX_CHARACTERS
        self._lines.append(
            line if left <= 0 else f"{line[:MAX_CHARACTERS]}… {left} more characters"
        )

    def take(self) -> tuple[str, ...]:
        """All that was added since the last call, the first lines and how many more there were."""
        told = tuple(self._lines)
        if self._more:
            told += (f"… and {self._more} more {self._noun}",)
        self._lines, self._more = [], 0
        return told
