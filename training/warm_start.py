"""The warm start: supervised training on demonstrations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from random import Random

from webdojo.agents.pictures import MissingPictureError
from webdojo.tasks.success import is_success
from webdojo.training.config import TrainConfig
from webdojo.training.learner import Learner
from webdojo.training.learner_config import LearnerConfig
from webdojo.training.packing import Row
from webdojo.training.rollouts.trajectory import Trajectory
from webdojo.training.turn_rows import TEXT, TurnRows

BETAS = (0.9, 0.95)
"""Of AdamW: steps are few, and 0.999 would look back over more than there are."""


def rows_of(trajectories: Iterable[Trajectory], turns: TurnRows = TEXT) -> list[Row]:
    """One row for each turn that has a response, of successful episodes only.

    ``turns`` finds the screenshots of the prompts; a turn that has lost one is left out.
    """
    rows = []
    for trajectory in trajectories:
        for turn in trajectory.turns if is_success(trajectory.reward) else ():
            with suppress(MissingPictureError):
                if turn.response_ids:
                    rows.append(turns.row(turn))
    return rows


def batches(rows: Sequence[Row], batch_tokens: int, epochs: int, seed: int) -> Iterator[list[Row]]:
    """Every row once an epoch, shuffled, in batches of about ``batch_tokens`` tokens."""
    for epoch in range(epochs):
        order = list(rows)
        Random(f"{seed}/{epoch}").shuffle(order)
        batch: list[Row] = []
        size = 0
        for row in order:
            batch.append(row)
            size += len(row.token_ids)
            if size >= batch_tokens:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch


def count_batches(rows: Sequence[Row], batch_tokens: int, epochs: int, seed: int) -> int:
    """How many batches ``batches`` gives."""
    return sum(1 for _ in batches(rows, batch_tokens, epochs, seed))


def learner_config(config: TrainConfig, steps: int) -> LearnerConfig:
    """How the learner takes so many steps: on a schedule that is not reinforcement's."""
    return config.learner.whole(
        lr=config.warm_start.lr,
        betas=BETAS,
        schedule="cosine",
        warmup_steps=max(1, min(20, steps // 10)),
        total_steps=steps + 1,
        final_lr_ratio=0.0,
        seed=config.seed,
    )


def warm_start(
    learner: Learner,
    rows: Sequence[Row],
    batch_tokens: int,
    epochs: int,
    seed: int,
    on_step: Callable[[int, dict[str, float]], None],
) -> None:
    """Train ``learner`` on ``rows``."""
    for step, batch in enumerate(batches(rows, batch_tokens, epochs, seed), start=1):
        on_step(step, learner.supervised_step(batch))
