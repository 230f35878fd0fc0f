"""Neural collapse: the checks of the exercises."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from reglab.exercise import Mistake, WrongAnswerError, compare
from reglab.papers.geometry.neural_collapse import experiments, method


def check_score(answer: Callable[[float, float], float]) -> str:
    """Check a student's right entry of WH at the minimum of the free model, a function of λ_W and λ_H."""
    for lambda_W, lambda_H in ((0.5, 0.05), (0.125, 0.4), (2.0, 0.5), (2.0, 1.0)):
        W, H = method.collapsed(torch.eye(method.CLASSES, dtype=torch.float64), 1, lambda_W, lambda_H)
        right, c = float((W @ H)[0, 0]), math.sqrt(lambda_H * lambda_W)
        hints: list[tuple[Mistake, str]] = [
            (1 - c**2, "c is the square root of λ_H λ_W."),
            (1 - c, "s cannot be negative. Where is the minimum over s ≥ 0 when c is above 1?"),
        ]
        compare(answer(lambda_W, lambda_H), right, hints, "set the derivative of ½(1 − s)² + c s to zero.")
    return "So it is the same perfect collapse for all strengths with λ_H λ_W < 1, and nothing at all above."


def check_contraction(answer: Callable[[Tensor, Tensor, float, float], Tensor]) -> str:
    """Check a student's deviations D(H), computed from D(H₀), W, λ_H and β, at minimizers of Eq. 2."""
    lambda_H, H0, Y = 0.05, experiments.noisy_means((0,), 5, 1.0)[0], experiments.class_targets(method.CLASSES, 5)
    for beta in (0.1, 1.0, 10.0):
        *_, (W, H) = method.alternate(H0, Y, 0.5, lambda_H, beta)
        given, right = H0 - experiments.class_means(H0), H - experiments.class_means(H)
        hints: list[tuple[Mistake, str]] = [
            (right / beta, "multiply by β: H₀ enters the gradient as −βH₀."),
            (beta / (beta + lambda_H) * given,
             "W is missing. What you have is the bound; it is reached only at right angles to the rows of W."),
            (method.best_features(W, given, 0 * Y, 0.0, beta), "λ_H is missing next to β."),
            (beta * (W.T @ W @ given + (lambda_H + beta) * given), "solve with the matrix, do not multiply by it."),
        ]  # fmt: skip
        otherwise = f"at β = {beta:g} it is not D(H). Set the gradient of f in H to zero; what happens to WᵀY?"
        found = answer(given, W, lambda_H, beta)
        compare(found, right, hints, otherwise, each="one deviation for each column", tolerance=1e-6)
    return "It gives D(H) at the minimum for every β we tried."


def check_sweep(answer: Sequence[float | None]) -> str:
    """Check what scatter a student saw left near collapse at λ_W = 0.125 and at λ_W = 2 (β = 1, λ_H = 0.05)."""
    if len(answer) != 2:
        raise WrongAnswerError("give two numbers.")
    for lambda_W, found in zip((0.125, 2.0), answer, strict=True):
        (a, b, _), share = method.factors(1.0, lambda_W, 0.05), method.CLASSES / method.DIMENSIONS
        hint = f"at λ_W = {lambda_W:g} the row λ_H shows another number; are the other sliders at β = 1, λ_H = 0.05?"
        compare(found, share * a**2 + (1 - share) * b**2, [], hint, tolerance=0.02)
    return "A cheap classifier grows large and pulls the features along the means together; an expensive one lets go."
