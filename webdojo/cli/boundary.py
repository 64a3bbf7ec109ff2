"""Where every error ends: one clear sentence on stderr, and an exit status."""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import NoReturn

from webdojo.tasks.errors import UserError
from webdojo.tasks.extras import install_command

DEFECT = 1
USER_ERROR = 2
INTERRUPTED = 130

run_folder: ContextVar[Path | None] = ContextVar("run_folder", default=None)
"""Set by a command that writes a run; a defect's traceback is then kept there."""

_WAYS_OUT = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EROFS: "the disk is read-only; run from a folder that can be written",
    errno.EACCES: "permission denied; change its permissions or choose another place",
    errno.ENAMETOOLONG: "no file has so long a name; give a shorter one",
}


def guarded(command: Callable[[], object]) -> NoReturn:
    """Run ``command`` and exit: 0 done, 1 a defect, 2 something the user can mend, 130 Ctrl-C.

    Usage errors are reported, also with status 2, by typer itself. SIGTERM, which is how containers
    and batch systems stop a program, stops it as Ctrl-C does.
    """
    interruption = _Interruption()
    try:
        command()
    except UserError as error:
        _stop(str(error), USER_ERROR)
    except KeyboardInterrupt:
        _stop("interrupted", INTERRUPTED)
    except SystemExit as stop:
        if _from_ctrl_c(stop):
            _stop("interrupted", INTERRUPTED)
        if isinstance(stop.__context__, BrokenPipeError):
            sys.exit(0)  # whoever read the output has had enough
        raise
    except ModuleNotFoundError as error:
        extra = _extra_of(error.name or "")
        if extra is None:
            _defect(error)
        advice = f"run `{install_command(extra)}`"
        _stop(f"this command needs {error.name}, which is not installed; {advice}", USER_ERROR)
    except OSError as error:
        if error.errno not in _WAYS_OUT:
            _defect(error)
        if error.filename is None:
            _drop_output()
        place = error.filename or "output"
        _stop(f"{place}: {_WAYS_OUT[error.errno]}", USER_ERROR)
    except Exception as error:  # noqa: BLE001  # the boundary: whatever is left is a defect
        if interruption.came:  # libraries wrap the interruption in errors of their own
            _stop("interrupted", INTERRUPTED)
        _defect(error)
    sys.exit(0)


class _Interruption:
    """Ctrl-C and SIGTERM raise KeyboardInterrupt, and it is remembered that one came."""

    def __init__(self) -> None:
        self.came = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        signal.default_int_handler(number, frame)


def _stop(sentence: str, status: int) -> NoReturn:
    end = "" if sentence.endswith("?") else "."
    print(f"webdojo: {sentence.rstrip('.')}{end}", file=sys.stderr)
    sys.exit(status)


def _drop_output() -> None:
    """Send the rest of stdout nowhere; Python would fail on it again when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _from_ctrl_c(stop: SystemExit) -> bool:
    """Whether typer made this exit out of a Ctrl-C that no command answered."""
    cause = stop.__context__
    return cause is not None and isinstance(cause.__cause__, KeyboardInterrupt)


def _extra_of(module: str) -> str | None:
    """The extra of WebDojo that brings a module, if it is one of an extra's own packages."""
    name = module.split(".", 1)[0].replace("_", "-")
    if name == "webdojo":  # an extra that takes another in names the package itself
        return None
    try:
        requirements = metadata.requires("webdojo") or []
    except metadata.PackageNotFoundError:
        return None
    for line in requirements:
        requirement, _, marker = line.partition(";")
        if re.split(r"[^\w-]", requirement)[0] == name and "extra ==" in marker:
            return marker.split("==", 1)[1].strip(" \"'")
    return None


def _defect(error: Exception) -> NoReturn:
    """Say that WebDojo is at fault, and where the traceback lies."""
    text = "".join(traceback.format_exception(error))
    if os.environ.get("WEBDOJO_TRACEBACK") == "1":
        print(text, file=sys.stderr, end="")
        where = "the traceback is above"
    else:
        where = f"the traceback is in {_keep(text)}"
    first = (str(error).splitlines() or [""])[0]
    _stop(f"a defect in WebDojo: {type(error).__name__}: {first} — {where}", DEFECT)


def _keep(text: str) -> Path:
    """Write a traceback into the run's folder, or where temporary files go."""
    folder = run_folder.get()
    name = f"traceback-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.txt"
    for place in (folder, Path(tempfile.gettempdir())):
        if place is None:
            continue
        try:
            (place / name).write_text(text, encoding="utf-8")
        except OSError:
            continue
        return place / name
    return Path("nowhere: no folder could be written")
