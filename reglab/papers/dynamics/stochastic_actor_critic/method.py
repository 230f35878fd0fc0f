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


def soft_target(
    reward: Tensor, done: Tensor, value: Tensor, log_density: Tensor, alpha: float | Tensor, discount: float
) -> Tensor:
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


class World(NamedTuple):
    """Noise of the line left and right of s = 0.2: standard deviations of next state and reward."""

    shake: tuple[float, float]
    reward_noise: tuple[float, float]

    def shake_at(self, s: Tensor) -> Tensor:
        """Return σ_s(s)."""
        return _beyond(s, *self.shake)

    def noise_at(self, s: Tensor) -> Tensor:
        """Return σ_r(s)."""
        return _beyond(s, *self.reward_noise)

    def step(self, s: Tensor, a: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return reward and next state; `noise` [..., 2] holds standard normal numbers for both."""
        reward = mean_reward(s, a) + self.noise_at(s) * noise[..., 0]
        return reward, (s + 0.3 * a + self.shake_at(s) * noise[..., 1]).clamp(-1, 1)


def _beyond(s: Tensor, left: float, right: float) -> Tensor:
    return left + (right - left) * (s > BORDER).to(s.dtype)


def mean_reward(s: Tensor, a: Tensor) -> Tensor:
    """Return r̄: a hill of height 1 around s = 0.6 and one of 0.8 around s = -0.6, minus 0.05a² and 0.35."""
    hills = (-(((s - 0.6) / 0.25) ** 2)).exp() + 0.8 * (-(((s + 0.6) / 0.25) ** 2)).exp()
    return hills - 0.05 * a**2 - 0.35


def transitions(actions: Tensor, world: World) -> Tensor:
    """Return where each action leads from each state of the grid, as weights on the grid: [M, 61, K] -> [M, 61, K, 61].

    The mean over the noise is taken at nine nodes; a next state between two grid states goes to both in proportion.
    """
    s = STATES.reshape(-1, 1, 1)
    following = (s + 0.3 * actions.unsqueeze(-1) + world.shake_at(s) * EPSILONS).clamp(-1, 1)
    position = (following + 1) / 2 * (GRID - 1)
    low = position.floor().clamp(max=GRID - 2)
    above = position - low
    found = torch.zeros(*actions.shape, GRID, dtype=actions.dtype)
    found.scatter_add_(-1, low.long(), (1 - above) * WEIGHTS)
    return found.scatter_add_(-1, low.long() + 1, above * WEIGHTS)


def solve_values(leads: Tensor, reward: Tensor, discount: float = DISCOUNT) -> tuple[Tensor, Tensor]:
    """Solve V(s) = E_a[reward + γ E V(s')] on the grid; return Q without the reward of its own entropy, and V.

    leads [M, 61, K, 61], reward [M, 61, K] (with -α log π for a soft value) -> E V(s') [M, 61, K] times γ, V [M, 61].
    """
    step = torch.einsum("mgkh,k->mgh", leads, WEIGHTS)
    V = torch.linalg.solve(torch.eye(GRID, dtype=leads.dtype) - discount * step, reward @ WEIGHTS)
    return discount * (leads @ V[:, None, :, None]).squeeze(-1), V
