"""A key-value cache of slots: sequences of different lengths that come and go in one batch.

The running sequences always fill slots 0 … n−1, so a decode step reads a plain view of the
storage; when one ends, the last slot moves into its place.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin

_FIRST_CAPACITY = 256


class SlotCache(Cache):
    """Keys and values of up to ``slots`` sequences, for a model of ``layers`` layers."""

    def __init__(self, layers: int, slots: int) -> None:
        self._slot_layers = [_SlotLayer(slots) for _ in range(layers)]
        super().__init__(layers=list(self._slot_layers))

    def begin_step(self, lengths: Tensor, longest: int) -> None:
        """Say where the next token of each running sequence goes.

        ``lengths`` [sequences] counts the tokens that slot 0, 1, … already holds; ``longest`` is
        their maximum. The next forward must give one token for each.
        """
        rows = torch.arange(lengths.numel(), device=lengths.device)
        for layer in self._slot_layers:
            layer.rows, layer.places, layer.longest = rows, lengths, longest

    def write(self, slot: int, prefill: Cache, row: int, length: int) -> None:
        """Copy the first ``length`` tokens of one row of a prefill's cache into a slot."""
        for layer, source in zip(self._slot_layers, prefill.layers, strict=True):
            assert isinstance(source, CacheLayerMixin)
            assert source.keys is not None and source.values is not None
            layer.reserve(length, source.keys)
            layer.fill(slot, source.keys[row, :, :length], source.values[row, :, :length])

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy the first ``length`` tokens of one slot into another."""
        for layer in self._slot_layers:
            assert layer.keys is not None and layer.values is not None
            layer.fill(target, layer.keys[source, :, :length], layer.values[source, :, :length])


class _SlotLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """One layer: ``keys`` and ``values`` are [slots, heads, capacity, head size]."""

    is_sliding = False
    supports_early_init = False

    def __init__(self, slots: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.slots = slots
        self.rows = self.places = torch.empty(0, dtype=torch.long)
        self.longest = 0

    def reserve(self, length: int, like: Tensor) -> None:
        """Make room for sequences of ``length`` tokens, doubling so that growth is rare."""
        capacity = 0 if self.keys is None else self.keys.shape[2]
        if capacity >= length:
            return
        new = max(capacity, _FIRST_CAPACITY)
        while new < length:
            new *= 2
        # Zeros, as masked places are multiplied by a weight of zero and must be finite.
        shape = (self.slots, like.shape[1], new, like.shape[3])
        keys, values = like.new_zeros(shape), like.new_zeros(shape)
        if self.keys is not None and self.values is not None:
            keys[:, :, :capacity] = self.keys
            values[:, :, :capacity] = self.values
        self.keys, self.values = keys, values
        self.is_initialized = True

    def fill(self, slot: int, keys: Tensor, values: Tensor) -> None:
        """Put keys and values [heads, tokens, head size] at the beginning of a slot."""
        assert self.keys is not None and self.values is not None
        self.keys[slot, :, : keys.shape[1]] = keys
        self.values[slot, :, : values.shape[1]] = values

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Store one token a sequence and return all of theirs, up to the longest."""
        self.reserve(self.longest + 1, key_states)
        assert self.keys is not None and self.values is not None
        self.keys[self.rows, :, self.places] = key_states[:, :, 0]
        self.values[self.rows, :, self.places] = value_states[:, :, 0]
        sequences = self.rows.numel()
        seen = self.longest + 1
        return self.keys[:sequences, :, :seen], self.values[:sequences, :, :seen]

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.reserve(key_states.shape[2], key_states)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.longest + query_length, 0

    def get_seq_length(self) -> int:
        return self.longest

    def get_max_length(self) -> int:
        return -1
