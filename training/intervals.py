"""95 % intervals for success rates and for the difference between two of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TypedDict

Z_95 = 1.959963984540054
"""The 97.5 % point of the standard normal distribution."""


class Rate(TypedDict):
    """A success rate as it stands in ``summary.json``."""

    success: float
    """Successes over episodes, in [0, 1]."""
    low: float
    high: float
    episodes: int


@dataclass(frozen=True, slots=True)
class Difference:
    """How much one rate exceeds another, with its 95 % interval; all in [−1, 1]."""

    value: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def wilson(successes: int, episodes: int, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval (Wilson, 1927), without continuity correction.

        (p + z²/2n ± z·sqrt(p(1−p)/n + z²/4n²)) / (1 + z²/n)        p = successes / n

    Without episodes nothing is known: (0, 1). Raises ValueError unless 0 ≤ successes ≤ episodes.
    """
    if not 0 <= successes <= episodes:
        raise ValueError(f"{successes} successes of {episodes} episodes: not a proportion")
    if episodes == 0:
        return 0.0, 1.0
    p, n = successes / episodes, episodes
    middle = p + z * z / (2 * n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At the ends the formula gives 0 and 1 exactly; rounding would leave 1e-17.
    low = 0.0 if successes == 0 else (middle - half) / scale
    high = 1.0 if successes == episodes else (middle + half) / scale
    return low, high


def rate(successes: int, episodes: int) -> Rate:
    """The share of successes with its Wilson 95 % interval; raises ValueError without episodes."""
    if not episodes:
        raise ValueError("of no episodes there is no rate")
    low, high = wilson(successes, episodes)
    return {"success": successes / episodes, "low": low, "high": high, "episodes": episodes}


def difference(after: Rate, before: Rate) -> Difference:
    """``after`` − ``before`` by Newcombe's hybrid score interval (1998, method 10).

        low  = d − sqrt((p₁ − l₁)² + (u₂ − p₂)²)
        high = d + sqrt((u₁ − p₁)² + (p₂ − l₂)²)                  [l, u] the Wilson intervals

    The two are taken as independent. Where the same episodes were run both times, and those solved
    before tend to be solved after, the true interval is narrower.
    """
    p1, p2 = after["success"], before["success"]
    value = p1 - p2
    return Difference(
        value,
        value - sqrt((p1 - after["low"]) ** 2 + (before["high"] - p2) ** 2),
        value + sqrt((after["high"] - p1) ** 2 + (p2 - before["low"]) ** 2),
    )
