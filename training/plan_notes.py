"""What somebody should know before a run begins: what the machine lacks, what does not fit.

No torch here.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from webdojo.agents.checkpoint import SHIPPED, Checkpoint
from webdojo.agents.engines.memory import OWN_GPU, SHARED_GPU
from webdojo.agents.engines.vllm_python import find_python
from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.extras import install_command
from webdojo.training.config import TrainConfig
from webdojo.training.disk_estimate import estimate_disk
from webdojo.training.machine import Machine
from webdojo.training.memory_estimate import Memory, estimate_memory, estimate_processes, size
from webdojo.training.metrics import check_loggers
from webdojo.training.model_shape import ModelShape

PACKAGES = ("torch", "transformers", "accelerate", "peft", "safetensors", "tensorboard")
"""What a run cannot do without, beside the core."""
LARGE = 100_000_000
"""Parameters from which on a policy wants other values than the small one that is shipped."""
FOR_A_GPU = 1_000_000_000
"""Parameters from which on a processor is too slow to train them."""
MOST_LR, MOST_LR_OF_ADAPTERS = 2e-5, 2e-4
"""Learning rates above which a large policy forgets what it knew."""
LEAST = {
    "policy.context_tokens": 2048,
    "policy.max_response_tokens": 128,
    "rollout.deadline_s": 120,
    "reinforce.max_minutes": 30,
}
"""Values below which a large policy comes to nothing: its prompts list every action beside the
page, it writes before it acts, and each response takes seconds."""
MORE_MEMORY = (
    "learner.gradient_checkpointing = true, adapters (learner.lora), a lower"
    " learner.micro_batch_tokens or policy.context_tokens, or fewer rollout.slots take less"
)


def notes(
    config: TrainConfig, checkpoint: Checkpoint, shape: ModelShape | None, machine: Machine
) -> Iterator[str]:
    """A sentence each, with the way out; ``shape`` is that of the policy's model, if known."""
    yield from _tasks(config)
    yield from _packages(config)
    yield from _places(config, shape)
    yield from _gpus(config, shape, machine)
    if shape is not None:
        yield from _memory(config, shape, machine)
    yield from _disk(config, shape, machine)
    yield from _values(config, checkpoint, shape, machine)


def _tasks(config: TrainConfig) -> Iterator[str]:
    """What the tasks need and is not there, once for all that lack the same."""
    tasks = config.tasks
    lacking: dict[str, list[str]] = {}
    for task_id in dict.fromkeys((*tasks.demonstrated, *tasks.reinforced, *tasks.unseen)):
        try:
            registry.entry(task_id).task.ready()
        except UserError as error:
            lacking.setdefault(str(error), []).append(task_id)
    for reason, ids in lacking.items():
        more = f" and {len(ids) - 1} more" if ids[1:] else ""
        yield f"{ids[0]}{more}: {reason}"


def _packages(config: TrainConfig) -> Iterator[str]:
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        yield f"{', '.join(missing)} not installed here: `{install_command('train')}`"
    if config.policy.engine == "vllm":
        try:
            find_python()
        except UserError as error:
            yield str(error)
    if config.policy.weight_transfer == "nccl" and find_spec("vllm") is None:
        yield (
            'policy.weight_transfer = "nccl" needs vLLM in this Python:'
            f' `{install_command("vllm")}`, or set it to "file"'
        )
    for logger in config.loggers:
        try:
            check_loggers([logger])
        except UserError as error:
            yield f"{error}, or take it out of loggers"


def _places(config: TrainConfig, shape: ModelShape | None) -> Iterator[str]:
    """A name that may be meant for a folder."""
    name = config.policy.checkpoint
    folder = Path(name)
    if shape is None and not folder.is_dir() and folder.parent.is_dir():
        yield (
            f"there is no folder {name!r} in {folder.parent.resolve()}: it is taken for a name on"
            " the model hub; give the folder of a checkpoint if you mean one of yours"
        )


def _gpus(config: TrainConfig, shape: ModelShape | None, machine: Machine) -> Iterator[str]:
    found = len(machine.gpus)
    half = config.learner.precision == "bfloat16"
    if not found and shape is not None and shape.parameters >= FOR_A_GPU:
        yield (
            f"no NVIDIA GPU is seen here, and {_millions(shape)} parameters take days without: run"
            " it where there is one, or take the preset cpu-text"
        )
    elif not found and half:
        yield (
            'no NVIDIA GPU is seen here, and learner.precision = "bfloat16" is slow on most'
            ' processors: set it to "float32"'
        )
    if config.policy.weight_transfer == "nccl" and found < 2:
        yield (
            'policy.weight_transfer = "nccl" broadcasts from one GPU to another, and'
            f' {found or "none"} is seen here: set it to "file", which goes through shared memory'
        )
    if found > 2 and "WORLD_SIZE" not in os.environ:
        yield (
            f"of {found} GPUs one learner process uses the first alone: begin the run with"
            f" `accelerate launch --num_processes {found - 1} -m webdojo train …`"
            " (docs/several-gpus.md)"
        )


def _memory(config: TrainConfig, shape: ModelShape, machine: Machine) -> Iterator[str]:
    memory = estimate_memory(config, shape)
    if machine.gpus:
        for what, needed, room in _on_gpus(config, memory, machine):
            if needed > room:
                yield (
                    f"by formula the {what} takes {size(needed)} of a GPU's memory, where"
                    f" {size(room)} is: {MORE_MEMORY}; or more GPUs (docs/several-gpus.md)"
                )
    elif (needed := estimate_processes(config, memory).together) > machine.memory:
        yield (
            f"by formula the run takes {size(needed)} of memory, and this machine has"
            f" {size(machine.memory)}: {MORE_MEMORY}"
        )


def _disk(config: TrainConfig, shape: ModelShape | None, machine: Machine) -> Iterator[str]:
    needed = estimate_disk(config, shape).together
    if machine.disk is not None and needed > machine.disk:
        yield (
            f"by formula the run writes up to {size(needed)}, and the disk has"
            f" {size(machine.disk)} free: free some, or run elsewhere; a lower"
            " reinforce.keep_last or adapters (learner.lora) make smaller checkpoints"
        )


def _on_gpus(
    config: TrainConfig, memory: Memory, machine: Machine
) -> Iterator[tuple[str, float, float]]:
    """What lies on one GPU, the bytes that it takes, and those that it may."""
    room = min(machine.gpus)
    vllm = config.policy.engine == "vllm"
    if len(machine.gpus) == 1 and not vllm:
        yield "run", memory.learner + memory.engine, room
        return
    share = SHARED_GPU if len(machine.gpus) == 1 else OWN_GPU if vllm else 1.0
    learner = memory.learner
    if config.learner.sharded:
        learner -= memory.cut - memory.cut // max(1, len(machine.gpus) - 1)
    yield "learner", learner, room * (1 - share) if len(machine.gpus) == 1 else room
    yield "engine", memory.engine, room * share


def _values(
    config: TrainConfig, checkpoint: Checkpoint, shape: ModelShape | None, machine: Machine
) -> Iterator[str]:
    """Values for the small policy, with one that is not."""
    name = config.policy.checkpoint
    if name in SHIPPED or (shape is not None and shape.parameters < LARGE):
        return
    adapters = config.learner.lora is not None
    most = MOST_LR_OF_ADAPTERS if adapters else MOST_LR
    unfit = []
    if config.learner.lr > most:
        unfit.append(f"learner.lr = {config.learner.lr:g} ({most:g} at most)")
    shown = config.tasks.demonstrated and config.warm_start.episodes_per_task
    if shown and config.warm_start.lr > most:
        unfit.append(f"warm_start.lr = {config.warm_start.lr:g} ({most:g} at most)")
    for key, least in LEAST.items():
        section, field = key.split(".")
        value = getattr(getattr(config, section), field)
        if value < least and (section != "policy" or checkpoint.layout.name != "outline"):
            unfit.append(f"{key} = {value:g} ({least} at least)")
    if unfit:
        preset = "qwen3-vl-2b-1gpu" if machine.gpus else "cpu-text"
        which = name if shape is None else f"{name} with its {_millions(shape)} parameters"
        yield (
            f"values for small policies, not for {which}: {', '.join(unfit)}; begin with a preset"
            f" for models of this kind: webdojo train {preset} --set"
            f" policy.checkpoint={shlex.quote(name)}"
        )


def _millions(shape: ModelShape) -> str:
    return f"{shape.parameters / 1e6:,.0f} M"
