"""The Bayes-optimal network: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from reglab import data
from reglab.effects import end
from reglab.exercise import Mistake, compare, read_off
from reglab.papers.dynamics.bayes_optimal_network import experiments, method
from reglab.recordings import store


def check_cleaning(answer: Callable[[Tensor, float], Tensor]) -> str:
    """Check a student's cleaned eigenvalues, from the noisy ones and t alone, on a matrix of 400 rows."""
    d, kappa, t = 400, 0.5, 0.3
    S = method.matrix(data.normal((0,), "exercise", round(kappa * d), d)[0])
    A = data.normal((0,), "exercise noise", d, d)[0]
    values, vectors = torch.linalg.eigh(S + t**0.5 * (A + A.T) / (2 * d) ** 0.5)
    theory, right = float(method.denoising_error(t, kappa)), method.shrink(values, torch.tensor(t), kappa)

    def mine(found: Tensor) -> float:
        return float(method.distance((vectors * found) @ vectors.T, S))

    hints: list[tuple[Mistake, str]] = [
        (lambda found: not found.isfinite().all(), "not all are finite: use the small imaginary part."),
        (
            lambda found: mine(2 * values - found) < 1.1 * theory,
            "the size is right, the sign is not: subtract 2t Re g.",
        ),
        (lambda found: mine(2 * found - values) < 1.1 * theory, "a factor 2 is missing: λ − 2t Re g."),
        (lambda found: mine(values + (found - values) / d) < 1.1 * theory, "divide the sum by d: g is a mean."),
    ]
    found = answer(values, t)
    good = isinstance(found, Tensor) and found.shape == values.shape and mine(found) < 1.1 * theory
    otherwise = "the error is not that of the theory: take g(λ_i) as the mean of 1/(λ_i − λ_j − i/√d)."
    compare(right if good else found, right, hints, otherwise, each="one cleaned number for each eigenvalue")
    return (
        f"Your error is {mine(found):.3f}; the theory says {theory:.3f}, and without cleaning it is {mine(values):.3f}."
    )


# fmt: off
def check_samples(answer: Callable[[int], float]) -> str:
    """Check a student's error of the mean of K posterior samples, over that of the posterior mean."""
    for count in (1, 2, 16):
        around = "this is the error of the samples' mean around the posterior mean; the teacher differs, too."
        much = "averaging does not reach the teacher: for large K the error is that of the posterior mean, 1."
        hints: list[tuple[Mistake, str]] = [(1 / count, around), (2 / count, much)]
        otherwise = f"at K = {count}: that is not it: one variance for the teacher, one over K for the mean."
        compare(answer(count), 1 + 1 / count, hints if count > 1 else [], otherwise, tolerance=1e-6)
    return "Right: 2 for one run, and 1 for very many."


def check_plateau(answer: float) -> str:
    """Check how far a student reads the average of 16 runs to be above its dashed line, at α = 0.45 and σ = 0.25."""
    recorded = store.at(experiments.Averaging(alpha=0.45, sigma=0.25))
    assert recorded is not None
    shown = (end("error", "average of K", students=16) / end("expected", students=16))(recorded)
    read_off(answer, shown.values, "divide the height of the blue line at K = 16 by the dashed one's.", reading=0.1)
    return "Averaging does not repair this: all runs see the same noise and end close together."
# fmt: on
