"""A bound on log-ratios, so that no exponential overflows."""

from __future__ import annotations

from torch import Tensor

LARGEST_LOG_RATIO = 20.0
"""e^20 ≈ 5e8 is far outside every clip, and its square still fits float32."""


def limited(log_ratios: Tensor) -> Tensor:
    """Clamp to ± ``LARGEST_LOG_RATIO`` nats.

    Past e^88 a float32 ratio is infinite, and then even the branch that a clip discards sends
    0 · inf = NaN back through the exponential.
    """
    return log_ratios.clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO)
