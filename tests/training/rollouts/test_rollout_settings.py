"""What a run says of its rollouts is what its pool and its rollout process are told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from webdojo.tasks.errors import UserError
from webdojo.tasks.sampling import AdaptiveSampler
from webdojo.tasks.splits import TRAIN_SEEDS
from webdojo.training import run
from webdojo.training.config import RolloutConfig
from webdojo.training.config_files import parse_config
from webdojo.training.rollouts import pool
from webdojo.training.rollouts.players import Players, WorkerSettings
from webdojo.training.rollouts.worker import Worker

POOLS = {
    "slots": 3,
    "group_size": 5,
    "groups_per_batch": 7,
    "staleness": 4,
    "collection": "submission",
    "deadline_s": 123.0,
    "retries": 9,
    "rounds": 6,
}


async def test_every_setting_of_the_rollouts_reaches_the_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    class KeepsSettings:
        def __init__(self, run: object, sampler: object, **settings: Any) -> None:
            given.update(settings, sampler=sampler)

        def start(self) -> None:
            pass

    def agents(self: Players, player: str, temperature: float) -> Any:
        given["temperature"] = temperature
        return lambda task, seed: SimpleNamespace(modes=())

    engine = SimpleNamespace(away_s=8.0)
    monkeypatch.setattr(pool, "RolloutPool", KeepsSettings)
    monkeypatch.setattr(Players, "agents", agents)
    monkeypatch.setattr(Players, "engine", lambda self: engine)
    worker = Worker(WorkerSettings(slots=3))
    rollout = RolloutConfig.model_validate({**POOLS, "sampler": "adaptive", "temperature": 0.5})
    log = tmp_path / "rollouts.jsonl"
    await worker.start_pool(rollout, ["miniwob.click-button"], TRAIN_SEEDS, 0, log, version=2)
    assert worker.log is not None
    worker.log.close()
    assert {name: given[name] for name in POOLS} == POOLS
    assert (given["version"], given["temperature"], given["held_up_s"]()) == (2, 0.5, 8.0)
    assert isinstance(given["sampler"], AdaptiveSampler)


def test_the_rollout_process_is_told_of_policy_and_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[WorkerSettings] = []

    def keep(settings: WorkerSettings) -> None:
        told.append(settings)
        raise UserError("far enough")

    monkeypatch.setattr(run, "RolloutProcess", keep)
    limits = {"context_tokens": 900, "max_response_tokens": 30}
    own = {"slots": 3, "engine_threads": 2, "deadline_s": 77.0, "deterministic": True}
    given = {
        "name": "mine",
        "policy": limits,
        "tasks": {"reinforced": ["miniwob.click-button"]},
        "rollout": {**own, "staleness": 0, "collection": "submission"},
        "learner": {"precision": "bfloat16"},
    }
    with pytest.raises(UserError, match="far enough"):
        run.train(parse_config(given, "test"), tmp_path)
    (settings,) = told
    wanted = {**limits, **own, "precision": "bfloat16", "engine": "transformers"}
    assert {name: getattr(settings, name) for name in wanted} == wanted
    assert Path(settings.checkpoint).name == "nano"
