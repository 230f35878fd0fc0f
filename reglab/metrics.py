"""Measures that several papers share; each takes and returns tensors and has an independent check in its test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
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


def rank_correlation(one: Tensor, other: Tensor) -> Tensor:
    """Return Spearman's rank correlation: [..., N], [..., N] -> [...] float64, NaN where all numbers are equal."""
    from scipy.stats import rankdata

    ranks = (torch.from_numpy(rankdata(values.numpy(), axis=-1)) for values in (one, other))
    a, b = (values - values.mean(-1, keepdim=True) for values in ranks)
    return (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))


# Calibration and ranking of confidences, after Guo et al. 2017 (ECE, temperature) and Geifman et al. 2019 (E-AURC).

TEMPERATURES = tuple(np.geomspace(0.3, 6, 60).tolist())
"""Temperatures that `best_temperature` tries, in equal ratios."""


def nll(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean negative log-likelihood of the labels in nats: [..., N, C], [..., N] -> [...]."""
    labels = labels.expand(logits.shape[:-1]).unsqueeze(-1)
    return -logits.log_softmax(-1).gather(-1, labels).squeeze(-1).mean(-1)


def confidence(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest probability and whether its class is the label: [..., N, C], [..., N] -> [..., N] each."""
    largest, predicted = logits.softmax(-1).max(-1)
    return largest, predicted == labels


class Bins(NamedTuple):
    """Examples in bins of their confidence; every field is [..., B], NaN in an empty bin but for `share`."""

    share: Tensor
    accuracy: Tensor
    confidence: Tensor


def confidence_bins(confidence: Tensor, right: Tensor, bins: int = 10) -> Bins:
    """Return the share of examples, their accuracy and mean confidence in equal bins: [..., N], [..., N] bool.

    Bin b = 1 … B holds confidences in ((b-1)/B, b/B], closed on the right.
    """
    place = torch.bucketize(confidence, torch.linspace(0, 1, bins + 1, dtype=confidence.dtype)[1:-1])
    empty = confidence.new_zeros(*confidence.shape[:-1], bins)
    count, hits, sums = (
        empty.scatter_add(-1, place, values.to(empty.dtype).expand_as(confidence))
        for values in (torch.ones_like(confidence), right, confidence)
    )
    return Bins(count / confidence.shape[-1], hits / count, sums / count)


def ece(confidence: Tensor, right: Tensor, bins: int = 10) -> Tensor:
    """Return the expected calibration error Σ_b n_b/n·|acc_b - conf_b|, from 0 to 1: [..., N], [..., N] -> [...].

    The bins are those of `confidence_bins`.
    """
    share, accuracy, mean = confidence_bins(confidence, right, bins)
    return torch.where(share > 0, share * (accuracy - mean).abs(), 0).sum(-1)


def risks(confidence: Tensor, right: Tensor) -> Tensor:
    """Return the share of errors among the m most confident examples, for m = 1 … N: [..., N], [..., N] -> [..., N].

    Examples of equal confidence stay in their order.
    """
    order = confidence.sort(dim=-1, descending=True, stable=True).indices
    wrong = (~right.expand_as(confidence)).to(confidence.dtype).gather(-1, order)
    return wrong.cumsum(-1) / torch.arange(1, confidence.shape[-1] + 1)


def aurc(confidence: Tensor, right: Tensor) -> Tensor:
    """Return the area under the risk-coverage curve, from 0 to 1, the mean of `risks`: [..., N], [..., N] -> [...]."""
    return risks(confidence, right).mean(-1)


def e_aurc(confidence: Tensor, right: Tensor) -> Tensor:
    """Return the AURC in excess of that of the best order, in which all errors come last: [..., N] -> [...]."""
    return aurc(confidence, right) - aurc(right.to(confidence.dtype), right)


def best_temperature(logits: Tensor, labels: Tensor, candidates: Sequence[float] = TEMPERATURES) -> Tensor:
    """Return the temperature T whose softmax(logits / T) has the lowest NLL: [..., N, C], [..., N] -> [...].

    To be fitted on validation data; dividing by it changes no prediction.
    """
    losses = torch.stack([nll(logits / value, labels) for value in candidates])
    return torch.tensor(candidates, dtype=logits.dtype)[losses.argmin(0)]


# Neural collapse: features come class by class, [..., K, n, d] for K classes of n examples in d dimensions.


def class_scatter(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return Tr Σ_W and Tr Σ_B, the scatter within and between classes: [..., K, n, d] -> [...] and [...].

    Σ_W is the mean over all examples, Σ_B the mean over classes, as in Tirer et al. 2023 (arXiv 2210.16658, Sec. 3).
    """
    means = features.mean(-2, keepdim=True)
    within = (features - means).square().sum(-1).mean((-2, -1))
    between = (means - means.mean(-3, keepdim=True)).square().sum(-1).mean((-2, -1))
    return within, between


def nc1_ratio(features: Tensor) -> Tensor:
    """Return Tr Σ_W / Tr Σ_B, 0 at collapse: [..., K, n, d] -> [...] (the same paper, Eq. 3)."""
    within, between = class_scatter(features)
    return within / between


def nc1(features: Tensor) -> Tensor:
    """Return Tr(Σ_W Σ_B†)/K, 0 at collapse: [..., K, n, d] -> [...] (Papyan, Han and Donoho 2020).

    Computed in double precision from the Gram matrix G = MᵀM of the K centered class means, whose nonzero eigenvalues
    are those of K·Σ_B: Σ_B† = K M (G†)² Mᵀ. Eigenvalues below 1e-6 of the largest count as zero.
    """
    x = features.double()
    means = x.mean(-2)
    m = means - means.mean(-2, keepdim=True)
    inverse = torch.linalg.pinv(m @ m.mT, rtol=1e-6, hermitian=True)
    deviations = (x - means.unsqueeze(-2)).flatten(-3, -2)
    return (deviations @ (m.mT @ inverse)).square().sum(-1).mean(-1).to(features.dtype)


def nc2(features: Tensor) -> Tensor:
    """Return how far the Gram matrix of the centered class means is from that of a simplex: [..., K, n, d] -> [...].

    Both are scaled to Frobenius norm 1, so 0 means equal lengths and equal angles and 2 is the most.
    """
    means = features.mean(-2)
    m = means - means.mean(-2, keepdim=True)
    simplex = torch.eye(m.shape[-2], dtype=m.dtype) - 1 / m.shape[-2]
    return torch.linalg.matrix_norm(_unit(m @ m.mT) - _unit(simplex))


def nc3(features: Tensor, weights: Tensor, centered: bool = True) -> Tensor:
    """Return how far the classifier is from the centered class means: [..., K, n, d], [..., K, d] -> [...].

    Both are scaled to Frobenius norm 1 (0: proportional, 2: opposite). `centered` takes the mean over classes off the
    weights first; a classifier without bias, trained on squared errors, needs that.
    """
    means = features.mean(-2)
    m, w = means - means.mean(-2, keepdim=True), weights - centered * weights.mean(-2, keepdim=True)
    return torch.linalg.matrix_norm(_unit(w) - _unit(m))


def nc4(features: Tensor, weights: Tensor) -> Tensor:
    """Return the share of examples that the classifier Wh and the nearest class mean decide differently.

    [..., K, n, d], [..., K, d] -> [...]; 0 at collapse.
    """
    means, x = features.mean(-2), features.flatten(-3, -2)
    nearness = x @ means.mT - means.square().sum(-1).unsqueeze(-2) / 2
    return ((x @ weights.mT).argmax(-1) != nearness.argmax(-1)).float().mean(-1)


def _unit(matrix: Tensor) -> Tensor:
    """Scale matrices to Frobenius norm 1."""
    return matrix / torch.linalg.matrix_norm(matrix, keepdim=True)


class Coverage(NamedTuple):
    """How well samples cover some modes; every field is [...]."""

    modes: Tensor
    quality: Tensor
    divergence: Tensor
    distance: Tensor


def mode_coverage(samples: Tensor, centers: Tensor, radius: float, fair: float = 0.5) -> Coverage:
    """Measure how samples [..., N, D] cover modes of equal weight around centers [M, D].

    `modes` counts the centers that have at least the part `fair` of their fair share N/M of samples within `radius`
    of them (where that is small, noise all over the plane passes); `quality` is the share of samples within `radius` of
    a center; `divergence` is the Kullback-Leibler divergence, in nats, of the shares of samples nearest to each center
    from equal shares; `distance` is the mean distance to the nearest center.
    """
    distance, place = torch.cdist(samples, centers, compute_mode="donot_use_mm_for_euclid_dist").min(-1)
    good = distance <= radius
    one_hot = place.unsqueeze(-1) == torch.arange(len(centers))
    shares, counts = one_hot.float().mean(-2), (one_hot & good.unsqueeze(-1)).sum(-2)
    return Coverage(
        (counts * len(centers) >= fair * samples.shape[-2]).sum(-1),
        good.float().mean(-1),
        torch.special.xlogy(shares, shares * len(centers)).sum(-1),
        distance.mean(-1),
    )


def neighbor_distances(points: Tensor, k: int = 1) -> Tensor:
    """Return each point's distance to its k-th nearest other point: [..., N, D] -> [..., N] float64.

    NaN for a whole set of points when one of them is not finite.
    """
    from scipy.spatial import cKDTree

    sets = points.detach().double().reshape(-1, *points.shape[-2:])
    found = torch.full(sets.shape[:2], torch.nan, dtype=torch.float64)
    for row, one in zip(found, sets.numpy(), strict=True):
        if np.isfinite(one).all():
            # the nearest of all is the point itself, or a twin of it, at distance 0
            row[:] = torch.as_tensor(cKDTree(one).query(one, k=[k + 1])[0]).flatten()
    return found.reshape(points.shape[:-1])


def knn_entropy(points: Tensor, k: int = 1, smallest: float = 0.0) -> Tensor:
    """Return the Kozachenko-Leonenko estimate of the differential entropy in nats: [..., N, D] -> [...] float64.

    H = ψ(N) - ψ(k) + log V_D + (D/N) Σ_i log ρ_k(i), with ρ_k(i) the distance to the k-th nearest other point and V_D
    the volume of the unit ball. Distances below `smallest` count as `smallest`, else twins give -∞.
    """
    logs = neighbor_distances(points, k).clamp(min=smallest).log()
    return knn_constant(points.shape[-2], points.shape[-1], k) + points.shape[-1] * logs.mean(-1)


def knn_constant(count: int, dimensions: int, k: int = 1) -> float:
    """Return ψ(N) - ψ(k) + log V_D, the part of the Kozachenko-Leonenko estimate that knows no distances."""
    n, order, half = torch.tensor([count, k, dimensions / 2], dtype=torch.float64)
    volume = half * torch.log(torch.tensor(torch.pi, dtype=torch.float64)) - torch.lgamma(half + 1)
    return float(torch.digamma(n) - torch.digamma(order) + volume)
