"""From what episodes recorded to the rows that are trained on, images found or counted missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from webdojo.agents.engines.prompt_images import PromptImages
from webdojo.training.packing import Row
from webdojo.training.rollouts.trajectory import Group, Trajectory, Turn

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from webdojo.agents.checkpoint import Checkpoint
    from webdojo.agents.pictures import Pictures


@dataclass(frozen=True, slots=True)
class TurnRows:
    """Makes rows of turns, for one model."""

    images: PromptImages | None

    @classmethod
    def of_checkpoint(cls, checkpoint: Checkpoint, screenshots: Path) -> TurnRows:
        """For a checkpoint, with the screenshots in that folder if its prompts show any."""
        pictures = checkpoint.pictures(screenshots)
        if pictures is None:
            return TEXT
        from transformers import AutoConfig

        return cls.of(AutoConfig.from_pretrained(checkpoint.path), pictures)

    @classmethod
    def of(cls, config: PretrainedConfig, pictures: Pictures | None) -> TurnRows:
        """For the model of that configuration, with the screenshots of ``pictures``."""
        return cls(PromptImages.of(config, pictures))

    def row(self, turn: Turn) -> Row:
        """A turn as a row; raises MissingPictureError or ValueError where its images are amiss."""
        images = None
        if turn.images:
            if self.images is None:
                raise ValueError(
                    f"a turn shows {len(turn.images)} images, but the model takes text only; train"
                    " the model that drew it"
                )
            images = self.images.prompt(turn.prompt_ids, turn.images)
        return Row.of(turn.prompt_ids, turn.response_ids, images)

    def whole(self, groups: Sequence[Group]) -> tuple[list[Group], dict[str, float]]:
        """The groups, with no turns left of trajectories that have lost an image, and counts.

        Their rewards stay: they are part of what the others are compared with.
        """
        shown = {
            reference
            for group in groups
            for trajectory in group.trajectories
            for reference in _shown(trajectory)
        }
        if not shown:
            return list(groups), {}
        pictures = self.images.pictures if self.images is not None else None
        missing = pictures.missing(shown) if pictures is not None else shown
        dropped = 0
        kept = []
        for group in groups:
            trajectories = []
            for trajectory in group.trajectories:
                lost = not missing.isdisjoint(_shown(trajectory))
                dropped += lost
                trajectories.append(replace(trajectory, turns=()) if lost else trajectory)
            kept.append(replace(group, trajectories=tuple(trajectories)))
        return kept, {
            "images": len(shown),
            "images_missing": len(missing),
            "trajectories_dropped": dropped,
        }

    def free(self) -> None:
        """Free the pixels of what was trained on."""
        if self.images is not None and self.images.pictures is not None:
            self.images.pictures.forget_pixels()


TEXT = TurnRows(None)
"""For turns without screenshots."""


def _shown(trajectory: Trajectory) -> Iterable[str]:
    return (reference for turn in trajectory.turns for reference in turn.images)
