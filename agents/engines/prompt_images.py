"""The images of prompts, as an engine checks and reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from webdojo.agents.architecture import sees
from webdojo.agents.engines.image_prompt import ImagePrompt, read_image_prompt
from webdojo.agents.engines.looking import Looking

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from webdojo.agents.pictures import Picture, Pictures


@dataclass(frozen=True, slots=True)
class PromptImages:
    """What a model that sees needs to know of the images in its prompts."""

    placeholder: int
    """The token that stands for a part of an image."""
    merge: int
    """Side in patches of the square that makes one token."""
    patch: int
    """Side of a patch in pixels."""
    pictures: Pictures | None = None
    """None if there are no screenshots: prompts then hold no image."""
    most: int | None = None
    """Images that a prompt may show; None for any number."""

    @classmethod
    def of(
        cls, config: PretrainedConfig, pictures: Pictures | None, most: int | None = None
    ) -> PromptImages | None:
        """From a model's configuration; None for a text model."""
        if not sees(config):
            return None
        vision = config.vision_config
        return cls(
            config.image_token_id, vision.spatial_merge_size, vision.patch_size, pictures, most
        )

    def looking(self) -> Looking | None:
        """What looks at images in this process."""
        return None if self.pictures is None else Looking(self.pictures, self.placeholder)

    def size(self, picture: Picture) -> tuple[int, int]:
        """Width and height in pixels in which the model takes an image."""
        _, down, across = picture.grid
        return across * self.patch, down * self.patch

    def find(self, references: Sequence[str]) -> tuple[Picture, ...]:
        """The images themselves; MissingPictureError if one is gone, ValueError without a store."""
        if not references:
            return ()
        if self.pictures is None:
            raise ValueError("images were given, but no pictures to find them in; pass pictures")
        return self.pictures.find(references)

    def prompt(self, token_ids: Sequence[int], references: Sequence[str]) -> ImagePrompt | None:
        """The sequence with its images; None if it has none.

        Raises as ``find`` does, and ValueError if placeholders and images do not match or there
        are too many.
        """
        if self.most is not None and len(references) > self.most:
            raise ValueError(
                f"the prompt shows {len(references)} images, more than the {self.most} that the"
                " engine was started for; show fewer, or start it with more"
            )
        found = read_image_prompt(token_ids, self.find(references), self.placeholder, self.merge)
        return found if references else None

    async def read(self, token_ids: Sequence[int], references: Sequence[str]) -> ImagePrompt | None:
        """The same, with the pixels computed, while the event loop goes on."""
        found = self.prompt(token_ids, references)
        if found is not None and self.pictures is not None:
            for _, picture in found.spans:
                await asyncio.to_thread(self.pictures.pixels, picture)
        return found


def blind_model(images: Sequence[str]) -> ValueError:
    """What a text model says to images."""
    return ValueError(
        f"{len(images)} images were given, but the model takes text only; use one that sees, such"
        " as Qwen/Qwen3-VL-2B-Instruct"
    )
