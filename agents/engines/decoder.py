"""Continuous batching: requests join and leave a running batch between decode steps.

Plain and synchronous; ``transformers_engine.py`` runs it in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from webdojo.agents.engines.attention_mask import as_model_mask, decoder_of, head_of
from webdojo.agents.engines.drawing import draw, uniform
from webdojo.agents.engines.engine import Sampling
from webdojo.agents.engines.slot_cache import SlotCache

Constraint = Callable[[Sequence[int]], Sequence[int] | None]
"""Given the ids drawn so far, the ids that may come next, or None for all."""

_PASS_TOKENS = 128
"""Padding tokens that cost about as much as one more forward pass of a small model."""


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
    first_logits: Tensor | None = None
    """What the prompt predicts [vocabulary], kept for others with the same prompt."""
    prefill_version: int = 0

    @property
    def cached(self) -> int:
        """Tokens in the cache: the prompt and all drawn but the last."""
        return len(self.prompt_ids) + len(self.token_ids) - 1

    @property
    def over(self) -> bool:
        """Whether nothing more is to be drawn."""
        return self.finished or self.error is not None or len(self.token_ids) >= self.limit


@dataclass(slots=True)
class Counters:
    """What a decoder has done since it began, in tokens and forward passes."""

    drawn_tokens: int = 0
    decode_steps: int = 0
    prefill_tokens: int = 0
    """Prompt tokens computed, padding left out."""
    shared_prompt_tokens: int = 0
    """Prompt tokens taken over from a request with the same prompt."""


class Decoder:
    """A model and the requests that it is answering."""

    def __init__(
        self,
        model: nn.Module,
        *,
        version: int,
        slots: int,
        prefill_tokens: int,
        eos_token_ids: Sequence[int],
        banned_token_ids: Sequence[int],
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
        self._banned = list(banned_token_ids)
        self._cache = SlotCache(model.config.num_hidden_layers, slots)  # type: ignore[union-attr, arg-type]

    @property
    def room(self) -> int:
        """Requests that can still join."""
        return self.slots - len(self.running)

    def admit(self, requests: Sequence[Request]) -> list[Request]:
        """Read the prompts of up to ``room`` requests and draw a first token for each.

        Equal prompts are computed once; one that a running request began with, under the same
        weights, is copied from its slot. Returns those that have left already.
        """
        base = len(self.running)
        sources: dict[tuple[int, ...], int] = {
            request.prompt_ids: slot
            for slot, request in enumerate(self.running)
            if request.prefill_version == self.version
        }
        fresh: dict[tuple[int, ...], Request] = {}
        for request in requests:
            if request.prompt_ids not in sources:
                fresh.setdefault(request.prompt_ids, request)
        # The first of each kind takes the low slots, then the others copy from them.
        firsts = sorted(fresh.values(), key=lambda r: len(r.prompt_ids))
        self.running += firsts
        sources |= {r.prompt_ids: base + i for i, r in enumerate(firsts)}
        self._prefill(firsts, base)
        for request in requests:
            source = sources[request.prompt_ids]
            model_request = self.running[source]
            if request is not model_request:
                self._cache.copy(source, len(self.running), len(request.prompt_ids))
                request.first_logits = model_request.first_logits
                self.running.append(request)
                self.counters.shared_prompt_tokens += len(request.prompt_ids)
            request.prefill_version = self.version
        joined = self.running[base:]
        if joined:
            self._draw(joined, torch.stack([_logits_of(r) for r in joined]))
        return self._retire()

    def step(self) -> list[Request]:
        """Draw one token for every running request; return those that have left the batch."""
        cancelled = self._retire()
        if not self.running:
            return cancelled
        lengths = [request.cached for request in self.running]
        places = self._tensor(lengths)
        longest = max(lengths)
        self._cache.begin_step(places, longest)
        visible = torch.arange(longest + 1, device=places.device) <= places[:, None]
        hidden = decoder_of(self.model)(
            input_ids=self._tensor([request.token_ids[-1] for request in self.running])[:, None],
            position_ids=places[:, None],
            attention_mask=as_model_mask(self.model, visible[:, None, None]),
            past_key_values=self._cache,
            use_cache=True,
        ).last_hidden_state
        self.counters.decode_steps += 1
        self._draw(self.running, head_of(self.model)(hidden[:, 0]).float())
        return cancelled + self._retire()

    def swap(self, weights: Mapping[str, Tensor], version: int) -> None:
        """Put new weights in place; the cached keys and values of running requests stay.

        Raises ValueError, leaving the old weights, if names or shapes do not fit.
        """
        check_fit(self.model, weights)
        own = self.model.state_dict()
        for name, value in weights.items():
            own[name].copy_(value)
        self.version = version

    def _prefill(self, requests: list[Request], base: int) -> None:
        """Compute prompts (short to long) into slots ``base`` …, right-padded, a few at a time."""
        batch: list[tuple[int, Request]] = []
        for slot, request in enumerate(requests, base):
            length = len(request.prompt_ids)
            if batch:
                padding = (length - len(batch[-1][1].prompt_ids)) * len(batch)
                if padding > _PASS_TOKENS or length * (len(batch) + 1) > self._prefill_tokens:
                    self._prefill_batch(batch)
                    batch = []
            batch.append((slot, request))
        if batch:
            self._prefill_batch(batch)

    def _prefill_batch(self, batch: list[tuple[int, Request]]) -> None:
        lengths = [len(request.prompt_ids) for _, request in batch]
        longest = max(lengths)
        ids = self._tensor(
            [[*r.prompt_ids, *[0] * (longest - len(r.prompt_ids))] for _, r in batch]
        )
        cache = DynamicCache()
        # Padding stands on the right, where causal attention never looks: no mask is needed.
        hidden = decoder_of(self.model)(
            input_ids=ids, past_key_values=cache, use_cache=True
        ).last_hidden_state
        last = hidden[self._tensor(list(range(len(batch)))), self._tensor(lengths) - 1]
        logits = head_of(self.model)(last).float()
        for row, (slot, request) in enumerate(batch):
            request.first_logits = logits[row]
            self._cache.write(slot, cache, row, lengths[row])
        self.counters.prefill_tokens += sum(lengths)

    def _draw(self, requests: list[Request], logits: Tensor) -> None:
        """Draw a token for each request from its row of ``logits`` [requests, vocabulary]."""
        if self._banned:
            logits = logits.index_fill(-1, self._tensor(self._banned), -torch.inf)
        logits = self._constrain(requests, logits)
        for row, finite in enumerate(logits.logsumexp(-1).isfinite().tolist()):
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
            request.first_logits = None
            last = self.running.pop()
            if last is not request:
                self._cache.copy(len(self.running), slot, last.cached)
                self.running[slot] = last
        return left

    def _tensor(self, values: Sequence[object]) -> Tensor:
        device = next(self.model.parameters()).device
        return torch.tensor(values, dtype=torch.long, device=device)


def check_fit(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless ``weights`` name all of the model's parameters in their shapes.

    A tied weight may be given under any one of its names.
    """
    own = model.state_dict()
    unknown = [name for name in weights if name not in own]
    if unknown:
        raise ValueError(
            f"{len(unknown)} weights are unknown to the model ({_first(unknown)}); "
            "they belong to another architecture"
        )
    given = {own[name].data_ptr() for name in weights}
    missing = [name for name, value in own.items() if value.data_ptr() not in given]
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


def _logits_of(request: Request) -> Tensor:
    assert request.first_logits is not None
    return request.first_logits
