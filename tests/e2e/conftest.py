"""One whole run for all tests of this folder that look at a finished one."""

from __future__ import annotations

import pytest
from small_run import POLICY, Finished, webdojo

REAL_RUN = f"""
name = "small"
seed = 3

[policy]
checkpoint = "{POLICY}"

[tasks]
demonstrated = ["miniwob.click-button"]
reinforced = ["miniwob.click-button", "miniwob.click-dialog-2"]
unseen = ["miniwob.click-test-2"]

[warm_start]
episodes_per_task = 4
lr = 1e-5

[rollout]
slots = 4
group_size = 4
groups_per_batch = 1
temperature = 1.3

[reinforce]
updates = 2
checkpoint_every = 1

[evaluation]
episodes_per_task = 2
"""


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("whole-run")
    (folder / "small.toml").write_text(REAL_RUN)
    status, output, errors = webdojo(
        folder, "train", "small.toml", "--set", "reinforce.max_minutes=60"
    )
    assert status == 0, output + errors
    return Finished(folder / "runs" / "small", output, errors)
