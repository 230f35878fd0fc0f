"""The Bayes-optimal network: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from reglab import data
from reglab.exercise import Mistake, WrongAnswerError, compare
from reglab.papers.dynamics.bayes_optimal_network import method


def check_cleaning(answer: Callable[[Tensor, float], Tensor]) -> str:
    """Check a student's cleaned eigenvalues, from the noisy ones and t alone, on a matrix of 400 rows."""
    d, kappa, t = 400, 0.5, 0.3
    S = method.matrix(data.normal((0,), "exercise", round(kappa * d), d)[0])
    A = data.normal((0,), "exercise noise", d, d)[0]
    values, vectors = torch.linalg.eigh(S + t**0.5 * (A + A.T) / (2 * d) ** 0.5)
    found = answer(values, t)
    if found is None:
        raise NotImplementedError
    if not isinstance(found, Tensor) or found.shape != values.shape:
        raise WrongAnswerError(f"return a tensor of shape ({d},), one cleaned number for each eigenvalue.")
    if not found.isfinite().all():
        raise WrongAnswerError("not all numbers are finite: leave λ_i out of its sum, or use a small imaginary part.")

    right = float(method.denoising_error(t, kappa))
    mine, raw = (float(method.distance((vectors * one) @ vectors.T, S)) for one in (found, values))
    if mine <= 1.1 * right:
        return f"Your error is {mine:.3f}; the theory says {right:.3f}, and without cleaning it is {raw:.3f}."
    correction = torch.from_numpy(2 * t * method.resolvent(values.numpy(), np.full(d, t), kappa).real)
    size = float(((values - found) * correction).sum() / correction.square().sum())
    for wrong, hint in (
        (abs(size + 1) < 0.15, "the size is right, the sign is not: subtract 2t Re g."),
        (abs(size - 0.5) < 0.1, "a factor 2 is missing: λ − 2t Re g, because the matrix is symmetric."),
        (size > 10, "divide the sum by the number of eigenvalues: g is a mean."),
    ):
        if wrong:
            raise WrongAnswerError(hint)
    raise WrongAnswerError(
        f"your error is {mine:.3f}; the theory says {right:.3f}. Take g(λ_i) as the mean of 1/(λ_i − λ_j)."
    )


def check_samples(answer: Callable[[int], float]) -> str:
    """Check a student's error of the mean of K posterior samples, over that of the posterior mean."""
    for count in (1, 2, 16):
        found = answer(count)
        hints: list[tuple[Mistake, str]] = [
            (1 / count, "this is the error of the samples' mean around the posterior mean; the teacher differs, too."),
            (
                2 / count,
                "averaging does not reach the teacher: for large K the error is that of the posterior mean, 1.",
            ),
        ]
        otherwise = "that is not it: one variance for the teacher, one over K for the mean."
        compare(found, 1 + 1 / count, hints if count > 1 else [], f"at K = {count}: {otherwise}", tolerance=1e-6)
    return "Right: 2 for one run, and 1 for very many."
