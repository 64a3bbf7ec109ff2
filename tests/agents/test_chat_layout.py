"""The chat layout, with a tokenizer that brings a chat template."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from webdojo.agents.layouts.chat import CUT, ChatLayout, system_prompt
from webdojo.envs.actions import ACTIONS, parse_action
from webdojo.envs.observation import Observation

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
LAYOUT = ChatLayout()


def characters(template: str | None = TEMPLATE) -> PreTrainedTokenizerBase:
    """A tokenizer that takes a character for a token."""
    every = [chr(code) for code in range(32, 127)] + ["\n", "…", "→", "[UNK]"]
    model = models.WordLevel({token: i for i, token in enumerate(every)}, unk_token="[UNK]")
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")
    made.chat_template = template
    return made


def observation(page: str = '<button bid="3">OK</button>', error: str = "") -> Observation:
    return Observation(
        goal="Press OK.", url="about:blank", title="", pruned_html=page, last_action_error=error
    )


def read(ids: list[int], tokenizer: PreTrainedTokenizerBase) -> str:
    return "".join(map(str, tokenizer.convert_ids_to_tokens(ids)))


def test_the_prompt_holds_rules_goal_page_history_and_the_last_error() -> None:
    tokenizer = characters()
    seen = observation(error="no such element")
    text = read(LAYOUT.prompt_ids(tokenizer, seen, ['click("9")'], 99_999), tokenizer)
    assert text.startswith("<system>")
    assert text.endswith("<assistant>")
    for part in ("Press OK.", '<button bid="3">OK</button>', 'click("9")', "no such element"):
        assert part in text
    assert all(name in system_prompt() for name in ACTIONS)


def test_a_long_page_is_cut_and_says_so() -> None:
    tokenizer = characters()
    room = len(LAYOUT.prompt_ids(tokenizer, observation(""), [], 99_999)) + 300
    ids = LAYOUT.prompt_ids(tokenizer, observation("<p>word</p>" * 500), [], room)
    assert len(ids) <= room
    assert CUT.strip() in read(ids, tokenizer)
    assert "Press OK." in read(ids, tokenizer)


@pytest.mark.parametrize(
    ("said", "action"),
    [
        ('click("3")', 'click("3")'),
        ('I press it.\nclick("3")', 'click("3")'),
        ('```\nclick("3")\n```', 'click("3")'),
        ('`click("3")`', 'click("3")'),
        ("I do not know.", ""),
        ("", ""),
    ],
)
def test_the_last_call_said_is_the_action(said: str, action: str) -> None:
    assert LAYOUT.action(said) == action


def test_demonstrations_and_distractions_are_calls_on_the_page() -> None:
    assert LAYOUT.action(LAYOUT.response('fill("1", "x")', observation())) == 'fill("1", "x")'
    distraction = parse_action(LAYOUT.distraction(observation(), Random(0)))
    assert (distraction.name, distraction.arguments["bid"]) == ("click", "3")
    with pytest.raises(ValueError, match="nothing to act on"):
        LAYOUT.distraction(observation("<p>nothing</p>"), Random(0))


def test_history_tells_what_went_wrong() -> None:
    assert LAYOUT.remember('so\nclick("3")', "") == 'click("3")'
    assert LAYOUT.remember('click("3")', "it is hidden") == 'click("3") → it is hidden'
    assert LAYOUT.remember("hm", "") == "(no action)"


def test_a_tokenizer_without_a_template_is_refused() -> None:
    assert "chat template" in LAYOUT.problem_with(characters(None))
    assert LAYOUT.problem_with(characters()) == ""
