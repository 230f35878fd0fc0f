"""Mode collapse: the checks of the exercises."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from reglab import metrics
from reglab.exercise import Mistake, compare
from reglab.papers.generation.mode_collapse import method
from reglab.seeds import generator


def check_entropy(answer: Callable[[Tensor], Tensor]) -> str:
    """Check a student's nearest-neighbor entropy on three points of a line and on a Gaussian in the plane."""
    line, plane = torch.tensor([[0.0], [1.0], [3.0]]), torch.randn(1000, 2, generator=generator(0, "exercise"))
    rho, right = metrics.neighbor_distances(line), float(metrics.knn_entropy(line))
    logs, constant, psi = float(rho.log().mean()), metrics.knn_constant(3, 1), {1: -0.577216, 3: 0.922784}
    hints: list[tuple[Mistake, str]] = [
        (lambda found: not math.isfinite(found), "each point is its own nearest neighbor at distance 0; leave it out."),
        (
            constant + math.log(rho.square().mean()) / 2,
            "take the mean of the logarithms, not the logarithm of the mean.",
        ),
        (right - math.log(2), "the volume of the unit ball is missing; on a line V = 2."),
        (constant + 2 * logs, "the logarithms are of distances, not of their squares."),
        (right + psi[1], "ψ(1) is missing; it is −0.5772."),
        (right - psi[3] + math.log(3), "ψ(N) is torch.digamma(N), not the logarithm of N."),
    ]
    wrong = "the points 0, 1, 3 on a line have distances 1, 1, 2 and the estimate 2.42420; yours is another."
    compare(answer(line), right, hints, wrong, tolerance=5e-4)
    wrong = ("right on a line, but in the plane a Gaussian has 2.838 and yours is another. Where does the number of "
             "dimensions D come in? It multiplies the logarithms and sets the volume of the unit ball.")  # fmt: skip
    compare(answer(plane), metrics.knn_entropy(plane).item(), [], wrong, tolerance=1e-3)
    return (
        f"Three points on a line give 2.42420, and 1000 points of a Gaussian in the plane {float(answer(plane)):.3f}."
    )


def check_gradient(answer: Callable[[Tensor, Tensor, float], Tensor]) -> str:
    """Check a student's gradient of R = -λ log Ê in the codes, with given partners, against autograd."""
    draws, strength = generator(0, "exercise gradient"), 0.3
    codes, partners = (torch.randn(5, 4, generator=draws, dtype=torch.float64) for _ in range(2))
    leaves = codes.clone().requires_grad_()
    right = torch.autograd.grad(-strength * torch.log(method.spread(leaves, partners)), leaves)[0]
    mean = "Ê is a mean over all N·K numbers: its derivative in one of them is 2(c − b)/(NK)."
    hints: list[tuple[Mistake, str]] = [
        (-right, "the size is right, the sign is not: R falls as codes move away from their partners."),
        *((factor * right, mean) for factor in (20, 5, 4)),
        (right / 2, "the derivative of a square has a factor 2."),
        (right * method.spread(codes, partners), "the logarithm is missing: d log Ê = dÊ/Ê."),
        (right / strength, "the weight λ is missing."),
    ]
    chain = "apply the chain rule: first −λ log Ê, then the mean of squares; the partners are constants."
    found = answer(codes, partners, strength)
    compare(found, right, hints, chain, each="one number for each number of the codes")
    total = float(((codes - partners) * found).sum())
    return f"It equals what automatic differentiation finds, and Σ⟨c − b, ∂R/∂c⟩ = {total:.2f} = −2λ."
