"""What a run hands to vLLM; a recorder stands in its place, because vLLM takes a while to start."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from webdojo.agents.engines import vllm_engine
from webdojo.training.rollouts.players import Players, WorkerSettings


class RecordedVllm:
    """Takes what vLLM would be given."""

    def __init__(self, checkpoint: str, **options: Any) -> None:
        self.options = options


@pytest.mark.parametrize(("accelerator", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_the_learners_precision_reaches_vllm(
    accelerator: bool, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_engine, "VllmEngine", RecordedVllm)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: accelerator)
    settings = WorkerSettings(checkpoint="webdojo-nano", engine="vllm", precision="bfloat16")
    engine: Any = Players(settings).engine()
    assert engine.engine.options["dtype"] == dtype


@pytest.mark.parametrize(("gpus", "share"), [(0, 0.4), (1, 0.4), (2, 0.9), (8, 0.9)])
def test_vllm_leaves_the_learner_room_on_a_gpu_that_both_are_on(
    gpus: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert vllm_engine.gpu_share() == share


@pytest.mark.parametrize(("deadline_s", "hang_s"), [(60.0, 120.0), (900.0, 600.0)])
def test_a_hang_is_noticed_before_every_episode_is_given_up(
    deadline_s: float, hang_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_engine, "VllmEngine", RecordedVllm)
    settings = WorkerSettings(checkpoint="webdojo-nano", engine="vllm", deadline_s=deadline_s)
    engine: Any = Players(settings).engine()
    assert engine.engine.options["hang_s"] == hang_s
