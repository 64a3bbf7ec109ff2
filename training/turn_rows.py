"""From what episodes recorded to the rows that are trained on, images found or counted missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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


def _as_found_here(missing: set[str]) -> set[str]:
    return missing


@dataclass(frozen=True, slots=True)
class TurnRows:
    """Makes rows of turns, for one model."""

    images: PromptImages | None
    agree: Callable[[set[str]], set[str]] = _as_found_here
    """What images to go without, given those that this process is without."""

    @classmethod
    def of_checkpoint(cls, checkpoint: Checkpoint, screenshots: Path) -> TurnRows:
        """For a checkpoint, with the screenshots in that folder if its prompts show any."""
        pictures = checkpoint.pictures(screenshots)
        if pictures is None:
            return TEXT
        from transformers import AutoConfig

        return cls.of(AutoConfig.from_pretrained(checkpoint.path), pictures)

    @classmethod
    def of(
        cls,
        config: PretrainedConfig,
        pictures: Pictures | None,
        agree: Callable[[set[str]], set[str]] = _as_found_here,
    ) -> TurnRows:
        """For the model of that configuration, with the screenshots of ``pictures``."""
        return cls(PromptImages.of(config, pictures), agree)

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

        Their rewards stay: they are part of what the others are compared with. The images that are
        there are read into memory until ``free``, so that none can be lost later on.
        """
        shown = {
            reference
            for group in groups
            for trajectory in group.trajectories
            for reference in _shown(trajectory)
        }
        if not shown:
            return list(groups), {}
        missing = self._load(shown)
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

    def seen(self, rows: Sequence[Row]) -> tuple[list[Row], dict[str, float]]:
        """The rows that have lost no image, and a count; what is there is read as by ``whole``."""
        shown = {reference for row in rows for reference in _shown_by(row)}
        if not shown:
            return list(rows), {}
        missing = self._load(shown)
        kept = [row for row in rows if missing.isdisjoint(_shown_by(row))]
        return kept, {"images_missing": len(missing)}

    def _load(self, references: set[str]) -> set[str]:
        """Read images into memory; gives those that are to be gone without."""
        pictures = self.images.pictures if self.images is not None else None
        return self.agree(pictures.load(references) if pictures is not None else references)

    def free(self) -> None:
        """Free the images of what was trained on."""
        if self.images is not None and self.images.pictures is not None:
            self.images.pictures.forget()


TEXT = TurnRows(None)
"""For turns without screenshots."""


def _shown(trajectory: Trajectory) -> Iterable[str]:
    return (reference for turn in trajectory.turns for reference in turn.images)


def _shown_by(row: Row) -> Iterable[str]:
    return (picture.reference for _, picture in row.images.spans) if row.images is not None else ()
