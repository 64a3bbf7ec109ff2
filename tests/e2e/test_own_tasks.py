"""Tasks of one's own, in a file: trained on, evaluated, and blamed by line when they break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_run import POLICY, lines, webdojo

from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.training.evaluate_agent import evaluate_agent

MY_TASKS = '''
from pathlib import Path
from random import Random

from webdojo.tasks import Outcome, Task

NAMES = ["Red", "Green", "Blue", "Grey"]


class Pick(Task):
    """A page of one's own, from a string."""

    id = "my-shop.pick"
    horizon = 1

    async def setup(self, page, seed):
        names = Random(seed).sample(NAMES, 4)
        buttons = "".join(
            f"<button onclick='document.title = this.textContent'>{name}</button>" for name in names
        )
        await page.set_content(f"<title>none</title>{buttons}")
        return "Press any button but Grey."

    async def evaluate(self, page, answer):
        return Outcome(float(await page.title() in NAMES[:2]), done=True)

    def oracle(self, view):
        yield f'click("{view.find("button", text="Red")["bid"]}")'


class Enter(Task):
    """A page of one's own, from a file."""

    id = "my-shop.enter"
    horizon = 4
    allowed_origins = (Path(__file__).parent.as_uri() + "/",)

    async def setup(self, page, seed):
        await page.goto((Path(__file__).parent / "shop.html").as_uri())
        return f'Press "Enter {seed % 3}".'

    async def evaluate(self, page, answer):
        pressed = await page.evaluate("document.body.dataset.pressed")
        return Outcome(float(pressed == "yes"), done=pressed is not None)

    def oracle(self, view):
        yield f'click("{view.find("button")["bid"]}")'
'''

SHOP = """<!doctype html><title>Shop</title><body>
<button onclick="document.body.dataset.pressed = 'yes'">Enter</button></body>"""

MY_RUN = f"""
[policy]
checkpoint = "{POLICY}"

[tasks]
demonstrated = ["my-shop.enter"]
reinforced = ["my-shop.pick", "my-shop.enter"]

[warm_start]
episodes_per_task = 2

[rollout]
slots = 4
group_size = 4
groups_per_batch = 1
temperature = 1.5

[reinforce]
updates = 1
max_minutes = 3

[evaluation]
episodes_per_task = 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "my_tasks.py").write_text(MY_TASKS)
    (tmp_path / "shop.html").write_text(SHOP)
    (tmp_path / "mine.toml").write_text(MY_RUN)
    yield tmp_path
    registry.forget(["my-shop.pick", "my-shop.enter", "my-shop.late"])


@pytest.mark.slow
def test_tasks_of_ones_own_are_trained_on(folder: Path) -> None:
    status, output, errors = webdojo(folder, "train", "mine.toml", "--tasks", "my_tasks.py")
    assert (status, errors) == (0, ""), output
    run = folder / "runs" / "mine"
    demonstrations = lines(run / "trajectories" / "demonstrations.jsonl")
    assert [row["task_id"] for row in demonstrations] == ["my-shop.enter"] * 2
    assert all(row["reward"] == 1.0 for row in demonstrations)
    assert json.loads((run / "throughput.json").read_text())["updates"] == 1
    assert str(folder / "my_tasks.py") in (run / "config.toml").read_text()


def test_tasks_of_ones_own_are_evaluated(folder: Path) -> None:
    found = evaluate_agent(
        "oracle", "unseen_seeds", config=str(folder / "mine.toml"),
        task_files=[folder / "my_tasks.py"], episodes=3, quiet=True,
    )  # fmt: skip
    assert found["modes"]["oracle"]["all"]["success"] == 1.0
    assert found["defined_by"] == str(folder / "mine.toml")


ANSWER = """
from webdojo.tasks import Outcome, Task
from webdojo.tasks.calls import send_msg_to_user


class Say(Task):
    id = "my-shop.late"

    async def setup(self, page, seed):
        await page.set_content("<p>Mugs cost $25.</p>")
        return "What do mugs cost?"

    async def evaluate(self, page, answer):
        return Outcome(float(answer == "$25"), done=answer is not None)

    def oracle(self, view):
        yield send_msg_to_user("$25")
"""

TAUGHT = f"""
[policy]
checkpoint = "{POLICY}"

[tasks]
files = ["late.py"]
demonstrated = ["my-shop.late"]
reinforced = ["my-shop.late"]

[warm_start]
episodes_per_task = 2

[reinforce]
updates = 0

[evaluation]
episodes_per_task = 0
"""


@pytest.mark.slow
def test_what_the_policy_cannot_be_taught_is_said(folder: Path) -> None:
    (folder / "late.py").write_text(ANSWER)
    (folder / "late.toml").write_text(TAUGHT)
    status, output, errors = webdojo(folder, "train", "late.toml")
    assert (status, errors) == (0, ""), output
    assert "my-shop.late: its demonstrations teach no send_msg_to_user: " in output


BROKEN = """
from webdojo.tasks import Outcome, Task


class Late(Task):
    id = "my-shop.late"

    async def setup(self, page, seed):
        await page.set_content("<button>Go</button>")
        return "Go."

    async def evaluate(self, page, answer):
        return Outcome(self.prize, done=True)

    def oracle(self, view):
        yield f'click("{view.find("button")["bid"]}")'
"""


def test_a_task_that_raises_is_named_with_its_line(folder: Path) -> None:
    (folder / "late.py").write_text(BROKEN)
    (folder / "late.toml").write_text('[tasks]\nfiles = ["late.py"]\nreinforced = ["my-shop.late"]')
    with pytest.raises(UserError) as caught:
        evaluate_agent("oracle", "unseen_seeds", config=str(folder / "late.toml"), quiet=True)
    assert f"{folder / 'late.py'}, line 13: AttributeError" in str(caught.value)
    assert "my-shop.late" in str(caught.value)


def test_a_page_that_cannot_be_reached_is_named(folder: Path) -> None:
    broken = BROKEN.replace('set_content("<button>Go</button>")', 'goto("http://127.0.0.1:9/")')
    (folder / "late.py").write_text(broken)
    (folder / "late.toml").write_text('[tasks]\nfiles = ["late.py"]\nreinforced = ["my-shop.late"]')
    with pytest.raises(UserError) as caught:
        evaluate_agent(
            "oracle", "unseen_seeds", config=str(folder / "late.toml"), episodes=2, quiet=True
        )
    assert "were given up" in str(caught.value)
    assert "my-shop.late" in str(caught.value)


def test_an_oracle_that_gives_up_fails_its_episode_alone(folder: Path) -> None:
    gives_up = BROKEN.replace("Outcome(self.prize, done=True)", "Outcome(0.0, done=False)")
    (folder / "late.py").write_text(gives_up)
    (folder / "late.toml").write_text('[tasks]\nfiles = ["late.py"]\nreinforced = ["my-shop.late"]')
    found = evaluate_agent(
        "oracle", "unseen_seeds", config=str(folder / "late.toml"), episodes=2, quiet=True
    )
    assert found["modes"]["oracle"]["all"]["success"] == 0.0
