"""1/T against 1/k: the same reinforcement with both normalizers, seed by seed.

    python benchmarks/normalizers.py [--seeds 0,1,2] [--updates 40] [--minutes 6] [--json]

AsyncWebRL (arXiv 2606.05597) replaces multi-step GRPO's weight 1/(G·T_i) of a token by 1/(G·k), k
constant, since failures are longer than successes and 1/T_i turns their signal down. Here the
shipped policy is reinforced with either on corridors of six and eight screens
(normalizer_tasks.py), everything else equal, and evaluated on held-out seeds, sampled.

What is finished is kept in runs/normalizers: the same command goes on where it was stopped. The
table is written there as normalizers.md; --publish writes it into docs/normalizers.md, and the
figures of every run into results/normalizers.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from math import inf
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import psutil
from published import command, publish

from webdojo.training.config import TrainConfig
from webdojo.training.config_files import parse_config
from webdojo.training.run import resume, train
from webdojo.training.run_folder import RunFolder

HERE = Path(__file__).parent
RUNS = Path("runs") / "normalizers"
PAGE = HERE.parent / "docs" / "normalizers.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
NORMALIZERS: dict[str, dict[str, Any]] = {
    "1/T": {"name": "per_trajectory"},
    "1/k": {"name": "constant_k", "k": 10.0},
}
SUCCESS = "success"
FIGURES = (
    SUCCESS, "steps of successes", "steps of failures", "tokens of successes",
    "tokens of failures", "tokens a step",
)  # fmt: skip
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""The 97.5 % point of Student's t for 2, 3, … values."""


def config_of(name: str, seed: int, options: argparse.Namespace) -> TrainConfig:
    """One run: nothing differs between the normalizers but the normalizer."""
    short = name.replace("/", "-over-")
    return parse_config(
        {
            "name": f"{short}-seed-{seed}",
            "seed": seed,
            "tasks": {
                "files": [str(HERE / "normalizer_tasks.py")],
                "reinforced": ["bench.corridor-6", "bench.corridor-8"],
            },
            "warm_start": {"episodes_per_task": 0},
            "rollout": {
                "slots": 16,
                "group_size": 8,
                "groups_per_batch": options.groups,
                "temperature": options.temperature,
                "deadline_s": 240.0,
            },
            "objective": {"preset": "asyncwebrl", "normalizer": NORMALIZERS[name]},
            "learner": {"lr": options.lr, "betas": [0.9, 0.95]},
            "reinforce": {"updates": options.updates, "max_minutes": options.minutes},
            "evaluation": {"episodes_per_task": options.episodes},
        },
        "the benchmark's configuration",
    )


def run_once(config: TrainConfig) -> Path:
    """The folder of the finished run; goes on with one that was begun."""
    folder = RUNS / config.name
    if (folder / "state.json").is_file():
        begun = RunFolder.existing(folder)
        if not begun.done("report"):
            resume(folder)
        return folder
    return train(config, RUNS)


def figures_of(folder: Path, moment: str) -> dict[str, float]:
    """Means over the evaluated episodes, of successes and failures apart."""
    lines = (folder / "evaluation" / f"{moment}-sampled.jsonl").read_text().splitlines()
    records = {(r["task_id"], r["seed"]): r for r in map(json.loads, lines)}
    found = {"success": mean(r["success"] for r in records.values())}
    for kind, wanted in (("successes", 1), ("failures", 0)):
        chosen = [r for r in records.values() if r["success"] == wanted]
        if chosen:
            found[f"steps of {kind}"] = mean(r["steps"] for r in chosen)
            found[f"tokens of {kind}"] = mean(r["response_tokens"] for r in chosen)
    steps = sum(r["steps"] for r in records.values())
    found["tokens a step"] = sum(r["response_tokens"] for r in records.values()) / max(1, steps)
    return found


def interval(
    values: Sequence[float], least: float = -inf, most: float = inf
) -> tuple[float, float, float]:
    """Mean over seeds and its 95 % interval by Student's t; NaN bounds for a single seed.

    It is cut off at ``least`` and ``most``, beyond which there are no values.
    """
    middle = mean(values)
    if len(values) < 2:
        return middle, float("nan"), float("nan")
    half = T_975[len(values) - 2] * stdev(values) / len(values) ** 0.5
    return middle, max(least, middle - half), min(most, middle + half)


def rows_of(runs: dict[str, dict[int, Path]]) -> list[dict[str, Any]]:
    """The figures of every run: its updates and seconds of reinforcement, and what was measured."""
    rows = []
    for name, by_seed in runs.items():
        for seed, folder in by_seed.items():
            throughput = json.loads((folder / "throughput.json").read_text())
            rows.append(
                {
                    "normalizer": name,
                    "seed": seed,
                    "updates": throughput["updates"],
                    "seconds": throughput["seconds"],
                    "episodes": throughput["episodes"],
                    "before": figures_of(folder, "before"),
                    "after": figures_of(folder, "after"),
                }
            )
    return rows


def compare(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """For every figure: both normalizers, and the difference paired by seed."""
    after = {
        name: {row["seed"]: row["after"] for row in rows if row["normalizer"] == name}
        for name in NORMALIZERS
    }
    before = [row["before"][SUCCESS] for row in rows if row["normalizer"] == "1/k"]
    table: dict[str, Any] = {"success before": interval(before, 0, 1)}
    for figure in FIGURES:
        values = {
            name: {seed: f[figure] for seed, f in by_seed.items() if figure in f}
            for name, by_seed in after.items()
        }
        both = sorted(values["1/T"].keys() & values["1/k"].keys())
        if both:
            least, most = (0, 1) if figure == SUCCESS else (0, inf)
            differences = [values["1/k"][s] - values["1/T"][s] for s in both]
            table[figure] = {
                **{
                    name: interval([found[s] for s in both], least, most)
                    for name, found in values.items()
                },
                "difference": interval(differences, least - most, most),
                "seeds": len(both),
            }
    return table


def endings(rows: Sequence[dict[str, Any]], updates: int) -> str:
    """Whether runs ended with their last update or before, when their time was up."""
    minutes = sorted(row["seconds"] / 60 for row in rows)
    after = f"after {minutes[0]:.0f} to {minutes[-1]:.0f} min"
    early = sorted(row["updates"] for row in rows if row["updates"] < updates)
    if not early:
        return f"all {len(rows)} runs ended with the last of {updates} updates, {after}"
    return (
        f"{len(early)} of {len(rows)} runs ended when their time was up, with {early[0]} to"
        f" {early[-1]} of {updates} updates, {after}"
    )


def to_markdown(
    table: dict[str, Any], rows: Sequence[dict[str, Any]], options: argparse.Namespace
) -> str:
    """The comparison as a page's section."""

    def shown(found: Sequence[float]) -> str:
        middle, low, high = found
        return f"{middle:.3g} ({low:.3g} … {high:.3g})"

    lines = [
        f"`{command()}`",
        "",
        f"{len(options.seeds)} seeds; {endings(rows, options.updates)}; an update is"
        f" {options.groups} groups of 8; {2 * options.episodes} held-out episodes a run, sampled;"
        f" success before {shown(table['success before'])}. Means over seeds with 95 % intervals by"
        " Student's t, cut off where there are no values (a share ends at 0 and 1); the difference"
        " is paired by seed.",
        "",
        "| figure | 1/T | 1/k | 1/k − 1/T | seeds |",
        "| --- | --- | --- | --- | --- |",
    ]
    for figure in FIGURES:
        if figure in table:
            row = table[figure]
            cells = [shown(row[name]) for name in ("1/T", "1/k", "difference")]
            lines.append(f"| {figure} | {' | '.join(cells)} | {row['seeds']} |")
    memory = psutil.virtual_memory().total / 2**30
    lines += ["", f"{psutil.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is missing, and print the comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2", help="comma-separated; at least 3 to publish")
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--minutes", type=float, default=6.0, help="of reinforcement, at most")
    parser.add_argument("--groups", type=int, default=4, help="groups of 8 an update")
    parser.add_argument("--episodes", type=int, default=40, help="held-out episodes a task")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--lr", type=float, default=4e-4)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--publish", action="store_true", help="write the table into the docs")
    options = parser.parse_args()
    options.seeds = [int(seed) for seed in options.seeds.split(",")]
    if options.publish and len(options.seeds) < 3:
        sys.exit("--publish needs at least 3 seeds")
    if len(options.seeds) > len(T_975) + 1:
        sys.exit(f"--seeds: at most {len(T_975) + 1}")
    runs: dict[str, dict[int, Path]] = {name: {} for name in NORMALIZERS}
    for seed in options.seeds:
        for name in NORMALIZERS:
            runs[name][seed] = run_once(config_of(name, seed, options))
    rows = rows_of(runs)
    table = compare(rows)
    text = to_markdown(table, rows, options)
    (RUNS / "normalizers.md").write_text(text, encoding="utf-8")
    if options.publish:
        publish("normalizers", {"runs": rows})
        page = PAGE.read_text(encoding="utf-8")
        head, _, rest = page.partition(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{text}{END}{rest.partition(END)[2]}", encoding="utf-8")
    print(json.dumps(table) if options.json else text)


if __name__ == "__main__":
    main()
