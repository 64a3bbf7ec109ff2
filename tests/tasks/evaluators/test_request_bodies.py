"""What requests with files and Blobs carry is known, or is said not to be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page

from webdojo.envs.browser import Chromium
from webdojo.envs.core import WebEnv
from webdojo.tasks.evaluators import EvaluatedTask, Evidence, Recorder, Request
from webdojo.tasks.imports.webarena_evaluators import NetworkEvent
from webdojo.tasks.sites import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = """<!doctype html><title>Apply</title>
<form action=/save method=post enctype=multipart/form-data>
  <input name=name value=Ada><input type=file name=cv id=cv><button id=form>Send</button>
</form>
<script>
  const post = (body, headers = {}) => fetch("/save", {method: "POST", body, headers});
  const json = (value) => new Blob([JSON.stringify(value)], {type: "application/json"});
  const filled = (name, file) => {
    const form = new FormData();
    form.append("name", name);
    form.append("cv", file);
    return form;
  };
  const work = `onmessage = (e) => fetch(e.data, {method: "POST", body: new Blob(["{}"])})`;
  const buttons = {
    blob: () => post(json({a: 1})),
    two: () => { post(json({a: 1})); post(json({a: 2})); },
    plain: () => post('{"a": 1}', {"content-type": "application/json"}),
    none: () => post(undefined, {"content-type": "application/json"}),
    bytes: () => post(new Blob([new Uint8Array([0, 255, 254])])),
    huge: () => post(json({a: "x".repeat(2 ** 20)})),
    beacon: () => navigator.sendBeacon("/save", json({a: 1})),
    upload: () => post(new FormData(document.forms[0])),
    part: () => post(filled("Ada", json({a: 1}))),
    worker: () => new Worker(URL.createObjectURL(new Blob([work]))).postMessage(location + "save"),
    gone: () => post(json({a: 1})).then(() => (location = "/thanks")),
  };
  for (const [id, act] of Object.entries(buttons))
    document.body.append(Object.assign(document.createElement("button"), {id, onclick: act}));
</script>"""


async def desk(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError
    more = scope["method"] == "POST"
    while more:
        more = (await receive()).get("more_body", False)
    status = 404 if scope["path"] in ("/reset", "/state") else 200
    headers = [(b"content-type", b"text/html")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": PAGE.encode()})


DESK = Site("desk", application=lambda: desk)


@pytest_asyncio.fixture(loop_scope="module")
async def evidence(chromium: Chromium, tmp_path: Path) -> AsyncIterator[Evidence]:
    context = await chromium.new_context((800, 600))
    page = await context.new_page()
    episode = await DESK.begin(page, 7)
    recorder = Recorder()
    recorder.attach(page)
    await recorder.read_bodies(page)
    await page.goto(DESK.url("/"))
    (tmp_path / "cv.txt").write_text("I can do it.")
    await page.set_input_files("#cv", tmp_path / "cv.txt")
    yield Evidence(page, None, "Apply.", recorder, episode)
    await context.close()


async def press(page: Page, button: str) -> None:
    async with page.context.expect_event("response", lambda r: r.request.method == "POST"):
        await page.click(f"#{button}")


def request(**fields: Any) -> Request:
    return Request(method="POST", url="/save", **fields)


@pytest.mark.parametrize(
    ("button", "right", "wrong"),
    [
        ("blob", {"json_body": {"a": 1}}, {"json_body": {"a": 2}}),
        ("two", {"json_body": {"a": 2}}, {"json_body": {"a": 3}}),
        ("two", {"json_body": {"a": 1}, "times": 1}, {"json_body": {"a": 1}, "times": 2}),
        ("plain", {"json_body": {"a": 1}}, {"json_body": {"a": 2}}),
        ("beacon", {"json_body": {"a": 1}}, {"json_body": {"a": 1}, "times": 0}),
        ("none", {"json_body": {"a": 1}, "times": 0}, {"json_body": {"a": 1}}),
        ("form", {"form": {"name": "Ada", "cv": "cv.txt"}}, {"form": {"name": "Ada", "cv": ""}}),
        ("form", {"form": {"name": "Ada"}, "partial": True}, {"form": {"name": "Ada"}}),
        ("upload", {"form": {"name": "Ada", "cv": "cv.txt"}}, {"form": {"name": "Ada"}}),
        ("part", {"form": {"name": "Ada", "cv": '{"a":1}'}}, {"form": {"name": "Ada"}}),
    ],
)
async def test_what_a_file_or_blob_holds_is_known(
    evidence: Evidence, button: str, right: dict[str, Any], wrong: dict[str, Any]
) -> None:
    await press(evidence.page, button)
    verdict = await request(**right).judge(evidence)
    assert verdict.passed, verdict.reason
    verdict = await request(**wrong).judge(evidence)
    assert not verdict.passed
    assert "not known" not in verdict.reason
    if "times" not in right:
        event = NetworkEvent(
            urls=(DESK.url("/save"),),
            method="POST",
            post_data=right.get("json_body", right.get("form")),
        )
        verdict = await event.judge(evidence)
        assert verdict.passed, verdict.reason


async def test_bytes_stay_what_they_are(evidence: Evidence) -> None:
    assert evidence.recorder is not None
    await press(evidence.page, "bytes")
    await evidence.recorder.caught_up(evidence.page)
    assert evidence.recorder.requests[-1].body == b"\0\xff\xfe"


@pytest.mark.parametrize("button", ["huge", "worker"])
async def test_a_body_that_is_not_known_is_neither_there_nor_missing(
    evidence: Evidence, button: str
) -> None:
    assert evidence.recorder is not None
    await press(evidence.page, button)
    event = NetworkEvent(urls=(DESK.url("/save"),), method="POST", post_data={"a": 1})
    for evaluator in (request(json_body={"a": 1}), request(json_body={"a": 1}, times=0), event):
        verdict = await evaluator.judge(evidence)
        assert not verdict.passed
        assert "its body is not known" in verdict.reason
    assert (await request().judge(evidence)).passed
    assert (await request(headers={"x-a": "1"}, json_body={"a": 1}, times=0).judge(evidence)).passed
    assert (evidence.recorder.requests[-1].body or b"") == b""


@pytest.mark.parametrize("button", ["blob", "gone"])
async def test_a_task_knows_the_body_though_its_page_goes_on(env: WebEnv, button: str) -> None:
    class Save(EvaluatedTask):
        id = "desk.save"
        serves = DESK

        async def start(self, page: Any, seed: int) -> str:
            await page.goto(DESK.url("/"))
            self.checks = request(json_body={"a": 1})
            return "Save it."

    seen = await env.reset(Save(), 1)
    step = await env.step(f'click("{seen.view().bid(id=button)}")')
    assert step.reward == 1.0, step.message
    assert step.observation.url == DESK.url("/thanks" if button == "gone" else "/")
