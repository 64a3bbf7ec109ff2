"""The adapter beside the real BrowserGym: its own text functions read our observations."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from webdojo.envs.browsergym import BrowserGymEnv
from webdojo.envs.registration import env_id
from webdojo.tasks import registry
from webdojo.tasks.errors import UserError

PYTHON = Path(__file__).parents[2] / ".venv-browsergym" / "bin" / "python"
KEYS = {
    *("chat_messages", "goal", "goal_object", "open_pages_urls", "open_pages_titles"),
    *("active_page_index", "url", "screenshot", "dom_object", "axtree_object"),
    *("extra_element_properties", "focused_element_bid", "last_action", "last_action_error"),
    "elapsed_time",
}
"""What ``browsergym.core`` 0.14.3 shows."""


@pytest.fixture
def agent() -> Iterator[subprocess.Popen[str]]:
    if not PYTHON.exists():
        pytest.skip("no BrowserGym here: scripts/setup-browsergym.sh makes .venv-browsergym")
    command = [PYTHON, Path(__file__).with_name("browsergym_agent.py")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        yield running
        assert running.stdin is not None
        running.stdin.close()


def asked(agent: subprocess.Popen[str], observation: dict[str, Any]) -> dict[str, Any]:
    assert agent.stdin is not None
    assert agent.stdout is not None
    agent.stdin.write(json.dumps(observation, default=np.ndarray.tolist) + "\n")
    agent.stdin.flush()
    answer: dict[str, Any] = json.loads(agent.stdout.readline())
    return answer


def test_the_observation_is_browsergym_s() -> None:
    with BrowserGymEnv(gymnasium.make("webdojo/miniwob.login-user-v0")) as env:
        observation, _ = env.reset(seed=3)
        assert set(observation) == KEYS
        assert observation in env.observation_space
        assert observation["screenshot"].dtype == np.uint8
        assert [m["role"] for m in observation["chat_messages"]] == ["user"]
        boxes = observation["extra_element_properties"]
        assert boxes["1"]["clickable"]
        assert boxes["1"]["visibility"] == 1.0
        observation, *_ = env.step('send_msg_to_user("Not yet.")')
        said = observation["chat_messages"][-1]
        assert (said["role"], said["message"]) == ("assistant", "Not yet.")
        observation, *_ = env.step("send_msg_to_user()")
        assert len(observation["chat_messages"]) == 2  # what failed was not said


def test_other_environments_are_not_adapted() -> None:
    with (
        gymnasium.make("CartPole-v1") as env,
        pytest.raises(UserError, match="is no WebDojo environment"),
    ):
        BrowserGymEnv(env)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["click-button", "login-user"])
def test_an_agent_of_browsergym_s_solves_tasks(agent: subprocess.Popen[str], task: str) -> None:
    with BrowserGymEnv(gymnasium.make(f"webdojo/miniwob.{task}-v0")) as env:
        solved = 0
        for seed in range(5):
            observation, _ = env.reset(seed=seed)
            terminated = truncated = False
            while not (terminated or truncated):
                answer = asked(agent, observation)
                assert answer["marked"]
                for bid in observation["extra_element_properties"]:
                    assert f'bid="{bid}"' in answer["html"]
                    assert f"[{bid}] " in answer["axtree"]
                observation, reward, terminated, truncated, _ = env.step(answer["action"])
            solved += reward == 1.0
        assert solved == 5


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_miniwob_page_can_be_flattened(agent: subprocess.Popen[str]) -> None:
    first = gymnasium.make(env_id("miniwob.click-test"), screenshot=False)
    first.reset(seed=1)  # holds the browser, which would otherwise start anew for each task
    for task_id in registry.task_ids("miniwob"):
        with BrowserGymEnv(gymnasium.make(env_id(task_id), screenshot=False)) as env:
            observation, _ = env.reset(seed=1)
            answer = asked(agent, observation)
            properties = observation["extra_element_properties"]
            shown = [bid for bid, told in properties.items() if told["visibility"] >= 0.5]
            missing = [bid for bid in shown if f'bid="{bid}"' not in answer["html"]]
            assert not missing, f"{task_id}: {missing}"
    first.close()
