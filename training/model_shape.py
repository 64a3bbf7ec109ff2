"""The shape of a policy's model, read without loading it; no torch here, and nothing downloaded."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from webdojo.agents.checkpoint import SHIPPED
from webdojo.tasks.errors import UserError
from webdojo.training.vision_shape import VisionShape


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A decoder-only transformer: sizes of its layers, and its parameters in all."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    parameters: int
    """All of them: embeddings, and a vision tower where there is one."""
    vision: VisionShape | None = None
    positions: int | None = None
    """Longest prompt and response together that it was made for, if that is known."""
    tied: bool = False
    """Whether the output head shares the embeddings' weights."""

    @property
    def adapter_width(self) -> int:
        """Σ over the linear layers of all blocks of inputs + outputs: LoRA's parameters a rank."""
        query, key = self.heads * self.head_size, self.kv_heads * self.head_size
        attention = 2 * (self.hidden + query) + 2 * (self.hidden + key)
        seen = self.vision.adapter_width if self.vision is not None else 0
        return seen + self.layers * (attention + 3 * (self.hidden + self.intermediate))

    @classmethod
    def of_config(cls, config: Mapping[str, Any], parameters: int | None = None) -> ModelShape:
        """From a ``config.json``; parameters are added up from the shape unless given."""
        text = config.get("text_config", config)
        heads = int(text["num_attention_heads"])
        hidden = int(text["hidden_size"])
        shape = cls(
            layers=int(text["num_hidden_layers"]),
            hidden=hidden,
            intermediate=int(text["intermediate_size"]),
            heads=heads,
            kv_heads=int(text.get("num_key_value_heads") or heads),
            head_size=int(text.get("head_dim") or hidden // heads),
            vocabulary=int(text["vocab_size"]),
            parameters=parameters or 0,
            vision=VisionShape.of_config(config),
            positions=text.get("max_position_embeddings"),
            tied=bool(text.get("tie_word_embeddings")),
        )
        if parameters:
            return shape
        embeddings = 1 if shape.tied else 2
        found = shape._block_parameters() + embeddings * shape._table()
        return replace(shape, parameters=found + (shape.vision.parameters if shape.vision else 0))

    def _block_parameters(self) -> int:
        query, key = self.heads * self.head_size, self.kv_heads * self.head_size
        attention = self.hidden * (2 * query + 2 * key)
        block = attention + 3 * self.hidden * self.intermediate + 2 * self.hidden
        return self.layers * block + self.hidden

    def _table(self) -> int:
        return self.vocabulary * self.hidden


KNOWN = {
    "Qwen/Qwen2.5-0.5B-Instruct": ModelShape(
        24, 896, 4864, 14, 2, 64, 151_936, 494_032_768, tied=True
    ),
    "Qwen/Qwen3-VL-2B-Instruct": ModelShape(
        *(28, 2048, 6144, 16, 8, 128, 151_936, 2_127_532_032),
        VisionShape(24, 1024, 4096, 3, 2048),
        tied=True,
    ),
    "Qwen/Qwen3-VL-8B-Instruct": ModelShape(
        36, 4096, 12_288, 32, 8, 128, 151_936, 8_767_123_696, VisionShape(27, 1152, 4304, 3, 4096)
    ),
}
"""Models of the presets, as their model cards and configurations give them."""
_TEXT_BLOCK = (
    *(f"self_attn.{name}_proj" for name in "qkvo"),
    *(f"mlp.{name}_proj" for name in ("gate", "up", "down")),
)
_MERGER = ("linear_fc1", "linear_fc2")
_VISION_BLOCK = ("attn.qkv", "attn.proj", *(f"mlp.{name}" for name in _MERGER))
"""Linear layers of the known models."""


def find_shape(checkpoint: str) -> tuple[ModelShape | None, int]:
    """The shape of a policy's model, None if it is not known, and the bytes to be downloaded.

    Looks at shipped policies, folders and the model hub's cache on this machine; of what is to be
    downloaded the size is that of the weights in half precision, 0 if it is not known.
    """
    folder = find_folder(checkpoint)
    if folder is None:
        shape = KNOWN.get(checkpoint)
        return shape, 2 * shape.parameters if shape else 0
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return ModelShape.of_config(config, _count(folder)), 0
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder}/config.json does not describe a model: {error}") from None


def find_layers(checkpoint: str) -> frozenset[str]:
    """Names of a model's linear layers; empty if they are not known.

    They are those of its files, or what the model's own end in. An output head that shares the
    embeddings' weights is in no file, and is none of them.
    """
    folder = find_folder(checkpoint)
    if folder is None:
        return frozenset(_layers(KNOWN[checkpoint]) if checkpoint in KNOWN else ())
    try:
        tensors = list(_tensors(folder))
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()  # whoever loads it says what is wrong
    return frozenset(
        name.rpartition(".")[0]
        for name, shape in tensors
        if len(shape) == 2 and "embed" not in name
    )


def _layers(shape: ModelShape) -> Iterator[str]:
    """Linear layers of a model of Qwen's kind, each from the list of its block on."""
    if not shape.tied:
        yield "lm_head"
    for block in range(shape.layers):
        yield from (f"layers.{block}.{name}" for name in _TEXT_BLOCK)
    if shape.vision is not None:
        for block in range(shape.vision.layers):
            yield from (f"blocks.{block}.{name}" for name in _VISION_BLOCK)
        for block in range(shape.vision.deep):
            yield from (f"deepstack_merger_list.{block}.{name}" for name in _MERGER)
        yield from (f"merger.{name}" for name in _MERGER)


def find_folder(checkpoint: str) -> Path | None:
    """Where a policy's files lie on this machine, if they do."""
    folder = SHIPPED.get(checkpoint, Path(checkpoint))
    return folder if folder.is_dir() else _cached(checkpoint)


def _cached(checkpoint: str) -> Path | None:
    """The newest snapshot in the model hub's cache that has a configuration."""
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    pattern = f"models--{checkpoint.replace('/', '--')}/snapshots/*/config.json"
    found = sorted(cache.glob(pattern), key=lambda path: path.stat().st_mtime)
    return found[-1].parent if found else None


def _count(folder: Path) -> int | None:
    """Parameters of the safetensors files; None if there are none."""
    return sum(math.prod(shape) for _, shape in _tensors(folder)) or None


def _tensors(folder: Path) -> Iterator[tuple[str, list[int]]]:
    """Names and shapes of what the safetensors files hold, from their headers."""
    for file in folder.glob("*.safetensors"):
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            header = json.loads(opened.read(length))
        header.pop("__metadata__", None)
        for name, tensor in header.items():
            yield name, tensor["shape"]
