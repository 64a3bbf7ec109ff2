"""Regular expressions out of task files, matched in bounded time.

Whoever writes the file chooses the expression, and whoever is judged the text: between them the
time of a match may grow with any power of the length. So it is bounded, by ``BUDGET_S`` for all
that is ``judged`` at once, and what is not decided by then has not passed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Literal

import regex

from webdojo.tasks.evaluators.normalise import shown

BUDGET_S = 2.0
"""Processor time of this process, as ``regex`` counts it, for the matches of one judgement: other
programs on the machine do not shorten it. An honest match takes less than a thousandth of it."""
LONGEST_PATTERN = 2_000
LONGEST_MATCHED = 100_000
"""Characters beyond which a text is matched by nothing; files that agents write are shorter."""
How = Literal["fullmatch", "match", "search"]
_ends_at: ContextVar[float] = ContextVar("ends_at")


class SlowPatternError(ValueError):
    """A match was not decided in time."""


def is_pattern(value: Any) -> bool:
    """Whether an expected text is a regular expression: ``^…$``."""
    return isinstance(value, str) and len(value) > 1 and value[0] == "^" and value[-1] == "$"


def check_pattern(pattern: str) -> None:
    """Raise ValueError for what is no regular expression, or a very long one."""
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(
            f"{shown(pattern)} is longer than {LONGEST_PATTERN:,} characters; write it shorter"
        )
    try:
        _compiled(pattern, ignore_case=False)
    except (regex.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{shown(pattern)} is no regular expression: {error}") from None


def check_patterns(value: Any) -> None:
    """Check every expression inside tables and lists; raises ValueError."""
    if is_pattern(value):
        check_pattern(value)
    for inner in value.values() if isinstance(value, dict) else ():
        check_patterns(inner)
    for inner in value if isinstance(value, list | tuple) else ():
        check_patterns(inner)


def matches(pattern: str, text: str, *, how: How = "fullmatch", ignore_case: bool = True) -> bool:
    """Whether the whole text matches, its begin or any part of it; a dot is any character.

    Raises SlowPatternError if that is not decided in the time that is left.
    """
    if len(text) > LONGEST_MATCHED:
        return False
    match = getattr(_compiled(pattern, ignore_case=ignore_case), how)
    left_s = _ends_at.get(time.process_time() + BUDGET_S) - time.process_time()
    try:
        if left_s <= 0:
            raise TimeoutError
        return match(text, timeout=left_s) is not None
    except (TimeoutError, MemoryError):
        raise SlowPatternError(
            f"the expression {shown(pattern)} is not decided in {BUDGET_S:g} s for"
            f" {shown(text, 20)}; write it so that no two parts of it match the same text"
        ) from None


@contextmanager
def judged() -> Iterator[None]:
    """All matches inside share one budget."""
    token = _ends_at.set(time.process_time() + BUDGET_S)
    try:
        yield
    finally:
        _ends_at.reset(token)


@lru_cache(1024)
def _compiled(pattern: str, *, ignore_case: bool) -> Any:
    return regex.compile(
        pattern, regex.V0 | regex.DOTALL | (regex.IGNORECASE if ignore_case else regex.V0)
    )
