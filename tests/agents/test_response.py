"""What is read out of a chat response: calls in every form, notes, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webdojo.agents.layouts.response import MAX_RESPONSE, Said, read

CLICK = 'click("3")'
CALL = "click('3')"


@pytest.mark.parametrize(
    ("response", "action"),
    [
        (CLICK, CLICK),
        (f"I press it.\n{CLICK}", CLICK),
        (f'{CLICK}\nclick("4")', 'click("4")'),
        (f"{CLICK}\nThe end (of it)", CLICK),
        (f"{CLICK} # go (now)", f"{CLICK} # go (now)"),
        (f"{CLICK}  # go", CLICK),
        (f"{CLICK}.", CLICK),
        (f"{CLICK};", CLICK),
        (f"- {CLICK}", CLICK),
        (f"1. {CLICK}", CLICK),
        (f"I will {CLICK}", CLICK),
        (f"I will press it ({CLICK}).", CLICK),
        (f"{CLICK}\n\nDone.", CLICK),
        ('I could click("2"), but I will click("3")', CLICK),
        ('I will fill("1", "it\'s (x)") now', 'fill("1", "it\'s (x)")'),
        ("I will click(\n  3\n)", "click(\n  3\n)"),
        # Fences and tags.
        (f"`{CLICK}`", CLICK),
        (f"```{CLICK}```", CLICK),
        (f"```\n{CLICK}\n```", CLICK),
        (f"```python\n{CLICK}\n```", CLICK),
        (f"```python {CLICK}```", CLICK),
        (f"<tool_call>\n{CLICK}\n</tool_call>", CLICK),
        # One call, the first of those that make the line.
        (f'{CLICK} and then press("Enter")', CLICK),
        (f'{CLICK}; press("Enter")', CLICK),
        (f'- {CLICK}, then press("Enter").', CLICK),
        # The action part before what else is said.
        (f"Action: {CLICK}", CLICK),
        (f"**Action:** {CLICK}", CLICK),
        (f"**Action**: `{CLICK}`\n\nThat is all.", CLICK),
        (f"Action: {CLICK}\nDone.", CLICK),
        (f'Action: {CLICK}\nIntention: later I click("4").', CLICK),
        (f'Action: I press OK: {CLICK}.\nMemory: ["then click("4")"]', CLICK),
        # As JSON, which is what tools are called with.
        (r'{"action": "click(\"3\")"}', CLICK),
        ("""{"thought": "{I", "action": "click('3')"}""", "click('3')"),
        ('```json\n{\n"thought": "{I",\n"action": "click(\\"3\\")"\n}\n```', CLICK),
        ('{"reason": "to go", "action": "click", "bid": 3}', CLICK),
        ('{"action": {"name": "click", "bid": "3"}}', CLICK),
        ('Go.\n<tool_call>\n{"name": "click", "arguments": {"bid": "3"}}\n</tool_call>', CLICK),
        ('{"name": "click", "parameters": {"bid": "3", "button": "right"}}', 'click("3", "right")'),
        (r'{"name": "fill", "arguments": {"bid": "1", "value": "\"a\""}}', r'fill("1", "\"a\"")'),
        ('{"action": "click", "bid": "4"}\n{"action": "click", "bid": "3"}', CLICK),
        (f'{{"action": "click", "bid": "4"}}, that is {CLICK}.', CLICK),
        # Of an object that ends the answer nothing but its action is done.
        ("""{"thought": "I", "action": "click('3')", "memory": ["I did click('4')"]}""", CALL),
        ("""{"thought": "I", "action": "click('3')", "reason": "click('4') fails"}""", CALL),
        ("""{"action": "click", "bid": "3", "reason": "click('4') fails"}""", CLICK),
        ("""Go.\n```json\n{"Memory": ["click('4')"], "Action": "click('3')"}\n```\n""", CALL),
        ("""<tool_call>{"action": {"name": "click", "bid": 3}, "memory": []}</tool_call>""", CLICK),
        (
            """{"name": "send_msg_to_user", "arguments": {"text": "click('4')"}}""",
            """send_msg_to_user("click('4')")""",
        ),
        ("""{"action": "I press it.", "memory": [], "call": "click('3')"}""", CALL),
        ("""Memory: {"action": "click('4')"}""", ""),
        ('{"action": "click"}', ""),
        ('{"action": "click", "bid": [{}]}', ""),
        ('{"name": "click", "arguments": "4"}', ""),
        ('{"action": 4, "name": "press_it"}', ""),
        ('Memory: [{"action": "click", "bid": "4"}]\nAction: none.', ""),
        ('<think>{"action": "click", "bid": "4"}</think>', ""),
        # Thoughts are not done, nor are notes.
        (f"</think>{CLICK}", CLICK),
        (f'<think>Not click("4").</think>\nSo {CLICK}.', CLICK),
        ('<think>Maybe click("4")?</think>I do not know.', ""),
        ('<think>Maybe click("4") or', ""),
        (f'<think>\nMaybe\nclick("4")\nNo.\n</think>\nSo {CLICK}.', CLICK),
        ('<think>\nclick("4")\nNo.\n</think>\nI do not know.', ""),
        ('<think>\nOne way is\nclick("4")\nbut that deletes the acc', ""),
        ('Perhaps\nclick("4")\nno, wrong.\n</think>\nAction: none.', ""),
        ('<think>Action: click("4")</think>\nAction: none.', ""),
        ('<Thinking>\nclick("4")\nNo.\n</Thinking>\nI do not know.', ""),
        ('<thinking>\nOne way is\nclick("4")\nbut', ""),
        *(
            (f'{begin}\nclick("4")\n{end}\nSo {CLICK}.', CLICK)
            for begin, end in (
                ("<reasoning>", "</reasoning>"),
                ("<thought>", "</thought>"),
                ("<thoughts>", "</thoughts>"),
                ("[THINK]", "[/THINK]"),
            )
        ),
        ('[THINK]\nOne way is\nclick("4")\nbut', ""),
        (f"[think: the button]\n{CLICK}", CLICK),
        ("fill('1', '<think>')", "fill('1', '<think>')"),
        ('I will fill("1", "<reasoning>")', 'fill("1", "<reasoning>")'),
        (f'<think>It says "OK"</think>{CLICK}', CLICK),
        ('fill("1", "</think>")', 'fill("1", "</think>")'),
        ("fill('1', 'a </think> b <think> c')", "fill('1', 'a </think> b <think> c')"),
        (f'<think>Not fill("1", "</think>").</think>\n{CLICK}', CLICK),
        ('<think>Perhaps\nfill("1", "</think>")', ""),
        (f"<think>Is it click(</think>{CLICK}", CLICK),
        ('<think>It says "OK"</think>"Go"', ""),
        (f"<think>{MAX_RESPONSE * 'x'}\nclick(4)\nbut", ""),
        ('Memory: ["I did click("4")."]\nAction: none.', ""),
        ('Memory: [\nclick("4")\n]\nAction: none.', ""),
        (f'Memory: [\nclick("4")\n]\n{CLICK}', CLICK),
        ('**Memory:** [\nclick("4")\n]\nAction: none.', ""),
        ('__Memory:__ ["I did click("4")."]\nAction: none.', ""),
        ('Memory:\n```json\n[\nclick("4")\n]\n```\nAction: none.', ""),
        ('1. Memory: ["I did click("4")."]\n2. Action: none.', ""),
        (f'1. Memory: ["click("4")"]\n2. Action: I press it.\n3. {CLICK}', CLICK),
        ("Memory: [\n[1]\n, \"click('4')\"\n]\nAction: none.", ""),
        (f'Progress: {{\n"a": 1}}\n{CLICK}', CLICK),
        (f'Memory: ["never ends\n{CLICK}', CLICK),
        # What the parser refuses is its to tell of.
        ("press_it(3)", "press_it(3)"),
        ('Action: press_it("3")', 'press_it("3")'),
        (f'I will {CLICK}\npress_it("3")', 'press_it("3")'),
        ('click("3", "4", "5", "6")', 'click("3", "4", "5", "6")'),
        (f"press_it({CLICK})", f"press_it({CLICK})"),
        (f'send_msg_to_user("{CLICK} fails")', f'send_msg_to_user("{CLICK} fails")'),
        # No call, or none that can be done.
        ("", ""),
        ("I do not know.", ""),
        ("I press the button(s) below.", ""),
        ("I will press_it(3) now.", ""),
        ("I will click(there).", ""),
        (f"page.{CLICK}", ""),
        ('click("3', ""),
        ('fill("1", "a\nb")', ""),
        ('__import__("os").system("true")', '__import__("os").system("true")'),
    ],
)
def test_the_call_that_is_meant_is_the_action(response: str, action: str) -> None:
    assert read(response).action == action


@given(st.text(max_size=100))
def test_a_call_in_the_last_line_is_the_action(noise: str) -> None:
    assert read(f"{noise}\n{CLICK}").action == CLICK


def said(memory: str, progress: str = '{"log in": "done"}') -> str:
    return (
        f"Memory: {memory}\nProgress: {progress}\nIntention: to press (it)\n"
        f"Action: I press OK.\n{CLICK}"
    )


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (said('["a", "b"]'), Said(CLICK, ("a", "b"), '{"log in": "done"}')),
        (said('[\n"a",\n"b"\n]'), Said(CLICK, ("a", "b"), '{"log in": "done"}')),
        (said('{"order": 31}'), Said(CLICK, ("order: 31",), '{"log in": "done"}')),
        (said("order 31"), Said(CLICK, ("order 31",), '{"log in": "done"}')),
        (said("[]"), Said(CLICK, (), '{"log in": "done"}')),
        (
            said('["never closed', "half"),
            Said(CLICK, ('["never closed',), "half", breaks_off=True),
        ),
        (f'**Progress:** {{"a": "b"}}\n```\n{CLICK}\n```', Said(CLICK, None, '{"a": "b"}')),
        (f'**Memory:** ["a",\n"b"]\n{CLICK}', Said(CLICK, ("a", "b"))),
        (f'__Memory__: ["a"]\n__Action:__ {CLICK}', Said(CLICK, ("a",))),
        (f'Memory:\n```json\n["a"]\n```\n{CLICK}', Said(CLICK, ("a",))),
        (f'1. Memory: ["a"]\n2) Progress: {{"b": 1}}\n3. {CLICK}', Said(CLICK, ("a",), '{"b": 1}')),
        (f'Memory: ["a"]\n{CLICK}', Said(CLICK, ("a",))),
        ('**Memory:** ["a", "b', Said("", ('["a", "b',), breaks_off=True)),
        (f"Action: {CLICK}", Said(CLICK)),
        # An object for the whole.
        (
            r'{"memory": ["a"], "progress": {"b": 1}, "action": "click(\"3\")"}',
            Said(CLICK, ("a",), '{"b": 1}'),
        ),
        (
            '{\n"action": "click",\n"bid": "3",\n"memory": "a",\n"progress": "b"\n}',
            Said(CLICK, ("a",), "b"),
        ),
        ('{"action": "click", "bid": "3", "memory": {"a": 1}}', Said(CLICK, ("a: 1",))),
        ('{"action": "click", "bid": "3", "memory": []}', Said(CLICK, ())),
        ('{"action": "click", "bid": "3", "memory": "", "progress": null}', Said(CLICK)),
        ("Memory:", Said("")),
        ("Memory: " + "[" * 1500, Said("", ("[" * 400,), breaks_off=True)),
        ("Progress: " + '{"a":' * 1500, Said("", None, ('{"a":' * 1500)[:400])),
        (r'Memory: ["\ud800"]', Said("", (r'["\ud800"]',))),
    ],
)
def test_what_is_malformed_is_still_read(response: str, expected: Said) -> None:
    assert read(response) == expected


@pytest.mark.parametrize(
    "filling",
    [
        *("\n", "- \n", " ", "*", "`", ":", "memory:\n", "- memory: [", "action: \n\n", "aa"),
        *("a(", "a('", 'a("', "a(\\'", "click(", 'click("3', "click(), ", "<think>", "[", "("),
        *("{", '{"a":', '{"action":"', '{"action": "click"}'),
    ],
)
def test_reading_takes_time_in_proportion(filling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it did not, a million characters would outlast the time limit of a test."""
    monkeypatch.setattr("webdojo.agents.layouts.response.MAX_RESPONSE", 2_000_000)
    long = filling * (1_000_000 // len(filling))
    assert read(f"{long}</think>\nI will {CLICK} now.").action == CLICK
    assert read(f"{long}\n{CLICK}").action == ("" if filling == "<think>" else CLICK)
    assert read(f"{long}\nNone.").action == ""
    assert read(f"{long}\n}}").action == ""


def test_of_a_response_without_end_the_last_is_read() -> None:
    whole = f'Memory: ["a"]\n{CLICK}'
    assert read(whole.rjust(MAX_RESPONSE)).memory == ("a",)
    assert read(whole + " " * MAX_RESPONSE) == Said("")
    assert read(f'Memory: ["a"]{" " * MAX_RESPONSE}\n{CLICK}') == Said(CLICK)
