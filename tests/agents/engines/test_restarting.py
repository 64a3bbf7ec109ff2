"""Engines started anew: real ones in this process, some of which are broken on purpose."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import shutil
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from webdojo.agents.engines.adapters import Adapters, write_adapters
from webdojo.agents.engines.decoder import Request
from webdojo.agents.engines.engine import Completion, EngineDeadError, Sampling
from webdojo.agents.engines.kept_weights import KeptWeights
from webdojo.agents.engines.restarting import RestartingEngine
from webdojo.agents.engines.transformers_engine import TransformersEngine
from webdojo.agents.engines.weights import checksum
from webdojo.tasks.errors import UserError

torch.set_num_threads(1)


def tiny_model(seed: int = 0) -> Qwen2ForCausalLM:
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=16,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        max_position_embeddings=64,
    )
    return Qwen2ForCausalLM(config)


class Starts:
    """Starts engines; those of the numbers in ``broken`` die while they load weights."""

    def __init__(self, *broken: int) -> None:
        self.broken = broken
        self.made: list[TransformersEngine] = []

    def __call__(self, version: int) -> TransformersEngine:
        engine = TransformersEngine(
            tiny_model(), version=version, slots=2, threads=1, eos_token_ids=()
        )
        if len(self.made) in self.broken:
            break_at(engine, "swap")
        self.made.append(engine)
        return engine

    @property
    def alive(self) -> int:
        return sum(engine._thread.is_alive() for engine in self.made)


def break_at(engine: TransformersEngine, call: str) -> None:
    def fail(*arguments: Any) -> None:
        raise RuntimeError("out of memory")

    setattr(engine._decoder, call, fail)


async def test_one_that_dies_of_its_weights_is_followed_by_another() -> None:
    start = Starts(1, 2)
    engine = RestartingEngine(start)
    new = tiny_model(seed=1)
    await engine.update_weights(new.state_dict(), 4)
    await engine.generate([5, 6], Sampling(max_tokens=7))
    break_at(engine.engine, "admit")
    drawn = await engine.generate([5, 6], Sampling(max_tokens=9))
    assert drawn.versions == (4,) * 9
    assert await engine.checksum() == checksum(new.parameters())
    assert (len(start.made), engine.restarts) == (4, 1)
    # What the dead one drew is not forgotten.
    assert engine.counters.drawn_tokens == 16
    assert engine.counters.drawn_tokens == 16
    await engine.close()
    assert start.alive == 0


@pytest.mark.parametrize("then", ["it serves", "it is closed", "all is cancelled"])
async def test_all_else_goes_on_while_another_is_started(then: str) -> None:
    starting, may_end = threading.Event(), threading.Event()
    made = Starts()

    def start(version: int) -> TransformersEngine:
        if made.made:
            starting.set()
            assert may_end.wait(30), "nothing went on"
        return made(version)

    engine = RestartingEngine(start)
    break_at(engine.engine, "admit")
    drawing = asyncio.create_task(engine.generate([5, 6], Sampling(max_tokens=7)))
    await asyncio.to_thread(starting.wait, 30)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    closing = asyncio.create_task(engine.close() if then == "it is closed" else asyncio.sleep(0))
    if then == "all is cancelled":  # as a loop that ends does
        for task in others:
            task.cancel()
    await asyncio.sleep(0.05)
    may_end.set()
    await closing
    if then == "it serves":
        assert len((await drawing).token_ids) == 7
        await engine.close()
    ended = await asyncio.gather(drawing, *others, return_exceptions=True)
    assert isinstance(ended[0], BaseException) == (then != "it serves")
    assert (len(made.made), made.alive) == (2, 0)
    await engine.close()


class LoadsLate(TransformersEngine):
    """Serves no sooner than ``loaded`` is set, as vLLM does, which loads in its own process."""

    asked: asyncio.Event
    loaded: asyncio.Event

    async def checksum(self) -> int:
        self.asked.set()
        await self.loaded.wait()
        return await super().checksum()


async def test_another_is_there_when_it_has_loaded_its_model() -> None:
    """Also where it serves what it was started with, and there is nothing to load after that."""
    LoadsLate.asked, LoadsLate.loaded = asyncio.Event(), asyncio.Event()
    engine = RestartingEngine(
        lambda version: LoadsLate(tiny_model(), slots=2, threads=1, eos_token_ids=())
    )
    break_at(engine.engine, "admit")
    drawing = asyncio.create_task(engine.generate([5, 6], Sampling(max_tokens=7)))
    asked = asyncio.create_task(LoadsLate.asked.wait())
    await asyncio.wait([asked, drawing], return_when=asyncio.FIRST_COMPLETED)
    assert not drawing.done()
    assert (engine.away_s > 0, engine.restarts) == (True, 0)
    LoadsLate.loaded.set()
    assert len((await drawing).token_ids) == 7
    back_s = engine.away_s
    assert (engine.away_s, engine.restarts) == (back_s, 1)
    await engine.close()


async def test_weights_in_memory_are_served_again_as_they_were_when_they_were_given() -> None:
    engine, learned = RestartingEngine(Starts()), tiny_model(seed=1)
    await engine.update_weights(learned.state_dict(), 4)
    with torch.no_grad():
        for weight in learned.parameters():
            weight.add_(1)
    break_at(engine.engine, "admit")
    assert (await engine.generate([5, 6], Sampling(max_tokens=2))).versions == (4, 4)
    assert await engine.checksum() == checksum(tiny_model(seed=1).parameters())
    await engine.close()


async def test_patience_ends_and_nothing_is_left_running() -> None:
    start = Starts(1, 2, 3, 4)
    engine = RestartingEngine(start, deaths=3)
    await engine.update_weights(tiny_model(seed=1).state_dict(), 4)
    break_at(engine.engine, "admit")
    calls = [engine.generate([5, i], Sampling(max_tokens=9)) for i in range(3)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in found] == [EngineDeadError] * 3
    assert len(start.made) == 4
    await engine.close()
    assert start.alive == 0


async def test_a_prompt_that_every_engine_dies_of_is_given_up_and_others_are_drawn() -> None:
    made: list[TransformersEngine] = []

    def start(version: int) -> TransformersEngine:
        engine = TransformersEngine(tiny_model(), slots=2, threads=1, eos_token_ids=())
        admit = engine._decoder.admit

        def dies_of_thirteen(requests: Sequence[Request]) -> list[Request]:
            if any(13 in request.prompt_ids for request in requests):
                raise RuntimeError("an unlucky number")
            return admit(requests)

        engine._decoder.admit = dies_of_thirteen  # type: ignore[method-assign]
        made.append(engine)
        return engine

    engine = RestartingEngine(start, deaths=3)

    async def unlucky(served: TransformersEngine) -> Completion:
        # Another response between two deaths: they are not in a row.
        await engine.generate([5], Sampling(max_tokens=1))
        return await served.generate([13], Sampling(max_tokens=1))

    with pytest.raises(EngineDeadError, match="an unlucky number"):
        await engine.drawn(unlucky)
    assert len(made) == 4
    assert len((await engine.generate([5], Sampling(max_tokens=1))).token_ids) == 1
    await engine.close()
    assert not any(each._thread.is_alive() for each in made)


async def test_weights_that_every_engine_dies_of_are_given_up_though_others_are_drawn() -> None:
    start = Starts()

    class DiesOfVersionFive(TransformersEngine):
        async def update_weights(
            self, source: Mapping[str, torch.Tensor] | Path, version: int
        ) -> None:
            if version == 5:
                assert len(start.made) < 20, "it is started for ever"
                # Another response between two deaths: they are not in a row.
                await engine.generate([5], Sampling(max_tokens=1))
                break_at(self, "swap")
            await super().update_weights(source, version)

    def dies(version: int) -> TransformersEngine:
        made = start(version)
        made.__class__ = DiesOfVersionFive
        return made

    engine = RestartingEngine(dies, deaths=3)
    new = tiny_model(seed=1)
    await engine.update_weights(new.state_dict(), 4)
    with pytest.raises(EngineDeadError, match="out of memory"):
        await engine.update_weights(tiny_model(seed=2).state_dict(), 5)
    assert len(start.made) == 4
    assert (await engine.generate([5], Sampling(max_tokens=1))).versions == (4,)
    assert await engine.checksum() == checksum(new.parameters())
    await engine.close()
    assert start.alive == 0


async def test_a_dead_one_leaves_its_memory_to_the_next() -> None:
    engine = Starts()(0)
    weights = weakref.ref(engine._decoder.model.get_input_embeddings().weight)  # type: ignore[operator]
    break_at(engine, "step")
    with pytest.raises(EngineDeadError, match="out of memory"):
        await engine.generate([5, 6], Sampling(max_tokens=7))
    gc.collect()
    assert weights() is None
    assert engine.counters.drawn_tokens == 1
    with pytest.raises(EngineDeadError, match="out of memory"):
        await engine.checksum()
    await engine.close()


async def test_one_that_cannot_be_started_is_closed_and_told_of() -> None:
    start = Starts()
    engine = RestartingEngine(start)
    await engine.update_weights(tiny_model(seed=1).state_dict(), 4)
    break_at(engine.engine, "admit")
    assert engine._newest is not None
    engine._newest = KeptWeights({"other": torch.zeros(1)}, 4)
    with pytest.raises(ValueError, match=r"unknown to the model \(other\)"):
        await engine.generate([5], Sampling(max_tokens=9))
    await engine.close()
    assert start.alive == 0


def replace_folder(folder: Path, new: Qwen2ForCausalLM) -> None:
    """As a learner does that writes a checkpoint into a folder beside."""
    new.save_pretrained(folder.with_name("next"), max_shard_size="1KB")
    shutil.rmtree(folder)
    folder.with_name("next").rename(folder)


@pytest.mark.parametrize("then", ["replaced", "gone"])
async def test_a_folder_that_was_loaded_is_served_again_whatever_becomes_of_it(
    tmp_path: Path, then: str
) -> None:
    start, folder = Starts(), tmp_path / "latest"
    engine = RestartingEngine(start)
    new = tiny_model(seed=1)
    new.save_pretrained(folder, max_shard_size="1KB")
    assert len([*folder.glob("*.safetensors")]) > 1
    await engine.update_weights(folder, 4)
    if then == "replaced":
        replace_folder(folder, tiny_model(seed=2))
    else:
        shutil.rmtree(folder)
    for _ in range(2):
        break_at(engine.engine, "admit")
        drawn = await engine.generate([5, 6], Sampling(max_tokens=9))
        assert drawn.versions == (4,) * 9
        assert await engine.checksum() == checksum(new.parameters())
    kept = engine._newest
    assert kept is not None
    assert isinstance(kept.source, Path)
    held = kept.source
    await engine.close()
    assert not held.exists()
    assert os.listdir(tmp_path) == ["latest"] * (then == "replaced")  # noqa: PTH208


async def test_what_was_overwritten_is_not_served_as_what_it_was(tmp_path: Path) -> None:
    start, folder = Starts(), tmp_path / "latest"
    engine = RestartingEngine(start)
    tiny_model(seed=1).save_pretrained(folder, max_shard_size="1KB")
    await engine.update_weights(folder, 4)
    for file in folder.glob("*.safetensors"):
        file.write_bytes(file.read_bytes()[::-1])
    break_at(engine.engine, "admit")
    with pytest.raises(UserError, match=r"the weights of version 4 .* has changed since"):
        await engine.generate([5, 6], Sampling(max_tokens=9))
    assert len(start.made) == 1
    await engine.close()


@pytest.mark.parametrize("then", ["let be", "replaced"])
async def test_where_files_cannot_be_linked_they_are_read_again_unless_they_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    def no_links(source: Path, link: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    # Another file system cannot be had without mounting one.
    monkeypatch.setattr(os, "link", no_links)
    start, folder = Starts(), tmp_path / "latest"
    engine = RestartingEngine(start)
    new = tiny_model(seed=1)
    new.save_pretrained(folder)
    await engine.update_weights(folder, 4)
    if then == "replaced":
        replace_folder(folder, tiny_model(seed=2))
    break_at(engine.engine, "admit")
    if then == "replaced":
        with pytest.raises(UserError, match=r"the weights of version 4 .* has changed since"):
            await engine.generate([5, 6], Sampling(max_tokens=9))
    else:
        assert (await engine.generate([5], Sampling(max_tokens=2))).versions == (4, 4)
        assert await engine.checksum() == checksum(new.parameters())
    await engine.close()


async def test_adapters_are_not_served_again_over_another_checkpoint(tmp_path: Path) -> None:
    start, base, file = Starts(), tmp_path / "base", tmp_path / "adapters.safetensors"
    tiny_model(seed=1).save_pretrained(base)
    write_adapters(Adapters(base, torch.float32, 1.0, {}), file)
    engine = RestartingEngine(start)
    await engine.update_weights(file, 4)
    file.unlink()
    break_at(engine.engine, "admit")
    assert (await engine.generate([5], Sampling(max_tokens=2))).versions == (4, 4)
    assert await engine.checksum() == checksum(tiny_model(seed=1).parameters())
    replace_folder(base, tiny_model(seed=2))
    break_at(engine.engine, "admit")
    with pytest.raises(UserError, match=r"the weights of version 4 .*base.* has changed since"):
        await engine.generate([5], Sampling(max_tokens=2))
    await engine.close()


class SlowToLoad:
    """Starts engines; those after the first load weights no sooner than ``load`` is set."""

    def __init__(self) -> None:
        self.load = threading.Event()
        self.loading = threading.Event()
        self.made: list[TransformersEngine] = []

    def __call__(self, version: int) -> TransformersEngine:
        engine = TransformersEngine(
            tiny_model(), version=version, slots=2, threads=1, eos_token_ids=()
        )
        swap = engine._decoder.swap

        def wait_and_swap(source: Mapping[str, torch.Tensor] | Path, version: int) -> None:
            self.loading.set()
            self.load.wait()
            swap(source, version)

        if self.made:
            engine._decoder.swap = wait_and_swap  # type: ignore[method-assign]
        self.made.append(engine)
        return engine


async def test_calls_cancelled_while_the_next_one_loads_leave_it_to_the_others() -> None:
    start = SlowToLoad()
    engine = RestartingEngine(start, deaths=1)
    new = tiny_model(seed=1)
    await engine.update_weights(new.state_dict(), 4)
    break_at(engine.engine, "admit")
    assert engine.away_s == 0
    calls = [asyncio.create_task(engine.generate([5, i], Sampling(max_tokens=9))) for i in range(4)]
    await asyncio.to_thread(start.loading.wait)
    away_s = engine.away_s
    assert away_s > 0
    for call in calls[:3]:
        call.cancel()
    await asyncio.sleep(0)
    later = asyncio.create_task(engine.generate([6], Sampling(max_tokens=9)))
    start.load.set()
    found = await asyncio.gather(*calls, later, return_exceptions=True)
    assert [type(each) for each in found[:3]] == [asyncio.CancelledError] * 3
    assert [each.versions for each in found[3:] if isinstance(each, Completion)] == [(4,) * 9] * 2
    assert (len(start.made), engine.restarts) == (2, 1)
    assert await engine.checksum() == checksum(new.parameters())
    back_s = engine.away_s
    assert back_s > away_s
    assert engine.away_s == back_s  # time goes on, and it is there
    await engine.close()


async def test_closing_while_the_next_one_loads_leaves_nothing_running() -> None:
    start = SlowToLoad()
    engine = RestartingEngine(start)
    await engine.update_weights(tiny_model(seed=1).state_dict(), 4)
    break_at(engine.engine, "admit")
    call = asyncio.create_task(engine.generate([5], Sampling(max_tokens=9)))
    await asyncio.to_thread(start.loading.wait)
    closing = asyncio.create_task(engine.close())
    await asyncio.sleep(0)
    start.load.set()
    await closing
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(start.made) == 2
    assert not any(each._thread.is_alive() for each in start.made)
    with pytest.raises(EngineDeadError):
        await engine.generate([5], Sampling(max_tokens=9))
    assert len(start.made) == 2


class AnswersLate(TransformersEngine):
    """Tells that weights are loaded no sooner than ``tell`` is set."""

    def __init__(self, version: int, tell: asyncio.Event) -> None:
        super().__init__(tiny_model(), version=version, slots=2, threads=1, eos_token_ids=())
        self.tell = tell
        self.loaded = asyncio.Event()

    async def update_weights(self, source: Mapping[str, torch.Tensor] | Path, version: int) -> None:
        await super().update_weights(source, version)
        self.loaded.set()
        await self.tell.wait()


@pytest.mark.parametrize("next_one_serves", [True, False])
async def test_weights_that_died_with_their_answer_are_served_before_they_are_announced(
    next_one_serves: bool,
) -> None:
    tell, tell_next = asyncio.Event(), asyncio.Event()
    tell.set()
    made: list[AnswersLate] = []

    def start(version: int) -> AnswersLate:
        made.append(AnswersLate(version, tell_next if made else tell))
        return made[-1]

    engine = RestartingEngine(start)
    await engine.update_weights(tiny_model(seed=1).state_dict(), 1)
    tell.clear()
    made[0].loaded.clear()
    new = tiny_model(seed=2)
    update = asyncio.create_task(engine.update_weights(new.state_dict(), 2))
    await made[0].loaded.wait()
    break_at(made[0], "admit")
    running = asyncio.create_task(engine.generate([5], Sampling(max_tokens=9)))
    while len(made) < 2:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    if next_one_serves:
        tell_next.set()
        await running
        tell.set()
    else:
        await made[1].loaded.wait()
        tell.set()
        await asyncio.sleep(0)
        tell_next.set()
    await update
    assert (engine.version, await engine.checksum()) == (2, checksum(new.parameters()))
    assert set((await running).versions) <= {1, 2}
    assert len(made) == 2
    await engine.close()
