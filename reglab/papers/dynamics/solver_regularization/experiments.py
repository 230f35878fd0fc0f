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
from reglab.knobs import knob
from reglab.models import replicas
from reglab.papers.dynamics.solver_regularization import method
from reglab.pictures import Curves, Dots, View
from reglab.results import Axis, Frame, Tick, Var
from reglab.seeds import Seeds, generator

CURVE = "arm seed iteration"


def layer(drawn: Sequence[Tensor], copies: int) -> replicas.Linear:
    """Return layers with the weights drawn for every seed, each [in, out], and biases 0, `copies` times over."""
    weight = torch.stack(list(drawn)).repeat(copies, 1, 1)
    return replicas.Linear(weight, torch.zeros(len(weight), 1, weight.shape[-1], dtype=weight.dtype))


class NeuralODE(nn.Module):
    """R networks side by side: 64 → 16, an equation of 16 dimensions with 32 hidden units, 16 → 10.

    The first weights are Glorot's, those of the equation times `scale`.
    """

    def __init__(self, seeds: Seeds, copies: int, scale: float) -> None:
        super().__init__()
        sources = [generator(seed, "weights") for seed in seeds]

        def glorot(inputs: int, outputs: int, factor: float = 1.0) -> replicas.Linear:
            bound = factor * (6 / (inputs + outputs)) ** 0.5
            empty = torch.empty(inputs, outputs, dtype=torch.float64)
            return layer([empty.clone().uniform_(-bound, bound, generator=one) for one in sources], copies)

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
        "vanilla": "baseline", "ER": "method", "ER²": "further", "SR": "further", "STEER": "further",
        "speed": "ablation", "detached": "ablation",
    }  # fmt: skip
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
            Dots("ER and ER²: how large are the errors?", "squared"),
            Dots("SR: how stiff is it?", "stiff"),
        ), height=3),
        View("Loss", (Curves("Does the penalty hinder learning?", ["loss"], ("vanilla", "ER", "ER²", "SR", "STEER")),)),
    )
    # fmt: on
    scaled = "MNIST became 1400 digits, 784 dimensions became 16; tableau, estimates, gradients and penalties are kept"
    headline = "evaluations"
    grid = {"strength": (0, 0.1, 0.3, 1, 10, 100), "tolerance": (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)}
    unaffected = {"strength": ("vanilla", "SR", "STEER", "detached")}
    smoke = {"iterations": 20, "tolerance": 1e-5}
    equals_baseline = (
        ({}, "detached"),
        *(({"strength": 0}, arm) for arm in ("ER", "ER²", "speed")),
        ({"strength_stiffness": 0}, "SR"),
    )
    attempts = 24

    def axes(self) -> dict[str, Axis]:
        """Every twentieth training step, and attempts of the solver."""
        steps = range(0, self.iterations + 1, 20)
        return {"iteration": Axis(steps, label="training step"), "attempt": Axis(range(self.attempts))}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame at every twentieth training step."""
        split, copies = data.digits(seeds, 1400, standardize=False), len(self.arms)
        model, ends = NeuralODE(seeds, copies, self.scale), torch.ones(copies, len(seeds), dtype=torch.float64)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        steer, row = [generator(seed, "end times") for seed in seeds], torch.arange(len(seeds)).unsqueeze(1)
        order = itertools.chain.from_iterable(data.batches(seeds, 1400, 64, epoch) for epoch in itertools.count(1))
        for iteration, index in zip(range(self.iterations), order, strict=False):
            if iteration % 20 == 0:
                yield Frame({"iteration": iteration // 20}, self._measure(model, split))
            if "STEER" in self.arms:  # of two numbers a step, the second is not used
                drawn = [0.5 + float(torch.rand(2, generator=source)[0]) for source in steer]
                ends[list(self.arms).index("STEER")] = torch.tensor(drawn)
            yield Tick(iteration / (self.iterations + 1))
            images = split.train_inputs[row, index].double().repeat(copies, 1, 1)
            labels = split.train_labels[row, index].repeat(copies, 1)
            found = method.solve(model.field, model.start(images), ends.flatten(), self.tolerance)
            loss = F.cross_entropy(model.logits(found.z).mT, labels, reduction="none").mean(1)
            loss = loss + self._penalty(found, iteration)
            yield Tick((iteration + 0.5) / (self.iterations + 1))
            optimizer.zero_grad()
            loss.sum().backward()
            optimizer.step()
        yield Frame({"iteration": self.iterations // 20}, self._measure(model, split))
        with torch.no_grad():
            some = model.start(split.test_inputs[:, :64].double().repeat(copies, 1, 1))
            fixed = method.error_in_equal_steps(model.field, some, 10, self.tolerance)
        yield Frame({}, {"fixed": fixed.unflatten(0, (copies, -1))})

    def _penalty(self, found: method.Solution, iteration: int) -> Tensor:
        """Return what each run pays besides its cross-entropy: [R]."""
        price, error = (
            method.annealed(self.strength, iteration, self.iterations),
            getattr(found, f"{self.aggregate}_Eh"),
        )
        penalties = {
            "ER": price * error,
            "ER²": 0.1 * price * found.sum_E2,
            "SR": self.strength_stiffness * found.sum_S,
            "speed": 0.1 * price * found.kinetic,
            "detached": price * error.detach(),
        }
        of_all = [penalties.get(arm, 0 * error).unflatten(0, (len(self.arms), -1)) for arm in self.arms]
        return torch.cat([one[i] for i, one in enumerate(of_all)])

    @torch.no_grad()
    def _measure(self, model: NeuralODE, split: data.Split) -> dict[str, Tensor]:
        """Measure all test digits; every value is [A, S, ...], logs of attempts end with 0."""
        copies = len(self.arms)
        images, labels = split.test_inputs.double().repeat(copies, 1, 1), split.test_labels.repeat(copies, 1)
        found = method.solve(model.field, model.start(images), 1.0, self.tolerance)
        logits, logs = model.logits(found.z), (found.sizes, found.errors)
        size, error = (F.pad(log, (0, self.attempts))[:, : self.attempts] for log in logs)
        values = {
            "evaluations": found.evaluations,
            "accepted": found.accepted,
            "accuracy": metrics.accuracy(logits, labels),
            "squared": found.sum_E2,
            "stiff": found.sum_S,
            "loss": F.cross_entropy(logits.mT, labels, reduction="none").mean(1),
            **{"size": size, "error": error},
        }
        return {name: value.unflatten(0, (copies, -1)) for name, value in values.items()}


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

    arms = {"λ = 0": "baseline", "λ = 0.1": "further", "λ = 1": "method"}
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
    strengths = (0.0, 0.1, 1.0)

    def axes(self) -> dict[str, Axis]:
        """Every tenth training step."""
        return {"iteration": Axis(range(0, self.iterations + 1, 10), label="training step")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame at every tenth training step."""
        yield Tick(0)
        copies = len(self.arms)
        goal, test = method.moments(truth(seeds)).repeat(copies, 1, 1), brownian(seeds, "test paths", 256)
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
        for iteration in range(self.iterations + 1):
            if iteration % 10 == 0:
                with torch.no_grad():
                    loss, found = solved(test)
                values = {"accepted": found.accepted, "attempts": found.attempts, "loss": loss}
                split = {name: value.unflatten(0, (copies, -1)) for name, value in values.items()}
                yield Frame({"iteration": iteration // 10}, split)
            yield Tick(iteration / (self.iterations + 1))
            if iteration < self.iterations:
                loss, found = solved(brownian(seeds, f"paths {iteration}", 48))
                yield Tick((iteration + 0.5) / (self.iterations + 1))
                optimizer.zero_grad()
                (loss + strength * found.sum_Eh).sum().backward()
                replicas.clip_gradients(parameters, 100.0)
                optimizer.step()


EXPERIMENTS = (Digits, Spiral)
