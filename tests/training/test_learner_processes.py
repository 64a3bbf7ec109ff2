"""Two processes that share an update end with the weights that one would have."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys

import torch

sys.path.insert(0, {folder!r})
from test_learner import CONFIG, groups_drawn_by, tiny_model

from webdojo.training.learner import Learner
from webdojo.training.packing import Row

model = tiny_model()
groups = groups_drawn_by(model)
learner = Learner(model, CONFIG.model_copy(update={{"epochs": 2, "minibatches": 2}}))
metrics = learner.update(groups, version=0)
# One micro-batch only: a process without work must not keep the other waiting.
learner.supervised_step([Row.of(range(10), [1, 2])])
accelerator = learner._stepper.accelerator
if accelerator.is_main_process:
    metrics["processes"] = accelerator.num_processes
    torch.save((metrics, learner.weights()), {output!r})
"""


@pytest.mark.slow
def test_two_processes_give_the_update_of_one(tmp_path):
    import torch

    folder = str(Path(__file__).parent)
    results = []
    for processes in (1, 2):
        output = str(tmp_path / f"{processes}.pt")
        script = tmp_path / f"train{processes}.py"
        script.write_text(SCRIPT.format(folder=folder, output=output))
        launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        subprocess.run([sys.executable, *launch, str(script)], check=True)
        results.append(torch.load(output))
    (one, one_weights), (two, two_weights) = results
    assert (one["processes"], two["processes"]) == (1, 2)
    for name in ("loss", "grad_norm", "entropy", "clip_rate", "effective_sample_size"):
        assert two[name] == pytest.approx(one[name], rel=1e-3, abs=1e-6)
    for name, weight in one_weights.items():
        torch.testing.assert_close(two_weights[name], weight, atol=1e-4, rtol=0)
