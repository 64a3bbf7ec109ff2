"""vLLM behind the engine contract, in a process of its own and, if need be, its own environment.

Requests and answers travel over a pipe (``vllm_connection.py``), weights as a file in shared
memory. When the process dies every call fails with EngineDeadError; ``restarting.py`` makes a new
one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from webdojo.agents.architecture import empty_model, end_tokens, placeholder_ids, text_config
from webdojo.agents.engines.decoder import Counters, check_fit
from webdojo.agents.engines.engine import Completion, Sampling
from webdojo.agents.engines.folders import is_published, process_folder
from webdojo.agents.engines.limits import response_limit
from webdojo.agents.engines.memory import OWN_GPU, SHARED_GPU
from webdojo.agents.engines.prompt_images import PromptImages, blind_model
from webdojo.agents.engines.unchanged import Stamp
from webdojo.agents.engines.vllm_connection import VllmConnection
from webdojo.agents.engines.vllm_python import find_python
from webdojo.agents.engines.weights import shapes_in, size_of, weight_files, whole_files
from webdojo.tasks.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig, PreTrainedModel

    from webdojo.agents.pictures import Pictures

GIB = 1 << 30
CPU_BLOCK = 128
"""Tokens of a block of vLLM's cache on CPUs."""
SEEDS = 1 << 63
"""vLLM dies of one that is not below, and takes −1 for none."""
Transfer = Literal["file", "nccl"]
"""How weights come: from files, or also over NCCL from the learner's GPU."""


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Weights that the learner is about to broadcast to the group that the engine has joined."""

    metadata: dict[str, Any]
    """Their names, types and shapes, as vLLM's trainer side gives them."""


class VllmEngine:
    """Serves a checkpoint with vLLM.

    ``checkpoint`` is a folder or a model hub's ``owner/name``. ``slots`` bounds the responses drawn
    at once: more wait their turn. ``eos_token_ids`` end a response (default: those of the
    checkpoint's generation config) and are part of it; ``banned_token_ids`` are never drawn.
    ``context_tokens`` defaults to the model's positions, ``dtype`` to the checkpoint's, and
    ``python`` to ``find_python()``. ``threads`` bounds the CPU threads of a forward pass.
    ``hang_s`` is how long the process, once it serves, may say nothing after it was asked.
    ``pictures`` is where a model that sees finds the images of its prompts, of which there are
    ``images`` at most. Their files are read by the process itself: the pipe carries references.
    Tokens that stand for images are never drawn. With ``transfer`` "nccl" the process can also
    ``join`` a group of GPUs over which the learner broadcasts weights. Of its GPU, the last one,
    it takes ``gpu_share()``.

    Prefixes are shared between prompts, but never between weights: each update salts the cache
    anew. Tokens of one response may carry several versions, as with the embedded engine.

    Raises UserError if there is no vLLM, the checkpoint cannot be read, or NCCL finds no GPUs.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        version: int = 0,
        slots: int = 32,
        eos_token_ids: Sequence[int] | None = None,
        banned_token_ids: Sequence[int] = (),
        context_tokens: int | None = None,
        dtype: str | None = None,
        threads: int | None = None,
        python: str | None = None,
        hang_s: float = 600.0,
        pictures: Pictures | None = None,
        images: int = 8,
        transfer: Transfer = "file",
    ) -> None:
        if transfer == "nccl":
            check_nccl()
        self._skeleton = _skeleton(str(checkpoint))
        self._images = PromptImages.of(self._skeleton.config, pictures, images)
        text: PretrainedConfig = text_config(self._skeleton)
        self._context: int = context_tokens or text.max_position_embeddings
        self._vocabulary: int = text.vocab_size
        self._version = version
        settings = {
            "model": str(checkpoint),
            # vLLM's own default makes half of a single precision.
            "dtype": dtype or str(text.dtype or "auto").removeprefix("torch."),
            "context": self._context,
            "slots": slots,
            "version": version,
            "eos": list(end_tokens(self._skeleton) if eos_token_ids is None else eos_token_ids),
            "banned": sorted({*banned_token_ids, *placeholder_ids(self._skeleton.config)}),
            "placeholder": self._images.placeholder if self._images is not None else None,
            "images": 0 if pictures is None else images,
            "screenshots": "" if pictures is None else str(pictures.store.folder.resolve()),
            "transfer": transfer,
            "gpu_share": gpu_share(),
            "cache_gib": cache_gib(text, self._context),
        }
        self._process = VllmConnection(python or find_python(), settings, threads, hang_s)

    @property
    def version(self) -> int:
        """The policy version now in use."""
        return self._version

    @property
    def counters(self) -> Counters:
        """What the engine has done so far (a copy); prompts count when their responses end."""
        return self._process.counters

    @property
    def process_id(self) -> int:
        """Of the process that vLLM runs in."""
        return self._process.process_id

    async def generate(
        self, prompt_ids: Sequence[int], sampling: Sampling, *, images: Sequence[str] = ()
    ) -> Completion:
        """Draw one response.

        ``images`` are references of the screenshots that the prompt's placeholder tokens stand
        for, in order. Raises ContextOverflowError if the prompt is too long, ValueError for a
        prompt or sampling that cannot be served, MissingPictureError if a screenshot is gone,
        FloatingPointError if the weights give NaN, and EngineDeadError if the engine no longer
        serves. Cancelling the call frees its place before the next step.
        """
        prompt = list(prompt_ids)
        limit = response_limit(prompt, sampling, vocabulary=self._vocabulary, context=self._context)
        shown = self._sizes(prompt, images)
        number, reply = self._process.ask(
            "generate", prompt, sampling.temperature, limit, sampling.seed % SEEDS, shown
        )
        try:
            token_ids, logprobs, versions, finished = await reply.future
        except asyncio.CancelledError:
            self._process.cancel(number)
            raise
        return Completion(tuple(token_ids), tuple(logprobs), tuple(versions), finished)

    async def join(self, group: dict[str, Any]) -> None:
        """Join the group over which weights are broadcast, as vLLM's trainer side describes it."""
        await self._process.ask("join", group)[1].future

    async def update_weights(
        self, source: Mapping[str, Tensor] | Path | Broadcast, version: int
    ) -> None:
        """Swap weights between two decode steps; running responses go on under the new ones.

        ``source`` is a state dict, not to be changed before this returns, or a safetensors file
        or a folder of them; a file of adapters is merged into its checkpoint by vLLM's process.
        Raises ValueError, and serves on with the old weights, if it does not fit the model, is
        damaged or changes while it is read, and FileNotFoundError if there is none.
        """
        if isinstance(source, Broadcast):
            await self._load([source.metadata], {}, version)
            return
        if not isinstance(source, Path):
            check_fit(self._skeleton, source)
            with process_folder("vllm", size_of(source)) as folder:
                own = Path(folder) / "weights.safetensors"
                await asyncio.to_thread(_write_weights, source, own)
                await self._load([{"file": str(own), "mapped": True}], {}, version)
            return
        updates, seen = await asyncio.to_thread(self._checked, source)
        await self._load(updates, seen, version)

    async def checksum(self) -> int:
        """Sum over the weights now served, to be compared with the learner's."""
        return int(await self._process.ask("checksum")[1].future)

    async def close(self) -> None:
        """Stop serving; pending calls are cancelled. Closing twice is fine."""
        await self._process.close()

    def _sizes(
        self, prompt: Sequence[int], references: Sequence[str]
    ) -> list[tuple[str, tuple[int, int]]]:
        """The images of a prompt, and the width and height that each is to be resized to."""
        if self._images is None:
            if references:
                raise blind_model(references)
            return []
        found = self._images.prompt(prompt, references)
        spans = found.spans if found is not None else ()
        return [(picture.reference, self._images.size(picture)) for _, picture in spans]

    def _checked(self, source: Path) -> tuple[list[dict[str, Any]], dict[str, Stamp]]:
        """The updates that load files, which are known to fit, and what is to be as it was seen."""
        files, adapters, watched = whole_files(source)
        shapes = shapes_in(files)
        check_fit(self._skeleton, shapes)
        added = None
        if adapters is not None:
            adapters.check_fit(shapes)
            added = str(weight_files(source)[0].resolve())
        updates = [
            {
                "file": str(file.resolve()),
                "mapped": is_published(file) or adapters is not None,
                "adapters": added,
            }
            for file in files
        ]
        return updates, {str(Path(file).absolute()): seen for file, seen in watched.seen.items()}

    async def _load(
        self, updates: Sequence[dict[str, Any]], seen: dict[str, Stamp], version: int
    ) -> None:
        loaded = self._process.ask("update", updates, seen, version)[1].future
        # They are loaded even if whoever waits for it is cancelled.
        loaded.add_done_callback(self._loaded)
        await asyncio.shield(loaded)

    def _loaded(self, answer: asyncio.Future[int]) -> None:
        if not answer.cancelled() and answer.exception() is None:
            self._version = answer.result()


def check_nccl() -> None:
    """Raise UserError unless weights can be broadcast from one GPU to another."""
    import torch

    found = torch.cuda.device_count()
    if found < 2:
        raise UserError(
            'policy.weight_transfer = "nccl" broadcasts weights from the learner\'s GPU to the'
            f" engine's, and there {'is' if found == 1 else 'are'} {found} here: set it to"
            ' "file", which goes through shared memory'
        )


def gpu_share() -> float:
    """The share of its GPU that vLLM takes: what a learner beside it leaves, or nearly all."""
    import torch

    return SHARED_GPU if torch.cuda.device_count() < 2 else OWN_GPU


def cache_gib(text: PretrainedConfig, context: int) -> int:
    """GiB for keys and values where there is no GPU: no less than the longest sequence takes.

    vLLM does not start with less; it keeps whole blocks, and takes one for itself.
    """
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    token = 2 * 4 * text.num_hidden_layers * heads * width
    return int(token * (context + 2 * CPU_BLOCK) // GIB) + 1


def _skeleton(checkpoint: str) -> PreTrainedModel:
    """The model without its weights: names, shapes and configuration."""
    from transformers import AutoConfig, GenerationConfig

    try:
        config = AutoConfig.from_pretrained(checkpoint)
    except Exception as error:  # transformers lets through whatever its parsers raise
        raise UserError(f"the configuration of {checkpoint} cannot be read: {error}") from error
    model = empty_model(config)
    with suppress(OSError):  # it may have none; from_config made one of the configuration
        model.generation_config = GenerationConfig.from_pretrained(checkpoint)
    return model


def _write_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    from safetensors.torch import save_file

    # A tied weight has several names but is written once.
    distinct = {value.data_ptr(): name for name, value in weights.items()}
    save_file({name: weights[name].contiguous() for name in distinct.values()}, path)
