"""``webdojo settings``: what a configuration may hold."""

from __future__ import annotations

import json as json_format
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from webdojo.training.settings_reference import Setting

EXAMPLE = (
    "Example: webdojo settings rollout\n\n"
    "Then: webdojo train quickstart --set rollout.staleness=0 --dry-run"
)
WIDEST = 100
"""Characters of a line, on however wide a terminal."""


def settings(
    section: Annotated[
        str | None,
        typer.Argument(
            metavar="SECTION",
            help="A section (policy, rollout, learner.lora, …) or a key; all if left out.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Show the settings of a training run: what each takes, its default, and what it means."""
    from webdojo.training.config import TrainConfig
    from webdojo.training.settings_reference import sections_of, settings_of

    every = list(settings_of(TrainConfig))
    chosen = every if section is None else list(_of(section, every))
    if json:
        typer.echo(json_format.dumps([_facts(each) for each in chosen], indent=2))
        return
    about = sections_of(TrainConfig)
    for name in dict.fromkeys(each.section for each in chosen):
        typer.secho(name, bold=True, nl=False)
        typer.echo(f": {about[name]}\n")
        for each in chosen:
            if each.section == name:
                _show(each)


def _of(section: str, every: list[Setting]) -> Iterable[Setting]:
    from difflib import get_close_matches

    from webdojo.tasks.errors import UserError

    found = [
        each
        for each in every
        if section in {each.section, each.key} or each.key.startswith(f"{section}.")
    ]
    if found:
        return found
    sections = list(dict.fromkeys(each.section for each in every))
    keys = {each.key.rpartition(".")[2]: each.key for each in reversed(every)}
    names = [*sections, *(each.key for each in every), *keys]
    near = get_close_matches(section, names, n=1)
    hint = f"the nearest is {keys.get(near[0], near[0])!r}; " if near else ""
    raise UserError(f"no section or key {section!r}: {hint}sections are {', '.join(sections)}")


def _facts(setting: Setting) -> dict[str, object]:
    from dataclasses import asdict

    return {"section": setting.section, **asdict(setting)}


def _show(setting: Setting) -> None:
    from webdojo.training.settings_reference import LEFT_OUT

    given = setting.default != LEFT_OUT
    typer.secho(f"  {setting.key}", bold=True, nl=False)
    typer.echo(f" = {setting.default}" if given else f" ({LEFT_OUT})")
    _tell(f"Of {setting.kind}. {setting.meaning}" if setting.kind else setting.meaning)
    _tell(f"Takes {setting.takes}.")
    for kind, meaning in setting.kinds.items():
        _tell(f"- {kind}: {meaning}")
    typer.echo()


def _tell(paragraph: str) -> None:
    import shutil
    import textwrap

    width = min(shutil.get_terminal_size().columns, WIDEST)
    indent = " " * 6
    typer.echo(
        textwrap.fill(
            paragraph.replace("`", ""),
            width,
            initial_indent=indent,
            subsequent_indent=indent + "  " * paragraph.startswith("- "),
            break_long_words=False,
            break_on_hyphens=False,
        )
    )
