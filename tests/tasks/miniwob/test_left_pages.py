"""A task's page is not won by going to an easier one."""

from __future__ import annotations

import pytest

from webdojo.envs.browser import Chromium
from webdojo.envs.core import Step, WebEnv
from webdojo.tasks import registry
from webdojo.tasks.miniwob.flight import served
from webdojo.tasks.miniwob.task import html_folder

EASY = "miniwob/click-test.html"
LOST = (0.0, True, "the page was left")


async def left_for(task_id: str, address: str) -> Step:
    """The step by which the page of a task is left."""
    async with Chromium() as chromium, WebEnv(chromium) as env:
        await env.reset(registry.get(task_id), 0)
        step = await env.step(f'goto("{address}")')
    assert not step.observation.last_action_error
    return step


@pytest.mark.parametrize("task_id", ["miniwob.book-flight", "miniwob.click-pie"])
async def test_another_page_s_verdict_counts_for_nothing(task_id: str) -> None:
    step = await left_for(task_id, f"{html_folder().as_uri()}/{EASY}")
    assert "click-test" in step.observation.url
    assert (step.reward, step.terminated, step.message) == LOST


async def test_the_page_loaded_anew_has_another_question() -> None:
    step = await left_for("miniwob.click-pie", registry.get("miniwob.click-pie").url)
    assert (step.reward, step.terminated, step.message) == LOST


async def test_a_flight_is_not_won_on_another_page_of_its_site() -> None:
    address = served(registry.get("miniwob.flight-aa").site).url(EASY)
    step = await left_for("miniwob.flight-aa", address)
    assert (step.reward, step.terminated, step.message) == LOST
