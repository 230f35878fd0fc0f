"""Polarization: gates, penalties and the static sub-network."""

from __future__ import annotations

import torch
from torch import Tensor

from reglab.papers.weights._shared.network import Step


def scores(h: Tensor, w1: Tensor, c1: Tensor, w2: Tensor, c2: Tensor) -> Tensor:
    """Return s(x) = W₂·ReLU(W₁h + c₁) + c₂, the scores of a block's gates (Eq. 1): [..., B, D] -> [..., B, K]."""
    return (h @ w1 + c1).relu() @ w2 + c2


def gates(scores: Tensor, surrogate: str = "sigmoid") -> Tensor:
    """Return g = 1[s > 0], exactly 0 or 1, with a straight-through derivative: σ(s)(1 - σ(s)), or 1 for "identity"."""
    sigmoid = scores.detach().sigmoid()
    return Step.apply(scores, sigmoid * (1 - sigmoid) if surrogate == "sigmoid" else torch.ones_like(sigmoid))


def block(h: Tensor, gates: Tensor, a: Tensor, a0: Tensor, b: Tensor, b0: Tensor, layer: float | Tensor = 1) -> Tensor:
    """Return h + layer·(B(g ⊙ ReLU(Ah + a)) + b), a residual branch with a gate on each unit, and one on the whole."""
    return h + layer * ((gates * (h @ a + a0).relu()) @ b + b0)


def polarization(gates: Tensor) -> Tensor:
    """Return R_polar = 1/N·Σ_l ḡ_l(1 - ḡ_l), where ḡ is the mean over the batch, 0 to ¼: [..., B, N] -> [...] (Eq. 2).

    The parabola is of the mean over the batch; that of a single binary gate is always 0.
    """
    mean = gates.mean(-2)
    return (mean * (1 - mean)).mean(-1)


def activation(gates: Tensor) -> Tensor:
    """Return R_activ = 1/N·Σ_l ḡ_l, the mean share of open gates, 0 to 1: [..., B, N] -> [...] (Eq. 2)."""
    return gates.mean((-2, -1))


def penalty(gates: Tensor, activ: Tensor, polar: Tensor, target: Tensor | float) -> Tensor:
    """Return λ_activ·(R_activ - τ)² + λ_polar·R_polar, with a wanted share τ: [..., B, N] -> [...]."""
    return activ * (activation(gates) - target).square() + polar * polarization(gates)


def consensus(means: Tensor) -> Tensor:
    """Return ĝ = 1[ḡ > ½], the static sub-network, from mean gates over the training set: [..., N] -> [..., N]."""
    return (means > 0.5).to(means.dtype)


def ambiguous(means: Tensor) -> Tensor:
    """Return the share of gates that some inputs open and others close, 0.02 < ḡ < 0.98: [..., N] -> [...]."""
    return ((means > 0.02) & (means < 0.98)).float().mean(-1)


def largest(importance: Tensor, count: Tensor) -> Tensor:
    """Return the mask of the `count` most important units, of equal ones the first: [..., N], [...] -> [..., N]."""
    rank = importance.argsort(dim=-1, descending=True, stable=True).argsort(-1)
    return (rank < count.unsqueeze(-1)).to(importance.dtype)


def in_turn(importance: Tensor) -> Tensor:
    """Return importances by which blocks are served in turn, each unit by its rank: [..., L, K] -> [..., L·K].

    So equally many units of each block are kept; what is left over goes to the first blocks.
    """
    rank = importance.argsort(dim=-1, descending=True, stable=True).argsort(-1)
    order = rank * importance.shape[-2] + torch.arange(importance.shape[-2]).unsqueeze(-1)
    return -order.flatten(-2).to(importance.dtype)


def without(h: Tensor, kept: Tensor, a: Tensor, a0: Tensor, b: Tensor, b0: Tensor) -> Tensor:
    """Return h + B·ReLU(Ah + a) + b, a block without the units that are not kept [K]: [B, D] -> [B, D]."""
    return h + (h @ a[:, kept] + a0[:, kept]).relu() @ b[kept] + b0
