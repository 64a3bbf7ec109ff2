"""Batches with known and with random contents, and their losses whole and in parts."""

import random
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from webdojo.training.objectives.batch import Batch
from webdojo.training.objectives.config import ObjectiveConfig
from webdojo.training.objectives.objective import prepare, surrogate
from webdojo.training.objectives.statistics import Statistics


def table(groups, states=None, step_rewards=None, pool=None) -> Batch:
    """A batch from [[(reward, [tokens of turn 0, …]), …], …]: groups of trajectories of turns."""
    trajectories = [(g, *entry) for g, group in enumerate(groups) for entry in group]
    turns = [
        (i, t, tokens)
        for i, (_, _, counts) in enumerate(trajectories)
        for t, tokens in enumerate(counts)
    ]
    return Batch(
        rewards=torch.tensor([reward for _, reward, _ in trajectories], dtype=torch.float64),
        groups=torch.tensor([g for g, _, _ in trajectories], dtype=torch.long),
        trajectories=torch.tensor([i for i, _, _ in turns], dtype=torch.long),
        turn_indices=torch.tensor([t for _, t, _ in turns], dtype=torch.long),
        token_counts=torch.tensor([tokens for _, _, tokens in turns], dtype=torch.long),
        step_rewards=torch.tensor(step_rewards or [0.0] * len(turns), dtype=torch.float64),
        states=torch.tensor(states or [-1] * len(turns), dtype=torch.long),
        pool=pool,
    )


@dataclass
class Example:
    """A batch and the log-probabilities of its tokens, float64 [tokens]."""

    batch: Batch
    logprobs: Tensor
    proximal: Tensor
    behaviour: Tensor
    reference: Tensor
    entropies: Tensor

    def loss(self, config: ObjectiveConfig, rows=None) -> tuple[Tensor, Statistics]:
        """Loss of the given rows, in the given order; of all by default."""
        rows = list(range(self.batch.row_count)) if rows is None else rows
        weights, advantages = prepare(self.batch, config)
        at = self.batch.tokens_of(rows)
        counts = self.batch.token_counts[torch.tensor(rows, dtype=torch.long)]
        return surrogate(
            self.logprobs[at],
            config,
            proximal=self.proximal[at],
            behaviour=self.behaviour[at],
            advantages=advantages[at],
            weights=weights[at],
            token_rows=torch.tensor(rows, dtype=torch.long).repeat_interleave(counts),
            reference=self.reference[at],
            entropies=self.entropies[at],
        )


def random_example(seed: int, groups=3, members=4, drift=0.5) -> Example:
    """Groups with mixed rewards, rows with 0 to 5 tokens, and every policy a little different."""
    rng = random.Random(seed)
    rows = [
        [
            (rng.choice([0.0, 1.0, 0.25]), [rng.randint(0, 5) for _ in range(rng.randint(1, 5))])
            for _ in range(members)
        ]
        for _ in range(groups)
    ]
    rows[0][0] = (1.0, [3, 2])
    rows[0][1] = (0.0, [4, 0, 1])
    count = sum(len(turns) for group in rows for _, turns in group)
    batch = table(
        rows,
        states=[rng.randint(-1, 3) for _ in range(count)],
        step_rewards=[rng.choice([0.0, 0.1]) for _ in range(count)],
    )
    generator = torch.Generator().manual_seed(seed)

    def noise(scale):
        return scale * torch.randn(batch.token_count, generator=generator, dtype=torch.float64)

    logprobs = -noise(1).abs()
    proximal = logprobs + noise(drift)
    return Example(
        batch,
        logprobs.requires_grad_(),
        proximal,
        proximal + noise(drift),
        logprobs.detach() + noise(drift),
        noise(1).abs().requires_grad_(),
    )


def reordered(example: Example, order: list[int]) -> Example:
    """The same example with its rows in another order."""
    batch, at = example.batch, example.batch.tokens_of(order)
    rows = torch.tensor(order)
    return Example(
        replace(
            batch,
            trajectories=batch.trajectories[rows],
            turn_indices=batch.turn_indices[rows],
            token_counts=batch.token_counts[rows],
            step_rewards=batch.step_rewards[rows],
            states=batch.states[rows],
        ),
        *(getattr(example, name)[at] for name in TOKEN_FIELDS),
    )


TOKEN_FIELDS = ("logprobs", "proximal", "behaviour", "reference", "entropies")
