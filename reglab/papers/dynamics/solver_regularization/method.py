"""Solver regularization: the equations of the paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

STABILITY = 3.5068
"""Size of the stability region of Tsit5."""

FIRST = 0.05
"""The first step size, fixed so that counts of evaluations can be compared."""

Field = Callable[[Tensor, Tensor], Tensor]
"""f(z, t): states [R, B, d] of R runs and a time for each run [R] -> [R, B, d]."""

Fields = Callable[[Tensor], Field]
"""The field of some runs, given their indices [R], so that runs that have ended cost nothing."""


class Tableau(NamedTuple):
    """An embedded Runge-Kutta pair of order 5(4) whose last stage is the first of the next step."""

    c: tuple[float, ...]
    a: tuple[tuple[float, ...], ...]
    e: tuple[float, ...]


TSIT5 = Tableau(
    c=(0, 0.161, 0.327, 0.9, 0.9800255409045097, 1, 1),
    a=(
        (), (0.161,), (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
        (0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774),
    ),
    e=(-0.00178001105222577714, -0.0008164344596567469, 0.007880878010261995, -0.1447110071732629,
       0.5823571654525552, -0.45808210592918697, 1 / 66),
)  # fmt: skip


class Step(NamedTuple):
    """One attempted step: the new state, its slope, the error vector, and stage 6 with its argument: [R, B, d]."""

    z: Tensor
    slope: Tensor
    delta: Tensor
    k6: Tensor
    g6: Tensor


def rms(x: Tensor) -> Tensor:
    """Return the root mean square over the last two axes, [..., B, d] -> [...], with a gradient of 0 at 0."""
    return (x.square().mean((-2, -1)) + 1e-30).sqrt()


def runge_kutta(f: Field, z: Tensor, t: Tensor, h: Tensor, k1: Tensor, tableau: Tableau = TSIT5) -> Step:
    """Take one step of size h [R] from z at t [R], whose slope k1 is known: six evaluations of f.

    k_i = f(z + h Σ a_ij k_j, t + c_i h), z⁺ = z + h Σ b_i k_i, Δ = h Σ e_i k_i.
    """
    size = h.reshape(-1, 1, 1)
    k, argument = [k1], z
    for c, row in zip(tableau.c[1:], tableau.a[1:], strict=True):
        before, argument = argument, z + size * _combine(row, k)
        k.append(f(argument, t + c * h))
    return Step(argument, k[-1], size * _combine(tableau.e, k), k[-2], before)


def _combine(weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    """Return Σ_i w_i k_i."""
    total = weights[0] * slopes[0]
    for weight, slope in zip(weights[1:], slopes[1:], strict=True):
        total = total.add(slope, alpha=weight)
    return total


def error_estimate(delta: Tensor, z: Tensor, new: Tensor, tolerance: float) -> Tensor:
    """Return E = rms(Δ/(atol + max(|z|, |z⁺|) rtol)), with atol = rtol: [R, B, d] -> [R]. A step with E ≤ 1 counts."""
    return rms(delta / (tolerance * (1 + torch.maximum(z.abs(), new.abs()))))


def stiffness(step: Step, z: Tensor) -> Tensor:
    """Return S = rms(k7 - k6)/rms(z⁺ - g6)/3.5068, which is near the largest eigenvalue of the Jacobian: [R].

    Both differences vanish for a constant f; S and its gradient are 0 then.
    """
    apart = step.z - step.g6
    flat = rms(apart.detach()) < 1e-14 * (1 + rms(z.detach()))
    safe = torch.where(flat.reshape(-1, 1, 1), torch.ones_like(apart), apart)
    return torch.where(flat, 0.0, rms(step.slope - step.k6) / rms(safe) / STABILITY)


def next_size(h: Tensor, error: Tensor, rejected_before: Tensor) -> Tensor:
    """Return h·clip(0.9 E^(-1/5), 0.2, 10), the size of the next attempt; it does not grow right after a rejection."""
    factor = (0.9 * error.clamp(min=1e-10) ** -0.2).clamp(0.2, 10)
    return h * torch.where(rejected_before | (error > 1), factor.clamp(max=1), factor)


class Solution(NamedTuple):
    """The end of all runs, z [R, B, d], evaluations of f [R], and what the solver knew at each attempt: [R, attempts].

    `sizes`, `errors`, `stiffnesses` and `speeds`, rms(k1)², are 0 where an attempt was rejected or the run had ended.
    """

    z: Tensor
    evaluations: Tensor
    sizes: Tensor
    errors: Tensor
    stiffnesses: Tensor
    speeds: Tensor


def solve(
    fields: Fields, z: Tensor, end: Tensor | float, tolerance: float, tableau: Tableau = TSIT5, most: int = 1000
) -> Solution:
    """Integrate dz/dt = f from t = 0 to `end` (one time for each run [R], or one for all), each run at its own pace.

    Gradients flow through states, slopes, E and S; step sizes and decisions are constants. Raises `RuntimeError` when
    a run needs more than `most` attempts.
    """
    end = torch.as_tensor(end, dtype=z.dtype).expand(len(z))
    none, t, h, rejected = torch.zeros_like(end), torch.zeros_like(end), torch.full_like(end, FIRST), end < 0
    slope, evaluations = fields(torch.arange(len(z)))(z, none), torch.ones(len(z), dtype=torch.long)
    log: list[list[Tensor]] = []
    while len(runs := (t < end).nonzero().squeeze(1)):
        if len(log) == most:
            raise RuntimeError(f"the solver needed more than {most} attempts; the equation may be too stiff")
        before, start, until = z[runs], t[runs], end[runs]
        last = start + h[runs] >= until * (1 - 1e-12)
        size = torch.where(last, until - start, h[runs])
        step = runge_kutta(fields(runs), before, start, size, slope[runs], tableau)
        error = error_estimate(step.delta, before, step.z, tolerance)
        take = error.detach() <= 1
        reported = (size, error, stiffness(step, before), rms(slope[runs]) ** 2)
        log.append([none.index_copy(0, runs, torch.where(take, one, 0.0)) for one in reported])
        evaluations[runs] += 6
        taken = runs[take]
        z, slope = z.index_copy(0, taken, step.z[take]), slope.index_copy(0, taken, step.slope[take])
        t[taken] = torch.where(last, until, start + size)[take]
        h[runs], rejected[runs] = next_size(size, error.detach(), rejected[runs]), ~take
    return Solution(z, evaluations, *(torch.stack(parts, 1) for parts in zip(*log, strict=True)))


def penalties(found: Solution) -> dict[str, Tensor]:
    """Return what a run can pay for, over accepted steps: R_E, R_E2, R_S and the speed, Σ h rms(k1)², [R].

    R_E is the mean of E h, as in the authors' code; the paper takes the sum. What was rejected counts as 0.
    """
    errors, sizes = found.errors, found.sizes
    mean, speed = (errors * sizes).sum(1) / (sizes > 0).sum(1), (found.speeds * sizes).sum(1)
    return {"error": mean, "square": errors.square().sum(1), "stiff": found.stiffnesses.sum(1), "speed": speed}


def error_in_equal_steps(f: Field, z: Tensor, count: int, tolerance: float) -> Tensor:
    """Integrate to t = 1 in equal steps; return the mean of E, times h: [R]. No controller hides the errors."""
    h, total = torch.full((len(z),), 1 / count, dtype=z.dtype), torch.zeros(len(z), dtype=z.dtype)
    slope = f(z, total)
    for i in range(count):
        step = runge_kutta(f, z, i * h, h, slope)
        total = total + error_estimate(step.delta, z, step.z, tolerance)
        z, slope = step.z, step.slope
    return total / count**2


def annealed(first: Tensor, iteration: int, iterations: int) -> Tensor:
    """Return λ₀e^(-kt), which falls from λ₀ to a tenth of it over the training."""
    return first * 0.1 ** (iteration / iterations)


# ---------------------------------------------------------------------------------- experiment 2: a stochastic equation


CELLS, LARGEST = 1024, 128
"""Cells of the finest grid on [0, 1]; the longest step in cells, and from one save time to the next."""


Term = Callable[[Tensor], Tensor]
"""Drift or diffusion of a stochastic equation: states [R, P, d] -> [R, P, d]."""


class NoisyStep(NamedTuple):
    """One attempted step of a stochastic equation, its error estimate, and the mean |f|²: z [R, P, d], else [R]."""

    z: Tensor
    error: Tensor
    squared_speed: Tensor


def heun_step(drift: Term, diffusion: Term, z: Tensor, h: Tensor, dW: Tensor, tolerance: float) -> NoisyStep:
    """Take an adaptive Lamba-Euler-Heun step of dz = f dt + g ∘ dW with diagonal noise: z, dW [R, P, d], h [R].

    z̃ = z + hf + gΔW and z⁺ = z + h/2 (f(z) + f(z̃)) + ½(g(z) + g(z̃))ΔW. The estimate is that of the drift, h/2 (f(z +
    hf) - f(z)), over six, plus that of the noise, ½ (g(z + g√h) - g)/√h ΔW².
    """
    size, f, L = h.reshape(-1, 1, 1), drift(z), diffusion(z)
    K = z + size * f
    ahead = K + L * dW
    new = z + size / 2 * (f + drift(ahead)) + (L + diffusion(ahead)) / 2 * dW
    of_drift = size / 2 * (drift(K) - f)
    of_noise = (diffusion(z + L * size.sqrt()) - L) / (2 * size.sqrt()) * dW**2
    scale = tolerance * (1 + torch.maximum(z.abs(), new.abs()))
    return NoisyStep(new, rms((of_drift / 6 + of_noise) / scale), f.square().mean((1, 2)))


class NoisySolution(NamedTuple):
    """States at eight save times [R, 8, P, d], accepted steps and attempts [R], Σ E·h and Σ |f|²·h [R]."""

    saved: Tensor
    accepted: Tensor
    attempts: Tensor
    sum_Eh: Tensor
    kinetic: Tensor


def solve_noisy(drift: Term, diffusion: Term, z: Tensor, W: Tensor, tolerance: float) -> NoisySolution:
    """Solve to t = 1 along given Brownian paths W [R, 1025, P, d], on a dyadic grid that a rejection does not change.

    A step doubles after E < 0.3 where the grid allows it, to 128 cells at most, and halves after E > 1. A step of one
    cell always counts.
    """
    runs, every = len(z), torch.arange(len(z))
    place = accepted = attempts = torch.zeros(runs, dtype=torch.long)
    cells, work, kinetic = torch.full((runs,), 16), torch.zeros(runs, dtype=z.dtype), torch.zeros(runs, dtype=z.dtype)
    saved = []
    for save in range(LARGEST, CELLS + 1, LARGEST):
        while (active := place < save).any():
            ahead = torch.where(active, place + cells, place)
            h = torch.where(active, cells, 1).to(z.dtype) / CELLS
            step = heun_step(drift, diffusion, z, h, W[every, ahead] - W[every, place], tolerance)
            take = active & ((step.error.detach() <= 1) | (cells == 1))
            attempts, accepted = attempts + active, accepted + take
            work = work + torch.where(take, step.error * h, 0.0)
            kinetic = kinetic + torch.where(take, step.squared_speed * h, 0.0)
            z = torch.where(take.reshape(-1, 1, 1), step.z, z)
            place = torch.where(take, ahead, place)
            grow = take & (step.error < 0.3) & (place % (2 * cells) == 0) & (cells < LARGEST)
            cells = torch.where(grow, 2 * cells, torch.where(active & ~take, (cells // 2).clamp(min=1), cells))
        saved.append(z)
    return NoisySolution(torch.stack(saved, 1), accepted, attempts, work, kinetic)


def spiral_drift(u: Tensor) -> Tensor:
    """Return the drift of the true equation, (-0.1u₁³ + 2u₂³, -2u₁³ - 0.1u₂³)."""
    return u**3 @ torch.tensor([[-0.1, -2], [2, -0.1]], dtype=u.dtype)


def moments(saved: Tensor) -> Tensor:
    """Return means and variances over the paths at all save times: [R, 8, P, 2] -> [R, 8, 4]."""
    return torch.cat([saved.mean(-2), saved.var(-2, unbiased=False)], -1)
