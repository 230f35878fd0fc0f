"""Neural collapse: the checks of the exercises."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from reglab.exercise import WrongAnswerError
from reglab.papers.geometry.neural_collapse import experiments, method


def compare(found: Tensor, right: Tensor, hints: Mapping[str, Tensor], otherwise: str, tolerance: float = 1e-6) -> None:
    """Raise `WrongAnswerError` for a wrong answer, with the hint for its mistake."""
    if not torch.allclose(found, right, rtol=tolerance, atol=1e-8):
        made = (hint for hint, wrong in hints.items() if torch.allclose(found, wrong, rtol=tolerance, atol=1e-8))
        raise WrongAnswerError(next(made, otherwise))


def two_numbers(answer: Sequence[float] | None, names: str) -> Tensor:
    """Return an answer of two numbers as a tensor; raise what `compare` would where it is none."""
    if answer is None or (isinstance(answer, tuple | list) and None in answer):
        raise NotImplementedError
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise WrongAnswerError(f"return two numbers: {names}.")
    return torch.tensor([float(number) for number in answer], dtype=torch.float64)


def check_contraction(answer: Callable[[Tensor, Tensor, float, float], Tensor]) -> str:
    """Check a student's deviations D(H), computed from D(H₀), W, λ_H and β, at minimizers of Eq. 2."""
    lambda_H, H0, Y = 0.05, experiments.noisy_means((0,), 5, 1.0)[0], experiments.class_targets(method.CLASSES, 5)
    for beta in (0.1, 1.0, 10.0):
        *_, (W, H) = method.alternate(H0, Y, 5, 0.5, lambda_H, beta)
        given, right = H0 - experiments.class_means(H0), H - experiments.class_means(H)
        found = answer(given, W, lambda_H, beta)
        if found is None:
            raise NotImplementedError
        if not isinstance(found, Tensor) or found.shape != given.shape:
            raise WrongAnswerError(f"return a tensor of shape {tuple(given.shape)}: a deviation for each column.")
        hints = {
            "multiply by β: H₀ enters the gradient as −βH₀.": right / beta,
            "W is missing. What you have is the bound; it is reached only at right angles to the rows of W.": (
                beta / (beta + lambda_H) * given
            ),
            "λ_H is missing next to β.": method.best_features(W, given, 0 * Y, 0.0, beta),
            "solve with the matrix, do not multiply by it.": beta * (W.T @ W @ given + (lambda_H + beta) * given),
        }
        compare(found, right, hints, f"at β = {beta:g} it is not D(H). Set the gradient in H to zero; where goes WᵀY?")
    return "It gives D(H) at the minimum for every β we tried."


def check_factors(answer: Callable[[float, float, float], tuple[float, float]]) -> str:
    """Check a student's factors a and b, functions of β, λ_W and λ_H in this order."""
    for beta, lambda_W, lambda_H in ((1.0, 0.5, 0.05), (0.3, 1.0, 0.2), (10.0, 0.125, 0.4)):
        found = two_numbers(answer(beta, lambda_W, lambda_H), "a, b")
        right = torch.tensor(method.factors(beta, lambda_W, lambda_H)[:2], dtype=torch.float64)
        others = [beta / (beta + wrong) for wrong in (lambda_H / lambda_W, math.sqrt(lambda_W / lambda_H))]
        hints = {
            "a and b are interchanged: within the span of the means W sees the deviation, outside not.": right.flip(0),
            "in a, W*ᵀW* on the span of the means is √(λ_H/λ_W) − λ_H, not λ_H/λ_W.": right.new([others[0], right[1]]),
            "in a, the strengths stand upside down: a small λ_W pulls harder.": right.new([others[1], right[1]]),
            "these are squares; a and b multiply the deviations themselves.": right**2,
        }
        wrong = "b" if math.isclose(found[0], right[0], rel_tol=1e-6) else "a"
        compare(found, right, hints, f"{wrong} is not right at β = {beta:g}, λ_W = {lambda_W:g}, λ_H = {lambda_H:g}.")
    return "Both factors are right for all strengths we tried."


def check_sweep(answer: tuple[float, float]) -> str:
    """Check what scatter a student saw left near collapse at λ_W = 0.125 and at λ_W = 2 (β = 1, λ_H = 0.05)."""
    inside = method.CLASSES / method.DIMENSIONS
    squares = [[factor**2 for factor in method.factors(1.0, lambda_W, 0.05)] for lambda_W in (0.125, 2.0)]
    right = torch.tensor([inside * a + (1 - inside) * b for a, b, _ in squares], dtype=torch.float64)
    found = two_numbers(answer, "the scatter left at λ_W = 0.125 and at λ_W = 2")
    hints = {"interchanged: does a cheap classifier pull the features together or let them go?": right.flip(0)}
    compare(found, right, hints, "read the row of the arm λ_H, with the other sliders at β = 1 and λ_H = 0.05.", 0.02)
    return "A cheap classifier grows large and pulls the features along the means together; an expensive one lets go."
