"""The action vocabulary: what an agent may write, and how its text is read.

An action is one call such as ``click("12")``. Text is parsed with ``ast`` against this registry and
never executed.
"""

from __future__ import annotations

import ast
import inspect
import typing
import warnings
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from webdojo.tasks.calls import repr_argument

MAX_TEXT = 20_000
"""Characters of model output that are looked at."""
MAX_DEPTH = 50
"""Brackets within brackets that an action may hold."""
MAX_NUMBER = 1e6
COORDINATES = frozenset({"x", "y", "from_x", "from_y", "to_x", "to_y"})
"""Arguments that are places in the viewport."""
UNITS = {"pixels": "in pixels", "thousandths": "in thousandths of its width and height"}
"""What they may count."""


class ActionError(Exception):
    """The action could not be done; the message tells the agent why, in plain words."""


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One verb of the vocabulary."""

    name: str
    signature: inspect.Signature
    types: Mapping[str, Any]
    doc: str
    example: str
    perform: Callable[..., Awaitable[None]] | None
    """None for verbs that end in the environment rather than the page."""

    def describe(self, coordinates: str = "pixels") -> str:
        """One line for a prompt: the call and what it does; places count ``coordinates``."""
        parameters = map(self._parameter, self.signature.parameters.values())
        return f"{self.name}({', '.join(parameters)}): {self.told(coordinates)}"

    def told(self, coordinates: str = "pixels") -> str:
        """What it does, with what its places count: ``pixels`` or ``thousandths``."""
        if COORDINATES.isdisjoint(self.signature.parameters):
            return self.doc
        return f"{self.doc.removesuffix('.')}, {UNITS[coordinates]}."

    def _parameter(self, parameter: inspect.Parameter) -> str:
        wanted = self.types[parameter.name]
        if typing.get_origin(wanted) is typing.Literal:
            kind = " | ".join(map(repr_argument, typing.get_args(wanted)))
        else:
            kind = getattr(wanted, "__name__", None) or str(wanted)
            kind = "str | list[str]" if wanted == str | list[str] else kind
        if parameter.default is inspect.Parameter.empty:
            return f"{parameter.name}: {kind}"
        return f"{parameter.name}: {kind} = {repr_argument(parameter.default)}"


@dataclass(frozen=True, slots=True)
class Action:
    """A parsed call: a verb of the registry and its checked arguments."""

    name: str
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        spec = ACTIONS[self.name]
        shown: list[str] = []
        skipped = False
        for parameter in spec.signature.parameters.values():
            value = self.arguments.get(parameter.name, parameter.default)
            if value == parameter.default:
                skipped = True
                continue
            shown.append(
                f"{parameter.name}={repr_argument(value)}" if skipped else repr_argument(value)
            )
        return f"{self.name}({', '.join(shown)})"


ACTIONS: dict[str, ActionSpec] = {}
"""Every verb by name."""


def action(
    example: str,
) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., Awaitable[None]]]:
    """Register an async function on a page as a verb; its docstring is what the agent reads."""

    def register(function: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        _register(function, example, function)
        return function

    return register


def closing_action(example: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a verb that speaks to the user instead of touching the page."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        _register(function, example, None)
        return function

    return register


def parse_action(text: str, allowed: frozenset[str] | None = None) -> Action:
    """Read one call from text; raises ActionError in words the agent can act on.

    Surrounding spaces, a Markdown code fence and a trailing newline are tolerated; anything else
    around the call is not.
    """
    if len(text) > MAX_TEXT:
        raise ActionError(f"the action is {len(text)} characters long; at most {MAX_TEXT} are read")
    source = text.strip()
    if source.startswith("```") and source.endswith("```"):
        source = source.strip("`").removeprefix("python").strip()
    tree = _parse(source)
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        raise ActionError(
            f'not an action call: {source[:80]!r}; write one call such as click("12")'
        )
    name = tree.func.id
    spec = ACTIONS.get(name)
    if spec is None or (allowed is not None and name not in allowed):
        known = ", ".join(sorted(ACTIONS if allowed is None else allowed))
        raise ActionError(f"unknown action {name!r}; known: {known}")
    try:
        positional = [ast.literal_eval(argument) for argument in tree.args]
        named = {k.arg: ast.literal_eval(k.value) for k in tree.keywords if k.arg is not None}
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise ActionError(
            f"the arguments of {name} must be plain strings, numbers or lists"
        ) from None
    if len(named) != len(tree.keywords):
        raise ActionError(f"the arguments of {name} must be plain strings, numbers or lists")
    return Action(name, _bind(spec, positional, named))


def _parse(source: str) -> ast.expr | None:
    depth = deepest = 0
    for character in source:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        return None  # Python's own parser may run out of stack
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a string is a model's habit, not a fault
            return ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _bind(spec: ActionSpec, positional: list[Any], named: dict[str, Any]) -> dict[str, Any]:
    try:
        bound = spec.signature.bind(*positional, **named)
    except TypeError as error:
        raise ActionError(f"{spec.name}: {error}; usage: {spec.example}") from None
    for key, value in bound.arguments.items():
        bound.arguments[key] = _checked(spec, key, value)
    return dict(bound.arguments)


def _checked(spec: ActionSpec, key: str, value: Any) -> Any:
    wanted = spec.types[key]
    if isinstance(value, int | float) and not abs(value) <= MAX_NUMBER:
        raise ActionError(f"{spec.name}: {key} is out of range")
    if wanted is str and isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # models often write click(12)
    if wanted is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if typing.get_origin(wanted) is typing.Literal:
        if isinstance(value, str) and value in typing.get_args(wanted):
            return value
        raise ActionError(f"{spec.name}: {key} must be one of {', '.join(typing.get_args(wanted))}")
    if wanted == str | list[str]:
        if isinstance(value, str) or (
            isinstance(value, list) and value and all(isinstance(v, str) for v in value)
        ):
            return value
    elif isinstance(wanted, type) and type(value) is wanted:
        return value
    raise ActionError(
        f"{spec.name}: {key} must be {getattr(wanted, '__name__', wanted)}; usage: {spec.example}"
    )


def _register(
    function: Callable[..., Any], example: str, perform: Callable[..., Awaitable[None]] | None
) -> None:
    full = inspect.signature(function)
    parameters = [p for p in full.parameters.values() if p.name != "page"]
    types = typing.get_type_hints(function)
    name = function.__name__
    ACTIONS[name] = ActionSpec(
        name=name,
        signature=inspect.Signature(parameters),
        types=types,
        doc=inspect.getdoc(function) or "",
        example=example,
        perform=perform,
    )
