"""The outline layout: what it says is read back, and nothing a policy says can do harm."""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from webdojo.agents.layouts.outline import (
    ACT,
    END,
    OutlineLayout,
    parse,
    render,
    response_for,
)
from webdojo.envs.actions import parse_action
from webdojo.envs.observation import Observation
from webdojo.tasks.calls import call

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PAGE = (
    'text"Log in"\ntextbox""#username[1]\ntextbox"bob"#name[2]\nbutton"OK"+[3]\n'
    'select""[4]\noption"red"[4]\noption"blue"[4]'
)
LAYOUT = OutlineLayout()
# What an outline can show: no quotes and no line breaks in a line's text.
SHOWN = st.text(
    st.characters(exclude_characters='"', exclude_categories=["C", "Zl", "Zp"]), max_size=12
)


def observation(outline: str = PAGE, goal: str = "Log in.") -> Observation:
    return Observation(goal=goal, url="about:blank", title="", outline=outline)


def characters() -> PreTrainedTokenizerBase:
    """A tokenizer that takes a character for a token, besides the layout's own."""
    every = [chr(code) for code in range(32, 127)] + ["\n", "[UNK]", ACT, END]
    model = models.WordLevel({token: i for i, token in enumerate(every)}, unk_token="[UNK]")
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.add_special_tokens([ACT, END])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, unk_token="[UNK]")


@pytest.mark.parametrize(
    "action",
    [
        'click("1")',
        'click("3")',
        'fill("1", "bob")',
        'fill("2", "")',
        'select_option("4", "blue")',
        'click("4")',
    ],
)
def test_a_demonstrated_action_is_read_back(action: str) -> None:
    said = response_for(action, PAGE)
    assert parse(said) == call(*_parts(action))
    assert said.split("@")[0] in PAGE


def _parts(action: str) -> tuple[str, ...]:
    parsed = parse_action(action)
    return (parsed.name, *map(str, parsed.arguments.values()))


@given(text=SHOWN, name=SHOWN.filter(lambda t: not re.search(r"[\[\]#]", t)), value=SHOWN)
def test_any_value_on_any_line_is_read_back(text: str, name: str, value: str) -> None:
    outline = f'text"x"[7]\ntextbox"{text}"{"#" + name if name else ""}[12]'
    try:
        said = response_for(call("fill", "12", value), outline)
    except ValueError:
        # A space after structure is lost when tokens are decoded, so it cannot be said.
        assert re.search(r'(^|["#\]])\s|\s$', value)
    else:
        assert parse(said) == call("fill", "12", value)


@given(st.text(max_size=60))
def test_whatever_is_said_gives_a_known_action_or_none(said: str) -> None:
    action = parse(said)
    assert not action or parse_action(action).name in ("click", "fill", "select_option")


@given(
    st.lists(
        st.sampled_from(['button"', 'option"', '"', "[3]", "#", "+", "@click", '@fill"', "@select"])
        | st.text(max_size=4),
        max_size=8,
    ).map("".join)
)
def test_nearly_well_formed_answers_give_a_known_action_or_none(said: str) -> None:
    action = parse(said)
    assert not action or parse_action(action).name in ("click", "fill", "select_option")


@pytest.mark.parametrize(
    "action", ['click("99")', 'press("1", "Enter")', 'select_option("4", "green")', "noop()"]
)
def test_what_cannot_be_said_is_refused(action: str) -> None:
    with pytest.raises(ValueError, match=re.escape(action)):
        response_for(action, PAGE)


def test_the_prompt_holds_page_goal_and_the_latest_responses_in_this_order() -> None:
    history = [f"response {i}" for i in range(9)]
    text = render("Log in.", PAGE, history)
    assert text.startswith(PAGE.replace("\n", "") + "\nLog in.\n")
    assert text.endswith("response 8\n" + ACT)
    assert "response 2" not in text


@pytest.mark.parametrize("room", [80, 100, 120, 400])
def test_a_long_page_loses_its_last_lines_and_nothing_else(room: int) -> None:
    tokenizer = characters()
    whole = observation("\n".join(f'button"number {i}"[{i}]' for i in range(40)))
    ids = LAYOUT.prompt(tokenizer, whole, ["earlier"], room).token_ids
    assert len(ids) <= room
    text = tokenizer.decode(ids).replace(" ", "")
    assert text.startswith('button"number0"[0]')
    assert text.endswith(f"Login.\nearlier\n{ACT}")
    assert "number39" not in text


def test_a_goal_too_long_for_the_room_is_left_for_the_engine_to_refuse() -> None:
    ids = LAYOUT.prompt(characters(), observation(goal="x" * 100), [], 50).token_ids
    assert len(ids) > 50


def test_a_distraction_is_about_the_page_and_repeats_with_its_seed() -> None:
    said = [LAYOUT.distraction(observation(), Random(seed)) for seed in range(30)]
    assert said == [LAYOUT.distraction(observation(), Random(seed)) for seed in range(30)]
    assert len(set(said)) > 3
    for each in said:
        assert parse(each.removesuffix(END))
    with pytest.raises(ValueError, match="nothing to act on"):
        LAYOUT.distraction(observation('text"nothing here"'), Random(0))


def test_a_tokenizer_without_its_tokens_is_refused() -> None:
    strange = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    )
    assert ACT in LAYOUT.problem_with(strange)
    assert LAYOUT.problem_with(characters()) == ""
