"""``webdojo train``: a whole run from one configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from webdojo.cli.own_tasks import TaskFiles

if TYPE_CHECKING:
    from webdojo.training.config import TrainConfig

EXAMPLE = (
    "Example: webdojo train quickstart --set seed=1\n\nThen: webdojo train --resume runs/quickstart"
)


def train(
    config: Annotated[
        str | None,
        typer.Argument(
            help="A TOML file or a preset (quickstart, cpu-text, qwen3-vl-2b-1gpu,"
            " qwen3-vl-8b-8gpu, asyncwebrl); with --tasks alone, the quick start on those tasks.",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting; may be repeated. `webdojo settings` lists them, and"
            " docs/configuration.md tells how they go together.",
        ),
    ] = None,
    tasks: TaskFiles = None,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="RUN", help="Go on with a run's folder, or its name."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the configuration, print the plan, and stop.")
    ] = False,
) -> None:
    """Train a policy: demonstrations, warm start, reinforcement; measured before and after."""
    from webdojo.cli.boundary import run_folder
    from webdojo.cli.named_run import named_run
    from webdojo.tasks.errors import UserError
    from webdojo.training.config_files import load_config, load_its_tasks, quickstart_on
    from webdojo.training.run_folder import RunFolder
    from webdojo.training.team import follow, follows

    resume = None if resume is None else named_run(resume)
    if follows():
        # Where the first process has nothing to do it does not come to lead.
        if not dry_run and (resume is None or not RunFolder.existing(resume).done("report")):
            follow()
        return
    if resume is not None:
        if config or settings or tasks:
            raise UserError("--resume takes the run's own configuration: give the run folder alone")
        if dry_run:
            folder = RunFolder.existing(resume)
            kept, place = folder.config(), str(folder.config_file)
            load_its_tasks(kept, place)
            typer.echo(_dry_run(kept, place), nl=False)
            return
        from webdojo.training.run import resume as go_on

        if resume.is_dir():
            run_folder.set(resume)
        go_on(resume)
        return
    if config is None and not tasks:
        from webdojo.training.config_files import presets

        raise UserError(
            f"which configuration? give a TOML file or a preset: {', '.join(presets())}"
        )
    if config is None:
        loaded = quickstart_on(tasks or (), settings or ())
    else:
        loaded = load_config(config, settings or (), task_files=tasks or ())
    # A preset is known by its name.
    place = config if config is not None and Path(config).is_file() else ""
    if place and settings:
        place = f"{place} with --set"
    load_its_tasks(loaded, place or f"configuration {loaded.name!r}", tasks or ())
    if dry_run:
        typer.echo(_dry_run(loaded, place), nl=False)
        return
    from webdojo.training.run import train as start

    start(loaded, on_folder=run_folder.set, place=place)


def _dry_run(config: TrainConfig, place: str) -> str:
    """The plan as comments, and below it the configuration, which can be kept as a file."""
    from webdojo.training.config_files import config_to_toml
    from webdojo.training.named_tasks import with_whole_suites
    from webdojo.training.plan import plan

    lines = plan(with_whole_suites(config, place))
    return "".join(f"# {line}\n" for line in lines) + "\n" + config_to_toml(config)
