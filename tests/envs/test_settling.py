"""A page is looked at when it is at rest, or when its time is up, and that is told."""

import base64
import json

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
        (
            """<style>#d { transition: opacity 0.3s } .gone { opacity: 0 }</style>
            <div id=d ontransitionend="o.textContent = 'closed'">Dialog</div>
            <button onclick="d.classList.add('gone')">Close</button><p id=o>open</p>""",
            "Close",
            "closed",
        ),
        (
            """<div id=d>Dialog</div><button>Close</button><p id=o>open</p><script>
            document.querySelector("button").onclick = () =>
              d.animate({ opacity: [1, 0] }, 150).onfinish = () => { o.textContent = "closed" };
            </script>""",
            "Close",
            "closed",
        ),
        (
            """<style>#d { transition: opacity 0.3s } .gone { opacity: 0 }</style>
            <div id=d>Dialog</div><button>Close</button><p id=o>open</p><script>
            document.querySelector("button").onclick = async () => {
              d.classList.add("gone");
              await Promise.all(d.getAnimations().map((animation) => animation.finished));
              o.textContent = "closed";
            };
            </script>""",
            "Close",
            "closed",
        ),
        (
            """<button>Turn</button><p id=o>open</p><script>
            document.querySelector("button").onclick = async () => {
              const turn = document.startViewTransition(() => { o.textContent = "closed" });
              await turn.finished;
              o.textContent += " at " + turn.updateCallbackDone.constructor.name;
            };
            </script>""",
            "Turn",
            "closed at Promise",
        ),
    ],
    ids=["in view", "faded", "idle", "scrolled", "attribute", "animated", "promised", "turned"],
)
async def test_what_a_page_hears_of_when_it_is_drawn_has_been_heard_of(
    open_page, page, action, seen
) -> None:
    opened = await open_page(page)
    done = action if action.startswith("noop") else call("click", opened.bid(action))
    observation = (await opened.env.step(done)).observation
    assert seen in observation.pruned_html


@pytest.mark.parametrize("lazy", ["lazy", "LAZY"])
async def test_what_is_asked_for_when_it_is_drawn_is_waited_for(open_page, site, lazy) -> None:
    site.pages["/late"] = "<p>late"
    for _ in range(5):
        page = await open_page(f"<p>top</p><iframe loading={lazy} src=/late></iframe>")
        assert "late" in page.first.pruned_html


FRAMES = {
    "srcdoc": "<iframe></iframe><script>document.querySelector('iframe').srcdoc = {}</script>",
    "elsewhere": "<iframe src='data:text/html;base64,{}'></iframe>",
}


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize(
    "doing",
    [
        "setTimeout(() => { p.textContent = 'paid' }, 900)",
        "setInterval(() => { if (n < 40) p.textContent = ++n < 40 ? n : 'paid' }, 30)",
        "p.animate({ opacity: [0.5, 1] }, 150).onfinish = () => { p.textContent = 'paid' }",
    ],
    ids=["timer", "changes", "drawn"],
)
async def test_frames_are_waited_for_as_the_page_is(open_page, kind: str, doing: str) -> None:
    inner = f"""<button>Pay</button><p id=p>-</p><script>let n = 0;
        document.querySelector("button").onclick = () => {{ {doing} }};</script>"""
    told = inner if kind == "elsewhere" else json.dumps(inner).replace("</", "<\\/")
    if kind == "elsewhere":
        told = base64.b64encode(inner.encode()).decode()
    page = await open_page(FRAMES[kind].replace("{}", told))
    step = await page.env.step(call("click", page.bid("Pay")))
    assert "paid" in step.observation.pruned_html
    assert step.unsettled == ""


async def test_a_script_that_waits_for_the_clock_itself_comes_to_its_end(open_page) -> None:
    page = await open_page(
        """<button>Wait</button><button>Idle</button><p id=p>-</p><script>
        const [wait, idle] = document.querySelectorAll("button");
        const told = [];
        wait.onclick = () => {
          for (const clock of [Date, performance])
            for (let begun = clock.now(); clock.now() - begun < 20;) ;
          told.push(Date.now());
          p.textContent = "waited " + told.every((time, i) => !i || time > told[i - 1]);
        };
        idle.onclick = () => requestIdleCallback((deadline) => {
          let n = 0;
          while (deadline.timeRemaining() > 1) n++;
          p.textContent = "worked " + (n > 5);
        });
        </script>"""
    )
    for name, said in (("Wait", "waited true"), ("Idle", "worked true"), ("Wait", "waited true")):
        assert said in (await page.look(call("click", page.bid(name)))).pruned_html


async def test_timers_without_end_are_waited_for_up_to_the_cap(open_page) -> None:
    page = await open_page(
        "<script>setInterval(() => setTimeout(() => 1, 300), 100)</script>", settle_cap_ms=1500
    )
    step = await page.env.step("noop(1)")
    assert step.unsettled == "timers"
    assert step.observation.page_time_ms == 1501


@pytest.mark.parametrize("hears", ["", "<script>addEventListener('scroll', () => 1)</script>"])
async def test_a_page_that_is_not_drawn_is_seen_and_used(open_page, site, hears: str) -> None:
    """Nothing is drawn before a style that is on its way, and this one never comes."""
    site.pages["/"] = (
        "<!doctype html><head><link rel=stylesheet href=/stall.css>"
        f"<button onclick='this.append(1)'>Go</button>{hears}"
    )
    page = await open_page("")
    step = await page.env.step(call("click", page.bid("Go")))
    assert "Go1" in step.observation.pruned_html
    assert step.unsettled == "loading"


async def test_a_page_at_rest_is_seen_at_once(open_page) -> None:
    step = await (await open_page("<p>x")).env.step("noop(1)")
    assert (step.unsettled, step.observation.page_time_ms) == ("", 501)
