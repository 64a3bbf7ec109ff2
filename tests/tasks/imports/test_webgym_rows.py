"""What becomes of WebGym's rows, and what they may say of difficulty and of hosts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from task_rows import Write, webgym_row, write_lines

from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.files import load_tasks_file
from webdojo.tasks.imports.blocking import Blocklist


def rows(write: Write, *difficulties: Any) -> Path:
    facts = [{"description": "", "facts": ["A price.", "It is $12.", "In dollars.", "Of a mug."]}]
    told = [
        {
            "task_name": f"Look at {number}.",
            "website": "mugs.test",
            "evaluator_reference": facts,
            "difficulty": difficulty,
        }
        for number, difficulty in enumerate(difficulties)
    ]
    return write("\n".join(map(json.dumps, told)), "gym-rows.jsonl")


def test_a_difficulty_is_a_name_or_the_number_of_facts(write: Write) -> None:
    ids = load_tasks_file(rows(write, "hard", 4, None))
    assert [registry.get(i).difficulty for i in ids] == ["hard", "medium", "medium"]


@pytest.mark.parametrize("wrong", ["Hard", 9, 0, True, "", 2.5, ["easy"]])
def test_another_difficulty_is_refused_by_file_row_and_field(write: Write, wrong: Any) -> None:
    file = rows(write, "easy", wrong)
    with pytest.raises(UserError) as error:
        load_tasks_file(file)
    told = str(error.value)
    assert told.startswith(f"{file}, line 2: difficulty: ")
    assert "is none of easy, medium, hard, nor the number of facts, 4" in told


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"task_name": "\u200b"}, "task_name: it is empty"),
        ({"reference_answer": "\u200b "}, "reference_answer: it says nothing"),
        (
            {"evaluator_reference": [{"facts": ["\u200b"]}]},
            "evaluator_reference.0.facts: a fact is empty",
        ),
        ({"evaluator_reference": [{"facts": ["A."] * 60}] * 2}, "facts: at most 100 must be lis"),
    ],
)
def test_what_no_judge_can_be_asked_is_refused_by_row(
    write: Write, fields: dict[str, Any], told: str
) -> None:
    file = write_lines(write, webgym_row("mugs.test"), webgym_row("cups.test", **fields))
    with pytest.raises(UserError, match=re.escape(f"{file}, line 2: {told}")):
        load_tasks_file(file)


def test_nobody_is_told_to_write_an_oracle_for_a_site_of_others(write: Write) -> None:
    (task_id,) = load_tasks_file(rows(write, "easy"))
    assert "a site of others" in registry.get(task_id).caveats["oracle"]


@pytest.mark.parametrize("url", ["https://mugs.test./a", "https://www.MUGS.test.", "//mugs.test"])
def test_a_host_on_the_blocklist_is_held_however_it_is_written(url: str) -> None:
    assert Blocklist(["mugs.test"]).holds(url)
    assert Blocklist(["mugs.test."]).holds(url)
    assert not Blocklist(["my-mugs.test"]).holds(url)


def test_webgyms_fields_become_a_tasks(write: Write) -> None:
    many = [{"description": "", "facts": [f"Fact {n}." for n in range(5)]}]
    file = write_lines(
        write,
        webgym_row("https://www.mugs.test/shop"),
        webgym_row("plates.test", evaluator_reference=many, difficulty=None, task_id=17),
    )
    ids = load_tasks_file(file)
    assert ids[0].startswith("gym-tests.mugs-test-")
    assert ids[1] == "gym-tests.17"
    first, second = map(registry.get, ids)
    assert (first.difficulty, first.horizon) == ("easy", 10)
    assert (second.difficulty, second.horizon) == ("medium", 20)
    assert (first.site, first.group) == ("www.mugs.test", "Shopping/Kitchen")
    assert second.site == "plates.test"


def test_hosts_on_the_blocklist_are_left_out(write: Write, tmp_path: Path) -> None:
    write("# no mugs\nmugs.test  # rude\n", "gym-tests.blocklist.txt")
    rows = [webgym_row(host, task_name=host) for host in ("https://www.mugs.test", "plates.test")]
    (kept,) = load_tasks_file(write_lines(write, *rows))
    assert "plates" in kept
    blocklist = Blocklist(["mugs.test"])
    assert blocklist.holds("https://a.b.mugs.test/x")
    assert not blocklist.holds("https://othermugs.test/mugs.test")
    write("mugs.test\n", "gym-none.blocklist.txt")
    with pytest.raises(UserError, match="no task in it whose host is not on the blocklist"):
        load_tasks_file(write_lines(write, webgym_row("mugs.test"), name="gym-none.jsonl"))
    for line in ("https://mugs.test/", "*.mugs.test", "mugs.test:443", "mugs..test", "a b"):
        write(f"# rude\n{line}\n", "gym-other.blocklist.txt")
        with pytest.raises(UserError, match=f"line 2: {re.escape(repr(line))} is no host"):
            load_tasks_file(write_lines(write, webgym_row("a.test"), name="gym-other.jsonl"))
    write("\ufeffmugs.test\n127.0.0.1\n::1\n", "gym-mark.blocklist.txt")
    listed = Blocklist.read(tmp_path / "gym-mark.blocklist.txt")
    assert all(map(listed.holds, ("//mugs.test", "//127.0.0.1:80", "http://[::1]:80/")))
