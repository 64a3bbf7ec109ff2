"""Low-rank adapters on a policy, what they hold, and the weights with them merged in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from webdojo.tasks.errors import UserError
from webdojo.training.learner_config import LoraConfig
from webdojo.training.lora_targets import EVERY, is_named, no_such_layer

_ADAPTER = "default"


def add_adapters(model: nn.Module, config: LoraConfig, frozen: torch.dtype) -> None:
    """Put float32 adapters into ``model``, and freeze and cast its own weights to ``frozen``.

    A fresh adapter adds nothing. Raises ValueError if no layer has a name that is targeted.
    """
    from peft import LoraConfig as PeftConfig
    from peft import inject_adapter_in_model

    every = config.targets == EVERY
    model.to(frozen)
    inject_adapter_in_model(
        PeftConfig(
            r=config.rank,
            lora_alpha=config.alpha,
            # Ratios compare two passes over the same tokens, which must not differ by chance.
            lora_dropout=0.0,
            target_modules="all-linear" if every else list(config.targets),
        ),
        model,
        _ADAPTER,
    )
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def check_targets(config: LoraConfig, checkpoint: str, place: str) -> None:
    """Raise UserError if a checkpoint's model has no linear layer of a name that is targeted.

    An output head that shares the embeddings' weights counts as none. Makes the model without its
    weights. ``place`` is where the configuration stands.
    """
    from transformers import AutoConfig

    from webdojo.agents.architecture import empty_model

    if config.targets == EVERY:
        return
    model = empty_model(AutoConfig.from_pretrained(checkpoint))
    embeddings = model.get_input_embeddings().weight
    layers = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module.weight is not embeddings
    ]
    for target in config.targets:
        if not is_named(target, layers):
            raise UserError(f"{place}: {no_such_layer(target, checkpoint, layers)}")


@torch.no_grad()
def adapter_tensors(model: nn.Module) -> dict[str, Tensor]:
    """What ``engines.adapters`` makes of a model's adapters: their factors.

    An adapted layer that is not linear (an embedding, a convolution) gives its weight whole.
    """
    from peft.tuners.lora import Linear, LoraLayer

    found: dict[str, Tensor] = {}
    layers: dict[str, Any] = {n: m for n, m in model.named_modules() if isinstance(m, LoraLayer)}
    for name, layer in layers.items():
        factors = type(layer) is Linear and not layer.fan_in_fan_out
        if factors:
            found[f"{name}.lora_A"] = layer.lora_A[_ADAPTER].weight.detach().clone()
            found[f"{name}.lora_B"] = layer.lora_B[_ADAPTER].weight.detach().clone()
        else:
            found[f"{name}.weight"] = _merged(layer, layer.base_layer.weight)
    return found


@torch.no_grad()
def merged_weights(model: nn.Module) -> dict[str, Tensor]:
    """The state dict of the model as it was before it got adapters, with what they add added."""
    from peft.tuners.lora import LoraLayer

    layers: dict[str, Any] = {
        name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)
    }
    merged: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        owner, _, own = name.rpartition(".base_layer.")
        if owner in layers:
            merged[f"{owner}.{own}"] = _merged(layers[owner], value) if own == "weight" else value
        elif ".lora_" not in name:
            merged[name] = value
    return merged


def _merged(layer: Any, weight: Tensor) -> Tensor:
    added: Tensor = layer.get_delta_weight(_ADAPTER)
    return (weight.float() + added).to(weight.dtype)
