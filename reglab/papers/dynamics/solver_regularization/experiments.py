"""Solver regularization: the experiments."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reglab import data, metrics
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob, tuned
from reglab.models import replicas
from reglab.papers.dynamics.solver_regularization import method
from reglab.pictures import Curves, Dots, Scatter, View
from reglab.results import Axis, Frame, Tick, Var
from reglab.seeds import Seeds, generator
from reglab.training import Lanes

CURVE, WEIGHT = "arm seed iteration", "weight of the error penalty at first"

Events = Iterator[Frame | Tick]

Points = tuple[Tensor, Tensor]
"""Points [S, B, D] with labels [S, B]."""

Data = tuple[Iterator[Points], Points, Points]
"""Batches without end, points to choose settings by, and points to test on."""

PRICES, SQUARE = (0.1, 0.3, 1, 3, 10, 30), (0.01, 0.03, 0.1, 0.3, 1)
"""The strengths among which each penalty's own is chosen: errors and speed, squared errors and stiffness."""


def moments(iterations: int) -> list[int]:
    """Return after which training steps is measured: at most 31 times, from 0 on."""
    return sorted({round(iterations * i / 30) for i in range(31)})


class NeuralODE(nn.Module):
    """R networks side by side: a linear start, an equation with one hidden layer, and a linear readout.

    `sizes` are inputs, dimensions of the equation, its hidden units and classes. All first weights are Glorot's.
    """

    def __init__(self, lanes: Lanes, sizes: tuple[int, int, int, int]) -> None:
        super().__init__()
        sources, (inputs, width, hidden, classes) = lanes.generators("weights"), sizes

        def glorot(ins: int, outs: int) -> replicas.Linear:
            return replicas.linear(ins, outs, sources, len(lanes.arms), weights=(6 / (ins + outs)) ** 0.5).double()

        self.start, self.readout = glorot(inputs, width), glorot(width, classes)
        self.inner, self.outer = glorot(width + 1, hidden), glorot(hidden + 1, width)
        self.moves = 1 - lanes.each("still", dtype=torch.float64)

    def fields(self, runs: Tensor) -> method.Field:
        """Return f(z, t) of some runs: two layers with tanh, the time as one more input of both; 0 for the null."""
        moves = self.moves[runs]
        pairs = [(one.get_parameter("bias")[runs], one.weight[runs]) for one in (self.inner, self.outer)]

        def field(z: Tensor, t: Tensor) -> Tensor:
            for bias, weight in pairs:
                z = torch.tanh(torch.baddbmm(bias + t.reshape(-1, 1, 1) * weight[:, -1:], z, weight[:, :-1]))
            return moves * z

        return field


def rings(seeds: Seeds, purpose: str, count: int) -> Points:
    """Draw points of two classes in turn, uniform in the disc of radius 1 and in the ring from 1.5 to 2 around it."""
    labels = torch.arange(count) % 2
    drawn = [torch.rand(2, count, generator=generator(seed, purpose), dtype=torch.float64) for seed in seeds]
    share, turn = torch.stack(drawn, 1)
    radius, angle = torch.where(labels > 0, 2.25 + 1.75 * share, share).sqrt(), 2 * math.pi * turn
    return torch.stack([radius * angle.cos(), radius * angle.sin()], -1), labels.expand(len(seeds), -1)


def rings_data(seeds: Seeds) -> Data:
    """Return fresh points of disc and ring for each batch, 200 for validation and 400 to test."""
    batches = (rings(seeds, f"batch {step}", 64) for step in itertools.count())
    return batches, rings(seeds, "validation", 200), rings(seeds, "test", 400)


def digits_data(seeds: Seeds) -> Data:
    """Return batches of 1200 digits, 200 others for validation, and 397 to test."""
    split = data.digits(seeds, 1400, standardize=False)
    inputs, labels, row = split.train_inputs.double(), split.train_labels, torch.arange(len(seeds)).unsqueeze(1)
    order = itertools.chain.from_iterable(data.batches(seeds, 1200, 64, epoch) for epoch in itertools.count(1))
    batches = ((inputs[row, index], labels[row, index]) for index in order)
    return batches, (inputs[:, 1200:], labels[:, 1200:]), (split.test_inputs.double(), split.test_labels)


TASKS = {"rings": (rings_data, (2, 4, 16, 2), 0.02, 0.99), "digits": (digits_data, (64, 16, 32, 10), 0.01, 0.92)}
"""What is learned: its data, the sizes of the network, Adam's rate, and the accuracy that is asked."""


# fmt: off
@dataclass(frozen=True)
class Training(Experiment):
    """Train a neural ODE to tell classes apart.

    Rings are a disc and the ring around it: between two linear maps without an equation they cannot be told apart.
    All arms of a seed share points, first weights and batches of 64; every price falls to a tenth. Every run has a step
    size of its own, one for its whole batch.
    """

    task: str = knob("rings", choices=tuple(TASKS), help="what is told apart")
    tolerance: float = knob(1e-7, stops=(1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4), help="tolerance, absolute and relative")
    iterations: int = knob(150, low=5, high=400, step=5, help="training steps")

    headline, smoke = "evaluations", {"iterations": 5, "tolerance": 1e-5}
    scaled = "MNIST became 1400 digits, 784 dimensions 16, and rings in 4; tableau, estimates and penalties are kept"


@dataclass(frozen=True)
class Prices(Training):
    """Train with and without a price on what the solver reports."""

    strength: float = knob(tuned(0.3, PRICES, "validation"), stops=(0, 0.1, 0.3, 1, 10, 100), symbol="λ", help=WEIGHT)

    arms = {
        "vanilla": Arm("baseline"), "ER": Arm("method", error="strength"),
        "speed": Arm("rival", speed=tuned(0.3, PRICES, "validation")), "f = 0": Arm("null", still=1),
        "ER²": Arm("ablation", square=tuned(0.1, SQUARE, "validation")),
        "SR": Arm("ablation", stiff=tuned(0.1, SQUARE, "validation")), "detached": Arm("ablation", detached="strength")}
    outputs = {
        "evaluations": Var(CURVE, "evaluations (NFE)", "evaluations of f for the test points", low=0),
        "accuracy": Var(CURVE, "test accuracy", "share of the test points classified right", high=1),
        "squared": Var(CURVE, "R_E2 = Σ E²", "sum of squared error estimates over accepted steps, test points", low=0),
        "stiff": Var(CURVE, "R_S = Σ S", "sum of stiffness estimates over accepted steps, test points", low=0),
        "fixed": Var("arm seed", "mean E·h, ten equal steps", "error estimate free of the step control", low=0),
        "validation": Var("arm seed", "score", "minus evaluations, minus ten for each percent of accuracy missing"),
    }
    views = (
        View("Work and accuracy", (Curves("How much work is an answer?", ["evaluations"], [*arms][:4]),
                                   Dots("And how good is it?", "accuracy")), height=3.2),
        View("What is penalized", (Dots("ER and ER²: how large are the errors?", "squared"),
                                   Dots("SR: how stiff is it?", "stiff")), height=3),
    )
    grid = {"strength": (0, 0.1, 0.3, 1, 10, 100), "tolerance": (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)}
    equals_baseline = (({}, "detached"), ({"strength": 0}, "ER"))
    # fmt: on

    def axes(self) -> dict[str, Axis]:
        """About thirty moments of the training."""
        return {"iteration": Axis(moments(self.iterations), label="training step")}

    def frames(self, seeds: Seeds) -> Events:
        """Train all arms and seeds as one; about thirty frames of 100 test points, the last of all."""
        load, sizes, rate, asked = TASKS[self.task]
        lanes, shown, (batches, validation, test) = self.lanes(seeds), [*self.axes()["iteration"].values], load(seeds)
        model, spread = NeuralODE(lanes, sizes), lanes.each("spread", 0, torch.float64)
        optimizer, steer = torch.optim.Adam(model.parameters(), lr=rate), lanes.generators("end times")
        for iteration, (points, labels) in zip(range(self.iterations), batches, strict=False):
            if iteration in shown:
                yield Frame({"iteration": shown.index(iteration)}, self._measure(lanes, model, test, 100))
            yield Tick(iteration / (self.iterations + 1))
            # of two numbers a step, the second is not used
            drawn = torch.stack([2 * torch.rand(2, generator=source)[0] - 1 for source in steer]).double()
            ends, start = 1 + spread * lanes.repeat(drawn), model.start(lanes.repeat(points))
            found = method.solve(model.fields, start, ends, self.tolerance)
            loss = F.cross_entropy(model.readout(found.z).mT, lanes.repeat(labels), reduction="none").mean(1)
            parts, (W, V) = method.penalties(found), (model.inner.weight, model.outer.weight)
            parts |= {"decay": (W**2).sum((1, 2)) + (V**2).sum((1, 2)), "detached": parts["error"].detach()}
            price = torch.stack([lanes.each(name, 0, torch.float64) * part for name, part in parts.items()]).sum(0)
            yield Tick((iteration + 0.5) / (self.iterations + 1))
            optimizer.zero_grad()
            (loss + method.annealed(price, iteration, self.iterations)).sum().backward()
            optimizer.step()
        yield Frame({"iteration": len(shown) - 1}, self._measure(lanes, model, test))
        held = self._measure(lanes, model, validation)
        score = -held["evaluations"] - 1000 * (asked - held["accuracy"]).clamp(min=0)
        with torch.no_grad():
            some = model.start(lanes.repeat(test[0][:, :64]))
            fixed = method.error_in_equal_steps(model.fields(torch.arange(len(lanes))), some, 10, self.tolerance)
        yield Frame({}, {"fixed": lanes.split(fixed), "validation": score})

    @torch.no_grad()
    def _measure(self, lanes: Lanes, model: NeuralODE, points: Points, most: int = 400) -> dict[str, Tensor]:
        """Measure the first `most` of some points; every value is [A, S, ...]."""
        inputs, labels = (lanes.repeat(one[:, :most]) for one in points)
        found = method.solve(model.fields, model.start(inputs), 1.0, self.tolerance)
        parts, accuracy = method.penalties(found), metrics.accuracy(model.readout(found.z), labels)
        values = {"evaluations": found.evaluations, "accuracy": accuracy, "squared": parts["square"]}
        return {name: lanes.split(value) for name, value in (values | {"stiff": parts["stiff"]}).items()}


class Ends(Prices):
    """The same, measured at the end only."""

    def axes(self) -> dict[str, Axis]:
        """The last training step."""
        return {"iteration": Axis([self.iterations])}


PATHS = {
    "vanilla": ("", (0.3,)), "ER": ("error", PRICES), "speed": ("speed", PRICES), "f = 0": ("still", (1,)),
    "decay": ("decay", (1e-3, 1e-2, 0.03, 0.1, 0.3)), "STEER": ("spread", (0.1, 0.25, 0.5, 0.9)),
    "ER²": ("square", SQUARE), "SR": ("stiff", SQUARE),
}  # fmt: skip
"""What each arm pays for, and its strengths: of prices, or how far from 1 STEER's end times are.

Vanilla has none; it stands beside ER at its chosen one.
"""

PLACES = sorted({strength for _, strengths in PATHS.values() for strength in strengths})

ENDS, FRONT = ("evaluations", "accuracy", "validation", "fixed"), ("evaluations", "accuracy", "strength")


# fmt: off
@dataclass(frozen=True)
class Fronts(Training):
    """Give each penalty several strengths of its own: how much work is left, and how good is the answer?"""

    arms = {name: str(Prices.arms.get(name, "rival" if name == "decay" else "further")) for name in PATHS}
    outputs = {name: replace(Prices.outputs[name], axes="arm seed strength", low=None) for name in ENDS}
    views = (
        View("Rings", (
            Scatter("What do its estimates buy?", *FRONT, ("vanilla", "ER", "f = 0", "ER²", "SR"), (0, 0.99)),
            Scatter("And cheaper rivals?", *FRONT, ("ER", "speed", "f = 0", "decay", "STEER"), (0, 0.99))), height=3.4),
        View("Digits", (Scatter("And on digits?", *FRONT, ("vanilla", "ER", "speed", "f = 0", "decay")),), height=3.2),
    )
    may_be_nan = tuple(outputs)  # an arm has results at its own strengths
    # fmt: on

    def axes(self) -> dict[str, Axis]:
        """All strengths of all penalties."""
        return {"strength": Axis(PLACES, label="strength of the penalty")}

    def frames(self, seeds: Seeds) -> Events:
        """Train with all strengths and seeds as one; everything is measured at the end."""
        places = [(name, strength) for name in self.arms for strength in PATHS[name][1]]
        arms = {f"{name} {strength}": Arm("further", **{PATHS[name][0]: strength}) for name, strength in places}
        ends = Ends(**self.settings())
        object.__setattr__(ends, "arms", arms)
        for event in ends.frames(seeds):
            if isinstance(event, Tick):
                yield event
            else:
                for i, (name, strength) in enumerate(places):
                    values = {one: found[i] for one, found in event.values.items() if one in ENDS}
                    yield Frame({"arm": name, "strength": PLACES.index(strength)}, values)


# ---------------------------------------------------------------------------------- experiment 3: a stochastic equation


def brownian(seeds: Seeds, purpose: str, paths: int) -> Tensor:
    """Draw Brownian paths in the plane on the finest grid: [S, 1025, P, 2]."""
    return F.pad(data.normal(seeds, purpose, method.CELLS, paths, 2).cumsum(1) / method.CELLS**0.5, (0, 0, 0, 0, 1, 0))


def truth(seeds: Seeds) -> Tensor:
    """Return 2000 paths of the true equation at the save times, with steps of 1/256: [S, 8, 2000, 2]."""
    increments = data.normal(seeds, "truth", 256, 2000, 2) / 16
    h = torch.full((len(seeds),), 1 / 256, dtype=torch.float64)
    z, saved = torch.tensor([2.0, 0.0], dtype=torch.float64).expand(len(seeds), 2000, 2), []
    for i in range(256):
        z = method.heun_step(method.spiral_drift, lambda u: 0.2 * u, z, h, increments[:, i], 1.0).z
        saved.append(z)
    return torch.stack(saved[31::32], 1)


# fmt: off
@dataclass(frozen=True)
class Spiral(Experiment):
    """Fit a neural stochastic equation to means and variances of a noisy spiral, with a price on the solver's errors.

    48 paths for each training step, Adam with rate 0.02. All arms share first weights and Brownian paths.
    """

    strength: float = knob(tuned(1.0, (0.1, 0.3, 1, 3), "validation"), stops=(0, 0.1, 0.3, 1, 3), help=WEIGHT)
    tolerance: float = knob(0.03, stops=(0.01, 0.03, 0.1), help="tolerance of the solver, absolute and relative")
    iterations: int = knob(120, low=10, high=400, step=10, help="training steps")

    arms = {"vanilla": Arm("baseline"), "ER": Arm("method", error="strength"), "f = 0": Arm("null", still=1),
            "speed": Arm("rival", speed=tuned(1e-3, (1e-4, 1e-3, 0.003, 0.01, 0.03, 0.1), "validation"))}
    outputs = {
        "accepted": Var(CURVE, "accepted steps", "steps of the solver that counted, 256 test paths", low=0),
        "loss": Var(CURVE, "loss", "squared error of means and variances, 256 test paths", low=0),
        "validation": Var("arm seed", "score", "minus steps, minus one for each hundredth of a loss above 0.2")}
    views = (View("Noisy spiral", (Curves("How many steps does it take?", ["accepted"]),
                                   Curves("How well does it fit?", ["loss"], log=True))),)
    # fmt: on
    headline = "accepted"
    scaled = "8 save times instead of 30, 48 paths instead of 100, 120 training steps instead of 250"
    smoke = {"iterations": 10}

    def axes(self) -> dict[str, Axis]:
        """About thirty moments of the training."""
        return {"iteration": Axis(moments(self.iterations), label="training step")}

    def frames(self, seeds: Seeds) -> Events:
        """Train all arms and seeds as one; a frame at about thirty moments."""
        yield Tick(0)
        shown = [*self.axes()["iteration"].values]
        lanes, test = self.lanes(seeds), brownian(seeds, "test paths", 256)
        goal, sources = lanes.repeat(method.moments(truth(seeds))), lanes.generators("weights")
        error, speed, still = (lanes.each(name, 0, torch.float64) for name in ("error", "speed", "still"))

        def drawn(inputs: int, outputs: int, factor: float = 1.0) -> replicas.Linear:
            normal = torch.stack([torch.randn(inputs, outputs, generator=one) for one in sources])
            weight, bias = lanes.repeat(factor * normal / inputs**0.5), torch.zeros(len(lanes), 1, outputs)
            return replicas.Linear(weight, bias).double()

        inner, outer, diffusion = drawn(2, 50), drawn(50, 2), drawn(2, 2, 0.1)
        parameters = [*inner.parameters(), *outer.parameters(), *diffusion.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=0.02)

        def drift(z: Tensor) -> Tensor:
            return (1 - still.reshape(-1, 1, 1)) * outer(torch.tanh(inner(z**3)))

        def solved(W: Tensor) -> tuple[Tensor, method.NoisySolution]:
            W = lanes.repeat(W)
            start = torch.tensor([2.0, 0.0], dtype=torch.float64).expand(len(W), W.shape[2], 2)
            found = method.solve_noisy(drift, diffusion, start, W, self.tolerance)
            return (method.moments(found.saved) - goal).square().unflatten(-1, (2, 2)).mean((1, 3)).sum(-1), found

        for iteration in range(self.iterations + 1):
            if iteration in shown:
                with torch.no_grad():
                    loss, found = solved(test)
                values = {"accepted": lanes.split(found.accepted), "loss": lanes.split(loss)}
                yield Frame({"iteration": shown.index(iteration)}, values)
            yield Tick(iteration / (self.iterations + 1))
            if iteration < self.iterations:
                loss, found = solved(brownian(seeds, f"paths {iteration}", 48))
                yield Tick((iteration + 0.5) / (self.iterations + 1))
                optimizer.zero_grad()
                (loss + error * found.sum_Eh + speed * found.kinetic).sum().backward()
                replicas.clip_gradients(parameters, 100.0)
                optimizer.step()
        with torch.no_grad():
            loss, found = solved(brownian(seeds, "validation paths", 256))
        yield Frame({}, {"validation": lanes.split(-found.accepted - 100 * (loss - 0.2).clamp(min=0))})


EXPERIMENTS = (Prices, Fronts, Spiral)
