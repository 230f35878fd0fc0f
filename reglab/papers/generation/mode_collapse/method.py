"""Mode collapse: the equations of the paper."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

from reglab import metrics

SMALLEST = 1e-8
"""What is added inside the logarithm in training."""


def nearest(codes: Tensor, memory: Tensor) -> Tensor:
    """Return for each code the nearest one in the memory, as a constant: [..., N, K], [..., Q, K] -> [..., N, K].

    The place comes from a matrix product, |b|² - 2⟨c, b⟩, around the middle of the memory to be rounded little;
    distances are taken later, from differences.
    """
    middle = memory.mean(-2, keepdim=True)
    c, b = codes.detach() - middle, memory - middle
    places = (b.square().sum(-1).unsqueeze(-2) - 2 * c @ b.mT).argmin(-1, keepdim=True)
    return memory.gather(-2, places.expand(codes.shape))


def spread(codes: Tensor, partners: Tensor) -> Tensor:
    """Return Ê = (1/N) Σ_i (1/K)‖c_i - b_i‖², b_i the partner of code i: [..., N, K] twice -> [...]."""
    return (codes - partners).square().mean((-2, -1))


def entropy_loss(codes: Tensor, partners: Tensor, strength: float | Tensor) -> Tensor:
    """Return R = -λ log(Ê + 1e-8): the smaller it is, the farther codes lie from their partners: [...]."""
    return -strength * torch.log(spread(codes, partners) + SMALLEST)


def remember(memory: Tensor, codes: Tensor) -> Tensor:
    """Return the memory with a batch of new codes; the oldest leave: [..., Q, K], [..., N, K] -> [..., Q, K]."""
    return torch.cat([memory, codes.detach()], -2)[..., -memory.shape[-2] :, :]


def locality_loss(codes: Tensor, near: Tensor) -> Tensor:
    """Return L_DLLE = mse(D(x), sg D(T(x))): neighbors shall stay neighbors, [..., N, K] twice -> [...]."""
    return (codes - near.detach()).square().mean((-2, -1))


def isometry_loss(mixed: Tensor, real: Tensor, fake: Tensor, alpha: Tensor, noise: Tensor) -> Tensor:
    """Return L_Iso = mse(D(αx + (1-α)x̃), sg[αc + (1-α)c̃ + ε]): codes [..., N, K], α [..., N, 1] -> [...]."""
    return (mixed - (alpha * real + (1 - alpha) * fake + noise).detach()).square().mean((-2, -1))


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return softplus(-s(x)) + softplus(s(x̃)), with the score s the mean of the code: [..., N, K] twice -> [...]."""
    return F.softplus(-real.mean(-1)).mean(-1) + F.softplus(fake.mean(-1)).mean(-1)


def generator_loss(fake: Tensor) -> Tensor:
    """Return softplus(-s(x̃)), the non-saturating loss of the generator: [..., N, K] -> [...]."""
    return F.softplus(-fake.mean(-1)).mean(-1)


def gradient_penalty(scores: Tensor, points: Tensor) -> Tensor:
    """Return (1/2N) Σ_i ‖∇_x s(x_i)‖², the rival R1 that flattens the score at real points: [..., N] -> [...].

    Mescheder, Geiger, Nowozin 2018; the score of a point depends on that point [..., N, D] only.
    """
    (slopes,) = torch.autograd.grad(scores.sum(), points, create_graph=True)
    return slopes.square().sum(-1).mean(-1) / 2


def log_of_mean_entropy(points: Tensor) -> Tensor:
    """Return ψ(N) - ψ(1) + log V_D + (D/2) log (1/N) Σ_i ρ(i)²: the nearest-neighbor estimate as MEE takes it.

    The logarithm of a mean stands where the entropy has a mean of logarithms: [..., N, D] -> [...] float64.
    """
    count, dimensions = points.shape[-2:]
    squares = metrics.neighbor_distances(points).square().mean(-1)
    return metrics.knn_constant(count, dimensions) + dimensions / 2 * squares.log()


def official_rows(rows: int, batch: int, calls: int) -> list[int]:
    """Return how many rows the memory of the published code has before the first call and after each.

    Each call drops as many rows as a batch has samples and adds a single one.
    """
    return list(itertools.accumulate(range(calls), lambda kept, _: max(kept - batch, 0) + 1, initial=rows))
