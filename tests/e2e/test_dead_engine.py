"""An engine that dies under running episodes: another follows, or the run is told in its words."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from small_run import COIN_TASK, random_policy

from webdojo.agents.engines import restarting
from webdojo.agents.engines.decoder import Decoder
from webdojo.agents.engines.restarting import RestartingEngine
from webdojo.agents.engines.transformers_engine import TransformersEngine
from webdojo.tasks import registry
from webdojo.tasks.files import load_tasks_file
from webdojo.tasks.splits import TRAIN_SEEDS
from webdojo.training.config import RolloutConfig
from webdojo.training.rollouts.players import WorkerSettings
from webdojo.training.rollouts.pool import EpisodesFailError, RolloutPool
from webdojo.training.rollouts.serving import _told
from webdojo.training.rollouts.worker import Worker


@contextlib.asynccontextmanager
async def rolling(
    tmp_path: Path,
) -> AsyncIterator[tuple[Worker, RolloutPool]]:
    """A worker whose pool has given a first batch."""
    file = tmp_path / "coin.py"
    file.write_text(COIN_TASK)
    ids = load_tasks_file(file)
    policy = random_policy(tmp_path / "policy")
    settings = WorkerSettings(
        task_files=(str(file),), checkpoint=str(policy), max_response_tokens=8, slots=4
    )
    weights = tmp_path / "weights.safetensors"
    save_file(load_file(policy / "model.safetensors"), weights)
    worker = Worker(settings)
    try:
        await worker.publish(weights, 0)
        await worker.start_pool(
            RolloutConfig(slots=4, group_size=4, groups_per_batch=1, deadline_s=900),
            ids, TRAIN_SEEDS, 0, tmp_path / "rollouts.jsonl",
        )  # fmt: skip
        assert await worker.next_batch(0, 900) is not None
        assert worker.pool is not None
        yield worker, worker.pool
    finally:
        await worker.close()
        registry.forget(ids)


def out_of_memory(*arguments: Any) -> None:
    raise MemoryError("no room for the cache")


async def test_a_dead_engine_is_followed_by_another_that_serves_the_newest_weights(
    tmp_path: Path,
) -> None:
    async with rolling(tmp_path) as (worker, pool):
        engine: Any = worker.players.running
        newest = await engine.checksum()
        drawn = engine.counters.drawn_tokens
        engine.engine._decoder.step = out_of_memory
        for version in (1, 2):
            pool.set_version(version)
            groups = await worker.next_batch(version, 900)
            assert groups is not None
            assert all(turn.response_ids for t in groups[0].trajectories for turn in t.turns)
        assert engine.restarts == 1
        assert await engine.checksum() == newest
        assert engine.counters.drawn_tokens > drawn
        # Calls waited for the next engine: no episode was lost.
        assert pool.status().counters.retried.total() == 0


async def test_no_deadline_runs_while_a_dead_engine_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead_s, waiting = 0.0, 0
    monotonic = time.monotonic

    def now() -> float:
        return monotonic() + ahead_s

    monkeypatch.setattr(asyncio.get_running_loop(), "time", now)
    monkeypatch.setattr(restarting, "time", SimpleNamespace(monotonic=now))
    async with rolling(tmp_path) as (worker, pool):
        engine: Any = worker.players.running
        load, revived = TransformersEngine.update_weights, RestartingEngine._revived

        async def counted(self: Any) -> None:
            nonlocal waiting
            waiting += 1
            await revived(self)

        async def slow(*arguments: Any) -> None:
            nonlocal ahead_s
            # In its own process vLLM takes its time to load; nothing else may run out of it.
            while waiting < pool.status().running:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            ahead_s = 1000
            await asyncio.sleep(0.01)
            await load(*arguments)

        monkeypatch.setattr(RestartingEngine, "_revived", counted)
        monkeypatch.setattr(TransformersEngine, "update_weights", slow)
        engine.engine._decoder.step = out_of_memory
        pool.set_version(1)
        assert await worker.next_batch(1, 9000) is not None
        assert (engine.restarts, ahead_s) == (1, 1000)
        assert pool.status().counters.retried == {}


@pytest.mark.slow
async def test_one_that_dies_again_and_again_is_told_of_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rolling(tmp_path) as (worker, pool):
        monkeypatch.setattr(Decoder, "step", out_of_memory)
        pool.set_version(1)
        with pytest.raises(EpisodesFailError) as caught:
            for version in range(1, 99):
                await worker.next_batch(version, 900)
                pool.set_version(version + 1)
        kind, sentence = _told(caught.value)
        assert kind == "user_error"
        assert "the engine died" in sentence
        assert "MemoryError: no room for the cache" in sentence
