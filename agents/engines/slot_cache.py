"""A key-value cache of slots: sequences of different lengths that come and go in one batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin

_FIRST_CAPACITY = 256


class SlotCache(Cache):
    """Keys and values of up to ``slots`` sequences, for a model of ``layers`` layers.

    A forward pass works on a run of neighbouring slots, which it reads as a plain view.
    """

    def __init__(self, layers: int, slots: int) -> None:
        self._slot_layers = [_SlotLayer(slots) for _ in range(layers)]
        super().__init__(layers=list(self._slot_layers))

    def begin(self, first: int, places: Tensor, seen: int) -> None:
        """Say where the tokens of the next forward pass go.

        Its batch is slots ``first`` …, one for each row of ``places`` [sequences, tokens], the
        place of each token in its slot; all places lie below ``seen``. Queries get the keys and
        values at places 0 … ``seen`` − 1, of which the attention mask hides what is not theirs.
        """
        slots = torch.arange(first, first + places.shape[0], device=places.device)[:, None]
        for layer in self._slot_layers:
            layer.slots, layer.places, layer.seen = slots, places, seen
            layer.span = slice(first, first + places.shape[0])

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy the first ``length`` tokens of one slot into another."""
        for layer in self._slot_layers:
            layer.copy(source, target, length)

    def clear(self, slot: int) -> None:
        """Forget what a slot holds: what hides it from later sequences does not hide NaN."""
        for layer in self._slot_layers:
            layer.clear(slot)


class _SlotLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """One layer: ``keys`` and ``values`` are [slots, heads, capacity, head size]."""

    is_sliding = False
    supports_early_init = False

    def __init__(self, count: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = count
        self.slots = self.places = torch.empty(0, dtype=torch.long)
        self.span = slice(0)
        self.seen = 0

    def copy(self, source: int, target: int, length: int) -> None:
        assert self.keys is not None and self.values is not None
        self.keys[target, :, :length] = self.keys[source, :, :length]
        self.values[target, :, :length] = self.values[source, :, :length]

    def clear(self, slot: int) -> None:
        assert self.keys is not None and self.values is not None
        self.keys[slot] = self.values[slot] = 0

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Store keys and values [sequences, heads, tokens, head size]; return what is seen."""
        self.lazy_initialization(key_states, value_states)
        assert self.keys is not None and self.values is not None
        self.keys[self.slots, :, self.places] = key_states.transpose(1, 2)
        self.values[self.slots, :, self.places] = value_states.transpose(1, 2)
        return self.keys[self.span, :, : self.seen], self.values[self.span, :, : self.seen]

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Make room for what is to be seen, doubling so that growth is rare."""
        capacity = 0 if self.keys is None else self.keys.shape[2]
        if capacity >= self.seen:
            return
        new = max(capacity, _FIRST_CAPACITY)
        while new < self.seen:
            new *= 2
        # Zeros, as hidden places are multiplied by a weight of zero and must be finite.
        shape = (self.count, key_states.shape[1], new)
        keys = key_states.new_zeros(*shape, key_states.shape[3])
        values = value_states.new_zeros(*shape, value_states.shape[3])
        if self.keys is not None and self.values is not None:
            keys[:, :, :capacity] = self.keys
            values[:, :, :capacity] = self.values
        self.keys, self.values = keys, values
        self.is_initialized = True

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.seen, 0

    def get_seq_length(self) -> int:
        return self.seen

    def get_max_length(self) -> int:
        return -1
