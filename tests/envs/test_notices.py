"""What a page says besides is told, and no more of it than can be read."""

import pytest

from webdojo.envs.notices import MAX_CHARACTERS, MOST_TOLD
from webdojo.tasks.calls import call

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_of_dialogs_without_end_the_first_are_told(open_page) -> None:
    page = await open_page(
        """<button onclick="for (let i = 1; i <= 40; i++) alert(i)">Many</button>"""
    )
    told = (await page.look(call("click", page.bid("Many")))).notices
    assert told[:2] == (
        "the page showed an alert '1': closed",
        "the page showed an alert '2': closed",
    )
    assert len(told) == MOST_TOLD + 1
    assert told[-1] == f"… and {40 - MOST_TOLD} more notices"
    assert (await page.look()).notices == ()


async def test_of_a_long_dialog_the_beginning_is_told(open_page) -> None:
    page = await open_page("<button onclick=\"alert('word '.repeat(5000))\">Long</button>")
    (told,) = (await page.look(call("click", page.bid("Long")))).notices
    assert told.startswith("the page showed an alert 'word word")
    assert told.endswith("more characters")
    assert len(told) < MAX_CHARACTERS + 50


async def test_of_addresses_without_end_the_first_are_told(open_page, site) -> None:
    out = site.other_origin()
    page = await open_page(
        f"""<button onclick="for (let i = 0; i < 300; i++) fetch('{out}/' + i)">Ask</button>"""
    )
    refused = (await page.env.step(call("click", page.bid("Ask")))).refused
    assert len(refused) == MOST_TOLD + 1
    assert refused[0] == f"{out}/0"
    assert refused[-1] == f"… and {300 - MOST_TOLD} more addresses"
