"""STAC: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from reglab.exercise import WrongAnswerError
from reglab.papers.dynamics.stochastic_actor_critic import method


def fixed_point(mean: float, noise: float, beta: float, discount: float, rounds: int = 400) -> float:
    """Return where the pessimistic mean of a one-state problem settles (α = 0), by fitting the critic again and again.

    The reward is mean ± noise with equal chances; each round fits μ and σ to the targets, as the likelihood asks.
    """
    reward = torch.tensor([mean - noise, mean + noise], dtype=torch.float64)
    mu = sd = none = torch.zeros((), dtype=torch.float64)
    for _ in range(rounds):
        target = method.soft_target(reward, none, method.pessimistic(mu, sd, beta), none, 0.0, discount)
        mu, sd = target.mean(), target.std(unbiased=False)
    return float(mu)


def check_fixed_point(answer: Callable[[float, float, float, float], float]) -> str:
    """Check a student's fixed point of the pessimistic mean, a function of mean reward, its sd ρ, β and γ."""
    for mean, noise, beta, discount in ((1.0, 0.5, 0.4, 0.9), (-0.3, 2.0, 0.25, 0.85), (0.2, 3.0, 0.125, 0.5)):
        found = answer(mean, noise, beta, discount)
        if found is None:
            raise NotImplementedError
        if not isinstance(found, int | float | np.generic | Tensor) or np.asarray(found).size != 1:
            raise WrongAnswerError("return one number.")
        right = fixed_point(mean, noise, beta, discount)
        if abs(float(found) - right) < 1e-3:
            continue
        mistakes = {
            mean / (1 - discount): "this is the true value; where is the pessimism?",
            (mean - beta * noise) / (1 - discount): "only the next value is lowered, not the reward of this step.",
            (mean - discount * beta * noise**2) / (1 - discount): "subtract standard deviations, not variances.",
            mean / (1 - discount)
            - discount * beta * noise: "the next target is lowered as well, and the one after it.",
        }
        for value, hint in mistakes.items():
            if abs(float(found) - value) < 1e-3:
                raise WrongAnswerError(hint)
        raise WrongAnswerError(
            f"for r̄ = {mean}, ρ = {noise}, β = {beta}, γ = {discount} the mean settles at {right:.3f}. "
            "Write the mean of y with μ on both sides, and solve for μ."
        )
    return "The critic settles there at every setting we tried."
