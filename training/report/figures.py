"""How numbers are written in the report."""

from __future__ import annotations

import math

from webdojo.training.intervals import Difference, Rate

_NARROW = "\N{NARROW NO-BREAK SPACE}"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MINUS = "\N{MINUS SIGN}"


def percent(share: float, digits: int = 0) -> str:
    """``0.914`` is ``91 %``."""
    return f"{100 * share:.{digits}f}{_NARROW}%"


def interval(rate: Rate) -> str:
    """``(86–95)``, in percent."""
    return f"{100 * rate['low']:.0f}–{100 * rate['high']:.0f}"


def points(gain: Difference) -> str:
    """``+49 points (43 to 55)``."""
    low, high = signed(100 * gain.low), signed(100 * gain.high)
    return f"{signed(100 * gain.value)} points ({low} to {high})"


def signed(value: float) -> str:
    """``+12``, ``−3``, ``0``."""
    whole = round(value)
    return f"+{whole}" if whole > 0 else f"{MINUS}{-whole}" if whole < 0 else "0"


def duration(seconds: float) -> str:
    """``41 s``, ``12 min 30 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def number(value: float) -> str:
    """Three significant figures, with thousands set off."""
    if not math.isfinite(value):
        return "—"
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", _NARROW).replace("-", MINUS)
    text, _, power = f"{value:.3g}".partition("e")
    text = text.replace("-", MINUS)
    return f"{text}·10{str(int(power)).translate(_RAISED)}" if power else text


def count(n: int, noun: str) -> str:
    """``1 task``, ``12 tasks``."""
    return f"{n} {noun}{'' if n == 1 else 's'}"
