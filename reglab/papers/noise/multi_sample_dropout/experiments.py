"""MSD: the experiments."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from reglab import data, metrics
from reglab.across import Across
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob, tuned
from reglab.models import dropout
from reglab.papers.noise.multi_sample_dropout import method
from reglab.papers.noise.multi_sample_dropout.method import Network
from reglab.pictures import Curves, View
from reglab.results import Axis, Frame, Tick, Var
from reglab.seeds import Seeds, generator
from reglab.training import Lanes

DROPOUT, MULTI, FASTER, NONE, SAME = SHOWN = ("dropout", "multi-sample", "dropout, faster", "no dropout", "same mask")

BATCH, EVERY, HELD_OUT, TESTED = 32, 20, 200, 1000
"""Examples of a batch, steps between two measurements, digits for validation, digits for testing."""

COPIES = Axis((1, 2, 4, 8, 16), label="copies M", log=True)
RATES = Axis((5e-4, 1e-3, 2e-3, 3e-3, 5e-3), label="learning rate η", log=True)


# -------------------------------------------------------------------------------------------- data, masks and training


class Digits(NamedTuple):
    """Digits for training, validation and testing: images [S, n, 64], labels [S, n]."""

    images: Tensor
    labels: Tensor
    held_out: Tensor
    held_out_labels: Tensor
    test: Tensor
    test_labels: Tensor


def digits(seeds: Seeds, train: int) -> Digits:
    """Return the digits of every seed; pixels from 0 to 1, less the mean training image."""
    split = data.digits(seeds, train + HELD_OUT, standardize=False)
    images, labels = (each.split([train, HELD_OUT], 1) for each in (split.train_inputs, split.train_labels))
    inputs = (each - images[0].mean(1, keepdim=True) for each in (*images, split.test_inputs[:, :TESTED]))
    return Digits(*itertools.chain(*zip(inputs, (*labels, split.test_labels[:, :TESTED]), strict=True)))


def masks(seeds: Seeds, purpose: str, copies: int, width: int) -> Iterator[Tensor]:
    """Draw the noise of M masks for every batch, forever: [S, M, 32, D]. More copies leave the first ones as they are.

    A seed has a generator for each copy.
    """
    sources = [generator(seed, f"{purpose} {copy}") for seed in seeds for copy in range(copies)]
    while True:
        yield dropout.noise(sources, BATCH, width).unflatten(0, (len(seeds), copies))


def loss(arm: Arm, lanes: Lanes, network: Network, images: Tensor, labels: Tensor, noise: Tensor) -> Tensor:
    """Return what an arm minimizes on a batch, with the first M masks of the noise: [S]."""
    copies, rate, same, mean = (arm.value(name, lanes.knobs) for name in ("copies", "drop", "same", "mean"))
    noise = noise[:, :1].expand(-1, copies, -1, -1) if same else noise[:, :copies]
    logits = method.multi_sample_logits(network, images, noise, rate)
    return (method.mean_logits_loss if mean else method.multi_sample_loss)(logits, labels)


class Step(NamedTuple):
    """What a step of training leaves: the network of each arm, its losses [A, S] and the batch."""

    networks: list[Network]
    losses: Tensor
    images: Tensor
    labels: Tensor


def train(lanes: Lanes, images: Tensor, labels: Tensor) -> Iterator[Step]:
    """Train the networks of all arms with Adam, on the same batches and masks, forever."""
    arms, knobs, row = list(lanes.arms.values()), lanes.knobs, torch.arange(len(lanes.seeds)).unsqueeze(1)
    networks = [Network(knobs["width"], lanes.generators("weights")) for _ in arms]
    rates = [arm.value("lr", knobs) for arm in arms]
    groups = [{"params": list(one.parameters()), "lr": rate} for one, rate in zip(networks, rates, strict=True)]
    optimizer = torch.optim.Adam(groups, fused=True)
    epochs = (data.batches(lanes.seeds, images.shape[1], BATCH, epoch) for epoch in itertools.count(1))
    most = max(arm.value("copies", knobs) for arm in arms)
    drawn = masks(lanes.seeds, "masks of copy", most, knobs["width"])
    for index, noise in zip(itertools.chain.from_iterable(epochs), drawn, strict=False):
        batch = images[row, index], labels[row, index]
        losses = torch.stack([loss(arm, lanes, net, *batch, noise) for arm, net in zip(arms, networks, strict=True)])
        optimizer.zero_grad()
        losses.sum().backward()
        optimizer.step()
        yield Step(networks, losses.detach(), *batch)


# -------------------------------------------------------------------------------------------------- the main experiment

CURVE = "arm seed step"


@dataclass(frozen=True)
class MultiSample(Experiment):
    """Train small networks on few digits with one dropout mask for each gradient, or with the mean loss of M masks.

    Network 64-D-64-10 with ReLU, dropout behind the first layer, batches of 32, Adam. All arms of a seed share digits,
    first weights, batches and masks; those with M copies begin with the mask of the others.
    """

    # fmt: off
    copies: int = knob(8, stops=(1, 2, 4, 8, 16), symbol="M", help="masks for each gradient")
    drop: float = knob(0.5, low=0, high=0.8, step=0.1, symbol="p", help="probability that a feature is dropped")
    lr: float = knob(1e-3, stops=RATES.values, symbol="η", help="learning rate of Adam")
    steps: int = knob(300, low=20, high=1400, step=20, help="training steps, batches of 32")
    train: int = knob(300, low=100, high=500, step=50, symbol="n", help="digits for training")
    width: int = knob(128, stops=(128, 512, 1024), symbol="D", help="features in front of the dropout")

    arms = {
        DROPOUT: Arm("baseline", copies=1, drop="drop", lr="lr"),
        MULTI: Arm("method", copies="copies", drop="drop", lr="lr"),
        "mean logits": Arm("ablation", copies="copies", drop="drop", lr="lr", mean=1),
        FASTER: Arm("rival", copies=1, drop="drop", lr=tuned(2e-3, RATES.values, "validation")),
        NONE: Arm("rival", copies=1, lr="lr"),
        SAME: Arm("null", copies="copies", drop="drop", lr="lr", same=1),
    }
    outputs = {
        "clean_loss": Var(CURVE, "training loss", "cross-entropy of the training digits without masks", "nats", low=0),
        "noisy_loss": Var(CURVE, "noisy loss", "what is minimized, mean over the last 20 batches", "nats", low=0),
        "test_loss": Var(CURVE, "test loss", "cross-entropy of 1000 test digits", "nats", low=0),
        "test_error": Var(CURVE, "test error", "share of 1000 test digits classified wrong", "%", 0, 100),
        "arithmetic": Var("arm step", "arithmetic", "multiply-adds of all forward passes so far", "millions", low=0),
        "trace": Var("arm seed", "mean training loss", "training loss without masks, mean over the run", "nats", low=0),
        "error": Var("arm seed", "test error at the end", "share of test digits classified wrong", "%", 0, 100),
        "validation": Var("arm seed", "validation score", "mean log-probability of 200 further digits", "nats"),
    }
    views = (
        View("Speed", (Curves("How fast are the training digits fitted?", ["clean_loss"], SHOWN, log=True),
                       Curves("How many new digits are read wrong?", ["test_error"], SHOWN))),
    )
    scaled = "CIFAR, ImageNet and deep networks became 300 digits and a network of three layers; masks and loss are kept"
    headline = "trace"
    grid = {"copies": (1, 2, 4, 8, 16), "drop": (0, 0.1, 0.3, 0.5, 0.7, 0.8)}
    smoke = {"steps": 20}
    equals_baseline = tuple(({"copies": 1}, arm) for arm in (MULTI, "mean logits", SAME))
    # fmt: on

    def axes(self) -> dict[str, Axis]:
        """Every twentieth step, from the twentieth on."""
        return {"step": Axis(range(EVERY, self.steps + 1, EVERY), label="training step")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train; measure at every twentieth step, and once at the end."""
        lanes, sets, settings = self.lanes(seeds), digits(seeds, self.train), self.settings()
        prices = [method.arithmetic(self.width, arm.value("copies", settings)) for arm in self.arms.values()]
        noisy, traced = [], []
        for step, now in enumerate(itertools.islice(train(lanes, sets.images, sets.labels), self.steps), start=1):
            noisy.append(now.losses)
            yield Tick(step / self.steps)
            if step % EVERY == 0:
                with torch.no_grad():
                    logits = torch.stack([network(sets.test) for network in now.networks])
                    fitted = torch.stack([method.cross_entropy(net(sets.images), sets.labels) for net in now.networks])
                traced.append(fitted)
                values = {
                    "clean_loss": fitted,
                    "noisy_loss": torch.stack(noisy[-EVERY:]).mean(0),
                    "test_loss": method.cross_entropy(logits, sets.test_labels.expand(logits.shape[:-1])),
                    "test_error": 100 * (1 - metrics.accuracy(logits, sets.test_labels)),
                    "arithmetic": torch.tensor(prices) * step * BATCH / 1e6,
                }
                yield Frame({"step": step // EVERY - 1}, values)
        with torch.no_grad():
            held = torch.stack([method.cross_entropy(net(sets.held_out), sets.held_out_labels) for net in now.networks])
        last = {"trace": torch.stack(traced).mean(0), "error": values["test_error"], "validation": -held}
        yield Frame({}, last)


class Few(MultiSample):
    """Train three of the arms, for what takes longer."""

    arms = {arm: MultiSample.arms[arm] for arm in (DROPOUT, MULTI, NONE)}
    views = (View("Speed", (Curves("How fast are the training digits fitted?", ["clean_loss"], log=True),)),)
    grid = {}
    equals_baseline = (({"copies": 1}, MULTI),)


class AcrossCopies(Across, sibling=Few, knob="copies", values=COPIES, outputs=("trace", "error")):
    """Draw more and more masks for each gradient."""

    views = (View("More masks", (Curves("How high is the training loss, in the mean?", ["trace"]),
                                 Curves("How many new digits are read wrong?", ["error"]))),)  # fmt: skip
    headline = "trace"
    smoke = MultiSample.smoke


class AcrossRate(Across, sibling=Few, knob="lr", values=RATES, outputs=("trace", "error", "validation")):
    """Train the same arms with larger and smaller learning rates."""

    views = (View("Learning rate", (Curves("How high is the training loss, in the mean?", ["trace"], log=True),
                                    Curves("How many new digits are read wrong?", ["error"]))),)  # fmt: skip
    headline = "trace"
    smoke = MultiSample.smoke
    equals_baseline = Few.equals_baseline


# --------------------------------------------------------------------------------------------------- the gradient's noise


def gradient(network: Network, images: Tensor, labels: Tensor, noise: Tensor, rate: float = 0.5) -> Tensor:
    """Return the gradient of L_M in all weights, for M masks: [S, N, 64], [S, N], [S, M, N, D] -> [S, P]."""
    logits = method.multi_sample_logits(network, images, noise, rate)
    return method.gradients(network, method.multi_sample_loss(logits, labels))


def differences(network: Network, images: Tensor, labels: Tensor, noise: Tensor) -> dict[str, Tensor]:
    """Compare gradients that should be equal, and return the largest difference of each pair: [S] each.

    Copies of one mask and that mask alone; without dropout, M copies and one; M masks, and the one mask of a batch with
    every row M times.
    """
    one, several, (seeds, copies) = noise[:, :1], gradient(network, images, labels, noise), noise.shape[:2]
    alone, plain = gradient(network, images, labels, one), gradient(network, images, labels, one, 0)
    rows = images.repeat(1, copies, 1), labels.repeat(1, copies), noise.reshape(seeds, 1, -1, noise.shape[-1])
    pairs = {
        "same_gap": (gradient(network, images, labels, one.expand_as(noise)), alone),
        "plain_gap": (gradient(network, images, labels, noise, 0), plain),
        "rows_gap": (gradient(network, *rows), several),
    }
    return {name: (left - right).abs().amax(-1) for name, (left, right) in pairs.items()}


@dataclass(frozen=True)
class GradientNoise(Experiment):
    """Stop dropout at its default setting after 60 steps, and draw the gradient of the next step many times.

    The covariance is that over masks, with the last batch fixed, or over masks and batches, drawn with replacement.
    """

    draws: int = knob(64, low=2, high=256, step=2, help="gradients drawn for each number of copies")

    # fmt: off
    outputs = {
        "mask_variance": Var("seed copies", "batch fixed", "trace of the gradient's covariance over masks", low=0),
        "total_variance": Var("seed copies", "batch redrawn", "the same over masks and batches", low=0),
        "same_mask": Var("seed copies", "copies of one mask", "the same over masks, with M copies of one", low=0),
        "law": Var("seed copies", "1/M law", "the variance over masks for M = 1, divided by M", low=0),
        "same_gap": Var("seed", "one mask", "largest difference between gradients with 16 copies of a mask and one"),
        "plain_gap": Var("seed", "no dropout", "largest difference between gradients with 16 copies and one, p = 0"),
        "rows_gap": Var("seed", "rows", "largest difference between gradients with 16 masks and every row 16 times"),
    }
    views = (
        View("Noise", (Curves("How noisy is the gradient?", ["mask_variance", "total_variance", "same_mask"],
                              y="trace of the covariance", log=True, theory="law"),)),
    )
    scaled = MultiSample.scaled
    headline = "mask_variance"
    smoke = {"draws": 2}
    # fmt: on

    def axes(self) -> dict[str, Axis]:
        """The numbers of copies."""
        return {"copies": COPIES}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train for 60 steps; then all draws for each number of copies; then, in double precision, the differences."""
        start = MultiSample().only([DROPOUT])
        sets, row = digits(seeds, start.train), torch.arange(len(seeds)).unsqueeze(1)
        for step, now in enumerate(itertools.islice(train(start.lanes(seeds), sets.images, sets.labels), 60), start=1):
            yield Tick(0.1 * step / 60)
        (network,), first, done, work = now.networks, torch.zeros(0), 0, self.draws * sum(COPIES.values)
        for position, copies in enumerate(COPIES.values):
            sources = [generator(seed, "redrawn batches") for seed in seeds]
            found: dict[str, list[Tensor]] = {"mask_variance": [], "total_variance": [], "same_mask": []}
            for noise in itertools.islice(masks(seeds, "masks of gradient", copies, start.width), self.draws):
                index = torch.stack([torch.randint(start.train, (BATCH,), generator=source) for source in sources])
                redrawn, one = (sets.images[row, index], sets.labels[row, index]), noise[:, :1].expand_as(noise)
                found["mask_variance"].append(gradient(network, now.images, now.labels, noise))
                found["total_variance"].append(gradient(network, *redrawn, noise))
                found["same_mask"].append(gradient(network, now.images, now.labels, one))
                done += copies
                yield Tick(0.1 + 0.9 * done / work)
            values = {name: method.trace_of_covariance(torch.stack(drawn)) for name, drawn in found.items()}
            first = first if position else values["mask_variance"]
            yield Frame({"copies": position}, {**values, "law": first / copies})
        last = next(masks(seeds, "masks of gradient", 16, start.width))
        yield Frame({}, differences(network.double(), now.images.double(), now.labels, last))


EXPERIMENTS = (MultiSample, Few, AcrossCopies, AcrossRate, GradientNoise)
