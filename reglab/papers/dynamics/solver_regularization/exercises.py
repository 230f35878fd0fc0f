"""Solver regularization: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from reglab.exercise import WrongAnswerError, compare
from reglab.papers.dynamics.solver_regularization import method

LOST = (0.2, 0.55)
"""Between these lies the accuracy that is lost at λ = 100 in the recorded runs, as one reads it off."""

HINTS = {"a": "the looser solver needs fewer evaluations, too.", "b": "the tolerance says how large errors may be."}


def check_tolerance(answer: str) -> str:
    """Check which difference between a looser tolerance and the penalty a student has chosen."""
    if answer != "c":
        raise WrongAnswerError(HINTS.get(answer, "choose a, b or c."))
    return "Loosening changes the function that is computed; the penalty changes the equation and keeps the exactness."


def check_richardson(answer: Callable[[Callable[[Tensor, float], Tensor], Tensor, float], Tensor]) -> str:
    """Check a student's estimate of a step's error, one step against two halves, on a pendulum and many step sizes."""
    from scipy.stats import spearmanr

    def swing(z: Tensor, t: Tensor) -> Tensor:
        return torch.stack([z[..., 1], -torch.sin(z[..., 0])], -1)

    def taken(z: Tensor, h: float) -> method.Step:
        state, zero = z.reshape(1, 1, 2), torch.zeros(1, dtype=torch.float64)
        return method.runge_kutta(swing, state, zero, zero + h, swing(state, zero))

    z, found = torch.tensor([2.0, 0.0], dtype=torch.float64), []
    for i in range(40):
        h = 0.1 + 0.5 * ((7 * i) % 40) / 40
        mine, whole = answer(lambda x, size: taken(x, size).z.flatten(), z, h), taken(z, h)
        half, end = taken(z, h / 2).z, whole.z
        if mine is None:
            raise NotImplementedError
        right, wrong = float((end - taken(half, h / 2).z).norm()), float((end - half).norm())
        hints = [(wrong / right, "one half step ends at another time: take two of them.")]
        compare(mine / right, 1.0, hints, f"at h = {h:.2f} the results differ by {right:.2e}.", tolerance=0.1)
        found.append([float(mine), float(method.error_estimate(whole.delta, z.reshape(1, 1, 2), end, 1e-7))])
        z = end.flatten()
    rank = float(spearmanr(found).statistic)
    return f"Its rank correlation with the solver's own E over 40 steps is {rank:.2f}: two ways to see the same error."


def check_collapse(answer: float) -> str:
    """Check how much accuracy a student reads off as lost at λ = 100."""
    if not LOST[0] <= answer <= LOST[1]:
        raise WrongAnswerError("subtract the accuracy of ER at λ = 100 from that of vanilla, at the tolerance 1e-07.")
    return f"We read off numbers from {LOST[0]:g} to {LOST[1]:g}."
