"""``webdojo bench``: measure a part of WebDojo beside what its users have today."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from webdojo.cli.plain_flags import PlainCommand
from webdojo.tasks.errors import UserError

EXAMPLE = (
    "Example: webdojo bench env --json\n\nOr, for the options of one: webdojo bench env --help"
)
PARTS = (
    *("env", "screenshots", "soak", "prune", "pool", "learner", "throughput", "controls"),
    "normalizers",
)
FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
"""Part of a source checkout, not of the installed package."""


class BenchCommand(PlainCommand):
    """Leaves ``--help`` behind a benchmark's name to that benchmark."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command's own arguments; what is left goes on."""
        if args and not args[0].startswith("-"):
            ctx.help_option_names = []
        return super().parse_args(ctx, args)


context_settings = {"ignore_unknown_options": True, "allow_extra_args": True}


def bench(
    context: typer.Context,
    part: Annotated[str, typer.Argument(metavar="PART", help=f"One of {', '.join(PARTS)}.")],
    json: Annotated[bool, typer.Option("--json", help="Write one JSON object.")] = False,
) -> None:
    """Run benchmarks/PART.py of a source checkout; other options go to it.

    Exits with the benchmark's own status.
    """
    known = [name for name in PARTS if (FOLDER / f"{name}.py").is_file()]
    if not known:
        raise UserError(
            f"{FOLDER}: no such folder. Benchmarks are a part of WebDojo's source, not of the "
            "package: get the source and run `make setup`, then `make bench BENCH=env` there"
        )
    if part not in known:
        raise UserError(f"no benchmark {part!r}; there are: {', '.join(known)}")
    command = [sys.executable, str(FOLDER / f"{part}.py"), *context.args]
    if json:
        command.append("--json")
    raise typer.Exit(subprocess.run(command, check=False).returncode)  # noqa: S603 - our own script
