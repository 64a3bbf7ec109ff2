"""What a run takes of memory, by formula. No torch here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from webdojo.agents.engines.memory import KEPT_IMAGE_TOKENS, KEPT_SEQUENCES
from webdojo.tasks import registry
from webdojo.training.config import TrainConfig
from webdojo.training.model_shape import ModelShape
from webdojo.training.vision_shape import VisionShape

PROGRAM = 400 * 2**20
"""Bytes of a process that has loaded torch and transformers, before there is a model (measured
without a GPU)."""
PAGE = 50 * 2**20
"""Bytes of a small page in Chromium, of 16 together (docs/environments.md)."""

LOGITS_AT_ONCE = 2**26
"""Logits that the learner computes at once: 256 MiB, and some times that with what is made of
them."""
LOGIT_COPIES = 5
"""Arrays of the size of the logits that are there at once: they and their softmax on the way
forward, their gradients on the way back (measured without a GPU)."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that a run takes, by what they hold."""

    weights: int
    gradients: int
    optimiser: int
    activations: int
    reference: int
    engine_weights: int
    kv_cache: int
    images: int = 0
    """The learner's, for screenshots."""
    engine_images: int = 0

    @property
    def learner(self) -> int:
        """Bytes of the learner."""
        parts = (self.weights, self.gradients, self.optimiser, self.activations, self.reference)
        return sum(parts) + self.images

    @property
    def cut(self) -> int:
        """Of the learner's, bytes that several processes divide among them when it is sharded."""
        return self.weights + self.gradients + self.optimiser + self.reference

    @property
    def engine(self) -> int:
        """Bytes of the engine."""
        return self.engine_weights + self.kv_cache + self.engine_images


def estimate_memory(config: TrainConfig, shape: ModelShape) -> Memory:
    """What the largest step takes, in bytes; what torch and CUDA take for themselves is not in it.

    With P parameters, T of them trained, L layers of width h, intermediate width f, q and v
    outputs of queries and of keys, V tokens in the vocabulary, micro-batches of M tokens read in
    sequences of S, b bytes a number of the forward pass (2 in bfloat16, else 4), and 4 bytes a
    number of what is trained:

        weights      4·P, and 2·P more for copies in bfloat16; with adapters b·P + 4·T
        gradients    4·T                          optimiser  8·T (AdamW's two means)
        T            P, or rank · Σ (inputs + outputs) over the layers with adapters
        activations  L·M·b·(8·h + 4·f + 2·(q + 2·v)); with checkpointing L·M·b·h and one layer's
                     plus 5·4·min(V·R, 2^26) for logits, their softmax and its gradient
                     plus M·S·(1 + b) for the attention mask, as what is seen and as what is added
                     where R = M·(G·response)/(G·response + prompt) of the tokens are trained on, as
                     a group of G reads its prompt once
        reference    4·P if there is a KL penalty
        engine       b·P
        KV cache     2·L·v·b·context · (slots + sequences kept); vLLM needs one sequence at least

    With screenshots, which take half of a prompt at most, a vision tower of l layers of width w and
    intermediate width i, d of them deep, that makes a token of m patches of n numbers:

        images       m·M/2 patches: b·(l·(8·w + 4·i)) each; with checkpointing b·l·w and one layer's
                     plus 4·n, and M/2 tokens: 2·b·h·(1 + d)
        its engine   b·h·(1 + d) for each image token kept, and one screenshot's patches

    On a CPU the engine computes in float32 whatever the learner does, and takes twice that.
    """
    learner, policy = config.learner, config.policy
    half = learner.precision == "bfloat16"
    number = 2 if half else 4
    total = shape.parameters
    if learner.lora is None:
        trained = total
        weights = 4 * total + (2 * total if half else 0)
    else:
        trained = learner.lora.rank * shape.adapter_width
        weights = number * total + 4 * trained
    tokens = max(learner.micro_batch_tokens, policy.context_tokens)
    keys = shape.kv_heads * shape.head_size
    queries = shape.heads * shape.head_size
    layer = tokens * number * (8 * shape.hidden + 4 * shape.intermediate + 2 * (queries + 2 * keys))
    if learner.gradient_checkpointing:
        activations = shape.layers * tokens * number * shape.hidden + layer
    else:
        activations = shape.layers * layer
    responses = config.rollout.group_size * policy.max_response_tokens
    share = responses / (responses + policy.context_tokens - policy.max_response_tokens)
    logits = min(round(shape.vocabulary * tokens * share), LOGITS_AT_ONCE)
    activations += LOGIT_COPIES * 4 * logits
    mask = tokens * min(tokens, max(learner.sequence_tokens, policy.context_tokens))
    activations += mask * (1 + number)
    # vLLM pages its cache: what must fit is one sequence, and what else fits runs beside it.
    vllm = policy.engine == "vllm"
    sequences = 1 if vllm else config.rollout.slots + KEPT_SEQUENCES
    cache = 2 * shape.layers * keys * number * policy.context_tokens * sequences
    images = engine_images = 0
    if (seen := shape.vision) is not None and policy.screenshots is not None:
        patches = seen.merge**2 * tokens // 2
        inner = number * (8 * seen.hidden + 4 * seen.intermediate)
        feature = number * shape.hidden * (1 + seen.deep)
        once = inner + number * seen.layers * seen.hidden
        each = once if learner.gradient_checkpointing else seen.layers * inner
        images = patches * (each + 4 * seen.patch_values) + tokens // 2 * 2 * feature
        shown = max((image_tokens(config, seen)), default=0)
        one = seen.merge**2 * shown * (inner + 4 * seen.patch_values)
        engine_images = one if vllm else KEPT_IMAGE_TOKENS * feature + one
    return Memory(
        weights=weights,
        gradients=4 * trained,
        optimiser=8 * trained,
        activations=activations,
        reference=4 * total if config.objective.needs_reference else 0,
        engine_weights=number * total,
        kv_cache=cache,
        images=images,
        engine_images=engine_images,
    )


def image_tokens(config: TrainConfig, shape: VisionShape) -> Iterator[int]:
    """Tokens of a screenshot of each task that is reinforced."""
    for task_id in config.tasks.reinforced:
        yield shape.tokens(*registry.get(task_id).viewport)


@dataclass(frozen=True, slots=True)
class Processes:
    """Bytes that the processes of a run take, where no GPU takes anything off them."""

    learner: int
    rollouts: int
    """Of the process that plays, and has the engine ``transformers``."""
    vllm: int
    """Of vLLM's own; 0 without."""
    pages: int
    """How many pages the browser holds at most."""
    passing: int
    """Of the file in shared memory by which new weights go to the engine, and of the next one."""

    @property
    def browser(self) -> int:
        """Bytes of the browser's processes."""
        return self.pages * PAGE

    @property
    def together(self) -> int:
        """Bytes of all of them."""
        return self.learner + self.rollouts + self.vllm + self.browser + self.passing


def estimate_processes(config: TrainConfig, memory: Memory) -> Processes:
    """What each process takes: programs, what ``memory`` says, and pages.

    Beside the pages of running episodes ``envs.pool`` keeps as many for tasks to come again; no
    task has more pages than there are slots.
    """
    vllm = config.policy.engine == "vllm"
    tasks = {*config.tasks.demonstrated, *config.tasks.reinforced, *config.tasks.unseen}
    by_file = config.policy.weight_transfer == "file"
    return Processes(
        learner=PROGRAM + memory.learner,
        rollouts=PROGRAM + (0 if vllm else memory.engine),
        vllm=PROGRAM + memory.engine if vllm else 0,
        pages=config.rollout.slots * min(2, len(tasks)),
        # What is trained is float32, as is its gradient.
        passing=2 * memory.gradients if by_file else 0,
    )


def size(count: float) -> str:
    """Bytes for people: ``1.5 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
