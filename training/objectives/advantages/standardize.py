"""Values measured from the mean of those that share a label, in units of their deviation."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from webdojo.training.objectives import segments
from webdojo.training.objectives.config import Deviation


def standardize(
    values: Tensor,
    labels: Tensor,
    count: int,
    deviation: Deviation | Literal["none"],
    epsilon: float,
) -> Tensor:
    """(x − mean) / (σ + ε) among the entries of each label, [n]; x − mean if deviation is none.

    ``values`` and ``labels`` (0 … ``count`` − 1) are [n]. A value that is alone gives 0.
    """
    centred = values - segments.means(values, labels, count)[labels]
    if deviation == "none":
        return centred
    variances = segments.variances(values, labels, count, unbiased=deviation == "sample")
    return centred / (variances.sqrt()[labels] + epsilon)
