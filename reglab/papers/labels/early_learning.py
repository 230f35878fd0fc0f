"""Early-learning regularization (ELR): remember what the network believed before it learned the wrong labels.

Sheng Liu, Jonathan Niles-Weed, Narges Razavian, Carlos Fernandez-Granda, NeurIPS 2020, arXiv 2007.00151.

Departures from the paper: digits and a small network instead of CIFAR and ResNet-34, no augmentation, a constant
learning rate. In the linear theory the first weights are drawn with no component along the true direction, which is
the limit that the theorem speaks about. ELR+ (two networks, weight averaging, mixup) is not built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reglab import data, metrics
from reglab.catalogue import Paper
from reglab.claims import Claim
from reglab.data import Seeds, generator
from reglab.exercise import Wrong
from reglab.experiment import Axis, Experiment, Frame, Knob, Tick, Var, knob, share
from reglab.models import replicas
from reglab.pictures.views import FURTHER, METHOD, WIDE, Curves, Line, Shares, View

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

PAPER = Paper(
    part="labels",
    slug="early_learning",
    title="Early-Learning Regularization Prevents Memorization of Noisy Labels",
    short="ELR",
    authors=("Sheng Liu", "Jonathan Niles-Weed", "Narges Razavian", "Carlos Fernandez-Granda"),
    venue="NeurIPS",
    year=2020,
    arxiv="2007.00151",
    code="https://github.com/shengliu66/ELR",
    sources=(
        "the official code (loss, trainer, settings, noise generator) and the main text and appendices A to I of the "
        "paper in a full translation"
    ),
    idea=(
        "A network believes the true labels before it memorizes the wrong ones; keep that early belief as a target, "
        "and the wrong labels lose their pull."
    ),
    minutes=45,
    prerequisites=("softmax and cross-entropy", "gradient descent", "overfitting"),
)

SMALLEST = 1e-4
"""Probabilities are clamped to [1e-4, 1 - 1e-4], as in the official code."""

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
WRONG = FURTHER[3]
"""The look of wrongly labeled examples in the pictures of this page."""


# ---------------------------------------------------------------------------------------------------- the method


def clamp(probabilities: Tensor) -> Tensor:
    """Return p̃: the probabilities clamped to [1e-4, 1 - 1e-4]; the gradient of a clamped component is 0."""
    return probabilities.clamp(SMALLEST, 1 - SMALLEST)


def update_targets(targets: Tensor, logits: Tensor, momentum: float | Tensor) -> Tensor:
    """Return t ← βt + (1-β)p̃/Σp̃, the running average of the predictions: [..., N, C] (Section 4.3).

    No gradient flows. Targets start at zero and are not renormalized: after k visits they sum to 1 - β^k.
    """
    p = clamp(logits.detach().softmax(-1))
    return momentum * targets + (1 - momentum) * p / p.sum(-1, keepdim=True)


def elr_regularizer(logits: Tensor, targets: Tensor) -> Tensor:
    """Return log(1 - ⟨p̃, t⟩), averaged over the batch: [..., N, C] -> [...] (Eq. 7, second term without λ)."""
    agreement = (clamp(logits.softmax(-1)) * targets).sum(-1)
    return torch.log(1 - agreement).mean(-1)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy over the batch: [..., N, C], [..., N] -> [...]."""
    return -logits.log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1).mean(-1)


def elr_loss(logits: Tensor, labels: Tensor, targets: Tensor, strength: float | Tensor) -> Tensor:
    """Return the loss of Eq. 7, cross-entropy + λ·log(1 - ⟨p, t⟩), with the targets already updated."""
    return cross_entropy(logits, labels) + strength * elr_regularizer(logits, targets)


def elr_gradient(logits: Tensor, targets: Tensor) -> Tensor:
    """Return g, the gradient of log(1 - ⟨p̃, t⟩) in each example's logits: [..., N, C] (Lemma 2).

    Where nothing is clamped, g_c = p_c(⟨p, t⟩ - t_c)/(1 - ⟨p, t⟩).
    """
    p = logits.softmax(-1)
    inside = (p >= SMALLEST) & (p <= 1 - SMALLEST)
    pull = -targets * inside / (1 - (clamp(p) * targets).sum(-1, keepdim=True))
    return p * (pull - (pull * p).sum(-1, keepdim=True))


def kl_regularizer(logits: Tensor, targets: Tensor) -> Tensor:
    """Return -Σ_c t_c log p_c, averaged over the batch: the alternative of Appendix C, [..., N, C] -> [...]."""
    return -(targets * logits.log_softmax(-1)).sum(-1).mean(-1)


def kl_gradient(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the gradient of -Σ_c t_c log p_c in each example's logits: pΣt - t, [..., N, C] (Appendix C)."""
    return logits.softmax(-1) * targets.sum(-1, keepdim=True) - targets


# ----------------------------------------------------------------------------------------- experiment B: digits


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
                fresh = update_targets(targets[every, index], logits, momentum)
                targets[every, index] = fresh
                loss = elr_loss(logits, labels.repeat(arms, 1), fresh, strength.flatten())
                loss = loss + kl_strength.flatten() * kl_regularizer(logits, fresh)
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
        pull = strength.view(arms, seeds, 1, 1) * elr_gradient(z, t) + kl_strength.view(
            arms, seeds, 1, 1
        ) * kl_gradient(z, t)
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


# ------------------------------------------------------------------------------- experiment A: the linear theory


@dataclass(frozen=True)
class Gaussians:
    """Two Gaussian classes for S seeds: inputs [S, n, p], true and observed signs [S, n], first weights [S, p]."""

    inputs: Tensor
    truth: Tensor
    observed: Tensor
    weights: Tensor

    @property
    def wrong(self) -> Tensor:
        """Which examples carry a wrong label: [S, n] bool."""
        return self.observed != self.truth


def gaussians(seeds: Seeds, examples: int, dimensions: int, spread: float, noise: float) -> Gaussians:
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
    return Gaussians(
        torch.stack(inputs), torch.stack(truths).double(), torch.stack(labels).double(), torch.stack(weights)
    )


def kappa(scores: Tensor, observed: Tensor) -> Tensor:
    """Return κ = tanh(θᵀx) - ε, the coefficient of each example in the gradient of cross-entropy (Eq. 3)."""
    return torch.tanh(scores) - observed


def linear_gradient(inputs: Tensor, coefficients: Tensor) -> Tensor:
    """Return ∇L = (1/2n) Σ_i x_i κ_i: [..., n, p], [..., n] -> [..., p] (Section 3).

    It belongs to L = (1/2n) Σ log(1 + exp(-2εθᵀx)); the appendix prints the loss in another scale.
    """
    return (inputs.mT @ coefficients.unsqueeze(-1)).squeeze(-1) / (2 * inputs.shape[-2])


def linear_accuracy(theta: Tensor, spread: float) -> Tensor:
    """Return the exact test accuracy Φ(θᵀv/(σ‖θ‖)) of linear weights, v the first axis: [..., p] -> [...]."""
    return torch.special.ndtr(theta[..., 0] / (spread * theta.norm(dim=-1)))


def separable(inputs: np.ndarray, labels: np.ndarray) -> bool:
    """Tell whether some θ has ε_i θᵀx_i ≥ 1 for all i (no bias): a linear program, [n, p] and [n]."""
    from scipy.optimize import linprog

    n, p = inputs.shape
    found = linprog(np.zeros(p), A_ub=-labels[:, None] * inputs, b_ub=-np.ones(n), bounds=(None, None), method="highs")
    return bool(found.status == 0)


def stopping_time(problem: Gaussians, learning_rate: float, most: int = 1000) -> tuple[Tensor, Tensor]:
    """Return T, the first step t ≥ 1 with θ_tᵀv ≥ 1/10 under cross-entropy, and θ_T: [S], [S, p] (Theorem 4)."""
    theta, times, stopped = problem.weights, torch.full((len(problem.weights),), torch.nan), problem.weights.clone()
    for t in range(1, most + 1):
        scores = (problem.inputs @ theta.unsqueeze(-1)).squeeze(-1)
        theta = theta - learning_rate * linear_gradient(problem.inputs, kappa(scores, problem.observed))
        arrived = (theta[:, 0] >= 0.1) & times.isnan()
        times[arrived], stopped[arrived] = t, theta[arrived]
        if not times.isnan().any():
            break
    return times, stopped


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
            targets = update_targets(targets, logits, self.target_momentum)
            coefficients = logits.softmax(-1) - labels + strength * elr_gradient(logits, targets)
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
        self, position: int, problem: Gaussians, theta: Tensor, scores: Tensor, gradient: Tensor, wrong: Tensor
    ) -> Frame:
        """Every value is [A, S]."""
        squared = kappa(scores, problem.observed).square()
        true_margin = scores * problem.truth
        picked = [[mask.nonzero()[0, 0] if mask.any() else 0 for mask in (~row, row)] for row in wrong]
        examples = torch.tensor(picked).expand(2, -1, -1)
        path = torch.sigmoid(2 * true_margin).gather(-1, examples)
        values = {
            "test_accuracy": linear_accuracy(theta, self.spread),
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

    def _project(self, problem: Gaussians, theta: Tensor) -> Tensor:
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
            time, _ = stopping_time(problem, rate)
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
            _, theta = stopping_time(problem, self.learning_rate)
            right = (problem.inputs @ theta.unsqueeze(-1)).squeeze(-1) * problem.truth > 0
            values = {"measured": metrics.share_where(right, problem.wrong), "formula": linear_accuracy(theta, spread)}
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
                yield Frame({"ratio": i, "seed": j}, {"separable": float(separable(x, y))})
                yield Tick((i + (j + 1) / len(seeds)) / len(self.ratios))


# ---------------------------------------------------------------------------------- pictures that occur only once


def draw_paths(figure: Figure, results: xr.Dataset) -> str:
    """Draw how the predictions for some digits of the first seed wander between three corners, a panel for each arm.

    Corners: the true digit, one other digit (the wrong label where there is one), all other digits together.
    """
    arms = ("cross-entropy", "ELR")
    rows = 2 if figure.get_figwidth() < WIDE else 1
    corners = np.array([[0, 0], [1, 0], [0.5, 0.75**0.5]])
    ends = []
    for axes, arm in zip(figure.subplots(rows, len(arms) // rows, squeeze=False).flat, arms, strict=True):
        axes.set_aspect("equal")
        axes.set_axis_off()
        axes.set_title(f"{arm}: where do predictions go?", pad=12)
        axes.fill(*corners.T, facecolor="#f7f7f7", edgecolor="#808080")
        axes.text(0, -0.03, "true digit", ha="center", va="top")
        axes.text(1, -0.03, "wrong label or\nother digit", ha="center", va="top")
        axes.text(0.53, 0.87, "all others", ha="left", va="center")
        for kind, look, marker in (("right label", METHOD, "s"), ("wrong label", WRONG, "^")):
            chosen = [name for name in results.example.values if name.startswith(kind)]
            paths = (
                results.path.isel(seed=0).sel(arm=arm, example=chosen).transpose("example", "epoch", "corner").values
            )
            shown = np.unique(np.geomspace(1, paths.shape[1], 12).round().astype(int)) - 1
            for path in paths[:, shown] @ corners:
                axes.plot(*path.T, color=look.color, ls=look.line, lw=1.2, alpha=0.7)
                axes.plot(*path[-1], color=look.color, marker=marker, ms=8, mec="white", ls="", zorder=4)
            axes.plot([], [], color=look.color, ls=look.line, marker=marker, label=f"5 digits, {kind}")
            ends.append(f"{arm}, {kind}: {(paths[:, -1].argmax(-1) == 0).sum()} of {len(paths)} end at the true digit")
        axes.legend(loc="upper left", fontsize=8.5, frameon=False, borderaxespad=0, bbox_to_anchor=(-0.08, 1.0))
        axes.set_xlim(-0.15, 1.15)
    return (
        "Triangles of predicted probabilities, first seed, one path for each digit at twelve epochs. "
        + "; ".join(ends)
        + "."
    )


def draw_projection(figure: Figure, results: xr.Dataset) -> str:
    """Draw the first seed's points on the true direction v and on the rest of the final weights, for both arms."""
    rows = 2 if figure.get_figwidth() < WIDE else 1
    said = []
    grid = figure.subplots(rows, len(LinearTheory.arms) // rows, squeeze=False, sharex=True, sharey=True).flat
    for axes, arm in zip(grid, LinearTheory.arms, strict=True):
        along, rest, truth, observed = results.projection.sel(arm=arm).transpose("direction", "point").values
        last_theta = (
            results.along_truth.sel(arm=arm).isel(seed=0, time=-1),
            results.norm.sel(arm=arm).isel(seed=0, time=-1),
        )
        a, length = (float(value) for value in last_theta)
        b = max(length**2 - a**2, 1e-12) ** 0.5
        for sign, look in ((1, METHOD), (-1, WRONG)):
            for wrong, marker in ((False, "o"), (True, "X")):
                chosen = (observed == sign) & ((observed != truth) == wrong)
                name = f"label {'+' if sign > 0 else '−'}, {'wrong' if wrong else 'right'}"
                axes.plot(
                    along[chosen],
                    rest[chosen],
                    marker,
                    color=look.color,
                    ms=8 if wrong else 4,
                    label=name,
                    mec="black" if wrong else "none",
                    alpha=0.9 if wrong else 0.5,
                )
        height = np.array([rest.min(), rest.max()])
        axes.plot(-b / a * height, height, color="black", lw=1.5)
        axes.set_xlim(along.min() - 0.1, along.max() + 0.1)
        axes.set_title(f"{arm}: where is the border?")
        axes.set_xlabel("x along v (the truth)")
        axes.set_ylabel("x along the rest of θ")
        wrong = observed != truth
        missed = int(((a * along + b * rest) * observed < 0)[wrong].sum())
        said.append(f"{arm}: the border leaves {missed} of {wrong.sum()} wrongly labeled points on their true side")
    axes.legend(fontsize=8.5, loc="best")
    return "Points of the first seed in the plane of v and the rest of the final weights. " + "; ".join(said) + "."


EXPERIMENTS = (Memorization, LinearTheory, StoppingTime, EarlyAccuracy, Separability)


# ------------------------------------------------------------------------------------------------------ the claims


def last(results: xr.Dataset, variable: str, arm: str) -> xr.DataArray:
    """Return the last value of a variable for one arm: one number per seed."""
    axis = "epoch" if "epoch" in results.dims else "time"
    return results[variable].sel(arm=arm).isel({axis: -1})


def fall(results: xr.Dataset, variable: str, arm: str) -> xr.DataArray:
    """Return how far a variable of one arm falls from its highest to its last value: one number per seed."""
    axis = "epoch" if "epoch" in results.dims else "time"
    return results[variable].sel(arm=arm).max(axis) - last(results, variable, arm)


def advantage(results: xr.Dataset, over: str) -> xr.DataArray:
    """Return the last test accuracy of ELR minus that of another arm: one number per seed."""
    return last(results, "test_accuracy", "ELR") - last(results, "test_accuracy", over)


def early(results: xr.Dataset, variable: str) -> xr.DataArray:
    """Return a variable of the cross-entropy arm before its step T, NaN from then on: [seed, time]."""
    curves = results[variable].sel(arm="cross-entropy")
    return curves.where(results.time < results.stopping_time.sel(arm="cross-entropy"))


def change_until_stopping(results: xr.Dataset, variable: str) -> xr.DataArray:
    """Return how much a variable of the cross-entropy arm has changed at its step T: one number per seed."""
    curves, stop = results[variable].sel(arm="cross-entropy"), results.stopping_time.sel(arm="cross-entropy")
    return curves.where(results.time == stop).max("time") - curves.isel(time=0)


# fmt: off
CLAIMS = (
    Claim("early learning", Memorization,
          "Cross-entropy first predicts the true class of wrongly labeled digits, then forgets it: fall of that "
          "share from its peak to the end",
          "CIFAR-10, 40 %: ResNet-34 first predicts the true class of most wrongly labeled images (Fig. 1)",
          lambda r: fall(r, "wrong_true", "cross-entropy"), above=0.3, essential=True),
    Claim("memorization hurts", Memorization,
          "The test accuracy of cross-entropy falls from its peak to the end",
          "Test accuracy falls once the wrong labels are memorized (Fig. 1, Section 1)",
          lambda r: fall(r, "test_accuracy", "cross-entropy"), above=0.05, essential=True),
    Claim("prevents memorization", Memorization,
          "ELR ends more accurate than cross-entropy: difference of the final test accuracies",
          "CIFAR-10, 40 % symmetric noise: 81.88 % → 89.15 % (60 %: 74.14 % → 86.12 %)",
          lambda r: advantage(r, "cross-entropy"), above=0.1, essential=True),
    Claim("few memorized", Memorization,
          "ELR memorizes few wrong labels: final share",
          "Almost no wrong label is memorized (Fig. 1, bottom)",
          lambda r: last(r, "wrong_memorized", "ELR"), below=0.15, essential=True),
    Claim("pulls to the truth", Memorization,
          "Late in ELR training the regularizer pulls wrongly labeled digits to the true class: λg there",
          "The regularizer's gradient is negative at the true class (Lemma 2, Fig. 2)",
          lambda r: last(r, "wrong_pull", "ELR"), below=0, essential=True),
    Claim("cancels cross-entropy", Memorization,
          "That pull cancels at least half of the push of cross-entropy: share cancelled",
          "It neutralizes the gradient of wrongly labeled examples (Section 4.2)",
          lambda r: -last(r, "wrong_pull", "ELR") / last(r, "wrong_push", "ELR"), above=0.5, essential=True),
    Claim("wrong labels dominate", Memorization,
          "Late in cross-entropy training wrongly labeled digits have the larger gradients: difference of mean ‖p − "
          "y‖",
          "Wrongly labeled examples dominate the gradient after early learning (Section 3, Fig. 2)",
          lambda r: last(r, "wrong_residual", "cross-entropy") - last(r, "clean_residual", "cross-entropy"),
          above=0, essential=True),
    Claim("shape matters", Memorization,
          "ELR ends more accurate than the same targets with a KL term: difference of the final test accuracies",
          "The KL form overfits the targets (Appendix C)",
          lambda r: advantage(r, "KL"), above=0.05, essential=True),
    Claim("no noise, no effect", Memorization,
          "Without wrong labels ELR changes nothing: difference of the final test accuracies",
          "Not reported; a limit we checked",
          lambda r: advantage(r, "cross-entropy"), at={"clean": {"noise": 0.0}}, within=(-0.01, 0.01)),
    Claim("unstable without memory", Memorization,
          "With β = 0 (the target is the present prediction) ELR is unstable: standard deviation of the final test "
          "accuracy over seeds",
          "CIFAR-10, 60 % noise, β = 0: 38 % (Appendix H)",
          lambda r: last(r, "test_accuracy", "ELR, no memory").std("seed", ddof=1), above=0.1, rule="bootstrap",
          why="Eight seeds are few to measure a spread, so its interval is wide; more seeds would narrow it."),
    Claim("memory helps", Memorization,
          "ELR ends more accurate than ELR with β = 0: difference of the final test accuracies",
          "CIFAR-10, 60 % noise: 86 % against 38 % with β = 0 (Appendix H)",
          lambda r: advantage(r, "ELR, no memory"), above=0.05),
    Claim("early direction", LinearTheory,
          "Until step T the descent direction points to the truth: smallest cos(−∇L, v)",
          "At least 1/6 for all t < T (Proposition 3)",
          lambda r: early(r, "cosine").min("time"), above=1 / 6, rule="every seed", essential=True),
    Claim("stays near", LinearTheory,
          "Until step T the weights stay near their start: largest ‖θ − θ₀‖",
          "At most 1 for all t < T (Proposition 3)",
          lambda r: early(r, "moved").max("time"), below=1, rule="every seed"),
    Claim("right labels fade", LinearTheory,
          "Until step T the mean κ² of rightly labeled points falls: change",
          "Falls by more than 0.05 (Proposition 5)",
          lambda r: change_until_stopping(r, "clean_kappa"), below=-0.05, rule="every seed", essential=True),
    Claim("wrong labels grow", LinearTheory,
          "Until step T the mean κ² of wrongly labeled points rises: change",
          "Rises by more than 0.05 (Proposition 5)",
          lambda r: change_until_stopping(r, "wrong_kappa"), above=0.05, rule="every seed", essential=True),
    Claim("time scales", StoppingTime,
          "T is inversely proportional to η: spread of the mean T·η over four learning rates, half range over middle",
          "T = Ω(1/η) (Theorem 4)",
          lambda r: half_range(r["product"].mean("seed")), below=0.15, rule="bootstrap", essential=True),
    Claim("late memorization", LinearTheory,
          "In the end gradient descent fits the wrong labels: share of wrongly labeled points predicted as labeled",
          "All noisy labels are fitted as t → ∞ (Theorem 4)",
          lambda r: last(r, "wrong_memorized", "cross-entropy"), above=0.95, essential=True),
    Claim("late harm", LinearTheory,
          "Meanwhile the exact test accuracy falls from its peak to the end",
          "Memorization harms generalization (Section 3)",
          lambda r: fall(r, "test_accuracy", "cross-entropy"), above=0.05, essential=True),
    Claim("ELR keeps the truth", LinearTheory,
          "With ELR the wrongly labeled points stay at their true class: final share",
          "Two Gaussians in 100 dimensions, 40 % random labels: no memorization with ELR (Appendix B)",
          lambda r: last(r, "wrong_true", "ELR"), above=0.99, essential=True),
    Claim("ELR keeps accuracy", LinearTheory,
          "With ELR the exact test accuracy stays near 1: final value",
          "The same picture (Appendix B)",
          lambda r: last(r, "test_accuracy", "ELR"), above=0.99, essential=True, robust=True),
    Claim("early accuracy", EarlyAccuracy,
          "At step T, for σ ≤ 0.02, almost all wrongly labeled points are predicted right: share over σ = 0.01 and "
          "0.02",
          "Accuracy at T above .9999 for σ small enough (Theorem 4)",
          lambda r: r.measured.sel(spread=[0.01, 0.02]).mean("spread"), above=0.99, essential=True),
    Claim("early accuracy formula", EarlyAccuracy,
          "For larger σ that share follows Φ(θᵀv/(σ‖θ‖)): largest distance of the means over σ",
          "Follows from the Gaussian model (Appendix A)",
          lambda r: abs((r.measured - r.formula).mean("seed")).max("spread"), below=0.05, rule="exact", essential=True),
    Claim("separable", Separability,
          "At p/n = 0.9, above 1 − Δ/2, some θ fits every noisy label",
          "Separable when p/n > 1 − Δ/2 (Theorem 6)",
          lambda r: r.separable.sel(ratio=0.9), above=0.5, rule="every seed"),
)
# fmt: on


def half_range(values: xr.DataArray) -> float:
    """Return half the range of some numbers over the middle of the range."""
    return float((values.max() - values.min()) / (values.max() + values.min()))


# ------------------------------------------------------------------------------------------- checks of the exercises


def check_gradient(answer: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Check a student's gradient of log(1 - ⟨p, t⟩) in the logits against automatic differentiation."""
    logits = torch.randn(5, 4, generator=generator(0, "exercise")).requires_grad_()
    targets = 0.7 * torch.randn(5, 4, generator=generator(1, "exercise")).softmax(-1)
    found = answer(logits.detach(), targets)
    if found is None:
        raise NotImplementedError
    if not isinstance(found, Tensor) or found.shape != logits.shape:
        raise Wrong(f"return a tensor of shape {tuple(logits.shape)}, one number for each logit.")
    torch.log(1 - (logits.softmax(-1) * targets).sum(-1)).sum().backward()
    assert logits.grad is not None
    if torch.allclose(found, logits.grad, atol=1e-5):
        return "It equals what automatic differentiation finds, and each row sums to zero."
    if torch.allclose(found, -logits.grad, atol=1e-5):
        raise Wrong("the size is right, the sign is not: this is the way down, the gradient points up.")
    if torch.allclose(found / len(logits), logits.grad, atol=1e-5) or torch.allclose(
        found * len(logits), logits.grad, atol=1e-5
    ):
        raise Wrong("do not average over the batch: each row is the gradient of its own example.")
    if not torch.allclose(found.sum(-1), torch.zeros(5), atol=1e-5):
        raise Wrong("each row must sum to zero, since the softmax does not feel a constant added to all logits.")
    raise Wrong("apply the chain rule: first log(1 - s), then s = ⟨p, t⟩, then the softmax.")


def check_strength(answer: Callable[[float], float]) -> str:
    """Check a student's strength at which push and pull cancel for two classes with t = p = (q, 1 - q)."""
    for q in (0.6, 0.75, 0.9, 0.99):
        found = answer(q)
        if found is None:
            raise NotImplementedError
        p = torch.tensor([[q, 1 - q]], dtype=torch.float64)
        total = float((p[0, 0] + found * elr_gradient(p.log(), p)[0, 0]).abs())
        if total > 1e-6:
            raise Wrong(
                f"at q = {q} the sum of push and pull is {total:.3f}, not 0. The push is q; what is g₁ in terms of q?"
            )
    return "Push and pull cancel at every q we tried."
