"""Wrong solutions made of right ones, and whether the pruned page shows what an oracle acts on."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from webdojo.envs.actions import parse_action
from webdojo.envs.certification.mutations import (
    another_text,
    steps_that_may_matter,
    with_changed_step,
    with_changed_value,
    with_stuffed_answers,
    without_last,
)
from webdojo.envs.certification.random_agent import random_action
from webdojo.envs.certification.targets import targets_kept
from webdojo.tasks.calls import upload_file
from webdojo.tasks.view import PageView

HTML = """<input bid=1><select bid=2><option>red<option>blue</select>
<button bid=3>Send</button><button bid=4>Stop</button>"""
LAYOUT = '<svg box="10 50 100 100"><circle box="50 90 4 4"></circle></svg>'
VIEW = PageView("Send bob", HTML, boxes={"3": (0, 0, 40, 20)}, layout=LAYOUT)
SIZE = (332, 214)


def changed(*actions: str) -> list[str] | None:
    return with_changed_value(actions, [VIEW] * len(actions), SIZE, Random(0))


def test_the_last_step_that_does_anything_is_left_out() -> None:
    assert without_last(['fill("1", "bob")', 'click("3")']) == ['fill("1", "bob")', "noop()"]
    assert without_last(['click("3")', "noop(5)"]) == ["noop()", "noop(5)"]
    assert without_last(["noop(5)"]) == ["noop()"]


@pytest.mark.parametrize(
    ("text", "other"),
    [("bob", "bobx"), ("", "x"), ("no. 1", "no. 2"), ("room 5b", "room 4b"), ("²", "²x")],
)
def test_another_text_is_of_the_same_kind(text: str, other: str) -> None:
    assert another_text(text, Random(0)) == other


def test_any_digit_may_be_the_one_that_counts() -> None:
    found = {another_text("$579", Random(seed)) for seed in range(30)}
    assert found == {"$479", "$679", "$569", "$589", "$578"}


def test_values_are_changed_before_points_and_elements() -> None:
    assert changed('fill("1", "bob")', 'click("3")') == ['fill("1", "bobx")', 'click("3")']
    assert changed('select_option("2", "red")', 'click("3")') == [
        'select_option("2", "blue")', 'click("3")',
    ]  # fmt: skip
    assert changed('send_msg_to_user("42")') == ['send_msg_to_user("41")']
    assert changed('click("3")') == ['click("4")']
    assert changed('focus("1")', "go_back()") is None


def changes(*actions: str, view: PageView = VIEW) -> set[tuple[str, ...]]:
    """What many seeds make of a solution."""
    views = [view] * len(actions)
    made = [with_changed_value(actions, views, SIZE, Random(seed)) for seed in range(40)]
    return {tuple(one) for one in made if one is not None}


def test_every_value_of_a_solution_is_changed_by_some_seed() -> None:
    first, last = 'fill("1", "bob")', 'fill("1", "eve")'
    assert changes(first, last) == {('fill("1", "bobx")', last), (first, 'fill("1", "evex")')}


def test_another_option_is_never_the_one_that_was_chosen() -> None:
    html = "<select bid=2><option>red<option>blue<option>green</select><select bid=5><option>one"
    view = PageView("", html)
    assert changes('select_option("2", "red")', view=view) == {
        ('select_option("2", "blue")',), ('select_option("2", "green")',),
    }  # fmt: skip
    assert changes('select_option("2", ["red", "blue"])', view=view) == {
        ('select_option("2", ["green", "blue"])',)
    }
    assert changes('select_option("5", "one")', view=view) == set()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('keyboard_press("7")', {'keyboard_press("6")', 'keyboard_press("8")'}),
        ('press("1", "Control+a")', {'press("1", "Control+b")', 'press("1", "Control+i")'}),
        ('goto("http://a.test:81/")', {'goto("http://a.test:81/x")'}),
        ('goto("http://a.test:81")', {'goto("http://a.test:81/x")'}),
        ('goto("http://a.test/b?page=9#c")', {'goto("http://a.test/b?page=8#c")'}),
        ('hover("3")', {'hover("4")'}),
        ('uncheck("4")', {'uncheck("3")'}),
        ('report_infeasible("no mug")', {'report_infeasible("no mugx")'}),
        ("scroll(0, 200)", {"scroll(0, -200)"}),
        ('upload_file("1", "cup.png")', set()),
    ],
)
def test_every_verb_that_decides_has_a_wrong_way(right: str, wrong: set[str]) -> None:
    parse = {str(parse_action(text)) for text in wrong}
    assert {text for (text,) in changes(right)} == parse


def test_another_key_is_pressed() -> None:
    found = {text for (text,) in changes('press("1", "Enter")')}
    assert 'press("1", "Escape")' in found
    assert 'press("1", "Enter")' not in found
    both = changes('click("3")', 'keyboard_press("Enter")')
    assert {first for first, _ in both} == {'click("3")'}


def test_the_way_to_what_is_clicked_stays() -> None:
    first, last = 'hover("3")', 'click("4")'
    assert changes(first, last) == {(first, 'click("3")')}


def test_another_file_of_the_folder_is_uploaded(tmp_path: Path) -> None:
    cup, mug = (tmp_path / name for name in ("cup.png", "mug.png"))
    cup.touch()
    assert changes(upload_file("1", str(cup))) == set()
    mug.touch()
    assert changes(upload_file("1", str(cup))) == {(upload_file("1", str(mug)),)}


FORM = """<form><label bid=1><input type=radio name=speed bid=2>slow</label>
<label bid=3><input type=radio name=speed bid=4>fast</label><input type=radio name=size bid=5>
<input type=checkbox bid=6><input type=checkbox bid=7></form><input type=checkbox bid=8>
<b role=switch bid=9></b><b role=switch disabled bid=10></b><button bid=11></button><input bid=12>
<ul role=listbox><li role=option bid=13><li role=option bid=14></ul>"""


def turned(*actions: str) -> list[tuple[list[str], bool]]:
    """Every step changed by turns, and whether the result is wrong for sure."""
    views = [PageView("", FORM)] * len(actions)
    made = []
    for number in range(len(actions)):
        step = with_changed_step(actions, views, number, SIZE, Random(0))
        if step is not None and (step.actions, step.wrong) not in made:
            made.append((step.actions, step.wrong))
    return made


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('click("2")', 'click("4")'),
        ('check("4")', 'check("2")'),
        ('click("1")', 'click("3")'),
        ('click("6")', 'click("7")'),
        ('click("8")', "noop()"),
        ('check("8")', 'uncheck("8")'),
        ('click("9")', "noop()"),
        ('click("13")', 'click("14")'),
    ],
)
def test_a_choice_becomes_another_of_its_group_or_is_not_made(right: str, wrong: str) -> None:
    assert turned(right) == [([wrong], True)]


def test_a_choice_that_is_made_anew_later_is_not_wrong_before() -> None:
    first, last = 'click("2")', 'click("4")'
    assert ([first, 'click("2")'], True) in turned(first, last)
    assert (['click("4")', last], True) not in turned(first, last)


def test_a_box_that_the_solution_ticks_too_is_not_ticked_instead() -> None:
    assert turned('click("6")', 'click("7")') == [
        (["noop()", 'click("7")'], True), (['click("6")', "noop()"], True),
    ]  # fmt: skip


def test_steps_are_changed_by_turns_choices_first() -> None:
    actions = ['fill("12", "bob")', "scroll(0, 100)", 'click("4")', 'click("11")']
    assert turned(*actions)[:2] == [
        ([*actions[:2], 'click("2")', actions[3]], True),
        (['fill("12", "bobx")', *actions[1:]], True),
    ]
    assert [wrong for _, wrong in turned(*actions)] == [True, True, False]


def test_clicks_into_a_field_and_scrolls_are_nothing_to_be_tried() -> None:
    actions = ['click("12")', "scroll(0, 9)", 'hover("11")', 'keyboard_type("b")', 'click("6")']
    assert steps_that_may_matter(actions, [PageView("", FORM)] * 5) == [3, 4]


def test_what_is_kept_is_not_changed() -> None:
    actions = ['click("3")', 'send_msg_to_user("Done.")']
    made = with_changed_value(actions, [VIEW] * 2, SIZE, Random(0), kept=["send_msg_to_user"])
    assert made == ['click("4")', actions[1]]


def test_the_last_point_goes_to_the_other_side_of_what_it_lies_in() -> None:
    first, last = "mouse_click(20.0, 60.0)", "mouse_click(30.0, 80.0)"
    assert changed(first, last) == [first, "mouse_click(89.0, 119.0)"]
    assert changed("mouse_click(60.0, 100.0)") == ["mouse_click(20.0, 60.0)"]


def test_answers_are_stuffed_with_what_the_page_says() -> None:
    words = "".join(f'<w box="0 0 9 12">{word}</w> ' for word in ("Red", "mug:", "$12", "or", "no"))
    speck = '<w box="0 0 9 1">speck</w>'
    view = PageView("How much?", "", layout=f"<p box='0 0 9 9'>{words}{speck}</p>")
    actions = ['click("3")', 'send_msg_to_user("$12")', "noop()"]
    assert with_stuffed_answers(actions, [VIEW, view, view], Random(1)) == [
        [actions[0], f'send_msg_to_user("{told}")', actions[2]]
        for told in (
            "Red mug: $12 or no $12",
            "$12 or $22 or Red or mug or or",
            "$22, $12, Red, mug, or",
            "$22 $12 Red mug or",
        )
    ]
    assert with_stuffed_answers(actions[:1], [VIEW], Random(1)) == []


def test_targets_are_kept_if_the_pruned_page_shows_them() -> None:
    assert targets_kept('click("3")', VIEW.boxes, "<button bid=3>Send</button>") == [True]
    assert targets_kept('click("3")', VIEW.boxes, "<p>Send</p>") == [False]
    assert targets_kept('drag_and_drop("3", "4")', {}, "<b bid=4>x</b>") == [False, True]
    assert targets_kept("mouse_click(5, 5)", VIEW.boxes, "<p>nothing</p>") == [False]
    assert targets_kept("mouse_click(90, 90)", VIEW.boxes, "") == []


def test_the_random_agent_suits_its_action_to_the_element() -> None:
    chance = Random(1)
    verbs = {random_action(VIEW, chance).partition("(")[0] for _ in range(200)}
    assert verbs == {"fill", "select_option", "click", "send_msg_to_user"}
    assert random_action(PageView("", ""), chance) == 'send_msg_to_user("yes")'
