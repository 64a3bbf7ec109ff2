"""Progress for people: a live display on a terminal, a plain line now and then elsewhere.

with Progress() as progress:
    progress.phase("reinforce", total=120, unit="updates")
    progress.update(37, success=0.62, episodes_per_min=210, staleness=0.8)
    progress.end("undemonstrated 0.42 → 0.91")
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

PLAIN_EVERY_S = 5.0
"""Seconds between two plain lines of one phase."""
REFRESHES_PER_S = 4

_SHARES = frozenset({"success", "mixed_groups", "reward", "idle"})
"""Figures in [0, 1] that are read best as a percentage."""
_LABELS = {
    "episodes_per_min": "episodes/min",
    "tokens_per_s": "tokens/s",
    "steps_per_s": "steps/s",
    "mixed_groups": "mixed groups",
}


class Progress:
    """Shows the phases of a run one after another.

    ``update`` only notes numbers: on a terminal a thread draws them a few times a second; elsewhere
    a line is printed every ``PLAIN_EVERY_S`` seconds. Methods may be called outside of any phase
    and from any thread.
    """

    def __init__(
        self, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console or Console()
        self._clock = clock
        self._phase: _Phase | None = None
        self._live: Live | None = None
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(
                get_renderable=self._picture,
                console=self._console,
                refresh_per_second=REFRESHES_PER_S,
                transient=True,
            )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._phase = None
        if self._live:
            self._live.stop()

    def phase(
        self,
        name: str,
        total: float | None = None,
        unit: str = "",
        done: float = 0,
        *,
        most_s: float = inf,
    ) -> None:
        """Begin a phase; one that still runs ends.

        ``total`` and ``done`` (where it goes on from) count ``unit``; the unit ``s`` is shown as
        minutes and seconds. Without a total no bar is shown. ``most_s`` is the time that the
        phase may take: no more than what is left of it is shown as left.
        """
        if self._phase:
            self.end()
        now = self._clock()
        self._phase = _Phase(_clean(name), total, unit, done, now, done, most_s, printed_s=now)
        if not self._live:
            self._print(f"{self._phase.name}: begins")

    def update(self, done: float | None = None, **figures: float) -> None:
        """Note how far the phase is; figures stay until they are given anew."""
        phase = self._phase
        if phase is None:
            return
        if done is not None:
            phase.done = done
        phase.figures.update(figures)
        now = self._clock()
        if not self._live and now - phase.printed_s >= PLAIN_EVERY_S:
            phase.printed_s = now
            self._print(f"{phase.name}: {', '.join(phase.state(now))}")

    def note(self, text: str) -> None:
        """Show a line that stays."""
        self._print(text)

    def end(self, text: str = "") -> None:
        """End the phase with a line that stays: its name, how long it took, and ``text``."""
        phase, self._phase = self._phase, None
        if phase is None:
            if text:
                self._print(text)
            return
        count = phase.count()
        took = f"{phase.name}: {f'{count} in ' if count else ''}"
        took += clock_time(self._clock() - phase.began_s)
        figures = text or ", ".join(phase.shown())
        self._print(f"{took}; {figures}" if figures else took, mark=True)

    def _print(self, text: str, mark: bool = False) -> None:
        line = Text(_clean(text))
        if self._live and mark:
            line = Text("✓ ", style="green") + line
        # A plain line goes to a file or a pipe, where breaking it to a width helps nobody.
        self._console.print(line, soft_wrap=not self._live, highlight=False)

    def _picture(self) -> Table:
        """What the live display shows; called by its thread."""
        table = Table.grid(padding=(0, 1))
        phase = self._phase
        if phase is None:
            return table
        now = self._clock()
        head = Table.grid(padding=(0, 1))
        row: list[Text | ProgressBar] = [Text(phase.name, style="bold")]
        if phase.total is not None:
            row.append(ProgressBar(total=phase.total, completed=phase.done, width=24))
        row += [Text(phase.count()), Text(phase.times(now), style="dim")]
        head.add_row(*row)
        table.add_row(head)
        table.add_row(Text("  " + " · ".join(phase.shown()), style="cyan"))
        return table


@dataclass(slots=True)
class _Phase:
    name: str
    total: float | None
    unit: str
    done: float
    began_s: float
    began_at: float
    most_s: float
    printed_s: float
    figures: dict[str, float] = field(default_factory=dict)

    def state(self, now: float) -> list[str]:
        return [part for part in (self.count(), *self.shown(), self.times(now)) if part]

    def count(self) -> str:
        """``37/120 updates``, ``1:30/5:00``, or nothing if nothing is counted."""
        if self.unit == "s":
            total = "" if self.total is None else f"/{clock_time(self.total)}"
            return f"{clock_time(self.done)}{total}"
        if self.total is None and not self.done:
            return ""
        total = "" if self.total is None else f"/{self.total:g}"
        return f"{self.done:g}{total} {self.unit}".rstrip()

    def times(self, now: float) -> str:
        """Time gone, and time left at the pace so far."""
        gone = now - self.began_s
        left = self.left_s(gone)
        return clock_time(gone) + (f", {clock_time(left)} left" if left is not None else "")

    def left_s(self, gone_s: float) -> float | None:
        """Seconds left at the pace since the phase began, within its bound; None if unknown."""
        made = self.done - self.began_at
        left = self.most_s - gone_s
        if self.total is not None and made > 0:
            left = min(left, (self.total - self.done) * gone_s / made)
        return None if left == inf else max(0.0, left)

    def shown(self) -> list[str]:
        # A copy: another thread may add a figure while the display is drawn.
        return [_figure(name, value) for name, value in list(self.figures.items())]


def clock_time(seconds: float) -> str:
    """``0:07``, ``12:30`` or ``1:02:03``."""
    whole = max(0, round(seconds))
    minutes, s = divmod(whole, 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"


def _figure(name: str, value: float) -> str:
    label = _LABELS.get(name, name.replace("_", " "))
    if name in _SHARES or name.endswith("_share"):
        return f"{label.removesuffix(' share')} {value:.0%}"
    return f"{label} {value:,.0f}" if abs(value) >= 100 else f"{label} {value:.3g}"


def _clean(text: str) -> str:
    """One line without control characters: text of pages and models must not steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)
