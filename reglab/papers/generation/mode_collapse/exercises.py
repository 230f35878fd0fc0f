"""Mode collapse: the checks of the exercises."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from reglab import metrics
from reglab.exercise import WrongAnswerError
from reglab.papers.generation.mode_collapse import method
from reglab.seeds import generator

EULER = 0.577216
"""Euler's constant, -ψ(1)."""


def check_entropy(answer: Callable[[Tensor], Tensor]) -> str:
    """Check a student's nearest-neighbor entropy on three points of a line and on a Gaussian in the plane."""
    line = torch.tensor([[0.0], [1.0], [3.0]])
    found = answer(line)
    if found is None:
        raise NotImplementedError
    distances, constant = metrics.neighbor_distances(line), metrics.knn_constant(3, 1)
    logs, psi = float(distances.log().mean()), float(torch.digamma(torch.tensor(3.0)))
    mistakes = {
        constant + math.log(float(distances.square().mean())) / 2: "take the mean of the logarithms, not the logarithm "
        "of the mean.",
        constant - math.log(2) + logs: "the volume of the unit ball is missing; on a line V = 2.",
        constant + 2 * logs: "the logarithms are of distances, not of their squares.",
        constant - EULER + logs: "ψ(1) is missing; it is −0.5772.",
        constant - psi + math.log(3) + logs: "ψ(N) is torch.digamma(N), not the logarithm of N.",
    }
    value = float(found)
    if not math.isfinite(value):
        raise WrongAnswerError("each point is its own nearest neighbor at distance 0; leave it out.")
    for wrong, hint in mistakes.items():
        if abs(value - wrong) < 1e-3:
            raise WrongAnswerError(hint)
    if abs(value - float(metrics.knn_entropy(line))) > 1e-3:
        raise WrongAnswerError(
            f"the points 0, 1, 3 on a line have distances 1, 1, 2 and the estimate 2.42420; yours is {value:.5f}."
        )
    plane = torch.randn(1000, 2, generator=generator(0, "exercise"))
    value = float(answer(plane))
    if abs(value - math.log(2 * math.pi * math.e)) > 0.1:
        raise WrongAnswerError(
            f"right on a line, but in the plane a Gaussian has 2.838 and yours is {value:.3f}. Where does the number "
            "of dimensions D come in? It multiplies the logarithms and sets the volume of the unit ball."
        )
    return (
        f"Three points on a line give 2.42420, and 1000 points of a Gaussian in the plane {value:.3f}; exact is 2.838."
    )


def check_gradient(answer: Callable[[Tensor, Tensor, float], Tensor]) -> str:
    """Check a student's gradient of R = -λ log Ê in the codes, with given partners, against autograd."""
    draws, strength = generator(0, "exercise gradient"), 0.3
    codes, partners = (torch.randn(5, 4, generator=draws, dtype=torch.float64) for _ in range(2))
    found = answer(codes, partners, strength)
    if found is None:
        raise NotImplementedError
    if not isinstance(found, Tensor) or found.shape != codes.shape:
        raise WrongAnswerError(
            f"return a tensor of shape {tuple(codes.shape)}, one number for each number of the codes."
        )
    leaves = codes.clone().requires_grad_()
    expected = torch.autograd.grad(-strength * torch.log(method.spread(leaves, partners)), leaves)[0]

    def is_it(factor: float) -> bool:
        return torch.allclose(found, factor * expected, rtol=1e-6)

    if is_it(1):
        total = float(((codes - partners) * found).sum())
        return f"It equals what automatic differentiation finds, and Σ⟨c − b, ∂R/∂c⟩ = {total:.2f} = −2λ."
    if is_it(-1):
        raise WrongAnswerError("the size is right, the sign is not: R falls as codes move away from their partners.")
    if is_it(codes.numel()) or is_it(codes.shape[0]) or is_it(codes.shape[1]):
        raise WrongAnswerError("Ê is a mean over all N·K numbers: its derivative in one of them is 2(c − b)/(NK).")
    if is_it(0.5):
        raise WrongAnswerError("the derivative of a square has a factor 2.")
    if is_it(float(method.spread(codes, partners))):
        raise WrongAnswerError("the logarithm is missing: d log Ê = dÊ/Ê.")
    if is_it(1 / strength):
        raise WrongAnswerError("the weight λ is missing.")
    raise WrongAnswerError(
        "apply the chain rule: first −λ log Ê, then the mean of squares; the partners are constants."
    )
