"""Dropout taken out of a model."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.dropout import _DropoutNd
from transformers import PretrainedConfig


def take_out_dropout(model: nn.Module) -> None:
    """Set every rate of dropout in a Hugging Face model and its configuration to 0; in place.

    Modules of other kinds keep their rate under a name of their own (``attention_dropout``,
    ``attn_pdrop``, ``drop_path_rate``): a floating-point number, and always with "drop" in it.
    """
    _silence_config(model.config)
    for module in model.modules():
        if isinstance(module, _DropoutNd):
            module.p = 0.0
        _silence(module)


def _silence_config(config: Any) -> None:
    _silence(config)
    for value in vars(config).values():
        if isinstance(value, PretrainedConfig):
            _silence_config(value)


def _silence(holder: object) -> None:
    for name, value in list(vars(holder).items()):
        if "drop" in name and isinstance(value, float):
            setattr(holder, name, 0.0)
