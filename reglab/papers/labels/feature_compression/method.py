"""Feature compression: Dropout, Nested Dropout and Co-teaching, as in the official code; the objectives are ours."""

from __future__ import annotations

import torch
from torch import Tensor

# -------------------------------------------------------------------------------------------------------- compression


def prefix_probabilities(std: float | Tensor, features: int) -> Tensor:
    """Return P(k) ∝ exp(-(k/η)²) for k = 1 … K: η [...] -> [..., K] (official code, with μ = 0).

    There is no ½ in the exponent, so the σ of the paper's workshop version is η/√2. η is positive.
    """
    k = torch.arange(1, features + 1)
    return (-((k / torch.as_tensor(std).unsqueeze(-1)) ** 2)).softmax(-1)


def draw_prefix(uniform: Tensor, probabilities: Tensor) -> Tensor:
    """Return how many features are kept, k in 1 … K, as the quantile of uniform numbers: [...], [..., K] -> [...]."""
    passed = probabilities.cumsum(-1) <= uniform.unsqueeze(-1)
    return (1 + passed.sum(-1)).clamp(max=probabilities.shape[-1])


def prefix_mask(kept: Tensor, features: int) -> Tensor:
    """Return m_j = 1 for j ≤ k, else 0, never rescaled: k [...] -> [..., K]."""
    return (torch.arange(1, features + 1) <= kept.unsqueeze(-1)).to(torch.get_default_dtype())


def prefix_logits(h: Tensor, weights: Tensor) -> Tensor:
    """Return the logits from the first k features, for all k at once: [..., N, K], [..., K, C] -> [..., N, K, C]."""
    return (h.unsqueeze(-1) * weights.unsqueeze(-3)).cumsum(-2)


def best_prefix(accuracies: Tensor) -> Tensor:
    """Return k* = argmax_k (accuracy_k - 1e-5·(k - 1)), so that the smaller of two equal ones wins: [..., K] -> [...].

    Accuracies are those of the validation set.
    """
    price = 1e-5 * torch.arange(accuracies.shape[-1], dtype=torch.float64)
    return 1 + (accuracies.double() - price).argmax(-1)


# --------------------------------------------------------------------------------------------------------- co-teaching


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of each example: [..., N, C], [..., N] -> [..., N]."""
    return -logits.log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)


def keep_smallest(scores: Tensor, forget: Tensor) -> Tensor:
    """Return which ⌊(1-τ)B⌋ examples have the smallest scores: [..., B], τ [..., 1] -> [..., B] bool."""
    count = ((1 - forget) * scores.shape[-1] + 1e-6).floor()  # 0.7·50 is a little less than 35 in floating point
    return scores.argsort(-1).argsort(-1) < count


def exchange(values: Tensor, seeds: int) -> Tensor:
    """Return what belongs to the other network of each pair: [2S, ...] or [2AS, ...], network before seed."""
    return values.unflatten(0, (-1, 2, seeds)).flip(1).flatten(0, 2)


def flip_labels(labels: Tensor, rate: float, order: Tensor, shift: Tensor) -> Tensor:
    """Return labels of which, in every class of n, exactly ⌊r·n⌋ are wrong: [..., N] -> [..., N] (official code).

    Those with the smallest numbers of `order` [..., N] in their class get their label plus `shift` [..., N], which is
    uniform in 1 … 9, modulo the 10 classes: another class, each as likely.
    """
    same = labels.unsqueeze(-1) == labels.unsqueeze(-2)
    rank = (same & (order.unsqueeze(-2) < order.unsqueeze(-1))).sum(-1)
    wrong = rank < (rate * same.sum(-1) + 1e-6).floor()
    return torch.where(wrong, (labels + shift) % 10, labels)


def principal_axes(h: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean [..., 1, K] of features [..., N, K] and their principal axes as columns, largest first."""
    mean = h.mean(-2, keepdim=True)
    return mean, torch.linalg.svd((h - mean).double(), full_matrices=False).Vh.mT.to(h.dtype)


# ------------------------------------------------------------------------------------------- what compression minimizes


def nested_optimum(h: Tensor, targets: Tensor, probabilities: Tensor) -> Tensor:
    """Return the w that minimizes Σ_k P(k) · mean squared error of the first k features (ours).

    [N, K], [N], [K] -> [K]. Feature j is there with probability P(k ≥ j), and i and j together with P(k ≥ max(i, j)).
    """
    there = probabilities.flip(-1).cumsum(-1).flip(-1)
    j = torch.arange(len(there))
    return torch.linalg.solve((h.mT @ h) * there[torch.maximum(j, j.unsqueeze(-1))], (h.mT @ targets) * there)


def bias_variance(predictions: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return (E f̂ - f*)², Var f̂ and E(f̂ - f*)² over draws of the noisy labels: [..., D, N], [N] -> [..., N] each."""
    mean = predictions.mean(-2)
    variance = (predictions - mean.unsqueeze(-2)).square().mean(-2)
    return (mean - truth).square(), variance, (predictions - truth).square().mean(-2)
