"""Neural collapse: the experiments."""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reglab import data, metrics
from reglab.experiment import Experiment
from reglab.knobs import Knob, knob
from reglab.models import replicas
from reglab.papers.geometry.neural_collapse import method
from reglab.pictures.views import Curves, Dots, Line, Points, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator

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


# ------------------------------------------------------------------------------------------------ the network on digits


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


# ------------------------------------------------------------------------------------------------------ the exact model


def class_targets(K: int, n: int) -> Tensor:
    """Return Y = I_K ⊗ 1ᵀ, the one-hot labels of n examples of each class: [K, Kn]."""
    return torch.eye(K, dtype=torch.float64).repeat_interleave(n, 1)


def noisy_means(seeds: Seeds, n: int, sigma: float) -> Tensor:
    """Draw H₀ [S, d, N]: class means from N(0, I), around each n points with standard deviation σ."""
    means = data.normal(seeds, "class means", method.DIMENSIONS, method.CLASSES).repeat_interleave(n, -1)
    return means + sigma * data.normal(seeds, "noise", method.DIMENSIONS, method.CLASSES * n)


def frames_of(seeds: Seeds) -> Tensor:
    """Draw R [S, d, K] with orthonormal columns, the directions of collapsed class means."""
    return torch.linalg.qr(data.normal(seeds, "directions", method.DIMENSIONS, method.CLASSES)).Q


def features_by_class(H: Tensor, K: int = method.CLASSES) -> Tensor:
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
        Y, n = class_targets(method.CLASSES, self.examples), self.examples
        noisy, R = noisy_means(seeds, n, self.sigma), frames_of(seeds)
        deviations = noisy - class_means(noisy)
        right_angles = math.sqrt(0.3) * R.repeat_interleave(n, -1) + deviations - R @ (R.mT @ deviations)
        H, r = torch.stack([noisy, noisy, right_angles]), torch.tensor(0.3, dtype=torch.float64)
        decay = torch.tensor([0, self.lambda_H, self.lambda_H], dtype=torch.float64)
        lambda_H, within = decay.reshape(3, 1, 1, 1), metrics.class_scatter(features_by_class(H))[0][2]
        for position in range(len(self.axes()["time"].values)):
            time = position * self.dt * self.every
            expected = torch.full(H.shape[:2], torch.nan, dtype=torch.float64)
            expected[2] = within * math.exp(-2 * self.lambda_H * time) * method.CLASSES / ((method.CLASSES - 1) * r)
            yield Frame({"time": position}, {**self._measure(H, Y, time, decay.unsqueeze(1)), "expected": expected})
            yield Tick(min(time / self.duration, 1))
            for _ in range(self.every):
                H = method.runge_kutta(lambda h: method.velocity(h, Y, n, self.lambda_W, lambda_H), H, self.dt)
                r = method.runge_kutta(lambda x: method.radius_velocity(x, self.lambda_W, self.lambda_H), r, self.dt)

    def _measure(self, H: Tensor, Y: Tensor, time: float, decay: Tensor) -> dict[str, Tensor]:
        """Every value is [A, S]."""
        h = features_by_class(H)
        within, between = metrics.class_scatter(h)
        growth = torch.exp(2 * decay * time)
        return {
            **_collapse(h, method.best_weights(H, Y, self.examples, self.lambda_W)),
            "within": within,
            "between": between,
            "within_rescaled": growth * within,
            "between_rescaled": growth * between,
            "size": torch.linalg.matrix_norm(H),
        }


def class_means(H: Tensor) -> Tensor:
    """Put the mean of its class in the place of every column: [..., d, N]."""
    return H.unflatten(-1, (method.CLASSES, -1)).mean(-1).repeat_interleave(H.shape[-1] // method.CLASSES, -1)


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
            "point": Axis(range(method.CLASSES * self.examples)),
            "plane": Axis(["first", "second"]),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Minimize for the chosen β, for β = 0, then from the tightest tie to the loosest; a frame for each β."""
        betas = torch.tensor(BETA.stops, dtype=torch.float64)
        H0, Y = noisy_means(seeds, self.examples, self.sigma), class_targets(method.CLASSES, self.examples)
        h0, labels = features_by_class(H0), Y.argmax(0)
        before = metrics.class_scatter(h0)[0]

        def solved(H0: Tensor, beta: float, fraction: float) -> Generator[Tick, None, tuple[Tensor, ...]]:
            return settle(method.alternate(H0, Y, self.examples, self.lambda_W, self.lambda_H, beta), fraction)

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
            "index": Axis(range(1, method.DIMENSIONS * self.examples + 1), label="number of the singular value"),
            "epsilon": Axis(self.epsilons, label="size ε of the change of H₀", log=True),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """One frame for each arm and seed with its F, then one for each arm with the measured answers."""
        R, Y, n = frames_of(seeds), class_targets(method.CLASSES, self.examples), self.examples
        block = method.DIMENSIONS * n
        sizes = torch.tensor(self.epsilons, dtype=torch.float64).reshape(-1, 1, 1, 1)
        draws = data.normal(seeds, "change", method.DIMENSIONS, method.CLASSES * n)
        for a, (times_H, times_W) in enumerate(self.multiples):
            lambda_H, lambda_W = times_H * self.lambda_H, times_W * self.lambda_W
            W, H = method.collapsed(R, n, lambda_W, lambda_H)
            levels = method.staircase(self.beta, lambda_W, lambda_H, method.CLASSES, method.DIMENSIONS, n)
            yield Frame({"arm": list(self.arms)[a]}, {"levels": levels})
            change = sizes * H.square().sum((-2, -1), keepdim=True).div(block * method.CLASSES).sqrt() * draws
            predicted = torch.zeros_like(change)
            for s in range(len(seeds)):
                answer = method.response(W[s], H[s], Y, lambda_W, lambda_H, self.beta)
                own, other = answer[:block, :block], answer[:block, block : 2 * block]
                spectrum, between = torch.linalg.svdvals(own), torch.linalg.matrix_norm(other, 2)
                values = {"spectrum": spectrum, "between": between, "dominance": between / spectrum[-1]}
                yield Frame({"arm": list(self.arms)[a], "seed": s}, values)
                yield Tick((a + (s + 1) / len(seeds)) / len(self.arms))
                # vec stacks columns: vec X = (Xᵀ).flatten()
                predicted[:, s] = (change[:, s].mT.flatten(1) @ answer.T).unflatten(1, (method.CLASSES * n, -1)).mT
            turns = method.alternate(H + change, Y, n, lambda_W, lambda_H, self.beta)
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
        R, Y, n = frames_of(seeds), class_targets(method.CLASSES, self.examples), self.examples
        draws = data.normal(seeds, "change", method.DIMENSIONS, method.CLASSES * n)
        share_in_span = method.CLASSES / method.DIMENSIONS
        for i, multiple in enumerate(self.multiples):
            for j, arm in enumerate(self.arms):
                lambda_W = self.lambda_W * (multiple if arm == "vary λ_W" else 1)
                lambda_H = self.lambda_H * (multiple if arm == "vary λ_H" else 1)
                _, H = method.collapsed(R, n, lambda_W, lambda_H)
                H0 = H + self.epsilon * H.square().sum((-2, -1), keepdim=True).div(H[0].numel()).sqrt() * draws
                turns = method.alternate(H0, Y, n, lambda_W, lambda_H, self.beta)
                _, found, _ = yield from settle(turns, (2 * i + j) / (2 * len(self.multiples)))
                within, before = (metrics.class_scatter(features_by_class(x))[0] for x in (found, H0))
                a, b, _ = method.factors(self.beta, lambda_W, lambda_H)
                expected = share_in_span * a**2 + (1 - share_in_span) * b**2
                yield Frame({"arm": arm, "factor": i}, {"contraction": within / before, "closed_form": expected})


# ------------------------------------------------------------------------------------------------ depth, and the bridge


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
        few, targets = method.compressed(H0, Y)
        strengths = torch.tensor([self.lambda_H, 10 * self.lambda_H], dtype=torch.float64)
        lambda_H = strengths.reshape(2, 1, 1, 1)
        for done, i in enumerate(reversed(range(len(self.betas)))):
            beta = self.betas[i]
            turns = method.alternate(few.repeat(2, 1, 1, 1), targets, 50, self.lambda_W, lambda_H, beta, most=300)
            W, _, change = yield from settle(turns, 0.5 + 0.5 * done / len(self.betas))
            h = features_by_class(method.best_features(W, H0, Y, lambda_H, beta), 10)
            values = {
                "variability": metrics.nc1_ratio(h),
                "contraction": metrics.class_scatter(h)[0] / before,
                "bound": (beta / (beta + strengths)) ** 2,
                "residual": power_of_ten(change),
            }
            yield Frame({"beta": i}, values)


EXPERIMENTS = (WeightDecay, Flow, TiedFeatures, Response, Strengths, LayerWise, Bridge)
