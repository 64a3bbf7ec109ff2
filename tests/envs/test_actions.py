import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webdojo.envs.action_sets import SUBSETS, action_set, prompt_text, tool_schemas
from webdojo.envs.actions import ACTIONS, ActionError, parse_action
from webdojo.tasks.calls import call
from webdojo.tasks.errors import UserError

WORDS = st.sampled_from(
    [
        *(*ACTIONS, "__import__", "eval", "exec", "open", "(", ")", "[", "]", "{", "}", '"', "'"),
        *(",", "=", "*", "**", "\\", "\n", "12", "-1", "1e999", "0x" + "f" * 5000, "9" * 5000),
        *("None", "True", "lambda:", "`", "```", ".", "f'", "b'", "#", " ", ":", "button="),
        *("💥", "\x00"),
    ]
)


def _only_action_error(text: str) -> None:
    try:
        parsed = parse_action(text)
    except ActionError as error:
        assert str(error)
    else:
        assert parsed.name in ACTIONS


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300))
def test_arbitrary_text_raises_nothing_but_action_error(text: str) -> None:
    _only_action_error(text)


@settings(max_examples=500, deadline=None)
@given(st.lists(WORDS, max_size=30).map("".join))
def test_text_that_resembles_actions_raises_nothing_but_action_error(text: str) -> None:
    _only_action_error(text)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(ACTIONS)), st.lists(WORDS, max_size=12).map("".join))
def test_any_arguments_raise_nothing_but_action_error(name: str, arguments: str) -> None:
    _only_action_error(f"{name}({arguments})")


@pytest.mark.parametrize(
    "unit", ["(", "[", "-", "not ", "click(", "a.", "()", "{1:", "lambda:", "~"]
)
def test_deep_nesting_is_refused_in_words(unit: str) -> None:
    count = 19_000 // len(unit)
    _only_action_error(unit * count + "1")
    _only_action_error("click(" + unit * (count - 10) + "1)")


@pytest.mark.parametrize(
    "text",
    [
        '__import__("os").system("touch {path}")',
        'click(__import__("os").system("touch {path}"))',
        'click(open("{path}", "w"))',
        "click([open('{path}', 'w') for _ in [1]])",
        'exec("open({path!r}, \\"w\\")")',
        "click(f\"{{open('{path}', 'w')}}\")",
        '(lambda: open("{path}", "w"))()',
        'click("1") or open("{path}", "w")',
        'click("1"); open("{path}", "w")',
        "@open\ndef click(): pass",
    ],
)
def test_code_is_never_executed(text: str, tmp_path) -> None:
    path = tmp_path / "executed"
    with pytest.raises(ActionError):
        parse_action(text.format(path=path))
    assert not path.exists()


@settings(deadline=None)
@given(st.text(max_size=50), st.text(max_size=50))
def test_what_call_writes_parse_reads(bid: str, value: str) -> None:
    action = parse_action(call("fill", bid, value)) if _encodable(bid + value) else None
    if action is not None:
        assert action.arguments == {"bid": bid, "value": value}
        assert parse_action(str(action)) == action


def _encodable(text: str) -> bool:
    return not any(0xD800 <= ord(character) < 0xE000 for character in text)


def test_an_action_is_written_with_the_names_of_arguments_after_a_default() -> None:
    action = parse_action('mouse_click(1, 2, button="right")')
    assert str(action) == 'mouse_click(1.0, 2.0, "right")'
    assert str(parse_action('click("1", button="left")')) == 'click("1")'


def test_habits_of_models_are_read() -> None:
    assert parse_action("click(12)").arguments == {"bid": "12"}
    assert parse_action('```python\nclick("12")\n```').arguments == {"bid": "12"}
    assert parse_action('  click(bid="12")\n').arguments == {"bid": "12"}
    assert parse_action('select_option("3", ["a", "b"])').arguments["options"] == ["a", "b"]


def test_a_stray_backslash_is_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse_action(r'fill("1", "\d")').arguments["value"] == r"\d"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not an action call"),
        ("I will click", "not an action call"),
        ("fly()", "unknown action 'fly'; known: "),
        ("click()", "missing a required argument: 'bid'; usage: click(\"12\")"),
        ('click("1", "2", "3", "4")', "too many positional arguments"),
        ('click("1", button="none")', "button must be one of left, middle, right"),
        ('scroll("a", 1)', "delta_x must be float"),
        ("scroll(1e400, 1)", "delta_x is out of range"),
        ("select_option('1', [])", "options must be str | list[str]"),
        ("tab_focus(True)", "index must be int"),
        ("click(*['1'])", "plain strings, numbers or lists"),
        ("click(**{'bid': '1'})", "plain strings, numbers or lists"),
        ("click('1', bid='1')", "multiple values"),
    ],
)
def test_a_wrong_action_is_told_in_words(text: str, words: str) -> None:
    with pytest.raises(ActionError) as caught:
        parse_action(text)
    assert words in str(caught.value)


def test_only_allowed_verbs_are_known() -> None:
    allowed = action_set(["bid", "chat"])
    assert parse_action('click("1")', allowed).name == "click"
    with pytest.raises(ActionError, match="unknown action 'goto'"):
        parse_action('goto("http://localhost/")', allowed)


def test_subsets_cover_the_vocabulary_and_name_nothing_else() -> None:
    assert set().union(*SUBSETS.values()) == set(ACTIONS)
    assert action_set(SUBSETS) == set(ACTIONS)
    assert action_set(["nav", "click"]) == {"goto", "go_back", "go_forward", "click"}
    with pytest.raises(UserError, match="no action or action subset 'telepathy'"):
        action_set(["telepathy"])


def test_every_example_is_an_action() -> None:
    for name, spec in ACTIONS.items():
        assert parse_action(spec.example).name == name
        assert spec.doc.endswith(".")


def test_prompt_text_shows_every_verb_once() -> None:
    lines = prompt_text().splitlines()
    assert len(lines) == len(ACTIONS)
    click = next(line for line in lines if line.startswith("click("))
    assert click == (
        'click(bid: str, button: "left" | "middle" | "right" = "left"): Click an element.'
        ' Example: click("12")'
    )


def test_tool_schemas_describe_the_arguments() -> None:
    tools = {tool["function"]["name"]: tool["function"] for tool in tool_schemas()}
    assert set(tools) == set(ACTIONS)
    assert tools["click"]["parameters"] == {
        "type": "object",
        "properties": {
            "bid": {"type": "string"},
            "button": {"type": "string", "enum": ["left", "middle", "right"]},
        },
        "required": ["bid"],
        "additionalProperties": False,
    }
    assert [tool["function"]["name"] for tool in tool_schemas(["chat"])] == ["send_msg_to_user"]


def test_what_places_count_is_told_as_the_environment_has_it() -> None:
    moved = "Move the mouse to a point of the viewport, in {}."
    thousandths = "thousandths of its width and height"
    assert moved.format("pixels") in prompt_text(["mouse_move"])
    assert moved.format(thousandths) in prompt_text(["mouse_move"], "thousandths")
    (tool,) = tool_schemas(["mouse_move"], "thousandths")
    assert tool["function"]["description"] == moved.format(thousandths)
    told = prompt_text(coordinates="thousandths")
    assert "in pixels" not in told
    assert told.count(thousandths) == sum(name.startswith("mouse_") for name in ACTIONS)
