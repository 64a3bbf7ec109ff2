"""What an environment shows, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Literal, get_args

from webdojo.envs import vocabulary  # noqa: F401 - fills the action registry
from webdojo.envs.actions import ACTIONS
from webdojo.envs.observation import TEXT_MODES
from webdojo.envs.pruning_rules import Rule
from webdojo.envs.screenshots import ScreenshotSpec

Coordinates = Literal["pixels", "thousandths"]
FEWEST = 100
"""Characters in which a page, or that it was cut, can be told."""
WANTED = {
    "coordinates": f"one of {', '.join(get_args(Coordinates))}",
    "screenshot": "a ScreenshotSpec(), or None",
    "actions": "verbs, such as webdojo.envs.action_sets.action_set(['bid', 'chat'])",
    "max_characters": f"at least {FEWEST}, or None",
    "rules": "functions of a beautifulsoup4 soup",
    "settle_ms": "0 or more milliseconds",
    "settle_cap_ms": "0 or more milliseconds",
    "step_timeout_s": "more than 0 seconds",
}


@dataclass(frozen=True, slots=True)
class EnvSpec:
    """What an environment shows, and how long it may take; ValueError for what cannot be."""

    modes: tuple[str, ...] = ("pruned_html",)
    screenshot: ScreenshotSpec | None = None
    actions: frozenset[str] | None = None
    """Names of the verbs allowed; None allows all."""
    coordinates: Coordinates = "pixels"
    """What x and y of mouse actions count: CSS pixels, or thousandths of the viewport's size."""
    max_characters: int | None = None
    """Bound on each text form of the page; None shows the whole page."""
    rules: tuple[Rule, ...] = ()
    """Pruning rules of one's own, for ``pruned_html`` and its differences."""
    settle_ms: int = 500
    """Page time granted after each action."""
    settle_cap_ms: int = 2000
    """Page time granted at most, where the page is still loading or a timer is about to fire."""
    step_timeout_s: float = 15.0
    """Real time after which a step counts as hung."""

    def __post_init__(self) -> None:
        if isinstance(self.modes, str):
            raise ValueError(f"modes={self.modes!r}: give a tuple, such as ({self.modes!r},)")
        unknown = set(self.modes) - set(TEXT_MODES)
        if unknown:
            raise ValueError(
                f"unknown observation mode {min(unknown)!r}; known: {', '.join(TEXT_MODES)}"
            )
        wrong = {
            "screenshot": not isinstance(self.screenshot, ScreenshotSpec | None),
            "actions": not (self.actions is None or set(self.actions) <= ACTIONS.keys()),
            "coordinates": self.coordinates not in get_args(Coordinates),
            "max_characters": self.max_characters is not None
            and not _at_least(FEWEST, self.max_characters),
            "rules": not all(callable(rule) for rule in self.rules),
            "settle_ms": not _at_least(0, self.settle_ms),
            "settle_cap_ms": not _at_least(0, self.settle_cap_ms),
            "step_timeout_s": not (_at_least(0, self.step_timeout_s) and self.step_timeout_s),
        }
        for name in (name for name, is_wrong in wrong.items() if is_wrong):
            raise ValueError(f"{name}={getattr(self, name)!r}: give {WANTED[name]}")


def _at_least(bound: float, value: object) -> bool:
    return isinstance(value, Real) and float(value) >= bound
