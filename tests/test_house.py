"""The house: rooms, the direction of imports, what the core may load, what no file may hold."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("tasks", "envs", "agents", "training")
TOP = (*ROOMS, "webdojo", "tests", "docker", "scripts")
TRAIN_ONLY = ("torch", "transformers", "accelerate", "safetensors", "tokenizers", "tensorboard")
# Spelled in two halves, so that this file does not hold what it looks for.
REGISTRY_HOSTS = [
    f"{name}.{rest}"
    for name, rest in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("docker", "io"),
        ("ghcr", "io"),
        ("quay", "io"),
        ("debian", "org"),
        ("pytorch", "org"),
        ("crates", "io"),
    )
]
MACHINE_PATH = re.compile(r"(?<![\w.}/-])/(work|root|home)/[\w.]")


def tracked() -> list[Path]:
    """Files of the project: those git knows, and new ones that it does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def sources(room: str) -> list[Path]:
    return [p for p in tracked() if p.suffix == ".py" and p.relative_to(ROOT).parts[0] == room]


def imported(path: Path) -> set[str]:
    """Every module or name that a file imports, type-checking imports among them."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def run_python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("folder", TOP)
def test_every_room_has_its_place(folder: str) -> None:
    assert any(path.relative_to(ROOT).parts[0] == folder for path in tracked())


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_seen_in_the_package_through_a_relative_link(room: str) -> None:
    link = ROOT / "webdojo" / room
    assert link.is_symlink()
    assert link.readlink() == Path("..") / room


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_one_way(room: str) -> None:
    allowed = {"webdojo.__version__"}
    allowed_rooms = {f"webdojo.{left}" for left in ROOMS[: ROOMS.index(room) + 1]}
    files = sources(room)
    assert files
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in sorted(imported(path))
        if name.split(".")[0] == "webdojo"
        and name not in allowed
        and ".".join(name.split(".")[:2]) not in allowed_rooms
    ]
    assert wrong == []


def test_rooms_are_imported_by_the_name_of_the_package() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in tracked()
        if path.suffix == ".py"
        for name in sorted(imported(path))
        if name.split(".")[0] in ROOMS or (name.startswith(".") and "tests" not in path.parts)
    ]
    assert wrong == []


def test_no_file_is_named_for_what_belongs_nowhere() -> None:
    nameless = {"utils", "util", "common", "helpers", "helper", "misc"}
    assert [p for p in tracked() if p.suffix == ".py" and p.stem in nameless] == []


@pytest.mark.parametrize("room", [*ROOMS, "webdojo"])
def test_every_module_says_what_it_is(room: str) -> None:
    silent = [p for p in sources(room) if not ast.get_docstring(ast.parse(p.read_text()))]
    assert silent == []


def test_no_file_names_a_machine_or_a_registry() -> None:
    wrong = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found = [host for host in REGISTRY_HOSTS if host in text]
        found += [match.group() for match in MACHINE_PATH.finditer(text)]
        wrong += [f"{path.relative_to(ROOT)}: {what}" for what in found]
    assert wrong == []


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = (
        "import sys; at_start = set(sys.modules); import webdojo\n"
        "print(*sorted(n for n in sys.modules.keys() - at_start"
        " if n.partition('.')[0] not in sys.stdlib_module_names and not n.startswith('_')))"
    )
    assert run_python(loaded).split() == ["webdojo", "webdojo.envs", "webdojo.envs.registration"]


def test_the_core_works_without_what_only_training_needs() -> None:
    program = (
        "import sys, pkgutil, importlib\n"
        f"sys.modules.update(dict.fromkeys({TRAIN_ONLY}))\n"
        "import webdojo.tasks, webdojo.envs, webdojo.cli, webdojo.doctor, webdojo.agents\n"
        "count = 0\n"
        "for package in (webdojo.tasks, webdojo.envs, webdojo.cli):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(module.name); count += 1\n"
        "print(count)"
    )
    assert int(run_python(program)) >= 5


def test_the_core_does_not_load_torch_where_it_is_installed() -> None:
    program = (
        "import sys, webdojo.tasks, webdojo.envs.browser, webdojo.cli, webdojo.doctor\n"
        f"print([m for m in {TRAIN_ONLY} if m in sys.modules])"
    )
    assert run_python(program) == "[]"


def test_the_core_requires_nothing_that_only_training_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    core = {re.split(r"[^\w-]", line)[0] for line in project["dependencies"]}
    assert core.isdisjoint(TRAIN_ONLY)


def test_licence_and_pages_are_there() -> None:
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    assert (ROOT / "README.md").is_file()
    assert (ROOT / "CONTRIBUTING.md").is_file()


@pytest.mark.slow
def test_a_built_wheel_holds_the_rooms_and_their_data(tmp_path: Path) -> None:
    import shutil
    import zipfile

    copy = tmp_path / "source"
    shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(".*", "build", "runs"))
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", tmp_path, copy], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    for room in ROOMS:
        for path in sources(room):
            assert f"webdojo/{path.relative_to(ROOT)}" in held
    assert {"webdojo/cli/app.py", "webdojo/py.typed", "webdojo/envs/snapshot.js"} <= held
