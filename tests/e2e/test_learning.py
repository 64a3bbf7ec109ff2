"""Learning is real: reward alone, from real pages, makes the shipped policy better."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_run import POLICY

from webdojo.training.config_files import parse_config
from webdojo.training.run import train

# Synchronous and in the order of submission, so that the course hardly depends on the machine.
LEARN = {
    "name": "learn",
    "policy": {"checkpoint": POLICY},
    "tasks": {"reinforced": ["miniwob.click-dialog-2"]},
    "rollout": {
        "slots": 16,
        "group_size": 8,
        "groups_per_batch": 3,
        "staleness": 0,
        "collection": "submission",
    },
    "learner": {"lr": 1e-3, "betas": [0.9, 0.95]},
    "reinforce": {"updates": 10, "max_minutes": 4, "checkpoint_every": 100},
    "evaluation": {"episodes_per_task": 32},
}


@pytest.mark.slow
def test_a_few_updates_lift_success_above_where_it_began(tmp_path: Path) -> None:
    run = train(parse_config(LEARN, "test"), tmp_path)
    split = json.loads((run / "summary.json").read_text())["splits"]["undemonstrated"]
    before, after = split["before"]["sampled"], split["after"]["sampled"]
    assert before["episodes"] == after["episodes"] == 32
    assert after["success"] > before["high"]
