"""The head of the report: what was trained on what, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from webdojo.training.intervals import Difference, Rate, difference
from webdojo.training.report.figures import count, duration, interval, number, percent, points
from webdojo.training.report.intervals_chart import scale, track
from webdojo.training.report.markup import Markup, details, element, join, shorten, table
from webdojo.training.report.run_data import DECODINGS, RunData, mapping, numeric

SPLITS = {
    "undemonstrated": (
        "Undemonstrated tasks",
        "trained on, never demonstrated: learned from reward alone",
    ),
    "unseen_seeds": (
        "Unseen seeds",
        "every task trained on, with seeds never trained on",
    ),
    "unseen_tasks": ("Unseen tasks", "neither demonstrated nor trained on"),
}
"""Title and meaning of each split, in the order they are shown."""


def split_title(split: str) -> str:
    """A split's title; its name if it is not one of ours."""
    return SPLITS[split][0] if split in SPLITS else split


def split_meaning(run: RunData, split: str) -> str:
    """What a split says; where tasks of it have few instances, what that takes away from it."""
    meaning = SPLITS[split][1] if split in SPLITS else ""
    few = set(mapping(run.summary, "few_instances")) & set(run.tasks(split))
    if split == "unseen_tasks" or not few:
        return meaning
    of_them = "the" if len(few) == len(run.tasks(split)) else f"{len(few)} of the"
    told = f"{of_them} tasks have few instances, which may all have been trained on"
    return f"{meaning}; {told}" if meaning else told


def ordered_splits(run: RunData) -> tuple[str, ...]:
    """A run's splits, ours first."""
    return tuple(sorted(run.splits, key=lambda s: list(SPLITS).index(s) if s in SPLITS else 99))


def header(run: RunData) -> Markup:
    """The run's name, what it is, and what could not be read."""
    gaps = [element("p", gap, class_="warning") for gap in run.gaps]
    return element(
        "header",
        element("p", "WebDojo training report", class_="kicker"),
        element("h1", run.name),
        element("p", _what(run), class_="lead"),
        gaps,
    )


def results(run: RunData) -> Markup:
    """Before and after, for each split: tiles, a sentence each, a chart, and the numbers."""
    splits = ordered_splits(run)
    if not splits:
        return Markup()
    return element(
        "section",
        element("h2", "What it learned"),
        element("div", [_tile(run, split) for split in splits], class_="tiles"),
        element("ul", [_sentence(run, split) for split in splits], class_="sentences"),
        _chart(run, splits),
        element(
            "p",
            "Before is the policy that reinforcement began with, after the warm start; after is the"
            " policy that it ended with. Both play the same fresh episodes in the browser: greedy"
            " takes the likeliest token, sampled draws at temperature 1. Bars are Wilson 95 %"
            " intervals. The interval of a gain is Newcombe's, which takes both measurements as"
            " independent.",
            class_="note",
        ),
        details("Numbers", _numbers(run, splits)),
    )


def _what(run: RunData) -> str:
    policy = mapping(run.summary, "policy")
    told = str(policy.get("name") or policy.get("checkpoint") or "A policy")
    if Path(told).is_absolute():
        told = Path(told).name  # where it lay on the machine tells a reader nothing
    parameters = numeric(policy.get("parameters"))
    if parameters:
        told += f" ({number(parameters / 1e6)} M parameters)"
    reinforced, demonstrated = run.names("reinforced"), run.names("demonstrated")
    alone = [task for task in reinforced if task not in set(demonstrated)]
    parts = []
    if demonstrated:
        parts.append(f"demonstrations of {count(len(demonstrated), 'task')}")
    if reinforced:
        parts.append(f"reinforcement on {count(len(reinforced), 'task')} in a real browser")
    told = ": ".join([told, *([", then ".join(parts)] if parts else [])])
    if alone and demonstrated:
        told += f", {len(alone)} of them never demonstrated"
    told += "."
    seconds = numeric(run.summary.get("seconds"))
    if seconds:
        told += f" The run took {duration(seconds)}."
    return shorten(told)


def _tile(run: RunData, split: str) -> Markup:
    change = run.change(split, "greedy")
    now = change.after or change.before
    gain = _gain(change.before, change.after)
    meaning = split_meaning(run, split)
    return element(
        "div",
        element(
            "p", split_title(split), element("span", " greedy", class_="soft"), class_="tile-name"
        ),
        element(
            "p",
            element("span", percent(change.before["success"]), class_="from")
            if change.before and change.after
            else None,
            element("span", " → ", class_="soft") if change.before and change.after else None,
            percent(now["success"]) if now else "—",
            class_="tile-figure",
        ),
        element("p", points(gain), class_="tile-gain") if gain else None,
        element("p", meaning, class_="note"),
        class_="tile",
    )


def _sentence(run: RunData, split: str) -> Markup:
    told: list[str] = []
    for decoding in DECODINGS:
        change = run.change(split, decoding)
        gain = _gain(change.before, change.after)
        if gain is None or change.before is None or change.after is None:
            continue
        verdict = _apart(change.before, change.after)
        told.append(
            f"{decoding} {percent(change.before['success'])} → {percent(change.after['success'])},"
            f" {points(gain)}, {verdict}"
        )
    if not told:
        return Markup()
    text = "; ".join(told)
    return element("li", element("b", f"{split_title(split)}: "), f"{text}.")


def _apart(before: Rate, after: Rate) -> str:
    if after["low"] > before["high"]:
        return "intervals apart"
    if after["high"] < before["low"]:
        return "worse, intervals apart"
    return "intervals overlap"


def _chart(run: RunData, splits: tuple[str, ...]) -> Markup:
    rows: list[Markup] = []
    for split in splits:
        rows.append(element("h4", split_title(split)))
        for decoding in DECODINGS:
            change = run.change(split, decoding)
            numbers = [
                element("span", percent(rate["success"]) if rate else "—", class_=when)
                for when, rate in (("from", change.before), ("to", change.after))
            ]
            rows.append(
                element(
                    "div",
                    element("span", decoding, class_="row-name"),
                    track(change, f"{split_title(split)}, {decoding}"),
                    element("span", numbers[0], " → ", numbers[1], class_="row-figure"),
                    class_="row",
                )
            )
    rows.append(
        element("div", element("span"), scale(), element("span"), class_="row", aria_hidden="true")
    )
    legend = [
        element("span", element("i", class_=f"swatch {when}"), when, class_="key")
        for when in ("before", "after")
    ]
    return element(
        "figure",
        element(
            "figcaption",
            element("h3", "Success rate with 95 % intervals"),
            element("div", legend, class_="legend"),
        ),
        rows,
        class_="dots",
    )


def _numbers(run: RunData, splits: tuple[str, ...]) -> Markup:
    rows: list[list[str]] = []
    for split in splits:
        for decoding in DECODINGS:
            change = run.change(split, decoding)
            gain = _gain(change.before, change.after)
            rows.append(
                [
                    split_title(split),
                    decoding,
                    _written(change.before),
                    _written(change.after),
                    points(gain) if gain else "—",
                    str((change.after or change.before or {"episodes": 0})["episodes"]),
                ]
            )
    headings = ["split", "decoding", "before, %", "after, %", "gain (95 %)", "episodes"]
    return table(headings, rows)


def _written(rate: Rate | None) -> str:
    return f"{100 * rate['success']:.1f} ({interval(rate)})" if rate else "—"


def _gain(before: Rate | None, after: Rate | None) -> Difference | None:
    return difference(after, before) if before and after else None


def settings(run: RunData) -> Markup:
    """The run's configuration as it was, and its summary's small facts."""
    if not run.config_text:
        return Markup()
    return element(
        "section",
        element("h2", "Configuration"),
        details("config.toml", element("pre", shorten(run.config_text, 20_000))),
        _facts(run),
    )


def _facts(run: RunData) -> Markup:
    rows: list[list[str]] = []
    for key in ("policy", "throughput", "machine"):
        rows += [
            [f"{key}.{name}", _fact(value)] for name, value in mapping(run.summary, key).items()
        ]
    return details("Facts", table(["fact", "value"], rows)) if rows else join()


def _fact(value: Any) -> str:
    found = numeric(value)
    return number(found) if found is not None else shorten(str(value))
