"""Tabs that pages open, and those that close themselves."""

from __future__ import annotations

import re
from io import BytesIO

import pytest
from PIL import Image

from webdojo.envs.screenshots import ScreenshotSpec
from webdojo.tasks.calls import call

pytestmark = pytest.mark.asyncio(loop_scope="session")

TELLS = """<title>Pop</title><p id=told></p><p id=ticks>0</p><script>
told.textContent = new Date().toISOString() + ' ' + Math.random();
setInterval(() => ticks.textContent++, 1)</script>"""
WAYS = {
    "with its opener": "<button onclick=\"window.open('/pop')\">Go</button>",
    "without one": "<button onclick=\"window.open('/pop', '_blank', 'noopener')\">Go</button>",
    "by a link": "<a href=/pop target=_blank>Go</a>",
    "by a form": "<form action=/pop target=_blank><button>Go</button></form>",
    "later": "<button onclick=\"setTimeout(() => window.open('/pop'), 300)\">Go</button>",
}


async def test_popups_become_tabs(open_page, site) -> None:
    site.pages["/pop"] = "<title>Pop</title><p id=p>popup</p>"
    page = await open_page(
        "<button onclick=\"window.open('/pop')\">Open</button><a target=_blank href=/pop>Blank</a>"
        f"<button onclick=\"window.open('{site.other_origin()}/x')\">Out</button>"
    )
    observation = await page.look(call("click", page.bid("Open")))
    assert observation.title == "Pop"
    assert observation.open_pages_urls == (site.origin + "/", site.origin + "/pop")
    assert observation.active_page_index == 1
    assert observation.notices == (f"the page opened a new tab: {site.origin}/pop",)
    observation = await page.look("tab_focus(0)")
    assert observation.title == "Test"
    observation = await page.look(call("click", page.bid("Blank")))
    assert observation.active_page_index == 2
    observation = await page.look("tab_close()")
    assert (observation.active_page_index, len(observation.open_pages_urls)) == (1, 2)
    await page.look("tab_focus(0)")
    observation = await page.look(call("click", page.bid("Out")))
    assert len(observation.open_pages_urls) == 2
    assert "refused" in observation.notices[-1]
    observation = await page.look("new_tab()")
    assert observation.url == "about:blank"
    observation = await page.look(call("goto", site.origin + "/pop"))
    assert observation.title == "Pop"


async def test_a_tab_that_closes_itself_is_dropped(open_page, site) -> None:
    site.pages["/pop"] = "<button onclick='window.close()'>Bye</button>"
    page = await open_page("<button onclick=\"window.open('/pop')\">Open</button>")
    await page.look(call("click", page.bid("Open")))
    observation = await page.look(call("click", page.bid("Bye")))
    observation = await page.look("noop(1)")
    assert observation.open_pages_urls == (site.origin + "/",)
    assert observation.title == "Test"


@pytest.mark.parametrize("way", WAYS)
async def test_a_tab_has_the_episode_s_time_and_chance_from_its_start(open_page, site, way) -> None:
    site.pages["/pop"] = TELLS
    seen, begun_ms = [], []
    for _ in range(2):
        page = await open_page(WAYS[way])
        outline = (await page.look(call("click", page.bid("Go")))).outline
        told = re.search(r"2025-06-16T12:00:0(\d)\.(\d{3})Z", outline)
        assert told, outline
        begun_ms.append(int(told[1] + told[2]))
        seen.append(outline.replace(told[0], ""))
    assert seen[0] == seen[1]
    # While the clock runs a tab's first answer may come 10 ms of page time earlier or later.
    assert abs(begun_ms[0] - begun_ms[1]) <= (10 if way == "later" else 0)


async def test_a_tab_opened_before_the_episode_is_shown_from_its_start(open_page, site) -> None:
    site.pages["/pop"] = "<title>Pop</title>"
    page = await open_page("<p>first<script>setTimeout(() => window.open('/pop'), 900)</script>")
    assert (page.first.title, page.first.active_page_index) == ("Pop", 1)


@pytest.mark.parametrize("more", ["", ", '_blank', 'noopener'"])
@pytest.mark.parametrize("opens", ["{}", "setTimeout(() => {}, 300)"], ids=["at once", "later"])
async def test_a_tab_with_a_forbidden_address_does_not_open(open_page, site, more, opens) -> None:
    out = site.other_origin() + "/x"
    script = opens.replace("{}", f"window.open('{out}'{more})")
    page = await open_page(f'<button onclick="{script}">Out</button>')
    step = await page.env.step(call("click", page.bid("Out")))
    assert step.refused == (out,)
    assert step.observation.open_pages_urls == (site.origin + "/",)
    assert [notice for notice in step.observation.notices if "refused" in notice] == [
        f"the page wanted to open {out}, which is outside this task: refused"
    ]


async def test_a_window_used_again_is_no_new_tab(open_page, site) -> None:
    site.pages["/a"], site.pages["/b"] = "<title>A</title>", "<title>B</title>"
    page = await open_page(
        "<button onclick=\"window.open('/a', 'one')\">A</button>"
        "<button onclick=\"window.open('/b', 'one')\">B</button>"
    )
    await page.look(call("click", page.bid("A")))
    await page.look("tab_focus(0)")
    seen = await page.look(call("click", page.bid("B")))
    assert seen.open_pages_urls == (site.origin + "/", site.origin + "/b")


@pytest.mark.slow
async def test_there_are_only_so_many_tabs(open_page, site) -> None:
    site.pages["/pop"] = "<title>Pop</title>"
    page = await open_page(
        "<button onclick=\"for (let i = 0; i < 12; i++) window.open('/pop')\">Go</button>"
    )
    seen = await page.look(call("click", page.bid("Go")))
    assert len(seen.open_pages_urls) == 8
    assert seen.notices.count("the page wanted a new tab: refused") == 5
    assert page.env.tabs.turned_away == 5  # none of them was guarded or given page time
    assert "refused" not in str((await page.look("new_tab()")).notices)  # it is the agent's own


async def test_a_tab_of_a_size_of_its_own_is_shown_like_the_others(open_page, site) -> None:
    site.pages["/pop"] = (
        "<p id=size></p><button>Smaller</button><script>"
        "const tell = () => size.textContent = `${innerWidth} by ${innerHeight}`; tell();"
        "addEventListener('resize', tell);"
        "document.querySelector('button').onclick = () => { resizeTo(300, 300); moveBy(9, 9) }"
        "</script>"
    )
    shapes, outlines = [], []
    for sized in ("", ", 'x', 'width=220,height=150,left=10'", ", 'x', 'width=2000,height=2000'"):
        page = await open_page(
            f"<button onclick=\"window.open('/pop'{sized})\">Go</button>",
            screenshot=ScreenshotSpec("png"),
        )
        site.pages.pop("/")
        seen = [page.first, await page.look(call("click", page.bid("Go")))]
        seen.append(await page.look(call("click", page.bid("Smaller"))))
        shapes += [(s.viewport, Image.open(BytesIO(s.screenshot)).size) for s in seen]
        outlines.append(seen[1].outline)
    assert set(shapes) == {((500, 400), (500, 400))}
    assert "500 by 400" in outlines[0]
    assert len(set(outlines)) == 1
