"""Requests of pages that go on at once: answered is what got a status, sent is what was sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page

from webdojo.envs.browser import Chromium
from webdojo.tasks.evaluators import Evidence, Recorder, Request
from webdojo.tasks.imports.webarena_evaluators import NetworkEvent
from webdojo.tasks.sites import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")

SENT = """{method: "POST", headers: {"content-type": "application/json"}, body: '{"a": 1}'}"""
PAGE = f"""<!doctype html><title>Shop</title><h1>Shop</h1>
<form action="/api/empty" method=post><input name=a value=1><button id=form>Save</button></form>
<a id=download href="/report.csv">Report</a>
<script>
  const post = (path) => fetch(path, {SENT});
  const buttons = {{
    unread: () => post("/api/cart").then(() => (location = "/thanks")),
    stays: () => post("/api/cart"),
    broken: () => post("/api/broken").then(() => (location = "/thanks")),
    endless: () => {{ post("/api/endless"); location = "/thanks"; }},
  }};
  for (const [id, act] of Object.entries(buttons))
    document.body.append(Object.assign(document.createElement("button"), {{id, onclick: act}}));
</script>"""


async def shop(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError
    path, status, headers, body = scope["path"], 200, [(b"content-type", b"text/html")], b""
    if path == "/api/empty":
        status = 204
    elif path == "/api/endless":
        while (await receive())["type"] != "http.disconnect":
            pass
    elif path.startswith("/api"):
        status, body = 500 if path == "/api/broken" else 201, b"{}" * 20_000
    elif path == "/report.csv":
        headers, body = [(b"content-disposition", b"attachment; filename=r.csv")], b"a,b\n"
    elif path in ("/", "/thanks"):
        body = PAGE.encode()
    else:
        status = 404
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest_asyncio.fixture(loop_scope="module")
async def evidence(chromium: Chromium) -> AsyncIterator[Evidence]:
    context = await chromium.new_context((800, 600))
    page = await context.new_page()
    episode = await Site("recorded-shop", application=lambda: shop).begin(page, 7)
    recorder = Recorder()
    recorder.attach(page)
    await page.goto(episode.site.url("/"))
    yield Evidence(page, None, "Buy it.", recorder, episode)
    await context.close()


async def press(page: Page, button: str) -> None:
    """Press a button and wait until what it asks for has been sent."""
    async with page.expect_request(lambda request: not request.url.endswith("/")):
        await page.click(f"#{button}")
    if button not in ("form", "download", "stays"):
        await page.wait_for_url("**/thanks")


@pytest.mark.parametrize(
    ("button", "wanted"),
    [
        ("unread", {"method": "POST", "url": "/api/cart", "json_body": {"a": 1}, "status": 201}),
        ("form", {"method": "POST", "url": "/api/empty", "form": {"a": "1"}}),
        ("download", {"url": "/report.csv"}),
    ],
)
async def test_what_got_a_status_was_answered_though_its_body_was_not_read(
    evidence: Evidence, button: str, wanted: dict[str, Any]
) -> None:
    await press(evidence.page, button)
    verdict = await Request(**wanted).judge(evidence)
    assert verdict.passed, verdict.reason
    assert evidence.site is not None
    event = NetworkEvent(
        urls=(evidence.site.site.url(wanted["url"]),),
        method=wanted.get("method", "GET"),
        status={"unread": 201, "form": 204, "download": 200}[button],
    )
    verdict = await event.judge(evidence)
    assert verdict.passed, verdict.reason


async def test_what_got_no_status_was_not_answered(evidence: Evidence) -> None:
    await press(evidence.page, "endless")
    verdict = await Request(method="POST", url="/api/endless").judge(evidence)
    assert not verdict.passed
    assert "it was not answered" in verdict.reason


@pytest.mark.parametrize(
    ("button", "path"),
    [("unread", "cart"), ("stays", "cart"), ("broken", "broken"), ("endless", "endless")],
)
async def test_none_may_have_been_sent_however_it_was_answered(
    evidence: Evidence, button: str, path: str
) -> None:
    none = {"method": "POST", "url": f"/api/{path}", "times": 0}
    assert (await Request(**none).judge(evidence)).passed
    await press(evidence.page, button)
    assert not (await Request(**none).judge(evidence)).passed
    assert not (await Request(**none, json_body={"a": 1}).judge(evidence)).passed
    assert (await Request(**none, json_body={"a": 2}).judge(evidence)).passed
    answered_otherwise = await Request(**none, status=418).judge(evidence)
    assert answered_otherwise.passed == (button != "endless")
