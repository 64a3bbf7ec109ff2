"""What HTTP's Retry-After header asks for."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime


def seconds_of(retry_after: str) -> float:
    """Seconds from now that a Retry-After header names, a number or a date; 0 if neither."""
    told = retry_after.strip()
    if told.isascii() and told.isdecimal():
        return float(told[:9])
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0
