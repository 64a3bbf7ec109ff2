"""``webdojo tasks splits``: which splits there are, and the proof that they keep apart."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from webdojo.cli.own_tasks import TaskFiles

if TYPE_CHECKING:
    from webdojo.tasks.splits import Split

FIRST = 3
"""Leaks of a kind that are named; of the others it is said how many there are."""

app = typer.Typer(help="List splits, and prove that they do not leak.", no_args_is_help=True)
Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="SPLIT|FILE", help="Which splits; our own if left out."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON object.")]


@app.command("list", epilog="Example: webdojo tasks splits list my-test.toml --json")
def list_splits(
    names: Names = None,
    tasks: TaskFiles = None,
    json: AsJson = False,
) -> None:
    """List splits: those that come with WebDojo, or manifests of one's own."""
    from webdojo.tasks.files import load_files
    from webdojo.tasks.splits import get_split, split_names

    load_files(map(str, tasks or ()))
    splits = [get_split(name) for name in names or split_names()]
    if json:
        typer.echo(json_format.dumps({"splits": [_facts(split) for split in splits]}, indent=2))
    else:
        _print_table(splits)


@app.command("check", epilog="Example: webdojo tasks splits check my-train.toml my-test.toml")
def check(
    names: Names = None,
    tasks: TaskFiles = None,
    json: AsJson = False,
) -> None:
    """Prove that no training split shares with a held-out one what the latter holds back.

    Exit status: 0 if everything holds, 1 if there is a leak.
    """
    from webdojo.tasks.files import load_files
    from webdojo.tasks.splits import check_tasks, get_split, prove, split_names

    load_files(map(str, tasks or ()))
    splits = {name: get_split(name) for name in names or split_names()}
    _check_names(splits)
    for name, split in splits.items():
        check_tasks(split, name)
    _check_sides(splits)
    proofs = prove(splits.values())
    holds = not any(proof.leaks for proof in proofs)
    if json:
        pairs = [
            {
                "train": proof.train,
                "held_out": proof.held_out,
                "holds": not proof.leaks,
                "statement": proof.statement,
                "leaks": list(proof.leaks),
                "unproven": list(proof.unproven),
            }
            for proof in proofs
        ]
        typer.echo(json_format.dumps({"holds": holds, "pairs": pairs}, indent=2))
    else:
        for proof in proofs:
            pair = f"{proof.train} and {proof.held_out} share"
            for leak in _by_kind(proof.leaks):
                typer.echo(f"LEAK  {pair} {leak}")
            if not proof.leaks:
                typer.echo(f"holds  {pair} {proof.statement}")
            for common in _by_kind(proof.unproven):
                typer.echo(f"unproven  {pair} {common}")
    if not holds:
        raise typer.Exit(1)


def _check_names(splits: Mapping[str, Split]) -> None:
    """Raise UserError if a split's name says nothing, being another's as well."""
    from webdojo.tasks.errors import UserError
    from webdojo.tasks.splits import split_names

    seen: dict[str, str] = {}
    for given, split in splits.items():
        if given.endswith(".toml") and split.name in split_names():
            raise UserError(
                f"{given}: name {split.name!r} is that of a split that comes with WebDojo, and"
                " `against` goes by name; give it a name of its own"
            )
        if split.name in seen:
            raise UserError(
                f"{seen[split.name]} and {given} are both named {split.name!r}, and `against` goes"
                " by name; rename one of them"
            )
        seen[split.name] = given


def _check_sides(splits: Mapping[str, Split]) -> None:
    """Raise UserError if there is no pair to compare, or not the one that a split speaks of."""
    from webdojo.tasks.errors import UserError
    from webdojo.tasks.splits import TRAIN_SEEDS, split_names

    trained = {split.name for split in splits.values() if split.trainable}
    held_out = {name: split for name, split in splits.items() if not split.trainable}
    given = " ".join(splits)
    for name, split in held_out.items():
        missing = [other for other in split.against if other not in trained]
        if missing:
            far = next((file for file, s in held_out.items() if s.name == missing[0]), None)
            if far is not None:
                seeds = held_out[far].seeds
                raise UserError(
                    f"{name} is held out against {missing[0]!r}, but {far} is no training split:"
                    f" its seeds are {seeds.start:,} … {seeds.stop - 1:,}; end them at"
                    f" {TRAIN_SEEDS.stop:,}, where those that are held out begin"
                )
            other = missing[0] if missing[0] in split_names() else f"{missing[0]}.toml"
            raise UserError(
                f"{name} is held out against {missing[0]!r}, which is no training split among those"
                " given; give it as well, by its name or as its manifest:"
                f" `webdojo tasks splits check {given} {other}`"
            )
    if not trained:
        raise UserError(
            f"only held-out splits are given ({', '.join(splits)}), and a proof compares each"
            " with what is trained on; give a training split as well, whose seeds lie below"
            f" 1,000,000,000: `webdojo tasks splits check {given} my-train.toml`"
        )
    if not held_out:
        raise UserError(
            f"only training splits are given ({', '.join(splits)}), and a proof compares each"
            " with what is held out; give a held-out split as well, whose seeds begin at"
            f" 1,000,000,000: `webdojo tasks splits check {given} my-test.toml`"
        )


def _by_kind(leaks: Iterable[str]) -> list[str]:
    """Leaks for people, a line a kind: the first ones, and how many there are."""
    kinds: dict[str, list[str]] = {}
    for leak in leaks:
        # "task 'a.b' (a.b)", "instances of a.b and c.d: …": the kind comes before the name.
        kinds.setdefault(leak.partition(" '")[0].partition(" of ")[0], []).append(leak)
    return [
        ", ".join(found[:FIRST])
        + (f" and {len(found) - FIRST} more ({len(found)} in all)" if found[FIRST:] else "")
        for found in kinds.values()
    ]


def _facts(split: Split) -> dict[str, object]:
    return {
        "name": split.name,
        "version": split.version,
        "trainable": split.trainable,
        "new": None if split.trainable else split.new,
        "against": list(split.against),
        "known_overlap": split.known_overlap,
        "seeds": [split.seeds.start, split.seeds.stop],
        "tasks": list(split.task_ids),
        "sha256": split.content_hash,
    }


def _print_table(splits: Iterable[Split]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("split", "v", "tasks", "content"):
        table.add_column(heading, no_wrap=True, overflow="ignore")
    listed = list(splits)
    # A name that is folded cannot be copied.
    longest = max(len(word) for split in listed for word in split.says_what_is_new().split())
    table.add_column("new in it", min_width=longest)
    for split in listed:
        table.add_row(
            split.name,
            str(split.version),
            str(len(split.task_ids)),
            split.content_hash[:12],
            split.says_what_is_new(),
        )
    # Nothing is folded where a program or a file takes the lines.
    Console(width=None if sys.stdout.isatty() else 400).print(table)
