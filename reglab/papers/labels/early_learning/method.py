"""ELR: the equations of the paper."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SMALLEST = 1e-4
"""Probabilities are clamped to [1e-4, 1 - 1e-4], as in the official code."""


# ----------------------------------------------------------------------------------------------------------- the method


def clamp(probabilities: Tensor) -> Tensor:
    """Return p̃: the probabilities clamped to [1e-4, 1 - 1e-4]; the gradient of a clamped component is 0."""
    return probabilities.clamp(SMALLEST, 1 - SMALLEST)


def update_targets(targets: Tensor, logits: Tensor, momentum: float | Tensor) -> Tensor:
    """Return t ← βt + (1-β)p̃/Σp̃, the running average of the predictions: [..., N, C] (Section 4.3).

    No gradient flows. Targets start at zero and are not renormalized: after k visits they sum to 1 - β^k.
    """
    p = clamp(logits.detach().softmax(-1))
    return momentum * targets + (1 - momentum) * p / p.sum(-1, keepdim=True)


def elr_regularizer(logits: Tensor, targets: Tensor) -> Tensor:
    """Return log(1 - ⟨p̃, t⟩), averaged over the batch: [..., N, C] -> [...] (Eq. 7, second term without λ)."""
    agreement = (clamp(logits.softmax(-1)) * targets).sum(-1)
    return torch.log(1 - agreement).mean(-1)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy over the batch: [..., N, C], [..., N] -> [...]."""
    return -logits.log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1).mean(-1)


def elr_loss(logits: Tensor, labels: Tensor, targets: Tensor, strength: float | Tensor) -> Tensor:
    """Return the loss of Eq. 7, cross-entropy + λ·log(1 - ⟨p, t⟩), with the targets already updated."""
    return cross_entropy(logits, labels) + strength * elr_regularizer(logits, targets)


def elr_gradient(logits: Tensor, targets: Tensor) -> Tensor:
    """Return g, the gradient of log(1 - ⟨p̃, t⟩) in each example's logits: [..., N, C] (Lemma 2).

    Where nothing is clamped, g_c = p_c(⟨p, t⟩ - t_c)/(1 - ⟨p, t⟩).
    """
    p = logits.softmax(-1)
    inside = (p >= SMALLEST) & (p <= 1 - SMALLEST)
    pull = -targets * inside / (1 - (clamp(p) * targets).sum(-1, keepdim=True))
    return p * (pull - (pull * p).sum(-1, keepdim=True))


def kl_regularizer(logits: Tensor, targets: Tensor) -> Tensor:
    """Return -Σ_c t_c log p_c, averaged over the batch: the alternative of Appendix C, [..., N, C] -> [...]."""
    return -(targets * logits.log_softmax(-1)).sum(-1).mean(-1)


def kl_gradient(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the gradient of -Σ_c t_c log p_c in each example's logits: pΣt - t, [..., N, C] (Appendix C)."""
    return logits.softmax(-1) * targets.sum(-1, keepdim=True) - targets


# -------------------------------------------------------------------------------------- experiment A: the linear theory


@dataclass(frozen=True)
class Gaussians:
    """Two Gaussian classes for S seeds: inputs [S, n, p], true and observed signs [S, n], first weights [S, p]."""

    inputs: Tensor
    truth: Tensor
    observed: Tensor
    weights: Tensor

    @property
    def wrong(self) -> Tensor:
        """Which examples carry a wrong label: [S, n] bool."""
        return self.observed != self.truth


def kappa(scores: Tensor, observed: Tensor) -> Tensor:
    """Return κ = tanh(θᵀx) - ε, the coefficient of each example in the gradient of cross-entropy (Eq. 3)."""
    return torch.tanh(scores) - observed


def linear_gradient(inputs: Tensor, coefficients: Tensor) -> Tensor:
    """Return ∇L = (1/2n) Σ_i x_i κ_i: [..., n, p], [..., n] -> [..., p] (Section 3).

    It belongs to L = (1/2n) Σ log(1 + exp(-2εθᵀx)); the appendix prints the loss in another scale.
    """
    return (inputs.mT @ coefficients.unsqueeze(-1)).squeeze(-1) / (2 * inputs.shape[-2])


def linear_accuracy(theta: Tensor, spread: float) -> Tensor:
    """Return the exact test accuracy Φ(θᵀv/(σ‖θ‖)) of linear weights, v the first axis: [..., p] -> [...]."""
    return torch.special.ndtr(theta[..., 0] / (spread * theta.norm(dim=-1)))


def stopping_time(problem: Gaussians, learning_rate: float, most: int = 1000) -> tuple[Tensor, Tensor]:
    """Return T, the first step t ≥ 1 with θ_tᵀv ≥ 1/10 under cross-entropy, and θ_T: [S], [S, p] (Theorem 4)."""
    theta, times, stopped = problem.weights, torch.full((len(problem.weights),), torch.nan), problem.weights.clone()
    for t in range(1, most + 1):
        scores = (problem.inputs @ theta.unsqueeze(-1)).squeeze(-1)
        theta = theta - learning_rate * linear_gradient(problem.inputs, kappa(scores, problem.observed))
        arrived = (theta[:, 0] >= 0.1) & times.isnan()
        times[arrived], stopped[arrived] = t, theta[arrived]
        if not times.isnan().any():
            break
    return times, stopped
