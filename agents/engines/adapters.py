"""Low-rank adapters as a file: what they add to the weights of a checkpoint.

A safetensors file whose header names the checkpoint. Of an adapted matrix it holds two factors,
``NAME.lora_A`` [rank, in] and ``NAME.lora_B`` [out, rank]; what else was changed is in it whole.

Imports nothing of WebDojo: vLLM's process, which may live in another environment, reads it too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "webdojo-adapters"
_A, _B = ".lora_A", ".lora_B"


class Adapters(NamedTuple):
    """What was learned beside frozen weights."""

    base: Path
    """File or folder of the frozen weights."""
    dtype: torch.dtype
    """Precision that those are kept in."""
    scale: float
    """Factor of every product B·A."""
    tensors: Mapping[str, Tensor]
    """Factors, and weights that are replaced whole."""

    def merged(self, weights: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Some of the frozen weights, with what the adapters add added in float32."""
        for name, value in weights.items():
            layer = name.removesuffix(".weight")
            low = self.tensors.get(layer + _A)
            if low is not None and layer != name:
                added = (self.tensors[layer + _B].float() @ low.float()) * self.scale
                yield name, (value.to(self.dtype).float() + added).to(self.dtype)
            else:
                yield name, self.tensors.get(name, value).to(self.dtype)

    def check_fit(self, shapes: Mapping[str, Tensor]) -> None:
        """Raise ValueError unless the frozen weights of these shapes are what is adapted."""
        for name, value in self.tensors.items():
            if name.endswith(_B):
                continue  # with its other half
            owner, wanted = name, tuple(value.shape)
            if name.endswith(_A):
                owner = name.removesuffix(_A) + ".weight"
                other = self.tensors.get(name.removesuffix(_A) + _B)
                fits = other is not None and other.shape[1:] == value.shape[:1]
                wanted = (other.shape[0], value.shape[1]) if fits and other is not None else ()
            found = shapes.get(owner)
            if found is None or tuple(found.shape) != wanted:
                has = "nothing of that name" if found is None else f"shape {tuple(found.shape)}"
                raise ValueError(
                    f"adapter {name} of {tuple(value.shape)} is none of {owner}, of which"
                    f" {self.base} has {has}; give the checkpoint that it was trained on"
                )


def write_adapters(adapters: Adapters, file: Path) -> None:
    """Write them; the frozen weights stay where they are."""
    from safetensors.torch import save_file

    about = {
        "format": FORMAT,
        "base": str(adapters.base.resolve()),
        "dtype": str(adapters.dtype).removeprefix("torch."),
        "scale": repr(adapters.scale),
    }
    save_file({k: v.contiguous() for k, v in adapters.tensors.items()}, file, about)


def read_adapters(file: Path) -> Adapters | None:
    """Those in a safetensors file; None if it holds whole weights.

    Raises SafetensorError if it is damaged, and ValueError if its header is.
    """
    from safetensors import safe_open
    from safetensors.torch import load

    with safe_open(file, "pt") as opened:
        about = opened.metadata() or {}
    if about.get("format") != FORMAT:
        return None
    try:
        dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[about["dtype"]]
        return Adapters(Path(about["base"]), dtype, float(about["scale"]), load(file.read_bytes()))
    except (KeyError, ValueError) as error:
        raise ValueError(f"the header of the adapters {file} is damaged: {error}") from error
