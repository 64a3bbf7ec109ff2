"""Demonstrations: what the oracle plays, told as the policy would have said it."""

from __future__ import annotations

from dataclasses import replace

from webdojo.agents.agent import Decision
from webdojo.agents.checkpoint import find_checkpoint
from webdojo.agents.layouts.chat import ChatLayout
from webdojo.agents.tiny_vision import tiny_tokenizer
from webdojo.envs.browser import Chromium
from webdojo.envs.observation import Observation
from webdojo.envs.pool import EnvPool
from webdojo.envs.spec import EnvSpec
from webdojo.tasks.task import Oracle, Outcome, Task
from webdojo.tasks.view import PageView
from webdojo.training.demonstrations import Demonstrators, Taught
from webdojo.training.episodes import EpisodeId, run_episode
from webdojo.training.rollouts.trajectory import Trajectory, Turn

FOUND = find_checkpoint("webdojo-nano")
PLAIN = Demonstrators(FOUND.tokenizer(), FOUND.layout, 1024, 48)
PAGE = Observation(
    goal="Press OK.",
    url="about:blank",
    title="",
    outline='button"OK"[1]\nbutton"Cancel"[2]',
    pruned_html='<button bid="1">OK</button><button bid="2">Cancel</button>',
)


class Scripted(Task):
    """Its oracle plays what it is told."""

    id = "test.scripted"
    actions: tuple[str, ...] = ('click("1")',)

    async def setup(self, page: object, seed: int) -> str:
        return "Press OK."

    async def evaluate(self, page: object, answer: str | None) -> Outcome:
        return Outcome(0.0, done=False)

    def oracle(self, view: PageView) -> Oracle:
        for action in self.actions:  # noqa: UP028  # an oracle is sent the page
            yield action


def task(*actions: str) -> Scripted:
    made = Scripted()
    made.actions = actions
    return made


def text(ids: tuple[int, ...]) -> str:
    return str(PLAIN.tokenizer.decode(list(ids)))


async def test_a_step_is_told_as_prompt_and_response_that_ends() -> None:
    decision = await PLAIN(task('click("2")'), 0).act(PAGE)
    assert decision.action == 'click("2")'
    assert decision.token_ids[-1] == PLAIN.tokenizer.eos_token_id
    assert FOUND.layout.action(str(PLAIN.tokenizer.decode(list(decision.token_ids[:-1])))) == (
        'click("2")'
    )
    assert "Press OK." in text(decision.prompt_ids)


async def test_a_thought_that_the_template_begins_is_ended_first() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = f"{tokenizer.chat_template}<think>\n"
    decision = await Demonstrators(tokenizer, ChatLayout(), 8192, 48)(task('click("1")'), 0).act(
        PAGE
    )
    said = str(tokenizer.decode(list(decision.token_ids)))
    assert said == f'</think>\n\nclick("1"){tokenizer.eos_token}'


async def test_the_second_prompt_tells_of_the_first_response() -> None:
    agent = PLAIN(task('click("1")', 'click("2")'), 0)
    first, second = await agent.act(PAGE), await agent.act(PAGE)
    assert text(first.prompt_ids).count("@click") == 0
    assert text(second.prompt_ids).count("@click") == 1


async def test_what_the_layout_cannot_say_is_played_and_not_told() -> None:
    for action in ('press("1", "Enter")', 'click("77")', "noop()"):
        assert await PLAIN(task(action), 0).act(PAGE) == Decision(action)


async def test_what_does_not_fit_is_played_and_not_told() -> None:
    short = replace(PLAIN, max_response_tokens=3)
    assert await short(task('click("1")'), 0).act(PAGE) == Decision('click("1")')
    narrow = replace(PLAIN, context_tokens=56, max_response_tokens=48)
    assert await narrow(task('click("1")'), 0).act(PAGE) == Decision('click("1")')


async def test_noise_changes_what_is_told_and_never_what_is_played() -> None:
    noisy = replace(PLAIN, noise=0.5)
    told = []
    for seed in range(60):
        decision = await noisy(task('click("1")'), seed).act(PAGE)
        assert decision.action == 'click("1")'
        assert decision == await noisy(task('click("1")'), seed).act(PAGE)
        told.append(FOUND.layout.action(text(decision.token_ids[:-1])))
    assert set(told) == {'click("1")', 'click("2")'}
    others = told.count('click("2")')  # half of the noisy half
    assert 3 <= others <= 30


async def test_a_real_demonstration_solves_its_task_and_is_told_whole() -> None:
    from webdojo.tasks import registry

    async with Chromium() as chromium:
        envs = EnvPool(chromium, EnvSpec(modes=("pruned_html", "outline")), 1)
        which = EpisodeId("demo", "miniwob.login-user", 3)
        trajectory = await run_episode(which, envs, PLAIN, 3)
        await envs.close()
    assert registry.get(which.task_id).horizon >= len(trajectory.turns) == 3
    assert (trajectory.reward > 0, trajectory.ending) == (True, "success")
    assert [FOUND.layout.action(text(turn.response_ids[:-1])) for turn in trajectory.turns] == [
        turn.action for turn in trajectory.turns
    ]


async def demonstrated(task_id: str, *actions: str, reward: float = 1.0) -> Trajectory:
    """An episode as it is recorded of these actions, all on one page."""
    agent = PLAIN(task(*actions), 0)
    decisions = [await agent.act(PAGE) for _ in actions]
    turns = tuple(Turn(d.prompt_ids, d.token_ids, (), (), d.action) for d in decisions)
    return Trajectory(task_id, task_id, 0, 0, 0, turns, reward, "success" if reward else "failure")


async def test_what_demonstrations_cannot_teach_is_told_task_by_task() -> None:
    recorded = [
        await demonstrated("test.plain", 'click("1")', 'click("77")'),
        await demonstrated("test.answer", 'send_msg_to_user("$25")'),
        await demonstrated("test.keys", 'click("1")', 'press("1", "Enter")', 'press("1", "a")'),
        await demonstrated("test.boxes", 'check("1")', 'click("1")'),
        await demonstrated("test.broken", 'click("1")', reward=0.0),
        await demonstrated("test.now-and-then", 'click("1")', reward=0.0),
        await demonstrated("test.now-and-then", 'click("1")'),
    ]
    taught = Taught()
    assert list(taught.through(recorded)) == recorded
    answer, keys, boxes, broken = taught.gaps(FOUND.layout.name)
    assert answer.startswith("test.answer: its demonstrations teach no send_msg_to_user:")
    assert "in the layout 'outline'" in answer
    assert keys.startswith("test.keys: its demonstrations teach no press:")
    assert "oracle click" not in answer + keys
    assert boxes.endswith("; where a click does the same, let the oracle click")
    assert broken.startswith("test.broken: not one of its 1 demonstrations succeeded")
