"""Files of tasks are read as they were written: a key once, and whatever begins them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from webdojo.tasks import UserError
from webdojo.tasks.files import load_tasks_file

Write = Callable[[str, str], Path]
TASK = {
    "id": "written.here",
    "url": "http://a.test/",
    "goal": "Do.",
    "evaluators": [{"type": "dom", "selector": "a"}],
}
TOML = """[[tasks]]
id = "written.here"
url = "http://a.test/"
goal = "Do."
evaluators = [{ type = "dom", selector = "a" }]
"""
MARK = "\ufeff"
"""What some editors begin a file with, to say that it is UTF-8."""


@pytest.mark.parametrize(("text", "name"), [(TOML, "a.toml"), (json.dumps(TASK), "a.jsonl")])
@pytest.mark.parametrize("mark", ["", MARK])
def test_a_byte_order_mark_is_no_part_of_a_file(
    write: Callable[[str, str], Path], text: str, name: str, mark: str
) -> None:
    assert load_tasks_file(write(mark + text, name)) == ("written.here",)


def test_a_mistake_after_a_byte_order_mark_has_its_line(write: Write) -> None:
    with pytest.raises(UserError, match=r"line 1 \(written\.here\): goal"):
        load_tasks_file(write(MARK + TOML.replace("Do.", ""), "b.toml"))


@pytest.mark.parametrize(
    ("key", "twice"),
    [
        (
            "evaluators",
            json.dumps(TASK)[:-1] + ', "evaluators": [{"type": "exact", "value": "a"}]}',
        ),
        ("selector", json.dumps(TASK).replace('"selector"', '"selector": "b", "selector"')),
    ],
)
def test_a_key_that_stands_twice_is_refused(write: Write, key: str, twice: str) -> None:
    other = json.dumps({**TASK, "id": "written.other"})
    with pytest.raises(UserError, match=f"line 2 is not valid JSON: '{key}' stands twice"):
        load_tasks_file(write(f"{other}\n{twice}", "c.jsonl"))
