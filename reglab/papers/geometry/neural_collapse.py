"""Perturbation analysis of neural collapse: what decides how close to collapse the features of a network come.

Tom Tirer, Haoxiang Huang, Jonathan Niles-Weed, ICML 2023, arXiv 2210.16658.

Departures from the paper: digits and a small network without normalization layers instead of ResNet-18 on CIFAR-10,
with squared errors only; layers are added to a network on digits, five instead of ten. The response near collapse
(`factors`) and the bound on the variability are derived from the paper's model for every β; the paper gives their
leading order for large β. The minimizer at β = 0 is found by the same alternating minimization as all others.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reglab import data, metrics
from reglab.catalogue import Paper
from reglab.claims import Claim
from reglab.data import Seeds, generator
from reglab.exercise import Wrong
from reglab.experiment import Axis, Experiment, Frame, Knob, Tick, Var, knob, settings_of, share
from reglab.models import replicas
from reglab.pictures.views import Curves, Dots, Line, Points, View

if TYPE_CHECKING:
    import xarray as xr

PAPER = Paper(
    part="geometry",
    slug="neural_collapse",
    title="Perturbation Analysis of Neural Collapse",
    short="Neural collapse",
    authors=("Tom Tirer", "Haoxiang Huang", "Jonathan Niles-Weed"),
    venue="ICML",
    year=2023,
    arxiv="2210.16658",
    code="",
    sources="the whole main text (Sections 1 to 6) of the arXiv version; not the appendices with the proofs",
    idea=(
        "Trained features of a class shrink towards one point, and weight decay on the layers that make the features, "
        "more than on the last layer, decides how far they shrink."
    ),
    minutes=60,
    prerequisites=("linear algebra: trace, eigenvalues, least squares", "gradient descent", "weight decay"),
)

CLASSES, DIMENSIONS = 4, 10
"""K and d of the exact model."""

LAMBDA_H = Knob(
    0.05, 0.0125, 0.4, stops=(0.0125, 0.025, 0.05, 0.1, 0.2, 0.4), symbol="λ_H", help="price of large features"
)
LAMBDA_W = Knob(0.5, 0.125, 2, stops=(0.125, 0.25, 0.5, 1, 2), symbol="λ_W", help="price of a large classifier")
BETA = Knob(1.0, 0.03, 100, stops=(0.03, 0.1, 0.3, 1, 3, 10, 100), symbol="β", help="price of moving away from H₀")
SIGMA = Knob(
    1.0, 0.1, 2, stops=(0.1, 0.2, 0.5, 1, 2), symbol="σ", help="spread of the first features around their mean"
)
DECAY = Knob(2e-3, 0, 1e-2, stops=(0, 1e-3, 2e-3, 4e-3, 1e-2), help="weight decay of the layers that make the features")
NEAR_H = Knob(0.05, 0.0125, 0.1, stops=(0.0125, 0.025, 0.05, 0.1), symbol="λ_H", help="price of large features")
VARIABILITY = "variability NC1~"
SCATTER = "Tr Σ_W / Tr Σ_B: scatter of features within classes over that between class means"


# ---------------------------------------------------------------------------------------------------- the method
# H [..., d, N] holds the features, class after class, n for each of K classes; W [..., K, d]; Y [..., K, N] one-hot.


def objective(
    W: Tensor, H: Tensor, H0: Tensor, Y: Tensor, lambda_W: float, lambda_H: float | Tensor, beta: float | Tensor
) -> Tensor:
    """Return f(W, H; H₀) of Eq. 2; with β = 0 it is Eq. 1: [..., 1, 1]."""
    K, N = Y.shape[-2:]

    def square(matrix: Tensor) -> Tensor:
        return matrix.square().sum((-2, -1), keepdim=True)

    fit = square(W @ H - Y) + lambda_H * square(H) + beta * square(H - H0)
    return fit / (2 * N) + lambda_W * square(W) / (2 * K)


def best_weights(H: Tensor, Y: Tensor, n: int, lambda_W: float | Tensor) -> Tensor:
    """Return W*(H) = YHᵀ(HHᵀ + nλ_W I)⁻¹, the best classifier for given features: [..., K, d] (Section 3)."""
    d = H.shape[-2]
    return torch.linalg.solve(H @ H.mT + n * lambda_W * torch.eye(d, dtype=H.dtype), H @ Y.mT).mT


def best_features(W: Tensor, H0: Tensor, Y: Tensor, lambda_H: float | Tensor, beta: float | Tensor) -> Tensor:
    """Return (WᵀW + (λ_H + β)I)⁻¹(WᵀY + βH₀), the best features for a given classifier: [..., d, N]."""
    d = H0.shape[-2]
    curvature = W.mT @ W + (lambda_H + beta) * torch.eye(d, dtype=H0.dtype)
    return torch.linalg.solve(curvature, W.mT @ Y + beta * H0)


def velocity(H: Tensor, Y: Tensor, n: int, lambda_W: float | Tensor, lambda_H: float | Tensor) -> Tensor:
    """Return Ḣ = W*ᵀ(Y - W*H) - λ_H H, the flow along the central path: [..., d, N] (Eq. 4)."""
    W = best_weights(H, Y, n, lambda_W)
    return W.mT @ (Y - W @ H) - lambda_H * H


def radius_velocity(r: Tensor, lambda_W: float, lambda_H: float) -> Tensor:
    """Return ṙ = 2r(λ_W/(r + λ_W)² - λ_H), the same flow where all class means have length √r and right angles."""
    return 2 * r * (lambda_W / (r + lambda_W) ** 2 - lambda_H)


def runge_kutta(slope: Callable[[Tensor], Tensor], x: Tensor, dt: float) -> Tensor:
    """Take one step of the classical fourth-order Runge-Kutta method along ẋ = slope(x)."""
    k1 = slope(x)
    k2 = slope(x + dt / 2 * k1)
    k3 = slope(x + dt / 2 * k2)
    k4 = slope(x + dt * k3)
    return x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def alternate(
    H0: Tensor,
    Y: Tensor,
    n: int,
    lambda_W: float | Tensor,
    lambda_H: float | Tensor,
    beta: float | Tensor,
    most: int = 20_000,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Minimize Eq. 2 from H₀ by turns, best W then best H; yield W, H and the relative change of H [...].

    Both turns are exact, so f never rises. Stops at a relative change of 1e-12, or after `most` turns.
    """
    H = H0
    for _ in range(most):
        W, before = best_weights(H, Y, n, lambda_W), H
        H = best_features(W, H0, Y, lambda_H, beta)
        change = torch.linalg.matrix_norm(H - before) / torch.linalg.matrix_norm(H)
        yield W, H, change
        if (change < 1e-12).all():
            break


def compressed(H0: Tensor, Y: Tensor) -> tuple[Tensor, Tensor]:
    """Return H₀ and Y turned into few columns: [..., d, N] and [..., K, N] -> d + K columns each.

    Eq. 2 does not change when all columns are mixed by one orthogonal matrix, and the rest of the columns is zero.
    """
    d, K = H0.shape[-2], Y.shape[-2]
    _, triangle = torch.linalg.qr(torch.cat([H0, Y.expand(*H0.shape[:-2], -1, -1)], -2).mT)
    return triangle.mT[..., :d, : d + K], triangle.mT[..., d:, : d + K]


def collapsed(R: Tensor, n: int, lambda_W: float, lambda_H: float) -> tuple[Tensor, Tensor]:
    """Return the minimizer W*, H* of Eq. 1 whose class means lie along the columns of R [..., d, K] (Theorem 2.1).

    With c = √(λ_H λ_W) ≤ 1 the means have length √ρ, ρ = (1-c)√(λ_W/λ_H); for c > 1 all is zero.
    """
    rho = max(1 - math.sqrt(lambda_H * lambda_W), 0) * math.sqrt(lambda_W / lambda_H)
    means = math.sqrt(rho) * R
    return math.sqrt(lambda_H / lambda_W) * means.mT, means.repeat_interleave(n, -1)


def response(W: Tensor, H: Tensor, Y: Tensor, lambda_W: float, lambda_H: float, beta: float) -> Tensor:
    """Return F [dN, dN] with vec δH ≈ F vec δH₀ at a minimizer of Eq. 2, columns stacked (Theorem 4.1)."""
    (K, d), N = W.shape, H.shape[1]
    eye_d, eye_N, eye_K = (torch.eye(size, dtype=H.dtype) for size in (d, N, K))
    HH = torch.kron(eye_N, W.T @ W + (lambda_H + beta) * eye_d)
    WW = torch.kron(H @ H.T + N / K * lambda_W * eye_d, eye_K)
    dW = torch.eye(K * d, dtype=H.dtype).unflatten(1, (d, K)).mT  # every entry of W once, columns stacked
    HW = (dW.mT @ (W @ H - Y) + W.T @ dW @ H).mT.flatten(1).T  # [dN, Kd]
    return beta * torch.linalg.inv(HH - HW @ torch.linalg.solve(WW, HW.T))  # the factors 1/Kn cancel


def factors(beta: float, lambda_W: float, lambda_H: float) -> tuple[float, float, float]:
    """Return a, b, s: what is left of a small change of a collapsed H₀, for every β.

    Deviations from the class means shrink by a within the span of the means and by b outside it. A symmetric change of
    the means along themselves shrinks by s. To first order in 1/β this is Theorem 4.2.
    """
    c = math.sqrt(lambda_H * lambda_W)
    a = beta / (beta + math.sqrt(lambda_H / lambda_W))
    return a, beta / (beta + lambda_H), beta / (beta + 4 * lambda_H * (1 - c))


def staircase(beta: float, lambda_W: float, lambda_H: float, K: int, d: int, n: int) -> Tensor:
    """Return the singular values [dn] of the block F_kk at a collapsed H₀, largest first, from `factors`."""
    a, b, s = factors(beta, lambda_W, lambda_H)
    steps = {1.0: d - K, b: (d - K) * (n - 1), a: K * (n - 1), (1 + s) / 2: K - 1, s: 1}
    levels = [level for level, count in steps.items() for _ in range(count)]
    return torch.tensor(levels, dtype=torch.float64).sort(descending=True).values


# ------------------------------------------------------------------------------------------ the network on digits


def few_digits(seeds: Seeds) -> data.Split:
    """Return 50 training digits of each class, class after class, and 800 others for testing, for every seed.

    The mean training image is taken off, then all is divided by one standard deviation, that of all training pixels.
    """
    parts = []
    for images, labels in zip(*_all_digits(seeds), strict=True):
        chosen = torch.cat([(labels == k).nonzero()[:50, 0] for k in range(10)])
        rest = torch.ones(len(labels), dtype=torch.bool)
        rest[chosen] = False
        x, y, new, truth = images[chosen], labels[chosen], images[rest][:800], labels[rest][:800]
        mean, scale = x.mean(0), (x - x.mean(0)).std()
        parts.append(((x - mean) / scale, y, (new - mean) / scale, truth))
    return data.Split(*(torch.stack(part) for part in zip(*parts, strict=True)))


def _all_digits(seeds: Seeds) -> tuple[Tensor, Tensor]:
    """All digits in each seed's own order: [S, 1797, 64], [S, 1797]."""
    everything = data.digits(seeds, train=1797)
    return everything.train_inputs, everything.train_labels


def hidden(inputs: int, outputs: int, sources: list[torch.Generator], copies: int = 1) -> replicas.Linear:
    """Return a layer for every generator with normal weights of variance 2/inputs (He et al. 2015) and biases 0."""
    drawn = [torch.randn(inputs, outputs, generator=source) * (2 / inputs) ** 0.5 for source in sources]
    return replicas.Linear(torch.stack(drawn).repeat(copies, 1, 1), torch.zeros(len(drawn) * copies, 1, outputs))


def train(
    features: nn.Module,
    head: replicas.Linear,
    inputs: Tensor,
    labels: Tensor,
    seeds: Seeds,
    epochs: int,
    feature_decay: Tensor,
    last_decay: Tensor,
) -> Iterator[float]:
    """Train M = arms · seeds networks on ½‖Wh - y‖²; yield the epochs done, often, and whole at the end of each.

    SGD in batches of 50, momentum 0.9, rate 0.03, a tenth of it after 1/2 and again after 5/6 of the epochs. Weight
    decay [M, 1, 1] is added to the gradient; inputs [S, N, D], labels [S, N].
    """
    decays = [(p, feature_decay) for p in features.parameters()] + [(p, last_decay) for p in head.parameters()]
    optimizer = torch.optim.SGD([p for p, _ in decays], lr=0.03, momentum=0.9)
    targets, row = F.one_hot(labels).float(), torch.arange(len(seeds)).unsqueeze(1)
    arms = len(feature_decay) // len(seeds)
    for epoch in range(1, epochs + 1):
        optimizer.param_groups[0]["lr"] = 0.03 * 0.1 ** ((epoch > epochs / 2) + (epoch > epochs * 5 / 6))
        order = data.batches(seeds, inputs.shape[1], 50, epoch)
        for step, index in enumerate(order, 1):
            x, y = inputs[row, index].repeat(arms, 1, 1), targets[row, index].repeat(arms, 1, 1)
            loss = (head(features(x)) - y).square().sum() / (2 * index.shape[1])
            optimizer.zero_grad()
            loss.backward()
            for p, decay in decays:
                assert p.grad is not None
                p.grad.add_(decay * p.detach())
            optimizer.step()
            if step % 5 == 0:
                yield epoch - 1 + step / len(order)


def by_class(features: Tensor) -> Tensor:
    """Split features of training digits by class: [..., 500, d] -> [..., 10, 50, d]."""
    return features.unflatten(-2, (10, 50))


CURVE = "arm seed epoch"


@dataclass(frozen=True)
class WeightDecay(Experiment):
    """Change the weight decay of the feature layers or of the last layer only and measure how far features collapse.

    Network 64-64-64-64-10 with ReLU and no last bias, 500 digits, squared errors. All arms of a seed share digits,
    first weights and batches.
    """

    feature_decay: float = knob(DECAY)
    last_decay: float = knob(
        2e-3, stops=(0, 1e-3, 2e-3, 4e-3, 1e-2), help="weight decay of the last layer, the classifier"
    )
    epochs: int = knob(90, low=2, high=200, step=1, help="passes over the training digits")

    arms = {
        "base": "baseline",
        "features × 2": "method",
        "last layer × 2": "ablation",
        "features 0": "ablation",
        "last layer 0": "ablation",
    }
    outputs = {
        "variability": Var(CURVE, VARIABILITY, SCATTER, low=0),
        "shift": Var(
            CURVE, "shift of log10 NC1~ from base", "log10 of the variability minus that of base, seed by seed"
        ),
        "nc1": Var(CURVE, "NC1", "the same with each direction of the class means weighed alike", low=0),
        "nc2": Var(CURVE, "NC2", "distance of the class means from equal lengths and equal angles", low=0),
        "nc3": Var(CURVE, "NC3", "distance of the centered classifier from the centered class means", low=0),
        "nc3_raw": Var(CURVE, "NC3, not centered", "the same without centering the classifier", low=0),
        "nc4": Var(CURVE, "NC4", "share of digits where classifier and nearest class mean decide differently", low=0),
        "train_error": Var(CURVE, "training error", "share of the 500 training digits classified wrong", low=0),
        "test_accuracy": Var(CURVE, "test accuracy", "share of the 800 test digits classified right", high=1),
    }
    # fmt: off
    views = (
        View("Which weight decay collapses features", (
            Curves("How much do features vary within a class?", ["variability"], log=True),
            Dots("How far from base does each end?", "shift", lines=[Line("x", 0, "")]),
        ), height=3.2),
        View("Other signs of collapse", (
            Curves("NC1: and with all directions alike?", ["nc1"], log=True),
            Curves("NC2: how far from equal angles?", ["nc2"]),
            Curves("NC3: how far is the classifier from the means?", ["nc3"]),
            Dots("NC4: how often does the nearest mean decide otherwise?", "nc4"),
        )),
        View("Errors", (
            Dots("Are the training digits learned?", "train_error"),
            Dots("Does it know new digits?", "test_accuracy"),
        )),
    )
    # fmt: on
    scaled = (
        "ResNet-18 on CIFAR-10 became 500 digits and three hidden layers; the five weight decays, squared errors, SGD "
        "and the steps of the learning rate are kept"
    )
    headline = "variability"
    grid = {"feature_decay": DECAY.stops, "last_decay": DECAY.stops}
    smoke = {"epochs": 2}
    equals_baseline = (
        ({"feature_decay": 0}, "features × 2"),
        ({"feature_decay": 0}, "features 0"),
        ({"last_decay": 0}, "last layer × 2"),
        ({"last_decay": 0}, "last layer 0"),
    )

    def axes(self) -> dict[str, Axis]:
        """Epochs from 0 (before training) on."""
        return {"epoch": Axis(range(self.epochs + 1), unit="epochs", label="epoch")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame for each epoch."""
        digits, arms = few_digits(seeds), len(self.arms)
        sources = [generator(seed, "weights") for seed in seeds]
        layers = [layer for _ in range(3) for layer in (hidden(64, 64, sources, arms), nn.ReLU(inplace=True))]
        features = nn.Sequential(*layers)
        head = replicas.linear(64, 10, sources, arms, weights=1 / 8, biases=None)

        def for_arms(decay: float, *multiples: float) -> Tensor:
            return decay * torch.tensor(multiples).repeat_interleave(len(seeds)).reshape(-1, 1, 1)

        feature_decay = for_arms(self.feature_decay, 1, 2, 1, 0, 1)
        last_decay = for_arms(self.last_decay, 1, 1, 2, 1, 0)
        yield from self._measure(0, features, head, digits)
        for done in train(
            features, head, digits.train_inputs, digits.train_labels, seeds, self.epochs, feature_decay, last_decay
        ):
            yield Tick(done / self.epochs)
            if done.is_integer():
                yield from self._measure(int(done), features, head, digits)

    @torch.no_grad()
    def _measure(
        self, epoch: int, features: nn.Module, head: replicas.Linear, digits: data.Split
    ) -> Iterator[Frame | Tick]:
        """Measure all models on all digits; every value is [A, S]."""
        sizes = (len(self.arms), len(digits.train_labels))

        def both(inputs: Tensor) -> tuple[Tensor, Tensor]:
            h = features(inputs.repeat(sizes[0], 1, 1))
            return h.unflatten(0, sizes), head(h).unflatten(0, sizes)

        test_accuracy = metrics.accuracy(both(digits.test_inputs)[1], digits.test_labels)
        yield Tick(epoch / self.epochs)
        h, logits = both(digits.train_inputs)
        values = _collapse(by_class(h), head.weight.mT.unflatten(0, sizes))
        level = values["variability"].log10()
        values |= {
            "shift": level - level[:1],
            "nc3_raw": metrics.nc3(by_class(h), head.weight.mT.unflatten(0, sizes), centered=False),
            "train_error": 1 - metrics.accuracy(logits, digits.train_labels),
            "test_accuracy": test_accuracy,
        }
        yield Frame({"epoch": epoch}, values)


def _collapse(features: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """All five measures of collapse: [..., K, n, d], [..., K, d] -> [...]."""
    return {
        "variability": metrics.nc1_ratio(features),
        "nc1": metrics.nc1(features),
        "nc2": metrics.nc2(features),
        "nc3": metrics.nc3(features, weights),
        "nc4": metrics.nc4(features, weights),
    }


# ------------------------------------------------------------------------------------------------ the exact model


def class_targets(K: int, n: int) -> Tensor:
    """Return Y = I_K ⊗ 1ᵀ, the one-hot labels of n examples of each class: [K, Kn]."""
    return torch.eye(K, dtype=torch.float64).repeat_interleave(n, 1)


def noisy_means(seeds: Seeds, n: int, sigma: float) -> Tensor:
    """Draw H₀ [S, d, N]: class means from N(0, I), around each n points with standard deviation σ."""
    means = data.normal(seeds, "class means", DIMENSIONS, CLASSES).repeat_interleave(n, -1)
    return means + sigma * data.normal(seeds, "noise", DIMENSIONS, CLASSES * n)


def frames_of(seeds: Seeds) -> Tensor:
    """Draw R [S, d, K] with orthonormal columns, the directions of collapsed class means."""
    return torch.linalg.qr(data.normal(seeds, "directions", DIMENSIONS, CLASSES)).Q


def features_by_class(H: Tensor, K: int = CLASSES) -> Tensor:
    """Turn H [..., d, Kn] into the form that the measures take, [..., K, n, d]."""
    return H.mT.unflatten(-2, (K, -1))


def settle(
    turns: Iterator[tuple[Tensor, Tensor, Tensor]], fraction: float
) -> Generator[Tick, None, tuple[Tensor, ...]]:
    """Run an alternating minimization to its end, with a tick now and then; return its last W, H and change."""
    state: tuple[Tensor, ...] = ()
    for turn, state in enumerate(turns):  # noqa: B007 - the last one counts
        if turn % 10 == 0:
            yield Tick(fraction)
    return state


def power_of_ten(change: Tensor) -> Tensor:
    """Return log10 of a relative change, no less than -16, the precision of the numbers."""
    return change.clamp(min=1e-16).log10()


LINE = "arm seed time"


@dataclass(frozen=True)
class Flow(Experiment):
    """Let features flow along the central path (Eq. 4) and follow the scatter within and between classes.

    K = 4 classes of n = 25 examples, d = 10. The third arm starts from class means at right angles, of squared length
    0.3, and deviations at right angles to all means; there the flow has a closed form.
    """

    lambda_H: float = knob(
        0.05, stops=(0, 0.0125, 0.025, 0.05, 0.1, 0.2, 0.4, 1), symbol="λ_H", help="price of large features"
    )
    lambda_W: float = knob(LAMBDA_W)
    sigma: float = knob(SIGMA)
    duration: float = knob(40.0, low=2, high=80, step=2, symbol="T", help="time at which the flow ends")

    arms = {"λ_H = 0": "baseline", "λ_H": "method", "λ_H, right angles": "further"}
    outputs = {
        "variability": Var(LINE, VARIABILITY, SCATTER, low=0),
        "within": Var(LINE, "Tr Σ_W", "scatter within classes", low=0),
        "between": Var(LINE, "Tr Σ_B", "scatter of the class means", low=0),
        "within_rescaled": Var(LINE, "exp(2λ_H t) Tr Σ_W", "scatter within classes without the common decay", low=0),
        "between_rescaled": Var(LINE, "exp(2λ_H t) Tr Σ_B", "scatter of the means without the common decay", low=0),
        "nc1": Var(LINE, "NC1", "the variability with each direction of the class means weighed alike", low=0),
        "nc2": Var(LINE, "NC2", "distance of the class means from equal lengths and equal angles", low=0),
        "nc3": Var(LINE, "NC3", "distance of the centered best classifier from the centered means", low=0),
        "nc4": Var(LINE, "NC4", "share of examples where classifier and nearest class mean decide differently", low=0),
        "size": Var(LINE, "‖H‖", "length of all features together", low=0),
        "expected": Var(LINE, "closed form", "variability from the scalar flow of the squared mean length", low=0),
    }
    # fmt: off
    views = (
        View("Collapse in time", (
            Curves("Does the variability always fall?", ["variability"], log=True, theory="expected"),
            Curves("Who shrinks, who grows?", ["within_rescaled", "between_rescaled", "between"], ["λ_H"], "scatter",
                   log=True),
        )),
        View("The four signs", (
            Curves("NC1: do features meet their mean?", ["nc1"], ["λ_H = 0", "λ_H"], log=True),
            Curves("NC2: do the means take equal angles?", ["nc2"], ["λ_H = 0", "λ_H"]),
            Curves("NC3: does the classifier follow the means?", ["nc3"], ["λ_H = 0", "λ_H"]),
            Curves("NC4: does the nearest mean decide otherwise?", ["nc4"], ["λ_H = 0", "λ_H"]),
        )),
        View("Size", (Curves("Do the features stay large?", ["size"], log=True),), columns=1),
    )
    # fmt: on
    scaled = "nothing: this is the paper's own model, with 4 classes of 25 examples in 10 dimensions"
    headline = "variability"
    smoke = {"duration": 2}
    equals_baseline = (({"lambda_H": 0}, "λ_H"),)
    may_be_nan = ("expected",)  # only the third arm has a closed form
    examples, dt, every = 25, 0.05, 8

    def axes(self) -> dict[str, Axis]:
        """Time in steps of 0.4."""
        step = self.dt * self.every
        return {"time": Axis(np.arange(round(self.duration / step) + 1) * step, label="time t")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Take Runge-Kutta steps with all arms and seeds at once; a frame every eight steps."""
        Y, n = class_targets(CLASSES, self.examples), self.examples
        noisy, R = noisy_means(seeds, n, self.sigma), frames_of(seeds)
        deviations = noisy - _means(noisy)
        right_angles = math.sqrt(0.3) * R.repeat_interleave(n, -1) + deviations - R @ (R.mT @ deviations)
        H, r = torch.stack([noisy, noisy, right_angles]), torch.tensor(0.3, dtype=torch.float64)
        decay = torch.tensor([0, self.lambda_H, self.lambda_H], dtype=torch.float64)
        lambda_H, within = decay.reshape(3, 1, 1, 1), metrics.class_scatter(features_by_class(H))[0][2]
        for position in range(len(self.axes()["time"].values)):
            time = position * self.dt * self.every
            expected = torch.full(H.shape[:2], torch.nan, dtype=torch.float64)
            expected[2] = within * math.exp(-2 * self.lambda_H * time) * CLASSES / ((CLASSES - 1) * r)
            yield Frame({"time": position}, {**self._measure(H, Y, time, decay.unsqueeze(1)), "expected": expected})
            yield Tick(min(time / self.duration, 1))
            for _ in range(self.every):
                H = runge_kutta(lambda h: velocity(h, Y, n, self.lambda_W, lambda_H), H, self.dt)
                r = runge_kutta(lambda x: radius_velocity(x, self.lambda_W, self.lambda_H), r, self.dt)

    def _measure(self, H: Tensor, Y: Tensor, time: float, decay: Tensor) -> dict[str, Tensor]:
        """Every value is [A, S]."""
        h = features_by_class(H)
        within, between = metrics.class_scatter(h)
        growth = torch.exp(2 * decay * time)
        return {
            **_collapse(h, best_weights(H, Y, self.examples, self.lambda_W)),
            "within": within,
            "between": between,
            "within_rescaled": growth * within,
            "between_rescaled": growth * between,
            "size": torch.linalg.matrix_norm(H),
        }


def _means(H: Tensor) -> Tensor:
    """Put the mean of its class in the place of every column: [..., d, N]."""
    return H.unflatten(-1, (CLASSES, -1)).mean(-1).repeat_interleave(H.shape[-1] // CLASSES, -1)


@dataclass(frozen=True)
class TiedFeatures(Experiment):
    """Tie the features to given ones, H₀, and see how far they collapse when the tie β is loose or tight (Eq. 2).

    K = 4 classes of n = 25 examples, d = 10; every point is the exact minimizer, found by alternating minimization.
    """

    beta: float = knob(0.1, stops=BETA.stops, symbol="β", help="price of moving away from H₀, in the picture of points")
    lambda_H: float = knob(LAMBDA_H)
    lambda_W: float = knob(LAMBDA_W)
    sigma: float = knob(SIGMA)

    arms = {"H₀ (β → ∞)": "baseline", "tied": "method", "free (β = 0)": "further"}
    outputs = {
        "variability": Var("arm seed tie", VARIABILITY, SCATTER, low=0),
        "chosen": Var("arm seed", "variability NC1~ at the chosen β", SCATTER, low=0),
        "contraction": Var("arm seed tie", "Tr Σ_W(H) / Tr Σ_W(H₀)", "scatter left within classes", low=0),
        "bound": Var("tie", "bound (β/(β + λ_H))²", "the most that can be left, for every H₀", low=0),
        "residual": Var(
            "seed tie", "log10 of the last change", "relative change of H in the last turn, as a power of ten"
        ),
        "place": Var("point plane", "H at the chosen β", "the first seed's tied features in the plane of H₀"),
        "start": Var("point plane", "H₀", "the first seed's given features in the plane where they spread most"),
        "group": Var("point", "class", "the class of each point, a number from zero"),
    }
    # fmt: off
    views = (
        View("Tied features", (
            Points("Where do the features move?", "place", origin="start", groups="group"),
            Curves("How much do features vary within a class?", ["variability"]),
        ), height=3.2),
        View("Contraction", (
            Curves("How much scatter within classes is left?", ["contraction"], ["tied"], theory="bound"),
        ), columns=1),
    )
    # fmt: on
    scaled = "nothing: this is the paper's own model, with 4 classes of 25 examples in 10 dimensions"
    headline = "chosen"
    grid = {"beta": BETA.stops, "lambda_H": (0.0125, 0.05, 0.1, 0.2, 0.4)}
    smoke = {"sigma": 0.5}
    examples = 25

    def axes(self) -> dict[str, Axis]:
        """The values of β, the points of the first seed, and the plane of its picture."""
        return {
            "tie": Axis(BETA.stops, label="tie to H₀, β", log=True),
            "point": Axis(range(CLASSES * self.examples)),
            "plane": Axis(["first", "second"]),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Minimize for the chosen β, for β = 0, then from the tightest tie to the loosest; a frame for each β."""
        betas = torch.tensor(BETA.stops, dtype=torch.float64)
        H0, Y = noisy_means(seeds, self.examples, self.sigma), class_targets(CLASSES, self.examples)
        h0, labels = features_by_class(H0), Y.argmax(0)
        before = metrics.class_scatter(h0)[0]

        def solved(H0: Tensor, beta: float, fraction: float) -> Generator[Tick, None, tuple[Tensor, ...]]:
            return settle(alternate(H0, Y, self.examples, self.lambda_W, self.lambda_H, beta), fraction)

        def found(H: Tensor) -> dict[str, Tensor]:
            h = features_by_class(H)
            return {"variability": metrics.nc1_ratio(h), "contraction": metrics.class_scatter(h)[0] / before}

        center = H0[0].mean(-1, keepdim=True)
        plane = torch.linalg.svd(H0[0] - center).U[:, :2].T
        yield Frame({}, {"bound": (betas / (betas + self.lambda_H)) ** 2, "group": labels})
        yield Frame({}, {"start": (plane @ (H0[0] - center)).T})
        _, H, _ = yield from solved(H0, self.beta, 0.0)
        yield Frame({}, {"place": (plane @ (H[0] - center)).T})
        _, free, _ = yield from solved(H0, 0.0, 0.1)
        for arm, features in zip(self.arms, (H0, H, free), strict=True):
            yield Frame({"arm": arm}, {"chosen": metrics.nc1_ratio(features_by_class(features))})
        for i in range(len(betas)):
            yield Frame({"arm": "H₀ (β → ∞)", "tie": i}, found(H0))
            yield Frame({"arm": "free (β = 0)", "tie": i}, found(free))
        for done, i in enumerate(reversed(range(len(betas))), 2):
            _, H, change = yield from solved(H0, float(betas[i]), done / (len(betas) + 2))
            yield Frame({"arm": "tied", "tie": i}, {**found(H), "residual": power_of_ten(change)})


@dataclass(frozen=True)
class Response(Experiment):
    """Change collapsed features H₀ a little and compute how the minimizer answers: the matrix F of Theorem 4.1.

    K = 4 classes of n = 10 examples, d = 10, as in the paper's first figure.
    """

    beta: float = knob(BETA)
    lambda_H: float = knob(NEAR_H)
    lambda_W: float = knob(LAMBDA_W)

    arms = {"λ_H": "baseline", "2 λ_H": "method", "4 λ_H": "further", "λ_H / 2": "further", "2 λ_W": "ablation"}
    outputs = {
        "spectrum": Var(
            "arm seed index", "singular value of F_kk", "how strongly a class answers its own changes", high=1
        ),
        "levels": Var("arm index", "closed form", "the same from the factors a, b and s", high=1),
        "between": share(
            "arm seed", "largest singular value of F_kl", "how strongly one class answers changes of another"
        ),
        "dominance": Var(
            "arm seed", "F_kl over F_kk", "largest answer between classes over the smallest within", low=0
        ),
        "error": Var(
            "arm seed epsilon", "relative error", "distance of F vec δH₀ from the measured δH, over that δH", low=0
        ),
    }
    # fmt: off
    views = (
        View("Staircase", (Curves("Which changes of a class are passed on?", ["spectrum"], theory="levels"),),
             columns=1, height=3.2),
        View("First order", (
            Curves("How wrong is the first order?", ["error"], log=True),
            Dots("How weak is the answer of other classes?", "dominance"),
        )),
    )
    # fmt: on
    scaled = "nothing: this is the paper's own model and the size of its first figure"
    headline = "spectrum"
    smoke = {"beta": 10}
    examples = 10
    epsilons = (1e-3, 1e-2, 0.1, 0.5)
    multiples = ((1, 1), (2, 1), (4, 1), (0.5, 1), (1, 2))
    """For each arm, by what λ_H and λ_W are multiplied."""

    def axes(self) -> dict[str, Axis]:
        """Singular values from the largest on, and sizes of the change of H₀."""
        return {
            "index": Axis(range(1, DIMENSIONS * self.examples + 1), label="number of the singular value"),
            "epsilon": Axis(self.epsilons, label="size ε of the change of H₀", log=True),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """One frame for each arm and seed with its F, then one for each arm with the measured answers."""
        R, Y, n = frames_of(seeds), class_targets(CLASSES, self.examples), self.examples
        block = DIMENSIONS * n
        sizes = torch.tensor(self.epsilons, dtype=torch.float64).reshape(-1, 1, 1, 1)
        draws = data.normal(seeds, "change", DIMENSIONS, CLASSES * n)
        for a, (times_H, times_W) in enumerate(self.multiples):
            lambda_H, lambda_W = times_H * self.lambda_H, times_W * self.lambda_W
            W, H = collapsed(R, n, lambda_W, lambda_H)
            levels = staircase(self.beta, lambda_W, lambda_H, CLASSES, DIMENSIONS, n)
            yield Frame({"arm": list(self.arms)[a]}, {"levels": levels})
            change = sizes * H.square().sum((-2, -1), keepdim=True).div(block * CLASSES).sqrt() * draws
            predicted = torch.zeros_like(change)
            for s in range(len(seeds)):
                answer = response(W[s], H[s], Y, lambda_W, lambda_H, self.beta)
                own, other = answer[:block, :block], answer[:block, block : 2 * block]
                spectrum, between = torch.linalg.svdvals(own), torch.linalg.matrix_norm(other, 2)
                values = {"spectrum": spectrum, "between": between, "dominance": between / spectrum[-1]}
                yield Frame({"arm": list(self.arms)[a], "seed": s}, values)
                yield Tick((a + (s + 1) / len(seeds)) / len(self.arms))
                # vec stacks columns: vec X = (Xᵀ).flatten()
                predicted[:, s] = (change[:, s].mT.flatten(1) @ answer.T).unflatten(1, (CLASSES * n, -1)).mT
            turns = alternate(H + change, Y, n, lambda_W, lambda_H, self.beta)
            _, moved, _ = yield from settle(turns, (a + 1) / len(self.arms))
            length = torch.linalg.matrix_norm(moved - H)
            error = torch.linalg.matrix_norm(moved - H - predicted) / length
            yield Frame({"arm": list(self.arms)[a]}, {"error": error.T})


@dataclass(frozen=True)
class Strengths(Experiment):
    """Near collapse, multiply λ_H or λ_W and measure how much of the scatter within classes is left.

    K = 4 classes of n = 25 examples, d = 10. H₀ is collapsed but for normal noise of relative size ε.
    """

    beta: float = knob(BETA)
    lambda_H: float = knob(NEAR_H)
    lambda_W: float = knob(0.5, stops=(0.125, 0.25, 0.5, 1), symbol="λ_W", help="price of a large classifier")
    epsilon: float = knob(0.01, stops=(0.001, 0.01, 0.1, 0.5), symbol="ε", help="size of the noise around collapse")

    arms = {"vary λ_W": "baseline", "vary λ_H": "method"}
    outputs = {
        "contraction": Var("arm seed factor", "Tr Σ_W(H) / Tr Σ_W(H₀)", "scatter left within classes"),
        "closed_form": share("arm factor", "closed form", "K/d a² + (d − K)/d b² near collapse"),
    }
    # fmt: off
    views = (
        View("Which strength matters", (
            Curves("How much scatter within classes is left?", ["contraction"], theory="closed_form"),
        ), columns=1, height=3.2),
    )
    # fmt: on
    scaled = "nothing: this is the paper's own model, with 4 classes of 25 examples in 10 dimensions"
    headline = "contraction"
    smoke = {"beta": 10}
    examples = 25
    multiples = (0.25, 0.5, 1, 2, 4, 8)

    def axes(self) -> dict[str, Axis]:
        """By what λ_H or λ_W is multiplied."""
        return {"factor": Axis(self.multiples, label="λ_H or λ_W, multiplied by", log=True)}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """One frame for each arm and factor."""
        R, Y, n = frames_of(seeds), class_targets(CLASSES, self.examples), self.examples
        draws = data.normal(seeds, "change", DIMENSIONS, CLASSES * n)
        share_in_span = CLASSES / DIMENSIONS
        for i, multiple in enumerate(self.multiples):
            for j, arm in enumerate(self.arms):
                lambda_W = self.lambda_W * (multiple if arm == "vary λ_W" else 1)
                lambda_H = self.lambda_H * (multiple if arm == "vary λ_H" else 1)
                _, H = collapsed(R, n, lambda_W, lambda_H)
                H0 = H + self.epsilon * H.square().sum((-2, -1), keepdim=True).div(H[0].numel()).sqrt() * draws
                turns = alternate(H0, Y, n, lambda_W, lambda_H, self.beta)
                _, found, _ = yield from settle(turns, (2 * i + j) / (2 * len(self.multiples)))
                within, before = (metrics.class_scatter(features_by_class(x))[0] for x in (found, H0))
                a, b, _ = factors(self.beta, lambda_W, lambda_H)
                expected = share_in_span * a**2 + (1 - share_in_span) * b**2
                yield Frame({"arm": arm, "factor": i}, {"contraction": within / before, "closed_form": expected})


# ----------------------------------------------------------------------------------------- depth, and the bridge


@dataclass(frozen=True)
class LayerWise(Experiment):
    """Build a network layer by layer, each trained while all before it are frozen, and measure collapse at each depth.

    Layers of 64 units; every new layer gets a fresh classifier. The other arm is the same layer before its training.
    """

    decay: float = knob(2e-3, stops=DECAY.stops, help="weight decay of the new layer and of its classifier")
    epochs: int = knob(60, low=2, high=200, step=1, help="passes over the training digits for each layer")

    arms = {"untrained": "baseline", "trained": "method"}
    outputs = {
        "variability": Var("arm seed depth", VARIABILITY, SCATTER, low=0),
        "nc1": Var("arm seed depth", "NC1", "the same with each direction of the class means weighed alike", low=0),
    }
    # fmt: off
    views = (
        View("Depth", (
            Curves("Does every layer collapse further?", ["variability"], log=True),
            Curves("NC1: and with all directions alike?", ["nc1"], log=True),
        )),
    )
    # fmt: on
    scaled = "up to ten layers on CIFAR-10 became five layers of 64 units on 500 digits; the protocol is kept"
    headline = "variability"
    smoke = {"epochs": 2}
    layers = 5

    def axes(self) -> dict[str, Axis]:
        """Depth 0 is the input."""
        return {"depth": Axis(range(self.layers + 1), unit="layers", label="hidden layers")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train one layer after the other, all seeds at once; a frame every four epochs."""
        digits, sources = few_digits(seeds), [generator(seed, "weights") for seed in seeds]
        inputs, decay = digits.train_inputs, torch.full((len(seeds), 1, 1), self.decay)
        for arm in self.arms:
            yield self._measured(arm, 0, inputs)
        for depth in range(1, self.layers + 1):
            layer = nn.Sequential(hidden(64, 64, sources), nn.ReLU(inplace=True))
            head = replicas.linear(64, 10, sources, weights=1 / 8, biases=None)
            yield self._measured("untrained", depth, layer(inputs))
            for done in train(layer, head, inputs, digits.train_labels, seeds, self.epochs, decay, decay):
                yield Tick((depth - 1 + done / self.epochs) / self.layers)
                if done % 4 == 0:
                    yield self._measured("trained", depth, layer(inputs))
            inputs = layer(inputs).detach()
            yield self._measured("trained", depth, inputs)

    @torch.no_grad()
    def _measured(self, arm: str, depth: int, features: Tensor) -> Frame:
        h = by_class(features)
        return Frame({"arm": arm, "depth": depth}, {"variability": metrics.nc1_ratio(h), "nc1": metrics.nc1(h)})


@dataclass(frozen=True)
class Bridge(Experiment):
    """Give the exact model the first hidden layer of a trained network as H₀, and compare with the real deeper layers.

    The network is the base arm of `WeightDecay`. The alternating minimization is stopped after 300 turns at most, which
    loose ties reach; `residual` says how far the last turn still moved.
    """

    lambda_H: float = knob(0.002, stops=(0.0005, 0.001, 0.002, 0.005), symbol="λ_H", help="price of large features")
    lambda_W: float = knob(0.02, stops=(0.005, 0.01, 0.02, 0.05), symbol="λ_W", help="price of a large classifier")
    epochs: int = knob(60, low=2, high=200, step=1, help="passes over the training digits")

    arms = {"λ_H": "baseline", "10 λ_H": "method"}
    outputs = {
        "variability": Var("arm seed beta", VARIABILITY, SCATTER, low=0),
        "contraction": Var("arm seed beta", "Tr Σ_W(H) / Tr Σ_W(H₀)", "scatter left within classes", low=0),
        "bound": Var("arm beta", "bound (β/(β + λ_H))²", "the most that can be left, for every H₀", low=0),
        "residual": Var(
            "arm seed beta", "log10 of the last change", "relative change of H in the last turn, as a power of ten"
        ),
        "layer_1": Var("seed", "layer 1", "variability of the first hidden layer, H₀", low=0),
        "layer_2": Var("seed", "layer 2", "variability of the second hidden layer", low=0),
        "layer_3": Var("seed", "layer 3", "variability of the third hidden layer", low=0),
    }
    # fmt: off
    views = (
        View("Model and network", (
            Curves("Does the model collapse like deeper layers?", ["variability"], log=True,
                   lines=[Line("y", f"layer_{i}", f"layer {i}") for i in (1, 2, 3)]),
            Curves("How much scatter within classes is left?", ["contraction"], log=True, theory="bound"),
        )),
        View("Is it the minimum", (Curves("How far did the last turn move H?", ["residual"]),), columns=1),
    )
    # fmt: on
    scaled = "a check of our own: the paper does not put features of a real network into its model"
    headline = "variability"
    smoke = {"epochs": 2}
    betas = (0.003, 0.01, 0.03, 0.3, 3)

    def axes(self) -> dict[str, Axis]:
        """Five ties to H₀."""
        return {"beta": Axis(self.betas, label="tie to H₀, β", log=True)}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train, measure the three layers, then minimize for each β; a frame for each."""
        digits, sources = few_digits(seeds), [generator(seed, "weights") for seed in seeds]
        layers = [nn.Sequential(hidden(64, 64, sources), nn.ReLU(inplace=True)) for _ in range(3)]
        head = replicas.linear(64, 10, sources, weights=1 / 8, biases=None)
        decay = torch.full((len(seeds), 1, 1), DECAY.default)
        H0 = yield from self._layers(layers, digits.train_inputs)
        for done in train(
            nn.Sequential(*layers), head, digits.train_inputs, digits.train_labels, seeds, self.epochs, decay, decay
        ):
            yield Tick(0.5 * done / self.epochs)
            if done.is_integer():
                H0 = yield from self._layers(layers, digits.train_inputs)
        yield from self._solve(H0)

    @torch.no_grad()
    def _layers(self, layers: list[nn.Sequential], inputs: Tensor) -> Generator[Frame, None, Tensor]:
        """Measure all hidden layers; return the features of the first, [S, d, N]."""
        depths = list(itertools.accumulate(layers, lambda h, layer: layer(h), initial=inputs))[1:]
        yield Frame({}, {f"layer_{i}": metrics.nc1_ratio(by_class(h)) for i, h in enumerate(depths, 1)})
        return depths[0].double().mT

    def _solve(self, H0: Tensor) -> Iterator[Frame | Tick]:
        """Minimize Eq. 2 for both λ_H and all seeds at once, from the tightest tie to the loosest."""
        Y, before = class_targets(10, 50), metrics.class_scatter(features_by_class(H0, 10))[0]
        few, targets = compressed(H0, Y)
        strengths = torch.tensor([self.lambda_H, 10 * self.lambda_H], dtype=torch.float64)
        lambda_H = strengths.reshape(2, 1, 1, 1)
        for done, i in enumerate(reversed(range(len(self.betas)))):
            beta = self.betas[i]
            turns = alternate(few.repeat(2, 1, 1, 1), targets, 50, self.lambda_W, lambda_H, beta, most=300)
            W, _, change = yield from settle(turns, 0.5 + 0.5 * done / len(self.betas))
            h = features_by_class(best_features(W, H0, Y, lambda_H, beta), 10)
            values = {
                "variability": metrics.nc1_ratio(h),
                "contraction": metrics.class_scatter(h)[0] / before,
                "bound": (beta / (beta + strengths)) ** 2,
                "residual": power_of_ten(change),
            }
            yield Frame({"beta": i}, values)


EXPERIMENTS = (WeightDecay, Flow, TiedFeatures, Response, Strengths, LayerWise, Bridge)


# ------------------------------------------------------------------------------------------------------ the claims


def log10(values: xr.DataArray) -> xr.DataArray:
    """Return the decimal logarithm of some results with their names."""
    return values.copy(data=np.log10(values.values))


def shift(results: xr.Dataset, arm: str, variable: str = "variability", log: bool = True) -> xr.DataArray:
    """Return how far an arm of `WeightDecay` ends from base, in log10 or as it is: one number per seed."""
    ends = [results[variable].isel(epoch=-1).sel(arm=name) for name in (arm, "base")]
    return log10(ends[0] / ends[1]) if log else ends[0] - ends[1]


def features_minus_last(
    results: xr.Dataset, change: str, variable: str = "variability", log: bool = True
) -> xr.DataArray:
    """Return how much more the feature layers' weight decay moves a variable than the last layer's: one per seed."""
    moved = [abs(shift(results, f"{layers} {change}", variable, log)) for layers in ("features", "last layer")]
    return moved[0] - moved[1]


def increments(values: xr.DataArray, axis: str) -> xr.DataArray:
    """Return the steps of the logarithm of some values along an axis."""
    return log10(values).diff(axis)


def doubled(results: xr.Dataset, arm: str) -> xr.DataArray:
    """Return the log ratio of the remaining scatter when one strength is doubled: one number per seed."""
    left = log10(results.contraction.sel(arm=arm))
    return left.sel(factor=2) - left.sel(factor=1)


def slope(results: xr.Dataset) -> xr.DataArray:
    """Return the exponent with which the relative error grows with ε, from 0.001 to 0.1: one number per seed."""
    error = log10(results.error.mean("arm"))
    return (error.sel(epsilon=0.1) - error.sel(epsilon=1e-3)) / 2


def theorem_4_2(results: xr.Dataset) -> xr.DataArray:
    """Return the relative distance of 1 - σ_min(F_kk) from √(λ_H/λ_W)/β: one number per seed."""
    knobs = settings_of(results)
    expected = math.sqrt(knobs["lambda_H"] / knobs["lambda_W"]) / knobs["beta"]
    return abs((1 - results.spectrum.sel(arm="λ_H").isel(index=-1)) / expected - 1)


TOO_MUCH = {"feature_decay": 1e-2, "last_decay": 1e-2}
NO_CLASSIFIER = {"lambda_H": 1.0, "lambda_W": 2.0}

# fmt: off
CLAIMS = (
    Claim("always less variable", Flow,
          "Along the flow NC1~ falls all the time, in all arms: largest step of its logarithm in 0.4 time units",
          "NC1~ strictly decreases along the flow (Theorem 3.1)",
          lambda r: increments(r.variability, "time").max(["arm", "time"]), below=0, rule="every seed", essential=True),
    Claim("within never grows", Flow,
          "Without the common decay the scatter within classes never grows: largest step of the logarithm of "
          "exp(2λ_H t) Tr Σ_W",
          "exp(2λ_H t) Tr Σ_W decreases (Theorem 3.1)",
          lambda r: increments(r.within_rescaled, "time").max(["arm", "time"]), below=1e-9, rule="every seed",
          essential=True),
    Claim("between always grows", Flow,
          "Without the common decay the class means move apart all the time: smallest step of the logarithm of "
          "exp(2λ_H t) Tr Σ_B",
          "exp(2λ_H t) Tr Σ_B strictly increases (Theorem 3.1)",
          lambda r: increments(r.between_rescaled, "time").min(["arm", "time"]), above=0, rule="every seed",
          essential=True),
    Claim("closed form", Flow,
          "From right angles the flow follows its closed form: largest distance of the logarithms of NC1~",
          "Not reported; derived from Equation 4",
          lambda r: abs(log10(r.variability) - log10(r.expected)).sel(arm="λ_H, right angles").max("time"),
          below=1e-6, rule="every seed", essential=True),
    Claim("tied is less variable", TiedFeatures,
          "At β = 10 the tied features vary less than H₀: difference of the logarithms of NC1~",
          "NC1~ of the minimizer is below that of H₀ for β large enough (Corollary 3.2)",
          lambda r: log10(r.variability.sel(arm="tied") / r.variability.sel(arm="H₀ (β → ∞)")).sel(tie=10),
          below=0, essential=True),
    Claim("bound", TiedFeatures,
          "For every β the scatter left within classes obeys the bound: largest excess over (β/(β + λ_H))²",
          "Not reported; derived from Equation 2",
          lambda r: (r.contraction.sel(arm="tied") / r.bound - 1).max("tie"), below=1e-9, rule="every seed",
          essential=True),
    Claim("first order", Response,
          "At ε = 0.01 the response matrix F predicts the measured change: largest relative error over the arms",
          "δH ≈ F δH₀ for small changes (Theorem 4.1)",
          lambda r: r.error.sel(epsilon=1e-2).max("arm"), below=0.01, essential=True),
    Claim("error shrinks", Response,
          "The relative error is proportional to ε: exponent from ε = 0.001 to 0.1",
          "First order, so the rest is of second order (Theorem 4.1)",
          slope, within=(0.9, 1.1), essential=True),
    Claim("own class dominates", Response,
          "At β = 100 a class answers its own changes far more than those of others: largest of F_kl over smallest of "
          "F_kk, over all arms",
          "Blocks within a class dominate those between classes (Theorem 4.2)",
          lambda r: r.dominance.max("arm"), at={"figure": {"beta": 100}}, below=0.02, rule="every seed",
          essential=True),
    Claim("smallest singular value", Response,
          "At β = 100 the smallest singular value of F_kk is that of the theorem: relative distance of 1 − σ from "
          "√(λ_H/λ_W)/β",
          "σ_min = 1 − √(λ_H/λ_W)/β for large β (Theorem 4.2)",
          theorem_4_2, at={"figure": {"beta": 100}}, below=0.02, rule="every seed", essential=True),
    Claim("staircase sinks", Response,
          "Doubling λ_H lowers the staircase: change of the mean singular value of F_kk",
          "The spectrum sinks as λ_H grows (Fig. 1, β = 100)",
          lambda r: (r.spectrum.sel(arm="2 λ_H") - r.spectrum.sel(arm="λ_H")).mean("index"), below=0,
          rule="every seed", essential=True),
    Claim("doubling λ_H", Strengths,
          "Near collapse, doubling λ_H leaves less scatter within classes: log ratio",
          "λ_H contracts the deviations within classes (Theorem 4.2)",
          lambda r: doubled(r, "vary λ_H"), below=0, essential=True),
    Claim("doubling λ_W", Strengths,
          "Near collapse, doubling λ_W leaves more scatter within classes: log ratio",
          "λ_W does not contract them; √(λ_H/λ_W) falls (Theorem 4.2)",
          lambda r: doubled(r, "vary λ_W"), above=0, essential=True, robust=True),
    Claim("closed form near collapse", Strengths,
          "The scatter left is K/d a² + (d − K)/d b²: largest relative distance over arms and factors",
          "Not reported; derived from Equation 2",
          lambda r: abs(r.contraction / r.closed_form - 1).max(["arm", "factor"]), below=0.02, essential=True),
    Claim("features matter more, doubled", WeightDecay,
          "Doubling the weight decay of the feature layers moves NC1~ more than doubling that of the last layer: "
          "difference of the two shifts of log10 NC1~",
          "ResNet-18, CIFAR-10: the last layer's decay matters less than that of the feature layers (Fig. 3)",
          lambda r: features_minus_last(r, "× 2"), above=0, essential=True),
    Claim("features matter more, zero", WeightDecay,
          "Taking the weight decay off the feature layers moves NC1~ more than taking it off the last layer: "
          "difference of the two shifts of log10 NC1~",
          "ResNet-18, CIFAR-10: the same without decay (Fig. 3)",
          lambda r: features_minus_last(r, "0"), above=0, essential=True),
    Claim("more decay, more collapse", WeightDecay,
          "Doubled weight decay of the feature layers lowers NC1~: shift of log10 NC1~",
          "Doubling lowers it (Fig. 3)",
          lambda r: shift(r, "features × 2"), below=0, essential=True),
    Claim("no decay, less collapse", WeightDecay,
          "Without weight decay of the feature layers NC1~ is higher: shift of log10 NC1~",
          "Zeroing raises it (Fig. 3)",
          lambda r: shift(r, "features 0"), above=0, essential=True),
    Claim("NC1 agrees", WeightDecay,
          "NC1 moves more with the feature layers' weight decay too: difference of the shifts of log10 NC1, mean of "
          "doubling and zeroing",
          "Fig. 3 shows NC1",
          lambda r: (features_minus_last(r, "× 2", "nc1") + features_minus_last(r, "0", "nc1")) / 2, above=0),
    Claim("NC2 agrees", WeightDecay,
          "NC2 moves more with the feature layers' weight decay too: difference of its shifts, mean of doubling and "
          "zeroing",
          "Fig. 3 shows NC2",
          lambda r: sum(features_minus_last(r, change, "nc2", log=False) for change in ("× 2", "0")) / 2, above=0),
    Claim("digits are learned", WeightDecay,
          "The base network has learned its training digits: final training error",
          "Zero training error from about epoch 40 on (Section 5)",
          lambda r: r.train_error.sel(arm="base").isel(epoch=-1), below=0.01),
    Claim("every layer", LayerWise,
          "Every added layer lowers NC1~ in every seed: largest step of log10 NC1~",
          "CIFAR-10: NC1~ falls with depth (Fig. 2)",
          lambda r: increments(r.variability.sel(arm="trained"), "depth").max("depth"), below=0, rule="every seed",
          essential=True),
    Claim("training does it", LayerWise,
          "Training a layer lowers its NC1~: largest log10 ratio of trained over untrained, over the layers",
          "Not reported; a check of our own",
          lambda r: log10(r.variability.sel(arm="trained") / r.variability.sel(arm="untrained")).isel(
              depth=slice(1, None)).max("depth"), below=0, rule="every seed", essential=True),
    Claim("NC1 falls with depth", LayerWise,
          "Every added layer lowers NC1 too, in every seed: largest step of log10 NC1",
          "CIFAR-10: NC1 falls with depth (Fig. 2)",
          lambda r: increments(r.nc1.sel(arm="trained"), "depth").max("depth"), below=0, rule="every seed"),
    Claim("bound in a real network", Bridge,
          "With a real hidden layer as H₀ the bound holds too: largest excess over (β/(β + λ_H))²",
          "Not reported; derived from Equation 2",
          lambda r: (r.contraction / r.bound - 1).max(["arm", "beta"]), below=1e-9, rule="every seed"),
    Claim("looser and dearer", Bridge,
          "At β = 0.003 a ten times larger λ_H brings a real layer closer to collapse: log10 ratio of NC1~",
          "Not reported; a check of our own",
          lambda r: log10(r.variability.sel(arm="10 λ_H") / r.variability.sel(arm="λ_H")).sel(beta=0.003), below=0),
    Claim("too much decay", WeightDecay,
          "A limit: with weight decay 0.01 everywhere, doubling that of the feature layers raises NC1: shift of log10 "
          "NC1",
          "Not reported; a limit we checked",
          lambda r: shift(r, "features × 2", "nc1"), at={"too much": TOO_MUCH}, above=0),
    Claim("collapse without a classifier", Flow,
          "A limit: for λ_H λ_W > 1 NC1~ still falls all the time: largest step of its logarithm",
          "Theorem 3.1 holds for all strengths; for λ_H λ_W > 1 the minimizer is zero (Theorem 2.1)",
          lambda r: increments(r.variability.sel(arm="λ_H"), "time").max("time"), at={"c > 1": NO_CLASSIFIER}, below=0,
          rule="every seed"),
    Claim("and without features", Flow,
          "Meanwhile the features vanish: length of H at the end over that at the start",
          "For λ_H λ_W > 1 the minimizer is zero (Theorem 2.1)",
          lambda r: r["size"].sel(arm="λ_H").isel(time=-1) / r["size"].sel(arm="λ_H").isel(time=0),
          at={"c > 1": NO_CLASSIFIER}, below=0.01, rule="every seed"),
)
# fmt: on


# ------------------------------------------------------------------------------------------- checks of the exercises


def check_contraction(answer: Callable[[Tensor, Tensor, float, float], Tensor]) -> str:
    """Check a student's deviations D(H), computed from D(H₀), W, λ_H and β, at minimizers of Eq. 2."""
    n, lambda_W, lambda_H = 5, 0.5, 0.05
    H0, Y = noisy_means((0,), n, 1.0)[0], class_targets(CLASSES, n)
    for beta in (0.1, 1.0, 10.0):
        *_, (W, H, _) = alternate(H0, Y, n, lambda_W, lambda_H, beta)
        given, right = H0 - _means(H0), H - _means(H)
        found = answer(given, W, lambda_H, beta)
        if found is None:
            raise NotImplementedError
        if not isinstance(found, Tensor) or found.shape != given.shape:
            raise Wrong(f"return a tensor of shape {tuple(given.shape)}: one deviation for each column of D(H₀).")
        mistakes = {
            "multiply by β: H₀ enters the gradient as −βH₀.": right / beta,
            "W is missing. What you have is the bound; it is reached only at right angles to the rows of W.": (
                beta / (beta + lambda_H) * given
            ),
            "λ_H is missing next to β.": best_features(W, given, 0 * Y, 0.0, beta),
            "solve with the matrix, do not multiply by it.": (beta * (W.T @ W @ given + (lambda_H + beta) * given)),
        }
        if torch.allclose(found, right, rtol=1e-6, atol=1e-8):
            continue
        for hint, mistake in mistakes.items():
            if torch.allclose(found, mistake, rtol=1e-6, atol=1e-8):
                raise Wrong(hint)
        raise Wrong(f"at β = {beta:g} it is not D(H). Set the gradient of f in H to zero; what happens to WᵀY?")
    return "It gives D(H) at the minimum for every β we tried."


def check_factors(answer: Callable[[float, float, float], tuple[float, float]]) -> str:
    """Check a student's factors a and b, functions of β, λ_W and λ_H in this order."""
    for beta, lambda_W, lambda_H in ((1.0, 0.5, 0.05), (0.3, 1.0, 0.2), (10.0, 0.125, 0.4)):
        found = answer(beta, lambda_W, lambda_H)
        if found is None:
            raise NotImplementedError
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise Wrong("return two numbers: a, b.")
        a, b, _ = factors(beta, lambda_W, lambda_H)
        mistakes = {
            "a and b are interchanged: within the span of the means W sees the deviation, outside it does not.": (b, a),
            "in a, W*ᵀW* on the span of the means is √(λ_H/λ_W) − λ_H, not λ_H/λ_W.": (
                beta / (beta + lambda_H / lambda_W), b),
            "in a, the strengths stand upside down: a cheap classifier (small λ_W) pulls harder.": (
                beta / (beta + math.sqrt(lambda_W / lambda_H)), b),
            "these are squares; a and b multiply the deviations themselves.": (a**2, b**2),
        }  # fmt: skip
        if np.allclose(found, (a, b), rtol=1e-6):
            continue
        for hint, mistake in mistakes.items():
            if np.allclose(found, mistake, rtol=1e-6):
                raise Wrong(hint)
        wrong = "b" if math.isclose(found[0], a, rel_tol=1e-6) else "a"
        raise Wrong(
            f"{wrong} is not right at β = {beta:g}, λ_W = {lambda_W:g}, λ_H = {lambda_H:g}: use W*ᵀW* = ? on it."
        )
    return "Both factors are right for all strengths we tried."
