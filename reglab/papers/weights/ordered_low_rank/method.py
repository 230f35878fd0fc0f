"""Maestro: the equations of the paper.

A layer with m outputs and n inputs has the weight W = U·Vᵀ, with columns of U [..., m, r] and V [..., n, r].
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def start(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return U = P·Σ^{1/2} and V = Q·Σ^{1/2} of the SVD W = P·Σ·Qᵀ: [..., m, n] -> [..., m, r], [..., n, r]."""
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    root = values.sqrt().unsqueeze(-2)
    return left * root, right.mT * root


def prefixes(u: Tensor, v: Tensor) -> Tensor:
    """Return U_{:b}·V_{:b}ᵀ, the product of the first b columns, for b = 1 … r: [..., r, m, n]."""
    return torch.einsum("...ib,...jb->...bij", u, v).cumsum(-3)


def error(product: Tensor, target: Tensor, covariance: Tensor) -> Tensor:
    """Return E‖Cx - Wx‖² = tr((C - W)·Σ_x·(C - W)ᵀ) of products W for the map C, with Σ_x = E[x·xᵀ] [n, n]: [...]."""
    gap = target - product
    return ((gap @ covariance) * gap).sum((-2, -1))


def ordered_loss(u: Tensor, v: Tensor, target: Tensor, covariance: Tensor) -> Tensor:
    """Return F(U, V), the mean of the errors of all prefixes, equation (1) for one linear layer: [...]."""
    return error(prefixes(u, v), target.unsqueeze(-3), covariance.unsqueeze(-3)).mean(-1)


def best_rank(matrix: Tensor, rank: int) -> Tensor:
    """Return the matrix of that rank that is nearest to a matrix, by its SVD (Eckart and Young)."""
    u, v = start(matrix)
    return u[..., :rank] @ v[..., :rank].mT


def best_prefix(target: Tensor, covariance: Tensor, rank: int) -> Tensor:
    """Return (C·L)_b·L^{-1} with Σ_x = L·Lᵀ, the map of rank b with the least error: [..., m, n].

    Any root L of Σ_x gives the same. All minimizers of F have it as their product of b columns, for every b, where the
    singular values of C·L are distinct.
    """
    root = torch.linalg.cholesky(covariance)
    return torch.linalg.solve_triangular(root, best_rank(target @ root, rank), upper=False, left=False)


def whitened(weight: Tensor, inputs: Tensor, rank: int) -> Tensor:
    """Return the layer of that rank with the nearest outputs: [..., in, out], inputs [..., N, in] -> [..., in, out].

    The data-aware ("whitened") SVD of a trained weight: `best_prefix` for S = the mean of h·hᵀ over inputs h, + 1e-6·I.
    """
    covariance = inputs.double().mT @ inputs.double() / inputs.shape[-2] + 1e-6 * torch.eye(inputs.shape[-1]).double()
    return best_prefix(weight.mT.double(), covariance, rank).mT.to(weight)


def visits(source: torch.Generator, pairs: int, steps: int) -> Tensor:
    """Return which (layer, rank) is cut at each step: numbers below `pairs`, each once in every pass, [steps].

    The list of all pairs is shuffled again for every pass, as in the official sampler.
    """
    return torch.cat([torch.randperm(pairs, generator=source) for _ in range(0, steps, pairs)])[:steps]


def truncations(ranks: Sequence[int]) -> Tensor:
    """Return how many columns each layer keeps when one is cut, for all (layer, b): [Σ r_i, layers]."""
    return torch.tensor([[*ranks[:i], b, *ranks[i + 1 :]] for i, rank in enumerate(ranks) for b in range(1, rank + 1)])


def suffix_norms(factor: Tensor) -> Tensor:
    """Return ‖U_{:,b:}‖_F, the norm of columns b to r, for b = 1 … r: [..., m, r] -> [..., r].

    1e-12 under the root keeps the gradient finite where all of them are 0.
    """
    return (factor.square().sum(-2).flip(-1).cumsum(-1).flip(-1) + 1e-12).sqrt()


def group_lasso(u: Tensor, v: Tensor) -> Tensor:
    """Return the hierarchical group lasso of one layer, Σ_b (‖U_{:,b:}‖_F + ‖V_{:,b:}‖_F), equation (2): [...]."""
    return (suffix_norms(u) + suffix_norms(v)).sum(-1)


def importance(u: Tensor, v: Tensor) -> Tensor:
    """Return ‖u_b‖·‖v_b‖ of each column: [..., r]."""
    return u.norm(dim=-2) * v.norm(dim=-2)
