"""ConR: the experiment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from reglab.experiment import Experiment
from reglab.knobs import Arm, knob, tuned
from reglab.metrics import mean_where
from reglab.models import replicas
from reglab.papers.labels.imbalanced_regression import method
from reglab.pictures import Curves, Dots, Heatmap, Line, Points, View
from reglab.results import Axis, Frame, Tick, Var
from reglab.seeds import Seeds, generator
from reglab.training import Lanes, fit, minibatches, within

POWER = tuned(0.25, (0.1, 0.25, 0.5, 0.75, 1), "validation")
"""A weight is the number of training labels in the same bin to minus this power."""

SHOWN = ("L1", "ConR", "re-weighting", "shuffled labels")
DOTTED = (*SHOWN, "all negatives")

SIZES = TRAIN, _, _, EVEN = (600, 2000, 1000, 200)
"""Points to train on, to tune with, to test on, and with labels in equal steps."""

MODE, BATCH, NOISE, BINS = 30.0, 64, 0.2, 20
"""The most frequent label, points of a batch, standard deviation of the noise of a view, bins of labels."""

Sample = tuple[Tensor, Tensor]
"""Inputs [S, n, 24] and their labels [S, n]."""


def density(labels: Tensor, mass: float) -> Tensor:
    """Return how frequent a label is, up to a factor: a bell around 30 on a background."""
    return mass + torch.exp(-(((labels - MODE) / 10) ** 2) / 2)


def regions(labels: Tensor) -> dict[str, Tensor]:
    """Return which labels are in each region, by the name of its mean error: all, rare, in between, frequent."""
    away = abs(labels - MODE)
    return {"mae": away >= 0, "few": away > 20, "median": (away > 10) & (away <= 20), "many": away <= 10}


def bins(labels: Tensor) -> Tensor:
    """Return 1 where a label lies in a bin of width 5, else 0: [..., n] -> [..., n, 20]."""
    return ((labels * BINS / 100).floor().unsqueeze(-1) == torch.arange(BINS)).to(labels.dtype)


def draw(seeds: Seeds, mass: float) -> list[Sample]:
    """Draw points to train on and to tune with (imbalanced), to test on (uniform labels), and with even labels.

    Twelve sines of the label and six nuisances are mixed, squashed and disturbed: x = tanh([h, u]A) + 0.3ε in R^24.
    """
    drawn = []
    for seed in seeds:
        source = generator(seed, "labels")
        proposed, level, test = (torch.rand(n, generator=source) for n in (20000, 20000, SIZES[2]))
        proposed = proposed[level * (mass + 1) < density(100 * proposed, mass)][: TRAIN + SIZES[1]]
        y = 100 * torch.cat([proposed, test, (torch.arange(EVEN) + 0.5) / EVEN])
        source = generator(seed, "inputs")
        frequency, phase = 0.3 + 1.3 * torch.rand(12, generator=source), torch.rand(12, generator=source)
        mixing = 1.6 / 18**0.5 * torch.randn(18, 24, generator=source)
        h = torch.sin(2 * torch.pi * (frequency * y[:, None] / 100 + phase))
        u, noise = (torch.randn(len(y), width, generator=source) for width in (6, 24))
        drawn.append((torch.tanh(torch.cat([h, u], -1) @ mixing) + 0.3 * noise, y))
    x, y = (torch.stack(several) for several in zip(*drawn, strict=True))
    return list(zip(x.split(SIZES, 1), y.split(SIZES, 1), strict=True))


def network(lanes: Lanes) -> nn.Sequential:
    """Return networks 24-64-32-1 with ReLU, weights normal with variance 2/inputs; the 32 units are the features."""
    sources, layers = lanes.generators("weights"), list[nn.Module]()
    for inputs, outputs in ((24, 64), (64, 32), (32, 1)):
        weight = torch.stack([torch.randn(inputs, outputs, generator=one) for one in sources]) * (2 / inputs) ** 0.5
        layers += [replicas.Linear(lanes.repeat(weight), torch.zeros(len(lanes), 1, outputs)), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@dataclass(frozen=True)
class Regression(Experiment):
    """Predict a label in [0, 100] from 24 inputs where most training labels lie near 30; test on uniform labels.

    Network 24-64-32-1, 600 points in batches of 64, Adam with learning rate 2e-3 (a tenth of it after 70 % of the
    epochs) and L2 penalty 1e-4. Each arm sees three noisy views of a batch: L1 on all three, ConR on the first two.
    All arms of a seed share points, first weights, batches and noise. On seeds 0 to 7 the chosen β was the best of its
    candidates for `e = 0` and `shuffled labels`, too, and within 0.01 of the best for `all negatives`.
    """

    # fmt: off
    beta: float = knob(tuned(40, (10, 20, 40, 80, 160), "validation"), stops=(0, 5, 10, 20, 40, 80, 160, 320),
                       symbol="β", label="weight of ConR", help="weight of ConR beside the usual loss")
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
        "re-weighting": Arm("rival", power=POWER),
        "re-weighting + ConR": Arm("ablation", conr="beta", push="push", power=POWER),
        "shuffled labels": Arm("null", conr="beta", push="push", shuffle=1),
        "constant": Arm("null", blind=1),
    }
    outputs = {
        "mae": Var("arm seed epoch", "mean error", "mean absolute error on 1000 test points", "labels", low=0),
        "few": Var("arm seed epoch", "mean error, rare", "the same for labels below 10 or above 50", "labels", low=0),
        "confusions": Var("arm seed epoch", "share confused", "pairs with far labels and close predictions", low=0),
        "median": Var("arm seed", "mean error, between", "the same for labels 10-20 and 40-50", "labels", low=0),
        "many": Var("arm seed", "mean error, frequent", "the same for labels 20-40", "labels", low=0),
        "pull": Var("arm seed", "pull to 30", "mean error of rare labels, positive towards 30", "labels"),
        "mae_bin": Var("arm seed bin", "mean error", "mean absolute error by label", "labels", low=0),
        "confused": Var("arm seed bin other", "share confused", "share of pairs in two bins that are confused", low=0),
        "neighbor_distance": Var("arm seed", "label distance", "mean label difference of rare test points to the five "
                                 "training points with the most similar features", "labels", low=0),
        "neighbor_distance_inputs": Var("seed", "inputs", "the same with raw inputs as features", "labels", low=0),
        "validation": Var("arm seed", "score", "minus the error on 2000 further points, rare ones count more"),
        "at_rest": Var("arm seed", "at rest", "ConR's loss and largest gradient, were predictions the labels", low=0),
        "label_histogram": Var("seed bin", "points", "training points in each bin of labels", low=0),
        "features_2d": Var("arm seed point component", "component", "two principal components of normed features"),
        "region": Var("point", "region", "labels below 10, 10-20, 20-40, 40-50, above 50"),
    }
    views = (
        View("Errors by label", (
            Curves("How many training points?", ["label_histogram"], ["L1"],
                   lines=[Line("x", at, f"{at}") for at in (10, 20, 40, 50)]),
            Curves("Where does it err?", ["mae_bin"], SHOWN[:3]))),
        View("Neighbors", (
            Dots("Whom do rare points resemble?", "neighbor_distance", DOTTED,
                 [Line("x", "neighbor_distance_inputs", "inputs")]),
            Dots("How wrong are rare labels?", "few", DOTTED)), height=3.2),
        View("Confusions", tuple(Heatmap(f"{arm}: what is confused?", "confused", "bin", "other", arm,
                                         limits=(0, 0.4)) for arm in SHOWN[:2])),
        View("While it learns", (Curves("How wrong are rare labels?", ["few"], SHOWN[:2], log=True),
                                 Curves("How many pairs are confused?", ["confusions"], SHOWN[:2]))),
    )
    scaled = "photographs of faces and ResNet-50 became 24 numbers and two hidden layers; loss and views are kept"
    headline = "few"
    grid = {"beta": (0, 10, 20, 40, 80, 160, 320), "mass": (0.01, 0.05, 0.2, 1, 10)}
    smoke = {"epochs": 1}
    equals_baseline = tuple(({"beta": 0}, arm) for arm in ("ConR", "all negatives", "e = 0", "shuffled labels"))
    may_be_nan = ("neighbor_distance",)  # a constant has no features

    def axes(self) -> dict[str, Axis]:
        """Epochs from 0 (before training) on, middles of the bins of labels twice, even labels, components."""
        middles, even = ((np.arange(count) + 0.5) * 100 / count for count in (BINS, EVEN))
        epochs, other = Axis(range(self.epochs + 1), "epochs", "epoch"), Axis(middles, label="label of the other")
        return {"epoch": epochs, "bin": Axis(middles, label="label"), "other": other,
                "point": Axis(even, label="label"), "component": Axis(range(2))}
    # fmt: on

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame for each epoch, then one for each seed."""
        lanes, points = self.lanes(seeds), draw(seeds, self.mass)
        (inputs, labels), _, (test, truth), (even, places) = points
        beta, model = lanes.each("conr", 0), torch.arange(len(lanes)).unsqueeze(1)
        push, every, shuffle, blind = (lanes.each(setting) for setting in ("push", "every", "shuffle", "blind"))
        seen = torch.where(lanes.each("single", 1) > 0, torch.tensor([0.0, 0, 1]), 1 / 3)
        weights = method.label_weights(lanes.repeat(labels), lanes.each("power", 1))
        who, noises, layers = beta.nonzero().flatten(), lanes.generators("views"), network(lanes)
        optimizer = torch.optim.Adam(layers.parameters(), lr=2e-3, weight_decay=1e-4, fused=True)
        order, region, in_bin = minibatches(lanes, TRAIN, BATCH), regions(truth), bins(truth)

        def run(x: Tensor) -> tuple[Tensor, Tensor]:
            features = layers[:-1](x)
            return features, torch.where(blind[..., 0] > 0, 50.0, 100 * layers[-1](features).squeeze(-1))

        def batches(epoch: int) -> Tensor:
            optimizer.param_groups[0]["lr"] = 2e-3 if epoch <= 0.7 * self.epochs else 2e-4
            return order(epoch)

        def losses(index: Tensor) -> Tensor:
            noise = torch.stack([torch.randn(3 * BATCH, inputs.shape[-1], generator=one) for one in noises])
            features, predictions = run(lanes.pick(inputs, index).repeat(1, 3, 1) + NOISE * lanes.repeat(noise))
            views = predictions.unflatten(1, (3, BATCH))
            y, eta = lanes.pick(labels, index).unsqueeze(1), weights[model, lanes.repeat(index)].unsqueeze(1)
            loss = ((eta * abs(views - y)).mean(-1) * seen).sum(-1)
            # the null sees label and prediction of the next row; where all predictions are equal, all pairs are close
            both = (y.expand(-1, 2, -1), views[:, :2] * (1 - every))
            shown, said = (torch.where(shuffle > 0, one.roll(1, -1), one) for one in both)
            label, close, weight = (one[who].flatten(1) for one in (shown, said, eta.expand(-1, 2, -1)))
            rows, how = features[who, : 2 * BATCH], (self.window, push[who], self.temperature, self.denominator)
            term = method.conr(rows, label, close, weight, *how)
            return loss.index_add(0, who, beta[who] * term)

        def measure(epoch: int) -> Frame:
            predicted, said = (lanes.split(run(lanes.repeat(one))[1]) for one in (test, even))
            off, pairs = predicted - truth, method.pairs(places, said, self.window)[1].float()
            values = {name: mean_where(abs(off), where) for name, where in region.items()}
            values["pull"] = mean_where(off * (MODE - truth).sign(), region["few"])
            values["mae_bin"] = torch.einsum("asn,snb->asb", abs(off), in_bin) / in_bin.sum(1)
            values["confusions"] = pairs.mean((-1, -2))
            values["confused"] = pairs.unflatten(-1, (BINS, -1)).unflatten(-3, (BINS, -1)).mean((-1, -3))
            return Frame({"epoch": epoch}, values)

        yield from within(fit(optimizer, losses, batches, measure, epochs=self.epochs), 0, 0.9)
        with torch.no_grad():
            found = [tuple(map(lanes.split, run(lanes.repeat(x)))) for x, _ in points]
        yield Frame({}, {"region": sum((places[0] > end).float() for end in (10, 20, 40, 50))})
        for seed in range(len(seeds)):
            yield Tick(0.9 + 0.1 * seed / len(seeds))
            (x, labels), (_, tune), (queries, y), _ = ((one[seed] for one in both) for both in points)
            (own, _), (_, said), (features, _), (fine, _) = ([one[:, seed] for one in both] for both in found)
            rare, rarity = region["few"][seed], 1 / density(tune, self.mass)
            near = mean_where(method.neighbor_distance(features, y, own, labels), rare)
            row, right = fine[:, ::4].repeat(1, 2, 1).requires_grad_(), places[0, ::4].repeat(2)
            rest = method.conr(row, right, right, torch.ones_like(right), self.window, self.push, self.temperature)
            values = {
                "neighbor_distance": torch.where(lanes.split(blind)[:, 0, 0, 0] > 0, torch.nan, near),
                "neighbor_distance_inputs": mean_where(method.neighbor_distance(queries, y, x, labels), rare),
                "validation": -(abs(said - tune) * rarity).sum(-1) / rarity.sum(),
                "at_rest": rest.detach() + abs(torch.autograd.grad(rest.sum(), row)[0]).amax((1, 2)),
                "label_histogram": bins(labels).sum(0),
                "features_2d": method.principal(fine),
            }
            yield Frame({"seed": seed}, values)


# not among the views: at every setting of a grid these points would be too heavy for a page
FEATURES = View("Features", tuple(Points(f"{arm}: ordered by label?", "features_2d", arm, groups="region",
                                         limits=(-0.9, 0.9)) for arm in SHOWN[:2]), height=3.4)  # fmt: skip

EXPERIMENTS = (Regression,)
