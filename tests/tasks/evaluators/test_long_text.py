"""Text of whatever kind, up to the longest answer, is judged soon and without an error.

Whoever is judged chooses the text, so no regular expression may take a time that grows much faster
than it. A search that has not ended after a hundred times what it needs is stopped: the limit is on
the processor time of this process, which other programs do not shorten.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import signal
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webdojo.tasks import evaluators
from webdojo.tasks.evaluators.evaluator import KINDS, Match, parse_text_match
from webdojo.tasks.evaluators.judge_questions import read_verdict
from webdojo.tasks.evaluators.normalise import LONGEST

LONG = 2 * LONGEST
"""Twice the longest, so that what grows with the square is seen the better."""
LIMIT_S = 1.0

PATTERNS = {
    f"{module.name}.{name}": value
    for module in pkgutil.iter_modules(evaluators.__path__, f"{evaluators.__name__}.")
    for name, found in vars(importlib.import_module(module.name)).items()
    for value in (found.values() if isinstance(found, dict) else (found,))
    if isinstance(value, re.Pattern)
}
MATCHES: list[object] = [
    {"type": "exact", "value": "red mug"},
    {"type": "text", "value": "red mug", "alternatives": ["mug, red"]},
    {"type": "contains", "value": "a", "but_not": ["bob", "c++"], "max_characters": LONGEST},
    {"type": "contains", "value": "1", "max_characters": LONGEST, "not_listed": True},
    {"type": "number", "value": 1},
    {"type": "number", "value": 42, "percent": True, "tolerance": 0.5},
    {"type": "currency", "value": 12},
    {"type": "currency", "value": 12, "currency": "EUR", "named": True},
    {"type": "date", "value": "2026-05-04"},
    {"type": "date", "value": "2026-05-04", "order": "day-first"},
    {"type": "url", "value": "https://shop.test/cart?id=3", "fragment": True},
    {"type": "list", "items": ["a", "1", {"type": "contains", "value": "b"}]},
    {"type": "list", "items": ["a"], "separator": ","},
    {"type": "equals", "value": {"a": 1}},
    {"type": "includes", "value": {"a": 1}},
]
JUDGES = [parse_text_match(data) for data in MATCHES]

_PIECES = (
    " ", "a", "1", "1 ", "a b ", ", ", ". ", "; ", "- ", "-", "/", "$", "$1", "€ 1.", "1,",
    "12,345", "1.234,5 ", "eur ", "(", "(( ", ")", "~~", "!", "! ", "?", "'", '"', "\n", "\n- ",
    "\t", "and ", "&", "or ", "not ", "no", "n't ", "the a ", "of the ", "on monday ", "monday, ",
    "one ", "twenty-", "5 may ", "may 5, ", "2026-", "05/04/2026 ", "3:00 ", "3 pm ", "between ",
    "except for the red ", "all but ", "as many as ", "at the very ", "half ", "less than ",
    "thousand ", "million ", "bn", "ish ", "of ", "by the ", "through ", "week of ", "<think>",
    "```json", "{", "}", "*/", "--", "/*", "--\n", "[", "]", "[1,", "\u0301", "٥", "²", "½", "é",
    "\u200b", "\u202e", "n\u043et", "💥", "\ud800", "\x00",
)  # fmt: skip
_unit = st.one_of(
    st.lists(st.sampled_from(_PIECES), min_size=1, max_size=4).map("".join),
    st.text(st.characters(), min_size=1, max_size=12),
    st.sampled_from(sorted(PATTERNS)).flatmap(lambda name: st.from_regex(PATTERNS[name])),
).map(lambda text: text[:200] or " ")


class Repetitive(NamedTuple):
    """A begin, one unit again and again, and an end."""

    begin: str
    unit: str
    end: str
    fills: bool

    def text(self, length: int) -> str:
        """It has this length if it ``fills``, or a few units."""
        most = (length - len(self.begin) - len(self.end)) // len(self.unit)
        return self.begin + self.unit * (most if self.fills else 3) + self.end


texts = st.builds(Repetitive, _unit, _unit, _unit, st.sampled_from((True, True, False)))


@contextmanager
def limited(limit_s: float = LIMIT_S) -> Iterator[None]:
    """Stop what runs inside, a search too, after this processor time."""

    def stop(_signal: int, _frame: types.FrameType | None) -> None:
        raise TimeoutError(f"not ended after {limit_s} s of processor time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def check_patterns(text: str) -> None:
    for name, pattern in PATTERNS.items():
        try:
            with limited():
                for _ in pattern.finditer(text):
                    pass
        except TimeoutError as error:
            pytest.fail(f"{name}: {error}")


def check_judges(text: str) -> None:
    for judge in JUDGES:
        try:
            with limited():
                assert isinstance(judge._unsaid(text), str)
        except TimeoutError as error:
            pytest.fail(f"{judge!r}: {error}")


def test_a_search_that_takes_for_ever_is_stopped() -> None:
    with pytest.raises(TimeoutError), limited(0.1):
        re.search(r"(\w+\w+)+-", "a" * 40)


def test_every_kind_of_match_is_tried() -> None:
    kinds = {kind for kind in KINDS.values() if issubclass(kind, Match)}
    known = {kind for kind in kinds if kind.__module__.startswith(evaluators.__name__)}
    assert {type(judge) for judge in JUDGES} == known
    assert len(PATTERNS) > 40


few = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
many = settings(few, max_examples=250)


@few
@given(texts)
def test_no_expression_takes_long(repetitive: Repetitive) -> None:
    check_patterns(repetitive.text(LONG))


@few
@given(texts)
def test_no_answer_takes_long_or_raises(repetitive: Repetitive) -> None:
    check_judges(repetitive.text(LONGEST))


@pytest.mark.slow
@many
@given(texts)
def test_no_expression_takes_long_for_many_texts(repetitive: Repetitive) -> None:
    check_patterns(repetitive.text(LONG))


@pytest.mark.slow
@many
@given(texts)
def test_no_answer_of_many_takes_long_or_raises(repetitive: Repetitive) -> None:
    check_judges(repetitive.text(LONGEST))


@pytest.mark.parametrize("unit", _PIECES)
def test_a_long_reply_of_a_judge_is_read_or_refused(unit: str) -> None:
    for begin in ("", "<think>", "```json{", "{"):
        with limited(), pytest.raises((ValueError, RecursionError)):
            read_verdict(begin + unit * (LONG // len(unit)), ("a",))
