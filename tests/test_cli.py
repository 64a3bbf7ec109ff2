"""The command line: fast help, examples everywhere, and every error a sentence and a status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import typer.main
from typer.testing import CliRunner

from webdojo.cli.app import app
from webdojo.doctor import EXTRAS, check_packages
from webdojo.tasks.extras import install_command

WEBDOJO = [sys.executable, "-m", "webdojo"]
LONG = "x" * 300
HEAVY = ("torch", "transformers", "numpy", "playwright", "gymnasium", "PIL", "lxml", "psutil")


def run(
    *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*WEBDOJO, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "100", **(environment or {})},
    )


def guarded(body: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``body`` as a command in a process of its own; ``folder`` takes temporary files."""
    program = f"from webdojo.cli.boundary import *\ndef command():\n    {body}\nguarded(command)"
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(folder), **environment},
    )


def commands(group: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in getattr(group, "commands", {}).items():
        if getattr(command, "commands", None):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


def command_at(path: tuple[str, ...]) -> Any:
    command: Any = typer.main.get_command(app)
    for name in path:
        command = command.commands[name]
    return command


def test_help_lists_the_commands_and_loads_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['webdojo', '--help']\n"
        "from webdojo.cli import main\n"
        "try:\n    main()\n"
        f"finally:\n    print('LOADED', [m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "doctor" in done.stdout
    assert done.stdout.rstrip().endswith("LOADED []")


@pytest.mark.parametrize("path", list(commands(typer.main.get_command(app))), ids=" ".join)
def test_every_command_explains_itself_with_an_example(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"])
    assert shown.exit_code == 0
    assert "Example" in shown.output
    assert f"webdojo {' '.join(path)}" in shown.output.split("Example", 1)[1]
    wide = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*path, "--help"]).output
    (example,) = (line for line in wide.splitlines() if "Example: " in line)
    assert not {"Or", "Or,", "Or:", "Then:"} & set(example.split())  # a line that can be copied


@pytest.mark.parametrize("path", [(), *commands(typer.main.get_command(app))], ids=" ".join)
def test_flags_stand_as_they_are_typed(path: tuple[str, ...]) -> None:
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*path, "--help"]).output
    assert "--help" in shown
    assert "<bool>" not in shown


@pytest.mark.slow
def test_a_run_to_go_on_with_may_be_given_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("runs", "tea")
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('[tasks]\nreinforced = ["miniwob.click-button"]\n')
    (folder / "state.json").write_text('{"done": ["report"], "seconds": {}}')
    done = run("train", "--resume", "tea")
    assert (done.returncode, done.stderr) == (0, "")
    assert "runs/tea is finished" in done.stdout
    assert "tee is not the folder of a run" in run("train", "--resume", "tee").stderr


def test_files_of_one_s_own_are_asked_for_in_the_same_words_everywhere() -> None:
    asked = {
        path: parameter.help
        for path in commands(typer.main.get_command(app))
        for parameter in command_at(path).params
        if "--tasks" in parameter.opts
    }
    assert {("train",), ("eval",), ("serve",), ("tasks", "check"), ("tasks", "list")} <= set(asked)
    (words,) = set(asked.values())
    assert all(kind in words for kind in ("Python", "TOML", "JSON lines"))


def test_version() -> None:
    from webdojo import __version__

    assert run("--version").stdout == f"webdojo {__version__}\n"


@pytest.mark.parametrize("arguments", [["frobnicate"], ["doctor", "--frobnicate"]])
def test_wrong_usage_exits_with_2_and_says_what_was_wrong(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "frobnicate" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_user_error_is_one_sentence_and_exit_2(tmp_path: Path) -> None:
    done = guarded("raise UserError('no task named x.y: see `webdojo tasks list`')", tmp_path)
    assert done.returncode == 2
    assert done.stderr == "webdojo: no task named x.y: see `webdojo tasks list`.\n"
    assert not list(tmp_path.iterdir())


def test_a_defect_is_one_line_and_its_traceback_is_kept(tmp_path: Path) -> None:
    done = guarded("{}['lost']", tmp_path)
    assert done.returncode == 1
    (kept,) = tmp_path.iterdir()
    assert done.stderr.count("\n") == 1
    assert "defect" in done.stderr
    assert str(kept) in done.stderr
    assert "KeyError: 'lost'" in kept.read_text()


def test_an_interruption_that_a_library_wraps_is_no_defect(tmp_path: Path) -> None:
    wrapped = """
    import os, signal
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except KeyboardInterrupt as interruption:
        raise RuntimeError("while building") from interruption
    """
    done = guarded(f"exec(__import__('textwrap').dedent({wrapped!r}))", tmp_path)
    assert (done.returncode, done.stderr) == (130, "webdojo: interrupted.\n")


def test_a_defect_during_a_run_is_kept_with_the_run(tmp_path: Path) -> None:
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    done = guarded(f"run_folder.set(Path({str(run_folder)!r})); 1 / 0", tmp_path)
    assert done.returncode == 1
    (kept,) = run_folder.iterdir()
    assert "ZeroDivisionError" in kept.read_text()


def test_a_defect_shows_its_traceback_when_asked(tmp_path: Path) -> None:
    done = guarded("1 / 0", tmp_path, WEBDOJO_TRACEBACK="1")
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    done = guarded("sys.modules['accelerate'] = None; import accelerate", tmp_path)
    assert done.returncode == 2
    assert f"run `{install_command('train')}`" in done.stderr


def test_a_module_of_no_extra_is_a_defect(tmp_path: Path) -> None:
    assert guarded("import webdojo.no_such_room", tmp_path).returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", LONG),
        ("train", "quickstart", "--set", f"policy.checkpoint={LONG}", "--dry-run"),
        ("train", "--resume", LONG),
        ("eval", "--agent", LONG, "--split", "unseen_seeds"),
        ("eval", "--agent", "oracle", "--split", LONG),
    ],
)
def test_a_name_that_no_file_may_have_is_the_users_to_mend(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert LONG in done.stderr
    assert done.stderr.endswith(": no file has so long a name; give a shorter one.\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    done = guarded("Path('/dev/full').write_text('x' * 100_000)", tmp_path)
    assert done.returncode == 2
    assert "the disk is full" in done.stderr
    with Path("/dev/full").open("w") as full:
        written = subprocess.run(
            [*WEBDOJO, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert written.returncode == 2
    assert written.stderr.count("\n") == 1
    assert "the disk is full" in written.stderr


def test_a_reader_that_leaves_is_no_error() -> None:
    with subprocess.Popen(
        [*WEBDOJO, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_being_stopped_ends_with_130_and_leaves_no_browser(stop: signal.Signals) -> None:
    process = subprocess.Popen(
        [*WEBDOJO, "doctor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    browsers = _wait_for_browsers(psutil.Process(process.pid))
    process.send_signal(stop)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "webdojo: interrupted.\n"
    _, alive = psutil.wait_procs(browsers, timeout=60)
    assert not alive


def _wait_for_browsers(parent: psutil.Process) -> list[psutil.Process]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(psutil.NoSuchProcess):  # one ends while it is looked at
            browsers = [p for p in parent.children(recursive=True) if "chrom" in p.name()]
            if browsers:
                return browsers
        time.sleep(0.01)
    raise AssertionError("no browser was started")


def test_doctor_finds_this_machine_fit_and_says_so_to_programs() -> None:
    done = run("doctor", "--json")
    report = json.loads(done.stdout)
    checks = {check["name"]: check for check in report["checks"]}
    assert done.returncode == 0
    assert report["fit"] is True
    assert "page and screenshot" in checks["chromium"]["detail"]
    assert {"python", "core packages", "extra train", "memory", "disk", "cores", "gpu"} <= set(
        checks
    )


def test_doctor_says_of_each_extra_what_it_is_for_and_whether_it_is_there() -> None:
    declared = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert set(EXTRAS) == set(declared["project"]["optional-dependencies"])
    extras = {found.name: found.detail for found in check_packages()}
    train = extras["extra train"]
    assert train.startswith("to train policies and to run them; installed: ")
    assert "torch" in train
    assert all("installed: " in detail for detail in extras.values())


def test_doctor_shows_a_table_to_people() -> None:
    done = run("doctor")
    assert done.returncode == 0
    assert done.stdout.rstrip().endswith("This machine is fit for WebDojo.")


@pytest.mark.parametrize(
    ("chromium", "reason"), [("/no/such/browser", "no such file"), ("/bin/true", "does not start")]
)
def test_doctor_tells_what_is_wrong_with_chromium(chromium: str, reason: str) -> None:
    done = run("doctor", "--json", environment={"WEBDOJO_CHROMIUM": chromium})
    report = json.loads(done.stdout)
    (failed,) = [check for check in report["checks"] if check["status"] == "fail"]
    assert done.returncode == 2
    assert report["fit"] is False
    assert failed["name"] == "chromium"
    assert chromium in failed["detail"]
    assert reason in failed["detail"]


OWN_TASK = """
from webdojo.tasks import Outcome, Task

class Buy(Task):
    \"\"\"Buy a mug.\"\"\"
    id = "my-shop.buy"
    difficulty = "hard"
    horizon = 30

    async def setup(self, page, seed):
        return "Buy a mug."

    async def evaluate(self, page, answer):
        return Outcome(0.0, done=False)
"""


def test_tasks_list_names_every_task_to_people_and_programs() -> None:
    listed = json.loads(run("tasks", "list", "--suite", "miniwob", "--json").stdout)
    assert "miniwob.click-button" in {task["id"] for task in listed}
    assert {task["suite"] for task in listed} == {"miniwob"}
    shown = run("tasks", "list", "--suite", "miniwob")
    assert shown.returncode == 0
    assert f"{len(listed)} tasks in 1 suite" in shown.stdout
    assert {task["id"] for task in listed} <= set(shown.stdout.split())


def test_tasks_of_ones_own_are_listed_and_shown(tmp_path: Path) -> None:
    file = tmp_path / "my_tasks.py"
    file.write_text(OWN_TASK)
    listed = run("tasks", "list", "--tasks", str(file), "--difficulty", "hard", "--json")
    assert "my-shop.buy" in {task["id"] for task in json.loads(listed.stdout)}
    shown = run("tasks", "show", "my-shop.buy", "--tasks", str(file))
    assert "Buy a mug." in shown.stdout
    assert str(file) in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "miniwob.click-buton"], "did you mean miniwob.click-button"),
        (["show", "nowhere.at-all"], "there is no suite 'nowhere'"),
        (["list", "--suite", "nowhere"], "no suite 'nowhere'"),
        (["list", "--difficulty", "fiendish"], "choose from easy, medium, hard"),
        (["list", "--tasks", "no_such_file.py"], "no_such_file.py: no such file"),
    ],
)
def test_tasks_refuse_what_is_not_there_in_one_sentence(
    arguments: list[str], sentence: str
) -> None:
    done = run("tasks", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr


@pytest.mark.slow
def test_an_evaluation_on_a_manifest_of_one_s_own_is_headed_by_its_file(tmp_path: Path) -> None:
    manifest = tmp_path / "held.toml"
    manifest.write_text(
        'name = "held"\nversion = 1\nseeds = [1_000_000_000, 1_000_000_009]\n'
        'tasks = ["miniwob.click-test"]\n'
    )
    done = run("eval", "--agent", "oracle", "--split", str(manifest), "--episodes", "1", "--json")
    found = json.loads(done.stdout)
    assert (found["split"], found["defined_by"]) == ("held", str(manifest))
