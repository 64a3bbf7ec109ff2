"""The engine contract with images, kept by every engine: the same tests, each against its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import DynamicCache

from webdojo.agents.architecture import placeholder_ids
from webdojo.agents.checkpoint import find_checkpoint
from webdojo.agents.engines import looking
from webdojo.agents.engines.engine import Completion, ContextOverflowError, Sampling
from webdojo.agents.engines.transformers_engine import TransformersEngine
from webdojo.agents.engines.vllm_engine import VllmEngine
from webdojo.agents.engines.vllm_python import find_python
from webdojo.agents.engines.weights import checksum
from webdojo.agents.pictures import MissingPictureError, Picture, Pictures
from webdojo.agents.tiny_vision import drawn_screenshot, tiny_model, write_tiny_vision
from webdojo.envs.screenshots import ScreenshotStore
from webdojo.tasks.errors import UserError

# One thread: more only wait for one another on matrices of this size.
torch.set_num_threads(1)

CONTEXT, SLOTS, MOST_IMAGES = 1024, 4, 3
START, END, PLACEHOLDER = 3, 4, 5
NEVER = placeholder_ids(tiny_model().config)
AnyEngine = TransformersEngine | VllmEngine


def without_vllm() -> str:
    try:
        find_python()
    except UserError as error:
        return str(error)
    return ""


VLLM = [pytest.mark.slow, pytest.mark.skipif(bool(without_vllm()), reason=without_vllm())]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny-vision")
    write_tiny_vision(folder)
    return folder


@pytest.fixture(scope="module")
def pictures(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    store = ScreenshotStore(tmp_path_factory.mktemp("store"))
    return Pictures(store, find_checkpoint(str(checkpoint)).image_processor())


@pytest.fixture(scope="module", params=["transformers", pytest.param("vllm", marks=VLLM)])
def served(
    request: pytest.FixtureRequest, checkpoint: Path, pictures: Pictures
) -> Iterator[AnyEngine]:
    options: dict[str, Any] = {
        "pictures": pictures,
        "slots": SLOTS,
        "threads": 1,
        "eos_token_ids": (),
        "context_tokens": CONTEXT,
        "images": MOST_IMAGES,
    }
    engine: AnyEngine
    if request.param == "vllm":
        engine = VllmEngine(checkpoint, **options)
    else:
        engine = TransformersEngine.from_pretrained(checkpoint, **options)
    yield engine
    asyncio.run(engine.close())


@pytest.fixture
async def engine(served: AnyEngine) -> AnyEngine:
    """The one that all tests share, with the weights of the checkpoint."""
    if served.version:
        await served.update_weights(tiny_model().state_dict(), 0)
    return served


class Asked:
    """A prompt that shows drawn screenshots and then says something."""

    def __init__(self, pictures: Pictures, seeds: Sequence[int], words: int = 8) -> None:
        self.pictures = pictures
        self.shown: list[Picture] = [pictures.keep(drawn_screenshot(seed)) for seed in seeds]
        self.ids = [1, 40, 41, 42, 43]
        for picture in self.shown:
            self.ids += [START, *[PLACEHOLDER] * picture.tokens, END]
        self.ids += range(60, 60 + words)

    @property
    def references(self) -> list[str]:
        return [picture.reference for picture in self.shown]

    async def answered(self, engine: AnyEngine, sampling: Sampling) -> Completion:
        return await engine.generate(self.ids, sampling, images=self.references)

    def seen(self) -> dict[str, torch.Tensor]:
        """What the model's own forward pass takes besides tokens."""
        if not self.shown:
            return {}
        return {
            "pixel_values": torch.cat([self.pictures.pixels(p) for p in self.shown]),
            "image_grid_thw": torch.tensor([picture.grid for picture in self.shown]),
        }

    def logits(self, model: Any, response: Sequence[int]) -> torch.Tensor:
        """Logits of a response by one ordinary forward pass, image tokens and all."""
        ids = torch.tensor([[*self.ids, *response]])
        seen = self.seen()
        if seen:
            seen["mm_token_type_ids"] = (ids == PLACEHOLDER).int()
        with torch.no_grad():
            found: torch.Tensor = model(input_ids=ids, **seen).logits[0, len(self.ids) - 1 : -1]
        return found


async def until_drawn(engine: AnyEngine, tokens: int) -> None:
    """Wait until the engine has drawn so many more tokens."""
    goal = engine.counters.drawn_tokens + tokens
    while engine.counters.drawn_tokens < goal:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def gap(drawn: Completion, logits: torch.Tensor, temperature: float = 1.0) -> float:
    """Mean difference of a response's log-probabilities from those of ``logits``."""
    possible = logits.clone()
    possible[:, list(NEVER)] = -torch.inf
    logprobs = torch.log_softmax(possible / temperature, -1)
    expected = logprobs.gather(-1, torch.tensor(drawn.token_ids)[:, None])[:, 0]
    return float((torch.tensor(drawn.logprobs) - expected).abs().mean())


@pytest.mark.parametrize("temperature", [1.0, 0.6])
async def test_logprobs_are_the_learners_with_images_and_without(
    engine: AnyEngine, pictures: Pictures, temperature: float
) -> None:
    asked = [Asked(pictures, seeds) for seeds in ([], [0], [1], [0, 1], [1, 2, 0], [0, 0])]
    found = await asyncio.gather(
        *(each.answered(engine, Sampling(temperature, 16, seed=i)) for i, each in enumerate(asked))
    )
    for each, drawn in zip(asked, found, strict=True):
        assert len(drawn.token_ids) == 16
        logits = each.logits(tiny_model(), drawn.token_ids)
        assert gap(drawn, logits, temperature) < 1e-3


async def test_the_same_tokens_with_another_image_share_nothing_of_it(
    engine: AnyEngine, pictures: Pictures
) -> None:
    first, other = Asked(pictures, [3, 4], words=40), Asked(pictures, [3, 5], words=40)
    assert first.ids == other.ids
    before = engine.counters
    await first.answered(engine, Sampling(max_tokens=2))
    again = await first.answered(engine, Sampling(max_tokens=4))
    shared = engine.counters.shared_prompt_tokens - before.shared_prompt_tokens
    assert shared >= 128  # vLLM shares whole blocks only
    drawn = await other.answered(engine, Sampling(max_tokens=4))
    assert gap(again, first.logits(tiny_model(), again.token_ids)) < 1e-3
    assert gap(drawn, other.logits(tiny_model(), drawn.token_ids)) < 1e-3
    assert gap(drawn, first.logits(tiny_model(), drawn.token_ids)) > 1e-2


async def test_tokens_that_stand_for_images_are_never_drawn(
    engine: AnyEngine, pictures: Pictures
) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.get_input_embeddings().weight[list(NEVER)] *= 20
    await engine.update_weights(model.state_dict(), 1)
    asked = Asked(pictures, [0])
    found = await asyncio.gather(
        *(asked.answered(engine, Sampling(t, 30, seed=s)) for t in (0.0, 1.0) for s in range(2))
    )
    drawn = {token for completion in found for token in completion.token_ids}
    assert drawn.isdisjoint(NEVER)
    wanted = torch.cat([asked.logits(model, each.token_ids).argmax(-1) for each in found])
    assert not set(wanted.tolist()).isdisjoint(NEVER)


async def test_images_and_their_places_must_match_and_a_bad_request_harms_nobody(
    engine: AnyEngine, pictures: Pictures
) -> None:
    asked = Asked(pictures, [0, 1])
    references, sampling = asked.references, Sampling(max_tokens=3)
    for given in ([*references, references[0]], references[:1], []):
        with pytest.raises(ValueError, match="give one image for each place"):
            await engine.generate(asked.ids, sampling, images=given)
    with pytest.raises(ValueError, match="140 image tokens in 2 places"):
        await engine.generate(asked.ids, sampling)
    with pytest.raises(ValueError, match="140 image tokens in 1 places"):
        joined = [START, *[PLACEHOLDER] * 140, END, 60]
        await engine.generate(joined, sampling, images=references)
    with pytest.raises(MissingPictureError, match="is not in"):
        await engine.generate(asked.ids, sampling, images=[references[0], "0" * 32])
    long = Asked(pictures, [0, 1], words=700)
    with pytest.raises(ContextOverflowError):
        await engine.generate([*long.ids, *long.ids[-300:]], sampling, images=long.references)
    assert len((await asked.answered(engine, sampling)).token_ids) == 3


async def test_an_image_more_than_is_allowed_is_refused(
    engine: AnyEngine, pictures: Pictures
) -> None:
    asked = Asked(pictures, range(MOST_IMAGES + 1))
    with pytest.raises(ValueError, match="4 images, more than the 3"):
        await asked.answered(engine, Sampling(max_tokens=3))
    fits = Asked(pictures, range(MOST_IMAGES))
    assert len((await fits.answered(engine, Sampling(max_tokens=3))).token_ids) == 3


@pytest.mark.parametrize("how", ["another's", "cut short", "gone"])
async def test_a_damaged_image_is_not_drawn_from_and_does_no_harm_once_it_is_whole(
    engine: AnyEngine, pictures: Pictures, how: str
) -> None:
    asked, other = Asked(pictures, [20]), Asked(pictures, [21])
    file, wrong = (pictures.store.folder / each.references[0] for each in (asked, other))
    whole = file.read_bytes()
    # What the last weights saw of it, in the other cases, is forgotten.
    await engine.update_weights(tiny_model(seed=3).state_dict(), 1)
    pictures.forget()
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(wrong.read_bytes() if how == "another's" else whole[: len(whole) // 2])
    with pytest.raises(MissingPictureError, match=asked.references[0]):
        await asked.answered(engine, Sampling(1.0, 16, seed=1))
    file.write_bytes(whole)
    drawn = await asked.answered(engine, Sampling(1.0, 16, seed=2))
    assert gap(drawn, asked.logits(tiny_model(seed=3), drawn.token_ids)) < 1e-3


async def test_a_response_to_images_that_waits_is_drawn_by_the_weights_that_it_names(
    engine: AnyEngine, pictures: Pictures
) -> None:
    asked, new = Asked(pictures, [6, 7]), tiny_model(seed=9)
    await asked.answered(engine, Sampling(max_tokens=2))  # the old weights have seen them
    texts = [Asked(pictures, [], words=8 + i) for i in range(SLOTS)]
    running = [
        asyncio.create_task(each.answered(engine, Sampling(1.0, 300, seed=i)))
        for i, each in enumerate(texts)
    ]
    await until_drawn(engine, SLOTS)
    waiting = asyncio.create_task(asked.answered(engine, Sampling(1.0, 20, seed=3)))
    await until_drawn(engine, 5 * SLOTS)
    await engine.update_weights(new.state_dict(), 7)
    assert not any(each.done() for each in running)
    drawn = await waiting
    assert drawn.versions == (7,) * 20
    assert gap(drawn, asked.logits(new, drawn.token_ids)) < 1e-3
    await asyncio.gather(*running)


async def test_weights_are_swapped_while_a_response_to_images_is_drawn(
    engine: AnyEngine, pictures: Pictures
) -> None:
    asked = Asked(pictures, [6, 7])
    old, new = tiny_model(), tiny_model(seed=9)
    before = await asked.answered(engine, Sampling(1.0, 5, seed=5))
    running = asyncio.create_task(asked.answered(engine, Sampling(1.0, 300, seed=1)))
    await until_drawn(engine, 20)
    await engine.update_weights(new.state_dict(), version=7)
    assert not running.done()
    assert await engine.checksum() == checksum(new.parameters())
    # Images that the old weights have seen are seen anew.
    fresh = await asked.answered(engine, Sampling(1.0, 20, seed=3))
    assert fresh.versions == (7,) * 20
    assert gap(fresh, asked.logits(new, fresh.token_ids)) < 1e-3
    assert gap(before, asked.logits(old, before.token_ids)) < 1e-3

    completion = await running
    assert set(completion.versions) == {0, 7}
    # What was read before the swap keeps the keys and values of the old weights.
    split = len(asked.ids) + completion.versions.index(7) - 1
    ids = torch.tensor([[*asked.ids, *completion.token_ids]])
    kinds, grids = (ids == PLACEHOLDER).int(), asked.seen()["image_grid_thw"]
    positions, _ = old.model.get_rope_index(ids, mm_token_type_ids=kinds, image_grid_thw=grids)
    cache = DynamicCache()
    with torch.no_grad():
        first = old(
            input_ids=ids[:, :split], position_ids=positions[..., :split], past_key_values=cache,
            **asked.seen(),
        ).logits[0]  # fmt: skip
        rest = new(
            input_ids=ids[:, split:-1], position_ids=positions[..., split:-1],
            past_key_values=cache,
        ).logits[0]  # fmt: skip
    assert gap(completion, torch.cat([first, rest])[len(asked.ids) - 1 :]) < 1e-3


async def test_what_was_seen_longest_ago_is_forgotten_and_seen_again(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [Asked(pictures, seeds) for seeds in ([0], [1], [0], [2, 0], [1, 2])]
    tokens = asked[0].shown[0].tokens
    monkeypatch.setattr(looking, "KEPT_IMAGE_TOKENS", 2 * tokens - 1)
    # No kept prefixes: what is drawn shows what was seen for this prompt.
    engine = TransformersEngine(
        tiny_model(), pictures=pictures, slots=2, kept=0, threads=1, eos_token_ids=()
    )
    looks = []
    for each in asked:
        drawn = await each.answered(engine, Sampling(1.0, 8, seed=1))
        assert gap(drawn, each.logits(tiny_model(), drawn.token_ids)) < 1e-3
        seen = engine._decoder._looking
        assert seen is not None
        looks.append(seen.looks)
        assert len(seen._seen) == 1
    await engine.close()
    assert looks == [1, 2, 3, 4, 6]
