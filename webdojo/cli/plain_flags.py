"""Help in which flags stand as they are typed, without a type behind them."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


class PlainCommand(TyperCommand):
    """A command whose flags are shown plainly."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, ``--help`` too."""
        return _plain(super().get_params(ctx))


class PlainGroup(TyperGroup):
    """A group of commands whose own flags are shown plainly."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, ``--help`` too."""
        return _plain(super().get_params(ctx))


def show_flags_plainly(app: typer.Typer) -> None:
    """Have an application, its commands and the groups in it show flags plainly."""
    app.info.cls = PlainGroup
    for command in app.registered_commands:
        if command.cls is TyperCommand:
            command.cls = PlainCommand
    for group in app.registered_groups:
        if group.typer_instance is not None:
            show_flags_plainly(group.typer_instance)


def _plain(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""
    return params
