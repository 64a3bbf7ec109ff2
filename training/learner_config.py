"""Settings of the learner. No torch here: configurations are read where it may not be installed."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from webdojo.training.conflicts import ConflictError
from webdojo.training.section import Section

MOST_LR, MOST_EPOCHS = 10.0, 1000
"""More than anything is trained with: a slip of the pen."""
Beta = Annotated[float, Field(ge=0, lt=1)]


class LoraConfig(Section):
    """Low-rank adapters (LoRA, arXiv 2106.09685): W + alpha/rank · B·A, and only A and B learn."""

    rank: int = Field(32, gt=0)
    """Rows of A and columns of B."""
    alpha: int = Field(64, gt=0)
    """Scale of what the adapters add, divided by the rank."""
    targets: tuple[str, ...] = Field(("all-linear",), strict=False, min_length=1)
    """Names of the linear layers that get adapters; ``all-linear`` is all but the output head."""


class LearnerSettings(Section):
    """How weights are updated, as a run is configured.

    A step is one batch of groups, or one supervised batch.
    """

    lr: float = Field(5e-6, gt=0, le=MOST_LR)
    """Peak learning rate of AdamW; 5e-6 suits an 8 B model, about 1e-4 one of a few million."""
    betas: tuple[Beta, Beta] = Field((0.9, 0.999), strict=False)
    """Decay of AdamW's running means of the gradient and of its square."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled decay of matrices; vectors (norms, biases) have none."""
    schedule: Literal["constant", "cosine"] = "constant"
    """How the learning rate goes on after the warm-up."""
    warmup_steps: int = Field(0, ge=0)
    """Steps over which the learning rate rises linearly to its peak."""
    total_steps: int | None = Field(None, gt=0, examples=[200])
    """Step at which a cosine schedule reaches ``final_lr_ratio``; left out, ``reinforce.updates``.
    """
    final_lr_ratio: float = Field(0.0, ge=0, le=1)
    """Where a cosine schedule ends, as a fraction of the peak."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients with a larger L2 norm are scaled down to it."""
    epochs: int = Field(1, gt=0, le=MOST_EPOCHS)
    """Passes over each batch of groups."""
    minibatches: int = Field(1, gt=0)
    """Optimiser steps in one pass; groups are dealt to them at random."""
    micro_batch_tokens: int = Field(4096, gt=0)
    """Tokens, padding included, of one forward and backward pass, or the longest row's where those
    are more; bounds memory, not results."""
    sequence_tokens: int = Field(384, gt=0)
    """Packed sequences grow to this, or to twice their longest row; larger for larger models."""
    min_shared_tokens: int = Field(64, gt=0)
    """Rows share a common beginning in one sequence from this length on."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the forward pass; what is trained and the optimiser stay in float32. With ``lora`` the
    frozen weights are kept in it too, which halves them. bfloat16 is slow on most CPUs."""
    lora: LoraConfig | None = Field(None, examples=[{"rank": 32, "alpha": 64}])
    """Train adapters in place of the weights; engines get the adapters, checkpoints the
    merged weights. Left out, all weights are trained."""
    gradient_checkpointing: bool = False
    """Keep each layer's input alone and compute the rest again on the way back: about a third
    more work for a fraction of the memory."""
    sharded: bool = False
    """Where several processes train, cut weights, gradients and optimiser among them (FSDP2): for
    models that one GPU does not hold."""

    @model_validator(mode="after")
    def _adapters_are_whole(self) -> Self:
        if self.sharded and self.lora is not None:
            raise ConflictError(
                "sharded is for training all weights, and lora leaves little to cut: take one out",
                {"sharded": True, "lora": self.lora},
            )
        return self

    @model_validator(mode="after")
    def _something_follows_the_warmup(self) -> Self:
        end = self.total_steps
        if self.schedule == "cosine" and end is not None and end <= self.warmup_steps:
            raise ConflictError(
                f"total_steps={end} leaves nothing after warmup_steps={self.warmup_steps}; raise"
                " the first or lower the second",
                {
                    "schedule": self.schedule,
                    "total_steps": end,
                    "warmup_steps": self.warmup_steps,
                },
            )
        return self

    def whole(self, **changes: Any) -> LearnerConfig:
        """Everything that a learner needs to know; ``changes`` are fields of it."""
        return LearnerConfig.model_validate({**self.model_dump(), **changes})


class LearnerConfig(LearnerSettings):
    """How weights are updated, with what follows from the rest of a run."""

    temperature: float = Field(1.0, gt=0)
    """Sampling temperature of the rollouts, applied to the logits here too."""
    banned_token_ids: tuple[int, ...] = Field((), strict=False)
    """Ids that the engine never draws, so that both sides mean the same distribution."""
    seed: int = 0
    """Of the order in which groups are dealt to mini-batches."""

    @model_validator(mode="after")
    def _cosine_has_an_end(self) -> Self:
        if self.schedule == "cosine" and self.total_steps is None:
            raise ValueError("a cosine schedule needs total_steps; set it to the planned steps")
        return self

    def lr_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        if step < self.warmup_steps:
            return self.lr * (step + 1) / self.warmup_steps
        if self.schedule == "constant":
            return self.lr
        assert self.total_steps is not None
        progress = (step - self.warmup_steps) / (self.total_steps - self.warmup_steps)
        falling = (1 + math.cos(math.pi * min(progress, 1.0))) / 2
        return self.lr * (self.final_lr_ratio + (1 - self.final_lr_ratio) * falling)
