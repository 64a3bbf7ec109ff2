"""What can be acted on, however it is drawn or made: seen with a bid, and worked by actions."""

import pytest
from bs4 import BeautifulSoup

from webdojo.envs.pruning import prune_html
from webdojo.tasks.calls import call

pytestmark = pytest.mark.asyncio(loop_scope="session")

SAY = "<p id=said>nothing</p><script>const say = (word) => { said.textContent = word }</script>"
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGA"
    "hKmMIQAAAABJRU5ErkJggg=="
)
WITHOUT_A_BOX = {
    "floating": "<a onclick='say(1)'><div style='float:left;width:90px'>Go</div></a>",
    "placed": """<div style="position:relative;height:30px"><a onclick="say(1)">
        <span style="position:absolute;left:200px;top:0">Go</span></a></div>""",
    "an icon": """<a onclick="say(1)" aria-label=Go>
        <i style="position:absolute;left:300px;top:90px;width:16px;height:16px"></i></a>""",
    "an image": f"""<a onclick="say(1)" style="position:relative">
        <img alt=Go src="{PIXEL}" style="position:absolute;width:20px;height:20px"></a>""",
    "overflowing button": """<button onclick="say(1)" style="width:0;height:0;padding:0;border:0">
        <span style="position:absolute">Go</span></button>""",
    "link of no height": """<a onclick="say(1)" style="display:block;height:0"><h3>Go</h3></a>""",
    "listener of no height": """<div onclick="say(1)" style="height:0"><span>Go</span></div>""",
    "pointer of no height": """<div id=hand style="height:0;cursor:pointer"><span>Go</span></div>
        <script>onclick = (e) => { if (hand.contains(e.target)) say(1) }</script>""",
    "only its content": """<a onclick="say(1)" style="display:contents">Go</a>""",
    "far down": """<div style="height:3000px"></div>
        <a onclick="say(1)" style="display:block;height:0">
        <b style="float:right">Go</b></a>""",
}


@pytest.mark.parametrize("html", WITHOUT_A_BOX.values(), ids=WITHOUT_A_BOX)
async def test_what_has_no_box_is_known_by_what_is_drawn_in_it_and_clicked_there(
    open_page, html
) -> None:
    page = await open_page(SAY + html)
    (tag,) = BeautifulSoup(page.first.pruned_html, "lxml").find_all(attrs={"bid": True})
    assert "Go" in str(tag)
    _, _, width, height = page.first.boxes[tag["bid"]]
    assert width > 0
    assert height > 0
    after = await page.look(call("click", tag["bid"]))
    assert after.last_action_error == ""
    assert 'text"1"' in after.outline


async def test_what_has_no_box_and_nothing_drawn_in_it_is_not_there(open_page) -> None:
    page = await open_page(
        """<a onclick=1></a><div onclick=1 style="height:0;overflow:hidden">never</div>
        <a onclick=1><span style="position:absolute;visibility:hidden">never</span></a>
        <a onclick=1><span style="position:absolute;opacity:0">never</span></a>
        <a onclick=1><span style="position:absolute;left:-999px">never</span></a>
        <button style="width:0;height:0;padding:0;border:0;overflow:hidden">never</button>"""
    )
    assert page.first.pruned_html == ""


async def test_the_box_is_around_all_that_is_drawn(open_page) -> None:
    page = await open_page(
        """<a onclick=1 style="position:absolute;left:0;top:0">
        <i style="position:absolute;left:10px;top:20px;width:30px;height:40px"></i>
        <i style="position:absolute;left:110px;top:70px;width:5px;height:6px"></i></a>"""
    )
    assert list(page.first.boxes.values()) == [(10, 20, 105, 56)]


@pytest.mark.parametrize("kind", ["checkbox", "radio"])
async def test_a_label_stands_for_a_field_that_is_not_shown(open_page, kind) -> None:
    page = await open_page(
        f"""<input type={kind} id=box style="display:none" onchange="this.setAttribute('seen', 1)">
        <label for=box>Agree</label><label for=other>Shown</label><input id=other>"""
    )
    assert f"<label bid=1 type={kind}>Agree</label>" in page.first.pruned_html
    assert "<label for=other>Shown</label>" in page.first.pruned_html
    checked = await page.look(call("check", "1"))
    assert f"<label bid=1 type={kind} checked>Agree</label>" in checked.pruned_html
    assert await page.js("box.getAttribute('seen')") == "1"
    if kind == "checkbox":
        assert "checked" not in (await page.look(call("uncheck", "1"))).pruned_html


@pytest.mark.parametrize("place", ["left:-9999px", "top:-9999px", "width:0;height:0;opacity:0"])
@pytest.mark.parametrize("within", [True, False])
async def test_a_label_stands_for_a_field_that_lies_where_nobody_gets_to(
    open_page, place, within
) -> None:
    box = f"<input type=checkbox id=box style='position:absolute;{place}'>"
    page = await open_page(
        f"<label>Agree{box}</label>" if within else f"{box}<label for=box>Agree</label>"
    )
    assert page.first.pruned_html == "<label bid=1 type=checkbox>Agree</label>"
    checked = await page.look(call("check", "1"))
    assert checked.last_action_error == ""
    assert checked.pruned_html == "<label bid=1 type=checkbox checked focused>Agree</label>"
    assert (checked.focused_element_bid, await page.js("box.checked")) == ("1", True)


async def test_a_field_that_lies_away_keeps_its_bid_where_no_label_is_shown(open_page) -> None:
    away = "style='position:absolute;left:-9999px'"
    page = await open_page(
        f"""<input type=radio {away}><label for=i hidden>Hidden</label>
        <input type=radio id=i {away}><label>Typed<input {away}></label>"""
    )
    soup = BeautifulSoup(page.first.pruned_html, "lxml")
    assert [tag.name for tag in soup.find_all(attrs={"bid": True})] == ["input"] * 3
    assert (await page.look(call("fill", page.bid("Typed"), "x"))).last_action_error == ""


EDITED = {
    "body": "<iframe srcdoc='<!doctype html><body contenteditable>'></iframe>",
    "document": "<iframe id=f></iframe><script>f.contentDocument.designMode = 'on'</script>",
    "the page": "<script>document.body.contentEditable = true</script>",
    "another origin": "<iframe src=OTHER/edited></iframe>",
}


@pytest.mark.parametrize("html", EDITED.values(), ids=EDITED)
async def test_an_empty_page_that_is_edited_is_written_on(open_page, site, html) -> None:
    site.pages["/edited"] = "<!doctype html><body contenteditable>"
    other = site.other_origin()
    page = await open_page(html.replace("OTHER", other), allowed=(other,))
    (bid,) = page.first.boxes
    assert page.first.pruned_html == f"<body bid={bid}></body>"
    for action, text in (
        (call("fill", bid, "Dear all"), "Dear all"),
        (call("click", bid), "Dear all"),
        (call("keyboard_type", "!"), "Dear all!"),
    ):
        after = await page.look(action)
        assert after.last_action_error == ""
        assert after.pruned_html == f"<body bid={bid} focused>{text}</body>"
        assert after.focused_element_bid == bid


async def test_a_label_takes_the_file_of_an_upload_that_is_not_shown(
    open_page, site, tmp_path
) -> None:
    file = tmp_path / "cat.txt"
    file.write_text("miaow")
    page = await open_page(
        "<label>Pick file<input type=file hidden></label>",
        allowed=(site.origin, tmp_path.as_uri()),
    )
    assert page.first.pruned_html == "<label bid=1 type=file>Pick file</label>"
    after = await page.look(call("upload_file", "1", str(file)))
    assert after.last_action_error == ""
    assert "cat.txt" in after.pruned_html


async def test_a_label_is_clicked_beside_the_link_in_it(open_page) -> None:
    page = await open_page(
        """<label><input type=checkbox hidden><a href=/terms style="margin:0 40px">
        the terms of all that is offered here</a>Yes</label>"""
    )
    after = await page.look(call("check", "1"))
    assert after.last_action_error == ""
    assert after.url == page.first.url
    assert "<label bid=1 type=checkbox checked>" in after.pruned_html


async def test_a_label_of_a_disabled_field_is_disabled(open_page) -> None:
    page = await open_page("<label>Agree<input type=checkbox hidden disabled></label>")
    assert page.first.pruned_html == "<label bid=1 type=checkbox disabled>Agree</label>"
    after = await page.look(call("click", "1"))
    assert after.last_action_error == "element 1 (label) is disabled"


async def test_areas_of_an_image_are_seen_and_clicked(open_page) -> None:
    page = await open_page(
        f"""{SAY}<img usemap=#m alt=Map src="{PIXEL}" style="padding:10px;width:100px;height:60px">
        <map name=m><area coords=0,0,50,60 href="javascript:say('left')" alt=Left>
        <area shape=circle coords=75,30,20 href="javascript:say('right')" alt=Right>
        <area coords=0,0,9,9 alt=None></map>"""
    )
    assert page.first.pruned_html.splitlines()[1:] == [
        "<img alt=Map><area bid=1 alt=Left><area bid=2 alt=Right>"
    ]
    (x, y, *size), (x2, y2, *size2) = page.first.boxes.values()
    assert (x2 - x, y2 - y, size, size2) == (55, 10, [50, 60], [40, 40])
    for bid, word in (("1", "left"), ("2", "right")):
        after = await page.look(call("click", bid))
        assert after.last_action_error == ""
        assert f'text"{word}"' in after.outline


async def test_widgets_and_listeners_of_all_kinds_can_be_acted_on(open_page) -> None:
    page = await open_page(
        """<video controls aria-label=Film width=200 height=60></video>
        <div role=gridcell>cell</div><div role="switch checkbox">switch</div>
        <div tabindex=0 onkeydown=1>key attribute</div><div tabindex=0 id=a>key listener</div>
        <div tabindex=0 id=b>key property</div><div tabindex=0>nothing</div><div id=c>nothing</div>
        <div id=d>menu</div><div id=e>touch</div><div id=f>hover</div><div id=g>down</div>
        <div ondrop=1>drop</div><div id=h>over</div><div id=i>lift</div><div id=j>enter</div>
        <div id=k onmousemove=1>nothing</div>
        <script>a.addEventListener("keyup", () => 1); b.onkeypress = () => 1;
        c.addEventListener("keydown", () => 1); d.addEventListener("contextmenu", () => 1);
        e.addEventListener("touchstart", () => 1); f.onmouseenter = () => 1;
        g.addEventListener("pointerdown", () => 1); h.addEventListener("dragover", () => 1);
        i.addEventListener("touchend", () => 1); j.onpointerenter = () => 1;
        k.addEventListener("mouseover", () => 1)</script>"""
    )
    soup = BeautifulSoup(page.first.pruned_html, "lxml")
    found = [tag.text or tag["aria-label"] for tag in soup.find_all(attrs={"bid": True})]
    keys, drags = ["key attribute", "key listener", "key property"], ["drop", "over"]
    hands = ["menu", "touch", "hover", "down", *drags, "lift", "enter"]
    assert found == ["Film", "cell", "switch", *keys, *hands]
    assert soup.find(role="switch").text == "switch"


async def test_what_a_fieldset_or_inertness_turns_off_is_told_and_left_alone(open_page) -> None:
    page = await open_page(
        """<input aria-label=First><fieldset disabled><input aria-label=Second></fieldset>
        <div inert><input aria-label=Third><a href=/x>Fourth</a></div>
        <select><optgroup label=Group disabled><option>Fifth</select>""",
        modes=("pruned_html", "outline", "axtree_txt"),
    )
    assert "link 'Fourth', clickable, visible, inert=True" in page.first.axtree_txt
    soup = BeautifulSoup(page.first.pruned_html, "lxml")
    assert [tag.has_attr("disabled") for tag in soup.find_all("input")] == [False, True, False]
    assert [tag.has_attr("inert") for tag in soup.find_all(["input", "a"])] == [0, 0, 1, 1]
    assert soup.find("option").has_attr("disabled")
    await page.look(call("focus", page.bid("First")))
    for name, told in (("Second", "is disabled"), ("Third", "is inert")):
        after = await page.look(call("fill", page.bid(name), "astray"))
        assert told in after.last_action_error
    assert await page.js("document.querySelector('input').value") == ""


async def test_what_is_folded_away_cannot_be_acted_on(open_page) -> None:
    page = await open_page(
        """<div style="content-visibility:hidden"><button>never</button></div>
        <div hidden=until-found><a href=/>never</a></div>
        <svg width=9 height=9 onclick=1><title>Close</title></svg>""",
        modes=("pruned_html", "axtree_txt"),
    )
    assert page.first.pruned_html.count("bid=") == 1
    assert "Close" in page.first.axtree_txt


async def test_icons_have_the_names_that_they_give_themselves(open_page) -> None:
    icon = "style='display:inline-block;width:9px;height:9px'"
    page = await open_page(
        f"""<button><svg role=img aria-label=Delete width=9 height=9></svg></button>
        <a href=/><i class=star title=Keep {icon}></i></a><span role=img aria-label=smile>:)</span>
        <p>Rated <span role=img aria-label="4 of 5" {icon}></span></p>""",
        modes=("pruned_html", "axtree_txt"),
    )
    assert page.first.pruned_html == (
        '<button bid=1><img alt=Delete></button> <a bid=2 href="/" title=Keep></a>:)\n'
        'Rated <img alt="4 of 5">'
    )
    assert "button 'Delete'" in page.first.axtree_txt
    assert "img '4 of 5'" in page.first.axtree_txt


async def test_an_option_is_read_as_it_is_shown(open_page) -> None:
    html = (
        "<select><option label=Red>#f00<option label=Blue selected>#00f<option label>Grey</select>"
    )
    page = await open_page(html)
    shown = "<select bid=1><option>Red<option selected>Blue<option>Grey</select>"
    assert page.first.pruned_html == shown == prune_html(html)
    after = await page.look(call("select_option", "1", "Red"))
    assert not after.last_action_error


async def test_what_is_measured_and_how_options_are_grouped_is_told(open_page) -> None:
    page = await open_page(
        """<progress value=3 max=10></progress><meter value=.4></meter><progress></progress>
        <select><option>None<optgroup label="Big cats"><option>Lion<option>Tiger</optgroup>
        <option>Dog</select>""",
        modes=("pruned_html", "axtree_txt"),
    )
    assert page.first.pruned_html == (
        "<progress value=3 max=10></progress><meter value=0.4></meter>"
        '<select bid=1><option selected>None<optgroup label="Big cats"><option>Lion<option>Tiger'
        "</optgroup><option>Dog</select>"
    )
    assert "progressbar '', value='3'" in page.first.axtree_txt
    assert "group 'Big cats'" in page.first.axtree_txt
