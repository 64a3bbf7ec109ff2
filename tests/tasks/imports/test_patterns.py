"""Regular expressions of task files: what is none is refused, what takes for ever does not pass."""

from __future__ import annotations

from typing import Any

import pytest
from task_rows import Write, answer, arena_row, load_arena, response
from test_network_events import ORDER, PATHED, events, get, post, row

from webdojo.tasks import UserError
from webdojo.tasks.imports import patterns
from webdojo.tasks.imports.patterns import (
    LONGEST_MATCHED,
    SlowPatternError,
    check_patterns,
    judged,
    matches,
)
from webdojo.tasks.imports.webarena_evaluators import Response

ENDLESS = r"^((\w+\w+)+(\w+\w+)+)+[-!]$"
HOSTILE = "a" * 9_000


def test_how_a_text_is_matched() -> None:
    assert matches("^a.b$", "A\nb")
    assert not matches("^a.b$", "A\nb", ignore_case=False)
    assert not matches("b", "abc")
    assert matches("b", "abc", how="search")
    assert matches("^a|x$", "ab", how="match")
    assert matches("^.*a$", "a" * LONGEST_MATCHED)
    assert not matches("^.*a$", "a" * (LONGEST_MATCHED + 1))


@pytest.fixture
def _little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "BUDGET_S", 0.1)


@pytest.mark.usefixtures("_little_time")
def test_what_takes_for_ever_is_given_up() -> None:
    with pytest.raises(SlowPatternError, match=r"not decided in 0\.1 s for 'aaa.*write it so that"):
        matches(ENDLESS, HOSTILE)
    with judged():  # one budget for all of them
        for _ in range(1_000):
            with pytest.raises(SlowPatternError):
                matches(ENDLESS, HOSTILE)


SLOW = [
    (row({"url": ENDLESS.replace("^", "^__SHOP__/")}), [get("/" + HOSTILE)]),
    (row({"url": ENDLESS.replace("^", "^__SHOP__/")}, should_not_exist=True), [get("/" + HOSTILE)]),
    (row({"url": "__SHOP__/a"}, ignored_query_params_patterns=[ENDLESS]), [get(f"/a?{HOSTILE}=1")]),
    (row(ORDER | {"post_data": {"sku": ENDLESS}}), [post(body=f"sku={HOSTILE}")]),
    (row(ORDER, ignored_post_data_params_patterns=[ENDLESS]), [post(body=f"sku=R1&{HOSTILE}=1")]),
    (row(PATHED | {"post_data": {ENDLESS: "R1"}}), [post(body=f"{HOSTILE}=R1")]),
]


@pytest.mark.usefixtures("_little_time")
@pytest.mark.parametrize(("wanted", "sent"), SLOW)
def test_what_is_not_decided_has_not_passed(wanted: dict[str, Any], sent: list[Any]) -> None:
    (event,) = events("mutate", wanted)
    verdict = event._verdict(tuple(sent))
    assert not verdict.passed
    assert "not decided in 0.1 s" in verdict.reason


@pytest.mark.usefixtures("_little_time")
def test_an_answer_that_is_not_decided_does_not_match() -> None:
    wanted = Response(**response("retrieve", [ENDLESS])["expected"])
    assert "not decided in 0.1 s" in wanted.mismatch(answer("retrieve", [HOSTILE]))


@pytest.mark.parametrize(
    "place",
    [
        {"url": "^(__SHOP__$"},
        {"url": f"^__SHOP__{'a' * 2_000}$"},
        {"url": f"^{'(' * 900}{')' * 900}$"},
        {"post_data": {"sku": "^[$"}},
        {"post_data": {"$.^[$": "R1"}},
        {"query_params": {"q": ["^[$"]}},
        {"headers": {"referer": "^[$"}},
        {"response_cookies": {"said": "^[$"}},
        {"response_content": {"said": "^[$"}},
    ],
)
def test_what_is_no_expression_is_refused(write: Write, shop: str, place: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"task 3: .*(is no regular expression|is longer than)"):
        load_arena(write, shop, arena_row(3, response("mutate"), row(ORDER | place)))


@pytest.mark.parametrize("field", ["ignored_query_params", "ignored_post_data_params"])
def test_ignored_names_must_be_expressions(write: Write, shop: str, field: str) -> None:
    wanted = row(ORDER, **{f"{field}_patterns": ["[a"]})
    with pytest.raises(UserError, match="'\\[a' is no regular expression"):
        load_arena(write, shop, arena_row(3, response("mutate"), wanted))


def test_an_answers_expressions_are_checked(write: Write, shop: str) -> None:
    with pytest.raises(UserError, match=r"retrieved_data: .* is no regular expression"):
        load_arena(write, shop, arena_row(3, response("retrieve", [["a", "^[$"]])))
    check_patterns({"a": ["^b$", 1, None], "c": "[no expression"})


@pytest.mark.parametrize("status", [0, 99, 600, -2, "ok"])
def test_a_status_that_no_answer_has_is_refused(write: Write, shop: str, status: object) -> None:
    with pytest.raises(UserError, match=r"task 3: .*status"):
        wanted = row(ORDER | {"response_status": status})
        load_arena(write, shop, arena_row(3, response("mutate"), wanted))
