"""The chat layout, with a tokenizer that brings a chat template."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from webdojo.agents.layouts.chat import CUT, ChatLayout, system_prompt
from webdojo.agents.layouts.layout import LAYOUTS, get_layout
from webdojo.envs.actions import ACTIONS, parse_action
from webdojo.envs.observation import Observation
from webdojo.envs.pruning import prune_html
from webdojo.envs.snapshot import Node
from webdojo.tasks.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
LAYOUT = ChatLayout()


def characters(template: Any = TEMPLATE) -> PreTrainedTokenizerBase:
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
    history = [LAYOUT.remember('click("9")', "", changed=False)]
    text = read(LAYOUT.prompt(tokenizer, seen, history, 99_999).token_ids, tokenizer)
    assert text.startswith("<system>")
    assert text.endswith("<assistant>")
    step = 'Step 1: click("9") → nothing changed'
    for part in ("Press OK.", '<button bid="3">OK</button>', step, "no such element"):
        assert part in text
    assert all(name in system_prompt() for name in ACTIONS)


def test_a_long_page_is_cut_and_says_so() -> None:
    tokenizer = characters()
    room = len(LAYOUT.prompt(tokenizer, observation(""), [], 99_999).token_ids) + 300
    ids = LAYOUT.prompt(tokenizer, observation("<p>word</p>" * 500), [], room).token_ids
    assert len(ids) <= room
    assert CUT.strip() in read(ids, tokenizer)
    assert "Press OK." in read(ids, tokenizer)


def test_of_a_page_too_long_the_viewport_comes_first() -> None:
    tokenizer = characters()
    links = tuple(
        Node("p", "", True, False, {}, {}, (0, 20 * n, 300, 20), (f"line {n}",))
        for n in range(-50, 50)
    )
    tree = Node("body", "", True, False, {}, {}, (0, -1000, 300, 2000), links)
    seen = replace(observation(prune_html(tree)), tree=tree, viewport=(300, 100))
    room = len(LAYOUT.prompt(tokenizer, observation(""), [], 99_999).token_ids) + 300
    text = read(LAYOUT.prompt(tokenizer, seen, [], room).token_ids, tokenizer)
    assert "line 0\nline 1\nline 2" in text
    assert "scroll(0, -1000) shows more" in text


def test_demonstrations_and_distractions_are_calls_on_the_page() -> None:
    assert LAYOUT.action(LAYOUT.response('fill("1", "x")', observation())) == 'fill("1", "x")'
    distraction = parse_action(LAYOUT.distraction(observation(), Random(0)))
    assert (distraction.name, distraction.arguments["bid"]) == ("click", "3")
    with pytest.raises(ValueError, match="nothing to act on"):
        LAYOUT.distraction(observation("<p>nothing</p>"), Random(0))


def shown(layout: ChatLayout, history: list[str], **fields: object) -> str:
    """The user's message."""
    seen = Observation("Press OK.", "about:blank", "", pruned_html="<p>page</p>", **fields)  # type: ignore[arg-type]
    return str(layout.messages(seen, seen.pruned_html, history)[1]["content"])


def test_history_tells_what_was_done_and_what_came_of_it() -> None:
    history = [
        LAYOUT.remember('so\nclick("3")', ""),
        LAYOUT.remember('click("4")', "it is hidden"),
        LAYOUT.remember("hm", "", changed=False),
    ]
    text = shown(LAYOUT, history, last_action='click("3")', page_changed=False)
    assert 'Step 1: click("3") → changed\n' in text
    assert 'Step 2: click("4") → it is hidden\n' in text
    assert "Step 3: (no action) → nothing changed\n" in text
    assert "The page has not changed since the last action." in text


def test_a_prompt_tells_of_the_steps_in_its_history() -> None:
    history = [LAYOUT.remember(f'click("{i}")', "") for i in range(12)]
    text = shown(ChatLayout("chat", history=3), history)
    assert [f"Step {i}:" in text for i in range(1, 13)] == [False] * 9 + [True] * 3
    assert "Step" not in shown(ChatLayout("chat", history=0), history)


def test_of_more_steps_than_there_is_room_for_the_last_are_told() -> None:
    tokenizer, layout = characters(), ChatLayout("chat", history=100)
    history = [layout.remember(f'click("{i}")', "") for i in range(100)]
    room = len(layout.prompt(tokenizer, observation(""), [], 99_999).token_ids) + 300
    ids = layout.prompt(tokenizer, observation("<p>word</p>" * 50), history, room).token_ids
    assert len(ids) <= room
    text = read(ids, tokenizer)
    assert 'Step 100: click("99") → changed' in text
    assert "Step 1:" not in text


@pytest.mark.parametrize("name", ["chat-memory", "chat-compressive"])
def test_of_more_notes_than_there_is_room_for_the_last_are_shown(name: str) -> None:
    tokenizer, layout = characters(), ChatLayout(name)
    notes = [f"note {i} of {300 * 'x'}" for i in range(40)]
    history = [layout.remember(f"Memory: {json.dumps(notes)}\nclick(3)", "")]
    room = len(layout.prompt(tokenizer, observation(""), [], 99_999).token_ids) + 5_000
    ids = layout.prompt(tokenizer, observation("<p>word</p>" * 50), history, room).token_ids
    assert len(ids) <= room
    text = read(ids, tokenizer)
    assert "- note 39 of x" in text
    assert "- note 0 of x" not in text


def said(memory: str, progress: str = '{"log in": "done"}') -> str:
    return (
        f"Memory: {memory}\nProgress: {progress}\nIntention: to press (it)\n"
        'Action: I press OK.\nclick("3")'
    )


def test_additive_memory_is_kept_for_ever_and_compressive_memory_replaces_itself() -> None:
    answers = [said('["the order is no. 31"]'), said('["Bob ordered", "the order is no. 31"]')]
    texts = {}
    for name in ("chat-memory", "chat-compressive", "chat-progress", "chat"):
        layout = ChatLayout(name, history=0)
        assert layout.action(answers[0]) == 'click("3")'
        texts[name] = shown(layout, [layout.remember(answer, "") for answer in answers])
    notes = "Your notes:\n- the order is no. 31\n- Bob ordered\n"
    assert notes in texts["chat-memory"]
    assert "Your notes:\n- Bob ordered\n- the order is no. 31\n" in texts["chat-compressive"]
    for name in ("chat-memory", "chat-compressive", "chat-progress"):
        assert 'Your progress: {"log in": "done"}' in texts[name]
    assert "notes" not in texts["chat-progress"]
    assert "progress" not in texts["chat"]


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (said("[]"), False),
        (said("{}"), False),
        (said('[""]'), False),
        ('click("3")', True),
        (said(""), True),
        ('Memory: ["the order is no', True),
        ('Memory: {"order": 31\nProgress: {}\nAction: I press OK.\nclick("3")', True),
    ],
)
def test_an_empty_list_clears_compressive_memory_and_a_lost_one_keeps_it(
    answer: str, kept: bool
) -> None:
    layout = ChatLayout("chat-compressive")
    history = [layout.remember(each, "") for each in (said('["Bob ordered"]'), answer)]
    assert ("Your notes:\n- Bob ordered" in shown(layout, history)) == kept
    assert ("Your notes" in shown(layout, history)) == kept


@pytest.mark.parametrize("depth", range(800, 1001, 5))
def test_what_is_deep_is_remembered_as_it_can_be(depth: int) -> None:
    deep = "[" * depth + "]" * depth
    layout = ChatLayout("chat-memory")
    shown(layout, [layout.remember(f"Memory: {deep}\nProgress: {deep}", "")])


@settings(deadline=None)
@given(st.text(max_size=200))
def test_whatever_is_said_can_be_remembered_and_shown(response: str) -> None:
    layout = ChatLayout("chat-memory")
    shown(layout, [layout.remember(response, "")])


def test_prompts_are_files_that_can_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system_prompt.cache_clear()
    assert "Memory: a JSON list" in system_prompt("chat-memory")
    (tmp_path / "memory.md").write_text("Only these:\n{actions}")
    (tmp_path / "progress.md").write_text('{"a brace": 1}')
    monkeypatch.setenv("WEBDOJO_PROMPTS", str(tmp_path))
    system_prompt.cache_clear()
    assert system_prompt("chat-memory").startswith("Only these:\n- ")
    assert "Think briefly" in system_prompt("chat")
    with pytest.raises(UserError, match=r"progress\.md cannot be read"):
        system_prompt("chat-progress")
    system_prompt.cache_clear()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Do as you like.", r"\{actions\} is missing"),
        ("{actions.x}", r"\{actions\.x\} stands for nothing"),
        ("{actions:>99999999999}", r"\{actions\} stands for nothing"),
        ("{actions} {", "Single"),
        ("{actions} {other}", r"\{other\} stands for nothing.*write \{actions\} and \{page\}"),
    ],
)
def test_a_prompt_that_cannot_be_filled_in_is_told_of_when_its_layout_is_made(
    text: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vanilla.md").write_text(text)
    monkeypatch.setenv("WEBDOJO_PROMPTS", str(tmp_path))
    system_prompt.cache_clear()
    with pytest.raises(UserError, match=rf"vanilla\.md cannot be read as a prompt \(.*{sentence}"):
        get_layout("chat")


def test_a_folder_of_prompts_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBDOJO_PROMPTS", str(tmp_path / "typo"))
    system_prompt.cache_clear()
    with pytest.raises(UserError, match=r"WEBDOJO_PROMPTS names .*typo, which is no folder"):
        get_layout("chat")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("chat.md", r"did you mean vanilla\.md"),
        ("chat-memory.md", r"did you mean memory\.md"),
        ("vanila.md", r"did you mean vanilla\.md"),
        ("vanilla.txt", r"did you mean vanilla\.md"),
        ("mine.txt", r"prompts are compressive\.md, memory\.md"),
    ],
)
def test_a_file_that_replaces_no_prompt_is_refused(
    name: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_text("{actions}")
    (tmp_path / "README.md").write_text("What these are for.")
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("WEBDOJO_PROMPTS", str(tmp_path))
    system_prompt.cache_clear()
    with pytest.raises(UserError, match=rf"{name} replaces no prompt: {told}"):
        get_layout("chat")


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("nothing")])
def test_what_has_the_name_of_a_prompt_and_cannot_be_read_is_refused(
    make: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "vanilla.md")
    monkeypatch.setenv("WEBDOJO_PROMPTS", str(tmp_path))
    system_prompt.cache_clear()
    with pytest.raises(UserError, match=r"vanilla\.md cannot be read as a prompt"):
        get_layout("chat")


def test_a_byte_order_mark_is_no_part_of_a_prompt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vanilla.md").write_text("Only these:\n{actions}", encoding="utf-8-sig")
    monkeypatch.setenv("WEBDOJO_PROMPTS", str(tmp_path))
    system_prompt.cache_clear()
    assert system_prompt().startswith("Only these:")
    system_prompt.cache_clear()


def test_every_layout_is_there_by_name() -> None:
    assert [get_layout(name).name for name in LAYOUTS] == list(LAYOUTS)
    with pytest.raises(UserError, match="unknown prompt layout 'chatty'"):
        get_layout("chatty")


def test_a_layout_has_a_history() -> None:
    assert [get_layout(name).history for name in LAYOUTS] == [6, 8, 8, 8, 8]
    assert [get_layout("chat", history=steps).history for steps in (0, 3, None)] == [0, 3, 8]
    with pytest.raises(UserError, match=r"outline layout tells of the last 6 steps: set policy"):
        get_layout("outline", history=8)


def test_a_tokenizer_without_a_template_is_refused() -> None:
    assert "chat template" in LAYOUT.problem_with(characters(None))
    assert LAYOUT.problem_with(characters()) == ""


@pytest.mark.parametrize("template", ["{% for m in messages %}{{ m.content }", {"tools": TEMPLATE}])
def test_a_template_that_cannot_be_filled_in_is_refused(template: Any) -> None:
    problem = LAYOUT.problem_with(characters(template))
    assert problem.startswith("has a chat template that cannot be filled in: ")


REFUSES_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}" + TEMPLATE
)
LEAVES_SYSTEM_OUT = TEMPLATE.replace("messages %}", "messages if m.role == 'user' %}")


@pytest.mark.parametrize("template", [REFUSES_SYSTEM, LEAVES_SYSTEM_OUT])
def test_where_a_template_takes_no_system_prompt_the_user_says_it(template: str) -> None:
    tokenizer = characters(template)
    assert LAYOUT.problem_with(tokenizer) == ""
    text = read(LAYOUT.prompt(tokenizer, observation(), [], 99_999).token_ids, tokenizer)
    assert text.startswith(f"<user>{system_prompt()}\n\nGoal: Press OK.")
