"""Values inside JSON by their path, in the part of JSONPath that task files use.

``$.note.text``, ``$['a b'][0]``, ``$.items[*].sku``, ``$.items[?(@.new == 1)].sku``; and ``$.^…$``,
a regular expression for the begin of a field's name. A text that is JSON itself is looked into.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from webdojo.tasks.imports.patterns import matches

_STEP = re.compile(
    r"\.(?P<name>[\w-]+)"
    r"|\[(?P<quote>['\"])(?P<quoted>.*?)(?P=quote)\]"
    r"|\[(?P<place>\d+|\*)\]"
    r"|\[\?\(\s*@\.(?P<field>[\w-]+)\s*==\s*(?P<value>[^)]*?)\s*\)\]"
)


def is_path(name: str) -> bool:
    """Whether a field's name is a path or a regular expression."""
    return name.startswith("$") or (name.startswith("^") and name.endswith("$"))


def value_at(data: Any, path: str) -> Any:
    """What stands there: None if nothing does, a list if several values do.

    Raises ValueError if the path is not one that is understood, or not decided in time.
    """
    pattern = path.removeprefix("$.")
    if pattern.startswith("^") and pattern.endswith("$"):
        fields = data if isinstance(data, Mapping) else {}
        found = [
            fields[name]
            for name in fields
            if matches(pattern, str(name), how="match", ignore_case=False)
        ]
    else:
        found = [data]
        for step in steps(path):
            found = [inner for value in found for inner in _into(_opened(value), step)]
    return found[0] if len(found) == 1 else found or None


def steps(path: str) -> list[re.Match[str]]:
    """The steps of a path from its ``$`` on; raises ValueError."""
    place, found = 1, []
    while place < len(path):
        step = _STEP.match(path, place)
        if step is None:
            raise ValueError(f"{path!r} is no path that is understood, from {path[place:]!r} on")
        found.append(step)
        place = step.end()
    return found


def _into(value: Any, step: re.Match[str]) -> list[Any]:
    name = step["name"] or step["quoted"]
    if name is not None:
        return [value[name]] if isinstance(value, Mapping) and name in value else []
    items = list(value.values()) if isinstance(value, Mapping) else value
    if not isinstance(items, list):
        return []
    if step["field"]:
        wanted = step["value"].strip("'\"")
        return [
            item
            for item in map(_opened, items)
            if isinstance(item, Mapping) and str(item.get(step["field"])) == wanted
        ]
    if step["place"] == "*":
        return items
    place = int(step["place"])
    return [items[place]] if place < len(items) else []


def _opened(value: Any) -> Any:
    """The value itself, or what it says if it is JSON in a text."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value
