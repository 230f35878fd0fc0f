"""MaskSparsity: the penalty, the masks and the cut."""

from __future__ import annotations

import torch
from torch import Tensor


def penalty(gamma: Tensor, mask: Tensor, strength: float | Tensor) -> Tensor:
    """Return λ·Σ_i M_i·|γ_i| over the units of a layer (2): [..., D] -> [...]; with a mask of ones it is global (1)."""
    return strength * (mask * gamma.abs()).sum(-1)


def subgradient(gamma: Tensor, mask: Tensor, strength: float | Tensor) -> Tensor:
    """Return λ·M·sign(γ), what is added to the gradient of γ before a step, with sign(0) = 0: [..., D]."""
    return strength * mask * gamma.sign()


def smallest(scores: Tensor, count: int) -> Tensor:
    """Return a mask, true for the `count` lowest scores of a layer, of ties the first: [..., D] -> [..., D] bool.

    At least one unit is left.
    """
    rank = scores.argsort(dim=-1, stable=True).argsort(-1)
    return rank < min(count, scores.shape[-1] - 1)


def at_most(gamma: Tensor, threshold: float) -> Tensor:
    """Return a mask, true where |γ| ≤ threshold ("th"), but not for the largest: [D] -> [D] bool."""
    return (gamma.abs() <= threshold) & ~_largest(gamma)


def weakest(gamma: Tensor, share: float = 1e-4) -> Tensor:
    """Return a mask, true for the smallest |γ| that together carry at most `share` of Σγ² ("OT"): [D] -> [D] bool."""
    return (gamma.abs() < weakest_threshold(gamma, share)) & ~_largest(gamma)


def weakest_threshold(gamma: Tensor, share: float = 1e-4) -> float:
    """Return the middle between the last |γ| that "OT" cuts and the first that it keeps; 0 where it cuts none."""
    size = gamma.abs().sort().values
    carried = size.square().cumsum(0) / size.square().sum()
    first = int((carried <= share).sum())
    return float((size[first - 1] + size[first]) / 2) if 0 < first < len(size) else 0.0


def _largest(gamma: Tensor) -> Tensor:
    return torch.arange(len(gamma)) == gamma.abs().argmax()


def faded(start: Tensor, now: Tensor, mask: Tensor, progress: float) -> Tensor:
    """Return values that shrink from where they started in proportion, to 0 at progress 1, where a mask is true."""
    return torch.where(mask, start * (1 - progress), now)


def constant(beta: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """Return what dead units, whose γ is 0, still send to the next layer: relu(β)·M through its weights.

    Shapes [M, 1, D], [M, 1, D] and [M, D, E] -> [M, 1, E]. The next layer absorbs it when its bias grows by so much, or
    its running mean falls by so much.
    """
    return (beta.relu() * mask) @ weight
