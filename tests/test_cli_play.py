"""``webdojo play``: an episode by hand, or by its oracle, on a real page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from webdojo.envs.browser import find_chromium


def play(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "webdojo", "play", *arguments],
        input=typed,
        capture_output=True,
        text=True,
        check=False,
    )


def test_actions_are_typed_and_what_came_of_them_is_told() -> None:
    typed = 'help\n\nclick("99")\nclick("2")\nclick("3")\n'
    done = play("miniwob.click-button", "--seed", "7", typed=typed)
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert said[1] == 'goal: Click on the "Next" button.'
    assert "<button bid=2>Next</button>" in said
    assert any(line.startswith("drag_and_drop(") for line in said)
    wrong = said.index('1. click("99"): reward 0')
    assert said[wrong + 1] == "   error: no element 99 on the page"
    assert said[-2:] == ['2. click("2"): reward 1', "the episode is over: reward 1"]


@pytest.mark.slow
@pytest.mark.parametrize("typed", ["noop()\n", 'noop()\nquit\nclick("1")\n', "noop()\nexit\n"])
def test_the_end_of_the_input_or_quit_ends_the_episode(typed: str) -> None:
    done = play("miniwob.click-button", typed=typed)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\nno more actions after 1: the episode is not over\n")


@pytest.mark.slow
@pytest.mark.parametrize("task_id", ["miniwob.login-user", "miniwob.count-shape"])
def test_an_oracle_plays_step_by_step(task_id: str) -> None:
    done = play(task_id, "--oracle", "--seed", "1000000000")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\n1. " in done.stdout
    assert done.stdout.endswith("the episode is over: reward 1\n")


BROKEN = """
from webdojo.tasks import Outcome, Task

class Late(Task):
    id = "my-shop.late"

    async def setup(self, page, seed):
        return self.goals[seed]

    async def evaluate(self, page, answer):
        return Outcome(0.0)
"""


@pytest.mark.slow
def test_what_is_wrong_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "late.py"
    file.write_text(BROKEN)
    own = ("my-shop.late", "--tasks", str(file))
    refused = {
        ("miniwob.clik-button",): "did you mean miniwob.click-button",
        own: f"{file}:8: return self.goals[seed]: AttributeError",
        ("miniwob.hover-shape", "--oracle"): "has no oracle",
    }
    if "headless" in str(find_chromium(window=True)):
        refused["miniwob.click-button", "--headed"] = "has no window; set WEBDOJO_CHROMIUM"
    for arguments, sentence in refused.items():
        done = play(*arguments)
        assert done.returncode == 2
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1
