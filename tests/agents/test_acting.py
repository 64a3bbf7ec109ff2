"""Agents: chance repeats, oracles end, and a policy's turn is exactly what the engine drew."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from webdojo.agents.agent import OracleAgent, PolicyAgent, RandomAgent
from webdojo.agents.checkpoint import find_checkpoint
from webdojo.agents.engines.engine import Completion, Sampling
from webdojo.agents.layouts.chat import ChatLayout
from webdojo.agents.tiny_vision import tiny_tokenizer
from webdojo.envs import vocabulary  # noqa: F401  # fills the action registry
from webdojo.envs.actions import parse_action
from webdojo.envs.observation import Observation
from webdojo.tasks.errors import UserError
from webdojo.tasks.task import Oracle, Outcome, Task
from webdojo.tasks.view import OracleError, PageView

PAGE = (
    '<input bid="1"><input bid="2" type="checkbox"><button bid="3">OK</button>'
    '<select bid="4"><option>red</option><option>blue</option></select><textarea bid="5"/>'
)


def observation(page: str = PAGE, **fields: object) -> Observation:
    return Observation(goal='Enter "bob".', url="about:blank", title="", pruned_html=page, **fields)  # type: ignore[arg-type]


async def acts(seed: int) -> list[str]:
    agent = RandomAgent(seed)
    return [(await agent.act(observation())).action for _ in range(40)]


async def test_chance_repeats_with_its_seed_and_fits_the_element() -> None:
    done = await acts(5)
    assert done == await acts(5)
    assert done != await acts(6)
    verbs: dict[str, set[str]] = {}
    for text in done:
        action = parse_action(text)
        verbs.setdefault(str(action.arguments["bid"]), set()).add(action.name)
    assert verbs == {
        "1": {"fill"}, "2": {"click"}, "3": {"click"}, "4": {"select_option"}, "5": {"fill"}
    }  # fmt: skip
    nothing = (await RandomAgent(0).act(observation("<p>nothing</p>"))).action
    assert parse_action(nothing).name == "noop"


class Two(Task):
    id = "test.two"

    async def setup(self, page: object, seed: int) -> str:
        return "Act twice."

    async def evaluate(self, page: object, answer: str | None) -> Outcome:
        return Outcome(0.0, done=False)

    def oracle(self, view: PageView) -> Oracle:
        view = yield 'click("1")'
        yield f"noop({len(view.html)})"


async def test_an_oracle_sees_each_page_and_says_when_it_has_no_more_to_do() -> None:
    agent = OracleAgent(Two())
    assert (await agent.act(observation())).action == 'click("1")'
    assert (await agent.act(observation("<p>x</p>"))).action == "noop(8)"
    with pytest.raises(OracleError, match=r"test\.two has no further action"):
        await agent.act(observation())


class NoOracle(Two):
    oracle = Task.oracle


async def test_a_task_without_an_oracle_is_a_sentence() -> None:
    with pytest.raises(UserError, match="no oracle"):
        await OracleAgent(NoOracle()).act(observation())


class ScriptedEngine:
    """Says the same every time; stands in for a model, whose words cannot be foretold."""

    version = 4

    def __init__(self, token_ids: Sequence[int]) -> None:
        self.token_ids = tuple(token_ids)
        self.asked: list[tuple[tuple[int, ...], Sampling]] = []

    async def generate(
        self,
        prompt_ids: Sequence[int],
        sampling: Sampling,
        constraint: object = None,
        *,
        images: Sequence[str] = (),
    ) -> Completion:
        self.asked.append((tuple(prompt_ids), sampling))
        count = len(self.token_ids)
        return Completion(self.token_ids, (-0.5,) * count, (4,) * count, True)


async def test_a_policys_turn_holds_the_tokens_drawn_and_its_next_prompt_what_it_said() -> None:
    found = find_checkpoint("webdojo-nano")
    tokenizer = found.tokenizer()
    said = 'button"OK"[3]@click'
    ids = [*tokenizer.encode(said, add_special_tokens=False), tokenizer.eos_token_id]
    engine = ScriptedEngine(ids)
    agent = PolicyAgent(engine, tokenizer, found.layout, Sampling(1.0, 20, 100), 256)  # type: ignore[arg-type]
    first = await agent.act(observation(outline='button"OK"[3]'))
    assert first.action == 'click("3")'
    assert first.token_ids == tuple(ids)
    assert first.logprobs == (-0.5,) * len(ids)
    assert first.versions == (4,) * len(ids)
    second = await agent.act(observation(outline='button"OK"[3]', elapsed_steps=1))
    assert (first.prompt_ids, second.prompt_ids) == tuple(prompt for prompt, _ in engine.asked)
    text = str(tokenizer.decode(list(second.prompt_ids)))
    assert text.count("@click") == 1
    assert len(second.prompt_ids) > len(first.prompt_ids)
    assert [sampling.seed for _, sampling in engine.asked] == [100, 101]


@pytest.mark.parametrize(
    ("said", "action"),
    [
        ('Perhaps\nclick("2")\nbut', ""),
        ('Not\nclick("2")\n</think>\n\nclick("3")', 'click("3")'),
    ],
)
async def test_a_thought_that_the_template_begins_is_not_done(said: str, action: str) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = f"{tokenizer.chat_template}<think>\n"
    engine = ScriptedEngine(tokenizer.encode(said, add_special_tokens=False))
    agent = PolicyAgent(engine, tokenizer, ChatLayout(), Sampling(), 8192)  # type: ignore[arg-type]
    assert (await agent.act(observation())).action == action
    second = await agent.act(observation(elapsed_steps=1))
    told = f"Step 1: {action or '(no action)'}"
    assert told in str(tokenizer.decode(list(second.prompt_ids)))
