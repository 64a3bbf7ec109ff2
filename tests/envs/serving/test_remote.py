"""Environments of a real server process beside environments of this one."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from served import Served
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket

from webdojo.envs.browser import BrowserDiedError, Chromium
from webdojo.envs.core import WebEnv
from webdojo.envs.remote import RemoteError, RemoteWebEnv
from webdojo.envs.screenshots import ScreenshotSpec
from webdojo.envs.spec import EnvSpec
from webdojo.tasks import registry
from webdojo.tasks.errors import UserError

LOGIN = "webdojo/miniwob.login-user-v0"
ACTIONS = ('fill("1", "ann")', "noop(1)", 'click("99")', "no call at all", 'click("3")')


def played(env: gymnasium.Env[Any, Any], seed: int) -> list[Any]:
    """All that an episode shows: observations, rewards, ends and info."""
    seen: list[Any] = [env.reset(seed=seed)]
    for action in ACTIONS:
        seen.append(env.step(action))
        if seen[-1][2] or seen[-1][3]:
            break
    return seen


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other)) and one.dtype == other.dtype
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) and type(one) is type(other)


def test_a_remote_environment_shows_what_a_local_one_shows(server: Served) -> None:
    modes = {"modes": ("pruned_html", "axtree_txt", "html")}
    with (
        gymnasium.make(LOGIN, **modes) as here,
        gymnasium.make(LOGIN, url=server.url, **modes) as there,
    ):
        assert here.observation_space == there.observation_space
        assert here.action_space == there.action_space
        for seed in (3, 4):
            assert same(played(here, seed), played(there, seed))


def test_rules_stay_here(server: Served) -> None:
    with pytest.raises(UserError, match="rules are functions"):
        RemoteWebEnv(server.url, EnvSpec(rules=(lambda page: None,)))


@pytest.mark.slow
def test_a_remote_environment_passes_check_env(server: Served) -> None:
    with gymnasium.make("webdojo/miniwob.click-button-v0", url=server.url) as env:
        check_env(env.unwrapped, skip_render_check=True)


@pytest.mark.slow
async def test_the_core_is_the_same_tree_pictures_and_replay_included(server: Served) -> None:
    spec = EnvSpec(
        modes=("pruned_html", "pruned_html_diff", "outline", "axtree_txt", "html"),
        screenshot=ScreenshotSpec("jpeg", 60, marks=True),
        coordinates="thousandths",
        settle_ms=300,
        step_timeout_s=60,
    )
    for name in ("miniwob.click-button", "miniwob.choose-list", "miniwob.click-scroll-list"):
        task = registry.get(name)
        async with (
            Chromium() as chromium,
            WebEnv(chromium, spec) as here,
            RemoteWebEnv(server.url, spec, tree=True) as there,
        ):
            assert await here.reset(task, 5) == (first := await there.reset(task, 5))
            assert first.view() == here.observation.view()
            for action in ('click("2")', "mouse_click(500, 500)"):
                one, other = await here.step(action), await there.step(action)
                assert one == other
                assert one.observation.tree == other.observation.tree
                if one.terminated:
                    break
            assert here.actions == there.actions
            assert await here.picture() == await there.picture()
            assert await here.replay(here.actions[:1]) == await there.replay(there.actions[:1])
            async with await there.fork(1) as forked:
                assert forked.actions == there.actions


@pytest.mark.slow
async def test_an_oracle_solves_a_task_through_what_comes_over(server: Served) -> None:
    task = registry.get("miniwob.login-user")
    async with RemoteWebEnv(server.url, tree=True) as env:
        view = (await env.reset(task, 1)).view()
        oracle = task.oracle(view)
        call = next(oracle)
        while True:
            step = await env.step(str(call))
            if step.terminated:
                break
            call = oracle.send(step.observation.view())
        assert step.reward == 1.0


@pytest.mark.slow
def test_vectors_of_remote_environments(server: Served) -> None:
    for mode in ("sync", "async"):
        envs = gymnasium.make_vec(
            "webdojo/miniwob.click-button-v0",
            num_envs=2,
            vectorization_mode=mode,
            url=server.url,
        )
        try:
            observations, _ = envs.reset(seed=[1, 2])
            with gymnasium.make("webdojo/miniwob.click-button-v0") as here:
                for place, seed in enumerate((1, 2)):
                    alone, _ = here.reset(seed=seed)
                    assert observations["pruned_html"][place] == alone["pruned_html"]
                    assert np.array_equal(observations["screenshot"][place], alone["screenshot"])
        finally:
            envs.close()


def test_errors_are_those_of_a_local_environment(server: Served) -> None:
    with pytest.raises(UserError, match=r"no task 'miniwob.click-buton': did you mean"):
        gymnasium.make(
            "webdojo/miniwob.click-button-v0", task_id="miniwob.click-buton", url=server.url
        )
    env = gymnasium.make("webdojo/miniwob.click-button-v0", url=server.url).unwrapped
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset first"):
        env.step("noop()")
    env.close()

    async def core() -> None:
        async with RemoteWebEnv(server.url) as env:
            with pytest.raises(RuntimeError, match="the episode is over: call reset first"):
                await env.step("noop()")
            with pytest.raises(UserError, match=r"no task 'nowhere\.to-be-found'"):
                await env.reset("nowhere.to-be-found", 1)
            assert (await env.reset("miniwob.click-button", 1)).goal  # the session lives on

    asyncio.run(core())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:9", "no environment server answers at http://127.0.0.1:9"),
        ("ftp://somewhere", "is no address of an environment server"),
        ("http://127.0.0.1:99999", "is no address of an environment server"),
        ("127.0.0.1:8000", "is no address of an environment server"),
    ],
)
def test_an_address_where_no_server_is(url: str, said: str) -> None:
    with pytest.raises((UserError, BrowserDiedError), match=said):
        gymnasium.make("webdojo/miniwob.click-button-v0", url=url)


def test_what_is_remote_and_dead_is_a_dead_browser_to_whoever_runs_episodes() -> None:
    assert issubclass(RemoteError, BrowserDiedError)


NO_PICTURE = {"sha256": "0" * 64, "format": "png", "bytes": 4, "path": "/images/0"}


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (["{"], "an answer that cannot be read"),
        (["[]"], "an answer that cannot be read"),
        ([b"\xff\xfe"], "an answer that cannot be read"),
        (["[" * 100_000], "an answer that cannot be read"),
        (['{"type": "observation", "data": {}}'], "an answer that cannot be read"),
        (
            [json.dumps({"type": "observation", "data": {"observation": {"screenshot": None}}})],
            "an answer that cannot be read: .*goal",
        ),
        (
            [json.dumps({"data": {"observation": {"screenshot": NO_PICTURE}}}), b"fake"],
            "an image that is not the one announced",
        ),
        (['{"type": "error", "data": {"code": "X"}}'], "it gave no reason"),
    ],
)
async def test_what_no_server_of_ours_would_say(answers: list[str | bytes], said: str) -> None:
    async def scripted(client: ServerConnection) -> None:
        await client.recv()
        for answer in answers:
            await client.send(answer)
        await client.wait_closed()

    async with serve_websocket(scripted, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with RemoteWebEnv(f"http://127.0.0.1:{port}") as env:
            with pytest.raises(RemoteError, match=said):
                await env.reset("miniwob.click-button", 1)
