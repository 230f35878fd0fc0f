"""Feature compression: the experiments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reglab import data, metrics
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob, tuned
from reglab.models import dropout, replicas
from reglab.papers.labels.feature_compression import method
from reglab.pictures import Curves, Dots, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator
from reglab.training import Lanes, fit, within

FEATURES = 32
"""Width K of the last hidden layer."""


# fmt: off
class Networks:
    """W networks for each of A arms and S seeds, trained as one: model m = (W·arm + network)·S + seed, M = AWS.

    For the lanes they are WS seeds. ReLU layers, no bias in the last one, weights uniform with variance 2/inputs. Draws
    whose purpose names the network, `{}`, are its own; the others are shared by all W.
    """

    def __init__(self, lanes: Lanes, copies: int, widths: Sequence[int], weights: str, prefix: str, mask: str) -> None:
        self.lanes, self.seeds = lanes, len(lanes.seeds) // copies
        self.prefix, self.mask = self.sources(prefix), self.sources(mask)
        self.std, self.drop = lanes.each("std", 0), lanes.each("drop")
        self.network = replicas.mlp(widths, self.sources(weights), len(lanes.arms))
        self.network[-1].register_parameter("bias", None)
        self.head = self.network[-1].get_parameter("weight")
        for values in self.network.parameters():
            values.data *= 2**0.5

    def sources(self, purpose: str) -> list[torch.Generator]:
        """Return a generator for each network and seed."""
        return [generator(seed, purpose.format(i // self.seeds)) for i, seed in enumerate(self.lanes.seeds)]

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over the networks of each arm and seed: [M, ...] -> [A, S, ...]."""
        return values.unflatten(0, (len(self.lanes.arms), -1, self.seeds)).mean(1)

    def features(self, inputs: Tensor) -> Tensor:
        """Return h, the last hidden layer, of inputs of all arms: [WS, N, D] -> [M, N, K]."""
        return self.network[:-1](self.lanes.repeat(inputs))

    def logits(self, h: Tensor, kept: Tensor) -> Tensor:
        """Return what comes from each model's first features: [M, N, K], [M] -> [M, N, C]."""
        return h * method.prefix_mask(kept, FEATURES).unsqueeze(1) @ self.head

    def compressed(self, inputs: Tensor) -> Tensor:
        """Return the logits of training, with fresh masks: [WS, N, D] -> [M, N, C]."""
        uniform, mask = dropout.noise(self.prefix, 1)[:, 0], dropout.noise(self.mask, inputs.shape[1], FEATURES)
        drawn = method.draw_prefix(self.lanes.repeat(uniform), method.prefix_probabilities(self.std, FEATURES))
        h = dropout.dropout(self.features(inputs), self.lanes.repeat(mask), self.drop)
        return self.logits(h, torch.where(self.std > 0, drawn, FEATURES))


# ------------------------------------------------------------------------------------------------- digits, two networks


class Pairs(Networks):
    """Two networks for each arm and seed that learn digits; in stage two they teach each other, with one prefix.

    1000 digits with observed labels for training, 200 for validation, 597 for testing. Each pixel is shifted by its
    mean over the 1000 and divided by its standard deviation plus 0.01.
    """

    def __init__(self, lanes: Lanes, rate: float, stage: int) -> None:
        widths, prefix = (64, 128, FEATURES, 10), ("prefix of {}", "prefix of both")[stage - 1]
        super().__init__(lanes, 2, widths, "weights of {}", prefix, f"mask of {{}} in stage {stage}")
        digits = data.digits(lanes.seeds, train=1200, standardize=False)
        mean, scale = (one(digits.train_inputs[:, :1000], 1, keepdim=True) for one in (torch.mean, torch.std))
        images = [(one - mean) / (scale + 0.01) for one in (digits.train_inputs, digits.test_inputs)]
        self.train, self.valid, self.test = images[0][:, :1000], images[0][:, 1000:], images[1]
        self.truth, self.valid_labels = digits.train_labels.split([1000, 200], 1)
        self.test_labels = digits.test_labels
        order, other = dropout.noise(self.sources("flipped labels"), 2, 1000).unbind(1)
        self.observed = method.flip_labels(self.truth, rate, order, 1 + (9 * other).long())
        self.choice = self.sources("choice of {}")

    def losses(self, index: Tensor, chosen: Tensor | None = None) -> Tensor:
        """Return each model's loss [M] on its batch [2S, B], or on the chosen examples of it [M, B], with its decay."""
        inputs = self.train[torch.arange(len(index)).unsqueeze(1), index]
        losses = method.cross_entropy(self.compressed(inputs), self.lanes.pick(self.observed, index))
        decay = self.lanes.each("decay", 0) / 2 * replicas.norms(self.network.parameters()).square()
        return decay + (losses.mean(-1) if chosen is None else metrics.mean_where(losses, chosen))

    def taught(self, index: Tensor) -> Tensor:
        """Return each model's loss [M] on what the other network of the pair has chosen of its half [2S, B]."""
        inputs, forget = self.train[torch.arange(len(index)).unsqueeze(1), index], self.lanes.each("forget", 1)
        chosen = self.easy(inputs, self.lanes.pick(self.observed, index), self.choice, forget)
        return self.losses(*(method.exchange(one, self.seeds) for one in (index, chosen)))

    @torch.no_grad()
    def easy(self, inputs: Tensor, labels: Tensor, choice: list[torch.Generator], forget: Tensor) -> Tensor:
        """Return which examples [M, N] a network finds easy, without dropout; the null goes by uniform numbers."""
        scores = method.cross_entropy(self.logits(self.features(inputs), self.kept), labels)
        uniform = self.lanes.repeat(dropout.noise(choice, inputs.shape[1]))
        return method.keep_smallest(torch.where(self.lanes.each("random", 1) > 0, uniform, scores), forget)

    def measure(self, forget: float) -> dict[str, Tensor]:
        """Choose on the validation digits how many features each pair keeps, and measure with these: [A, S] each.

        What is right among the easiest digits is measured for all arms, whether they select or not.
        """
        logits, labels = method.prefix_logits(self.features(self.valid), self.head), self.valid_labels.unsqueeze(-1)
        valid = (self.mean(logits).argmax(-1) == labels[:self.seeds]).float().mean(-2)
        best = torch.where(self.mean(self.std) > 0, method.best_prefix(valid), FEATURES)
        self.kept = torch.cat([best, best], 1).flatten()
        pair, observed = self.mean(self.logits(self.features(self.test), self.kept)), self.lanes.repeat(self.observed)
        easy = self.easy(self.train, observed, self.sources("any of {}"), torch.tensor([[forget]]))
        right = self.mean(metrics.share_where(observed == self.lanes.repeat(self.truth), easy))
        return {"accuracy": metrics.accuracy(pair, self.test_labels[:self.seeds]), "best_prefix": best,
                "validation_accuracy": valid.gather(-1, best.unsqueeze(-1) - 1).squeeze(-1), "easy_right": right}

    @torch.no_grad()
    def by_prefix(self) -> dict[str, Tensor]:
        """Return the accuracy of one network from its first k features, and principal components: [A, S, K] each."""
        h, (mean, axes) = self.features(self.test), method.principal_axes(self.features(self.train))
        rotated = method.prefix_logits((h - mean) @ axes, axes.mT @ self.head) + (mean @ self.head).unsqueeze(-2)
        found = {"prefix_accuracy": method.prefix_logits(h, self.head), "pca_accuracy": rotated}
        labels = self.lanes.repeat(self.test_labels).unsqueeze(-1)
        return {name: self.mean((one.argmax(-1) == labels).float().mean(1)) for name, one in found.items()}


FIVE = ("CE", "CE, tuned decay", "CE + Co-teaching", "Nested + Co-teaching", "random selection")
FOUR = ("CE", "Dropout", "Nested", "CE, tuned decay")


@dataclass(frozen=True)
class Compression(Experiment):
    """Train pairs of networks on digits with wrong labels, with compressed features, then let them teach each other.

    Networks 64-128-32-10 with ReLU and no classifier bias. Stage one: batches of 50, SGD with momentum 0.9, learning
    rate 0.05, a tenth of it after two thirds of the epochs. Stage two: batches of 100 in two halves, learning rate
    0.005. How many features are kept is chosen on 200 validation digits with right labels.
    """

    noise: float = knob(0.4, low=0, high=0.6, step=0.1, symbol="r", help="share of wrong labels in each class")
    std: float = knob(12.0, stops=(2, 6, 12, 24, 64), symbol="η", label="features kept by Nested Dropout")
    drop: float = knob(0.6, low=0, high=0.9, step=0.1, symbol="q", help="Dropout: share of features that are dropped")
    forget: float = knob(0.4, low=0, high=0.6, step=0.1, symbol="τ", help="Co-teaching: share of a batch left out")
    decay: float = knob(5e-4, stops=(5e-4, 0.002, 0.005, 0.01, 0.02, 0.03), symbol="λ", help="weight decay")
    epochs: int = knob(30, low=1, high=60, step=1, help="passes over the training digits in stage one")
    epochs_two: int = knob(10, low=1, high=20, step=1, label="epochs of stage two", help="passes over the digits there")

    arms = {
        "CE": Arm("baseline", decay="decay"),
        "CE + Co-teaching": Arm("ablation", decay="decay", forget="forget"),
        "Dropout": Arm("ablation", drop="drop", decay="decay"),
        "Nested": Arm("ablation", std="std", decay="decay"),
        "Dropout + Co-teaching": Arm("ablation", drop="drop", decay="decay", forget="forget"),
        "Nested + Co-teaching": Arm("method", std="std", decay="decay", forget="forget"),
        "CE, tuned decay": Arm("rival", decay=tuned(0.03, (0.005, 0.01, 0.02, 0.03, 0.05), "validation_accuracy")),
        "random selection": Arm("null", std="std", decay="decay", forget="forget", random=1),
    }
    outputs = {
        "accuracy": share("arm seed epoch", "accuracy of the pair", "share of the 597 test digits right"),
        "validation_accuracy": share("arm seed epoch", "validation accuracy", "the same for the 200 validation digits"),
        "easy_right": share("arm seed epoch", "share right", "share of right labels among digits with small loss"),
        "best_prefix": Var("arm seed epoch", "k*", "features that the pair keeps", low=1, high=FEATURES),
        "prefix_accuracy": share("arm seed prefix", "accuracy of one", "test accuracy after stage one"),
        "pca_accuracy": share("arm seed prefix", "accuracy of one", "the same from principal components"),
    }
    views = (
        View("Accuracy and features", (
            Curves("How often is the pair right?", ["accuracy"], FIVE, peak="CE"),
            Curves("Do easy digits have right labels?", ["easy_right"], FIVE),
            Curves("How much do the first k features know?", ["prefix_accuracy"], FOUR),
            Curves("And the first k principal components?", ["pca_accuracy"], FOUR),
        )),
        View("Parts", (Dots("What does each part add?", "accuracy"),), columns=1),
    )
    scaled = "photographs and ResNets became 1000 digits and a network of three layers; masks and selection are kept"
    headline = "accuracy"
    smoke = {"epochs": 1, "epochs_two": 1}
    grid = {"std": (2, 6, 12, 24, 64), "noise": (0, 0.2, 0.4, 0.5, 0.6)}
    equals_baseline = (({"drop": 0}, "Dropout"), ({"forget": 0}, "CE + Co-teaching"))

    def axes(self) -> dict[str, Axis]:
        """Epochs of both stages from 0 (before training) on, and how many features are kept."""
        return {"epoch": Axis(range(self.epochs + self.epochs_two + 1), unit="epochs", label="epoch"),
                "prefix": Axis(range(1, FEATURES + 1), unit="features", label="first k")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train what differs in stage one, and from there on all arms."""
        both = Lanes(self.arms, seeds + seeds, self.settings())
        kinds = [[arm.settings.get(name) for name in ("std", "drop", "decay")] for arm in self.arms.values()]
        first = {name: arm for i, (name, arm) in enumerate(self.arms.items()) if kinds.index(kinds[i]) == i}
        which = [list(first).index(list(self.arms)[kinds.index(kind)]) for kind in kinds]
        single, pairs = Pairs(Lanes(first, both.seeds, both.knobs), self.noise, 1), Pairs(both, self.noise, 2)
        one, two = (torch.optim.SGD(each.network.parameters(), lr=0.005, momentum=0.9) for each in (single, pairs))

        def orders(epoch: int) -> Tensor:
            one.param_groups[0]["lr"] = 0.05 if 3 * epoch <= 2 * self.epochs else 0.005
            return torch.cat([data.batches(seeds, 1000, 50, 2 * epoch + network) for network in (0, 1)], 1)

        def halves(epoch: int) -> Tensor:
            order = data.batches(seeds, 1000, 100, 2 * (self.epochs + epoch))
            return order.unflatten(-1, (2, 50)).transpose(1, 2).flatten(1, 2)

        def measured(networks: Pairs, rows: Sequence[int], epoch: int) -> Frame:
            return Frame({"epoch": epoch}, {k: v[rows] for k, v in networks.measure(self.forget).items()})

        alone = fit(one, single.losses, orders, lambda epoch: measured(single, which, epoch), epochs=self.epochs)
        yield from within(alone, 0, 0.6)
        yield Frame({}, {name: values[which] for name, values in single.by_prefix().items()})
        for start, values in zip(single.network.parameters(), pairs.network.parameters(), strict=True):
            values.data = start.data.unflatten(0, (len(first), -1))[which].flatten(0, 1)
        taught = fit(two, pairs.taught, halves, lambda epoch: measured(pairs, range(len(which)), self.epochs + epoch),
                     epochs=self.epochs_two)
        yield from within(taught, 0.6, 1)


# ---------------------------------------------------------------------------------------------------- bias and variance


DRAWS, POINTS = 12, 40
"""Draws of the noisy labels for each seed, and how many points are fitted."""


def curve(x: Tensor) -> Tensor:
    """Return f*(x) = sin(πx) + sin(3πx)/2."""
    return torch.sin(torch.pi * x) + torch.sin(3 * torch.pi * x) / 2


@dataclass(frozen=True)
class BiasVariance(Experiment):
    """Fit a curve to 40 points with twelve draws of their noise: how far off is the mean fit, how much do fits differ?

    Points are equidistant in [-1, 1] on sin(πx) + sin(3πx)/2, with normal noise of standard deviation 0.5. Networks
    1-32-32-32-1 with ReLU and no last bias, Adam with learning rate 0.005 on all points. Nested is read
    with its first eight features. The draws of a seed share first weights and masks.
    """

    drop: float = knob(0.5, low=0, high=0.9, step=0.1, symbol="q", help="Dropout: share of features that are dropped")
    std: float = knob(10.0, low=2, high=32, step=1, symbol="η", label="features kept by Nested Dropout")
    steps: int = knob(800, low=10, high=2000, step=10, help="steps of gradient descent")

    arms = {"plain": Arm("baseline"), "Dropout": Arm("method", drop="drop"), "Nested": Arm("ablation", std="std"),
            "constant": Arm("null")}
    outputs = {
        "variance": Var("arm seed", "variance", "variance of the fit over draws of the noise", low=0),
        "bias2": Var("arm seed", "bias²", "squared distance of the mean fit from the truth", low=0),
        "all_variance": Var("arm seed", "variance", "the same with all features, for Nested too", low=0),
        "gap": Var("arm seed", "gap", "largest distance of bias² plus variance from the mean squared error", low=0),
        "curve": Var("arm seed x", "fit", "the fit to the first draw of the noise"),
        "truth": Var("x", "truth", "the curve without noise"),
    }
    views = (
        View("Fits and their errors", (
            *(Curves(f"{arm}: does it follow the noise?", ["curve"], [arm], theory="truth")
              for arm in ("plain", "Dropout", "Nested")),
            Dots("How much do fits vary with the noise?", "variance"),
            Dots("How far off is the mean fit?", "bias2"),
            Dots("How much do they vary with all features?", "all_variance"),
        ), height=2.2),
    )
    scaled = "the curve is ours; the paper shows fits of another one, without measuring bias and variance"
    headline = "variance"
    smoke = {"steps": 10}
    equals_baseline = (({"drop": 0}, "Dropout"),)

    def axes(self) -> dict[str, Axis]:
        """Where fits are compared."""
        return {"x": Axis(torch.linspace(-0.95, 0.95, 100, dtype=torch.float64).numpy(), label="x")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms, seeds and draws at once, and measure before and after."""
        trained = {name: arm for name, arm in self.arms.items() if arm != "null"}
        lanes, widths = Lanes(trained, seeds * DRAWS, self.settings()), (1, 32, 32, FEATURES, 1)
        fitted = Networks(lanes, DRAWS, widths, "weights", "prefix", "mask")
        points, x = (one.to(torch.get_default_dtype()).expand(len(lanes.seeds), -1).unsqueeze(-1) for one in (
            torch.linspace(-1, 1, POINTS), torch.tensor(self.axes()["x"].values)))
        draws = data.normal(seeds, "noise of the labels", DRAWS, POINTS, 1).transpose(0, 1).flatten(0, 1)
        labels, truth = curve(points) + 0.5 * draws.to(points.dtype), curve(x[0, :, 0].double())
        weights, biases = fitted.network[0].parameters()
        weights.data *= 4
        biases.data += lanes.repeat(8 * dropout.noise(fitted.sources("biases"), 1, 32) - 4)

        def measure(_: int) -> Frame:
            fits = method.prefix_logits(fitted.features(x), fitted.head).squeeze(-1)
            mean = labels.mean(1, keepdim=True).expand(-1, x.shape[1], FEATURES)
            fits = torch.cat([fits, mean] if "constant" in self.arms else [fits]).double()
            fits = fits.unflatten(0, (-1, DRAWS, len(seeds))).permute(0, 2, 4, 1, 3)  # [A, S, k, draw, x]
            shown = fits[range(len(fits)), :, [7 if name == "Nested" else FEATURES - 1 for name in self.arms]]
            bias2, variance, error = method.bias_variance(shown, truth)
            values = {"variance": variance, "bias2": bias2, "all_variance": fits[:, :, -1].var(-2, correction=0)}
            values = {name: one.mean(-1) for name, one in values.items()} | {"curve": shown[:, :, 0], "truth": truth}
            return Frame({}, values | {"gap": (bias2 + variance - error).abs().amax(-1)})

        yield from fit(torch.optim.Adam(fitted.network.parameters(), lr=0.005),
                       lambda _: (fitted.compressed(points) - lanes.repeat(labels)).square().mean((1, 2)),
                       lambda _: range(self.steps), measure, epochs=1)


# fmt: on
EXPERIMENTS = (Compression, BiasVariance)
