"""An engine takes long to load its model, and whatever else the process does goes on meanwhile."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from webdojo.agents.checkpoint import Checkpoint
from webdojo.tasks.errors import UserError
from webdojo.tasks.splits import TRAIN_SEEDS
from webdojo.training.config import RolloutConfig
from webdojo.training.episodes import EpisodeId
from webdojo.training.rollouts.players import Players, WorkerSettings
from webdojo.training.rollouts.worker import Worker

TASK = "miniwob.click-button"


async def ask(worker: Worker, method: str, folder: Path) -> object:
    if method == "play":
        return [x async for x in worker.play("policy", [EpisodeId("e", TASK, 10**9)], 0.0, 0)]
    arguments: dict[str, dict[str, Any]] = {
        "load": {"weights": folder},
        "publish": {"weights": folder, "version": 0},
        "start_pool": {
            "rollout": RolloutConfig(), "task_ids": [TASK], "seeds": TRAIN_SEEDS, "seed": 0,
            "log_path": folder / "rollouts.jsonl",
        },
    }  # fmt: skip
    return await getattr(worker, method)(**arguments[method])


@pytest.mark.parametrize("method", ["play", "load", "publish", "start_pool"])
async def test_the_process_is_heard_while_its_engine_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    heard = threading.Event()

    def engine(self: Players) -> None:
        assert heard.wait(20), "nothing else went on"
        raise UserError("far enough")

    monkeypatch.setattr(Players, "engine", engine)
    worker = Worker(WorkerSettings(checkpoint="webdojo-nano", slots=1))
    asyncio.get_running_loop().call_soon(heard.set)
    try:
        with pytest.raises(UserError, match="far enough"):
            await ask(worker, method, tmp_path)
    finally:
        await worker.close()


def test_two_that_need_the_first_engine_at_once_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    players = Players(WorkerSettings(checkpoint="webdojo-nano", slots=1))
    made: list[int] = []
    other = threading.Thread(target=players.engine, daemon=True)

    def start(self: Players, checkpoint: Checkpoint, version: int) -> object:
        made.append(version)
        if len(made) == 1:
            other.start()
            other.join(0.3)  # it waits for us, or would have made one of its own by then
        return SimpleNamespace()

    monkeypatch.setattr(Players, "_transformers", start)
    engine = players.engine()
    other.join()
    assert made == [0]
    assert players.running is engine
