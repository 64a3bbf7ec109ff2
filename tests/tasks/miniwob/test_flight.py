"""Flight searches are served, judged field by field, and asked only what has a right answer."""

from __future__ import annotations

import json

import pytest

from webdojo.envs.certification import play_oracle, play_oracles
from webdojo.envs.core import WebEnv
from webdojo.tasks import registry
from webdojo.tasks.miniwob.catalogue import FLIGHT_FOLDERS

pytestmark = pytest.mark.asyncio(loop_scope="module")
HELD_OUT = 1_000_000_001


async def test_a_search_with_one_wrong_field_earns_nothing(env: WebEnv) -> None:
    task = registry.get("miniwob.flight-alaska")
    whole = task.oracle

    def oracle(view):
        goal = json.loads(view.goal)
        other = goal | {"Departure Day": goal["Departure Day"] % 2 + 1}
        object.__setattr__(view, "goal", json.dumps(other))
        return whole(view)

    assert (await play_oracle(env, task, HELD_OUT)).reward == 1
    raw = "[WOB_DONE_GLOBAL, WOB_RAW_REWARD_GLOBAL]"
    assert await env.page.evaluate(raw) == [True, 1]
    task.oracle = oracle
    run = await play_oracle(env, task, HELD_OUT)
    assert (run.reward, run.trouble[:8]) == (0, "PARTIAL:")
    done, share = await env.page.evaluate(raw)
    assert done
    assert 0.9 < share < 1


async def test_questions_that_contradict_their_answers_are_left_out(env: WebEnv) -> None:
    task = registry.get("miniwob.flight-aa")
    for seed, kind in ((1, "train"), (HELD_OUT, "test")):
        seen = await env.reset(task, seed)
        assert seen.url == "http://flight-aa.localhost/flight/AA/wrapper.html"
        questions = await env.page.evaluate(f"DATA_{kind.upper()}")
        assert json.loads(seen.goal) in [question["instruction"] for question in questions]
        assert {q["request"]["segments[0].destination"] for q in questions} <= {
            *("AUS", "BOS", "DEN", "DFW", "LAS", "LAX", "NYC", "PDX", "SAN", "SFO", "WAS")
        }
        for asked, answer in ((q["instruction"], q["request"]) for q in questions):
            for place, day in (("0", "Departure Day"), ("1", "Returning Day")):
                assert answer[f"segments[{place}].travelDate"] == f"03/{asked[day]:02}/2017"


@pytest.mark.slow
async def test_oracles_solve_flight_searches() -> None:
    runs = await play_oracles(
        registry.get, [(f"miniwob.{n}", seed) for n in FLIGHT_FOLDERS for seed in (2, HELD_OUT)]
    )
    assert [(run.task_id, run.seed, run.trouble) for run in runs if run.reward < 1] == []
