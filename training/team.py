"""The processes that train one policy together: the first leads the run, the others follow.

``accelerate launch`` (or ``torchrun``) starts ``webdojo train`` in every process. The first does
what a process alone does. Where it has the learner do something it tells the others, who do the
same: each computes its share of every gradient. Tasks, browsers, files and words are its alone.
"""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from webdojo.agents.checkpoint import Checkpoint
from webdojo.tasks.errors import UserError
from webdojo.training.learner_config import LearnerConfig
from webdojo.training.objectives.config import ObjectiveConfig

if TYPE_CHECKING:
    from webdojo.training.learner import Learner

PATIENCE = timedelta(days=7)
"""How long a process waits for the others: episodes may be recorded and played for hours."""
ORDERS = ("update", "supervised_step", "weights", "state_dict", "load_state_dict")
"""Methods of the learner that all processes go through together."""


@dataclass(frozen=True, slots=True)
class LearnerPlan:
    """What a learner is made of; every process makes the same."""

    checkpoint: Checkpoint
    config: LearnerConfig
    objective: ObjectiveConfig | None = None
    seed: int = 0
    threads: int = 1
    """Of torch, in each process."""
    deterministic: bool = False
    screenshots: Path | None = None
    """Where the screenshots are that episodes refer to, for a policy that sees."""

    def learner(self) -> Learner:
        """Make it; sets torch's seed and threads.

        What is left in memory of a learner before it, that nothing refers to any more, is freed.
        """
        import torch

        from webdojo.training.learner import Learner

        # Learners refer to themselves, through their orders to the other processes.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        torch.manual_seed(self.seed)
        torch.set_num_threads(self.threads)
        if self.deterministic:
            torch.use_deterministic_algorithms(True, warn_only=True)
        measured = self.objective is not None and self.objective.needs_reference
        return Learner(
            self.checkpoint.model(),
            self.config,
            self.objective,
            reference=self.checkpoint.model() if measured else None,
            pictures=self.checkpoint.pictures(self.screenshots) if self.screenshots else None,
        )


def follows() -> bool:
    """Whether this process was started to follow another."""
    return _size() > 1 and int(os.environ["RANK"]) > 0


class Team:
    """The leader's side; a process alone leads nobody.

    Leaving the block normally lets the others go. They are not told of an error: whoever started
    the processes ends all of them when one fails.
    """

    def __enter__(self) -> Self:
        if _size() > 1:
            _join()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if _size() > 1 and kind is None:
            _tell(None)

    def learner(self, plan: LearnerPlan) -> Learner:
        """A learner whose work is shared by all processes."""
        if _size() == 1:
            return plan.learner()
        _tell(("learner", (plan,)))
        return _led(plan.learner(), hollow_state=plan.config.sharded)


def follow() -> None:
    """Do as the leader says until it lets this process go.

    What goes wrong in all processes the leader tells of; what goes wrong in this one is raised.
    """
    from webdojo.training.out_of_memory import AloneOutOfMemoryError

    _join()
    learner: Learner | None = None
    while (order := _hear()) is not None:
        name, arguments = order
        if name == "learner":
            learner = None  # before the next takes its memory
            learner = arguments[0].learner()
            continue
        try:
            getattr(learner, name)(*arguments)
        except AloneOutOfMemoryError:
            raise
        except (UserError, ValueError):
            continue  # the leader has met the same, and says so


def _led(learner: Learner, *, hollow_state: bool) -> Learner:
    """The same, with every order told to the others first.

    Where weights are cut, the others get their pieces of a state as it is loaded, and are not sent
    the whole.
    """
    from webdojo.training.sharding import hollow

    for name in ORDERS:
        method = getattr(learner, name)

        def told(*arguments: Any, name: str = name, method: Any = method) -> Any:
            bare = hollow_state and name == "load_state_dict"
            _tell((name, tuple(map(hollow, arguments)) if bare else arguments))
            return method(*arguments)

        setattr(learner, name, told)
    return learner


def _size() -> int:
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def _join() -> None:
    import torch
    from accelerate import PartialState  # type: ignore[import-untyped]

    PartialState(cpu=not torch.accelerator.is_available(), timeout=PATIENCE)


def _tell(order: tuple[str, tuple[Any, ...]] | None) -> None:
    from torch.distributed import broadcast_object_list

    broadcast_object_list([order], src=0)


def _hear() -> tuple[str, tuple[Any, ...]] | None:
    from torch.distributed import broadcast_object_list

    heard: list[Any] = [None]
    broadcast_object_list(heard, src=0)
    order: tuple[str, tuple[Any, ...]] | None = heard[0]
    return order
