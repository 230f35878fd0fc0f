"""The Bayes-optimal network: the experiments."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from reglab import data
from reglab.experiment import Experiment
from reglab.knobs import Knob, knob
from reglab.papers.dynamics.bayes_optimal_network import method
from reglab.pictures.views import Curves, Line, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator

WIDTH = Knob(
    0.5, 0.1, 2, stops=(0.1, 0.2, 0.5, 1, 2), symbol="κ", help="hidden units of the teacher, for each input dimension"
)

NOISE = Knob(
    0.0, 0, 0.5, stops=(0, 0.05, 0.1, 0.25, 0.5), symbol="σ", help="noise inside each hidden unit of the teacher"
)

SIZE = Knob(40, 20, 80, stops=(20, 40, 80), symbol="d", help="dimension of the inputs")


# ------------------------------------------------------------------------------------------------------ the experiments


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
    S = method.matrix(W)
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
        delta, identity = method.noise_level(self.sigma, self.kappa), torch.eye(self.dimension, dtype=torch.float64)
        yield Frame({}, {"prior": method.distance(identity, whole.truth)})
        yield Frame({}, {"threshold": [method.recovery_threshold(self.kappa)] * len(seeds)})
        yield Tick(0)
        yield Frame({}, {"limit": method.optimal_error(np.array(ALPHAS), self.kappa, self.sigma)})
        for i, alpha in enumerate(ALPHAS):
            part, start = whole.first(alpha), i / len(ALPHAS)
            for s in range(len(seeds)):
                some = slice(s, s + 1)  # one system of equations at a time: each may take long
                found = method.smallest_fit(part.inputs[some], part.centered[some])
                error = {"error": method.distance(found, whole.truth[some])}
                yield Frame({"arm": "least squares", "alpha": i, "seed": some}, error)
                yield Tick(start)
            for j, (arm, denoiser) in enumerate((("GAMP-RIE", method.BEST), ("linear denoiser", method.LINEAR))):
                turns = method.message_passing(part.inputs, part.centered, self.kappa, delta, denoiser, self.iterations)
                found = yield from settle(turns, start + j / 2 / len(ALPHAS), start + (j + 1) / 2 / len(ALPHAS))
                yield Frame({"arm": arm, "alpha": i}, {"error": method.distance(found, whole.truth)})


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
        delta, identity = method.noise_level(self.sigma, self.kappa), torch.eye(self.dimension, dtype=torch.float64)
        yield Tick(0)
        yield Frame({}, {"expected": method.state_evolution(self.alpha, self.kappa, self.sigma, self.count)})
        for j, (arm, denoiser) in enumerate((("linear denoiser", method.LINEAR), ("GAMP-RIE", method.BEST))):
            error, turn = method.distance(identity, part.truth), 0
            yield Frame({"arm": arm, "iteration": 0}, {"error": error})
            turns = method.message_passing(part.inputs, part.centered, self.kappa, delta, denoiser, self.count)
            for turn, found in enumerate(turns, 1):
                error = method.distance(found, part.truth)
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
        yield Frame({}, {"limit": [float(method.optimal_error(self.alpha, self.kappa))] * len(self.sizes)})
        done, total = 0.0, sum(size**2 for size in self.sizes) * len(seeds)
        for i, size in enumerate(self.sizes):
            for first in range(0, len(seeds), 4):
                some = range(first, min(first + 4, len(seeds)))
                part = task(tuple(seeds[s] for s in some), size, self.kappa, 0.0, self.alpha)
                turns, start = method.message_passing(part.inputs, part.centered, self.kappa, 0.0), done / total
                done += len(some) * size**2
                found = yield from settle(turns, start, done / total)
                yield Frame({"size": i, "seed": list(some)}, {"error": method.distance(found, part.truth)})


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
        yield Frame(
            {}, {"limit": np.stack([method.linear_error(t, self.kappa), method.denoising_error(t, self.kappa)])}
        )
        shape, m = (self.dimension, self.dimension), round(self.kappa * self.dimension)
        for s, seed in enumerate(seeds):
            W = torch.randn(m, self.dimension, generator=generator(seed, "teacher"), dtype=torch.float64)
            A = torch.randn(shape, generator=generator(seed, "symmetric noise"), dtype=torch.float64)
            S, Z = method.matrix(W), (A + A.T) / (2 * self.dimension) ** 0.5
            for i, noise in enumerate(self.noises):
                strength = torch.tensor(noise, dtype=torch.float64)
                values, vectors = torch.linalg.eigh(S + noise**0.5 * Z)
                yield Tick((s + i / len(t)) / len(seeds))
                cleaned = [one.shrink(values, strength, self.kappa) for one in (method.LINEAR, method.BEST)]
                errors = [method.distance((vectors * one) @ vectors.T, S) for one in cleaned]
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
            yield Trained(step, W, (method.outputs(x, W) - truth).square().mean(-1) / 4)
        elif step % 10 == 0:
            yield None
        if step < steps:
            W = W - rate * method.gradient(x, W, truth)


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
        yield Frame({}, {"limit": method.optimal_error(np.array(self.alphas), self.kappa, self.sigma)})
        for i, alpha in enumerate(self.alphas):
            part = whole.first(alpha)
            delta = method.noise_level(self.sigma, self.kappa)
            turns = method.message_passing(part.inputs, part.centered, self.kappa, delta)
            found = yield from settle(turns, i / len(self.alphas), i / len(self.alphas))
            yield Frame({"arm": "GAMP-RIE", "alpha": i}, {"error": method.distance(found, whole.truth)})
            for trained in descend(part, seeds, self.kappa, max(STUDENTS), self.steps):
                if trained is None:
                    yield Tick(i / len(self.alphas))
                    continue
                S = method.matrix(trained.W)
                one, mean = (
                    method.distance(S, whole.truth.unsqueeze(1)).mean(1),
                    method.distance(S.mean(1), whole.truth),
                )
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
        best, shown = float(method.optimal_error(self.alpha, kappa, self.sigma)), 0
        yield Frame({}, {"expected": [(1 + 1 / count) * best for count in STUDENTS]})
        for trained in descend(part, seeds, kappa, max(STUDENTS), self.steps):
            if trained is None:
                yield Tick((shown - 1) / 20)
                continue
            S, truth, loss = method.matrix(trained.W), part.truth, trained.loss
            means = [method.distance(S.unflatten(1, (-1, k)).mean(2), truth.unsqueeze(1)).mean(1) for k in STUDENTS]
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
            yield Frame({"kappa": i}, {"phase": kappa * method.optimal_error(fine, kappa)})
            yield Tick(0.2 * (i + 1) / len(self.kappas))
        for j, arm in enumerate(self.arms):
            kappa = float(arm.removeprefix("κ = "))
            yield Frame({"arm": arm}, {"limit": kappa * method.optimal_error(np.array(self.alphas), kappa)})
            whole = task(seeds, self.dimension, kappa, 0.0, max(self.alphas))
            for i, alpha in enumerate(self.alphas):
                part = whole.first(alpha)
                start, step = 0.2 + 0.8 * (j + i / len(self.alphas)) / len(self.arms), 0.8 / 20
                turns = method.message_passing(part.inputs, part.centered, kappa, 0.0)
                found = yield from settle(turns, start, start + step)
                yield Frame({"arm": arm, "alpha": i}, {"error": kappa * method.distance(found, whole.truth)})


EXPERIMENTS = (Learning, Iterations, Sizes, Denoising, Descent, Averaging, Widths)
