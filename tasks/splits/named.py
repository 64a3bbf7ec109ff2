"""Splits by name: one manifest a split, in this folder, or in a file of one's own.

    name = "miniwob-test"
    version = 1
    seeds = [1_000_000_000, 2_000_000_000]
    tasks = ["miniwob.click-button", …]
    sha256 = "…"

A held-out manifest also says what is new in it, and to whom has trained on what:

    new = "groups"                 # or "seeds" (the default), "tasks", "sites", "difficulty"
    against = ["miniwob-train"]
    known_overlap = "…"            # what is alike on both sides all the same, for people

``sha256`` is the split's content hash: who changes a published split must see it, and give the
manifest a new version. A split of one's own may leave it out.
"""

from __future__ import annotations

import os
import tomllib
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, get_args

from webdojo.tasks.errors import UserError
from webdojo.tasks.splits.split import New, Split
from webdojo.tasks.toml_kinds import another_kind

FOLDER = Path(__file__).parent
_FIELDS: dict[str, tuple[type, str]] = {
    "name": (str, "a text"),
    "version": (int, "a whole number"),
    "seeds": (list, "[first, end)"),
    "tasks": (list, "a list of task ids"),
}
_OPTIONAL = {"new": "seeds", "against": [], "known_overlap": "", "sha256": ""}


def split_names() -> tuple[str, ...]:
    """Names of the splits that come with WebDojo."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def get_split(name: str) -> Split:
    """The split of that name, or of that manifest if ``name`` ends in ``.toml``.

    ``name@2`` asks for version 2. Raises UserError naming the nearest split if there is none.
    """
    if name.endswith(".toml"):
        return load_split(name)
    bare, _, version = name.partition("@")
    if bare not in split_names():
        near = get_close_matches(bare, split_names(), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(split_names())}"
        if Path(f"{bare}.toml").is_file():
            hint = f"a manifest of your own is named by its file: {bare}.toml"
        raise UserError(f"no split {bare!r}; {hint}")
    split = _built_in(bare)
    if version and version != str(split.version):
        raise UserError(
            f"split {bare!r} is at version {split.version}, not {version}; leave out @{version}"
        )
    return split


def load_split(path: str | os.PathLike[str]) -> Split:
    """Read a manifest; raises UserError naming the file, the field and the fix."""
    file = Path(path)
    try:
        fields = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{file}: no such file; give the path of a split's manifest") from None
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: not TOML: {error}") from None
    if other := another_kind(fields, "split", file):
        raise UserError(other)
    split = _split(file, fields)
    stated = fields.get("sha256", split.content_hash)
    if stated != split.content_hash:
        raise UserError(
            f"{file}: sha256 is {stated}, its content's is {split.content_hash};"
            " a changed split needs a new version and this hash"
        )
    return split


@cache
def _built_in(name: str) -> Split:
    return load_split(FOLDER / f"{name}.toml")


def _split(file: Path, fields: dict[str, Any]) -> Split:
    unknown = sorted(fields.keys() - _FIELDS.keys() - _OPTIONAL.keys())
    if unknown:
        known = ", ".join([*_FIELDS, *_OPTIONAL])
        raise UserError(f"{file}: unknown field {unknown[0]!r}; known: {known}")
    for field, (kind, words) in _FIELDS.items():
        if field not in fields:
            raise UserError(f"{file}: field {field!r} is missing; it must be {words}")
        if type(fields[field]) is not kind:
            raise UserError(f"{file}: {field} must be {words}; it is {fields[field]!r}")
    seeds, tasks = fields["seeds"], fields["tasks"]
    if len(seeds) != 2 or any(type(seed) is not int for seed in seeds):
        raise UserError(f"{file}: seeds must be [first, end); it is {seeds!r}")
    if any(type(task_id) is not str for task_id in tasks):
        raise UserError(f"{file}: tasks must be a list of task ids")
    new, against = (fields.get(name, _OPTIONAL[name]) for name in ("new", "against"))
    if new not in get_args(New):
        raise UserError(f"{file}: new must be one of {', '.join(get_args(New))}; it is {new!r}")
    if not isinstance(against, list) or any(type(name) is not str for name in against):
        raise UserError(f"{file}: against must be a list of names of splits; it is {against!r}")
    overlap = fields.get("known_overlap", "")
    if not isinstance(overlap, str):
        raise UserError(f"{file}: known_overlap must be a text; it is {overlap!r}")
    try:
        return Split(
            fields["name"],
            fields["version"],
            tuple(tasks),
            range(*seeds),
            new,
            tuple(against),
            overlap,
        )
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
