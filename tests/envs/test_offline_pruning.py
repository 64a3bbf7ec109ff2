"""HTML pruned without a browser: hidden and actionable is what says so in its own text."""

import pytest
from bs4 import BeautifulSoup

from webdojo.envs.pruning import prune_html


@pytest.mark.parametrize(
    ("page", "pruned"),
    [
        (
            "<details>never<summary>More</summary>never<button>never</button>"
            "<summary>never</summary></details>",
            "<summary bid=1>More</summary>",
        ),
        (
            "<details open><summary>More</summary>shown</details>",
            "<summary bid=1>More</summary>shown",
        ),
        ("<dialog>never <button>never</button></dialog>", ""),
        ("<dialog open>shown</dialog>", "<dialog>shown</dialog>"),
        ("<div popover>never</div><div popover=manual>never</div>", ""),
        ("<input list=l><datalist id=l><option>never</datalist>", "<input bid=1>"),
    ],
)
def test_what_is_closed_is_not_told(page: str, pruned: str) -> None:
    assert prune_html(page) == pruned


@pytest.mark.parametrize(
    ("page", "pruned"),
    [
        (
            "<input type=checkbox id=c hidden checked><label for=c>Agree</label>",
            "<label bid=1 type=checkbox checked>Agree</label>",
        ),
        (
            "<label for=c>Agree</label><div hidden><input type=radio id=c disabled></div>",
            "<label bid=1 type=radio disabled>Agree</label>",
        ),
        (
            '<label>Pick <input type=file style="display:none"></label>',
            "<label bid=1 type=file>Pick</label>",
        ),
        (
            "<label for=x>Name<input hidden id=x></label>",
            "<label for=x>Name</label>",
        ),
        (
            "<label for=c>Agree</label><input type=checkbox id=c>",
            "<label for=c>Agree</label><input bid=1 id=c type=checkbox>",
        ),
    ],
)
def test_a_label_stands_for_a_field_that_is_not_shown(page: str, pruned: str) -> None:
    assert prune_html(page) == pruned


def test_areas_players_roles_and_handlers_can_be_acted_on() -> None:
    text = prune_html(
        """<map><area href=/l alt=left><area alt=no></map><video controls title=film></video>
        <video title=no></video><div role=gridcell>cell</div><div role="widget switch">switch</div>
        <div tabindex=0 onkeyup=1>keys</div><div onkeyup=1>no</div>
        <div tabindex=-1 onkeyup=1>no</div>
        <div oncontextmenu=1>menu</div><div ontouchstart=1>touch</div><div ondrop=1>drop</div>
        <div onmousemove=1>no</div>"""
    )
    tags = BeautifulSoup(text, "lxml").find_all(attrs={"bid": True})
    found = [tag.text or tag.get("alt") or tag.get("title") for tag in tags]
    assert found == ["left", "film", "cell", "switch", "keys", "menu", "touch", "drop"]
    assert "role=switch" in text


def test_a_page_is_acted_on_only_to_be_written_on() -> None:
    assert prune_html("<body contenteditable>Dear all") == "<body bid=1>Dear all</body>"
    assert prune_html("<body onclick=1 contenteditable=false>Dear all") == "Dear all"


def test_what_is_turned_off_from_outside_says_so() -> None:
    text = prune_html(
        """<fieldset disabled><legend><button>on</button></legend><button>off</button>
        <div><input></div></fieldset><div inert><a href=x>still</a></div>
        <select><optgroup label=Cats disabled><option>Lion</optgroup><option>Dog</select>"""
    )
    soup = BeautifulSoup(text, "lxml")
    assert [tag.has_attr("disabled") for tag in soup.find_all(["button", "input"])] == [0, 1, 1]
    assert soup.find("a").has_attr("inert")
    assert soup.find("optgroup")["label"] == "Cats"
    assert [tag.has_attr("disabled") for tag in soup.find_all("option")] == [1, 0]


def test_what_is_measured_is_told() -> None:
    page = "<progress value=3 max=9></progress><meter value=.5></meter><progress></progress>"
    assert prune_html(page) == "<progress value=3 max=9></progress><meter value=.5></meter>"


def test_a_rule_that_unwraps_everything_leaves_the_text() -> None:
    def unwrap(page: BeautifulSoup) -> None:
        for tag in page.find_all(True):
            tag.unwrap()

    assert prune_html("<p>one <b>two</b></p>", rules=[unwrap]) == "one two"
    assert prune_html("<p>one</p>", rules=[lambda page: page.clear()]) == ""
