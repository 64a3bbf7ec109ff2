"""The state of a task's own site, asked with JMESPath."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.visitor import TreeInterpreter
from pydantic import Field, field_validator

from webdojo.tasks.evaluators.evaluator import Evaluator, Evidence, ValueMatch, Verdict

LONGEST_QUERY = 4096
MOST_COPIES = 10_000
"""How many times over the same value may be in what a query finds."""


class State(Evaluator):
    """What ``GET /state`` of the site gives for a JMESPath expression.

    ``expected`` is a JSON value, or a match such as ``{type = "number", value = 3}``. Null is found
    only where null stands in the state: a path that leads nowhere, misspelt say, matches nothing,
    and neither does its negation, a comparison with it, or a function of it. ``a || b`` and
    ``not_null(a, b)`` say what holds instead, and in a filter, ``[?a != 'x']``, an item may lack
    what is asked for.
    Example: ``State(query="cart[?sku=='R1'].quantity | [0]", expected=2)``.
    """

    kind: ClassVar[str] = "state"
    query: str = Field(min_length=1, max_length=LONGEST_QUERY)
    expected: ValueMatch

    @field_validator("query")
    @classmethod
    def _is_one(cls, query: str) -> str:
        try:
            compiled = jmespath.compile(query)
            if _copies(compiled.parsed) > MOST_COPIES:
                raise ValueError(f"{query[:60]!r}… asks for the same thing too many times over")
            with suppress(JMESPathError):  # nothing is no state that it need be able to ask
                compiled.search(None)
        except RecursionError:
            raise ValueError(f"{query[:60]!r}… lies too deep inside itself") from None
        except JMESPathError as error:
            raise ValueError(f"{query!r} is no JMESPath expression: {_line(error)}") from None
        return query

    @property
    def needs_site(self) -> str:
        """Its state."""
        return "asks the state of the task's own site"

    async def judge(self, evidence: Evidence) -> Verdict:
        """Ask the site; one that cannot answer has not passed."""
        from webdojo.tasks.sites.episode import SiteStateError

        if evidence.site is None:
            return Verdict(False, "the task has no site of its own, so there is no state to ask")
        try:
            state = await evidence.site.state()
            query = jmespath.compile(self.query)
            found = query.search(state)
            lost = _at(query.parsed, state) is NOWHERE
        except (SiteStateError, JMESPathError, RecursionError) as error:
            return Verdict(False, f"{self.query}: {_line(error)}")
        reason = self.expected.mismatch(found) or lost * (
            "this leads nowhere in the state; null is found only where it stands; for what is not"
            " in a list, compare it with []"
        )
        return Verdict(not reason, reason and f"{self.query}: {reason}")


NOWHERE = object()
"""Where a path leads that is not there."""


def _at(node: Any, value: Any) -> Any:
    """What an expression finds, null included; ``NOWHERE`` if what it asks of is not there."""
    kind, children = node["type"], node["children"]
    if kind in ("subexpression", "index_expression", "pipe"):
        for child in children:
            value = NOWHERE if value is NOWHERE else _at(child, value)
        return value
    if kind in ("or_expression", "and_expression"):
        return _either(kind, children, value)
    if kind in _OF_ALL and not (kind == "function_expression" and node["value"] == "not_null"):
        parts = [
            part["children"][0] if part["type"] == "key_val_pair" else part for part in children
        ]
        if any(_at(part, value) is NOWHERE for part in parts):
            return NOWHERE
    return _found(node, value)


def _found(node: Any, value: Any) -> Any:
    kind = node["type"]
    if kind == "field":
        return value.get(node["value"], NOWHERE) if isinstance(value, dict) else NOWHERE
    if kind == "index":
        length = len(value) if isinstance(value, list) else 0
        return value[node["value"]] if -length <= node["value"] < length else NOWHERE
    if kind in ("current", "identity", "literal"):
        return node.get("value", value)
    found = TreeInterpreter().visit(node, value)
    return NOWHERE if found is None else found


_OF_ALL = (
    *("comparator", "not_expression", "function_expression"),
    *("multi_select_list", "multi_select_dict"),
)
"""Expressions that ask of all that they are made of."""


def _either(kind: str, children: list[Any], value: Any) -> Any:
    """What ``||`` or ``&&`` finds; a path before ``||`` may lead nowhere if another does not."""
    found = NOWHERE
    for child in children:
        end = _at(child, value)
        if end is NOWHERE:
            if kind == "and_expression" or child["type"] in ("comparator", "not_expression"):
                return NOWHERE
            continue
        found = end
        if (end is None or end is False or end in ("", [], {})) == (kind == "and_expression"):
            break
    return found


def _copies(parsed: Any) -> int:
    """How many times over a value may be in what is found: each list of queries may double it."""
    copies, nodes = 1, [parsed]
    while nodes and copies <= MOST_COPIES:
        node = nodes.pop()
        children = [child for child in node.get("children", ()) if isinstance(child, dict)]
        if node.get("type") in ("multi_select_list", "multi_select_dict"):
            copies *= max(1, len(children))
        nodes += children
    return copies


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
