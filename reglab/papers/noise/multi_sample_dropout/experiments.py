"""MSD: the experiments."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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

BATCH, EVERY, BEFORE, HELD_OUT, TESTED = 32, 10, 60, 200, 1000
"""Size of a batch, steps between two measurements, steps before gradients are drawn, digits to validate and to test."""

STOPS, RATES = (1, 2, 4, 8, 16), (5e-4, 1e-3, 2e-3, 3e-3, 5e-3)
COPIES, LEARNING_RATES = Axis(STOPS, label="copies M", log=True), Axis(RATES, label="learning rate η", log=True)

Batch = tuple[Tensor, Tensor]
"""Images [S, n, 64] and labels [S, n]."""


# -------------------------------------------------------------------------------------------- data, masks and training


def digits(seeds: Seeds, train: int) -> list[Batch]:
    """Return digits for training, validation and testing; pixels from 0 to 1, less the mean training image."""
    split = data.digits(seeds, train + HELD_OUT, standardize=False)
    images, labels = (each.split([train, HELD_OUT], 1) for each in (split.train_inputs, split.train_labels))
    every = zip((*images, split.test_inputs[:, :TESTED]), (*labels, split.test_labels[:, :TESTED]), strict=True)
    return [(inputs - images[0].mean(1, keepdim=True), truth) for inputs, truth in every]


def pick(batch: Batch, index: Tensor) -> Batch:
    """Return some examples of each seed, index [S, N]."""
    row = torch.arange(len(index)).unsqueeze(1)
    return batch[0][row, index], batch[1][row, index]


def masks(seeds: Seeds, purpose: str, copies: int, width: int) -> Iterator[Tensor]:
    """Draw the noise of M masks for every batch, forever: [S, M, 32, D]. More copies leave the first ones as they are.

    A seed has a generator for each copy.
    """
    sources = [generator(seed, f"{purpose} {copy}") for seed in seeds for copy in range(copies)]
    while True:
        yield dropout.noise(sources, BATCH, width).unflatten(0, (len(seeds), copies))


def loss(arm: Arm, lanes: Lanes, network: Network, batch: Batch, noise: Tensor) -> Tensor:
    """Return what an arm minimizes on a batch, with the first M masks of the noise: [S]."""
    copies, rate, same, mean = (arm.value(name, lanes.knobs) for name in ("copies", "drop", "same", "mean"))
    chosen = noise[:, :1].expand(-1, copies, -1, -1) if same else noise[:, :copies]
    logits = method.multi_sample_logits(network, batch[0], chosen, rate)
    return (method.mean_logits_loss if mean else method.multi_sample_loss)(logits, batch[1])


def train(lanes: Lanes, examples: Batch) -> Iterator[tuple[list[Network], Batch]]:
    """Train the networks of all arms with Adam, on the same batches and masks; yield them and the batch, forever."""
    arms, knobs = list(lanes.arms.values()), lanes.knobs
    networks = [Network(knobs["width"], lanes.generators("weights")) for _ in arms]
    rates = (arm.value("lr", knobs) for arm in arms)
    groups = [{"params": list(one.parameters()), "lr": rate} for one, rate in zip(networks, rates, strict=True)]
    optimizer = torch.optim.Adam(groups, fused=True)
    epochs = (data.batches(lanes.seeds, examples[1].shape[1], BATCH, epoch) for epoch in itertools.count(1))
    drawn = masks(lanes.seeds, "masks of copy", max(arm.value("copies", knobs) for arm in arms), knobs["width"])
    for index, noise in zip(itertools.chain.from_iterable(epochs), drawn, strict=False):
        batch = pick(examples, index)
        losses = [loss(arm, lanes, network, batch, noise) for arm, network in zip(arms, networks, strict=True)]
        optimizer.zero_grad()
        torch.cat(losses).sum().backward()
        optimizer.step()
        yield networks, batch


@torch.no_grad()
def score(networks: Sequence[Network], batch: Batch) -> Batch:
    """Return cross-entropy and error in percent of all arms, without masks: [A, S] each."""
    logits = torch.stack([network(batch[0]) for network in networks])
    return method.cross_entropy(logits, batch[1]), 100 * (1 - metrics.accuracy(logits, batch[1]))


# -------------------------------------------------------------------------------------------------- the main experiment


@dataclass(frozen=True)
class MultiSample(Experiment):
    """Train small networks on few digits with one dropout mask for each gradient, or with the mean loss of M masks.

    Network 64-D-64-10 with ReLU, dropout behind the first layer, batches of 32, Adam. All arms of a seed share digits,
    first weights, batches and masks; those with M copies begin with the mask of the others.
    """

    # fmt: off
    copies: int = knob(8, stops=STOPS, symbol="M", help="masks for each gradient")
    drop: float = knob(0.5, low=0, high=0.8, step=0.1, symbol="p", help="probability that a feature is dropped")
    lr: float = knob(1e-3, stops=RATES, symbol="η", label="learning rate", help="learning rate of Adam")
    steps: int = knob(300, low=20, high=1400, step=20, help="training steps, batches of 32")
    train: int = knob(300, low=100, high=500, step=50, symbol="n", label="digits", help="digits for training")
    width: int = knob(128, stops=(128, 512, 1024), symbol="D", help="features in front of the dropout")

    arms = {
        DROPOUT: Arm("baseline", copies=1, drop="drop", lr="lr"),
        MULTI: Arm("method", copies="copies", drop="drop", lr="lr"),
        "mean logits": Arm("ablation", copies="copies", drop="drop", lr="lr", mean=1),
        FASTER: Arm("rival", copies=1, drop="drop", lr=tuned(2e-3, RATES, "validation")),
        NONE: Arm("rival", copies=1, lr="lr"),
        SAME: Arm("null", copies="copies", drop="drop", lr="lr", same=1),
    }
    outputs = {
        "clean_loss": Var("arm seed step", "training loss", "cross-entropy of training digits, no masks", "nats", 0),
        "test_error": Var("arm seed step", "test error", "share of 1000 test digits classified wrong", "%"),
        "priced_error": Var("arm seed price", "test error", "test error as soon as so much is spent", "%"),
        "trace": Var("arm seed", "mean training loss", "training loss without masks, mean over the run", "nats", low=0),
        "error": Var("arm seed", "final test error", "share of test digits classified wrong at the end", "%"),
        "validation": Var("arm seed", "validation score", "mean log-probability of 200 further digits", "nats"),
    }
    views = (View("Speed", (Curves("How fast are the training digits fitted?", ["clean_loss"], SHOWN, log=True),
                            Curves("How many new digits are read wrong?", ["test_error"], SHOWN, log=True))),
             View("Price", (Curves("And for the same arithmetic?", ["priced_error"], (DROPOUT, MULTI), log=True),)))
    scaled = "CIFAR, ImageNet and deep networks became 300 digits and three layers; masks and losses are kept"
    headline = "trace"
    grid = {"copies": STOPS, "drop": (0, 0.1, 0.3, 0.5, 0.7, 0.8)}
    smoke = {"copies": 2, "steps": 40}
    equals_baseline = tuple(({"copies": 1}, arm) for arm in (MULTI, "mean logits", SAME))
    may_be_nan = ("priced_error",)  # where the first 20 steps cost more
    # fmt: on

    def axes(self) -> dict[str, Axis]:
        """Every tenth step, from the tenth on; the arithmetic that so many steps of dropout take."""
        steps = range(EVERY, self.steps + 1, EVERY)
        return {
            "step": Axis(steps, label="training step"),
            "price": Axis(steps, label="arithmetic, in steps of dropout"),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train; a frame at every tenth step."""
        lanes, (training, held_out, test) = self.lanes(seeds), digits(seeds, self.train)
        losses, errors = [], []
        for step, (networks, _) in enumerate(itertools.islice(train(lanes, training), self.steps), start=1):
            yield Tick(step / self.steps)
            if step % EVERY == 0:
                losses.append(score(networks, training)[0])
                errors.append(score(networks, test)[1])
                yield Frame({"step": len(losses) - 1}, {"clean_loss": losses[-1], "test_error": errors[-1]})
        validation = -score(networks, held_out)[0]
        yield Frame({}, {"trace": torch.stack(losses).mean(0), "error": errors[-1], "validation": validation})
        paid = torch.stack([torch.full_like(errors[0], torch.nan), *errors])  # [1 + steps / 10, A, S]
        for a, (name, arm) in enumerate(self.arms.items()):
            price = method.arithmetic(self.width, arm.value("copies", self.settings()))
            reached = torch.arange(1, len(paid)) * method.arithmetic(self.width, 1) // price
            yield Frame({"arm": name}, {"priced_error": paid[reached, a].T})


class Few(MultiSample):
    """Train three of the arms, for what takes longer."""

    arms = {arm: MultiSample.arms[arm] for arm in (DROPOUT, MULTI, NONE)}
    views = (View("Speed", (Curves("How fast are the training digits fitted?", ["clean_loss"], log=True),)),
             MultiSample.views[1])  # fmt: skip
    grid = {}
    equals_baseline = (({"copies": 1}, MULTI),)


class AcrossCopies(Across, sibling=Few, knob="copies", values=COPIES, outputs=("trace", "error")):
    """Draw more and more masks for each gradient."""

    views = (View("More masks", (Curves("How high is the training loss, in the mean?", ["trace"]),
                                 Curves("How many new digits are read wrong?", ["error"]))),)  # fmt: skip
    headline = "trace"
    smoke = {"steps": 20}


class AcrossRate(Across, sibling=Few, knob="lr", values=LEARNING_RATES, outputs=("trace", "error")):
    """Train the same arms with larger and smaller learning rates."""

    views = (View("Learning rate", (Curves("How high is the training loss, in the mean?", ["trace"], log=True),
                                    Curves("How many new digits are read wrong?", ["error"])), 1, 2.3),)  # fmt: skip
    headline = "trace"
    smoke = MultiSample.smoke


# ------------------------------------------------------------------------------------------------ the gradient's noise


def gradient(network: Network, batch: Batch, noise: Tensor, rate: float = 0.5) -> Tensor:
    """Return the gradient of L_M in all weights, for the M masks of the noise [S, M, N, D]: [S, P]."""
    logits = method.multi_sample_logits(network, batch[0], noise, rate)
    return method.gradients(network, method.multi_sample_loss(logits, batch[1]))


def gaps(network: Network, batch: Batch, noise: Tensor) -> Tensor:
    """Return the largest difference between gradients that should be equal: [S, 3].

    M copies of one mask and that mask alone; without dropout, M copies and one; M masks, and one mask of a batch with
    every row M times.
    """
    (images, labels), one, (seeds, copies) = batch, noise[:, :1], noise.shape[:2]
    rows = images.repeat(1, copies, 1), labels.repeat(1, copies)
    pairs = (
        (gradient(network, batch, one.expand_as(noise)), gradient(network, batch, one)),
        (gradient(network, batch, noise, 0), gradient(network, batch, one, 0)),
        (gradient(network, rows, noise.reshape(seeds, 1, -1, noise.shape[-1])), gradient(network, batch, noise)),
    )
    return torch.stack([(left - right).abs().amax(-1) for left, right in pairs], -1)


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
        "same_mask": Var("seed copies", "same mask", "the same over masks, with M copies of one", low=0),
        "law": Var("seed copies", "1/M law", "the variance over masks for M = 1, divided by M", low=0),
        "gap": Var("seed pair", "gap", "largest difference between gradients that should be equal", low=0),
    }
    views = (View("Noise", (Curves("Batch fixed: how noisy is the gradient?", ["mask_variance"], log=True,
                                   y="variance", theory="law"),
                            Curves("And if the batch is drawn, too?", list(outputs)[:3], log=True, y="variance"))),)
    scaled = MultiSample.scaled
    headline = "mask_variance"
    smoke = {"draws": 2}
    # fmt: on

    def axes(self) -> dict[str, Axis]:
        """The numbers of copies; which gradients should be equal."""
        return {"copies": COPIES, "pair": Axis(["one mask", "no mask", "rows"], label="what should be equal")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train for 60 steps; then all draws for each number of copies; then, in double precision, the gaps."""
        start = MultiSample().only([DROPOUT])
        examples, count = digits(seeds, start.train)[0], self.draws * len(STOPS)
        training, first = train(start.lanes(seeds), examples), torch.zeros(0)
        for step in range(BEFORE):
            (network,), batch = next(training)
            yield Tick(0.1 * step / BEFORE)
        for i, copies in enumerate(STOPS):
            drawn = masks(seeds, "masks of gradient", copies, start.width)
            sources, found = [generator(seed, "redrawn batches") for seed in seeds], []
            for draw, noise in enumerate(itertools.islice(drawn, self.draws)):
                index = torch.stack([torch.randint(start.train, (BATCH,), generator=source) for source in sources])
                cases = (batch, noise), (pick(examples, index), noise), (batch, noise[:, :1].expand_as(noise))
                found.append(torch.stack([gradient(network, *case) for case in cases]))
                yield Tick(0.1 + 0.9 * (i * self.draws + draw) / count)
            values = method.trace_of_covariance(torch.stack(found))
            first = first if i else values[0]
            yield Frame({"copies": i}, dict(zip(self.outputs, (*values, first / copies), strict=False)))
        exact = gaps(network.double(), (batch[0].double(), batch[1]), noise)
        yield Frame({}, {"gap": exact})


EXPERIMENTS = (MultiSample, Few, AcrossCopies, AcrossRate, GradientNoise)
