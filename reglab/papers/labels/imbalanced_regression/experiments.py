"""ConR: the experiment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from reglab.experiment import Experiment
from reglab.knobs import Arm, knob
from reglab.metrics import mean_where
from reglab.models import replicas
from reglab.papers.labels.imbalanced_regression import method
from reglab.pictures import Curves, Dots, Line, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator
from reglab.training import Lanes, fit, minibatches, within

SHOWN = ("L1", "ConR", "re-weighting", "shuffled labels")

TRAIN, FURTHER, TEST, EVEN = 600, 2000, 1000, 200
"""Points to train on, to tune with, to test on, and with labels in equal steps for the picture of features."""

MODE, BATCH, NOISE, BINS = 30.0, 64, 0.2, 20
"""The most frequent label, points of a batch, standard deviation of the noise of a view, bins of labels."""


class Points(NamedTuple):
    """Inputs [S, n, 24] and their labels [S, n]."""

    inputs: Tensor
    labels: Tensor


def density(labels: Tensor, mass: float) -> Tensor:
    """Return how frequent a label is, up to a factor: a bell around 30 on a background."""
    return mass + torch.exp(-(((labels - MODE) / 10) ** 2) / 2)


def bins(labels: Tensor) -> Tensor:
    """Return 1 where a label lies in a bin, else 0: [n] -> [n, 20]."""
    return ((labels * BINS / 100).floor().unsqueeze(-1) == torch.arange(BINS)).to(labels.dtype)


def draw(seeds: Seeds, mass: float) -> list[Points]:
    """Draw points to train on and to tune with (imbalanced), to test on (uniform labels), and with even labels.

    Twelve sines of the label and six nuisances are mixed, squashed and disturbed: x = tanh([h, u]A) + 0.3ε in R^24.
    """
    drawn = []
    for seed in seeds:
        source = generator(seed, "labels")
        proposed, level = 100 * torch.rand(20000, generator=source), (mass + 1) * torch.rand(20000, generator=source)
        rare = proposed[level < density(proposed, mass)][: TRAIN + FURTHER]
        y = torch.cat([rare, 100 * torch.rand(TEST, generator=source), (torch.arange(EVEN) + 0.5) * 100 / EVEN])
        source = generator(seed, "inputs")
        frequency, phase = 0.3 + 1.3 * torch.rand(12, generator=source), 2 * torch.pi * torch.rand(12, generator=source)
        mixing = 1.6 / 18**0.5 * torch.randn(18, 24, generator=source)
        h = torch.sin(2 * torch.pi * frequency * y[:, None] / 100 + phase)
        u, noise = (torch.randn(len(y), width, generator=source) for width in (6, 24))
        drawn.append((torch.tanh(torch.cat([h, u], -1) @ mixing) + 0.3 * noise, y))
    x, y = (torch.stack(several) for several in zip(*drawn, strict=True))
    sizes = (TRAIN, FURTHER, TEST, EVEN)
    return [Points(*both) for both in zip(x.split(sizes, 1), y.split(sizes, 1), strict=True)]


class Network(nn.Module):
    """M networks 24-64-32-1 with ReLU, weights normal with variance 2/inputs; the 32 units are the features."""

    def __init__(self, lanes: Lanes) -> None:
        super().__init__()
        sources, layers = lanes.generators("weights"), []
        for inputs, outputs in ((24, 64), (64, 32), (32, 1)):
            weight = torch.stack([torch.randn(inputs, outputs, generator=one) for one in sources]) * (2 / inputs) ** 0.5
            layers.append(replicas.Linear(lanes.repeat(weight), torch.zeros(len(lanes), 1, outputs)))
        self.encoder = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU())
        self.head, self.blind = layers[2], lanes.each("blind", 1) > 0

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and predictions, always 50 for a blind arm: [M, n, 24] -> [M, n, 32], [M, n]."""
        features = self.encoder(inputs)
        return features, torch.where(self.blind, 50.0, 100 * self.head(features).squeeze(-1))


@dataclass(frozen=True)
class Regression(Experiment):
    """Predict a label in [0, 100] from 24 inputs where most training labels lie near 30; test on uniform labels.

    Network 24-64-32-1, 600 points in batches of 64, Adam with learning rate 2e-3 (a tenth of it after 70 % of the
    epochs) and L2 penalty 1e-4. Each arm sees three noisy views of a batch: L1 on all three, ConR on the first two.
    All arms of a seed share points, first weights, batches and noise.
    """

    # fmt: off
    beta: float = knob(40.0, stops=(0, 5, 10, 20, 40, 80, 160, 320), symbol="β", help="weight of ConR")
    mass: float = knob(0.05, stops=(0.01, 0.05, 0.2, 1, 10), help="frequency of rare labels; 10: almost balanced")
    window: float = knob(5.0, low=2, high=20, step=1, symbol="ω", help="labels at most so far apart count as alike")
    push: float = knob(0.01, low=0, high=0.05, step=0.01, symbol="e", help="how the push grows with label distance")
    temperature: float = knob(0.2, stops=(0.07, 0.1, 0.2, 0.35, 0.5), symbol="τ", help="cosines are divided by it")
    denominator: str = knob("official", choices=("official", "paper"), help="as in the authors' code or in the paper")
    epochs: int = knob(30, low=1, high=60, step=1, help="passes over the training points")

    arms = {
        "L1": Arm("baseline"),
        "ConR": Arm("method", conr="beta", push="push"),
        "all negatives": Arm("ablation", conr="beta", push="push", every=1),
        "e = 0": Arm("ablation", conr="beta"),
        "L1, 1 view": Arm("ablation", single=1),
        "ConR, 1 view": Arm("ablation", conr="beta", push="push", single=1),
        "re-weighting": Arm("rival", power=0.5),
        "re-weighting + ConR": Arm("ablation", conr="beta", push="push", power=0.5),
        "shuffled labels": Arm("null", conr="beta", push="push", shuffle=1),
        "constant": Arm("null", blind=1),
    }
    outputs = {
        "mae": Var("arm seed epoch", "mean error", "mean absolute error on 1000 test points", "labels", low=0),
        "few": Var("arm seed epoch", "mean error, rare", "the same for labels below 10 or above 50", "labels", low=0),
        "confusions": share("arm seed epoch", "confusions", "share of pairs with far labels and close predictions"),
        "median": Var("arm seed", "mean error, between", "the same for labels 10-20 and 40-50", "labels", low=0),
        "many": Var("arm seed", "mean error, frequent", "the same for labels 20-40", "labels", low=0),
        "pull": Var("arm seed", "pull to 30", "mean error of rare labels, positive towards 30", "labels"),
        "neighbor_distance": Var("arm seed", "label distance", "mean label difference of rare test points to the 5 "
                                 "training points with the most similar features", "labels", low=0),
        "neighbor_distance_inputs": Var("seed", "inputs", "the same with raw inputs as features", "labels", low=0),
        "validation": Var("arm seed", "validation score", "minus the mean error on 2000 further points, each weighted "
                          "by how rare its label is", "labels", high=0),
        "mae_bin": Var("arm seed bin", "mean error", "mean absolute error by label", "labels", low=0),
        "label_histogram": Var("seed bin", "points", "training points in each bin of labels", low=0),
        "features_2d": Var("arm seed point component", "component", "two principal components of normed features"),
        "pair_kind": Var("arm seed row column", "kind of pair", "in the last batch: 0 ignored, 1 positive, 2 negative"),
    }
    views = (
        View("Errors by label", (
            Curves("How many training points are there?", ["label_histogram"], lines=[
                Line("x", 10, "10"), Line("x", 20, "20"), Line("x", 40, "40"), Line("x", 50, "50")]),
            Curves("Where does it err?", ["mae_bin"], SHOWN),
        )),
        View("Features", (
            Dots("Whom do rare points resemble?", "neighbor_distance",
                 ("L1", "ConR", "all negatives", "re-weighting", "shuffled labels"),
                 [Line("x", "neighbor_distance_inputs", "inputs")]),
            Dots("How wrong are rare labels?", "few"),
        ), height=3.4),
        View("While it learns", (
            Curves("How wrong are rare labels?", ["few"], SHOWN),
            Curves("How many pairs are confused?", ["confusions"], SHOWN),
        )),
    )
    scaled = "photographs of faces and ResNet-50 became 24 numbers and two hidden layers; loss and views are kept"
    headline = "few"
    grid = {"beta": (0, 10, 20, 40, 80, 160, 320), "mass": (0.01, 0.05, 0.2, 1, 10)}
    smoke = {"epochs": 1}
    equals_baseline = tuple(({"beta": 0}, arm) for arm in ("ConR", "all negatives", "e = 0", "shuffled labels"))
    may_be_nan = ("neighbor_distance",)  # a constant has no features
    # fmt: on

    def axes(self) -> dict[str, Axis]:
        """Epochs from 0 (before training) on, middles of the bins of labels, points, components, a batch twice."""
        middles = (np.arange(BINS) + 0.5) * 100 / BINS
        return {
            "epoch": Axis(range(self.epochs + 1), unit="epochs", label="epoch"),
            "bin": Axis(middles, label="label"),
            "point": Axis((np.arange(EVEN) + 0.5) * 100 / EVEN, label="label"),
            "component": Axis(range(2)),
            "row": Axis(range(BATCH)),
            "column": Axis(range(BATCH)),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame for each epoch, then one for each seed."""
        lanes, points = self.lanes(seeds), draw(seeds, self.mass)
        (inputs, labels), _, test, even = points
        beta, model = lanes.each("conr", 0), torch.arange(len(lanes)).unsqueeze(1)
        push, every, shuffle = lanes.each("push"), lanes.each("every"), lanes.each("shuffle") > 0
        seen = torch.where(lanes.each("single", 1) > 0, torch.tensor([0.0, 0, 1]), 1 / 3)
        weights = method.label_weights(lanes.repeat(labels), lanes.each("power", 1))
        who, noises, network = beta.nonzero().flatten(), lanes.generators("views"), Network(lanes)
        optimizer = torch.optim.Adam(network.parameters(), lr=2e-3, weight_decay=1e-4, fused=True)
        order, last = minibatches(lanes, TRAIN, BATCH), list[Tensor]()

        def batches(epoch: int) -> Tensor:
            optimizer.param_groups[0]["lr"] = 2e-3 if epoch <= 0.7 * self.epochs else 2e-4
            return order(epoch)

        def losses(index: Tensor) -> Tensor:
            noise = torch.stack([torch.randn(3 * BATCH, inputs.shape[-1], generator=one) for one in noises])
            features, predictions = network(lanes.pick(inputs, index).repeat(1, 3, 1) + NOISE * lanes.repeat(noise))
            views = predictions.unflatten(1, (3, BATCH))
            y, eta = lanes.pick(labels, index).unsqueeze(1), weights[model, lanes.repeat(index)].unsqueeze(1)
            last[:] = [y[:, 0], views[:, 0].detach()]
            loss = ((eta * abs(views - y)).mean(-1) * seen).sum(-1)
            # the null sees label and prediction of the next row; where all predictions are equal, all pairs are close
            both = (y.expand(-1, 2, -1), views[:, :2] * (1 - every))
            shown, said = (torch.where(shuffle, one.roll(1, -1), one) for one in both)
            rows = [one[who].flatten(1) for one in (shown, said, eta.expand(-1, 2, -1))]
            first = features[who, : 2 * BATCH]
            term = method.conr(first, *rows, self.window, push[who], self.temperature, self.denominator)
            return loss.index_add(0, who, beta[who] * term)

        def measure(epoch: int) -> Frame:
            predicted, close = (lanes.split(network(lanes.repeat(one.inputs))[1]) for one in (test, even))
            error, confused = abs(predicted - test.labels), method.pairs(even.labels, close, self.window)[1]
            rare = mean_where(error, abs(test.labels - MODE) > 20)
            values = {"mae": error.mean(-1), "few": rare, "confusions": confused.float().mean((-1, -2))}
            return Frame({"epoch": epoch}, values)

        yield from within(fit(optimizer, losses, batches, measure, epochs=self.epochs), 0, 0.9)
        yield from self._judge(lanes, network, points, last)

    @torch.no_grad()
    def _judge(
        self, lanes: Lanes, network: Network, points: Sequence[Points], batch: Sequence[Tensor]
    ) -> Iterator[Frame | Tick]:
        """Measure the trained networks, a frame for each seed; every value is [A, ...]."""
        known, further, test, _ = points
        found = [tuple(map(lanes.split, network(lanes.repeat(one.inputs)))) for one in points]
        order = batch[0].argsort(-1)
        positive, negative = method.pairs(*(one.gather(-1, order) for one in batch), self.window)
        kind, blind = lanes.split(positive + 2 * negative), lanes.each("blind", 0)[:: len(lanes.seeds)] > 0
        for seed in range(len(lanes.seeds)):
            yield Tick(0.9 + 0.1 * seed / len(lanes.seeds))
            (own, _), (_, tuned), (features, predicted), (fine, _) = ([one[:, seed] for one in both] for both in found)
            y, labels = test.labels[seed], known.labels[seed]
            off, error, away = predicted - y, abs(predicted - y), abs(y - MODE)
            rare, in_bin = away > 20, bins(y)
            near = method.neighbor_distance(features, y, own, labels)
            plain = method.neighbor_distance(test.inputs[seed], y, known.inputs[seed], labels)
            rarity = 1 / density(further.labels[seed], self.mass)
            values = {
                "median": mean_where(error, (away > 10) & ~rare),
                "many": mean_where(error, away <= 10),
                "pull": mean_where(off * (MODE - y).sign(), rare),
                "neighbor_distance": torch.where(blind, torch.nan, mean_where(near, rare)),
                "neighbor_distance_inputs": mean_where(plain, rare),
                "validation": -(abs(tuned - further.labels[seed]) * rarity).sum(-1) / rarity.sum(),
                "mae_bin": error @ in_bin / in_bin.sum(0),
                "label_histogram": bins(labels).sum(0),
                "features_2d": method.principal(fine),
                "pair_kind": kind[:, seed],
            }
            yield Frame({"seed": seed}, values)


EXPERIMENTS = (Regression,)
