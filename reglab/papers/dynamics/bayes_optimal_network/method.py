"""The Bayes-optimal network: the equations of the paper."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

BELOW = 1e-9
"""How far below the real axis the resolvent is taken."""


# One noisy matrix: S = WᵀW/m has eigenvalues of order 1 (Marchenko-Pastur, mean 1, variance 1/κ); Y = S + √t Z, Z
# symmetric Gaussian with its eigenvalues in [-2, 2].


def resolvent(x: np.ndarray, t: np.ndarray | float, kappa: float) -> np.ndarray:
    """Return g(z), z = x - i·1e-9, the mean of 1/(z - λ) over the spectrum of Y: x and t of one shape -> complex.

    It solves t g³ - (z + κt) g² + (1 - κ + κz) g - κ = 0; of the three roots the one with the largest imaginary part
    is right. Cardano's formula, then two steps of Newton's method.
    """
    z = np.asarray(x) - 1j * BELOW
    a, b, c = -(z + kappa * t) / t, (1 - kappa + kappa * z) / t, -kappa / t
    p, q = b - a**2 / 3, 2 * a**3 / 27 - a * b / 3 + c
    root = np.sqrt(q**2 / 4 + p**3 / 27)
    larger = np.where(np.abs(-q / 2 + root) >= np.abs(-q / 2 - root), -q / 2 + root, -q / 2 - root)
    u = larger ** (1 / 3) * np.exp(2j * np.pi / 3 * np.arange(3)).reshape(-1, *[1] * np.ndim(z))
    g = u - p / (3 * u) - a / 3
    for _ in range(2):
        g = g - (((g + a) * g + b) * g + c) / ((3 * g + 2 * a) * g + b)
    return np.take_along_axis(g, g.imag.argmax(0)[None], 0)[0]


def positions(t: np.ndarray | float, kappa: float, points: int = 4000) -> np.ndarray:
    """Return where to sample ρ_t = Im g/π, the density of the spectrum of Y: t [...] -> [..., P].

    Half of the points lie over all of its support, half near zero.
    For κ < 1 a share 1 - κ of the eigenvalues lies within about 2√t of zero, which needs points of its own.
    """
    wide = 2.02 * np.sqrt(t)[..., None] + 1e-9
    low, high = max(0.0, 1 - kappa**-0.5) ** 2, (1 + kappa**-0.5) ** 2
    line = np.linspace(0, 1, points // 2)
    everywhere = low - wide + (high - low + 2 * wide) * line
    return np.sort(np.concatenate([everywhere, -wide + 2 * wide * line], -1), -1)


def denoising_error(t: np.ndarray | float, kappa: float) -> np.ndarray:
    """Return F(t) = t - (4π²/3) t² ∫ρ_t³, the error for each dimension of the best denoiser: t [...] -> [...].

    Never below zero, where rounding may take it for small t.
    """
    t = np.asarray(t, dtype=float)
    x = positions(t, kappa)
    rho = np.maximum(resolvent(x, t[..., None], kappa).imag / np.pi, 0)
    return np.maximum(t - 4 * np.pi**2 / 3 * t**2 * np.trapezoid(rho**3, x), 1e-12)


@functools.cache
def _table(kappa: float) -> CubicSpline:
    """F(t)/t as a smooth function of log t for t from 1e-6 to 1e4, remembered for each κ."""
    t = np.logspace(-6, 4, 121)
    return CubicSpline(np.log(t), np.concatenate([denoising_error(part, kappa) / part for part in np.split(t, 11)]))


def quick_error(t: np.ndarray | float, kappa: float) -> np.ndarray:
    """Return F(t) read off the remembered function: t [...] -> [...]."""
    return np.asarray(t * _table(kappa)(np.log(t)))


def noise_level(sigma: float, kappa: float) -> float:
    """Return Δ = 2σ²(2 + σ²)/κ: what noise σ inside the hidden units is worth as noise of the outputs."""
    return 2 * sigma**2 * (2 + sigma**2) / kappa


def recovery_threshold(kappa: float) -> float:
    """Return α_PR = κ - κ²/2 (κ ≤ 1) or 1/2: free numbers of a symmetric matrix of rank κd, over d²."""
    return kappa - kappa**2 / 2 if kappa <= 1 else 0.5


def optimal_error(alpha: np.ndarray | float, kappa: float, sigma: float = 0.0) -> np.ndarray:
    """Return the Bayes-optimal error E = ‖Ŝ - S‖²/d at n = αd² examples, in the limit of large d: α [...] -> [...].

    E = F(t), t = (2E + Δ)/(4α): every example is a measurement with noise 2E + Δ. Bisection of 4αt - Δ = 2F(t) in
    log t; without noise the error is 0 from α_PR on, where only t = 0 is left.
    """
    alpha, delta = np.asarray(alpha, dtype=float), noise_level(sigma, kappa)
    low, high = np.full(alpha.shape, math.log(1e-6)), np.full(alpha.shape, math.log(1e4))
    for _ in range(60):
        middle = (low + high) / 2
        t = np.exp(middle)
        above = 4 * alpha * t - delta > 2 * quick_error(t, kappa)
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    error = quick_error(np.exp((low + high) / 2), kappa)
    return error if delta else np.where(alpha < recovery_threshold(kappa), error, 0.0)


# The algorithms


def shrink(eigenvalues: Tensor, t: Tensor, kappa: float) -> Tensor:
    """Return λ - 2t Re g(λ), the best eigenvalues for the eigenvectors of Y: [..., d], t [...] -> [..., d] (RIE)."""
    x, width = eigenvalues.numpy(), np.broadcast_to(t.numpy()[..., None], eigenvalues.shape)
    return eigenvalues - 2 * t.unsqueeze(-1) * torch.from_numpy(resolvent(x, width, kappa).real)


def shrink_linearly(eigenvalues: Tensor, t: Tensor, kappa: float) -> Tensor:
    """Return 1 + (λ - 1)·(1/κ)/(1/κ + t): what would be best if S were Gaussian: [..., d], t [...] -> [..., d]."""
    return 1 + (eigenvalues - 1) / (1 + kappa * t.unsqueeze(-1))


def linear_error(t: np.ndarray | float, kappa: float) -> np.ndarray:
    """Return t/(1 + κt), the error for each dimension of the linear denoiser."""
    return np.asarray(t / (1 + kappa * t))


class Denoiser(NamedTuple):
    """How eigenvalues are cleaned, and the error that is left."""

    shrink: Callable[[Tensor, Tensor, float], Tensor]
    error: Callable[[np.ndarray, float], np.ndarray]

    def clean(self, Y: Tensor, t: Tensor, kappa: float) -> Tensor:
        """Return the matrix with the eigenvectors of Y [..., d, d] and cleaned eigenvalues; t [...]."""
        values, vectors = torch.linalg.eigh(Y)
        return (vectors * self.shrink(values, t, kappa).unsqueeze(-2)) @ vectors.mT


BEST, LINEAR = Denoiser(shrink, quick_error), Denoiser(shrink_linearly, linear_error)


def measure(x: Tensor, S: Tensor) -> Tensor:
    """Return ⟨X_μ, S⟩ with X_μ = (x_μx_μᵀ - I)/√d: [..., n, d], [..., d, d] -> [..., n]."""
    trace = S.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True)
    return (((x @ S) * x).sum(-1) - trace) / x.shape[-1] ** 0.5


def back(x: Tensor, g: Tensor) -> Tensor:
    """Return Σ_μ g_μ X_μ: [..., n, d], [..., n] -> [..., d, d]."""
    d = x.shape[-1]
    total = g.sum(-1)[..., None, None] * torch.eye(d, dtype=x.dtype)
    return (x.mT @ (g.unsqueeze(-1) * x) - total) / d**0.5


def message_passing(
    x: Tensor, y: Tensor, kappa: float, delta: float, denoiser: Denoiser = BEST, iterations: int = 100
) -> Iterator[Tensor]:
    """Run GAMP with a denoiser of eigenvalues, damping 0.5; yield Ŝ [S, d, d] after each iteration.

    x [S, n, d], y [S, n]. Teachers are independent; one that has settled (squared change below 1e-6 d) is kept as it
    is, and all stop when all have settled.
    """
    d, n = x.shape[-1], x.shape[-2]
    alpha, delta = n / d**2, max(delta, 1e-8)
    S = torch.eye(d, dtype=x.dtype).repeat(len(x), 1, 1)
    c, g = torch.full((len(x), 1), 2 / kappa, dtype=x.dtype), torch.zeros_like(y)
    V, omega, settled = c, y, torch.zeros(len(x), dtype=torch.bool)
    for turn in range(iterations):
        damping = 0.5 if turn else 0.0
        V = (1 - damping) * c + damping * V
        omega = (1 - damping) * (measure(x, S) - g * c) + damping * omega
        g = (y - omega) / (delta + V)
        A = 2 * alpha * g.square().mean(-1, keepdim=True)
        t = (1 / (2 * A)).clamp(1e-6, 1e4).squeeze(-1)
        fresh = denoiser.clean(S + back(x, g) / (d * A.unsqueeze(-1)), t, kappa)
        change = (fresh - S).square().sum((-2, -1)) / d
        S = torch.where(settled[:, None, None], S, fresh)
        settled = settled | (change < 1e-6)
        c = 2 * torch.from_numpy(np.asarray(denoiser.error(t.numpy(), kappa))).unsqueeze(-1)
        yield S
        if settled.all():
            return


def ridge(x: Tensor, y: Tensor, penalties: Tensor) -> Tensor:
    """Return the S that minimizes Σ_μ(y_μ - ⟨X_μ, S⟩)² + λ‖S - I‖² for each penalty λ > 0 [P]: [..., P, d, d].

    It is linear regression on all products of two inputs, and all it knows of S is its size: λ = Δκd/2 is Bayes-optimal
    for normal noise and a normal S of the same mean and variance. λ → 0 is least squares: of all S with the smallest
    misfit, the one nearest to I.
    """
    d, n, identity = x.shape[-1], x.shape[-2], torch.eye(x.shape[-1], dtype=x.dtype)
    i, j = torch.triu_indices(d, d)
    off = (i != j).to(x.dtype)
    features = (x[..., i] * x[..., j] - 1 + off) * (1 + off).sqrt() / d**0.5  # as far apart as the matrices X
    missing = (y - measure(x, identity)).unsqueeze(-1)
    few = n <= len(i)
    gram, right = (features @ features.mT, missing) if few else (features.mT @ features, features.mT @ missing)
    shifted = gram.unsqueeze(-3) + penalties[:, None, None] * torch.eye(gram.shape[-1], dtype=x.dtype)
    found = torch.cholesky_solve(right.unsqueeze(-3), torch.linalg.cholesky(shifted))
    entries = (features.mT.unsqueeze(-3) @ found if few else found).squeeze(-1) / (1 + off).sqrt()
    S = torch.zeros(*entries.shape[:-1], d, d, dtype=x.dtype)
    S[..., i, j], S[..., j, i] = entries, entries
    return identity + S


def chosen_penalty(x: Tensor, y: Tensor) -> Tensor:
    """Return the penalty of ridge for which the last fifth of the examples, held out, are predicted best: [1].

    Seven candidates, d/1000 to 1000 d, for inputs [n, d] and outputs [n]; neither noise nor κ is known.
    """
    penalties, kept = x.shape[-1] * torch.logspace(-3, 3, 7, dtype=x.dtype), len(y) - len(y) // 5
    misfit = measure(x[kept:], ridge(x[:kept], y[:kept], penalties)) - y[kept:]
    return penalties[misfit.square().mean(-1).argmin()].unsqueeze(0)


def hidden(x: Tensor, W: Tensor) -> Tensor:
    """Return w_k·x of several students with the same inputs: [S, n, d], [S, K, m, d] -> [S, n, K, m]."""
    return (x @ W.flatten(1, 2).mT).unflatten(-1, W.shape[1:3])


def outputs(x: Tensor, W: Tensor) -> Tensor:
    """Return f_W(x) = Σ_k (w_k·x)²/(d√m) of several students: [S, n, d], [S, K, m, d] -> [S, n, K]."""
    return hidden(x, W).square().sum(-1) / (x.shape[-1] * W.shape[-2] ** 0.5)


def gradient(x: Tensor, W: Tensor, truth: Tensor, kept: Tensor | float = 1.0) -> Tensor:
    """Return the gradient of ¼Σ_μ(f_W(x_μ) - f*_μ)² in W: Σ_μ (f_W - f*)(w_k·x_μ) x_μ/(d√m), [S, K, m, d].

    `truth` is [S, n], and `kept` [n, K] is 0 for examples that are held out from a student.
    """
    products, size = hidden(x, W), x.shape[-1] * W.shape[-2] ** 0.5
    misfit = (products.square().sum(-1) / size - truth.unsqueeze(-1)) * kept
    return ((misfit.unsqueeze(-1) * products).flatten(2).mT @ x / size).unflatten(1, W.shape[1:3])


def matrix(W: Tensor) -> Tensor:
    """Return S = WᵀW/m, all that the outputs of a network depend on: [..., m, d] -> [..., d, d]."""
    return W.mT @ W / W.shape[-2]


def distance(S: Tensor, truth: Tensor) -> Tensor:
    """Return the error E = ‖S - S*‖²/d: [..., d, d] -> [...]."""
    return (S - truth).square().sum((-2, -1)) / S.shape[-1]
