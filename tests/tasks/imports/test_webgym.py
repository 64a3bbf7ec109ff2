"""Rows of WebGym are played on their site and judged by a model."""

from __future__ import annotations

import pytest
from scripted_endpoint import ScriptedEndpoint, images_of
from task_rows import Write, webgym_row, write_lines

from webdojo.envs.core import WebEnv
from webdojo.tasks import registry
from webdojo.tasks.files import load_tasks_file


@pytest.mark.asyncio(loop_scope="module")
async def test_a_webgym_task_is_played_and_judged(
    env: WebEnv, write: Write, shop: str, endpoint: ScriptedEndpoint
) -> None:
    (task_id,) = load_tasks_file(write_lines(write, webgym_row(shop)))
    task = registry.get(task_id)
    observation = await env.reset(task, 1)
    assert observation.goal == "What does the red mug cost?"
    step = await env.step("noop()")
    assert (step.reward, step.terminated, step.blocked) == (0.0, False, False)
    assert endpoint.requests == []
    step = await env.step('send_msg_to_user("It costs $12.")')
    assert (step.reward, step.terminated) == (1.0, True), step.message
    assert len(endpoint.asked("holds")) == 4  # of which one cannot hold
    assert images_of(endpoint.asked("grounded")[0])[0].startswith("data:image/jpeg;base64,/9j/")
    endpoint.script = lambda key, request: 500
    await env.reset(task, 2)
    step = await env.step('send_msg_to_user("It costs $13.")')
    assert (step.reward, step.terminated) == (0.0, True)
    assert "the judge failed" in step.message


@pytest.mark.asyncio(loop_scope="module")
async def test_a_live_page_gets_its_parts_from_elsewhere_but_not_from_this_machine(
    env: WebEnv, write: Write, shop: str, endpoint: ScriptedEndpoint
) -> None:
    row = webgym_row(f"{shop}/parts")
    (task_id,) = load_tasks_file(write_lines(write, row, name="gym-parts.jsonl"))
    await env.reset(registry.get(task_id), 1)
    elsewhere = shop.replace("127.0.0.1", "localhost")
    assert env.take_refused() == (f"{elsewhere}/thanks",)
    assert env.tabs.origins.allows(f"{shop}/thanks")
    assert env.tabs.origins.allows("https://parts.test/thanks")
