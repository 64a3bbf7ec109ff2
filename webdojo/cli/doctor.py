"""``webdojo doctor``: whether this machine is fit to train on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from webdojo.doctor import Finding

EXAMPLE = "Example: webdojo doctor --json"
_COLOURS = {"ok": "green", "note": "yellow", "fail": "red"}


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Write one JSON object.")] = False,
) -> None:
    """Check Python, packages, Chromium, memory, disk, cores and GPU.

    Chromium is started for real: it renders a page and takes a screenshot.
    Exit status: 0 if nothing stands in the way, 2 if something must be mended first.
    """
    from webdojo.doctor import examine

    findings = list(examine(Path.cwd()))
    fit = all(finding.status != "fail" for finding in findings)
    if json:
        _print_json(findings, fit)
    else:
        _print_table(findings, fit)
    raise typer.Exit(0 if fit else 2)


def _print_json(findings: list[Finding], fit: bool) -> None:
    import json
    from dataclasses import asdict

    from webdojo import __version__

    report = {"version": __version__, "fit": fit, "checks": [asdict(f) for f in findings]}
    typer.echo(json.dumps(report, indent=2))


def _print_table(findings: list[Finding], fit: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("check", "status", "found"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        status = Text(finding.status, style=_COLOURS[finding.status])
        found = Text(finding.detail)
        if finding.remedy:
            found.append(f"\n→ {finding.remedy}", style="bold")
        table.add_row(finding.name, status, found)
    console = Console()
    console.print(table)
    verdict = "This machine is fit for WebDojo."
    if not fit:
        failed = ", ".join(f.name for f in findings if f.status == "fail")
        verdict = f"This machine is not fit yet: mend {failed}."
    console.print(verdict)
