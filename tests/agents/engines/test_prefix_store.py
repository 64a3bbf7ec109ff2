"""Which sequences are kept, which are forgotten, and which is found."""

from itertools import takewhile

from hypothesis import given
from hypothesis import strategies as st

from webdojo.agents.engines.prefix_store import PrefixStore, common_length

TOKENS = st.lists(st.integers(0, 1), max_size=30)


@given(TOKENS, TOKENS)
def test_common_length_counts_the_common_beginning(first, second):
    equal = takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))
    assert common_length(first, second) == len(list(equal))


def test_the_longest_beginning_is_found_here_or_among_the_others():
    store = PrefixStore(first=8, slots=2)
    assert store.longest((1, 2, 3), ()) == (-1, 0)
    slot = store.place_for((1, 2, 3))
    assert slot in (8, 9)
    assert store.longest((1, 2, 9), ()) == (slot, 2)
    assert store.longest((1, 2, 9), [(0, (1, 2, 9, 9))]) == (0, 3)
    assert store.longest((7,), ()) == (-1, 0)


def test_the_least_recently_used_goes_first():
    store = PrefixStore(first=0, slots=2)
    old, new = store.place_for((1, 1)), store.place_for((2, 2))
    store.longest((1, 1, 5), ())
    assert store.place_for((3, 3)) == new
    assert store.longest((1, 1), ()) == (old, 2)
    assert store.longest((2, 2), ()) == (-1, 0)


def test_what_is_kept_already_is_not_kept_twice():
    store = PrefixStore(first=0, slots=2)
    slot = store.place_for((1, 2, 3))
    assert store.place_for((1, 2)) is None
    assert store.place_for((1, 2, 3, 4)) == slot


def test_a_store_without_room_keeps_nothing():
    assert PrefixStore(first=4, slots=0).place_for((1,)) is None


def test_clearing_forgets_and_frees():
    store = PrefixStore(first=0, slots=1)
    store.place_for((1, 2))
    store.clear()
    assert store.longest((1, 2), ()) == (-1, 0)
    assert store.place_for((5,)) == 0
