"""What is wrong with a task set, or missing for it, is told before anything begins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scripted_endpoint import ScriptedEndpoint
from task_rows import BOUGHT, ORDER, Write, arena_row, load_arena, response, webgym_row, write_lines

from webdojo.tasks import UserError, registry
from webdojo.tasks.files import load_tasks_file


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


NO_ADDRESSES = (
    "file:///etc/passwd", "^file:///etc/passwd$", "javascript:alert(1)", "chrome://version",
    "data:text/html,Hi", "http://", "http://a.test:99999/", "http://[::1/", "https:///etc/passwd",
)  # fmt: skip
POEM = {"type": "string", "format": "poem"}


@pytest.mark.parametrize(
    ("changes", "expected", "said"),
    [
        ({}, {"post_dta": {"sku": "R1"}}, "eval.1.expected: there is no field 'post_dta'"),
        ({}, {"respons_status": 302}, "did you mean 'response_status'?"),
        ({"ignored_post_data_patterns": ["^a$"]}, {}, "did you mean 'ignored_post_data_params_pat"),
        ({}, {"method": "POST"}, "did you mean 'http_method'?"),
        ({"should_not_exists": True}, {}, "eval.1: there is no field 'should_not_exists', and"),
        ({"last_event": False}, {}, "did you mean 'last_event_only'?"),
        (
            {},
            {"http_method": "PSOT"},
            "eval.1.expected.http_method: 'PSOT' is none; did you mean 'POST'? there are GET, HEAD",
        ),
        ({"post_data_schema": {"type": "curency"}}, {}, "'curency' here to compare by; did you"),
        ({"post_data_schema": {"type": "poem"}}, {}, "there are number, integer, boolean"),
    ],
)
def test_a_misspelt_check_is_refused_and_not_left_out(
    write: Write, shop: str, changes: dict[str, Any], expected: dict[str, Any], said: str
) -> None:
    wanted = {**ORDER, **changes, "expected": {**ORDER["expected"], **expected}}
    with pytest.raises(UserError) as raised:
        load_arena(write, shop, arena_row(3, response("mutate"), wanted))
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ({"task_type": "retreive"}, "expected.task_type: 'retreive' is none; did you mean 'ret"),
        ({"task_type": "x"}, "'x' is none; there are retrieve, navigate, mutate"),
        ({"status": "SUCESS"}, "expected.status: 'SUCESS' is none; did you mean 'SUCCESS'?"),
        ({"retrieved_dat": ["a"]}, "did you mean 'retrieved_data'?"),
    ],
)
def test_an_answer_that_none_can_give_is_refused(
    write: Write, shop: str, expected: dict[str, Any], said: str
) -> None:
    wanted = response("retrieve")
    wanted["expected"] |= expected
    with pytest.raises(UserError) as raised:
        load_arena(write, shop, arena_row(3, wanted))
    assert said in str(raised.value)
    lacking = {"evaluator": "AgentResponseEvaluator", "expected": {"status": "SUCCESS"}}
    with pytest.raises(UserError, match="expects a task_type: retrieve, navigate, mutate"):
        load_arena(write, shop, arena_row(3, lacking))
    with pytest.raises(UserError, match="did you mean 'start_urls'"):
        load_arena(write, shop, arena_row(3, response("mutate"), start_ulrs=["http://a.test"]))


def test_fields_of_no_use_here_are_let_pass(write: Write, shop: str) -> None:
    said = response("RETRIEVE", ["a"], "success")
    said["expected"]["error_details"] = None
    sent = {**ORDER, "site": "shop"}
    row = arena_row(3, said, sent, intent_template="Order a {{x}}.", instantiation_dict={"x": 1})
    assert load_arena(write, shop, row) == ("arena-tests.3",)


def test_mistakes_in_task_sets_name_the_task_and_the_field(write: Write, shop: str) -> None:
    def failure(path: Path) -> str:
        with pytest.raises(UserError) as raised:
            load_tasks_file(path)
        return str(raised.value)

    row = arena_row(3, response("mutate"), ORDER)
    file = write(json.dumps([row]), "arena-wrong.json")
    assert 'write shop = "http://…" into arena-wrong.sites.toml beside it' in failure(file)
    write('shopp = "http://a.test"', "arena-wrong.sites.toml")
    assert "beside it, which names shopp" in failure(file)
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
