"""STAC: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable

import torch

from reglab.exercise import Mistake, compare
from reglab.papers.dynamics.stochastic_actor_critic import method


def fixed_point(mean: float, noise: float, beta: float, discount: float, rounds: int = 400) -> float:
    """Return where the pessimistic mean of a one-state problem settles (α = 0), by fitting the critic again and again.

    The reward is mean ± noise with equal probability; each round fits μ and σ to the targets, as the likelihood asks.
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
        right, value = fixed_point(mean, noise, beta, discount), mean / (1 - discount)
        hints: list[tuple[Mistake, str]] = [
            (value, "this is the true value; where is the pessimism?"),
            (value - beta * noise / (1 - discount), "only the next value is lowered, not the reward of this step."),
            (value - discount * beta * noise**2 / (1 - discount), "subtract standard deviations, not variances."),
            (value - discount * beta * noise, "the next target is lowered as well, and the one after it."),
        ]
        otherwise = (
            f"for r̄ = {mean}, ρ = {noise}, β = {beta}, γ = {discount} the mean settles at {right:.3f}. "
            "Write the mean of y with μ on both sides, and solve for μ."
        )
        compare(answer(mean, noise, beta, discount), right, hints, otherwise, tolerance=1e-3)
    return "The critic settles there at every setting we tried."
