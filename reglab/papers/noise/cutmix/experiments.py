"""CutMix: the experiments."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reglab import data, metrics
from reglab.experiment import Experiment
from reglab.knobs import Knob, knob
from reglab.models import replicas
from reglab.papers.noise.cutmix import method
from reglab.pictures.views import Curves, Dots, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator


class Draws(NamedTuple):
    """What chance decides for one batch of each seed: everything [S], but center [S, 2] and partners' order [S, N]."""

    coin: Tensor
    lam: Tensor
    center: Tensor
    order: Tensor


def draw(seeds: Seeds, steps: int, batch: int, alpha: float, size: method.Size) -> list[Draws]:
    """Draw for every step whether to change the batch, λ ~ Beta(α, α), a center and the partners, for all seeds.

    λ is the quantile of a uniform number, so another α moves the same draws.
    """
    from scipy.special import betaincinv

    coins, lams, centers, orders = [], [], [], []
    for seed in seeds:
        source = generator(seed, "mixing")
        uniform = torch.rand(steps, 4, generator=source, dtype=torch.float64)
        coins.append(uniform[:, 0])
        lams.append(torch.from_numpy(betaincinv(alpha, alpha, uniform[:, 1].numpy())))
        centers.append((uniform[:, 2:] * torch.tensor(size)).long())
        orders.append(torch.rand(steps, batch, generator=source).argsort(-1))
    return [
        Draws(*one) for one in zip(*(torch.stack(parts, 1) for parts in (coins, lams, centers, orders)), strict=True)
    ]


PLAIN, CUTOUT, MIXUP, CUTMIX, ONE_LABEL, ALWAYS = (
    "plain", "Cutout", "Mixup", "CutMix", "one label", "every batch",
)  # fmt: skip


def augment(arm: str, images: Tensor, drawn: Draws, probability: float) -> tuple[Tensor, Tensor]:
    """Return one arm's batch [S, N, H, W] and the weight λ of each picture's own label [S]."""
    own = torch.ones_like(drawn.lam)
    if arm == PLAIN:
        return images, own
    weight = own
    if arm == CUTOUT:
        changed = method.cutout(images, drawn.center)
    elif arm == MIXUP:
        changed, weight = method.mixup(images, drawn.order, drawn.lam), drawn.lam
    else:
        changed, visible = method.cutmix(images, drawn.order, drawn.lam, drawn.center)
        weight = own if arm == ONE_LABEL else visible
    chosen = drawn.coin < (1 if arm == ALWAYS else probability)
    return torch.where(chosen[:, None, None, None], changed, images), torch.where(chosen, weight, own)


class Layer(NamedTuple):
    """A convolution with a border of one pixel, then normalization over the batch and ReLU."""

    inputs: int
    outputs: int
    kernel: int
    stride: int


class Networks(nn.Module):
    """M convolutional networks as one: convolutions in M groups, so that each sees its own pictures only.

    Batch normalization treats every channel separately, so also every network. Then the mean over all places and one
    linear layer. Model m = copy · S + seed; copies of one seed start from the same weights.
    """

    def __init__(self, seeds: Seeds, copies: int, layers: Sequence[Layer], classes: int) -> None:
        super().__init__()
        self.count = copies * len(seeds)
        sources, blocks = [generator(seed, "weights") for seed in seeds], []
        for inputs, outputs, kernel, stride in layers:
            bound = (inputs * kernel**2) ** -0.5
            shape = (outputs, inputs, kernel, kernel)
            drawn = [torch.empty(shape).uniform_(-bound, bound, generator=source) for source in sources]
            convolution = nn.utils.skip_init(
                nn.Conv2d, self.count * inputs, self.count * outputs, kernel, stride, 1, groups=self.count, bias=False
            )
            convolution.weight = nn.Parameter(torch.cat(drawn * copies))
            blocks += [convolution, nn.BatchNorm2d(self.count * outputs), nn.ReLU(inplace=True)]
        self.blocks = nn.Sequential(*blocks)
        bound = layers[-1].outputs ** -0.5
        self.logits = replicas.linear(layers[-1].outputs, classes, sources, copies, weights=bound, biases=bound)

    def features(self, images: Tensor) -> Tensor:
        """Return what the last convolution sees: [M, N, H, W] -> [M, N, D, h, w]."""
        return self.blocks(images.transpose(0, 1)).unflatten(1, (self.count, -1)).transpose(0, 1)

    def forward(self, images: Tensor) -> Tensor:
        """[M, N, H, W] -> [M, N, C]."""
        return self.logits(self.features(images).mean((-2, -1)))


BATCH, EVERY, CHUNK = 25, 50, 50
"""Size of a batch, steps between two measurements, pictures that are measured at once."""


def train(
    network: Networks,
    images: Tensor,
    labels: Tensor,
    arms: Sequence[str],
    seeds: Seeds,
    rate: float,
    drawn: list[Draws],
    probability: float,
) -> Iterator[tuple[int, Tensor]]:
    """Train every arm on the same batches [S, n, H, W]; yield the number of steps done and the losses [A, S].

    AdamW with weight decay 1e-3; the learning rate falls from `rate` to 0 along a cosine.
    """
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(drawn))
    row = torch.arange(len(seeds)).unsqueeze(1)
    order = itertools.chain.from_iterable(
        data.batches(seeds, images.shape[1], BATCH, epoch) for epoch in itertools.count(1)
    )
    for step, (one, index) in enumerate(zip(drawn, order, strict=False), start=1):
        network.train()
        pictures, weights = zip(*(augment(arm, images[row, index], one, probability) for arm in arms), strict=True)
        own = labels[row, index]
        logits = network(torch.cat(pictures)).unflatten(0, (len(arms), -1))
        losses = method.mixed_cross_entropy(
            logits,
            own.expand(len(arms), -1, -1),
            method.partners(own, one.order).expand(len(arms), -1, -1),
            torch.stack(weights).float(),
        )
        optimizer.zero_grad()
        losses.sum().backward()
        optimizer.step()
        schedule.step()
        yield step, losses.detach()


Measured = Generator[Tick, None, Tensor]
"""Yields a tick for each piece of the work, returns the result."""


@torch.no_grad()
def predict(network: Networks, images: Tensor, tick: Tick) -> Measured:
    """Return the logits for pictures that all arms of a seed share: [S, N, H, W] -> [A, S, N, C]."""
    network.eval()
    copies, found = network.count // len(images), []
    for piece in images.split(CHUNK, 1):
        found.append(network(piece.repeat(copies, 1, 1, 1)))
        yield tick
    return torch.cat(found, 1).unflatten(0, (copies, -1))


def attack(network: Networks, images: Tensor, labels: Tensor, size: float, tick: Tick) -> Measured:
    """Return the logits after one step of the fast gradient sign method, for each network against itself.

    Each pixel in [0, 1] moves by `size` in the direction that raises the loss: [S, N, H, W], [S, N] -> [A, S, N, C].
    """
    network.eval()
    copies, found = network.count // len(images), []
    for x, y in zip(images.split(CHUNK, 1), labels.split(CHUNK, 1), strict=True):
        x = x.repeat(copies, 1, 1, 1).requires_grad_()
        loss = F.cross_entropy(network(x).mT, y.repeat(copies, 1), reduction="sum")
        gradient = torch.autograd.grad(loss, x)[0]
        yield tick
        with torch.no_grad():
            found.append(network((x + size * gradient.sign()).clamp(0, 1)))
        yield tick
    return torch.cat(found, 1).unflatten(0, (copies, -1))


def center_hole(images: Tensor, side: int) -> Tensor:
    """Set the middle of pictures to 0, a square of the given side: [..., H, W]."""
    height, width = images.shape[-2:]
    holed, top, left = images.clone(), (height - side) // 2, (width - side) // 2
    holed[..., top : top + side, left : left + side] = 0
    return holed


def measured_steps(steps: int) -> list[int]:
    """Return the steps after which the test accuracy is measured: every fiftieth and the last."""
    return sorted({*range(EVERY, steps + 1, EVERY), steps})


def follow(
    network: Networks, trained: Iterator[tuple[int, Tensor]], steps: int, test: Tensor, truth: Tensor
) -> Generator[Frame | Tick, None, None]:
    """Train; yield a frame of accuracy and loss at every fiftieth step, then one of the NLL and the unharmed accuracy.

    Takes three quarters of the ticks; test [S, N, H, W], truth [S, N].
    """
    losses, when = [], measured_steps(steps)
    for step, loss in trained:
        losses.append(loss)
        tick = Tick(0.75 * step / steps)
        yield tick
        if step in when:
            logits = yield from predict(network, test, tick)
            values = {"accuracy": metrics.accuracy(logits, truth), "loss": torch.stack(losses).mean(0)}
            yield Frame({"step": when.index(step)}, values)
            losses = []
    labels = truth.expand(len(logits), -1, -1)
    yield Frame({}, {"nll": method.mixed_cross_entropy(logits, labels, labels, torch.ones(()))})
    yield Frame({"hole": 0}, {"hidden": values["accuracy"]})


# ------------------------------------------------------------------------------------------------- experiment A: digits


PROBABILITY = Knob(0.5, 0, 1, 0.25, symbol="p", help="probability that a batch is changed")

ALPHA = Knob(1.0, 0.1, 4, stops=(0.1, 0.2, 0.5, 1, 2, 4), symbol="α", help="λ is drawn from Beta(α, α); 1: uniform")

EXAMPLES = Knob(100, 50, 400, 50, symbol="n", help="pictures for training")

STEPS = Knob(400, 25, 1600, 25, help="training steps, batches of 25")

CURVE, END, EDGES = "arm seed step", "arm seed", ("top", "left", "bottom", "right")


@dataclass(frozen=True)
class Digits(Experiment):
    """Train small convolutional networks on 100 digits, with boxes pasted, cut or nothing done to the pictures.

    900 other digits test them: whole, with a hole, attacked; and pictures of pure noise. All arms of a seed share
    digits, first weights, batches, and the draws of boxes and partners.
    """

    probability: float = knob(PROBABILITY)
    alpha: float = knob(ALPHA)
    examples: int = knob(EXAMPLES)
    steps: int = knob(STEPS)

    arms = {PLAIN: "baseline", CUTOUT: "further", MIXUP: "further", CUTMIX: "method", ONE_LABEL: "ablation"}
    outputs = {
        "accuracy": Var(CURVE, "test accuracy", "share of the 900 test digits classified right", high=1),
        "loss": Var(CURVE, "training loss", "loss on the changed batches, mean since the last measurement", low=0),
        "nll": Var(END, "NLL", "negative log-likelihood of the test digits", "nats", low=0),
        "hidden": share("arm seed hole", "test accuracy", "share of test digits classified right behind a hole"),
        "inside": Var(END, "test accuracy", "accuracy when only the inner 6 x 6 pixels are left", high=1),
        "attacked": Var(END, "test accuracy", "accuracy on 300 of them, each pixel moved by 0.1 (FGSM)", low=0),
        "noise_confidence": share(END, "mean confidence", "mean largest probability for pictures of uniform noise"),
        "sample": share("arm example row column", "pixel", "two pictures of one training batch of the first seed"),
        "given": share("arm example class", "weight", "weight of each class in the label of these pictures"),
        "box": Var("arm edge", "box", "what was cut out of both: first row and column, those after the last", "pixels"),
    }
    # fmt: off
    views = (
        View("Occlusion", (
            Curves("What is seen behind a hole?", ["hidden"]),
            Dots("And when the border is gone?", "inside"),
        ), height=3.2),
        View("Accuracy", (
            Curves("Who is right about new digits?", ["accuracy"]),
            Curves("How well are the changed batches fitted?", ["loss"]),
        ), height=3),
        View("At the end", (
            Dots("How right is it about new digits?", "accuracy"),
            Dots("How large is its loss there?", "nll"),
        )),
        View("Trust", (
            Dots("How sure is it of pure noise?", "noise_confidence"),
            Dots("How right is it under attack?", "attacked"),
        )),
    )
    # fmt: on
    scaled = "CIFAR and ImageNet became 100 digits of 8x8 pixels, 300 epochs became 100; mixing and labels are kept"
    headline = "accuracy"
    grid = {"probability": (0, 0.25, 0.5, 0.75, 1), "alpha": (0.2, 0.5, 1, 2, 4)}
    smoke = {"steps": 25}
    equals_baseline = tuple(({"probability": 0}, arm) for arm in (CUTOUT, MIXUP, CUTMIX, ONE_LABEL))
    size, tests, attacked, holes = (8, 8), 900, 300, (0, 2, 4, 6)

    def axes(self) -> dict[str, Axis]:
        """Every fiftieth training step; sides of the hole; pixels and classes of the sample pictures."""
        return {
            "step": Axis(measured_steps(self.steps), label="training step"),
            "hole": Axis(self.holes, unit="pixels", label="side of the hole, pixels"),
            "example": Axis(["first", "second"]),
            "row": Axis(range(8)),
            "column": Axis(range(8)),
            "class": Axis(range(10)),
            "edge": Axis(EDGES),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame at every fiftieth step, then one for each measurement."""
        split, arms = data.digits(seeds, self.examples, standardize=False), tuple(self.arms)
        images, labels = split.train_inputs.unflatten(-1, self.size), split.train_labels
        test, truth = split.test_inputs[:, : self.tests].unflatten(-1, self.size), split.test_labels[:, : self.tests]
        drawn = draw(seeds, self.steps, BATCH, self.alpha, self.size)
        yield Frame({}, self._sample(images, labels, drawn, seeds))

        network = Networks(seeds, len(arms), (Layer(1, 24, 3, 1), Layer(24, 24, 3, 2), Layer(24, 48, 3, 1)), 10)
        trained = train(network, images, labels, arms, seeds, 0.005, drawn, self.probability)
        yield from follow(network, trained, self.steps, test, truth)
        yield from self._measure(network, test, truth, seeds)

    def _measure(self, network: Networks, test: Tensor, truth: Tensor, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Hide parts of the test digits, attack them, and show noise."""
        for i, side in enumerate(self.holes[1:], start=1):
            logits = yield from predict(network, center_hole(test, side), Tick(0.75 + 0.04 * i))
            yield Frame({"hole": i}, {"hidden": metrics.accuracy(logits, truth)})
        border = F.pad(test[..., 1:-1, 1:-1], (1, 1, 1, 1))
        logits = yield from predict(network, border, Tick(0.9))
        yield Frame({}, {"inside": metrics.accuracy(logits, truth)})
        some = truth[:, : self.attacked]
        logits = yield from attack(network, test[:, : self.attacked], some, 0.1, Tick(0.92))
        yield Frame({}, {"attacked": metrics.accuracy(logits, some)})
        noise = torch.stack([torch.rand(300, *self.size, generator=generator(seed, "noise")) for seed in seeds])
        logits = yield from predict(network, noise, Tick(0.98))
        yield Frame({}, {"noise_confidence": logits.softmax(-1).amax(-1).mean(-1)})

    def _sample(self, images: Tensor, labels: Tensor, drawn: list[Draws], seeds: Seeds) -> dict[str, Tensor]:
        """Return two pictures and labels of the first seed's first batch, with the box nearest to 40 % of the area."""
        index = data.batches(seeds[:1], images.shape[1], BATCH, 1)[0]
        batch, own = images[0, index], labels[0, index]
        one = min(
            (Draws(*(part[:1] for part in each)) for each in drawn),
            key=lambda each: abs(float(method.cutmix(batch, each.order, each.lam, each.center)[1]) - 0.6),
        )
        other = method.partners(own, one.order)
        chosen = (own != other)[0].nonzero().flatten()[:2]
        pictures, weights = zip(
            *(augment(arm, batch, one, float(self.probability > 0)) for arm in self.arms), strict=True
        )
        weight = torch.cat(weights)[:, None, None]
        given = weight * F.one_hot(own[0, chosen], 10) + (1 - weight) * F.one_hot(other[0, chosen], 10)
        pasted = torch.cat(method.cut_box(one.lam, one.center, self.size), -1)
        cut = torch.cat(method.cut_box(torch.full_like(one.lam, 0.75), one.center, self.size), -1)
        boxes = {CUTOUT: cut, CUTMIX: pasted, ONE_LABEL: pasted} if self.probability else {}
        box = torch.cat([boxes.get(arm, torch.zeros_like(cut)) for arm in self.arms])
        return {"sample": torch.cat(pictures)[:, chosen], "given": given, "box": box}


# ------------------------------------------------------------------------------------------- experiment B: localization


SIDE, CLASSES, NOISE = 16, 6, 0.25


class Scenes(NamedTuple):
    """Pictures of one object each: images [n, H, W], labels [n], pixels of object and head, true boxes [n, 4]."""

    images: Tensor
    labels: Tensor
    objects: Tensor
    heads: Tensor
    boxes: Tensor


def tiles() -> tuple[Tensor, Tensor]:
    """Return the patterns ±1 of heads and of bodies, the same in every run: [6, 4, 4] each."""
    drawn = np.random.default_rng(1234)
    heads, bodies = (np.sign(drawn.normal(size=(CLASSES, 4, 4))) for _ in range(2))
    return torch.from_numpy(heads).float(), torch.from_numpy(bodies).float()


def scenes(source: torch.Generator, count: int, length: int, contrast: float) -> Scenes:
    """Draw pictures of 16x16 pixels, noise around 0 and a rectangle of `length` by two thirds of it, upright or not.

    The rectangle is tiled with the weak pattern of its class, times `contrast`: the body. One of its corners is
    replaced by the strong pattern of its class: the head.
    """
    heads, bodies = tiles()
    labels = torch.randint(CLASSES, (count,), generator=source)
    upright = torch.rand(count, generator=source) < 0.5
    place = torch.rand(count, 2, generator=source)
    corner = torch.randint(2, (count, 2), generator=source)
    images = NOISE * torch.randn(count, SIDE, SIDE, generator=source)
    sides = torch.where(
        upright.unsqueeze(1), torch.tensor([length, 2 * length // 3]), torch.tensor([2 * length // 3, length])
    )
    first = (place * (SIDE - sides + 1)).long()
    head = first + corner * (sides - 4)
    pixels = torch.arange(SIDE)

    def pattern(tiled: Tensor, origin: Tensor) -> Tensor:
        rows, columns = ((pixels - origin[:, i, None]) % 4 for i in range(2))
        return tiled[labels][torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]

    object_mask = method.box_mask(first, first + sides, (SIDE, SIDE))
    head_mask = method.box_mask(head, head + 4, (SIDE, SIDE))
    body = contrast * pattern(bodies, first)
    images = images + torch.where(head_mask, pattern(heads, head), torch.where(object_mask, body, 0))
    return Scenes(images, labels, object_mask, head_mask, torch.cat([first, first + sides], 1))


def scenes_of(seeds: Seeds, purpose: str, count: int, length: int, contrast: float) -> Scenes:
    """Draw scenes for every seed: every field [S, count, ...]."""
    drawn = [scenes(generator(seed, purpose), count, length, contrast) for seed in seeds]
    return Scenes(*(torch.stack(parts) for parts in zip(*drawn, strict=True)))


SCENE_LAYERS = (Layer(1, 24, 4, 2), Layer(24, 24, 3, 1))

CONTRAST = Knob(0.25, 0.1, 0.6, 0.05, help="strength of the body's pattern; the head's is 1")

LENGTH = Knob(12, 6, 15, stops=(6, 9, 12, 15), unit="pixels", help="longer side of the object, of 16 pixels")


@dataclass(frozen=True)
class Localization(Experiment):
    """Train on drawn objects with a strong head and a weak body; then erase the head, and ask where the network looks.

    100 scenes to train, 300 to test. All arms of a seed share scenes, first weights, batches and draws.
    """

    probability: float = knob(PROBABILITY)
    alpha: float = knob(ALPHA)
    contrast: float = knob(CONTRAST)
    length: int = knob(LENGTH)
    examples: int = knob(EXAMPLES)
    steps: int = knob(STEPS)
    threshold: float = knob(
        0.15, low=0.05, high=0.5, step=0.05, symbol="τ", help="threshold of the boxes in the picture"
    )

    arms = {**Digits.arms, ALWAYS: "further"}
    outputs = {
        "accuracy": Var(CURVE, "test accuracy", "share of the 300 test scenes classified right", high=1),
        "loss": Var(CURVE, "training loss", "loss on the changed batches, mean since the last measurement", low=0),
        "nll": Var(END, "NLL", "negative log-likelihood of the test scenes", "nats", low=0),
        "headless": Var(END, "test accuracy", "share of test scenes classified right when the head is erased", high=1),
        "hidden": share("arm seed hole", "test accuracy", "share of test scenes classified right behind a hole"),
        "localization": Var(
            "arm seed tau", "share found", "share of scenes with IoU ≥ 0.5 of map's and true box", low=0
        ),
        "iou": Var("arm seed tau", "mean IoU", "mean overlap of the map's box and the object's", low=0),
        "body_share": Var(END, "share on the body", "share of the map on the object that lies on its body"),
        "scene": Var("example row column", "pixel", "a few test scenes of the first seed"),
        "true_box": Var("example edge", "true box", "first row and column, row and column after the last", "pixels"),
        "map": share("arm example row column", "map", "class activation maps of these scenes"),
        "found_box": Var("arm example edge", "box of the map", "its box at the chosen threshold", "pixels"),
    }
    _five = (PLAIN, CUTOUT, MIXUP, CUTMIX, ALWAYS)
    # fmt: off
    views = (
        View("Head and body", (
            Dots("How right is it when the head is erased?", "headless"),
            Dots("How much of the map lies on the body?", "body_share"),
        ), height=3),
        View("Where is the object", (
            Curves("How often is the object found?", ["localization"], _five),
            Curves("How well do the boxes overlap?", ["iou"], _five),
        ), height=3.2),
        View("Fit", (
            Curves("Who is right about new scenes?", ["accuracy"], _five),
            Dots("How large is the loss on new scenes?", "nll"),
        ), height=3),
        View("Hole", (Curves("What is seen behind a hole?", ["hidden"], _five),), columns=1, height=3),
    )
    # fmt: on
    scaled = "photographs became drawn scenes of 16x16 pixels; mixing, maps, thresholds and boxes are kept"
    headline = "headless"
    smoke = {"steps": 25}
    equals_baseline = tuple(({"probability": 0}, arm) for arm in (CUTOUT, MIXUP, CUTMIX, ONE_LABEL))
    size, tests, shown = (SIDE, SIDE), 300, 3
    thresholds = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)
    holes = (0, 2, 4, 6, 8, 10, 12)

    def axes(self) -> dict[str, Axis]:
        """Every fiftieth training step; sides of the hole; thresholds; a few scenes with maps and boxes."""
        return {
            "step": Axis(measured_steps(self.steps), label="training step"),
            "hole": Axis(self.holes, unit="pixels", label="side of the hole, pixels"),
            "tau": Axis(self.thresholds, label="threshold τ of the map"),
            "example": Axis(range(self.shown)),
            "row": Axis(range(SIDE)),
            "column": Axis(range(SIDE)),
            "edge": Axis(EDGES),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; a frame at every fiftieth step, then one for each measurement."""
        training = scenes_of(seeds, "training scenes", self.examples, self.length, self.contrast)
        test = scenes_of(seeds, "test scenes", self.tests, self.length, self.contrast)
        drawn, arms = draw(seeds, self.steps, BATCH, self.alpha, self.size), tuple(self.arms)
        yield Frame({}, {"scene": test.images[0, : self.shown], "true_box": test.boxes[0, : self.shown]})

        network = Networks(seeds, len(arms), SCENE_LAYERS, CLASSES)
        trained = train(network, training.images, training.labels, arms, seeds, 0.01, drawn, self.probability)
        yield from follow(network, trained, self.steps, test.images, test.labels)
        yield from self._occlude(network, test)
        yield from self._locate(network, test)

    def _occlude(self, network: Networks, test: Scenes) -> Iterator[Frame | Tick]:
        """Hide the middle of the scenes, then their heads."""
        for i, side in enumerate(self.holes[1:], start=1):
            logits = yield from predict(network, center_hole(test.images, side), Tick(0.75 + 0.01 * i))
            yield Frame({"hole": i}, {"hidden": metrics.accuracy(logits, test.labels)})
        logits = yield from predict(network, test.images.masked_fill(test.heads, 0), Tick(0.83))
        yield Frame({}, {"headless": metrics.accuracy(logits, test.labels)})

    def _locate(self, network: Networks, test: Scenes) -> Iterator[Frame | Tick]:
        """Find the object in the map of its true class, arm by arm and threshold by threshold."""
        seeds = len(test.labels)
        maps = yield from class_maps(network, test.images, test.labels, Tick(0.85))
        truth = test.boxes.flatten(0, 1).numpy()
        for a, arm in enumerate(self.arms):
            warm = method.heat(maps[a].flatten(0, 1), self.size)
            on_object, on_body = (
                (warm.unflatten(0, (seeds, -1)) * mask).sum((-2, -1))
                for mask in (test.objects, test.objects & ~test.heads)
            )
            shown = warm[: self.shown]
            yield Frame({"arm": arm}, {"body_share": (on_body / on_object.clamp(min=1e-12)).mean(-1), "map": shown})
            box = method.tight_box(method.largest_component(shown.numpy() >= self.threshold))
            yield Frame({"arm": arm}, {"found_box": box})
            for i, tau in enumerate(self.thresholds):
                boxes = method.tight_box(method.largest_component(warm.numpy() >= tau))
                found = method.overlap(boxes, truth).reshape(seeds, -1)
                yield Frame({"arm": arm, "tau": i}, {"localization": (found >= 0.5).mean(1), "iou": found.mean(1)})
                yield Tick(0.88 + 0.12 * (a + (i + 1) / len(self.thresholds)) / len(self.arms))


@torch.no_grad()
def class_maps(network: Networks, images: Tensor, labels: Tensor, tick: Tick) -> Measured:
    """Return the maps of the true classes: [S, N, H, W], [S, N] -> [A, S, N, h, w]."""
    network.eval()
    copies, found = network.count // len(images), []
    for x, y in zip(images.split(CHUNK, 1), labels.split(CHUNK, 1), strict=True):
        features = network.features(x.repeat(copies, 1, 1, 1))
        weights = network.logits.weight.mT.gather(
            1, y.repeat(copies, 1).unsqueeze(-1).expand(-1, -1, features.shape[2])
        )
        found.append(method.class_activation_map(features, weights))
        yield tick
    return torch.cat(found, 1).unflatten(0, (copies, -1))


@dataclass(frozen=True)
class Contrast(Experiment):
    """Draw the bodies weaker and stronger: when does CutMix teach the network to do without the head?

    The same training as in `Localization`, with two arms, for six strengths of the body's pattern.
    """

    probability: float = knob(PROBABILITY)
    steps: int = knob(STEPS)

    arms = {PLAIN: "baseline", CUTMIX: "method"}
    outputs = {
        "headless": share("arm seed contrast", "accuracy without heads", "accuracy when the head is erased"),
        "accuracy": Var("arm seed contrast", "test accuracy", "share of the 300 test scenes classified right", high=1),
    }
    views = (
        View(
            "Weak and strong bodies",
            (
                Curves("How right is it when the head is erased?", ["headless"]),
                Curves("And with the head?", ["accuracy"]),
            ),
        ),
    )
    scaled = Localization.scaled
    headline = "headless"
    smoke = {"steps": 25}
    equals_baseline = (({"probability": 0}, CUTMIX),)
    contrasts = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)

    def axes(self) -> dict[str, Axis]:
        """Six strengths of the body."""
        return {"contrast": Axis(self.contrasts, label="strength of the body's pattern")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """One training of both arms and all seeds for each strength."""
        drawn, arms = draw(seeds, self.steps, BATCH, 1.0, (SIDE, SIDE)), tuple(self.arms)
        for i, contrast in enumerate(self.contrasts):
            training = scenes_of(seeds, "training scenes", EXAMPLES.default, LENGTH.default, contrast)
            test = scenes_of(seeds, "test scenes", Localization.tests, LENGTH.default, contrast)
            network = Networks(seeds, len(arms), SCENE_LAYERS, CLASSES)
            for step, _ in train(network, training.images, training.labels, arms, seeds, 0.01, drawn, self.probability):
                tick = Tick((i + step / self.steps) / len(self.contrasts))
                yield tick
            whole = yield from predict(network, test.images, tick)
            headless = yield from predict(network, test.images.masked_fill(test.heads, 0), tick)
            values = {"accuracy": whole, "headless": headless}
            yield Frame(
                {"contrast": i}, {name: metrics.accuracy(logits, test.labels) for name, logits in values.items()}
            )


EXPERIMENTS = (Digits, Localization, Contrast)
