"""Bayes-optimal learning of a wide quadratic network (GAMP-RIE): the best that anyone can learn from n = αd² examples.

Antoine Maillard, Emanuele Troiani, Simon Martin, Florent Krzakala, Lenka Zdeborová, NeurIPS 2024, arXiv 2408.03733.

Departures from the paper: one normalization for theory, message passing and gradient descent (their code has three);
dimensions of 20 to 80 instead of 100 to 200; gradient descent averages 16 runs instead of 64. Message passing starts
at the mean of the prior instead of a random matrix. Δ follows the formula of their script for theory with noise;
their stored table with noise was made with its first term, 4σ²/κ, only.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from reglab import data
from reglab.catalogue import Paper
from reglab.claims import Claim
from reglab.data import Seeds, generator
from reglab.exercise import Wrong
from reglab.experiment import Axis, Experiment, Frame, Knob, Tick, Var, knob, settings_of, share
from reglab.pictures.views import BASELINE, METHOD, WIDE, Curves, Line, View

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

PAPER = Paper(
    part="dynamics",
    slug="bayes_optimal_network",
    title="Bayes-optimal learning of an extensive-width neural network from quadratically many samples",
    short="GAMP-RIE",
    authors=("Antoine Maillard", "Emanuele Troiani", "Simon Martin", "Florent Krzakala", "Lenka Zdeborová"),
    venue="NeurIPS",
    year=2024,
    arxiv="2408.03733",
    code="https://github.com/SPOC-group/ExtensiveWidthQuadraticSamples",
    sources=(
        "the abstract and the whole official code, with its stored tables of theory and simulations; not the proofs"
    ),
    idea=(
        "A wide network with quadratic units is a matrix in disguise, so the best that anyone can learn from data is "
        "to guess that matrix, clean its eigenvalues optimally, and repeat."
    ),
    minutes=60,
    prerequisites=("eigenvalues and eigenvectors", "Bayes' rule, posterior mean", "gradient descent"),
)

WIDTH = Knob(
    0.5, 0.1, 2, stops=(0.1, 0.2, 0.5, 1, 2), symbol="κ", help="hidden units of the teacher, for each input dimension"
)
NOISE = Knob(
    0.0, 0, 0.5, stops=(0, 0.05, 0.1, 0.25, 0.5), symbol="σ", help="noise inside each hidden unit of the teacher"
)
SIZE = Knob(40, 20, 80, stops=(20, 40, 80), symbol="d", help="dimension of the inputs")
BELOW = 1e-9
"""How far below the real axis the resolvent is taken."""


# ------------------------------------------------------------------------------------- the theory: one noisy matrix
# S = WᵀW/m has eigenvalues of order 1 (Marchenko-Pastur, mean 1, variance 1/κ); Y = S + √t Z, Z symmetric Gaussian
# with its eigenvalues in [-2, 2].


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


def density(x: np.ndarray, t: float, kappa: float) -> np.ndarray:
    """Return ρ_t(x), the limiting density of the eigenvalues of Y."""
    return resolvent(x, t, kappa).imag / np.pi


def positions(t: np.ndarray | float, kappa: float, points: int = 4000) -> np.ndarray:
    """Return where to sample ρ_t: half of the points over all of its support, half near zero: t [...] -> [..., P].

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
    rho = np.maximum(resolvent(x, t[..., None], kappa).imag, 0) / np.pi
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


def state_evolution(alpha: float, kappa: float, sigma: float, iterations: int) -> np.ndarray:
    """Return the error that message passing has after 0, 1, … iterations in the limit of large d: [iterations + 1]."""
    errors = [1 / kappa]
    for _ in range(iterations):
        t = (2 * errors[-1] + noise_level(sigma, kappa)) / (4 * alpha)
        errors.append(float(quick_error(max(t, 1e-6), kappa)))
    return np.array(errors)


# ------------------------------------------------------------------------------------------------ the algorithms


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


def smallest_fit(x: Tensor, y: Tensor) -> Tensor:
    """Return the matrix nearest to I with ⟨X_μ, S⟩ = y_μ, or with the least squared misfit: [S, d, d].

    It is linear regression on all products of two inputs, and it does not know that S has few directions.
    """
    d, n = x.shape[-1], x.shape[-2]
    missing = y - measure(x, torch.eye(d, dtype=x.dtype))
    if n <= d * (d + 1) // 2:
        squares = x.square().sum(-1)
        gram = ((x @ x.mT).square() - squares.unsqueeze(-1) - squares.unsqueeze(-2) + d) / d
        weights = torch.linalg.solve(gram + 1e-9 * torch.eye(n, dtype=x.dtype), missing)
        return torch.eye(d, dtype=x.dtype) + back(x, weights)
    i, j = torch.triu_indices(d, d)
    twice = torch.where(i == j, 1.0, 2.0).to(x.dtype)
    features = (x[..., i] * x[..., j] - (i == j).to(x.dtype)) * twice / d**0.5
    found = torch.linalg.lstsq(features, missing.unsqueeze(-1)).solution.squeeze(-1)
    S = torch.zeros(*x.shape[:-2], d, d, dtype=x.dtype)
    S[..., i, j] = found
    return torch.eye(d, dtype=x.dtype) + S.triu(1).mT + S


def outputs(x: Tensor, W: Tensor) -> Tensor:
    """Return f_W(x) = Σ_k (w_k·x)²/(d√m): [..., n, d], [..., m, d] -> [..., n]."""
    return (x @ W.mT).square().sum(-1) / (x.shape[-1] * W.shape[-2] ** 0.5)


def gradient(x: Tensor, W: Tensor, truth: Tensor) -> Tensor:
    """Return the gradient of ¼Σ_μ(f_W(x_μ) - f*_μ)² in W: Σ_μ (f_W - f*)(w_k·x_μ) x_μ/(d√m), [..., m, d]."""
    d, m = x.shape[-1], W.shape[-2]
    hidden = x @ W.mT
    misfit = hidden.square().sum(-1) / (d * m**0.5) - truth
    return (misfit.unsqueeze(-1) * hidden).mT @ x / (d * m**0.5)


def matrix(W: Tensor) -> Tensor:
    """Return S = WᵀW/m, all that the outputs of a network depend on: [..., m, d] -> [..., d, d]."""
    return W.mT @ W / W.shape[-2]


def distance(S: Tensor, truth: Tensor) -> Tensor:
    """Return the error E = ‖S - S*‖²/d: [..., d, d] -> [...]."""
    return (S - truth).square().sum((-2, -1)) / S.shape[-1]


# ------------------------------------------------------------------------------------------------ the experiments


class Task(NamedTuple):
    """Teachers S* [S, d, d] with their inputs [S, n, d], raw outputs f* [S, n] and centered outputs y [S, n]."""

    truth: Tensor
    inputs: Tensor
    raw: Tensor
    centered: Tensor

    def first(self, alpha: float) -> Task:
        """Keep the first αd² examples."""
        n = round(alpha * self.inputs.shape[-1] ** 2)
        return Task(self.truth, self.inputs[:, :n], self.raw[:, :n], self.centered[:, :n])


def task(seeds: Seeds, d: int, kappa: float, sigma: float, most: float) -> Task:
    """Draw a teacher for each seed, and `most`·d² examples: f* = Σ_k (w_k·x/√d + σz_k)²/√m, z normal.

    Centered, y = (f* - √m σ²)/√κ - Tr S*/√d, which is ⟨X, S*⟩ without noise.
    """
    m, n = round(kappa * d), round(most * d**2)
    W, x, z = (data.normal(seeds, *drawn) for drawn in (("teacher", m, d), ("inputs", n, d), ("noise", n, m)))
    raw = (x @ W.mT / d**0.5 + sigma * z).square().sum(-1) / m**0.5
    S = matrix(W)
    trace = S.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True)
    return Task(S, x, raw, (raw - m**0.5 * sigma**2) / kappa**0.5 - trace / d**0.5)


ERROR = "error E = ‖Ŝ − S*‖²/d"
SAMPLES = "examples over d², α"
ALPHAS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45)


def settle(turns: Iterator[Tensor], start: float, end: float) -> Generator[Tick, None, Tensor]:
    """Run message passing to its end, with a tick every other iteration; return the last Ŝ."""
    last = torch.empty(0)
    for turn, S in enumerate(turns):
        last = S
        if turn % 2 == 0:
            yield Tick(start + (end - start) * min(turn / 200, 1))
    return last


@dataclass(frozen=True)
class Learning(Experiment):
    """Learn a quadratic teacher from more and more examples, and compare with the best error that is possible.

    Every seed is a teacher of its own; a smaller sample is the beginning of a larger one.
    """

    kappa: float = knob(WIDTH)
    sigma: float = knob(NOISE)
    dimension: int = knob(SIZE)
    iterations: int = knob(100, low=2, high=200, step=1, help="most iterations of message passing")

    arms = {"least squares": "baseline", "GAMP-RIE": "method", "linear denoiser": "ablation"}
    outputs = {
        "error": Var("arm seed alpha", ERROR, "squared distance from the teacher's matrix, for each dimension", low=0),
        "limit": Var("alpha", "best possible", "Bayes-optimal error in the limit of large dimension", low=0),
        "prior": Var("seed", "the mean of the prior", "error of the guess S = I, without any data", low=0),
        "threshold": Var("seed", "threshold", "sample ratio from which on the limit is zero without noise", low=0),
    }
    views = (
        View(
            "Error and sample size",
            (
                Curves(
                    "How well can a teacher be learned?",
                    ["error"],
                    theory="limit",
                    lines=[Line("y", "prior", "no data"), Line("x", "threshold", "α_PR")],
                ),
            ),
            columns=1,
            height=3.4,
        ),
    )
    headline = "error"
    scaled = "dimension 40 instead of 100 to 200; the algorithm and the theory are kept"
    grid = {"kappa": (0.1, 0.2, 0.5, 1, 2), "sigma": (0, 0.05, 0.1, 0.25, 0.5)}
    smoke = {"dimension": 20, "iterations": 3}

    def axes(self) -> dict[str, Axis]:
        """Nine sample ratios."""
        return {"alpha": Axis(ALPHAS, label=SAMPLES)}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """From few examples to many; a frame for each arm."""
        whole = task(seeds, self.dimension, self.kappa, self.sigma, max(ALPHAS))
        delta, identity = noise_level(self.sigma, self.kappa), torch.eye(self.dimension, dtype=torch.float64)
        yield Frame({}, {"prior": distance(identity, whole.truth)})
        yield Frame({}, {"threshold": [recovery_threshold(self.kappa)] * len(seeds)})
        yield Tick(0)
        yield Frame({}, {"limit": optimal_error(np.array(ALPHAS), self.kappa, self.sigma)})
        for i, alpha in enumerate(ALPHAS):
            part, start = whole.first(alpha), i / len(ALPHAS)
            for s in range(len(seeds)):
                some = slice(s, s + 1)  # one system of equations at a time: each may take long
                found = smallest_fit(part.inputs[some], part.centered[some])
                error = {"error": distance(found, whole.truth[some])}
                yield Frame({"arm": "least squares", "alpha": i, "seed": some}, error)
                yield Tick(start)
            for j, (arm, denoiser) in enumerate((("GAMP-RIE", BEST), ("linear denoiser", LINEAR))):
                turns = message_passing(part.inputs, part.centered, self.kappa, delta, denoiser, self.iterations)
                found = yield from settle(turns, start + j / 2 / len(ALPHAS), start + (j + 1) / 2 / len(ALPHAS))
                yield Frame({"arm": arm, "alpha": i}, {"error": distance(found, whole.truth)})


@dataclass(frozen=True)
class Iterations(Experiment):
    """Follow message passing from one iteration to the next, beside its limit for large dimension."""

    alpha: float = knob(
        0.3, low=0.05, high=0.6, step=0.05, symbol="α", help="number of examples over squared dimension"
    )
    kappa: float = knob(WIDTH)
    sigma: float = knob(NOISE)
    dimension: int = knob(SIZE)

    arms = {"linear denoiser": "baseline", "GAMP-RIE": "method"}
    outputs = {
        "error": Var("arm seed iteration", ERROR, "squared distance from the teacher's matrix, each dimension", low=0),
        "expected": Var("iteration", "GAMP-RIE without damping, d → ∞", "state evolution of the error", low=0),
    }
    views = (
        View(
            "Iterations",
            (Curves("Does each iteration help as the theory says?", ["error"], theory="expected"),),
            columns=1,
            height=3.2,
        ),
    )
    headline = "error"
    scaled = Learning.scaled
    smoke = {"dimension": 20}
    count = 40

    def axes(self) -> dict[str, Axis]:
        """Iterations from 0, the mean of the prior, on."""
        return {"iteration": Axis(range(self.count + 1), label="iteration")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """One frame for each iteration; one that has settled stays."""
        part = task(seeds, self.dimension, self.kappa, self.sigma, self.alpha)
        delta, identity = noise_level(self.sigma, self.kappa), torch.eye(self.dimension, dtype=torch.float64)
        yield Tick(0)
        yield Frame({}, {"expected": state_evolution(self.alpha, self.kappa, self.sigma, self.count)})
        for j, (arm, denoiser) in enumerate((("linear denoiser", LINEAR), ("GAMP-RIE", BEST))):
            error, turn = distance(identity, part.truth), 0
            yield Frame({"arm": arm, "iteration": 0}, {"error": error})
            turns = message_passing(part.inputs, part.centered, self.kappa, delta, denoiser, self.count)
            for turn, found in enumerate(turns, 1):
                error = distance(found, part.truth)
                yield Frame({"arm": arm, "iteration": turn}, {"error": error})
                yield Tick((j + turn / self.count) / 2)
            for later in range(turn + 1, self.count + 1):
                yield Frame({"arm": arm, "iteration": later}, {"error": error})


@dataclass(frozen=True)
class Sizes(Experiment):
    """Run GAMP-RIE in growing dimension: the theory is for infinite dimension, how far is it from here?"""

    alpha: float = knob(
        0.3, low=0.05, high=0.35, step=0.05, symbol="α", help="number of examples over squared dimension"
    )
    kappa: float = knob(WIDTH)

    arms = {}
    outputs = {
        "error": Var("seed size", ERROR, "error of GAMP-RIE", low=0),
        "limit": Var("size", "best possible, d → ∞", "Bayes-optimal error in the limit of large dimension", low=0),
    }
    views = (
        View(
            "Growing dimension", (Curves("How near is the theory?", ["error"], theory="limit"),), columns=1, height=2.8
        ),
    )
    headline = "error"
    scaled = Learning.scaled
    smoke = {"alpha": 0.05}
    sizes = (20, 40, 80)

    def axes(self) -> dict[str, Axis]:
        """Three dimensions."""
        return {"size": Axis(self.sizes, label="dimension d", log=True)}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """One frame for each dimension and four seeds."""
        yield Tick(0)
        yield Frame({}, {"limit": [float(optimal_error(self.alpha, self.kappa))] * len(self.sizes)})
        done, total = 0.0, sum(size**2 for size in self.sizes) * len(seeds)
        for i, size in enumerate(self.sizes):
            for first in range(0, len(seeds), 4):
                some = range(first, min(first + 4, len(seeds)))
                part = task(tuple(seeds[s] for s in some), size, self.kappa, 0.0, self.alpha)
                turns, start = message_passing(part.inputs, part.centered, self.kappa, 0.0), done / total
                done += len(some) * size**2
                found = yield from settle(turns, start, done / total)
                yield Frame({"size": i, "seed": list(some)}, {"error": distance(found, part.truth)})


@dataclass(frozen=True)
class Denoising(Experiment):
    """Add symmetric noise to a teacher's matrix and clean its eigenvalues: the step inside message passing."""

    kappa: float = knob(WIDTH)
    dimension: int = knob(400, low=100, high=400, step=100, symbol="d", help="rows of the matrix")

    arms = {"linear": "baseline", "RIE": "method"}
    outputs = {
        "error": Var("arm seed noise", ERROR, "squared distance from the matrix without noise", low=0),
        "limit": Var("arm noise", "d → ∞", "error in the limit of large dimension", low=0),
        "eigenvalues": Var("noise index", "eigenvalues of Y", "the first seed's noisy eigenvalues, from below"),
        "cleaned": Var("noise index", "cleaned eigenvalues", "what RIE makes of the first seed's eigenvalues"),
    }
    views = (
        View(
            "Cleaning a matrix",
            (Curves("How much error is left after cleaning?", ["error"], theory="limit", log=True),),
            columns=1,
            height=3,
        ),
    )
    headline = "error"
    scaled = "nothing: the limit is already close at d = 400"
    smoke = {"dimension": 100}
    noises = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)

    def axes(self) -> dict[str, Axis]:
        """Strengths of noise and the numbers of the eigenvalues."""
        return {"noise": Axis(self.noises, label="noise t", log=True), "index": Axis(range(self.dimension))}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """One frame for each strength and seed."""
        t = np.array(self.noises)
        yield Tick(0)
        yield Frame({}, {"limit": np.stack([linear_error(t, self.kappa), denoising_error(t, self.kappa)])})
        shape, m = (self.dimension, self.dimension), round(self.kappa * self.dimension)
        for s, seed in enumerate(seeds):
            W = torch.randn(m, self.dimension, generator=generator(seed, "teacher"), dtype=torch.float64)
            A = torch.randn(shape, generator=generator(seed, "symmetric noise"), dtype=torch.float64)
            S, Z = matrix(W), (A + A.T) / (2 * self.dimension) ** 0.5
            for i, noise in enumerate(self.noises):
                strength = torch.tensor(noise, dtype=torch.float64)
                values, vectors = torch.linalg.eigh(S + noise**0.5 * Z)
                yield Tick((s + i / len(t)) / len(seeds))
                cleaned = [one.shrink(values, strength, self.kappa) for one in (LINEAR, BEST)]
                errors = [distance((vectors * one) @ vectors.T, S) for one in cleaned]
                yield Frame({"noise": i, "seed": s}, {"error": torch.stack(errors)})
                if s == 0:
                    yield Frame({"noise": i}, {"eigenvalues": values, "cleaned": cleaned[1]})


def learning_rate(alpha: float) -> float:
    """Return a step size at which gradient descent is stable: the more examples, the smaller."""
    return 0.1 if alpha <= 0.2 else 0.06 if alpha <= 0.3 else 0.04


class Trained(NamedTuple):
    """Students after a step: W [S, students, m, d], the loss ¼(f_W - f*)² as a mean over examples [S, students]."""

    step: int
    W: Tensor
    loss: Tensor


def descend(part: Task, seeds: Seeds, kappa: float, students: int, steps: int) -> Iterator[Trained | None]:
    """Train students of every teacher by gradient descent from normal weights.

    Yields them at 21 steps from the first to the last, and None every ten steps in between, as a sign of life.
    """
    d = part.inputs.shape[-1]
    W = torch.stack([data.normal(seeds, f"student {a}", round(kappa * d), d) for a in range(students)], 1)
    x, truth = part.inputs.unsqueeze(1), part.raw.unsqueeze(1)
    rate = learning_rate(truth.shape[-1] / d**2)
    shown = {round(steps * i / 20) for i in range(21)}
    for step in range(steps + 1):
        if step in shown:
            yield Trained(step, W, (outputs(x, W) - truth).square().mean(-1) / 4)
        elif step % 10 == 0:
            yield None
        if step < steps:
            W = W - rate * gradient(x, W, truth)


STUDENTS = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Descent(Experiment):
    """Train sixteen networks by gradient descent on the same examples: one of them, and the average of all."""

    kappa: float = knob(
        0.5, stops=(0.2, 0.5, 1), symbol="κ", help="hidden units of teacher and students, each dimension"
    )
    sigma: float = knob(NOISE)
    steps: int = knob(2000, low=20, high=8000, step=20, help="steps of gradient descent")

    arms = {"one run": "baseline", "average of 16": "method", "GAMP-RIE": "further"}
    outputs = {
        "error": Var("arm seed alpha", ERROR, "squared distance from the teacher's matrix, for each dimension", low=0),
        "limit": Var("alpha", "best possible, d → ∞", "Bayes-optimal error in the limit of large dimension", low=0),
        "loss": Var("seed alpha", "training loss", "mean of the squared misfits over four, median of the runs", low=0),
    }
    views = (
        View(
            "Gradient descent", (Curves("What does averaging gain?", ["error"], theory="limit"),), columns=1, height=3.2
        ),
        View("Training loss", (Curves("How well are the examples fitted?", ["loss"], log=True),), columns=1),
    )
    headline = "error"
    scaled = "dimension 20 and 16 runs instead of 100 to 200 and 64"
    smoke = {"steps": 20}
    alphas = (0.1, 0.2, 0.3, 0.45)
    dimension = 20

    def axes(self) -> dict[str, Axis]:
        """Four sample ratios."""
        return {"alpha": Axis(self.alphas, label=SAMPLES)}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """From few examples to many; a frame whenever the training is looked at."""
        whole = task(seeds, self.dimension, self.kappa, self.sigma, max(self.alphas))
        yield Tick(0)
        yield Frame({}, {"limit": optimal_error(np.array(self.alphas), self.kappa, self.sigma)})
        for i, alpha in enumerate(self.alphas):
            part = whole.first(alpha)
            delta = noise_level(self.sigma, self.kappa)
            turns = message_passing(part.inputs, part.centered, self.kappa, delta)
            found = yield from settle(turns, i / len(self.alphas), i / len(self.alphas))
            yield Frame({"arm": "GAMP-RIE", "alpha": i}, {"error": distance(found, whole.truth)})
            for trained in descend(part, seeds, self.kappa, max(STUDENTS), self.steps):
                if trained is None:
                    yield Tick(i / len(self.alphas))
                    continue
                S = matrix(trained.W)
                one, mean = distance(S, whole.truth.unsqueeze(1)).mean(1), distance(S.mean(1), whole.truth)
                yield Frame({"arm": ["one run", "average of 16"], "alpha": i}, {"error": torch.stack([one, mean])})
                yield Frame({"alpha": i}, {"loss": trained.loss.median(1).values})
                yield Tick((i + trained.step / self.steps) / len(self.alphas))


@dataclass(frozen=True)
class Averaging(Experiment):
    """Average one, two, four, eight, sixteen trained networks at one sample size, and watch them train."""

    alpha: float = knob(
        0.2, stops=(0.1, 0.15, 0.2, 0.3, 0.45), symbol="α", help="number of examples over squared dimension"
    )
    sigma: float = knob(NOISE)
    steps: int = knob(2000, low=20, high=8000, step=20, help="steps of gradient descent")

    arms = {}
    outputs = {
        "error": Var("seed students", ERROR, "error of the average of so many runs", low=0),
        "expected": Var("students", "(1 + 1/K) best possible", "what K samples of the posterior would give", low=0),
        "single": Var("seed time", "one run", "error of one run, mean of sixteen", low=0),
        "average": Var("seed time", "average of 16", "error of the average of all runs", low=0),
        "loss": Var("seed time", "training loss", "mean of the squared misfits over four, median of the runs", low=0),
        "fitted": share("seed time", "runs that fit", "share of the runs with a training loss below 0.0001"),
    }
    views = (
        View(
            "Averaging",
            (
                Curves("How many runs are worth averaging?", ["error"], theory="expected"),
                Curves("When does the average pull ahead?", ["single", "average"], y=ERROR),
            ),
        ),
        View(
            "Loss",
            (
                Curves("How well are the examples fitted?", ["loss"], log=True),
                Curves("How many runs fit them?", ["fitted"], y="share of runs"),
            ),
        ),
    )
    headline = "error"
    scaled = Descent.scaled
    grid = {"alpha": (0.1, 0.15, 0.2, 0.3, 0.45), "sigma": (0, 0.05, 0.1, 0.25, 0.5)}
    smoke = {"steps": 20}

    def axes(self) -> dict[str, Axis]:
        """Numbers of averaged runs, and steps of gradient descent."""
        shown = sorted({round(self.steps * i / 20) for i in range(21)})
        return {"students": Axis(STUDENTS, label="averaged runs K", log=True), "time": Axis(shown, label="step")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """One frame whenever the training is looked at."""
        kappa = 0.5
        part = task(seeds, Descent.dimension, kappa, self.sigma, self.alpha)
        yield Tick(0)
        best, shown = float(optimal_error(self.alpha, kappa, self.sigma)), 0
        yield Frame({}, {"expected": [(1 + 1 / count) * best for count in STUDENTS]})
        for trained in descend(part, seeds, kappa, max(STUDENTS), self.steps):
            if trained is None:
                yield Tick((shown - 1) / 20)
                continue
            S, truth, loss = matrix(trained.W), part.truth, trained.loss
            means = [distance(S.unflatten(1, (-1, k)).mean(2), truth.unsqueeze(1)).mean(1) for k in STUDENTS]
            values = {"single": means[0], "average": means[-1], "loss": loss.median(1).values}
            values["fitted"] = (loss < 1e-4).double().mean(1)
            yield Frame({}, {"error": torch.stack(means, -1)})
            yield Frame({"time": shown}, values)
            shown += 1
            yield Tick(trained.step / self.steps)


@dataclass(frozen=True)
class Widths(Experiment):
    """Change the width of the teacher: wider teachers are nearer to the mean of the prior, but need more examples."""

    dimension: int = knob(30, stops=(20, 30, 40), symbol="d", help="dimension of the inputs")

    arms = {"κ = 1": "baseline", "κ = 0.5": "method", "κ = 0.2": "further", "κ = 2": "further"}
    outputs = {
        "error": Var(
            "arm seed alpha", "κE", "squared distance over that of the prior's mean, about 1 without data", low=0
        ),
        "limit": Var("arm alpha", "best possible, d → ∞", "Bayes-optimal error in the limit, times κ", low=0),
        "phase": Var("kappa ratio", "κE in the limit", "Bayes-optimal error in the limit, times κ", low=0),
    }
    views = (
        View("Widths", (Curves("How much data does a width need?", ["error"], theory="limit"),), columns=1, height=3.4),
    )
    headline = "error"
    scaled = Learning.scaled
    smoke = {"dimension": 20}
    alphas = (0.1, 0.2, 0.3, 0.4, 0.5)
    kappas = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0)

    def axes(self) -> dict[str, Axis]:
        """Five sample ratios for the simulation, a finer grid for the theory."""
        return {
            "alpha": Axis(self.alphas, label=SAMPLES),
            "kappa": Axis(self.kappas, label="width κ"),
            "ratio": Axis(np.round(np.linspace(0.02, 0.6, 30), 3), label=SAMPLES),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """First the theory, then one frame for each width and sample ratio."""
        fine = np.asarray(self.axes()["ratio"].values)
        for i, kappa in enumerate(self.kappas):
            yield Frame({"kappa": i}, {"phase": kappa * optimal_error(fine, kappa)})
            yield Tick(0.2 * (i + 1) / len(self.kappas))
        for j, arm in enumerate(self.arms):
            kappa = float(arm.removeprefix("κ = "))
            yield Frame({"arm": arm}, {"limit": kappa * optimal_error(np.array(self.alphas), kappa)})
            whole = task(seeds, self.dimension, kappa, 0.0, max(self.alphas))
            for i, alpha in enumerate(self.alphas):
                part = whole.first(alpha)
                start, step = 0.2 + 0.8 * (j + i / len(self.alphas)) / len(self.arms), 0.8 / 20
                turns = message_passing(part.inputs, part.centered, kappa, 0.0)
                found = yield from settle(turns, start, start + step)
                yield Frame({"arm": arm, "alpha": i}, {"error": kappa * distance(found, whole.truth)})


EXPERIMENTS = (Learning, Iterations, Sizes, Denoising, Descent, Averaging, Widths)


# ---------------------------------------------------------------------------------- pictures that occur only once


def draw_spectrum(figure: Figure, results: xr.Dataset) -> str:
    """Draw eigenvalues of one noisy matrix with their limiting density, and what the cleaning makes of them."""
    noise, kappa = 0.1, settings_of(results)["kappa"]
    values, cleaned = (results[name].sel(noise=noise).values for name in ("eigenvalues", "cleaned"))
    x = np.linspace(values.min() - 0.2, values.max() + 0.2, 600)
    rows = 1 if figure.get_figwidth() >= WIDE else 2
    figure.set_figheight(3.2 * rows)
    left, right = figure.subplots(rows, 2 // rows, squeeze=False).flat
    left.hist(values, 50, density=True, color=METHOD.color, alpha=0.35)
    left.plot(x, density(x, noise, kappa), color="black", lw=1.6, ls=(0, (4, 3)))
    left.set(xlabel="eigenvalue λ of Y", ylabel="density", title="How are the eigenvalues spread?")
    right.plot(x, x, color=BASELINE.color, lw=1)
    right.text(x[-1], x[-1], "unchanged", color=BASELINE.ink, ha="right", va="bottom", fontsize=9)
    right.plot(values, cleaned, METHOD.marker, color=METHOD.color, ms=3.5)
    right.set(xlabel="eigenvalue λ of Y", ylabel="cleaned eigenvalue", title="What does cleaning do to them?")
    small = int((values < 0.5).sum())
    rounded = [f"{one:.2f}" for one in (values[0], values[small - 1], cleaned[0], cleaned[small - 1])]
    return (
        f"Eigenvalues of one matrix of {len(values)} rows with noise t = {noise:g}: {small} lie around zero and "
        f"the others from 0.5 to {values.max():.1f}, as the dashed density says. Cleaning pulls those around zero "
        f"together, from {rounded[0]} to {rounded[1]} before to {rounded[2]} to {rounded[3]} after, and lowers the "
        f"largest from {values[-1]:.2f} to {cleaned[-1]:.2f}."
    )


def draw_phase(figure: Figure, results: xr.Dataset) -> str:
    """Draw the best possible error over sample ratio and width, with the line from which on nothing is left."""
    axes = figure.subplots()
    alpha, kappa = results.ratio.values, results.kappa.values
    filled = axes.contourf(alpha, kappa, results.phase.values, levels=np.linspace(0, 1, 11), cmap="viridis")
    figure.colorbar(filled, ax=axes, label="best possible κE")
    threshold = np.array([recovery_threshold(one) for one in kappa])
    axes.plot(threshold, kappa, color="white", lw=2, ls=(0, (5, 2)))
    axes.text(0.55, 1.4, "exact recovery", color="white", fontsize=10, rotation=90, ha="center", va="center")
    axes.set(xlabel=SAMPLES, ylabel="width κ of the teacher", title="How much data is enough?")
    axes.grid(False)
    return (
        "Best possible error times κ over sample ratio α and width κ. It is 1 without data and 0 right of a dashed "
        f"line, which runs from α = {threshold[0]:.3f} at κ = {kappa[0]:g} to {threshold[-1]:g} at κ = 1 and above."
    )


# ------------------------------------------------------------------------------------------------------ the claims

REFERENCE = {0.05: 1.7583, 0.1: 1.4474, 0.2: 0.7844, 0.3: 0.2563, 0.35: 0.0787}
"""Bayes-optimal errors at κ = 0.5 without noise, computed apart; the tests compare rows of the official table, too."""


def off_reference(results: xr.Dataset) -> float:
    """Return the largest distance of the theory from the reference values."""
    return max(abs(float(results.limit.sel(alpha=alpha)) - value) for alpha, value in REFERENCE.items())


def off_balance(*datasets: xr.Dataset) -> float:
    """Return the largest violation of E = F((2E + Δ)/(4α)) along the curves, with F computed anew."""
    worst = 0.0
    for results in datasets:
        knobs = settings_of(results)
        delta = noise_level(knobs["sigma"], knobs["kappa"])
        there = results.limit.values > 0
        alpha, error = results.alpha.values[there], results.limit.values[there]
        anew = denoising_error((2 * error + delta) / (4 * alpha), knobs["kappa"])
        worst = max(worst, float(np.abs(anew - error).max()))
    return worst


def off_theory(results: xr.Dataset) -> float:
    """Return how far GAMP-RIE is from the theory at α = 0.2 and 0.3, in units of what is allowed.

    Allowed is a quarter of the theory's value or 0.1, whichever is more.
    """
    mean, limit = (one.sel(alpha=[0.2, 0.3]) for one in (results.error.sel(arm="GAMP-RIE").mean("seed"), results.limit))
    return float((abs(mean - limit) / np.maximum(0.25 * limit, 0.1)).max())


def gap(results: xr.Dataset, size: int) -> float:
    """Return the relative distance of GAMP-RIE's mean error from the theory in one dimension."""
    return float(results.error.sel(size=size).mean("seed") / results.limit.sel(size=size) - 1)


def ratio(results: xr.Dataset, over: str, under: str, alphas: Sequence[float]) -> xr.DataArray:
    """Return the error of one arm over that of another, mean over sample ratios: one number per seed."""
    some = results.error.sel(alpha=list(alphas))
    return (some.sel(arm=over) / some.sel(arm=under)).mean("alpha")


NOISY = {"sigma": 0.25}
LONG = {alpha: {"long": {"alpha": alpha, "steps": 8000}} for alpha in (0.1, 0.2)}

# fmt: off
CLAIMS = (
    Claim("theory agrees", Learning,
          "The computed theory meets five values that were computed apart with other code: largest distance",
          "Best possible κE at κ = 0.5: 0.581 at α = 0.142, 0.151 at 0.290",
          off_reference, below=0.002, rule="exact", essential=True),
    Claim("self-consistent", Learning,
          "Along the whole curve, with and without noise, E is what remains when a matrix is cleaned of noise (2E + "
          "Δ)/(4α): largest violation",
          "The state evolution's fixed point is the Bayes-optimal error",
          off_balance, at={"clean": {}, "noisy": NOISY}, below=1e-4, rule="exact", essential=True),
    Claim("attains the theory", Learning,
          "GAMP-RIE reaches the theory at α = 0.2 and 0.3: distance of the mean over 128 teachers, in units of what is "
          "allowed (a quarter, or 0.1)",
          "GAMP-RIE agrees with the theory at d = 100 to 200",
          off_theory, below=1, rule="bootstrap", essential=True, seeds=128),
    Claim("nearer in higher dimension", Sizes,
          "The relative distance from the theory shrinks from d = 20 to d = 80: fall",
          "The theory is for d → ∞",
          lambda r: gap(r, 20) - gap(r, 80), above=0, rule="bootstrap", essential=True, seeds=32),
    Claim("denoising as predicted", Denoising,
          "Cleaning leaves the error F(t): largest relative distance over seven strengths of noise",
          "The error of the rotationally invariant estimator is F(t) for d → ∞",
          lambda r: abs(r.error.sel(arm="RIE") / r.limit.sel(arm="RIE") - 1).max("noise"),
          below=0.05, rule="every seed", essential=True),
    Claim("better than linear", Denoising,
          "Cleaning each eigenvalue beats shrinking all alike at every strength of noise: smallest advantage",
          "The rotationally invariant estimator is optimal",
          lambda r: (r.error.sel(arm="linear") - r.error.sel(arm="RIE")).min("noise"),
          above=0, rule="every seed", essential=True, robust=True),
    *(claim for alpha in (0.1, 0.2) for claim in (
        Claim(f"one run is a sample, α = {alpha}", Averaging,
              f"At α = {alpha} one run of gradient descent has about twice the error of the average of 16: ratio",
              "One run has twice the optimal error, the average is optimal (K → ∞; for K = 16 expect 1.88)",
              lambda r: r.error.sel(students=1) / r.error.sel(students=16), at=LONG[alpha], within=(1.6, 2.2),
              essential=True),
        Claim(f"examples are fitted, α = {alpha}", Averaging,
              f"The same runs at α = {alpha} fit their examples: share with a mean training loss below 0.0001",
              "Gradient descent interpolates without noise",
              lambda r: r.fitted.isel(time=-1), at=LONG[alpha], above=0.95, essential=True),
    )),
    Claim("average against GAMP", Descent,
          "The average of 16 runs is about as good as GAMP-RIE in the same dimension: ratio, mean of α = 0.1 to 0.3",
          "The average of 64 runs agrees with the Bayes-optimal error",
          lambda r: ratio(r, "average of 16", "GAMP-RIE", (0.1, 0.2, 0.3)), below=1.15),
    Claim("noise breaks it", Descent,
          "A limit: with noise 0.25 the average of 16 runs stays above the best possible error: ratio at α = 0.45",
          "With noise gradient descent and its average are sub-optimal",
          lambda r: (r.error.sel(arm="average of 16") / r.limit).sel(alpha=0.45), at={"noisy": NOISY},
          above=1.2, essential=True),
    Claim("noise, not dimension", Descent,
          "The same against GAMP-RIE on the same few dimensions, which is above its limit, too: ratio at α = 0.45",
          "Not reported; a control of our own, added after the other claims were measured",
          lambda r: ratio(r, "average of 16", "GAMP-RIE", (0.45,)), at={"noisy": NOISY}, above=1),
    Claim("least squares needs more", Learning,
          "A limit of the obvious method: at α = 0.3 least squares has more than twice the error of GAMP-RIE: ratio",
          "Without the knowledge of the prior, recovery needs α = 1/2 instead of 0.375",
          lambda r: ratio(r, "least squares", "GAMP-RIE", (0.3,)), above=2, essential=True),
)
# fmt: on


# ------------------------------------------------------------------------------------------- checks of the exercises


def check_cleaning(answer: Callable[[Tensor, float], Tensor]) -> str:
    """Check a student's cleaned eigenvalues, from the noisy ones and t alone, on a matrix of 400 rows."""
    d, kappa, t = 400, 0.5, 0.3
    W = torch.randn(round(kappa * d), d, generator=generator(0, "exercise"), dtype=torch.float64)
    A = torch.randn(d, d, generator=generator(0, "exercise noise"), dtype=torch.float64)
    S = matrix(W)
    values, vectors = torch.linalg.eigh(S + t**0.5 * (A + A.T) / (2 * d) ** 0.5)
    found = answer(values, t)
    if found is None:
        raise NotImplementedError
    if not isinstance(found, Tensor) or found.shape != values.shape:
        raise Wrong(f"return a tensor of shape {tuple(values.shape)}, one cleaned number for each eigenvalue.")
    if not found.isfinite().all():
        raise Wrong("some numbers are not finite: leave λ_i itself out of its sum, or use a small imaginary part.")

    def error(eigenvalues: Tensor) -> float:
        return float(distance((vectors * eigenvalues) @ vectors.T, S))

    right, mine = float(denoising_error(t, kappa)), error(found)
    if mine <= 1.1 * right:
        return f"Your error is {mine:.3f}; the theory says {right:.3f}, and without cleaning it is {error(values):.3f}."
    correction = torch.from_numpy(2 * t * resolvent(values.numpy(), np.full(d, t), kappa).real)
    size = float(((values - found) * correction).sum() / correction.square().sum())
    if abs(size + 1) < 0.15:
        raise Wrong("the size is right, the sign is not: subtract 2t Re g.")
    if abs(size - 0.5) < 0.1:
        raise Wrong("a factor 2 is missing: λ − 2t Re g, because the matrix is symmetric.")
    if size > 10:
        raise Wrong("divide the sum by the number of eigenvalues: g is a mean.")
    raise Wrong(f"your error is {mine:.3f}; the theory says {right:.3f}. Take g(λ_i) as the mean of 1/(λ_i − λ_j).")


def check_samples(answer: Callable[[int], float]) -> str:
    """Check a student's error of the mean of K posterior samples, over that of the posterior mean."""
    for count in (1, 2, 16):
        found = answer(count)
        if found is None:
            raise NotImplementedError
        if math.isclose(found, 1 + 1 / count, rel_tol=1e-6):
            continue
        if math.isclose(found, 1 / count, rel_tol=1e-6) and count > 1:
            raise Wrong("this is the error of the samples' mean around the posterior mean; the teacher differs, too.")
        if math.isclose(found, 2 / count, rel_tol=1e-6) and count > 1:
            raise Wrong("averaging does not reach the teacher: for large K the error is that of the posterior mean, 1.")
        raise Wrong(
            f"at K = {count} it is not {found:g}. The teacher is a sample, too: one variance for it, one over K for "
            "the mean."
        )
    return "Right: 2 for one run, and 1 for very many."
