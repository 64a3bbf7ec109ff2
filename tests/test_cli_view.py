"""``webdojo view`` as a person runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def webdojo(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "webdojo", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


def a_run(parent: Path) -> Path:
    folder = parent / "runs" / "mine"
    folder.mkdir(parents=True)
    line = {"time_s": 1.0, "phase": "reinforce", "step": 1, "reward/mean": 0.5}
    (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    return folder


def test_the_report_is_written_and_its_place_told(tmp_path: Path) -> None:
    folder = a_run(tmp_path)
    done = webdojo("view", "runs/mine", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"report: {folder / 'report.html'}\n"
    assert "50" in (folder / "report.html").read_text(encoding="utf-8")


def test_a_run_may_be_given_by_name_and_the_answer_had_as_json(tmp_path: Path) -> None:
    folder = a_run(tmp_path)
    done = webdojo("view", "mine", "--no-films", "--json", cwd=tmp_path)
    assert json.loads(done.stdout) == {"report": str(folder / "report.html")}


def test_what_is_no_run_is_one_sentence_and_status_2(tmp_path: Path) -> None:
    done = webdojo("view", "nothing-here", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "nothing-here holds no run" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_report_needs_no_torch(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from webdojo.training.report import write_report\n"
        "write_report(pathlib.Path(sys.argv[1]))\n"
        "print([name for name in ('torch', 'transformers', 'tensorboard') if name in sys.modules])"
    )
    folder = a_run(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
