"""Whether reinforcement beats what else could be done with its time.

For each seed: one whole run, and then, beside its reinforced policy, on the same episodes:

- supervised: in the seconds that the reinforcement took, the warm start goes on instead, on the
  same demonstrations and on more of the same tasks, recorded in that time.
- supervised-clean: the same on demonstrations without noise (only if the run's have some).
- low-temperature: the warm start, sampled at a low temperature; and greedy, beside sampled.
- valid-actions: the warm start decoding nothing but actions that the page can take.

    python benchmarks/controls.py
    python benchmarks/controls.py --seeds 0,1,2 --wide 0 --sync 0 --publish
    python benchmarks/controls.py --evaluation-offset 0 --seeds 0 --controls valid-actions

What is finished is kept in runs/controls: the same command goes on where it was stopped. Figures
are written there as controls.json and controls.md; --publish writes them into the repository too.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any, cast, get_args

from control_figures import REINFORCED, WARM_START, compare, to_markdown
from control_runs import (
    MODES,
    Control,
    figures_of,
    records_of,
    reinforced_run,
    run_control,
    synchronous_run,
    throughput,
)
from published import RESULTS, machine, write_whole

from webdojo.cli.boundary import guarded
from webdojo.tasks.errors import UserError
from webdojo.tasks.files import load_files
from webdojo.training.config import TrainConfig
from webdojo.training.config_files import load_config
from webdojo.training.evaluation import MODES as EVALUATION_MODES
from webdojo.training.evaluation import read_result
from webdojo.training.named_tasks import with_whole_suites
from webdojo.training.progress import Progress
from webdojo.training.run_folder import RunFolder

HERE = Path(__file__).parent
WIDE = HERE / "wide.toml"
PUBLISHED = RESULTS / "controls.json"
PAGE = HERE.parent / "docs" / "quickstart-controls.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def main() -> None:
    """Run what is missing and write the figures."""
    options = _options()
    output = redirect_stdout(sys.stderr) if options.json else nullcontext()
    with output:
        found = benchmark(options)
    if options.json:
        print(json.dumps(found))


def benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """All runs that are asked for, and what they show."""
    config = _config(options.preset, options)
    found: dict[str, Any] = {
        "command": _command(options),
        "machine": machine(),
        "config": config.name,
        "evaluation_offset": config.evaluation.seed_offset,
        "episodes_per_task": config.evaluation.episodes_per_task,
        "temperature": options.temperature,
        "demonstrated": config.tasks.demonstrated,
        "reinforced": config.tasks.reinforced,
        "unseen": config.tasks.unseen,
        "runs": [],
        "comparisons": [],
    }

    def keep() -> None:
        write_whole(options.runs / "controls.json", json.dumps(found, indent=1) + "\n")
        write_whole(options.runs / "controls.md", to_markdown(found))

    _controlled(config, options, found, keep)
    if options.sync:
        found["sync"] = []
        for seed in options.sync:
            found["sync"].append(_synchronous(_seeded(config, seed), options.runs))
            keep()
    if options.wide:
        wide = _config(str(WIDE), options)
        found["wide"] = {"reinforced": wide.tasks.reinforced, "runs": [], "comparisons": []}
        bare = argparse.Namespace(**vars(options) | {"controls": [], "seeds": options.wide})
        _controlled(wide, bare, found["wide"], keep)
    print(f"figures: {options.runs / 'controls.json'}, {options.runs / 'controls.md'}")
    if options.publish:
        _publish(found)
    return found


def _controlled(
    config: TrainConfig,
    options: argparse.Namespace,
    found: dict[str, Any],
    keep: Callable[[], None],
) -> None:
    """Run every seed with its controls and add its figures to ``found``."""
    noisy = config.warm_start.action_noise > 0
    controls = [c for c in options.controls if noisy or c != "supervised-clean"]
    for seed in options.seeds:
        run = reinforced_run(_seeded(config, seed), options.runs)
        with Progress() as progress:
            for control in controls:
                run_control(run, control, options.temperature, progress)
        found["runs"].append(_figures(run, seed, controls, options.temperature))
        found["comparisons"] = compare({each["seed"]: each["rates"] for each in found["runs"]})
        keep()


def _figures(
    run: RunFolder, seed: int, controls: Sequence[Control], temperature: float
) -> dict[str, Any]:
    files = {
        WARM_START: {mode: run.evaluation("before", mode) for mode in EVALUATION_MODES},
        REINFORCED: {mode: run.evaluation("after", mode) for mode in EVALUATION_MODES},
    } | {
        control: {mode: records_of(run, control, mode, temperature) for mode in MODES[control]}
        for control in controls
    }
    results = {
        who: {mode: read_result(path) for mode, path in modes.items()}
        for who, modes in files.items()
    }
    return {
        "seed": seed,
        "folder": run.path.name,
        "reinforce_s": run.state()["seconds"]["reinforce"],
        "throughput": throughput(run),
        "rates": {who: {m: r.splits for m, r in modes.items()} for who, modes in results.items()},
        "tasks": {who: {m: r.tasks for m, r in modes.items()} for who, modes in results.items()},
        "supervision": {
            control: json.loads(figures_of(run, control).read_text(encoding="utf-8"))
            for control in controls
            if figures_of(run, control).is_file()
        },
    }


def _synchronous(config: TrainConfig, runs: Path) -> dict[str, Any]:
    fast = reinforced_run(config, runs)
    slow = synchronous_run(fast, runs)
    sides = {"async": throughput(fast), "sync": throughput(slow)}
    return {
        "seed": config.seed,
        **sides,
        "time_ratio": sides["sync"]["seconds"] / sides["async"]["seconds"],
        "after_sync": {
            mode: read_result(slow.evaluation("after", mode)).splits for mode in EVALUATION_MODES
        },
    }


def _config(source: str, options: argparse.Namespace) -> TrainConfig:
    config = load_config(source, options.settings)
    if not config.evaluation.episodes_per_task:
        raise UserError("evaluation.episodes_per_task is 0: there would be nothing to compare")
    load_files(map(str, config.tasks.files))
    evaluation = config.evaluation.model_copy(update={"seed_offset": options.evaluation_offset})
    return with_whole_suites(config.model_copy(update={"evaluation": evaluation}))


def _seeded(config: TrainConfig, seed: int) -> TrainConfig:
    return config.model_copy(update={"seed": seed, "name": f"{config.name}-{seed}"})


def _publish(found: dict[str, Any]) -> None:
    """Into the repository: the JSON, and its tables between the marks of the page."""
    page = PAGE.read_text(encoding="utf-8")
    if BEGIN not in page or END not in page:
        raise UserError(f"{PAGE} has lost its marks {BEGIN} and {END}: put them back")
    before, after = page.split(BEGIN)[0], page.split(END)[-1]
    write_whole(PUBLISHED, json.dumps(found, indent=1) + "\n")
    write_whole(PAGE, f"{before}{BEGIN}\n\n{to_markdown(found)}\n{END}{after}")
    print(f"published: {PUBLISHED}, {PAGE}")


def _command(options: argparse.Namespace) -> str:
    """The command that does the same."""
    words = ["python", "benchmarks/controls.py"]
    if options.preset != "quickstart":
        words.append(options.preset)
    words += ["--seeds", ",".join(map(str, options.seeds))]
    words += ["--evaluation-offset", str(options.evaluation_offset)]
    if options.controls != list(get_args(Control)):
        words += ["--controls", ",".join(options.controls) or "none"]
    if options.temperature != 0.1:
        words += ["--temperature", f"{options.temperature:g}"]
    for setting in options.settings:
        words += ["--set", setting]
    for flag in ("wide", "sync"):
        if seeds := getattr(options, flag):
            words += [f"--{flag}", ",".join(map(str, seeds))]
    return shlex.join(words)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset", nargs="?", default="quickstart", help="a preset or a TOML file")
    parser.add_argument("--seeds", type=_seeds, default=[0, 1, 2], help="default: 0,1,2")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting of every run, as in `webdojo train`",
    )
    parser.add_argument(
        "--controls",
        type=_controls,
        default=list(get_args(Control)),
        help=f"some of {','.join(get_args(Control))}, or none; default: all",
    )
    parser.add_argument(
        "--temperature", type=float, default=0.1, help="of low-temperature; default: 0.1"
    )
    parser.add_argument(
        "--evaluation-offset",
        type=int,
        default=1000,
        metavar="SEEDS",
        help="held-out seeds to leave out before those that are played, so that no figure comes"
        " from seeds on which settings were chosen; default: 1000",
    )
    for flag, runs in (("--wide", "of benchmarks/wide.toml"), ("--sync", "with staleness 0")):
        parser.add_argument(
            flag, type=_seeds, default=[], metavar="SEEDS", help=f"also the runs {runs}"
        )
    parser.add_argument("--runs", type=Path, default=Path("runs/controls"), help="output folder")
    parser.add_argument(
        "--publish",
        action="store_true",
        help="write benchmarks/results/controls.json and the tables of the documentation too",
    )
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")
    return parser.parse_args()


def _seeds(text: str) -> list[int]:
    seeds = [int(part) for part in text.split(",")]
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise argparse.ArgumentTypeError(f"{text!r}: give different seeds from 0 on, as in 0,1,2")
    return seeds


def _controls(text: str) -> list[Control]:
    chosen = [] if text == "none" else text.split(",")
    for name in chosen:
        if name not in get_args(Control):
            known = ", ".join(get_args(Control))
            raise argparse.ArgumentTypeError(f"no control {name!r}: there are {known}")
    return cast(list[Control], chosen)


if __name__ == "__main__":
    guarded(main)
