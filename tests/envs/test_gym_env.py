import asyncio
import gc
import json
import pickle
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import psutil
import pytest
from bs4 import BeautifulSoup
from gymnasium.envs.registration import EnvSpec as GymSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import TimeLimit

from webdojo.envs.actions import ACTIONS, MAX_TEXT, parse_action
from webdojo.envs.background import Background
from webdojo.envs.registration import env_id
from webdojo.envs.spaces import ActionText, TextList, UnicodeText
from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.files import load_tasks_file

SAMPLE = ("miniwob.click-button", "miniwob.login-user", "miniwob.choose-list")
KEYS = {
    *("goal", "url", "open_pages_urls", "open_pages_titles", "active_page_index", "pruned_html"),
    *("screenshot", "focused_element_bid", "last_action", "last_action_error", "elapsed_time"),
}


def check(task_id: str) -> None:
    with warnings.catch_warnings(), gymnasium.make(env_id(task_id)) as env:
        # What Gymnasium says of every text action and of every screenshot that is no flat image.
        for known in (".*render_fps.*", ".*no display.*", ".*not a standard.*", ".*Box.*bound.*"):
            warnings.filterwarnings("ignore", known)
        check_env(env.unwrapped)


@pytest.mark.parametrize("task_id", SAMPLE)
def test_check_env_passes(task_id: str) -> None:
    check(task_id)


@pytest.fixture(scope="class")
def held_browser() -> Iterator[None]:
    """An environment that keeps the browser, which would otherwise start anew for each task."""
    with gymnasium.make(env_id(SAMPLE[0])) as env:
        env.reset(seed=1)
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("held_browser")
class TestEveryTask:
    @pytest.mark.parametrize("task_id", registry.task_ids())
    def test_check_env_passes_for_every_task(self, task_id: str) -> None:
        check(task_id)


@pytest.mark.parametrize(
    "lines",
    [
        "import gymnasium; import webdojo.envs; name = 'webdojo/miniwob.click-button-v0'",
        "import webdojo.envs; import gymnasium; name = 'webdojo/miniwob.click-button-v0'",
        "import gymnasium; name = 'webdojo:webdojo/miniwob.click-button-v0'",
        "import gymnasium, webdojo; gymnasium.register_envs(webdojo);"
        " name = 'webdojo/miniwob.click-button-v0'",
    ],
)
def test_gymnasium_knows_the_tasks_whatever_is_imported_first(lines: str) -> None:
    code = f"""
import sys
{lines}
assert "webdojo.envs.gym_env" not in sys.modules and "torch" not in sys.modules
print(gymnasium.spec(name.split(":")[-1]).entry_point if ":" not in name else "")
with gymnasium.make(name) as env:
    print(env.reset(seed=1)[0]["goal"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "\nClick on the " in done.stdout, done.stderr


def test_every_task_is_registered_with_a_spec_that_serialises() -> None:
    for task_id in registry.task_ids():
        spec = gymnasium.spec(env_id(task_id))
        again = GymSpec.from_json(spec.to_json())
        assert again.entry_point == "webdojo.envs.gym_env:WebDojoEnv"
        assert json.loads(spec.to_json())["kwargs"] == {"task_id": task_id}
    with gymnasium.make(GymSpec.from_json(gymnasium.spec(env_id(SAMPLE[0])).to_json())) as env:
        env.reset(seed=1)


def test_an_episode_is_played() -> None:
    with gymnasium.make("webdojo/miniwob.login-user-v0") as env:
        observation, info = env.reset(seed=3)
        assert set(observation) == KEYS
        assert observation in env.observation_space
        assert info["seed"] == 3
        words = observation["goal"].split('"')
        for action in (f'fill("1", "{words[1]}")', f'fill("2", "{words[3]}")', 'click("3")'):
            observation, reward, terminated, truncated, info = env.step(action)
            assert observation in env.observation_space
            assert observation["last_action"] == action
        assert (reward, terminated, truncated) == (1.0, True, False)


def test_marks_are_a_kind_of_screenshot() -> None:
    seen = []
    for kind in (True, "marks"):
        with gymnasium.make("webdojo/miniwob.click-button-v0", screenshot=kind) as env:
            seen.append(env.reset(seed=3)[0]["screenshot"])
    plain, marked = seen
    assert plain.shape == marked.shape
    assert (plain != marked).any()
    with pytest.raises(UserError, match=r'screenshot is True, False or "marks"; it is \'mark\''):
        gymnasium.make("webdojo/miniwob.click-button-v0", screenshot="mark")


def test_a_seed_names_an_instance_and_the_generator_goes_on_from_it() -> None:
    with gymnasium.make("webdojo/miniwob.click-button-v0", screenshot=False) as env:
        goals = [env.reset(seed=5)[0]["goal"]] + [env.reset()[0]["goal"] for _ in range(3)]
        again = [env.reset(seed=5)[0]["goal"]] + [env.reset()[0]["goal"] for _ in range(3)]
        assert goals == again
        assert len(set(goals)) > 1
        assert "screenshot" not in env.observation_space.spaces


def test_it_works_inside_a_running_loop() -> None:
    async def notebook_cell() -> str:
        with gymnasium.make("webdojo/miniwob.click-button-v0") as env:
            return str(env.reset(seed=1)[0]["goal"])

    assert asyncio.run(notebook_cell()).startswith("Click on")


def test_all_faces_share_one_browser_and_one_thread_and_leave_nothing() -> None:
    gc.collect()
    before = set(psutil.Process().children(recursive=True))
    envs = [gymnasium.make("webdojo/miniwob.click-button-v0") for _ in range(3)]
    for env in envs:
        env.reset(seed=1)
    assert len({id(env.unwrapped._pages.env._chromium) for env in envs}) == 1
    assert sum(thread.name == "webdojo" for thread in threading.enumerate()) == 1
    begun = set(psutil.Process().children(recursive=True)) - before
    assert begun
    for env in envs:
        env.close()
        env.close()
        env.unwrapped.close()
    assert Background.get()._browsers == {}
    _, alive = psutil.wait_procs(begun, 60)
    assert not alive


def test_it_says_why_it_cannot_step_and_can_be_reset_after_close() -> None:
    env = gymnasium.make("webdojo/miniwob.click-button-v0", render_mode="rgb_array").unwrapped
    for ask in (env.render, lambda: env.step("noop()")):
        with pytest.raises(gymnasium.error.ResetNeeded, match="no episode: call reset first"):
            ask()
    env.reset(seed=1)
    env.close()
    env.close()
    for ask in (env.render, lambda: env.step("noop()")):
        with pytest.raises(gymnasium.error.ResetNeeded, match="is closed: call reset to open it"):
            ask()
    assert env.reset(seed=1)[0]["goal"]
    env.close()


def test_an_episode_follows_a_first_reset_that_failed() -> None:
    with gymnasium.make("webdojo/miniwob.click-button-v0") as env:
        with pytest.raises(gymnasium.error.Error, match="Seed must be"):
            env.reset(seed=-1)
        env.reset(seed=1)
        assert env.step("noop(1)")[0]["last_action"] == "noop(1)"


def no_links(page: BeautifulSoup) -> None:
    for tag in page.select("button"):
        tag.decompose()


def test_rules_of_ones_own_and_a_bound_hold_at_every_look() -> None:
    whole, ruled, bounded = (
        gymnasium.make(env_id("miniwob.login-user"), screenshot=False, **options)
        for options in ({}, {"rules": [no_links]}, {"max_characters": 120})
    )
    with whole, ruled, bounded:
        for look in (lambda env: env.reset(seed=1), lambda env: env.step("noop(1)")):
            text, without, short = (look(env)[0]["pruned_html"] for env in (whole, ruled, bounded))
            assert "<button" in text
            assert "<button" not in without
            assert "<input" in without
            assert len(short) <= 120 < len(text)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("coordinates", "relative"),
        ("max_characters", -1),
        ("max_characters", 10),
        ("rules", [3]),
        ("settle_ms", -1),
        ("step_timeout_s", 0.0),
        ("max_characters", "8000"),
        ("render_mode", "rgb"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(option: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{option}=.*: give "):
        gymnasium.make(env_id("miniwob.click-button"), **{option: value})


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_vectors(mode: str) -> None:
    envs = gymnasium.make_vec(
        "webdojo/miniwob.click-button-v0", num_envs=2, vectorization_mode=mode
    )
    try:
        observations, _ = envs.reset(seed=[1, 2])
        with gymnasium.make("webdojo/miniwob.click-button-v0") as env:
            for place, seed in enumerate((1, 2)):
                alone, _ = env.reset(seed=seed)
                assert observations["goal"][place] == alone["goal"]
                assert observations["pruned_html"][place] == alone["pruned_html"]
                assert observations["open_pages_urls"][place] == alone["open_pages_urls"]
                assert np.array_equal(observations["screenshot"][place], alone["screenshot"])
        observations, rewards, _, _, _ = envs.step(('click("1")', "nonsense"))
        assert rewards.shape == (2,)
        assert observations["last_action"] == ('click("1")', "nonsense")
        assert "not an action call" in observations["last_action_error"][1]
    finally:
        envs.close()


def test_the_time_limit_wrapper_works() -> None:
    env = TimeLimit(gymnasium.make("webdojo/miniwob.login-user-v0"), 2)
    env.reset(seed=1)
    assert env.step("noop(1)")[3] is False
    assert env.step("noop(1)")[3] is True
    env.close()


def test_a_user_s_task_can_be_made_once_its_file_is_loaded(tmp_path) -> None:
    file = tmp_path / "my_tasks.py"
    file.write_text(
        textwrap.dedent("""
        from webdojo.tasks.task import Outcome, Task

        class Greet(Task):
            id = "my-words.greet"

            async def setup(self, page, seed):
                await page.goto("data:text/html;charset=utf-8,<p>Grüße 😀 чай</p>")
                return "Say hello."

            async def evaluate(self, page, answer):
                if answer == "hell":
                    raise RuntimeError("not a word")
                return Outcome(float(answer == "hello"), done=answer is not None)
        """)
    )
    load_tasks_file(file)
    name = "webdojo/my-words.greet-v0"
    assert str(file) in gymnasium.spec(name).kwargs["tasks_files"]  # for a worker's process
    try:
        with gymnasium.make(name, actions=["chat"]) as env:
            observation, _ = env.reset()
            assert "Grüße 😀 чай" in observation["pruned_html"]
            assert observation in env.observation_space
            assert "unknown action 'click'" in env.step('click("1")')[0]["last_action_error"]
            assert env.step('send_msg_to_user("hello")')[1:3] == (1.0, True)
            env.reset()
            with pytest.raises(RuntimeError, match="not a word"):  # the task's own mistake
                env.step('send_msg_to_user("hell")')
            with pytest.raises(gymnasium.error.ResetNeeded, match="call reset first"):
                env.step("noop()")
    finally:
        registry.forget(["my-words.greet"])


@pytest.mark.slow
def test_a_user_s_task_is_found_in_processes_that_start_anew(tmp_path: Path) -> None:
    file = tmp_path / "my_tasks.py"
    file.write_text(
        textwrap.dedent("""
        from webdojo.tasks.task import Outcome, Task

        class Wave(Task):
            id = "my-hands.wave"

            async def setup(self, page, seed):
                return f"Wave {seed} times."

            async def evaluate(self, page, answer):
                return Outcome(0.0)
        """)
    )
    load_tasks_file(file)
    try:
        envs = gymnasium.make_vec(
            "webdojo/my-hands.wave-v0",
            num_envs=2,
            vectorization_mode="async",
            vector_kwargs={"context": "spawn"},
        )
        assert envs.reset(seed=[3, 4])[0]["goal"] == ("Wave 3 times.", "Wave 4 times.")
        envs.close()
    finally:
        registry.forget(["my-hands.wave"])


def test_a_browser_that_dies_costs_one_episode() -> None:
    with gymnasium.make("webdojo/miniwob.click-button-v0") as env:
        env.reset(seed=1)
        chromium = env.unwrapped._pages.env._chromium
        pid = Background.get().run(chromium.process_id())
        psutil.Process(pid).kill()
        observation, reward, terminated, truncated, info = env.step("noop()")
        assert (reward, terminated, truncated) == (0.0, False, True)
        assert info["browser_died"].startswith("step: ")
        assert observation in env.observation_space
        assert env.reset(seed=1)[0]["goal"]


def test_unknown_names_are_told() -> None:
    for wrong in ({"actions": ["fly"]}, {"modes": ["smell"]}):
        with pytest.raises(Exception, match=r"fly|smell"):
            gymnasium.make("webdojo/miniwob.click-button-v0", **wrong)


def test_actions_are_drawn_from_the_vocabulary_and_repeat_under_a_seed() -> None:
    everything, some = ActionText(seed=1), ActionText(frozenset({"noop", "click"}), seed=1)
    drawn = [everything.sample() for _ in range(500)]
    assert {parse_action(text).name for text in drawn} == set(ACTIONS)
    everything.seed(1)
    assert [everything.sample() for _ in range(500)] == drawn
    assert {parse_action(some.sample()).name for _ in range(50)} == {"noop", "click"}
    assert "anything that is said: Grüße" in some
    assert "x" * (MAX_TEXT + 1) not in some
    assert pickle.loads(pickle.dumps(some)) == some != everything
    with gymnasium.make(env_id(SAMPLE[1]), actions=["bid"], step_timeout_s=60) as env:
        env.action_space.seed(2)
        env.reset(seed=1)
        told = [env.step(env.action_space.sample())[0]["last_action_error"] for _ in range(8)]
    assert any(not error for error in told)
    assert not any("unknown action" in error or "not an action" in error for error in told)


def test_text_spaces_hold_any_script_and_travel_through_shared_memory() -> None:
    from gymnasium.vector.utils import (
        create_shared_memory,
        read_from_shared_memory,
        write_to_shared_memory,
    )

    text, lines = UnicodeText(10), TextList(3, 10)
    assert "Grüße 😀" in text
    assert "x" * 11 not in text
    assert ("a", "ü") in lines
    assert ("a\nb",) not in lines
    assert text.sample() in text
    assert lines.sample() in lines
    for space, values in ((text, ("Grüße 😀чай"[:10], "")), (lines, (("ä", "", "😀" * 10), ()))):
        memory = create_shared_memory(space, n=2)
        for index, value in enumerate(values):
            assert value in space
            write_to_shared_memory(space, index, value, memory)
        assert read_from_shared_memory(space, memory, n=2) == values


def test_instances_that_are_drawn_are_for_training() -> None:
    options = {"screenshot": False, "actions": "bid", "modes": "axtree_txt"}
    with gymnasium.make("webdojo/miniwob.click-test-v0", **options) as env:
        env.reset(seed=0)
        drawn = [env.reset()[1]["seed"] for _ in range(8)]
    assert max(drawn) < 1_000_000_000
    assert len(set(drawn)) == 8


def test_of_a_page_beyond_all_bounds_what_is_in_view_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "big.py"
    file.write_text(
        "from webdojo.tasks.task import Outcome, Task\n"
        "class Big(Task):\n"
        "    id = 'big.page'\n"
        "    async def setup(self, page, seed):\n"
        "        rows = ''.join(f'<p><a href=#>row number {n} of many, and more words</a>'"
        " for n in range(4000))\n"
        "        await page.set_content(rows)\n"
        "        return 'Scroll.'\n"
        "    async def evaluate(self, page, answer):\n"
        "        return Outcome(0.0, False)\n"
    )
    load_tasks_file(file)
    with gymnasium.make("webdojo/big.page-v0", screenshot=False) as env:
        env.reset(seed=0)
        seen, *_ = env.step("scroll(0, 100000)")
    assert "row number 2900 of" in seen["pruned_html"]
    assert len(seen["pruned_html"]) <= 131_072
