"""A page is looked at when it is at rest, or when its time is up, and that is told."""

import pytest

from webdojo.tasks.calls import call

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_timer_about_to_fire_is_waited_for(open_page) -> None:
    page = await open_page(
        "<button onclick=\"setTimeout(() => { p.textContent = 'later' }, 900)\">Go</button><p id=p>"
    )
    step = await page.env.step(call("click", page.bid("Go")))
    assert 'text"later"' in step.observation.outline
    assert step.unsettled in ("", "changes")


async def test_a_timer_far_off_is_not(open_page) -> None:
    page = await open_page("<button onclick='setTimeout(() => 1, 60000)'>Go</button>")
    step = await page.env.step(call("click", page.bid("Go")))
    assert step.unsettled == ""
    assert step.observation.page_time_ms < 600


async def test_a_page_that_ticks_for_ever_is_seen_after_the_same_time_and_said_to(
    open_page,
) -> None:
    page = await open_page(
        """<p id=p></p><script>let n = 0;
        const tick = () => { p.textContent = ++n; setTimeout(tick, 20) }; tick()</script>"""
    )
    step = await page.env.step("noop(1)")
    assert step.unsettled == "changes"
    assert step.observation.page_time_ms == 501


async def test_timers_without_end_are_waited_for_up_to_the_cap(open_page) -> None:
    page = await open_page(
        "<script>setInterval(() => setTimeout(() => 1, 300), 100)</script>", settle_cap_ms=1500
    )
    step = await page.env.step("noop(1)")
    assert step.unsettled == "timers"
    assert step.observation.page_time_ms == 1501


async def test_a_page_at_rest_is_seen_at_once(open_page) -> None:
    step = await (await open_page("<p>x")).env.step("noop(1)")
    assert (step.unsettled, step.observation.page_time_ms) == ("", 501)
