"""Screenshots of finished episodes: held while anybody may ask for them, then freed."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from webdojo.agents.pictures import Pictures
from webdojo.agents.tiny_vision import drawn_screenshot
from webdojo.envs.screenshots import ScreenshotStore
from webdojo.training.rollouts.accounts import EventKind, PoolEvent
from webdojo.training.rollouts.held_pictures import HeldPictures, references
from webdojo.training.rollouts.ledger import lives_on
from webdojo.training.rollouts.trajectory import Trajectory, Turn


@pytest.fixture
def pictures(tmp_path: Path) -> Pictures:
    return Pictures(ScreenshotStore(tmp_path), Qwen2VLImageProcessorPil(patch_size=16))


def played(pictures: Pictures, group: int, member: int, *seeds: int) -> Trajectory:
    """An episode that showed these pages; its agent has let go of nothing yet."""
    turns = tuple(
        Turn((1,), (2,), (-1.0,), (0,), "", images=(pictures.keep(drawn_screenshot(s)).reference,))
        for s in seeds
    )
    return Trajectory(f"{group}-{member}", "t", 0, group, member, turns, 0.0, "success")


def finish(held: HeldPictures, pictures: Pictures, trajectory: Trajectory) -> None:
    """As the rollouts do: the trajectory is held, then its agent releases."""
    held.finished(trajectory)
    pictures.release([turn.images[0] for turn in trajectory.turns])


def event(kind: EventKind, group: int) -> PoolEvent:
    return PoolEvent(kind, 0.0, 0, group)


def files(pictures: Pictures) -> int:
    return sum(1 for _ in pictures.store.folder.iterdir())


@pytest.mark.parametrize("end", ["consume", "reject"])
def test_images_stay_until_a_checkpoint_knows_that_their_group_is_over(
    pictures: Pictures, end: EventKind
) -> None:
    held = HeldPictures(pictures)
    finish(held, pictures, played(pictures, 1, 0, 10, 11, 10))
    finish(held, pictures, played(pictures, 1, 1, 10, 12))
    finish(held, pictures, played(pictures, 2, 0, 10, 13))
    assert files(pictures) == 4
    held.happened(event("ready", 1))
    held.happened(event(end, 1))
    held.published()
    assert files(pictures) == 4  # a run killed now would read the group again
    held.checkpoint()
    assert files(pictures) == 4  # the checkpoint may not be whole
    held.published()
    assert files(pictures) == 2  # 10 and 13 are another group's
    held.happened(event(end, 2))
    held.checkpoint()
    held.published()
    assert (files(pictures), pictures.held) == (0, 0)


def test_an_episode_that_ends_after_its_group_is_not_held(pictures: Pictures) -> None:
    held = HeldPictures(pictures)
    held.happened(event("reject", 1))
    finish(held, pictures, played(pictures, 1, 3, 10, 11))
    assert (files(pictures), pictures.held) == (0, 0)


def test_a_run_that_goes_back_further_plays_again_what_cannot_be_seen_any_more(
    pictures: Pictures,
) -> None:
    held = HeldPictures(pictures)
    log = [played(pictures, 1, 0, 11), played(pictures, 2, 0, 12), played(pictures, 2, 1, 12, 13)]
    for each in log[:1]:
        finish(held, pictures, each)
    held.checkpoint()
    held.published()
    held.happened(event("consume", 1))
    for each in log[1:]:
        finish(held, pictures, each)
    held.checkpoint()
    held.published()
    again = Pictures(pictures.store, Qwen2VLImageProcessorPil(patch_size=16))
    assert HeldPictures(again).resume(log) == log[1:]
    assert (again.held, files(again)) == (2, 2)


def test_a_resumed_run_holds_what_it_may_read_again_and_sweeps_the_rest(tmp_path: Path) -> None:
    processor = Qwen2VLImageProcessorPil(patch_size=16)
    killed = Pictures(ScreenshotStore(tmp_path), processor)
    log = [
        played(killed, group, 0, seed)
        for group, seed in ((0, 20), (1, 21), (2, 22), (5, 25), (6, 26))
    ]
    killed.keep(drawn_screenshot(99))  # of an episode that was cut off
    resumed = Pictures(ScreenshotStore(tmp_path), processor)
    held = HeldPictures(resumed)
    # Groups 1 and 2 lived when the checkpoint was written, from 6 on they were begun after it.
    wanted = lives_on({"groups": [[1, "t", 0], [2, "t", 0]], "next_group": 6})
    held.resume(each for each in log if wanted(each.group_id))
    kept = {reference for n in (1, 2, 4) for reference in references(log[n])}
    assert {path.name for path in tmp_path.iterdir()} == kept
    assert resumed.held == 3
