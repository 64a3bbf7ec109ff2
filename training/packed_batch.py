"""A packed batch: some rows as tensors for one forward pass, and what a model says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from webdojo.agents.engines.attention_mask import as_model_mask, decoder_of, head_of
from webdojo.agents.engines.image_prompt import Features, language_inputs, see
from webdojo.agents.pictures import Picture
from webdojo.training.token_logprobs import token_logprobs


def _nowhere() -> Tensor:
    return torch.empty(0, dtype=torch.long)


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """Some rows, packed into sequences of one length for one forward pass.

    ``input_ids`` and ``position_ids`` are [batch, length], ``attention_mask`` is boolean
    [batch, 1, length, length] with True where the query (dim 2) sees the key (dim 3).
    Trained tokens are flat [tokens]: row after row in the order of ``rows``, each row's in its
    own order. ``predictors`` points into the flattened [batch · length] positions whose logits
    predict them, ``targets`` are their ids, ``token_rows`` is the row each belongs to, as an
    index into the list that was packed, and ``token_indices`` its place among all trained
    tokens of that list, row after row.

    Where rows hold images, ``position_ids`` are [3, batch, length]: time, row and column.
    ``pictures`` are the different images, whose features one behind another are the source of what
    stands at the flattened ``image_places``: ``image_sources`` says which, both [image tokens].
    """

    input_ids: Tensor
    position_ids: Tensor
    attention_mask: Tensor
    rows: tuple[int, ...]
    predictors: Tensor
    targets: Tensor
    token_rows: Tensor
    token_indices: Tensor
    row_tokens: int
    """Tokens that the rows would take read one by one, unpadded."""
    pictures: tuple[Picture, ...] = ()
    image_places: Tensor = field(default_factory=_nowhere)
    image_sources: Tensor = field(default_factory=_nowhere)

    @property
    def tokens(self) -> int:
        """Number of trained tokens."""
        return self.targets.numel()

    def to(self, device: torch.device | str) -> PackedBatch:
        """Return the same batch on another device."""
        return PackedBatch(
            self.input_ids.to(device),
            self.position_ids.to(device),
            self.attention_mask.to(device),
            self.rows,
            self.predictors.to(device),
            self.targets.to(device),
            self.token_rows.to(device),
            self.token_indices.to(device),
            self.row_tokens,
            self.pictures,
            self.image_places.to(device),
            self.image_sources.to(device),
        )


def response_logprobs(
    model: nn.Module,
    packed: PackedBatch,
    temperature: float = 1.0,
    banned_token_ids: Sequence[int] = (),
    pixels: Callable[[Picture], Tensor] | None = None,
) -> Tensor:
    """Log-probabilities (nats, float32) of the trained tokens, [tokens], in ``packed`` order.

    ``model`` is a Hugging Face causal language model whose attention takes a 4-D mask (``sdpa``
    or ``eager``). ``banned_token_ids`` have probability zero, as in the engine. ``pixels`` gives
    those of an image; it is needed where there are images.
    """
    return response_logprobs_and_entropies(
        model, packed, temperature, banned_token_ids, pixels=pixels
    )[0]


def response_logprobs_and_entropies(
    model: nn.Module,
    packed: PackedBatch,
    temperature: float = 1.0,
    banned_token_ids: Sequence[int] = (),
    *,
    entropy_gradient: bool = False,
    pixels: Callable[[Picture], Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """As ``response_logprobs``, with the entropy (nats) of each token's distribution, [tokens].

    The entropy carries a gradient only if asked for: it doubles the memory of the logits.
    """
    inputs: dict[str, Any] = {"input_ids": packed.input_ids}
    if packed.pictures:
        if pixels is None:
            raise ValueError("the rows hold images; pass what gives their pixels")
        features = Features.joined(see(model, packed.pictures, pixels)).at(packed.image_sources)
        inputs = language_inputs(model, packed.input_ids, packed.image_places, features)
    hidden = decoder_of(model)(
        **inputs,
        position_ids=packed.position_ids,
        attention_mask=_shared(as_model_mask(model, packed.attention_mask), model),
        use_cache=False,
    ).last_hidden_state
    return token_logprobs(
        head_of(model),
        hidden.flatten(0, 1),
        packed.predictors,
        packed.targets,
        temperature=temperature,
        banned_token_ids=banned_token_ids,
        entropy_gradient=entropy_gradient,
    )


def _shared(mask: Tensor, model: nn.Module) -> Tensor:
    """A mask that all layers keep together for the way back, of the same meaning.

    Of a boolean one every layer makes, and keeps, such a mask of its own: 0, or −∞ where it is
    False, in the numbers that attention computes with. Rows begin at multiples of 16, as GPUs ask;
    else every layer would make a copy that does.
    """
    if mask.dtype != torch.bool:
        return mask
    device = mask.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
    else:
        dtype = model.get_input_embeddings().weight.dtype  # type: ignore[operator]
    length = mask.shape[-1]
    wide = torch.zeros((*mask.shape[:-1], -(-length // 16) * 16), dtype=dtype, device=mask.device)
    return wide[..., :length].masked_fill_(~mask, -torch.inf)
