"""Weights, gradients and optimiser cut among the learner's processes (FSDP2).

Each process keeps a piece of every parameter. A layer's pieces are gathered when it computes and
let go afterwards; its gradient is added up over all processes and cut again. Source: torch's
``torch.distributed.fsdp.fully_shard``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from webdojo.agents.engines.attention_mask import decoder_of

HOLLOW = "meta"
"""The device of a tensor without values."""


def shard(policy: nn.Module, causal_lm: nn.Module, device: torch.device, *, half: bool) -> None:
    """Cut ``policy``, which holds ``causal_lm``, among all processes; in place.

    The decoder's layers are gathered one by one; embeddings, head and a vision tower are gathered
    for the whole pass. ``half`` computes in bfloat16; gradients are added up, and pieces kept, in
    float32.
    """
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    precision = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if half else None, reduce_dtype=torch.float32
    )
    layers: Any = decoder_of(causal_lm).layers
    for module in (*layers, policy):
        fully_shard(module, mesh=mesh, mp_policy=precision, reshard_after_forward=True)


def whole(value: Tensor) -> Tensor:
    """A copy of a tensor, in the processor's memory if it was cut; all processes must ask."""
    if isinstance(value, DTensor):
        gathered: Tensor = value.full_tensor()
        return gathered.detach().cpu()
    return value.detach().clone()


def fill(own: Tensor, value: Tensor) -> None:
    """Put the first process's ``value`` into a tensor that is cut; in the others it may be hollow.

    All processes must ask. Of a tensor that is not cut each process puts its own value.
    """
    own = own.detach()
    if isinstance(own, DTensor):
        own.copy_(_cut(value, own))
    else:
        own.copy_(value)


def whole_optimizer_state(optimizer: torch.optim.Optimizer, *, keep: bool) -> dict[str, Any]:
    """The optimiser's state dict as one process alone would have it; all processes must ask.

    Without ``keep`` its tensors are let go one after another.
    """
    state: dict[str, Any] = optimizer.state_dict()
    found: dict[int, dict[str, Tensor]] = {}
    for number, values in state["state"].items():
        for name, value in values.items():
            copy = whole(value)
            if keep:
                found.setdefault(number, {})[name] = copy
    return {**state, "state": found}


def load_whole_optimizer_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Take what ``whole_optimizer_state`` gave, from the first process, with any number of them."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    kept = {
        number: {
            name: _cut(value, parameters[number]) if value.ndim else value.clone()
            for name, value in values.items()
        }
        for number, values in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": kept})


def hollow(state: Any) -> Any:
    """The same nested mappings, of whose floating-point tensors the shapes alone are left."""
    if isinstance(state, Mapping):
        return {key: hollow(value) for key, value in state.items()}
    if isinstance(state, Tensor) and state.is_floating_point() and state.ndim:
        return state.to(HOLLOW)
    return state


def _cut(value: Tensor, like: Tensor) -> Tensor:
    assert isinstance(like, DTensor)
    if value.device.type == HOLLOW:
        value = torch.empty(value.shape, dtype=value.dtype)
    return distribute_tensor(value.to(like.to_local().device), like.device_mesh, like.placements)
