"""WC: the compander and its inverse, how fast a weight moves through it, and the shape of a distribution of weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

from reglab import metrics
from reglab.papers.weights._shared.network import largest

Number = float | Tensor
Scale = TypeVar("Scale", float, Tensor)


def psi(v: Tensor, a: Number, b: Number) -> Tensor:
    """Return w = Ψ(v; a, b) = a·arctan(v/b), the weight that acts for a stored v; |w| < πa/2, a > 0, b > 0."""
    return a * torch.arctan(v / b)


def psi_slope(v: Tensor, a: Number, b: Number) -> Tensor:
    """Return Ψ'(v) = (a/b)/(1 + (v/b)²), by which the gradient in w is multiplied to be that in v."""
    return (a / b) / (1 + (v / b) ** 2)


def psi_inverse(w: Tensor, a: Number, b: Number) -> Tensor:
    """Return v = b·tan(w/a) for |w| < πa/2."""
    return b * torch.tan(w / a)


def speed(w: Tensor, a: Number, b: Number) -> Tensor:
    """Return (a/b)²·cos⁴(w/a): by what a small step of gradient descent on v multiplies the learning rate of w."""
    return (a / b) ** 2 * torch.cos(w / a) ** 4


def bound(a: Scale) -> Scale:
    """Return πa/2, which no weight reaches."""
    return math.pi / 2 * a


def scale(kappa: Scale, inputs: int) -> Scale:
    """Return a = κσ with σ = √(2/inputs), the standard deviation of a layer's first weights (He et al. 2015)."""
    return kappa * math.sqrt(2 / inputs)


def map_at_the_end(w: Tensor, a: Number, b: Number) -> Tensor:
    """Return Ψ(w)·‖w‖/‖Ψ(w)‖ for each layer [..., in, out]: weights pressed after training, with the norm they had."""
    pressed = psi(w, a, b)
    return pressed * w.norm(dim=(-2, -1), keepdim=True) / pressed.norm(dim=(-2, -1), keepdim=True)


def relative(w: Tensor) -> Tensor:
    """Return w/√(E w²) of weights [..., n]; NaN for exact zeros, which are weights that a narrower network lacks."""
    there, w = w != 0, w / w.abs().amax(-1, keepdim=True)  # so that squares of tiny weights do not vanish
    return torch.where(there, w / metrics.mean_where(w**2, there).sqrt().unsqueeze(-1), torch.nan)


def shape(relative: Tensor) -> dict[str, Tensor]:
    """Return what the distribution of weights in units of their rms looks like: [..., n] -> [...] each.

    `kurtosis` E w⁴/(E w²)², `near_zero` the share with |w| < 0.1·√(E w²), `participation` E|w|/√(E w²), `largest`.
    """
    size = relative.abs()
    return {
        "kurtosis": (size**4).nanmean(-1),
        "near_zero": metrics.share_where(size < 0.1, size.isfinite()),
        "participation": size.nanmean(-1),
        "largest": size.nan_to_num().amax(-1),
    }


def without_largest(weights: Sequence[Tensor], share: float) -> list[Tensor]:
    """Return weights without the largest |w| of all layers together: [M, in, out] each.

    A `share` of each model's weights, rounded up, becomes zero; of ties those with the first index. Exact zeros do not
    count as weights.
    """
    there = torch.stack([(weight != 0).sum((1, 2)) for weight in weights]).sum(0)
    gone = largest(weights, (share * there).ceil() / sum(weight[0].numel() for weight in weights))
    return [torch.where(dropped, 0, weight) for dropped, weight in zip(gone, weights, strict=True)]
