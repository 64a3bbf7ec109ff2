"""What is raised when memory runs out on a step."""

from __future__ import annotations

import torch

from webdojo.tasks.errors import UserError


class MemoryRanOutError(Exception):
    """Memory ran out on a micro-batch of some process; every process raises this together.

    Nothing has changed: the step may be begun again in smaller micro-batches.
    """


class AloneOutOfMemoryError(UserError):
    """Memory ran out where no process can tell the others, which wait for this one."""


def ran_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch is a lack of memory."""
    # The CPU's allocator has no class of its own.
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
