"""Neural collapse: the equations of the paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

CLASSES, DIMENSIONS = 4, 10
"""K and d of the exact model."""


# ----------------------------------------------------------------------------------------------------------- the method


# H [..., d, N] holds the features, class after class, n for each of K classes; W [..., K, d]; Y [..., K, N] one-hot.
def best_weights(H: Tensor, Y: Tensor, n: int, lambda_W: float | Tensor) -> Tensor:
    """Return W*(H) = YHᵀ(HHᵀ + nλ_W I)⁻¹, the best classifier for given features: [..., K, d] (Section 3)."""
    d = H.shape[-2]
    return torch.linalg.solve(H @ H.mT + n * lambda_W * torch.eye(d, dtype=H.dtype), H @ Y.mT).mT


def best_features(W: Tensor, H0: Tensor, Y: Tensor, lambda_H: float | Tensor, beta: float | Tensor) -> Tensor:
    """Return (WᵀW + (λ_H + β)I)⁻¹(WᵀY + βH₀), the best features for a given classifier: [..., d, N]."""
    d = H0.shape[-2]
    curvature = W.mT @ W + (lambda_H + beta) * torch.eye(d, dtype=H0.dtype)
    return torch.linalg.solve(curvature, W.mT @ Y + beta * H0)


def velocity(H: Tensor, Y: Tensor, n: int, lambda_W: float | Tensor, lambda_H: float | Tensor) -> Tensor:
    """Return Ḣ = W*ᵀ(Y - W*H) - λ_H H, the flow along the central path: [..., d, N] (Eq. 4)."""
    W = best_weights(H, Y, n, lambda_W)
    return W.mT @ (Y - W @ H) - lambda_H * H


def runge_kutta(slope: Callable[[Tensor], Tensor], x: Tensor, dt: float) -> Tensor:
    """Take one step of the classical fourth-order Runge-Kutta method along ẋ = slope(x)."""
    k1 = slope(x)
    k2 = slope(x + dt / 2 * k1)
    k3 = slope(x + dt / 2 * k2)
    k4 = slope(x + dt * k3)
    return x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def alternate(H0: Tensor, Y: Tensor, lambda_W: float, lambda_H: float, beta: float) -> Iterator[tuple[Tensor, Tensor]]:
    """Minimize Eq. 2 from H₀ [..., d, N] by turns, best W then best H; yield W and H.

    Both turns are exact, so f never rises. Stops at a relative change of H of 1e-12, or after 20,000 turns.
    """
    H, (K, N) = H0, Y.shape
    for _ in range(20_000):
        W, before = best_weights(H, Y, N // K, lambda_W), H
        H = best_features(W, H0, Y, lambda_H, beta)
        yield W, H
        if (torch.linalg.matrix_norm(H - before) < 1e-12 * torch.linalg.matrix_norm(H)).all():
            break


def collapsed(R: Tensor, n: int, lambda_W: float, lambda_H: float) -> tuple[Tensor, Tensor]:
    """Return the minimizer W*, H* of Eq. 1 whose class means lie along the columns of R [..., d, K] (Theorem 2.1).

    With c = √(λ_H λ_W) ≤ 1 the means have length √ρ, ρ = (1-c)√(λ_W/λ_H); for c > 1 all is zero.
    """
    rho = max(1 - math.sqrt(lambda_H * lambda_W), 0) * math.sqrt(lambda_W / lambda_H)
    means = math.sqrt(rho) * R
    return math.sqrt(lambda_H / lambda_W) * means.mT, means.repeat_interleave(n, -1)


def response(W: Tensor, H: Tensor, Y: Tensor, lambda_W: float, lambda_H: float, beta: float) -> Tensor:
    """Return F [dN, dN] with vec δH ≈ F vec δH₀ at a minimizer of Eq. 2, columns stacked (Theorem 4.1)."""
    (K, d), N = W.shape, H.shape[1]
    eye_d, eye_N, eye_K = (torch.eye(size, dtype=H.dtype) for size in (d, N, K))
    HH = torch.kron(eye_N, W.T @ W + (lambda_H + beta) * eye_d)
    WW = torch.kron(H @ H.T + N / K * lambda_W * eye_d, eye_K)
    dW = torch.eye(K * d, dtype=H.dtype).unflatten(1, (d, K)).mT  # every entry of W once, columns stacked
    HW = (dW.mT @ (W @ H - Y) + W.T @ dW @ H).mT.flatten(1).T  # [dN, Kd]
    return beta * torch.linalg.inv(HH - HW @ torch.linalg.solve(WW, HW.T))  # the factors 1/Kn cancel


def factors(beta: float, lambda_W: float, lambda_H: float) -> tuple[float, float, float]:
    """Return a, b, s: what is left of a small change of a collapsed H₀, for every β.

    Deviations from the class means shrink by a within the span of the means and by b outside it. A symmetric change of
    the means along themselves shrinks by s. To first order in 1/β this is Theorem 4.2.
    """
    c = math.sqrt(lambda_H * lambda_W)
    a = beta / (beta + math.sqrt(lambda_H / lambda_W))
    return a, beta / (beta + lambda_H), beta / (beta + 4 * lambda_H * (1 - c))


def staircase(beta: float, lambda_W: float, lambda_H: float, K: int, d: int, n: int) -> Tensor:
    """Return the singular values [dn] of the block F_kk at a collapsed H₀, largest first, from `factors`."""
    a, b, s = factors(beta, lambda_W, lambda_H)
    steps = ((1.0, d - K), (b, (d - K) * (n - 1)), (a, K * (n - 1)), ((1 + s) / 2, K - 1), (s, 1))
    levels = [level for level, count in steps for _ in range(count)]
    return torch.tensor(levels, dtype=torch.float64).sort(descending=True).values
