"""Which files of a folder are a checkpoint, and when they are no longer what they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch.utils._python_dispatch import TorchDispatchMode

from webdojo.agents.engines import weights
from webdojo.agents.engines.adapters import Adapters, write_adapters
from webdojo.agents.engines.kept_copies import KeptCopies
from webdojo.agents.engines.unchanged import Unchanged
from webdojo.agents.engines.weights import INDEX, checksum, read_safetensors, weight_files

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


def sent(base: Path, file: Path, scale: float) -> Path:
    """A file of adapters that replace nothing but a bias."""
    write_adapters(Adapters(base, torch.float32, scale, {"a": torch.full((2,), scale)}), file)
    return file


def test_the_checkpoint_beneath_adapters_is_copied_once_until_it_changes(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file, kept = tmp_path_factory.mktemp("sent") / "adapters.safetensors", KeptCopies()
    found = read_safetensors(sent(folder, file, 3), kept)
    assert (found["a"].tolist(), found["b"].tolist()) == ([3, 3], [1, 1])
    first = list(kept._copies)
    assert [copy.stat().st_size for copy in first] == [
        (folder / name).stat().st_size for name in (FIRST, SECOND)
    ]
    written = [copy.stat() for copy in first]
    found = read_safetensors(sent(folder, file, 5), kept)
    assert (found["a"].tolist(), found["b"].tolist()) == ([5, 5], [1, 1])
    assert [copy.stat().st_mtime_ns for copy in kept._copies] == [s.st_mtime_ns for s in written]
    assert [copy.stat().st_ino for copy in kept._copies] == [s.st_ino for s in written]
    write_part(folder / SECOND, "b", 7)
    assert read_safetensors(file, kept)["b"].tolist() == [7, 7]
    assert not any(copy.exists() for copy in first)
    last = list(kept._copies)
    kept.drop()
    assert not any(copy.exists() for copy in last)
    assert read_safetensors(file, kept)["b"].tolist() == [7, 7]
    kept.drop()


def test_copies_of_what_changed_meanwhile_are_not_kept(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, kept = tmp_path_factory.mktemp("sent") / "adapters.safetensors", KeptCopies()

    class Overwritten(Unchanged):
        def check(self) -> None:
            write_part(folder / SECOND, "b", 2)
            super().check()

    with monkeypatch.context() as hook:
        hook.setattr(weights, "Unchanged", Overwritten)
        with pytest.raises(ValueError, match="was changed while it was read"):
            read_safetensors(sent(folder, file, 3), kept)
    assert kept._copies == []
    assert read_safetensors(file, kept)["b"].tolist() == [2, 2]
    kept.drop()


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


class Made(TorchDispatchMode):
    """The size of the largest tensor that was made and shares nothing with ``given``."""

    def __init__(self, given: torch.Tensor) -> None:
        super().__init__()
        self.given = given.data_ptr()
        self.most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and made.untyped_storage().data_ptr() != self.given:
            self.most = max(self.most, made.nbytes)
        return made


def test_a_checksum_takes_little_memory_beside_large_weights() -> None:
    """An engine takes it on a GPU that it has nearly filled."""
    value = torch.randn(30_000, 1000).to(torch.bfloat16)
    with Made(value) as made:
        found = checksum([value])
    assert made.most < value.nbytes
    whole = (value.float() + 0.0).view(torch.int32).to(torch.int64)
    assert found == int(whole.sum())
    assert checksum([value[:, ::2], torch.tensor(-0.0)]) == int(whole[:, ::2].sum())
