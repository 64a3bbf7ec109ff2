"""The prompts that people may replace: files in ``agents/prompts/``, or in a folder of their own.

``WEBDOJO_PROMPTS`` names a folder whose files of the same names are taken instead.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from string import Formatter

from webdojo.tasks.errors import UserError

STYLES = {
    "chat": "vanilla",
    "chat-progress": "progress",
    "chat-memory": "memory",
    "chat-compressive": "compressive",
}
"""Layouts and their files in ``agents/prompts/``."""
PROMPTS = "WEBDOJO_PROMPTS"
_OWN = Path(__file__).parents[1] / "prompts"


def read_prompt(name: str, filled_in: Mapping[str, str], required: Sequence[str] = ()) -> str:
    """The prompt of that name, with ``{place}`` filled in.

    Raises UserError if the folder named is none, or holds something of another name; or if the file
    cannot be read, lacks a ``required`` place, or has anything else in braces.
    """
    path = _find(name)
    try:
        parts = list(Formatter().parse(_read(path)))
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error), filled_in) from None
    text = ""
    found = set()
    for literal, place, shape, conversion in parts:
        text += literal
        if place is None:
            continue
        if place not in filled_in or shape or conversion:
            raise _unreadable(path, f"{{{place}}} stands for nothing", filled_in)
        found.add(place)
        text += filled_in[place]
    for place in required:
        if place not in found:
            raise _unreadable(path, f"{{{place}}} is missing", filled_in)
    return text


def read_prompt_file(name: str) -> str:
    """The file of a prompt as it is; UserError if it cannot be read."""
    path = _find(name)
    try:
        return _read(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a prompt ({error})") from None


def _find(name: str) -> Path:
    """Where a prompt lies: in the folder of the user's own, or else among WebDojo's."""
    folder = Path(os.environ.get(PROMPTS) or _OWN)
    if not folder.is_dir():
        raise UserError(
            f"{PROMPTS} names {folder}, which is no folder: give one that holds prompts"
        )
    if folder != _OWN:
        _check_names(folder)
    replaced = folder / f"{name}.md"
    return replaced if os.path.lexists(replaced) else _OWN / f"{name}.md"


def _read(path: Path) -> str:
    # Some editors begin a file with a byte-order mark.
    return path.read_text(encoding="utf-8-sig")


def _check_names(folder: Path) -> None:
    """Raise UserError if a folder of prompts holds what replaces none of them, as a typo would."""
    known = sorted(path.name for path in _OWN.glob("*.md"))
    try:
        found = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise UserError(f"{PROMPTS} names {folder}, which cannot be read: {error}") from None
    for name in found:
        if name in known or name.startswith((".", "README")) or name.endswith("~"):
            continue
        stem = name.partition(".")[0]
        near = [STYLES[stem] + ".md"] if stem in STYLES else get_close_matches(name, known, n=1)
        told = f"did you mean {near[0]}?" if near else f"prompts are {', '.join(known)}"
        raise UserError(f"{folder / name} replaces no prompt: {told}")


def _unreadable(path: Path, reason: str, filled_in: Mapping[str, str]) -> UserError:
    places = " and ".join(f"{{{place}}}" for place in filled_in) or "no braces"
    return UserError(
        f"{path} cannot be read as a prompt ({reason}): write {places} for what is filled in,"
        " and double every other brace"
    )
