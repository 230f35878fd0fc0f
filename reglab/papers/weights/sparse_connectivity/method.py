"""SCL: the equations of the paper. W and m of a layer are [..., D, O], from D inputs to O outputs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from reglab.papers.weights._shared.network import Step


def masked(weights: Tensor, scores: Tensor) -> Tensor:
    """Return W ⊙ H(m), with H(m) = 1[m > 0]: the weights that act.

    The gradient of W is zero where a connection is closed; that of m is (∂L/∂W̃) ⊙ W everywhere, without a proxy's μ'.
    """
    return weights * Step.apply(scores, scores.new_ones(()))


Proxy = Callable[[Tensor], Tensor]
"""A proxy derivative μ'(m) of the unit step, element by element."""

PROXIES: dict[str, Proxy] = {
    "identity": torch.ones_like,
    "leaky": lambda m: torch.where(m > 0, 1.0, 0.1).to(m),
    "softplus": torch.sigmoid,
    "clip": lambda m: (m.abs() < 0.5).to(m),
    "relu": lambda m: (m > 0).to(m),
    "frozen": torch.zeros_like,
}
"""What stands for the derivative of the step; the first three are positive everywhere."""


def normalized(task: Tensor) -> Tensor:
    """Return g/(‖g‖₂ + 1e-8) for each output unit: [..., D, O], the norm over D; which norm the paper takes is open."""
    return task / (task.norm(dim=-2, keepdim=True) + 1e-8)


def score_gradient(task: Tensor, price: float | Tensor, slope: float | Tensor = 1.0) -> Tensor:
    """Return (ĝ + λ/√D)·μ'(m), the gradient of the scores m, from g = (∂L/∂W̃) ⊙ W.

    1/√D is the typical size of an entry of ĝ, so the price λ is in units of a typical task gradient (our choice).
    """
    return (normalized(task) + price / task.shape[-2] ** 0.5) * slope


def raw_gradient(task: Tensor, price: float | Tensor, slope: float | Tensor = 1.0) -> Tensor:
    """Return (g + λ)·μ'(m): the same without normalization."""
    return (task + price) * slope


def descend(start: float, gradient: Callable[[float], float], proxy: Proxy, rate: float, steps: int) -> list[float]:
    """Return one score m at steps 0 to `steps` of m ← m - η·(df/db)·μ'(m), with df/db a function of b = H(m)."""
    found = [start]
    for _ in range(steps):
        slope = float(proxy(torch.tensor(found[-1], dtype=torch.float64)))
        found.append(found[-1] - rate * gradient(float(found[-1] > 0)) * slope)
    return found


def kept_share(progress: float, share: Tensor) -> Tensor:
    """Return s + (1 - s)(1 - t)³, what gradual magnitude pruning keeps at t from 0 to 1 (Zhu and Gupta 2017)."""
    return share + (1 - share) * (1 - min(max(progress, 0.0), 1.0)) ** 3


def anova_f(inputs: Tensor, labels: Tensor) -> Tensor:
    """Return the F statistic of each input over the classes: [S, n, D], [S, n] -> [S, D]; 0 for a constant input."""
    classes = torch.nn.functional.one_hot(labels).to(inputs)
    counts = classes.sum(1).unsqueeze(2)
    means = classes.mT @ inputs / counts
    between = (counts * (means - inputs.mean(1, keepdim=True)).square()).sum(1) / (classes.shape[2] - 1)
    within = (inputs - classes @ means).square().sum(1) / (inputs.shape[1] - classes.shape[2])
    return (between / within).where(within > 1e-9, 0)
