"""Sums and means over the entries that share a label; entries may stand in any order."""

from __future__ import annotations

import torch
from torch import Tensor


def sums(values: Tensor, labels: Tensor, count: int) -> Tensor:
    """Sum of ``values`` [n] for each label 0 … ``count`` − 1 in ``labels`` [n], [count]."""
    return values.new_zeros(count).index_add(0, labels, values)


def means(values: Tensor, labels: Tensor, count: int) -> Tensor:
    """Mean of ``values`` [n] for each label, [count]; 0 for a label that nothing has."""
    sizes = torch.bincount(labels, minlength=count)
    return sums(values, labels, count) / sizes.clamp(min=1)


def variances(values: Tensor, labels: Tensor, count: int, *, unbiased: bool) -> Tensor:
    """Variance of ``values`` [n] for each label, [count]; 0 for fewer than two entries."""
    centred = values - means(values, labels, count)[labels]
    freedom = torch.bincount(labels, minlength=count) - int(unbiased)
    return sums(centred.square(), labels, count) / freedom.clamp(min=1)


def running_sums(values: Tensor, labels: Tensor) -> Tensor:
    """Sum of each entry and those before it with its label, in place of the entry, [n]."""
    order = torch.argsort(labels, stable=True)
    totals = values[order].cumsum(0)
    ordered = labels[order]
    opens = torch.ones_like(ordered, dtype=torch.bool)
    opens[1:] = ordered[1:] != ordered[:-1]
    before = (totals - values[order])[opens]
    segment = opens.long().cumsum(0) - 1
    return torch.empty_like(totals).index_copy(0, order, totals - before[segment])
