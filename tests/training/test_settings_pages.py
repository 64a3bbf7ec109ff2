"""The pages about settings say what the code does, and what they show works."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from webdojo.training.config import TrainConfig
from webdojo.training.config_files import load_config, presets
from webdojo.training.objectives.presets import PRESETS
from webdojo.training.plan_notes import LEAST, MOST_LR_OF_ADAPTERS
from webdojo.training.settings_pages import DOCS, PAGES, RUNS, renewed, tables
from webdojo.training.settings_reference import settings_of

CONFIGURATION, OBJECTIVES = ((DOCS / name).read_text(encoding="utf-8") for name in PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_the_tables_of_a_page_are_those_of_the_code(name: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    assert page == renewed(page), (
        f"docs/{name} is behind the code: run `python -m webdojo.training.settings_pages`"
    )


def test_every_table_stands_on_a_page() -> None:
    begun = re.findall(r"<!-- (\S+): begin -->", CONFIGURATION + OBJECTIVES)
    assert sorted(begun) == sorted(tables())


def test_every_setting_and_preset_is_told() -> None:
    told = [setting.key for setting in settings_of(TrainConfig)]
    assert [key for key in told if f"| `{key}`" not in CONFIGURATION] == []
    assert set(RUNS) == set(presets())


def test_every_part_has_a_formula_and_every_objective_its_source() -> None:
    _, *parts = re.split(r"^## ", OBJECTIVES, flags=re.MULTILINE)
    by_name = {part.split("`")[1]: part for part in parts if part.startswith("`")}
    for setting in settings_of(TrainConfig):
        for kind in setting.kinds:
            part = by_name[setting.key.rpartition(".")[2]]
            assert re.search(rf"^\| `{kind}` \| .+ \|", part, re.MULTILINE), kind
    (presented,) = (part for part in parts if part.startswith("Presets"))
    for name in PRESETS:
        assert len(re.findall(rf"^\| `{name}` \|", presented, re.MULTILINE)) == 2, name
    for estimator in ("k1", "k2", "k3"):
        assert f"\n| `{estimator}` | " in by_name["kl"]


def test_every_sampler_and_logger_is_told() -> None:
    takes = {setting.key: setting.takes for setting in settings_of(TrainConfig)}
    for sampler in re.findall(r"`(\w+)`", takes["rollout.sampler"]):
        assert f"\n| `{sampler}` | " in CONFIGURATION
    for logger in re.findall(r"`(\w+)`", takes["loggers"]):
        assert f"\n| `[\"{logger}\"]` | `pip install -e '.[{logger}]'` |" in CONFIGURATION


def test_the_file_that_is_shown_is_one(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```toml\n(.*?)```", CONFIGURATION, re.DOTALL)
    path = tmp_path / "mine.toml"
    path.write_text(shown)
    config = load_config(str(path))
    assert config.tasks.files == (tmp_path / "my_tasks.py",)
    assert config.learner.lora is not None
    # It is for a language model, and what the plan notes of such a one is not to be said of it.
    assert config.learner.lr <= MOST_LR_OF_ADAPTERS
    for key, least in LEAST.items():
        section, field = key.split(".")
        assert getattr(getattr(config, section), field) >= least


def test_the_settings_that_are_shown_are_taken() -> None:
    lines = CONFIGURATION.replace("\\\n", " ").splitlines()
    shown = [shlex.split(line, comments=True) for line in lines if " quickstart --set" in line]
    assert len(shown) == 2
    for _, _, preset, *options in shown:
        given = [value for option, value in pairwise(options) if option == "--set"]
        assert given
        load_config(preset, given)
