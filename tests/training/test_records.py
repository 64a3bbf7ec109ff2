"""Trajectories on disk: whole lines or nothing, whatever cuts the writing short."""

from __future__ import annotations

import errno
import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webdojo.tasks.errors import UserError
from webdojo.training.records import TrajectoryLog, read_trajectories
from webdojo.training.rollouts.trajectory import Trajectory, Turn


def trajectory(episode_id: str, goal: str = "Press OK.") -> Trajectory:
    turn = Turn((1, 2), (3, 4), (-0.5, -1.25), (0, 1), 'click("3")', state_hash="abc")
    return Trajectory(episode_id, "test.page", 7, 2, 3, (turn, turn), 1.0, "success", goal=goal)


def write(path: Path, *trajectories: Trajectory) -> None:
    log = TrajectoryLog(path)
    for each in trajectories:
        log.append(each)
    log.close()
    log.close()


@settings(deadline=None)
@given(goal=st.text(), reward=st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, goal: str, reward: float
) -> None:
    path = tmp_path_factory.mktemp("log") / "sub" / "log.jsonl"
    written = Trajectory("a", "test.page", 1, 0, 0, (), reward, "horizon", goal=goal)
    write(path, written, trajectory("b", goal))
    assert list(read_trajectories(path)) == [written, trajectory("b", goal)]


def test_an_episode_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = TrajectoryLog(path)
    log.append(trajectory("a"))
    assert [t.episode_id for t in read_trajectories(path)] == ["a"]
    log.close()


class Token(int):
    """A token id that may not be copied."""

    def __deepcopy__(self, memo: object) -> Token:
        raise AssertionError("a token was copied on its way to the file")


def test_no_token_is_copied_on_its_way_to_the_file(tmp_path: Path) -> None:
    turn = Turn((Token(1), Token(2)), (Token(3),), (-0.5,), (0,), "", images=("a",))
    write(tmp_path / "log.jsonl", Trajectory("a", "test.page", 1, 0, 0, (turn,), 0.0, "failure"))
    (found,) = read_trajectories(tmp_path / "log.jsonl")
    line = json.dumps(asdict(found), separators=(",", ":")) + "\n"
    assert found.turns == (turn,)
    assert (tmp_path / "log.jsonl").read_text() == line


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_line_cut_by_a_kill_is_left_out_and_the_next_does_not_join_it(
    tmp_path: Path, kept: int
) -> None:
    path = tmp_path / "log.jsonl"
    write(path, trajectory("a"))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:kept])
    assert [t.episode_id for t in read_trajectories(path)] == ["a"]
    write(path, trajectory("b"))
    assert [t.episode_id for t in read_trajectories(path)] == ["a", "b"]


def test_a_missing_log_is_empty(tmp_path: Path) -> None:
    assert list(read_trajectories(tmp_path / "none.jsonl")) == []


def test_fields_of_another_version_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write(path, trajectory("a"))
    path.write_text(path.read_text().replace('"task_id"', '"new":1,"task_id"', 1))
    assert list(read_trajectories(path)) == [trajectory("a")]


@pytest.mark.parametrize(
    "line",
    [b"3", b"{}", b"\x00\xff", b'{"turns": 5}', b'{"turns": [3]}', b"[" * 9000, b""],
)
def test_a_line_that_is_no_trajectory_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "log.jsonl"
    write(path, trajectory("a"))
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(UserError, match=r"log\.jsonl, line 2, holds no trajectory"):
        list(read_trajectories(path))


def test_a_reward_that_is_no_number_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write(path, trajectory("a"))
    path.write_text(path.read_text().replace('"reward":1.0', '"reward":"1"'))
    with pytest.raises(UserError, match="line 1, holds no trajectory"):
        list(read_trajectories(path))


FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_records import *
path = Path(sys.argv[1])
write(path, trajectory("a"))
log = TrajectoryLog(path)
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size = path.stat().st_size
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, most))
for name in "bcd":  # other episodes end too before the run has stopped
    try:
        log.append(trajectory(name))
    except OSError as error:
        print(error.errno, error.filename)
print(path.stat().st_size == size)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
log.append(trajectory("e"))
log.close()
print([t.episode_id for t in read_trajectories(path)])
"""


def test_a_disk_that_stays_full_leaves_no_half_line_and_names_the_file(tmp_path: Path) -> None:
    import subprocess
    import sys

    path = tmp_path / "log.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=True,
    )
    full = f"{errno.EFBIG} {path}"
    assert done.stdout.splitlines() == [full, full, full, "True", "['a', 'e']"]
