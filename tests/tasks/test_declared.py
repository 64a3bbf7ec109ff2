"""Tasks in TOML and JSON-lines files, played in a browser: what an oracle knows, how they end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from declared_shop import TASKS, Write, write_tasks

from webdojo.envs.certification import play_oracle
from webdojo.envs.core import WebEnv
from webdojo.tasks import UserError, registry
from webdojo.tasks.declared import host_and_port
from webdojo.tasks.declared_files import declared_tasks
from webdojo.tasks.declared_oracle import play_calls
from webdojo.tasks.declared_template import told_by
from webdojo.tasks.files import load_tasks_file
from webdojo.tasks.splits import HELD_OUT_SEEDS, Split, prove
from webdojo.tasks.view import OracleError, PageView
from webdojo.training.episodes import EpisodeId
from webdojo.training.rollouts.players import WorkerSettings
from webdojo.training.rollouts.process import RolloutProcess


@pytest.fixture
def tasks_file(write: Write) -> Path:
    return write_tasks(write)


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


@pytest.mark.parametrize(
    ("address", "site"),
    [
        ("http://Shop.test:8001/cart", "shop.test:8001"),
        ("http://shop.test:80/", "shop.test"),
        ("https://me@shop.test:443/", "shop.test"),
        ("http://shop.test:{port}/", "shop.test"),
        ("/cart", ""),
        ("*", ""),
    ],
)
def test_a_site_is_a_host_and_its_port(address: str, site: str) -> None:
    assert host_and_port(address) == site


def test_two_servers_of_one_host_are_two_sites(write: Write) -> None:
    row = {"goal": "Say v.", "evaluators": [{"type": "exact", "value": "v"}]}
    rows = [
        row | {"id": f"ports.at-{port}", "url": f"http://localhost:{port}/"}
        for port in (8001, 8002)
    ]
    rows.append(rows[0] | {"id": "ports.both", "allowed_origins": ["http://localhost:8002"]})
    load_tasks_file(write("\n".join(map(json.dumps, rows)), "ports.jsonl"))
    trained = Split("trained", 1, ("ports.at-8001",), range(2))
    held = [
        Split(f"held-{name}", 1, (f"ports.{name}",), HELD_OUT_SEEDS, "sites", ("trained",))
        for name in ("at-8002", "both")
    ]
    leaks = [proof.leaks for proof in prove([trained, *held])]
    assert leaks[0] == ()
    assert any("localhost:8001" in leak for leak in leaks[1])


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
    with pytest.raises(UserError, match="no site 'shared-shop'"):
        load_tasks_file(file)
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
    with pytest.raises(UserError, match="no condition is named"):
        load_tasks_file(file)
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
