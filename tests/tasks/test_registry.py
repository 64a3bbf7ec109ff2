"""Tasks are found by id and suite; a mistake in a task file is named with its place and its fix."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.files import load_files, load_tasks_file, loaded_files

GOOD = """
from webdojo.tasks import Outcome, Task

class Buy(Task):
    id = "{suite}.buy"

    async def setup(self, page, seed):
        return "Buy a red mug."

    async def evaluate(self, page, answer):
        return Outcome(1.0, done=True)
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write a task file; what it registers is forgotten afterwards."""
    before = set(registry.task_ids())
    monkeypatch.setattr(sys, "path", [*sys.path])

    def file(text: str, name: str = "my_tasks.py") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    yield file
    registry.forget(set(registry.task_ids()) - before)


def failure(path: Path | str) -> str:
    with pytest.raises(UserError) as raised:
        load_tasks_file(path)
    return str(raised.value)


def test_every_miniwob_page_is_registered() -> None:
    ids = registry.task_ids("miniwob")
    assert len(ids) >= 125
    task = registry.get("miniwob.click-button")
    assert (task.id, task.suite, task.horizon) == ("miniwob.click-button", "miniwob", 10)
    assert registry.get("miniwob.click-button") is not task


def test_selection_takes_ids_and_suites_each_once() -> None:
    assert registry.select(["miniwob.click-test", "miniwob.click-test"]) == ("miniwob.click-test",)
    everything = registry.select(["miniwob.click-test", "miniwob"])
    assert everything[0] == "miniwob.click-test"
    assert len(everything) == len(registry.task_ids("miniwob"))


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UserError, match=r"miniwob\.click-button"):
        registry.get("miniwob.clik-button")
    with pytest.raises(UserError, match="did you mean 'miniwob'"):
        registry.task_ids("minwob")
    with pytest.raises(UserError, match="there is no suite 'shop'"):
        registry.get("shop.buy")
    for ask in (registry.get, registry.task_ids):
        with pytest.raises(UserError, match=r"did you mean 'miniwob\.login-user'\?"):
            ask("login-user")


def test_a_file_brings_its_tasks(write) -> None:
    path = write(GOOD.format(suite="shop-a"))
    assert load_tasks_file(path) == ("shop-a.buy",)
    assert registry.get("shop-a.buy").suite == "shop-a"
    assert "shop-a" in registry.suites()
    assert str(path) in registry.entry("shop-a.buy").source


def test_loading_again_is_free_and_follows_changes(write) -> None:
    path = write(GOOD.format(suite="shop-b"))
    load_tasks_file(path)
    first = registry.entry("shop-b.buy").task
    load_tasks_file(path)
    assert registry.entry("shop-b.buy").task is first
    path.write_text(GOOD.format(suite="shop-b").replace("buy", "pay"))
    assert load_tasks_file(path) == ("shop-b.pay",)
    with pytest.raises(UserError):
        registry.get("shop-b.buy")


def test_another_process_sees_the_same_tasks(write) -> None:
    load_tasks_file(write(GOOD.format(suite="shop-c")))
    program = (
        "import sys; from webdojo.tasks import files, registry;"
        "files.load_files(sys.argv[1:]); print(registry.get('shop-c.buy').id)"
    )
    mine = [file for file in loaded_files() if file.endswith("my_tasks.py")][-1:]
    done = subprocess.run(
        [sys.executable, "-c", program, *mine], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "shop-c.buy"


def test_a_file_whose_tasks_are_forgotten_is_loaded_no_more(write) -> None:
    text = GOOD.format(suite="shop-e")
    first, second = write(text, "one_shop.py"), write(text, "other_shop.py")
    registry.forget(load_tasks_file(first))
    load_tasks_file(second)
    mine = [file for file in loaded_files() if file.endswith("_shop.py")]
    assert str(Path(second).resolve()) in mine
    assert str(Path(first).resolve()) not in mine


def test_a_file_imports_its_neighbours(write) -> None:
    write("SUITE_OF_NEIGHBOUR = 1\n", "shop_neighbour.py")
    path = write("import shop_neighbour\n" + GOOD.format(suite="shop-d"))
    assert load_tasks_file(path) == ("shop-d.buy",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("    async def evaluate", "    async def judge"),
            "evaluate missing; add `async def eval",
        ),
        (("    async def setup", "    def setup"), "setup must be `async def setup"),
        (("(self, page, seed)", "(self, page)"), "which returns the goal; it is setup(self, page)"),
        (
            ("(self, page, answer)", "(self, page)"),
            "evaluate must be `async def evaluate(self, page, answer)`",
        ),
        (("shop-x.buy", "Shop.buy"), 'id must be "suite.name"'),
        (("shop-x.buy", "buy"), 'id must be "suite.name"'),
        (("shop-x.buy", "miniwob.buy"), "suite 'miniwob' is WebDojo's own"),
        (("    async def setup", "    horizon = 0\n    async def setup"), "horizon must be"),
        (("    async def setup", "    difficulty = 'x'\n    async def setup"), "difficulty must"),
        (("    async def setup", "    viewport = 3\n    async def setup"), "viewport must be"),
        (("    async def setup", "    group = 1\n    async def setup"), "group must be a text"),
        (
            ("    async def setup", "    caveats = {'all': 'so it is'}\n    async def setup"),
            "caveats must give a reason for each of some checks (oracle, mutated",
        ),
        (
            ("    async def setup", "    caveats = {'noop': 'it is kind'}\n    async def setup"),
            "nothing excuses a reward for doing nothing; take 'noop' out",
        ),
        *(
            (("    async def setup", f"    {field}\n    async def setup"), said)
            for field, said in (
                ("allowed_origins = 5", "allowed_origins must be a tuple, such as ('http://"),
                ("allowed_origins = 'http://x'", "allowed_origins must be a tuple"),
                ("allowed_origins = ('localhost',)", "'localhost' is no origin; write http://"),
                ("verdict = 5", "verdict must be a text; it is 5"),
                ("evaluation_s = 'x'", "evaluation_s must be a number of seconds, 0 or more"),
                ("reuse_page = 'x'", "reuse_page must be True or False"),
                ("oracle = 5", "oracle must be `def oracle(self, view)`, which yields"),
                ("def oracle(self): yield 'noop()'", "it is oracle(self)"),
                (
                    "def __init__(self): raise ValueError('boo')",
                    "__init__ raises ValueError: boo (line 7: def __init__(self): raise",
                ),
            )
        ),
        (("class Buy(Task)", "class Buy"), "no task in it"),
        (("class Buy(Task):", "class Buy(Task:"), "line 4"),
        (("import Outcome", "import Outcom"), "line 2: ImportError"),
        (("    async def setup", "    size = 1 / 0\n    async def setup"), "ZeroDivisionError"),
    ],
)
def test_mistakes_name_the_file_and_the_fix(write, change: tuple[str, str], said: str) -> None:
    path = write(GOOD.format(suite="shop-x").replace(*change))
    before = registry.task_ids()
    message = failure(path)
    assert str(path) in message
    assert said in message
    assert registry.task_ids() == before


WITHOUT_ID = """
from webdojo.tasks import Outcome, Task

class {name}(Task):
    async def setup(self, page, seed):
        return "Buy a red mug."

    async def evaluate(self, page, answer):
        return Outcome(1.0, done=True)
"""


def test_a_task_without_an_id_is_not_passed_over(write) -> None:
    path = write(GOOD.format(suite="shop-f") + WITHOUT_ID.format(name="Sell"))
    assert f'{path}: class Sell: id is missing; add id = "suite.name"' in failure(path)
    bases = WITHOUT_ID.format(name="_Hidden") + WITHOUT_ID.format(name="Base")
    path.write_text(f"{bases}\nclass Sell(Base):\n    id = 'shop-f.sell'\n")
    assert load_tasks_file(path) == ("shop-f.sell",)


def test_a_class_is_named_once(write) -> None:
    path = write(GOOD.format(suite="shop-g").replace("async def evaluate", "async def judge"))
    message = failure(path)
    assert message.startswith(f"{path}: class Buy (shop-g.buy): evaluate missing; add")
    assert message.count("class Buy") == 1


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("Task", "serves is for subclasses of EvaluatedTask, whose `start` finds the site served"),
        ("EvaluatedTask", "class Buy: serves must be a site, such as serves = Site("),
    ],
)
def test_what_serves_a_site_is_told(write, base: str, said: str) -> None:
    text = GOOD.format(suite="shop-h").replace("(Task)", f"({base})")
    text = text.replace("    async def setup", "    serves = 'shop'\n    async def setup")
    path = write("from webdojo.tasks.evaluators import EvaluatedTask\n" + text)
    assert said in failure(path)


def test_an_id_belongs_to_one_class(write) -> None:
    first = write(GOOD.format(suite="shop-e"), "first.py")
    second = write(GOOD.format(suite="shop-e"), "second.py")
    load_tasks_file(first)
    message = failure(second)
    assert str(first) in message
    assert str(second) in message


def test_missing_files(tmp_path: Path) -> None:
    assert "no such file" in failure(tmp_path / "nowhere.py")
    assert "is a folder" in failure(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        load_files([str(tmp_path / "nowhere.py")])


def test_asking_for_tasks_loads_neither_browser_nor_parser() -> None:
    program = (
        "import sys; from webdojo.tasks import registry;"
        "registry.get('miniwob.login-user'); registry.task_ids();"
        "print([m for m in ('playwright', 'bs4', 'numpy', 'torch') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("async def ready(self, page): ...", "ready is asked of the class before a run begins"),
        (
            "@classmethod\n    async def ready(cls): ...",
            "ready must be `@classmethod def ready(cls)`",
        ),
        ("@classmethod\n    def ready(cls, page): ...", "it is ready(page)"),
        ("shown = ()", "shown is the tab that the agent is shown"),
        ("def show(self):\n        x = 1\n        self.shown = [x]", "line 15 sets self.shown"),
        ("def __init__(self):\n        self.a, self.shown = 1, []", "line 14 sets self.shown"),
    ],
)
def test_names_of_the_contract_are_told_where_they_mean_something_else(write, added, said) -> None:
    path = write(GOOD.format(suite="names") + f"\n    {added}\n")
    assert f"{path}: class Buy (names.buy): " in failure(path)
    assert said in failure(path)


def test_names_of_the_contract_may_be_used_as_they_are_meant(write) -> None:
    added = """
    @classmethod
    def ready(cls):
        pass

    def show(self, other):
        other.shown = self
        return self.shown
"""
    assert load_tasks_file(write(GOOD.format(suite="meant") + added)) == ("meant.buy",)


def test_a_package_of_several_files_is_read_whole(write, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    write("GOAL = 'Buy.'\n", "shop/words.py")
    write(GOOD.format(suite="parts"), "shop/buying.py")
    text = "from .words import GOAL\nfrom .buying import Buy\n"
    sell = GOOD.format(suite="parts").replace("Buy(Task)", "Sell(Task)").replace(".buy", ".sell")
    path = write(text + sell, "shop/__init__.py")
    assert load_tasks_file(path) == ("parts.buy", "parts.sell")
    write(GOOD.format(suite="parts").replace("parts.buy", "parts.lend"), "shop/buying.py")
    path.write_text(path.read_text() + "# changed\n")
    assert load_tasks_file(path) == ("parts.lend", "parts.sell")


def test_a_part_of_a_package_alone_is_told_how_to_find_its_neighbours(write, tmp_path) -> None:
    (tmp_path / "shop").mkdir()
    path = write("from .words import GOAL\n", "shop/buying.py")
    assert "without the dot, or give the __init__.py of its package" in failure(path)


@pytest.mark.parametrize("name", ["tasks.yaml", "tasks.txt", "tasks"])
def test_a_file_of_another_ending_is_not_executed(write, tmp_path: Path, name: str) -> None:
    path = write(f"open({str(tmp_path / 'executed')!r}, 'w')", name)
    assert f"{path}: files of tasks end in .py (a program), .json, .jsonl, .toml" in failure(path)
    assert not (tmp_path / "executed").exists()
