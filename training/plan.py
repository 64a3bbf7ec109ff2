"""The plan of a run before it begins: what ``webdojo train --dry-run`` shows. No torch here."""

from __future__ import annotations

from collections.abc import Iterator

from webdojo.agents.checkpoint import find_checkpoint
from webdojo.agents.engines.memory import OWN_GPU, SHARED_GPU
from webdojo.agents.layouts.tokenizer_files import problem_with_files
from webdojo.tasks import registry
from webdojo.tasks.errors import UserError
from webdojo.tasks.splits import few_instances, trained_among
from webdojo.training.config import TrainConfig
from webdojo.training.disk_estimate import estimate_disk
from webdojo.training.evaluation import MODES, count_episodes, splits_of
from webdojo.training.machine import Machine, look
from webdojo.training.memory_estimate import (
    PAGE,
    Processes,
    estimate_memory,
    estimate_processes,
    image_tokens,
    size,
)
from webdojo.training.model_shape import ModelShape, find_folder, find_shape
from webdojo.training.named_tasks import check_roles
from webdojo.training.plan_notes import notes
from webdojo.training.run_folder import LEAST_FREE_BYTES
from webdojo.training.trained_on import NAMED


def plan(config: TrainConfig, machine: Machine | None = None) -> list[str]:
    """Lines for people: batch arithmetic, splits, memory, disk, what is downloaded, and notes.

    Notes are of what ``machine``, by default this one, lacks for the run, and of values that do
    not fit the policy. ``config`` has its suites spelled out and its task files loaded. Raises
    UserError for tasks and policies that there cannot be.
    """
    policy = config.policy
    checkpoint = find_checkpoint(policy.checkpoint, policy.layout, policy.vision, policy.history)
    shape, download = find_shape(policy.checkpoint)
    check_roles(config)
    _check_context(config, shape)
    _check_layout(policy.checkpoint, checkpoint.layout.name)
    return [
        *_batches(config),
        *_splits(config),
        *_screenshots(config, shape),
        *_memory(config, shape),
        _disk(config, shape),
        _download(policy.checkpoint, shape, download),
        *(f"note: {n}" for n in notes(config, checkpoint, shape, machine or look())),
    ]


def _check_context(config: TrainConfig, shape: ModelShape | None) -> None:
    asked, most = config.policy.context_tokens, shape.positions if shape is not None else None
    if most is not None and asked > most:
        raise UserError(
            f"policy.context_tokens is {asked}, but {config.policy.checkpoint} was made for"
            f" {most}; set it to {most} at most"
        )


def _check_layout(policy: str, layout: str) -> None:
    folder = find_folder(policy)
    if folder is not None and (problem := problem_with_files(folder, layout)):
        raise UserError(f"the tokenizer of {policy} {problem}")


def _batches(config: TrainConfig) -> Iterator[str]:
    rollout, learner, policy = config.rollout, config.learner, config.policy
    episodes = rollout.groups_per_batch * rollout.group_size
    shown = len(config.tasks.demonstrated) * config.warm_start.episodes_per_task
    horizons = [registry.get(task_id).horizon for task_id in config.tasks.reinforced]
    rows = episodes * max(horizons, default=0)
    minibatches = min(learner.minibatches, episodes)
    yield (
        f"warm start: {_count(shown, 'demonstration')} of"
        f" {_count(len(config.tasks.demonstrated), 'task')},"
        f" {_count(config.warm_start.epochs, 'epoch')} of"
        f" {config.warm_start.batch_tokens}-token batches"
        if shown
        else "warm start: none"
    )
    yield (
        f"an update: {_count(rollout.groups_per_batch, 'group')} × {rollout.group_size} ="
        f" {_count(episodes, 'episode')} whose rewards differ within their group,"
        f" {_count(learner.epochs, 'epoch')} × {_count(minibatches, 'mini-batch', 'es')} ="
        f" {_count(learner.epochs * minibatches, 'optimiser step')}"
    )
    yield (
        f"  at most {_count(rows, 'turn')}, {rows * policy.max_response_tokens:,} trained tokens"
        f" and {rows * policy.context_tokens:,} tokens read, in micro-batches of"
        f" {learner.micro_batch_tokens:,}"
    )
    updates = config.reinforce.updates
    yield (
        f"reinforcement: {_count(updates, 'update')} = {_count(updates * episodes, 'episode')}"
        f" trained on, within {config.reinforce.max_minutes:,g} min;"
        f" {_count(rollout.slots, 'episode')} at once, tokens at most"
        f" {_count(rollout.staleness, 'version')} old"
    )


def _splits(config: TrainConfig) -> Iterator[str]:
    per_task = config.evaluation.episodes_per_task
    first, end = config.tasks.seeds
    tasks = _count(len(config.tasks.reinforced), "task")
    yield f"trained on: {tasks}, seeds {first:,} … {end - 1:,}"
    splits = splits_of(config)
    for name, split in splits.items():
        yield (
            f"evaluated: {name}, {_count(len(split.task_ids), 'task')} ×"
            f" {_count(per_task, 'held-out seed')} from"
            f" {split.seeds.start + config.evaluation.seed_offset:,}"
        )
        if name == "unseen_seeds":  # those undemonstrated are among them
            few = few_instances(split.task_ids, range(*config.tasks.seeds))
            for task_id, count in list(few.items())[:NAMED]:
                yield (
                    f"  {name} of {task_id}: {_count(count, 'instance')} in all, every one may be"
                    " trained on"
                )
            if len(few) > NAMED:
                yield f"  and so for {len(few) - NAMED:,} more of its tasks"
    trained = (*config.tasks.demonstrated, *config.tasks.reinforced)
    _, kin = trained_among(trained, config.tasks.unseen)
    if kin:
        yield f"  unseen tasks of a similarity group that is trained on: {', '.join(kin)}"
    each = count_episodes(splits.values(), per_task)
    yield (
        f"  {_count(each, 'episode')}, {' and '.join(MODES)}, before and after: {4 * each:,} in all"
    )


def _screenshots(config: TrainConfig, shape: ModelShape | None) -> Iterator[str]:
    shown = config.policy.screenshots
    if shown is None:
        return
    if shape is None:
        yield f"screenshots: up to {shown.images} a prompt"
        return
    if shape.vision is None:
        raise UserError(
            f"{config.policy.checkpoint} takes text only: take policy.screenshots out, or choose a"
            " policy that sees, such as Qwen/Qwen3-VL-2B-Instruct"
        )
    tokens = sorted(image_tokens(config, shape.vision))
    each = f"{tokens[0]:,}" if tokens[0] == tokens[-1] else f"{tokens[0]:,} to {tokens[-1]:,}"
    marks = "with marks" if shown.marks else "without marks"
    text = "beside the page's text" if shown.text else "in place of the page's text"
    yield f"screenshots: up to {shown.images} a prompt, {each} tokens each, {marks}, {text}"


def _memory(config: TrainConfig, shape: ModelShape | None) -> Iterator[str]:
    name = config.policy.checkpoint
    if shape is None:
        yield f"memory: the shape of {name} is not known until it is downloaded"
        return
    memory = estimate_memory(config, shape)
    yield f"memory, by formula, for {shape.parameters / 1e6:,.1f} M parameters of {name}:"
    images = f" + images {size(memory.images)}" if memory.images else ""
    looks = f" + images {size(memory.engine_images)}" if memory.engine_images else ""
    reference = f" + reference {size(memory.reference)}" if memory.reference else ""
    yield (
        f"  learner {size(memory.learner)} = weights {size(memory.weights)} + gradients"
        f" {size(memory.gradients)} + optimiser {size(memory.optimiser)} + activations"
        f" {size(memory.activations)}{images}{reference}"
    )
    if config.learner.sharded:
        cut = size(memory.cut)
        yield f"  of it {cut} are cut among the learner's processes, where there are several"
    vllm = config.policy.engine == "vllm"
    yield (
        f"  engine{' at least' if vllm else ''} {size(memory.engine)} = weights"
        f" {size(memory.engine_weights)} + KV cache {size(memory.kv_cache)}{looks}"
    )
    if vllm:
        yield (
            f"  vLLM takes {SHARED_GPU:.0%} of a GPU that the learner is on too, {OWN_GPU:.0%} of"
            " one of its own, and fills what is left of that with its KV cache; sequences beyond"
            " it wait"
        )
    yield _processes(estimate_processes(config, memory))


def _processes(each: Processes) -> str:
    engine = f", vLLM {size(each.vllm)}" if each.vllm else " with the engine"
    passing = f", weights on their way {size(each.passing)}" if each.passing else ""
    return (
        f"  by process: learner {size(each.learner)}, rollouts{'' if each.vllm else engine}"
        f" {size(each.rollouts)}{engine if each.vllm else ''}, browser {size(each.browser)}"
        f" ({_count(each.pages, 'page')} of {size(PAGE)} at most){passing}:"
        f" {size(each.together)} together; on a GPU learner and engine are in its memory"
    )


def _disk(config: TrainConfig, shape: ModelShape | None) -> str:
    disk = estimate_disk(config, shape)
    if disk.checkpoints is None or disk.policies is None:
        models = "checkpoints of unknown size"
    else:
        models = f"checkpoints {size(disk.checkpoints)} + policies {size(disk.policies)}"
    shots = ", screenshots besides" if config.policy.screenshots is not None else ""
    return (
        f"disk, by formula: trajectories {size(disk.trajectories)} at most + {models}{shots};"
        f" {size(LEAST_FREE_BYTES)} must be free to begin"
    )


def _download(name: str, shape: ModelShape | None, count: int) -> str:
    if shape is None:
        return f"to be downloaded: {name}, of unknown size"
    return (
        f"to be downloaded: {name}, about {size(count)}" if count else "to be downloaded: nothing"
    )


def _count(n: int, noun: str, plural: str = "s") -> str:
    return f"{n:,} {noun}{plural * (n != 1)}"
