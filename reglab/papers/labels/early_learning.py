"""Early-learning regularization (ELR): remember what the network believed before it learned the wrong labels.

Sheng Liu, Jonathan Niles-Weed, Narges Razavian, Carlos Fernandez-Granda, NeurIPS 2020, arXiv 2007.00151.

Departures from the paper: digits and a small network instead of CIFAR and ResNet-34, no augmentation, a constant
learning rate. In the linear theory the first weights are drawn with no component along the true direction, which is
the limit that the theorem speaks about. ELR+ (two networks, weight averaging, mixup) is not built.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reglab import data, metrics, replicas
from reglab.catalogue import Paper
from reglab.claims import Claim
from reglab.data import Seeds, generator
from reglab.experiment import Axis, Experiment, Frame, Tick, Var, knob

if TYPE_CHECKING:
    import xarray as xr

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

    noise: float = knob(
        0.4, low=0, high=0.8, step=0.1, symbol="r", help="share of training labels drawn anew, uniformly"
    )
    strength: float = knob(3.0, low=0, high=15, step=0.5, symbol="λ", help="weight of the regularizer")
    target_momentum: float = knob(
        0.7,
        stops=(0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.97),
        symbol="β",
        help="memory of the targets: share kept at each visit",
    )
    learning_rate: float = knob(0.02, stops=(0.005, 0.01, 0.02, 0.05, 0.1), symbol="η", help="step size of SGD")
    epochs: int = knob(50, low=1, high=200, step=1, help="passes over the training digits")

    arms = {"cross-entropy": "baseline", "ELR": "method", "ELR, no memory": "ablation", "KL": "ablation"}
    outputs = {
        "test_accuracy": Var(
            "arm",
            "seed",
            "epoch",
            low=0,
            high=1,
            label="test accuracy",
            help="share of the 797 test digits classified right",
        ),
        "clean_true": Var(
            "arm",
            "seed",
            "epoch",
            low=0,
            high=1,
            label="predicted true",
            help="share of rightly labelled training digits predicted right",
        ),
        "wrong_true": Var(
            "arm",
            "seed",
            "epoch",
            low=0,
            high=1,
            label="predicted true",
            help="share of wrongly labelled training digits predicted as what they are",
        ),
        "wrong_memorized": Var(
            "arm",
            "seed",
            "epoch",
            low=0,
            high=1,
            label="memorized wrong labels",
            help="share of wrongly labelled training digits predicted as their wrong label",
        ),
        "wrong_other": Var(
            "arm",
            "seed",
            "epoch",
            low=0,
            high=1,
            label="predicted other",
            help="share of wrongly labelled training digits predicted as a third digit",
        ),
        "target_accuracy": Var(
            "arm",
            "seed",
            "epoch",
            low=0,
            high=1,
            label="accuracy of the targets",
            help="share of training digits whose largest target is the true digit",
        ),
        "clean_residual": Var(
            "arm",
            "seed",
            "epoch",
            low=0,
            label="‖p − y‖, right labels",
            help="mean length of p − y on rightly labelled training digits",
        ),
        "wrong_residual": Var(
            "arm",
            "seed",
            "epoch",
            low=0,
            label="‖p − y‖, wrong labels",
            help="mean length of p − y on wrongly labelled training digits",
        ),
        "wrong_push": Var(
            "arm",
            "seed",
            "epoch",
            label="cross-entropy",
            help="coefficient of cross-entropy on the true class of wrongly labelled digits (positive: pushed away from the truth)",
        ),
        "wrong_pull": Var(
            "arm",
            "seed",
            "epoch",
            label="regularizer",
            help="coefficient of the regularizer, λg, on the true class of wrongly labelled digits",
        ),
        "wrong_total": Var(
            "arm",
            "seed",
            "epoch",
            label="sum",
            help="sum of the two coefficients on the true class of wrongly labelled digits",
        ),
        "clean_pull": Var(
            "arm",
            "seed",
            "epoch",
            label="regularizer, right labels",
            help="coefficient of the regularizer, λg, on the true class of rightly labelled digits",
        ),
        "path": Var(
            "arm",
            "seed",
            "example",
            "corner",
            "epoch",
            low=0,
            high=1,
            help="predicted probability of the true digit, of one other digit (the wrong label, if there is one) and of all the rest, for some training digits",
        ),
    }
    headline = "test_accuracy"
    grid = {"strength": (0, 0.5, 1, 3, 7, 15), "noise": (0, 0.2, 0.4, 0.6, 0.8)}
    smoke = {"epochs": 2}
    equals_baseline = (({"strength": 0}, "ELR"), ({"strength": 0}, "ELR, no memory"), ({"strength": 0}, "KL"))

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

        def for_arms(*values: float) -> Tensor:
            return torch.tensor(values).repeat_interleave(len(seeds)).reshape(models, 1, 1)

        strength, kl_strength = for_arms(0, self.strength, self.strength, 0), for_arms(0, 0, 0, self.strength)
        momentum = for_arms(self.target_momentum, self.target_momentum, 0, self.target_momentum)
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
        """Return p at three corners for five rightly and five wrongly labelled digits: [A, S, 10, 3], NaN if too few."""
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
    """Two Gaussian classes for S seeds: inputs [S, n, p] float64, true and observed signs [S, n], first weights [S, p]."""

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

    noise: float = knob(
        0.4,
        low=0,
        high=0.9,
        step=0.1,
        symbol="Δ",
        help="share of labels redrawn by a fair coin (half of them come out wrong)",
    )
    spread: float = knob(0.2, stops=(0.1, 0.15, 0.2, 0.3, 0.4), symbol="σ", help="standard deviation of the Gaussians")
    ratio: float = knob(
        0.9, stops=(0.3, 0.5, 0.7, 0.8, 0.9, 0.95), symbol="p/n", help="dimensions for each of the 200 examples"
    )
    strength: float = knob(3.0, low=0, high=15, step=0.5, symbol="λ", help="weight of the regularizer")
    target_momentum: float = knob(
        0.7, stops=(0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.97), symbol="β", help="memory of the targets: share kept at each step"
    )
    learning_rate: float = knob(
        0.1, stops=(0.02, 0.05, 0.1, 0.2, 0.5), symbol="η", help="step size of gradient descent"
    )
    steps: int = knob(4000, low=50, high=10000, step=50, help="steps of gradient descent")

    arms = {"cross-entropy": "baseline", "ELR": "method"}
    outputs = {
        "test_accuracy": Var(
            "arm",
            "seed",
            "time",
            low=0,
            high=1,
            label="test accuracy",
            help="exact accuracy on new points, from the normal distribution",
        ),
        "wrong_true": Var(
            "arm",
            "seed",
            "time",
            low=0,
            high=1,
            label="predicted true",
            help="share of wrongly labelled points predicted as what they are",
        ),
        "wrong_memorized": Var(
            "arm",
            "seed",
            "time",
            low=0,
            high=1,
            label="memorized",
            help="share of wrongly labelled points predicted as labelled",
        ),
        "clean_true": Var(
            "arm",
            "seed",
            "time",
            low=0,
            high=1,
            label="right labels predicted true",
            help="share of rightly labelled points predicted right",
        ),
        "cosine": Var(
            "arm",
            "seed",
            "time",
            low=-0.5,
            high=1,
            label="cos(−∇L, v)",
            help="cosine of the descent direction with the true direction",
        ),
        "clean_kappa": Var(
            "arm",
            "seed",
            "time",
            low=0,
            label="mean κ², right labels",
            help="mean squared gradient coefficient of rightly labelled points",
        ),
        "wrong_kappa": Var(
            "arm",
            "seed",
            "time",
            low=0,
            label="mean κ², wrong labels",
            help="mean squared gradient coefficient of wrongly labelled points",
        ),
        "along_truth": Var(
            "arm", "seed", "time", label="θᵀv", help="component of the weights along the true direction"
        ),
        "norm": Var("arm", "seed", "time", low=0, label="‖θ‖", help="length of the weights"),
        "moved": Var("arm", "seed", "time", low=0, label="‖θ − θ₀‖", help="distance from the first weights"),
        "stopping_time": Var(
            "arm", "seed", low=0, unit="steps", label="T", help="first step at which θᵀv ≥ 1/10 (NaN: not reached)"
        ),
        "path": Var(
            "arm",
            "seed",
            "example",
            "time",
            low=0,
            high=1,
            label="probability of the true class",
            help="predicted probability of the true class for one rightly and one wrongly labelled point",
        ),
        "projection": Var(
            "arm",
            "point",
            "direction",
            help="the points of the first seed on v and on the rest of the final θ, and their true and observed sign",
        ),
    }
    headline = "test_accuracy"
    grid = {"spread": (0.1, 0.15, 0.2, 0.3, 0.4), "ratio": (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)}
    smoke = {"steps": 50}
    equals_baseline = (({"strength": 0}, "ELR"),)
    examples = 200

    def _times(self) -> np.ndarray:
        late = np.geomspace(40, self.steps, 40).round().astype(int)
        return np.unique(np.concatenate([np.arange(min(40, self.steps)), late[late <= self.steps]]))

    def axes(self) -> dict[str, Axis]:
        """The first 40 steps, then steps in equal ratios to the end."""
        return {
            "time": Axis(self._times(), unit="steps", label="step of gradient descent", log=True),
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

    noise: float = knob(0.4, low=0, high=0.9, step=0.1, symbol="Δ", help="share of labels redrawn by a fair coin")
    spread: float = knob(0.2, stops=(0.1, 0.15, 0.2, 0.3, 0.4), symbol="σ", help="standard deviation of the Gaussians")
    ratio: float = knob(
        0.9, stops=(0.3, 0.5, 0.7, 0.8, 0.9, 0.95), symbol="p/n", help="dimensions for each of the 200 examples"
    )

    outputs = {
        "time": Var("seed", "learning_rate", unit="steps", low=0, label="T", help="first step at which θᵀv ≥ 1/10"),
        "product": Var("seed", "learning_rate", low=0, high=1, label="T·η", help="that step times the learning rate"),
    }
    headline = "product"
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
    """At the end of early learning, measure the accuracy on wrongly labelled points for several spreads σ."""

    noise: float = knob(0.4, low=0.1, high=0.9, step=0.1, symbol="Δ", help="share of labels redrawn by a fair coin")
    ratio: float = knob(
        0.9, stops=(0.3, 0.5, 0.7, 0.8, 0.9, 0.95), symbol="p/n", help="dimensions for each of the 200 examples"
    )
    learning_rate: float = knob(0.1, stops=(0.02, 0.05, 0.1, 0.2), symbol="η", help="step size of gradient descent")

    outputs = {
        "measured": Var(
            "seed",
            "spread",
            low=0,
            high=1,
            label="measured",
            help="share of wrongly labelled points predicted as what they are, at step T",
        ),
        "formula": Var(
            "seed", "spread", low=0, high=1, label="formula", help="Φ(θᵀv/(σ‖θ‖)) for the weights at step T"
        ),
    }
    headline = "measured"
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

    noise: float = knob(0.4, low=0, high=0.9, step=0.1, symbol="Δ", help="share of labels redrawn by a fair coin")
    spread: float = knob(0.2, stops=(0.1, 0.15, 0.2, 0.3, 0.4), symbol="σ", help="standard deviation of the Gaussians")

    outputs = {
        "separable": Var(
            "seed", "ratio", low=0, high=1, label="separable", help="1 when some θ fits all noisy labels, else 0"
        ),
    }
    headline = "separable"
    smoke = {}
    ratios = (0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9, 0.95)

    def axes(self) -> dict[str, Axis]:
        """Eight ratios of dimensions to examples."""
        return {"ratio": Axis(self.ratios, label="dimensions for each example, p/n")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """One frame for each ratio."""
        for i, ratio in enumerate(self.ratios):
            problem = gaussians(
                seeds, LinearTheory.examples, round(ratio * LinearTheory.examples), self.spread, self.noise
            )
            answers = []
            for j, (x, y) in enumerate(zip(problem.inputs.numpy(), problem.observed.numpy(), strict=True)):
                answers.append(float(separable(x, y)))
                yield Tick((i + (j + 1) / len(seeds)) / len(self.ratios))
            yield Frame({"ratio": i}, {"separable": answers})


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


DIGITS = "CIFAR-10 and ResNet-34 became 1000 digits and one hidden layer; loss, targets, noise and optimizer are kept"
FINITE = "the theorem speaks of n → ∞; here n = 200 and p = 180"
CURVES = "CIFAR-10, 40 % symmetric noise: ResNet-34 first predicts the true class of most wrongly labelled images, later their wrong labels"

CLAIMS = (
    Claim(
        "early learning",
        "Cross-entropy first predicts the true class of wrongly labelled digits, then forgets it: fall of that share from its peak to the end",
        of=Memorization,
        effect=lambda r: fall(r, "wrong_true", "cross-entropy"),
        above=0.3,
        essential=True,
        reported=f"{CURVES} (Fig. 1)",
        scaled=DIGITS,
    ),
    Claim(
        "memorization hurts",
        "The test accuracy of cross-entropy falls from its peak to the end",
        of=Memorization,
        effect=lambda r: fall(r, "test_accuracy", "cross-entropy"),
        above=0.05,
        essential=True,
        reported="Test accuracy falls once the wrong labels are memorized (Fig. 1, Section 1)",
        scaled=DIGITS,
    ),
    Claim(
        "prevents memorization",
        "ELR ends more accurate than cross-entropy: difference of the final test accuracies",
        of=Memorization,
        effect=lambda r: advantage(r, "cross-entropy"),
        above=0.1,
        essential=True,
        reported="CIFAR-10, 40 % symmetric noise: 81.88 % → 89.15 % (60 %: 74.14 % → 86.12 %)",
        scaled=DIGITS,
    ),
    Claim(
        "few memorized",
        "ELR memorizes few wrong labels: final share",
        of=Memorization,
        effect=lambda r: last(r, "wrong_memorized", "ELR"),
        below=0.15,
        essential=True,
        reported="Almost no wrong label is memorized (Fig. 1, bottom)",
        scaled=DIGITS,
    ),
    Claim(
        "pulls to the truth",
        "Late in ELR training the regularizer pulls wrongly labelled digits to the true class: λg there",
        of=Memorization,
        effect=lambda r: last(r, "wrong_pull", "ELR"),
        below=0,
        essential=True,
        reported="The regularizer's gradient is negative at the true class (Lemma 2, Fig. 2)",
        scaled=DIGITS,
    ),
    Claim(
        "cancels cross-entropy",
        "That pull cancels at least half of the push of cross-entropy: share cancelled",
        of=Memorization,
        effect=lambda r: -last(r, "wrong_pull", "ELR") / last(r, "wrong_push", "ELR"),
        above=0.5,
        essential=True,
        reported="It neutralizes the gradient of wrongly labelled examples (Section 4.2)",
        scaled=DIGITS,
    ),
    Claim(
        "wrong labels dominate",
        "Late in cross-entropy training wrongly labelled digits have the larger gradients: difference of mean ‖p − y‖",
        of=Memorization,
        effect=lambda r: last(r, "wrong_residual", "cross-entropy") - last(r, "clean_residual", "cross-entropy"),
        above=0,
        essential=True,
        reported="Wrongly labelled examples dominate the gradient after early learning (Section 3, Fig. 2)",
        scaled=DIGITS,
    ),
    Claim(
        "shape matters",
        "ELR ends more accurate than the same targets with a KL term: difference of the final test accuracies",
        of=Memorization,
        effect=lambda r: advantage(r, "KL"),
        above=0.05,
        essential=True,
        reported="The KL form overfits the targets (Appendix C)",
        scaled=DIGITS,
    ),
    Claim(
        "no noise, no effect",
        "Without wrong labels ELR changes nothing: difference of the final test accuracies",
        of=Memorization,
        at={"clean": {"noise": 0.0}},
        effect=lambda r: advantage(r, "cross-entropy"),
        within=(-0.01, 0.01),
        reported="Not reported; a limit we checked",
        scaled=DIGITS,
    ),
    Claim(
        "unstable without memory",
        "With β = 0 (the target is the present prediction) ELR is unstable: standard deviation of the final test accuracy over seeds",
        of=Memorization,
        effect=lambda r: last(r, "test_accuracy", "ELR, no memory").std("seed", ddof=1),
        above=0.1,
        rule="bootstrap",
        reported="CIFAR-10, 60 % noise, β = 0: 38 % (Appendix H)",
        scaled=DIGITS,
    ),
    Claim(
        "memory helps",
        "ELR ends more accurate than ELR with β = 0: difference of the final test accuracies",
        of=Memorization,
        effect=lambda r: advantage(r, "ELR, no memory"),
        above=0.05,
        reported="CIFAR-10, 60 % noise: 86 % against 38 % with β = 0 (Appendix H)",
        scaled=DIGITS,
    ),
    Claim(
        "early direction",
        "Until step T the descent direction points to the truth: smallest cos(−∇L, v)",
        of=LinearTheory,
        effect=lambda r: early(r, "cosine").min("time"),
        above=1 / 6,
        rule="every seed",
        essential=True,
        reported="At least 1/6 for all t < T (Proposition 3)",
        scaled=FINITE,
    ),
    Claim(
        "stays near",
        "Until step T the weights stay near their start: largest ‖θ − θ₀‖",
        of=LinearTheory,
        effect=lambda r: early(r, "moved").max("time"),
        below=1,
        rule="every seed",
        reported="At most 1 for all t < T (Proposition 3)",
        scaled=FINITE,
    ),
    Claim(
        "right labels fade",
        "Until step T the mean κ² of rightly labelled points falls: change",
        of=LinearTheory,
        effect=lambda r: change_until_stopping(r, "clean_kappa"),
        below=-0.05,
        rule="every seed",
        essential=True,
        reported="Falls by more than 0.05 (Proposition 5)",
        scaled=FINITE,
    ),
    Claim(
        "wrong labels grow",
        "Until step T the mean κ² of wrongly labelled points rises: change",
        of=LinearTheory,
        effect=lambda r: change_until_stopping(r, "wrong_kappa"),
        above=0.05,
        rule="every seed",
        essential=True,
        reported="Rises by more than 0.05 (Proposition 5)",
        scaled=FINITE,
    ),
    Claim(
        "time scales",
        "T is inversely proportional to η: spread of the mean T·η over four learning rates, half range over middle",
        of=StoppingTime,
        effect=lambda r: half_range(r["product"].mean("seed")),
        below=0.15,
        rule="bootstrap",
        essential=True,
        reported="T = Ω(1/η) (Theorem 4)",
        scaled=FINITE,
    ),
    Claim(
        "late memorization",
        "In the end gradient descent fits the wrong labels: share of wrongly labelled points predicted as labelled",
        of=LinearTheory,
        effect=lambda r: last(r, "wrong_memorized", "cross-entropy"),
        above=0.95,
        essential=True,
        reported="All noisy labels are fitted as t → ∞ (Theorem 4)",
        scaled=f"{FINITE}, and 4000 steps",
    ),
    Claim(
        "late harm",
        "Meanwhile the exact test accuracy falls from its peak to the end",
        of=LinearTheory,
        effect=lambda r: fall(r, "test_accuracy", "cross-entropy"),
        above=0.05,
        essential=True,
        reported="Memorization harms generalization (Section 3)",
        scaled=FINITE,
    ),
    Claim(
        "ELR keeps the truth",
        "With ELR the wrongly labelled points stay at their true class: final share",
        of=LinearTheory,
        effect=lambda r: last(r, "wrong_true", "ELR"),
        above=0.99,
        essential=True,
        reported="Two Gaussians in 100 dimensions, 40 % random labels: no memorization with ELR (Appendix B)",
        scaled=FINITE,
    ),
    Claim(
        "ELR keeps accuracy",
        "With ELR the exact test accuracy stays near 1: final value",
        of=LinearTheory,
        effect=lambda r: last(r, "test_accuracy", "ELR"),
        above=0.99,
        essential=True,
        reported="The same picture (Appendix B)",
        scaled=FINITE,
    ),
    Claim(
        "early accuracy",
        "At step T, for σ ≤ 0.02, almost all wrongly labelled points are predicted right: share over σ = 0.01 and 0.02",
        of=EarlyAccuracy,
        effect=lambda r: r.measured.sel(spread=[0.01, 0.02]).mean("spread"),
        above=0.99,
        essential=True,
        reported="Accuracy at T above .9999 for σ small enough (Theorem 4)",
        scaled=FINITE,
    ),
    Claim(
        "early accuracy formula",
        "For larger σ that share follows Φ(θᵀv/(σ‖θ‖)): largest distance of the means over σ",
        of=EarlyAccuracy,
        effect=lambda r: abs((r.measured - r.formula).mean("seed")).max("spread"),
        below=0.05,
        rule="exact",
        essential=True,
        reported="Follows from the Gaussian model (Appendix A)",
        scaled=FINITE,
    ),
    Claim(
        "separable",
        "At p/n = 0.9, above 1 − Δ/2, some θ fits every noisy label",
        of=Separability,
        effect=lambda r: r.separable.sel(ratio=0.9),
        above=0.5,
        rule="every seed",
        reported="Separable when p/n > 1 − Δ/2 (Theorem 6)",
        scaled="n = 200",
    ),
)


def half_range(values: xr.DataArray) -> float:
    """Return half the range of some numbers over the middle of the range."""
    return float((values.max() - values.min()) / (values.max() + values.min()))
