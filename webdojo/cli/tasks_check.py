"""``webdojo tasks check``: certifying tasks in real Chromium."""

from __future__ import annotations

import json as json_format
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from webdojo.cli.own_tasks import TaskFiles

if TYPE_CHECKING:
    from webdojo.envs.certification import TaskReport
    from webdojo.tasks.registry import Entry

EXAMPLE = "Example: webdojo tasks check miniwob.click-button\n\nOr: webdojo tasks check my_tasks.py"
TASK_FILES = (".py", ".toml", ".jsonl", ".json")
MOST_JOBS = 16
LEGEND = (
    "oracle, random: share of episodes that succeed. noop, wrong: share that earn anything."
    " same: two runs are identical."
    " seen: share of the oracle's targets on the pruned page. goals: different goals among the"
    " oracle's instances. steps, s: actions and seconds of one solution, on average. –: could not"
    " be measured."
)
WIDE = 120
"""Characters of a line of the table where no terminal says how many fit."""


def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID|SUITE|FILE", help="What to check; all tasks if left out."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Instances that the oracle solves.")] = 5,
    episodes: Annotated[int, typer.Option(min=0, help="Episodes of the random agent.")] = 10,
    jobs: Annotated[
        int, typer.Option(min=0, max=MOST_JOBS, help="Instances at a time; 0 suits the machine.")
    ] = 0,
    tasks: TaskFiles = None,
    write: Annotated[
        bool, typer.Option("--write", help="Keep the figures in SUITE.certificate.json.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Certify tasks: solved by their oracles, and by nothing that is no solution.

    Exit status: 0 if every task passes, 1 if one does not.
    """
    import asyncio

    from rich.console import Console

    from webdojo.envs.certification import Effort, certify
    from webdojo.training.progress import Progress

    entries = _entries(names or (), tasks or ())
    places = _certificates(entries) if write else {}
    effort = Effort(seeds=seeds, random=episodes)
    passed = 0
    finished: dict[str, TaskReport] = {}
    with Progress(Console(stderr=True)) as progress:
        progress.phase("check", total=len(entries), unit="tasks" if len(entries) != 1 else "task")

        def note(found: TaskReport) -> None:
            nonlocal passed
            finished[found.id] = found
            passed += not found.problems
            progress.update(len(finished), certified=passed)

        contexts = jobs or min(MOST_JOBS, 2 * (os.cpu_count() or 1))
        try:
            reports = asyncio.run(certify(entries, effort, contexts, note))
        except KeyboardInterrupt:
            progress.end(f"{len(finished)} of {len(entries)} were checked")
            reports = [finished[e.task.id] for e in entries if e.task.id in finished]
            _write(places, reports)
            _show(reports, as_json=json)
            raise
        progress.end(f"{passed} of {len(entries)} certified")
    _write(places, reports)
    _show(reports, as_json=json)
    if passed < len(reports):
        raise typer.Exit(1)


def _show(reports: Sequence[TaskReport], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json_format.dumps({"tasks": [found.to_json() for found in reports]}, indent=2))
    else:
        _print_table(reports)
    _print_reasons(reports, to_stderr=as_json)


def _entries(names: Sequence[str], files: Iterable[Path]) -> list[Entry]:
    from webdojo.tasks import registry
    from webdojo.tasks.errors import UserError
    from webdojo.tasks.files import load_tasks_file

    for file in files:
        load_tasks_file(file)
    wanted: list[str] = []
    for name in names:
        path = Path(name)
        is_file = path.suffix in TASK_FILES or (path.suffix != "" and path.is_file())
        wanted.extend(load_tasks_file(path) if is_file else [name])
    if names and not wanted:
        raise UserError(
            f"{', '.join(names)}: no task in it, only sites or conditions that other files use;"
            " name the file that has the tasks, and load this one with --tasks"
        )
    ids = registry.select(wanted) if wanted else registry.task_ids()
    return [registry.entry(task_id) for task_id in ids]


def _certificates(entries: Iterable[Entry]) -> dict[Path, str]:
    """Where the certificate of each suite lies, and the suite."""
    from webdojo.envs.certification.certificate import certificate_path

    found: dict[Path, str] = {}
    for entry in entries:
        suite = entry.task.id.split(".", 1)[0]
        found[certificate_path(_folder(entry), suite)] = suite
    return found


def _folder(entry: Entry) -> Path:
    """Where a task is written down."""
    import inspect

    try:
        return Path(inspect.getfile(entry.task)).parent
    except (TypeError, OSError):  # it was read from a file that is no program
        return Path(entry.source.partition(", ")[0]).parent


def _write(places: Mapping[Path, str], reports: Sequence[TaskReport]) -> None:
    """Write what was found; a certificate keeps what it has of tasks that were not checked."""
    from webdojo.envs.certification.certificate import write_certificate
    from webdojo.tasks import registry

    for place, suite in places.items():
        mine = [found for found in reports if found.id.split(".", 1)[0] == suite]
        if mine:
            write_certificate(place, mine, keep=registry.task_ids(suite))
            typer.echo(f"{place} written", err=True)


def _print_table(reports: Sequence[TaskReport]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("task", no_wrap=True)
    for heading in ("oracle", "noop", "random", "wrong", "same", "seen", "goals", "steps", "s", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for found in reports:
        table.add_row(
            found.id,
            *(
                _percent(share)
                for share in (
                    found.oracle_success,
                    found.noop_success,
                    found.random_success,
                    found.mutated_success,
                )
            ),
            {True: "yes", False: "no", None: "–"}[found.deterministic],
            _percent(found.oracle_targets_kept),
            f"{found.goals}/{found.seeds}",
            "–" if found.steps is None else f"{found.steps:.1f}",
            "–" if found.seconds is None else f"{found.seconds:.2f}",
            _verdict(found),
        )
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, WIDE)
    console.print(table)
    passed = sum(not found.problems for found in reports)
    console.print(LEGEND, style="dim", highlight=False)
    console.print(f"{passed} of {len(reports)} certified", highlight=False)


def _print_reasons(reports: Iterable[TaskReport], *, to_stderr: bool) -> None:
    for found in reports:
        for problem in found.problems:
            said = problem if _verdict(found) == "not measured" else f"fails: {problem}"
            typer.echo(f"{found.id} {said}", err=to_stderr)
        for excuse in found.excuses:
            said = "is excused:" if found.problems else "passes although"
            typer.echo(f"{found.id} {said} {excuse}", err=to_stderr)
        for note in found.notes:
            typer.echo(f"{found.id}: note: {note}", err=to_stderr)


def _verdict(found: TaskReport) -> str:
    if not found.problems:
        return "passes"
    return "fails" if found.fault or not found.lost else "not measured"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"
