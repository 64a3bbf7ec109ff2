"""What a program leaves behind that ends without closing its environment: nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

PROGRAM = """
import os, sys
import gymnasium
from webdojo.tasks.files import load_tasks_file

load_tasks_file(sys.argv[1])
env = gymnasium.make("webdojo/my-files.get-v0")
env.reset(seed=1)
(path,) = env.step('click("1")')[4]["downloads"]
child = os.fork()
if not child:
    sys.exit()  # in an orderly way, which is none of its parent's business
os.waitpid(child, 0)
print(path, os.path.exists(path))
"""
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


def test_an_environment_that_nobody_closes_leaves_no_files(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text('<a download="a.txt" href="data:,content">Get</a>')
    (tmp_path / "my_tasks.py").write_text(textwrap.dedent(TASK))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "my_tasks.py"],
        env={**os.environ, "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    path, there = said.split()
    assert path.startswith(str(scratch / "webdojo-episode-"))
    assert path.endswith("a.txt")
    assert there == "True"
    assert [*scratch.iterdir()] == []
