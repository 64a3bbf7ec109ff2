"""How vLLM's process gets weights into vLLM, and sums up those that it serves.

Imports nothing of WebDojo, as ``vllm_process.py``, which runs in vLLM's own environment.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from vllm.distributed.weight_transfer.base import (
    WeightTransferEngine,
    WeightTransferInitInfo,
    WeightTransferUpdateInfo,
)

SUMMED = 1 << 22
"""Values summed up at once: each takes 16 bytes meanwhile."""


@dataclass
class InitInfo(WeightTransferInitInfo):  # type: ignore[misc]
    """Nothing has to be agreed on."""


@dataclass
class UpdateInfo(WeightTransferUpdateInfo):  # type: ignore[misc]
    """Weights of a safetensors file."""

    weights: Iterable[tuple[str, torch.Tensor]]


class SafetensorsTransfer(WeightTransferEngine):  # type: ignore[misc]
    """vLLM's weight transfer from safetensors files, which may lie in shared memory."""

    init_info_cls = InitInfo
    update_info_cls = UpdateInfo

    def init_transfer_engine(self, init_info: InitInfo) -> None:
        """Nothing to be set up."""

    def start_weight_update(self) -> None:
        """Undo what vLLM made of the last weights."""
        from vllm.model_executor.model_loader.reload import initialize_layerwise_reload

        initialize_layerwise_reload(self.model)

    def update_weights(self, update_info: dict[str, Any]) -> None:
        """Load weights and wait until they are loaded."""
        # vLLM's own waits for an accelerator, which there may not be.
        self.receive_weights(self.parse_update_info(update_info))
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    def receive_weights(self, update_info: UpdateInfo) -> None:
        """Load weights."""
        load_into(update_info, self.model)

    def finish_weight_update(self) -> None:
        """Make of the weights what vLLM computes with."""
        from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm
        from vllm.model_executor.model_loader.reload import finalize_layerwise_reload

        finalize_layerwise_reload(self.model, self.model_config)
        # A head tied to the embedding keeps, on CPUs, a packed copy of what it was before.
        for layer in self.model.modules():
            if hasattr(layer, "cpu_linear") and layer.weight.numel():
                dispatch_cpu_unquantized_gemm(layer, remove_weight=False)

    def shutdown(self) -> None:
        """Nothing to be given back."""

    @staticmethod
    def trainer_send_weights(iterator: Any, trainer_args: Any) -> None:
        """Unused: the trainer writes a file."""
        raise NotImplementedError


def load_into(update: UpdateInfo, model: Any) -> None:
    """Load weights into vLLM's model."""
    model.load_weights(update.weights)


def checksum(model: Any) -> int:
    """The same sum as ``weights.checksum``, of what vLLM computes with.

    Its tensors join some of a checkpoint's, which does not matter; nor do zeros that pad them.
    """
    seen: dict[int, torch.Tensor] = {p.data_ptr(): p for p in model.parameters() if p.numel()}
    matrices = list(seen.values())
    for layer in model.modules():
        if hasattr(layer, "cpu_linear") and not layer.weight.numel():
            # On CPUs matrices are packed out of sight: what the identity becomes shows them.
            width = getattr(layer, "input_size_per_partition", None) or layer.input_size
            identity = torch.eye(width, dtype=layer.weight.dtype)
            matrices.append(layer.cpu_linear(identity, layer.weight, None))
    return sum(
        int((part.float() + 0.0).view(torch.int32).to(torch.int64).sum())
        for value in matrices
        for part in torch.split(value.detach().flatten(), SUMMED)
    )
