"""How new weights get from the learner to the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from webdojo.agents.engines.folders import WEIGHTS, process_folder
from webdojo.agents.engines.weights import size_of
from webdojo.training.checkpoints import full_disk_told

if TYPE_CHECKING:
    from torch import Tensor

    from webdojo.agents.engines.adapters import Adapters
    from webdojo.training.learner import Learner
    from webdojo.training.rollouts.process import RolloutProcess


@contextmanager
def publishing(
    learner: Learner, base: Path, rollouts: RolloutProcess
) -> Iterator[Callable[[int], None]]:
    """What hands the learner's weights, under a version, to the engine.

    They go through a file that takes its name when it is whole: in shared memory, or among the
    temporary files if twice the weights have no room there. A learner of adapters, which began from
    the checkpoint ``base``, sends the adapters alone.
    """
    file: Path | None = None
    with ExitStack() as until_the_end:

        def publish(version: int) -> None:
            nonlocal file
            sent = published(learner, base)
            if file is None:
                size = size_of(sent if isinstance(sent, dict) else sent.tensors)
                # While the next file is written, the one before may still have to be read.
                folder = process_folder(WEIGHTS, 2 * size)
                file = Path(until_the_end.enter_context(folder)) / "weights.safetensors"
            write_published(sent, file)
            del sent
            rollouts.call("publish", weights=file, version=version)

        yield publish


def published(learner: Learner, base: Path) -> Adapters | dict[str, Tensor]:
    """What an engine needs of the learner's weights."""
    return learner.weights() if learner.config.lora is None else learner.adapters(base)


def write_published(sent: Adapters | dict[str, Tensor], file: Path) -> None:
    """Write what is published; the file is replaced whole."""
    from safetensors.torch import save_file

    from webdojo.agents.engines.adapters import write_adapters

    partial = file.with_suffix(".partial")
    with full_disk_told(partial.parent):
        if isinstance(sent, dict):
            save_file(sent, partial)
        else:
            write_adapters(sent, partial)
    partial.replace(file)
