"""Requests in WebArena-Verified's manner: status, absence, fields that do not count, last page."""

from __future__ import annotations

from typing import Any

import pytest
from task_rows import arena_row, response

from webdojo.tasks.evaluators.recording import SentRequest
from webdojo.tasks.imports.webarena import WebArenaRow, _evaluators
from webdojo.tasks.imports.webarena_evaluators import NetworkEvent

SHOP = "http://shop.test"


def row(expected: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"evaluator": "NetworkEventEvaluator", "expected": expected, **fields}


def events(kind: str, *rows: dict[str, Any]) -> list[NetworkEvent]:
    task = WebArenaRow.model_validate(arena_row(1, response(kind), *rows))
    made = _evaluators(task, {"shop": SHOP})
    return [event for event in made if isinstance(event, NetworkEvent)]


def post(path: str = "/orders", body: str = "sku=R1", status: int | None = 200) -> SentRequest:
    return SentRequest(
        "POST",
        SHOP + path,
        body.encode(),
        {"content-type": "application/x-www-form-urlencoded", "referer": f"{SHOP}/order?a=1"},
        status=status,
    )


def get(path: str, *, opens: bool = True, status: int = 200) -> SentRequest:
    return SentRequest("GET", SHOP + path, navigates=opens, status=status)


ORDER = {"url": "__SHOP__/orders", "http_method": "POST", "post_data": {"sku": "R1"}}
LEFT = row(ORDER, should_not_exist=True)
KEYS = {"ignored_post_data_params_patterns": ["^form_key$", "^x_"]}
PATHED = {**ORDER, "post_data": {"$.^.*sku$": "R1"}}

RIGHT = [
    (row(ORDER), [post()]),
    (row(ORDER | {"response_status": None}), [post()]),
    (row(ORDER | {"response_status": 302}), [post(status=302)]),
    (row(ORDER | {"response_status": -1}), [post(status=None)]),
    (LEFT, []),
    (LEFT, [get("/orders"), post("/order")]),
    (row(ORDER, **KEYS), [post(body="sku=R1&form_key=4")]),
    (row(ORDER | {"post_data": {"sku": "R1", "form_key": None}}, **KEYS),
     [post(body="sku=R1&form_key=4")]),
    (row(PATHED, **KEYS), [post(body="sku=R1&x_sku=R2")]),
    (row(ORDER, ignored_post_data_params_patterns=None), [post()]),
    (row(ORDER | {"headers": {"Referer": "__SHOP__/order/?a=1"}}), [post()]),
    (row(ORDER | {"headers": {"referer": ["__SHOP__/cart", "^__SHOP__/or.*$"]}},
         ignored_query_params=["a"]), [post()]),
    (row(ORDER | {"headers": {"referer": "__SHOP__/order?a=1"}}),
     [post(), SentRequest("POST", f"{SHOP}/orders", b"", {"referer": f"{SHOP}/cart"}, status=500)]),
    (row(ORDER | {"url": "__SHOP__/two words"}), [post("/two%20words")]),
    (row({"url": "__SHOP__/search?q=red mug"}), [get("/search?q=red+mug&sort=")]),
    (row({"url": "^__SHOP__/s.*$"}), [get("/search")]),
    (row({"url": "__SHOP__/s", "query_params": {"q": ["a"], "page": ["1"]}},
         ignored_query_params_patterns=["PAGE"]), [get("/s?q=a&page=7")]),
    (row({"url": "__SHOP__/s?q=a"}, last_event_only=False), [get("/s?q=a"), get("/s?q=b")]),
]  # fmt: skip
WRONG = [
    (row(ORDER), [post(status=500)], "answered with status 500"),
    (row(ORDER), [post(status=302)], "answered with status 302"),
    (row(ORDER), [post(status=None)], "not answered"),
    (row(ORDER), [post(), post(status=404)], "answered with status 404"),
    (row(ORDER | {"response_status": -1}), [post()], "answered with status 200"),
    (row(ORDER | {"response_status": 302}), [post()], "answered with status 200"),
    (LEFT, [post()], "was made"),
    (LEFT, [post(status=302)], "was made"),
    (LEFT, [post(status=None)], "was made"),
    (LEFT, [post(body="sku=R9"), post("/order")], "was made"),
    (row(ORDER | {"response_status": 201}, should_not_exist=True), [post()], "was made"),
    (row(ORDER | {"post_data": {"form_key": "4"}}, **KEYS), [post(body="form_key=4")], "carried"),
    (row(PATHED, **KEYS), [post(body="sku=R1&z_sku=R2")], "it carried"),
    (row(PATHED, **KEYS), [post(body="sku=R1&X_sku=R2")], "it carried"),
    (row(ORDER | {"headers": {"referer": "__SHOP__/order"}}), [post()], "its header referer"),
    (row(ORDER | {"headers": {"referer": "__SHOP__/cart"}}), [post()], "no such request"),
    (row({"url": "__SHOP__/search?q=red mug"}), [get("/search?q=red&q=mug")], "its query"),
    (row({"url": "__SHOP__/s?q=a"}), [get("/s?q=a"), get("/s?q=b")], "its query"),
    (row({"url": "^__SHOP__/s.*$"}), [get("/search?q=a")], "its query"),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "sent"), RIGHT)
def test_requests_that_must_pass(wanted: dict[str, Any], sent: list[SentRequest]) -> None:
    (event,) = events("mutate", wanted)
    verdict = event._verdict(tuple(sent))
    assert verdict.passed, verdict.reason


@pytest.mark.parametrize(("wanted", "sent", "said"), WRONG)
def test_requests_that_must_not_pass(
    wanted: dict[str, Any], sent: list[SentRequest], said: str
) -> None:
    (event,) = events("mutate", wanted)
    verdict = event._verdict(tuple(sent))
    assert not verdict.passed
    assert said in verdict.reason


CAR, MUG, DATA = (row({"url": f"__SHOP__/{name}"}) for name in ("car", "mug", "data"))


@pytest.mark.parametrize(
    ("rows", "sent", "passes"),
    [
        ([MUG], [get("/"), get("/mug")], True),
        ([MUG], [get("/mug"), get("/?a=1", opens=False)], True),
        ([MUG], [get("/mug"), get("/car"), get("/mug")], True),
        ([MUG], [get("/mug"), post()], True),
        ([MUG], [get("/mug"), get("/car")], False),
        ([MUG], [get("/mug"), get("/mug?page=2")], False),
        ([MUG], [get("/car")], False),
        ([DATA], [get("/"), get("/data", opens=False), get("/")], True),
        ([MUG, CAR], [get("/mug"), get("/car")], True),
        ([MUG, CAR], [get("/car"), get("/mug")], True),
        ([MUG, CAR], [get("/mug"), get("/car"), get("/")], False),
        ([MUG, row(ORDER)], [get("/mug"), post()], True),
        ([MUG, row(ORDER)], [post(), get("/mug"), get("/car")], False),
    ],
)
def test_who_is_to_go_somewhere_must_stay_there(
    rows: list[dict[str, Any]], sent: list[SentRequest], passes: bool
) -> None:
    made = events("navigate", *rows)
    assert all(event._verdict(tuple(sent)).passed for event in made) == passes


def test_who_is_to_do_something_may_go_on_afterwards() -> None:
    (event,) = events("mutate", MUG)
    assert event._verdict((get("/mug"), get("/car"))).passed
