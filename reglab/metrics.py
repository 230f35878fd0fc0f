"""Measures that several papers share; each takes and returns tensors and has an independent check in its test."""

from __future__ import annotations

import torch
from torch import Tensor


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the share of examples whose largest logit is at the label: [..., N, C], [..., N] -> [...]."""
    return (logits.argmax(-1) == labels).float().mean(-1)


def share_where(condition: Tensor, mask: Tensor) -> Tensor:
    """Return the share of the masked examples for which a condition is true: [..., N], [..., N] -> [...].

    NaN where the mask is empty.
    """
    return mean_where(condition.float(), mask)


def mean_where(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of values over the masked examples: [..., N], [..., N] bool -> [...]; NaN for an empty mask."""
    return torch.where(mask, values, 0).sum(-1) / mask.sum(-1)
