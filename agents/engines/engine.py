"""The engine contract: prompt tokens in, response tokens out, weights swapped while running."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from webdojo.agents.engines.decoder import Counters


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a response is drawn.

    ``temperature`` 0 is greedy. ``seed`` makes the draw repeatable: the same seed and prompt
    under the same weights give the same tokens whatever else runs in the batch. Behaviour
    log-probabilities are those of the distribution actually sampled from (temperature applied).
    """

    temperature: float = 1.0
    max_tokens: int = 64
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """A response, token by token.

    ``token_ids``, ``logprobs`` and ``versions`` have one entry a token [tokens]: the id, the log
    probability (nats) under the distribution sampled from, and the policy version that drew it.
    ``finished`` is False when ``max_tokens`` or the context limit cut the response short.
    """

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    versions: tuple[int, ...]
    finished: bool


class ContextOverflowError(ValueError):
    """The prompt leaves no room for a response in the model's context."""


class EngineDeadError(RuntimeError):
    """The engine no longer serves: it was closed, or what decodes in it failed."""


class Engine(Protocol):
    """Serves one policy to many episodes at once."""

    @property
    def version(self) -> int:
        """The policy version now in use."""
        ...

    @property
    def counters(self) -> Counters:
        """What the engine has done so far."""
        ...

    async def generate(
        self, prompt_ids: Sequence[int], sampling: Sampling, *, images: Sequence[str] = ()
    ) -> Completion:
        """Draw one response.

        ``images`` are references of the screenshots that the prompt's placeholder tokens stand
        for, in order. Raises ContextOverflowError if the prompt is too long, ValueError if images
        and placeholders do not match. Cancelling the call frees its place.
        """
        ...

    async def update_weights(self, source: Mapping[str, torch.Tensor] | Path, version: int) -> None:
        """Swap weights between two decode steps; running responses go on under the new ones."""
        ...

    async def checksum(self) -> int:
        """Sum over the weights now served, equal to ``weights.checksum`` of the same weights."""
        ...

    async def close(self) -> None:
        """Stop serving; pending calls are cancelled. Closing twice is fine."""
        ...
