"""Text reads as the page shows it: what stands apart is parted, and what touches is one word."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page

from webdojo.envs.browser import Chromium
from webdojo.tasks.evaluators import Dom, Evidence, ListOf, Text

pytestmark = pytest.mark.asyncio(loop_scope="module")

UL = "<ul><li>Red mug</li><li>Blue mug</li></ul>"
TABLE = "<table><tr><td>Mug</td><td>12</td><td>5</td></tr></table>"
SHOWN = {
    UL: "Red mug\nBlue mug",
    "<ul>\n  <li>Red\n    mug</li>\n  <li>Blue mug</li></ul>": "Red mug\nBlue mug",
    TABLE: "Mug\n12\n5",
    "<div>$1</div><div>2</div>": "$1\n2",
    "one<div>two</div>three": "one\ntwo\nthree",
    "12 Main St<br>Springfield": "12 Main St\nSpringfield",
    "<select><option>S<option>M</select>": "S\nM",
    "<span>1</span><span>2</span>": "12",
    "<b>Red</b> <i>mug</i>": "Red mug",
    "$<span style='display: inline-block'>12</span>.<sup>99</sup>": "$12.99",
    "<span style='margin-right: 9px'>1</span><span>2</span>": "1 2",
    "<button>1</button><button>2</button>": "1 2",
    "<p style='display: flex'><b>1</b><b>2</b></p>": "12",
    "<p style='display: flex; gap: 9px'><b>1</b><b>2</b></p>": "1 2",
    "<p style='display: flex; flex-direction: column'><b>1</b><b>2</b></p>": "1\n2",
    "<p style='display: grid; grid-template-columns: 90px 90px'><b>1</b><b>2</b></p>": "1 2",
    "<b style='float: left'>1</b><b style='float: left; margin-left: 9px'>2</b>": "1 2",
    "<b style='display: block'>1</b><b style='display: block'>2</b>": "1\n2",
    "<div style='display: inline'>1</div><div style='display: inline'>2</div>": "12",
    "<div style='width: 1px; word-break: break-all'>re<b>d</b></div>": "red",
    "1<div hidden><p>9</p></div>2": "12",
    "1<div style='visibility: hidden'>9</div>2": "1\n2",
    "1<!-- no -->2": "12",
    "Qty<input style='width: 90px'>pieces": "Qty pieces",
    "<pre>a\n  b</pre>": "a\n  b",
    "<x-card>#open <p>Thank <b>you</b></p></x-card>": "Thank you",
    "<x-card>#open <p>one</p><x-card>#open <p>two</p></x-card></x-card>": "one\ntwo",
    "<x-card>#open <p hidden>No</p><p>Yes</p></x-card>": "Yes",
    "<x-card>#closed <p>No</p></x-card>": "",
}  # fmt: skip
"""What stands in the page and what is read; ``#open`` puts what follows into a shadow root."""
ROOTS = """([html]) => {
  const target = document.querySelector("#here");
  target.innerHTML = html;
  const fill = (root) => root.querySelectorAll("x-card").forEach((card) => {
    const mode = /^\\s*#(\\w+)/.exec(card.textContent)?.[1];
    if (!mode) return;
    card.firstChild.data = card.firstChild.data.replace(`#${mode} `, "");
    const shadow = card.attachShadow({ mode });
    shadow.append(...card.childNodes);
    fill(shadow);
  });
  fill(target);
}"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def page(chromium: Chromium) -> AsyncIterator[Page]:
    context = await chromium.new_context((800, 600))
    page = await context.new_page()
    await page.set_content("<!doctype html><title>Shown</title><div id=here></div>")
    yield page
    await context.close()


async def told(page: Page, evaluator: Dom) -> str:
    verdict = await evaluator.judge(Evidence(page))
    assert verdict.passed == (not verdict.reason)
    return verdict.reason


@pytest.mark.parametrize(("html", "text"), SHOWN.items())
async def test_text_reads_as_it_is_shown(page: Page, html: str, text: str) -> None:
    await page.evaluate(ROOTS, [html])
    read = {"type": "exact", "value": text} if text else {"type": "text", "value": "No"}
    reason = await told(page, Dom(selector="#here", text=read))
    assert reason == "" if text else "'' is not 'No'" in reason


async def test_a_text_cut_within_an_emoji_is_read_up_to_there(page: Page) -> None:
    cut = r'<b title="\ud83e">Mug \ud83e</b><i>12</i>'
    await page.evaluate(f"document.querySelector('#here').innerHTML = '{cut}'")
    assert not await told(page, Dom(selector="#here i", text="12"))
    assert not await told(page, Dom(selector="#here b", text="Mug \ufffd"))


async def test_rows_of_a_table_are_no_number(page: Page) -> None:
    await page.evaluate(ROOTS, [TABLE])
    assert await told(page, Dom(selector="tr", text={"type": "number", "value": 125}))
    assert not await told(page, Dom(selector="tr", text={"type": "contains", "value": "Mug"}))


async def test_items_are_a_list(page: Page) -> None:
    await page.evaluate(ROOTS, [UL])
    assert not await told(page, Dom(selector="ul", text=ListOf(items=("Blue mug", "Red mug"))))
    hidden = f"<div hidden>{UL}</div>"
    await page.evaluate(ROOTS, [hidden])
    items = ListOf(items=("Blue mug", "Red mug"))
    assert not await told(page, Dom(selector="ul", text=items, hidden=True))


async def test_what_an_open_shadow_root_shows_is_on_the_page(page: Page) -> None:
    card = "<p class=error>Failed</p><p class=ok>Thank you</p><p class=gone hidden>Gone</p>"
    await page.evaluate(ROOTS, [f"<x-card>#open {card}</x-card>"])
    assert not await told(page, Dom(selector=".ok", text=Text(value="Thank you")))
    assert not await told(page, Dom(selector="x-card .ok"))
    assert "is there" in await told(page, Dom(selector=".error", absent=True))
    assert not await told(page, Dom(selector=".gone", absent=True))
    assert not await told(page, Dom(selector=".gone", hidden=True, text="Gone"))
    await page.evaluate(ROOTS, [f"<x-card hidden>#open {card}</x-card>"])
    assert not await told(page, Dom(selector=".ok", absent=True))
    await page.evaluate(ROOTS, [f"<div style='height: 3000px'></div><x-card>#open {card}</x-card>"])
    await page.evaluate("scrollTo(0, 5000)")
    assert not await told(page, Dom(selector=".ok"))
    await page.evaluate(ROOTS, [f"<x-card>#open {card}</x-card><div style='height: 3000px'></div>"])
    await page.evaluate("scrollTo(0, 2000)")
    assert not await told(page, Dom(selector=".ok"))


async def test_what_is_put_into_a_slot_is_seen_where_the_slot_is(page: Page) -> None:
    for style, seen in (("", True), ("display: none", False), ("opacity: 0", False)):
        html = f"<x-card>#open <p style='{style}'><slot></slot></p></x-card>"
        await page.evaluate(ROOTS, [html])
        await page.evaluate("document.querySelector('x-card').innerHTML = '<b>Red mug</b>'")
        assert bool(await told(page, Dom(selector="x-card > b", text="Red mug"))) != seen
    await page.evaluate("document.querySelector('x-card').shadowRoot.innerHTML = ''")
    assert "not on the page" in await told(page, Dom(selector="x-card > b"))


async def test_a_look_at_a_page_runs_nothing_of_it(page: Page) -> None:
    await page.evaluate(
        """() => {
          window.made = 0;
          customElements.define("x-made", class extends HTMLElement {
            constructor() { super(); made += 1; }
          });
          document.querySelector("#here").innerHTML = "<x-made></x-made>";
        }"""
    )
    assert not await told(page, Dom(selector="x-made"))
    assert await page.evaluate("made") == 1
