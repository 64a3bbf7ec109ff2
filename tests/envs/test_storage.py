"""Each episode has its own storage and cookies, also where it begins on the page of the last."""

from __future__ import annotations

from pathlib import Path

import pytest

from webdojo.envs.core import WebEnv
from webdojo.envs.spec import EnvSpec
from webdojo.tasks.calls import call

pytestmark = pytest.mark.asyncio(loop_scope="session")

STORES = {
    "cookie": "document.cookie = 'a=1; max-age=9999'",
    "local storage": "localStorage.a = 1",
    "session storage": "sessionStorage.a = 1",
    "database": "indexedDB.open('a')",
    "cache": "caches.open('a').then((cache) => cache.put('/a', new Response('1')))",
    "file": "navigator.storage.getDirectory().then((d) => d.getFileHandle('a', {create: true}))",
    "name": "window.name = 'a'",
    "in a frame": "{ const f = document.createElement('iframe'); f.src = '/frame';"
    " document.body.append(f) }",
    "in a tab that is closed": "open('/closing')",
    "when it is left": "addEventListener('pagehide', () => { localStorage.a = 1 })",
}
FINDS = """JSON.stringify([document.cookie, localStorage.length, sessionStorage.length, name])"""


def page(stores: str) -> str:
    return f"""<p>page</p><button>Store</button><script>
        document.querySelector('button').onclick = () => {{ {stores} }}</script>"""


@pytest.mark.parametrize("goes_again", [True, False])
@pytest.mark.parametrize("way", STORES)
async def test_what_an_episode_stores_goes_with_it(open_page, site, way, goes_again) -> None:
    site.pages["/frame"] = "<script>localStorage.a = 1</script>"
    site.pages["/closing"] = "<script>localStorage.a = 1; setTimeout(close, 50)</script>"
    opened = await open_page(page(STORES[way]))
    opened.task.reuse_page = True
    if not goes_again:
        opened.task.setup = staying(opened.task)
    first = opened.env.page
    await opened.look(call("click", opened.bid("Store")))
    await opened.look("noop(300)")
    await opened.env.reset(opened.task, 1)
    assert opened.env.page is not first
    assert await opened.js(FINDS) == '["",0,0,""]'
    second = opened.env.page
    await opened.look("noop(1)")
    await opened.env.reset(opened.task, 1)
    assert opened.env.page is second  # nothing was stored there


def staying(task):
    async def setup(page, seed):
        if page.url != task.url:
            await page.goto(task.url)
        return "Do what the page says."

    return setup


async def test_a_site_may_store_what_page_scripts_cannot_see(open_page, site) -> None:
    site.headers["/"] = {"Set-Cookie": "a=1; HttpOnly"}
    opened = await open_page(page(""))
    opened.task.reuse_page = True
    first = opened.env.page
    await opened.env.reset(opened.task, 1)
    assert opened.env.page is not first


@pytest.mark.parametrize("way", ["local storage", "session storage", "database", "name"])
async def test_pages_of_folders_too(chromium, page_task, tmp_path: Path, way) -> None:
    file = tmp_path / "index.html"
    file.write_text(page(STORES[way]))
    task = page_task(file.as_uri())
    task.reuse_page = True
    async with WebEnv(chromium, EnvSpec()) as env:
        seen = await env.reset(task, 1)
        first = env.page
        await env.reset(task, 1)
        assert env.page is first
        await env.step(call("click", seen.view().bid("button")))
        await env.reset(task, 1)
        assert env.page is not first
        assert await env.page.evaluate(FINDS.replace("document.cookie", "''")) == '["",0,0,""]'
