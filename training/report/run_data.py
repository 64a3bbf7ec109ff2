"""A run folder as the report reads it: whatever is missing or malformed is left out and named."""

from __future__ import annotations

import json
import math
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from webdojo.tasks.errors import UserError
from webdojo.training.intervals import Rate
from webdojo.training.metrics import METRICS_FILE

When = Literal["before", "after"]
Decoding = Literal["greedy", "sampled"]
DECODINGS: tuple[Decoding, ...] = ("greedy", "sampled")
Curve = tuple[tuple[int, float], ...]
"""Steps and values, by step."""


@dataclass(frozen=True, slots=True)
class Change:
    """A success rate before and after; either may be missing."""

    before: Rate | None
    after: Rate | None


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode of an evaluation, with what is needed to play it again."""

    split: str
    task_id: str
    seed: int
    success: bool
    ending: str
    goal: str
    actions: tuple[str, ...]
    errors: tuple[str, ...]
    """What the environment said to each action; empty strings where it said nothing."""


@dataclass(frozen=True)
class RunData:
    """Everything a run left on disk that the report speaks of."""

    folder: Path
    summary: Mapping[str, Any]
    """``summary.json``; empty if the run has not finished."""
    config_text: str
    config: Mapping[str, Any]
    curves: Mapping[str, Mapping[str, Curve]]
    """By phase and figure."""
    gaps: tuple[str, ...] = field(default=())
    """Sentences on what could not be read, or not be played."""

    @property
    def name(self) -> str:
        """The run's name: its folder's."""
        return self.folder.resolve().name

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits that were evaluated."""
        return tuple(mapping(self.summary, "splits"))

    def change(self, split: str, decoding: Decoding) -> Change:
        """How a split's success rate changed."""
        return _change(mapping(self.summary, "splits", split), decoding)

    def tasks(self, split: str) -> tuple[str, ...]:
        """Tasks of a split."""
        return tuple(mapping(self.summary, "tasks", split))

    def task_change(self, split: str, task_id: str, decoding: Decoding) -> Change:
        """How a task's success rate changed."""
        return _change(mapping(self.summary, "tasks", split, task_id), decoding)

    def names(self, key: str) -> tuple[str, ...]:
        """A list of names in the summary, such as ``reinforced``."""
        value = self.summary.get(key)
        return tuple(map(str, value)) if isinstance(value, list) else ()

    def curve(self, phase: str, figure: str) -> Curve:
        """A figure's course; empty if it was not recorded."""
        return self.curves.get(phase, {}).get(figure, ())

    def episodes(self, when: When, decoding: Decoding) -> tuple[Episode, ...]:
        """The episodes of an evaluation; empty if it was not run."""
        path = self.folder / "evaluation" / f"{when}-{decoding}.jsonl"
        return tuple(e for row in _rows(path) if (e := _episode(row)))


def read_run(folder: Path) -> RunData:
    """Read a run folder; raises UserError if it holds neither a summary nor metrics."""
    summary, gap = _json_object(folder / "summary.json")
    metrics = folder / METRICS_FILE
    if not summary and not metrics.is_file():
        raise UserError(
            f"{folder} holds no run: neither summary.json nor {METRICS_FILE} is there;"
            " give a folder that `webdojo train` made, such as runs/quickstart"
        )
    text, config = _config(folder / "config.toml")
    gaps = [*filter(None, [gap]), *_uncounted(summary)]
    return RunData(folder, summary, text, config, _curves(metrics), tuple(gaps))


def _uncounted(summary: Mapping[str, Any]) -> Iterator[str]:
    """Episodes that came to nothing because of their sites, or of whoever judges."""
    causes = {"blocked": "were blocked by their sites", "undecided": "were judged by nobody"}
    for ending, cause in causes.items():
        for when, decodings in mapping(summary, ending).items():
            for decoding, count in mapping(decodings).items():
                if numeric(count):
                    yield (
                        f"Evaluation {when}, {decoding}: {count} episodes {cause} and count in no"
                        " rate."
                    )


def mapping(value: object, *path: str) -> Mapping[str, Any]:
    """The object at a path of keys; empty if there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def numeric(value: object) -> float | None:
    """A finite number, or None."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    return None


def _change(entry: Mapping[str, Any], decoding: Decoding) -> Change:
    return Change(_rate(entry, "before", decoding), _rate(entry, "after", decoding))


def _rate(entry: Mapping[str, Any], when: When, decoding: Decoding) -> Rate | None:
    found = mapping(entry, when, decoding)
    success, low, high = (numeric(found.get(key)) for key in ("success", "low", "high"))
    episodes = numeric(found.get("episodes"))
    if success is None or low is None or high is None or not episodes:
        return None
    return {"success": success, "low": low, "high": high, "episodes": int(episodes)}


def _curves(path: Path) -> dict[str, dict[str, Curve]]:
    """By phase and figure; a step that was done again after a kill counts once, as done last."""
    values: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in _rows(path):
        phase, step = str(row.pop("phase", "")), numeric(row.pop("step", None))
        row.pop("time_s", None)
        if step is None:
            continue
        for figure, given in row.items():
            value = numeric(given)
            if value is not None:
                values[phase][figure][int(step)] = value
    return {
        phase: {figure: tuple(sorted(course.items())) for figure, course in figures.items()}
        for phase, figures in values.items()
    }


def _episode(row: Mapping[str, Any]) -> Episode | None:
    actions, errors = row.get("actions"), row.get("errors")
    seed = row.get("seed")
    if not isinstance(actions, list) or not isinstance(seed, int):
        return None
    told = [str(error or "") for error in errors] if isinstance(errors, list) else []
    told += [""] * (len(actions) - len(told))
    return Episode(
        split=str(row.get("split", "")),
        task_id=str(row.get("task_id", "")),
        seed=seed,
        success=bool(row.get("success")),
        ending=str(row.get("ending", "")),
        goal=str(row.get("goal", "")),
        actions=tuple(str(action or "") for action in actions),
        errors=tuple(told),
    )


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Objects of a file with one a line; lines cut short or malformed are passed over."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict):
                yield row


def _json_object(path: Path) -> tuple[dict[str, Any], str]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, "The run has not finished: there is no summary.json yet."
    except (OSError, ValueError, RecursionError) as error:
        return {}, f"summary.json cannot be read: {error}"
    return (value, "") if isinstance(value, dict) else ({}, "summary.json holds no object.")


def _config(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except (OSError, ValueError):
        return "", {}
