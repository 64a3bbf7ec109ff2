"""What is seen of a page, in each form."""

import json
import re

import pytest
from bs4 import BeautifulSoup

from webdojo.envs.axtree import to_axtree
from webdojo.envs.budget import within
from webdojo.envs.html_tree import read_html
from webdojo.envs.layout import look
from webdojo.envs.outline import to_outline
from webdojo.envs.shown_tree import prune
from webdojo.envs.snapshot import Node, parse_snapshot
from webdojo.envs.spec import EnvSpec
from webdojo.envs.structured_html import to_structured_html
from webdojo.tasks.calls import call

pytestmark = pytest.mark.asyncio(loop_scope="session")

FORM = """<h1>Sign in</h1><form>
<label>Name <input name=user value=bob></label><input type=password aria-label=Secret value=xyz>
<label><input type=checkbox checked> Stay</label>
<select aria-label=Colour><option>Red<option selected>Blue</select>
<textarea placeholder=Story>once</textarea><button disabled>Go</button></form>
<div><div><span>plain <b>bold</b> text</span></div></div>
<p hidden>never</p><p style="display:none">never</p><p style="visibility:hidden">never</p>
<script>"never"</script><style>never{}</style><svg width=9 height=9><path d="M0 0h9v9"/></svg>
<img alt=Logo width=5 height=5><div onclick=1 class="a b">Div</div><a href="/x">Link</a>"""


async def test_the_pruned_page_holds_what_can_be_seen_and_done(open_page) -> None:
    page = await open_page(FORM)
    soup = BeautifulSoup(page.first.pruned_html, "lxml")
    assert "never" not in page.first.pruned_html
    assert soup.find("input", attrs={"name": "user"})["value"] == "bob"
    assert soup.find("input", type="password")["value"] == "•••"
    assert soup.find("input", type="checkbox").has_attr("checked")
    assert [o.text for o in soup.find_all("option")] == ["Red", "Blue"]
    assert soup.find("option", selected=True).text == "Blue"
    assert soup.find("textarea").text == "once"
    assert soup.find("button").has_attr("disabled")
    assert soup.find("img")["alt"] == "Logo"
    assert soup.find(string="plain bold text") or "plain bold text" in soup.text
    bids = [tag["bid"] for tag in soup.find_all(attrs={"bid": True})]
    assert len(bids) == len(set(bids)) == 8
    assert page.first.view().boxes.keys() == set(bids)


async def test_half_a_character_is_shown_as_one_that_is_not_known(open_page) -> None:
    long = "x" * 199 + "🥐"  # which is cut in the middle where an attribute gets too long
    page = await open_page(
        f"""<button aria-label="{long} 1">Go</button><p id=cut></p><button>Ask</button><script>
        const text = "Mug 🥐".slice(0, -1);
        cut.textContent = document.title = text;
        document.querySelectorAll("button")[1].onclick = () => alert(text);
        </script>""",
        modes=("pruned_html", "outline", "axtree_txt", "html"),
    )
    assert page.first.title == "Mug \ufffd"
    for text in (page.first.pruned_html, page.first.outline, page.first.axtree_txt):
        assert "Mug \ufffd" in text
    assert f"{'x' * 199}\ufffd…" in page.first.pruned_html
    assert '<p id="cut">Mug \ufffd</p>' in page.first.html
    assert "<w" in (seen := (await look(page.env, page.first)).layout)
    assert "\ufffd</w>" in seen
    after = await page.look(call("click", page.bid("Ask")))
    assert any("Mug \ufffd" in notice for notice in after.notices)


async def test_the_outline_has_a_line_an_element_and_its_text_before_its_bid(open_page) -> None:
    page = await open_page(FORM)
    assert page.first.outline.splitlines() == [
        'text"Sign in"',
        'textbox"bob"#Name[1]',
        'textbox"•••"#Secret[2]',
        'checkbox"Stay"+[3]',
        'select"Blue"#Colour[4]',
        'option"Red"[4]',
        'option"Blue"[4]',
        'textbox"once"#Story[5]',
        'button"Go"[6]',
        'text"plain bold text"',
        'img"Logo"',
        'item"Div"[7]',
        'link"Link"[8]',
    ]


async def test_the_accessibility_tree_tells_roles_names_and_states(open_page) -> None:
    page = await open_page(FORM, modes=("axtree_txt",))
    lines = [line.strip() for line in page.first.axtree_txt.splitlines()]
    assert lines[0] == "RootWebArea 'Test'"
    assert "heading 'Sign in'" in lines
    assert "[1] textbox 'Name', clickable, visible, value='bob'" in lines
    assert "[3] checkbox 'Stay', clickable, visible, checked=True" in lines
    assert "[4] combobox 'Colour', clickable, visible, value='Blue'" in lines
    assert "option 'Blue', selected=True" in lines
    assert "[6] button 'Go', clickable, visible, disabled=True" in lines
    assert "[8] link 'Link', clickable, visible" in lines
    assert page.first.pruned_html == page.first.outline == ""


async def test_the_accessibility_tree_keeps_what_can_be_read() -> None:
    page = read_html(
        """<a href=/1 title="Order">Number 7</a><a href=/2><img alt=Home></a>
        <a href=/3 aria-label="Page 3">3</a><button aria-label=Cart>4 items</button>
        <button title=Close></button><input type=submit value=Send title="At once">"""
    )
    assert to_axtree(prune(page)).replace(", clickable, visible", "").splitlines()[1:] == [
        "  [1] link 'Number 7'",
        "  [2] link 'Home'",
        "  [3] link 'Page 3'",
        "  [4] button 'Cart'",
        "    StaticText '4 items'",
        "  [5] button 'Close'",
        "  [6] button 'Send'",
    ]


async def test_raw_html_is_the_document(open_page) -> None:
    page = await open_page("<p id=p>old</p><script>p.textContent = 'new'</script>", modes=("html",))
    assert page.first.html.startswith("<html>")
    assert '<p id="p">new</p>' in page.first.html


async def test_ids_stay_with_their_elements(open_page) -> None:
    page = await open_page(
        """<button onclick="first.before(fresh)">Move</button>
        <button id=first>First</button><button id=fresh>Second</button>"""
    )
    move, first, second = page.bid("Move"), page.bid("First"), page.bid("Second")
    observation = await page.look(call("click", move))
    lines = observation.outline.splitlines()
    assert lines == [
        f'button"Move"[{move}]',
        f'button"Second"[{second}]',
        f'button"First"[{first}]',
    ]


async def test_what_listens_or_points_is_actionable(open_page) -> None:
    page = await open_page(
        """<div id=a>listener</div><div id=b>property</div><div onmousedown="1">attribute</div>
        <div role=tab>role</div><div style="cursor:pointer">pointer <span>inside</span></div>
        <div contenteditable>editable</div><div draggable=true>draggable</div><div>none</div>
        <script>a.addEventListener("click", () => 1); b.onclick = () => 1</script>"""
    )
    assert [line.rpartition("[")[0] for line in page.first.outline.splitlines()] == [
        'item"listener"',
        'item"property"',
        'item"attribute"',
        'tab"role"',
        'item"pointer inside"',
        'item"editable"',
        'item"draggable"',
        "",
    ]


async def test_shadow_roots_and_frames_of_the_same_origin_are_seen_and_acted_on(
    open_page, site
) -> None:
    site.pages["/frame"] = """<button onclick="this.textContent = 'framed hit'">In frame</button>
        <input aria-label=Inner>"""
    page = await open_page(
        """<div id=host>unplaced</div>
        <iframe src=/frame style="margin:40px;border:5px solid"></iframe>
        <script>host.attachShadow({mode: "open"}).innerHTML =
        "<button onclick=\\"this.textContent = 'shadow hit'\\">In shadow</button>"</script>"""
    )
    assert "unplaced" not in page.first.pruned_html  # no slot of the shadow tree takes it
    assert 'button"shadow hit"' in (await page.look(call("click", page.bid("In shadow")))).outline
    assert 'button"framed hit"' in (await page.look(call("click", page.bid("In frame")))).outline
    observation = await page.look(call("fill", page.bid("Inner"), "typed"))
    assert 'textbox"typed"#Inner' in observation.outline


async def test_an_empty_page_is_seen(open_page) -> None:
    page = await open_page("", modes=("pruned_html", "outline", "axtree_txt", "html"))
    assert page.first.pruned_html == page.first.outline == ""
    assert page.first.axtree_txt == "RootWebArea 'Test'"


async def test_a_budget_shows_the_viewport_first_and_tells_what_is_cut(open_page) -> None:
    rows = "".join(f"<p><a href=#{n}>row {n}</a></p>" for n in range(200))
    page = await open_page(rows, modes=("outline", "pruned_html"), max_characters=1500)
    outline = page.first.outline
    assert 'link"row 0"' in outline
    assert 'link"row 100"' not in outline
    assert len(outline) <= 1500
    shown = outline.count("link")
    assert outline.splitlines()[-1] == (
        f"… cut: what is out of view, with {200 - shown} elements to act on; scroll to see it"
    )
    scrolled = await page.look("scroll(0, 2500)")
    assert 'link"row 0"' not in scrolled.outline
    assert len(scrolled.pruned_html) <= 1500


async def test_raw_html_has_a_budget_too_and_tells_what_is_cut(open_page) -> None:
    page = await open_page("<p>words</p>" * 500, modes=("html",), max_characters=1500)
    document = await page.js("document.documentElement.outerHTML")
    kept, _, told = page.first.html.rpartition("\n")
    assert len(page.first.html) <= 1500
    assert len(kept) > 1400
    assert document.startswith(kept)
    left = len(document) - len(kept)
    assert told == f"… cut: {left} more characters; pruned_html begins with what is in view"


async def test_an_oracle_reads_the_page_s_structure_whatever_forms_were_asked_for(
    open_page,
) -> None:
    page = await open_page(
        "<ul><li><a class=wide href=/x>one</a></ul><div><div>two</div></div>", modes=("outline",)
    )
    soup = page.first.view().soup
    assert soup.select_one("ul > li > a[bid]").text == "one"
    assert soup.find("div").text == "two"


async def test_a_budget_smaller_than_the_viewport_cuts_lines_and_says_so() -> None:
    links = tuple(
        Node("a", str(n), True, True, {}, {}, (0, 0, 9, 9), (f"link {n}",)) for n in range(50)
    )
    tree = Node("body", "", True, False, {}, {}, (0, 0, 99, 99), links)
    text = within(tree, to_outline, 200, (100, 100))
    assert len(text) <= 200
    assert text.startswith('link"link 0"[0]\n')
    assert text.splitlines()[-1].startswith("… cut: ")
    assert within(tree, to_outline, None, (100, 100)).count("\n") == 49
    assert within(None, to_outline, 10, (100, 100)) == ""


async def test_elements_without_words_are_told_apart_by_their_rarest_classes() -> None:
    def button(bid: str, names: str) -> Node:
        return Node("a", bid, True, True, {"class": names}, {}, (0, 0, 9, 9))

    shared = "ui-button ui-widget ui-state-default ui-corner-tr"
    tree = Node(
        "div",
        "",
        True,
        False,
        {},
        {},
        (0, 0, 9, 9),
        (button("1", shared + " up"), button("2", shared + " down")),
    )
    lines = to_structured_html(prune(tree)).splitlines()
    assert 'class="ui-button ui-widget up"' in lines[1]
    assert 'class="ui-button ui-widget down"' in lines[2]


async def test_text_is_escaped(open_page) -> None:
    page = await open_page("<p>a &lt;b&gt; &amp; c</p><input aria-label='\"<x>' value='&quot;'>")
    soup = BeautifulSoup(page.first.pruned_html, "lxml")
    assert "a <b> & c" in soup.text
    assert soup.input["aria-label"] == '"<x>'
    assert soup.input["value"] == '"'


async def test_a_snapshot_is_read_from_its_json() -> None:
    pressed = {"focused": True}
    node = ["button", "3", True, True, {"id": "b"}, pressed, [1, 2, 3, 4], ["Go ", "on"]]
    tree = ["body", "", True, False, {}, {}, [0, 0, 9, 9], ["text", node]]
    data = {"url": "u", "title": "t", "focused": "3", "scroll": [0, 5], "tree": tree}
    snapshot = parse_snapshot(json.dumps(data))
    assert snapshot.boxes() == {"3": (1, 2, 3, 4)}
    assert snapshot.tree is not None
    assert [inner.tag for inner in snapshot.tree.walk()] == ["body", "button"]
    assert snapshot.tree.text() == "textGo on"
    assert to_axtree(snapshot.tree) == (
        "RootWebArea ''\n  StaticText 'text'\n  [3] button 'Go on', clickable, visible, focused"
    )


async def test_an_unknown_mode_is_told() -> None:
    with pytest.raises(ValueError, match="unknown observation mode 'smell'; known: pruned_html"):
        EnvSpec(modes=("smell",))


async def test_what_comes_under_a_standing_mouse_is_hovered_at_every_look(open_page) -> None:
    page = await open_page(
        "<style>div { width: 200px; height: 30px } div:hover { cursor: pointer }</style>"
        "<section></section><p id=moves>0</p><script>"
        "addEventListener('mousemove', () => { moves.textContent++ });"
        "setInterval(() => {"
        " document.querySelector('section').innerHTML = '<div>one</div><div>two</div>' }, 50)"
        "</script>"
    )
    for _ in range(10):
        seen = await page.look("mouse_move(20, 20)")
        assert re.search(r"<div bid=\d+>one</div>\s*two", seen.pruned_html), seen.pruned_html
    assert await page.js("+moves.textContent") == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"screenshot": True}, "screenshot=True: give a ScreenshotSpec"),
        ({"actions": ["bid"]}, "give verbs, such as webdojo.envs.action_sets.action_set"),
        ({"modes": "pruned_html"}, "give a tuple, such as \\('pruned_html',\\)"),
    ],
)
async def test_options_that_cannot_be_are_refused(options, told) -> None:
    with pytest.raises(ValueError, match=told):
        EnvSpec(**options)


async def test_a_mouse_is_heard_of_again_in_the_next_episode(open_page) -> None:
    page = await open_page(
        "<p id=moves>0</p><script>"
        "addEventListener('mousemove', () => { moves.textContent++ })</script>"
    )
    page.task.reuse_page = True
    await page.look("mouse_move(20, 20)")
    await page.look("mouse_move(0, 0)")
    heard = await page.js("+moves.textContent")
    await page.env.page.restart(1)
    await page.look("mouse_move(0, 0)")
    assert await page.js("+moves.textContent") > heard
