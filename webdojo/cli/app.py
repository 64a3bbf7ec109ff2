"""The command ``webdojo`` and its subcommands."""

from __future__ import annotations

from typing import Annotated

import typer

from webdojo import __version__
from webdojo.cli import bench, doctor, evaluate, play, serve, settings, tasks, train, view
from webdojo.cli.boundary import guarded
from webdojo.cli.plain_flags import show_flags_plainly

app = typer.Typer(
    name="webdojo",
    help="Train agents that act on web pages, in real browsers, and measure them.",
    epilog="Exit status: 0 done, 1 a check that does not hold or a defect in WebDojo,"
    " 2 something you can mend, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train", epilog=train.EXAMPLE)(train.train)
app.command("settings", epilog=settings.EXAMPLE)(settings.settings)
app.command("eval", epilog=evaluate.EXAMPLE)(evaluate.evaluate)
app.command("play", epilog=play.EXAMPLE)(play.play)
app.command("doctor", epilog=doctor.EXAMPLE)(doctor.doctor)
app.add_typer(tasks.app, name="tasks")
app.command(
    "bench",
    cls=bench.BenchCommand,
    epilog=bench.EXAMPLE,
    context_settings=bench.context_settings,
)(bench.bench)
app.command("serve", epilog=serve.EXAMPLE)(serve.serve)
app.command("view", epilog=view.EXAMPLE)(view.view)
show_flags_plainly(app)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"webdojo {__version__}")
        raise typer.Exit


@app.callback()
def webdojo(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Train agents that act on web pages, in real browsers, and measure them."""


def main() -> None:
    """Run the command line on ``sys.argv`` and exit."""
    guarded(app)
