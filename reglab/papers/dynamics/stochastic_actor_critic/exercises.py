"""STAC: the checks of the exercises."""

from __future__ import annotations

from collections.abc import Callable

import torch

from reglab.effects import end
from reglab.exercise import Mistake, compare, read_off
from reglab.papers.dynamics.stochastic_actor_critic import experiments, method
from reglab.recordings import store


def check_limit(answer: float) -> str:
    """Check a number: what σ becomes with endless data, for a reward of sd 2 and a next value of sd 1.5, γ = 0.9."""
    hints: list[tuple[Mistake, str]] = [
        (0.0, "that is the uncertainty of the mean; the noise of the target stays."),
        (2.0, "that is the noise of the reward; the next value varies as well."),
        (2 + 0.9 * 1.5, "independent variances add up, not standard deviations."),
    ]
    otherwise = "y = r + γ·(next value): add the variances of its two independent terms, and take the root."
    compare(answer, (2**2 + (0.9 * 1.5) ** 2) ** 0.5, hints, otherwise, tolerance=5e-3)
    return "It stays however many data there are: σ measures noise, not how little is known."


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
        at = f"r̄, ρ, β, γ = {mean}, {noise}, {beta}, {discount}"
        otherwise = f"it settles at {right:.3f} for {at}. Write the mean of y with μ on both sides, and solve for μ."
        compare(answer(mean, noise, beta, discount), right, hints, otherwise, tolerance=1e-3)
    return "The critic settles there at every setting we tried."


def check_return(answer: float) -> str:
    """Check STAC's share of time right at the end, which a student reads off at β = 0.5 without reward noise."""
    recorded = store.at(experiments.Actors(beta=0.5, reward_noise=0))
    assert recorded is not None
    hint = f"the line of STAC ends elsewhere, under “{experiments.RISK}”; are β at 0.5 and the noise at 0?"
    read_off(answer, end("right", "STAC")(recorded).values, hint, reading=0.05)
    return "Where there is nothing to fear, it goes to the higher hill."
