"""GG priors: the estimate of a shape, the start, the penalty, the rate, and 8-bit numbers.

The generalized Gaussian GG(ν, β) has the density ν/(2βΓ(1/ν))·exp(-(|x|/β)^ν): ν = 2 is Gaussian, 1 Laplace.
"""

from __future__ import annotations

import torch
from scipy import special, stats
from torch import Tensor

SHAPES = torch.arange(10, 300, dtype=torch.float64) / 100
"""The shapes ν that `estimate` chooses from: 0.10, 0.11, …, 2.99."""


def beta_of(shape: Tensor, variance: Tensor | float) -> Tensor:
    """Return the scale β of the law with a shape and a variance: β² = variance·Γ(1/ν)/Γ(3/ν)."""
    return (variance * (torch.lgamma(1 / shape) - torch.lgamma(3 / shape)).exp()).sqrt()


def from_normal(z: Tensor, shape: Tensor, beta: Tensor) -> Tensor:
    """Return F⁻¹(Φ(z)), draws of GG(ν, β) in the order of standard normal draws z; shape and β broadcast to z.

    Both tails are computed from their own end, so that large |z| keep their digits.
    """
    tail = 2 * special.ndtr(-z.abs().double().numpy())
    upper = torch.from_numpy(special.gammainccinv(1 / shape.double().numpy(), tail))
    return (z.sign() * beta * upper ** (1 / shape.double())).to(z)


def start(z: Tensor, shape: Tensor, fan: int, gain: float = 2.0) -> Tensor:
    """Return first weights of law GG(ν₀) with variance ξ/n, from normal draws z; ξ = 2 suits ReLU.

    n = `fan` is the number of inputs of the layer here, and that of its outputs in the official code.
    """
    return from_normal(z, shape, beta_of(shape, gain / fan))


def ratio(shape: Tensor) -> Tensor:
    """Return ρ(ν) = Γ(1/ν)Γ(3/ν)/Γ(2/ν)² = E x²/(E|x|)², which falls as ν grows."""
    return (torch.lgamma(1 / shape) + torch.lgamma(3 / shape) - 2 * torch.lgamma(2 / shape)).exp()


def estimate(theta: Tensor, count: Tensor | int) -> Tensor:
    """Return ν̂, whose ρ is nearest to r = nΣθ²/(Σ|θ|)² (1): [M, N] -> [M].

    n = `count` of the N are parameters, and what is left are zeros.
    """
    r = count * theta.square().sum(1) / theta.abs().sum(1).square()
    return SHAPES.to(r)[(r.unsqueeze(1) - ratio(SHAPES).to(r)).abs().argmin(1)]


def penalized(theta: Tensor, shape: Tensor, rate: Tensor | float, epsilon: float) -> Tensor:
    """Return θ - rate·ν̂·sign(θ)(|θ|+ε)^(ν̂-1), the step of BackSlash (2); its rate is λ/n, and here ηλ."""
    return theta - rate * shape * theta.sign() * (theta.abs() + epsilon) ** (shape - 1)


def lengths(q: Tensor) -> Tensor:
    """Return how many bits each whole number takes in an exp-Golomb code of order 0: 2⌊log₂(u+1)⌋ + 1.

    0, 1, -1, 2, -2, … are numbered u = 0, 1, 2, 3, 4, …
    """
    u = torch.where(q > 0, 2 * q - 1, -2 * q)
    return 2 * (torch.frexp(u + 1).exponent - 1) + 1


def entropy(q: Tensor, count: Tensor) -> Tensor:
    """Return the empirical entropy of whole numbers in bits: [M, N] -> [M].

    `count` [M] of the N are numbers, and what is left are zeros that do not count.
    """
    low, places = int(q.min()), int(q.max() - q.min()) + 1
    counts = q.new_zeros(len(q), places).scatter_add(1, (q - low).long(), torch.ones_like(q))
    counts[:, -low] -= q.shape[1] - count
    return torch.from_numpy(stats.entropy(counts.numpy(), base=2, axis=1)).to(q)


def at_rates(bits: Tensor, accuracy: Tensor, rates: Tensor) -> Tensor:
    """Return the accuracy at some rates, on straight lines between the roundings: [..., K], [..., K], [R] -> [..., R].

    Rates outside of those that occur get the first or the last accuracy. Rates must grow with the number of steps.
    """
    right = torch.searchsorted(bits.contiguous(), rates.expand(*bits.shape[:-1], -1).contiguous())
    right = right.clamp(1, bits.shape[-1] - 1)
    (x0, x1), (y0, y1) = ((one.gather(-1, right - 1), one.gather(-1, right)) for one in (bits, accuracy))
    return y0 + (y1 - y0) * ((rates - x0) / (x1 - x0)).clamp(0, 1)


def residual_float(w: Tensor, octaves: int | None = None, terms: int = 2) -> Tensor:
    """Return RF8, the sum of two signed powers of two (3): [..., in, out]; Q(0) = 0.

    Each exponent is log₂ of what is left, rounded; the second term is dropped where it is below the first by more than
    four octaves. With `octaves` (16 for four bits) each matrix keeps only so many below its largest first exponent.
    """
    first = w.abs().log2().round()
    if octaves is not None:
        first = torch.where(first > first.amax((-2, -1), keepdim=True) - octaves, first, -torch.inf)
    found = w.sign() * first.exp2()
    second = (w - found).abs().log2().round()
    return found + (w - found).sign() * torch.where(((first - second).abs() <= 4) & (terms > 1), second.exp2(), 0)


def scaled_e4m3(w: Tensor) -> Tensor:
    """Return w in 8-bit floats E4M3, with one scale for each matrix that takes its largest weight to 448."""
    scale = w.abs().amax((-2, -1), keepdim=True) / 448
    return (w / scale).to(torch.float8_e4m3fn).to(w) * scale


def int8(w: Tensor, dims: tuple[int, ...] = (-2, -1)) -> Tensor:
    """Return w in whole numbers from -127 to 127 times a scale for each matrix, or each output unit: dims (-2,)."""
    scale = w.abs().amax(dims, keepdim=True) / 127
    return (w / scale).round() * scale


def reshaped(theta: Tensor, grid: float, shape: float = 0.8, scale: float = 0.6) -> Tensor:
    """Return DeepShape: the i-th smallest of N parameters [M, N] becomes F⁻¹((i-½)/N) of GG(shape·ν̂, scale·β̂).

    ν̂ and β̂ = Γ(1/ν̂)/Γ(2/ν̂)·E|θ| are those of the parameters on the grid, to which the result is rounded, too.
    """
    old = (theta / grid).round() * grid
    nu, sizes = estimate(old, old.shape[1]).unsqueeze(1), old.abs().mean(1, keepdim=True)
    beta = sizes * (torch.lgamma(1 / nu) - torch.lgamma(2 / nu)).exp()
    middle = (torch.arange(theta.shape[1], dtype=torch.float64) + 0.5) / theta.shape[1]
    ordered = from_normal(torch.special.ndtri(middle).expand(theta.shape), shape * nu, scale * beta)
    ranks = theta.argsort(dim=1, stable=True).argsort(1)
    return (ordered.gather(1, ranks).to(theta) / grid).round() * grid
