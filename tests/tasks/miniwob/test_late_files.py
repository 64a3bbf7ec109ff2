"""A page's files may come late, as they do on a busy machine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from webdojo.envs.browser import Chromium
from webdojo.tasks.miniwob.task import START

if TYPE_CHECKING:
    from playwright.async_api import Route

PAGE = """<script>
Math.seedrandom = () => 0;
const core = {
  startEpisodeReal() { if (!core.loaded) throw new Error("too early") },
  getUtterance() { return "begun" },
};
</script><script src=late.js></script>"""
LATE = "onload = () => { core.loaded = true }"


@pytest.mark.asyncio(loop_scope="module")
async def test_an_episode_begins_when_the_page_has_made_ready(chromium: Chromium) -> None:
    comes = asyncio.Event()

    async def answer(route: Route) -> None:
        if route.request.url.endswith(".js"):
            await comes.wait()
            await route.fulfill(body=LATE, content_type="text/javascript")
        else:
            await route.fulfill(body=PAGE, content_type="text/html")

    context = await chromium.new_context((332, 214))
    page = await context.new_page()
    await page.route("**/*", answer)
    await page.goto("http://site.test/", wait_until="commit")
    begins = asyncio.create_task(page.evaluate(START, 1))
    await page.evaluate("0")  # by now it waits
    comes.set()
    assert await begins == "begun"
    await context.close()
