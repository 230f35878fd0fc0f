"""Neural collapse: the checks of the exercises."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from reglab.exercise import WrongAnswerError
from reglab.papers.geometry.neural_collapse import experiments, method


def check_contraction(answer: Callable[[Tensor, Tensor, float, float], Tensor]) -> str:
    """Check a student's deviations D(H), computed from D(H₀), W, λ_H and β, at minimizers of Eq. 2."""
    n, lambda_W, lambda_H = 5, 0.5, 0.05
    H0, Y = experiments.noisy_means((0,), n, 1.0)[0], experiments.class_targets(method.CLASSES, n)
    for beta in (0.1, 1.0, 10.0):
        *_, (W, H, _) = method.alternate(H0, Y, n, lambda_W, lambda_H, beta)
        given, right = H0 - experiments.class_means(H0), H - experiments.class_means(H)
        found = answer(given, W, lambda_H, beta)
        if found is None:
            raise NotImplementedError
        if not isinstance(found, Tensor) or found.shape != given.shape:
            raise WrongAnswerError(
                f"return a tensor of shape {tuple(given.shape)}: one deviation for each column of D(H₀)."
            )
        mistakes = {
            "multiply by β: H₀ enters the gradient as −βH₀.": right / beta,
            "W is missing. What you have is the bound; it is reached only at right angles to the rows of W.": (
                beta / (beta + lambda_H) * given
            ),
            "λ_H is missing next to β.": method.best_features(W, given, 0 * Y, 0.0, beta),
            "solve with the matrix, do not multiply by it.": (beta * (W.T @ W @ given + (lambda_H + beta) * given)),
        }
        if torch.allclose(found, right, rtol=1e-6, atol=1e-8):
            continue
        for hint, mistake in mistakes.items():
            if torch.allclose(found, mistake, rtol=1e-6, atol=1e-8):
                raise WrongAnswerError(hint)
        raise WrongAnswerError(
            f"at β = {beta:g} it is not D(H). Set the gradient of f in H to zero; what happens to WᵀY?"
        )
    return "It gives D(H) at the minimum for every β we tried."


def check_factors(answer: Callable[[float, float, float], tuple[float, float]]) -> str:
    """Check a student's factors a and b, functions of β, λ_W and λ_H in this order."""
    for beta, lambda_W, lambda_H in ((1.0, 0.5, 0.05), (0.3, 1.0, 0.2), (10.0, 0.125, 0.4)):
        found = answer(beta, lambda_W, lambda_H)
        if found is None:
            raise NotImplementedError
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise WrongAnswerError("return two numbers: a, b.")
        a, b, _ = method.factors(beta, lambda_W, lambda_H)
        mistakes = {
            "a and b are interchanged: within the span of the means W sees the deviation, outside it does not.": (b, a),
            "in a, W*ᵀW* on the span of the means is √(λ_H/λ_W) − λ_H, not λ_H/λ_W.": (
                beta / (beta + lambda_H / lambda_W), b),
            "in a, the strengths stand upside down: a cheap classifier (small λ_W) pulls harder.": (
                beta / (beta + math.sqrt(lambda_W / lambda_H)), b),
            "these are squares; a and b multiply the deviations themselves.": (a**2, b**2),
        }  # fmt: skip
        if np.allclose(found, (a, b), rtol=1e-6):
            continue
        for hint, mistake in mistakes.items():
            if np.allclose(found, mistake, rtol=1e-6):
                raise WrongAnswerError(hint)
        wrong = "b" if math.isclose(found[0], a, rel_tol=1e-6) else "a"
        raise WrongAnswerError(
            f"{wrong} is not right at β = {beta:g}, λ_W = {lambda_W:g}, λ_H = {lambda_H:g}: use W*ᵀW* = ? on it."
        )
    return "Both factors are right for all strengths we tried."
