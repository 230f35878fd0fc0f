"""The Bayes-optimal network: the experiments."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from reglab import data
from reglab.experiment import Experiment
from reglab.knobs import Knob, knob
from reglab.papers.dynamics.bayes_optimal_network import method
from reglab.pictures import Curves, Line, Scatter, View
from reglab.results import Axis, Frame, Tick, Var
from reglab.seeds import Seeds, generator
from reglab.training import within

WIDTH = Knob(0.5, 0.1, 2, stops=(0.1, 0.2, 0.5, 1, 2), symbol="κ", label="width", help="teacher's hidden units over d")
LEVELS = (0, 0.05, 0.1, 0.25, 0.5)
NOISE = Knob(0.0, 0, 0.5, stops=LEVELS, symbol="σ", label="noise", help="noise inside the teacher's hidden units")
ALPHAS = (0.05, 0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)
STUDENTS = (1, 2, 4, 8, 16)
DECAYS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
FLOOR = 0.001
"""Smaller errors are shown as this one, so that a logarithmic axis has an end."""


def error(axes: str, low: float = 0) -> Var:
    """Declare an error along some axes."""
    return Var(axes, "error E = ‖Ŝ − S*‖²/d", "squared distance from the teacher's matrix, for each dimension", low=low)


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
    trace = W.square().sum((1, 2)).unsqueeze(1) / m
    return Task(method.matrix(W), x, raw, (raw - m**0.5 * sigma**2) / kappa**0.5 - trace / d**0.5)


def settle(turns: Iterator[Tensor]) -> Generator[Frame | Tick, None, Tensor]:
    """Run message passing to its end, with a tick every other iteration; return the last Ŝ."""
    for turn, S in enumerate(turns):  # noqa: B007 - used after the loop
        if turn % 2 == 0:
            yield Tick(min(turn / 200, 1))
    return S


@dataclass(frozen=True)
class Learning(Experiment):
    """Learn a quadratic teacher from more and more examples, and compare with the best error that is possible.

    Every seed is a teacher of its own; a smaller sample is the beginning of a larger one. All arms get the same
    examples. GAMP-RIE and the linear denoiser know κ and Δ, ridge knows Δκ, its penalty over d; the tuned ridge holds
    a fifth of the examples out instead. With shuffled outputs GAMP-RIE learns from examples that say nothing.
    """

    kappa: float = knob(WIDTH)
    sigma: float = knob(replace(NOISE, default=0.25))
    dimension: int = knob(40, stops=(20, 40, 80), symbol="d", help="dimension of the inputs")
    iterations: int = knob(100, low=2, high=200, step=1, help="most iterations of message passing")

    # fmt: off
    arms = {"least squares": "baseline", "ridge": "rival", "GAMP-RIE": "method", "prior mean": "null",
            "tuned ridge": "rival", "linear denoiser": "ablation", "shuffled outputs": "null"}
    outputs = {
        "error": error("arm seed alpha", FLOOR),
        "limit": Var("alpha", "best possible, d → ∞", "least error possible on average, in the limit d → ∞", low=FLOOR),
        "threshold": Var("seed", "threshold", "sample ratio from which on the limit is zero without noise", low=0),
    }
    _main, _others = [*arms][:4], [arm for arm in arms if arm not in ("least squares", "prior mean")]
    views = (
        View("Error and sample size", (Curves("How well can a teacher be learned?", ["error"], _main, theory="limit",
                                              lines=(Line("x", "threshold", "α_PR"),), log=True),), height=3.6),
        View("What each arm knows", (Curves("Which knowledge helps?", ["error"], _others, log=True),), height=3.4),
    )
    # fmt: on
    headline = "error"
    scaled = "dimension 40 instead of 100 to 200; the algorithm and the theory are kept"
    grid = {"kappa": (0.1, 0.2, 0.5, 1, 2), "sigma": LEVELS}
    smoke = {"dimension": 20, "iterations": 3}

    def axes(self) -> dict[str, Axis]:
        """Sample ratios, with that of as many examples as features, about 1/2."""
        return {"alpha": Axis(ALPHAS, label="examples over d², α")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """From few examples to many; a frame for each sample ratio and arm, and each teacher where they take turns."""
        whole = task(seeds, self.dimension, self.kappa, self.sigma, max(ALPHAS))
        delta, identity = method.noise_level(self.sigma, self.kappa), torch.eye(self.dimension, dtype=torch.float64)
        yield Frame({"arm": "prior mean"}, {"error": method.distance(identity, whole.truth).unsqueeze(-1)})
        best = np.maximum(method.optimal_error(np.array(ALPHAS), self.kappa, self.sigma), FLOOR)
        yield Frame({}, {"limit": best, "threshold": [method.recovery_threshold(self.kappa)] * len(seeds)})
        known = torch.tensor([1e-9, max(delta * self.kappa * self.dimension / 2, 1e-9)], dtype=torch.float64)
        for i, alpha in enumerate(ALPHAS):
            part = whole.first(alpha)
            for s, (x, y) in enumerate(zip(part.inputs, part.centered, strict=True)):  # each may take long
                found = method.ridge(x, y, torch.cat([known, method.chosen_penalty(x, y)]))
                left = method.distance(found, whole.truth[s]).clamp(min=FLOOR)
                yield Frame({"arm": ["least squares", "ridge", "tuned ridge"], "alpha": i, "seed": s}, {"error": left})
                yield Tick((i + s / len(seeds) / 2) / len(ALPHAS))
            draws = [generator(seed, "shuffled outputs") for seed in seeds]
            order = torch.stack([torch.randperm(part.raw.shape[1], generator=one) for one in draws])
            for j, arm in enumerate(("GAMP-RIE", "linear denoiser", "shuffled outputs")):
                y = part.centered.gather(1, order) if arm == "shuffled outputs" else part.centered
                denoiser = method.LINEAR if arm == "linear denoiser" else method.BEST
                turns = method.message_passing(part.inputs, y, self.kappa, delta, denoiser, self.iterations)
                done = (i + (3 + j) / 6) / len(ALPHAS)
                found = yield from within(settle(turns), done, done + 1 / (6 * len(ALPHAS)))
                yield Frame({"arm": arm, "alpha": i}, {"error": method.distance(found, whole.truth).clamp(min=FLOOR)})


@dataclass(frozen=True)
class Denoising(Experiment):
    """Add symmetric noise to a teacher's matrix and clean its eigenvalues: the step inside message passing."""

    kappa: float = knob(WIDTH)
    dimension: int = knob(400, low=100, high=400, step=100, symbol="d", help="rows of the matrix")

    arms = {"as it is": "baseline", "linear": "rival", "RIE": "method"}
    outputs = {
        "error": error("arm seed noise"),
        "limit": Var("arm noise", "theory, d → ∞", "error in the limit of large dimension", low=0),
        "eigenvalues": Var("seed noise index", "eigenvalue λ of Y", "noisy eigenvalues, from below"),
        "cleaned": Var("arm seed noise index", "cleaned eigenvalue", "what each arm makes of these eigenvalues"),
    }
    # fmt: off
    _map = Scatter("What does cleaning do to eigenvalues?", "eigenvalues", "cleaned", "index", ("linear", "RIE"),
                   "y = x", {"noise": 0.1})
    _left = Curves("How much error is left?", ["error"], theory="limit", log=True)
    views = (View("Cleaning", (_map, _left), height=3.2),)
    # fmt: on
    headline = "error"
    scaled = "nothing: the limit is already close at d = 400"
    smoke = {"dimension": 100}
    noises = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)

    def axes(self) -> dict[str, Axis]:
        """Strengths of noise and the numbers of the eigenvalues."""
        return {"noise": Axis(self.noises, label="noise t", log=True), "index": Axis(range(self.dimension))}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """One frame for each strength and seed."""
        t, d = torch.tensor(self.noises, dtype=torch.float64), self.dimension
        errors = [one(t.numpy(), self.kappa) for one in (method.linear_error, method.denoising_error)]
        yield Frame({}, {"limit": np.stack([t.numpy(), *errors])})
        matrices = method.matrix(data.normal(seeds, "teacher", round(self.kappa * d), d))
        for s, (S, A) in enumerate(zip(matrices, data.normal(seeds, "symmetric noise", d, d), strict=True)):
            for i, noise in enumerate(t):
                values, vectors = torch.linalg.eigh(S + noise.sqrt() * (A + A.T) / (2 * d) ** 0.5)
                yield Tick((s + i / len(t)) / len(seeds))
                linear, best = (one.shrink(values, noise, self.kappa) for one in (method.LINEAR, method.BEST))
                cleaned = torch.stack([values, linear, best])
                left = method.distance((vectors * cleaned.unsqueeze(-2)) @ vectors.T, S)
                yield Frame({"noise": i, "seed": s}, {"error": left, "eigenvalues": values, "cleaned": cleaned})


def misfit(part: Task, W: Tensor) -> Tensor:
    """Return ¼(f_W - f*)², a mean over examples, of students W [S, K, m, d]: [S, K]."""
    return (method.outputs(part.inputs, W) - part.raw.unsqueeze(-1)).square().mean(1) / 4


def averages(W: Tensor, truth: Tensor) -> Tensor:
    """Return the error of the average of 1, 2, … students W [S, K, m, d], each a mean over groups: [S, 5]."""
    S, truth = method.matrix(W), truth.unsqueeze(1)
    return torch.stack([method.distance(S.unflatten(1, (-1, k)).mean(2), truth).mean(1) for k in STUDENTS], 1)


@dataclass(frozen=True)
class Averaging(Experiment):
    """Average one to sixteen trained networks at one sample size, and watch them train.

    Rivals of the average are single runs. A run with weight decay has that of six strengths which, without a fifth of
    the examples, predicts these best; so is the step chosen at which a run without decay is stopped. Untrained
    students are as they start.
    """

    alpha: float = knob(0.2, stops=(0.1, 0.15, 0.2, 0.3, 0.45), symbol="α", label="examples over d²")
    sigma: float = knob(NOISE)
    steps: int = knob(2000, low=20, high=8000, step=20, help="steps of gradient descent")

    # fmt: off
    arms = {"one run": "baseline", "average of K": "method", "weight decay": "rival", "early stopping": "rival",
            "untrained": "null"}
    outputs = {
        "error": error("arm seed students"),
        "expected": Var("students", "(1 + 1/K) best possible", "what K samples of the posterior would give", low=0),
        "passing": Var("seed", "error of GAMP-RIE", "error of GAMP-RIE with the same examples", low=0),
        "loss": Var("seed time", "training loss", "mean of the squared misfits over four, median of the runs", low=0),
        "decay": Var("seed", "chosen decay", "weight decay that predicts the held-out examples best", low=0),
        "stop": Var("seed", "chosen step", "step at which the held-out examples are predicted best", low=0),
    }
    views = (
        View("Averaging", (Curves("How many runs are worth averaging?", ["error"], theory="expected", log=True),)),
        View("Loss", (Curves("How well are the examples fitted?", ["loss"], ["one run"], log=True),)),
    )
    # fmt: on
    headline = "error"
    scaled = "dimension 20 and 16 runs instead of 100 to 200 and 64"
    grid = {"alpha": (0.1, 0.15, 0.2, 0.3, 0.45), "sigma": LEVELS}
    smoke = {"steps": 20}
    kappa, dimension, width = 0.5, 20, 10

    def axes(self) -> dict[str, Axis]:
        """Numbers of averaged runs, and steps of gradient descent."""
        return {"students": Axis(STUDENTS, label="averaged runs K", log=True), "time": Axis(self.shown(), label="step")}

    def shown(self) -> list[int]:
        """Return the steps at which the training is looked at."""
        return sorted({round(self.steps * i / 30) for i in range(31)})

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """One frame whenever the training is looked at."""
        part = task(seeds, self.dimension, self.kappa, self.sigma, self.alpha)
        best = float(method.optimal_error(self.alpha, self.kappa, self.sigma))
        yield Frame({}, {"expected": [(1 + 1 / count) * best for count in STUDENTS]})
        delta = method.noise_level(self.sigma, self.kappa)
        turns = settle(method.message_passing(part.inputs, part.centered, self.kappa, delta))
        found: Tensor = yield from within(turns, 0, 0)
        yield Frame({}, {"passing": method.distance(found, part.truth)})
        rate = 0.1 if self.alpha <= 0.2 else 0.06 if self.alpha <= 0.3 else 0.04  # less is stable with more examples
        runs, tries, few = max(STUDENTS), len(DECAYS), part.raw.shape[1] // 5
        first = torch.stack([data.normal(seeds, f"student {a}", self.width, self.dimension) for a in range(runs)], 1)
        # after the runs that are averaged, those with a decay: on all examples, then without the last fifth
        W = torch.cat([first, first[:, :1].repeat(1, 2 * tries, 1, 1)], 1)
        decay = torch.tensor([0.0] * runs + [*DECAYS] * 2, dtype=W.dtype)[:, None, None]
        kept = torch.ones(part.raw.shape[1], W.shape[1], dtype=W.dtype)
        kept[-few:, -tries:] = 0
        held_out = part._replace(inputs=part.inputs[:, -few:], raw=part.raw[:, -few:])
        least, stop, stopped = torch.full((len(W),), torch.inf), torch.zeros(len(W)), first[:, 0]
        for step in range(self.steps + 1):
            missed = misfit(held_out, W[:, -tries:])
            better = missed[:, 0] < least
            least, stop = torch.minimum(missed[:, 0], least), torch.where(better, step, stop)
            stopped = torch.where(better[:, None, None], W[:, 0], stopped)
            if step % 5 == 0:
                yield Tick(step / self.steps)
            if step in self.shown():
                means, chosen = averages(W[:, :runs], part.truth), missed.argmin(1)
                rivals = torch.stack([W[torch.arange(len(W)), runs + chosen], stopped], 1)
                left = method.distance(method.matrix(rivals), part.truth.unsqueeze(1))
                errors = means[:, :1], means, left[:, :1], left[:, 1:], averages(first, part.truth)
                for arm, found in zip(Averaging.arms, errors, strict=True):
                    yield Frame({"arm": arm}, {"error": found, "decay": torch.tensor(DECAYS)[chosen], "stop": stop})
                yield Frame({"time": self.shown().index(step)}, {"loss": misfit(part, W[:, :runs]).median(1).values})
            W = W - rate * (method.gradient(part.inputs, W, part.raw, kept) + decay * W)


EXPERIMENTS = (Learning, Denoising, Averaging)
