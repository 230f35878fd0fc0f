"""Solver regularization: the experiments."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reglab import data, metrics
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob
from reglab.models import replicas
from reglab.papers.dynamics.solver_regularization import method
from reglab.pictures import Curves, Dots, View
from reglab.results import Axis, Frame, Tick, Var
from reglab.seeds import Seeds
from reglab.training import Lanes

CURVE = "arm seed iteration"


def layer(drawn: Sequence[Tensor], lanes: Lanes) -> replicas.Linear:
    """Return layers of all arms with the weights drawn for every seed, each [in, out], and biases 0."""
    weight = lanes.repeat(torch.stack(list(drawn)))
    return replicas.Linear(weight, torch.zeros(len(weight), 1, weight.shape[-1], dtype=weight.dtype))


class NeuralODE(nn.Module):
    """R networks side by side: 64 → 16, an equation of 16 dimensions with 32 hidden units, 16 → 10.

    The first weights are Glorot's, those of the equation times `scale`.
    """

    def __init__(self, lanes: Lanes, scale: float) -> None:
        super().__init__()
        sources = lanes.generators("weights")

        def glorot(inputs: int, outputs: int, factor: float = 1.0) -> replicas.Linear:
            bound = factor * (6 / (inputs + outputs)) ** 0.5
            empty = torch.empty(inputs, outputs, dtype=torch.float64)
            return layer([empty.clone().uniform_(-bound, bound, generator=one) for one in sources], lanes)

        self.start = glorot(64, 16)
        self.inner, self.outer = glorot(17, 32, scale), glorot(33, 16, scale)
        self.logits = glorot(16, 10)

    def field(self, z: Tensor, t: Tensor) -> Tensor:
        """Return f(z, t): two layers with tanh, the time as one more input of both."""
        for one in (self.inner, self.outer):
            assert one.bias is not None
            z = torch.tanh(torch.baddbmm(one.bias + t.reshape(-1, 1, 1) * one.weight[:, -1:], z, one.weight[:, :-1]))
        return z


@dataclass(frozen=True)
class Digits(Experiment):
    """Train a neural ODE on digits, with and without a price on what its solver reports.

    1400 digits, batches of 64, Adam with rate 0.01. All arms of a seed share digits, first weights and batches. Every
    run has a step size of its own, one for its whole batch.
    """

    strength: float = knob(1.0, stops=(0, 0.1, 0.3, 1, 10, 100), symbol="λ", help="first weight of the error penalty")
    tolerance: float = knob(1e-7, stops=(1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4), help="tolerance, absolute and relative")
    strength_stiffness: float = knob(0.1, stops=(0, 0.01, 0.03, 0.1, 0.3, 1), symbol="λ_S", help="weight of stiffness")
    aggregate: str = knob("mean", choices=("mean", "sum", "max"), help="what is made of the errors of all steps")
    scale: float = knob(1.0, stops=(0.5, 1, 1.5, 2), help="size of the first weights of the equation, times Glorot's")
    iterations: int = knob(100, low=20, high=400, step=20, help="training steps")

    arms = {
        "vanilla": Arm("baseline"),
        "ER": Arm("method", error="strength"),
        "ER²": Arm("further", square="strength"),
        "SR": Arm("further", stiff="strength_stiffness"),
        "STEER": Arm("further", early=1),
        "speed": Arm("ablation", speed="strength"),
        "detached": Arm("ablation", detached=1),
    }
    outputs = {
        "evaluations": Var(CURVE, "evaluations (NFE)", "evaluations of f for the test digits", low=0),
        "accepted": Var(CURVE, "accepted steps", "steps of the solver that counted, test digits", low=0),
        "accuracy": Var(CURVE, "test accuracy", "share of the 397 test digits classified right", high=1),
        "squared": Var(CURVE, "R_E2 = Σ E²", "sum of squared error estimates over accepted steps, test digits", low=0),
        "stiff": Var(CURVE, "R_S = Σ S", "sum of stiffness estimates over accepted steps, test digits", low=0),
        "fixed": Var("arm seed", "mean E·h, ten equal steps", "error estimate free of the step control", low=0),
        "loss": Var(CURVE, "cross-entropy", "cross-entropy of the test digits, without any penalty", low=0),
        "size": Var("arm seed attempt", "step size h", "sizes of the accepted steps after training; 0: none", low=0),
        "error": Var("arm seed attempt", "E", "error estimates of these steps", low=0),
    }
    # fmt: off
    views = (
        View("Work and accuracy", (
            Curves("How much work is an answer?", ["evaluations"], ("vanilla", "ER", "ER²", "SR", "speed")),
            Dots("And how good is it?", "accuracy"),
        ), height=3.2),
        View("What is penalized", (
            Dots("ER and ER²: how large are the errors?", "squared"), Dots("SR: how stiff is it?", "stiff"),
        ), height=3),
        View("Loss", (Curves("Does the penalty hinder learning?", ["loss"], ("vanilla", "ER", "ER²", "SR", "STEER")),)),
    )
    # fmt: on
    scaled = "MNIST became 1400 digits, 784 dimensions became 16; tableau, estimates, gradients and penalties are kept"
    headline = "evaluations"
    grid = {"strength": (0, 0.1, 0.3, 1, 10, 100), "tolerance": (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)}
    smoke = {"iterations": 20, "tolerance": 1e-5}
    _free = tuple(({"strength": 0}, arm) for arm in ("ER", "ER²", "speed"))
    equals_baseline = (({}, "detached"), ({"strength_stiffness": 0}, "SR"), *_free)
    attempts = 24

    def axes(self) -> dict[str, Axis]:
        """Every twentieth training step, and attempts of the solver."""
        steps = range(0, self.iterations + 1, 20)
        return {"iteration": Axis(steps, label="training step"), "attempt": Axis(range(self.attempts))}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame at every twentieth training step."""
        lanes, split = self.lanes(seeds), data.digits(seeds, 1400, standardize=False)
        model, early = NeuralODE(lanes, self.scale), lanes.each("early", 0) > 0
        optimizer, steer = torch.optim.Adam(model.parameters(), lr=0.01), lanes.generators("end times")
        order = itertools.chain.from_iterable(data.batches(seeds, 1400, 64, epoch) for epoch in itertools.count(1))
        for iteration, index in zip(range(self.iterations), order, strict=False):
            if iteration % 20 == 0:
                yield Frame({"iteration": iteration // 20}, self._measure(lanes, model, split))
            yield Tick(iteration / (self.iterations + 1))
            # of two numbers a step, the second is not used
            drawn = torch.stack([0.5 + torch.rand(2, generator=source)[0] for source in steer]).double()
            ends = torch.where(early, lanes.repeat(drawn), 1.0)
            start = model.start(lanes.pick(split.train_inputs, index).double())
            found = method.solve(model.field, start, ends, self.tolerance)
            labels = lanes.pick(split.train_labels, index)
            loss = F.cross_entropy(model.logits(found.z).mT, labels, reduction="none").mean(1)
            loss = loss + self._penalty(lanes, found, iteration)
            yield Tick((iteration + 0.5) / (self.iterations + 1))
            optimizer.zero_grad()
            loss.sum().backward()
            optimizer.step()
        yield Frame({"iteration": self.iterations // 20}, self._measure(lanes, model, split))
        with torch.no_grad():
            some = model.start(lanes.repeat(split.test_inputs[:, :64].double()))
            fixed = method.error_in_equal_steps(model.field, some, 10, self.tolerance)
        yield Frame({}, {"fixed": lanes.split(fixed)})

    def _penalty(self, lanes: Lanes, found: method.Solution, iteration: int) -> Tensor:
        """Return what each run pays besides its cross-entropy: [R]."""
        error = getattr(found, f"{self.aggregate}_Eh")
        weight = {
            name: lanes.each(name, 0, torch.float64) for name in ("error", "square", "speed", "stiff", "detached")
        }
        price = {name: method.annealed(first, iteration, self.iterations) for name, first in weight.items()}
        paid = price["error"] * error + 0.1 * price["square"] * found.sum_E2 + 0.1 * price["speed"] * found.kinetic
        return paid + weight["stiff"] * found.sum_S + self.strength * price["detached"] * error.detach()

    @torch.no_grad()
    def _measure(self, lanes: Lanes, model: NeuralODE, split: data.Split) -> dict[str, Tensor]:
        """Measure all test digits; every value is [A, S, ...], logs of attempts end with 0."""
        labels, start = lanes.repeat(split.test_labels), model.start(lanes.repeat(split.test_inputs.double()))
        found = method.solve(model.field, start, 1.0, self.tolerance)
        logits, logs = model.logits(found.z), {"size": found.sizes, "error": found.errors}
        loss, accuracy = F.cross_entropy(logits.mT, labels, reduction="none").mean(1), metrics.accuracy(logits, labels)
        values = {"evaluations": found.evaluations, "accepted": found.accepted, "accuracy": accuracy, "loss": loss}
        values |= {"squared": found.sum_E2, "stiff": found.sum_S}
        values |= {name: F.pad(log, (0, self.attempts))[:, : self.attempts] for name, log in logs.items()}
        return {name: lanes.split(value) for name, value in values.items()}


# ---------------------------------------------------------------------------------- experiment 2: a stochastic equation


def brownian(seeds: Seeds, purpose: str, paths: int) -> Tensor:
    """Draw Brownian paths in the plane on the finest grid: [S, 1025, P, 2]."""
    return F.pad(data.normal(seeds, purpose, method.CELLS, paths, 2).cumsum(1) / method.CELLS**0.5, (0, 0, 0, 0, 1, 0))


def truth(seeds: Seeds) -> Tensor:
    """Return 2000 paths of the true equation at the save times, with steps of 1/256: [S, 8, 2000, 2]."""
    increments = data.normal(seeds, "truth", 256, 2000, 2) / 16
    h = torch.full((len(seeds),), 1 / 256, dtype=torch.float64)
    z, saved = torch.tensor([2.0, 0.0], dtype=torch.float64).expand(len(seeds), 2000, 2), []
    for i in range(256):
        z = method.heun_step(method.spiral_drift, method.spiral_diffusion, z, h, increments[:, i], 1.0).z
        if i % 32 == 31:
            saved.append(z)
    return torch.stack(saved, 1)


@dataclass(frozen=True)
class Spiral(Experiment):
    """Fit a neural stochastic equation to means and variances of a noisy spiral, with a price on the solver's errors.

    48 paths for each training step, Adam with rate 0.02. All arms share first weights and Brownian paths.
    """

    tolerance: float = knob(0.03, stops=(0.01, 0.03, 0.1), help="tolerance of the solver, absolute and relative")
    iterations: int = knob(120, low=10, high=400, step=10, help="training steps")

    arms = {"λ = 0": Arm("baseline"), "λ = 0.1": Arm("further", price=0.1), "λ = 1": Arm("method", price=1)}
    outputs = {
        "accepted": Var(CURVE, "accepted steps", "steps of the solver that counted, 256 test paths", low=0),
        "attempts": Var(CURVE, "attempts", "steps of the solver that counted or not, 256 test paths", low=0),
        "loss": Var(CURVE, "loss", "squared error of means and variances, 256 test paths", low=0),
    }
    # fmt: off
    views = (View("Noisy spiral", (
        Curves("How many steps does it take?", ["accepted"]), Curves("How well does it fit?", ["loss"], log=True),
    )),)
    # fmt: on
    headline = "accepted"
    scaled = "8 save times instead of 30, 48 paths instead of 100, 120 training steps instead of 250"
    smoke = {"iterations": 10}

    def axes(self) -> dict[str, Axis]:
        """Every tenth training step."""
        return {"iteration": Axis(range(0, self.iterations + 1, 10), label="training step")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame at every tenth training step."""
        yield Tick(0)
        lanes, test = self.lanes(seeds), brownian(seeds, "test paths", 256)
        goal, sources = lanes.repeat(method.moments(truth(seeds))), lanes.generators("weights")

        def drawn(inputs: int, outputs: int, factor: float = 1.0) -> replicas.Linear:
            normal = [torch.randn(inputs, outputs, generator=one, dtype=torch.float64) for one in sources]
            return layer([factor * one / inputs**0.5 for one in normal], lanes)

        inner, outer, diffusion = drawn(2, 50), drawn(50, 2), drawn(2, 2, 0.1)
        parameters = [*inner.parameters(), *outer.parameters(), *diffusion.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=0.02)

        def drift(z: Tensor) -> Tensor:
            return outer(torch.tanh(inner(z**3)))

        def solved(W: Tensor) -> tuple[Tensor, method.NoisySolution]:
            W = lanes.repeat(W)
            start = torch.tensor([2.0, 0.0], dtype=torch.float64).expand(len(W), W.shape[2], 2)
            found = method.solve_noisy(drift, diffusion, start, W, self.tolerance)
            return (method.moments(found.saved) - goal).square().unflatten(-1, (2, 2)).mean((1, 3)).sum(-1), found

        strength = lanes.each("price", 0, torch.float64)
        for iteration in range(self.iterations + 1):
            if iteration % 10 == 0:
                with torch.no_grad():
                    loss, found = solved(test)
                values = {"accepted": found.accepted, "attempts": found.attempts, "loss": loss}
                yield Frame({"iteration": iteration // 10}, {name: lanes.split(one) for name, one in values.items()})
            yield Tick(iteration / (self.iterations + 1))
            if iteration < self.iterations:
                loss, found = solved(brownian(seeds, f"paths {iteration}", 48))
                yield Tick((iteration + 0.5) / (self.iterations + 1))
                optimizer.zero_grad()
                (loss + strength * found.sum_Eh).sum().backward()
                replicas.clip_gradients(parameters, 100.0)
                optimizer.step()


EXPERIMENTS = (Digits, Spiral)
