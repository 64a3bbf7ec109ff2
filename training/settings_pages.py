"""The tables of settings in ``docs/``, made from the code; ``python -m`` this writes them anew.

A page holds a table between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``, and around it
whatever people write.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from webdojo.training.config import TrainConfig
from webdojo.training.config_files import load_config
from webdojo.training.objectives.config import ObjectiveConfig
from webdojo.training.objectives.presets import PRESETS as OBJECTIVES
from webdojo.training.settings_reference import (
    Setting,
    kind_of,
    sections_of,
    settings_of,
    toml,
)

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = ("configuration.md", "objectives.md")
_TABLE = re.compile(r"(<!-- (\S+): begin -->\n).*?(<!-- \2: end -->)", re.DOTALL)


class Use(NamedTuple):
    """What nothing in a preset's settings says."""

    hardware: str
    purpose: str


RUNS: Mapping[str, Use] = {
    "quickstart": Use("2 CPU cores", "the whole of it in ten minutes, with nothing to download"),
    "cpu-text": Use("CPU, slow", "a language model from a hub, without a GPU"),
    "qwen3-vl-2b-1gpu": Use("1 GPU of 80 GiB", "a policy that sees, engine beside the learner"),
    "qwen3-vl-8b-8gpu": Use("8 GPUs of 80 GiB", "a larger one, seven learners and one engine"),
    "asyncwebrl": Use("8 GPUs of 80 GiB", "AsyncWebRL's recipe with its figures, on MiniWoB++"),
}
"""The presets of runs, in the order in which to try them."""


def renewed(page: str) -> str:
    """The text of a page with its tables as the code has them.

    Raises KeyError for a table that there is not.
    """
    made = tables()
    return _TABLE.sub(lambda found: found[1] + made[found[2]] + found[3], page)


def tables() -> dict[str, str]:
    """Every table in Markdown, by name."""
    settings = list(settings_of(TrainConfig))
    parts = {
        setting.key.partition(".")[2]: [
            each for each in settings if each.key.startswith(f"{setting.key}.")
        ]
        for setting in settings
        if setting.kinds
    }
    kl = [each for each in settings if each.key.startswith("objective.kl.")]
    return {
        "settings": "\n".join(_sections(settings)),
        "runs": _table(("preset", *_RUN), map(_run, RUNS)),
        "objectives": _table(("preset", *_PARTS), map(_objective, OBJECTIVES)),
        **{name: _table(_OF_A_PART, map(_of_a_part, rows)) for name, rows in parts.items()},
        "kl": _table(_COLUMNS, map(_row, kl)),
    }


_COLUMNS = ("key", "takes", "default", "meaning")
_OF_A_PART = ("key", "of", "takes", "default", "meaning")
_PARTS = ("advantage", "surrogate", "correction", "normalizer", "proximal")
_RUN = (
    "for",
    "needs",
    "policy",
    "engine",
    "tokens of context, of them response",
    "learner",
    "episodes an update",
    "updates, minutes at most",
)


def _sections(settings: Iterable[Setting]) -> Iterator[str]:
    rows = list(settings)
    for name, meaning in sections_of(TrainConfig).items():
        heading = "The run" if name == "run" else f"`[{name}]`"
        mine = [_row(each) for each in rows if each.section == name]
        yield f"### {heading}\n\n{meaning}\n\n{_table(_COLUMNS, mine)}"


def _row(setting: Setting) -> tuple[str, ...]:
    kind = f" of `{setting.kind}`" if setting.kind else ""
    return f"`{setting.key}`{kind}", setting.takes, _code(setting.default), setting.meaning


def _of_a_part(setting: Setting) -> tuple[str, ...]:
    key = setting.key.partition(".")[2]
    kind = f"`{setting.kind}`"
    return f"`{key}`", kind, setting.takes, _code(setting.default), setting.meaning


def _code(default: str) -> str:
    return default if default == "left out" else f"`{default}`"


def _run(name: str) -> tuple[str, ...]:
    config = load_config(name)
    policy, rollout, learner = config.policy, config.rollout, config.learner
    trained = f"LoRA of rank {learner.lora.rank}" if learner.lora else "all weights"
    cut = ", cut among processes" if learner.sharded else ""
    groups, size = rollout.groups_per_batch, rollout.group_size
    return (
        f"`{name}`",
        RUNS[name].purpose,
        RUNS[name].hardware,
        f"`{policy.checkpoint}`",
        f"`{policy.engine}`",
        f"{policy.context_tokens:,}, {policy.max_response_tokens:,}",
        f"{trained}{cut}, {learner.precision}, lr {toml(learner.lr)}",
        f"{groups} × {size} = {groups * size}",
        f"{config.reinforce.updates}, {config.reinforce.max_minutes:,g}",
    )


def _objective(name: str) -> tuple[str, ...]:
    config = ObjectiveConfig.from_preset(name)
    return f"`{name}`", *(_part(getattr(config, part)) for part in _PARTS)


def _part(part: BaseModel | str) -> str:
    if isinstance(part, str):
        return f"`{part}`"
    changes = part.model_dump(exclude_defaults=True)
    told = ", ".join(f"{key} {toml(value)}".replace('"', "") for key, value in changes.items())
    return f"`{kind_of(type(part))}`{f', {told}' if told else ''}"


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '·') for cell in row)} |\n" for row in lines)


def main() -> None:
    """Write the tables of every page anew."""
    for name in PAGES:
        page = DOCS / name
        page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
