"""Neural collapse: the checks of the exercises."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from reglab.exercise import Mistake, WrongAnswerError, compare
from reglab.papers.geometry.neural_collapse import experiments, method


def pair(answer: Any) -> Tensor | None:
    """Return an answer of two numbers as a tensor; None for no answer."""
    if answer is None or (isinstance(answer, tuple) and None in answer):
        return None
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise WrongAnswerError("return two numbers.")
    return torch.tensor([float(number) for number in answer], dtype=torch.float64)


def check_contraction(answer: Callable[[Tensor, Tensor, float, float], Tensor]) -> str:
    """Check a student's deviations D(H), computed from D(H₀), W, λ_H and β, at minimizers of Eq. 2."""
    lambda_H, H0, Y = 0.05, experiments.noisy_means((0,), 5, 1.0)[0], experiments.class_targets(method.CLASSES, 5)
    for beta in (0.1, 1.0, 10.0):
        *_, (W, H) = method.alternate(H0, Y, 5, 0.5, lambda_H, beta)
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


def check_factors(answer: Callable[[float, float, float], tuple[float, float]]) -> str:
    """Check a student's factors a and b, functions of β, λ_W and λ_H in this order."""
    for beta, lambda_W, lambda_H in ((1.0, 0.5, 0.05), (0.3, 1.0, 0.2), (10.0, 0.125, 0.4)):
        right = torch.tensor(method.factors(beta, lambda_W, lambda_H)[:2], dtype=torch.float64)
        ratio, swapped = (torch.tensor([beta / (beta + x), right[1]], dtype=torch.float64)
                          for x in (lambda_H / lambda_W, math.sqrt(lambda_W / lambda_H)))  # fmt: skip
        hints: list[tuple[Mistake, str]] = [
            (right.flip(0), "a and b are interchanged: within the span of the means W sees the deviation."),
            (ratio, "in a, W*ᵀW* on the span of the means is √(λ_H/λ_W) − λ_H, not λ_H/λ_W."),
            (swapped, "in a, the strengths stand upside down: a cheap classifier (small λ_W) pulls harder."),
            (right**2, "these are squares; a and b multiply the deviations themselves."),
            (lambda found: math.isclose(found[1], right[1], rel_tol=1e-6), "a is not right: W*ᵀW* = ? on it."),  # noqa: B023
        ]
        found = pair(answer(beta, lambda_W, lambda_H))
        compare(found, right, hints, "b is not right: W*ᵀW* = ? on it.", tolerance=1e-6)
    return "Both factors are right for all strengths we tried."


def check_sweep(answer: tuple[float, float]) -> str:
    """Check what scatter a student saw left near collapse at λ_W = 0.125 and at λ_W = 2 (β = 1, λ_H = 0.05)."""
    share, factors = (
        method.CLASSES / method.DIMENSIONS,
        [method.factors(1.0, lambda_W, 0.05) for lambda_W in (0.125, 2.0)],
    )
    right = torch.tensor([share * a**2 + (1 - share) * b**2 for a, b, _ in factors], dtype=torch.float64)
    hints: list[tuple[Mistake, str]] = [(right.flip(0), "interchanged: does a cheap classifier pull harder or less?")]
    compare(pair(answer), right, hints, "read the row λ_H, with other sliders at β = 1 and λ_H = 0.05.", tolerance=0.02)
    return "A cheap classifier grows large and pulls the features along the means together; an expensive one lets go."
