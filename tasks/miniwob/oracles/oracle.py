"""The table of oracles, and the decorator that fills it."""

from __future__ import annotations

from collections.abc import Callable

from webdojo.tasks.task import Oracle
from webdojo.tasks.view import PageView

OracleFunction = Callable[[PageView], Oracle]

ORACLES: dict[str, OracleFunction] = {}
"""The oracle of each page, by the page's name."""


def solves(*pages: str) -> Callable[[OracleFunction], OracleFunction]:
    """Make a generator function the oracle of some pages."""

    def enter(function: OracleFunction) -> OracleFunction:
        for page in pages:
            assert page not in ORACLES, page
            ORACLES[page] = function
        return function

    return enter
