"""One optimiser step over packed micro-batches, on one process or on several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from torch import Tensor, nn

from webdojo.agents.architecture import placeholder_ids
from webdojo.agents.engines.decoder import check_fit
from webdojo.agents.pictures import Picture
from webdojo.training.learner_config import LearnerConfig
from webdojo.training.lora import merged_weights
from webdojo.training.out_of_memory import MemoryRanOutError, ran_out_of_memory
from webdojo.training.packed_batch import PackedBatch, response_logprobs_and_entropies
from webdojo.training.packing import Layout
from webdojo.training.sharding import (
    fill,
    load_whole_optimizer_state,
    shard,
    whole,
    whole_optimizer_state,
)

MicroLoss = Callable[[PackedBatch, Tensor, Tensor], Tensor]
"""Loss of a micro-batch, from the log-probabilities and entropies of its tokens, [tokens] each.

It is a sum, not a mean: the losses of all micro-batches add up to that of the step."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step did: its loss, the gradient's L2 norm before clipping, whether it was taken."""

    loss: float
    grad_norm: float
    taken: bool


class PolicyModule(nn.Module):
    """A causal language model whose forward gives what training needs of a packed batch.

    Everything runs inside one ``forward``, as wrappers for several processes require.
    """

    def __init__(
        self,
        causal_lm: nn.Module,
        config: LearnerConfig,
        entropy_gradient: bool,
        pixels: Callable[[Picture], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.causal_lm = causal_lm
        self._temperature = config.temperature
        # No engine draws what stands for images.
        never = placeholder_ids(causal_lm.config)  # type: ignore[arg-type]
        self._banned = tuple(sorted({*config.banned_token_ids, *never}))
        self._entropy_gradient = entropy_gradient
        self._pixels = pixels

    def forward(self, packed: PackedBatch) -> tuple[Tensor, Tensor]:
        """Log-probabilities and entropies (nats, float32) of the trained tokens, [tokens] each."""
        return response_logprobs_and_entropies(
            self.causal_lm,
            packed,
            self._temperature,
            self._banned,
            entropy_gradient=self._entropy_gradient,
            pixels=self._pixels,
        )


class GradientStepper:
    """The model, AdamW and the processes that share a step.

    Every process is given the same layouts, and makes and computes its part of the micro-batches,
    one at a time. Gradients are exchanged once a step, when all processes have theirs.
    """

    def __init__(
        self, policy: PolicyModule, config: LearnerConfig, accelerator: Accelerator
    ) -> None:
        self.config = config
        self.accelerator = accelerator
        self.sharded = config.sharded and accelerator.num_processes > 1
        self.policy = policy
        self.place(policy)
        self._trained = [p for p in policy.parameters() if p.requires_grad]
        coarse = {str(p.dtype) for p in self._trained} - {"torch.float32", "torch.float64"}
        if coarse:
            raise ValueError(
                f"trainable weights are {', '.join(sorted(coarse))}, where small updates vanish; "
                'load the model in float32 (precision="bfloat16" computes in half precision)'
            )
        groups: list[dict[str, Any]] = [
            {"params": [p for p in self._trained if p.ndim > 1]},
            {"params": [p for p in self._trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(
            groups,
            lr=config.lr,
            betas=config.betas,
            weight_decay=config.weight_decay,
        )
        self.optimizer = accelerator.prepare(optimizer)

    def place(self, policy: PolicyModule) -> None:
        """Put a policy where steps are computed: a whole one, or a piece in each process."""
        if self.sharded:
            half = self.config.precision == "bfloat16"
            shard(policy, policy.causal_lm, self.accelerator.device, half=half)
            return
        policy.to(self.accelerator.device)
        if self.accelerator.num_processes > 1:
            # All begin with the weights of the first.
            for parameter in policy.parameters():
                torch.distributed.broadcast(parameter.detach(), src=0)

    def step(self, layouts: Sequence[Layout], loss_of: MicroLoss, lr: float) -> StepResult:
        """Add up the gradient of all micro-batches and apply it, clipped, at learning rate ``lr``.

        A loss or gradient that is not finite leaves weights and optimiser as they are. So does
        MemoryRanOutError, which every process raises where one has no room for a micro-batch.
        """
        try:
            return self._step(layouts, loss_of, lr)
        finally:
            self.optimizer.zero_grad(set_to_none=True)

    def _step(self, layouts: Sequence[Layout], loss_of: MicroLoss, lr: float) -> StepResult:
        total = torch.zeros((), device=self.accelerator.device)

        def compute() -> None:
            for layout, counts in self.deal(layouts):
                total.add_(self._backward(layout, loss_of, counts))

        self._exchange(fits=self._fits(compute))
        loss_sum = float(self.accelerator.reduce(total, "sum"))
        norm = self.accelerator.clip_grad_norm_(self._trained, self.config.max_grad_norm)
        grad_norm = float(whole(norm)) if norm is not None else 0.0
        taken = bool(torch.tensor([loss_sum, grad_norm]).isfinite().all())
        if taken:
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            self.optimizer.step()
        return StepResult(loss_sum, grad_norm, taken)

    def _backward(self, layout: Layout, loss_of: MicroLoss, counts: bool) -> Tensor:
        """Add one micro-batch to the gradient; returns its loss. All else of it is let go."""
        packed, logprobs, entropies = self._computed(layout, self.policy)
        loss = loss_of(packed, logprobs, entropies) if counts else logprobs.sum() * 0
        # Cut gradients are averaged over the processes; the step wants their sum.
        self.accelerator.backward(loss * self.accelerator.num_processes if self.sharded else loss)
        return loss.detach()

    def _computed(self, layout: Layout, policy: PolicyModule) -> tuple[PackedBatch, Tensor, Tensor]:
        packed = layout.batch().to(self.accelerator.device)
        # Policy and reference are compared token by token, so both compute in one precision. What
        # is cut has its own.
        half = self.config.precision == "bfloat16" and not self.sharded
        with torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=half):
            return packed, *policy(packed)

    def _fits(self, compute: Callable[[], None]) -> bool:
        """Do ``compute``; whether this process has the memory for it."""
        try:
            compute()
        except RuntimeError as error:
            # Where weights are cut the others wait in the midst of a pass.
            if self.sharded or not ran_out_of_memory(error):
                raise
            return False
        return True

    def _agree(self, fits: bool, present: Sequence[bool] = ()) -> list[bool]:
        """Which of ``present`` any process has; MemoryRanOutError if something does not fit."""
        own = torch.tensor([not fits, *present], dtype=torch.float, device=self.accelerator.device)
        ran_out, *anywhere = self.accelerator.reduce(own, "sum").tolist()
        if ran_out:
            raise MemoryRanOutError
        return [count > 0 for count in anywhere]

    def _exchange(self, fits: bool) -> None:
        """Add up the gradients of all processes, unless memory ran out in one."""
        anywhere = self._agree(fits, [p.grad is not None for p in self._trained])
        if self.sharded or self.accelerator.num_processes == 1:
            return
        sums = []
        for parameter, present in zip(self._trained, anywhere, strict=True):
            if present:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                sums.append(torch.distributed.all_reduce(parameter.grad, async_op=True))
        for each in sums:
            each.wait()

    @torch.no_grad()
    def logprobs(self, layouts: Sequence[Layout], policy: PolicyModule) -> Tensor:
        """Log-probabilities of all trained tokens under ``policy``, row after row [tokens].

        Raises MemoryRanOutError in every process where one has no room for a micro-batch.
        """
        count = sum(layout.tokens for layout in layouts)
        flat = torch.zeros(count, device=self.accelerator.device)

        def compute() -> None:
            for layout, counts in self.deal(layouts):
                packed, logprobs, _ = self._computed(layout, policy)
                if counts:
                    flat[packed.token_indices] = logprobs
                del packed  # before the next one's mask

        self._agree(self._fits(compute))
        total: Tensor = self.accelerator.reduce(flat, "sum")
        return total

    def deal(self, layouts: Sequence[Layout]) -> list[tuple[Layout, bool]]:
        """The micro-batches of this process, and whether each counts.

        Where weights are cut all processes get equally many, as they wait for one another in every
        pass; what fills up counts nothing.
        """
        rank, ranks = self.accelerator.process_index, self.accelerator.num_processes
        own = [(layout, True) for layout in layouts[rank::ranks]]
        most = -(-len(layouts) // ranks) if self.sharded else len(own)
        return own + [(layouts[0], False)] * (most - len(own))

    @property
    def causal_lm(self) -> nn.Module:
        """The causal language model."""
        return self.policy.causal_lm

    def weights(self) -> dict[str, Tensor]:
        """A copy of the causal language model's state dict; adapters are merged into it."""
        if self.config.lora is not None:
            return self._copy(merged_weights(self.causal_lm))
        return self._copy(self.causal_lm.state_dict())

    def trained_weights(self) -> dict[str, Tensor]:
        """What ``load_trained_weights`` takes: the state dict, or the adapters alone."""
        if self.config.lora is None:
            return self.weights()
        return self._copy(_adapters(self.causal_lm))

    def _copy(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        copies = {}
        for name, value in state.items():
            copy = whole(value)
            if self._keeps_whole:
                copies[name] = copy
        return copies

    @property
    def _keeps_whole(self) -> bool:
        """Whether this process has room for what all put together: of sharded weights the first."""
        return not self.sharded or bool(self.accelerator.is_main_process)

    def optimizer_state(self) -> dict[str, Any]:
        """The optimiser's state dict, which any number of processes can go on from."""
        if not self.sharded:
            state: dict[str, Any] = self.optimizer.state_dict()
            return state
        return whole_optimizer_state(self.optimizer, keep=self._keeps_whole)

    def load_optimizer_state(self, state: dict[str, Any]) -> None:
        """Take what ``optimizer_state`` gave; settings stay what they are configured to be now."""
        settings = [
            {name: group[name] for name in ("betas", "weight_decay")}
            for group in self.optimizer.param_groups
        ]
        if self.sharded:
            load_whole_optimizer_state(self.optimizer, state)
        else:
            self.optimizer.load_state_dict(state)
        for group, own in zip(self.optimizer.param_groups, settings, strict=True):
            group.update(own)

    def load_trained_weights(self, weights: dict[str, Tensor]) -> None:
        """Replace what is trained; ValueError, changing nothing, if it does not fit."""
        model = self.causal_lm
        if self.config.lora is None:
            check_fit(model, weights)
        else:
            own = {name: value.shape for name, value in _adapters(model).items()}
            given = {name: value.shape for name, value in weights.items()}
            if strange := dict(own.items() ^ given.items()):
                raise ValueError(
                    f"the adapters differ in {min(strange)}; load them into the model and with the"
                    " learner.lora that they were trained with"
                )
        if self.sharded:
            whole_state = model.state_dict()
            for name, value in weights.items():
                fill(whole_state[name], value)
        else:
            model.load_state_dict(weights, strict=False)


def _adapters(model: nn.Module) -> dict[str, Tensor]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}
