"""ELR: the experiments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reglab import data, metrics
from reglab.experiment import Experiment
from reglab.knobs import Knob, knob
from reglab.models import replicas
from reglab.papers.labels.early_learning import method
from reglab.pictures.views import Curves, Line, Shares, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator

STRENGTH = Knob(3.0, 0, 15, 0.5, symbol="λ", help="weight of the regularizer")

MEMORY = Knob(
    0.7, 0, 0.97, stops=(0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.97), symbol="β", help="share of the target kept at each visit"
)

COINS = Knob(0.4, 0, 0.9, 0.1, symbol="Δ", help="share of labels redrawn by a fair coin; half of them come out wrong")

SPREAD = Knob(0.2, 0.1, 0.4, stops=(0.1, 0.15, 0.2, 0.3, 0.4), symbol="σ", help="standard deviation of the Gaussians")

RATIO = Knob(
    0.9, 0.3, 0.95, stops=(0.3, 0.5, 0.7, 0.8, 0.9, 0.95), symbol="p/n", help="dimensions for each of the 200 examples"
)

RATES = Knob(0.1, 0.02, 0.2, stops=(0.02, 0.05, 0.1, 0.2), symbol="η", help="step size of gradient descent")

CURVE, LINE = "arm seed epoch", "arm seed time"


# ------------------------------------------------------------------------------------------------- experiment B: digits


@dataclass(frozen=True)
class Memorization(Experiment):
    """Fit a small network to digits with wrong labels, with and without early-learning regularization.

    Network 64-128-10 with ReLU, 1000 training digits in batches of 50, SGD with momentum 0.9 and weight decay 1e-3.
    All arms of a seed share data, wrong labels, first weights and batches.
    """

    noise: float = knob(0.4, low=0, high=0.8, step=0.1, symbol="r", help="share of training labels redrawn uniformly")
    strength: float = knob(STRENGTH)
    target_momentum: float = knob(MEMORY)
    learning_rate: float = knob(0.02, stops=(0.005, 0.01, 0.02, 0.05, 0.1), symbol="η", help="step size of SGD")
    epochs: int = knob(50, low=1, high=200, step=1, help="passes over the training digits")

    arms = {"cross-entropy": "baseline", "ELR": "method", "ELR, no memory": "ablation", "KL": "ablation"}
    outputs = {
        "test_accuracy": share(CURVE, "test accuracy", "share of the 797 test digits classified right"),
        "clean_true": share(CURVE, "right", "share of rightly labeled digits predicted right"),
        "clean_other": share(CURVE, "not right", "share of rightly labeled digits predicted as another digit"),
        "wrong_true": share(CURVE, "true digit", "share of wrongly labeled digits predicted as what they are"),
        "wrong_memorized": share(CURVE, "wrong label", "share of wrongly labeled digits predicted as labeled"),
        "wrong_other": share(CURVE, "a third digit", "share of wrongly labeled digits predicted as a third digit"),
        "target_accuracy": share(CURVE, "accuracy of the targets", "share of digits whose largest target is the truth"),
        "clean_residual": Var(CURVE, "right labels", "mean length of p − y on rightly labeled digits", low=0),
        "wrong_residual": Var(CURVE, "wrong labels", "mean length of p − y on wrongly labeled digits", low=0),
        "wrong_push": Var(CURVE, "cross-entropy, p", "cross-entropy's coefficient on the true class, wrong labels"),
        "wrong_pull": Var(CURVE, "regularizer, λg", "the regularizer's coefficient on the true class, wrong labels"),
        "wrong_total": Var(CURVE, "sum", "sum of both coefficients on the true class, wrong labels"),
        "clean_pull": Var(CURVE, "λg, right labels", "the regularizer's coefficient on the true class, right labels"),
        "path": share("arm seed example corner epoch", "probability", "p at the corners, for a few training digits"),
    }
    # fmt: off
    views = (
        View("Accuracy and memory", (
            Curves("Does it still know new digits?", ["test_accuracy"], peak="cross-entropy"),
            Curves("How many wrong labels are memorized?", ["wrong_memorized"], y="share memorized"),
        )),
        View("What is predicted", tuple(panel for arm in arms for panel in (
            Shares(f"{arm}: rightly labeled digits", ["clean_true", "clean_other"], arm),
            Shares(f"{arm}: wrongly labeled digits", ["wrong_true", "wrong_memorized", "wrong_other"], arm),
        )), height=1.9),
        View("Push and pull", tuple(
            Curves(f"{arm}: what pulls on wrong labels?", ["wrong_push", "wrong_pull", "wrong_total"], [arm],
                   "coefficient at the true class", [Line("y", 0, "")])
            for arm in ("cross-entropy", "ELR")
        )),
        View("Who makes the gradient", (
            Curves("Cross-entropy: whose gradient is large?", ["wrong_residual", "clean_residual"], ["cross-entropy"],
                   "mean ‖p − y‖"),
            Curves("How right are the remembered targets?", ["target_accuracy"]),
        )),
    )
    # fmt: on
    scaled = (
        "CIFAR-10 and ResNet-34 became 1000 digits and one hidden layer; loss, targets, noise and optimizer are kept"
    )
    headline = "test_accuracy"
    grid = {"strength": (0, 0.5, 1, 3, 7, 15), "noise": (0, 0.2, 0.4, 0.6, 0.8)}
    unaffected = {"strength": ("cross-entropy",)}
    smoke = {"epochs": 2}
    equals_baseline = (
        ({"strength": 0}, "ELR"),
        ({"strength": 0, "target_momentum": 0}, "ELR, no memory"),  # else its targets, though unused, are others
        ({"strength": 0}, "KL"),
    )
    may_be_nan = ("target_accuracy",)  # before training there are no targets

    def axes(self) -> dict[str, Axis]:
        """Epochs from 0 (before training) on, and the examples and corners of the path picture."""
        examples = [f"{kind} {i}" for kind in ("right label", "wrong label") for i in range(1, 6)]
        return {
            "epoch": Axis(range(self.epochs + 1), unit="epochs", label="epoch"),
            "example": Axis(examples),
            "corner": Axis(["true digit", "another digit", "all others"]),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame for each epoch."""
        digits = data.digits(seeds)
        truth = digits.train_labels
        observed = data.symmetric_noise(truth, self.noise, 10, seeds)
        arms, models = len(self.arms), len(self.arms) * len(seeds)

        def for_arms(value: float, *chosen: str) -> Tensor:
            values = torch.tensor([value if arm in chosen else 0.0 for arm in self.arms])
            return values.repeat_interleave(len(seeds)).reshape(models, 1, 1)

        strength, kl_strength = for_arms(self.strength, "ELR", "ELR, no memory"), for_arms(self.strength, "KL")
        momentum = for_arms(self.target_momentum, "cross-entropy", "ELR", "KL")
        network = replicas.mlp((64, 128, 10), [generator(seed, "weights") for seed in seeds], copies=arms)
        optimizer = torch.optim.SGD(network.parameters(), lr=self.learning_rate, momentum=0.9, weight_decay=1e-3)
        targets = torch.zeros(models, truth.shape[1], 10)

        def measured(epoch: int) -> Frame:
            with torch.no_grad():
                return self._measure(epoch, network, digits, observed, targets, strength, kl_strength)

        yield measured(0)
        every, row = torch.arange(models).unsqueeze(1), torch.arange(len(seeds)).unsqueeze(1)
        for epoch in range(1, self.epochs + 1):
            order = data.batches(seeds, truth.shape[1], 50, epoch)
            for step, index in enumerate(order):
                inputs, labels = digits.train_inputs[row, index], observed[row, index]
                index = index.repeat(arms, 1)
                logits = network(inputs.repeat(arms, 1, 1))
                fresh = method.update_targets(targets[every, index], logits, momentum)
                targets[every, index] = fresh
                loss = method.elr_loss(logits, labels.repeat(arms, 1), fresh, strength.flatten())
                loss = loss + kl_strength.flatten() * method.kl_regularizer(logits, fresh)
                optimizer.zero_grad()
                loss.sum().backward()
                optimizer.step()
                if step % 5 == 4:
                    yield Tick((epoch - 1 + (step + 1) / len(order)) / self.epochs)
            yield measured(epoch)

    def _measure(
        self,
        epoch: int,
        network: torch.nn.Module,
        digits: data.Split,
        observed: Tensor,
        targets: Tensor,
        strength: Tensor,
        kl_strength: Tensor,
    ) -> Frame:
        """Evaluate all models on all digits; every value is [A, S]."""
        arms, seeds = len(self.arms), len(observed)

        def logits(inputs: Tensor) -> Tensor:
            return network(inputs.repeat(arms, 1, 1)).unflatten(0, (arms, seeds))

        truth, wrong = digits.train_labels, observed != digits.train_labels
        z, t = logits(digits.train_inputs), targets.unflatten(0, (arms, seeds))
        p, predicted = z.softmax(-1), z.argmax(-1)
        residual = (p - F.one_hot(observed, 10)).norm(dim=-1)
        true_class = truth.expand(arms, seeds, -1).unsqueeze(-1)
        pull = strength.view(arms, seeds, 1, 1) * method.elr_gradient(z, t) + kl_strength.view(
            arms, seeds, 1, 1
        ) * method.kl_gradient(z, t)
        pull = pull.gather(-1, true_class).squeeze(-1)
        push = p.gather(-1, true_class).squeeze(-1)
        values = {
            "test_accuracy": metrics.accuracy(logits(digits.test_inputs), digits.test_labels),
            "clean_true": metrics.share_where(predicted == truth, ~wrong),
            "clean_other": metrics.share_where(predicted != truth, ~wrong),
            "wrong_true": metrics.share_where(predicted == truth, wrong),
            "wrong_memorized": metrics.share_where(predicted == observed, wrong),
            "wrong_other": metrics.share_where((predicted != truth) & (predicted != observed), wrong),
            "clean_residual": metrics.mean_where(residual, ~wrong),
            "wrong_residual": metrics.mean_where(residual, wrong),
            "wrong_push": metrics.mean_where(push, wrong),
            "wrong_pull": metrics.mean_where(pull, wrong),
            "wrong_total": metrics.mean_where(push + pull, wrong),
            "clean_pull": metrics.mean_where(pull, ~wrong),
            "path": self._paths(p, truth, observed),
        }
        if epoch:
            values["target_accuracy"] = metrics.accuracy(t, truth)
        return Frame({"epoch": epoch}, values)

    def _paths(self, p: Tensor, truth: Tensor, observed: Tensor) -> Tensor:
        """Return p at three corners for five rightly and five wrongly labeled digits: [A, S, 10, 3], NaN if too few."""
        paths = torch.full((*p.shape[:2], 10, 3), torch.nan)
        other = torch.where(observed == truth, (truth + 1) % 10, observed)
        for seed in range(len(truth)):
            for offset, kind in ((0, observed[seed] == truth[seed]), (5, observed[seed] != truth[seed])):
                for i, example in enumerate(kind.nonzero().flatten()[:5].tolist()):
                    corners = p[:, seed, example][:, [truth[seed, example], other[seed, example]]]
                    paths[:, seed, offset + i] = torch.cat([corners, 1 - corners.sum(-1, keepdim=True)], -1)
        return paths


# -------------------------------------------------------------------------------------- experiment A: the linear theory


def gaussians(seeds: Seeds, examples: int, dimensions: int, spread: float, noise: float) -> method.Gaussians:
    """Draw x = ε*v + σ·N(0, I) with v the first axis; a share Δ of the labels is an independent fair coin (Section 3).

    The first weights have length 2 and no component along v: the limit of the theorem, θ₀ᵀv = o(1).
    """
    inputs, truths, labels, weights = [], [], [], []
    for seed in seeds:
        draws = generator(seed, "two Gaussians")
        truth = torch.randint(2, (examples,), generator=draws) * 2.0 - 1
        coin = torch.randint(2, (examples,), generator=draws) * 2.0 - 1
        redrawn = torch.rand(examples, generator=draws) < noise
        x = spread * torch.randn(examples, dimensions, generator=draws, dtype=torch.float64)
        x[:, 0] += truth
        theta = torch.randn(dimensions, generator=generator(seed, "first weights"), dtype=torch.float64)
        theta[0] = 0
        inputs.append(x)
        truths.append(truth)
        labels.append(torch.where(redrawn, coin, truth))
        weights.append(2 * theta / theta.norm())
    return method.Gaussians(
        torch.stack(inputs), torch.stack(truths).double(), torch.stack(labels).double(), torch.stack(weights)
    )


@dataclass(frozen=True)
class LinearTheory(Experiment):
    """Follow gradient descent on two Gaussian classes with wrong labels: first it learns the truth, then the noise.

    200 examples, full-batch gradient descent; ELR is the official loss on the two logits (θᵀx, -θᵀx), times one half.
    """

    noise: float = knob(COINS)
    spread: float = knob(SPREAD)
    ratio: float = knob(RATIO)
    strength: float = knob(STRENGTH)
    target_momentum: float = knob(MEMORY)
    learning_rate: float = knob(RATES)
    steps: int = knob(4000, low=50, high=10000, step=50, help="steps of gradient descent")

    arms = {"cross-entropy": "baseline", "ELR": "method"}
    outputs = {
        "test_accuracy": share(LINE, "test accuracy", "exact accuracy on new points"),
        "wrong_true": share(LINE, "true class", "share of wrongly labeled points predicted as what they are"),
        "wrong_memorized": share(LINE, "wrong label", "share of wrongly labeled points predicted as labeled"),
        "clean_true": share(LINE, "right", "share of rightly labeled points predicted right"),
        "cosine": Var(LINE, "cos(−∇L, v)", "cosine of the descent direction with the true direction", low=-1, high=1),
        "clean_kappa": Var(LINE, "right labels", "mean κ² of rightly labeled points", low=0),
        "wrong_kappa": Var(LINE, "wrong labels", "mean κ² of wrongly labeled points", low=0),
        "along_truth": Var(LINE, "θᵀv", "component of the weights along the true direction"),
        "norm": Var(LINE, "‖θ‖", "length of the weights", low=0),
        "moved": Var(LINE, "‖θ − θ₀‖", "distance from the first weights", low=0),
        "stopping_time": Var("arm seed", "T", "first step with θᵀv ≥ 1/10 (NaN: not reached)", "steps", low=0),
        "path": share(
            "arm seed example time", "probability of the true class", "p of one rightly, one wrongly labeled point"
        ),
        "projection": Var(
            "arm point direction", "projection", "the first seed's points on v and on the rest of the last θ"
        ),
    }
    # fmt: off
    views = (
        View("Early and late", (
            Curves("Does the descent point to the truth?", ["cosine"], ["cross-entropy"],
                   lines=[Line("y", 1 / 6, "1/6"), Line("x", "stopping_time", " T", "cross-entropy")]),
            Curves("Are wrongly labeled points seen as what they are?", ["wrong_true"], y="share predicted true",
                   lines=[Line("x", "stopping_time", " T", "cross-entropy")]),
            Curves("Cross-entropy: who makes the gradient?", ["wrong_kappa", "clean_kappa"], ["cross-entropy"],
                   "mean κ²", [Line("x", "stopping_time", " T", "cross-entropy")]),
            Curves("How good is it on new points?", ["test_accuracy"], peak="cross-entropy"),
        )),
        View("Two points", tuple(
            Curves(f"One point with a {kind}", ["path"], at={"example": kind})
            for kind in ("right label", "wrong label")
        )),
    )
    # fmt: on
    scaled = "the theorem speaks of n → ∞; here n = 200 and p = 180, and 4000 steps stand for t → ∞"
    headline = "test_accuracy"
    grid = {"spread": (0.1, 0.15, 0.2, 0.3, 0.4), "ratio": (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)}
    smoke = {"steps": 50}
    equals_baseline = (({"strength": 0}, "ELR"),)
    examples = 200

    def _times(self) -> np.ndarray:
        late = np.geomspace(40, self.steps, 120).round().astype(int)
        return np.unique(np.concatenate([np.arange(min(40, self.steps)), late[late <= self.steps]]))

    def axes(self) -> dict[str, Axis]:
        """The first 40 steps, then steps in equal ratios to the end."""
        return {
            "time": Axis(self._times(), label="step of gradient descent", log=True),
            "example": Axis(["right label", "wrong label"]),
            "point": Axis(range(self.examples)),
            "direction": Axis(["along v", "along the rest of θ", "true sign", "observed sign"]),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Descend with both arms and all seeds at once; a frame at each recorded step."""
        problem = gaussians(seeds, self.examples, round(self.ratio * self.examples), self.spread, self.noise)
        observed, wrong = problem.observed, problem.wrong
        labels = F.one_hot((observed < 0).long(), 2).double()
        strength = torch.tensor([0.0, self.strength], dtype=torch.float64).reshape(2, 1, 1, 1)
        theta = problem.weights.repeat(2, 1, 1)
        targets = torch.zeros(2, *labels.shape, dtype=torch.float64)
        reached = torch.full((2, len(seeds)), torch.nan)
        times = self._times()
        position = 0
        for t in range(self.steps + 1):
            # [A, S, n]: one product for both arms, [S, n, p] @ [S, p, A]
            scores = (problem.inputs @ theta.permute(1, 2, 0)).permute(2, 0, 1)
            logits = torch.stack([scores, -scores], -1)
            targets = method.update_targets(targets, logits, self.target_momentum)
            coefficients = logits.softmax(-1) - labels + strength * method.elr_gradient(logits, targets)
            # half of (coefficient of θᵀx minus coefficient of -θᵀx); for cross-entropy this is κ/2
            both = (coefficients[..., 0] - coefficients[..., 1]) / 2
            gradient = (problem.inputs.mT @ both.permute(1, 2, 0)).permute(2, 0, 1) / self.examples
            if t == times[position]:
                yield self._measure(position, problem, theta, scores, gradient, wrong)
                position += 1
            if t == self.steps:
                break
            theta = theta - self.learning_rate * gradient
            reached = torch.where(reached.isnan() & (theta[..., 0] >= 0.1), t + 1, reached)
            if t % 20 == 19:
                yield Tick((t + 1) / self.steps)
        yield Frame({}, {"stopping_time": reached, "projection": self._project(problem, theta)})

    def _measure(
        self, position: int, problem: method.Gaussians, theta: Tensor, scores: Tensor, gradient: Tensor, wrong: Tensor
    ) -> Frame:
        """Every value is [A, S]."""
        squared = method.kappa(scores, problem.observed).square()
        true_margin = scores * problem.truth
        picked = [[mask.nonzero()[0, 0] if mask.any() else 0 for mask in (~row, row)] for row in wrong]
        examples = torch.tensor(picked).expand(2, -1, -1)
        path = torch.sigmoid(2 * true_margin).gather(-1, examples)
        values = {
            "test_accuracy": method.linear_accuracy(theta, self.spread),
            "wrong_true": metrics.share_where(true_margin > 0, wrong),
            "wrong_memorized": metrics.share_where(true_margin < 0, wrong),
            "clean_true": metrics.share_where(true_margin > 0, ~wrong),
            "cosine": -gradient[..., 0] / gradient.norm(dim=-1),
            "clean_kappa": metrics.mean_where(squared, ~wrong),
            "wrong_kappa": metrics.mean_where(squared, wrong),
            "along_truth": theta[..., 0],
            "norm": theta.norm(dim=-1),
            "moved": (theta - problem.weights).norm(dim=-1),
            "path": torch.where(wrong.any(-1)[None, :, None] | (torch.arange(2) == 0), path, torch.nan),
        }
        return Frame({"time": position}, values)

    def _project(self, problem: method.Gaussians, theta: Tensor) -> Tensor:
        """Return the first seed's points in the plane of v and the rest of θ: [A, n, 4]."""
        rest = theta[:, 0].clone()
        rest[:, 0] = 0
        rest = rest / rest.norm(dim=-1, keepdim=True)
        x = problem.inputs[0]
        signs = torch.stack([problem.truth[0], problem.observed[0]], -1)
        return torch.stack([torch.cat([x[:, :1], (x @ r).unsqueeze(-1), signs], -1) for r in rest])


@dataclass(frozen=True)
class StoppingTime(Experiment):
    """Measure when early learning ends, T, for several learning rates: the theorem says that T·η stays the same."""

    noise: float = knob(COINS)
    spread: float = knob(SPREAD)
    ratio: float = knob(RATIO)

    outputs = {
        "time": Var("seed learning_rate", "T", "first step at which θᵀv ≥ 1/10", unit="steps", low=0),
        "product": share("seed learning_rate", "T·η", "that step times the learning rate"),
    }
    views = (View("T times η", (Curves("Is T inversely proportional to the learning rate?", ["product"]),), columns=1),)
    headline = "product"
    scaled = "n = 200 examples"
    smoke = {"ratio": 0.3}
    rates = (0.02, 0.05, 0.1, 0.2)

    def axes(self) -> dict[str, Axis]:
        """Four learning rates."""
        return {"learning_rate": Axis(self.rates, label="learning rate η", log=True)}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """One frame for each learning rate."""
        problem = gaussians(
            seeds, LinearTheory.examples, round(self.ratio * LinearTheory.examples), self.spread, self.noise
        )
        for i, rate in enumerate(self.rates):
            time, _ = method.stopping_time(problem, rate)
            yield Frame({"learning_rate": i}, {"time": time, "product": time * rate})
            yield Tick((i + 1) / len(self.rates))


@dataclass(frozen=True)
class EarlyAccuracy(Experiment):
    """At the end of early learning, measure the accuracy on wrongly labeled points for several spreads σ."""

    noise: float = knob(COINS)
    ratio: float = knob(RATIO)
    learning_rate: float = knob(RATES)

    outputs = {
        "measured": share(
            "seed spread", "measured", "share of wrongly labeled points predicted as what they are, at step T"
        ),
        "formula": share("seed spread", "formula", "Φ(θᵀv/(σ‖θ‖)) for the weights at step T"),
    }
    views = (
        View(
            "Accuracy at T",
            (
                Curves(
                    "At step T, how many wrongly labeled points are predicted right?",
                    ["measured", "formula"],
                    y="share",
                ),
            ),
            columns=1,
        ),
    )
    headline = "measured"
    scaled = "n = 200 examples"
    smoke = {"ratio": 0.3}
    spreads = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)

    def axes(self) -> dict[str, Axis]:
        """Six standard deviations."""
        return {"spread": Axis(self.spreads, label="standard deviation σ", log=True)}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """One frame for each spread."""
        dimensions = round(self.ratio * LinearTheory.examples)
        for i, spread in enumerate(self.spreads):
            problem = gaussians(seeds, LinearTheory.examples, dimensions, spread, self.noise)
            _, theta = method.stopping_time(problem, self.learning_rate)
            right = (problem.inputs @ theta.unsqueeze(-1)).squeeze(-1) * problem.truth > 0
            values = {
                "measured": metrics.share_where(right, problem.wrong),
                "formula": method.linear_accuracy(theta, spread),
            }
            yield Frame({"spread": i}, values)
            yield Tick((i + 1) / len(self.spreads))


@dataclass(frozen=True)
class Separability(Experiment):
    """Ask by linear programming whether the noisy labels can be fitted without error, for several p/n."""

    noise: float = knob(COINS)
    spread: float = knob(SPREAD)

    outputs = {
        "bound": Var("seed", "1 − Δ/2", "the p/n above which Theorem 6 promises that the labels can be fitted"),
        "separable": share("seed ratio", "separable", "1 when some θ fits all noisy labels, else 0"),
    }
    views = (
        View(
            "Separability",
            (
                Curves(
                    "Can the noisy labels be fitted without error?",
                    ["separable"],
                    y="share of seeds",
                    lines=[Line("x", "bound", " 1 − Δ/2")],
                ),
            ),
            columns=1,
        ),
    )
    headline = "separable"
    scaled = "n = 200 examples"
    ratios = (0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9, 0.95)

    def axes(self) -> dict[str, Axis]:
        """Eight ratios of dimensions to examples."""
        return {"ratio": Axis(self.ratios, label="dimensions for each example, p/n")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """One frame for each ratio and seed."""
        yield Frame({}, {"bound": [1 - self.noise / 2] * len(seeds)})
        for i, ratio in enumerate(self.ratios):
            problem = gaussians(
                seeds, LinearTheory.examples, round(ratio * LinearTheory.examples), self.spread, self.noise
            )
            for j, (x, y) in enumerate(zip(problem.inputs.numpy(), problem.observed.numpy(), strict=True)):
                yield Frame({"ratio": i, "seed": j}, {"separable": float(method.separable(x, y))})
                yield Tick((i + (j + 1) / len(seeds)) / len(self.ratios))


# ---------------------------------------------------------------------------------------- pictures that occur only once


EXPERIMENTS = (Memorization, LinearTheory, StoppingTime, EarlyAccuracy, Separability)
