"""What an element cannot take is told in plain words, and nothing happens to any other element."""

import pytest

from webdojo.tasks.calls import call

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIRST = "document.querySelector('[aria-label=First]')"


async def test_what_is_off_leaves_the_field_with_the_focus_alone(open_page) -> None:
    page = await open_page(
        """<input aria-label=First><button disabled title=tip onmouseover="o.textContent='over'">Off
        </button><fieldset disabled><input aria-label=Within></fieldset>
        <div inert><input aria-label=Behind></div><p id=o></p>"""
    )
    for name, why in (("Off", "is disabled"), ("Within", "is disabled"), ("Behind", "is inert")):
        bid = page.bid(name)
        await page.look(call("focus", page.bid("First")))
        for action in (call("fill", bid, "x"), call("focus", bid), call("press", bid, "y")):
            assert f"element {bid} (" in (await page.look(action)).last_action_error
            assert why in page.env.observation.last_action_error
    assert await page.js(FIRST + ".value") == ""
    observation = await page.look(call("hover", page.bid("Off")))
    assert (observation.last_action_error, await page.js("o.textContent")) == ("", "over")


async def test_keys_are_pressed_on_the_element_named_or_not_at_all(open_page) -> None:
    page = await open_page(
        """<form onsubmit="sent = true; return false"><input aria-label=First></form>
        <div onclick=1>Plain</div><input aria-label=Shy onfocus="this.blur()">
        <input aria-label=Passing onfocus="document.querySelector('[aria-label=First]').focus()">
        <div id=host></div><script>host.attachShadow({mode: "open"}).innerHTML =
          "<input aria-label=Shadow>"; sent = false</script>"""
    )
    for name in ("Plain", "Shy", "Passing"):
        await page.look(call("focus", page.bid("First")))
        refused = await page.look(call("press", page.bid(name), "Enter"))
        assert "does not take the focus" in refused.last_action_error
    refused = await page.look(call("fill", page.bid("Passing"), "text"))
    assert "does not take the focus" in refused.last_action_error
    assert (await page.js("sent"), await page.js(FIRST + ".value")) == (False, "")
    observation = await page.look(call("press", page.bid("Shadow"), "s"))
    assert observation.last_action_error == ""
    assert await page.js("host.shadowRoot.firstChild.value") == "s"


async def test_rich_text_is_filled_from_within(open_page) -> None:
    page = await open_page(
        "<input aria-label=First><div contenteditable><p onclick=1>inner</p></div>"
    )
    bid = page.bid("inner")
    await page.look(call("focus", page.bid("First")))
    assert (await page.look(call("fill", bid, "new"))).last_action_error == ""
    assert await page.js("document.querySelector('div').innerText") == "new"
    assert await page.js(FIRST + ".value") == ""


async def test_only_boxes_are_checked(open_page) -> None:
    page = await open_page(
        """<button onclick="n = 1">Button</button><input type=radio name=r checked aria-label=Round>
        <input type=checkbox onclick="return false" aria-label=Stubborn>
        <div role=switch aria-checked=false tabindex=0
          onclick="setTimeout(() => this.setAttribute('aria-checked', true), 100)">Switch</div>
        <label onclick=1><input type=checkbox id=c> Agree</label><script>n = 0</script>"""
    )
    for action in ("check", "uncheck"):
        refused = await page.look(call(action, page.bid("Button")))
        assert "is no checkbox, radio button or switch" in refused.last_action_error
    assert await page.js("n") == 0
    refused = await page.look(call("uncheck", page.bid("Round")))
    assert "check another of its group" in refused.last_action_error
    refused = await page.look(call("check", page.bid("Stubborn")))
    assert "did not change: it is still unchecked" in refused.last_action_error
    assert (await page.look(call("check", page.bid("Switch")))).last_action_error == ""
    assert await page.js("document.querySelector('[role=switch]').ariaChecked") == "true"
    label = page.bid("Agree")
    for action, checked in (("check", True), ("check", True), ("uncheck", False)):
        assert (await page.look(call(action, label))).last_action_error == ""
        assert await page.js("c.checked") is checked


@pytest.mark.parametrize(
    ("kind", "value", "held"),
    [
        ("number", " 12.5 ", "12.5"),
        ("number", "abc", None),
        ("number", "1,000", None),
        ("color", "red", "#ff0000"),
        ("color", "no colour", None),
        ("color", "transparent", None),
        ("color", "inherit", None),
        ("datetime-local", "2024-02-03 10:00", "2024-02-03T10:00"),
        ("datetime-local", "3 February", None),
        ("date", "02/03/2024", None),
        ("range", "70", "70"),
        ("range", "101", None),
        ("range", "much", None),
    ],
)
async def test_a_field_takes_its_own_kind_of_value_or_keeps_the_old(
    open_page, kind, value, held
) -> None:
    page = await open_page(
        f"""<input type={kind} id=f aria-label=Field
        onchange="log.push('change')" oninput="log.push('input')"><script>log = []</script>"""
    )
    before = await page.js("f.value")
    observation = await page.look(call("fill", page.bid("Field"), value))
    if held is None:
        assert f'does not accept "{value}": it takes ' in observation.last_action_error
        assert (await page.js("f.value"), await page.js("log.join()")) == (before, "")
    else:
        assert observation.last_action_error == ""
        assert await page.js("f.value") == held
        assert "input" in await page.js("log.join()")


async def test_what_lies_behind_a_dialog_is_not_chosen_from(open_page) -> None:
    page = await open_page(
        """<select id=s aria-label=Colour onchange="heard = true"><option>red<option>blue</select>
        <dialog id=d><select aria-label=Size id=t><option>small<option>large</select></dialog>
        <script>heard = false; d.showModal()</script>"""
    )
    refused = await page.look(call("select_option", page.bid("Colour"), "blue"))
    assert "cannot be used now: it does not take the focus" in refused.last_action_error
    assert (await page.js("s.value"), await page.js("heard")) == ("red", False)
    after = await page.look(call("select_option", page.bid("Size"), "large"))
    assert (after.last_action_error, await page.js("t.value")) == ("", "large")
    await page.js("d.close(), s.setAttribute('onfocus', 'this.blur()')")
    after = await page.look(call("select_option", page.bid("Colour"), "blue"))
    assert (after.last_action_error, await page.js("s.value")) == ("", "blue")


async def test_an_option_of_a_group_that_is_off_is_not_chosen(open_page) -> None:
    page = await open_page(
        """<select id=s aria-label=Beast><option>cat<optgroup label=Large disabled><option>lion
        </optgroup></select>"""
    )
    refused = await page.look(call("select_option", page.bid("Beast"), "lion"))
    assert refused.last_action_error == 'option "lion" is disabled'
    assert await page.js("s.value") == "cat"


REFUSES = "onbeforeinput='return false'"
TAKES_OVER = "onbeforeinput='take(event.data); return false'"


@pytest.mark.parametrize(
    ("field", "value", "held"),
    [
        (f"<input {REFUSES} value=old>", "new", None),
        (f"<input {REFUSES} value=old>", "old", "old"),
        (f"<div contenteditable {REFUSES}>old</div>", "new", None),
        ("<input onkeydown='return false' value=old>", "", None),
        (f"<input {TAKES_OVER} value=old>", "new", "NEW"),
        (f"<div contenteditable {TAKES_OVER}>old</div>", "new", "NEW"),
        ("<input maxlength=2>", "new", "ne"),
        ("<input oninput='this.value = ``'>", "new", ""),
        ("<input oninput='this.remove()'>", "new", "new"),
    ],
)
async def test_text_that_the_page_does_not_take_is_told(open_page, field, value, held) -> None:
    page = await open_page(
        field.replace(" ", " id=f ", 1)
        + """<script>const field = f; const take = (text) => setTimeout(() => {
        field["value" in field ? "value" : "textContent"] = text.toUpperCase() }, 50)</script>"""
    )
    after = await page.look(call("fill", "1", value))
    told = "did not take the text: the page keeps what it held" in after.last_action_error
    assert told is (held is None)
    assert await page.js("field.value ?? field.textContent") == ("old" if told else held)


async def test_an_option_is_chosen_by_what_it_reads(open_page) -> None:
    page = await open_page(
        """<select id=s aria-label=Place><option>Here<option>New&nbsp;York
        <option label="Los  Angeles">L<option value=4>San
        Diego</select>"""
    )
    for index, name in ((1, "New York"), (2, "Los Angeles"), (3, "San Diego"), (2, "L")):
        after = await page.look(call("select_option", page.bid("Place"), name))
        assert (after.last_action_error, await page.js("s.selectedIndex")) == ("", index)
