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
    logs, constant = float(rho.log().mean()), metrics.knn_constant(3, 1)
    jensen = constant + math.log(rho.square().mean()) / 2
    hints: list[tuple[Mistake, str]] = [
        (lambda found: not math.isfinite(found), "each point is its own nearest neighbor at distance 0; leave it out."),
        (jensen, "take the mean of the logarithms, not the logarithm of the mean."),
        (right - math.log(2), "the volume of the unit ball is missing; on a line V = 2."),
        (constant + 2 * logs, "the logarithms are of distances, not of their squares."),
    ]
    wrong = "the points 0, 1, 3 on a line have distances 1, 1, 2 and the estimate 2.42420; yours is another."
    compare(answer(line), right, hints, wrong, tolerance=5e-4)
    wrong = "right on a line, but in the plane a Gaussian has 2.838: D multiplies the logarithms and sets the volume."
    compare(answer(plane), metrics.knn_entropy(plane).item(), [], wrong, tolerance=1e-3)
    return f"Three points on a line give 2.42420; the logarithm of the mean would give {jensen:.3f}, which is more."


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
        (right * method.spread(codes, partners), "the logarithm is missing: d log Ê = dÊ/Ê."),
    ]
    chain = "apply the chain rule: first −λ log Ê, then the mean of squares; the partners are constants."
    found = answer(codes, partners, strength)
    compare(found, right, hints, chain, each="one number for each number of the codes")
    total = float(((codes - partners) * found).sum())
    return f"It equals what automatic differentiation finds, and Σ⟨c − b, ∂R/∂c⟩ = {total:.2f} = −2λ."


def check_haze(answer: float) -> str:
    """Check the share of MEE's samples near a center that a student has read off at λ = 0.5, ratio 0.5, on the ring."""
    known: list[tuple[Mistake, str]] = [(0.66, "that is MEE's HQ at λ = 0.02; move the slider to 0.5.")]
    compare(
        answer, 0.33, known, "it lies in the row of MEE, in the panel of HQ: a share below one half.", tolerance=0.04
    )
    return "About a third, half of what λ = 0.02 reaches: the other samples are haze between the modes and around them."
