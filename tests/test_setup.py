"""What ``make``, continuous integration and the images run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parent.parent
DOCKERFILE = ROOT / "docker" / "Dockerfile"


def copy_sources(folder: Path) -> Path:
    """The project as git would check it out, with what has not been committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, os.fsdecode(listed.stdout).split("\0")):
        source = ROOT / name
        if source.is_symlink() or source.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name, follow_symlinks=False)
    return folder


def set_up(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    return subprocess.run(
        [folder / "scripts" / "setup"],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def old_python(folder: Path) -> Path:
    """A stand-in for a Python 3.9: it answers as one would."""
    program = folder / "python3"
    program.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.1 || echo False\n')
    program.chmod(0o755)
    return program


def path_without_python(folder: Path) -> str:
    folder.mkdir()
    for name in ("bash", "env", "dirname", "mkdir", "cat", "cksum", "rm", "flock", "head", "grep"):
        program = shutil.which(name)
        if program is not None:
            (folder / name).symlink_to(program)
    return str(folder)


def test_a_machine_without_python_is_told_so(tmp_path: Path) -> None:
    sources = copy_sources(tmp_path / "project")
    done = set_up(sources, PATH=path_without_python(tmp_path / "bin"))
    assert done.returncode == 2
    assert "needs Python 3.11 or newer, but there is no Python on PATH" in done.stderr
    assert not (sources / ".venv").exists()


def test_a_python_that_is_too_old_is_named(tmp_path: Path) -> None:
    sources = copy_sources(tmp_path / "project")
    path = path_without_python(tmp_path / "bin")
    old_python(tmp_path / "bin")
    done = set_up(sources, PATH=path)
    assert done.returncode == 2
    assert "python3 on PATH is Python 3.9.1" in done.stderr
    done = set_up(sources, WEBDOJO_PYTHON=str(tmp_path / "bin" / "python3"))
    assert done.returncode == 2
    assert "is Python 3.9.1; WebDojo needs Python 3.11 or newer" in done.stderr
    assert not (sources / ".venv").exists()


def test_a_python_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = set_up(copy_sources(tmp_path / "project"), WEBDOJO_PYTHON="/no/such/python")
    assert done.returncode == 2
    assert "WEBDOJO_PYTHON=/no/such/python: no such program" in done.stderr


def test_continuous_integration_runs_what_a_person_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().rstrip().endswith("exec make test")


def test_every_target_sets_the_machine_up_first() -> None:
    for target in ("train", "test", "test-all", "bench", "lint"):
        shown = subprocess.run(
            ["make", "--no-print-directory", "--dry-run", target],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert shown.stdout.splitlines()[0] == "scripts/setup"


@dataclass
class Stage:
    """One stage of the Dockerfile."""

    base: str
    environment: dict[str, str] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)


def stages() -> dict[str, Stage]:
    found: dict[str, Stage] = {}
    stage = Stage("")
    for line in DOCKERFILE.read_text().replace("\\\n", " ").splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stage = found[name] = Stage(base)
        elif word == "RUN":
            stage.runs.append(rest)
        elif word == "ENV":
            stage.environment.update(re.findall(r'(\w+)="?([^"\s]*)"?', rest))
    return found


def test_images_start_from_pinned_bases_and_run_only_our_scripts() -> None:
    found = stages()
    assert {"environment", "trainer"} <= set(found)
    for stage in found.values():
        assert stage.base in found or re.fullmatch(r"[a-z]+:\d+\.\d+\.\d+-[a-z-]+", stage.base)
        for line in stage.runs:
            assert os.access(ROOT / line.split()[0], os.X_OK), line


def test_compose_builds_stages_that_exist() -> None:
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    assert services
    for service in services.values():
        build = service["build"]
        folder = ROOT / "docker" / build["context"]
        assert (folder / build["dockerfile"]).resolve() == DOCKERFILE
        assert build["target"] in stages()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("target", ["environment", "trainer"])
def test_the_steps_of_an_image_make_a_fit_machine(target: str, tmp_path: Path) -> None:
    """The RUN lines in a fresh checkout: no Docker engine is needed to know that they work."""
    sources = copy_sources(tmp_path / "project")
    stage = stages()[target]
    environment = {**os.environ, **stage.environment}
    assert stage.runs
    for line in stage.runs:
        subprocess.run(["bash", "-c", line], cwd=sources, env=environment, check=True)
    again = set_up(sources, **stage.environment)
    assert again.stdout == "setup: nothing to do: .venv is up to date\n"
    python = sources / ".venv" / "bin" / "python"
    torch = subprocess.run([python, "-c", "import torch"], capture_output=True, check=False)
    assert (torch.returncode == 0) == (target == "trainer")
    if target == "environment":
        command = json.loads(DOCKERFILE.read_text().split("CMD ")[1].splitlines()[0])
        program = sources / ".venv" / "bin" / command[0]
        served = subprocess.run(
            [program, *command[1:]], capture_output=True, text=True, check=False
        )
        assert served.returncode == 2
        assert "so a key is needed: set WEBDOJO_API_KEY" in served.stderr
