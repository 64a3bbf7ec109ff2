"""Declare torchvision's operators, so that its GPU wheel imports beside torch's CPU build.

Loaded by a .pth file of .venv-vllm at each start of Python, so it waits until torchvision is asked
for before it imports torch. Nothing is implemented: images go through PIL.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from typing import Any

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    *(
        f"{name}(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height,"
        f" SymInt pooled_width, int sampling_ratio{more}) -> {given}"
        for name, more, given in (
            ("roi_align", ", bool aligned", "Tensor"),
            ("qroi_align", ", bool aligned", "Tensor"),
            ("ps_roi_align", "", "(Tensor, Tensor)"),
        )
    ),
    *(
        f"{name}(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height,"
        " SymInt pooled_width) -> (Tensor, Tensor)"
        for name in ("roi_pool", "ps_roi_pool")
    ),
    *(
        f"_{name}_backward(Tensor grad, Tensor rois, {more}float spatial_scale,"
        f" SymInt pooled_height, SymInt pooled_width, SymInt batch_size, SymInt channels,"
        f" SymInt height, SymInt width{last}) -> Tensor"
        for name, more, last in (
            ("roi_align", "", ", int sampling_ratio, bool aligned"),
            ("roi_pool", "Tensor argmax, ", ""),
            ("ps_roi_align", "Tensor channel_mapping, ", ", int sampling_ratio"),
            ("ps_roi_pool", "Tensor channel_mapping, ", ""),
        )
    ),
    "deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias,"
    " SymInt stride_h, SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h,"
    " SymInt dilation_w, SymInt groups, SymInt offset_groups, bool use_mask) -> Tensor",
    "_deform_conv2d_backward(Tensor grad, Tensor input, Tensor weight, Tensor offset,"
    " Tensor mask, Tensor bias, SymInt stride_h, SymInt stride_w, SymInt pad_h, SymInt pad_w,"
    " SymInt dilation_h, SymInt dilation_w, SymInt groups, SymInt offset_groups, bool use_mask)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)

LIBRARY: list[Any] = []
"""Keeps the declarations alive."""


def declare() -> None:
    """Declare every operator; torchvision adds its meta kernels to them."""
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for schema in SCHEMAS:
        library.define(schema)
    LIBRARY.append(library)


class _BeforeTorchvision(MetaPathFinder):
    """Declares the operators when torchvision is first looked for; finds nothing itself."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "torchvision":
            sys.meta_path.remove(self)
            declare()


sys.meta_path.insert(0, _BeforeTorchvision())
