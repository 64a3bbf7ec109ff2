"""Buttons and keys held down between verbs, and what is dragged with them."""

import pytest

from webdojo.tasks.calls import call

pytestmark = pytest.mark.asyncio(loop_scope="session")

HEARD = """<script>
const heard = [], say = (...words) => heard.push(words.join(" "));
const hear = (target, ...types) => types.forEach((type) =>
  target.addEventListener(type, (e) => say(type, e.buttons, e.clientX, e.clientY)));
</script>"""


async def test_a_stroke_has_every_point(open_page) -> None:
    page = await open_page(
        HEARD + "<script>hear(window, 'mousedown', 'mousemove', 'mouseup')</script>"
    )
    for action in (
        *(
            "mouse_down(50, 50)",
            "mouse_move(100, 100)",
            "mouse_move(150, 100)",
            "mouse_up(150, 120)",
        ),
        *('mouse_down(50, 50, "right")', 'mouse_up(50, 50, "right")'),
    ):
        assert (await page.look(action)).last_action_error == ""
    assert await page.js("heard") == [
        *("mousemove 0 50 50", "mousedown 1 50 50", "mousemove 1 100 100", "mousemove 1 150 100"),
        *("mousemove 1 150 120", "mouseup 0 150 120"),
        *("mousemove 0 50 50", "mousedown 2 50 50", "mouseup 0 50 50"),
    ]
    await page.look('mouse_down(50, 50, "right")')
    refused = await page.look("mouse_up(50, 50)")
    assert refused.last_action_error == (
        "mouse_up: the left mouse button is not down; down is right"
    )


async def test_keys_held_down_change_what_the_mouse_does(open_page) -> None:
    page = await open_page(
        HEARD
        + """<button>Go</button><script>for (const type of ["click", "wheel", "mouseover"])
        addEventListener(type,
          (e) => say(type, e.shiftKey, e.ctrlKey, e.altKey, e.metaKey))</script>"""
    )
    go = page.bid("Go")
    for key, held in (
        ("Shift", "true false false false"),
        ("ControlRight", "false true false false"),
        ("Meta", "false false false true"),
    ):
        await page.js("heard.length = 0")
        await page.look(call("keyboard_down", key))
        for action in (call("click", go), "scroll(0, 10)", "mouse_click(300, 300)"):
            await page.look(action)
        heard = await page.js("heard")
        assert {line.partition(" ")[2] for line in heard} == {held}
        assert {line.partition(" ")[0] for line in heard} == {"click", "wheel", "mouseover"}
        await page.look(call("keyboard_up", key.removesuffix("Right")))
    await page.look('keyboard_down("Shift")')
    await page.look('keyboard_press("Shift+a")')  # lets go of it
    await page.js("heard.length = 0")
    await page.look(call("click", go))
    assert (await page.js("heard"))[-1] == "click false false false false"


async def test_what_is_held_is_forgotten_with_the_episode(open_page) -> None:
    page = await open_page(HEARD + "<p draggable=true>Drag me")
    page.task.reuse_page = True
    await page.env.reset(page.task, 1)
    for action in ('keyboard_down("Shift")', "mouse_down(30, 30)", "mouse_move(60, 60)"):
        await page.look(action)
    await page.env.reset(page.task, 2)
    await page.js("hear(window, 'mousedown', 'mousemove')")
    await page.js("addEventListener('click', (e) => say(e.shiftKey))")
    await page.look("mouse_click(200, 200)")
    assert await page.js("heard") == ["mousemove 0 200 200", "mousedown 1 200 200", "false"]


@pytest.mark.parametrize("how", ["drag_and_drop", "mouse"])
async def test_a_drag_begins_at_its_start_and_drops_at_its_end(open_page, how) -> None:
    page = await open_page(
        HEARD
        + """<div draggable=true style="height:40px">From</div>
        <div id=gap></div><div id=to ondragover="event.preventDefault()"
        style="height:40px">To</div><script>
        if (HOW === "drag_and_drop") gap.style.height = "3000px";
        for (const type of ["mousedown", "dragstart", "drop", "dragend"])
          document.addEventListener(type, (e) => say(type, e.target.textContent), true)
        </script>""".replace("HOW", f'"{how}"')
    )
    actions = {
        "drag_and_drop": [call("drag_and_drop", page.bid("From"), page.bid("To"))],
        "mouse": [
            *("mouse_down(60, 20)", "mouse_move(60, 40)", "mouse_move(60, 65)", "mouse_up(60, 70)")
        ],
    }[how]
    for action in actions:
        assert (await page.look(action)).last_action_error == ""
    heard = await page.js("heard")
    assert heard[:3] == ["mousedown From", "dragstart From", "drop To"]
    await page.look("mouse_click(60, 20)")  # nothing is held any more


async def test_a_drag_to_what_cannot_be_reached_lets_go(open_page) -> None:
    page = await open_page(
        """<div onmousedown="n += 1" onmouseup="n += 10" style="height:40px">From</div>
        <div style="height:3000px"></div><div style="position:relative;height:40px">
        <div onclick=1>To</div><div id=over style="position:absolute;inset:0;background:red"></div>
        </div><script>n = 0</script>"""
    )
    start, end = page.bid("From"), page.bid("To")
    refused = await page.look(call("drag_and_drop", start, end))
    assert "is covered by" in refused.last_action_error
    assert await page.js("n") == 0
    await page.js("over.remove()")
    assert (await page.look(call("drag_and_drop", start, end))).last_action_error == ""
    assert await page.js("n") == 1


TELL = """<button onclick="o.textContent = [event.ctrlKey, event.shiftKey]">Try</button>
<input aria-label=Name onkeydown="o.textContent = [event.key, event.shiftKey]"><p id=o>-</p>"""


async def test_a_key_held_down_is_held_in_every_tab_and_let_go_in_all(open_page, site) -> None:
    site.pages["/b"] = "<title>B</title>" + TELL
    page = await open_page("<a href=/b>Link</a>" + TELL)
    await page.look('keyboard_down("Control")')
    after = await page.look(call("click", page.bid("Link")))
    assert (after.active_page_index, after.title) == (1, "B")
    assert 'text"true,false"' in (await page.look(call("click", page.bid("Try")))).outline
    after = await page.look('keyboard_up("ControlRight")')
    assert after.last_action_error == ""
    assert 'text"false,false"' in (await page.look(call("click", page.bid("Try")))).outline
    await page.look("tab_focus(0)")
    assert 'text"false,false"' in (await page.look(call("click", page.bid("Try")))).outline
    await page.look('keyboard_down("ShiftLeft")')
    await page.look("tab_focus(1)")
    assert 'text"a,true"' in (await page.look(call("press", page.bid("Name"), "a"))).outline
    await page.look("tab_close()")
    assert (await page.look('keyboard_up("Shift")')).last_action_error == ""
    assert 'text"a,false"' in (await page.look(call("press", page.bid("Name"), "a"))).outline


async def test_a_key_that_is_not_down_cannot_be_let_go(open_page) -> None:
    page = await open_page(HEARD + "<script>hear(window, 'keyup')</script>")
    refused = await page.look('keyboard_up("Shift")')
    assert refused.last_action_error == "keyboard_up: Shift is not down"
    await page.look('keyboard_down("Alt")')
    refused = await page.look('keyboard_up("a")')
    assert refused.last_action_error == "keyboard_up: a is not down; down is Alt"
    assert await page.js("heard.length") == 0
    await page.look('keyboard_press("Alt")')  # lets go of it
    refused = await page.look('keyboard_up("Alt")')
    assert refused.last_action_error == "keyboard_up: Alt is not down"
    assert await page.js("heard.length") == 1


@pytest.mark.parametrize("key", ["Control+Left", "Control+Shift+é", "Control+", "Shift+Control+no"])
async def test_a_combination_that_is_none_holds_nothing_down(open_page, key) -> None:
    page = await open_page("<input aria-label=Name>")
    await page.look('keyboard_down("Control")')
    refused = await page.look(call("press", page.bid("Name"), key))
    assert "there is no key" in refused.last_action_error
    await page.look('keyboard_type("text")')
    assert await page.js("document.querySelector('input').value") == "text"
