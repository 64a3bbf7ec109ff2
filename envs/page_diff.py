"""What has changed between two looks at a page, line by line.

… 14 lines as before
- <button bid=7>Add to cart</button>
+ <button bid=7 disabled>Added</button>
… 3 lines as before
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher

UNCHANGED = "… all as before"
MAX_LINES = 2000
"""Of two stretches longer than this that differ, the new one is shown whole."""


def diff_html(before: str, now: str) -> str:
    """``now``, or what is new in it if that is shorter.

    Both are pruned HTML. Lines that are gone begin with ``-``, new ones with ``+``.
    """
    if before == now:
        return UNCHANGED
    old, new = before.split("\n"), now.split("\n")
    start = _alike(old, new)
    end = _alike(old[start:][::-1], new[start:][::-1])
    old_middle, new_middle = old[start : len(old) - end], new[start : len(new) - end]
    if not before or max(len(old_middle), len(new_middle)) > MAX_LINES:
        return now
    lines = [
        *_as_before(start),
        *_changes(old_middle, new_middle),
        *_as_before(end),
    ]
    told = "\n".join(lines)
    return told if len(told) < len(now) else now


def _alike(one: list[str], other: list[str]) -> int:
    """How many lines both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _changes(old: list[str], new: list[str]) -> Iterator[str]:
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for kind, i, i_end, j, j_end in matcher.get_opcodes():
        if kind == "equal":
            yield from _as_before(i_end - i)
        else:
            yield from (f"- {line}" for line in old[i:i_end])
            yield from (f"+ {line}" for line in new[j:j_end])


def _as_before(lines: int) -> Iterator[str]:
    if lines:
        yield f"… {lines} {'line' if lines == 1 else 'lines'} as before"
