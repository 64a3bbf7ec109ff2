"""What is new since the look before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webdojo.envs.page_diff import UNCHANGED, diff_html
from webdojo.tasks.calls import call

LINES = [f"<a bid={n}>link number {n}</a>" for n in range(30)]
PAGE = "\n".join(LINES)


def test_a_changed_line_is_told_among_those_that_stayed() -> None:
    now = PAGE.replace(LINES[12], "<a bid=12>clicked</a>")
    assert diff_html(PAGE, now) == (
        "… 12 lines as before\n- <a bid=12>link number 12</a>\n+ <a bid=12>clicked</a>\n"
        "… 17 lines as before"
    )


def test_nothing_new_is_said_in_a_line() -> None:
    assert diff_html(PAGE, PAGE) == UNCHANGED


def test_a_page_that_is_shorter_than_its_difference_is_shown_whole() -> None:
    assert diff_html(PAGE, "<h1>Other</h1>") == "<h1>Other</h1>"
    assert diff_html("", PAGE) == PAGE


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_the_page_can_be_told_from_the_one_before_and_the_difference(
    before: list[str], now: list[str]
) -> None:
    lines = {letter: letter * 200 for letter in "abc"}
    old, new = ([lines[letter] for letter in page] for page in (before, now))
    told = diff_html("\n".join(old), "\n".join(new))
    if told == "\n".join(new):
        return
    place, rebuilt = 0, []
    for line in told.split("\n") if told != UNCHANGED else [f"… {len(old)} lines as before"]:
        if line.startswith("… "):
            count = int(line.split()[1])
            rebuilt += old[place : place + count]
            place += count
        elif line.startswith("- "):
            assert line[2:] == old[place]
            place += 1
        else:
            rebuilt.append(line[2:])
    assert rebuilt == new


@pytest.mark.asyncio(loop_scope="session")
async def test_an_environment_shows_the_difference_where_it_is_asked_for(open_page) -> None:
    links = "".join(f"<p><a href=#>link {n}</a></p>" for n in range(20))
    page = await open_page(
        f"{links}<button onclick=\"this.textContent = 'Done'\">Do</button>",
        modes=("pruned_html", "pruned_html_diff", "outline"),
    )
    assert page.first.pruned_html_diff == page.first.pruned_html
    bid = page.bid("Do")
    observation = await page.look(call("click", bid))
    assert observation.pruned_html_diff == (
        "… 20 lines as before\n"
        f"- <button bid={bid}>Do</button>\n+ <button bid={bid} focused>Done</button>"
    )
    assert (await page.look()).pruned_html_diff == UNCHANGED
