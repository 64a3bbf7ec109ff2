"""Continuous batching: requests join and leave a running batch between decode steps.

Plain and synchronous; ``transformers_engine.py`` runs it in a thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from webdojo.agents.architecture import placeholder_ids, text_config
from webdojo.agents.engines.attention_mask import as_model_mask, decoder_of, head_of
from webdojo.agents.engines.drawing import draw, uniform
from webdojo.agents.engines.engine import Sampling
from webdojo.agents.engines.image_prompt import ImagePrompt
from webdojo.agents.engines.looking import Looking
from webdojo.agents.engines.prefix_store import PrefixStore
from webdojo.agents.engines.slot_cache import SlotCache
from webdojo.agents.engines.weights import read_safetensors

Constraint = Callable[[Sequence[int]], Sequence[int] | None]
"""Given the ids drawn so far, the ids that may come next, or None for all."""

_PASS_TOKENS = 128
"""Padding tokens that cost about as much as one more forward pass of a small model."""

_MIN_SHARED = 16
"""A shorter common beginning is not worth copying."""


@dataclass(slots=True, eq=False)
class Request:
    """One response being drawn; ``limit`` is the most tokens it may have."""

    prompt_ids: tuple[int, ...]
    sampling: Sampling
    limit: int
    constraint: Constraint | None = None
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    finished: bool = False
    """Whether the response ended by itself."""
    cancelled: bool = False
    """Set from outside; the request leaves the batch before the next step."""
    error: Exception | None = None
    swaps: int = 0
    """How often weights had been swapped when the prompt was read."""
    images: ImagePrompt | None = None
    """The prompt's images, if it has any."""

    @property
    def keys(self) -> tuple[int, ...]:
        """The prompt; equal for prompts that mean the same, images included."""
        return self.images.keys if self.images else self.prompt_ids

    @property
    def cached(self) -> int:
        """Tokens in the cache: the prompt and all drawn but the last."""
        return len(self.prompt_ids) + len(self.token_ids) - 1

    @property
    def cached_keys(self) -> tuple[int, ...]:
        """What is in the cache."""
        return (*self.keys, *self.token_ids[:-1])

    @property
    def over(self) -> bool:
        """Whether nothing more is to be drawn."""
        return self.finished or self.error is not None or len(self.token_ids) >= self.limit


@dataclass(slots=True)
class Counters:
    """What a decoder has done since it began, in tokens, forward passes and seconds."""

    drawn_tokens: int = 0
    decode_steps: int = 0
    prefill_tokens: int = 0
    """Prompt tokens computed, padding left out."""
    shared_prompt_tokens: int = 0
    """Prompt tokens whose keys and values another sequence had in the cache already."""
    swap_s: float = 0.0
    """Seconds for which new weights were put in place and nothing was drawn."""


class Decoder:
    """A model and the requests that it is answering.

    Running requests fill slots 0 … n − 1 of the cache; when one ends, the last moves into its
    place. ``kept`` more slots hold sequences that have ended.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        version: int,
        slots: int,
        kept: int,
        prefill_tokens: int,
        eos_token_ids: Sequence[int],
        banned_token_ids: Sequence[int],
        looking: Looking | None = None,
    ) -> None:
        if slots < 1:
            raise ValueError(f"slots is {slots}; a decoder needs at least one")
        self.model = model.eval()
        self.version = version
        self.slots = slots
        self.running: list[Request] = []
        """The request in slot 0, 1, …"""
        self.counters = Counters()
        self._prefill_tokens = prefill_tokens
        self._eos = frozenset(eos_token_ids)
        never = placeholder_ids(model.config)  # type: ignore[arg-type]
        self._banned = sorted({*banned_token_ids, *never})
        self._looking = looking
        self._cache = SlotCache(text_config(model).num_hidden_layers, slots + kept)
        self._store = PrefixStore(slots, kept)
        self._swaps = 0

    @property
    def room(self) -> int:
        """Requests that can still join."""
        return self.slots - len(self.running)

    def admit(self, requests: Sequence[Request]) -> list[Request]:
        """Read the prompts of up to ``room`` requests and draw a first token for each.

        Equal prompts are computed once. A beginning that the cache holds already, computed under
        the present weights, is copied. Returns those that have left already.
        """
        blind = self._look(requests)
        requests = [request for request in requests if request.error is None]
        left = blind + (self._admit(requests) if requests else [])
        if self._looking is not None:
            self._looking.trim()
        return left

    def _admit(self, requests: Sequence[Request]) -> list[Request]:
        base = len(self.running)
        known = [
            (slot, request.cached_keys)
            for slot, request in enumerate(self.running)
            if request.swaps == self._swaps
        ]
        distinct = {request.keys: request for request in requests}
        shared = {prompt: self._store.longest(prompt[:-1], known) for prompt in distinct}
        starts = {p: length if length >= _MIN_SHARED else 0 for p, (_, length) in shared.items()}
        # Neighbouring slots of similar work go through one forward pass.
        order = sorted(distinct, key=lambda prompt: len(prompt) - starts[prompt])
        for slot, prompt in enumerate(order, base):
            if starts[prompt]:
                self._cache.copy(shared[prompt][0], slot, starts[prompt])
        first_ones = [distinct[prompt] for prompt in order]
        logits = self._prefill(first_ones, [starts[prompt] for prompt in order], base)
        self.running += first_ones
        rows = list(range(len(order)))
        first = {prompt: row for row, prompt in enumerate(order)}
        for request in requests:
            prompt = request.keys
            if request is not distinct[prompt]:
                self._cache.copy(base + first[prompt], len(self.running), len(prompt))
                self.running.append(request)
                rows.append(first[prompt])
            request.swaps = self._swaps
        computed = sum(len(prompt) - starts[prompt] for prompt in order)
        self.counters.prefill_tokens += computed
        self.counters.shared_prompt_tokens += sum(len(r.prompt_ids) for r in requests) - computed
        self._draw(self.running[base:], logits[self._tensor(rows)])
        return self._retire()

    def step(self) -> list[Request]:
        """Draw one token for every running request; return those that have left the batch."""
        cancelled = self._retire()
        if not self.running:
            return cancelled
        logits = self._forward(
            0,
            self.running,
            [request.token_ids[-1:] for request in self.running],
            [request.cached for request in self.running],
        )
        self.counters.decode_steps += 1
        self._draw(self.running, logits)
        return cancelled + self._retire()

    def swap(self, source: Mapping[str, Tensor] | Path, version: int) -> None:
        """Put new weights in place; the cached keys and values of running requests stay.

        Raises ValueError, leaving the old weights, if names or shapes do not fit, and what
        ``read_safetensors`` raises.
        """
        began = time.perf_counter()
        # Read beside the next step a file would hold that up for longer: two threads of Python
        # hand the interpreter over for every tensor. It is mapped, so its bytes come with the copy.
        weights = read_safetensors(source) if isinstance(source, Path) else source
        check_fit(self.model, weights)
        own = self.model.state_dict()
        for name, value in weights.items():
            own[name].copy_(value)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.counters.swap_s += time.perf_counter() - began
        self.version = version
        self._swaps += 1
        self._store.clear()
        if self._looking is not None:
            self._looking.forget()

    def free(self) -> None:
        """Let go of the weights and of what they computed: nothing can be drawn any more."""
        del self.model, self._cache, self._looking

    def _look(self, requests: Sequence[Request]) -> list[Request]:
        """Have the images of the prompts looked at; gives those that have lost one."""
        blind = []
        for request in requests:
            if request.images is None:
                continue
            assert self._looking is not None
            try:
                self._looking.prepare(self.model, request.images)
            except LookupError as error:
                request.error = error
                blind.append(request)
        return blind

    def _prefill(self, requests: list[Request], starts: list[int], base: int) -> Tensor:
        """Read prompts from their ``starts`` on into slots ``base`` …, a few at a time.

        Sorted by the number of tokens to read. Returns what each predicts [prompts, vocabulary].
        """
        todo = [request.keys[start:] for request, start in zip(requests, starts, strict=True)]
        logits = []
        begin = 0
        for end in range(1, len(todo) + 1):
            if end < len(todo):
                length, count = len(todo[end]), end - begin
                padding = (length - len(todo[end - 1])) * count
                if padding <= _PASS_TOKENS and length * (count + 1) <= self._prefill_tokens:
                    continue
            part = slice(begin, end)
            logits.append(self._forward(base + begin, requests[part], todo[part], starts[part]))
            begin = end
        return torch.cat(logits)

    def _forward(
        self,
        first: int,
        requests: Sequence[Request],
        tokens: Sequence[Sequence[int]],
        starts: Sequence[int],
    ) -> Tensor:
        """Append tokens to the requests' sequences in slots ``first`` …, which hold ``starts``.

        Returns the logits, float32, after the last token of each [sequences, vocabulary].
        """
        lengths = [len(sequence) for sequence in tokens]
        longest = max(lengths)
        first_places = self._tensor(starts)[:, None]
        places = first_places + torch.arange(longest, device=first_places.device)
        # Padding lands behind its sequence, where the next tokens overwrite it before it is seen.
        seen = max(starts) + longest
        self._cache.begin(first, places, seen)
        visible = torch.arange(seen, device=places.device) <= places[:, :, None]
        images = [request.images for request in requests]
        if self._looking is not None and any(images):
            inputs = self._looking.inputs(self.model, tokens, starts, images)
        else:
            ids = self._tensor([[*t, *[0] * (longest - len(t))] for t in tokens])
            inputs = {"input_ids": ids, "position_ids": places}
        hidden = decoder_of(self.model)(
            **inputs,
            attention_mask=as_model_mask(self.model, visible[:, None]),
            past_key_values=self._cache,
            use_cache=True,
        ).last_hidden_state
        rows = torch.arange(len(lengths), device=places.device)
        last = hidden[rows, self._tensor(lengths) - 1]
        logits: Tensor = head_of(self.model)(last).float()
        return logits

    def _draw(self, requests: list[Request], logits: Tensor) -> None:
        """Draw a token for each request from its row of ``logits`` [requests, vocabulary]."""
        if self._banned:
            logits = logits.index_fill(-1, self._tensor(self._banned), -torch.inf)
        logits = self._constrain(requests, logits)
        for row, finite in enumerate(logits.amax(-1).isfinite().tolist()):
            if not finite and requests[row].error is None:
                requests[row].error = FloatingPointError(
                    f"policy version {self.version} gives logits that are not finite; "
                    "load sound weights with update_weights"
                )
        tokens, logprobs = draw(
            logits,
            [request.sampling.temperature for request in requests],
            [uniform(request.sampling.seed, len(request.token_ids)) for request in requests],
        )
        for request, token, logprob in zip(requests, tokens, logprobs, strict=True):
            if request.error is not None:
                continue
            request.token_ids.append(token)
            request.logprobs.append(logprob)
            request.versions.append(self.version)
            request.finished = token in self._eos
            self.counters.drawn_tokens += 1

    def _constrain(self, requests: list[Request], logits: Tensor) -> Tensor:
        """Forbid what the requests' constraints forbid; a failing one fails its request only."""
        for row, request in enumerate(requests):
            if request.constraint is None:
                continue
            try:
                allowed = request.constraint(tuple(request.token_ids))
                if allowed is None:
                    continue
                bias = torch.full_like(logits[row], -torch.inf)
                bias[self._tensor(list(allowed))] = 0
                if not len(allowed) or (logits[row] + bias).max() == -torch.inf:
                    raise ValueError(
                        f"the constraint allows no token after {request.token_ids}; "
                        "it must allow at least one that is not banned"
                    )
            except Exception as error:  # noqa: BLE001 - the caller's code; reported to the caller
                request.error = error
                continue
            logits[row] += bias
        return logits

    def _retire(self) -> list[Request]:
        """Free the slots of requests that are over or cancelled, and return them."""
        left = []
        for slot in reversed(range(len(self.running))):
            request = self.running[slot]
            if not (request.over or request.cancelled):
                continue
            left.append(request)
            if request.error is None:
                self._keep(request, slot)
            else:  # it may have put NaN there
                self._cache.clear(slot)
            last = self.running.pop()
            if last is not request:
                self._cache.copy(len(self.running), slot, last.cached)
                self.running[slot] = last
        return left

    def _keep(self, request: Request, slot: int) -> None:
        """Keep what the present weights computed for a request that leaves."""
        if request.swaps != self._swaps or not request.token_ids:
            return
        place = self._store.place_for(request.cached_keys)
        if place is not None:
            self._cache.copy(slot, place, request.cached)

    def _tensor(self, values: Sequence[object]) -> Tensor:
        device = next(self.model.parameters()).device
        return torch.tensor(values, dtype=torch.long, device=device)


def check_fit(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless ``weights`` name all of the model's parameters in their shapes.

    A tied weight may be given under any one of its names.
    """
    own = model.state_dict(keep_vars=True)
    unknown = [name for name in weights if name not in own]
    if unknown:
        raise ValueError(
            f"{len(unknown)} weights are unknown to the model ({_first(unknown)}); "
            "they belong to another architecture"
        )
    given = {id(own[name]) for name in weights}
    missing = [name for name, value in own.items() if id(value) not in given]
    if missing:
        raise ValueError(
            f"{len(missing)} weights of the model are missing ({_first(missing)}); "
            "give the whole state dict"
        )
    for name, value in weights.items():
        if value.shape != own[name].shape:
            raise ValueError(
                f"weight {name} has shape {tuple(value.shape)}, the model's has "
                f"{tuple(own[name].shape)}; load a checkpoint of the same configuration"
            )


def _first(names: Sequence[str]) -> str:
    return ", ".join(islice(names, 3)) + (", …" if len(names) > 3 else "")
