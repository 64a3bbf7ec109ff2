"""Screenshots for a model: one copy by content, pixels once, freed when nobody holds them."""

from __future__ import annotations

import threading
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from webdojo.agents.checkpoint import Checkpoint, find_checkpoint
from webdojo.agents.engines.engine import Sampling
from webdojo.agents.engines.image_prompt import read_image_prompt
from webdojo.agents.engines.transformers_engine import TransformersEngine
from webdojo.agents.layouts.layout import Vision
from webdojo.agents.pictures import MissingPictureError, Picture, Pictures
from webdojo.agents.tiny_vision import drawn_screenshot, tiny_model, write_tiny_vision
from webdojo.envs.screenshots import ScreenshotStore
from webdojo.tasks.errors import UserError

PLACEHOLDER, MERGE = 5, 2


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("tiny-vision")
    write_tiny_vision(folder)
    return find_checkpoint(str(folder))


@pytest.fixture
def pictures(checkpoint: Checkpoint, tmp_path: Path) -> Pictures:
    return Pictures(ScreenshotStore(tmp_path / "store"), checkpoint.image_processor())


def files(pictures: Pictures) -> int:
    return sum(1 for _ in pictures.store.folder.iterdir())


def test_the_same_image_is_kept_once_and_goes_with_its_last_holder(pictures: Pictures) -> None:
    kept = [pictures.keep(drawn_screenshot(seed)) for seed in (1, 2, 1, 1)]
    assert kept[0] == kept[2] == kept[3] != kept[1]
    assert (files(pictures), pictures.held) == (2, 2)
    pictures.pixels(kept[0])
    pictures.release([kept[0].reference] * 2)
    assert files(pictures) == 2
    pictures.release([kept[0].reference])
    assert (files(pictures), pictures.held, pictures.cached_bytes) == (1, 1, 0)
    with pytest.raises(MissingPictureError, match=kept[0].reference):
        pictures.find([kept[0].reference])


def test_an_image_that_another_thread_lets_go_of_while_it_is_put_stays(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = drawn_screenshot(1)
    reference = pictures.keep(image).reference
    store, put = pictures.store, pictures.store.put
    others = [threading.Thread(target=pictures.release, args=([reference],))]

    def put_while_released(encoded: bytes) -> str:
        found = put(encoded)
        others[0].start()
        others[0].join(0.2)  # it may have to wait
        return found

    monkeypatch.setattr(store, "put", put_while_released)
    pictures.keep(image)
    others[0].join()
    assert (files(pictures), pictures.held) == (1, 1)


def test_pixels_are_computed_once_and_the_oldest_go_first(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    store = ScreenshotStore(tmp_path)
    size = Pictures(store, checkpoint.image_processor())
    one = size.pixels(size.keep(drawn_screenshot(0))).nbytes
    pictures = Pictures(store, checkpoint.image_processor(), cache_bytes=2 * one)
    a, b, c = (pictures.keep(drawn_screenshot(seed)) for seed in range(3))
    assert pictures.pixels(a) is pictures.pixels(a)
    pictures.pixels(b)
    pictures.pixels(a)
    pictures.pixels(c)  # b was used longest ago
    assert (pictures.computed, pictures.cached_bytes) == (3, 2 * one)
    pictures.pixels(a)
    assert pictures.computed == 3
    pictures.pixels(b)
    assert pictures.computed == 4
    pictures.forget()
    assert pictures.cached_bytes == 0


@pytest.mark.parametrize("size", [(160, 210), (500, 320), (40, 400), (1280, 720)])
def test_an_image_takes_as_many_tokens_as_its_processor_says(
    checkpoint: Checkpoint, pictures: Pictures, size: tuple[int, int]
) -> None:
    image = drawn_screenshot(3, size)
    picture = pictures.keep(image)
    own = checkpoint.image_processor()(
        [Image.open(BytesIO(image)).convert("RGB")], return_tensors="pt"
    )
    assert tuple(own["image_grid_thw"][0].tolist()) == picture.grid
    assert picture.tokens == own["pixel_values"].shape[0] // MERGE**2
    # Resized beforehand they are the very pixels that the processor resizes to.
    assert torch.equal(pictures.pixels(picture), own["pixel_values"])


def truncated(image: bytes) -> bytes:
    return image[: len(image) // 2]


def test_missing_damaged_and_strange_references_are_found_out(pictures: Pictures) -> None:
    good, gone, broken = (pictures.keep(drawn_screenshot(seed)) for seed in range(3))
    (pictures.store.folder / gone.reference).unlink()
    file = pictures.store.folder / broken.reference
    file.write_bytes(truncated(file.read_bytes()))
    not_an_image = pictures.store.put(b"not an image")
    never_whole = pictures.store.put(truncated(drawn_screenshot(3)))
    asked = [good.reference, gone.reference, broken.reference, not_an_image, never_whole]
    asked += ["../etc", "0" * 32]
    assert pictures.load(asked) == set(asked) - {good.reference}
    for picture in (gone, broken):
        with pytest.raises(MissingPictureError, match="cannot be read any more"):
            pictures.pixels(picture)
    with pytest.raises(MissingPictureError, match="is no image"):
        pictures.pixels(replace(good, reference=never_whole))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_what_cannot_be_decoded_is_missing_whatever_its_form(pictures: Pictures, form: str) -> None:
    encoded = BytesIO()
    Image.open(BytesIO(drawn_screenshot(0))).save(encoded, form)
    image = encoded.getvalue()
    for damaged in (truncated(image), image[:400] + b"\xff" * 400 + image[800:], image[:60]):
        reference = pictures.store.put(damaged)
        if pictures.load([reference]):
            continue
        pictures.pixels(pictures.find([reference])[0])  # what is not missing has pixels
    assert pictures.load([pictures.store.put(truncated(image))])


def test_an_image_is_decoded_once_to_see_that_it_is_there(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = pictures.keep(drawn_screenshot(0)).reference
    decoded = []
    decode = Image.Image.convert
    monkeypatch.setattr(
        Image.Image, "convert", lambda i, mode: decoded.append(i) or decode(i, mode)
    )
    for _ in range(3):
        assert pictures.load([reference, reference]) == set()
    assert len(decoded) == 1


def test_what_was_loaded_outlives_its_file_until_it_is_forgotten(pictures: Pictures) -> None:
    kept = [pictures.keep(drawn_screenshot(seed)) for seed in range(2)]
    first, second = (picture.reference for picture in kept)
    assert pictures.load([first, second]) == set()
    expected = pictures.pixels(kept[0]).clone()
    pictures.forget()
    assert pictures.load([first]) == set()
    for file in pictures.store.folder.iterdir():
        file.write_bytes(truncated(file.read_bytes()))
    assert torch.equal(pictures.pixels(kept[0]), expected)
    with pytest.raises(MissingPictureError, match="is damaged"):
        pictures.pixels(kept[1])  # the second call of load replaced what the first had read
    pictures.forget()
    with pytest.raises(MissingPictureError, match="is damaged"):
        pictures.pixels(kept[0])
    assert pictures.load([first]) == {first}


def test_a_screenshot_that_is_no_image_is_not_held(pictures: Pictures) -> None:
    with pytest.raises(MissingPictureError, match="is no image"):
        pictures.keep(b"not an image")
    assert pictures.held == 0


async def test_a_picture_damaged_while_its_prompt_waits_fails_that_request_alone(
    checkpoint: Checkpoint, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, damaged = (pictures.keep(drawn_screenshot(seed)) for seed in range(2))
    pixels = pictures.pixels
    engine = TransformersEngine(checkpoint.model(), pictures=pictures, eos_token_ids=(), threads=1)

    def evicted_behind(picture: Picture) -> torch.Tensor:
        found = pixels(picture)
        if picture == damaged:
            pictures.forget()
            file = pictures.store.folder / picture.reference
            file.write_bytes(truncated(file.read_bytes()))
        return found

    monkeypatch.setattr(pictures, "pixels", evicted_behind)

    def answer(picture: Picture) -> Any:
        ids = [7, *[PLACEHOLDER] * picture.tokens, 8]
        return engine.generate(ids, Sampling(max_tokens=3), images=[picture.reference])

    with pytest.raises(MissingPictureError, match="is damaged"):
        await answer(damaged)
    assert len((await answer(sound)).token_ids) == 3
    await engine.close()


def test_a_sweep_leaves_what_is_held(pictures: Pictures) -> None:
    kept = pictures.keep(drawn_screenshot(0))
    pictures.store.put(drawn_screenshot(1))  # as a run that was killed leaves it
    pictures.sweep()
    assert [path.name for path in pictures.store.folder.iterdir()] == [kept.reference]


def test_positions_are_those_of_the_model(pictures: Pictures) -> None:
    model = tiny_model()
    shown = [pictures.keep(drawn_screenshot(s, (160 + 90 * s, 210))) for s in range(3)]
    ids = [7, 8, 9]
    for picture in shown:
        ids += [3, *[PLACEHOLDER] * picture.tokens, 4, 20]
    ids += range(30, 40)
    found = read_image_prompt(ids, shown, PLACEHOLDER, MERGE)
    kinds = (torch.tensor([ids]) == PLACEHOLDER).int()
    grids = torch.tensor([picture.grid for picture in shown])
    expected, shift = model.model.get_rope_index(
        torch.tensor([ids]), mm_token_type_ids=kinds, image_grid_thw=grids
    )
    assert torch.equal(found.positions, expected[:, 0])
    assert found.shift == int(shift)
    behind = found.positions_from(len(ids) - 2, 4)
    assert torch.equal(behind[0, 2:] - behind[0, 1], torch.tensor([1, 2]))
    # What another image would have in the same place has other keys.
    other = read_image_prompt(
        ids,
        [shown[0], shown[1], pictures.keep(drawn_screenshot(9, (340, 210)))],
        PLACEHOLDER,
        MERGE,
    )
    assert sum(a != b for a, b in zip(found.keys, other.keys, strict=True)) == shown[2].tokens


def test_placeholders_and_images_must_match(pictures: Pictures) -> None:
    picture = pictures.keep(drawn_screenshot(0))
    fits = [7, *[PLACEHOLDER] * picture.tokens, 8]
    assert read_image_prompt(fits, [picture], PLACEHOLDER, MERGE).spans == ((1, picture),)
    for ids, shown in (
        (fits, []),
        (fits, [picture, picture]),
        ([7, 8], [picture]),
        ([PLACEHOLDER, *fits], [picture]),
        ([*fits[:-1], *fits[1:]], [picture, picture]),
        (fits[:3], [picture]),
    ):
        with pytest.raises(ValueError, match="give one image for each place"):
            read_image_prompt(ids, shown, PLACEHOLDER, MERGE)


def test_a_checkpoint_that_sees_is_kept_whole(checkpoint: Checkpoint, tmp_path: Path) -> None:
    vision = Vision(images=3, marks=True, text=False)
    found = find_checkpoint(checkpoint.path, vision=vision, history=3)
    found.save(found.model(), found.tokenizer(), tmp_path / "again")
    again = find_checkpoint(str(tmp_path / "again"))
    assert (again.layout.name, again.layout.vision, again.layout.history) == ("chat", vision, 3)
    assert find_checkpoint(again.path, "chat-memory").layout.history == 3
    assert find_checkpoint(again.path, history=5).layout.history == 5
    assert again.image_processor().size == checkpoint.image_processor().size
    before, after = checkpoint.model().state_dict(), again.model().state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_a_text_model_has_no_image_processor() -> None:
    with pytest.raises(UserError, match=r"image processor of .* cannot be read"):
        find_checkpoint("webdojo-nano").image_processor()
    with pytest.raises(UserError, match="outline layout shows no screenshots"):
        find_checkpoint("webdojo-nano", vision=Vision())
