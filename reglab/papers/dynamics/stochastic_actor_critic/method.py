"""STAC: the equations of the paper."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

LOWEST = -5.0
"""Raw standard deviations are cut off here, as in the official code."""


def head(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation softplus(max(raw, -5)) from a network's outputs: [..., 2k] -> two [..., k]."""
    mean, spread = raw.chunk(2, -1)
    return mean, F.softplus(spread.clamp(min=LOWEST))


def squash(mean: Tensor, sd: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return the action a = tanh(u), u = μ + σε, and log π(a): [..., k] -> [..., k] and [...].

    log π = Σ_i [log N(u_i) - 2(log 2 - u_i - softplus(-2u_i))]; this form of log(1 - a²) is exact for every u.
    """
    u = mean + sd * noise
    log_normal = -0.5 * noise.square() - sd.log() - 0.5 * math.log(2 * math.pi)
    return u.tanh(), (log_normal - 2 * (math.log(2) - u - F.softplus(-2 * u))).sum(-1)


def pessimistic(mean: Tensor, sd: Tensor, beta: float | Tensor) -> Tensor:
    """Return μ - βσ, a value lowered by β standard deviations."""
    return mean - beta * sd


def soft_target(reward: Tensor, done: Tensor, value: Tensor, log_density: Tensor,
                alpha: float | Tensor, discount: float) -> Tensor:  # fmt: skip
    """Return y = r + γ(1 - done)[value - α log π(a'|s')], with the pessimistic value of (s', a'): all [..., N]."""
    return reward + discount * (1 - done) * (value - alpha * log_density)


def critic_loss(target: Tensor, mean: Tensor, sd: Tensor) -> Tensor:
    """Return the Gaussian negative log-likelihood of the targets, averaged over the batch: [..., N] -> [...]."""
    return (0.5 * ((target - mean) / sd).square() + sd.log() + 0.5 * math.log(2 * math.pi)).mean(-1)


def actor_loss(value: Tensor, log_density: Tensor, alpha: float | Tensor) -> Tensor:
    """Return the mean of α log π(a|s) - value, with the pessimistic value of (s, a): [..., N] -> [...]."""
    return (alpha * log_density - value).mean(-1)


def new_temperature(alpha: Tensor, entropy: Tensor, goal: float, rate: float) -> Tensor:
    """Return α exp(ηα(H̄ - Ĥ)): the temperature rises while the entropy Ĥ is below its goal H̄."""
    return alpha * (rate * alpha * (goal - entropy)).exp()


# ---------------------------------------------------------------------------------------------------- the line, exactly


GRID, NODES, BORDER, DISCOUNT = 61, 9, 0.2, 0.85
"""States of the grid on [-1, 1], nodes of Gauss-Hermite quadrature, where the right side begins, γ."""

STATES = torch.linspace(-1, 1, GRID, dtype=torch.float64)


EPSILONS, WEIGHTS = (torch.tensor(one) for one in np.polynomial.hermite_e.hermegauss(NODES))
WEIGHTS = WEIGHTS / WEIGHTS.numpy().sum()
"""Where and with which weights the mean over a standard normal number is taken; the middle node is 0."""


def of_side(s: Tensor, left: float, right: float) -> Tensor:
    """Return `right` where s > 0.2, the right side of the line, and `left` elsewhere."""
    return left + (right - left) * (s > BORDER).to(s.dtype)


class World(NamedTuple):
    """Noise of the line left and right of s = 0.2: standard deviations of next state and reward."""

    shake: tuple[float, float]
    reward_noise: tuple[float, float]

    def step(self, s: Tensor, a: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return reward and next state; `noise` [..., 2] holds standard normal numbers for both."""
        reward = mean_reward(s, a) + of_side(s, *self.reward_noise) * noise[..., 0]
        return reward, (s + 0.3 * a + of_side(s, *self.shake) * noise[..., 1]).clamp(-1, 1)


def mean_reward(s: Tensor, a: Tensor) -> Tensor:
    """Return r̄: a hill of height 1 around s = 0.6 and one of 0.8 around s = -0.6, minus 0.05a² and 0.35."""
    hills = (-(((s - 0.6) / 0.25) ** 2)).exp() + 0.8 * (-(((s + 0.6) / 0.25) ** 2)).exp()
    return hills - 0.05 * a**2 - 0.35


def transitions(actions: Tensor, world: World) -> Tensor:
    """Return where each action leads from each state of the grid, as weights on the grid: [M, 61, K] -> [M, 61, K, 61].

    The mean over the noise is taken at nine nodes; a next state between two grid states goes to both in proportion.
    """
    s = STATES.reshape(-1, 1, 1)
    following = (s + 0.3 * actions.unsqueeze(-1) + of_side(s, *world.shake) * EPSILONS).clamp(-1, 1)
    position = (following + 1) / 2 * (GRID - 1)
    low = position.floor().clamp(max=GRID - 2)
    above = position - low
    found = torch.zeros(*actions.shape, GRID, dtype=actions.dtype)
    found.scatter_add_(-1, low.long(), (1 - above) * WEIGHTS)
    return found.scatter_add_(-1, low.long() + 1, above * WEIGHTS)


def moves(leads: Tensor) -> Tensor:
    """Return how likely the policy leads from each state of the grid to each: [M, 61, K, 61] -> [M, 61, 61]."""
    return torch.einsum("mgkh,k->mgh", leads, WEIGHTS)


def solve_values(leads: Tensor, reward: Tensor, discount: float = DISCOUNT) -> tuple[Tensor, Tensor]:
    """Solve V(s) = E_a[reward + γ E V(s')] on the grid; return Q without the reward of its own entropy, and V.

    leads [M, 61, K, 61], reward [M, 61, K] (with -α log π for a soft value) -> E V(s') [M, 61, K] times γ, V [M, 61].
    """
    V = torch.linalg.solve(torch.eye(GRID, dtype=leads.dtype) - discount * moves(leads), reward @ WEIGHTS)
    return discount * (leads @ V[:, None, :, None]).squeeze(-1), V


def occupancy(leads: Tensor, steps: int) -> Tensor:
    """Return how likely each state of the grid is in the mean over some steps, from all states alike: [M, 61]."""
    step = moves(leads)
    now = torch.full_like(step[:, :1], 1 / GRID)
    after = [now := now @ step for _ in range(steps)]
    return torch.cat(after, 1).mean(1)


def temporal_sd(leads: Tensor, value: Tensor, noise: Tensor, discount: float = DISCOUNT) -> Tensor:
    """Return σ*, the standard deviation of r + γ value(s', a') at every state and action of the grid.

    σ*² = σ_r² + γ² Var(value): leads [M, 61, K, 61], value of the target at each (s', a') [M, 61, K], σ_r [61].
    """
    first, second = value @ WEIGHTS, value.square() @ WEIGHTS
    mean, square = ((leads @ one[:, None, :, None]).squeeze(-1) for one in (first, second))
    return (noise.square().unsqueeze(-1) + discount**2 * (square - mean.square()).clamp(min=0)).sqrt()


# ---------------------------------------------------------------------------------------------- the best of many means


def expected_maximum(count: int) -> float:
    """Return c_K, the mean of the largest of K standard normal numbers, by quadrature to about seven digits."""
    x = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
    largest = torch.special.ndtr(x) ** count
    return float(((x[1:] + x[:-1]) / 2 * largest.diff()).sum())


def best_of_means(rewards: Tensor, beta: float, discount: float) -> Tensor:
    """Return what a critic of one state believes: it fits each action, believes the best and bootstraps from it.

    m = max_i μ_i + γ(m - βσ), so m = (max_i μ_i - γβσ)/(1 - γ): rewards of n trials of K actions [..., K, n] -> [...].
    """
    sd = rewards.var(-1).mean(-1).sqrt()
    return (rewards.mean(-1).amax(-1) - discount * beta * sd) / (1 - discount)
