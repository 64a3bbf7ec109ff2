"""An engine that dies under running episodes: the run is told, with the engine's own words."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from small_run import COIN_TASK, random_policy

from webdojo.tasks import registry
from webdojo.tasks.files import load_tasks_file
from webdojo.tasks.splits import TRAIN_SEEDS
from webdojo.training.config import RolloutConfig
from webdojo.training.rollouts.pool import EpisodesFailError
from webdojo.training.rollouts.serving import _told
from webdojo.training.rollouts.worker import Worker, WorkerSettings


async def test_a_dead_engine_is_told_in_its_own_words(tmp_path: Path) -> None:
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
            RolloutConfig(slots=4, group_size=4, groups_per_batch=1), ids, TRAIN_SEEDS, 0,
            tmp_path / "rollouts.jsonl",
        )  # fmt: skip
        assert await worker.next_batch(0, 900) is not None

        def out_of_memory() -> None:
            raise MemoryError("no room for the cache")

        assert worker.engine is not None
        worker.engine._decoder.step = out_of_memory  # type: ignore[method-assign,assignment]
        pool = worker.pool
        assert pool is not None
        pool.set_version(1)
        with pytest.raises(EpisodesFailError) as caught:
            for version in range(1, 99):
                await worker.next_batch(version, 900)
                pool.set_version(version + 1)
        kind, sentence = _told(caught.value)
        assert kind == "user_error"
        assert "the engine died" in sentence
        assert "MemoryError: no room for the cache" in sentence
    finally:
        await worker.close()
        registry.forget(ids)
