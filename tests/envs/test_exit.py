"""What a program leaves behind that ends without closing its environment: nothing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from webdojo.envs.browser import Chromium
from webdojo.tasks.folders import folder_kind

BEGINS = """
import os, signal, sys
import gymnasium
from webdojo.tasks.files import load_tasks_file

load_tasks_file(sys.argv[1])
env = gymnasium.make("webdojo/my-files.get-v0")
env.reset(seed=1)
(path,) = env.step('click("1")')[4]["downloads"]
"""
ENDS = """
child = os.fork()
if not child:
    sys.exit()  # in an orderly way, which is none of its parent's business
os.waitpid(child, 0)
print(path, os.path.exists(path))
"""
KILLED = """
print(path, os.path.exists(path), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
HAS_PROC = Path("/proc/self/ns/pid").exists()
TASK = """
from pathlib import Path
from webdojo.tasks.task import Outcome, Task

class Get(Task):
    id = "my-files.get"

    async def setup(self, page, seed):
        await page.goto((Path(__file__).parent / "page.html").as_uri())
        return "Get the file."

    async def evaluate(self, page, answer):
        return Outcome(0.0, done=False)
"""


def play(end: str, tmp_path: Path) -> tuple[Path, Path]:
    """Play in a process of its own that ends so; gives the file it got and its temporary folder."""
    (tmp_path / "page.html").write_text('<a download="a.txt" href="data:,content">Get</a>')
    (tmp_path / "my_tasks.py").write_text(textwrap.dedent(TASK))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    said = subprocess.run(
        [sys.executable, "-c", BEGINS + end, tmp_path / "my_tasks.py"],
        env={**os.environ, "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        check=end is not KILLED,
    ).stdout
    path, there = said.split()
    assert path == str(Path(path).parent / "a.txt")
    assert Path(path).is_relative_to(scratch)
    assert folder_kind(Path(path).parent) == "episode" or not HAS_PROC
    assert there == "True"
    return Path(path), scratch


def test_an_environment_that_nobody_closes_leaves_no_files(tmp_path: Path) -> None:
    _, scratch = play(ENDS, tmp_path)
    assert [*scratch.iterdir()] == []


@pytest.mark.slow
@pytest.mark.skipif(not HAS_PROC, reason="no /proc here")
def test_what_a_killed_program_leaves_is_removed_by_the_next(tmp_path: Path, monkeypatch) -> None:
    left, scratch = play(KILLED, tmp_path)
    other = scratch / "webdojo-episode-of-somebody"
    other.mkdir()
    assert left.read_text() == "content"
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))

    async def launch() -> None:
        async with Chromium() as chromium:
            await chromium.process_id()

    asyncio.run(launch())
    assert not left.parent.exists()
    assert other.exists()
