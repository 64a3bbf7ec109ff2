"""The direct line to Chromium, beside Playwright's."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import psutil
import pytest
from playwright.async_api import Error

from webdojo.envs.browser import Chromium
from webdojo.envs.core import WebEnv
from webdojo.envs.devtools import DevToolsPipe
from webdojo.tasks import registry
from webdojo.tasks.errors import UserError


async def test_both_lines_reach_the_same_page() -> None:
    async with Chromium() as chromium:
        context = await chromium.new_context((300, 200))
        page = await context.new_page()
        session = await chromium.attach(page)
        told = {"expression": "window.told = 'direct'", "returnByValue": True}

        await session.send("Runtime.evaluate", told)

        assert await page.evaluate("told") == "direct"


async def test_answers_and_events_go_to_the_one_who_asked() -> None:
    """Two pages, each spoken to over both lines at once, a hundred times."""
    async with Chromium() as chromium:
        context = await chromium.new_context((300, 200))
        pages = [await context.new_page() for _ in range(2)]
        sessions = [await chromium.attach(page) for page in pages]
        heard: list[list[str]] = [[], []]
        for session, words in zip(sessions, heard, strict=True):
            session.on(
                "Runtime.bindingCalled",
                lambda event, words=words: words.append(event["payload"]),
            )
            await session.send("Runtime.enable")
            await session.send("Runtime.addBinding", {"name": "tell"})

        async def direct(place: int, number: int) -> None:
            expression = f"tell('{place}-{number}'); {place * 1000 + number}"
            answer = await sessions[place].send("Runtime.evaluate", {"expression": expression})
            assert answer["result"]["value"] == place * 1000 + number

        async def through(place: int, number: int) -> None:
            assert (
                await pages[place].evaluate(f"-{place * 1000 + number}") == -place * 1000 - number
            )

        await asyncio.gather(
            *(work(place, n) for n in range(100) for place in (0, 1) for work in (direct, through))
        )

        for place in (0, 1):
            assert sorted(heard[place]) == sorted(f"{place}-{n}" for n in range(100))


async def test_a_message_of_many_pieces_comes_whole() -> None:
    """Longer than what a pipe holds, both ways, with what ends a message inside."""
    async with Chromium() as chromium:
        page = await (await chromium.new_context((300, 200))).new_page()
        session = await chromium.attach(page)
        text = "a\0é✓" * 300_000

        answer = await session.send(
            "Runtime.evaluate", {"expression": repr_js(text), "returnByValue": True}
        )

        assert answer["result"]["value"] == text


def repr_js(text: str) -> str:
    """As a JavaScript string."""
    return "'" + text.replace("\0", "\\0") + "'"


async def test_a_wrong_command_is_an_error_with_chromiums_words() -> None:
    async with Chromium() as chromium:
        page = await (await chromium.new_context((300, 200))).new_page()
        session = await chromium.attach(page)

        with pytest.raises(Error, match="wasn't found"):
            await session.send("Page.noSuchCommand")


async def test_a_page_that_closes_leaves_nobody_waiting() -> None:
    async with Chromium() as chromium:
        page = await (await chromium.new_context((300, 200))).new_page()
        session = await chromium.attach(page)
        hung = asyncio.create_task(session.send("Runtime.evaluate", {"expression": "for (;;);"}))
        await asyncio.sleep(0.1)

        await page.close()

        with pytest.raises(Error, match="closed"):
            await asyncio.wait_for(hung, 60)
        with pytest.raises(Error, match="closed"):
            await session.send("Runtime.enable")


async def test_a_killed_browser_leaves_nobody_waiting() -> None:
    async with Chromium() as chromium:
        page = await (await chromium.new_context((300, 200))).new_page()
        session = await chromium.attach(page)
        hung = asyncio.create_task(session.send("Runtime.evaluate", {"expression": "for (;;);"}))
        await asyncio.sleep(0.1)

        psutil.Process(await chromium.process_id()).kill()

        with pytest.raises(Error, match="closed"):
            await asyncio.wait_for(hung, 60)


async def test_who_stops_waiting_disturbs_nobody() -> None:
    async with Chromium() as chromium:
        page = await (await chromium.new_context((300, 200))).new_page()
        session = await chromium.attach(page)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await session.send(
                    "Runtime.evaluate",
                    {
                        "expression": "new Promise((done) => setTimeout(done, 300))",
                        "awaitPromise": True,
                    },
                )

        answer = await session.send("Runtime.evaluate", {"expression": "1 + 1"})

        await asyncio.sleep(0.5)  # the late answer has come by now
        assert answer["result"]["value"] == 2
        assert await page.evaluate("2 + 2") == 4


async def test_started_again_and_again_it_keeps_no_file_open() -> None:
    async with Chromium() as chromium:
        await (await chromium.new_context((300, 200))).new_page()
        before = psutil.Process().num_fds()
        for _ in range(3):
            browser = psutil.Process(await chromium.process_id())
            gone = asyncio.Event()
            assert chromium._browser is not None
            chromium._browser.on("disconnected", lambda _, gone=gone: gone.set())
            browser.kill()
            await asyncio.wait_for(gone.wait(), 60)
            await (await chromium.new_context((300, 200))).new_page()

        assert chromium.launches == 4
        async with asyncio.timeout(60):
            while psutil.Process().num_fds() > before:  # noqa: ASYNC110 - a file closes silently
                await asyncio.sleep(0.05)


def test_where_the_folder_of_temporary_files_will_not_do_another_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("long" * 30)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    home = Path(tempfile.mkdtemp(dir="/tmp"))
    (home / ".cache").mkdir()
    monkeypatch.setattr(Path, "home", lambda: home)

    async def executable() -> Path:
        pipe = DevToolsPipe(Path("/bin/true"))
        pipe.close()
        return pipe.executable

    assert asyncio.run(executable()).is_relative_to(home)
    (home / ".cache").rmdir()
    with pytest.raises(UserError, match="set TMPDIR"):
        asyncio.run(executable())
    assert list(deep.iterdir()) == []
    home.rmdir()


async def test_a_browser_that_ends_at_once_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\necho no display >&2\nexit 3\n")
    broken.chmod(0o700)
    monkeypatch.setenv("WEBDOJO_CHROMIUM", str(broken))

    async with Chromium() as chromium:
        with pytest.raises(UserError, match="does not start"):
            await chromium.new_context((300, 200))


async def test_the_address_is_known_once_a_click_has_led_elsewhere() -> None:
    """Playwright hears of a navigation later than the environment does."""
    task = registry.get("miniwob.click-link")
    task.horizon = 100
    async with Chromium() as chromium, WebEnv(chromium) as env:
        await env.reset(task, 0)
        await env.page.evaluate(
            "document.body.insertAdjacentHTML('beforeend', '<a id=far href=\"#far\">far</a>')"
        )
        seen = (await env.step("noop()")).observation
        bid = seen.pruned_html.split(">far<")[0].rsplit("bid=", 1)[1].split()[0].strip('"')
        for _ in range(20):
            await env.page.evaluate("history.replaceState(null, '', '#near')")

            seen = (await env.step(f'click("{bid}")')).observation

            assert seen.open_pages_urls == (seen.url,)
            assert seen.url.endswith("#far")
