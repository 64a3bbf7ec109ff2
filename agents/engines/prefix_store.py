"""Which beginnings of sequences are in which slots of the cache, least recently used out first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

Tokens = tuple[int, ...]


class PrefixStore:
    """Remembers sequences that have ended, in slots ``first`` … ``first + slots − 1``.

    An episode's next prompt often begins like its last one, and only what differs is computed.
    """

    def __init__(self, first: int, slots: int) -> None:
        self._free = list(range(first, first + slots))
        self._kept: OrderedDict[int, Tokens] = OrderedDict()

    def place_for(self, tokens: Tokens) -> int | None:
        """The slot in which to keep ``tokens``; None if that is not worth a copy."""
        for slot, kept in self._kept.items():
            shared = common_length(kept, tokens)
            if shared == len(tokens):
                self._kept.move_to_end(slot)
                return None
            if shared == len(kept):
                break
        else:
            if not self._free and not self._kept:
                return None
            slot = self._free.pop() if self._free else self._kept.popitem(last=False)[0]
        self._kept[slot] = tokens
        self._kept.move_to_end(slot)
        return slot

    def longest(self, prompt: Tokens, others: Iterable[tuple[int, Tokens]]) -> tuple[int, int]:
        """The slot that begins most like ``prompt``, and for how many tokens.

        ``others`` are slots to consider besides those kept here, with their tokens.
        """
        best, length = -1, 0
        for slot, tokens in (*self._kept.items(), *others):
            shared = common_length(tokens, prompt)
            if shared > length:
                best, length = slot, shared
        if best in self._kept:
            self._kept.move_to_end(best)
        return best, length

    def clear(self) -> None:
        """Forget everything."""
        self._free += self._kept
        self._kept.clear()


def common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """Number of tokens that two sequences have in common at the beginning."""
    low, high = 0, min(len(first), len(second))
    if first[:high] == second[:high]:
        return high
    # first[:low] is equal, first[:high] is not: slices compare faster than a loop.
    while high - low > 1:
        middle = (low + high) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle
    return low
