"""HTML pruning, on text and on live pages, with and without a budget."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from webdojo.envs.html_tree import read_html
from webdojo.envs.pruning import prune_html
from webdojo.tasks.errors import UserError

FORM = """<html><head><title>T</title></head><body><h1>Sign in</h1><form>
<label>Name <input name=user value="bob b"></label>
<label for=secret>Secret</label><input id=secret type=password value=xyz>
<label><input type=checkbox checked> Stay</label>
<select aria-label=Colour><option>Red<option selected>Blue</select>
<textarea placeholder=Story>once
upon</textarea><button disabled>Go</button></form>"""


def test_forms_keep_their_values_states_and_labels() -> None:
    assert prune_html(FORM) == (
        "<h1>Sign in</h1>\n<form>"
        '<label>Name <input bid=1 name=user value="bob b"></label>'
        " <label for=secret>Secret</label><input bid=2 id=secret type=password value=•••>"
        " <label><input bid=3 type=checkbox checked> Stay</label>"
        " <select bid=4 aria-label=Colour><option>Red<option selected>Blue</select>"
        "<textarea bid=5 placeholder=Story>once&#10;upon</textarea>"
        "<button bid=6 disabled>Go</button></form>"
    )


@pytest.mark.parametrize(
    "hidden",
    [
        "<p hidden>never</p>",
        '<p style="color: red; display : none">never</p>',
        '<div style="visibility:hidden"><button>never</button></div>',
        "<script>never</script><style>never</style><noscript>never</noscript>",
        "<svg><text>never</text></svg><!-- never --><template><p>never</template>",
        "<input type=hidden value=never>",
    ],
)
def test_what_is_not_seen_is_not_told(hidden: str) -> None:
    assert prune_html(f"<p>before</p>{hidden}<p>after</p>") == "before\nafter"


def test_wrappers_leave_nothing_but_lines() -> None:
    page = "<div><div class=a><section><div><p>one</p></div></section></div><div>two</div></div>"
    assert prune_html(page) == "one\ntwo"


def test_words_run_together_only_where_they_do_on_the_page() -> None:
    assert prune_html("<p>un<b>believ</b>able <i>new</i> <u>thing</u>s</p>") == (
        "unbelievable new things"
    )
    assert prune_html("<p>see <a href=x> here </a>now</p>") == "see <a bid=1>here</a> now"


def test_lists_of_links_are_lines_and_lists_of_text_are_lists() -> None:
    links = "<ul><li><a href=1>one</a></li><li><span><a href=2>two</a></span></li></ul>"
    assert prune_html(links) == "<a bid=1>one</a>\n<a bid=2>two</a>"
    assert prune_html("<ol><li>one<li>two <b>2</b></ol>") == "<ol><li>one\n<li>two 2</ol>"


def test_tables_keep_their_columns_and_layout_tables_do_not() -> None:
    table = "<table><tbody><tr><th>a<th>b<tr><td><td>2<tr><td><p>3</p><td><a href=x>4</a></table>"
    assert prune_html(table) == (
        "<table>\n<tr><th>a<th>b\n<tr><td><td>2\n<tr><td>3<td><a bid=1>4</a></table>"
    )
    assert prune_html("<table><tr><td>one<tr><td>two</table>") == "one\ntwo"


def test_elements_without_words_are_told_by_the_most_telling_thing_they_have() -> None:
    page = """<a href="/a/very/long/address/that/nobody/reads/to/its/end"><i></i></a>
    <button class="btn btn-tool"><i class="icon icon-bin"></i></button>
    <button class="btn btn-tool" title="Close it"><i class="icon icon-x"></i></button>
    <button class="btn btn-tool">Open</button><button id=save class=btn></button>
    <a href="#"><img alt="Home page"></a><i class=icon></i>"""
    assert re.split(r"\s*\n\s*|(?<=>)\s+(?=<a|<b)|(?<=</button>)", prune_html(page)) == [
        '<a bid=1 href="/a/very/long/address/that/nobody…"></a>'.replace('"', ""),
        "<button bid=2 class=icon-bin></button>",
        '<button bid=3 title="Close it"></button>',
        "<button bid=4>Open</button>",
        "<button bid=5 id=save></button>",
        '<a bid=6><img alt="Home page"></a>',
    ]


def test_ids_of_the_page_itself_are_kept() -> None:
    assert prune_html('<button bid="a7">Go</button>') == "<button bid=a7>Go</button>"


def test_many_rows_are_folded_and_said_to_be() -> None:
    rows = "".join(f"<tr><td>{n}<td><a href=x>open {n}</a>" for n in range(200))
    text = prune_html(f"<p>Orders</p><table>{rows}</table><p>End</p>", max_rows=20)
    lines = text.splitlines()
    assert lines[0] == "Orders"
    assert lines[21] == "<tr><td>19<td><a bid=20>open 19</a>"
    assert lines[22] == "… 180 more rows: 1820 characters, 180 to act on"
    assert lines[23] == "</table>"
    assert lines[24] == "End"
    assert prune_html(f"<table>{rows}</table>").count("<tr>") == 200


def test_a_rule_of_ones_own_changes_the_page_before_it_is_pruned() -> None:
    def no_adverts(page: BeautifulSoup) -> None:
        for tag in page.select(".advert"):
            tag.decompose()

    def shorter(page: BeautifulSoup) -> None:
        for tag in page.find_all("a", href=re.compile("^/tag/")):
            tag.string = "#"
        page.body.append(page.new_tag("p", string="made shorter"))

    page = """<body><div class="box advert"><a href=/buy>Buy</a></div>
    <input value=kept><p>text <a href=/tag/long>long</a></p>"""
    assert prune_html(page, rules=(no_adverts, shorter)) == (
        "<input bid=2 value=kept>\ntext <a bid=3>#</a>\nmade shorter"
    )


def test_a_rule_may_leave_nothing() -> None:
    assert prune_html("<p>text", rules=(lambda page: page.body.decompose(),)) == ""


def test_a_rule_that_fails_is_told_with_its_line() -> None:
    def first_link(page: BeautifulSoup) -> None:
        del page.a["href"]

    def takes_two(page: BeautifulSoup, more: str) -> None: ...

    assert prune_html("<a href=/x>on", rules=(first_link,)) == "<a bid=1>on</a>"
    line = first_link.__code__.co_firstlineno
    place = re.escape(f"({__file__}, line {line + 1}: ")
    with pytest.raises(
        UserError, match=rf"^pruning rule first_link {place}del page\.a\[.*TypeError"
    ):
        prune_html("<p>text", rules=(first_link,))
    place = re.escape(f"({__file__}, line {takes_two.__code__.co_firstlineno})")
    with pytest.raises(UserError, match=rf"^pruning rule takes_two {place}: TypeError"):
        prune_html("<p>text", rules=(takes_two,))  # type: ignore[arg-type]
    with pytest.raises(UserError, match=rf"^pruning rule partial .*, line {line + 1}: "):
        prune_html("<p>text", rules=(partial(first_link),))


def test_a_budget_holds_without_a_browser_too() -> None:
    page = "".join(f"<p>paragraph {n} <a href=x>link</a></p>" for n in range(500))
    text = prune_html(page, max_tokens=200)
    assert len(text) <= 800
    assert text.startswith("paragraph 0 <a bid=1>link</a>\n")
    assert re.search(r"… \d+ more rows: \d+ characters, \d+ to act on", text)


@pytest.mark.parametrize(
    "page",
    [
        "",
        "   ",
        "<",
        "plain",
        "<p>\0</p>",
        "<?xml version='1.0' encoding='utf-8'?><p>x",
        "<!-- -->",
    ],
)
def test_anything_can_be_pruned(page: str) -> None:
    assert "bid" not in prune_html(page)


def test_very_deep_pages_are_read_as_far_as_they_go() -> None:
    assert "top" in prune_html("<p>top</p>" + "<div>" * 5000 + "bottom")


def test_deep_pages_are_read_by_programs_that_are_deep_themselves() -> None:
    def prune(level: int) -> str:
        return prune(level - 1) if level else prune_html(page)

    page = "<section><b>a</b>" * 290 + "<button><b>Go</b></button>" + "z</section>" * 290
    text = prune(150)
    assert (text.count("a"), text.count("z")) == (290, 290)
    assert "Go" in text
    page = "<section>" * 190 + "<button><b>Go</b></button>"
    assert "<button bid=1>Go</button>" in prune(150)


TEXTS = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f"), max_size=12
)


TAGS = ("a", "button", "p", "li", "td", "div", "span", "h2", "b")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(TAGS), TEXTS), max_size=8))
def test_what_is_written_reads_back_as_it_was(parts: list[tuple[str, str]]) -> None:
    soup = BeautifulSoup("<body></body>", "lxml")
    for name, text in parts:
        soup.body.append(soup.new_tag(name, string=text))
        soup.body.append(soup.new_tag("hr"))
    again = BeautifulSoup(prune_html(str(soup)), "lxml")
    said = [" ".join(text.split()) for _, text in parts]
    told = " ".join(again.get_text(" ").split())
    assert told == " ".join(" ".join(said).split())
    acts = [" ".join(text.split()) for name, text in parts if name in ("a", "button")]
    assert [" ".join(tag.get_text().split()) for tag in again.find_all(bid=True)] == acts


@pytest.mark.asyncio(loop_scope="session")
async def test_live_pages_and_their_html_are_pruned_alike(open_page: Callable[..., object]) -> None:
    page = await open_page(FORM)  # type: ignore[misc]
    assert page.first.pruned_html == prune_html(FORM)


@pytest.mark.asyncio(loop_scope="session")
async def test_the_viewport_comes_first_and_scrolling_as_told_shows_more(
    open_page: Callable[..., object],
) -> None:
    rows = "".join(f"<tr><td>{n}<td><a href=#{n}>open {n}</a>" for n in range(300))
    page = await open_page(  # type: ignore[misc]
        f"<table>{rows}</table><p>The end</p>",
        modes=("pruned_html",),
        max_characters=1500,
        step_timeout_s=60,
    )
    seen: set[str] = set()
    observation = page.first
    for _ in range(40):
        text = observation.pruned_html
        assert len(text) <= 1500
        seen |= set(re.findall(r"open (\d+)", text))
        below = re.findall(r"… (\d+) more rows?: .*; (scroll\(0, \d+\)) shows more", text)
        if "The end" in text:
            break
        observation = await page.look(below[-1][1])
    assert "The end" in text
    assert len(seen) == 300


def test_the_tree_of_html_tells_form_state() -> None:
    tree = read_html(
        "<select><option>a<option selected>b</select><input aria-checked=true role=switch>"
    )
    select, switch = (node for node in tree.walk() if node.actionable)
    assert select.state["value"] == "b"
    assert switch.state["checked"] is True


def test_a_text_longer_than_the_budget_is_shown_as_far_as_it_goes() -> None:
    pruned = prune_html("<p>" + "word " * 2000 + "</p>", max_characters=4000)
    assert 3800 < len(pruned) <= 4000
    assert pruned.startswith("word word")
    assert "… cut: " in pruned


def test_no_fold_of_a_page_without_places_tells_where_to_scroll() -> None:
    table = "<table>" + "<tr><td>a<td>b" * 100 + "</table>"
    pruned = prune_html(table, max_rows=5)
    assert "… 95 more rows" in pruned
    assert "scroll" not in pruned
