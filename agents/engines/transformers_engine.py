"""The embedded engine: a Hugging Face causal language model in this process, CPU or GPU.

The decode loop runs in one thread of its own, so the event loop stays free while a forward pass
blocks. Requests join the running batch between two decode steps, and so do new weights.
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from webdojo.agents.architecture import end_tokens, load_model, text_config
from webdojo.agents.engines.decoder import Constraint, Counters, Decoder, Request
from webdojo.agents.engines.engine import Completion, EngineDeadError, Sampling
from webdojo.agents.engines.folders import is_published
from webdojo.agents.engines.kept_copies import KeptCopies
from webdojo.agents.engines.limits import response_limit
from webdojo.agents.engines.prompt_images import PromptImages, blind_model
from webdojo.agents.engines.reply import Reply
from webdojo.agents.engines.weights import checksum, read_safetensors, whole_files

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from webdojo.agents.pictures import Pictures


class TransformersEngine:
    """Serves a Hugging Face causal language model with continuous batching.

    ``model`` belongs to the engine from now on: never give it the module that is being trained.
    ``slots`` bounds the responses drawn at once (more wait their turn, first come first served)
    and ``prefill_tokens`` the prompt tokens of one forward pass, padding included. The last
    ``kept`` sequences stay in the cache after they end: a prompt that begins like one of them,
    or like a running one, is computed from where it differs.
    ``eos_token_ids`` end a response (default: those of the model's generation config) and are
    part of it; ``banned_token_ids`` are never drawn. ``context_tokens`` defaults to the model's
    positions. ``threads`` is the number of CPU threads of a forward pass (default: torch's own);
    threads of the program that first use torch later get the same number, others keep theirs.
    ``pictures`` is where a model that sees finds the images of its prompts, of which there are
    ``images`` at most (default: any number). Tokens that stand for images are never drawn.

    Tokens of one response may carry several versions: after ``update_weights`` a running
    response goes on under the new weights, over the keys and values that the old ones computed.
    The log-probabilities are those of that mixture, exactly as drawn; a learner that recomputes
    them under one version corrects for the difference by importance weights.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        version: int = 0,
        slots: int = 32,
        kept: int = 32,
        prefill_tokens: int = 4096,
        eos_token_ids: Sequence[int] | None = None,
        banned_token_ids: Sequence[int] = (),
        context_tokens: int | None = None,
        threads: int | None = None,
        pictures: Pictures | None = None,
        images: int | None = None,
    ) -> None:
        if eos_token_ids is None:
            eos_token_ids = end_tokens(model)
        self._context: int = context_tokens or text_config(model).max_position_embeddings
        self._images = PromptImages.of(model.config, pictures, images)
        self._vocabulary: int = model.get_input_embeddings().num_embeddings  # type: ignore[assignment]
        self._threads = threads
        self._decoder = Decoder(
            model,
            version=version,
            slots=slots,
            kept=kept,
            prefill_tokens=prefill_tokens,
            eos_token_ids=eos_token_ids,
            banned_token_ids=banned_token_ids,
            looking=self._images.looking() if self._images is not None else None,
        )
        self._copies = KeptCopies()
        self._changed = threading.Condition()
        # Guarded by _changed: what the event loop hands to the thread, and why it no longer may.
        self._arrivals: deque[tuple[Request, Reply[Completion]]] = deque()
        self._updates: deque[tuple[Mapping[str, Tensor] | Path, int, Reply[None]]] = deque()
        self._closed = False
        self._failure: BaseException | None = None
        # Touched by the thread only.
        self._replies: dict[Request, Reply[Completion]] = {}
        self._thread = threading.Thread(target=self._serve, name="webdojo-decode", daemon=True)
        self._thread.start()

    @classmethod
    def from_pretrained(
        cls, checkpoint: str | Path, *, device: str = "cpu", **options: Any
    ) -> TransformersEngine:
        """Serve a checkpoint folder (or a model's name) in the precision that it was saved in.

        ``options`` are the constructor's. Raises OSError if there is no such checkpoint.
        """
        return cls(load_model(str(checkpoint)).to(device), **options)

    @property
    def version(self) -> int:
        """The policy version now in use."""
        return self._decoder.version

    @property
    def counters(self) -> Counters:
        """What the engine has done so far (a copy)."""
        return replace(self._decoder.counters)

    async def generate(
        self,
        prompt_ids: Sequence[int],
        sampling: Sampling,
        constraint: Constraint | None = None,
        *,
        images: Sequence[str] = (),
    ) -> Completion:
        """Draw one response.

        ``images`` are references of the screenshots that the prompt's placeholder tokens stand
        for, in order; each image is looked at once under the same weights.

        ``constraint`` is called in the decode thread before each token with the ids drawn so
        far, and gives the ids that may come next, or None for all; log-probabilities are then
        those of the constrained distribution. If it raises, or allows nothing, this call raises.

        Raises ContextOverflowError if the prompt is too long, ValueError for a prompt or sampling
        that cannot be served, MissingPictureError if a screenshot is gone, FloatingPointError if
        the weights give NaN, and EngineDeadError if the engine no longer serves. Cancelling the
        call frees its slot before the next step.
        """
        request = self._request(prompt_ids, sampling, constraint)
        if self._images is not None:
            request.images = await self._images.read(request.prompt_ids, images)
        elif images:
            raise blind_model(images)
        reply: Reply[Completion] = Reply()
        with self._changed:
            self._check_alive()
            self._arrivals.append((request, reply))
            self._changed.notify()
        try:
            return await reply.future
        except asyncio.CancelledError:
            request.cancelled = True
            raise

    async def update_weights(self, source: Mapping[str, Tensor] | Path, version: int) -> None:
        """Swap weights between two decode steps; running responses go on under the new ones.

        ``source`` is a state dict, not to be changed before this returns, or a safetensors file
        or a folder of them; a file of adapters is merged into its checkpoint. Raises ValueError,
        and serves on with the old weights, if it does not fit the model, is damaged or changes
        while it is read, and FileNotFoundError if there is none.
        """
        if isinstance(source, Path) and not (
            is_published(source) and whole_files(source)[1] is None
        ):
            # Copying what somebody may write to, or merging, takes longer than that thread may.
            source = await asyncio.to_thread(read_safetensors, source, self._copies)
        reply: Reply[None] = Reply()
        with self._changed:
            self._check_alive()
            self._updates.append((source, version, reply))
            self._changed.notify()
        await reply.future

    async def checksum(self) -> int:
        """Sum over the weights now served, to be compared with the learner's."""
        with self._changed:
            self._check_alive()
            weights = list(self._decoder.model.parameters())
        return await asyncio.to_thread(checksum, weights)

    async def close(self) -> None:
        """Stop serving; pending calls are cancelled. Closing twice is fine."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._copies.drop)

    def _request(
        self, prompt_ids: Sequence[int], sampling: Sampling, constraint: Constraint | None
    ) -> Request:
        prompt = tuple(prompt_ids)
        limit = response_limit(prompt, sampling, vocabulary=self._vocabulary, context=self._context)
        return Request(prompt, sampling, limit, constraint)

    def _check_alive(self) -> None:
        if self._failure is not None:
            raise _death(self._failure) from self._failure
        if self._closed:
            raise EngineDeadError("the engine is closed; start a new one")

    def _serve(self) -> None:
        """The decode thread: until closed, take what has arrived, then draw a token for each."""
        try:
            if self._threads is not None:
                torch.set_num_threads(self._threads)
            with torch.inference_mode():
                while self._take_in():
                    self._answer(self._decoder.step())
        except BaseException as error:  # noqa: BLE001 - every caller is told; none is left waiting
            self._end(error)
        else:
            self._end(None)

    def _take_in(self) -> bool:
        """Wait for work, apply updates, admit arrivals; False once closed."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._arrivals or self._updates or self._decoder.running
            )
            if self._closed:
                return False
            updates = list(self._updates)
            admitted: list[Request] = []
            while self._arrivals and len(admitted) < self._decoder.room:
                request, reply = self._arrivals.popleft()
                # A call cancelled while it waited is not worth its prefill.
                if not request.cancelled:
                    admitted.append(request)
                    self._replies[request] = reply
        for weights, version, updated in updates:
            try:
                self._decoder.swap(weights, version)
            except (ValueError, OSError) as error:
                updated.fail(error)
            else:
                updated.give(None)
            # Taken off only now, so that a dying thread finds it and tells its caller.
            with self._changed:
                self._updates.popleft()
        if admitted:
            self._answer(self._decoder.admit(admitted))
        return True

    def _answer(self, left: list[Request]) -> None:
        """Tell the callers of requests that left the batch; a cancelled one hears nothing."""
        for request in left:
            reply = self._replies.pop(request)
            if request.error is not None:
                reply.fail(request.error)
                continue
            reply.give(
                Completion(
                    tuple(request.token_ids),
                    tuple(request.logprobs),
                    tuple(request.versions),
                    request.finished,
                )
            )

    def _end(self, failure: BaseException | None) -> None:
        """Release every caller: cancelled if the engine was closed, an error if it failed."""
        with self._changed:
            self._failure = failure
            self._closed = True
            replies: list[Reply[Any]] = [
                *self._replies.values(),
                *(reply for _, reply in self._arrivals),
                *(reply for *_, reply in self._updates),
            ]
            self._arrivals.clear()
            self._updates.clear()
            self._replies.clear()
        if failure is not None:
            # The engine after this one may need the memory, all of which these frames hold too.
            traceback.clear_frames(failure.__traceback__)
            self._decoder.free()
        for reply in replies:
            if failure is None:
                reply.cancel()
            else:
                error = _death(failure)
                error.__cause__ = failure
                reply.fail(error)


def _death(failure: BaseException) -> EngineDeadError:
    return EngineDeadError(
        f"the engine's decode thread failed with {type(failure).__name__}: {failure}; "
        "start a new engine"
    )
