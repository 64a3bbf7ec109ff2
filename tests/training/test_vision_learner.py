"""The learner with screenshots: packing changes nothing, and lost images cost their trajectory."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from webdojo.agents.checkpoint import Checkpoint, find_checkpoint
from webdojo.agents.engines.engine import Sampling
from webdojo.agents.engines.prompt_images import PromptImages
from webdojo.agents.engines.transformers_engine import TransformersEngine
from webdojo.agents.engines.weights import checksum
from webdojo.agents.pictures import Picture, Pictures
from webdojo.agents.tiny_vision import drawn_screenshot, write_tiny_vision
from webdojo.envs.screenshots import ScreenshotStore
from webdojo.training.learner import Learner
from webdojo.training.learner_config import LearnerConfig, LoraConfig
from webdojo.training.packed_batch import response_logprobs
from webdojo.training.packing import Row, pack
from webdojo.training.rollouts.trajectory import Group, Trajectory, Turn

# One thread: more only wait for one another on matrices of this size.
torch.set_num_threads(1)

PLACEHOLDER = 5
CONFIG = LearnerConfig(
    lr=1e-3, micro_batch_tokens=1200, sequence_tokens=600, min_shared_tokens=16, max_grad_norm=100
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("tiny-vision")
    write_tiny_vision(folder)
    return find_checkpoint(str(folder))


@pytest.fixture
def pictures(checkpoint: Checkpoint, tmp_path: Path) -> Pictures:
    return Pictures(ScreenshotStore(tmp_path), checkpoint.image_processor())


def prompt_with(pictures: Pictures, seeds: list[int], question: int) -> tuple[list[int], list[str]]:
    """A prompt that shows drawn screenshots and asks something, and their references."""
    ids, references = [1, 40, 41, 42, 43], []
    for seed in seeds:
        picture = pictures.keep(drawn_screenshot(seed))
        ids += [3, *[PLACEHOLDER] * picture.tokens, 4]
        references.append(picture.reference)
    return [*ids, *range(50, 62), 100 + question], references


def one_by_one(model: Any, pictures: Pictures, rows: list[Row]) -> torch.Tensor:
    """Log-probabilities by the model's own forward pass, which places and merges by itself."""
    found = []
    for row in rows:
        ids = torch.tensor([row.token_ids])
        seen: dict[str, Any] = {}
        if row.images is not None:
            shown = [picture for _, picture in row.images.spans]
            seen = {
                "pixel_values": torch.cat([pictures.pixels(picture) for picture in shown]),
                "image_grid_thw": torch.tensor([picture.grid for picture in shown]),
                "mm_token_type_ids": (ids == PLACEHOLDER).int(),
            }
        logits = model(input_ids=ids, **seen).logits[0]
        logprobs = torch.log_softmax(logits, -1)[:-1].gather(-1, ids[0, 1:, None])[:, 0]
        found.append(logprobs[torch.tensor(row.trained[1:])])
    return torch.cat(found)


def test_packing_prompts_with_images_changes_neither_logprobs_nor_gradients(
    checkpoint: Checkpoint, pictures: Pictures
) -> None:
    model = checkpoint.model()
    images = PromptImages.of(model.config, pictures)
    assert images is not None
    rows = []
    for seeds, question, answer in (
        ([0, 1], 0, (200, 201)),
        ([0, 1], 0, (202,)),
        ([0, 1], 1, (200, 203, 204)),
        ([0, 2], 1, (205, 206)),
        ([1, 0], 1, (207, 208)),
        ([2], 1, (209, 210)),
        ([], 2, (211, 212, 213)),
    ):
        prompt, references = prompt_with(pictures, seeds, question)
        rows.append(Row.of(prompt, answer, images.prompt(prompt, references)))
    logprobs = one_by_one(model, pictures, rows)
    logprobs.sum().backward()
    expected = logprobs.detach()
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    assert any("visual" in name and float(g.abs().sum()) for name, g in gradients.items())
    model.zero_grad()
    for max_tokens, sequence_tokens in ((2500, 1000), (400, 200)):
        packed = pack(rows, max_tokens=max_tokens, sequence_tokens=sequence_tokens, min_shared=16)
        found = torch.empty_like(expected)
        for batch in packed:
            logprobs = response_logprobs(model, batch, pixels=pictures.pixels)
            found[batch.token_indices] = logprobs.detach()
            logprobs.sum().backward()
        assert float((found - expected).abs().max()) < 1e-4
        for name, parameter in model.named_parameters():
            if name in gradients:
                torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-3, atol=1e-3)
        model.zero_grad()
    # In one batch every image is looked at once, however many rows show it.
    whole = pack(rows, max_tokens=9999, sequence_tokens=9999, min_shared=16, max_padding=1.0)
    assert [len(batch.pictures) for batch in whole] == [3]
    assert whole[0].row_tokens > whole[0].input_ids.numel()


async def drawn_groups(engine: TransformersEngine, pictures: Pictures, version: int) -> list[Group]:
    """Two groups of four episodes of two steps; half of each succeeds."""

    async def trajectory(g: int, m: int) -> Trajectory:
        turns = []
        for t in range(2):
            prompt, references = prompt_with(pictures, [10 + g, 20 + g + m * t][: t + 1], g)
            sampling = Sampling(1.0, 6, seed=100 * version + 10 * g + 2 * m + t)
            drawn = await engine.generate(prompt, sampling, images=references)
            turns.append(
                Turn(
                    tuple(prompt), drawn.token_ids, drawn.logprobs, drawn.versions, "noop()",
                    images=tuple(references),
                )
            )  # fmt: skip
        return Trajectory(f"{g}-{m}", "t", 0, g, m, tuple(turns), float(m % 2), "success")

    async def group(g: int) -> Group:
        members = await asyncio.gather(*(trajectory(g, m) for m in range(4)))
        return Group(g, "t", 0, tuple(members))

    return [await group(g) for g in range(2)]


async def test_what_the_engine_drew_with_images_is_what_the_learner_trains_on(
    checkpoint: Checkpoint, pictures: Pictures
) -> None:
    engine = TransformersEngine(checkpoint.model(), pictures=pictures, eos_token_ids=(), threads=1)
    learner = Learner(checkpoint.model(), CONFIG, pictures=pictures)
    before = learner.weights()
    for version in range(2):
        groups = await drawn_groups(engine, pictures, version)
        metrics = learner.update(groups, version)
        # The bar is 1e-3.
        assert metrics["logprob_mismatch_mean"] < 1e-5
        assert metrics["logprob_mismatch_max"] < 1e-4
        assert (metrics["images_missing"], metrics["trajectories_dropped"]) == (0, 0)
        assert metrics["images"] == 7  # each group's first, and five different second ones
        assert pictures.cached_bytes == 0
        await engine.update_weights(learner.weights(), version + 1)
        served = checkpoint.model()
        served.load_state_dict(learner.weights())
        assert await engine.checksum() == checksum(served.parameters())
    after = learner.weights()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert any("visual" in name for name in changed)
    assert any("language_model" in name for name in changed)
    await engine.close()


async def test_a_lost_image_costs_its_trajectory_and_is_counted(
    checkpoint: Checkpoint, pictures: Pictures
) -> None:
    engine = TransformersEngine(checkpoint.model(), pictures=pictures, eos_token_ids=(), threads=1)
    groups = await drawn_groups(engine, pictures, 0)
    await engine.close()
    lost = groups[1].trajectories[3]
    (pictures.store.folder / lost.turns[1].images[1]).unlink()
    whole = Learner(checkpoint.model(), CONFIG, pictures=pictures)
    metrics = whole.update(groups, 0)
    assert (metrics["images_missing"], metrics["trajectories_dropped"]) == (1, 1)
    kept = sum(x.response_tokens for g in groups for x in g.trajectories) - lost.response_tokens
    assert metrics["tokens"] == kept


async def test_a_file_damaged_in_the_midst_of_an_update_costs_that_update_nothing(
    checkpoint: Checkpoint, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = TransformersEngine(checkpoint.model(), pictures=pictures, eos_token_ids=(), threads=1)
    groups = await drawn_groups(engine, pictures, 0)
    await engine.close()
    several = CONFIG.model_copy(update={"epochs": 2, "minibatches": 2})
    timed = {"seconds", "tokens_per_s"}
    untouched = Learner(checkpoint.model(), several, pictures=pictures)
    expected = untouched.update(groups, 0)

    # Room for one image alone: pixels are computed again from what was read.
    small = Pictures(pictures.store, checkpoint.image_processor(), cache_bytes=1)
    pixels = small.pixels

    def damaged_before(picture: Picture) -> torch.Tensor:
        for file in small.store.folder.iterdir():
            file.write_bytes(file.read_bytes()[:100])
        return pixels(picture)

    monkeypatch.setattr(small, "pixels", damaged_before)
    learner = Learner(checkpoint.model(), several, pictures=small)
    found = learner.update(groups, 0)
    assert {n: v for n, v in found.items() if n not in timed} == {
        n: v for n, v in expected.items() if n not in timed
    }
    after = untouched.weights()
    assert all(torch.equal(value, after[name]) for name, value in learner.weights().items())
    # The next update finds them damaged, and does without.
    metrics = learner.update(groups, 1)
    assert (metrics["images_missing"], metrics["trajectories_dropped"]) == (7, 8)
    assert metrics["optimizer_steps"] == 0


def test_a_demonstration_that_has_lost_an_image_is_left_out_and_counted(
    checkpoint: Checkpoint, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = checkpoint.model()
    images = PromptImages.of(model.config, pictures)
    assert images is not None
    rows = []
    for seed in range(3):
        prompt, references = prompt_with(pictures, [seed], 0)
        rows.append(Row.of(prompt, (200, 201), images.prompt(prompt, references)))
    (pictures.store.folder / references[0]).unlink()
    pixels = pictures.pixels

    def gone_before(picture: Picture) -> torch.Tensor:
        for file in pictures.store.folder.iterdir():
            file.unlink()
        return pixels(picture)

    monkeypatch.setattr(pictures, "pixels", gone_before)
    learner = Learner(model, CONFIG, pictures=pictures)
    found = learner.supervised_step(rows)
    assert (found["images_missing"], found["tokens"], found["optimizer_steps"]) == (1, 4, 1)
    found = learner.supervised_step(rows)
    assert (found["images_missing"], found["tokens"], found["optimizer_steps"]) == (3, 0, 0)
    assert learner.step == 2


async def test_a_batch_that_has_lost_every_image_takes_no_step(
    checkpoint: Checkpoint, pictures: Pictures
) -> None:
    engine = TransformersEngine(checkpoint.model(), pictures=pictures, eos_token_ids=(), threads=1)
    groups = await drawn_groups(engine, pictures, 0)
    await engine.close()
    for file in pictures.store.folder.iterdir():
        file.unlink()
    learner = Learner(checkpoint.model(), CONFIG, pictures=pictures)
    before = learner.weights()
    metrics = learner.update(groups, 0)
    assert (metrics["optimizer_steps"], metrics["trajectories_dropped"]) == (0, 8)
    assert all(torch.equal(value, before[name]) for name, value in learner.weights().items())
    assert learner.step == 1


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
async def test_adapters_learn_to_see_and_engines_get_them_merged(
    checkpoint: Checkpoint, pictures: Pictures, precision: Literal["float32", "bfloat16"]
) -> None:
    engine = TransformersEngine(checkpoint.model(), pictures=pictures, eos_token_ids=(), threads=1)
    config = CONFIG.model_copy(
        update={
            "lora": LoraConfig(rank=4, alpha=8),
            "precision": precision,
            "gradient_checkpointing": True,
            "lr": 1e-2,
        }
    )
    learner = Learner(checkpoint.model(), config, pictures=pictures)
    before = learner.weights()
    for version in range(2):
        groups = await drawn_groups(engine, pictures, version)
        metrics = learner.update(groups, version)
        if precision == "float32":
            assert metrics["logprob_mismatch_mean"] < 1e-4
        assert metrics["grad_norm"] > 0
        await engine.update_weights(learner.weights(), version + 1)
    await engine.close()
    changed = {n for n, value in learner.weights().items() if not torch.equal(value, before[n])}
    assert any("visual.blocks" in name for name in changed)
    assert any("language_model.layers" in name for name in changed)
    assert not any("embed" in name for name in changed)
