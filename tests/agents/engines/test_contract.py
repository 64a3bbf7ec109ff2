"""The engine contract, kept by every engine: the same tests, each against its own process."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import DynamicCache, Qwen2Config, Qwen2ForCausalLM

from webdojo.agents.engines import weights as weights_module
from webdojo.agents.engines.engine import (
    Completion,
    ContextOverflowError,
    EngineDeadError,
    Sampling,
)
from webdojo.agents.engines.restarting import RestartingEngine
from webdojo.agents.engines.transformers_engine import TransformersEngine
from webdojo.agents.engines.unchanged import Stamp, Unchanged
from webdojo.agents.engines.vllm_engine import VllmEngine
from webdojo.agents.engines.vllm_python import find_python
from webdojo.agents.engines.weights import INDEX, checksum, weight_files
from webdojo.tasks.errors import UserError

# One thread: more only wait for one another on matrices of this size.
torch.set_num_threads(1)

VOCABULARY, CONTEXT, SLOTS = 64, 400, 4
AnyEngine = TransformersEngine | VllmEngine


def without_vllm() -> str:
    try:
        find_python()
    except UserError as error:
        return str(error)
    return ""


VLLM = [pytest.mark.slow, pytest.mark.skipif(bool(without_vllm()), reason=without_vllm())]
KINDS = ["transformers", pytest.param("vllm", marks=VLLM)]


def tiny_model(seed: int = 0) -> Qwen2ForCausalLM:
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=CONTEXT,
        initializer_range=0.3,
        tie_word_embeddings=True,
    )
    model = Qwen2ForCausalLM(config).eval()
    model.generation_config.eos_token_id = None
    return model


def prompt_of(length: int, seed: int = 0) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(4, VOCABULARY) for _ in range(length)]


def teacher_forced(
    model: Qwen2ForCausalLM, prompt: list[int], response: tuple[int, ...], temperature: float = 1.0
) -> torch.Tensor:
    """Log-probabilities of a response by one ordinary forward pass."""
    ids = torch.tensor([[*prompt, *response]])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0, len(prompt) - 1 : -1]
    return of_response(logits, response, temperature)


def of_response(
    logits: torch.Tensor, response: tuple[int, ...], temperature: float = 1.0
) -> torch.Tensor:
    logprobs = torch.log_softmax(logits.float() / temperature, -1)
    return logprobs.gather(-1, torch.tensor(response)[:, None])[:, 0]


def gap(found: tuple[float, ...], expected: torch.Tensor) -> float:
    return float((torch.tensor(found) - expected).abs().mean())


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    tiny_model().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=KINDS)
def start(request: pytest.FixtureRequest, checkpoint: Path) -> Callable[..., AnyEngine]:
    if request.param == "vllm":
        return lambda **options: VllmEngine(
            checkpoint, **{"slots": SLOTS, "threads": 1, "eos_token_ids": ()} | options
        )
    return lambda **options: TransformersEngine.from_pretrained(
        checkpoint, **{"slots": SLOTS, "threads": 1, "eos_token_ids": ()} | options
    )


@pytest.fixture(scope="module")
def served(start: Callable[..., AnyEngine]) -> Iterator[AnyEngine]:
    engine = start()
    yield engine
    asyncio.run(engine.close())


@pytest.fixture
async def engine(served: AnyEngine) -> AnyEngine:
    """The one that all tests share, with the weights of the checkpoint."""
    if served.version:
        await served.update_weights(tiny_model().state_dict(), 0)
    return served


async def until_drawn(engine: AnyEngine, tokens: int) -> None:
    """Wait until the engine has drawn so many more tokens."""
    goal = engine.counters.drawn_tokens + tokens
    while engine.counters.drawn_tokens < goal:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
async def test_logprobs_are_the_learners(engine: AnyEngine, temperature: float) -> None:
    prompts = [prompt_of(5 + 3 * i, seed=i) for i in range(10)]
    found = await asyncio.gather(
        *(engine.generate(p, Sampling(temperature, 25, seed=i)) for i, p in enumerate(prompts))
    )
    for prompt, completion in zip(prompts, found, strict=True):
        assert len(completion.token_ids) == 25
        assert completion.versions == (0,) * 25
        expected = teacher_forced(tiny_model(), prompt, completion.token_ids, temperature)
        assert gap(completion.logprobs, expected) < 1e-3


async def test_greedy_is_the_most_likely_token_drawn_with_certainty(engine: AnyEngine) -> None:
    prompt = prompt_of(12)
    completion = await engine.generate(prompt, Sampling(0.0, 20))
    expected = tiny_model().generate(
        torch.tensor([prompt]), max_new_tokens=20, do_sample=False, pad_token_id=0
    )[0, 12:]
    assert list(completion.token_ids) == expected.tolist()
    assert completion.logprobs == (0.0,) * 20


@pytest.mark.parametrize("seed", [11, -1, 1 << 64])
async def test_a_seed_repeats_alone_and_in_company(engine: AnyEngine, seed: int) -> None:
    prompt, sampling = prompt_of(20, seed=2), Sampling(1.0, 40, seed)
    alone = await engine.generate(prompt, sampling)

    async def late(number: int) -> None:
        await until_drawn(engine, 3 * number)
        await engine.generate(prompt_of(9, seed=number), Sampling(1.0, 10 + number, seed=number))

    crowded, *_ = await asyncio.gather(engine.generate(prompt, sampling), *map(late, range(8)))
    assert crowded.token_ids == alone.token_ids
    other = await engine.generate(prompt, Sampling(1.0, 40, seed + 1))
    assert other.token_ids != alone.token_ids


async def test_more_prompt_than_a_step_reads_is_read_in_turn(
    start: Callable[..., AnyEngine],
) -> None:
    engine = start(slots=12)
    prompts = [prompt_of(CONTEXT - 10, seed=s) for s in range(12)]
    found = await asyncio.gather(
        *(engine.generate(p, Sampling(1.0, 10, seed=s)) for s, p in enumerate(prompts))
    )
    await engine.close()
    for prompt, completion in zip(prompts, found, strict=True):
        expected = teacher_forced(tiny_model(), prompt, completion.token_ids)
        assert gap(completion.logprobs, expected) < 1e-3


async def test_an_end_token_ends_a_response_and_is_part_of_it(
    start: Callable[..., AnyEngine],
) -> None:
    engine = start(eos_token_ids=range(0, VOCABULARY, 2), banned_token_ids=range(32, VOCABULARY))
    found = await asyncio.gather(
        *(engine.generate(prompt_of(8, seed=s), Sampling(1.0, 60, seed=s)) for s in range(8))
    )
    await engine.close()
    for seed, completion in enumerate(found):
        *before, last = completion.token_ids
        assert completion.finished
        assert last % 2 == 0
        assert all(token % 2 for token in before)
        assert max(completion.token_ids) < 32
        # Log-probabilities are those of what could be drawn.
        prompt = prompt_of(8, seed=seed)
        ids = torch.tensor([[*prompt, *completion.token_ids]])
        with torch.no_grad():
            logits = tiny_model()(input_ids=ids).logits[0, 7:-1, :32]
        assert gap(completion.logprobs, of_response(logits, completion.token_ids)) < 1e-3


async def test_weights_are_swapped_while_a_response_is_drawn(engine: AnyEngine) -> None:
    prompt = prompt_of(150, seed=6)
    old, new = tiny_model(), tiny_model(seed=9)
    before = await engine.generate(prompt, Sampling(1.0, 5, seed=5))
    running = asyncio.create_task(engine.generate(prompt, Sampling(1.0, 240, seed=1)))
    await until_drawn(engine, 20)
    await engine.update_weights(new.state_dict(), version=7)
    assert not running.done()
    assert engine.version == 7
    assert await engine.checksum() == checksum(new.parameters())
    # A prompt that the old weights have read is read again by the new ones.
    fresh = await engine.generate(prompt, Sampling(1.0, 20, seed=3))
    assert fresh.versions == (7,) * 20
    assert gap(fresh.logprobs, teacher_forced(new, prompt, fresh.token_ids)) < 1e-3
    assert gap(before.logprobs, teacher_forced(old, prompt, before.token_ids)) < 1e-3

    completion = await running
    assert set(completion.versions) == {0, 7}
    assert list(completion.versions) == sorted(completion.versions)
    # What was read before the swap keeps the keys and values of the old weights.
    split = len(prompt) + completion.versions.index(7) - 1
    cache = DynamicCache()
    ids = torch.tensor([[*prompt, *completion.token_ids]])
    with torch.no_grad():
        first = old(input_ids=ids[:, :split], past_key_values=cache).logits[0]
        rest = new(input_ids=ids[:, split:-1], past_key_values=cache).logits[0]
    logits = torch.cat([first, rest])[len(prompt) - 1 :]
    assert gap(completion.logprobs, of_response(logits, completion.token_ids)) < 1e-3
    # Prompts that go on from there are read anew.
    prompt += completion.token_ids[:100]
    fresh = await engine.generate(prompt, Sampling(1.0, 20, seed=4))
    assert gap(fresh.logprobs, teacher_forced(new, prompt, fresh.token_ids)) < 1e-3


async def test_a_response_that_waits_for_its_place_is_drawn_by_the_weights_that_it_names(
    engine: AnyEngine,
) -> None:
    prompt, new = prompt_of(300, seed=8), tiny_model(seed=9)
    await engine.generate(prompt, Sampling(max_tokens=2))  # the old weights have read it
    running = [
        asyncio.create_task(engine.generate([5 + i], Sampling(1.0, 300, seed=i)))
        for i in range(SLOTS)
    ]
    await until_drawn(engine, SLOTS)
    waiting = asyncio.create_task(engine.generate(prompt, Sampling(1.0, 20, seed=3)))
    await until_drawn(engine, 5 * SLOTS)
    await engine.update_weights(new.state_dict(), 7)
    assert not any(each.done() for each in running)
    drawn = await waiting
    assert drawn.versions == (7,) * 20
    assert gap(drawn.logprobs, teacher_forced(new, prompt, drawn.token_ids)) < 1e-3
    await asyncio.gather(*running)


async def test_responses_asked_for_around_refreshes_are_of_the_weights_that_they_name(
    engine: AnyEngine,
) -> None:
    prompt = prompt_of(300, seed=18)
    models = [tiny_model(seed=20), tiny_model(seed=21)]
    ended: list[asyncio.Task[Completion]] = []
    for version in range(1, 9):
        await engine.generate(prompt, Sampling(max_tokens=2))
        busy = asyncio.create_task(engine.generate([9], Sampling(1.0, 80, seed=version)))
        await until_drawn(engine, 5)
        weights = models[version % 2].state_dict()
        update = asyncio.create_task(engine.update_weights(weights, version))
        asked: list[asyncio.Task[Completion]] = []
        while not update.done():
            sampling = Sampling(1.0, 10, seed=len(asked))
            asked.append(asyncio.create_task(engine.generate(prompt, sampling)))
            await asyncio.sleep(0.004)
        await asyncio.gather(update, busy, *asked)
        ended += asked
    pure = [each for each in (task.result() for task in ended) if len(set(each.versions)) == 1]
    assert any(each.versions[0] for each in pure)
    for each in pure:
        model = models[each.versions[0] % 2] if each.versions[0] else tiny_model()
        assert gap(each.logprobs, teacher_forced(model, prompt, each.token_ids)) < 1e-3


@pytest.mark.parametrize("as_folder", [True, False])
async def test_weights_come_from_a_file(engine: AnyEngine, tmp_path: Path, as_folder: bool) -> None:
    new = tiny_model(seed=4)
    weights = new.state_dict()
    del weights["lm_head.weight"]  # tied
    save_file(weights, tmp_path / "model.safetensors")
    await engine.update_weights(tmp_path if as_folder else tmp_path / "model.safetensors", 1)
    assert await engine.checksum() == checksum(new.parameters())
    prompt = prompt_of(9)
    drawn = await engine.generate(prompt, Sampling(max_tokens=9))
    assert gap(drawn.logprobs, teacher_forced(new, prompt, drawn.token_ids)) < 1e-3


async def test_weights_that_do_not_fit_are_refused_and_the_old_ones_serve_on(
    engine: AnyEngine, tmp_path: Path
) -> None:
    before = await engine.checksum()
    prompt, sampling = prompt_of(30, seed=3), Sampling(1.0, 30, seed=4)
    drawn = await engine.generate(prompt, sampling)
    good = tiny_model(seed=1).state_dict()
    with pytest.raises(ValueError, match=r"unknown to the model \(other\)"):
        await engine.update_weights({**good, "other": torch.zeros(1)}, 1)
    with pytest.raises(ValueError, match=r"missing \(model.norm.weight\)"):
        await engine.update_weights({k: v for k, v in good.items() if k != "model.norm.weight"}, 1)
    with pytest.raises(ValueError, match=r"model.norm.weight has shape \(5,\)"):
        await engine.update_weights({**good, "model.norm.weight": torch.zeros(5)}, 1)
    with pytest.raises(FileNotFoundError, match="no safetensors"):
        await engine.update_weights(tmp_path, 1)
    (tmp_path / "model.safetensors").write_bytes(b"not at all")
    with pytest.raises(ValueError, match="is damaged"):
        await engine.update_weights(tmp_path, 1)
    assert engine.version == 0
    assert await engine.checksum() == before
    again = await engine.generate(prompt, sampling)
    assert (again.token_ids, again.versions) == (drawn.token_ids, (0,) * 30)


async def test_a_checkpoint_that_is_still_being_written_is_never_loaded(
    engine: AnyEngine, tmp_path: Path
) -> None:
    """As another machine may see one in a folder that both have."""
    before = await engine.checksum()
    new = tiny_model(seed=6)
    new.save_pretrained(tmp_path, max_shard_size="40KB")
    *_, last = parts = weight_files(tmp_path)
    assert len(parts) > 1
    whole = last.read_bytes()
    for written in (0, 4, len(whole) // 2, len(whole) - 1):
        last.write_bytes(whole[:written])
        with pytest.raises(ValueError, match="is damaged"):
            await engine.update_weights(tmp_path, 1)
    last.unlink()
    with pytest.raises(ValueError, match=rf"{last.name}, which .* names, is missing"):
        await engine.update_weights(tmp_path, 1)
    index = (tmp_path / INDEX).read_bytes()
    (tmp_path / INDEX).unlink()
    with pytest.raises(ValueError, match="holds parts of a checkpoint and no"):
        await engine.update_weights(tmp_path, 1)
    (tmp_path / INDEX).write_bytes(index)
    assert (await engine.checksum(), engine.version) == (before, 0)
    last.write_bytes(whole)
    await engine.update_weights(tmp_path, 1)
    assert (await engine.checksum(), engine.version) == (checksum(new.parameters()), 1)


class WritesWhileOthersRead:
    """Another writer of a file, who writes over half of it or empties it."""

    def __init__(self, file: Path, how: str) -> None:
        self.file, self.how = file, how

    def write(self) -> None:
        if self.how == "emptied":
            self.file.write_bytes(b"")
            return
        whole = self.file.read_bytes()
        with self.file.open("r+b") as opened:
            opened.seek(len(whole) // 2)
            opened.write(bytes(byte ^ 1 for byte in whole[len(whole) // 2 :]))


@pytest.mark.parametrize("how", ["overwritten", "emptied"])
async def test_weights_that_change_before_they_are_copied_are_never_served(
    engine: AnyEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    new, file = tiny_model(seed=6), tmp_path / "model.safetensors"
    new.save_pretrained(tmp_path)
    writer, before = WritesWhileOthersRead(file, how), await engine.checksum()

    class ChangedBeforeTheCopy(Unchanged):
        def __init__(self, files: Iterable[Path], seen: dict[str, Stamp] | None = None) -> None:
            super().__init__(files, seen)
            writer.write()

    running = asyncio.create_task(engine.generate(prompt_of(9), Sampling(1.0, 300, seed=1)))
    await until_drawn(engine, 5)
    with monkeypatch.context() as hook:
        hook.setattr(weights_module, "Unchanged", ChangedBeforeTheCopy)
        with pytest.raises(ValueError, match=r"was changed while it was read|is damaged"):
            await engine.update_weights(tmp_path, 1)
    assert (engine.version, await engine.checksum()) == (0, before)
    prompt = prompt_of(5)
    drawn = await engine.generate(prompt, Sampling(1.0, 20, seed=2))
    assert drawn.versions == (0,) * 20
    assert gap(drawn.logprobs, teacher_forced(tiny_model(), prompt, drawn.token_ids)) < 1e-3
    assert set((await running).versions) == {0}
    new.save_pretrained(tmp_path)
    await engine.update_weights(tmp_path, 1)
    assert (engine.version, await engine.checksum()) == (1, checksum(new.parameters()))


@pytest.mark.parametrize("how", ["overwritten", "emptied"])
async def test_weights_that_change_when_they_are_copied_are_served_as_they_were(
    engine: AnyEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    new, file = tiny_model(seed=6), tmp_path / "model.safetensors"
    new.save_pretrained(tmp_path)
    writer = WritesWhileOthersRead(file, how)

    class ChangedAfterTheCheck(Unchanged):
        def check(self) -> None:
            super().check()
            writer.write()

    # vLLM's process has a check of its own, after which nothing is written here.
    monkeypatch.setattr(weights_module, "Unchanged", ChangedAfterTheCheck)
    await engine.update_weights(tmp_path, 1)
    assert (engine.version, await engine.checksum()) == (1, checksum(new.parameters()))


async def test_nan_weights_fail_requests_and_sound_ones_heal(engine: AnyEngine) -> None:
    broken = {k: torch.full_like(v, torch.nan) for k, v in tiny_model().state_dict().items()}
    await engine.update_weights(broken, 1)
    for prompt in ([5, 6], prompt_of(100)):
        with pytest.raises(FloatingPointError, match="policy version 1"):
            await engine.generate(prompt, Sampling())
    await engine.update_weights(tiny_model().state_dict(), 2)
    # What was read of the long one is behind the end of others, where it must not be seen.
    prompts = [prompt_of(length, seed=length) for length in (2, 150)]
    found = await asyncio.gather(*(engine.generate(p, Sampling(max_tokens=3)) for p in prompts))
    for prompt, completion in zip(prompts, found, strict=True):
        assert completion.versions == (2, 2, 2)
        expected = teacher_forced(tiny_model(), prompt, completion.token_ids)
        assert gap(completion.logprobs, expected) < 1e-3


async def test_more_requests_than_places_wait_their_turn_and_a_cancelled_one_frees_its_place(
    engine: AnyEngine,
) -> None:
    alone = await engine.generate([6], Sampling(1.0, 390, seed=1))
    endless = [
        asyncio.create_task(engine.generate([5 + i], Sampling(1.0, 390, seed=i)))
        for i in range(SLOTS)
    ]
    await until_drawn(engine, SLOTS)
    waiting = asyncio.create_task(engine.generate([9, 9], Sampling(1.0, 5)))
    await until_drawn(engine, 10 * SLOTS)
    assert not waiting.done()
    endless[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await endless[0]
    assert len((await waiting).token_ids) == 5
    assert not any(task.done() for task in endless[1:])
    beside, *others = await asyncio.gather(*endless[1:])
    assert beside.token_ids == alone.token_ids
    assert [len(completion.token_ids) for completion in others] == [390] * len(others)


async def test_time_outs_free_their_places(engine: AnyEngine) -> None:
    async def cut_short(number: int) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await engine.generate([5 + number], Sampling(max_tokens=390))

    before = engine.counters.drawn_tokens
    await asyncio.gather(*map(cut_short, range(SLOTS)))
    assert len((await engine.generate([5], Sampling(max_tokens=3))).token_ids) == 3
    # They were not drawn to their ends to make room.
    assert engine.counters.drawn_tokens - before < SLOTS * 390


async def test_context_limits(engine: AnyEngine) -> None:
    with pytest.raises(ContextOverflowError, match=r"400 tokens.*context of 400"):
        await engine.generate([5] * CONTEXT, Sampling())
    cut = await engine.generate(prompt_of(CONTEXT - 1), Sampling(max_tokens=10))
    assert (len(cut.token_ids), cut.finished) == (1, False)
    cut = await engine.generate(prompt_of(CONTEXT - 20), Sampling(max_tokens=50))
    assert (len(cut.token_ids), cut.finished) == (20, False)


@pytest.mark.parametrize(
    ("prompt", "sampling", "message"),
    [
        ([], Sampling(), "prompt is empty"),
        ([5, VOCABULARY], Sampling(), "token 64, but the vocabulary has 64"),
        ([-1], Sampling(), "token -1"),
        ([5], Sampling(max_tokens=0), "max_tokens is 0"),
        ([5], Sampling(temperature=-1), "temperature is -1"),
        ([5], Sampling(temperature=float("nan")), "temperature is nan"),
    ],
)
async def test_bad_requests_are_refused_and_harm_nobody(
    engine: AnyEngine, prompt: list[int], sampling: Sampling, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        await engine.generate(prompt, sampling)
    drawn = await engine.generate([5], Sampling(0.0, max_tokens=2))
    likely = tiny_model().generate(
        torch.tensor([[5]]), max_new_tokens=2, do_sample=False, pad_token_id=0
    )
    assert [5, *drawn.token_ids] == likely[0].tolist()


async def test_a_shared_beginning_is_read_once(engine: AnyEngine) -> None:
    page = prompt_of(300, seed=8)
    before = engine.counters
    await engine.generate([*page, 4], Sampling(max_tokens=2))
    found = await engine.generate([*page, 5], Sampling(max_tokens=2))
    after = engine.counters
    # vLLM shares whole blocks only.
    assert after.shared_prompt_tokens - before.shared_prompt_tokens >= 128
    assert gap(found.logprobs, teacher_forced(tiny_model(), [*page, 5], found.token_ids)) < 1e-3


def kill(engine: AnyEngine) -> None:
    if isinstance(engine, VllmEngine):
        os.kill(engine.process_id, signal.SIGKILL)
    else:
        # Taking a layer's weights away makes the next forward pass fail inside torch.
        model: Any = engine._decoder.model
        model.model.layers[1].mlp.up_proj.weight = None


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


@pytest.mark.parametrize("as_folder", [True, False])
async def test_an_engine_that_dies_comes_back_with_the_newest_weights(
    start: Callable[..., AnyEngine], tmp_path: Path, as_folder: bool
) -> None:
    engine = RestartingEngine(lambda version: start(version=version))
    new = tiny_model(seed=3)
    new.save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    await engine.update_weights(tmp_path if as_folder else file, 5)
    empty(tmp_path)  # as the learner does when it has the next ones
    calls = [
        asyncio.create_task(engine.generate([5, i + 4], Sampling(1.0, 300, seed=i)))
        for i in range(SLOTS + 1)
    ]
    await until_drawn(engine.engine, SLOTS)
    kill(engine.engine)
    for i, completion in enumerate(await asyncio.gather(*calls)):
        assert completion.versions == (5,) * 300
        assert (
            gap(completion.logprobs, teacher_forced(new, [5, i + 4], completion.token_ids)) < 1e-3
        )
    assert engine.restarts == 1
    assert await engine.checksum() == checksum(new.parameters())
    await engine.close()
    with pytest.raises(EngineDeadError, match="closed"):
        await engine.generate([5], Sampling())
    assert os.listdir(tmp_path) == []  # noqa: PTH208  # a path's own would block no less


async def test_a_dead_engine_fails_its_calls_and_says_why(start: Callable[..., AnyEngine]) -> None:
    engine = start()
    calls = [
        asyncio.create_task(engine.generate([5, i + 4], Sampling(max_tokens=390))) for i in range(3)
    ]
    await until_drawn(engine, 3)
    kill(engine)
    for call in calls:
        with pytest.raises(EngineDeadError, match="start a new engine"):
            await call
    with pytest.raises(EngineDeadError, match="start a new engine"):
        await engine.generate([5], Sampling())
    with pytest.raises(EngineDeadError, match="start a new engine"):
        await engine.update_weights(tiny_model().state_dict(), 1)
    await engine.close()


async def test_closing_cancels_what_runs_and_what_waits(start: Callable[..., AnyEngine]) -> None:
    engine = start(slots=1)
    calls = [asyncio.create_task(engine.generate([5], Sampling(max_tokens=390))) for _ in range(3)]
    await until_drawn(engine, 2)
    await engine.close()
    await engine.close()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(r) for r in results] == [asyncio.CancelledError] * 3
    with pytest.raises(EngineDeadError, match="closed"):
        await engine.generate([5], Sampling())
