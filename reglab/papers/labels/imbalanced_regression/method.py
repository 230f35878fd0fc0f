"""ConR: the loss of the paper, and what is measured of features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# ----------------------------------------------------------------------------------------------------------- the method


def pairs(labels: Tensor, predictions: Tensor, window: float) -> tuple[Tensor, Tensor]:
    """Return which rows i are positives and which are hard negatives of anchor j: [..., R] twice -> [..., R, R] bool.

    Positives: another row with |y_j - y_i| ≤ ω. Hard negatives: |y_j - y_i| > ω but |ŷ_j - ŷ_i| ≤ ω, a confusion.
    """
    near, close = (abs(one.unsqueeze(-1) - one.unsqueeze(-2)) <= window for one in (labels, predictions))
    return near & ~torch.eye(labels.shape[-1], dtype=torch.bool), ~near & close


def pushes(labels: Tensor, weights: Tensor, push: float | Tensor) -> Tensor:
    """Return S_ji = η_j exp(e·|y_j - y_i|), how hard anchor j is pushed from row i: [..., R] twice -> [..., R, R]."""
    return weights.unsqueeze(-1) * torch.exp(push * abs(labels.unsqueeze(-1) - labels.unsqueeze(-2)))


def similarities(features: Tensor, temperature: float) -> Tensor:
    """Return s_ji, the cosines of all rows over τ: [..., R, D] -> [..., R, R]."""
    unit = F.normalize(features, dim=-1)
    return unit @ unit.mT / temperature


def contrast(
    similarity: Tensor, positive: Tensor, negative: Tensor, push: Tensor, weights: Tensor, denominator: str = "official"
) -> Tensor:
    """Return the mean over R rows of η_j ℓ_j: weights [..., R], all else [..., R, R] -> [...].

    ℓ_j is the mean over positives of -log(exp s_ji / (A_j + Σ S_jq exp s_jq)), q over hard negatives, and 0 for a row
    without hard negatives or without positives. A_j is the sum of exp s over positives; the authors' code ("official")
    adds 1 for every other column.
    """
    count = positive.sum(-1)
    total = torch.where(positive, similarity.exp(), float(denominator == "official")).sum(-1)
    total = total + (negative * push * similarity.exp()).sum(-1)
    loss = total.log() - (positive * similarity).sum(-1) / count.clamp(min=1)
    anchor = negative.any(-1) & (count > 0)
    return torch.where(anchor, weights * loss, 0).mean(-1)


# fmt: off
def conr(features: Tensor, labels: Tensor, predictions: Tensor, weights: Tensor, window: float, push: float | Tensor,
         temperature: float, denominator: str = "official") -> Tensor:
    # fmt: on
    """Return L_ConR of R rows, two views of each example: features [..., R, D], then [..., R] three times -> [...].

    No gradient flows through predictions. Labels and predictions are in the unit of the window ω.
    """
    positive, negative = pairs(labels, predictions.detach(), window)
    s = similarities(features, temperature)
    return contrast(s, positive, negative, pushes(labels, weights, push), weights, denominator)


def label_weights(labels: Tensor, power: float | Tensor, width: float = 5.0) -> Tensor:
    """Return weights ∝ count^-power of the examples in the same bin of labels, with mean 1: [..., N] -> [..., N]."""
    place = (labels / width).floor()
    counts = (place.unsqueeze(-1) == place.unsqueeze(-2)).sum(-1).to(labels.dtype)
    weights = counts**-power
    return weights / weights.mean(-1, keepdim=True)


# ---------------------------------------------------------------------------------------------------------- measuring


def neighbor_distance(queries: Tensor, labels: Tensor, features: Tensor, known: Tensor, count: int = 5) -> Tensor:
    """Return each query's mean label difference to the `count` rows with the most similar (cosine) features.

    Queries [..., Q, D] with labels [..., Q], features [..., N, D] with labels `known` [..., N] -> [..., Q].
    """
    cosines = F.normalize(queries, dim=-1) @ F.normalize(features, dim=-1).mT
    nearest = cosines.topk(count, -1).indices
    found = known.unsqueeze(-2).expand_as(cosines).gather(-1, nearest)
    return abs(found - labels.unsqueeze(-1)).mean(-1)


def principal(features: Tensor) -> Tensor:
    """Return the first two principal components of normalized features: [..., N, D] -> [..., N, 2].

    Each component's sign is such that its loading of largest size is positive.
    """
    unit = F.normalize(features, dim=-1)
    centered = unit - unit.mean(-2, keepdim=True)
    axes = torch.linalg.eigh(centered.mT @ centered).eigenvectors[..., [-1, -2]]
    largest = axes.gather(-2, abs(axes).argmax(-2, keepdim=True))
    return centered @ (axes * largest.sign())
