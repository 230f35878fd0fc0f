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
from reglab.pictures import Curves, Dots, Images, Scatter, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds
from reglab.training import Lanes, fit, minibatches, within

TRAIN, BATCH, NOISE, HIDDEN = 800, 50, 128, 64
"""Training digits, digits of a batch, the most noise inputs, units of each hidden layer."""

CURVE, LAST, LAYERS = "arm seed epoch", "arm seed", ("first", "second", "last")

LEARNED = ("dense", "SCL", "magnitude", "tuned decay", "F-test")
SPARSE = ("SCL", "raw gradients", "magnitude", "small dense", "random mask")
MASKED = ("SCL", "raw gradients", "magnitude", "random mask")

# fmt: off
ROLES = {"relu": "baseline", "identity": "method", "leaky": "ablation", "softplus": "ablation", "clip": "ablation",
         "frozen": "null"}
"""The proxies, of which `relu` is the one of the plainest code: no gradient where nothing flows."""
# fmt: on

TRIED = tuple(proxy for proxy in ROLES if proxy != "frozen")

DECAYS = (0.005, 0.01, 0.02, 0.04)

EPOCHS = Knob(30, low=1, high=30, step=1, help="passes over the training digits")


def with_noise(seeds: Seeds, count: int) -> Digits:
    """Return digits with `count` further inputs N(0, 1) behind the 64 pixels: 1 is the pixels' standard deviation."""
    split = digits(seeds, TRAIN)
    noise = data.normal(seeds, "noise inputs", 1597, NOISE)[..., :count].to(split.train).split((TRAIN, 200, 597), 1)
    pairs = zip((split.train, split.valid, split.test), noise, strict=True)
    train, valid, test = (torch.cat(pair, -1) for pair in pairs)
    return split._replace(train=train, valid=valid, test=test)


class Masked(Dense):
    """Networks whose weights act where their score m > 0: `scores` [M, in, out] of each layer, first 1.

    `reopened` [M] counts how often a closed connection opened while scores were learned, `accuracy` [A, S] is the last
    one that was measured on test digits.
    """

    def __init__(self, inputs: int, lanes: Lanes, narrow: Tensor | None = None) -> None:
        super().__init__((inputs, HIDDEN, HIDDEN, 10), lanes, narrow=narrow)
        self.scores, self.reopened = [torch.ones_like(weight) for weight in self.weights], torch.zeros(len(lanes))
        self.accuracy = torch.empty(0)

    def effective(self, layer: int) -> Tensor:
        """Return the weights of open connections."""
        return method.masked(self.weights[layer], self.scores[layer])

    def open(self) -> list[Tensor]:
        """Return 1 for each open connection, else 0: [M, in, out] of each layer."""
        return [(score > 0).to(score) for score in self.scores]


def train(
    setting: Connectivity | Reopening, network: Masked, lanes: Lanes, split: Digits,
    slopes: method.Proxy | None = None, before: Callable[[int], None] = lambda epoch: None,
) -> Iterator[Frame | Tick]:  # fmt: skip
    """Train weights, and with the proxies `slopes` scores, too; `before(epoch)` comes first in each epoch.

    Weights: SGD, momentum 0.9, rate 0.05 along a cosine, decay of each arm. Scores: SGD of their own with momentum 0.9,
    the constant rate `lr_m` of each arm, no decay; they move before the weights, by gradients at the same place. Frames
    hold those arms that the setting has.
    """
    rate, price, raw = lanes.each("lr_m"), lanes.each("price"), lanes.each("raw") > 0
    places = list(epoch_axis(setting.epochs).values)
    wanted = {arm: place for place, arm in enumerate(lanes.arms) if arm in setting.arms}
    optimizer = sgd(network, lanes.each("decay"), rate=0.05, steps=setting.epochs * (TRAIN // BATCH))
    if slopes is not None:
        own = torch.optim.SGD([score.requires_grad_() for score in network.scores], lr=1.0, momentum=0.9)

        @torch.no_grad()
        def move(*_: object) -> None:
            closed = [score <= 0 for score in network.scores]
            for score in network.scores:
                task, slope = torch.as_tensor(score.grad), slopes(score)
                found = method.score_gradient(task, price, slope)
                score.grad = rate * torch.where(raw, method.raw_gradient(task, price, slope), found)
            own.step()
            own.zero_grad()
            for was_closed, score in zip(closed, network.scores, strict=True):
                network.reopened += (was_closed & (score > 0)).sum((1, 2))

        optimizer.register_step_pre_hook(move)

    def losses(index: Tensor) -> Tensor:
        return metrics.nll(network(lanes.pick(split.train, index)), lanes.pick(split.train_labels, index))

    def measure(epoch: int) -> Frame:
        found = measured(network, lanes, split, epoch == setting.epochs) if epoch in places else {}
        network.accuracy = found.get("test_accuracy", network.accuracy)
        values = {name: one[[*wanted.values()]] for name, one in found.items() if name in setting.outputs}
        before(epoch + 1)
        return Frame({"epoch": places.index(epoch), "arm": [*wanted]}, values) if found and wanted else Frame({}, {})

    yield from fit(optimizer, losses, minibatches(lanes, TRAIN, BATCH), measure, epochs=setting.epochs)


def measured(network: Masked, lanes: Lanes, split: Digits, last: bool) -> dict[str, Tensor]:
    """Return what the experiments measure after an epoch, and more after the last one: [A, S, ...] each."""
    masks, logits = [lanes.split(part) for part in network.open()], lanes.split(network(lanes.repeat(split.test)))
    found = {f"open_{layer}": part.mean((2, 3)) for layer, part in zip(LAYERS, masks, strict=True)}
    found["open_share"] = stored = torch.cat([part.flatten(2) for part in masks], 2).mean(2)
    found |= {"test_accuracy": metrics.accuracy(logits, split.test_labels), "reopened": lanes.split(network.reopened)}
    if last:
        train, valid = (lanes.split(network(lanes.repeat(x))) for x in (split.train, split.valid))
        pixels = masks[0][:, :, :64].sum(3)
        found |= {
            "train_loss": metrics.nll(train, split.train_labels),
            "held_out": metrics.accuracy(valid, split.valid_labels),
            "pixel_share": pixels.sum(2) / masks[0].sum((2, 3)).clamp(min=1),
            "input_map": pixels.unflatten(2, (8, 8)),
            **dict.fromkeys(("weights_share", "macs_share"), stored),
            "bits_share": stored + lanes.split(lanes.each("mask", 0)) / 32,
        }
    return found


def epoch_axis(epochs: int) -> Axis:
    """Return the thirty epochs at which results are taken, or all where they are fewer."""
    return Axis(sorted({max(round(place * epochs / 30), 1) for place in range(1, 31)}), unit="epochs", label="epoch")


def fixed(lanes: Lanes, split: Digits, final: Sequence[Tensor], epochs: int) -> tuple[Masked, Callable[[int], None]]:
    """Return networks whose masks are not learned; those that follow get as many weights as are open in `final`.

    These are the open connections of SCL, [S, in, out] of each layer, 0 or 1. Second comes what prunes an arm before an
    epoch: from a sixth of the epochs to two thirds, all layers together.
    """
    stored = torch.cat([part.flatten(1) for part in final], 1)
    widths = torch.tensor([cost.width_for(count, split.train.shape[2]) for count in stored.sum(1).tolist()])
    network = Masked(split.train.shape[2], lanes, lanes.each("small", 0) * lanes.repeat(widths))
    network.scores = [torch.where(weight != 0, 1.0, -1.0) for weight in network.weights]
    rank = method.anova_f(split.train, split.train_labels).argsort(-1, descending=True).argsort(-1)
    most, random, which = lanes.each("inputs"), lanes.each("random") > 0, lanes.each("prune", 0) > 0
    network.scores[0].masked_fill_((most > 0) & (lanes.repeat(rank).unsqueeze(2) >= most), -1)
    for layer, part in enumerate(final):
        keys = torch.stack([torch.rand(part[0].shape, generator=g) for g in lanes.generators(f"random mask {layer}")])
        kept = part.mean((1, 2))
        network.scores[layer].masked_fill_(random & ~lanes.repeat(largest([keys], kept)[0]), -1)
        network.weights[layer].data *= torch.where(random, lanes.repeat(kept).clamp(1e-6).rsqrt()[:, None, None], 1)

    def prune(epoch: int) -> None:
        share = lanes.repeat(method.kept_share(2 * (epoch / epochs - 1 / 6), stored.mean(1)))[which]
        acting = [(weight * part)[which] for weight, part in zip(network.weights, network.open(), strict=True)]
        for layer, mask in enumerate(largest(acting, share)):
            network.weights[layer][which] *= mask
            network.scores[layer][which] = mask.to(share) - 0.5

    return network, prune if which.any() else lambda epoch: None


@dataclass(frozen=True)
class Connectivity(Experiment):
    """Learn digits with useless inputs beside the pixels, and which connections to keep.

    800 training and 597 test digits; strengths are chosen on 200 further ones. `magnitude`, `small dense` and `random
    mask` run after SCL, with as many weights as SCL has in the end with the same seed. All arms of a seed share digits,
    noise, first weights and batches.
    """

    price: float = knob(tuned(0.3, (0.2, 0.3, 0.45), "held_out"), low=0, high=1, step=0.05, symbol="λ",
                        help="price of an open connection")  # fmt: skip
    noise_inputs: int = knob(64, low=0, high=NOISE, step=16, help="useless noise inputs beside the 64 pixels")
    start: float = knob(0.5, low=0.1, high=2, step=0.1, symbol="m₀", label="first score", help="of every connection")
    lr_m: float = knob(0.02, stops=(0, 0.005, 0.01, 0.02, 0.05, 0.1), symbol="η_m", label="learning rate of the scores")
    decay: float = knob(tuned(0.02, DECAYS, "held_out"), stops=(0, 5e-4, *DECAYS), help="weight decay of SCL")
    epochs: int = knob(EPOCHS)

    # fmt: off
    arms = {
        "dense": Arm("baseline", decay=5e-4),
        "SCL": Arm("method", decay="decay", price="price", lr_m="lr_m", mask=1),
        "raw gradients": Arm("ablation", decay="decay", raw=1, lr_m=3, mask=1,
                             price=tuned(2e-4, (1e-4, 2e-4, 4e-4), "held_out")),
        "magnitude": Arm("rival", decay=tuned(0.01, DECAYS, "held_out"), follows="price", prune=1, mask=1),
        "tuned decay": Arm("further", decay=tuned(0.02, DECAYS, "held_out")),
        "F-test": Arm("rival", decay=5e-4, inputs=tuned(48, (16, 32, 48, 64, 96), "held_out")),
        "small dense": Arm("further", decay="decay", follows="price", small=1),
        "random mask": Arm("null", decay="decay", follows="price", random=1, mask=1),
    }
    outputs = {
        "test_accuracy": Var(CURVE, "test accuracy", "share of the 597 test digits classified right"),
        "train_loss": Var(LAST, "training loss", "mean cross-entropy of the training digits", "nats", low=0),
        "held_out": share(LAST, "validation accuracy", "share of 200 validation digits classified right"),
        **{f"open_{one}": Var(CURVE, f"{one} layer", "open connections, of all of the layer", low=0) for one in LAYERS},
        "pixel_share": share(LAST, "pixels' share", "open connections from pixels, of all open ones from inputs"),
        "input_map": Var(f"{LAST} row column", "open", "connections of a pixel that are open, of 64", low=0),
        **cost.outputs(),
    }
    views = (
        View("Accuracy", (
            Curves("Does it know new digits?", ["test_accuracy"], LEARNED),
            Curves("How much of each layer stays open?", [f"open_{one}" for one in LAYERS], ["SCL"], "open"))),
        View("Cost", (
            Scatter("What do multiply-adds buy?", "macs_share", "accuracy_change", arms=SPARSE, log=True),
            Dots("Do open inputs come from pixels?", "pixel_share", MASKED))),
        View("Inputs", (Images("How many connections does a pixel keep?", "input_map", arms=MASKED),), 1),
    )
    # fmt: on
    scaled = "image classifiers became small dense networks on digits, with useless inputs planted beside the pixels"
    headline = "test_accuracy"
    grid = {"price": (0.03, 0.1, 0.2, 0.3, 0.45, 0.6, 1), "noise_inputs": (0, 16, 32, 64, 128)}
    smoke = {"epochs": 1}

    def axes(self) -> dict[str, Axis]:
        """Epochs; rows and columns of the pixels."""
        return {"epoch": epoch_axis(self.epochs), "row": Axis(range(8)), "column": Axis(range(8))}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train the arms that learn scores as one batch of models, then those with given masks as another.

        SCL and dense are always among them: others follow the one, and changes of accuracy are against the other.
        """
        split, arms = with_noise(seeds, self.noise_inputs), {arm: type(self).arms[arm] for arm in ("SCL", "dense")}
        arms |= self.arms
        learning, given = (
            Lanes({arm: one for arm, one in arms.items() if ("lr_m" in one.settings) == learns}, seeds, self.settings())
            for learns in (True, False)
        )  # fmt: skip
        first = Masked(split.train.shape[2], learning)
        first.scores = [torch.full_like(score, self.start) for score in first.scores]
        yield from within(train(self, first, learning, split, lambda m: m.new_ones(())), 0, 0.5)
        second, prune = fixed(given, split, [learning.split(mask)[0] for mask in first.open()], self.epochs)
        yield from within(train(self, second, given, split, before=prune), 0.5, 1)
        ends = dict(zip([*learning.arms, *given.arms], [*first.accuracy, *second.accuracy], strict=True))
        changes = torch.stack([ends[arm] - ends["dense"] for arm in self.arms])
        yield Frame({"arm": [*self.arms]}, {"accuracy_change": changes})


@dataclass(frozen=True)
class Reopening(Experiment):
    """Start with half of all connections closed, and see which proxies of the step's derivative open some again.

    Scores start at 0.3·N(0, 1) and have the learning rate 0.02. Data, with 64 noise inputs, network and training are
    those of `Connectivity`, and the arms differ in μ' only.
    """

    price: float = knob(0.1, low=0, high=1, step=0.05, symbol="λ", help="price of an open connection")
    epochs: int = knob(EPOCHS)

    arms = {proxy: Arm(role, decay=5e-4, price="price", lr_m=0.02) for proxy, role in ROLES.items()}
    # fmt: off
    outputs = {
        "reopened": Var(CURVE, "opened again", "times a closed connection opened, of all connections together", low=0),
        "open_share": Var(CURVE, "open", "open connections, of all", low=0),
        "test_accuracy": Var(CURVE, "test accuracy", "share of the 597 test digits classified right"),
        "train_loss": Var(LAST, "training loss", "mean cross-entropy of the training digits", "nats", low=0),
    }
    views = (
        View("Reopening", (
            Curves("How often does a closed one open again?", ["reopened"], TRIED),
            Curves("How many connections are open?", ["open_share"], TRIED))),
        View("Does it matter?", (Dots("How well are training digits fitted?", "train_loss"),
                                 Dots("Does it know new digits?", "test_accuracy"))),
    )
    # fmt: on
    scaled = "the paper's statement about proxies is tried on small dense networks; the noisy start is ours"
    headline = "reopened"
    smoke = {"epochs": 1}

    def axes(self) -> dict[str, Axis]:
        """Epochs."""
        return {"epoch": epoch_axis(self.epochs)}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one batch of models."""
        split, lanes = with_noise(seeds, 64), self.lanes(seeds)
        network = Masked(split.train.shape[2], lanes)
        for layer, score in enumerate(network.scores):
            drawn = 0.3 * data.normal(seeds, f"scores of layer {layer}", *score.shape[1:])
            network.scores[layer] = lanes.repeat(drawn.to(score))

        def slopes(scores: Tensor) -> Tensor:
            parts = zip(lanes.arms, scores.chunk(len(lanes.arms)), strict=True)
            return torch.cat([method.PROXIES[arm](part) for arm, part in parts])

        yield from train(self, network, lanes, split, slopes)


EXPERIMENTS = (Connectivity, Reopening)
