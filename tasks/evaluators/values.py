"""Values as JSON has them: equal in kind and in content."""

from __future__ import annotations

from datetime import date, time
from math import isfinite
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator

from webdojo.tasks.evaluators.evaluator import Match
from webdojo.tasks.evaluators.normalise import shown


def _json(value: Any) -> Any:
    """The value itself; raises ValueError for one that no JSON value can be."""
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, date | time):
            raise ValueError(
                f"{part} is a date or time of TOML, and JSON has none, so nothing can match; write"
                f' it as text, "{part}"'
            )
        if isinstance(part, float) and not isfinite(part):
            raise ValueError(f"{part} is no number of JSON, so nothing can match")
        if isinstance(part, dict | list | tuple):
            left += part.values() if isinstance(part, dict) else part
    return value


JsonValue = Annotated[Any, AfterValidator(_json)]


class Equals(Match):
    """Exactly this JSON value: ``true`` is not 1, ``"3"`` is not 3, 3 is 3.0.

    Example: ``Equals(value={"sku": "R1", "quantity": 2})``.
    """

    kind: ClassVar[str] = "equals"
    value: JsonValue

    def mismatch(self, found: object) -> str:
        """Any difference."""
        if same_json(found, self.value):
            return ""
        return f"{shown(found)} is not {shown(self.value)}"


class Includes(Match):
    """A JSON object that holds at least these keys with these values, at any depth.

    Example: ``Includes(value={"order": {"status": "paid"}})``.
    """

    kind: ClassVar[str] = "includes"
    value: Annotated[dict[str, Any], AfterValidator(_json)]

    def mismatch(self, found: object) -> str:
        """A key that is missing, or another value."""
        return "" if holds_json(found, self.value) else f"{shown(found)} lacks {shown(self.value)}"


def same_json(a: object, b: object) -> bool:
    """Whether two JSON values are the same."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_json(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same_json, a, b))
    return a == b


def holds_json(found: object, wanted: object) -> bool:
    """Whether every key of ``wanted`` is in ``found``, with the same value."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            key in found and holds_json(found[key], value) for key, value in wanted.items()
        )
    return same_json(found, wanted)
