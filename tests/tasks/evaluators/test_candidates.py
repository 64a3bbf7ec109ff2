"""An answer that lists candidates does not claim the one that is right, where that is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from webdojo.tasks.evaluators import Contains, Evidence
from webdojo.tasks.evaluators.candidates import one_of_several
from webdojo.tasks.evaluators.evaluator import parse_evaluator

STUFFED = [
    ("red", "red, blue, green"),
    ("red", "blue, red, green"),
    ("red", "blue, green, red"),
    ("red", "The colours are red, blue, and green."),
    ("red", "The colours are blue, green and red."),
    ("red", "Colours: blue, green, red."),
    ("red", "the options are blue, red, green"),
    ("red", "green, red and blue mugs exist"),
    ("red", "blue, green, and red are the colours"),
    ("red", "red and blue"),
    ("red", "red as well as blue"),
    ("red mug", "red mug & blue mug"),
    ("red mug", "the red mug, the blue mug and the green mug"),
    ("red", "Red. Blue. Green."),
    ("red", "red; blue; green"),
    ("red", "red | blue | green"),
    ("red", "red - blue - green"),
    ("red", "red • blue • green"),
    ("red", "red\nblue\ngreen"),
    ("red", "- red\n- blue\n- green"),
    ("red", "1. blue\n2. red\n3. green"),
    ("red", "1) blue 2) red 3) green"),
    ("red mug", "(a) the red mug (b) the blue mug (c) the green mug"),
    ("red", '["red", "blue", "green"]'),
    ("red", "**red**, **blue**, **green**"),
    ("red", "red, blue, green. So: red"),
    ("red", "ＲＥＤ，ｂｌｕｅ，ｇｒｅｅｎ"),
    ("Alice", "Alice, Bob, Carol"),
    ("12", "10, 11, 12, 13"),
    ("a, b", "a, b; c, d; e, f"),
]
CLAIMED = [
    ("red", "Red."),
    ("red", "red, red, red"),
    ("red", "Red, of course"),
    ("red mug", "Red mug, thanks!"),
    ("red mug", "Yes, the red mug."),
    ("red mug", "No, it is the red mug."),
    ("red mug", "Done: the red mug"),
    ("red mug", "1. red mug"),
    ("red mug", "The answer is:\n\nRed mug"),
    ("red mug", "The answer is red mug.\n\nDone."),
    ("red mug", "The red mug, which costs $12, is the cheapest."),
    ("red mug", "It is the red mug, $12, in stock."),
    ("red mug", "The red mug. It costs $12 and ships today."),
    ("red mug", "I found the red mug and added it to the cart."),
    ("red mug", "I bought the red mug. The order is confirmed. Enjoy it."),
    ("Alice", "Alice is the one who did it, on Monday, at noon"),
    ("Paris", "Paris, France"),
    ("Paris, France", "Paris, France"),
    ("salt and pepper", "Salt and pepper"),
]
PARTICULARS = [
    ("Boston", "The store is in Boston, Massachusetts, United States."),
    ("Main Street", "12 Main Street, Springfield, Illinois"),
    ("pepperoni", "The most popular pizza is pepperoni, with cheese and basil"),
    ("Red mug", "Red mug - ceramic - dishwasher safe"),
    ("In stock", "In stock, ships today, free returns"),
    ("Wireless Mouse", "Wireless Mouse, black, USB-C"),
    ("Tom", "Tom and Jerry"),
    ("shipped", "The order was shipped, packed and paid."),
]
HOLDS = {"type": "contains", "max_characters": 10_000}
ALONE = {**HOLDS, "not_listed": True}


async def passes(evaluator: dict[str, Any], answer: str) -> bool:
    evidence = Evidence(None, answer)  # type: ignore[arg-type]
    return (await parse_evaluator(evaluator).judge(evidence)).passed


@pytest.mark.parametrize(("value", "answer"), STUFFED)
async def test_a_list_of_candidates_does_not_match(value: str, answer: str) -> None:
    assert await passes({**HOLDS, "value": value}, answer) == ("|" not in answer)  # a choice
    assert not await passes({**ALONE, "value": value}, answer)
    assert one_of_several(answer, value)


@pytest.mark.parametrize(("value", "answer"), CLAIMED)
async def test_one_claim_with_words_around_it_matches(value: str, answer: str) -> None:
    assert await passes({**ALONE, "value": value}, answer)


@pytest.mark.parametrize(("value", "answer"), PARTICULARS)
async def test_a_plain_right_answer_with_particulars_matches(value: str, answer: str) -> None:
    assert await passes({**HOLDS, "value": value}, answer)


async def test_a_list_matches_where_several_are_asked_for() -> None:
    both = [{**HOLDS, "value": value} for value in ("red", "blue")]
    assert await passes({"type": "all_of", "evaluators": both}, "red, blue and green")
    assert not await passes({"type": "all_of", "evaluators": both}, "red and green")
    assert not await passes({**both[0], "but_not": ["green"]}, "red, blue and green")


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("red", "red blue green"),
        ("red", "red, blue"),
        ("red", "One is red. Another one is blue. The third one is green."),
    ],
)
async def test_what_no_rule_sees_but_not_does(value: str, answer: str) -> None:
    assert await passes({**ALONE, "value": value}, answer)
    assert not await passes({**ALONE, "value": value, "but_not": ["blue", "green"]}, answer)


async def test_the_text_of_a_page_may_be_a_list() -> None:
    assert Contains(value="red", not_listed=True).mismatch("red, blue, green") == ""
