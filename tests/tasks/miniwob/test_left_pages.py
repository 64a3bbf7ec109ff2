"""A task's page is not won by going to an easier one."""

from __future__ import annotations

import pytest

from webdojo.envs.browser import Chromium
from webdojo.envs.core import WebEnv
from webdojo.tasks import registry
from webdojo.tasks.miniwob.flight import served
from webdojo.tasks.miniwob.task import html_folder

EASY = "miniwob/click-test.html"


@pytest.mark.parametrize("task_id", ["miniwob.book-flight", "miniwob.click-pie"])
async def test_another_page_s_verdict_counts_for_nothing(task_id: str) -> None:
    task = registry.get(task_id)
    async with Chromium() as chromium, WebEnv(chromium) as env:
        await env.reset(task, 0)
        step = await env.step(f'goto("{html_folder().as_uri()}/{EASY}")')
    assert "click-test" in step.observation.url
    assert (step.reward, step.terminated, step.message) == (0.0, True, "the page was left")


async def test_the_page_loaded_anew_has_another_question() -> None:
    task = registry.get("miniwob.click-pie")
    async with Chromium() as chromium, WebEnv(chromium) as env:
        await env.reset(task, 0)
        step = await env.step(f'goto("{task.url}")')
    assert (step.reward, step.terminated, step.message) == (0.0, True, "the page was left")


async def test_a_flight_is_not_won_on_another_page_of_its_site() -> None:
    task = registry.get("miniwob.flight-aa")
    async with Chromium() as chromium, WebEnv(chromium) as env:
        await env.reset(task, 0)
        step = await env.step(f'goto("{served(task.site).url(EASY)}")')
    assert (step.reward, step.terminated, step.message) == (0.0, True, "the page was left")
