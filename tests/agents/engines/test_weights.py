"""Which files of a folder are a checkpoint, and when they are no longer what they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from webdojo.agents.engines import weights
from webdojo.agents.engines.unchanged import Unchanged
from webdojo.agents.engines.weights import INDEX, read_safetensors, weight_files

FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint in two parts, and one part of an older one."""
    write_part(tmp_path / FIRST, "a", 1)
    write_part(tmp_path / SECOND, "b", 1)
    write_part(tmp_path / "model-00003-of-00003.safetensors", "c", 0)
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"a": FIRST, "b": SECOND}}))
    return tmp_path


def write_part(file: Path, name: str, value: float) -> None:
    partial = file.with_suffix(".partial")
    save_file({name: torch.full((2,), value)}, partial)
    partial.replace(file)


def test_what_the_index_names_is_read_and_nothing_else(folder: Path) -> None:
    assert sorted(read_safetensors(folder)) == ["a", "b"]
    save_file({"a": torch.zeros(2)}, folder / "model.safetensors")
    assert weight_files(folder) == [folder / "model.safetensors"]


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        (None, "holds parts of a checkpoint and no"),
        ("", "is damaged"),
        ("[" * 100_000, "is damaged"),
        ('{"weight_map": {}}', "is damaged"),
        ('{"weight_map": {"a": "../a.safetensors"}}', "is damaged"),
        ('{"weight_map": {"a": "other.safetensors"}}', "is missing: write a checkpoint into"),
    ],
)
def test_parts_without_a_sound_index_are_no_checkpoint(
    folder: Path, index: str | None, sentence: str
) -> None:
    (folder / INDEX).unlink()
    if index is not None:
        (folder / INDEX).write_text(index)
    with pytest.raises(ValueError, match=sentence):
        read_safetensors(folder)


def test_a_checkpoint_that_is_overwritten_while_it_is_read_is_not_taken(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Overwritten(Unchanged):
        def check(self) -> None:
            write_part(folder / FIRST, "a", 2)
            super().check()

    monkeypatch.setattr(weights, "Unchanged", Overwritten)
    with pytest.raises(ValueError, match="was changed while it was read"):
        read_safetensors(folder)
