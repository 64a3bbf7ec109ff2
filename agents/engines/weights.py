"""Weights on their way into an engine: read, and summed up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from webdojo.agents.engines.adapters import Adapters, read_adapters
from webdojo.agents.engines.folders import is_published
from webdojo.agents.engines.kept_copies import KeptCopies, copied
from webdojo.agents.engines.unchanged import RENAME, Unchanged

if TYPE_CHECKING:
    from torch import Tensor


WHOLE = "model.safetensors"
"""File of a checkpoint that is in one piece; transformers too prefers it to an index."""
INDEX = "model.safetensors.index.json"
"""File that names the parts of a checkpoint; it is written after them."""
SUMMED = 1 << 22
"""Values summed up at once: each takes 16 bytes meanwhile."""
_PART = re.compile(r"-\d+-of-\d+\.safetensors$")


def weight_files(path: Path) -> list[Path]:
    """A safetensors file, or those of a folder: the whole one, or what its index names, or all.

    Raises FileNotFoundError if there is none, ValueError if some of a checkpoint's parts are not
    there.
    """
    if not path.is_dir() or (path / WHOLE).is_file():
        files = [path / WHOLE if path.is_dir() else path]
    elif (index := path / INDEX).is_file():
        files = [path / name for name in _indexed(index)]
        gone = next((file for file in files if not file.is_file()), None)
        if gone is not None:
            raise ValueError(f"{gone}, which {index} names, is missing: {RENAME}")
    else:
        files = sorted(path.glob("*.safetensors"))
        if any(_PART.search(file.name) for file in files):
            raise ValueError(f"{path} holds parts of a checkpoint and no {INDEX}: {RENAME}")
    if not files or not files[0].is_file():
        raise FileNotFoundError(f"no safetensors at {path}; give a file or a checkpoint folder")
    return files


def _indexed(index: Path) -> list[str]:
    """The files that a checkpoint's index names, which lie beside it."""
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        if not names or any(Path(name).name != name for name in names):
            raise ValueError("it names no files beside it")
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(index, error) from error
    return names


def read_safetensors(path: Path, kept: KeptCopies | None = None) -> dict[str, Tensor]:
    """Read a safetensors file, or all of those in a folder, onto the CPU.

    Of a file of adapters it gives the weights that they were trained beside, with them merged in.
    A published file is mapped; any other, to which somebody may write, is copied first. Copies of
    what lies beneath adapters stay in ``kept`` for the next ones.
    Raises FileNotFoundError if there is none, ValueError if one is damaged, changes meanwhile, or
    does not fit.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    files, adapters, watched = whole_files(path)
    weights: dict[str, Tensor] = {}
    with ExitStack() as until_read:
        if all(map(is_published, files)):
            still = files
        elif adapters is not None and kept is not None:
            still = until_read.enter_context(kept.held(files, watched))
        else:
            still = copied(files, until_read)
        for file, place in zip(files, still, strict=True):
            try:
                weights |= load_file(place)
            except SafetensorError as error:
                raise _damaged(file, error) from error
    watched.check()
    if adapters is None:
        return weights
    adapters.check_fit(weights)
    return dict(adapters.merged(weights))


def whole_files(path: Path) -> tuple[list[Path], Adapters | None, Unchanged]:
    """The files of whole weights, and the adapters to be merged into them if ``path`` is such.

    With them, all that is to stay unchanged until they are read. Raises FileNotFoundError if there
    is none, ValueError if the adapters are damaged.
    """
    from safetensors import SafetensorError

    files = weight_files(path)
    watched = Unchanged([*files, path])
    try:
        adapters = read_adapters(files[0])
    except SafetensorError as error:
        raise _damaged(files[0], error) from error
    if adapters is None:
        return files, None, watched
    files = weight_files(adapters.base)
    return files, adapters, Unchanged([*files, adapters.base], watched.seen)


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


def size_of(weights: Mapping[str, Tensor]) -> int:
    """Bytes of tensors."""
    return sum(value.nbytes for value in weights.values())


def checksum(weights: Iterable[Tensor]) -> int:
    """The sum of all values' bits, as 32-bit numbers; tied weights count once.

    Order does not matter, so an engine that joins or pads matrices can be compared. Adding zero
    makes the two zeros one.
    """
    seen = {value.data_ptr(): value for value in weights}
    return sum(
        int((part.float() + 0.0).view(torch.int32).to(torch.int64).sum())
        for value in seen.values()
        for part in torch.split(value.detach().flatten(), SUMMED)
    )


def _damaged(file: Path, error: Exception) -> ValueError:
    return ValueError(f"{file} is damaged ({error}); write the checkpoint anew")
