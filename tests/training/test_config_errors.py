"""A wrong configuration is told in plain words: the key, what it takes, and whose value it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from webdojo.tasks.errors import UserError
from webdojo.training.config_files import load_config


def refusal(source: str | Path, *settings: str) -> str:
    with pytest.raises(UserError) as caught:
        load_config(str(source), settings)
    return str(caught.value)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text('[objective]\nsurrogate = "cispo"\n[rollout]\nstaleness = 1\n')
    return path


@pytest.mark.parametrize(
    ("setting", "nearest"),
    [
        ("staleness=0", "'rollout.staleness'"),
        ("lr=1e-4", "'warm_start.lr' and 'learner.lr'"),
        ("stalness=0", "'rollout.staleness'"),
        ("policy.temperature=1", "'rollout.temperature'"),
        ("objective.clip_high=0.3", "'objective.surrogate.clip_high'"),
        ("objective.kl.coef=0.1", "'objective.kl.coefficient'"),
    ],
)
def test_a_key_without_its_section_gets_the_whole_key(setting: str, nearest: str) -> None:
    said = refusal("quickstart", setting)
    assert said.startswith("--set: unknown key")
    assert said.endswith(nearest)


def test_a_key_like_no_other_is_sent_to_the_list() -> None:
    said = refusal("quickstart", "learner.dropout=0.1")
    assert "unknown key 'learner.dropout'; `webdojo settings learner` lists" in said


def test_a_key_of_another_kind_says_whose_it_is_and_which_is_in_force(mine: Path) -> None:
    said = refusal(mine, "objective.surrogate.clip_high=0.3")
    assert f"objective.surrogate is 'cispo' (from {mine})" in said
    assert "clip_high is a setting of 'ppo' and 'gspo'; it has ratio_low and ratio_high" in said
    preset = refusal("quickstart", "objective.preset=cispo", "objective.surrogate.clip_high=0.3")
    assert "is 'cispo' (from objective preset cispo)" in preset
    near = refusal(mine, "objective.surrogate.ratio_hih=3")
    assert near.endswith("the nearest is 'objective.surrogate.ratio_high'")


def test_another_kind_leaves_the_settings_of_the_last_one_behind(mine: Path) -> None:
    told = load_config("quickstart", ["objective.surrogate.name=cispo"]).objective.surrogate
    assert told.name == "cispo"
    settings = ["objective.surrogate.ratio_high=4", "objective.surrogate=cispo"]
    for source in ("quickstart", str(mine)):
        assert load_config(source, settings).objective.surrogate.ratio_high == 4


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("rollout.staleness=1.5", "rollout.staleness takes a whole number, 0 or more, such as 2;"),
        (
            "rollout.deadline_s=long",
            'takes a number from 1 to 604,800, such as 60.0; given: "long"',
        ),
        ("rollout.deterministic=maybe", "takes true or false, such as false"),
        ("learner.betas=[0.9]", "takes a list of 2, each a number from 0 to below 1"),
        ("learner.lora=true", "takes a table of rank, alpha, targets, such as { rank = 32, alpha"),
        ("objective.advantage=grppo", "takes grpo, dr_grpo, rloo, gigpo or reinforce_ada, or a"),
        ("objective.advantage.deviation=none", "takes population or sample"),
        ("objective.surrogate.dual_clip=nan", "takes a number above 1 or inf"),
        ("tasks.reinforced=miniwob", 'takes a list of texts, such as ["miniwob-train"]'),
        ("objective=3", 'is a section, whose keys take values, such as objective.preset="dapo"'),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_in_plain_words(setting: str, sentence: str) -> None:
    said = refusal("quickstart", setting)
    assert said.startswith(f"--set: {setting.partition('=')[0]} ")
    assert sentence in said
    assert "given: " in said


def test_values_that_do_not_fit_together_are_told_with_where_they_come_from(mine: Path) -> None:
    said = refusal(mine, "rollout.deterministic=true")
    assert said.startswith(f"{mine} with --set: rollout: deterministic needs")
    assert "rollout.deterministic = true, from --set" in said
    assert f"rollout.staleness = 1, from {mine}" in said
    assert 'rollout.collection = "completion", the default' in said
    preset = refusal("quickstart", "objective.surrogate.dual_clip=1.1")
    assert "objective.surrogate.clip_high = 0.28, from preset quickstart" in preset
    kind = refusal(mine, "objective.preset=dapo", "objective.surrogate.dual_clip=1.1")
    assert "objective.surrogate.clip_high = 0.28, from objective preset dapo" in kind
    own = refusal(mine, "objective.correction=icepop", "objective.correction.low=7")
    assert "objective.correction.high = 5.0, the default" in own
    unseen = refusal("quickstart", 'tasks.unseen=["miniwob.unicode-test"]')
    assert "(tasks.reinforced from preset quickstart; tasks.unseen from --set)" in unseen
