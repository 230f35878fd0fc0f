"""Regularized solvers (ERNODE, SRNODE): train a neural differential equation to be easy for its own solver.

Avik Pal, Yingbo Ma, Viral Shah, Christopher Rackauckas, ICML 2021, arXiv 2105.03918.

Departures from the paper: digits of 8x8 pixels and 16 hidden dimensions instead of MNIST and 784; a plain step
controller instead of a PI controller, and a fixed first step; step sizes and decisions are constants in the gradient
(the Julia code differentiates a tracked time as well). The stochastic equation is solved by an adaptive Heun step on a
dyadic grid instead of a stochastic Runge-Kutta method of higher order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reglab import data, metrics
from reglab.catalogue import Paper
from reglab.claims import Claim
from reglab.data import Seeds, generator
from reglab.exercise import Wrong
from reglab.experiment import Axis, Experiment, Frame, Knob, Tick, Var, knob, share
from reglab.models import replicas
from reglab.pictures.views import WIDE, Curves, Dots, View, styles

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

PAPER = Paper(
    part="dynamics",
    slug="solver_regularization",
    title="Opening the Blackbox: Accelerating Neural Differential Equations by Regularizing Internal Solver Heuristics",
    short="ERNODE, SRNODE",
    authors=("Avik Pal", "Yingbo Ma", "Viral Shah", "Christopher Rackauckas"),
    venue="ICML",
    year=2021,
    arxiv="2105.03918",
    code="https://github.com/avik-pal/RegNeuralDE.jl",
    sources=(
        "the abstract, parts of the background section and the official code; the formulas of the steps from a later "
        "package of the same authors; not the tables of results"
    ),
    idea=(
        "An adaptive solver knows at every step how hard the equation is, so add that to the loss, and training finds "
        "an equation that is as good and easier to solve."
    ),
    minutes=50,
    prerequisites=("ordinary differential equations", "Runge-Kutta methods", "backpropagation"),
)

STABILITY = 3.5068
"""Size of the stability region of Tsit5."""
FIRST = 0.05
"""The first step size, fixed so that counts of evaluations can be compared."""

Field = Callable[[Tensor, Tensor], Tensor]
"""f(z, t): states [R, B, d] of R runs and a time for each run [R] -> [R, B, d]."""


# ---------------------------------------------------------------------------------------------------- the method


class Tableau(NamedTuple):
    """An embedded Runge-Kutta pair of order 5(4) whose last stage is the first of the next step."""

    c: tuple[float, ...]
    a: tuple[tuple[float, ...], ...]
    e: tuple[float, ...]

    @property
    def b(self) -> tuple[float, ...]:
        """The weights of the solution: those of the last stage."""
        return (*self.a[-1], 0.0)


TSIT5 = Tableau(
    c=(0, 0.161, 0.327, 0.9, 0.9800255409045097, 1, 1),
    a=(
        (),
        (0.161,),
        (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
        (0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774),
    ),
    e=(
        -0.00178001105222577714, -0.0008164344596567469, 0.007880878010261995, -0.1447110071732629,
        0.5823571654525552, -0.45808210592918697, 1 / 66,
    ),
)  # fmt: skip
DOPRI5 = Tableau(
    c=(0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1),
    a=(
        (),
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    ),
    e=(71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
)


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
    """The end of all runs and what the way there cost: everything [R] but z [R, B, d] and the logs [R, attempts].

    `mean_Eh`, `sum_Eh`, `max_Eh`, `sum_E2`, `sum_S`, `kinetic` (Σ h rms(k1)²) are over accepted steps, with gradients.
    `sizes` and `errors` are 0 where an attempt was rejected or the run had ended.
    """

    z: Tensor
    evaluations: Tensor
    accepted: Tensor
    mean_Eh: Tensor
    sum_Eh: Tensor
    max_Eh: Tensor
    sum_E2: Tensor
    sum_S: Tensor
    kinetic: Tensor
    sizes: Tensor
    errors: Tensor


def solve(
    f: Field, z: Tensor, end: Tensor | float, tolerance: float, tableau: Tableau = TSIT5, most: int = 1000
) -> Solution:
    """Integrate dz/dt = f from t = 0 to `end` (one time for each run [R], or one for all), each run at its own pace.

    Gradients flow through states, slopes, E and S; step sizes and decisions are constants. Raises `RuntimeError` when
    a run needs more than `most` attempts.
    """
    runs = len(z)
    end = torch.as_tensor(end, dtype=z.dtype).expand(runs)
    t, h, rejected = torch.zeros_like(end), torch.full_like(end, FIRST), torch.zeros(runs, dtype=torch.bool)
    slope, active = f(z, t), end > 0
    evaluations = torch.ones(runs, dtype=torch.long)
    log: list[tuple[Tensor, ...]] = []
    for attempt in itertools.count():
        if not active.any():
            break
        if attempt == most:
            raise RuntimeError(f"the solver needed more than {most} attempts; the equation may be too stiff")
        last = t + h >= end * (1 - 1e-12)
        size = torch.where(active, torch.where(last, end - t, h), 0.0)
        step = runge_kutta(f, z, t, size, slope, tableau)
        error = error_estimate(step.delta, z, step.z, tolerance)
        take = active & (error.detach() <= 1)
        reported = (size, error, stiffness(step, z), size * rms(slope) ** 2)
        log.append(tuple(torch.where(take, one, 0.0) for one in reported))
        evaluations = evaluations + 6 * active
        chosen = take.reshape(-1, 1, 1)
        z, slope = torch.where(chosen, step.z, z), torch.where(chosen, step.slope, slope)
        t = torch.where(take, torch.where(last, end, t + size), t)
        h, rejected = torch.where(active, next_size(size, error.detach(), rejected), h), active & ~take
        active = active & (t < end)
    sizes, errors, stiff, kinetic = (torch.stack(parts, 1) for parts in zip(*log, strict=True))
    accepted = (sizes > 0).sum(1)
    work = errors * sizes
    return Solution(
        z, evaluations, accepted, work.sum(1) / accepted, work.sum(1), work.amax(1), errors.square().sum(1),
        stiff.sum(1), kinetic.sum(1), sizes, errors.detach(),
    )  # fmt: skip


def fixed_steps(f: Field, z: Tensor, count: int, tolerance: float) -> tuple[Tensor, Tensor]:
    """Integrate to t = 1 in equal steps; return all states [count + 1, R, B, d] and the mean of E, times h: [R]."""
    h = torch.full((len(z),), 1 / count, dtype=z.dtype)
    slope, states, errors = f(z, torch.zeros_like(h)), [z], []
    for i in range(count):
        step = runge_kutta(f, z, i * h, h, slope)
        errors.append(error_estimate(step.delta, z, step.z, tolerance))
        z, slope = step.z, step.slope
        states.append(z)
    return torch.stack(states), torch.stack(errors).mean(0) / count


def annealed(first: float, iteration: int, iterations: int) -> float:
    """Return λ₀e^(-kt), which falls from λ₀ to a tenth of it over the training."""
    return first * 0.1 ** (iteration / iterations)


# ------------------------------------------------------------------------------------- experiment 1: a neural ODE


def layer(drawn: Sequence[Tensor], copies: int) -> replicas.Linear:
    """Return layers with the weights drawn for every seed, each [in, out], and biases 0, `copies` times over."""
    weight = torch.stack(list(drawn)).repeat(copies, 1, 1)
    return replicas.Linear(weight, torch.zeros(len(weight), 1, weight.shape[-1], dtype=weight.dtype))


def glorot(
    inputs: int, outputs: int, sources: Sequence[torch.Generator], copies: int, scale: float = 1.0
) -> replicas.Linear:
    """Return layers with Glorot-uniform weights, times `scale`, for every generator."""
    bound = scale * (6 / (inputs + outputs)) ** 0.5
    empty = [torch.empty(inputs, outputs, dtype=torch.float64) for _ in sources]
    return layer(
        [one.uniform_(-bound, bound, generator=source) for one, source in zip(empty, sources, strict=True)], copies
    )


class NeuralODE(nn.Module):
    """R networks side by side: 64 → 16, an equation of 16 dimensions with 32 hidden units, 16 → 10."""

    def __init__(self, seeds: Seeds, copies: int, scale: float) -> None:
        super().__init__()
        sources = [generator(seed, "weights") for seed in seeds]
        self.start = glorot(64, 16, sources, copies)
        self.inner = glorot(17, 32, sources, copies, scale)
        self.outer = glorot(33, 16, sources, copies, scale)
        self.logits = glorot(16, 10, sources, copies)

    def field(self, z: Tensor, t: Tensor) -> Tensor:
        """Return f(z, t): two layers with tanh, the time as one more input of both."""
        for one in (self.inner, self.outer):
            assert one.bias is not None
            z = torch.tanh(torch.baddbmm(one.bias + t.reshape(-1, 1, 1) * one.weight[:, -1:], z, one.weight[:, :-1]))
        return z


def train(
    model: NeuralODE,
    split: data.Split,
    seeds: Seeds,
    iterations: int,
    tolerance: float,
    ends: Tensor,
    penalty: Callable[[Solution, int], Tensor],
) -> Iterator[tuple[int, bool]]:
    """Train on cross-entropy plus a penalty [R] of the solution; yield the step, at its start and halfway.

    SGD batches of 64, Adam with rate 0.01. `ends` [A, S] holds the end times of the next step, 1 unless they are drawn.
    """
    optimizer, copies = torch.optim.Adam(model.parameters(), lr=0.01), len(ends)
    row = torch.arange(len(seeds)).unsqueeze(1)
    order = itertools.chain.from_iterable(data.batches(seeds, 1400, 64, epoch) for epoch in itertools.count(1))
    for iteration, index in zip(range(iterations), order, strict=False):
        yield iteration, False
        images = split.train_inputs[row, index].double().repeat(copies, 1, 1)
        labels = split.train_labels[row, index].repeat(copies, 1)
        found = solve(model.field, model.start(images), ends.flatten(), tolerance)
        loss = F.cross_entropy(model.logits(found.z).mT, labels, reduction="none").mean(1) + penalty(found, iteration)
        yield iteration, True
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
    yield iterations, False


@torch.no_grad()
def tested(model: NeuralODE, split: data.Split, copies: int, tolerance: float) -> tuple[Solution, Tensor, Tensor]:
    """Solve for all test digits; return the solution, the logits [R, n, 10] and the labels [R, n]."""
    start = model.start(split.test_inputs.double().repeat(copies, 1, 1))
    found = solve(model.field, start, 1.0, tolerance)
    return found, model.logits(found.z), split.test_labels.repeat(copies, 1)


STRENGTH = Knob(1.0, 0, 100, stops=(0, 0.1, 0.3, 1, 10, 100), symbol="λ", help="first weight of the error penalty")
TOLERANCE = Knob(
    1e-7, 1e-9, 1e-4, stops=(1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4), help="tolerance of the solver, absolute and relative"
)
CURVE = "arm seed iteration"
AGGREGATES = {"mean": "mean_Eh", "sum": "sum_Eh", "max": "max_Eh"}


@dataclass(frozen=True)
class Digits(Experiment):
    """Train a neural ODE on digits, with and without a price on what its solver reports.

    1400 digits, batches of 64, Adam with rate 0.01. All arms of a seed share digits, first weights and batches. Every
    run has a step size of its own, one for its whole batch.
    """

    strength: float = knob(STRENGTH)
    tolerance: float = knob(TOLERANCE)
    strength_stiffness: float = knob(
        0.1, stops=(0, 0.01, 0.03, 0.1, 0.3, 1), symbol="λ_S", help="weight of the stiffness penalty"
    )
    aggregate: str = knob("mean", choices=("mean", "sum", "max"), help="what is made of the errors of all steps")
    scale: float = knob(1.0, stops=(0.5, 1, 1.5, 2), help="size of the first weights of the equation, times Glorot's")
    iterations: int = knob(100, low=20, high=400, step=20, help="training steps")

    arms = {
        "vanilla": "baseline",
        "ER": "method",
        "ER²": "further",
        "SR": "further",
        "STEER": "further",
        "speed": "ablation",
        "detached": "ablation",
    }
    outputs = {
        "evaluations": Var(CURVE, "evaluations (NFE)", "evaluations of f for the test digits", low=0),
        "accepted": Var(CURVE, "accepted steps", "steps of the solver that counted, test digits", low=0),
        "accuracy": Var(CURVE, "test accuracy", "share of the 397 test digits classified right", high=1),
        "squared": Var(CURVE, "R_E2 = Σ E²", "sum of squared error estimates over accepted steps, test digits", low=0),
        "stiff": Var(CURVE, "R_S = Σ S", "sum of stiffness estimates over accepted steps, test digits", low=0),
        "fixed": Var(
            "arm seed", "mean E·h, ten equal steps", "error estimate that does not depend on the controller", low=0
        ),
        "loss": Var(CURVE, "cross-entropy", "cross-entropy of the test digits, without any penalty", low=0),
        "size": Var("arm seed attempt", "step size h", "sizes of the accepted steps after training; 0: none", low=0),
        "error": Var("arm seed attempt", "E", "error estimates of these steps", low=0),
        "path": Var(
            "arm example moment plane", "path", "first seed's states in the plane where their ends spread most"
        ),
    }
    # fmt: off
    views = (
        View("Work and accuracy", (
            Curves("How much work is an answer?", ["evaluations"], ("vanilla", "ER", "ER²", "SR", "speed")),
            Dots("And how good is it?", "accuracy"),
        ), height=3.2),
        View("What is penalized", (
            Dots("ER and ER²: how large are the errors?", "squared"),
            Dots("SR: how stiff is it?", "stiff"),
        ), height=3),
        View("Work at the end", (
            Dots("How many evaluations?", "evaluations"),
            Dots("How many steps?", "accepted"),
        ), height=3),
        View("Loss", (Curves("Does the penalty hinder learning?", ["loss"], ("vanilla", "ER", "ER²", "SR", "STEER")),),
             columns=1),
    )
    # fmt: on
    scaled = "MNIST became 1400 digits, 784 dimensions became 16; tableau, estimates, gradients and penalties are kept"
    headline = "evaluations"
    grid = {"strength": (0, 0.1, 0.3, 1, 10, 100), "tolerance": (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)}
    unaffected = {"strength": ("vanilla", "SR", "STEER", "detached")}
    smoke = {"iterations": 20, "tolerance": 1e-5}
    equals_baseline = (
        ({}, "detached"),
        ({"strength": 0}, "ER"),
        ({"strength": 0}, "ER²"),
        ({"strength": 0}, "speed"),
        ({"strength_stiffness": 0}, "SR"),
    )
    attempts, examples, moments = 24, 20, 21

    def axes(self) -> dict[str, Axis]:
        """Every twentieth training step; attempts of the solver; the paths of 20 digits in a plane."""
        return {
            "iteration": Axis(range(0, self.iterations + 1, 20), label="training step"),
            "attempt": Axis(range(self.attempts)),
            "example": Axis(range(self.examples)),
            "moment": Axis(np.linspace(0, 1, self.moments), label="time t"),
            "plane": Axis(["first", "second"]),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame at every twentieth training step."""
        split, copies = data.digits(seeds, 1400, standardize=False), len(self.arms)
        model, ends = NeuralODE(seeds, copies, self.scale), torch.ones(copies, len(seeds), dtype=torch.float64)
        steer = [generator(seed, "end times") for seed in seeds]
        for iteration, half in train(model, split, seeds, self.iterations, self.tolerance, ends, self._penalty):
            if not half and iteration % 20 == 0:
                yield Frame({"iteration": iteration // 20}, self._measure(model, split))
            if "STEER" in self.arms:
                drawn = [0.5 + float(torch.rand(1, generator=g)) for g in steer]
                ends[list(self.arms).index("STEER")] = torch.tensor(drawn)
            yield Tick((iteration + half / 2) / (self.iterations + 1))
        yield from self._last(model, split)

    def _penalty(self, found: Solution, iteration: int) -> Tensor:
        """Return what each run pays besides its cross-entropy: [R]."""
        price, seeds = annealed(self.strength, iteration, self.iterations), len(found.z) // len(self.arms)
        error = getattr(found, AGGREGATES[self.aggregate])
        penalties = {
            "vanilla": 0 * error,
            "ER": price * error,
            "ER²": 0.1 * price * found.sum_E2,
            "SR": self.strength_stiffness * found.sum_S,
            "STEER": 0 * error,
            "speed": 0.1 * price * found.kinetic,
            "detached": price * error.detach(),
        }
        return torch.cat([penalties[arm].unflatten(0, (-1, seeds))[i] for i, arm in enumerate(self.arms)])

    def _measure(self, model: NeuralODE, split: data.Split) -> dict[str, Tensor]:
        """Measure all test digits; every value is [A, S]."""
        copies = len(self.arms)
        found, logits, labels = tested(model, split, copies, self.tolerance)
        values = {
            "evaluations": found.evaluations,
            "accepted": found.accepted,
            "accuracy": metrics.accuracy(logits, labels),
            "squared": found.sum_E2,
            "stiff": found.sum_S,
            "loss": F.cross_entropy(logits.mT, labels, reduction="none").mean(1),
        }
        values |= {"size": self._padded(found.sizes), "error": self._padded(found.errors)}
        return {name: value.unflatten(0, (copies, -1)) for name, value in values.items()}

    def _padded(self, log: Tensor) -> Tensor:
        """Return the first attempts of each run, 0 after the last: [R, attempts]."""
        kept = log[:, : self.attempts]
        return F.pad(kept, (0, self.attempts - kept.shape[1]))

    @torch.no_grad()
    def _last(self, model: NeuralODE, split: data.Split) -> Iterator[Frame]:
        """Measure errors in equal steps, and follow 20 test digits of the first seed through the equation."""
        copies, seeds = len(self.arms), len(split.test_labels)
        some = model.start(split.test_inputs[:, :64].double().repeat(copies, 1, 1))
        fixed = fixed_steps(model.field, some, 10, self.tolerance)[1]
        yield Frame({}, {"fixed": fixed.unflatten(0, (copies, seeds))})
        images = split.test_inputs[:, : self.examples].double().repeat(copies, 1, 1)
        states = fixed_steps(model.field, model.start(images), self.moments - 1, self.tolerance)[0]
        paths = states[:, ::seeds].permute(1, 2, 0, 3)  # arm, example, moment, dimension
        ends = paths[:, :, -1]
        plane = torch.linalg.svd(ends - ends.mean(1, keepdim=True)).Vh[:, :2]
        flat = torch.einsum("aemd,apd->aemp", paths - ends.mean(1)[:, None, None], plane)
        sign = torch.where(flat[:, 0, -1] < 0, -1.0, 1.0)  # an axis may point either way; the first digit decides
        yield Frame({}, {"path": flat * sign[:, None, None]})


@dataclass(frozen=True)
class Price(Experiment):
    """Raise the price on errors from nothing to far too much: work against accuracy.

    The same training as the arm ER of `Digits`, for seven prices at once.
    """

    tolerance: float = knob(TOLERANCE)
    iterations: int = knob(100, low=10, high=400, step=10, help="training steps")

    arms = {}
    outputs = {
        "evaluations": Var("seed strength", "evaluations (NFE)", "evaluations of f for the test digits", low=0),
        "accuracy": share("seed strength", "test accuracy", "share of the 397 test digits classified right"),
    }
    views = (
        View(
            "The price of ease",
            (Curves("What does a higher price save?", ["evaluations"]), Curves("And what does it cost?", ["accuracy"])),
        ),
    )
    headline = "accuracy"
    scaled = Digits.scaled
    smoke = {"iterations": 10, "tolerance": 1e-5}
    strengths = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)

    def axes(self) -> dict[str, Axis]:
        """Seven prices."""
        return {"strength": Axis(self.strengths, label="first weight λ of the penalty", log=True)}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all prices and seeds as one; measured at every twentieth training step."""
        split, copies = data.digits(seeds, 1400, standardize=False), len(self.strengths)
        model, ends = NeuralODE(seeds, copies, 1.0), torch.ones(copies, len(seeds), dtype=torch.float64)
        prices = torch.tensor(self.strengths, dtype=torch.float64).repeat_interleave(len(seeds))

        def penalty(found: Solution, iteration: int) -> Tensor:
            return annealed(1.0, iteration, self.iterations) * prices * found.mean_Eh

        for iteration, half in train(model, split, seeds, self.iterations, self.tolerance, ends, penalty):
            if not half and (iteration % 20 == 0 or iteration == self.iterations):
                found, logits, labels = tested(model, split, copies, self.tolerance)
                values = {"evaluations": found.evaluations, "accuracy": metrics.accuracy(logits, labels)}
                yield Frame({}, {name: value.unflatten(0, (copies, -1)).T for name, value in values.items()})
            yield Tick((iteration + half / 2) / (self.iterations + 1))


# ----------------------------------------------------------------------- experiment 2: a stochastic equation


CELLS, SAVES, LARGEST = 1024, 8, 128
"""Cells of the finest grid on [0, 1], times at which means and variances are compared, the longest step in cells."""


class NoisyStep(NamedTuple):
    """One attempted step of a stochastic equation and its error estimate: z [R, P, d], E [R]."""

    z: Tensor
    error: Tensor


def heun_step(
    drift: Callable[[Tensor], Tensor], diffusion: Callable[[Tensor], Tensor], z: Tensor, h: Tensor, dW: Tensor,
    tolerance: float,
) -> NoisyStep:  # fmt: skip
    """Take an adaptive Lamba-Euler-Heun step of dz = f dt + g ∘ dW with diagonal noise: z, dW [R, P, d], h [R].

    z̃ = z + hf + gΔW and z⁺ = z + h/2 (f(z) + f(z̃)) + ½(g(z) + g(z̃))ΔW. The estimate is that of the drift, h/2 (f(z +
    hf) - f(z)), over six, plus that of the noise, ½ (g(z + g√h) - g)/√h ΔW².
    """
    size = h.reshape(-1, 1, 1)
    f, L = drift(z), diffusion(z)
    K = z + size * f
    ahead = K + L * dW
    new = z + size / 2 * (f + drift(ahead)) + (L + diffusion(ahead)) / 2 * dW
    of_drift = size / 2 * (drift(K) - f)
    of_noise = (diffusion(z + L * size.sqrt()) - L) / (2 * size.sqrt()) * dW**2
    scale = tolerance * (1 + torch.maximum(z.abs(), new.abs()))
    return NoisyStep(new, rms((of_drift / 6 + of_noise) / scale))


class NoisySolution(NamedTuple):
    """States at the eight save times [R, 8, P, d], accepted steps and attempts [R], and Σ E·h [R] with its gradient."""

    saved: Tensor
    accepted: Tensor
    attempts: Tensor
    sum_Eh: Tensor


def solve_noisy(
    drift: Callable[[Tensor], Tensor], diffusion: Callable[[Tensor], Tensor], z: Tensor, W: Tensor, tolerance: float
) -> NoisySolution:
    """Solve to t = 1 along given Brownian paths W [R, 1025, P, d], on a dyadic grid that a rejection does not change.

    A step doubles after E < 0.3 where the grid allows it, to 128 cells at most, and halves after E > 1. A step of one
    cell always counts.
    """
    runs, every = len(z), torch.arange(len(z))
    place, cells = torch.zeros(runs, dtype=torch.long), torch.full((runs,), 16)
    saved = torch.zeros(runs, SAVES, *z.shape[1:], dtype=z.dtype)
    accepted, attempts = torch.zeros(runs, dtype=torch.long), torch.zeros(runs, dtype=torch.long)
    total = torch.zeros(runs, dtype=z.dtype)
    while (active := place < CELLS).any():
        ahead = (place + cells).clamp(max=CELLS)
        h = torch.where(active, cells, 1).to(z.dtype) / CELLS
        step = heun_step(drift, diffusion, z, h, W[every, ahead] - W[every, place], tolerance)
        take = active & ((step.error.detach() <= 1) | (cells == 1))
        attempts, accepted = attempts + active, accepted + take
        total = total + torch.where(take, step.error * h, 0.0)
        z = torch.where(take.reshape(-1, 1, 1), step.z, z)
        place = torch.where(take, ahead, place)
        here = (place % (CELLS // SAVES) == 0) & take
        slot = (torch.arange(SAVES) == (place // (CELLS // SAVES) - 1).unsqueeze(1)) & here.unsqueeze(1)
        saved = torch.where(slot[..., None, None], z.unsqueeze(1), saved)
        grow = take & (step.error < 0.3) & (place % (2 * cells) == 0) & (cells < LARGEST)
        cells = torch.where(grow, 2 * cells, torch.where(active & ~take, (cells // 2).clamp(min=1), cells))
    return NoisySolution(saved, accepted, attempts, total)


def brownian(seeds: Seeds, purpose: str, paths: int) -> Tensor:
    """Draw Brownian paths in the plane on the finest grid: [S, 1025, P, 2]."""
    return F.pad(data.normal(seeds, purpose, CELLS, paths, 2).cumsum(1) / CELLS**0.5, (0, 0, 0, 0, 1, 0))


def spiral_drift(u: Tensor) -> Tensor:
    """Return the drift of the true equation, (-0.1u₁³ + 2u₂³, -2u₁³ - 0.1u₂³)."""
    a, b = (u**3).unbind(-1)
    return torch.stack([-0.1 * a + 2 * b, -2 * a - 0.1 * b], -1)


def spiral_diffusion(u: Tensor) -> Tensor:
    """Return the diffusion of the true equation, 0.2u."""
    return 0.2 * u


def moments(saved: Tensor) -> Tensor:
    """Return means and variances over the paths at all save times: [R, 8, P, 2] -> [R, 8, 4]."""
    return torch.cat([saved.mean(-2), saved.var(-2, unbiased=False)], -1)


@dataclass(frozen=True)
class Spiral(Experiment):
    """Fit a neural stochastic equation to means and variances of a noisy spiral, with a price on the solver's errors.

    48 paths for each training step, Adam with rate 0.02. All arms share first weights and Brownian paths.
    """

    tolerance: float = knob(0.03, stops=(0.01, 0.03, 0.1), help="tolerance of the solver, absolute and relative")
    iterations: int = knob(120, low=10, high=400, step=10, help="training steps")

    arms = {"λ = 0": "baseline", "λ = 0.1": "further", "λ = 1": "method"}
    outputs = {
        "accepted": Var(CURVE, "accepted steps", "steps of the solver that counted, 256 test paths", low=0),
        "attempts": Var(CURVE, "attempts", "steps of the solver that counted or not, 256 test paths", low=0),
        "loss": Var(CURVE, "loss", "squared error of means and variances, 256 test paths", low=0),
    }
    views = (
        View(
            "Noisy spiral",
            (Curves("How many steps does it take?", ["accepted"]), Curves("How well does it fit?", ["loss"], log=True)),
        ),
    )
    headline = "accepted"
    scaled = "8 save times instead of 30, 48 paths instead of 100, 120 training steps instead of 250"
    smoke = {"iterations": 10}
    strengths = (0.0, 0.1, 1.0)

    def axes(self) -> dict[str, Axis]:
        """Every tenth training step."""
        return {"iteration": Axis(range(0, self.iterations + 1, 10), label="training step")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame at every tenth training step."""
        yield Tick(0)
        goal, copies = moments(truth(seeds)).repeat(len(self.arms), 1, 1), len(self.arms)
        sources = [generator(seed, "weights") for seed in seeds]

        def drawn(inputs: int, outputs: int, factor: float = 1.0) -> replicas.Linear:
            normal = [torch.randn(inputs, outputs, generator=one, dtype=torch.float64) for one in sources]
            return layer([factor * one / inputs**0.5 for one in normal], copies)

        inner, outer, diffusion = drawn(2, 50), drawn(50, 2), drawn(2, 2, 0.1)
        parameters = [*inner.parameters(), *outer.parameters(), *diffusion.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=0.02)

        def drift(z: Tensor) -> Tensor:
            return outer(torch.tanh(inner(z**3)))

        def solved(W: Tensor) -> tuple[Tensor, NoisySolution]:
            W = W.repeat(copies, 1, 1, 1)
            start = torch.tensor([2.0, 0.0], dtype=torch.float64).expand(len(W), W.shape[2], 2)
            found = solve_noisy(drift, diffusion, start, W, self.tolerance)
            return (moments(found.saved) - goal).square().unflatten(-1, (2, 2)).mean((1, 3)).sum(-1), found

        strength = torch.tensor(self.strengths, dtype=torch.float64).repeat_interleave(len(seeds))
        test = brownian(seeds, "test paths", 256)
        for iteration in range(self.iterations + 1):
            if iteration % 10 == 0:
                with torch.no_grad():
                    loss, found = solved(test)
                values = {"accepted": found.accepted, "attempts": found.attempts, "loss": loss}
                yield Frame(
                    {"iteration": iteration // 10}, {k: v.unflatten(0, (copies, -1)) for k, v in values.items()}
                )
            yield Tick(iteration / (self.iterations + 1))
            if iteration == self.iterations:
                break
            loss, found = solved(brownian(seeds, f"paths {iteration}", 48))
            yield Tick((iteration + 0.5) / (self.iterations + 1))
            optimizer.zero_grad()
            (loss + strength * found.sum_Eh).sum().backward()
            replicas.clip_gradients(parameters, 100.0)
            optimizer.step()


def truth(seeds: Seeds) -> Tensor:
    """Return 2000 paths of the true equation at the save times, with steps of 1/256: [S, 8, 2000, 2]."""
    increments, h = (
        data.normal(seeds, "truth", 256, 2000, 2) / 16,
        torch.full((len(seeds),), 1 / 256, dtype=torch.float64),
    )
    z, saved = torch.tensor([2.0, 0.0], dtype=torch.float64).expand(len(seeds), 2000, 2), []
    for i in range(256):
        z = heun_step(spiral_drift, spiral_diffusion, z, h, increments[:, i], 1.0).z
        if i % 32 == 31:
            saved.append(z)
    return torch.stack(saved, 1)


EXPERIMENTS = (Digits, Price, Spiral)


# ---------------------------------------------------------------------------------- pictures that occur only once


def draw_steps(figure: Figure, results: xr.Dataset) -> str:
    """Draw the first seed's accepted steps after training as bars along the time, the color is the error estimate."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    arms = ("vanilla", "SR", "ER²", "ER")
    axes, said = figure.subplots(), []
    scale = ScalarMappable(Normalize(0, 1), "viridis")
    for row, arm in enumerate(arms):
        sizes, errors = (results[name].sel(arm=arm).isel(seed=0).values for name in ("size", "error"))
        sizes, errors = sizes[sizes > 0], errors[sizes > 0]
        starts = np.cumsum(sizes) - sizes
        axes.barh(
            [row] * len(sizes), sizes, left=starts, height=0.6, color=scale.to_rgba(errors), edgecolor="white", lw=2
        )
        said.append(f"{arm} {len(sizes)}, the longest {sizes.max():.2f}")
    axes.set_yticks(range(len(arms)), arms)
    axes.set(xlim=(0, 1), xlabel="time t", title="How large are the steps?")
    axes.grid(False)
    figure.colorbar(scale, ax=axes, label="error estimate E")
    return f"Accepted steps of the first seed from t = 0 to 1, one bar each. Number of steps: {'; '.join(said)}."


def draw_price(figure: Figure, results: xr.Dataset) -> str:
    """Draw accuracy against evaluations, one dot for each run, color and marker for the price."""
    from matplotlib import colormaps

    axes, said = figure.subplots(), []
    strengths = results.strength.values
    for i, (strength, marker) in enumerate(zip(strengths, "os^Dv*P", strict=True)):
        work, accuracy = (results[name].sel(strength=strength).values for name in ("evaluations", "accuracy"))
        color = colormaps["viridis"](i / len(strengths))
        shifted = work + np.linspace(-0.8, 0.8, len(work))  # many runs have the same count
        axes.plot(shifted, accuracy, marker, color=color, ms=8, mec="white", mew=0.4, label=f"λ = {strength:g}")
        said.append(f"λ = {strength:g}: {work.mean():.1f} evaluations, accuracy {accuracy.mean():.3f}")
    axes.set(xlabel="evaluations of f (NFE)", ylabel="test accuracy", title="What does an easier equation cost?")
    axes.legend(fontsize=9, ncols=2)
    return f"Each dot is a run. Means: {'; '.join(said)}."


def draw_paths(figure: Figure, results: xr.Dataset) -> str:
    """Draw the ways of 20 test digits through the equation, without and with the error penalty."""
    arms, look, said = ("vanilla", "ER"), styles(Digits.arms), []
    rows = 1 if figure.get_figwidth() >= WIDE else 2
    figure.set_figheight(3.4 * rows)
    for axes, arm in zip(figure.subplots(rows, 2 // rows), arms, strict=True):
        paths = results.path.sel(arm=arm).transpose("example", "moment", "plane").values
        axes.plot(*paths.transpose(2, 1, 0), color=look[arm].color, lw=1, alpha=0.8)
        axes.plot(*paths[:, -1].T, look[arm].marker, color=look[arm].color, ms=5, mec="white")
        across, along = paths - paths[:, :1], paths[:, -1:] - paths[:, :1]
        aside = np.abs(across[..., 0] * along[..., 1] - across[..., 1] * along[..., 0]).max(1)
        bend = np.median(aside / np.square(along).sum((1, 2)))
        axes.set_title(f"{arm}: how do digits move?")
        axes.set(xlabel="first direction", ylabel="second direction")
        said.append(f"{arm}: a path leaves its straight line by {100 * bend:.1f} % of its length")
    where = "Paths of 20 test digits of the first seed in the plane where their ends spread most"
    return f"{where}. At the median, {'; '.join(said)}."


# ------------------------------------------------------------------------------------------------------ the claims


def last(results: xr.Dataset, variable: str, arm: str) -> xr.DataArray:
    """Return a variable of an arm after training: one number per seed."""
    return results[variable].sel(arm=arm).isel(iteration=-1)


def rank_correlation(results: xr.Dataset) -> float:
    """Return Spearman's correlation of the error in ten equal steps with the evaluations over all runs, or NaN."""
    from scipy.stats import spearmanr

    work = results.evaluations.isel(iteration=-1).transpose("arm", "seed").values.ravel()
    if not np.ptp(work):
        return math.nan
    return float(spearmanr(results.fixed.transpose("arm", "seed").values.ravel(), work).statistic)


# fmt: off
CLAIMS = (
    Claim("less work", Digits,
          "The error penalty lowers the evaluations for the test digits: ER over vanilla",
          "Prediction takes roughly half the time",
          lambda r: last(r, "evaluations", "ER") / last(r, "evaluations", "vanilla"), below=0.8, essential=True),
    Claim("same accuracy", Digits,
          "The accuracy does not suffer: ER minus vanilla",
          "Changes of the accuracy are small",
          lambda r: last(r, "accuracy", "ER") - last(r, "accuracy", "vanilla"), above=-0.02, essential=True),
    Claim("stiffness falls", Digits,
          "The stiffness penalty lowers the stiffness: Σ S of SR over that of vanilla",
          "The regularizer acts on the solver's own estimates",
          lambda r: last(r, "stiff", "SR") / last(r, "stiff", "vanilla"), below=0.6, essential=True,
          robust=True),
    Claim("errors fall", Digits,
          "The error penalty lowers the errors: Σ E² of ER over that of vanilla",
          "The regularizer acts on the solver's own estimates",
          lambda r: last(r, "squared", "ER") / last(r, "squared", "vanilla"), below=0.6, essential=True),
    Claim("errors are work", Digits,
          "Runs with small errors in ten equal steps need few evaluations: rank correlation over all runs",
          "Small estimates allow large steps",
          rank_correlation, above=0.5, rule="bootstrap", essential=True),
    Claim("detached does nothing", Digits,
          "Without its gradient the penalty changes nothing: largest difference of the cross-entropy from vanilla",
          "Not reported; a control of our own",
          lambda r: abs(r.loss.sel(arm="detached") - r.loss.sel(arm="vanilla")).max("iteration"), below=1e-9,
          rule="every seed", essential=True),
    Claim("stiffness penalty saves work", Digits,
          "The stiffness penalty alone lowers the evaluations: SR over vanilla",
          "Both penalties accelerate predictions",
          lambda r: last(r, "evaluations", "SR") / last(r, "evaluations", "vanilla"), below=1,
          why="The effect is small, and evaluations come in sixes: eight seeds do not tell it from none."),
    Claim("slowness is not it", Digits,
          "A penalty on speed at a tenth of the price saves less than the error penalty: ER over speed",
          "Not reported; a control of our own",
          lambda r: last(r, "evaluations", "ER") / last(r, "evaluations", "speed"), below=1),
    Claim("too much destroys the fit", Price,
          "A limit: at λ = 100 the accuracy is lower than without a penalty: loss",
          "Not reported; a limit we checked",
          lambda r: r.accuracy.sel(strength=0) - r.accuracy.sel(strength=100), above=0.05, essential=True),
    Claim("the floor", Price,
          "There the evaluations reach their floor of 19, three steps: evaluations",
          "Not reported; it follows from the first step and the largest growth",
          lambda r: r.evaluations.sel(strength=100), within=(19, 20), essential=True),
    Claim("a loose tolerance needs no help", Price,
          "A limit: at a tolerance of 0.0001 the penalty saves nothing: evaluations with λ = 1 over those without",
          "Not reported; a limit we checked",
          lambda r: r.evaluations.sel(strength=1) / r.evaluations.sel(strength=0), at={"loose": {"tolerance": 1e-4}},
          within=(0.9, 1.1), essential=True),
    Claim("fewer noisy steps", Spiral,
          "In the stochastic equation the error penalty lowers the accepted steps: λ = 1 over λ = 0",
          "Neural SDEs, too, are solved in less time",
          lambda r: last(r, "accepted", "λ = 1") / last(r, "accepted", "λ = 0"), below=0.85, essential=True),
    Claim("the spiral still fits", Spiral,
          "Its loss is not worse by more than a fifth: mean loss at λ = 1 over that at λ = 0",
          "The fit does not suffer",
          lambda r: float(last(r, "loss", "λ = 1").mean() / last(r, "loss", "λ = 0").mean()), below=1.2,
          rule="bootstrap",
          why="After so short a training the loss differs more between seeds than between arms."),
)
# fmt: on


# ------------------------------------------------------------------------------------------- checks of the exercises


def check_richardson(answer: Callable[[Callable[[Tensor, float], Tensor], Tensor, float], Tensor]) -> str:
    """Check a student's estimate of a step's error, one step against two halves, on a pendulum and many step sizes."""
    from scipy.stats import spearmanr

    def swing(z: Tensor, t: Tensor) -> Tensor:
        return torch.stack([z[..., 1], -torch.sin(z[..., 0])], -1)

    zero = torch.zeros(1, dtype=torch.float64)

    def step(z: Tensor, h: float) -> Tensor:
        state = z.reshape(1, 1, 2)
        return runge_kutta(swing, state, zero, zero + h, swing(state, zero)).z.flatten()

    z, mine, theirs = torch.tensor([2.0, 0.0], dtype=torch.float64), [], []
    for i in range(40):
        h = 0.1 + 0.5 * ((7 * i) % 40) / 40
        found = answer(step, z, h)
        if found is None:
            raise NotImplementedError
        found = torch.as_tensor(found, dtype=torch.float64)
        if found.shape != ():
            raise Wrong("return one number: the length of the difference, for example `(a - b).norm()`.")
        whole, halves = step(z, h), step(step(z, h / 2), h / 2)
        right = float((whole - halves).norm())
        if math.isclose(float(found), float((whole - step(z, h / 2)).norm()), rel_tol=1e-9):
            raise Wrong("one half step ends at another time: take two of them.")
        if not math.isclose(float(found), right, rel_tol=0.2, abs_tol=1e-15):
            raise Wrong(f"at h = {h:.2f} the two results differ by {right:.2e}, yours is {float(found):.2e}.")
        state = z.reshape(1, 1, 2)
        taken = runge_kutta(swing, state, zero, zero + h, swing(state, zero))
        mine.append(float(found))
        theirs.append(float(error_estimate(taken.delta, state, taken.z, 1e-7)))
        z = whole
    rank = float(spearmanr(mine, theirs).statistic)
    return f"Its rank correlation with the solver's own E over 40 steps is {rank:.2f}: two ways to see the same error."
