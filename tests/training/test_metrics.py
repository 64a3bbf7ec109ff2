"""A run's metrics survive kills, and reach every logger."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from webdojo.tasks.errors import UserError
from webdojo.training.metrics import MetricsLog, check_loggers, drop_cut_line


def lines(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "metrics.jsonl").read_text()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "events"))
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_a_figure_is_in_the_file_at_once_and_in_tensorboard_at_the_end(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path)
    log.write("reinforce", 1, {"reward/mean": 0.25, "updates": 1})
    (first,) = lines(tmp_path)
    assert first.pop("time_s") > 1.7e9
    assert first == {"phase": "reinforce", "step": 1, "reward/mean": 0.25, "updates": 1}
    log.write("reinforce", 2, {"reward/mean": 0.5})
    log.close()
    log.close()
    assert scalars(tmp_path) == {
        "reinforce/reward/mean": [(1, 0.25), (2, 0.5)],
        "reinforce/updates": [(1, 1.0)],
    }
    with pytest.raises(ValueError, match="closed"):
        log.write("reinforce", 3, {})


def test_numbers_that_json_does_not_know_do_not_break_the_file(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, loggers=()) as log:
        log.write("reinforce", 1, {"loss": float("nan"), "kl": np.float32(0.5), "n": np.inf})
    (line,) = lines(tmp_path)
    assert (line["loss"], line["kl"], line["n"]) == (None, 0.5, None)
    assert not (tmp_path / "events").exists()


def test_a_line_cut_short_is_dropped_when_the_run_goes_on(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, loggers=()) as log:
        log.write("reinforce", 1, {"loss": 1.0})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"time_s": 1.0, "phase": "rei')
    with MetricsLog(tmp_path, loggers=()) as log:
        log.write("reinforce", 2, {"loss": 2.0})
    assert [line["step"] for line in lines(tmp_path)] == [1, 2]


@pytest.mark.parametrize("whole", [0, 1, 2**16 - 1, 2**16, 3 * 2**16])
@pytest.mark.parametrize("cut", [0, 1, 2**16 - 1, 2**16, 3 * 2**16])
def test_however_long_the_lines_only_the_cut_one_is_dropped(
    tmp_path: Path, whole: int, cut: int
) -> None:
    path = tmp_path / "log"
    for before in (b"", b"x" * whole + b"\n"):
        path.write_bytes(before + b"y" * cut)
        drop_cut_line(path)
        assert path.read_bytes() == before


def test_a_killed_process_leaves_every_line_it_wrote(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, signal, sys\n"
        "from webdojo.training.metrics import MetricsLog, check_loggers, drop_cut_line\n"
        "log = MetricsLog(pathlib.Path(sys.argv[1]))\n"
        "for step in range(50):\n"
        "    log.write('reinforce', step, {'loss': step / 2})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, os.fspath(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [line["step"] for line in lines(tmp_path)] == list(range(50))


def test_a_line_that_finds_no_room_leaves_no_half_of_itself(tmp_path: Path) -> None:
    program = (
        "import pathlib, resource, signal, sys\n"
        "from webdojo.training.metrics import MetricsLog\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "log = MetricsLog(folder, ())\n"
        "log.write('reinforce', 1, {})\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "_, most = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "room = (folder / 'metrics.jsonl').stat().st_size + 20\n"
        "for step, room in ((2, room), (3, room), (4, most)):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (room, most))\n"
        "    try:\n"
        "        log.write('reinforce', step, {})\n"
        "    except OSError as error:\n"
        "        print(pathlib.Path(error.filename).name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["metrics.jsonl"] * 2
    assert [line["step"] for line in lines(tmp_path)] == [1, 4]


def test_a_disk_that_is_full_for_tensorboard_is_told_with_its_folder(tmp_path: Path) -> None:
    """A thread of its own writes the file, and names none."""
    program = (
        "import pathlib, resource, signal, sys\n"
        "from webdojo.training.metrics import TensorBoardLogger\n"
        "logger = TensorBoardLogger(pathlib.Path(sys.argv[1]))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "_, most = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most))\n"
        "try:\n"
        "    for _ in range(10000):\n"
        "        logger.write(0.0, 'reinforce', 1, {'loss': 0.5})\n"
        "except OSError as error:\n"
        "    print(error.filename)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == [str(tmp_path / "events")]


def test_threads_do_not_write_into_each_other(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, loggers=()) as log:

        def write(phase: str) -> None:
            for step in range(200):
                log.write(phase, step, {"loss": 0.5})

        threads = [Thread(target=write, args=(f"phase{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    written = lines(tmp_path)
    for n in range(4):
        assert [x["step"] for x in written if x["phase"] == f"phase{n}"] == list(range(200))


def test_an_unknown_logger_is_one_sentence_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown logger 'tensorbord'; known: tensorboard"):
        MetricsLog(tmp_path / "run", loggers=("tensorbord",))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "extra"), [("tensorboard", "train"), ("trackio", "trackio"), ("wandb", "wandb")]
)
def test_a_missing_package_is_one_sentence(
    tmp_path: Path, name: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, f"{name}.summary.writer.event_file_writer", None)
    with pytest.raises(UserError, match=rf"pip install -e .*\[{extra}\]"):
        MetricsLog(tmp_path, loggers=(name,))


def test_a_missing_logger_is_told_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webdojo.training.metrics.find_spec", lambda name: None)
    with pytest.raises(UserError, match="the logger 'wandb' needs the package wandb"):
        check_loggers(["wandb"])
    check_loggers([])


class StandInService:
    """Takes the place of trackio and wandb, whose packages the tests do without."""

    def __init__(self) -> None:
        self.rows: list[Mapping[str, float]] = []
        self.started: dict[str, Any] = {}
        self.finished = 0
        self.name = self.id = ""

    def init(self, **settings: Any) -> StandInService:
        """As both do: trackio finds a run by its name, wandb by its id."""
        self.started = settings
        self.name = settings["name"] if settings.get("resume") else f"{settings['name']} (2)"
        self.id = settings.get("id") or f"id of {self.name}"
        return self

    def log(self, row: Mapping[str, float]) -> None:
        self.rows.append(row)

    def finish(self) -> None:
        self.finished += 1


@pytest.mark.parametrize("name", ["trackio", "wandb"])
def test_services_get_the_same_figures_under_their_phase(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = StandInService()
    module = SimpleNamespace(init=service.init, log=service.log, finish=service.finish)
    monkeypatch.setitem(sys.modules, name, module)
    with MetricsLog(tmp_path / "quickstart-1", loggers=(name,)) as log:
        log.write("warm_start", 7, {"loss": 0.5})
    assert (service.started["project"], service.started["name"]) == ("webdojo", "quickstart-1")
    assert service.rows == [{"warm_start/step": 7, "warm_start/loss": 0.5}]
    assert service.finished == 1


@pytest.mark.parametrize("name", ["trackio", "wandb"])
def test_a_service_that_will_not_have_the_run_is_one_sentence(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(**settings: Any) -> None:
        raise RuntimeError("api_key not configured (no-tty). Call login.\nIn two lines.")

    monkeypatch.setitem(sys.modules, name, SimpleNamespace(init=init))
    with pytest.raises(UserError) as caught:
        MetricsLog(tmp_path, loggers=(name,))
    assert str(caught.value) == (
        f"the logger '{name}' does not begin: api_key not configured (no-tty). Call login: mend"
        " that, or take it out of loggers"
    )
    assert not list(tmp_path.glob(f"{name}*"))


@pytest.mark.parametrize("name", ["trackio", "wandb"])
@pytest.mark.parametrize("method", ["log", "finish"])
def test_a_service_that_raises_is_told_of_once_and_all_else_goes_on(
    tmp_path: Path,
    name: str,
    method: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def raising(*_: object) -> None:
        raise ConnectionError("the server went away.\nIn two lines.")

    service = StandInService()
    monkeypatch.setattr(service, method, raising)
    monkeypatch.setitem(sys.modules, name, service)
    with MetricsLog(tmp_path, loggers=(name, "tensorboard")) as log:
        for step in range(3):
            log.write("reinforce", step, {"loss": 0.5})
    assert capsys.readouterr().err == (
        f"the logger '{name}' failed and gets no more figures; metrics.jsonl has them all: the"
        " server went away\n"
    )
    assert [line["step"] for line in lines(tmp_path)] == [0, 1, 2]
    assert scalars(tmp_path)["reinforce/loss"] == [(0, 0.5), (1, 0.5), (2, 0.5)]
    assert len(service.rows) == (0 if method == "log" else 3)


@pytest.mark.parametrize(
    ("name", "known_by"),
    [("trackio", {"name": "mine (2)"}), ("wandb", {"name": "mine", "id": "id of mine (2)"})],
)
def test_a_run_that_goes_on_is_the_same_at_a_service(
    tmp_path: Path, name: str, known_by: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of its folder may be another run's there: of another checkout, say."""
    service = StandInService()
    monkeypatch.setitem(sys.modules, name, service)
    MetricsLog(tmp_path / "mine", loggers=(name,)).close()
    assert "resume" not in service.started
    MetricsLog(tmp_path / "mine", loggers=(name,)).close()
    assert service.started.items() >= {"resume": "allow", **known_by}.items()
    MetricsLog(tmp_path / "yours", loggers=(name,)).close()
    assert "resume" not in service.started
