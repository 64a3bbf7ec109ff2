"""Evaluators of the page, its requests, and a site's state and database, in a real browser."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Error, Page

from webdojo.envs.browser import Chromium
from webdojo.tasks.evaluators import (
    Evidence,
    Recorder,
    Verdict,
    condition,
    parse_evaluator,
    recording,
)
from webdojo.tasks.imports.webarena_evaluators import NetworkEvent
from webdojo.tasks.sites import Site, SiteEpisode

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = """<!doctype html><title>Shop</title>
<h1>Red mug</h1><p class=price>$12.00</p><p class=price>$7.50</p>
<ul><li>red</li><li>blue</li></ul>
<p id=ghost style="display:none">Order placed</p>
<p id=faded style="opacity:0">Order placed</p>
<p id=mixed>Total: <span hidden>99</span>12</p>
<!-- <p id=commented>Order placed</p> -->
<input id=name value=before><input id=secret type=password><textarea id=note></textarea>
<input id=gift type=checkbox checked><select id=size><option>S<option selected>M</select>
<script>
  document.querySelector("#name").value = "Ada";
  document.querySelector("#note").value = "two\\nlines";
  document.querySelector("#secret").value = "hunter2";
  document.querySelector("#gift").checked = false;
  document.querySelector("#size").selectedIndex = 0;
</script>"""

STATE = """{"cart": [{"sku": "R1", "quantity": 2, "note": null}], "gift": null,
    "total": "24.00", "paid": true}"""


def make_shop(folder: Path) -> Any:
    """A web application that keeps orders in a database."""
    database = sqlite3.connect(folder / "shop.db", check_same_thread=False)
    database.execute("create table orders (sku text, quantity integer)")
    database.execute("insert into orders values ('R1', 2), ('B2', 1)")
    database.commit()

    async def shop(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        path, status, kind = scope["path"], 200, b"text/html; charset=utf-8"
        body = PAGE.encode()
        if path == "/state":
            body, kind = STATE.encode(), b"application/json"
        elif path.startswith("/api"):
            await receive()
            body, status = b"{}", 500 if path == "/api/broken" else 201
        elif path == "/gone":
            body, status = b"<p>Not found</p>", 404
        elif path == "/reset":
            status = 204
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]}
        )
        await send({"type": "http.response.body", "body": body if status != 204 else b""})

    return shop


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def evidence(chromium: Chromium) -> AsyncIterator[Evidence]:
    context = await chromium.new_context((800, 600))
    page = await context.new_page()
    recorder = Recorder()
    recorder.attach(page)
    await recorder.read_bodies(page)
    site = Site("shop", application=make_shop)
    episode = await site.begin(page, 7)
    await page.goto(site.url("/item?b=2&a=1"))
    await send(page, "/api/cart", '{"sku": "R1", "quantity": 2}')
    await send(page, "/api/broken", '{"sku": "R1"}')
    await send(page, "/api/form", "name=Ada&size=M&size=L", "application/x-www-form-urlencoded")
    await page.evaluate(
        """() => { const form = new FormData(); form.append("name", "Ada");
        return fetch("/api/multipart", {method: "POST", body: form}) }"""
    )
    yield Evidence(page, "red mug", "Buy it.", recorder, episode)
    await context.close()


async def send(page: Page, path: str, body: str, kind: str = "application/json") -> None:
    await page.evaluate(
        "([path, body, kind]) =>"
        " fetch(path, {method: 'POST', body, headers: {'content-type': kind}})",
        [path, body, kind],
    )


def dom(selector: str, **fields: Any) -> dict[str, Any]:
    return {"type": "dom", "selector": selector, **fields}


def request(path: str, **fields: Any) -> dict[str, Any]:
    return {"type": "request", "method": "POST", "url": path, **fields}


def state(query: str, expected: Any) -> dict[str, Any]:
    return {"type": "state", "query": query, "expected": expected}


def database(query: str, expected: Any, **fields: Any) -> dict[str, Any]:
    fields = {"path": "shop.db", **fields}
    return {"type": "database", "query": query, "expected": expected, **fields}


COUNTING = "with recursive n(i) as (select 1 union all select i + 1 from n)"
ENDLESS = f"{COUNTING} select count(*) from n"

PASS: list[dict[str, Any]] = [
    dom("h1", text="red mug"),
    dom(".price", text={"type": "currency", "value": 7.5}),
    dom(".price", count=2),
    dom("li", text={"type": "contains", "value": "red"}),
    dom("#mixed", text={"type": "exact", "value": "Total: 12"}),
    dom("#missing", absent=True),
    dom("#ghost", absent=True),
    dom("#faded", absent=True),
    dom("#ghost", hidden=True, text="Order placed"),
    dom("#name", attribute="value", text="Ada"),
    dom("#note", text={"type": "exact", "value": "two\nlines"}),
    dom("#note", attribute="value", text={"type": "exact", "value": "two\nlines"}),
    dom("#size", attribute="value", text="S"),
    dom("#secret", attribute="value", text="hunter2"),
    dom("#secret:not([value])"),  # which stays in the page where it is not asked for
    dom("#gift:not([checked])"),
    dom("#size option[selected]", text="S"),
    {"type": "page_url", "is_at": "http://shop.localhost/item?a=1&b=2"},
    {"type": "page_url", "is_at": {"type": "url", "value": "/item", "ignore": ["a", "b"]}},
    request("/item?a=1&b=2", method="GET"),
    request("/api/cart", json_body={"quantity": 2, "sku": "R1"}),
    request("/api/cart", json_body={"sku": "R1"}, partial=True, status=201),
    request("/api/cart", headers={"Content-Type": "application/json"}, times=1),
    request("/api/broken", status=500),
    request("/api/form", form={"name": "Ada", "size": ["M", "L"]}),
    request("/api/multipart", form={"name": "Ada"}),
    request("/api/pay", times=0),
    state("cart[?sku=='R1'].quantity | [0]", 2),
    state("total", {"type": "currency", "value": 24}),
    state("length(cart)", 1),
    state("paid", True),
    database("select count(*) from orders", 2),
    database("select sku, quantity from orders order by sku", [["B2", 1], ["R1", 2]]),
    database("select quantity from orders where sku = ?", 2, parameters=["R1"]),
    database("-- how many?\n /* all; */ select count(*) from orders", 2),
    database(f"{COUNTING} select * from n limit 10000", [[n] for n in range(1, 10_001)]),
    state("gift", None),
    state("cart[0].note", None),
    state("nothing || gift", None),
    state("cart[?sku=='R1'] | [0].note", None),
    state("`null`", None),
    state("cart[?sku=='B2']", []),
    state("!gift", True),
    state("!paid", False),
    state("total != '12.00'", True),
    state("!(total == '12.00') && paid", True),
    state("(carts || cart)[0].quantity == `2`", True),
    state("gift == `null`", True),
    state("paid || carts == `1`", True),
    state("not_null(carts, `0`)", 0),
    state("contains(keys(@), 'carts')", False),
    state("cart[?colour != 'red'].quantity", [2]),
    {"type": "python", "function": "tests.answered"},
    {"type": "python", "function": "tests.answered-later"},
    {"type": "all_of", "evaluators": [dom("h1"), {"type": "text", "value": "red mug"}]},
    {"type": "any_of", "evaluators": [dom("h2"), {"type": "text", "value": "red mug"}]},
]

FAIL: list[tuple[dict[str, Any], str]] = [
    (dom("h1", text="mug"), "'Red mug' is not 'mug'"),
    (dom(".price", text={"type": "currency", "value": 7.5}, count=2), "12.00 is not 7.5"),
    (dom(".price", count=3), "2 elements, not 3"),
    (dom("h1", absent=True), "is there"),
    (dom("#missing"), "not on the page"),
    (dom("#ghost"), "not on the page"),
    (dom("#faded", text="Order placed"), "not on the page"),
    (dom("#commented"), "not on the page"),
    (dom("#name", attribute="value", text="before"), "'Ada' is not 'before'"),
    (dom("#secret", attribute="value", text="hunter1"), "'#secret': another password was typed"),
    (dom("#name", text="Ada"), 'what was typed into it is its attribute = "value"'),
    (dom("#name", attribute="href"), "no attribute 'href'"),
    ({"type": "page_url", "is_at": "/item"}, "is not '/item'"),
    (request("/api/cart", json_body={"sku": "R1"}), "its body was"),
    (request("/api/cart", json_body={"quantity": 2.5}, partial=True), "its body was"),
    (request("/api/cart", json_body={"quantity": "2"}, partial=True), "its body was"),
    (request("/api/cart", form={"sku": "R1"}), "its form was null"),
    (request("/api/cart", status=200), "answered with status 201"),
    (request("/api/cart", times=2), "made 1 times"),
    (request("/api/cart", method="PUT"), "no such request was made"),
    (request("/api/broken"), "answered with status 500"),
    (request("/api/form", form={"name": "Ada"}), "its form was"),
    (request("http://other.localhost/api/cart"), "no such request was made"),
    (state("cart[0].quantity", "2"), "2 is not '2'"),
    (state("cart[0].colour", "red"), "None is not 'red'"),
    (state("length(paid)", 1), "invalid type"),
    *(
        (state(query, None), "leads nowhere")
        for query in (
            "nope.nope",
            "cart.note",
            "cart[1].note",
            "cart[0].nope",
            "cart[?sku=='B2'] | [0]",
            "carts[?sku=='R1'].note",
            "nope || nothing",
            "max(`[]`)",
        )
    ),
    (state("!nope", True), "leads nowhere"),
    (state("!(nope.nope)", True), "leads nowhere"),
    *(
        (state(query, expected), "leads nowhere")
        for query, expected in (
            ("order.status != 'cancelled'", True),
            ("!(order.status == 'cancelled')", True),
            ("'cancelled' != order.status", True),
            ("cart[0].status == cart[0].state", True),
            ("paid && order.status != 'cancelled'", True),
            ("order.status == 'cancelled' || paid", True),
            ("order.status && paid || order.paid", None),
            ("type(order.status) == 'null'", True),
            ("to_string(order.status)", "null"),
            ("[order.status, total]", [None, "24.00"]),
            ("{status: order.status}", {"status": None}),
        )
    ),
    (database("select count(*) from payments", 0), "no such table"),
    (database("select 1; drop table orders", 1), "one statement"),
    (database("-- a\nselect 1; drop table orders", 1), "one statement"),
    (database("/**/ with a as (select 1) delete from orders", 1), "not authorized"),
    (
        database(f"{COUNTING} select * from n limit 10001", [[n] for n in range(1, 10_001)]),
        "more than 10,000 rows are found",
    ),
    (database("with a as (select 1) insert into orders select 'X', 1", 1), "not authorized"),
    (database("select load_extension('evil')", 1), "not authorized"),
    (database(ENDLESS, 1, limit_s=0.2), "took too long"),
    (database("select length(hex(randomblob(400000000)))", 1, limit_s=0.2), "too big"),
    (database("select 1", 1, path="missing.db"), "unable to open"),
    (database("select 1", 1, path="a\0b.db"), "'a\\x00b.db': embedded null"),
    (database("select ?", 1), "Incorrect number of bindings"),
    ({"type": "python", "function": "tests.refused"}, "because"),
    ({"type": "python", "function": "tests.truthy"}, "truthy gave 'yes'"),
    ({"type": "all_of", "evaluators": [dom("h1"), dom("h2")]}, "'h2': not on the page"),
    ({"type": "any_of", "evaluators": [dom("h2"), dom("h3")]}, "; 'h3'"),
]


@condition("tests.answered")
def answered(evidence: Evidence) -> bool:
    return evidence.answer == "red mug"


@condition("tests.answered-later")
async def answered_later(evidence: Evidence) -> bool:
    return await evidence.page.title() == "Shop"


@condition("tests.refused")
def refused(evidence: Evidence) -> Verdict:
    return Verdict(False, "because")


@condition("tests.truthy")
def truthy(evidence: Evidence) -> Any:
    return "yes"


@pytest.mark.parametrize("data", PASS, ids=str)
async def test_what_must_pass(evidence: Evidence, data: dict[str, Any]) -> None:
    verdict = await parse_evaluator(data).judge(evidence)
    assert verdict == Verdict(True, "")


@pytest.mark.parametrize(("data", "said"), FAIL, ids=str)
async def test_what_must_fail(evidence: Evidence, data: dict[str, Any], said: str) -> None:
    verdict = await parse_evaluator(data).judge(evidence)
    assert not verdict.passed
    assert said in verdict.reason


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("/gone", "answered with status 404"),
        ("about:blank", "there is no page"),
        ("http://127.0.0.1:9/", "there is no page"),
        ("/item", ""),
    ],
)
async def test_nothing_is_absent_where_the_page_was_left_for_none(
    evidence: Evidence, where: str, said: str
) -> None:
    assert isinstance(evidence.site, SiteEpisode)
    page = await evidence.page.context.new_page()
    with suppress(Error):
        await page.goto(evidence.site.site.url(where) if where.startswith("/") else where)
    if where.endswith(":9/"):
        await page.wait_for_url("chrome-error://**")
    evaluator = parse_evaluator(dom("#missing", absent=True))
    verdict = await evaluator.judge(replace(evidence, page=page))
    assert (verdict.passed, said in verdict.reason) == (not said, True)
    await page.set_content("<p>A page that a task has written itself.</p>")
    if where == "about:blank":
        assert (await evaluator.judge(replace(evidence, page=page))).passed
    await page.close()


async def test_what_is_missing_is_not_known_once_there_were_too_many_requests(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_REQUESTS", 2)
    recorder = Recorder()
    recorder.attach(evidence.page)
    none_made = parse_evaluator(request("/api/pay", times=0))
    absent = NetworkEvent(urls=("http://shop.localhost/api/pay",), method="POST", absent=True)
    for path, passes in (("/api/a", True), ("/api/b", True), ("/api/pay", False)):
        await send(evidence.page, path, "{}")
        for evaluator in (none_made, absent):
            verdict = await evaluator.judge(replace(evidence, recorder=recorder))
            assert verdict.passed == passes
            assert passes or "not all are known" in verdict.reason


async def test_the_queries_have_changed_nothing(evidence: Evidence) -> None:
    assert isinstance(evidence.site, SiteEpisode)
    with sqlite3.connect(evidence.site.folder / "shop.db") as found:
        assert found.execute("select count(*) from orders").fetchall() == [(2,)]


async def test_what_was_not_recorded_or_has_no_site_has_not_passed(evidence: Evidence) -> None:
    bare = Evidence(evidence.page, "red mug")
    for data in (request("/api/cart"), state("total", "24.00"), database("select 1", 1)):
        assert not (await parse_evaluator(data).judge(bare)).passed


async def test_what_a_condition_raises_goes_on_its_way(evidence: Evidence) -> None:
    @condition("tests.broken")
    def broken(evidence: Evidence) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await parse_evaluator({"type": "python", "function": "tests.broken"}).judge(evidence)
