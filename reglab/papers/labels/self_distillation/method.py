"""PS-KD: the equations of the paper."""

from __future__ import annotations

import torch
from torch import Tensor


def growing(alpha: float | Tensor, epoch: int, epochs: int) -> float | Tensor:
    """Return α_t = α_T·t/T, the weight of the own past predictions in epoch t of T."""
    return alpha * epoch / epochs


def soft_targets(labels: Tensor, previous: Tensor, alpha: float | Tensor) -> Tensor:
    """Return ỹ = (1-α_t)y + α_t·P_{t-1}, with one-hot labels y and the predictions of the epoch before: [..., N, C]."""
    return (1 - alpha) * labels + alpha * previous


def smoothed(labels: Tensor, epsilon: float | Tensor) -> Tensor:
    """Return (1-ε)y + ε/C, the targets of label smoothing, from one-hot labels y: [..., N, C]."""
    return (1 - epsilon) * labels + epsilon / labels.shape[-1]


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return L = -(1/B)·Σ_i Σ_c ỹ_{i,c}·log P_t(x_i)_c, the mean over the batch: [..., B, C] -> [...]."""
    return -(targets * logits.log_softmax(-1)).sum(-1).mean(-1)


def gradient(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the gradient of the loss in the logits, (P_t - ỹ)/B: [..., B, C]."""
    return (logits.softmax(-1) - targets) / logits.shape[-2]


def doubt(predictions: Tensor, labels: Tensor) -> Tensor:
    """Return γ = 1 - P(true class), how hard an example is, as the sum of all others: [..., N, C] -> [..., N]."""
    return (predictions * (1 - labels)).sum(-1)


def rescaling(doubt: Tensor, doubt_before: Tensor, alpha: float | Tensor) -> Tensor:
    """Return ρ_t = 1 - α_t·γ_{t-1}/γ_t, the factor that soft targets put on an example's gradient."""
    return 1 - alpha * doubt_before / doubt


def l1(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return ‖P_t - ỹ‖₁, the size of an example's gradient in the logits: [..., N, C] -> [..., N]."""
    return (predictions - targets).abs().sum(-1)


def is_exact(predictions: Tensor, previous: Tensor, labels: Tensor, alpha: float | Tensor) -> Tensor:
    """Return where ‖P_t - ỹ‖₁/‖P_t - y‖₁ = ρ_t: P_{t,c} ≥ α_t·P_{t-1,c} for all wrong c, [..., N, C] -> [..., N]."""
    return ((predictions >= alpha * previous) | (labels == 1)).all(-1)


def partners(labels: Tensor, keys: Tensor) -> Tensor:
    """Return for each example the index of another one of its class, each exactly once: [N], random keys [N] -> [N].

    The examples of a class form a circle in the order of their keys. Only one that is alone in its class gets itself.
    """
    found = torch.empty_like(labels)
    for label in labels.unique():
        members = (labels == label).nonzero().flatten()
        circle = members[keys[members].argsort()]
        found[circle] = circle.roll(1)
    return found
