"""Neural collapse: the experiments."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from reglab import data, metrics
from reglab.experiment import Experiment
from reglab.knobs import Arm, Knob, knob
from reglab.models import replicas
from reglab.papers.geometry.neural_collapse import method
from reglab.pictures import Curves, Dots, Line, Points, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds
from reglab.training import Lanes, fit, minibatches, within

Events = Iterator[Frame | Tick]

DECAY = Knob(2e-3, 0, 1e-2, stops=(0, 1e-3, 2e-3, 4e-3, 1e-2), help="weight decay of all layers in the arm base")
BETAS, LOOSE = (0.03, 0.1, 0.3, 1, 3, 10, 100), (0.01, 0.03, 0.1, 1)
TIES = {betas: Axis(betas, label="tie to H₀, β", log=True) for betas in (BETAS, LOOSE)}

VARIABILITY = ("variability NC1~", "Tr Σ_W / Tr Σ_B: scatter of features within classes over that of means")
CURVE, TIMES = "arm seed epoch", "arm seed time"


# ------------------------------------------------------------------------------------------------ the network on digits

TARGETS = torch.eye(10).repeat_interleave(50, 0)
"""The one-hot labels of all training digits, class after class: [500, 10]."""

LEVERS = ("hidden layers", *(f"hidden layer {i}" for i in (1, 2, 3)), "last layer", "last, same penalty")
OTHERS = ("base", "hidden layers", "feature norm", "4 × epochs", "shuffled labels", "untrained")
"""Arms of pictures."""


def few_digits(seeds: Seeds) -> data.Split:
    """Return 50 training digits of each class, class after class, and 800 others for testing, for every seed.

    The mean training image is taken off, then all is divided by one standard deviation, that of all training pixels.
    """
    everything, parts = data.digits(seeds, train=1797), []
    for images, labels in zip(everything.train_inputs, everything.train_labels, strict=True):
        chosen = torch.cat([(labels == k).nonzero()[:50, 0] for k in range(10)])
        rest = torch.ones(len(labels), dtype=torch.bool).index_fill(0, chosen, False)
        x, y, new, truth = images[chosen], labels[chosen], images[rest][:800], labels[rest][:800]
        mean, scale = x.mean(0), (x - x.mean(0)).std()
        parts.append(((x - mean) / scale, y, (new - mean) / scale, truth))
    return data.Split(*(torch.stack(part) for part in zip(*parts, strict=True)))


def training_images(lanes: Lanes, images: Tensor) -> Tensor:
    """Return what each model learns from, class after class: [S, 500, 64] -> [M, 500, 64].

    An arm with the setting `shuffled` gets the images in a random order, so that any image bears any label.
    """
    orders = torch.stack([torch.randperm(images.shape[1], generator=g) for g in lanes.generators("shuffled labels")])
    mixed = images.gather(1, orders.unsqueeze(-1).expand_as(images))
    return torch.where(lanes.each("shuffled") > 0, lanes.repeat(mixed), lanes.repeat(images))


def network(sources: list[torch.Generator], copies: int, depth: int) -> tuple[list[nn.Sequential], replicas.Linear]:
    """Return ReLU layers of 64 units and a head without bias for every generator; model m = copy · S + seed.

    Weights are normal with variance 2/64 (He et al. 2015), those of the head uniform in ±1/8; biases are 0.
    """
    drawn = [torch.stack([torch.randn(64, 64, generator=g) for g in sources]) * (2 / 64) ** 0.5 for _ in range(depth)]
    linear = [replicas.Linear(one.repeat(copies, 1, 1), torch.zeros(len(one) * copies, 1, 64)) for one in drawn]
    head = replicas.linear(64, 10, sources, copies, weights=1 / 8, biases=None)
    return [nn.Sequential(one, nn.ReLU(inplace=True)) for one in linear], head


def train(lanes: Lanes, layers: Sequence[nn.Module], decays: Sequence[Tensor], x: Tensor,
          measure: Callable[[int], Frame], epochs: int) -> Events:  # fmt: skip
    """Train M networks, hidden layers and a head without bias, on ½‖Wh - y‖² + ½ν‖h‖² with inputs [M, 500, D].

    SGD in batches of 50, momentum 0.9, rate 0.03, a tenth of it after 1/2 and again after 5/6 of the epochs. Half
    the weight decay of a layer [M] times its squared weights and biases is added to the loss, which is what SGD's own
    does. ν is the setting `norm`; models with `frozen` never move.
    """
    features, head, model = nn.Sequential(*layers[:-1]), layers[-1], torch.arange(len(x)).unsqueeze(1)
    norm, moves, shuffled = lanes.each("norm", 0), 1 - lanes.each("frozen", 0), minibatches(lanes, x.shape[1], 50)
    decayed = [(p, decay) for layer, decay in zip(layers, decays, strict=True) for p in layer.parameters()]
    optimizer = torch.optim.SGD([p for p, _ in decayed], momentum=0.9)

    def batches(epoch: int) -> Tensor:
        optimizer.param_groups[0]["lr"] = 0.03 * 0.1 ** ((epoch > epochs / 2) + (epoch > epochs * 5 / 6))
        return shuffled(epoch)

    def losses(index: Tensor) -> Tensor:
        index = lanes.repeat(index)
        h = features(x[model, index])
        wrong, large = (one.square().sum((1, 2)) / (2 * index.shape[1]) for one in (head(h) - TARGETS[index], h))
        penalty = torch.stack([decay * p.square().sum((1, 2)) / 2 for p, decay in decayed]).sum(0)
        return moves * (wrong + norm * large + penalty)

    yield from fit(optimizer, losses, batches, measure, epochs=epochs)


def by_class(features: Tensor, K: int = 10) -> Tensor:
    """Split features by class: [..., Kn, d] -> [..., K, n, d]."""
    return features.unflatten(-2, (K, -1))


@dataclass(frozen=True)
class WeightDecay(Experiment):
    """Change the weight decay of some layers of a network on digits and measure how far its features collapse.

    Network 64-64-64-64-10 with ReLU and no last bias, 500 digits, squared errors. All arms of a seed share digits,
    first weights and batches. The same penalty: the last layer's decay is multiplied by what adds as much to the
    penalty of the trained base as doubling that of all hidden layers, see `penalized`. The network with shuffled labels
    learns four times as long, until it knows them.
    """

    decay: float = knob(DECAY)
    factor: float = knob(2.0, stops=(0, 0.5, 1, 2, 4), help="what an arm multiplies the decay of its layers by")
    feature_norm: float = knob(0.1, stops=(0, 1e-5, 1e-4, 1e-3, 1e-2, 0.1), symbol="ν", help="price of large features")
    epochs: int = knob(90, low=2, high=200, step=1, help="passes over the training digits")

    # fmt: off
    arms = {
        "base": Arm("baseline"), "hidden layers": Arm("method", factor="factor", first=1, second=1, third=1),
        "hidden layer 1": Arm("ablation", factor="factor", first=1),
        "hidden layer 2": Arm("ablation", factor="factor", second=1),
        "hidden layer 3": Arm("ablation", factor="factor", third=1),
        "last layer": Arm("ablation", factor="factor", last=1),
        "last, same penalty": Arm("ablation", factor=48, last=1),
        "feature norm": Arm("rival", norm="feature_norm"), "4 × epochs": Arm("rival", times=4),
        "shuffled labels": Arm("null", shuffled=1, times=4), "untrained": Arm("null", frozen=1),
    }
    outputs = {
        "variability": Var(CURVE, *VARIABILITY, low=0),
        "nc1": Var(CURVE, "NC1", "the same with each direction of the class means weighed alike", low=0),
        "nc2": Var(CURVE, "NC2", "distance of the class means from equal lengths and equal angles", low=0),
        "nc3": Var(CURVE, "NC3", "distance of the centered classifier from the centered class means", low=0),
        "nc3_plain": Var(CURVE, "NC3, not centered", "the same without centering the classifier first", low=0),
        "nc4": share(CURVE, "NC4", "share of training digits where classifier and nearest class mean disagree"),
        "shift": Var("arm seed", "log10 NC1~ minus that of base", "log10 of the variability in the end minus base's"),
        "penalized": Var("arm seed", "hidden over last", "squared weights, hidden layers over last layer", low=0),
        "train_error": share(CURVE, "training error", "share of training digits classified wrong"),
        "test_accuracy": Var(CURVE, "test accuracy", "share of 800 test digits classified right", high=1),
    }
    views = (
        View("Which weight decay collapses features", (
            Curves("How much do features vary?", ["variability"], ["base", LEVERS[0], *LEVERS[4:]], log=True),
            Dots("How far from base does each end?", "shift", LEVERS, [Line("x", 0, "")])), height=3.2),
        View("Rivals and nulls", (Dots("How far from base does each end?", "shift", OTHERS[1:], [Line("x", 0, "")]),
                                  Dots("Does it know new digits?", "test_accuracy", OTHERS[:4])), height=3),
        View("Other signs of collapse", (
            Curves("NC1: and with all directions alike?", ["nc1"], OTHERS[:4], log=True),
            Curves("NC2: how far from equal angles?", ["nc2"], OTHERS[:4]),
            Curves("NC3: how far is the classifier from the means?", ["nc3", "nc3_plain"], OTHERS[:1]),
            Curves("NC4: how often does the nearest mean disagree?", ["nc4"], OTHERS[:4]))),
    )
    # fmt: on
    scaled = "ResNet-18 on CIFAR-10 became 500 digits and three hidden layers; squared errors and SGD are kept"
    headline = "variability"
    grid = {"decay": (0, 1e-3, 2e-3, 4e-3, 1e-2), "factor": (0, 0.5, 1, 2, 4)}
    smoke = {"epochs": 2}
    equals_baseline = (*(({"factor": 1}, arm) for arm in LEVERS[:-1]), ({"feature_norm": 0}, "feature norm"))

    def axes(self) -> dict[str, Axis]:
        """Epochs from 0 (before training) on, at most 31."""
        moments = sorted({round(self.epochs * part / 30) for part in range(31)})
        return {"epoch": Axis(moments, unit="epochs", label="epoch (“4 × epochs”: four times that)")}

    def frames(self, seeds: Seeds) -> Events:
        """Train base and all arms that last as long, then those that last longer, all seeds side by side."""
        ends: list[Tensor] = []
        for times, start, end in ((1, 0.0, 0.7), (4, 0.7, 1.0)):
            lasting = {name: arm for name, arm in type(self).arms.items() if arm.settings.get("times", 1) == times}
            arms = {name: arm for name, arm in lasting.items() if name in self.arms or arm == "baseline"}
            if arms:
                yield from within(self._trained(Lanes(arms, seeds, self.settings()), times, ends), start, end)

    def _trained(self, lanes: Lanes, times: int, ends: list[Tensor]) -> Events:
        """Train some arms; log10 NC1~ of each arm in the end is kept in `ends`, base first."""
        digits, copies, sources = few_digits(lanes.seeds), len(lanes.arms), lanes.generators("weights")
        x, tests = training_images(lanes, digits.train_inputs), lanes.repeat(digits.test_inputs)
        factor, (body, head) = lanes.each("factor", 0), network(sources, copies, 3)
        features = nn.Sequential(*body)
        decays = [self.decay * factor ** lanes.each(part, 0) for part in ("first", "second", "third", "last")]
        moments, shown = [times * epoch for epoch in self.axes()["epoch"].values], [a in self.arms for a in lanes.arms]

        def measure(epoch: int) -> Frame:
            if epoch not in moments:
                return Frame({}, {})
            z, new, weights = features(x), head(features(tests)), lanes.split(head.weight.mT)
            h = by_class(lanes.split(z))
            values = {
                "variability": metrics.nc1_ratio(h), "nc1": metrics.nc1(h), "nc2": metrics.nc2(h),
                "nc3": metrics.nc3(h, weights), "nc3_plain": metrics.nc3(h, weights, centered=False),
                "nc4": metrics.nc4(h, weights),
                "train_error": 1 - metrics.accuracy(lanes.split(head(z)), digits.train_labels),
                "test_accuracy": metrics.accuracy(lanes.split(new), digits.test_labels),
            }  # fmt: skip
            if epoch == moments[-1]:
                ends.extend(values["variability"].log10())
                squares = [next(layer.parameters()).square().sum((1, 2)) for layer in (*body, head)]
                values["penalized"] = lanes.split(sum(squares[:-1]) / squares[-1])
                values["shift"] = values["variability"].log10() - ends[0]
            at = {"arm": [arm for arm in lanes.arms if arm in self.arms], "epoch": moments.index(epoch)}
            return Frame(at, {name: one[shown] for name, one in values.items()})

        yield from train(lanes, (*body, head), decays, x, measure, times * self.epochs)


@dataclass(frozen=True)
class LayerWise(Experiment):
    """Build a network one layer at a time on frozen layers and measure how far each new layer's features collapse.

    Layers of 64 units; every new layer gets a fresh classifier. An untrained layer sits on trained ones. `tied` and
    `excess` are of the model that has the first trained layer's features of ten digits of each class as H₀, and
    λ_W = λ_H = 0.02.
    """

    decay: float = knob(DECAY)
    epochs: int = knob(60, low=2, high=200, step=1, help="passes over the training digits for each layer")

    # fmt: off
    arms = {"untrained": Arm("baseline"), "trained": Arm("method"), "shuffled labels": Arm("null", shuffled=1)}
    outputs = {
        "variability": Var("arm seed depth", *VARIABILITY, low=0),
        "tied": Var("seed tie", *VARIABILITY, low=0),
        "excess": Var("seed tie", "excess over the bound", "share by which scatter within classes exceeds the bound"),
    }
    views = (View("Depth", (
        Curves("Does every layer collapse further?", ["variability"], log=True),
        Curves("And tied to layer 1?", ["tied"], ["trained"]))),)
    # fmt: on
    scaled = "up to ten layers on CIFAR-10 became five layers of 64 units on 500 digits; the protocol is kept"
    headline = "variability"
    smoke = {"epochs": 2}

    def axes(self) -> dict[str, Axis]:
        """Depth 0 is the input."""
        return {"depth": Axis(range(6), unit="layers", label="hidden layers"), "tie": TIES[LOOSE]}

    def frames(self, seeds: Seeds) -> Events:
        """Train one layer after the other, all arms and seeds at once, and tie features to the first one."""
        lanes = self.only(["trained", "shuffled labels"]).lanes(seeds)
        x, sources = training_images(lanes, few_digits(seeds).train_inputs), lanes.generators("weights")
        decay = torch.full((len(lanes),), self.decay)

        def measured(depth: int, h: Tensor, *arms: str) -> Frame:
            values = metrics.nc1_ratio(by_class(lanes.split(h.detach())))[: len(arms)]
            return Frame({"arm": [*arms], "depth": depth}, {"variability": values})

        yield measured(0, x, "untrained")
        yield measured(0, x, *lanes.arms)
        for depth in range(1, 6):
            (layer,), head = network(sources, 2, 1)
            yield measured(depth, layer(x), "untrained")
            trained = train(lanes, (layer, head), (decay, decay), x, lambda epoch: Frame({}, {}), self.epochs)
            yield from within(trained, 0.15 * (depth - 1), 0.15 * depth)
            x = layer(x).detach()
            yield measured(depth, x, *lanes.arms)
            if depth == 1:
                H0 = lanes.split(x)[0, :, ::5].mT.double()
        yield from within(tied(H0, TARGETS[::5].T.double(), 0.02, 0.02, LOOSE), 0.75, 1)


# ------------------------------------------------------------------------------------------------------ the exact model


def class_targets(K: int, n: int) -> Tensor:
    """Return Y = I_K ⊗ 1ᵀ, the one-hot labels of n examples of each class: [K, Kn]."""
    return torch.eye(K, dtype=torch.float64).repeat_interleave(n, 1)


def noisy_means(seeds: Seeds, n: int, sigma: float) -> Tensor:
    """Draw H₀ [S, d, N]: class means from N(0, I), around each n points with standard deviation σ."""
    means = data.normal(seeds, "class means", method.DIMENSIONS, method.CLASSES).repeat_interleave(n, -1)
    return means + sigma * data.normal(seeds, "noise", method.DIMENSIONS, method.CLASSES * n)


def class_means(H: Tensor) -> Tensor:
    """Put the mean of its class in the place of every column: [..., d, N]."""
    return H.unflatten(-1, (method.CLASSES, -1)).mean(-1).repeat_interleave(H.shape[-1] // method.CLASSES, -1)


def scatter(H: Tensor, K: int = method.CLASSES) -> tuple[Tensor, Tensor]:
    """Return Tr Σ_W and Tr Σ_B of features: [..., d, N] -> [...] each."""
    return metrics.class_scatter(by_class(H.mT, K))


def settle(H0: Tensor, Y: Tensor, *strengths: float) -> Generator[Tick, None, Tensor]:
    """Tie features to H₀ [..., d, N] at strengths λ_W, λ_H and β, with a tick now and then; return them."""
    for turn, (_, H) in enumerate(method.alternate(H0, Y, *strengths)):  # noqa: B007 - the last one counts
        if turn % 10 == 0:
            yield Tick(0)
    return H


def tied(H0: Tensor, Y: Tensor, lambda_W: float, lambda_H: float, betas: Sequence[float]) -> Events:
    """Tie features to H₀ [S, d, N], from the tightest tie to the loosest; a frame for each β, Y is [K, N]."""
    for done, beta in enumerate(reversed(betas)):
        H: Tensor = yield from within(settle(H0, Y, lambda_W, lambda_H, beta), done / len(betas), 1)
        (inner, between), bound = scatter(H, len(Y)), (beta / (beta + lambda_H)) ** 2
        values = {"tied": inner / between, "excess": inner / scatter(H0, len(Y))[0] / bound - 1}
        yield Frame({"tie": betas.index(beta)}, values)


@dataclass(frozen=True)
class ExactModel(Experiment):
    """Let features flow, tie them to given ones, and change collapsed ones a little: all exact, without data.

    K = 4 classes, d = 10. Flow (Eq. 4) and tie (Eq. 2) start from H₀ with n = 25 noisy examples of each class. The
    response of collapsed features to a change (Theorem 4.1) has n = 10, as in the paper's first figure; what scatter it
    leaves within classes is measured with noise of relative size 0.01. Arms: factors of λ_H and λ_W.
    """

    # fmt: off
    beta: float = knob(1.0, stops=BETAS, symbol="β", label="tie", help="price of moving away from H₀")
    lambda_H: float = knob(0.05, stops=(0.0125, 0.025, 0.05, 0.1, 0.2, 0.4, 1), symbol="λ_H", label="price of features")
    lambda_W: float = knob(0.5, stops=(0.125, 0.25, 0.5, 1, 2), symbol="λ_W", label="price of the classifier")
    sigma: float = knob(1.0, stops=(0.1, 0.2, 0.5, 1, 2), symbol="σ", label="spread of H₀ around its class means")
    duration: float = knob(40.0, low=2, high=80, step=2, symbol="T", help="time at which the flow ends")

    arms = {"λ_H": Arm("baseline"), "2 λ_H": Arm("method", lambda_H=2), "4 λ_H": Arm("further", lambda_H=4),
            "λ_H / 2": Arm("further", lambda_H=0.5), "2 λ_W": Arm("ablation", lambda_W=2)}
    outputs = {
        "place": Var("point plane", "H at the chosen β", "the first seed's tied features in the plane of H₀"),
        "start": Var("point plane", "H₀", "the first seed's given features in the plane where they spread most"),
        "group": Var("point", "class", "the class of each point, a number from zero"),
        "given": Var("seed", "H₀", "variability of the given features", low=0),
        **{name: LayerWise.outputs[name] for name in ("tied", "excess")},
        "variability": Var(TIMES, *VARIABILITY, low=0),
        "between": Var(TIMES, "Tr Σ_B", "scatter of the class means", low=0),
        "within_rescaled": Var(TIMES, "exp(2λ_H t) Tr Σ_W", "scatter without the common decay", low=0),
        "between_rescaled": Var(TIMES, "exp(2λ_H t) Tr Σ_B", "scatter without the common decay", low=0),
        "spectrum": Var("arm seed index", "singular value of F_kk", "how a class answers its own changes", high=1),
        "levels": Var("arm index", "closed form", "the same from the factors a, b and s", high=1),
        "left": Var("arm seed", "Tr Σ_W(H) / Tr Σ_W(H₀)", "scatter left within classes near collapse"),
        "error": Var("arm seed epsilon", "relative error", "distance of F vec δH₀ from δH, over δH", low=0),
    }
    views = (
        View("Collapse in time", (
            Curves("Does the variability always fall?", ["variability"], ["λ_H", "2 λ_H", "2 λ_W"], log=True),
            Curves("Who shrinks, who grows?", ["within_rescaled", "between_rescaled", "between"], ["λ_H"], "scatter",
                   log=True))),
        View("Tied features", (
            Points("Where do the features move?", "place", origin="start", groups="group"),
            Curves("How much do they vary?", ["tied"], ["λ_H"], lines=[Line("y", "given", "H₀")])), height=3.2),
        View("Staircase", (
            Curves("Which changes of a class are passed on?", ["spectrum"], theory="levels"),
            Dots("How much scatter within classes is left?", "left")), height=3.2),
    )
    # fmt: on
    scaled = "nothing: this is the paper's own model; its first figure has the same size"
    headline = "left"
    grid = {"beta": BETAS, "lambda_H": (0.0125, 0.05, 0.1, 0.2, 0.4)}
    smoke = {"beta": 10, "sigma": 0.5, "duration": 2}
    may_be_nan = ("levels",)  # the closed form is for λ_H λ_W < 1
    examples, every, epsilons = 25, 0.4, (1e-3, 1e-2, 0.1, 0.5)

    def axes(self) -> dict[str, Axis]:
        """The values of β, points and plane of the picture, time, singular values, sizes of the change of H₀."""
        return {
            "tie": TIES[BETAS],
            "point": Axis(range(method.CLASSES * self.examples)),
            "plane": Axis(["first", "second"]),
            "time": Axis(np.arange(round(self.duration / self.every) + 1) * self.every, label="time t"),
            "index": Axis(range(1, 101), label="number of the singular value"),
            "epsilon": Axis(self.epsilons, label="size ε of the change of H₀", log=True),
        }

    def frames(self, seeds: Seeds) -> Events:
        """The points of the first seed, the tie, the flow, then the response for one arm after the other."""
        H0, Y, count = noisy_means(seeds, self.examples, self.sigma), class_targets(4, self.examples), len(self.arms)
        strengths = [[getattr(self, name) * arm.settings.get(name, 1) for arm in self.arms.values()]
                     for name in ("lambda_W", "lambda_H")]  # fmt: skip
        center, (inner, between) = H0[0].mean(-1, keepdim=True), scatter(H0)
        plane = torch.linalg.svd(H0[0] - center).U[:, :2].T
        yield Frame({}, {"start": (plane @ (H0[0] - center)).T, "group": Y.argmax(0), "given": inner / between})
        H: Tensor = yield from within(settle(H0[0], Y, self.lambda_W, self.lambda_H, self.beta), 0, 0.05)
        yield Frame({}, {"place": (plane @ (H - center)).T})
        yield from within(tied(H0, Y, self.lambda_W, self.lambda_H, BETAS), 0.05, 0.1)
        yield from within(self._flow(H0, Y, *(torch.tensor(one, dtype=torch.float64) for one in strengths)), 0.1, 0.7)
        for i, (arm, *both) in enumerate(zip(self.arms, *strengths, strict=True)):
            yield from within(self._answers(arm, seeds, *both), 0.7 + 0.3 * i / count, 0.7 + 0.3 * (i + 1) / count)

    def _flow(self, H0: Tensor, Y: Tensor, lambda_W: Tensor, lambda_H: Tensor) -> Events:
        """Take Runge-Kutta steps of 0.05 with all arms and seeds at once; strengths are [A]."""
        W_price, H_price = (one.reshape(-1, 1, 1, 1) for one in (lambda_W, lambda_H))
        H = H0.expand(len(lambda_H), *H0.shape)
        for position, time in enumerate(self.axes()["time"].values):
            (inner, between), growth = scatter(H), torch.exp(2 * lambda_H * time).unsqueeze(1)
            values = {"variability": inner / between, "within_rescaled": growth * inner, "between": between}
            yield Frame({"time": position}, {**values, "between_rescaled": growth * between})
            yield Tick(min(time / self.duration, 1))
            for _ in range(round(self.every / 0.05)):
                H = method.runge_kutta(lambda h: method.velocity(h, Y, self.examples, W_price, H_price), H, 0.05)

    def _answers(self, arm: str, seeds: Seeds, lambda_W: float, lambda_H: float) -> Events:
        """Compute the answers at the strengths of one arm: a frame for each seed with its F, then one with the rest."""
        R, Y = torch.linalg.qr(data.normal(seeds, "directions", method.DIMENSIONS, 4)).Q, class_targets(4, 10)
        (W, H), noise = method.collapsed(R, 10, lambda_W, lambda_H), data.normal(seeds, "change", method.DIMENSIONS, 40)
        # the size ε is relative to H, and to 1 where H is zero
        size = H.square().mean((-2, -1), keepdim=True).sqrt()
        change = (
            torch.tensor(self.epsilons, dtype=torch.float64).reshape(-1, 1, 1, 1)
            * torch.where(size > 0, size, 1)
            * noise
        )
        after = yield from settle(H + change, Y, lambda_W, lambda_H, self.beta)
        left = (scatter(after)[0] / scatter(H + change)[0])[self.epsilons.index(0.01)]
        predicted = torch.zeros_like(change)
        for s in range(len(seeds)):
            answer = method.response(W[s], H[s], Y, lambda_W, lambda_H, self.beta)
            yield Frame({"arm": arm, "seed": s}, {"spectrum": torch.linalg.svdvals(answer[:100, :100])})
            yield Tick((s + 1) / len(seeds))
            # vec stacks columns: vec X = (Xᵀ).flatten()
            predicted[:, s] = (change[:, s].mT.flatten(1) @ answer.T).unflatten(1, (Y.shape[1], -1)).mT
        error = torch.linalg.matrix_norm(after - H - predicted) / torch.linalg.matrix_norm(after - H)
        levels = method.staircase(self.beta, lambda_W, lambda_H, method.CLASSES, method.DIMENSIONS, 10)
        levels = levels if lambda_H * lambda_W < 1 else levels * torch.nan
        yield Frame({"arm": arm}, {"levels": levels, "error": error.T, "left": left})


EXPERIMENTS = (WeightDecay, LayerWise, ExactModel)
