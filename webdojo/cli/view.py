"""``webdojo view``: the report of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Example: webdojo view runs/quickstart --open"


def view(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its name.")],
    films: Annotated[
        bool, typer.Option("--films/--no-films", help="Replay episodes for the film strips.")
    ] = True,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Show it in this desktop's browser.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Write one JSON object.")] = False,
) -> None:
    """Write a run's report anew from what lies in its folder, and tell where it is."""
    from webdojo.cli.named_run import named_run
    from webdojo.training.report import view as view_run

    path = view_run(named_run(run), films=films, open_browser=open_browser)
    if json:
        import json as json_module

        typer.echo(json_module.dumps({"report": str(path)}))
        return
    typer.echo(f"report: {path}")
