"""Tasks in TOML and JSON-lines files: played in a browser, refused with place and fix."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from webdojo.envs.certification import play_oracle
from webdojo.envs.core import WebEnv
from webdojo.tasks import UserError, registry
from webdojo.tasks.declared import declared_tasks
from webdojo.tasks.declared_oracle import play_calls
from webdojo.tasks.declared_template import told_by
from webdojo.tasks.files import load_tasks_file
from webdojo.tasks.view import OracleError, PageView
from webdojo.training.episodes import EpisodeId
from webdojo.training.rollouts.players import WorkerSettings
from webdojo.training.rollouts.process import RolloutProcess

Write = Callable[..., Path]

SHOP = """<!doctype html><title>Shop</title>
<form action="thanks.html" method="post">
<label>Colour <select name="colour"><option>white</option><option>red</option><option>blue</option>
</select></label><label>Name <input name="name"></label><button>Buy</button></form>"""
THANKS = "<!doctype html><h1 id=thanks>Thank you</h1>"

TASKS = """
[defaults]
horizon = 5

[sites.declared-shop]
folder = "shop"

[[tasks]]
id = "declared-tests.buy"
site = "declared-shop"
url = "/index.html"
goal = "Buy a {mug.colour} mug as {name}."
choices.mug = [{ colour = "red", code = 1 }, { colour = "blue", code = 2 }]
choices.name = ["Ada", "Bo", "Cy"]
oracle = [
  'select_option("label=Colour", "{mug.colour}")',
  'fill("label=Name", "{name}")',
  'click("text=Buy")',
]

[[tasks.evaluators]]
type = "request"
method = "POST"
url = "/thanks.html"
form = { colour = "{mug.colour}", name = "{name}" }

[[tasks.evaluators]]
type = "dom"
selector = "#thanks"

[[tasks]]
id = "declared-tests.how-much"
site = "declared-shop"
url = "/"
difficulty = "medium"
goal = "How much is {{n}}, if n is {n}?"
choices = { n = [1, 2, 3] }
oracle = ['send_msg_to_user("It is {n}.")']
evaluators = [{ type = "number", value = "{n}" }]
"""


@pytest.fixture
def tasks_file(write: Write) -> Path:
    write(SHOP, "shop/index.html")
    write(THANKS, "shop/thanks.html")
    return write(TASKS, "tasks.toml")


@pytest.mark.asyncio(loop_scope="module")
async def test_declared_tasks_are_played(env: WebEnv, tasks_file: Path) -> None:
    assert load_tasks_file(tasks_file) == ("declared-tests.buy", "declared-tests.how-much")
    buy = registry.get("declared-tests.buy")
    assert (buy.horizon, buy.difficulty, buy.site) == (5, "easy", "declared-shop")
    assert buy.allowed_origins == ("http://declared-shop.localhost",)
    goals = set()
    for seed in range(6):
        goals.add((await env.reset(buy, seed)).goal)
        run = await play_oracle(env, buy, seed)
        assert (run.reward, run.steps) == (1.0, 3), run.trouble
    assert len(goals) > 2
    observation = await env.reset(buy, 0)
    assert observation.url == "http://declared-shop.localhost/index.html"
    step = await env.step('send_msg_to_user("done")')
    assert (step.reward, step.terminated) == (0.0, True)
    assert "no such request was made" in step.message


MUGS = ({"colour": "red", "code": 1}, {"colour": "dark red", "code": 2})


@pytest.mark.parametrize(
    ("template", "goal", "told"),
    [
        ("A {mug.colour} mug as {name}.", "A red mug as Bo.", {"mug": MUGS[0], "name": "Bo"}),
        ("A {mug.colour} mug.", "A dark red mug.", {"mug": MUGS[1]}),
        ("A {{mug}} as {name}.", "A {mug} as Ada.", {"name": "Ada"}),
        ("A mug.", "A mug.", {}),
        ("A {mug.colour} mug.", "A green mug.", {}),
    ],
)
def test_a_goal_tells_what_it_says_alone(template: str, goal: str, told: dict[str, Any]) -> None:
    assert told_by(template, goal, {"mug": MUGS, "name": ("Ada", "Bo")}) == told


def test_an_oracle_knows_nothing_but_the_goal(tasks_file: Path) -> None:
    buy, _ = declared_tasks(tasks_file, tasks_file.read_bytes())
    with pytest.raises(OracleError, match=r"tasks.toml, line 8 .*: it is not in the goal that was"):
        next(buy().oracle(PageView("Buy a mug.", "")))


def test_many_readings_of_a_goal_take_no_time() -> None:
    two = {"a": ("x", "xx"), "b": ("x", "xx")}
    assert told_by("{a}{b}" * 40 + "!", "x" * 120 + "?", two) == {}
    assert told_by("{a}{b}" * 40, "x" * 80, two) == {"a": "x", "b": "x"}
    assert told_by("{a}{b}" * 40, "x" * 120, two) == {}  # one x and two, or two and one


PRICES = """
[[tasks]]
id = "declared-tests.price"
url = "http://127.0.0.1:9/"
goal = "What does the {mug.colour} mug cost?"
choices.mug = [{ colour = "red", price = 25 }, { colour = "blue", price = 30 }]
evaluators = [{ type = "currency", value = "{mug.price}" }]
oracle = ['click("text=Prices")', 'send_msg_to_user("${mug.price}")']
"""


def test_an_oracle_says_what_a_page_has_said(write: Write) -> None:
    (price,) = declared_tasks(write(PRICES, "tasks.toml"), PRICES.encode())
    goal = "What does the red mug cost?"
    begin = PageView(goal, "<a bid=1>Prices</a>")
    for told in ("<p>Red: $25.00</p>", '<input value="25">', '<i aria-label="25 dollars"></i>'):
        oracle = price().oracle(begin)
        assert next(oracle) == 'click("1")'
        assert oracle.send(PageView(goal, told)) == 'send_msg_to_user("$25")'
    for untold in ("<p>Red: $250</p>", "<p data-price=25>Red</p>"):
        oracle = price().oracle(begin)
        next(oracle)
        with pytest.raises(
            OracleError,
            match=r"tasks.toml, line 2 \(declared-tests.price\): oracle.1 uses {mug.price}, which"
            r" no agent can know: neither the goal nor any page seen by then says '25'; write",
        ):
            oracle.send(PageView(goal, untold))


@pytest.mark.asyncio(loop_scope="module")
async def test_an_answer_ends_a_question(env: WebEnv, tasks_file: Path) -> None:
    load_tasks_file(tasks_file)
    task = registry.get("declared-tests.how-much")
    assert (await env.reset(task, 1)).goal.startswith("How much is {n}, if n is ")
    step = await env.step("noop()")
    assert (step.reward, step.terminated) == (0.0, False)
    step = await env.step('send_msg_to_user("1, 2 or 3")')
    assert (step.reward, step.terminated) == (0.0, True)
    assert (await play_oracle(env, task, 1)).reward == 1.0


@pytest.mark.asyncio(loop_scope="module")
async def test_json_lines_say_the_same(env: WebEnv, tasks_file: Path, write: Write) -> None:
    rows = [
        {"sites": {"lines-shop": {"folder": "shop"}}},
        {
            "id": "declared-lines.buy",
            "site": "lines-shop",
            "url": "/",
            "goal": "Buy a mug.",
            "evaluators": [{"type": "dom", "selector": "#thanks"}],
            "oracle": ['click("text=Buy")'],
        },
    ]
    file = write("\n\n".join(map(json.dumps, rows)), "tasks.jsonl")
    assert load_tasks_file(file) == ("declared-lines.buy",)
    assert (await play_oracle(env, registry.get("declared-lines.buy"), 1)).reward == 1.0


def test_a_spawned_rollout_process_plays_them_on_their_site(tasks_file: Path) -> None:
    settings = WorkerSettings(task_files=(str(tasks_file),), slots=3)
    ids = ("declared-tests.buy", "declared-tests.how-much")
    episodes = [EpisodeId(f"{task}-{seed}", task, seed) for task in ids for seed in range(3)]
    with RolloutProcess(settings) as rollouts:
        rollouts.call("open_browser")  # not in the time of the first episode
        found = list(
            rollouts.stream("play", player="oracle", episodes=episodes, temperature=0.0, seed=0)
        )
    assert sorted((t.episode_id, t.ending) for t in found) == [
        (episode.episode_id, "success") for episode in sorted(episodes, key=lambda e: e.episode_id)
    ]


def test_a_program_of_ones_own_is_shared_by_a_python_file(write: Write) -> None:
    write(
        "from webdojo.tasks.sites import Site, share_site\n"
        "def application():\n"
        "    kept = []\n"
        "    def shop(environ, start_response):\n"
        "        kept.append(environ['PATH_INFO'])\n"
        "        start_response('200 OK', [('Content-Type', 'application/json')])\n"
        "        return [str(len(kept)).encode()]\n"
        "    return shop\n"
        "share_site(Site('shared-shop', application=application))\n",
        "site.py",
    )
    task = {
        "id": "declared-shared.look",
        "site": "shared-shop",
        "url": "/",
        "goal": "Look.",
        "evaluators": [{"type": "state", "query": "@", "expected": 2}],
        "oracle": ["noop()"],
    }
    file = write(json.dumps(task), "tasks.jsonl")
    assert "no site 'shared-shop'" in failure(file)
    load_tasks_file(file.with_name("site.py"))
    assert load_tasks_file(file) == ("declared-shared.look",)


def test_a_python_file_may_name_conditions_alone(write: Write) -> None:
    write(
        "from webdojo.tasks.evaluators import condition\n"
        "@condition('declared-conditions.twelve')\n"
        "def twelve(evidence):\n"
        "    return evidence.answer == '12'\n",
        "conditions.py",
    )
    task = {
        "id": "declared-conditions.price",
        "url": "http://127.0.0.1:9/",
        "goal": "How much?",
        "evaluators": [{"type": "python", "function": "declared-conditions.twelve"}],
        "oracle": ["noop()"],
    }
    file = write(json.dumps(task), "tasks.jsonl")
    assert "no condition is named" in failure(file)
    load_tasks_file(file.with_name("conditions.py"))
    assert load_tasks_file(file) == ("declared-conditions.price",)


def test_a_caveat_names_its_check(tasks_file: Path) -> None:
    tasks_file.write_text(TASKS.replace("horizon = 5", 'caveats = { goals = "one page" }'))
    (buy, _) = load_tasks_file(tasks_file)
    assert registry.get(buy).caveats == {"goals": "one page"}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ('click("text=Buyy")', "no element 'text=Buyy' that can be acted on, for goal 'Go.'; did"),
        ('click("text=Pay")', "the page has <button> 'Buy', <a id='us'> 'About'"),
        ('click("label=Pay")', "the page has <button> 'Buy', <a id='us'> 'About'"),
    ],
)
def test_an_element_that_is_not_there_is_told_with_what_is(call: str, said: str) -> None:
    view = PageView("Go.", "<button bid=1>Buy</button><a bid=2 id=us>About</a><p>Pay</p>")
    with pytest.raises(OracleError) as raised:
        next(play_calls([call], view))
    assert said in str(raised.value)


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
        ('folder = "shop"', 'folder = "shp"', "there is no folder"),
        ('folder = "shop"', 'application = "os:getcwd"', "a site in a file is a folder"),
        ("{mug.colour} mug as", "{mug.size} mug as", "goal: {mug.size}: not every choice of 'mug'"),
        ("{mug.colour} mug as", "{mug} mug as", "goal: {mug}: choices of 'mug' are tables"),
        ("as {name}.", "as {nobody}.", "goal: {nobody} is not among choices (mug, name)"),
        ('selector = "#thanks"', "", "evaluators.1: selector is missing: add it"),
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
def test_mistakes_name_the_place_and_the_fix(
    tasks_file: Path, old: str, new: str, said: str
) -> None:
    assert old in TASKS
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
