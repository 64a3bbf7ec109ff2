"""Adapters on layers that are not there are refused as a configuration is read, and told where."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from config_refusals import refusal
from typer.testing import CliRunner

from webdojo.agents.checkpoint import SHIPPED
from webdojo.cli.app import app
from webdojo.tasks.errors import UserError
from webdojo.training.config_files import load_config
from webdojo.training.learner_config import LoraConfig
from webdojo.training.lora import check_targets
from webdojo.training.lora_targets import no_such_layer

UNTIED = "Qwen/Qwen3-VL-8B-Instruct"


@pytest.fixture(autouse=True)
def _nothing_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def targets(*names: str) -> str:
    return f"learner.lora.targets={list(names)}".replace("'", '"')


@pytest.mark.parametrize(
    "names",
    [
        ("all-linear",),
        ("q_proj", "self_attn.v_proj"),
        ("layers.0.mlp.up_proj", "model.layers.4.self_attn.o_proj"),
        # Models that see have their language model deeper than files of older ones say.
        ("model.language_model.layers.0.mlp.up_proj",),
    ],
)
def test_names_of_layers_that_are_there_are_taken(names: tuple[str, ...]) -> None:
    config = load_config("quickstart", [targets(*names)])
    assert config.learner.lora is not None
    assert config.learner.lora.targets == names


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("q_prj", "the nearest is 'q_proj'; "),
        ("mlp.q_proj", "the nearest is 'self_attn.q_proj'; "),
        ("self_atn.k_proj", "the nearest is 'self_attn.k_proj'; "),
        ("layers.99.mlp.up_proj", "the nearest is 'mlp.up_proj'; "),
        ("zzz", ""),
        ("proj", ""),
        ("embed_tokens", ""),
    ],
)
def test_a_name_that_no_layer_has_is_refused_with_the_nearest(wrong: str, nearest: str) -> None:
    said = refusal("quickstart", targets("q_proj", wrong))
    assert said.startswith(f"--set: learner.lora.targets names {wrong!r}, and webdojo-nano (")
    assert "(policy.checkpoint, from preset quickstart) has no linear layer of that name" in said
    assert nearest in said
    has = "it has down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj;"
    assert has in said
    assert said.endswith("or take all-linear alone")


def test_it_is_told_where_the_targets_were_set_and_whose_the_policy_is(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[learner.lora]\nrank = 4\ntargets = ["qkv"]\n')
    said = refusal(file)
    assert said.startswith(f"{file}: learner.lora.targets names 'qkv', and webdojo-nano (")
    assert "(policy.checkpoint, the default)" in said
    assert refusal(file, "seed=3").startswith(f"{file}: learner.lora.targets")
    assert refusal(file, 'learner.lora={targets=["k"]}').startswith("--set: learner.lora.targets")
    # What is right for one policy is wrong for another, known though not here.
    seeing = "policy.checkpoint=Qwen/Qwen3-VL-2B-Instruct"
    assert load_config(str(file), [seeing]).learner.lora is not None
    text = refusal(file, "policy.checkpoint=Qwen/Qwen2.5-0.5B-Instruct")
    assert "Qwen/Qwen2.5-0.5B-Instruct (policy.checkpoint, from --set) has no linear" in text


def test_a_head_that_shares_the_embeddings_weights_is_refused(tmp_path: Path) -> None:
    """Adapters on it would be merged into the embeddings too: another policy than was trained."""
    said = refusal("quickstart", targets("q_proj", "lm_head"))
    assert "(policy.checkpoint, from preset quickstart) has no output head of its own" in said
    for name in ("Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen3-VL-2B-Instruct"):
        assert "no output head" in refusal(
            "quickstart", f"policy.checkpoint={name}", targets("lm_head")
        )
    untied = [f"policy.checkpoint={UNTIED}", targets("lm_head")]
    assert load_config("quickstart", untied).learner.lora is not None
    # As a run sees it, which knows of any model.
    with pytest.raises(UserError, match=r"^mine\.toml: .* has no output head of its own"):
        check_targets(LoraConfig(targets=("lm_head",)), str(SHIPPED["webdojo-nano"]), "mine.toml")
    shutil.copytree(SHIPPED["webdojo-nano"], tmp_path / "untied")
    file = tmp_path / "untied" / "config.json"
    file.write_text(
        file.read_text().replace('"tie_word_embeddings": true', '"tie_word_embeddings": false')
    )
    check_targets(LoraConfig(targets=("lm_head",)), str(tmp_path / "untied"), "mine.toml")


def test_layers_that_cannot_be_known_are_left_to_the_run(tmp_path: Path) -> None:
    strange = targets("strange")
    assert load_config("quickstart", ["policy.checkpoint=nobody/nothing", strange]).learner.lora
    broken = shutil.copytree(SHIPPED["webdojo-nano"], tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"\x01")
    assert load_config("quickstart", [f"policy.checkpoint={broken}", strange]).learner.lora


@pytest.mark.parametrize("dry", [["--dry-run"], []])
def test_neither_a_dry_run_nor_a_run_begins(
    dry: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["train", "quickstart", "--set", targets("query"), *dry])
    assert isinstance(result.exception, UserError)
    assert "learner.lora.targets names 'query'" in str(result.exception)
    assert result.output == ""
    assert list(tmp_path.iterdir()) == []


def test_of_many_names_only_some_are_listed() -> None:
    said = no_such_layer("none", "mine", [f"layers.0.l{number:02}" for number in range(30)])
    assert "it has l00, l01, " in said
    assert "l19, …; or" in said
