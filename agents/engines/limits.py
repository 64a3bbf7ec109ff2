"""What an engine can be asked for."""

from __future__ import annotations

from collections.abc import Sequence

from webdojo.agents.engines.engine import ContextOverflowError, Sampling


def response_limit(
    prompt: Sequence[int], sampling: Sampling, *, vocabulary: int, context: int
) -> int:
    """How many tokens a response may have.

    Raises ContextOverflowError if the prompt leaves no room for any, ValueError for a prompt or
    sampling that cannot be served.
    """
    room = context - len(prompt)
    if room < 1:
        raise ContextOverflowError(
            f"the prompt has {len(prompt)} tokens, which leaves no room for a response in a "
            f"context of {context}; shorten the observation or the history"
        )
    if not prompt:
        raise ValueError("the prompt is empty; give at least one token")
    strange = next((t for t in prompt if not 0 <= t < vocabulary), None)
    if strange is not None:
        raise ValueError(
            f"the prompt holds token {strange}, but the vocabulary has {vocabulary}; "
            "encode it with the tokenizer of this checkpoint"
        )
    if sampling.max_tokens < 1:
        raise ValueError(f"max_tokens is {sampling.max_tokens}; it must be at least 1")
    if not 0 <= sampling.temperature < float("inf"):
        raise ValueError(
            f"temperature is {sampling.temperature}; it must be 0 (greedy) or positive"
        )
    return min(sampling.max_tokens, room)
