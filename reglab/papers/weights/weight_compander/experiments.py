"""WC: the experiments."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reglab import data, metrics
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob, tuned
from reglab.papers.weights._shared import cost
from reglab.papers.weights._shared.network import Dense, digits, sgd
from reglab.papers.weights.weight_compander import method
from reglab.pictures import Curves, Dots, Line, Scatter, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator
from reglab.training import Lanes, fit, minibatches

TRAIN, WIDTHS, RATE, MEASURED = 300, (64, 100, 100, 10), 0.05, 30
"""Training digits; widths of the layers; learning rate; measurements of a run after its start."""

JUDGE = "validation_accuracy"
"""What strengths are chosen by."""

SAMPLE, KNOCKED = 8, 0.02
"""One of so many hidden weights is kept for histograms; the share of them that is set to zero, largest first."""

SHOWN = ("baseline", "WC", "clip", "tuned decay")
PRESSED = ("WC", "map at the end")
CURVE = "arm seed epoch"


class Companded(Dense):
    """Dense networks whose acting weights are w = Ψ(v) of the stored ones v in arms with the setting `kappa`.

    Each layer l has a = κσ_l and b = a/`slope`. Where `learned` is 1, both are multiplied by the exponentials of
    `logs`, two numbers for each layer that begin at 0 and are trained. Arms with `start` are plain, but begin at Ψ of
    the usual draw; those with `late` are plain until they are `finished`; those with `clip` have weights that are
    clamped to ±πa/2 where a step has led beyond.
    """

    def __init__(self, lanes: Lanes) -> None:
        super().__init__(WIDTHS, lanes)
        given = {name: lanes.each(name) for name in ("kappa", "start", "late", "clip")}
        self.rows = {name: (values.flatten() > 0).nonzero().flatten() for name, values in given.items()}
        self.kappa, slope = torch.stack(list(given.values())).sum(0), lanes.each("slope")
        self.learned = lanes.each("learned")
        self.slope, self.bounded = torch.where(slope > 0, slope, 1), (self.kappa > 0) & (given["start"] == 0)
        self.logs = [torch.zeros(2, len(lanes), 1, 1, requires_grad=True) for _ in self.weights]
        for layer, weight in enumerate(self.weights):
            weight.data = self.pressed(layer, weight.data, "start", method.psi)

    def map(self, layer: int) -> tuple[Tensor, Tensor]:
        """Return a and b of a layer, [M, 1, 1] each; 0 for arms without a map."""
        by_a, by_b = (self.learned * self.logs[layer]).exp()
        a = method.scale(self.kappa, WIDTHS[layer])
        return a * by_a, a / self.slope * by_b

    def pressed(self, layer: int, v: Tensor, arms: str, by: Callable[..., Tensor]) -> Tensor:
        """Return weights [M, in, out] with those of some arms replaced by what a map makes of them."""
        rows = self.rows[arms]
        return v.index_copy(0, rows, by(v[rows], *(one[rows] for one in self.map(layer)))) if len(rows) else v

    def effective(self, layer: int) -> Tensor:
        """Return Ψ(v) of the stored weights where an arm has the map, and else v."""
        return self.pressed(layer, self.weights[layer], "kappa", method.psi)

    def finished(self) -> list[Tensor]:
        """Return the weights that would be written into ordinary layers now: [M, in, out] each."""
        return [self.pressed(i, self.effective(i), "late", method.map_at_the_end) for i in range(len(self.weights))]

    @torch.no_grad()
    def clamp(self) -> None:
        """Clamp the weights of arms that clip."""
        for layer, weight in enumerate(self.weights):
            weight.copy_(
                self.pressed(layer, weight, "clip", lambda w, a, _: w.clamp(-method.bound(a), method.bound(a)))
            )

    def excess(self, weights: list[Tensor]) -> Tensor:
        """Return the largest max|w| - πa/2 of all layers [M]; NaN for arms without a bound."""
        found = [w.abs().amax((1, 2)) - method.bound(self.map(i)[0]).flatten() for i, w in enumerate(weights)]
        return torch.where(self.bounded.flatten(), torch.stack(found).amax(0), torch.nan)


@dataclass(frozen=True)
class WrongLabels(Experiment):
    """Fit a network that can learn wrong labels by heart, with weights that act through a compander or without.

    300 digits, some of them with wrong labels, network 64-100-100-10, SGD (learning rate 0.05, momentum 0.9) in batches
    of 50. Test labels are right; strengths were chosen on 200 validation digits with as many wrong labels. All arms of
    a seed share digits, labels, first weights and batches. "clip" clamps weights after each step, "small start" begins
    at Ψ(v), "map at the end" presses a trained network once.
    """

    # fmt: off
    kappa: float = knob(tuned(0.45, (0.2, 0.3, 0.45, 0.6, 0.9), JUDGE), stops=(0.2, 0.3, 0.45, 0.6, 0.9, 1.5, 3, 50),
                        symbol="κ", label="scale", help="scale a of the map, in standard deviations of first weights")
    label_noise: float = knob(0.4, low=0, high=0.6, step=0.1, help="share of wrong training labels, on average")
    slope: float = knob(1.0, low=0.5, high=4, step=0.5, symbol="a/b", help="slope of the map at zero")
    decay: float = knob(5e-4, stops=(0, 5e-4, 5e-3, 0.01, 0.02, 0.04, 0.08, 0.15), help="decay of the stored weights")
    held_out: int = knob(0, low=0, high=60, step=60, help="of the 300 digits, kept to choose the epoch")
    epochs: int = knob(60, low=2, high=60, step=1, help="passes over the training digits")

    arms = {
        "baseline": Arm("baseline", decay="decay"),
        "WC": Arm("method", kappa="kappa", slope="slope", decay="decay"),
        "clip": Arm("ablation", clip=tuned(0.3, (0.1, 0.2, 0.3, 0.45, 0.6), JUDGE), slope=1, decay="decay"),
        "small start": Arm("ablation", start="kappa", slope="slope", decay="decay"),
        "learned": Arm("ablation", kappa="kappa", slope="slope", learned=1, decay="decay"),
        "tuned decay": Arm("rival", decay=tuned(0.04, (0.01, 0.02, 0.04, 0.08, 0.15), JUDGE)),
        "small dense": Arm("rival", width=40, decay="decay"),
        "map at the end": Arm("null", late="kappa", slope="slope", decay="decay"),
    }
    outputs = {
        "test_accuracy": share(CURVE, "test accuracy", "share of the 597 test digits classified right"),
        "train_loss": Var(CURVE, "training loss", "cross-entropy with the labels that are trained on", "nats", low=0),
        "clean_loss": Var(CURVE, "loss, right labels", "cross-entropy of training digits, true labels", "nats", low=0),
        "kurtosis": Var(CURVE, "kurtosis of w", "E w⁴/(E w²)², mean of the hidden layers; 3 for a bell curve"),
        "near_zero": Var(CURVE, "weights near zero", "share with |w| below 0.1 rms, mean of the hidden layers"),
        "participation": share(CURVE, "participation", "E|w|/√(E w²), mean of the hidden layers"),
        "largest": Var(CURVE, "largest weight", "max|w|, mean of the hidden layers", "rms", low=1),
        "bound_excess": Var(CURVE, "excess", "largest max|w| − πa/2 of all layers, of arms with a bound"),
        "weights": Var("arm seed weight", "weight", "a sample of the weights of the hidden layers", "rms"),
        "knockout": Var("arm seed", "lost accuracy", "test accuracy lost without the largest 2 % of hidden weights"),
        "stopped_accuracy": share("arm seed", "test accuracy, stopped", "at the first epoch of best held-out accuracy"),
        JUDGE: share("arm seed", "validation accuracy", "share of validation digits predicted as (wrongly) labeled"),
        **cost.outputs(),
    }
    views = (
        View("Accuracy", (Curves("Does it know new digits?", ["test_accuracy"], SHOWN),
                          Dots("Who gains on the baseline?", "accuracy_change"))),
        View("By heart", (Curves("Are wrong labels learned by heart?", ["train_loss"], SHOWN),
                          Dots("What is lost without the largest 2 %?", "knockout"))),
        View("Shape", (Curves("Does training flatten the weights?", ["kurtosis"], PRESSED),
                       Curves("Do weights leave zero?", ["near_zero"], PRESSED))),
        View("Cost", (Scatter("Does the gain cost multiply-adds?", "macs_share", "accuracy_change",
                              arms=("baseline", "WC", "tuned decay", "small dense")),), 1),
    )
    # fmt: on
    scaled = "convolutional networks on clean images became a small dense one on digits with wrong labels"
    headline = "test_accuracy"
    grid = {"kappa": (0.2, 0.3, 0.45, 0.6, 0.9, 1.5, 3), "label_noise": (0, 0.1, 0.2, 0.4, 0.6)}
    smoke = {"epochs": 2, "held_out": 60}
    equals_baseline = (({"decay": 0.04}, "tuned decay"),)
    # arms without a bound, runs without held-out digits, weights that a narrow network lacks
    may_be_nan = ("bound_excess", "stopped_accuracy", "weights")

    def axes(self) -> dict[str, Axis]:
        """About thirty epochs from 0 on, and the weights of the sample."""
        epochs = sorted({round(i * self.epochs / MEASURED) for i in range(MEASURED + 1)})
        sample = range(-(-cost.count(WIDTHS[:-1]) // SAMPLE))
        return {"epoch": Axis(epochs, unit="epochs", label="epoch"), "weight": Axis(sample)}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; frames at about thirty epochs, with what belongs to the end in the last."""
        arms = {"baseline": type(self).arms["baseline"], **self.arms}  # accuracies are compared with it
        lanes, split = Lanes(arms, seeds, self.settings()), digits(seeds, TRAIN)
        wrong = [data.symmetric_noise(one, self.label_noise * 10 / 9, 10, seeds)
                 for one in (split.train_labels, split.valid_labels)]  # fmt: skip
        fitted, network, plain = TRAIN - self.held_out, Companded(lanes), Dense(WIDTHS, lanes)
        optimizer = sgd(network, lanes.each("decay"), rate=RATE)
        optimizer.add_param_group({"params": network.logs, "lr": RATE / 10})
        if len(network.rows["clip"]):
            optimizer.register_step_post_hook(lambda *_: network.clamp())
        widths = [int(width) or WIDTHS[1] for width in lanes.each("width", 0)]
        costs = torch.tensor([cost.count((64, width, width, 10)) / cost.count(WIDTHS) for width in widths])
        epochs, best = list(self.axes()["epoch"].values), torch.full((len(lanes),), -1.0)
        stopped = torch.full_like(best, torch.nan)

        def losses(index: Tensor) -> Tensor:
            return metrics.nll(network(lanes.pick(split.train, index)), lanes.pick(wrong[0], index))

        def right(images: Tensor, labels: Tensor) -> Tensor:
            return metrics.accuracy(plain(lanes.repeat(images)), lanes.repeat(labels))

        def measure(epoch: int) -> Frame:
            if epoch not in epochs and not self.held_out:
                return Frame({}, {})
            weights = network.finished()
            plain.weights, plain.biases = nn.ParameterList(weights), network.biases
            test = right(split.test, split.test_labels)
            if self.held_out:
                judged = right(split.train[:, fitted:], wrong[0][:, fitted:])
                stopped.copy_(torch.where(judged > best, test, stopped))
                best.copy_(torch.maximum(best, judged))
            if epoch not in epochs:
                return Frame({}, {})
            logits = plain(lanes.repeat(split.train[:, :fitted]))
            nlls = (metrics.nll(logits, lanes.repeat(y[:, :fitted])) for y in (wrong[0], split.train_labels))
            values = {"test_accuracy": test, **dict(zip(("train_loss", "clean_loss"), nlls, strict=True))}
            values["bound_excess"] = network.excess(weights)
            hidden = [method.relative(weight.flatten(1)) for weight in weights[:-1]]
            first, second = map(method.shape, hidden)
            values |= {name: (first[name] + second[name]) / 2 for name in first}
            if epoch == self.epochs:
                values |= dict.fromkeys(("weights_share", "macs_share", "bits_share"), costs)
                values |= {"weights": torch.cat(hidden, 1)[:, ::SAMPLE], "stopped_accuracy": stopped}
                values |= {"accuracy_change": test - lanes.repeat(lanes.split(test)[0])}
                values |= {JUDGE: right(split.valid, wrong[1])}
                plain.weights = nn.ParameterList([*method.without_largest(weights[:-1], KNOCKED), weights[-1]])
                values |= {"knockout": test - right(split.test, split.test_labels)}
            at = {"epoch": epochs.index(epoch), "arm": list(self.arms)}
            return Frame(at, {name: lanes.split(one)[-len(self.arms) :] for name, one in values.items()})

        yield from fit(optimizer, losses, minibatches(lanes, fitted, 50), measure, epochs=self.epochs)


@dataclass(frozen=True)
class OneStep(Experiment):
    """Move stored weights by one tiny step of SGD, and measure how far the weights that act move.

    a = 1, and v goes from -4b to 4b; the loss is linear in w, with one random gradient for each weight and seed.
    """

    slope: float = knob(1.0, low=0.5, high=4, step=0.5, symbol="a/b", help="slope of the map at zero")
    step: float = knob(1e-6, stops=(1e-7, 1e-6, 1e-5), symbol="η", help="learning rate of the step")

    outputs = {
        "acting": Var("seed stored", "companded", "the weight that acts, w = Ψ(v), with a = 1"),
        "plain": Var("seed stored", "plain", "the stored weight itself"),
        "moved": Var("seed stored", "speed", "by what the learning rate of w is multiplied, measured", low=0),
        "speed": Var("stored", "(a/b)² cos⁴(w/a)", "by what it is multiplied, by the formula", low=0),
        "gap": Var("seed stored", "relative error", "of the formula", low=0),
    }
    views = (
        View("The map", (
            Curves("What becomes of a stored weight?", ["acting", "plain"], y="acting weight w, in units of a",
                   lines=[Line("y", sign * math.pi / 2, name) for sign, name in ((1, "bound πa/2"), (-1, ""))]),
            Curves("How fast does it move?", ["moved"], theory="speed"))),
    )  # fmt: skip
    scaled = "the map is stated from memory of the paper; no network is trained here"
    headline = "moved"

    def axes(self) -> dict[str, Axis]:
        """Stored weights in units of b."""
        return {"stored": Axis([i / 10 for i in range(-40, 41)], "b", "stored weight v")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Take one step of torch's SGD for each stored weight, in double precision."""
        stored, b = torch.tensor(self.axes()["stored"].values, dtype=torch.float64), 1 / self.slope
        drawn = [torch.rand(len(stored), generator=generator(seed, "gradient"), dtype=torch.float64) for seed in seeds]
        for i, (place, gradient) in enumerate(zip(stored * b, torch.stack(drawn, 1) + 0.5, strict=True)):
            v = place.expand(len(seeds)).clone().requires_grad_()
            before = method.psi(v, 1.0, b)
            (gradient * before).sum().backward()
            torch.optim.SGD([v], lr=self.step).step()
            moved, w = (before - method.psi(v, 1.0, b)).detach() / (self.step * gradient), before.detach()
            speed = method.speed(w[0], 1.0, b)
            values = {"acting": w, "plain": place, "moved": moved, "speed": speed, "gap": (moved / speed - 1).abs()}
            yield Frame({"stored": i}, values)
            yield Tick((i + 1) / len(stored))


EXPERIMENTS = (WrongLabels, OneStep)
