"""What people cannot see is shown to nobody: not to agents, oracles or evaluators."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from bs4 import BeautifulSoup

from webdojo.envs.browser import Chromium
from webdojo.envs.core import WebEnv
from webdojo.envs.layout import look
from webdojo.envs.spec import EnvSpec
from webdojo.tasks import registry
from webdojo.tasks.calls import click
from webdojo.tasks.evaluators.dom import Dom
from webdojo.tasks.evaluators.evaluator import Evidence
from webdojo.tasks.view import text_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

UNSEEN = {
    "no-size": "<p style='font-size:0'>{}</p>",
    "no-size-inside": "<div style='font-size:0'><span>{}</span></div>",
    "tiny": "<p style='font-size:0.4px'>{}</p>",
    "scaled-away": "<p style='transform:scale(0)'>{}</p>",
    "faded": "<p style='opacity:0'>{}</p>",
    "faded-inside": "<div style='opacity:0'><p>{}</p></div>",
    "transparent": "<p style='color:transparent'>{}</p>",
    "no-fill": "<p style='-webkit-text-fill-color:rgba(0,0,0,0)'>{}</p>",
    "drawn-without-fill": "<svg height=20><text y=15 fill=none>{}</text></svg>",
    "drawn-nowhere": "<svg height=20><defs><text>{}</text></defs></svg>",
    "left-of-the-page": "<p style='position:absolute;left:-9999px'>{}</p>",
    "above-the-page": "<p style='position:absolute;top:-500px'>{}</p>",
    "indented-away": "<p style='text-indent:-9999px;overflow:hidden'>{}</p>",
    "moved-away": "<p style='transform:translateX(-200vw)'>{}</p>",
    "no-height": "<div style='height:0;overflow:hidden'><p>{}</p></div>",
    "no-width": "<div style='width:0;overflow:hidden'><p>{}</p></div>",
    "clip": "<p style='position:absolute;clip:rect(0 0 0 0)'>{}</p>",
    "clip-path": "<p style='clip-path:inset(100%)'>{}</p>",
    "half-and-half": "<p style='clip-path:inset(50%)'>{}</p>",
    "clip-path-inside": "<div style='clip-path:circle(0)'><p style='position:fixed'>{}</p></div>",
    "for-screen-readers": (
        "<p style='position:absolute;width:1px;height:1px;overflow:hidden'>{}</p>"
    ),
    "without-scripts": "<noscript><p>{}</p></noscript>",
    "instead-of-a-canvas": "<canvas height=20><p>{}</p></canvas>",
    "closed": "<details><summary>More</summary><p>{}</p></details>",
    "folded": "<div style='content-visibility:hidden'>{}</div>",
    "folded-inside": "<div style='content-visibility:hidden'><p>{}</p></div>",
    "until-it-is-found": "<div hidden=until-found><p>{}</p></div>",
}
SEEN = {
    "plain": "<p>{}</p>",
    "covered": "<div style='position:relative'><p>{}</p><div style='position:absolute;inset:0;"
    "background:#fff'></div></div>",
    "below": "<p style='position:absolute;top:3000px'>{}</p>",
    "scrolled-past": "<div id=list style='height:40px;overflow:auto'><p>{}</p>"
    "<p style='height:900px'></p></div>",
    "half-faded": "<p style='opacity:.5'>{}</p>",
    "own-size": "<div style='font-size:0'><span style='font-size:12px'>{}</span></div>",
    "gradient": "<p style='color:transparent;background:linear-gradient(red,blue);"
    "background-clip:text'>{}</p>",
    "shadow": "<p style='color:transparent;text-shadow:0 0 3px #000'>{}</p>",
    "drawn": "<svg height=20><text y=15>{}</text></svg>",
    "drawn-small": "<svg height=40 viewBox='0 0 40 4'><text y=2 font-size=2>{}</text></svg>",
    "overflowing": "<div style='height:0'><p>{}</p></div>",
    "out-of-the-clip": "<div style='height:0;overflow:hidden'><p style='position:fixed;bottom:0'>"
    "{}</p></div>",
    "contents": "<div style='display:contents'>{}</div>",
    "open": "<details open><summary>More</summary><p>{}</p></details>",
    "drawn-when-it-is-near": "<div style='content-visibility:auto'><p>{}</p></div>",
    "fading-in": "<p style='animation:appear 3s'>{}</p>",
}
STYLE = "<style>@keyframes appear { from { opacity: 0 } to { opacity: 1 } }</style>"
SCROLLED = "<script>document.getElementById('list').scrollTop = 500</script>"
WORDS = "".join(html.format(f"is-{name}") for name, html in (UNSEEN | SEEN).items())


async def test_what_cannot_be_seen_is_shown_to_nobody(open_page: Callable[..., object]) -> None:
    opened = await open_page(
        STYLE + WORDS + SCROLLED, modes=("pruned_html", "outline", "axtree_txt")
    )
    view = await look(opened.env, opened.first)
    words = {
        "pruned": BeautifulSoup(opened.first.pruned_html, "lxml").get_text(" "),
        "outline": opened.first.outline,
        "axtree": opened.first.axtree_txt,
        "oracle": view.soup.get_text(" "),
        "layout": view.scene.get_text(" "),
    }
    for form, text in words.items():
        found = set(re.findall(r"is-([a-z-]+)", text))
        assert (form, found & set(UNSEEN)) == (form, set())
        assert (form, set(SEEN) - found) == (form, set())
    evidence = Evidence(opened.env.page.page)
    for name in (*UNSEEN, *SEEN):
        dom = Dom(selector="p, span, text, div", text=f"is-{name}")
        assert (name, (await dom.judge(evidence)).passed) == (name, name in SEEN)


async def test_controls_stay_where_only_their_drawing_is_replaced(
    open_page: Callable[..., object],
) -> None:
    opened = await open_page(
        "<label><input type=checkbox id=agree style='opacity:0;position:absolute'>I agree</label>"
        "<input type=file id=file style='opacity:0'>"
        "<input id=typed value=seven style='opacity:0'>"
        "<button><span style='position:absolute;left:-999px'>Close</span>×</button>"
        "<a href=#top style='position:absolute;left:-999px'>Skip</a>"
        "<button style='opacity:0'>seven</button>"
    )
    view = opened.first.view()
    assert [tag["id"] for tag in view.all("input")] == ["agree", "file", "typed"]
    assert [tag.get_text() for tag in view.all("button")] == ["Close×", ""]
    assert view.all("a") == []
    assert "seven" not in opened.first.pruned_html
    step = await opened.env.step(f'click("{view.bid("input", id="agree")}")')
    assert step.observation.view().find("input", id="agree").has_attr("checked")
    evidence = Evidence(opened.env.page.page)
    assert (await Dom(selector="#agree[checked]").judge(evidence)).passed
    assert not (await Dom(selector="#file").judge(evidence)).passed


async def test_what_is_written_out_raw_is_no_element_of_the_page(
    open_page: Callable[..., object],
) -> None:
    opened = await open_page(
        "<noscript><p id=a>Done</p></noscript><template><p id=b>Done</p></template>"
        "<iframe><p id=c>Done</p></iframe><xmp><p id=d>Done</p></xmp>"
        "<script>document.body.append(document.createComment('--><p id=e>Done</p>'))</script>"
    )
    evidence = Evidence(opened.env.page.page)
    for name in "abcde":
        found = Dom(selector=f"#{name}", hidden=True)
        assert (name, (await found.judge(evidence)).passed) == (name, False)


async def test_cards_that_lie_face_down_cannot_be_read(chromium: Chromium) -> None:
    task = registry.get("miniwob.find-greatest")
    async with WebEnv(chromium, EnvSpec()) as env:
        seen = await env.reset(task, 1)
        cards = (await look(env, seen)).all("div")
        assert [text_of(card) for card in cards] == ["", "", ""]
        step = await env.step(click(str(cards[1]["bid"])))
        turned = [text_of(card) for card in step.observation.view().all("div")]
        assert [bool(text) for text in turned] == [False, True, False]
