"""SCL: the experiments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reglab import data, metrics
from reglab.experiment import Experiment
from reglab.knobs import Arm, Knob, knob, tuned
from reglab.papers.weights._shared import cost
from reglab.papers.weights._shared.network import Dense, Digits, digits, largest, sgd
from reglab.papers.weights.sparse_connectivity import method
from reglab.pictures import Curves, Dots, Images, Line, Scatter, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds
from reglab.training import Lanes, fit, minibatches, within

TRAIN, BATCH, NOISE = 800, 50, 128
"""Training digits, digits of a batch, and the most noise inputs."""

CURVE, LAST = "arm seed epoch", "arm seed"
LAYERS = ("first", "second", "last")

LEARNED = ("dense", "SCL", "magnitude", "tuned decay", "F-test")
SPARSE = ("SCL", "raw gradients", "magnitude", "small dense", "random mask")
MASKED = ("SCL", "raw gradients", "magnitude", "random mask")

ROLES = {
    "relu": "baseline",
    "identity": "method",
    "leaky": "ablation",
    "softplus": "ablation",
    "clip": "ablation",
    "frozen": "null",
}
"""The proxies, of which `relu` is the one of the plainest code: no gradient where nothing flows."""

TRIED = tuple(proxy for proxy in ROLES if proxy != "frozen")


def with_noise(seeds: Seeds, count: int) -> Digits:
    """Return digits with `count` further inputs N(0, 1) behind the 64 pixels: 1 is the pixels' standard deviation."""
    split = digits(seeds, TRAIN)
    noise, found, start = data.normal(seeds, "noise inputs", 1597, NOISE)[..., :count].to(split.train), {}, 0
    for name in ("train", "valid", "test"):
        images = getattr(split, name)
        found[name] = torch.cat([images, noise[:, start : start + images.shape[1]]], -1)
        start += images.shape[1]
    return split._replace(**found)


class Masked(Dense):
    """Networks with 64 units in two hidden layers whose weights act where their score m > 0: `scores` [M, in, out]."""

    def __init__(self, inputs: int, lanes: Lanes, narrow: Tensor | None = None) -> None:
        super().__init__((inputs, 64, 64, 10), lanes, narrow=narrow)
        self.scores = [torch.ones_like(weight) for weight in self.weights]
        self.reopened, self.imbalance = torch.zeros(len(lanes)), torch.full((len(lanes), len(LAYERS)), torch.nan)

    def effective(self, layer: int) -> Tensor:
        """Return the weights of open connections."""
        return method.masked(self.weights[layer], self.scores[layer])

    def open(self) -> list[Tensor]:
        """Return 1 for each open connection, else 0: [M, in, out] of each layer."""
        return [(score > 0).to(score) for score in self.scores]

    def opened(self) -> dict[str, Tensor]:
        """Return the share of open connections, in all layers and in each: [M] each."""
        parts = [part.flatten(1) for part in self.open()]
        shares = {f"open_{layer}": part.mean(1) for layer, part in zip(LAYERS, parts, strict=True)}
        return {"open_share": torch.cat(parts, 1).mean(1), **shares}


def train(
    network: Masked, lanes: Lanes, split: Digits, epochs: int, measure: Callable[[int], Frame],
    begin: Callable[[int], None] | None = None, slopes: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[Frame | Tick]:  # fmt: skip
    """Train weights, and with the proxies `slopes` scores, too; `begin` comes before each epoch, `measure` after it.

    Weights: SGD, momentum 0.9, rate 0.05 along a cosine, decay of each arm. Scores: SGD of their own with momentum 0.9,
    the constant rate `lr_m` of each arm, no decay.
    """
    batches = minibatches(lanes, TRAIN, BATCH)
    optimizer = sgd(network, lanes.each("decay"), rate=0.05, steps=epochs * (TRAIN // BATCH))
    if slopes is not None:
        optimizer.register_step_pre_hook(learn_scores(network, lanes, slopes))

    def start(epoch: int) -> Tensor:
        if begin is not None:
            begin(epoch)
        return batches(epoch)

    def losses(index: Tensor) -> Tensor:
        return metrics.nll(network(lanes.pick(split.train, index)), lanes.pick(split.train_labels, index))

    yield from fit(optimizer, losses, start, measure, epochs=epochs)


def learn_scores(network: Masked, lanes: Lanes, slopes: Callable[[Tensor], Tensor]) -> Callable[..., None]:
    """Return what moves the scores by their gradients, before the weights move; it counts what opens again."""
    rate, price, raw = lanes.each("lr_m"), lanes.each("price"), lanes.each("raw", 0) > 0
    optimizer = torch.optim.SGD([score.requires_grad_() for score in network.scores], lr=1.0, momentum=0.9)
    step = 0

    @torch.no_grad()
    def move(*_: object) -> None:
        nonlocal step
        step += 1
        closed = [score <= 0 for score in network.scores]
        for layer, score in enumerate(network.scores):
            task, slope = score.grad, slopes(score)
            assert task is not None
            found = method.score_gradient(task, price, slope)
            if raw.any():
                found[raw] = method.raw_gradient(task[raw], price[raw])
            score.grad = found * rate
            if step == 2:
                norms = task.norm(dim=1)
                network.imbalance[:, layer] = norms.amax(1) / norms.where(norms > 0, torch.inf).amin(1)
        optimizer.step()
        optimizer.zero_grad()
        for before, score in zip(closed, network.scores, strict=True):
            network.reopened += (before & (score > 0)).sum((1, 2))

    return move


def fixed(lanes: Lanes, split: Digits, final: Sequence[Tensor], epochs: int) -> tuple[Masked, Callable[[int], None]]:
    """Return networks whose masks are not learned; those that follow get as many weights as are open in `final`.

    These are the open connections of SCL, [S, in, out] of each layer, 0 or 1; without any, nobody follows. Second comes
    what prunes an arm before an epoch: from a sixth of the epochs to two thirds, all layers together.
    """
    inputs = split.train.shape[2]
    stored = torch.cat([part.flatten(1) for part in final], 1) if final else torch.ones(len(lanes.seeds), 1)
    widths = [cost.width_for(count, inputs) for count in stored.sum(1).tolist()]
    network = Masked(inputs, lanes, lanes.each("small", 0) * lanes.repeat(torch.tensor(widths)))
    network.scores = [torch.where(weight != 0, 1.0, -1.0) for weight in network.weights]
    rank = method.anova_f(split.train, split.train_labels).argsort(-1, descending=True).argsort(-1)
    most, random, which = lanes.each("inputs"), lanes.each("random") > 0, lanes.each("pruned", 0) > 0
    network.scores[0].masked_fill_((most > 0) & (lanes.repeat(rank).unsqueeze(2) >= most), -1)
    for layer, part in enumerate(final):
        keys = torch.stack([torch.rand(part[0].shape, generator=g) for g in lanes.generators(f"random mask {layer}")])
        kept = part.mean((1, 2))
        network.scores[layer].masked_fill_(random & ~lanes.repeat(largest([keys], kept)[0]), -1)
        scale = lanes.repeat(kept).clamp(1e-6).rsqrt()[:, None, None]
        network.weights[layer].data *= torch.where(random, scale, 1)

    @torch.no_grad()
    def prune(epoch: int) -> None:
        if not which.any():
            return
        share = lanes.repeat(method.kept_share(2 * (epoch / epochs - 1 / 6), stored.mean(1)))[which]
        acting = [(weight * part)[which] for weight, part in zip(network.weights, network.open(), strict=True)]
        for layer, mask in enumerate(largest(acting, share)):
            network.weights[layer][which] *= mask
            network.scores[layer][which] = mask.to(share) - 0.5

    return network, prune


def epochs_measured(epochs: int) -> list[int]:
    """Return at most eleven epochs at which results are taken, from 0 on."""
    return sorted({round(place * epochs / 10) for place in range(11)})


PRICE = Knob(0.3, low=0, high=1, step=0.05, symbol="λ", help="price of an open connection")
LR_M = Knob(0.02, 0, 0.1, stops=(0, 0.005, 0.01, 0.02, 0.05, 0.1), symbol="η_m", help="learning rate of the scores")
INPUTS = Knob(64, low=0, high=NOISE, step=16, help="useless noise inputs beside the 64 pixels")
EPOCHS = Knob(30, low=1, high=30, step=1, help="passes over the training digits")


@dataclass(frozen=True)
class Connectivity(Experiment):
    """Learn digits with useless inputs beside the pixels, and which connections to keep.

    800 training and 597 test digits; strengths are chosen on 200 further ones. `magnitude`, `small dense` and `random
    mask` run after SCL, with as many weights as SCL has in the end with the same seed. All arms of a seed share digits,
    noise, first weights and batches.
    """

    price: float = knob(PRICE)
    noise_inputs: int = knob(INPUTS)
    start: float = knob(0.5, low=0.1, high=2, step=0.1, symbol="m₀", help="first score of every connection")
    lr_m: float = knob(LR_M)
    epochs: int = knob(EPOCHS)

    # fmt: off
    arms = {
        "dense": Arm("baseline", decay=5e-4),
        "SCL": Arm("method", decay=5e-4, price="price", lr_m="lr_m", bits=1),
        "raw gradients": Arm("ablation", decay=5e-4, raw=1, price=1e-4, lr_m=3, bits=1),
        "magnitude": Arm("rival", follows="price", decay=tuned(0.01, (0.005, 0.01, 0.02), "held_out"), pruned=1,
                         bits=1),
        "tuned decay": Arm("rival", decay=tuned(0.02, (0.005, 0.01, 0.02, 0.04), "held_out")),
        "F-test": Arm("rival", decay=5e-4, inputs=tuned(48, (16, 32, 48, 64, 96), "held_out")),
        "small dense": Arm("rival", decay=5e-4, follows="price", small=1),
        "random mask": Arm("null", decay=5e-4, follows="price", random=1, bits=1),
    }
    outputs = {
        "test_accuracy": share(CURVE, "test accuracy", "share of the 597 test digits classified right"),
        "train_loss": Var(LAST, "training loss", "mean cross-entropy of the training digits", "nats", low=0),
        "held_out": share(LAST, "validation accuracy", "share of 200 validation digits classified right"),
        "open_share": share(CURVE, "open", "open connections, of all"),
        **{f"open_{layer}": share(CURVE, f"{layer} layer", "open connections, of those of the layer")
           for layer in LAYERS},
        "pixel_share": share(LAST, "pixels' share", "open connections from pixels, of all open ones from inputs"),
        "input_map": Var(f"{LAST} row column", "open", "connections of a pixel that are open, of 64", low=0),
        "noise_map": Var(LAST, "open for noise", "connections of a noise input that are open, of 64, mean", low=0),
        "imbalance": Var("arm seed layer", "imbalance", "largest over smallest gradient of an output unit, step 2"),
        **cost.outputs(),
    }
    # fmt: on
    views = (
        View(
            "Accuracy",
            (
                Curves("Does it know new digits?", ["test_accuracy"], LEARNED),
                Curves("How much of each layer stays open?", [f"open_{layer}" for layer in LAYERS], ["SCL"], "open"),
            ),
        ),
        View(
            "Cost",
            (
                Scatter("What do multiply-adds buy?", "macs_share", "accuracy_change", arms=SPARSE, log=True),
                Dots("Do open inputs come from pixels?", "pixel_share", MASKED),
            ),
        ),
        View("Inputs", (Images("How many connections does a pixel keep?", "input_map", arms=MASKED),), 1, 3.2),
    )  # fmt: skip
    scaled = "image classifiers became small dense networks on digits, with useless inputs planted beside the pixels"
    headline = "test_accuracy"
    grid = {"price": (0.03, 0.1, 0.2, 0.3, 0.45, 0.6, 1), "noise_inputs": (0, 16, 32, 64, 128)}
    smoke = {"epochs": 1}
    may_be_nan = ("noise_map", "imbalance")  # without noise inputs; without learned scores

    def axes(self) -> dict[str, Axis]:
        """Epochs from 0 on; layers; rows and columns of the pixels."""
        epochs = Axis(epochs_measured(self.epochs), unit="epochs", label="epoch")
        return {"epoch": epochs, "layer": Axis(LAYERS), "row": Axis(range(8)), "column": Axis(range(8))}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train the arms that learn scores as one batch of models, then those with given masks as another."""
        split, known, ends = with_noise(seeds, self.noise_inputs), type(self).arms, dict[str, Tensor]()
        follows = any("follows" in arm.settings for arm in self.arms.values())
        arms = {**({"SCL": known["SCL"]} if follows else {}), "dense": known["dense"], **self.arms}
        learning, given = (
            Lanes({arm: one for arm, one in arms.items() if ("lr_m" in one.settings) == learns}, seeds, self.settings())
            for learns in (True, False)
        )
        final, share = [], 0.0
        if learning.arms:
            network, share = Masked(split.train.shape[2], learning), 0.5
            network.scores = [torch.full_like(score, self.start) for score in network.scores]
            measure = self._measure(network, learning, split, ends)
            events = train(network, learning, split, self.epochs, measure, slopes=lambda m: m.new_ones(()))
            yield from within(events, 0, share)
            final = [learning.split(part)[0] for part in network.open()]
        network, begin = fixed(given, split, final, self.epochs)
        events = train(network, given, split, self.epochs, self._measure(network, given, split, ends), begin)
        yield from within(events, share, 1)
        changes = torch.stack([ends[arm] - ends["dense"] for arm in self.arms])
        yield Frame({"arm": list(self.arms)}, {"accuracy_change": changes})

    def _measure(self, network: Masked, lanes: Lanes, split: Digits, ends: dict[str, Tensor]) -> Callable[[int], Frame]:
        """Return what takes the results of an epoch, and in the last one puts the test accuracies into `ends`."""
        epochs, arms = epochs_measured(self.epochs), [arm for arm in lanes.arms if arm in self.arms]
        wanted = [list(lanes.arms).index(arm) for arm in arms]

        def measure(epoch: int) -> Frame:
            if epoch not in epochs:
                return Frame({}, {})
            accuracy = metrics.accuracy(lanes.split(network(lanes.repeat(split.test))), split.test_labels)
            values = {name: lanes.split(one) for name, one in network.opened().items()} | {"test_accuracy": accuracy}
            if epoch == self.epochs:
                ends.update(zip(lanes.arms, accuracy, strict=True))
                train, valid = (lanes.split(network(lanes.repeat(x))) for x in (split.train, split.valid))
                counts, stored = lanes.split(network.open()[0].sum(2)), values["open_share"]
                inputs = counts.shape[2]
                mask = lanes.each("bits", 1) + (lanes.each("inputs", 1) > 0) * inputs / cost.count((inputs, 64, 64, 10))
                values |= {
                    "train_loss": metrics.nll(train, split.train_labels),
                    "held_out": metrics.accuracy(valid, split.valid_labels),
                    "pixel_share": counts[..., :64].sum(-1) / counts.sum(-1).clamp(min=1),
                    "input_map": counts[..., :64].unflatten(-1, (8, 8)),
                    "noise_map": counts[..., 64:].mean(-1),
                    "imbalance": lanes.split(network.imbalance),
                    **dict.fromkeys(("weights_share", "macs_share"), stored),
                    "bits_share": stored + lanes.split(mask)[..., 0] / 32,
                }
            at = {"epoch": epochs.index(epoch), "arm": arms}
            return Frame(at, {name: one[wanted] for name, one in values.items()})

        return measure


@dataclass(frozen=True)
class Reopening(Experiment):
    """Start with half of all connections closed, and see which proxies of the step's derivative open some again.

    Scores start at 0.3·N(0, 1). Data, network and training are those of `Connectivity`, and the arms differ in μ' only.
    """

    price: float = knob(0.1, low=0, high=1, step=0.05, symbol="λ", help="price of an open connection")
    noise_inputs: int = knob(INPUTS)
    lr_m: float = knob(LR_M)
    epochs: int = knob(EPOCHS)

    arms = {proxy: Arm(role, decay=5e-4, price="price", lr_m="lr_m") for proxy, role in ROLES.items()}
    outputs = {
        "reopened": Var(CURVE, "opened again", "times a closed connection opened, of all connections together", low=0),
        "open_share": share(CURVE, "open", "open connections, of all"),
        "test_accuracy": share(LAST, "test accuracy", "share of the 597 test digits classified right"),
        "train_loss": Var(LAST, "training loss", "mean cross-entropy of the training digits", "nats", low=0),
        "lowest": Var(LAST, "smallest score", "smallest score of a connection at the end"),
    }
    views = (
        View("Reopening", (
            Curves("How often does a closed connection open again?", ["reopened"], TRIED),
            Curves("How many are open?", ["open_share"], TRIED))),
        View("Does it matter?", (Dots("How well are training digits fitted?", "train_loss"),
                                 Dots("Does it know new digits?", "test_accuracy"))),
    )  # fmt: skip
    scaled = "the paper's statement about proxies is tried on small dense networks; the noisy start is ours"
    headline = "reopened"
    smoke = {"epochs": 1}

    def axes(self) -> dict[str, Axis]:
        """Epochs from 0 on."""
        return {"epoch": Axis(epochs_measured(self.epochs), unit="epochs", label="epoch")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one batch of models."""
        split, lanes, epochs = with_noise(seeds, self.noise_inputs), self.lanes(seeds), epochs_measured(self.epochs)
        network = Masked(split.train.shape[2], lanes)
        for layer, score in enumerate(network.scores):
            drawn = 0.3 * data.normal(seeds, f"scores of layer {layer}", *score.shape[1:])
            network.scores[layer] = lanes.repeat(drawn.to(score))

        def slopes(scores: Tensor) -> Tensor:
            parts = zip(lanes.arms, scores.chunk(len(lanes.arms)), strict=True)
            return torch.cat([method.PROXIES[arm](part) for arm, part in parts])

        def measure(epoch: int) -> Frame:
            if epoch not in epochs:
                return Frame({}, {})
            values = {"reopened": network.reopened, "open_share": network.opened()["open_share"]}
            if epoch == self.epochs:
                train, test = (network(lanes.repeat(x)) for x in (split.train, split.test))
                values["train_loss"] = metrics.nll(train, lanes.repeat(split.train_labels))
                values["test_accuracy"] = metrics.accuracy(test, lanes.repeat(split.test_labels))
                values["lowest"] = torch.cat([score.flatten(1) for score in network.scores], 1).amin(1)
            return Frame({"epoch": epochs.index(epoch)}, {name: lanes.split(one) for name, one in values.items()})

        yield from train(network, lanes, split, self.epochs, measure, slopes=slopes)


@dataclass(frozen=True)
class Switch(Experiment):
    """Move one score m by the gradient of f(b) = c·b, with b = H(m) and a proxy for the derivative of the step.

    f is least for an open switch where c < 0, else for a closed one. Nothing here is random.
    """

    cost: float = knob(-1.0, low=-2, high=2, step=0.5, symbol="c", help="what an open switch adds to the loss")
    start: float = knob(-0.35, low=-1, high=1, step=0.05, symbol="m₀", help="first value of the score")
    rate: float = knob(0.01, low=0.001, high=0.1, step=0.001, symbol="η", help="learning rate")

    arms = ROLES
    outputs = {
        "slope": Var("arm place", "proxy derivative μ'", "what stands for the derivative of the step", low=0, high=1),
        "score": Var("arm step", "score m", "score of the switch, which is open above zero"),
        "opened": share("arm step", "open", "whether the switch is open"),
    }
    views = (
        View("Proxies", (
            Curves("What stands for the derivative of the step?", ["slope"], TRIED),
            Curves("Does a closed switch open?", ["score"], TRIED, lines=(Line("y", 0, "open above"),)))),
    )  # fmt: skip
    scaled = "one switch and a linear loss stand for a network; the statement is the paper's"
    headline = "opened"

    def axes(self) -> dict[str, Axis]:
        """Values of a score, and steps."""
        places = Axis([place / 20 for place in range(-20, 21)], label="score m")
        return {"place": places, "step": Axis(range(101), unit="steps", label="step")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Descend with each proxy."""
        places = torch.tensor(self.axes()["place"].values, dtype=torch.float64)
        for done, arm in enumerate(self.arms, 1):
            proxy = method.PROXIES[arm]
            path = method.descend(self.start, lambda b: self.cost, proxy, self.rate, 100)
            score = torch.tensor(path, dtype=torch.float64)
            values = {"slope": proxy(places), "score": score, "opened": (score > 0).to(score)}
            yield Frame({"arm": arm}, values)
            yield Tick(done / len(self.arms))


EXPERIMENTS = (Connectivity, Reopening, Switch)
