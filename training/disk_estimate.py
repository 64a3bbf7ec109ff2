"""What a run writes, by formula. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from webdojo.tasks import registry
from webdojo.training.config import TrainConfig
from webdojo.training.model_shape import ModelShape

DRAWN = 28
"""Bytes that a response's token takes in a log of episodes: its id, its version, and a
log-probability of 20 digits."""
DIGITS = 6
"""Of a token's id where the vocabulary is not known."""


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes that a run writes, by what they hold."""

    trajectories: int
    """Of the episodes that are shown and trained on, as long as they may be."""
    checkpoints: int | None
    """Of those kept to go on from, and one being written; None if the model's size is not known."""
    policies: int | None
    """Of ``warm-start``, ``final`` and ``best``."""

    @property
    def together(self) -> int:
        """Bytes of what is known."""
        return self.trajectories + (self.checkpoints or 0) + (self.policies or 0)


def estimate_disk(config: TrainConfig, shape: ModelShape | None) -> Disk:
    """What a run writes at most, but for groups that are not trained on and screenshots.

    With P parameters, T of them trained, N checkpoints kept, and d digits of a token's id:

        trajectories  turns · ((context − response)·(d + 1) + response·(d + 1 + DRAWN))
                      turns: demonstrations, and updates · groups · members, each of its horizon
        checkpoints   (N + 1) · 12·T (the weights and AdamW's two means, in float32)
        policies      4·P each
    """
    policy, tasks, rollout = config.policy, config.tasks, config.rollout
    horizons = [registry.get(task_id).horizon for task_id in tasks.reinforced]
    episodes = config.reinforce.updates * rollout.groups_per_batch * rollout.group_size
    shown = sum(registry.get(task_id).horizon for task_id in tasks.demonstrated)
    turns = shown * config.warm_start.episodes_per_task + episodes * max(horizons, default=0)
    each = 1 + (len(str(shape.vocabulary)) if shape is not None else DIGITS)
    turn = policy.context_tokens * each + policy.max_response_tokens * DRAWN
    checkpoints = policies = None
    if shape is not None:
        total = shape.parameters
        lora = config.learner.lora
        trained = total if lora is None else lora.rank * shape.adapter_width
        checkpoints = (config.reinforce.keep_last + 1) * 12 * trained if episodes else 0
        policies = 4 * total * (3 if episodes and config.reinforce.keep_best else 2)
    return Disk(turns * turn, checkpoints, policies)
