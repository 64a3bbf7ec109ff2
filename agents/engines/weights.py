"""Weights on their way into an engine: read, and summed up."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from webdojo.agents.engines.adapters import Adapters, read_adapters

if TYPE_CHECKING:
    from torch import Tensor


def weight_files(path: Path) -> list[Path]:
    """A safetensors file, or all of those in a folder; FileNotFoundError if there is none."""
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise FileNotFoundError(f"no safetensors at {path}; give a file or a checkpoint folder")
    return files


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file, or all of those in a folder, onto the CPU.

    Of a file of adapters it gives the weights that they were trained beside, with them merged in.
    Raises FileNotFoundError if there is none, ValueError if one is damaged or does not fit.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    files, adapters = whole_files(path)
    weights: dict[str, Tensor] = {}
    for file in files:
        try:
            weights |= load_file(file)
        except SafetensorError as error:
            raise _damaged(file, error) from error
    if adapters is None:
        return weights
    adapters.check_fit(weights)
    return dict(adapters.merged(weights))


def whole_files(path: Path) -> tuple[list[Path], Adapters | None]:
    """The files of whole weights, and the adapters to be merged into them if ``path`` is such.

    Raises FileNotFoundError if there is none, ValueError if the adapters are damaged.
    """
    from safetensors import SafetensorError

    files = weight_files(path)
    try:
        adapters = read_adapters(files[0])
    except SafetensorError as error:
        raise _damaged(files[0], error) from error
    return (files, None) if adapters is None else (weight_files(adapters.base), adapters)


def shapes_in(files: Iterable[Path]) -> dict[str, Tensor]:
    """The weights in safetensors files without their values: names and shapes, on ``meta``.

    Raises ValueError if a file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    found: dict[str, Tensor] = {}
    for file in files:
        try:
            with safe_open(file, "pt") as weights:
                for name in weights.keys():  # noqa: SIM118  # it is no mapping
                    shape = weights.get_slice(name).get_shape()
                    found[name] = torch.empty(shape, device="meta")
        except SafetensorError as error:
            raise _damaged(file, error) from error
    return found


def checksum(weights: Iterable[Tensor]) -> int:
    """The sum of all values' bits, as 32-bit numbers; tied weights count once.

    Order does not matter, so an engine that joins or pads matrices can be compared. Adding zero
    makes the two zeros one.
    """
    seen = {value.data_ptr(): value for value in weights}
    return sum(
        int((value.detach().float() + 0.0).contiguous().view(torch.int32).to(torch.int64).sum())
        for value in seen.values()
    )


def _damaged(file: Path, error: Exception) -> ValueError:
    return ValueError(f"{file} is damaged ({error}); write the checkpoint anew")
