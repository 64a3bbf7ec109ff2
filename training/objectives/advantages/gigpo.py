"""Group-in-group advantages: the episode's, and each turn's among turns at the same state."""

from __future__ import annotations

import torch
from torch import Tensor

from webdojo.training.objectives.advantages.standardize import standardize
from webdojo.training.objectives.batch import Batch
from webdojo.training.objectives.config import GigpoAdvantage


def gigpo(batch: Batch, config: GigpoAdvantage) -> Tensor:
    """A = A_episode + ω · A_step, [rows] (GiGPO, arXiv 2505.10978).

    A_episode standardizes the reward among the trajectories of a group; A_step standardizes the
    return from a turn on among all turns of the group that began in the same state. A turn that
    is alone at its state, or whose state is unknown, has A_step = 0.
    """
    episode = standardize(
        batch.rewards, batch.groups, batch.group_count, config.deviation, config.epsilon
    )
    known = batch.states >= 0
    keys = torch.stack([batch.groups[batch.trajectories], batch.states])[:, known]
    anchors, labels = torch.unique(keys, dim=1, return_inverse=True)
    step = torch.zeros_like(batch.step_rewards)
    step[known] = standardize(
        step_returns(batch, config.gamma, config.outcome_on_last_turn)[known],
        labels,
        anchors.shape[1],
        config.deviation,
        config.epsilon,
    )
    return episode[batch.trajectories] + config.omega * step


def step_returns(batch: Batch, gamma: float, outcome_on_last_turn: bool) -> Tensor:
    """Σ_{k ≥ j} γ^(k − j) · r_k from each turn j of a trajectory on, [rows].

    ``outcome_on_last_turn`` adds the trajectory's reward to the r of its last turn.
    """
    rewards = batch.step_rewards.tolist()
    trajectories = batch.trajectories.tolist()
    turns = batch.turn_indices.tolist()
    outcomes = batch.rewards.tolist() if outcome_on_last_turn else [0.0] * batch.rewards.numel()
    returns = [0.0] * batch.row_count
    following: dict[int, tuple[int, float]] = {}
    for row in sorted(range(batch.row_count), key=turns.__getitem__, reverse=True):
        trajectory, turn = trajectories[row], turns[row]
        next_turn, later = following.get(trajectory, (turn, outcomes[trajectory]))
        returns[row] = rewards[row] + gamma ** (next_turn - turn) * later
        following[trajectory] = (turn, returns[row])
    return batch.step_rewards.new_tensor(returns)
