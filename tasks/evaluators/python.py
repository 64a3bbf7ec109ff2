"""Conditions in Python, for what no other evaluator says."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from difflib import get_close_matches
from typing import ClassVar

from pydantic import field_validator

from webdojo.tasks.evaluators.evaluator import Evaluator, Evidence, Verdict

Condition = Callable[[Evidence], "bool | Verdict | Awaitable[bool | Verdict]"]
_named: dict[str, Condition] = {}


def condition(name: str) -> Callable[[Condition], Condition]:
    """Name a condition, so that a task file can use it: ``{type = "python", function = "name"}``.

    Example::

        @condition("my-shop.fair-price")
        def fair_price(evidence):
            return Verdict(evidence.answer == "12", "that is not the price")
    """

    def give(function: Condition) -> Condition:
        _named[name] = function
        return function

    return give


def names_conditions(module: str) -> bool:
    """Whether a module has named any."""
    return any(function.__module__ == module for function in _named.values())


class Python(Evaluator):
    """A function of the evidence that gives True, False or a Verdict; it may be ``async``.

    What it raises is a defect of the task, not a failure of the agent, and goes on its way.
    A task file can only name a function given with ``@condition``: it never brings code.
    """

    kind: ClassVar[str] = "python"
    function: Condition
    answers: bool = False
    """Whether the function reads the agent's answer, so that an answer ends the episode."""

    @field_validator("function", mode="before")
    @classmethod
    def _by_name(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value not in _named:
            near = get_close_matches(value, _named, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "none is named yet;"
            raise ValueError(
                f"no condition is named {value!r}: {hint} load the Python file that names it first"
            )
        return _named[value]

    @field_validator("function")
    @classmethod
    def _takes_evidence(cls, function: Condition) -> Condition:
        try:
            inspect.signature(function).bind(None)
        except TypeError:
            code = getattr(function, "__code__", None)
            where = f"{code.co_filename}:{code.co_firstlineno}: " if code else ""
            name = getattr(function, "__name__", "the condition")
            raise ValueError(
                f"{where}a condition takes the evidence: `def {name}(evidence)`; it is"
                f" {name}{inspect.signature(function)}"
            ) from None
        except ValueError:  # of a built-in one nothing is known
            pass
        return function

    @property
    def reads_answer(self) -> bool:
        """As ``answers`` says."""
        return self.answers

    @property
    def needs_bodies(self) -> bool:
        """It may look at whatever is recorded."""
        return True

    async def judge(self, evidence: Evidence) -> Verdict:
        """Call the function."""
        found = self.function(evidence)
        result = await found if inspect.isawaitable(found) else found
        if isinstance(result, Verdict):
            return result
        name = getattr(self.function, "__name__", "the condition")
        return Verdict(result is True, "" if result is True else f"{name} gave {result!r}")
