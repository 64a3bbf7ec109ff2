"""What a plan notes: each lack and each misfit in a sentence, and nothing where all is well."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from webdojo.agents.checkpoint import SHIPPED
from webdojo.tasks.extras import install_command
from webdojo.tasks.files import load_tasks_file
from webdojo.training import plan_notes
from webdojo.training.config_files import load_config
from webdojo.training.machine import Machine
from webdojo.training.named_tasks import with_whole_suites
from webdojo.training.plan import plan

GIB = 2**30
PLAIN = Machine(64 * GIB)
OURS = "policy.engine=transformers"
ONE_GPU = Machine(256 * GIB, (80 * GIB,))
EIGHT_GPUS = Machine(2000 * GIB, (80 * GIB,) * 8)
LARGE = "policy.checkpoint=Qwen/Qwen2.5-0.5B-Instruct"


@pytest.fixture(autouse=True)
def everything_is_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WEBDOJO_VLLM_PYTHON", "python3")
    monkeypatch.setenv("WORLD_SIZE", "7")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "no-cache"))


def noted(source: str, *settings: str, machine: Machine = PLAIN) -> list[str]:
    lines = plan(with_whole_suites(load_config(source, settings)), machine)
    found = [line.removeprefix("note: ") for line in lines if line.startswith("note: ")]
    assert lines[-len(found) :] == [f"note: {note}" for note in found] or not found
    return found


@pytest.mark.parametrize(
    ("preset", "machine"),
    [
        ("quickstart", Machine(4 * GIB)),
        ("cpu-text", PLAIN),
        ("qwen3-vl-2b-1gpu", ONE_GPU),
        ("qwen3-vl-8b-8gpu", EIGHT_GPUS),
        ("asyncwebrl", EIGHT_GPUS),
    ],
)
def test_a_preset_on_its_machine_has_no_notes(preset: str, machine: Machine) -> None:
    assert noted(preset, machine=machine) == []


def test_what_tasks_need_and_is_not_there_is_noted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WEBDOJO_NETWORK", raising=False)
    task = """[[tasks]]
id = "plan-far.NAME"
url = "https://mugs.test/"
goal = "Say 42."
evaluators = [{ type = "exact", value = "42" }]
"""
    file = tmp_path / "plan-far.toml"
    file.write_text(task.replace("NAME", "one") + task.replace("NAME", "two"))
    load_tasks_file(file)
    (note,) = noted("quickstart", 'tasks.unseen=["plan-far"]')
    assert note.startswith("plan-far.one and 1 more: https://mugs.test/ lies outside this machine")
    monkeypatch.setenv("WEBDOJO_NETWORK", "open")
    assert noted("quickstart", 'tasks.unseen=["plan-far"]') == []


def test_packages_that_are_missing_come_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = {"torch", "peft", "vllm", "wandb"}
    monkeypatch.delenv("WEBDOJO_VLLM_PYTHON")
    for module in ("training.plan_notes", "training.metrics", "agents.engines.vllm_python"):
        monkeypatch.setattr(
            f"webdojo.{module}.find_spec", lambda name: None if name in missing else object()
        )
    # Where no environment of vLLM's own lies beside the sources.
    monkeypatch.setattr("webdojo.agents.engines.vllm_python.__file__", "/a/b/c/d.py")
    found = noted(
        "quickstart", "policy.engine=vllm", "policy.weight_transfer=nccl", 'loggers=["wandb"]',
        machine=EIGHT_GPUS,
    )  # fmt: skip
    packages, engine, transfer, logger = found
    assert packages == f"torch, peft not installed here: `{install_command('train')}`"
    assert engine.startswith(f"there is no vLLM: `{install_command('vllm')}` on a machine with")
    assert transfer.endswith(f'in this Python: `{install_command("vllm")}`, or set it to "file"')
    assert logger.endswith(f"wandb: `{install_command('wandb')}`, or take it out of loggers")


def test_gpus_that_are_missing_are_noted() -> None:
    (large, memory) = noted("qwen3-vl-8b-8gpu", OURS)
    assert large.startswith("no NVIDIA GPU is seen here, and 8,767 M parameters take days without")
    assert memory.startswith("by formula the run takes 108 GiB of memory, and this machine has 64")
    (half,) = noted("quickstart", "learner.precision=bfloat16")
    assert 'slow on most processors: set it to "float32"' in half
    nccl = ("quickstart", "policy.engine=vllm", "policy.weight_transfer=nccl")
    assert any("and none is seen here" in note for note in noted(*nccl))
    assert any("and 1 is seen here" in note for note in noted(*nccl, machine=ONE_GPU))
    assert not any("is seen here" in note for note in noted(*nccl, machine=EIGHT_GPUS))


def test_gpus_that_would_stand_idle_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE")
    (note,) = noted("qwen3-vl-8b-8gpu", machine=EIGHT_GPUS)
    assert "`accelerate launch --num_processes 7 -m webdojo train …`" in note


def test_memory_that_is_missing_is_noted() -> None:
    (note,) = noted("quickstart", machine=Machine(2 * GIB))
    assert note.startswith("by formula the run takes 2.9 GiB of memory, and this machine has 2.0")
    assert "fewer rollout.slots take less" in note
    small = Machine(64 * GIB, (16 * GIB,))
    (note,) = noted("qwen3-vl-2b-1gpu", OURS, machine=small)
    assert note.startswith("by formula the run takes ")
    assert "of a GPU's memory, where 16 GiB is" in note
    # With vLLM beside it the learner has 60 % of a GPU, and vLLM the rest.
    learner, engine = noted("qwen3-vl-2b-1gpu", machine=Machine(64 * GIB, (8 * GIB,)))
    assert "the learner takes" in learner
    assert "where 4.8 GiB is" in learner
    assert "the engine takes" in engine
    assert "where 3.2 GiB is" in engine
    (whole,) = noted("asyncwebrl", "learner.sharded=false", machine=EIGHT_GPUS)
    assert "by formula the learner takes 173 GiB of a GPU's memory, where 80 GiB is" in whole


def test_values_for_the_small_policy_are_noted_with_a_large_one() -> None:
    memory, values = noted("quickstart", LARGE, machine=Machine(16 * GIB))
    assert memory.startswith("by formula the run takes 28 GiB")
    assert "for Qwen/Qwen2.5-0.5B-Instruct with its 494 M parameters: " in values
    for part in (
        "learner.lr = 0.0008 (2e-05 at most)",
        "warm_start.lr = 0.0005 (2e-05 at most)",
        "policy.context_tokens = 1024 (2048 at least)",
        "policy.max_response_tokens = 48 (128 at least)",
        "rollout.deadline_s = 60 (120 at least)",
        "reinforce.max_minutes = 5 (30 at least)",
        "webdojo train cpu-text --set policy.checkpoint=Qwen/Qwen2.5-0.5B-Instruct",
    ):
        assert part in values
    (adapters,) = noted("cpu-text", "learner.lr=3e-4")
    assert "learner.lr = 0.0003 (0.0002 at most);" in adapters
    assert "webdojo train qwen3-vl-2b-1gpu" in noted("quickstart", LARGE, machine=ONE_GPU)[-1]
    (unknown,) = noted("quickstart", "policy.checkpoint=nobody/nothing")
    assert "for nobody/nothing: learner.lr" in unknown


def test_a_small_policy_in_a_folder_is_left_in_peace(tmp_path: Path) -> None:
    copy = shutil.copytree(SHIPPED["webdojo-nano"], tmp_path / "mine")
    assert noted("quickstart", f"policy.checkpoint={copy}") == []


def test_a_folder_that_is_not_there_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (note,) = noted("cpu-text", "policy.checkpoint=models/mine")
    assert note.startswith(
        f"there is no folder 'models/mine' in {tmp_path / 'models'}: it is taken"
    )


def test_every_value_that_is_compared_is_one() -> None:
    config = load_config("quickstart")
    for key in plan_notes.LEAST:
        section, field = key.split(".")
        assert isinstance(getattr(getattr(config, section), field), int | float)
