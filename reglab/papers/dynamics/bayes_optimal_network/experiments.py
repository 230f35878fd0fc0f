"""The Bayes-optimal network: the experiments."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from reglab import data
from reglab.across import Across
from reglab.experiment import Experiment
from reglab.knobs import Knob, knob
from reglab.papers.dynamics.bayes_optimal_network import method
from reglab.pictures import Curves, Line, Scatter, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds
from reglab.training import within

WIDTH = Knob(0.5, 0.1, 2, stops=(0.1, 0.2, 0.5, 1, 2), symbol="κ", help="hidden units of the teacher over d")
NOISE = Knob(0.0, 0, 0.5, stops=(0, 0.05, 0.1, 0.25, 0.5), symbol="σ", help="noise inside the teacher's hidden units")
SIZE = Knob(40, 20, 80, stops=(20, 40, 80), symbol="d", help="dimension of the inputs")
ERROR, SAMPLES = "error E = ‖Ŝ − S*‖²/d", "examples over d², α"
ALPHAS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45)
STUDENTS = (1, 2, 4, 8, 16)
DIMENSIONS = Axis((20, 40, 80), label="dimension d", log=True)


def error(axes: str) -> Var:
    """Declare an error along some axes."""
    return Var(axes, ERROR, "squared distance from the teacher's matrix, for each dimension", low=0)


def limit(axes: str) -> Var:
    """Declare what the theory says along some axes."""
    return Var(axes, "best possible, d → ∞", "least error that is possible on average, in the limit d → ∞", low=0)


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


def settle(turns: Iterator[Tensor]) -> Generator[Frame | Tick, None, Tensor]:
    """Run message passing to its end, with a tick every other iteration; return the last Ŝ."""
    for turn, S in enumerate(turns):  # noqa: B007 - used after the loop
        if turn % 2 == 0:
            yield Tick(min(turn / 200, 1))
    return S


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
        "error": error("arm seed alpha"),
        "limit": limit("alpha"),
        "prior": Var("seed", "the mean of the prior", "error of the guess S = I, without any data", low=0),
        "threshold": Var("seed", "threshold", "sample ratio from which on the limit is zero without noise", low=0),
    }
    _lines = (Line("y", "prior", "no data"), Line("x", "threshold", "α_PR"))
    _panel = Curves("How well can a teacher be learned?", ["error"], theory="limit", lines=_lines)
    views = (View("Error and sample size", (_panel,), height=3.4),)
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
        threshold = [method.recovery_threshold(self.kappa)] * len(seeds)
        yield Frame({}, {"prior": method.distance(identity, whole.truth), "threshold": threshold})
        yield Frame({}, {"limit": method.optimal_error(np.array(ALPHAS), self.kappa, self.sigma)})
        step = 1 / len(ALPHAS)
        for i, alpha in enumerate(ALPHAS):
            part = whole.first(alpha)
            for s in range(len(seeds)):
                some = slice(s, s + 1)  # one system of equations at a time: each may take long
                found = method.smallest_fit(part.inputs[some], part.centered[some])
                at = {"arm": "least squares", "alpha": i, "seed": some}
                yield Frame(at, {"error": method.distance(found, whole.truth[some])})
                yield Tick(i * step)
            for j, (arm, denoiser) in enumerate((("GAMP-RIE", method.BEST), ("linear denoiser", method.LINEAR))):
                turns = method.message_passing(part.inputs, part.centered, self.kappa, delta, denoiser, self.iterations)
                found = yield from within(settle(turns), (i + j / 2) * step, (i + (j + 1) / 2) * step)
                yield Frame({"arm": arm, "alpha": i}, {"error": method.distance(found, whole.truth)})


@dataclass(frozen=True)
class Denoising(Experiment):
    """Add symmetric noise to a teacher's matrix and clean its eigenvalues: the step inside message passing."""

    kappa: float = knob(WIDTH)
    dimension: int = knob(400, low=100, high=400, step=100, symbol="d", help="rows of the matrix")

    arms = {"linear": "baseline", "RIE": "method"}
    outputs = {
        "error": error("arm seed noise"),
        "limit": Var("arm noise", "theory, d → ∞", "error in the limit of large dimension", low=0),
        "eigenvalues": Var("seed noise index", "eigenvalue λ of Y", "noisy eigenvalues, from below"),
        "cleaned": Var("arm seed noise index", "cleaned eigenvalue", "what each arm makes of these eigenvalues"),
    }
    # fmt: off
    views = (View("Cleaning", (
        Scatter("What does cleaning do to eigenvalues?", "eigenvalues", "cleaned", "index", line="y = x",
                at={"noise": 0.1}),
        Curves("How much error is left?", ["error"], theory="limit", log=True),
    ), height=3.2),)
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
        yield Frame({}, {"limit": np.stack(errors)})
        matrices = method.matrix(data.normal(seeds, "teacher", round(self.kappa * d), d))
        for s, (S, A) in enumerate(zip(matrices, data.normal(seeds, "symmetric noise", d, d), strict=True)):
            for i, noise in enumerate(t):
                values, vectors = torch.linalg.eigh(S + noise.sqrt() * (A + A.T) / (2 * d) ** 0.5)
                yield Tick((s + i / len(t)) / len(seeds))
                cleaned = torch.stack([one.shrink(values, noise, self.kappa) for one in (method.LINEAR, method.BEST)])
                left = method.distance((vectors * cleaned.unsqueeze(-2)) @ vectors.T, S)
                yield Frame({"noise": i, "seed": s}, {"error": left, "eigenvalues": values, "cleaned": cleaned})


def learning_rate(alpha: float) -> float:
    """Return a step size at which gradient descent is stable: the more examples, the smaller."""
    return 0.1 if alpha <= 0.2 else 0.06 if alpha <= 0.3 else 0.04


def descend(
    part: Task, seeds: Seeds, kappa: float, students: int, steps: int
) -> Iterator[tuple[int, Tensor, Tensor] | None]:
    """Train students of every teacher by gradient descent from normal weights W [S, students, m, d].

    Yields step, W and loss ¼(f_W - f*)², a mean over examples [S, students], at 21 steps from the first to the last,
    and None every ten steps in between, as a sign of life.
    """
    d = part.inputs.shape[-1]
    W = torch.stack([data.normal(seeds, f"student {a}", round(kappa * d), d) for a in range(students)], 1)
    x, truth = part.inputs.unsqueeze(1), part.raw.unsqueeze(1)
    rate = learning_rate(truth.shape[-1] / d**2)
    shown = {round(steps * i / 20) for i in range(21)}
    for step in range(steps + 1):
        if step in shown:
            yield step, W, (method.outputs(x, W) - truth).square().mean(-1) / 4
        elif step % 10 == 0:
            yield None
        if step < steps:
            W = W - rate * method.gradient(x, W, truth)


@dataclass(frozen=True)
class Averaging(Experiment):
    """Average one, two, four, eight, sixteen trained networks at one sample size, and watch them train."""

    alpha: float = knob(0.2, stops=(0.1, 0.15, 0.2, 0.3, 0.45), symbol="α", help="number of examples over d²")
    sigma: float = knob(NOISE)
    steps: int = knob(2000, low=20, high=8000, step=20, help="steps of gradient descent")

    outputs = {
        "error": error("seed students"),
        "expected": Var("students", "(1 + 1/K) best possible", "what K samples of the posterior would give", low=0),
        "best": limit(""),
        "passing": Var("seed", "error of GAMP-RIE", "error of GAMP-RIE with the same examples", low=0),
        "single": Var("seed time", "one run", "error of one run, mean of sixteen", low=0),
        "average": Var("seed time", "average of 16", "error of the average of all runs", low=0),
        "loss": Var("seed time", "training loss", "mean of the squared misfits over four, median of the runs", low=0),
        "fitted": share("seed time", "runs that fit", "share of the runs with a training loss below 0.0001"),
    }
    # fmt: off
    views = (
        View("Averaging", (
            Curves("How many runs are worth averaging?", ["error"], theory="expected"),
            Curves("When does the average pull ahead?", ["single", "average"], y=ERROR),
        )),
        View("Loss", (
            Curves("How well are the examples fitted?", ["loss"], log=True),
            Curves("How many runs fit them?", ["fitted"], y="share of runs"),
        )),
    )
    # fmt: on
    headline = "error"
    scaled = "dimension 20 and 16 runs instead of 100 to 200 and 64"
    grid = {"alpha": (0.1, 0.15, 0.2, 0.3, 0.45), "sigma": (0, 0.05, 0.1, 0.25, 0.5)}
    smoke = {"steps": 20}
    kappa, dimension = 0.5, 20

    def axes(self) -> dict[str, Axis]:
        """Numbers of averaged runs, and steps of gradient descent."""
        shown = sorted({round(self.steps * i / 20) for i in range(21)})
        return {"students": Axis(STUDENTS, label="averaged runs K", log=True), "time": Axis(shown, label="step")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """One frame whenever the training is looked at."""
        part = task(seeds, self.dimension, self.kappa, self.sigma, self.alpha)
        best = float(method.optimal_error(self.alpha, self.kappa, self.sigma))
        yield Frame({}, {"best": best, "expected": [(1 + 1 / count) * best for count in STUDENTS]})
        delta = method.noise_level(self.sigma, self.kappa)
        turns = method.message_passing(part.inputs, part.centered, self.kappa, delta)
        found: Tensor = yield from within(settle(turns), 0, 0)
        yield Frame({}, {"passing": method.distance(found, part.truth)})
        if "error" not in self.outputs:  # `Sizes` asks for the algorithm only
            return
        shown = 0
        for trained in descend(part, seeds, self.kappa, max(STUDENTS), self.steps):
            if trained is None:
                yield Tick((shown - 1) / 20)
                continue
            step, W, loss = trained
            S, truth = method.matrix(W), part.truth.unsqueeze(1)
            means = [method.distance(S.unflatten(1, (-1, k)).mean(2), truth).mean(1) for k in STUDENTS]
            values = {"single": means[0], "average": means[-1], "loss": loss.median(1).values}
            yield Frame({}, {"error": torch.stack(means, -1)})
            yield Frame({"time": shown}, values | {"fitted": (loss < 1e-4).double().mean(1)})
            shown += 1
            yield Tick(step / self.steps)


@dataclass(frozen=True)
class AnySize(Averaging):
    """The same in another dimension."""

    dimension: int = knob(SIZE)


class Sizes(Across, sibling=AnySize, knob="dimension", values=DIMENSIONS, outputs=("passing", "best")):
    """Run GAMP-RIE in growing dimension: the theory is for infinite dimension, how far is it from here?"""

    views = (View("Growing dimension", (Curves("How near is the theory?", ["passing"], theory="best"),)),)
    headline = "passing"
    smoke = {"alpha": 0.1}


EXPERIMENTS = (Learning, Denoising, Averaging, Sizes)
