"""Tasks in WebArena-Verified's manner: what requests and answers must be to count."""

from __future__ import annotations

import json
from typing import Any

import pytest
from task_rows import BOUGHT, ORDER, Write, answer, arena_row, load_arena, response

from webdojo.envs.core import WebEnv
from webdojo.tasks import registry
from webdojo.tasks.evaluators import Evidence
from webdojo.tasks.files import load_tasks_file
from webdojo.tasks.imports.webarena import EvaluatorRow, _evaluator
from webdojo.tasks.imports.webarena_evaluators import Response
from webdojo.tasks.splits import HELD_OUT_SEEDS, TRAIN_SEEDS, Split, prove


async def test_a_site_put_into_a_pattern_stands_for_itself_alone() -> None:
    row = EvaluatorRow.model_validate(response("retrieve", ["^__SHOP__/[a-z]+$"]))
    evaluator = _evaluator(row, {"shop": "http://shop.test"})
    for url, right in (("http://shop.test/mug", True), ("http://shop-test/mug", False)):
        said = Evidence(None, answer("retrieve", [url]))  # type: ignore[arg-type]
        assert (await evaluator.judge(said)).passed == right


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


@pytest.mark.asyncio(loop_scope="module")
async def test_cookies_that_are_sent_are_looked_at(env: WebEnv, write: Write, shop: str) -> None:
    wanted = {**BUYING, "expected": BOUGHT | {"headers": {"Cookie": "^.*said=Red.*$"}}}
    row = arena_row(4, response("mutate"), wanted, start_urls=["__SHOP__/cart"])
    (task_id,) = load_arena(write, shop, row)
    said = f"send_msg_to_user({answer('mutate')!r})"
    for clicks in (1, 2):  # the first answer sets the cookie
        observation = await env.reset(registry.get(task_id), 1)
        for _ in range(clicks):
            await env.step(f'click("{observation.view().bid("button")}")')
        step = await env.step(said)
        assert step.reward == float(clicks == 2), step.message


@pytest.mark.asyncio(loop_scope="module")
async def test_a_frame_is_no_page_and_a_new_tab_is_one(
    env: WebEnv, write: Write, shop: str
) -> None:
    wanted = {"evaluator": "NetworkEventEvaluator", "expected": {"url": "__SHOP__/framed"}}
    (task_id,) = load_arena(write, shop, arena_row(5, response("navigate"), wanted))
    said = f"send_msg_to_user({answer('navigate')!r})"
    for leaves in (False, True):
        await env.reset(registry.get(task_id), 1)
        step = await env.step(f'goto("{shop}/framed")')
        if leaves:
            await env.step(f'click("{step.observation.view().bid("a")}")')
        step = await env.step(said)
        assert step.reward == float(not leaves), step.message
    assert f"the last page opened was '{shop}/cart'" in step.message


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_sent_where_nobody_answers(env: WebEnv, write: Write, shop: str) -> None:
    sent = {
        "url": "^http://.*/dummy_bin$",
        "http_method": "POST",
        "post_data": {"why": "^It\\s+broke$"},
    }
    wanted = {"evaluator": "NetworkEventEvaluator", "expected": sent | {"response_status": -1}}
    other = {"evaluator": "NetworkEventEvaluator", "expected": sent}
    never = {**other, "should_not_exist": True}
    said = f"send_msg_to_user({answer('mutate')!r})"
    for row, reward in ((wanted, 1.0), (other, 0.0), (never, 0.0)):
        (task_id,) = load_arena(
            write, shop, arena_row(6, response("mutate"), row, start_urls=["__SHOP__/refund"])
        )
        observation = await env.reset(registry.get(task_id), 1)
        await env.step(f'click("{observation.view().bid("button")}")')
        step = await env.step(said)
        assert (step.reward, step.terminated) == (reward, True), step.message
        registry.forget({task_id})


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
