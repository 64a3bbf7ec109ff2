"""The pool of environments: bounded, kept warm by task, and rid of what died."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from webdojo.envs.browser import BrowserDiedError, Chromium
from webdojo.envs.core import WebEnv
from webdojo.envs.pool import EnvPool
from webdojo.envs.spec import EnvSpec
from webdojo.tasks import registry
from webdojo.tasks.task import Task

CLICK, FOCUS = "miniwob.click-button", "miniwob.focus-text"


@pytest_asyncio.fixture
async def chromium() -> AsyncIterator[Chromium]:
    async with Chromium() as own:  # some tests kill it
        yield own


def pool_of(chromium: Chromium, size: int, kept: int | None = None) -> EnvPool:
    return EnvPool(chromium, EnvSpec(), size, kept)


async def visit(pool: EnvPool, task: Task, seed: int = 1) -> WebEnv:
    async with pool.lease(task) as env:
        await env.reset(task, seed)
        return env


async def test_no_more_than_its_size_are_out_at_once(chromium: Chromium) -> None:
    pool = pool_of(chromium, 2)
    task = registry.get(CLICK)
    out = most = 0

    async def borrow() -> None:
        nonlocal out, most
        async with pool.lease(task) as env:
            out += 1
            most = max(most, out)
            await env.reset(task, 1)
            out -= 1

    await asyncio.gather(*(borrow() for _ in range(6)))
    assert most == 2
    await pool.close()


async def test_a_task_gets_the_page_it_had_and_another_task_its_own(chromium: Chromium) -> None:
    pool = pool_of(chromium, 2)
    click, focus = registry.get(CLICK), registry.get(FOCUS)
    first = await visit(pool, click)
    assert await visit(pool, focus) is not first
    assert await visit(pool, click, 2) is first
    await pool.close()


@pytest.mark.parametrize(("size", "kept"), [(2, 1), (1, None)])
async def test_the_oldest_idle_page_is_closed_first(
    chromium: Chromium, size: int, kept: int | None
) -> None:
    pool = pool_of(chromium, size, kept)
    click, focus = registry.get(CLICK), registry.get(FOCUS)
    first = await visit(pool, click)
    await visit(pool, focus)
    with pytest.raises(RuntimeError, match="no episode"):
        _ = first.page
    assert await visit(pool, click) is not first
    await pool.close()


async def test_a_cancelled_or_failing_episode_does_not_keep_its_place(chromium: Chromium) -> None:
    pool = pool_of(chromium, 1)
    task = registry.get(CLICK)
    inside = asyncio.Event()

    async def stay() -> None:
        async with pool.lease(task) as env:
            await env.reset(task, 1)
            inside.set()
            await asyncio.Event().wait()

    staying = asyncio.create_task(stay())
    await inside.wait()
    staying.cancel()
    await asyncio.gather(staying, return_exceptions=True)
    with pytest.raises(ZeroDivisionError):
        async with pool.lease(task) as env:
            await env.reset(task, 1)
            _ = 1 / 0
    assert await visit(pool, task) is not env
    await pool.close()


async def test_a_killed_browser_is_replaced_for_those_who_come_next(chromium: Chromium) -> None:
    pool = pool_of(chromium, 2)
    task = registry.get(CLICK)
    idle = await visit(pool, task)
    assert idle.page
    with pytest.raises(BrowserDiedError):
        async with pool.lease(task) as env:
            await env.reset(task, 1)
            os.kill(await chromium.process_id(), signal.SIGKILL)
            while True:
                await env.step("noop(1)")
                await env.reset(task, 1)
    for seed in range(3):
        await visit(pool, task, seed)
    assert chromium.launches == 2
    await pool.close()
    await pool.close()
