"""The learner: weights, optimiser and what turns finished groups into better weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from accelerate.utils import gather_object  # type: ignore[import-untyped]
from torch import Tensor, nn

from webdojo.agents.engines.adapters import Adapters
from webdojo.tasks.errors import UserError
from webdojo.training.dropout import take_out_dropout
from webdojo.training.gradient import GradientStepper, PolicyModule, StepResult
from webdojo.training.learner_config import LearnerConfig, LoraConfig
from webdojo.training.lora import adapter_tensors, add_adapters
from webdojo.training.mini_batch import MiniBatch, Seen, TokenTable, drawn_by, staleness
from webdojo.training.objectives.batch import Batch, RewardPool
from webdojo.training.objectives.config import ObjectiveConfig
from webdojo.training.objectives.objective import prepare
from webdojo.training.out_of_memory import (
    AloneOutOfMemoryError,
    MemoryRanOutError,
    ran_out_of_memory,
)
from webdojo.training.packed_batch import PackedBatch
from webdojo.training.packing import Layout, Row, lay_out
from webdojo.training.rollouts.trajectory import Group
from webdojo.training.turn_rows import TurnRows

if TYPE_CHECKING:
    from webdojo.agents.pictures import Pictures

Result = TypeVar("Result")


class Learner:
    """Trains a causal language model from groups of trajectories, or from supervised rows.

    ``model`` is trained in place; it takes a 4-D attention mask (``sdpa``), and its trainable
    weights are float32. Its dropout is set to 0, as ratios compare two passes over the same tokens.
    With several processes each is given the same groups or rows and computes its share.
    ``reference`` is the policy that a KL penalty measures from; it is needed only for that.
    ``pictures`` is where a model that sees finds the screenshots that its turns refer to: files are
    read as an update begins, pixels are computed once an image, and both are freed after it.

    ``step`` counts calls of ``update`` and ``supervised_step``; ``skipped_steps`` counts the
    optimiser steps that were not taken because a loss or gradient was not finite.

    A step for which memory runs out, in whichever process, is begun again in micro-batches of half
    as many tokens, which changes no result, and later steps keep to that; where a single row is too
    much UserError is raised. Where weights are cut among processes AloneOutOfMemoryError, also a
    UserError, is raised at once, as the others wait.
    """

    def __init__(
        self,
        model: nn.Module,
        config: LearnerConfig,
        objective: ObjectiveConfig | None = None,
        *,
        reference: nn.Module | None = None,
        accelerator: Accelerator | None = None,
        pictures: Pictures | None = None,
    ) -> None:
        self.config = config
        self.objective = objective or ObjectiveConfig()
        if self.objective.needs_reference and reference is None:
            raise ValueError(
                f"kl.coefficient={self.objective.kl.coefficient} needs a reference policy; "
                "pass reference, or set the coefficient to 0"
            )
        if accelerator is None:
            # Precision is a learner's own; that of an Accelerator holds for the whole process.
            # Without cpu accelerate takes several processes on CPUs for separate runs.
            no_gpu = not torch.accelerator.is_available()
            accelerator = Accelerator(mixed_precision="no", cpu=no_gpu)
        self.step = 0
        self.skipped_steps = 0
        self.out_of_memory = 0
        self._micro_batch_tokens = config.micro_batch_tokens
        take_out_dropout(model)
        if config.lora is not None:
            half = config.precision == "bfloat16"
            add_adapters(model, config.lora, torch.bfloat16 if half else torch.float32)
        if config.gradient_checkpointing:
            _checkpoint_gradients(model)
        self._rows = TurnRows.of(model.config, pictures, _in_any_process)  # type: ignore[arg-type]
        pixels = pictures.pixels if pictures is not None else None
        policy = PolicyModule(model.train(), config, self.objective.needs_entropies, pixels)
        self._stepper = GradientStepper(policy, config, accelerator)
        self._device: torch.device = accelerator.device
        self._reference: PolicyModule | None = None
        if reference is not None:
            reference.requires_grad_(False).eval()
            self._reference = PolicyModule(reference, config, entropy_gradient=False, pixels=pixels)
            self._stepper.place(self._reference)
        self._shuffler = torch.Generator().manual_seed(config.seed)

    def update(
        self, groups: Sequence[Group], version: int, pool: RewardPool | None = None
    ) -> dict[str, float]:
        """Train on finished groups and return metrics.

        ``version`` is that of the present weights; staleness is counted from it. ``pool`` is for
        estimators that know of trajectories that were not kept.

        Each epoch deals the groups to the mini-batches at random. Token weights are those of the
        whole batch, so a mini-batch's loss is scaled up by the number of mini-batches. Of a
        trajectory whose screenshots are not all there as the update begins, in every process, only
        the reward counts; where none is left no step is taken. Raises ValueError if the groups hold
        no response token.

        Metrics: ``loss`` and ``grad_norm`` (before clipping; means over the optimiser steps
        taken), the objective's rates, ``logprob_mismatch_*`` (engine against learner, nats, on
        responses that these very weights alone drew), ``staleness_*`` (versions, over tokens),
        ``shared_token_rate`` (of the tokens read, the share that packing saved), ``tokens``,
        ``seconds``, ``tokens_per_s``, ``lr``, ``optimizer_steps``, ``skipped_steps``,
        ``out_of_memory`` (times that micro-batches were halved); with screenshots ``images`` (how
        many different ones), ``images_missing`` and ``trajectories_dropped``.
        """
        started = time.perf_counter()
        memory_ran_out = self.out_of_memory
        groups, pictured = self._rows.whole(groups)
        if pictured.get("trajectories_dropped") and not any(
            trajectory.response_tokens for group in groups for trajectory in group.trajectories
        ):
            self._rows.free()
            return self._finish([], self.config.lr_at(self.step)) | pictured
        batch = Batch.of(groups, pool)
        prepared = prepare(batch, self.objective)
        turns = [turn for group in groups for x in group.trajectories for turn in x.turns]
        rows = [self._rows.row(turn) for turn in turns]
        plan = [part for _ in range(self.config.epochs) for part in self._deal(batch)]
        behaviour = self._tensor([p for turn in turns for p in turn.logprobs])
        # With one step on the batch the policy before it is the one that the step evaluates.
        recompute = self.objective.proximal == "recomputed" and len(plan) > 1
        whole = TokenTable(
            weights=self._tensor(prepared.weights) * self._parts(batch),
            advantages=self._tensor(prepared.advantages),
            behaviour=behaviour,
            proximal=self._logprobs(rows, self._stepper.policy) if recompute else None,
            reference=self._logprobs(rows, self._reference) if self._reference else None,
        )
        lr = self.config.lr_at(self.step)
        seen = Seen(behaviour.numel(), self._device)
        results: list[StepResult] = []
        packed_tokens = 0
        for chosen in plan:
            places = batch.tokens_of(chosen).to(self._device)
            part = MiniBatch(self.objective, whole.at(places), places, seen, first=not results)
            known = seen.sums.clone()

            def step(
                layouts: list[Layout], part: MiniBatch = part, known: Tensor = known
            ) -> tuple[StepResult, int]:
                seen.sums.copy_(known)
                tokens = sum(layout.input_tokens for layout in layouts)
                return self._stepper.step(layouts, part.loss, lr), tokens

            result, tokens = self._within_memory([rows[row] for row in chosen], step)
            results.append(result)
            packed_tokens += tokens
        metrics = self._finish(results, lr)
        metrics |= seen.statistics(self._stepper).rates()
        metrics |= seen.mismatch(self._stepper, behaviour, drawn_by(turns, version, self._device))
        metrics |= staleness(turns, version)
        read = self.config.epochs * sum(len(row.input_ids) for row in rows)
        metrics["shared_token_rate"] = 1 - packed_tokens / read
        metrics |= _pace(self.config.epochs * behaviour.numel(), started)
        metrics["out_of_memory"] = self.out_of_memory - memory_ran_out
        metrics |= pictured
        self._rows.free()
        # A step that was skipped may have seen numbers that no log can hold.
        return {name: value for name, value in metrics.items() if math.isfinite(value)}

    def supervised_step(self, rows: Sequence[Row]) -> dict[str, float]:
        """Take one step on the mean cross-entropy of the rows' trained tokens; return metrics.

        ``loss`` is in nats a token, before the step. A row whose screenshots are not all there as
        the step begins is left out, and what it lacks counted as ``images_missing``; where none is
        left no step is taken. Raises ValueError if no token of the rows is trained.
        """
        started = time.perf_counter()
        if not any(any(row.trained) for row in rows):
            raise _nothing_trained()
        rows, pictured = self._rows.seen(rows)
        tokens = sum(sum(row.trained) for row in rows)
        lr = self.config.lr_at(self.step)
        if not tokens:
            return self._finish([], lr) | _pace(0, started) | pictured

        def cross_entropy(_: PackedBatch, logprobs: Tensor, __: Tensor) -> Tensor:
            return -logprobs.sum() / tokens

        result = self._within_memory(
            rows, lambda layouts: self._stepper.step(layouts, cross_entropy, lr)
        )
        return self._finish([result], lr) | _pace(tokens, started) | pictured

    def supervised_loss(self, rows: Sequence[Row]) -> float:
        """Mean cross-entropy (nats) of the rows' trained tokens, without training on them."""
        tokens = sum(sum(row.trained) for row in rows)
        if not tokens:
            raise _nothing_trained()
        return -float(self._logprobs(rows, self._stepper.policy).sum()) / tokens

    def weights(self) -> dict[str, Tensor]:
        """A copy of the model's state dict, adapters merged, for an engine or a file.

        Of sharded weights the first process gets it, and the others an empty one.
        """
        return self._stepper.weights()

    def adapters(self, base: Path) -> Adapters:
        """A copy of what is learned beside the weights of ``base``, from which this one began.

        Raises ValueError if the weights themselves are trained.
        """
        lora = self.config.lora
        if lora is None:
            raise ValueError("the weights themselves are trained; set learner.lora, or use weights")
        dtype = torch.bfloat16 if self.config.precision == "bfloat16" else torch.float32
        tensors = adapter_tensors(self._stepper.causal_lm)
        return Adapters(base, dtype, lora.alpha / lora.rank, tensors)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on, as ``torch.save`` takes it."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        lora = self.config.lora
        tokens = self._micro_batch_tokens
        return {
            "weights": self._stepper.trained_weights(),
            "optimizer": self._stepper.optimizer_state(),
            "step": self.step,
            "skipped_steps": self.skipped_steps,
            "halved_to": tokens if tokens < self.config.micro_batch_tokens else None,
            "shuffler": self._shuffler.get_state(),
            "torch_rng": torch.get_rng_state(),
            "cuda_rng": cuda,
            "lora": lora.model_dump(mode="json") if lora is not None else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state_dict``: on the same CPU the next step is the same bit for bit.

        Raises ValueError, changing nothing, if the weights are another model's or were trained
        with another ``learner.lora``.
        """
        _check_scale(self.config.lora, state.get("lora"))
        self._stepper.load_trained_weights(state["weights"])
        self._stepper.load_optimizer_state(state["optimizer"])
        self.step = state["step"]
        self.skipped_steps = state["skipped_steps"]
        if halved_to := state.get("halved_to"):
            self._micro_batch_tokens = min(halved_to, self._micro_batch_tokens)
        self._shuffler.set_state(state["shuffler"].cpu())
        torch.set_rng_state(state["torch_rng"].cpu())
        if state["cuda_rng"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all([rng.cpu() for rng in state["cuda_rng"]])

    def _parts(self, batch: Batch) -> int:
        """Mini-batches of one epoch: as many as asked for, if there is enough to deal."""
        return min(self.config.minibatches, batch.rewards.numel())

    def _deal(self, batch: Batch) -> Iterator[list[int]]:
        """Deal the rows to mini-batches: whole groups, or trajectories if groups are too few."""
        parts = self._parts(batch)
        by_group = batch.group_count >= parts
        units = batch.groups[batch.trajectories] if by_group else batch.trajectories
        count = batch.group_count if by_group else batch.rewards.numel()
        order = torch.randperm(count, generator=self._shuffler)
        part_of_unit = torch.empty_like(order)
        part_of_unit[order] = torch.arange(count) % parts
        for part in range(parts):
            chosen = (part_of_unit[units] == part).nonzero()[:, 0]
            # A part may hold trajectories without a single response token.
            if int(batch.token_counts[chosen].sum()):
                yield chosen.tolist()

    def _within_memory(self, rows: Sequence[Row], work: Callable[[list[Layout]], Result]) -> Result:
        """Do ``work`` on packed rows, in smaller micro-batches if memory runs out."""
        while True:
            try:
                return work(self._lay_out(rows))
            except MemoryRanOutError:
                pass  # what the error holds of the step is let go first
            except RuntimeError as error:
                if ran_out_of_memory(error):
                    raise AloneOutOfMemoryError(self._no_way_on()) from None
                raise
            self._halve(rows)

    def _halve(self, rows: Sequence[Row]) -> None:
        longest = max(len(row.input_ids) for row in rows)
        if self._micro_batch_tokens <= longest:
            raise UserError(
                f"memory ran out on a single row of {longest} tokens: set"
                " learner.gradient_checkpointing = true, train adapters (learner.lora), or lower"
                " policy.context_tokens"
            )
        self._micro_batch_tokens = max(longest, self._micro_batch_tokens // 2)
        self.out_of_memory += 1
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _no_way_on(self) -> str:
        if self._stepper.sharded:
            return (
                "memory ran out in one of the processes among which the weights are cut, and the"
                " others wait for it: set learner.micro_batch_tokens ="
                f" {self._micro_batch_tokens // 2} in the run's config.toml, and go on from its"
                " last checkpoint"
            )
        return (
            "memory ran out as the optimiser took its step, which smaller micro-batches do not"
            " change: train adapters (learner.lora), or cut the weights among several processes"
            " (learner.sharded), and go on from the last checkpoint"
        )

    def _lay_out(self, rows: Sequence[Row]) -> list[Layout]:
        return lay_out(
            rows,
            max_tokens=self._micro_batch_tokens,
            sequence_tokens=self.config.sequence_tokens,
            min_shared=self.config.min_shared_tokens,
        )

    def _logprobs(self, rows: Sequence[Row], policy: PolicyModule) -> Tensor:
        return self._within_memory(rows, lambda layouts: self._stepper.logprobs(layouts, policy))

    def _tensor(self, values: Tensor | Sequence[float]) -> Tensor:
        return torch.as_tensor(values).to(self._device, torch.float32)

    def _finish(self, results: Sequence[StepResult], lr: float) -> dict[str, float]:
        """Count the step, and give the metrics of its optimiser steps."""
        taken = [result for result in results if result.taken]
        skipped = len(results) - len(taken)
        self.step += 1
        self.skipped_steps += skipped
        metrics: dict[str, float] = {
            "lr": lr,
            "optimizer_steps": len(taken),
            "skipped_steps": skipped,
        }
        if taken:
            metrics["loss"] = sum(result.loss for result in taken) / len(taken)
            metrics["grad_norm"] = sum(result.grad_norm for result in taken) / len(taken)
        return metrics


def _check_scale(lora: LoraConfig | None, kept: Mapping[str, Any] | None) -> None:
    """Raise ValueError if adapters would add another multiple of what they were trained to add.

    Their shapes tell of the rank and the layers, and nothing of this.
    """
    if lora is not None and kept is not None and lora.alpha != kept["alpha"]:
        raise ValueError(
            f"learner.lora.alpha is {lora.alpha}, and the adapters were trained with"
            f" {kept['alpha']}; set it to that"
        )


def _in_any_process(missing: set[str]) -> set[str]:
    """What any process found missing: all must train on the same rows, as they wait for another."""
    return set(gather_object(sorted(missing)))


def _pace(tokens: int, started: float) -> dict[str, float]:
    """Tokens trained on (each pass counts) and their rate."""
    seconds = time.perf_counter() - started
    return {"tokens": tokens, "seconds": seconds, "tokens_per_s": tokens / seconds}


def _checkpoint_gradients(model: Any) -> None:
    # transformers is about to give it another name.
    enable = getattr(model, "activation_checkpointing_enable", None)
    (enable or model.gradient_checkpointing_enable)({"use_reentrant": False})


def _nothing_trained() -> ValueError:
    return ValueError("no token of the rows is trained; mark the responses' tokens as trained")
