"""Checkpoints are found, kept whole, and refused with a reason when damaged."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

from webdojo.agents.checkpoint import SHIPPED, Checkpoint, find_checkpoint
from webdojo.tasks.errors import UserError


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shipped = find_checkpoint("webdojo-nano")
    tokenizer = shipped.tokenizer()
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=512,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("checkpoint") / "saved"
    shipped.save(Qwen2ForCausalLM(config), tokenizer, folder)
    return folder


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        act()
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_the_shipped_policy_is_small_and_complete() -> None:
    found = find_checkpoint("webdojo-nano")
    found.check(1024)
    assert found.layout.name == "outline"
    held = [path for path in SHIPPED["webdojo-nano"].iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in held) <= 8 * 2**20
    assert found.model().get_input_embeddings().num_embeddings >= len(found.tokenizer())


def test_what_is_saved_is_loaded_again(saved: Path) -> None:
    found = find_checkpoint(str(saved))
    found.check(512)
    assert found.layout.name == "outline"
    shipped = find_checkpoint("webdojo-nano").tokenizer()
    text = 'button"Log in"[2]\nPress "Log in".\n'
    assert found.tokenizer().encode(text) == shipped.encode(text)
    weights = load_file(saved / "model.safetensors")
    model = found.model().state_dict()
    assert all(torch.equal(model[name], value) for name, value in weights.items())


def test_saving_replaces_a_checkpoint_whole(copy: Path) -> None:
    found = find_checkpoint(str(copy))
    (copy / "old").write_text("left over")
    partial = copy.with_name("copy.partial")
    partial.mkdir()
    (partial / "cut").write_text("by a kill")
    found.save(found.model(), found.tokenizer(), copy)
    assert not (copy / "old").exists()
    assert not (copy / "cut").exists()
    assert not partial.exists()


def test_loading_and_saving_show_no_progress_bars(
    saved: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = find_checkpoint(str(saved))
    found.save(found.model(), found.tokenizer(), tmp_path / "again")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["no-such-policy", "./nowhere", "runs/gone", "a/b/c"])
def test_what_is_nowhere_is_refused(name: str) -> None:
    sentence = refusal(lambda: find_checkpoint(name))
    assert repr(name) in sentence
    assert "webdojo-nano" in sentence


def test_of_a_run_that_has_not_written_it_yet_the_checkpoints_there_are_told(
    saved: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "runs" / "mine" / "checkpoints"
    for name in ("warm-start", "best"):
        shutil.copytree(saved, folder / name)
    (folder / "update-000002").mkdir()
    sentence = refusal(lambda: find_checkpoint(str(folder / "final")))
    assert sentence.endswith(f"/final': in {folder} there are best, warm-start")


def test_a_bare_name_is_answered_by_those_shipped_whatever_lies_about(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(saved, tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert "webdojo-nano" in refusal(lambda: find_checkpoint("webdojo-nan"))


def test_a_hubs_name_is_taken_as_one() -> None:
    found = find_checkpoint("some-owner/some-model")
    assert found == Checkpoint("some-owner/some-model", found.layout)
    assert found.layout.name == "chat"


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    assert "give a checkpoint's folder" in refusal(lambda: find_checkpoint(str(tmp_path)))
    for age, name in ((9, "final"), (20, "warm-start")):
        made = tmp_path / "checkpoints" / name / "config.json"
        made.parent.mkdir(parents=True)
        made.write_text("{}")
        os.utime(made.parent, (1e9 - age, 1e9 - age))
    given = tmp_path / "checkpoints" / "final"
    assert f"give {given}" in refusal(lambda: find_checkpoint(str(tmp_path)))


def cut(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])


def garbage(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text("{ this is no JSON")


def without_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


def of_another_tokenizer(folder: Path) -> None:
    data = json.loads((folder / "tokenizer.json").read_text().replace("<|act|>", "<|other|>"))
    (folder / "tokenizer.json").write_text(json.dumps(data))


def in_parts(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    find_checkpoint("webdojo-nano").model().save_pretrained(folder, max_shard_size="1MB")
    find_checkpoint(str(folder)).check(512)


def without_a_part(folder: Path) -> None:
    in_parts(folder)
    next(folder.glob("model-00002-of-*")).unlink()


def without_an_index(folder: Path) -> None:
    in_parts(folder)
    (folder / "model.safetensors.index.json").unlink()


def beside_older_ones(damage: Callable[[Path], object]) -> Callable[[Path], object]:
    """As many repositories have both; transformers takes the safetensors."""

    def both(folder: Path) -> None:
        damage(folder)
        (folder / "pytorch_model.bin").write_bytes(b"")

    return both


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (cut, "weights"),
        (beside_older_ones(cut), "weights"),
        (beside_older_ones(without_a_part), "model-00002"),
        (garbage("model.safetensors"), "weights"),
        (lambda folder: (folder / "model.safetensors").unlink(), "weights"),
        (without_a_part, "model-00002"),
        (without_an_index, "holds parts of a checkpoint"),
        (garbage("config.json"), "configuration"),
        (garbage("tokenizer.json"), "tokenizer"),
        (without_tokenizer, "tokenizer"),
        (of_another_tokenizer, "no token <|act|>"),
    ],
)
def test_damage_is_found_before_a_run_begins(
    copy: Path, damage: Callable[[Path], object], what: str
) -> None:
    damage(copy)
    sentence = refusal(lambda: find_checkpoint(str(copy)).check(512))
    assert what in sentence
    assert str(copy) in sentence


@pytest.mark.parametrize(
    "about",
    ['{"layout": 3}', "[]"]
    + [
        f'{{"layout": "chat", "history": {value}}}'
        for value in ("-1", "1001", '"x"', "8.5", "null")
    ],
)
def test_a_damaged_layout_is_refused(copy: Path, about: str) -> None:
    (copy / "webdojo.json").write_text(about)
    assert "webdojo.json is damaged" in refusal(lambda: find_checkpoint(str(copy)))


def test_weights_that_lack_a_layer_are_refused(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    gone = next(name for name in weights if "mlp" in name)
    del weights[gone]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    assert gone in refusal(lambda: find_checkpoint(str(copy)).model())


def test_a_context_beyond_the_models_is_refused(saved: Path) -> None:
    sentence = refusal(lambda: find_checkpoint(str(saved)).check(513))
    assert "context_tokens is 513" in sentence
    assert "512 at most" in sentence


def test_the_chat_layout_asks_for_a_chat_template(saved: Path) -> None:
    assert "chat template" in refusal(lambda: find_checkpoint(str(saved), "chat").tokenizer())
