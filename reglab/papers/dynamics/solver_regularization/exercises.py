"""Solver regularization: the checks of the exercises."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from reglab.exercise import WrongAnswerError
from reglab.papers.dynamics.solver_regularization import method


def check_richardson(answer: Callable[[Callable[[Tensor, float], Tensor], Tensor, float], Tensor]) -> str:
    """Check a student's estimate of a step's error, one step against two halves, on a pendulum and many step sizes."""
    from scipy.stats import spearmanr

    def swing(z: Tensor, t: Tensor) -> Tensor:
        return torch.stack([z[..., 1], -torch.sin(z[..., 0])], -1)

    def taken(z: Tensor, h: float) -> method.Step:
        state, zero = z.reshape(1, 1, 2), torch.zeros(1, dtype=torch.float64)
        return method.runge_kutta(swing, state, zero, zero + h, swing(state, zero))

    def step(z: Tensor, h: float) -> Tensor:
        return taken(z, h).z.flatten()

    z, mine, theirs = torch.tensor([2.0, 0.0], dtype=torch.float64), [], []
    for i in range(40):
        h = 0.1 + 0.5 * ((7 * i) % 40) / 40
        found = answer(step, z, h)
        if found is None:
            raise NotImplementedError
        found = torch.as_tensor(found, dtype=torch.float64)
        if found.shape != ():
            raise WrongAnswerError("return one number: the length of the difference, for example `(a - b).norm()`.")
        whole, half = step(z, h), step(z, h / 2)
        right = float((whole - step(half, h / 2)).norm())
        if math.isclose(float(found), float((whole - half).norm()), rel_tol=1e-9):
            raise WrongAnswerError("one half step ends at another time: take two of them.")
        if not math.isclose(float(found), right, rel_tol=0.2, abs_tol=1e-15):
            raise WrongAnswerError(f"at h = {h:.2f} the results differ by {right:.2e}, yours is {float(found):.2e}.")
        mine.append(float(found))
        theirs.append(float(method.error_estimate(taken(z, h).delta, z.reshape(1, 1, 2), whole.reshape(1, 1, 2), 1e-7)))
        z = whole
    rank = float(spearmanr(mine, theirs).statistic)
    return f"Its rank correlation with the solver's own E over 40 steps is {rank:.2f}: two ways to see the same error."
