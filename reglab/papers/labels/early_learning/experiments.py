"""ELR: the experiments."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reglab import data, metrics
from reglab.across import Across
from reglab.experiment import Experiment
from reglab.knobs import Arm, Knob, knob, tuned
from reglab.models import replicas
from reglab.papers.labels.early_learning import method
from reglab.pictures import Curves, Line, Shares, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator
from reglab.training import fit, minibatches

# fmt: off
STRENGTH = Knob(3.0, 0, 15, 0.5, symbol="λ", help="weight of the regularizer")
MEMORY = Knob(0.7, 0, 0.97, stops=(0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.97), symbol="β", help="share of the target kept")
COINS = Knob(0.4, 0, 0.9, 0.1, symbol="Δ", help="share of labels redrawn by a fair coin; half of them come out wrong")
SPREAD = Knob(0.2, 0.1, 0.4, stops=(0.1, 0.15, 0.2, 0.3, 0.4), symbol="σ", help="standard deviation of the Gaussians")
RATIO = Knob(0.9, 0.3, 0.95, stops=(0.3, 0.5, 0.7, 0.8, 0.9, 0.95), symbol="p/n",
             help="dimensions for each of the 200 examples")
RATES = Knob(0.1, 0.02, 0.2, stops=(0.02, 0.05, 0.1, 0.2), symbol="η", help="step size of gradient descent")
# fmt: on

EXAMPLES = 200
"""Points in the linear theory, n."""

END = Line("x", "stopping_time", "T", "cross-entropy")

LEARNING_RATES = Axis((0.02, 0.05, 0.1, 0.2), label="learning rate η", log=True)

SPREADS = Axis((0.01, 0.02, 0.05, 0.1, 0.2, 0.4), label="standard deviation σ", log=True)

RIVALS = ("cross-entropy", "ELR", "early stopping", "weight decay", "shuffled targets")
RELATIVES = ("ELR", "KL", "ELR, no memory", "shuffled targets")
STRENGTHS, DECAYS = (1, 3, 7, 15, 30, 60, 120), (1e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1)

CURVE, LINE = "arm seed epoch", "arm seed time"


# ------------------------------------------------------------------------------------------------- experiment B: digits


@dataclass(frozen=True)
class Memorization(Experiment):
    """Fit a small network to digits with wrong labels, with and without early-learning regularization.

    Network 64-128-10 with ReLU, batches of 50, SGD with momentum 0.9 and weight decay 1e-3. Of 1000 digits with noisy
    labels 800 are trained on; accuracy on the noisy labels of the other 200 is all that strengths and early stopping
    are chosen by. All arms of a seed share data, wrong labels, first weights and batches.
    """

    noise: float = knob(0.4, low=0, high=0.8, step=0.1, symbol="r", help="share of training labels redrawn uniformly")
    strength: float = knob(dataclasses.replace(STRENGTH, tuned=tuned(3, STRENGTHS, "held_out_accuracy")))
    target_momentum: float = knob(MEMORY)
    learning_rate: float = knob(0.02, stops=(0.005, 0.01, 0.02, 0.05, 0.1), symbol="η", help="step size of SGD")
    epochs: int = knob(50, low=1, high=200, step=1, help="passes over the training digits")

    arms = {
        "cross-entropy": Arm("baseline"),
        "ELR": Arm("method", elr="strength", memory="target_momentum"),
        "early stopping": Arm("rival", stop=1),
        "weight decay": Arm("rival", decay=tuned(0.02, DECAYS, "held_out_accuracy")),
        "KL": Arm("ablation", kl=tuned(60, STRENGTHS, "held_out_accuracy"), memory="target_momentum"),
        "ELR, no memory": Arm("ablation", elr="strength"),
        "shuffled targets": Arm("null", elr="strength", memory="target_momentum", shuffle=1),
    }
    outputs = {
        "test_accuracy": share(CURVE, "test accuracy", "share of the 797 test digits classified right"),
        "held_out_accuracy": share(CURVE, "noisy accuracy", "share of the 200 held-out digits predicted as labeled"),
        "clean_true": share(CURVE, "right", "share of rightly labeled digits predicted right"),
        "clean_other": share(CURVE, "not right", "share of rightly labeled digits predicted as another digit"),
        "wrong_true": share(CURVE, "true digit", "share of wrongly labeled digits predicted as what they are"),
        "wrong_memorized": share(CURVE, "wrong label", "share of wrongly labeled digits predicted as labeled"),
        "wrong_other": share(CURVE, "a third digit", "share of wrongly labeled digits predicted as a third digit"),
        "wrong_push": Var(CURVE, "cross-entropy, p", "cross-entropy's coefficient on the true class, wrong labels"),
        "wrong_pull": Var(CURVE, "regularizer, λg", "the regularizer's coefficient on the true class, wrong labels"),
        "wrong_total": Var(CURVE, "sum", "sum of both coefficients on the true class, wrong labels"),
    }
    # fmt: off
    views = (
        View("Accuracy and memory", (
            Curves("Does it still know new digits?", ["test_accuracy"], RIVALS, peak="cross-entropy"),
            Curves("How many wrong labels are memorized?", ["wrong_memorized"], RIVALS, y="share memorized"),
        )),
        View("What is predicted", tuple(panel for arm in ("cross-entropy", "ELR") for panel in (
            Shares(f"{arm}: rightly labeled digits", ["clean_true", "clean_other"], arm),
            Shares(f"{arm}: wrongly labeled digits", ["wrong_true", "wrong_memorized", "wrong_other"], arm),
        )), height=1.9),
        View("Push and pull", tuple(
            Curves(f"{arm}: what pulls on wrong labels?", ["wrong_push", "wrong_pull", "wrong_total"], [arm],
                   "coefficient at the true class", [Line("y", 0, "")])
            for arm in ("cross-entropy", "ELR")
        )),
        View("What makes ELR work", (
            Curves("Is it the form, the memory, the right target?", ["test_accuracy"], RELATIVES),
            Curves("How many wrong labels are memorized?", ["wrong_memorized"], RELATIVES, y="share memorized"),
        )),
    )
    scaled = "CIFAR-10 and ResNet-34 became 1000 digits and one hidden layer; loss, noise and optimizer are kept"
    headline = "test_accuracy"
    grid = {"strength": (0, 0.5, 1, 3, 7, 15), "noise": (0, 0.2, 0.4, 0.6, 0.8)}
    smoke = {"epochs": 2}
    equals_baseline = tuple(({"strength": 0}, arm) for arm in ("ELR", "ELR, no memory", "shuffled targets"))
    # without noise there are no wrong labels
    may_be_nan = ("wrong_true", "wrong_memorized", "wrong_other", "wrong_push", "wrong_pull", "wrong_total")
    # fmt: on

    def axes(self) -> dict[str, Axis]:
        """Epochs from 0 (before training) on."""
        return {"epoch": Axis(range(self.epochs + 1), unit="epochs", label="epoch")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame for each epoch."""
        lanes, digits = self.lanes(seeds), data.digits(seeds)
        noisy = data.symmetric_noise(digits.train_labels, self.noise, 10, seeds)
        truth, observed, images = digits.train_labels[:, :800], noisy[:, :800], digits.train_inputs[:, :800]
        elr, kl, decay, memory = (lanes.each(setting) for setting in ("elr", "kl", "decay", "memory"))
        network = replicas.mlp((64, 128, 10), lanes.generators("weights"), len(self.arms))
        optimizer = torch.optim.SGD(network.parameters(), lr=self.learning_rate, momentum=0.9, weight_decay=1e-3)
        targets, model = torch.zeros(len(lanes), truth.shape[1], 10), torch.arange(len(lanes)).unsqueeze(1)
        # whose target an example is held to: its own, or in the null that of another
        others = torch.stack([torch.randperm(800, generator=draws) for draws in lanes.generators("shuffled targets")])
        whose = torch.where(lanes.each("shuffle", 1) > 0, lanes.repeat(others), torch.arange(800))

        def losses(index: Tensor) -> Tensor:
            logits, labels = network(lanes.pick(images, index)), lanes.pick(observed, index)
            seen = model, lanes.repeat(index)
            targets[seen] = method.update_targets(targets[seen], logits, memory)
            held = targets[model, whose[seen]]
            loss = method.elr_loss(logits, labels, held, elr.flatten())
            squared = sum((weights.square().sum((1, 2)) for weights in network.parameters()), torch.zeros(()))
            return loss + kl.flatten() * method.kl_regularizer(logits, held) + decay.flatten() / 2 * squared

        def measure(epoch: int) -> Frame:
            z, held_out, test = (
                lanes.split(network(lanes.repeat(one)))
                for one in (images, digits.train_inputs[:, 800:], digits.test_inputs)
            )
            t = lanes.split(targets[model, whose])
            pull = lanes.split(elr) * method.elr_gradient(z, t) + lanes.split(kl) * method.kl_gradient(z, t)
            values = {
                "test_accuracy": metrics.accuracy(test, digits.test_labels),
                "held_out_accuracy": metrics.accuracy(held_out, noisy[:, 800:]),
                **_beliefs(z, pull, truth, observed),
            }
            kept.update(best_so_far(kept or values, values, stops, "held_out_accuracy"))
            return Frame({"epoch": epoch}, dict(kept))

        stops, kept = lanes.split(lanes.each("stop", 0)) > 0, dict[str, Tensor]()
        yield from fit(optimizer, losses, minibatches(lanes, 800, 50), measure, epochs=self.epochs)


def best_so_far(kept: dict[str, Tensor], now: dict[str, Tensor], stops: Tensor, by: str) -> dict[str, Tensor]:
    """Return what is measured now, each [A, S]; for runs that stop early, what was kept unless they are better by one.

    Of equally good epochs the first is kept; `stops` [A, S] says which runs stop early.
    """
    worse = stops & (now[by] <= kept[by])
    return {name: torch.where(worse, kept[name], values) for name, values in now.items()}


def _beliefs(z: Tensor, pull: Tensor, truth: Tensor, observed: Tensor) -> dict[str, Tensor]:
    """Measure what is believed of rightly and of wrongly labeled digits, and what pushes and pulls: [A, S] each.

    Logits and the regularizer's gradient are [A, S, N, C], labels [S, N].
    """
    wrong, p, predicted = observed != truth, z.softmax(-1), z.argmax(-1)
    true_class = truth.expand(*z.shape[:2], -1).unsqueeze(-1)
    pull, push = (one.gather(-1, true_class).squeeze(-1) for one in (pull, p))
    return {
        "clean_true": metrics.share_where(predicted == truth, ~wrong),
        "clean_other": metrics.share_where(predicted != truth, ~wrong),
        "wrong_true": metrics.share_where(predicted == truth, wrong),
        "wrong_memorized": metrics.share_where(predicted == observed, wrong),
        "wrong_other": metrics.share_where((predicted != truth) & (predicted != observed), wrong),
        "wrong_push": metrics.mean_where(push, wrong),
        "wrong_pull": metrics.mean_where(pull, wrong),
        "wrong_total": metrics.mean_where(push + pull, wrong),
    }


# -------------------------------------------------------------------------------------- experiment A: the linear theory


@functools.lru_cache(maxsize=1)
def gaussians(seeds: Seeds, ratio: float, spread: float, noise: float) -> method.Gaussians:
    """Draw x = ε*v + σ·N(0, I) with v the first axis; a share Δ of the labels is an independent fair coin (Section 3).

    200 points in `ratio` times as many dimensions; the last draw is kept for runs that share it. The first weights have
    length 2 and no component along v: the limit of the theorem, θ₀ᵀv = o(1).
    """
    dimensions = round(ratio * EXAMPLES)
    drawn = []
    for seed in seeds:
        draws = generator(seed, "two Gaussians")
        truth = torch.randint(2, (EXAMPLES,), generator=draws) * 2.0 - 1
        coin = torch.randint(2, (EXAMPLES,), generator=draws) * 2.0 - 1
        redrawn = torch.rand(EXAMPLES, generator=draws) < noise
        x = spread * torch.randn(EXAMPLES, dimensions, generator=draws, dtype=torch.float64)
        x[:, 0] += truth
        theta = torch.randn(dimensions, generator=generator(seed, "first weights"), dtype=torch.float64)
        theta[0] = 0
        drawn.append((x, truth, torch.where(redrawn, coin, truth), 2 * theta / theta.norm()))
    return method.Gaussians(*(torch.stack(several).double() for several in zip(*drawn, strict=True)))


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

    arms = {"cross-entropy": Arm("baseline"), "ELR": Arm("method", elr="strength")}
    outputs = {
        "test_accuracy": share(LINE, "test accuracy", "exact accuracy on new points"),
        "wrong_true": share(LINE, "true class", "share of wrongly labeled points predicted as what they are"),
        "wrong_memorized": share(LINE, "wrong label", "share of wrongly labeled points predicted as labeled"),
        "clean_true": share(LINE, "right", "share of rightly labeled points predicted right"),
        "cosine": Var(LINE, "cos(−∇L, v)", "cosine of the descent direction with the true direction", low=-1, high=1),
        "clean_kappa": Var(LINE, "right labels", "mean κ² of rightly labeled points", low=0),
        "wrong_kappa": Var(LINE, "wrong labels", "mean κ² of wrongly labeled points", low=0),
        "along_truth": Var(LINE, "θᵀv", "component of the weights along the true direction"),
        "stopping_time": Var("arm seed", "T", "first step with θᵀv ≥ 1/10 (NaN: not reached)", "steps", low=0),
    }
    # fmt: off
    views = (
        View("Early and late", (
            Curves("Does the descent point to the truth?", ["cosine"], ["cross-entropy"],
                   lines=[Line("y", 1 / 6, "1/6"), END]),
            Curves("Are wrongly labeled points seen as what they are?", ["wrong_true"], y="share predicted true",
                   lines=[END]),
            Curves("Cross-entropy: who makes the gradient?", ["wrong_kappa", "clean_kappa"], ["cross-entropy"],
                   "mean κ²", [END]),
            Curves("How good is it on new points?", ["test_accuracy"], peak="cross-entropy"),
        )),
    )
    # fmt: on
    scaled = "the theorem speaks of n → ∞; here n = 200 and p = 180, and 4000 steps stand for t → ∞"
    headline = "test_accuracy"
    grid = {"spread": (0.1, 0.15, 0.2, 0.3, 0.4), "ratio": (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)}
    smoke = {"steps": 50}
    equals_baseline = (({"strength": 0}, "ELR"),)
    may_be_nan = ("wrong_true", "wrong_memorized", "wrong_kappa", "stopping_time")

    def _times(self) -> np.ndarray:
        late = np.geomspace(40, self.steps, 120).round().astype(int)
        return np.unique(np.concatenate([np.arange(min(40, self.steps)), late[late <= self.steps]]))

    def axes(self) -> dict[str, Axis]:
        """The first 40 steps, then steps in equal ratios to the end."""
        return {"time": Axis(self._times(), label="step of gradient descent", log=True)}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Descend with both arms and all seeds at once; a frame at each recorded step."""
        lanes, problem = self.lanes(seeds), gaussians(seeds, self.ratio, self.spread, self.noise)
        labels = F.one_hot((problem.observed < 0).long(), 2).double()
        strength = lanes.split(lanes.each("elr", dtype=torch.float64))
        theta = lanes.split(lanes.repeat(problem.weights))
        targets = torch.zeros(len(self.arms), *labels.shape, dtype=torch.float64)
        reached = torch.full((len(self.arms), len(seeds)), torch.nan)
        times = self._times().tolist()
        for t in range(self.steps + 1):
            # [A, S, n]: one product for both arms, [S, n, p] @ [S, p, A]
            scores = (problem.inputs @ theta.permute(1, 2, 0)).permute(2, 0, 1)
            logits = torch.stack([scores, -scores], -1)
            targets = method.update_targets(targets, logits, self.target_momentum)
            coefficients = logits.softmax(-1) - labels + strength * method.elr_gradient(logits, targets)
            # half of (coefficient of θᵀx minus coefficient of -θᵀx); for cross-entropy this is κ/2
            both = (coefficients[..., 0] - coefficients[..., 1]) / 2
            gradient = (problem.inputs.mT @ both.permute(1, 2, 0)).permute(2, 0, 1) / EXAMPLES
            if t in times:
                yield self._measure(times.index(t), problem, theta, scores, gradient)
            if t == self.steps:
                break
            theta = theta - self.learning_rate * gradient
            reached = torch.where(reached.isnan() & (theta[..., 0] >= 0.1), t + 1, reached)
            if t % 20 == 19:
                yield Tick((t + 1) / self.steps)
        yield Frame({}, {"stopping_time": reached})

    def _measure(self, at: int, problem: method.Gaussians, theta: Tensor, scores: Tensor, gradient: Tensor) -> Frame:
        """Every value is [A, S]."""
        wrong, squared = problem.wrong, method.kappa(scores, problem.observed).square()
        true_margin = scores * problem.truth
        values = {
            "test_accuracy": method.linear_accuracy(theta, self.spread),
            "wrong_true": metrics.share_where(true_margin > 0, wrong),
            "wrong_memorized": metrics.share_where(true_margin < 0, wrong),
            "clean_true": metrics.share_where(true_margin > 0, ~wrong),
            "cosine": -gradient[..., 0] / gradient.norm(dim=-1),
            "clean_kappa": metrics.mean_where(squared, ~wrong),
            "wrong_kappa": metrics.mean_where(squared, wrong),
            "along_truth": theta[..., 0],
        }
        return Frame({"time": at}, values)


@dataclass(frozen=True)
class EndOfEarlyLearning(Experiment):
    """Descend on cross-entropy to step T, the end of early learning, and measure there."""

    # with fewer coins there may be no wrong label, with more no step T
    noise: float = knob(dataclasses.replace(COINS, low=0.2, high=0.6))
    spread: float = knob(dataclasses.replace(SPREAD, low=0.01, stops=(0.01, 0.02, 0.05, *SPREAD.stops)))
    ratio: float = knob(RATIO)
    learning_rate: float = knob(RATES)

    outputs = {
        "product": Var("seed", "T·η", "first step T at which θᵀv ≥ 1/10, times the learning rate", low=0),
        "measured": share("seed", "measured", "share of wrongly labeled points predicted as what they are, at step T"),
        "formula": share("seed", "formula", "Φ(θᵀv/(σ‖θ‖)) for the weights at step T"),
    }
    scaled = f"n = {EXAMPLES} examples"

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """One frame."""
        problem = gaussians(seeds, self.ratio, self.spread, self.noise)
        time, theta = method.stopping_time(problem, self.learning_rate)
        right = (problem.inputs @ theta.unsqueeze(-1)).squeeze(-1) * problem.truth > 0
        found = {"product": time * self.learning_rate, "measured": metrics.share_where(right, problem.wrong)}
        found["formula"] = method.linear_accuracy(theta, self.spread)
        yield Frame({}, {name: found[name] for name in self.outputs})


class StoppingTime(
    Across, sibling=EndOfEarlyLearning, knob="learning_rate", values=LEARNING_RATES, outputs=("product",)
):
    """Measure when early learning ends, T, for several learning rates: the theorem says that T·η stays the same."""

    views = (View("T times η", (Curves("Is T inversely proportional to the learning rate?", ["product"]),)),)
    headline = "product"
    smoke = {"ratio": 0.3}


class EarlyAccuracy(Across, sibling=EndOfEarlyLearning, knob="spread", values=SPREADS, outputs=("measured", "formula")):
    """At the end of early learning, measure the accuracy on wrongly labeled points for several spreads σ."""

    views = (View("Accuracy at T", (
        Curves("At step T, how many wrongly labeled points are predicted right?", ["measured", "formula"], y="share"),
    )),)  # fmt: skip
    headline = "measured"
    smoke = {"ratio": 0.3}


EXPERIMENTS = (Memorization, LinearTheory, StoppingTime, EarlyAccuracy)
