"""Drawing tokens from logits, repeatably.

Each request has its own stream of uniform numbers, a pure function of its seed and of the
token's index, so a draw does not depend on what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def uniform(seed: int, index: int) -> float:
    """The ``index``-th number in [0, 1) of the stream of ``seed`` (SplitMix64, seed hashed)."""
    bits = _mix((_mix(seed & _MASK) + (index + 1) * _GOLDEN) & _MASK)
    return float(bits >> 11) * 2.0**-53


def draw(
    logits: Tensor, temperatures: Sequence[float], uniforms: Sequence[float]
) -> tuple[list[int], list[float]]:
    """Draw one token a row: its id, and its log-probability (nats) under what it was drawn from.

    ``logits`` [rows, vocabulary] is float32 with −inf where a token is not allowed. The token is
    where the cumulative distribution of logits / temperature passes the row's uniform number. At
    temperature 0 it is the most likely one, drawn with certainty: log-probability 0.
    """
    greedy = [temperature == 0 for temperature in temperatures]
    scale = [1.0 if is_greedy else t for t, is_greedy in zip(temperatures, greedy, strict=True)]
    device = logits.device
    best = logits.argmax(-1)
    if all(greedy):
        return best.tolist(), [0.0] * len(greedy)
    logprobs = torch.log_softmax(logits / torch.tensor(scale, device=device)[:, None], -1)
    # Sums over a large vocabulary lose small probabilities in float32.
    cumulative = logprobs.double().exp().cumsum(-1)
    threshold = torch.tensor(uniforms, dtype=torch.float64, device=device)[:, None]
    threshold = threshold * cumulative[:, -1:]
    drawn = torch.searchsorted(cumulative, threshold, right=True)[:, 0]
    take_best = torch.tensor(greedy, device=device) | (drawn >= logits.shape[-1])
    tokens = torch.where(take_best, best, drawn)
    chosen = logprobs.gather(-1, tokens[:, None])[:, 0].tolist()
    return tokens.tolist(), [0.0 if g else lp for g, lp in zip(greedy, chosen, strict=True)]


def _mix(bits: int) -> int:
    """SplitMix64's finaliser: every input bit moves every output bit."""
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
    return bits ^ (bits >> 31)
