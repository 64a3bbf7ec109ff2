"""Each episode has its own storage and cookies, also where it begins on the page of the last."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from webdojo.envs.core import WebEnv
from webdojo.envs.spec import EnvSpec
from webdojo.tasks.calls import call
from webdojo.tasks.sites.server import EPISODE_COOKIE

pytestmark = pytest.mark.asyncio(loop_scope="session")

STORES = {
    "cookie": "document.cookie = 'a=1; max-age=9999'",
    "local storage": "localStorage.a = 1",
    "session storage": "sessionStorage.a = 1",
    "database": "indexedDB.open('a')",
    "cache": "caches.open('a').then((cache) => cache.put('/a', new Response('1')))",
    "file": "navigator.storage.getDirectory().then((d) => d.getFileHandle('a', {create: true}))",
    "name": "window.name = 'a'",
    "empty cache": "caches.open('zz')",
    "empty bucket": "navigator.storageBuckets.open('zz')",
    "cookie named as ours": f"document.cookie = '{EPISODE_COOKIE}=1; max-age=9999'",
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


async def test_what_an_episode_fetched_is_fetched_anew(open_page, site) -> None:
    site.pages |= {"/mark": "bought", "/seen.js": "const before = performance.now()"}
    for path in ("/mark", "/seen.js"):
        site.headers[path] = {"Content-Type": "text/javascript", "Cache-Control": "max-age=99999"}
    opened = await open_page(
        """<button>Buy</button><p id=p>new</p><script src=/seen.js></script><script>
        const only = { cache: 'only-if-cached', mode: 'same-origin' };
        const say = (word) => (answer) => { if (answer.ok) p.textContent = word };
        fetch('/mark', only).then(say('bought before'), () => 0);
        document.querySelector('button').onclick = () => fetch('/mark').then(say('bought'));
        const { transferSize } = performance.getEntriesByType('resource')[0];
        document.title = transferSize ? 'fetched' : 'kept'</script>"""
    )
    opened.task.reuse_page = True
    first = opened.env.page
    assert 'text"bought"' in (await opened.look(call("click", opened.bid("Buy")))).outline
    for _ in range(2):
        again = await opened.env.reset(opened.task, 1)
        assert opened.env.page is first
        assert (again.outline, again.title) == (opened.first.outline, "fetched")


@pytest.mark.parametrize("state", ["'a'", "null"])
@pytest.mark.parametrize("goes_again", [True, False])
async def test_what_a_page_puts_into_its_history_goes_with_its_episode(
    open_page, goes_again, state
) -> None:
    page = await open_page(
        f"""<button>Put</button><script>
        document.querySelector('button').onclick = () => {{
          history.replaceState({state}, '');
          history.scrollRestoration = 'manual';
        }}</script>"""
    )
    kept = "[history.state, history.scrollRestoration]"
    page.task.reuse_page = True
    if not goes_again:
        page.task.setup = staying(page.task)
    first = page.env.page
    await page.look(call("click", page.bid("Put")))
    assert await page.js(kept) == [await page.js(state), "manual"]
    await page.env.reset(page.task, 1)
    assert page.env.page is first
    assert await page.js(kept) == [None, "auto"]


async def test_who_has_signed_in_is_not_signed_in_to_the_next_episode(open_page, site) -> None:
    site.passwords["/private"] = "me:secret"
    opened = await open_page(
        """<button>Sign in</button><button>Ask</button><p id=p></p><script>
        const [signs, asks] = document.querySelectorAll('button');
        const ask = (...who) => () => {
          const request = new XMLHttpRequest();
          request.open('GET', '/private', true, ...who);
          request.onload = () => { p.textContent = request.status };
          request.send();
        };
        signs.onclick = ask('me', 'secret');
        asks.onclick = ask();</script>"""
    )
    opened.task.reuse_page = True
    assert '"200"' in (await opened.look(call("click", opened.bid("Sign in")))).outline
    assert '"200"' in (await opened.look(call("click", opened.bid("Ask")))).outline
    await opened.env.reset(opened.task, 1)
    assert '"401"' in (await opened.look(call("click", opened.bid("Ask")))).outline


async def test_other_episodes_keep_what_they_fetched(open_page, site) -> None:
    site.pages["/mark"] = "text"
    site.headers["/mark"] = {"Content-Type": "text/plain", "Cache-Control": "max-age=99999"}
    opened = [await open_page("<button onclick=\"fetch('/mark')\">Fetch</button>") for _ in "ab"]
    for one in opened:
        await one.look(call("click", one.bid("Fetch")))
    opened[0].task.reuse_page = True
    await opened[0].env.reset(opened[0].task, 1)
    for one in opened:
        await one.look(call("click", one.bid("Fetch")))
    assert site.asked.count("/mark") == 3


async def test_no_worker_outlives_its_episode(open_page, site) -> None:
    site.pages["/worker.js"] = "let n = 0; onconnect = (e) => e.ports[0].postMessage(++n)"
    site.headers["/worker.js"] = {"Content-Type": "text/javascript"}
    opened = await open_page(
        """<p id=p>none</p><script>
        const worker = new SharedWorker('/worker.js', { extendedLifetime: true });
        worker.port.onmessage = (e) => { p.textContent = `page ${e.data}` }</script>"""
    )
    opened.task.reuse_page = True
    for _ in range(2):
        seen = (await opened.env.reset(opened.task, 1)).outline
        while "none" in seen:  # a worker starts in real time, in a process of its own
            await asyncio.sleep(0.05)
            seen = (await opened.look("noop(100)")).outline
        assert seen == 'text"page 1"'


async def test_elements_of_frames_are_named_alike_in_each_episode(open_page, site) -> None:
    other = site.other_origin()
    site.pages["/in"] = "<button>In</button>"
    opened = await open_page(f"<iframe src={other}/in></iframe>", allowed=(other,))
    opened.task.reuse_page = True
    first = opened.env.page
    for _ in range(2):
        again = await opened.env.reset(opened.task, 1)
        assert opened.env.page is first
        assert again.outline == opened.first.outline == 'button"In"[a1]'
