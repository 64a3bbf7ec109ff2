"""Every way in which a page gives a file is waited for, and told at the step that asked for it."""

import pytest

from webdojo.tasks.calls import call

pytestmark = pytest.mark.asyncio(loop_scope="session")

WAYS = {
    "linked": "<a href=/late download=a.txt>Give</a>",
    "in a frame": "<iframe srcdoc='<a href=/late download=a.txt>Give</a>'></iframe>",
    "moved": "<a href=/moved download=a.txt>Give</a>",
    "scripted": """<button>Give</button><script>document.querySelector("button").onclick = () => {
      const a = document.createElement("a"); a.href = "/late"; a.download = "a.txt"; a.click() }
      </script>""",
    "navigated": "<a href=/late?attached>Give</a>",
    "in a new tab": "<a href=/late?attached target=_blank>Give</a>",
    "in a window": "<button onclick=\"window.open('/late?attached')\">Give</button>",
    "in one of its own": """<button onclick="window.open('/late?attached', '', 'noopener')">
      Give</button>""",
    "by a form": "<form action=/late?attached target=_blank><button>Give</button></form>",
    "made": """<button>Give</button><script>document.querySelector("button").onclick = () => {
      const a = document.createElement("a");
      a.href = URL.createObjectURL(new Blob(["text"])); a.download = "a.txt"; a.click() }
      </script>""",
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_download_is_told_at_its_own_step(open_page, site, way) -> None:
    site.pages["/late"] = "text"
    site.redirects["/moved"] = "/late"
    if way in ("navigated", "in a new tab", "in a window", "in one of its own", "by a form"):
        site.headers["/late"] = {"Content-Disposition": "attachment; filename=a.txt"}
    if way != "moved":  # the name is the server's then
        site.headers.setdefault("/late", {})["Content-Type"] = "text/plain"
    page = await open_page(WAYS[way])
    step = await page.env.step(call("click", page.bid("Give")))
    (path,) = step.downloads
    assert path.read_text() == "text"
    assert step.observation.notices == (f"the page gave the file {path.name!r} of 4 bytes",)
    assert step.observation.open_pages_urls == (site.origin + "/",)


async def test_to_open_the_address_of_a_file_is_to_be_given_it(open_page, site) -> None:
    site.pages["/a.csv"] = "text"
    site.headers["/a.csv"] = {"Content-Type": "text/csv"}
    page = await open_page("Page")
    step = await page.env.step(call("goto", site.origin + "/a.csv"))
    assert (step.observation.last_action_error, len(step.downloads)) == ("", 1)
    assert step.observation.url == site.origin + "/"


async def test_a_download_that_fails_holds_nothing_up(open_page, site) -> None:
    page = await open_page("<a href=/none download=a.txt>Give</a>")
    seen = await page.look(call("click", page.bid("Give")))
    assert seen.notices == ("the download 'a.txt' failed",)
    assert (await page.look()).notices == ()


async def test_downloads_of_one_step_are_told_by_name(open_page, site) -> None:
    site.pages |= {"/late": "text", "/soon": "text"}
    page = await open_page(
        """<button>Give</button><script>document.querySelector("button").onclick = () => {
        for (const [name, href] of [["b.html", "/late"], ["c.html", "/soon"], ["a.html", "/soon"]])
          Object.assign(document.createElement("a"), { href, download: name }).click() }
        </script>"""
    )
    step = await page.env.step(call("click", page.bid("Give")))
    names = ["a.html", "b.html", "c.html"]
    assert [path.name for path in step.downloads] == names
    assert [notice.split("'")[1] for notice in step.observation.notices] == names
