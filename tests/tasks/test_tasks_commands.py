"""``webdojo tasks new``, ``check`` and ``splits`` as a person or a program runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from webdojo.cli.tasks_new import new
from webdojo.envs.certification.report import FIELDS
from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.files import load_tasks_file


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "webdojo", "tasks", *arguments]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, env=os.environ | environment
    )


def refused(*arguments: str, cwd: Path) -> str:
    done = run(*arguments, cwd=cwd)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_new_task_passes_its_check_as_it_stands(tmp_path: Path) -> None:
    made = run("new", "my-shop.add-to-cart", cwd=tmp_path)
    assert made.returncode == 0
    assert "next: webdojo tasks check add_to_cart.py" in made.stdout
    assert len((tmp_path / "add_to_cart.py").read_text().splitlines()) <= 40
    done = run("check", "add_to_cart.py", "--seeds", "3", "--episodes", "2", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    whole = json.loads(done.stdout)
    assert list(whole) == ["tasks"]
    (task,) = whole["tasks"]
    assert tuple(task) == FIELDS
    assert (task["id"], task["oracle_success"], task["mutated_success"]) == (
        "my-shop.add-to-cart", 1.0, 0.0,
    )  # fmt: skip


def test_a_new_task_follows_the_style_of_the_house(tmp_path: Path) -> None:
    run("new", "my-shop.add-to-cart", cwd=tmp_path)
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--check", "--line-length", "100", "."],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout


def test_tasks_of_an_installed_package_are_found(tmp_path: Path) -> None:
    (tmp_path / "shop_tasks").mkdir()
    run("new", "my-shop.add-to-cart", "--file", "shop_tasks/__init__.py", cwd=tmp_path)
    installed = tmp_path / "shop_tasks-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-tasks\nVersion: 1.0\n")
    points = installed / "entry_points.txt"
    points.write_text("[webdojo.tasks]\nmy-shop = shop_tasks\n")
    done = run("show", "my-shop.add-to-cart", "--json", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    facts = json.loads(done.stdout)
    listed = run("list", "--suite", "my-shop", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert listed.stdout.endswith("\n1 task in 1 suite\n")
    assert facts["source"] == "package shop-tasks, entry point my-shop = shop_tasks"
    points.write_text("[webdojo.tasks]\nmy-shop = shop_taks\n")
    done = run("list", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "entry point my-shop = shop_taks cannot be loaded: ModuleNotFoundError" in done.stderr
    assert "mend or uninstall shop-tasks" in done.stderr


def installed(tmp_path: Path, value: str, text: str) -> Path:
    """An installed package whose entry point is ``value``."""
    folder = tmp_path / "shop_tasks-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-tasks\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[webdojo.tasks]\nmy-shop = {value}\n")
    (tmp_path / "shop_tasks").mkdir()
    file = tmp_path / "shop_tasks" / "__init__.py"
    file.write_text(text)
    return file


OFFERS = """
from webdojo.tasks import Outcome, Task

class Buy(Task):
    id = "my-shop.buy"
    async def setup(self, page, seed):
        return "Buy."
    async def evaluate(self, page, answer):
        return Outcome(0.0, done=False)

def instances():
    return [Buy()]

def texts():
    return ["my-shop.buy"]

def text():
    return "my-shop.buy"

def nothing():
    return None
"""


@pytest.mark.parametrize("function", ["instances", "texts", "text", "nothing"])
def test_a_package_gives_task_classes(tmp_path: Path, function: str) -> None:
    installed(tmp_path, f"shop_tasks:{function}", OFFERS)
    done = run("list", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "must give a list of task classes; it gives " in done.stderr
    assert "mend or uninstall shop-tasks" in done.stderr


@pytest.mark.parametrize(("text", "line"), [("\n\nNUMBER = 1 / 0\n", 3), ("import os\nclass\n", 2)])
def test_what_a_package_raises_is_told_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    file = installed(tmp_path, "shop_tasks", text)
    done = run("list", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert f"cannot be loaded: {file}, line {line}: " in done.stderr


def test_the_source_of_an_installed_package_is_checked_as_it_is(tmp_path: Path) -> None:
    installed(tmp_path, "shop_tasks", OFFERS)
    source = tmp_path / "source" / "shop_tasks"
    source.mkdir(parents=True)
    file = source / "__init__.py"
    file.write_text(OFFERS + "\n\nBuy.horizon = 7\n")
    arguments = ("show", "my-shop.buy", "--json", "--tasks", str(file))
    done = run(*arguments, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["horizon"], facts["source"]) == (7, f"{file}, class Buy")
    other = tmp_path / "other.py"
    other.write_text(OFFERS)
    done = run("list", "--tasks", str(other), cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "is taken by" in done.stderr


@pytest.mark.slow
def test_each_suite_of_a_folder_has_its_certificate(tmp_path: Path) -> None:
    for suite in ("my-shop", "my-bank"):
        run("new", f"{suite}.add", "--file", f"{suite}.py", cwd=tmp_path)
    (tmp_path / "my-shop.toml").write_text(DESCRIBED)
    (tmp_path / "yard").mkdir()
    (tmp_path / "yard" / "say.html").write_text("<p>What do you say?</p>")
    files = ("my-shop.py", "my-bank.py", "my-shop.toml")
    done = run("check", *files, "--seeds", "2", "--episodes", "1", "--write", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "goals: different goals" in done.stdout
    for suite, names in (("my-shop", ["add", "say"]), ("my-bank", ["add"])):
        whole = json.loads((tmp_path / f"{suite}.certificate.json").read_text())
        assert [task["id"] for task in whole["tasks"]] == [f"{suite}.{name}" for name in names]


DESCRIBED = """
[sites.yard]
folder = "yard"
[[tasks]]
id = "my-shop.say"
site = "yard"
url = "/say.html"
goal = "Say {word}."
choices = { word = ["yes", "no"] }
evaluators = [{ type = "exact", value = "{word}" }]
oracle = ['send_msg_to_user("{word}")']
"""


def test_a_task_that_fails_ends_in_status_one_and_says_why(tmp_path: Path) -> None:
    run("new", "my-shop.add-to-cart", cwd=tmp_path)
    file = tmp_path / "add_to_cart.py"
    file.write_text(file.read_text().replace("float(in_cart == self.wanted)", "1.0"))
    done = run("check", "add_to_cart.py", "--seeds", "2", "--episodes", "1", cwd=tmp_path)
    assert done.returncode == 1
    assert "0 of 1 certified" in done.stdout
    assert "my-shop.add-to-cart fails: doing nothing is rewarded on 100%" in done.stdout


HANGS = """
from pathlib import Path

from webdojo.tasks import Outcome, Task


class Idle(Task):
    id = "hangs.a-fine"
    caveats = {"oracle": "none is needed"}

    async def setup(self, page, seed):
        return f"Do {seed}."

    async def evaluate(self, page, answer):
        return Outcome(0.0, done=False)


class Spins(Idle):
    id = "hangs.b-spins"

    async def evaluate(self, page, answer):
        Path("spinning").touch()
        while True:
            pass
"""


def test_ctrl_c_shows_and_keeps_what_was_finished_even_if_a_task_spins(tmp_path: Path) -> None:
    (tmp_path / "hangs.py").write_text(HANGS)
    command = [sys.executable, "-m", "webdojo", "tasks", "check", "hangs.py"]
    with subprocess.Popen(
        [*command, "--seeds", "2", "--episodes", "0", "--jobs", "1", "--write"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        while not (tmp_path / "spinning").exists() and running.poll() is None:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate()
    assert running.returncode == 130
    assert "hangs.a-fine" in out
    assert "hangs.b-spins" not in out
    assert "Traceback" not in err
    assert err.endswith("webdojo: interrupted.\n")
    certificate = json.loads((tmp_path / "hangs.certificate.json").read_text())
    assert [task["id"] for task in certificate["tasks"]] == ["hangs.a-fine"]


@pytest.mark.slow
def test_a_task_that_fails_has_its_other_faults_excused(tmp_path: Path) -> None:
    (tmp_path / "hangs.py").write_text(HANGS.replace("Outcome(0.0", "Outcome(1.0"))
    done = run("check", "hangs.a-fine", "--tasks", "hangs.py", "--episodes", "0", cwd=tmp_path)
    assert done.returncode == 1
    assert "hangs.a-fine fails: doing nothing is rewarded on 100%" in done.stdout
    assert "hangs.a-fine is excused: what an oracle solves could not be measured" in done.stdout
    assert "passes although" not in done.stdout


def test_new_refuses_to_overwrite_and_bad_names(tmp_path: Path) -> None:
    run("new", "my-shop.add-to-cart", cwd=tmp_path)
    before = (tmp_path / "add_to_cart.py").read_text()
    said = refused("new", "other.add-to-cart", cwd=tmp_path)
    assert "add_to_cart.py is there already; name another with --file" in said
    assert (tmp_path / "add_to_cart.py").read_text() == before
    for name in ("AddToCart", "my_shop.add", "my-shop", "my-shop.", "a.b.c"):
        assert 'is no task id: write "suite.name"' in refused("new", name, cwd=tmp_path)
    assert "suite 'miniwob' is WebDojo's own" in refused("new", "miniwob.mine", cwd=tmp_path)
    said = refused("new", "my-shop.pay", "--file", "nowhere/pay.py", cwd=tmp_path)
    assert "there is no folder nowhere; make it first" in said
    said = refused("new", "my-shop.pay", "--file", "pay.txt", cwd=tmp_path)
    assert "a task is a Python file; name it pay.py" in said
    assert not (tmp_path / "pay.txt").exists()


@pytest.mark.parametrize(
    ("name", "file", "class_name"),
    [
        ("random", "random_task.py", "RandomTask"),
        ("calendar", "calendar_task.py", "Calendar"),
        ("email", "email_task.py", "Email"),
        ("outcome", "outcome.py", "OutcomeTask"),
        ("task", "task.py", "TaskTask"),
        ("true", "true.py", "TrueTask"),
        ("none", "none.py", "NoneTask"),
        ("exception", "exception.py", "ExceptionTask"),
        ("2-things", "2_things.py", "Task2Things"),
    ],
)
def test_a_new_task_hides_nothing_by_its_name(
    write: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    file: str,
    class_name: str,
) -> None:
    monkeypatch.chdir(write("").parent)
    new(f"new-names.{name}")
    assert load_tasks_file(file) == (f"new-names.{name}",)
    assert registry.entry(f"new-names.{name}").task.__name__ == class_name
    with pytest.raises(UserError, match=r"name it email_task\.py"):
        new("new-names.mail", Path("email.py"))


def test_files_without_a_task_are_not_all_tasks(tmp_path: Path) -> None:
    (tmp_path / "site.py").write_text(
        "from webdojo.tasks.sites import Site, share_site\n"
        "share_site(Site('alone', application=lambda: None))\n"
    )
    assert "site.py: no task in it" in refused("check", "site.py", "--write", cwd=tmp_path)
    (tmp_path / "x.yaml").write_text("tasks: []")
    assert "files of tasks end in .py" in refused("check", "x.yaml", cwd=tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("miniwob.clik-button", "did you mean miniwob.click-button"),
        ("no-such-suite", "no suite 'no-such-suite'"),
        ("no_such_file.py", "no such file"),
    ],
)
def test_check_refuses_what_is_not_there(tmp_path: Path, name: str, said: str) -> None:
    assert said in refused("check", name, cwd=tmp_path)


def test_splits_are_listed_and_proven(tmp_path: Path) -> None:
    listed = run("splits", "list", cwd=tmp_path)
    rows = [line.split() for line in listed.stdout.splitlines()[1:]]
    assert [row[0] for row in rows if row[-3:-1] == ["unseen", "in"]] == [
        "miniwob-flight-unseen-site", "miniwob-hard", "miniwob-test",
        "miniwob-train-unseen-seeds", "miniwob-variants",
    ]  # fmt: skip
    (tmp_path / "own.toml").write_text(
        'name = "own"\nversion = 3\nseeds = [0, 10]\ntasks = ["miniwob.click-test"]\n'
    )
    (_, row) = run("splits", "list", "own.toml", cwd=tmp_path).stdout.splitlines()
    name, version, tasks, content, *_ = row.split()
    assert (name, version, tasks, len(content)) == ("own", "3", "1", 12)
    done = run("splits", "check", cwd=tmp_path)
    assert done.returncode == 0
    assert "LEAK" not in done.stdout
    said = "miniwob-train and miniwob-test share no instance, no task, no similarity group"
    assert said in done.stdout
    assert "unproven  miniwob-easier and miniwob-test share task 'miniwob." in done.stdout


def test_a_leak_ends_in_status_one(tmp_path: Path) -> None:
    form = 'name = "{0}"\nversion = 1\nseeds = [{1}]\ntasks = ["miniwob.click-test"]\n{2}'
    (tmp_path / "mine.toml").write_text(form.format("mine", "0, 9", ""))
    held = form.format("held", "1_000_000_000, 1_000_000_009", 'new = "tasks"\nagainst = ["mine"]')
    (tmp_path / "held.toml").write_text(held)
    done = run("splits", "check", "mine.toml", "held.toml", cwd=tmp_path)
    assert done.returncode == 1
    assert "LEAK  mine and held share task 'miniwob.click-test'" in done.stdout
    assert "no such file" in refused("splits", "check", "gone.toml", cwd=tmp_path)
    names = ("mine.toml", "miniwob-test", "miniwob-train")
    done = run("splits", "check", *names, cwd=tmp_path)
    assert done.returncode == 1
    assert "LEAK  mine and miniwob-test share task 'miniwob.click-test'" in done.stdout


def manifest(name: str, first: int, tasks: list[str], **more: object) -> str:
    fields = {"name": name, "version": 1, "seeds": [first, first + 9], "tasks": tasks, **more}
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items())


def test_names_of_splits_and_tasks_are_told_apart(tmp_path: Path) -> None:
    click = ["miniwob.click-test"]
    for file, text in {
        "mine.toml": manifest("mine", 0, click),
        "again.toml": manifest("mine", 10**9, ["miniwob.click-link"]),
        "shipped.toml": manifest("miniwob-train", 0, click),
        "suite.toml": manifest("suite", 0, ["miniwob"]),
        "held.toml": manifest("held", 10**9, click),
    }.items():
        (tmp_path / file).write_text(text)
    said = refused("splits", "check", "mine.toml", "again.toml", cwd=tmp_path)
    assert "mine.toml and again.toml are both named 'mine', and `against` goes by name" in said
    said = refused("splits", "check", "shipped.toml", "miniwob-test", cwd=tmp_path)
    assert "shipped.toml: name 'miniwob-train' is that of a split that comes with WebDojo" in said
    said = refused("splits", "check", "suite.toml", "held.toml", cwd=tmp_path)
    assert "suite.toml: tasks: 'miniwob' is a suite; a manifest names task ids, such as " in said
    (tmp_path / "none.py").write_text("")
    said = refused("splits", "list", "mine.toml", "--tasks", "none.py", cwd=tmp_path)
    assert "none.py: no task in it" in said


def test_leaks_of_a_kind_are_one_line_and_programs_get_them_all(tmp_path: Path) -> None:
    tasks = [f"miniwob.click-{name}" for name in ("button", "checkboxes", "color", "dialog", "tab")]
    (tmp_path / "mine.toml").write_text(manifest("mine", 0, tasks))
    held = manifest("held", 10**9, tasks, new="groups", against=["mine"])
    (tmp_path / "held.toml").write_text(held)
    done = run("splits", "check", "mine.toml", "held.toml", cwd=tmp_path)
    assert done.returncode == 1
    by_task, by_group = done.stdout.splitlines()
    assert by_task.startswith("LEAK  mine and held share task 'miniwob.click-button' (miniwob.")
    assert by_task.count("miniwob.") == 6
    assert by_task.endswith(" and 2 more (5 in all)")
    assert "similarity group" in by_group
    done = run("splits", "check", "mine.toml", "held.toml", "--json", cwd=tmp_path)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    (pair,) = found["pairs"]
    assert (found["holds"], pair["holds"], pair["train"]) == (False, False, "mine")
    assert len([leak for leak in pair["leaks"] if leak.startswith("task ")]) == 5


def test_programs_read_the_splits_and_their_proof(tmp_path: Path) -> None:
    listed = json.loads(run("splits", "list", "--json", cwd=tmp_path).stdout)
    splits = {split["name"]: split for split in listed["splits"]}
    test = splits["miniwob-test"]
    assert (test["trainable"], test["new"], test["against"]) == (False, "groups", ["miniwob-train"])
    assert (len(test["tasks"]), test["seeds"][0], len(test["sha256"])) == (63, 10**9, 64)
    assert splits["miniwob-train"]["new"] is None
    done = run("splits", "check", "miniwob-train", "miniwob-test", "--json", cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["holds"] is True


def test_a_proof_of_one_side_alone_asks_for_the_other(tmp_path: Path) -> None:
    said = refused("splits", "check", "miniwob-test", cwd=tmp_path)
    assert "`webdojo tasks splits check miniwob-test miniwob-train`" in said
    tasks = ["miniwob.click-button"]
    (tmp_path / "mine.toml").write_text(manifest("mine", 0, tasks))
    (tmp_path / "held.toml").write_text(manifest("held", 10**9, tasks))
    said = refused("splits", "check", "held.toml", cwd=tmp_path)
    assert "only held-out splits are given (held.toml)" in said
    assert "only training splits are given" in refused("splits", "check", "mine.toml", cwd=tmp_path)
    (tmp_path / "new.toml").write_text(manifest("new", 10**9, tasks, against=["other"]))
    said = refused("splits", "check", "mine.toml", "new.toml", "--json", cwd=tmp_path)
    assert "new.toml is held out against 'other'" in said
    assert "check mine.toml new.toml other.toml`" in said
    (tmp_path / "far.toml").write_text(manifest("other", 10**9 - 5, tasks))
    said = refused("splits", "check", "far.toml", "new.toml", cwd=tmp_path)
    assert "new.toml is held out against 'other', but far.toml is no training split: its" in said
    assert "end them at 1,000,000,000" in said
