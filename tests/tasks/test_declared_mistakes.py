"""What is wrong in a TOML or JSON-lines file of tasks is told with its place and the fix."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from declared_shop import TASKS, Write, write_tasks

from webdojo.tasks import UserError
from webdojo.tasks.files import load_tasks_file


def failure(path: Path) -> str:
    with pytest.raises(UserError) as raised:
        load_tasks_file(path)
    said = str(raised.value)
    assert said.startswith(str(path)), said
    return said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('id = "declared-tests.buy"', "", "line 8: id is missing: add it"),
        ('id = "declared-tests.buy"', 'id = "Buy"', 'id: it must be "suite.name"'),
        ('id = "declared-tests.buy"', 'id = "miniwob.buy"', "suite 'miniwob' is WebDojo's own"),
        (
            'id = "declared-tests.how-much"',
            'id = "declared-tests.buy"',
            "line 31 (declared-tests.buy): id 'declared-tests.buy' is taken by line 8",
        ),
        ('url = "/index.html"', 'url = "index.html"', "on a site it is a path"),
        (
            'url = "/index.html"',
            'url = "/indx.html"',
            "url: site 'declared-shop': there is no page '/indx.html'",
        ),
        ('site = "declared-shop"\nurl = "/"', 'url = "/"', "give a whole address, such as"),
        ('site = "declared-shop"\nurl = "/"', 'site = "shp"\nurl = "/"', "no site 'shp'"),
        (
            'site = "declared-shop"\nurl = "/"',
            'site = "declared-shp"\nurl = "/"',
            "no site 'declared-shp': did you mean 'declared-shop'?",
        ),
        ('folder = "shop"', 'folder = "shp"', "there is no folder"),
        ('folder = "shop"', 'application = "os:getcwd"', "a site in a file is a folder"),
        ("{mug.colour} mug as", "{mug.size} mug as", "goal: {mug.size}: not every choice of 'mug'"),
        ("{mug.colour} mug as", "{mug} mug as", "goal: {mug}: choices of 'mug' are tables"),
        ("as {name}.", "as {nobody}.", "goal: {nobody} is not among choices (mug, name)"),
        ('selector = "#thanks"', "", "evaluators.1: selector is missing: add it"),
        (
            'type = "dom"\nselector = "#thanks"',
            'type = "page_url"\nis_at = "/thank you.html"',
            "and a space as %20",
        ),
        ('type = "dom"', 'type = "don"', "no evaluator of type 'don': did you mean 'dom'"),
        ('value = "{n}"', 'value = "n"', "(declared-tests.how-much): evaluators.0: value:"),
        (
            "evaluators = [{",
            "evaluator = [{",
            "evaluator: there is no such field; did you mean 'evaluators'?",
        ),
        ("horizon = 5", "horizen = 5", "horizen: there is no such field; did you mean 'horizon'?"),
        ("horizon = 5", "horizon = 1000000000000", "horizon: Input should be less than or equal"),
        ("horizon = 5", 'caveats = { goal = "" }', "caveats.goal.[key]: Input should be 'oracle'"),
        ("horizon = 5", 'caveats = { goals = "" }', "caveats.goals: String should have at least 1"),
        ("horizon = 5", "viewport = [9, 1000000000]", "each at most 10000"),
        ('site = "declared-shop"\nurl = "/"', 'serves = "declared-shop"', 'write site = "NAME"'),
        ("'click(\"text=Buy\")'", "'import os'", "oracle.2: 'import os' is no call"),
        ("'click(\"text=Buy\")'", "'click(open(1))'", "is no call with plain values"),
        (
            "text=Buy",
            "txt=Buy",
            "line 8 (declared-tests.buy): oracle.2: 'click(\"txt=Buy\")': there is no txt=;"
            " did you mean text=Buy?",
        ),
        ("text=Buy", "Buy", "'Buy' names no element; write css=…, text=… or label=…"),
        ("text=Buy", "css=a[", "'a[' is no CSS selector"),
        (
            "'click(\"text=Buy\")'",
            "'clik(\"text=Buy\")'",
            "there is no action 'clik'; did you mean",
        ),
        (
            "'click(\"text=Buy\")'",
            "'goto()'",
            "missing a required argument: 'url'; write goto(url)",
        ),
        (
            "mug as {name}.",
            "mug.",
            "line 8 (declared-tests.buy): oracle.1: {name}: the goal names nothing of it, so no",
        ),
        (
            "horizon = 5",
            'caveats = { noop = "kind" }',
            "caveats: nothing excuses a reward for doing nothing",
        ),
        ('["Ada", "Bo", "Cy"]', '[\'A"\', "Bo"]', 'oracle.1: \'fill("label=Name", "A"")\' is no'),
        ("n = [1, 2, 3]", "n = []", "'n' has nothing to choose from"),
        ('difficulty = "medium"', 'difficulty = "tough"', "difficulty: Input should be 'easy'"),
        ("[[tasks]]", "[[task]]", "there is no section 'task'; did you mean [[tasks]]?"),
        ('folder = "shop"', 'folder = "/"', "folder '/' is not inside the folder of this file"),
        ('folder = "shop"', 'folder = "shop/../.."', "is not inside the folder of this file"),
        ('folder = "shop"', 'folder = "."', "folder '.' holds this file, and pages would see"),
        ('folder = "shop"', 'folder = "shop/.."', "holds this file, and pages would see"),
        ('folder = "shop"', "folder = 3", "a site in a file is a folder"),
        (
            'site = "declared-shop"\nurl = "/"',
            'url = "file:///etc/passwd"',
            "line 31 (declared-tests.how-much): url 'file:///etc/passwd': files are not opened",
        ),
        (
            "horizon = 5",
            'allowed_origins = ["file:///etc/"]',
            "allowed_origins 'file:///etc/': files are not opened",
        ),
        ("n = [1, 2, 3]", f"n = [{'[' * 200}{']' * 200}]", "choices: tables and lists lie more"),
        ("n = [1, 2, 3]", f"n = {'[' * 9_000}{']' * 9_000}", "tables or lists lie too deep"),
        ("[defaults]", "[defaults", "is not valid TOML"),
    ],
)
def test_mistakes_name_the_place_and_the_fix(write: Write, old: str, new: str, said: str) -> None:
    assert old in TASKS
    tasks_file = write_tasks(write)
    tasks_file.write_text(TASKS.replace(old, new))
    assert said in failure(tasks_file)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("evaluators = []", "evaluators: there is none, so nothing is judged; write one, such as"),
        (
            'evaluators = [{ type = "any_of", evaluators = [{ type = "state", query = "a",'
            " expected = 1 }] }]",
            "evaluators.0: state asks the state of the task's own site, and the task has none;"
            ' write site = "NAME"',
        ),
        (
            'evaluators = [{ type = "database", path = "a.db", query = "select 1", expected = 1 }]',
            "evaluators.0: database looks for 'a.db' in the folder of the task's own site",
        ),
        (
            'evaluators = [{ type = "rubric", facts = ["a"], settings = { url = "http://x" } }]',
            "evaluators.0: settings: a task does not say who judges it; take it out, and set",
        ),
        (
            'evaluators = [{ type = "rubric", facts = ["a", " "] }]',
            "evaluators.0: facts: fact 1 says nothing",
        ),
        (
            'evaluators = [{ type = "request", url = "/", status = 9999 }]',
            "evaluators.0: status: Input should be less than or equal to 599",
        ),
        (
            'evaluators = [{ type = "exact", value = " " }]',
            "evaluators.0: value: must hold something that can be read",
        ),
        ('goal = " "', "goal: it says nothing: say what is to be done"),
    ],
)
def test_what_judges_nothing_or_by_nothing_is_refused(write: Write, field: str, said: str) -> None:
    fields = {
        "goal": 'goal = "Go."',
        "evaluators": 'evaluators = [{ type = "dom", selector = "a" }]',
    }
    fields[field.partition(" ")[0]] = field
    lines = ("[[tasks]]", 'id = "declared-tests.go"', 'url = "http://a.test/"', *fields.values())
    assert f"tasks.toml, line 1 (declared-tests.go): {said}" in failure(
        write("\n".join(lines), "tasks.toml")
    )


def test_mistakes_in_json_lines_name_the_line(write: Write) -> None:
    good = {
        "id": "a.b",
        "url": "http://a.test/",
        "goal": "Do.",
        "evaluators": [{"type": "dom", "selector": "a"}],
    }
    file = write(f"{json.dumps(good)}\n{{", "tasks.jsonl")
    assert "line 2 is not valid JSON" in failure(file)
    file.write_text(f"{json.dumps(good)}\n\n{json.dumps({**good, 'id': 'a.c', 'goal': ''})}")
    assert "line 3 (a.c): goal:" in failure(file)
    deep = "[" * 100_000
    file.write_text(f'{json.dumps(good)}\n{{"id": {deep}')
    assert "line 2: tables or lists lie too deep inside one another" in failure(file)
    checks = '{"type": "text", "value": "a"}'
    for _ in range(300):
        checks = f'{{"type": "all_of", "evaluators": [{checks}]}}'
    file.write_text(json.dumps({**good, "evaluators": ["…"]}).replace('"\\u2026"', checks))
    assert "line 1 (a.b): evaluators: tables and lists lie more than 50 deep" in failure(file)
    (file.parent / "yard").mkdir()
    site = json.dumps({"sites": {"yard": {"folder": "yard"}}})
    file.write_text(f"{site}\n{site}")
    assert "line 2: site 'yard' is described above already" in failure(file)
    file.write_text("[1]")
    assert "line 1: a task is an object" in failure(file)
    file.write_text("\n")
    assert "no task in it" in failure(file)
