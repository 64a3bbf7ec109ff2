"""The shape of a policy's vision tower, and what a screenshot takes; no torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class VisionShape:
    """A vision tower of Qwen3-VL's kind."""

    layers: int
    hidden: int
    intermediate: int
    deep: int
    """Layers whose features are added to the language model's first hidden states (DeepStack)."""
    output: int
    """Width of the language model."""
    patch: int = 16
    merge: int = 2
    """Side in patches of the square that makes one token."""
    positions: int = 2304
    least_pixels: int = 65_536
    most_pixels: int = 16_777_216

    @property
    def parameters(self) -> int:
        """All of its parameters."""
        h, f = self.hidden, self.intermediate
        block = 4 * h * h + 2 * h * f + 9 * h + f
        embedding = (2 * 3 * self.patch**2 + 1 + self.positions) * h
        wide = self.merge**2 * h
        merger = wide * (wide + 1) + (wide + 1) * self.output
        return self.layers * block + embedding + merger + 2 * h + self.deep * (merger + 2 * wide)

    @property
    def adapter_width(self) -> int:
        """Σ over its linear layers of inputs + outputs: LoRA's parameters a rank."""
        h, wide = self.hidden, self.merge**2 * self.hidden
        block = 6 * h + 2 * (h + self.intermediate)
        return self.layers * block + (1 + self.deep) * (3 * wide + self.output)

    @property
    def patch_values(self) -> int:
        """Numbers that a patch is read as: two frames of three colours."""
        return 2 * 3 * self.patch**2

    def tokens(self, width: int, height: int) -> int:
        """Tokens of a screenshot of that size, in pixels."""
        side = self.patch * self.merge
        down, across = round(height / side), round(width / side)
        area = down * across * side * side
        if area > self.most_pixels or area < self.least_pixels:
            bound, cut = (
                (self.most_pixels, math.floor)
                if area > self.most_pixels
                else (self.least_pixels, math.ceil)
            )
            scale = math.sqrt(bound / (width * height))
            down, across = (max(1, cut(n * scale / side)) for n in (height, width))
        return down * across

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> VisionShape | None:
        """From a ``config.json``; None if the model does not see."""
        vision = config.get("vision_config")
        if vision is None:
            return None
        return cls(
            layers=int(vision["depth"]),
            hidden=int(vision["hidden_size"]),
            intermediate=int(vision["intermediate_size"]),
            deep=len(vision.get("deepstack_visual_indexes") or ()),
            output=int(vision.get("out_hidden_size") or config["text_config"]["hidden_size"]),
            patch=int(vision["patch_size"]),
            merge=int(vision["spatial_merge_size"]),
            positions=int(vision.get("num_position_embeddings") or 0),
        )
