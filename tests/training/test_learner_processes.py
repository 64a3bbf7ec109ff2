"""Two processes that share an update compute what one would have, on what both of them have."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from webdojo.agents.tiny_vision import write_tiny_vision

SCRIPT = """
import sys

import torch

torch.set_num_threads(1)
sys.path.insert(0, {folder!r})
from test_learner import CONFIG, groups_drawn_by, tiny_model

from webdojo.training.learner import Learner
from webdojo.training.packing import Row

model = tiny_model()
groups = groups_drawn_by(model)
# The learning rate is so small that the second epoch's gradient is taken at the same place.
settings = {{"epochs": 2, "minibatches": 2, "lr": 1e-12}}
learner = Learner(model, CONFIG.model_copy(update=settings))
gradients = []


def note(optimizer, args, kwargs):
    every = [p for group in optimizer.param_groups for p in group["params"]]
    gradients.append(torch.cat([p.grad.flatten() for p in every]))


learner._stepper.optimizer.optimizer.register_step_pre_hook(note)
metrics = learner.update(groups, version=0)
# One micro-batch only: a process without work must not keep the other waiting.
learner.supervised_step([Row.of(range(10), [1, 2])])
accelerator = learner._stepper.accelerator
if accelerator.is_main_process:
    metrics["processes"] = accelerator.num_processes
    torch.save((metrics, torch.stack(gradients)), {output!r})
accelerator.end_training()
"""


@pytest.mark.slow
def test_two_processes_give_the_gradients_of_one(tmp_path):
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
    (one, gradients), (two, shared) = results
    assert (one["processes"], two["processes"]) == (1, 2)
    assert gradients.shape == shared.shape
    assert gradients.shape[0] == 5
    assert all(gradient.norm() > 1e-3 for gradient in gradients)
    torch.testing.assert_close(shared, gradients, atol=1e-6, rtol=0)
    for name in ("loss", "grad_norm", "entropy", "clip_rate", "effective_sample_size"):
        assert two[name] == pytest.approx(one[name], rel=1e-5, abs=1e-6)


OWN_IMAGES = """
import json
import os
import sys
from pathlib import Path

import torch

torch.set_num_threads(1)
sys.path.insert(0, {folder!r})
from test_vision_learner import CONFIG, prompt_with

from webdojo.agents.checkpoint import find_checkpoint
from webdojo.agents.pictures import Pictures
from webdojo.envs.screenshots import ScreenshotStore
from webdojo.training.learner import Learner
from webdojo.training.rollouts.trajectory import Group, Trajectory, Turn

rank = os.environ["RANK"]
found = find_checkpoint({checkpoint!r})
pictures = Pictures(ScreenshotStore(Path({output!r}) / rank), found.image_processor())
members = []
for member in range(4):
    prompt, images = prompt_with(pictures, [member], 0)
    turn = Turn(tuple(prompt), (7, 8), (-1.0, -1.0), (0, 0), "noop()", images=tuple(images))
    reward = float(member % 2)
    members.append(Trajectory(str(member), "t", 0, 0, member, (turn,), reward, "success"))
if rank == "1":
    (pictures.store.folder / members[2].turns[0].images[0]).unlink()
learner = Learner(found.model(), CONFIG, pictures=pictures)
metrics = learner.update([Group(0, "t", 0, tuple(members))], version=0)
Path({output!r}, rank + ".json").write_text(json.dumps(metrics))
learner._stepper.accelerator.end_training()
"""


@pytest.mark.slow
def test_an_image_that_one_process_has_lost_is_missing_in_both(tmp_path):
    write_tiny_vision(tmp_path / "policy")
    script = tmp_path / "train.py"
    script.write_text(
        OWN_IMAGES.format(
            folder=str(Path(__file__).parent),
            checkpoint=str(tmp_path / "policy"),
            output=str(tmp_path),
        )
    )
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run([sys.executable, *launch, str(script)], check=True)
    for rank in range(2):
        metrics = json.loads((tmp_path / f"{rank}.json").read_text())
        assert (metrics["images"], metrics["images_missing"]) == (4, 1)
        assert (metrics["trajectories_dropped"], metrics["tokens"]) == (1, 6)
        assert metrics["optimizer_steps"] == 1


SHORT_OF_MEMORY = """
import os
import sys

import torch

torch.set_num_threads(1)
sys.path.insert(0, {folder!r})
from test_learner import CONFIG, NoRoomAbove, groups_drawn_by, tiny_model

from webdojo.tasks.errors import UserError
from webdojo.training.learner import Learner
from webdojo.training.objectives.config import ObjectiveConfig

# Proximal and reference passes run out too.
settings = {{"epochs": 2, "minibatches": 2}}
model, reference = tiny_model(), tiny_model(seed=5)
groups = groups_drawn_by(model)
objective = ObjectiveConfig(kl={{"coefficient": 0.1}})
learner = Learner(model, CONFIG.model_copy(update=settings), objective, reference=reference)
short = os.environ["RANK"] == {short!r}
if short:
    NoRoomAbove(model, 60)
    NoRoomAbove(reference, 50)
found = [learner.update(groups, version=version) for version in range(2)]
kept, weights, halved = None, learner.weights(), learner.state_dict()["halved_to"]
if short:
    NoRoomAbove(model, 5)
try:
    # A row that fits nowhere is an error in both.
    _ = {short!r} == "nobody" or learner.update(groups, version=2)
except UserError as error:
    kept = str(error)
assert all(torch.equal(value, weights[name]) for name, value in learner.weights().items())
torch.save((found, halved, kept, weights), {output!r} + os.environ["RANK"])
learner._stepper.accelerator.end_training()
"""


@pytest.mark.slow
def test_where_one_process_runs_out_of_memory_both_halve_with_the_same_result(tmp_path):
    import torch

    results = []
    for short in ("nobody", "0", "1"):
        output = str(tmp_path / f"{short}.")
        script = tmp_path / f"short{short}.py"
        folder = str(Path(__file__).parent)
        script.write_text(SHORT_OF_MEMORY.format(folder=folder, output=output, short=short))
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        subprocess.run([sys.executable, *launch, str(script)], check=True, timeout=300)
        results.append([torch.load(output + rank) for rank in "01"])
    (expected, _), *others = results
    assert expected[1:3] == (None, None)
    for pair in others:
        for found, halved, told, weights in pair:
            assert found[0]["out_of_memory"] == 2
            assert found[1]["out_of_memory"] == 0
            assert halved == 50
            assert "memory ran out on a single row" in told
            for name, value in weights.items():
                torch.testing.assert_close(value, expected[3][name], atol=1e-5, rtol=0)
            for name in ("loss", "grad_norm", "entropy", "kl_reference"):
                assert found[0][name] == pytest.approx(expected[0][0][name], rel=1e-3, abs=1e-6)


CUT_AND_SHORT = """
import os
import sys

import torch

torch.set_num_threads(1)
sys.path.insert(0, {folder!r})
from test_learner import CONFIG, NoRoomAbove, groups_drawn_by, tiny_model

from webdojo.training.learner import Learner

model = tiny_model()
groups = groups_drawn_by(model)
learner = Learner(model, CONFIG.model_copy(update={{"sharded": True}}))
if os.environ["RANK"] == "1":
    NoRoomAbove(model, 60)
learner.update(groups, version=0)
"""


@pytest.mark.slow
def test_where_weights_are_cut_memory_that_runs_out_in_one_process_ends_both(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(CUT_AND_SHORT.format(folder=str(Path(__file__).parent)))
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [sys.executable, *launch, str(script)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode != 0
    assert "set learner.micro_batch_tokens = 100" in done.stderr
