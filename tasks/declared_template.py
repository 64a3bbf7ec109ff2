"""Texts with fields in braces, filled in by what a seed chooses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

_FIELD = re.compile(r"\{\{|\}\}|\{([a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)?)\}")


def choose(choices: Mapping[str, tuple[Any, ...]], random: Random) -> dict[str, Any]:
    """One of each name's options, in an order that does not depend on how the file was written."""
    return {name: random.choice(choices[name]) for name in sorted(choices)}


def fill_in(value: Any, chosen: Mapping[str, Any]) -> Any:
    """Replace fields in every text of a value; a text that is one field alone keeps its kind.

    ``{{`` and ``}}`` stand for braces. Only names are looked up: a field can run nothing.
    """
    if isinstance(value, str):
        alone = _FIELD.fullmatch(value)
        if alone and alone.group(1):
            return _look_up(alone.group(1), chosen)
        return _FIELD.sub(
            lambda m: str(_look_up(m.group(1), chosen)) if m.group(1) else m.group()[0], value
        )
    if isinstance(value, dict):
        return {key: fill_in(part, chosen) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [fill_in(part, chosen) for part in value]
    return value


def placeholders(value: Any) -> Iterator[str]:
    """The fields in every text of a value."""
    if isinstance(value, str):
        yield from (m.group(1) for m in _FIELD.finditer(value) if m.group(1))
    elif isinstance(value, dict):
        for part in value.values():
            yield from placeholders(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from placeholders(part)


def told_by(template: str, text: str, choices: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
    """What must have been chosen for the template to read like the text; no more than that."""
    groups: list[str] = []

    def pattern(match: re.Match[str]) -> str:
        if not match[1]:
            return re.escape(match[0][0])
        groups.append(match[1])
        first = match[1].partition(".")[0]
        options = {str(_look_up(match[1], {first: option})) for option in choices[first]}
        return f"({'|'.join(map(re.escape, sorted(options, key=len, reverse=True)))})"

    places = list(_FIELD.finditer(template))
    ends = [0, *(place.end() for place in places)]
    parts = [
        re.escape(template[end : place.start()]) + pattern(place)
        for end, place in zip(ends, places, strict=False)
    ]
    found = re.fullmatch("".join(parts) + re.escape(template[ends[-1] :]), text, re.DOTALL)
    told = dict[str, Any]()
    for first, options in choices.items() if found else ():
        said = [
            (name, found[number])
            for number, name in enumerate(groups, 1)
            if found and name.partition(".")[0] == first
        ]
        fitting = [o for o in options if all(str(_look_up(n, {first: o})) == t for n, t in said)]
        if fitting and all(option == fitting[0] for option in fitting):
            told[first] = fitting[0]
    return told


def _look_up(name: str, chosen: Mapping[str, Any]) -> Any:
    first, _, rest = name.partition(".")
    return chosen[first][rest] if rest else chosen[first]
