"""Neural collapse: the experiments."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reglab import data, metrics
from reglab.experiment import Experiment
from reglab.knobs import Arm, Knob, knob
from reglab.models import replicas
from reglab.papers.geometry.neural_collapse import method
from reglab.pictures import Curves, Dots, Line, Points, View
from reglab.results import Axis, Frame, Tick, Var
from reglab.seeds import Seeds
from reglab.training import Lanes, fit, minibatches, within

# fmt: off
LAMBDA_H = Knob(0.05, 0.0125, 0.4, stops=(0.0125, 0.025, 0.05, 0.1, 0.2, 0.4), symbol="λ_H",
                help="price of large features")
LAMBDA_W = Knob(0.5, 0.125, 2, stops=(0.125, 0.25, 0.5, 1, 2), symbol="λ_W", help="price of a large classifier")
SIGMA = Knob(1.0, 0.1, 2, stops=(0.1, 0.2, 0.5, 1, 2), symbol="σ",
             help="spread of the first features around their mean")
# fmt: on
BETAS = (0.03, 0.1, 0.3, 1, 3, 10, 100)
DECAYS = (0, 1e-3, 2e-3, 4e-3, 1e-2)
MODEL = "nothing: this is the paper's own model, with 4 classes of 25 examples in 10 dimensions"


def collapse(axes: str, count: int = 5) -> dict[str, Var]:
    """Declare the first few measures of collapse along some axes."""
    words = {
        "variability": ("variability NC1~", "Tr Σ_W / Tr Σ_B: scatter of features within classes over that of means"),
        "nc1": ("NC1", "the same with each direction of the class means weighed alike"),
        "nc2": ("NC2", "distance of the class means from equal lengths and equal angles"),
        "nc3": ("NC3", "distance of the centered classifier from the centered class means"),
        "nc4": ("NC4", "share of digits where classifier and nearest class mean decide differently"),
    }
    return {name: Var(axes, label, help, low=0) for name, (label, help) in list(words.items())[:count]}


# ------------------------------------------------------------------------------------------------ the network on digits


def few_digits(seeds: Seeds) -> data.Split:
    """Return 50 training digits of each class, class after class, and 800 others for testing, for every seed.

    The mean training image is taken off, then all is divided by one standard deviation, that of all training pixels.
    """
    everything, parts = data.digits(seeds, train=1797), []
    for images, labels in zip(everything.train_inputs, everything.train_labels, strict=True):
        chosen = torch.cat([(labels == k).nonzero()[:50, 0] for k in range(10)])
        rest = torch.ones(len(labels), dtype=torch.bool)
        rest[chosen] = False
        x, y, new, truth = images[chosen], labels[chosen], images[rest][:800], labels[rest][:800]
        mean, scale = x.mean(0), (x - x.mean(0)).std()
        parts.append(((x - mean) / scale, y, (new - mean) / scale, truth))
    return data.Split(*(torch.stack(part) for part in zip(*parts, strict=True)))


def hidden(inputs: int, outputs: int, sources: list[torch.Generator], copies: int = 1) -> replicas.Linear:
    """Return a layer for every generator with normal weights of variance 2/inputs (He et al. 2015) and biases 0."""
    drawn = [torch.randn(inputs, outputs, generator=source) * (2 / inputs) ** 0.5 for source in sources]
    return replicas.Linear(torch.stack(drawn).repeat(copies, 1, 1), torch.zeros(len(drawn) * copies, 1, outputs))


def train(
    lanes: Lanes,
    parts: Sequence[nn.Module],
    decays: Sequence[Tensor],
    inputs: Tensor,
    labels: Tensor,
    measure: Callable[[int], Frame],
    epochs: int,
) -> Iterator[Frame | Tick]:
    """Train M networks on ½‖Wh - y‖², inputs [S, N, D] and labels [S, N]; `measure` gives a frame after each epoch.

    SGD in batches of 50, momentum 0.9, rate 0.03, a tenth of it after 1/2 and again after 5/6 of the epochs. The weight
    decay of each part, feature layers and head, is added to its gradients [M, 1, 1].
    """
    network, targets = nn.Sequential(*parts), F.one_hot(labels).float()
    decayed = [(p, decay) for part, decay in zip(parts, decays, strict=True) for p in part.parameters()]
    optimizer, shuffled = torch.optim.SGD(network.parameters(), momentum=0.9), minibatches(lanes, inputs.shape[1], 50)

    def add_decay(*_: object) -> None:  # SGD's own is the same for all models
        for p, decay in decayed:
            assert p.grad is not None
            p.grad.add_(decay * p.detach())

    optimizer.register_step_pre_hook(add_decay)

    def batches(epoch: int) -> Tensor:
        optimizer.param_groups[0]["lr"] = 0.03 * 0.1 ** ((epoch > epochs / 2) + (epoch > epochs * 5 / 6))
        return shuffled(epoch)

    def losses(index: Tensor) -> Tensor:
        x, y = lanes.pick(inputs, index), lanes.pick(targets, index)
        return (network(x) - y).square().sum((1, 2)) / (2 * index.shape[1])

    yield from fit(optimizer, losses, batches, measure, epochs=epochs)


def by_class(features: Tensor) -> Tensor:
    """Split features of training digits by class: [..., 500, d] -> [..., 10, 50, d]."""
    return features.unflatten(-2, (10, 50))


@dataclass(frozen=True)
class WeightDecay(Experiment):
    """Change the weight decay of the feature layers or of the last layer only and measure how far features collapse.

    Network 64-64-64-64-10 with ReLU and no last bias, 500 digits, squared errors. All arms of a seed share digits,
    first weights and batches.
    """

    feature_decay: float = knob(2e-3, stops=DECAYS, help="weight decay of the layers that make the features")
    last_decay: float = knob(2e-3, stops=DECAYS, help="weight decay of the last layer, the classifier")
    epochs: int = knob(90, low=2, high=200, step=1, help="passes over the training digits")

    arms = {  # settings: by what the two weight decays are multiplied
        "base": Arm("baseline", features=1, last=1),
        "features × 2": Arm("method", features=2, last=1),
        "last layer × 2": Arm("ablation", features=1, last=2),
        "features 0": Arm("ablation", features=0, last=1),
        "last layer 0": Arm("ablation", features=1, last=0),
    }
    outputs = {
        **collapse("arm seed epoch"),
        "shift": Var("arm seed epoch", "shift of log10 NC1~ from base", "log10 of the variability minus that of base"),
        "train_error": Var("arm seed epoch", "training error", "share of training digits classified wrong", low=0),
        "test_accuracy": Var("arm seed epoch", "test accuracy", "share of test digits classified right", high=1),
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
    grid = {"feature_decay": DECAYS, "last_decay": DECAYS}
    smoke = {"epochs": 2}
    equals_baseline = tuple(
        ({knob: 0}, f"{layers} {change}")
        for knob, layers in (("feature_decay", "features"), ("last_decay", "last layer"))
        for change in ("× 2", "0")
    )

    def axes(self) -> dict[str, Axis]:
        """Epochs from 0 (before training) on."""
        return {"epoch": Axis(range(self.epochs + 1), unit="epochs", label="epoch")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame for each epoch."""
        digits, lanes = few_digits(seeds), self.lanes(seeds)
        sources, copies = lanes.generators("weights"), len(self.arms)
        layers = [layer for _ in range(3) for layer in (hidden(64, 64, sources, copies), nn.ReLU(inplace=True))]
        features, head = nn.Sequential(*layers), replicas.linear(64, 10, sources, copies, weights=1 / 8, biases=None)
        decays = self.feature_decay * lanes.each("features"), self.last_decay * lanes.each("last")

        def measure(epoch: int) -> Frame:
            h, test = (features(lanes.repeat(x)) for x in (digits.train_inputs, digits.test_inputs))
            logits, new = lanes.split(head(h)), lanes.split(head(test))
            h, weights = by_class(lanes.split(h)), lanes.split(head.weight.mT)
            values = {"variability": metrics.nc1_ratio(h), "nc1": metrics.nc1(h), "nc2": metrics.nc2(h)}
            values |= {"nc3": metrics.nc3(h, weights), "nc4": metrics.nc4(h, weights)}
            values |= {"shift": (level := values["variability"].log10()) - level[:1]}
            values |= {"train_error": 1 - metrics.accuracy(logits, digits.train_labels)}
            return Frame({"epoch": epoch}, {**values, "test_accuracy": metrics.accuracy(new, digits.test_labels)})

        data = digits.train_inputs, digits.train_labels
        yield from train(lanes, (features, head), decays, *data, measure, self.epochs)


@dataclass(frozen=True)
class LayerWise(Experiment):
    """Build a network layer by layer, each trained while all before it are frozen, and measure collapse at each depth.

    Layers of 64 units; every new layer gets a fresh classifier. The other arm is the same layer before its training.
    """

    decay: float = knob(2e-3, stops=DECAYS, help="weight decay of the new layer and of its classifier")
    epochs: int = knob(60, low=2, high=200, step=1, help="passes over the training digits for each layer")

    arms = {"untrained": "baseline", "trained": "method"}
    outputs = collapse("arm seed depth", 2)
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
        """Train one layer after the other, all seeds at once; new results every four epochs."""
        digits, lanes = few_digits(seeds), self.only(["trained"]).lanes(seeds)
        inputs, sources = digits.train_inputs, lanes.generators("weights")
        decay = torch.full((len(seeds), 1, 1), self.decay)
        yield Frame({"depth": 0}, self._measured(inputs))
        for depth in range(1, self.layers + 1):
            layer = nn.Sequential(hidden(64, 64, sources), nn.ReLU(inplace=True))
            head = replicas.linear(64, 10, sources, weights=1 / 8, biases=None)

            def measure(epoch: int, depth: int = depth, layer: nn.Module = layer, inputs: Tensor = inputs) -> Frame:
                there = epoch % 4 == 0 or epoch == self.epochs
                arm = "trained" if epoch else "untrained"
                return Frame({"arm": arm, "depth": depth}, self._measured(layer(inputs)) if there else {})

            trained = train(lanes, (layer, head), (decay, decay), inputs, digits.train_labels, measure, self.epochs)
            yield from within(trained, (depth - 1) / self.layers, depth / self.layers)
            inputs = layer(inputs).detach()

    def _measured(self, features: Tensor) -> dict[str, Tensor]:
        h = by_class(features)
        return {"variability": metrics.nc1_ratio(h), "nc1": metrics.nc1(h)}


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


def small_change(seeds: Seeds, H: Tensor, size: float | Tensor) -> Tensor:
    """Draw normal noise of a size relative to H: [S, d, N] -> [..., S, d, N]."""
    scale = H.square().sum((-2, -1), keepdim=True).div(H[0].numel()).sqrt()
    return size * scale * data.normal(seeds, "change", *H.shape[1:])


def features_by_class(H: Tensor, K: int = method.CLASSES) -> Tensor:
    """Turn H [..., d, Kn] into the form that the measures take, [..., K, n, d]."""
    return H.mT.unflatten(-2, (K, -1))


def class_means(H: Tensor) -> Tensor:
    """Put the mean of its class in the place of every column: [..., d, N]."""
    return H.unflatten(-1, (method.CLASSES, -1)).mean(-1).repeat_interleave(H.shape[-1] // method.CLASSES, -1)


def scatter_within(H: Tensor) -> Tensor:
    """Return Tr Σ_W of features: [..., d, N] -> [...]."""
    return metrics.class_scatter(features_by_class(H))[0]


def settle(turns: Iterator[tuple[Tensor, Tensor]]) -> Generator[Tick, None, Tensor]:
    """Run an alternating minimization to its end, with a tick now and then; return its H."""
    for turn, (_, H) in enumerate(turns):  # noqa: B007 - the last one counts
        if turn % 10 == 0:
            yield Tick(0)
    return H


@dataclass(frozen=True)
class Flow(Experiment):
    """Let features flow along the central path (Eq. 4) and follow the scatter within and between classes.

    K = 4 classes of n = 25 examples, d = 10. The third arm starts from class means at right angles, of squared length
    0.3, and deviations at right angles to all means; there the flow has a closed form.
    """

    lambda_H: float = knob(0.05, stops=(0, *LAMBDA_H.stops, 1), symbol="λ_H", help="price of large features")
    lambda_W: float = knob(LAMBDA_W)
    sigma: float = knob(SIGMA)
    duration: float = knob(40.0, low=2, high=80, step=2, symbol="T", help="time at which the flow ends")

    arms = {"λ_H = 0": "baseline", "λ_H": "method", "λ_H, right angles": "further"}
    outputs = {
        name: Var("arm seed time", label, help, low=0)
        for name, label, help in (
            ("variability", "variability NC1~", "Tr Σ_W / Tr Σ_B: scatter within classes over that of class means"),
            ("between", "Tr Σ_B", "scatter of the class means"),
            ("within_rescaled", "exp(2λ_H t) Tr Σ_W", "scatter within classes without the common decay"),
            ("between_rescaled", "exp(2λ_H t) Tr Σ_B", "scatter of the class means without the common decay"),
            ("expected", "closed form", "variability from the scalar flow of the squared mean length"),
        )
    }
    # fmt: off
    views = (
        View("Collapse in time", (
            Curves("Does the variability always fall?", ["variability"], log=True, theory="expected"),
            Curves("Who shrinks, who grows?", ["within_rescaled", "between_rescaled", "between"], ["λ_H"], "scatter",
                   log=True),
        )),
    )
    # fmt: on
    scaled = MODEL
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
        K, n, Y = method.CLASSES, self.examples, class_targets(method.CLASSES, self.examples)
        noisy, R = noisy_means(seeds, n, self.sigma), frames_of(seeds)
        deviations = noisy - class_means(noisy)
        right_angles = math.sqrt(0.3) * R.repeat_interleave(n, -1) + deviations - R @ (R.mT @ deviations)
        H, r = torch.stack([noisy, noisy, right_angles]), torch.tensor(0.3, dtype=torch.float64)
        lambda_H, start = torch.tensor([0, self.lambda_H, self.lambda_H], dtype=torch.float64), scatter_within(H)[2]
        decay, lambda_W = lambda_H.reshape(3, 1, 1, 1), self.lambda_W
        for position in range(len(self.axes()["time"].values)):
            time = position * self.dt * self.every
            (within, between), growth = metrics.class_scatter(features_by_class(H)), torch.exp(2 * lambda_H * time)
            expected = torch.full(within.shape, torch.nan, dtype=torch.float64)
            expected[2] = start * math.exp(-2 * self.lambda_H * time) * K / ((K - 1) * r)
            values = {
                "variability": within / between,
                "between": between,
                "within_rescaled": growth.unsqueeze(1) * within,
                "between_rescaled": growth.unsqueeze(1) * between,
                "expected": expected,
            }
            yield Frame({"time": position}, values)
            yield Tick(min(time / self.duration, 1))
            for _ in range(self.every):
                H = method.runge_kutta(lambda h: method.velocity(h, Y, n, lambda_W, decay), H, self.dt)
                r = method.runge_kutta(lambda x: method.radius_velocity(x, lambda_W, self.lambda_H), r, self.dt)


@dataclass(frozen=True)
class TiedFeatures(Experiment):
    """Tie the features to given ones, H₀, and see how far they collapse when the tie β is loose or tight (Eq. 2).

    K = 4 classes of n = 25 examples, d = 10; every point is the exact minimizer, found by alternating minimization.
    """

    beta: float = knob(0.1, stops=BETAS, symbol="β", help="price of moving away from H₀, in the picture of points")
    lambda_H: float = knob(LAMBDA_H)
    lambda_W: float = knob(LAMBDA_W)
    sigma: float = knob(SIGMA)

    arms = {"H₀ (β → ∞)": "baseline", "tied": "method", "free (β = 0)": "further"}
    outputs = {
        **collapse("arm seed tie", 1),
        "chosen": Var("arm seed", "variability NC1~ at the chosen β", "Tr Σ_W / Tr Σ_B at the chosen β", low=0),
        "contraction": Var("arm seed tie", "Tr Σ_W(H) / Tr Σ_W(H₀)", "scatter left within classes", low=0),
        "bound": Var("tie", "bound (β/(β + λ_H))²", "the most that can be left, for every H₀", low=0),
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
        )),
    )
    # fmt: on
    scaled = MODEL
    headline = "chosen"
    grid = {"beta": BETAS, "lambda_H": (0.0125, 0.05, 0.1, 0.2, 0.4)}
    smoke = {"sigma": 0.5}
    examples = 25

    def axes(self) -> dict[str, Axis]:
        """The values of β, the points of the first seed, and the plane of its picture."""
        return {
            "tie": Axis(BETAS, label="tie to H₀, β", log=True),
            "point": Axis(range(method.CLASSES * self.examples)),
            "plane": Axis(["first", "second"]),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Minimize for the chosen β, for β = 0, then from the tightest tie to the loosest; a frame for each β."""
        H0, Y = noisy_means(seeds, self.examples, self.sigma), class_targets(method.CLASSES, self.examples)
        center = H0[0].mean(-1, keepdim=True)
        plane = torch.linalg.svd(H0[0] - center).U[:, :2].T

        def solved(beta: float, done: int) -> Generator[Frame | Tick, None, Tensor]:
            turns = method.alternate(H0, Y, self.examples, self.lambda_W, self.lambda_H, beta)
            return within(settle(turns), done / (len(BETAS) + 2), 1)

        def found(arm: str, tie: int, H: Tensor) -> Frame:
            values = {"variability": metrics.nc1_ratio(features_by_class(H)), "contraction": scatter_within(H) / before}
            return Frame({"arm": arm, "tie": tie}, values)

        betas, before = torch.tensor(BETAS, dtype=torch.float64), scatter_within(H0)
        yield Frame({}, {"bound": (betas / (betas + self.lambda_H)) ** 2, "group": Y.argmax(0)})
        yield Frame({}, {"start": (plane @ (H0[0] - center)).T})
        H = yield from solved(self.beta, 0)
        yield Frame({}, {"place": (plane @ (H[0] - center)).T})
        free = yield from solved(0.0, 1)
        for arm, features in zip(self.arms, (H0, H, free), strict=True):
            yield Frame({"arm": arm}, {"chosen": metrics.nc1_ratio(features_by_class(features))})
        for i in range(len(BETAS)):
            yield found("H₀ (β → ∞)", i, H0)
            yield found("free (β = 0)", i, free)
        for done, i in enumerate(reversed(range(len(BETAS))), 2):
            H = yield from solved(BETAS[i], done)
            yield found("tied", i, H)


@dataclass(frozen=True)
class Response(Experiment):
    """Change collapsed features H₀ a little and compute how the minimizer answers: the matrix F of Theorem 4.1.

    K = 4 classes of n = 10 examples, d = 10, as in the paper's first figure. What scatter within classes is left is
    measured with n = 25 examples and noise of relative size 0.01 on H₀.
    """

    beta: float = knob(1.0, stops=BETAS, symbol="β", help="price of moving away from H₀")
    lambda_H: float = knob(0.05, stops=(0.0125, 0.025, 0.05, 0.1), symbol="λ_H", help="price of large features")
    lambda_W: float = knob(LAMBDA_W)

    arms = {  # settings: by what λ_H and λ_W are multiplied
        "λ_H": Arm("baseline"),
        "2 λ_H": Arm("method", lambda_H=2),
        "4 λ_H": Arm("further", lambda_H=4),
        "λ_H / 2": Arm("further", lambda_H=0.5),
        "2 λ_W": Arm("ablation", lambda_W=2),
    }
    outputs = {
        "spectrum": Var("arm seed index", "singular value of F_kk", "how a class answers its own changes", high=1),
        "levels": Var("arm index", "closed form", "the same from the factors a, b and s", high=1),
        "left": Var("arm seed", "Tr Σ_W(H) / Tr Σ_W(H₀)", "scatter left within classes near collapse"),
        "dominance": Var(
            "arm seed", "F_kl over F_kk", "largest answer between classes over the smallest within", low=0
        ),
        "error": Var(
            "arm seed epsilon", "relative error", "distance of F vec δH₀ from the measured δH, over δH", low=0
        ),
    }
    # fmt: off
    views = (
        View("Staircase", (
            Curves("Which changes of a class are passed on?", ["spectrum"], theory="levels"),
            Dots("How much scatter within classes is left?", "left"),
        ), height=3.2),
    )
    # fmt: on
    scaled = "nothing: this is the paper's own model and the size of its first figure"
    headline = "left"
    smoke = {"beta": 10}
    epsilons = (1e-3, 1e-2, 0.1, 0.5)

    def axes(self) -> dict[str, Axis]:
        """Singular values from the largest on, and sizes of the change of H₀."""
        return {
            "index": Axis(range(1, 101), label="number of the singular value"),
            "epsilon": Axis(self.epsilons, label="size ε of the change of H₀", log=True),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """For each arm one frame for each seed with its F, then one with the measured answers."""
        R, count = frames_of(seeds), len(self.arms)
        for i, (name, arm) in enumerate(self.arms.items()):
            lambda_H, lambda_W = (getattr(self, one) * arm.settings.get(one, 1) for one in ("lambda_H", "lambda_W"))
            yield from within(self._answers(name, seeds, R, lambda_W, lambda_H), i / count, (i + 1) / count)

    def _answers(self, arm: str, seeds: Seeds, R: Tensor, lambda_W: float, lambda_H: float) -> Iterator[Frame | Tick]:
        """Compute the answers at the strengths of one arm."""

        def moved(n: int, size: float | Tensor) -> Generator[Tick, None, tuple[Tensor, ...]]:
            W, H = method.collapsed(R, n, lambda_W, lambda_H)
            change, Y = small_change(seeds, H, size), class_targets(method.CLASSES, n)
            after = yield from settle(method.alternate(H + change, Y, n, lambda_W, lambda_H, self.beta))
            return W, H, change, after

        _, H, change, after = yield from moved(25, 0.01)
        yield Frame({"arm": arm}, {"left": scatter_within(after) / scatter_within(H + change)})
        sizes = torch.tensor(self.epsilons, dtype=torch.float64).reshape(-1, 1, 1, 1)
        (W, H, change, after), Y = (yield from moved(10, sizes)), class_targets(method.CLASSES, 10)
        levels = method.staircase(self.beta, lambda_W, lambda_H, method.CLASSES, method.DIMENSIONS, 10)
        predicted, block = torch.zeros_like(change), len(levels)
        for s in range(len(seeds)):
            answer = method.response(W[s], H[s], Y, lambda_W, lambda_H, self.beta)
            spectrum = torch.linalg.svdvals(answer[:block, :block])
            between = torch.linalg.matrix_norm(answer[:block, block : 2 * block], 2)
            yield Frame({"arm": arm, "seed": s}, {"spectrum": spectrum, "dominance": between / spectrum[-1]})
            yield Tick((s + 1) / len(seeds))
            # vec stacks columns: vec X = (Xᵀ).flatten()
            predicted[:, s] = (change[:, s].mT.flatten(1) @ answer.T).unflatten(1, (Y.shape[1], -1)).mT
        error = torch.linalg.matrix_norm(after - H - predicted) / torch.linalg.matrix_norm(after - H)
        yield Frame({"arm": arm}, {"levels": levels, "error": error.T})


EXPERIMENTS = (WeightDecay, Flow, TiedFeatures, Response, LayerWise)
