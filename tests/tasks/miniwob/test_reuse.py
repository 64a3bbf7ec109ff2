"""A page that was played on and started anew shows what a fresh one shows."""

from __future__ import annotations

from random import Random

import pytest

from webdojo.envs.browser import Chromium
from webdojo.envs.certification import play_oracle
from webdojo.envs.certification.scripts import play_random
from webdojo.envs.core import WebEnv
from webdojo.envs.screenshots import ScreenshotSpec
from webdojo.envs.spec import EnvSpec
from webdojo.tasks import registry
from webdojo.tasks.task import Task

SPEC = EnvSpec(modes=("pruned_html", "outline"), screenshot=ScreenshotSpec("png"))
SEEN = ("goal", "url", "title", "pruned_html", "outline", "focused_element_bid", "screenshot")
REUSED = [i for i in registry.task_ids("miniwob") if registry.get(i).reuse_page]
QUICK = [
    "miniwob.choose-date",
    "miniwob.click-collapsible-2",
    "miniwob.click-dialog",
    "miniwob.click-menu",
    "miniwob.click-tab-2",
    "miniwob.email-inbox",
    "miniwob.enter-text",
    "miniwob.form-sequence-3",
    "miniwob.login-user-popup",
    "miniwob.navigate-tree",
    "miniwob.social-media",
]


async def looks(env: WebEnv, task: Task, seed: int) -> list[tuple[object, ...]]:
    """What an agent is shown on the way of the task's oracle, from the first look on."""
    seen: list[tuple[object, ...]] = []
    await play_oracle(
        env, task, seed, lambda shown, _: seen.append(tuple(getattr(shown, name) for name in SEEN))
    )
    return seen


async def differences(task_ids: list[str], seed: int, wildly: int) -> list[str]:
    """What shows on a page that its oracle and ``wildly`` random agents have played on before."""
    found = []
    async with Chromium() as chromium:
        for task in map(registry.get, task_ids):
            async with WebEnv(chromium, SPEC) as env:
                fresh = await looks(env, task, seed)
            async with WebEnv(chromium, SPEC) as env:
                await play_oracle(env, task, seed + 1)
                for wild in range(wildly):
                    await play_random(env, task, seed + 1, Random(wild))
                page = env.page
                reused = await looks(env, task, seed)
                assert env.page is page, f"{task.id} was not reused"
            if len(fresh) != len(reused):
                found.append(f"{task.id}: {len(fresh)} looks, {len(reused)} on the page used again")
            for place, (one, other) in enumerate(zip(fresh, reused, strict=False)):
                found += [
                    f"{task.id}: {name} at look {place}"
                    for name, left, right in zip(SEEN, one, other, strict=True)
                    if left != right
                ]
    return found


async def test_an_episode_cut_short_leaves_no_trace() -> None:
    """The calendar that is left open at the end is none of the next episode's."""
    task = registry.get("miniwob.choose-date")
    async with Chromium() as chromium, WebEnv(chromium, SPEC) as env:
        fresh = await env.reset(task, 2)
        page = env.page
        opened = (await env.step('click("1")')).observation
        assert "<table>" in opened.pruned_html

        again = await env.reset(task, 2)

        assert env.page is page
        assert [getattr(again, name) for name in SEEN] == [getattr(fresh, name) for name in SEEN]
        back = (await env.step("go_back()")).observation
        assert back.url == fresh.url


async def test_documents_that_were_left_do_not_add_up() -> None:
    task = registry.get("miniwob.click-tab")
    async with Chromium() as chromium, WebEnv(chromium) as env:
        for seed in range(6):
            await env.reset(task, seed)
            await env.step("noop(1)")
        session = await chromium.attach(env.page.page)
        metrics = (await session.send("Performance.getMetrics"))["metrics"]
        assert {one["name"]: one["value"] for one in metrics}["Documents"] <= 3


@pytest.mark.slow
async def test_the_first_pages_leave_no_trace() -> None:
    assert await differences(QUICK, 7, wildly=1) == []


async def test_a_key_held_in_one_episode_is_not_held_in_the_next() -> None:
    task = registry.get("miniwob.enter-text")
    async with Chromium() as chromium, WebEnv(chromium) as env:
        seen = []
        for before in ("noop(1)", 'keyboard_down("Control")'):
            await env.reset(task, 1)
            await env.step(before)
            shown = (await env.reset(task, 2)).pruned_html
            bid = shown.split("<input bid=")[1].split()[0]
            seen.append((await env.step(f'press("{bid}", "a")')).observation.pruned_html)
        assert seen[0] == seen[1]
        assert "a" in seen[0].split("<input")[1]


async def test_a_mouse_button_held_in_one_episode_is_not_held_in_the_next() -> None:
    task = registry.get("miniwob.click-test")
    async with Chromium() as chromium, WebEnv(chromium) as env:
        shown = (await env.reset(task, 1)).pruned_html
        await env.step("mouse_down(10, 200)")
        await env.page.evaluate("window.released = 0; onmouseup = () => { released++ }; 0")
        bid = shown.split("<button bid=")[1].split(">")[0].split()[0]
        assert (await env.step(f'press("{bid}", "Enter")')).terminated
        await env.reset(task, 2)
        assert await env.page.evaluate("released") == 1


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [11, 12])
async def test_no_reused_page_leaves_a_trace(seed: int) -> None:
    assert await differences(REUSED, seed, wildly=4) == []
