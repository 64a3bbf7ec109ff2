"""An episode's earlier steps are reached again, in place or in another environment."""

import pytest

from webdojo.envs.core import WebEnv
from webdojo.envs.observation import TEXT_MODES
from webdojo.envs.replay import ReplayError
from webdojo.envs.spec import EnvSpec
from webdojo.tasks.calls import call

pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNTER = """<button onclick="p.textContent = ++n + ' ' + Math.random()">More</button><p id=p></p>
<script>let n = 0</script>"""


async def test_replay_reaches_an_earlier_step_again(open_page) -> None:
    page = await open_page(COUNTER)
    seen = [page.first.outline]
    for _ in range(3):
        seen.append((await page.look(call("click", page.bid("More")))).outline)
    assert len(set(seen)) == 4
    actions = page.env.actions
    for steps in (2, 0, 3):
        assert (await page.env.replay(actions[:steps])).outline == seen[steps]
    assert page.env.actions == actions


async def test_a_fork_goes_its_own_way(open_page) -> None:
    page = await open_page(COUNTER)
    click = call("click", page.bid("More"))
    second = await page.look(click)
    third = await page.look(click)
    async with await page.env.fork(1) as other:
        assert other.actions == (click,)
        assert (await other.step("noop(1)")).observation.outline == second.outline
        assert (await other.step(click)).observation.outline.startswith('button"More"')
    assert (await page.look("noop(1)")).outline == third.outline
    with pytest.raises(ReplayError, match="has 3 steps; cannot fork at 9"):
        await page.env.fork(9)


@pytest.mark.parametrize("modes", [(), *((mode,) for mode in TEXT_MODES)])
async def test_a_fork_that_would_differ_is_refused(open_page, site, modes) -> None:
    page = await open_page("<p>first", modes=modes)
    await page.look("noop(1)")
    site.pages["/"] = "<p>another"
    with pytest.raises(ReplayError, match="differs from the episode at step 0"):
        await page.env.fork(1)


@pytest.mark.parametrize("modes", [(), *((mode,) for mode in TEXT_MODES)])
async def test_the_same_state_is_known_again_by_whatever_way(open_page, modes) -> None:
    page = await open_page(
        """<input aria-label=Name><button onclick="p.textContent = 'told'">Tell</button><p id=p>""",
        modes=modes,
    )
    states = [page.first.state_hash]
    name, clear, tell = 'fill("1", "Ann")', 'fill("1", "")', 'click("2")'
    for action in (name, tell, clear, name, tell):
        states.append((await page.look(action)).state_hash)
    assert len(set(states[:4])) == 4
    assert states[2] == states[5]


async def test_without_an_episode_there_is_nothing_to_replay(chromium) -> None:
    with pytest.raises(RuntimeError, match="call reset first"):
        await WebEnv(chromium, EnvSpec()).replay([])
