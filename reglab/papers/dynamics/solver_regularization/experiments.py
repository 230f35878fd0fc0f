"""Solver regularization: the experiments."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reglab import data, metrics
from reglab.experiment import Experiment
from reglab.knobs import Knob, knob
from reglab.models import replicas
from reglab.papers.dynamics.solver_regularization import method
from reglab.pictures.views import Curves, Dots, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator


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
    penalty: Callable[[method.Solution, int], Tensor],
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
        found = method.solve(model.field, model.start(images), ends.flatten(), tolerance)
        loss = F.cross_entropy(model.logits(found.z).mT, labels, reduction="none").mean(1) + penalty(found, iteration)
        yield iteration, True
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
    yield iterations, False


@torch.no_grad()
def tested(
    model: NeuralODE, split: data.Split, copies: int, tolerance: float
) -> tuple[method.Solution, Tensor, Tensor]:
    """Solve for all test digits; return the solution, the logits [R, n, 10] and the labels [R, n]."""
    start = model.start(split.test_inputs.double().repeat(copies, 1, 1))
    found = method.solve(model.field, start, 1.0, tolerance)
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

    def _penalty(self, found: method.Solution, iteration: int) -> Tensor:
        """Return what each run pays besides its cross-entropy: [R]."""
        price, seeds = method.annealed(self.strength, iteration, self.iterations), len(found.z) // len(self.arms)
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
        fixed = method.fixed_steps(model.field, some, 10, self.tolerance)[1]
        yield Frame({}, {"fixed": fixed.unflatten(0, (copies, seeds))})
        images = split.test_inputs[:, : self.examples].double().repeat(copies, 1, 1)
        states = method.fixed_steps(model.field, model.start(images), self.moments - 1, self.tolerance)[0]
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

        def penalty(found: method.Solution, iteration: int) -> Tensor:
            return method.annealed(1.0, iteration, self.iterations) * prices * found.mean_Eh

        for iteration, half in train(model, split, seeds, self.iterations, self.tolerance, ends, penalty):
            if not half and (iteration % 20 == 0 or iteration == self.iterations):
                found, logits, labels = tested(model, split, copies, self.tolerance)
                values = {"evaluations": found.evaluations, "accuracy": metrics.accuracy(logits, labels)}
                yield Frame({}, {name: value.unflatten(0, (copies, -1)).T for name, value in values.items()})
            yield Tick((iteration + half / 2) / (self.iterations + 1))


# ---------------------------------------------------------------------------------- experiment 2: a stochastic equation


def brownian(seeds: Seeds, purpose: str, paths: int) -> Tensor:
    """Draw Brownian paths in the plane on the finest grid: [S, 1025, P, 2]."""
    return F.pad(data.normal(seeds, purpose, method.CELLS, paths, 2).cumsum(1) / method.CELLS**0.5, (0, 0, 0, 0, 1, 0))


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
        goal, copies = method.moments(truth(seeds)).repeat(len(self.arms), 1, 1), len(self.arms)
        sources = [generator(seed, "weights") for seed in seeds]

        def drawn(inputs: int, outputs: int, factor: float = 1.0) -> replicas.Linear:
            normal = [torch.randn(inputs, outputs, generator=one, dtype=torch.float64) for one in sources]
            return layer([factor * one / inputs**0.5 for one in normal], copies)

        inner, outer, diffusion = drawn(2, 50), drawn(50, 2), drawn(2, 2, 0.1)
        parameters = [*inner.parameters(), *outer.parameters(), *diffusion.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=0.02)

        def drift(z: Tensor) -> Tensor:
            return outer(torch.tanh(inner(z**3)))

        def solved(W: Tensor) -> tuple[Tensor, method.NoisySolution]:
            W = W.repeat(copies, 1, 1, 1)
            start = torch.tensor([2.0, 0.0], dtype=torch.float64).expand(len(W), W.shape[2], 2)
            found = method.solve_noisy(drift, diffusion, start, W, self.tolerance)
            return (method.moments(found.saved) - goal).square().unflatten(-1, (2, 2)).mean((1, 3)).sum(-1), found

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
        z = method.heun_step(method.spiral_drift, method.spiral_diffusion, z, h, increments[:, i], 1.0).z
        if i % 32 == 31:
            saved.append(z)
    return torch.stack(saved, 1)


EXPERIMENTS = (Digits, Price, Spiral)
