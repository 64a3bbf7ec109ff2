"""What is said of settings is what the code takes; asking costs nothing to those who do not ask."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from typing import Any

from webdojo.training.config import TrainConfig
from webdojo.training.config_files import parse_config
from webdojo.training.settings_reference import LEFT_OUT, Setting, sections_of, settings_of

SETTINGS = tuple(settings_of(TrainConfig))


def test_every_setting_has_a_meaning() -> None:
    silent = [each.key for each in SETTINGS if not each.meaning.endswith((".", ")"))]
    assert silent == [], "write a docstring below the field"
    assert all("``" not in each.meaning and all(each.kinds.values()) for each in SETTINGS)


def test_a_default_that_is_given_is_the_one_that_is_left_out() -> None:
    for setting in SETTINGS:
        if setting.default != LEFT_OUT:
            assert configured(setting, setting.default) == configured(setting), setting.key


def test_every_example_is_taken() -> None:
    for setting in SETTINGS:
        assert configured(setting, setting.example), setting.key


def configured(setting: Setting, text: str | None = None) -> TrainConfig:
    """A configuration of this key alone, or of the section that it would stand in."""
    *path, last = setting.key.split(".")
    table: dict[str, Any] = {"name": setting.kind} if setting.kind else {}
    if text is not None:
        table[last] = tomllib.loads(f"value = {text}")["value"]
    for part in reversed(path):
        table = {part: table}
    return parse_config(table, "test")


def test_words_for_bounds_and_choices() -> None:
    words = {f"{setting.key} {setting.kind}".strip(): setting.takes for setting in SETTINGS}
    assert words["rollout.staleness"] == "a whole number, 0 or more"
    assert words["rollout.group_size"] == "a whole number from 2 to 100,000"
    assert words["seed"] == "a whole number from 0 to 2^63 − 1"
    assert words["warm_start.action_noise"] == "a number from 0 to below 1"
    assert words["objective.surrogate.dual_clip ppo"] == "a number above 1 or `inf`"
    assert words["objective.advantage.deviation gigpo"] == "`population`, `sample` or `none`"
    assert words["loggers"] == "a list of `trackio` or `wandb`"
    assert words["policy.layout"].startswith("`outline`, `chat`, ")


def test_every_setting_is_in_a_section_that_is_told() -> None:
    assert {setting.section for setting in SETTINGS} == set(sections_of(TrainConfig))
    assert all(sections_of(TrainConfig).values())


def test_importing_a_configuration_reads_no_source() -> None:
    program = (
        "import ast, inspect, sys\n"
        "def refuse(*a, **k): raise AssertionError('source was parsed')\n"
        "import webdojo.training.settings_reference as reference\n"
        "reference._docstrings = refuse\n"
        "from webdojo.training.config_files import load_config\n"
        "load_config('quickstart')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
