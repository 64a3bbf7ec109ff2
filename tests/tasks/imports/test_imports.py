"""Task sets of WebGym and in WebArena's manner: small files of our own, on sites of our own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from local_pages import Page, served
from scripted_endpoint import ScriptedEndpoint, images_of

from webdojo.envs.certification import Effort, certify
from webdojo.envs.core import WebEnv
from webdojo.tasks import UserError, registry
from webdojo.tasks.evaluators import Evidence
from webdojo.tasks.files import load_tasks_file
from webdojo.tasks.imports.blocking import Blocklist
from webdojo.tasks.imports.webarena import EvaluatorRow, _evaluator
from webdojo.tasks.imports.webarena_evaluators import Response
from webdojo.tasks.splits import HELD_OUT_SEEDS, TRAIN_SEEDS, Split, prove
from webdojo.training.evaluation import evaluate
from webdojo.training.rollouts.players import WorkerSettings
from webdojo.training.rollouts.process import RolloutProcess

Write = Callable[..., Path]

PAGES = {
    "/": (200, "<title>Mugs</title><h1>Red mug</h1><p>$12</p><a href='/order'>Order</a>"),
    "/order": (
        200,
        "<title>Order</title><form method=post action='/orders?draft=0'>"
        "<input name=sku value=R1 aria-label=Sku><button>Send</button></form>",
    ),
    "/orders": (302, ""),
    "/thanks": (200, "<title>Thanks</title>Thank you"),
    "/cart": (
        200,
        "<title>Cart</title><button onclick=\"fetch('/api/carts/bWluZT0xJm89Mg==/7?page=3',"
        "{method:'POST', body: JSON.stringify({item: {sku: 'R1', wait: '90 min'}, as: null}),"
        "headers: {'Content-Type': 'application/json'}})\">Buy</button>",
    ),
    "/api/carts/bWluZT0xJm89Mg==/7": (200, '{"count": 1, "items": [{"name": "Red mug"}]}'),
    "/blocked": (403, "<title>Attention</title><p>Please verify you are human.</p>"),
    "/parts": (200, "<h1>Shop</h1><iframe src='//localhost:PORT/thanks'></iframe>"),
}


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    """A real web server on this machine."""

    def answer(request: BaseHTTPRequestHandler) -> Page:
        status, body = PAGES.get(request.path.partition("?")[0], (404, ""))
        headers = {"Location": "/thanks"} if status == 302 else {}
        if request.path.startswith("/api/"):
            headers["Set-Cookie"] = "said=Red%20mug%20added; Path=/"
        return status, body.replace("PORT", str(request.server.server_address[1])), headers

    with served(answer) as address:
        yield address


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedEndpoint]:
    served = ScriptedEndpoint()
    monkeypatch.setenv("WEBDOJO_JUDGE_URL", served.url)
    monkeypatch.setenv("WEBDOJO_JUDGE_MODEL", "scripted")
    yield served
    served.close()


def webgym_row(website: str, **fields: Any) -> dict[str, Any]:
    return {
        "task_name": "What does the red mug cost?",
        "domain": "Shopping",
        "subdomain": "Kitchen",
        "website": website,
        "evaluator_reference": [
            {"description": "Price", "facts": ["A price is given.", "It is $12."]},
            {"description": "Thing", "facts": ["It is about the red mug."]},
        ],
        "reference_answer": "$12",
        "difficulty": "easy",
        **fields,
    }


def write_lines(write: Write, *rows: dict[str, Any], name: str = "gym-tests.jsonl") -> Path:
    return write("\n".join(map(json.dumps, rows)), name)


# WebGym ------------------------------------------------------------------------------------------


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


@pytest.mark.asyncio(loop_scope="module")
async def test_a_webgym_task_is_played_and_judged(
    env: WebEnv, write: Write, shop: str, endpoint: ScriptedEndpoint
) -> None:
    (task_id,) = load_tasks_file(write_lines(write, webgym_row(shop)))
    task = registry.get(task_id)
    observation = await env.reset(task, 1)
    assert observation.goal == "What does the red mug cost?"
    step = await env.step("noop()")
    assert (step.reward, step.terminated, step.blocked) == (0.0, False, False)
    assert endpoint.requests == []
    step = await env.step('send_msg_to_user("It costs $12.")')
    assert (step.reward, step.terminated) == (1.0, True), step.message
    assert len(endpoint.asked("holds")) == 4  # of which one cannot hold
    assert images_of(endpoint.asked("grounded")[0])[0].startswith("data:image/jpeg;base64,/9j/")
    endpoint.script = lambda key, request: 500
    await env.reset(task, 2)
    step = await env.step('send_msg_to_user("It costs $13.")')
    assert (step.reward, step.terminated) == (0.0, True)
    assert "the judge failed" in step.message


@pytest.mark.asyncio(loop_scope="module")
async def test_a_live_page_gets_its_parts_from_elsewhere(
    env: WebEnv, write: Write, shop: str, endpoint: ScriptedEndpoint
) -> None:
    row = webgym_row(f"{shop}/parts")
    (task_id,) = load_tasks_file(write_lines(write, row, name="gym-parts.jsonl"))
    await env.reset(registry.get(task_id), 1)
    assert env.tabs.refused == []
    assert "Thank you" in await env.page.page.frames[1].content()


def test_hosts_on_the_blocklist_are_left_out(write: Write) -> None:
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
    write("https://mugs.test/\n", "gym-other.blocklist.txt")
    with pytest.raises(UserError, match=r"line 1: 'https://mugs\.test/' is no host"):
        load_tasks_file(write_lines(write, webgym_row("a.test"), name="gym-other.jsonl"))


# Blocked pages -----------------------------------------------------------------------------------


def test_blocked_episodes_are_counted_apart(
    write: Write, shop: str, endpoint: ScriptedEndpoint
) -> None:
    rows = [
        webgym_row(shop + path, task_id=path[1:], difficulty="easy")
        for path in ("/blocked", "/open")
    ]
    # A server that is not there is no failure of the agent's either.
    rows.append(webgym_row("http://127.0.0.1:9/", task_id="away"))
    PAGES["/open"] = PAGES["/"]
    file = write_lines(write, *rows, name="gym-blocked.jsonl")
    ids = load_tasks_file(file)
    split = Split("live", 1, ids, range(100, 110))
    with RolloutProcess(WorkerSettings(task_files=(str(file),), slots=2)) as rollouts:
        rollouts.call("open_browser")  # not in the time of the first episode
        result = evaluate(rollouts, [split], per_task=1, player="random", mode="greedy", seed=1)
    endings = {record["task_id"]: record["ending"] for record in result.records}
    assert endings["gym-blocked.blocked"] == endings["gym-blocked.away"] == "blocked"
    assert endings["gym-blocked.open"] != "blocked"
    assert result.blocked == 2
    rate = result.splits["live"]
    assert rate is not None
    assert rate["episodes"] == 1
    assert result.tasks["live"]["gym-blocked.blocked"] is None


async def test_a_row_whose_site_is_away_is_not_certified(
    write: Write, shop: str, endpoint: ScriptedEndpoint
) -> None:
    rows = [
        webgym_row(shop, task_id="there"),
        webgym_row("http://127.0.0.1:9/", task_id="away"),
    ]
    ids = load_tasks_file(write_lines(write, *rows, name="gym-certified.jsonl"))
    entries = [registry.entry(task_id) for task_id in ids]
    there, away = await certify(entries, Effort(seeds=2, random=1, twice=1), 1)
    assert there.lost == there.fault == ""
    (problem,) = away.problems
    assert problem.startswith("could not be measured: blocked: ")


# What is missing before anything begins ----------------------------------------------------------


def ready(file: Path) -> None:
    registry.check_ready(load_tasks_file(file))


def test_who_has_no_judge_is_told_before_anything_begins(
    write: Write, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WEBDOJO_JUDGE_URL", raising=False)
    file = write_lines(write, webgym_row(shop, task_id="told"), name="gym-judged.jsonl")
    with pytest.raises(UserError, match=r"gym-judged\.told: this task is judged by a model"):
        ready(file)
    judged = """[[tasks]]
        id = "declared-judged.told"
        url = "SHOP/"
        goal = "What does it cost?"
        evaluators = [{ type = "all_of", evaluators = [{ type = "rubric", facts = ["A price."] }] }]
    """.replace("SHOP", shop)
    with pytest.raises(UserError, match=r"declared-judged\.told: this task is judged by a model"):
        ready(write(judged, "declared-judged.toml"))
    monkeypatch.setenv("WEBDOJO_JUDGE_URL", "http://localhost:9/v1")
    monkeypatch.setenv("WEBDOJO_JUDGE_MODEL", "scripted")
    ready(file)


def test_who_is_not_let_out_is_told_before_anything_begins(
    write: Write, shop: str, endpoint: ScriptedEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    gym = write_lines(write, webgym_row("mugs.test", task_id="far"), name="gym-far.jsonl")
    far = """[[tasks]]
        id = "declared-far.far"
        url = "https://{shop}.test/"
        goal = "Visit {shop}."
        choices = { shop = ["mugs", "plates"] }
        evaluators = [{ type = "exact", value = "42" }]
    """
    files = [gym, write(far, "declared-far.toml")]
    write('shop = "https://mugs.test"', "arena-far.sites.toml")
    files.append(write(json.dumps([arena_row(3, response("mutate"))]), "arena-far.json"))
    monkeypatch.delenv("WEBDOJO_NETWORK", raising=False)
    for file in files:
        with pytest.raises(UserError, match=r"\.test\S* lies outside this machine"):
            ready(file)
    monkeypatch.setenv("WEBDOJO_NETWORK", "open")
    for file in files:
        ready(file)
    monkeypatch.setenv("WEBDOJO_NETWORK", "opne")
    with pytest.raises(UserError, match="set it to loopback or open"):
        ready(gym)


# WebArena-Verified's manner ----------------------------------------------------------------------


def answer(kind: str, data: Any = None, status: str = "SUCCESS") -> str:
    return json.dumps({"task_type": kind, "status": status, "retrieved_data": data})


def response(kind: str, data: Any = None, status: str = "SUCCESS") -> dict[str, Any]:
    expected = {"task_type": kind, "status": status, "retrieved_data": data}
    return {"evaluator": "AgentResponseEvaluator", "expected": expected}


ORDER = {
    "evaluator": "NetworkEventEvaluator",
    "ignored_query_params": ["draft"],
    "expected": {
        "url": "__SHOP__/orders",
        "http_method": "POST",
        "post_data": {"sku": "R1"},
        "headers": {"referer": "__SHOP__/order"},
        "response_status": 302,
    },
}


def arena_row(number: int, *evaluators: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "task_id": number,
        "sites": ["shop"],
        "intent_template_id": 7,
        "start_urls": ["__SHOP__/order"],
        "intent": "Order a red mug.",
        "eval": list(evaluators),
        "revision": 2,
        **fields,
    }


def load_arena(write: Write, shop: str, *rows: dict[str, Any]) -> tuple[str, ...]:
    write(f'shop = "{shop}/"', "arena-tests.sites.toml")
    return load_tasks_file(write(json.dumps(rows), "arena-tests.json"))


async def test_a_site_put_into_a_pattern_stands_for_itself_alone() -> None:
    row = EvaluatorRow.model_validate(response("retrieve", ["^__SHOP__/[a-z]+$"]))
    evaluator = _evaluator(row, {"shop": "http://shop.test"})
    for url, right in (("http://shop.test/mug", True), ("http://shop-test/mug", False)):
        said = Evidence(None, answer("retrieve", [url]))  # type: ignore[arg-type]
        assert (await evaluator.judge(said)).passed == right


@pytest.mark.asyncio(loop_scope="module")
async def test_a_mutation_needs_its_request_and_its_answer(
    env: WebEnv, write: Write, shop: str
) -> None:
    (task_id,) = load_arena(write, shop, arena_row(3, response("mutate"), ORDER))
    task = registry.get(task_id)
    assert (task.id, task.site, task.group) == ("arena-tests.3", "shop", "webarena-7")
    said = f"send_msg_to_user({answer('mutate')!r})"
    observation = await env.reset(task, 1)
    assert observation.goal.startswith("Order a red mug.\nAnswer with one JSON object")
    step = await env.step(said)
    assert (step.reward, step.terminated) == (0.0, True)
    assert "no such request" in step.message
    observation = await env.reset(task, 1)
    button = observation.view().bid("button")
    step = await env.step(f'click("{button}")')
    assert (step.reward, step.terminated) == (0.0, False)
    assert step.observation.url == f"{shop}/thanks"
    step = await env.step(said)
    assert (step.reward, step.terminated) == (1.0, True), step.message


BOUGHT: dict[str, Any] = {
    "url": "^__SHOP__/api/carts/\\d+$",
    "http_method": "POST",
    "post_data": {"$.item.sku": "^R\\d$", "$.item.wait": "1h 30min", "voucher": None},
    "query_params": {"mine": ["1"], "o": ["2"]},
    "response_content": {"count": 1, "$.items[0].name": "red mug"},
    "response_cookies": {"said": "^.*mug added$"},
}
BUYING = {
    "evaluator": "NetworkEventEvaluator",
    "decode_base64_query": True,
    "ignored_query_params_patterns": ["^pag"],
    "post_data_schema": {
        "type": "object",
        "properties": {"$.item.wait": {"type": "string", "format": "duration"}},
    },
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"url": "^__SHOP__/api/[a-z]+$"}, "no such request"),
        ({"post_data": {"$.item.sku": "R2"}}, "it carried"),
        ({"post_data": {"$.item.wait": "3h"}}, "it carried"),
        ({"post_data": {"$.item": None}}, "it carried"),
        ({"query_params": {"mine": ["1"]}}, "its query"),
        ({"response_content": {"count": 2}}, "its answer"),
        ({"response_content": {"$.items[1].name": "Red mug"}}, "its answer"),
        ({"response_cookies": {"said": "^.*mug removed$"}}, "its cookie said"),
        ({"response_cookies": {"unsaid": "^.*$"}}, "its cookie unsaid"),
    ],
)
async def test_all_of_a_request_and_its_answer_is_looked_at(
    env: WebEnv, write: Write, shop: str, change: dict[str, Any], said: str
) -> None:
    wanted = {**BUYING, "expected": BOUGHT | change}
    row = arena_row(4, response("mutate"), wanted, start_urls=["__SHOP__/cart"])
    (task_id,) = load_arena(write, shop, row)
    observation = await env.reset(registry.get(task_id), 1)
    await env.step(f'click("{observation.view().bid("button")}")')
    step = await env.step(f"send_msg_to_user({answer('mutate')!r})")
    assert (step.reward, step.terminated) == (float(not said), True), step.message
    assert said in step.message


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (response("retrieve", ["Red mug"]), answer("retrieve", ["red  mug"])),
        (response("retrieve", [6]), answer("RETRIEVE", ["6.0"])),
        (response("retrieve", ["a", "b"]), answer("retrieve", ["B", "A"])),
        (response("retrieve", ["a", ["b", "c"]]), answer("retrieve", ["c", "a"])),
        (response("retrieve", [{"n": 1, "s": "x"}]), answer("retrieve", [{"s": "X", "n": 1}])),
        (
            response("retrieve", None, "NOT_FOUND_ERROR"),
            answer("retrieve", None, "not_found_error"),
        ),
        (response("navigate"), answer("navigate", [])),
        (response("mutate"), '{"performed_operation": "MUTATE", "status": "SUCCESS"}'),
    ],
)
def test_answers_that_must_match(wanted: dict[str, Any], said: str) -> None:
    assert Response(**wanted["expected"]).mismatch(said) == ""


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (response("retrieve", ["Red mug"]), "Red mug"),
        (response("retrieve", ["Red mug"]), ""),
        (response("retrieve", ["Red mug"]), None),
        (response("retrieve", ["Red mug"]), "[" * 9000),
        *(
            (response("retrieve", ["Red mug"]), f'{{"retrieved_data": {"[" * n}{"]" * n}}}')
            for n in (90, 500, *range(940, 1000, 3))
        ),
        (response("retrieve", ["Red mug"]), answer("retrieve", ["Red mug"] * 9000)),
        (response("retrieve", ["Red mug"]), answer("retrieve", ["Red mug", "Blue mug"])),
        (response("retrieve", ["Red mug"]), answer("retrieve", ["Rеd mug"])),  # Cyrillic
        (response("retrieve", ["Red mug"]), answer("retrieve", [["Red mug", "Blue mug"]])),
        (response("retrieve", ["Red mug"]), answer("mutate", ["Red mug"])),
        (response("retrieve", ["Red mug"]), answer("retrieve", ["Red mug"], "UNKNOWN_ERROR")),
        (response("retrieve", ["a", ["b", "c"]]), answer("retrieve", ["a", "b", "c"])),
        (response("retrieve", [6]), answer("retrieve", [True])),
        (response("retrieve", [1]), answer("retrieve", [True])),
        (response("retrieve", None, "NOT_FOUND_ERROR"), answer("retrieve", ["Red mug"])),
        (response("navigate"), answer("navigate", ["Red mug"])),
    ],
)
def test_answers_that_must_not_match(wanted: dict[str, Any], said: str | None) -> None:
    assert Response(**wanted["expected"]).mismatch(said) != ""


NO_ADDRESSES = (
    "file:///etc/passwd", "^file:///etc/passwd$", "javascript:alert(1)", "chrome://version",
    "data:text/html,Hi", "http://", "http://a.test:99999/", "http://[::1/", "https:///etc/passwd",
)  # fmt: skip


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [{"a": value}]
    return value


@pytest.mark.parametrize("levels", [60, 300])
def test_what_is_nested_too_deep_is_refused(write: Write, shop: str, levels: int) -> None:
    write(f'shop = "{shop}"', "arena-deep.sites.toml")
    deep = response("retrieve", [nested(levels)])
    rows = (
        [arena_row(3, response("retrieve", ["a"], nested(levels)))],
        [arena_row(3, {**deep, "results_schema": nested(levels)[0]})],
        [arena_row(3, deep)],
        [arena_row(3, response("mutate"), {**ORDER, "expected": {"post_data": nested(levels)[0]}})],
    )
    for row in rows:
        with pytest.raises(UserError, match="more than 50 deep"):
            load_tasks_file(write(json.dumps(row), "arena-deep.json"))
    gym = write_lines(write, webgym_row("a.test", extra=nested(levels)), name="gym-deep.jsonl")
    with pytest.raises(UserError, match=r"line 1.* more than 50 deep"):
        load_tasks_file(gym)


@pytest.mark.parametrize("levels", [600, 200_000])
def test_what_no_parser_takes_is_refused(write: Write, levels: int) -> None:
    deep = "[" * levels + "]" * levels
    for name in ("arena-deep.json", "gym-deep.jsonl"):
        text = json.dumps(webgym_row("a.test"))[:-1] + f', "extra": {deep}}}'
        with pytest.raises(UserError, match=f"{name}.* (not valid JSON|deep)"):
            load_tasks_file(write(f"[{text}]" if name.endswith("json") else text, name))


@pytest.mark.parametrize("number", ["1e999", "NaN", "-Infinity", "9" * 5000, "[]", "{}"])
def test_numbers_that_are_none_are_refused(write: Write, number: str) -> None:
    text = json.dumps(webgym_row("a.test", task_id=0)).replace(
        '"task_id": 0', f'"task_id": {number}'
    )
    with pytest.raises(UserError, match="line 1"):
        load_tasks_file(write(text, "gym-numbers.jsonl"))
    row = json.dumps(arena_row(3, response("mutate"))).replace("__SHOP__", "http://a.test")
    for field in ('"task_id": 3', '"intent_template_id": 7'):
        changed = row.replace(field, f"{field.split(':')[0]}: {number}")
        with pytest.raises(UserError, match=r"arena-numbers\.json"):
            load_tasks_file(write(f"[{changed}]", "arena-numbers.json"))


def test_a_task_on_two_sites_plays_on_both(write: Write, shop: str) -> None:
    write(f'shop = "{shop}"\nmap = "{shop}"', "arena-tests.sites.toml")
    rows = [
        arena_row(1, response("mutate"), sites=["shop", "map"]),
        arena_row(2, response("mutate"), sites=["map"], intent_template_id=8),
        arena_row(3, response("mutate"), sites=[], intent_template_id=9),
    ]
    both, other, none = load_tasks_file(write(json.dumps(rows), "arena-tests.json"))
    assert (registry.get(both).site, registry.get(both).other_sites) == ("shop", ("map",))
    assert (registry.get(none).site, registry.get(none).other_sites) == ("", ())
    train = Split("train", 1, (both,), TRAIN_SEEDS)
    (proof,) = prove([train, Split("test", 1, (other,), HELD_OUT_SEEDS, "sites", ("train",))])
    assert proof.leaks == (f"site 'map' ({other})",)


POEM = {"type": "string", "format": "poem"}


def test_mistakes_in_task_sets_name_the_task_and_the_field(write: Write, shop: str) -> None:
    def failure(path: Path) -> str:
        with pytest.raises(UserError) as raised:
            load_tasks_file(path)
        return str(raised.value)

    row = arena_row(3, response("mutate"), ORDER)
    file = write(json.dumps([row]), "arena-wrong.json")
    assert 'write shop = "http://…" into the .sites.toml' in failure(file)
    write(f'shop = "{shop}"', "arena-wrong.sites.toml")
    file.write_text(json.dumps([{**row, "intent": ""}]))
    assert "task 3: intent:" in failure(file)
    file.write_text(json.dumps([{**row, "eval": [{"evaluator": "X", "expected": {}}]}]))
    assert "task 3: eval.0.evaluator:" in failure(file)
    odd = {**response("retrieve", ["a"]), "results_schema": {"type": "array", "items": POEM}}
    file.write_text(json.dumps([{**row, "eval": [odd]}]))
    assert "task 3: results_schema: there is no type 'poem' here" in failure(file)
    odd = {"evaluator": "NetworkEventEvaluator", "expected": {**BOUGHT, "post_data": {"$.a[x": 1}}}
    file.write_text(json.dumps([{**row, "eval": [odd]}]))
    assert "task 3: post_data: '$.a[x' is no path that is understood" in failure(file)
    file.write_text(json.dumps([row, row]))
    assert "task 3: the task is there twice" in failure(file)
    file.write_text("{}")
    assert "a task set is a list" in failure(file)
    file.write_text("[{}]")
    assert "no task set that is known here" in failure(file)
    gym = write_lines(write, webgym_row("not an address"), name="gym-wrong.jsonl")
    assert "line 1: website:" in failure(gym)
    for url in NO_ADDRESSES:
        gym.write_text(json.dumps(webgym_row(url)))
        assert "line 1: website:" in failure(gym)
        file.write_text(json.dumps([{**row, "start_urls": [url]}]))
        assert "task 3: " in failure(file)
        write(f"shop = {json.dumps(url)}", "arena-elsewhere.sites.toml")
        elsewhere = write(json.dumps([row]), "arena-elsewhere.json")
        assert "arena-elsewhere.sites.toml: shop must be an address" in failure(elsewhere)
    gym.write_text(json.dumps(webgym_row("a.test", evaluator_reference=[])))
    assert "line 1: evaluator_reference:" in failure(gym)
    lacking = webgym_row("a.test")
    del lacking["evaluator_reference"]
    gym.write_text(f"{json.dumps(webgym_row('a.test'))}\n{json.dumps(lacking)}")
    assert "line 2: evaluator_reference is missing" in failure(gym)
    gym.write_text(f"{json.dumps(webgym_row('a.test'))}\n{json.dumps(row)}")
    assert "tasks of several kinds (webarena, webgym)" in failure(gym)
