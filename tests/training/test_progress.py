"""Progress is shown on a terminal and in plain lines, and holds nobody up."""

from __future__ import annotations

import io
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count

from rich.console import Console

from webdojo.training.progress import Progress, clock_time


class Clock:
    """A clock that the test moves, so that no test waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def plain() -> tuple[Progress, Clock, io.StringIO]:
    out, clock = io.StringIO(), Clock()
    return Progress(Console(file=out, width=60), clock), clock, out


def test_plain_lines_come_every_few_seconds_and_at_the_end() -> None:
    progress, clock, out = plain()
    with progress:
        progress.phase("reinforce", total=120, unit="updates")
        for second in range(1, 13):
            clock.now = float(second)
            progress.update(10 * second, success=0.625, episodes_per_min=1234.5)
        progress.end()
    assert out.getvalue().splitlines() == [
        "reinforce: begins",
        "reinforce: 50/120 updates, success 62%, episodes/min 1,234, 0:05, 0:07 left",
        "reinforce: 100/120 updates, success 62%, episodes/min 1,234, 0:10, 0:02 left",
        "reinforce: 120/120 updates in 0:12; success 62%, episodes/min 1,234",
    ]


def test_what_is_left_is_told_from_where_the_phase_went_on() -> None:
    progress, clock, out = plain()
    progress.phase("reinforce", total=100, unit="updates", done=60)
    clock.now = 10.0
    progress.update(80)
    assert "80/100 updates, 0:10, 0:10 left" in out.getvalue()


def test_no_more_is_left_than_the_phase_may_take() -> None:
    progress, clock, out = plain()
    progress.phase("reinforce", total=40, unit="updates", most_s=120)
    for second, done in ((6.0, 0), (12.0, 1), (60.0, 20), (66.0, 35), (126.0, 36)):
        clock.now = second
        progress.update(done)
    assert [line.split(", ")[-1] for line in out.getvalue().splitlines()[1:]] == [
        "1:54 left",
        "1:48 left",
        "1:00 left",
        "0:09 left",
        "0:00 left",
    ]


def test_a_phase_may_be_counted_in_seconds_or_not_at_all() -> None:
    progress, clock, out = plain()
    progress.phase("reinforce", total=300, unit="s")
    clock.now = 90.0
    progress.update(90)
    assert "reinforce: 1:30/5:00, 1:30, 3:30 left" in out.getvalue()
    progress.phase("report")
    progress.end("runs/quickstart/report.html")
    assert out.getvalue().splitlines()[-1] == "report: 0:00; runs/quickstart/report.html"


def test_a_phase_that_is_not_ended_ends_with_the_next() -> None:
    progress, _, out = plain()
    progress.phase("record", total=12, unit="tasks")
    progress.update(12)
    progress.phase("warm start")
    assert "record: 12/12 tasks in 0:00" in out.getvalue()


def test_text_from_a_page_cannot_steer_the_terminal() -> None:
    progress, _, out = plain()
    progress.note("goal \x1b[2J\x07[bold]shout[/bold]\nnext")
    assert out.getvalue() == "goal  [2J [bold]shout[/bold] next\n"


def test_calls_outside_of_a_phase_are_fine() -> None:
    progress, _, out = plain()
    progress.update(3, success=0.5)
    progress.end()
    progress.end("done")
    assert out.getvalue() == "done\n"


def test_an_update_writes_nothing_between_the_lines() -> None:
    class Writes(io.StringIO):
        calls = 0

        def write(self, text: str) -> int:
            self.calls += 1
            return super().write(text)

    out, clock = Writes(), Clock()
    progress = Progress(Console(file=out, width=60), clock)
    progress.phase("evaluate", total=100_000, unit="episodes")
    before = out.calls
    for done in range(100_000):
        clock.now += 1e-5
        progress.update(done, success=0.5)
    assert out.calls == before


def test_durations_are_read_as_on_a_clock() -> None:
    assert [clock_time(s) for s in (-1, 7, 59.6, 750, 3723)] == [
        "0:00",
        "0:07",
        "1:00",
        "12:30",
        "1:02:03",
    ]


PROGRAM = """
import sys, time
from webdojo.training.progress import Progress
with Progress() as progress:
    progress.phase("reinforce", total=120, unit="updates")
    progress.update(37, success=0.62, tokens_per_s=3400)
    print("a line of somebody else", flush=True)
    for line in sys.stdin:
        break
    progress.end("undemonstrated 42% to 91%")
    {then}
"""


def on_terminal(then: str, until: str) -> tuple[str, int]:
    """Output and exit status of PROGRAM on a terminal; it ends once ``until`` was seen."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    environment.pop("NO_COLOR", None)
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(then=then)],
        stdin=subprocess.PIPE,
        stdout=follower,
        stderr=follower,
        env=environment,
    )
    os.close(follower)
    seen, told = b"", False
    for piece in read_all(leader):
        seen += piece
        if not told and until.encode() in seen:
            told = True
            assert child.stdin is not None
            child.stdin.write(b"go\n")
            child.stdin.close()
    os.close(leader)
    return seen.decode(), child.wait(30)


def read_all(leader: int) -> Iterator[bytes]:
    deadline = time.monotonic() + 60
    for _ in count():
        ready, _, _ = select.select([leader], [], [], max(0, deadline - time.monotonic()))
        assert ready, "the program neither wrote nor ended"
        try:
            piece = os.read(leader, 65_536)
        except OSError:  # Linux: the other side is closed
            return
        if not piece:
            return
        yield piece


def test_a_terminal_gets_a_live_display_that_leaves_one_line() -> None:
    seen, status = on_terminal("pass", until="37/120 updates")
    assert status == 0
    assert "success 62%" in seen
    assert "tokens/s 3,400" in seen
    assert "a line of somebody else" in seen
    assert "✓" in seen
    assert "undemonstrated 42% to 91%" in seen


def test_the_cursor_is_given_back_when_the_work_fails() -> None:
    seen, status = on_terminal("raise RuntimeError('broken')", until="37/120 updates")
    assert status == 1
    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    assert seen.count(hidden) >= 1
    assert seen.rfind(shown) > seen.rfind(hidden)
    assert "RuntimeError: broken" in seen
