"""Which recorded figures of reinforcement make which chart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """A chart and the figures it draws, with the label of each; those not recorded are left out."""

    title: str
    note: str
    figures: Mapping[str, str]
    shares: bool = False
    """Whether the figures lie in [0, 1] and are drawn over all of it."""
    from_zero: bool = True
    good_and_bad: bool = False
    """Whether the first figure is of successes and the second of failures."""


LEARNING = (
    Wanted(
        "Reward",
        "Of all episodes; of those trained on, only groups whose rewards differ are taken.",
        {"reward/mean": "all episodes", "reward/trained": "trained on"},
        shares=True,
    ),
    Wanted(
        "Mixed groups",
        "Groups whose rewards differ. Only these carry a gradient; the others are replaced.",
        {"groups/mixed_share": "share"},
        shares=True,
    ),
    Wanted("Entropy", "Of the policy's next token, in nats.", {"entropy": "entropy"}),
    Wanted(
        "Steps an episode",
        "Of the episodes trained on.",
        {"steps/success": "successes", "steps/failure": "failures"},
        good_and_bad=True,
    ),
    Wanted(
        "Response tokens an episode",
        "Of the episodes trained on.",
        {"tokens/success": "successes", "tokens/failure": "failures"},
        good_and_bad=True,
    ),
)
PACE = (
    Wanted("Episodes a minute", "", {"episodes_per_min": "episodes"}),
    Wanted(
        "Idle share",
        "Rollout: slots without an episode. Learner: waiting for groups.",
        {"rollout/idle_share": "rollout", "learner/idle_share": "learner"},
        shares=True,
    ),
)
STABILITY = (
    Wanted(
        "Staleness",
        "Versions between a token and the learner that trains on it.",
        {"staleness_mean": "mean", "staleness_max": "highest"},
    ),
    Wanted(
        "Clipped and dropped tokens",
        "Shares. Clipped: the ratio left the trust region. Dropped: the importance weight passed"
        " its cap.",
        {"clip_rate": "clipped", "dropped_token_rate": "dropped"},
    ),
    Wanted("Loss", "", {"loss": "loss"}, from_zero=False),
    Wanted("Gradient norm", "Before clipping.", {"grad_norm": "norm"}),
    Wanted(
        "KL divergence",
        "In nats a token: from the policy that acted (k3 estimate), and from the reference.",
        {"kl_behaviour_k3": "behaviour", "kl_reference": "reference", "kl": "KL"},
    ),
    Wanted(
        "Log-probability mismatch",
        "In nats, between the engine that drew a token and the learner, under the same weights.",
        {"logprob_mismatch_mean": "mean", "logprob_mismatch_max": "highest"},
    ),
    Wanted(
        "Effective sample size",
        "Of the importance weights, as a share of the tokens; 1 on policy.",
        {"effective_sample_size": "share"},
    ),
)
OTHER_NAMES = {
    "staleness/mean": "staleness_mean",
    "staleness/max": "staleness_max",
    "logprob_mismatch": "logprob_mismatch_mean",
}
"""Names under which a figure may be recorded instead."""
