"""Prompts with images: what tells their tokens apart, where they stand, and what the model sees.

Of an image a prompt holds one placeholder token for each of the image's tokens. The vision tower
gives what is put in their place, and positions of an image's tokens count its rows and columns
(multimodal rotary positions, arXiv 2409.12191).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from webdojo.agents.pictures import Picture

_OFFSET_BITS = 24


@dataclass(frozen=True, slots=True, eq=False)
class ImagePrompt:
    """A sequence of tokens with images in it."""

    keys: tuple[int, ...]
    """The tokens, each placeholder replaced by a negative number that is its image's and its
    place's alone: sequences with equal keys mean the same."""
    positions: Tensor
    """Time, row and column of each token, int64 [3, tokens]."""
    shift: int
    """What to add to the place of a token behind these to get its position."""
    spans: tuple[tuple[int, Picture], ...]
    """Where each image begins."""

    def positions_from(self, start: int, count: int) -> Tensor:
        """Positions of ``count`` tokens from ``start`` on, int64 [3, count]."""
        inside = self.positions[:, start : start + count]
        behind = torch.arange(start + inside.shape[1], start + count) + self.shift
        return torch.cat([inside, behind.expand(3, -1)], 1)


def read_image_prompt(
    token_ids: Sequence[int], pictures: Sequence[Picture], placeholder: int, merge: int
) -> ImagePrompt:
    """Find the images in a sequence of tokens.

    ``merge`` is the side in patches of the square that makes one token. Raises ValueError if
    placeholders and images do not match.
    """
    keys: list[int] = []
    positions: list[Tensor] = []
    spans: list[tuple[int, Picture]] = []
    next_position = 0
    for begin, end in _runs(token_ids, placeholder):
        text = begin - len(keys)
        positions.append((torch.arange(text) + next_position).expand(3, -1))
        next_position += text
        keys += token_ids[len(keys) : begin]
        # Models and vLLM take what is in one place for one image.
        if len(spans) == len(pictures) or pictures[len(spans)].tokens != end - begin:
            raise _mismatch(token_ids, pictures, placeholder)
        picture = pictures[len(spans)]
        spans.append((begin, picture))
        keys += picture_keys(picture)
        time, down, across = picture.grid
        grid = torch.meshgrid(
            torch.arange(time),
            torch.arange(down // merge),
            torch.arange(across // merge),
            indexing="ij",
        )
        positions.append(torch.stack(grid).reshape(3, -1) + next_position)
        next_position += max(down, across) // merge
    if len(spans) < len(pictures):
        raise _mismatch(token_ids, pictures, placeholder)
    text = len(token_ids) - len(keys)
    positions.append((torch.arange(text) + next_position).expand(3, -1))
    keys += token_ids[len(keys) :]
    shift = next_position + text - len(keys)
    return ImagePrompt(tuple(keys), torch.cat(positions, 1), shift, tuple(spans))


def picture_keys(picture: Picture) -> range:
    """The numbers that stand for an image's tokens."""
    digest = hashlib.sha256(picture.reference.encode()).digest()[:12]
    first = int.from_bytes(digest) << _OFFSET_BITS
    return range(-1 - first, -1 - first - picture.tokens, -1)


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What the vision tower makes of images: [tokens, hidden], and more for the first layers.

    ``deep`` is what is added to the hidden states behind each of the first layers (DeepStack).
    """

    embeddings: Tensor
    deep: tuple[Tensor, ...]

    def at(self, places: Tensor | slice) -> Features:
        """The same of some of the tokens."""
        return Features(self.embeddings[places], tuple(layer[places] for layer in self.deep))

    @staticmethod
    def joined(parts: Sequence[Features]) -> Features:
        """Several, one behind another."""
        layers = zip(*(part.deep for part in parts), strict=True)
        return Features(
            torch.cat([part.embeddings for part in parts]),
            tuple(torch.cat(layer) for layer in layers),
        )


def see(
    model: Any, pictures: Sequence[Picture], pixels: Callable[[Picture], Tensor]
) -> list[Features]:
    """Have the model look at images; gives the features of each."""
    device = next(model.parameters()).device
    values = torch.cat([pixels(picture) for picture in pictures])
    grids = torch.tensor([picture.grid for picture in pictures])
    seen = model.get_image_features(values.to(device), grids.to(device), return_dict=True)
    layers: Iterable[Sequence[Tensor]] = getattr(seen, "deepstack_features", None) or ()
    return [
        Features(embeddings, tuple(layer[place] for layer in layers))
        for place, embeddings in enumerate(seen.pooler_output)
    ]


def language_inputs(
    model: Any, input_ids: Tensor, places: Tensor, features: Features
) -> dict[str, Any]:
    """What the language model takes for tokens with images among them.

    ``input_ids`` is [batch, tokens]; ``places`` are the rising places of image tokens in it,
    flattened, and ``features`` what stands there.
    """
    embeddings = model.get_input_embeddings()(input_ids)
    flat = embeddings.flatten(0, 1)
    flat = flat.index_copy(0, places, features.embeddings.to(flat.dtype))
    inputs: dict[str, Any] = {"inputs_embeds": flat.view_as(embeddings)}
    if features.deep:
        mask = torch.zeros(input_ids.numel(), dtype=torch.bool, device=input_ids.device)
        mask[places] = True
        inputs["visual_pos_masks"] = mask.view_as(input_ids)
        inputs["deepstack_visual_embeds"] = list(features.deep)
    return inputs


def _runs(token_ids: Sequence[int], placeholder: int) -> list[tuple[int, int]]:
    """Where placeholders follow one another: begin and end of each run."""
    found: list[tuple[int, int]] = []
    for place, token in enumerate(token_ids):
        if token != placeholder:
            continue
        if found and found[-1][1] == place:
            found[-1] = (found[-1][0], place + 1)
        else:
            found.append((place, place + 1))
    return found


def _mismatch(
    token_ids: Sequence[int], pictures: Sequence[Picture], placeholder: int
) -> ValueError:
    held = sum(token == placeholder for token in token_ids)
    takes = sum(picture.tokens for picture in pictures)
    return ValueError(
        f"the prompt holds {held} image tokens in {len(_runs(token_ids, placeholder))} places, but"
        f" its {len(pictures)} images take {takes}; give one image for each place, in order, and as"
        " many tokens as it takes"
    )
