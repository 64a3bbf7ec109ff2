"""Certificates: what a certification found out about a suite, kept beside it.

A certificate is one JSON file a suite, ``miniwob.certificate.json`` for ``miniwob``. It tells the
outcome of every episode, so that a check can be held to it instance by instance. Time is left out:
it says more about the machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from webdojo.envs.certification.report import TaskReport
from webdojo.tasks.errors import UserError

NAME = "{suite}.certificate.json"
EXACT = ("oracle_targets_kept",)
"""Figures that every check finds the same, however little is played."""


def certificate_path(folder: Path, suite: str) -> Path:
    """Where the certificate of a suite lies whose tasks are written down in ``folder``."""
    return folder / NAME.format(suite=suite)


def read_certificate(path: Path) -> dict[str, dict[str, Any]]:
    """Figures by task id; empty if there is no certificate. Raises UserError if it is damaged."""
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"))["tasks"]
        return {task["id"]: task for task in tasks}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not a certificate: {error}; delete it and write it anew"
        ) from None


def write_certificate(path: Path, reports: Iterable[TaskReport], keep: Iterable[str]) -> None:
    """Write what was found; of what stood there before, only the tasks in ``keep`` stay."""
    kept = set(keep)
    entries = {key: value for key, value in read_certificate(path).items() if key in kept}
    for found in reports:
        entries[found.id] = entry(found)
    rows = ",\n".join("  " + json.dumps(entries[key]) for key in sorted(entries))
    path.write_text('{"tasks": [\n' + rows + "\n]}\n", encoding="utf-8")


def entry(found: TaskReport) -> dict[str, Any]:
    """One task as a certificate holds it."""
    figures = found.to_json()
    del figures["seconds"]
    return figures | {
        "seeds": found.seeds,
        "goals": found.goals,
        "outcomes": dict(found.outcomes),
        "problems": list(found.problems),
        "excuses": list(found.excuses),
        "notes": list(found.notes),
    }


def differences(certified: Mapping[str, Any], found: TaskReport) -> list[str]:
    """Where a check does not find what a task's certificate says, for people; empty if nowhere.

    Instance by instance, for those that both played: an episode that the same seed decides has no
    chance in it, and so none is allowed for. Where a task says of itself that there is, by a
    caveat, what its oracle solves must still be the same.
    """
    now = entry(found)
    by_chance = "deterministic" in dict(found.caveats)
    wrong = [
        f"{found.id}: {name} is {now[name]}, certified {certified[name]}"
        for name in EXACT
        if now[name] != certified[name]
    ]
    if "outcomes" not in certified:
        wrong.append(f"{found.id}: its certificate tells no outcomes: write it anew")
    for way, before in certified.get("outcomes", {}).items():
        outcomes = now["outcomes"][way]
        pairs = enumerate(zip(outcomes, before, strict=False))
        others = ", ".join(str(number) for number, (one, other) in pairs if one != other)
        if others and not (by_chance and way != "oracle"):
            wrong.append(f"{found.id}: {way} is {outcomes}, certified {before}: instance {others}")
    return wrong + [f"{found.id}: {problem}" for problem in now["problems"]]
