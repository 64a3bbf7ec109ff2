import pytest

from webdojo.tasks.calls import call

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOG = """<pre id=log style="position:fixed;bottom:0;pointer-events:none"></pre><script>
const say = text => { log.textContent += text + ";" };
</script>"""


def logged(observation) -> str:
    return (
        next((line for line in observation.outline.splitlines() if ";" in line), 'text""')
        .removeprefix('text"')
        .removesuffix('"')
    )


async def test_clicks_reach_the_element_with_button_and_count(open_page) -> None:
    page = await open_page(
        LOG
        + """<button id=b>Go</button><script>
        for (const type of ["mousedown", "mouseup", "click", "dblclick", "auxclick"])
          b.addEventListener(type, e => say(type[0] + type.length + e.button + e.isTrusted));
        </script>"""
    )
    bid = page.bid("Go")
    assert logged(await page.look(f'click("{bid}")')) == "m90true;m70true;c50true;"
    await page.js("log.textContent = ''")
    assert logged(await page.look(f'click("{bid}", "middle")')) == "m91true;m71true;a81true;"
    await page.js("log.textContent = ''")
    assert "d80true" in logged(await page.look(f'dblclick("{bid}")'))


async def test_hover_is_noticed_before_time_passes(open_page) -> None:
    page = await open_page(
        LOG
        + """<button id=b onmouseenter="say('in')" onkeyup="say('up')">Go</button>
        <script>addEventListener('keyup', () => say('key'))</script>"""
    )
    observation = await page.look(call("hover", page.bid("Go")))
    assert logged(observation) == "in;"
    assert logged(await page.look("mouse_move(499, 399)")) == "in;"


async def test_fill_replaces_and_tells_the_page(open_page) -> None:
    page = await open_page(
        LOG
        + """<input aria-label=Name value=old oninput="say(this.value)">
        <textarea aria-label=Story>once</textarea>
        <div contenteditable aria-label=Rich role=textbox>rich <b>text</b></div>
        <input aria-label=Day type=date><input aria-label=Size type=range max=10>"""
    )
    assert logged(await page.look(call("fill", page.bid("Name"), 'bob "é" 💥'))) == "bob 'é' 💥;"
    assert await page.js("document.querySelector('input').value") == 'bob "é" 💥'
    observation = await page.look(call("fill", page.bid("Story"), "two\nlines"))
    assert not observation.last_action_error
    assert await page.js("document.querySelector('textarea').value") == "two\nlines"
    await page.look(call("fill", page.bid("Rich"), "plain"))
    assert await page.js("document.querySelector('[role=textbox]').innerText") == "plain"
    await page.look(call("fill", page.bid("Day"), "2024-02-29"))
    assert await page.js("document.querySelector('[type=date]').value") == "2024-02-29"
    refused = await page.look(call("fill", page.bid("Day"), "soon"))
    assert 'does not accept "soon"' in refused.last_action_error
    await page.look(call("fill", page.bid("Size"), "7"))
    assert await page.js("document.querySelector('[type=range]').value") == "7"
    await page.look(call("clear", page.bid("Story")))
    assert await page.js("document.querySelector('textarea').value") == ""


async def test_options_are_chosen_by_label_or_value(open_page) -> None:
    page = await open_page(
        LOG
        + """<select aria-label=Colour onchange="say(this.value)"><option value=r>Red
        <option value=g>Green<option value=b disabled>Blue</select>
        <select aria-label=Many multiple><option>a<option>b<option>c</select>"""
    )
    colour, many = page.bid("Colour"), page.bid("Many")
    assert logged(await page.look(call("select_option", colour, "Green"))) == "g;"
    assert logged(await page.look(call("select_option", colour, "r"))) == "g;r;"
    missing = await page.look(call("select_option", colour, "Pink"))
    assert 'has no option "Pink"' in missing.last_action_error
    disabled = await page.look(call("select_option", colour, "Blue"))
    assert "is disabled" in disabled.last_action_error
    await page.look(call("select_option", many, ["a", "c"]))
    chosen = "[...document.querySelectorAll('select')[1].selectedOptions].map(o => o.label).join()"
    assert await page.js(chosen) == "a,c"
    several = await page.look(call("select_option", colour, ["r", "g"]))
    assert "takes one option" in several.last_action_error


async def test_an_option_that_reads_so_comes_before_one_of_that_value(open_page) -> None:
    page = await open_page(
        "<select id=s aria-label=Many><option value=0>1<option value=1>2<option value=2>3</select>"
    )
    for wanted, index in (("2", 1), ("1", 0), ("0", 0)):  # the labels are all that is seen
        await page.look(call("select_option", page.bid("Many"), wanted))
        assert await page.js("s.selectedIndex") == index


async def test_check_and_uncheck_are_idempotent(open_page) -> None:
    page = await open_page("<label><input type=checkbox id=c>I agree</label>")
    bid, checked = page.bid("I agree"), "c.checked"
    for action, wanted in (
        ("check", True),
        ("check", True),
        ("uncheck", False),
        ("uncheck", False),
    ):
        observation = await page.look(call(action, bid))
        assert not observation.last_action_error
        assert await page.js(checked) is wanted
        assert ("+" in observation.outline) is wanted


async def test_keys_go_where_the_focus_is(open_page) -> None:
    page = await open_page(
        LOG
        + """<form onsubmit="say('sent'); return false"><input id=i aria-label=Name></form>
        <script>i.addEventListener('keydown', e => say(e.key + (e.shiftKey ? "+" : "")))</script>"""
    )
    await page.look(call("focus", page.bid("Name")))
    assert await page.js("document.activeElement.id") == "i"
    await page.look('keyboard_type("ab")')
    await page.look('keyboard_insert_text("ü")')
    assert await page.js("i.value") == "abü"
    await page.look('keyboard_down("Shift")')
    await page.look('keyboard_press("ArrowLeft")')
    await page.look('keyboard_up("Shift")')
    assert await page.js("i.selectionEnd - i.selectionStart") == 1
    await page.look(call("press", page.bid("Name"), "Control+a"))
    assert await page.js("i.selectionEnd - i.selectionStart") == 3
    assert "sent" in logged(await page.look(call("press", page.bid("Name"), "Enter")))
    refused = await page.look('keyboard_press("Any")')
    assert "there is no key 'Any'" in refused.last_action_error


async def test_drags_reach_both_ends(open_page) -> None:
    page = await open_page(
        LOG
        + """<div id=a onmousedown="say('down')" style="width:50px;height:50px">A</div>
        <div id=z onmouseup="say('up')" onmousemove="say('over')"
          style="width:50px;height:50px;position:absolute;left:300px;top:300px">Z</div>"""
    )
    observation = await page.look(call("drag_and_drop", page.bid("A"), page.bid("Z")))
    assert logged(observation).startswith("down;over;")
    assert logged(observation).endswith("up;")
    await page.js("log.textContent = ''")
    box = observation.boxes[page.bid("A")]
    drag = f"mouse_drag_and_drop({box[0] + 5}, {box[1] + 5}, 320, 320)"
    assert logged(await page.look(drag)).endswith("up;")


async def test_html5_drag_and_drop_works(open_page) -> None:
    page = await open_page(
        LOG
        + """<div id=a draggable=true onmousedown="1" style="width:50px;height:50px">A</div>
        <div id=z onmouseup="1" ondragover="event.preventDefault()" ondrop="say('dropped')"
          style="width:50px;height:50px;position:absolute;left:300px;top:300px">Z</div>"""
    )
    observation = await page.look(call("drag_and_drop", page.bid("A"), page.bid("Z")))
    assert logged(observation) == "dropped;"


async def test_the_wheel_scrolls(open_page) -> None:
    page = await open_page("<div style='height:3000px'>tall</div>")
    await page.look("scroll(0, 300)")
    assert await page.js("scrollY") == 300
    await page.look("scroll(0, -100)")
    assert await page.js("scrollY") == 200


async def test_an_element_out_of_view_is_scrolled_to(open_page) -> None:
    page = await open_page(
        LOG + "<div style='height:3000px'></div><button onclick=\"say('hit')\">Below</button>"
    )
    assert logged(await page.look(call("click", page.bid("Below")))) == "hit;"


@pytest.mark.parametrize(
    ("html", "target", "words"),
    [
        (
            "<button>Under</button><div onclick='1' style='position:fixed;inset:0'>Over</div>",
            "Under",
            "is covered by element",
        ),
        ("<button disabled>Off</button>", "Off", "is disabled"),
    ],
)
async def test_an_element_that_cannot_be_clicked_says_why(open_page, html, target, words) -> None:
    page = await open_page(html)
    bid = page.bid(target)
    observation = await page.look(call("click", bid))
    assert f"element {bid} (button) {words}" in observation.last_action_error


async def test_an_element_half_covered_is_clicked_where_it_is_free(open_page) -> None:
    page = await open_page(
        LOG
        + """<button id=b style="position:absolute;left:0;top:100px;width:200px;height:40px"
        onclick="say('hit')">Wide</button>
        <div style="position:absolute;left:60px;top:100px;width:200px;height:40px;
        background:red"></div>"""
    )
    assert logged(await page.look(call("click", page.bid("Wide")))) == "hit;"


async def test_an_element_that_is_gone_says_so(open_page) -> None:
    page = await open_page("<button onclick='this.remove()'>Once</button>")
    bid = page.bid("Once")
    assert not (await page.look(call("click", bid))).last_action_error
    gone = await page.look(call("click", bid))
    assert gone.last_action_error == f"no element {bid} on the page"
    assert "no element 999 on the page" in (await page.look('click("999")')).last_action_error


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("mouse_click(500, 10)", "outside the viewport of 500 by 400"),
        ("mouse_click(-1, 10)", "outside the viewport"),
        ("noop(100000)", "wait_ms must be between 0 and 10000"),
        ('goto("about:blank")', "not an absolute http, https or file address"),
        ('goto("javascript:alert(1)")', "not an absolute http, https or file address"),
        ("tab_close()", "it is the only tab"),
        ("tab_focus(1)", "there are 1 tabs"),
        ("tab_focus(-1)", "there are 1 tabs"),
        ('keyboard_type("' + "x" * 600 + '")', "at most 500 keys"),
    ],
)
async def test_what_cannot_be_done_is_told_and_the_episode_goes_on(
    open_page, action, words
) -> None:
    page = await open_page("<p>text")
    assert words in (await page.look(action)).last_action_error
    assert (await page.look()).last_action_error == ""


async def test_history_goes_back_and_forth(open_page, site) -> None:
    site.pages["/next"] = "<title>Next</title><p>second page"
    page = await open_page("<a href=/next>on</a>")
    observation = await page.look(call("click", page.bid("on")))
    assert observation.url == site.origin + "/next"
    assert 'text"second page"' in observation.outline
    assert (await page.look("go_back()")).url == site.origin + "/"
    assert (await page.look("go_forward()")).url == site.origin + "/next"
    observation = await page.look(f'goto("{site.origin}/")')
    assert observation.title == "Test"


async def test_history_is_gone_through_whatever_a_page_names_so(open_page, site) -> None:
    site.pages["/next"] = "<title>Next</title><script>let history = []</script>"
    page = await open_page("<a href=/next>on</a><script>let history = []</script>")
    await page.look(call("click", page.bid("on")))
    for way, title in (("back", "Test"), ("forward", "Next")):
        observation = await page.look(f"go_{way}()")
        assert (observation.last_action_error, observation.title) == ("", title)
    refused = await page.look("go_forward()")
    assert refused.last_action_error == "go_forward: there is no page after this one"
    await page.look("go_back()")
    refused = await page.look("go_back()")
    assert refused.last_action_error == "go_back: there is no page before this one"
    assert refused.title == "Test"


async def test_uploads_take_files_of_the_task_only(open_page, tmp_path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.txt").write_text("hello")
    (tmp_path / "secret.txt").write_text("secret")
    page = await open_page(
        LOG
        + """<input type=file aria-label=File id=f
        onchange="say(f.files[0].name + f.files[0].size)">
        <button>Go</button>""",
        allowed=(folder.as_uri() + "/",),
    )
    bid = page.bid("File")
    assert logged(await page.look(call("upload_file", bid, str(folder / "a.txt")))) == "a.txt5;"
    for path in (tmp_path / "secret.txt", folder / ".." / "secret.txt", "a.txt", "/etc/passwd"):
        refused = await page.look(call("upload_file", bid, str(path)))
        assert "is not a file of this task" in refused.last_action_error
    missing = await page.look(call("upload_file", bid, str(folder / "none.txt")))
    assert "there is no file" in missing.last_action_error
    wrong = await page.look(call("upload_file", page.bid("Go"), str(folder / "a.txt")))
    assert "is not a file input" in wrong.last_action_error


async def test_thousandths_are_scaled_to_the_viewport(open_page) -> None:
    page = await open_page(
        LOG + "<script>addEventListener('click', e => say(e.clientX + ',' + e.clientY))</script>",
        coordinates="thousandths",
    )
    assert logged(await page.look("mouse_click(500, 250)")) == "250,100;"
    assert logged(await page.look("mouse_click(1000, 1000)")).endswith(";499,399;")
    error = (await page.look("mouse_click(1001, 5)")).last_action_error
    assert error.startswith("mouse_click: x=1001, where places count from 0 to 1000")


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    "action", ['goto("http://[")', 'goto("https://a]/")', 'upload_file("1", "/\\ud800")']
)
async def test_an_address_that_is_none_is_an_error_and_no_exception(open_page, action) -> None:
    page = await open_page("<input type=file>")
    assert (await page.look(action)).last_action_error


@pytest.mark.asyncio(loop_scope="session")
async def test_a_mouse_that_hovers_is_seen_by_the_page(open_page) -> None:
    page = await open_page(
        "<style>@media (hover: hover) { button:hover { width: 200px } }</style><button>Go</button>"
    )
    await page.look(call("hover", page.bid("Go")))
    assert await page.env.page.evaluate("document.querySelector('button').offsetWidth") == 200
