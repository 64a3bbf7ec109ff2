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


@pytest.mark.parametrize(
    "every",
    ["setInterval(move, 30)", "(function next() { move(); requestAnimationFrame(next) })()"],
)
async def test_an_animation_is_waited_for_until_it_ends(open_page, every) -> None:
    page = await open_page(
        f"""<button>Go</button><p id=p>0</p><script>
        let n = 0;
        const move = () => {{ if (n < 40) p.textContent = ++n; }};
        document.querySelector("button").onclick = () => {{ {every} }};
        </script>"""
    )
    step = await page.env.step(call("click", page.bid("Go")))
    assert 'text"40"' in step.observation.outline
    assert step.unsettled == ""


async def test_pages_that_play_on_by_themselves_are_not_waited_for(open_page) -> None:
    page = await open_page(
        """<button>Go</button><p id=p></p><script>
        let n = 0;
        document.querySelector("button").onclick = () =>
          setInterval(() => { p.textContent = ++n }, 30);
        </script>"""
    )
    page.task.settles = False
    step = await page.env.step(call("click", page.bid("Go")))
    assert step.unsettled == "changes"
    assert step.observation.page_time_ms < 600


@pytest.mark.parametrize(
    ("page", "action", "seen"),
    [
        (
            """<div id=list><p>item 0</p></div><div id=end style="height: 10px"></div><script>
            let n = 1;
            new IntersectionObserver(([entry]) => {
              for (let i = 0; entry.isIntersecting && i < 30; i++)
                list.append("item " + n++, document.createElement("br"));
            }).observe(end);
            </script>""",
            "noop(1)",
            "item 30",
        ),
        (
            """<style>#d { transition: opacity 0.3s } .gone { opacity: 0 }</style>
            <div id=d>Dialog</div><button>Close</button><p id=o>open</p><script>
            d.addEventListener("transitionend", () => { o.textContent = "closed" });
            document.querySelector("button").onclick = () => d.classList.add("gone");
            </script>""",
            "Close",
            "closed",
        ),
        (
            """<button>Go</button><p id=o>-</p><script>
            document.querySelector("button").onclick = () =>
              requestIdleCallback((deadline) => { o.textContent = "idle " + deadline.didTimeout });
            </script>""",
            "Go",
            "idle false",
        ),
        (
            """<button>Down</button><p id=o style="position: fixed; top: 50px">-</p>
            <div style="height: 5000px"></div><script>
            addEventListener("scroll", () => { o.textContent = "at " + scrollY });
            document.querySelector("button").onclick = () =>
              scrollTo({ top: 900, behavior: "smooth" });
            </script>""",
            "Down",
            "at 900",
        ),
    ],
    ids=["in view", "faded", "idle", "scrolled"],
)
async def test_what_a_page_hears_of_when_it_is_drawn_has_been_heard_of(
    open_page, page, action, seen
) -> None:
    opened = await open_page(page)
    done = action if action.startswith("noop") else call("click", opened.bid(action))
    observation = (await opened.env.step(done)).observation
    assert seen in observation.pruned_html


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
