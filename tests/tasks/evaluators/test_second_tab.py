"""Where the agent is shown another tab the judge sees that one; evaluators read the first."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from local_pages import served
from PIL import Image
from scripted_endpoint import ScriptedEndpoint, images_of

from webdojo.envs.browser import Chromium
from webdojo.envs.core import Step, WebEnv
from webdojo.envs.spec import EnvSpec
from webdojo.tasks.evaluators import AllOf, Dom, EvaluatedTask, Rubric

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGES = {
    "/": "<h1>Shop</h1><a href=/mug target=_blank>Red mug</a>",
    "/mug": "<body style='background: navy'><h2>Red mug: $12</h2>",
}


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedEndpoint]:
    serving = ScriptedEndpoint()
    monkeypatch.setenv("WEBDOJO_JUDGE_URL", serving.url)
    monkeypatch.setenv("WEBDOJO_JUDGE_MODEL", "scripted")
    yield serving
    serving.close()


class Price(EvaluatedTask):
    id = "second-tab.price"
    allowed_origins = ("*",)

    def __init__(self, url: str) -> None:
        self.url = url

    async def start(self, page: Any, seed: int) -> str:
        self.checks = AllOf(evaluators=(Dom(selector="h1"), Rubric(facts=("The price is told.",))))
        await page.goto(self.url)
        return "What does the red mug cost?"


async def played(chromium: Chromium, *more: str) -> tuple[Price, list[Step]]:
    """A task, and its steps: the second tab is opened by a click, and ``more`` done there."""
    with served(lambda request: (200, PAGES.get(request.path, ""), {})) as web:
        async with WebEnv(chromium, EnvSpec(step_timeout_s=60)) as env:
            task = Price(f"{web}/")
            seen = await env.reset(task, 1)
            click = f'click("{seen.view().bid("a")}")'
            return task, [await env.step(action) for action in ("noop()", "noop()", click, *more)]


async def test_the_judge_sees_the_tab_that_the_agent_is_shown(
    chromium: Chromium, endpoint: ScriptedEndpoint
) -> None:
    task, steps = await played(chromium, 'send_msg_to_user("$12")')
    assert steps[-2].observation.url == f"{task.url}mug"
    assert (steps[-1].reward, steps[-1].message) == (1.0, "")  # h1 is in the first tab alone
    (seen_by_judge,) = map(images_of, endpoint.asked("grounded"))
    assert len(seen_by_judge) == 2  # the first tab as it was before the click, and the second
    picture = Image.open(BytesIO(base64.b64decode(seen_by_judge[-1].partition(",")[2])))
    red, _, blue = picture.convert("RGB").getpixel((600, 600))  # type: ignore[misc]
    assert red < 50 < blue  # the second tab's background


async def test_screenshots_are_kept_once_each(
    chromium: Chromium, endpoint: ScriptedEndpoint
) -> None:
    task, _ = await played(chromium, "noop()")
    kept = task._recorder.screenshots
    assert [shot.url for shot in kept] == [task.url, f"{task.url}mug"]
    assert len({shot.key for shot in kept}) == 2
