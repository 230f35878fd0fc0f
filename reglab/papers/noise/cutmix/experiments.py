"""CutMix: the experiments."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reglab import data, metrics
from reglab.across import Across
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob
from reglab.models.convolution import ConvNets, Convolution
from reglab.papers.noise.cutmix import method
from reglab.pictures import Curves, Dots, Images, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator

PLAIN, CUTOUT, MIXUP, CUTMIX, ONE_LABEL, ALWAYS = "plain", "Cutout", "Mixup", "CutMix", "one label", "every batch"

ARMS = {PLAIN: Arm("baseline")} | {
    arm: Arm(role, probability="probability")
    for arm, role in ((CUTOUT, "further"), (MIXUP, "further"), (CUTMIX, "method"), (ONE_LABEL, "ablation"))
}


class Draws(NamedTuple):
    """What is random in one batch of each seed: everything [S], but center [S, 2] and partners' order [S, N]."""

    coin: Tensor
    lam: Tensor
    center: Tensor
    order: Tensor


def draw(seeds: Seeds, steps: int, batch: int, alpha: float, size: method.Size) -> list[Draws]:
    """Draw for every step whether to change the batch, λ ~ Beta(α, α), a center and the partners, for all seeds.

    λ is the quantile of a uniform number, so another α moves the same draws.
    """
    from scipy.special import betaincinv

    drawn = []
    for seed in seeds:
        source = generator(seed, "mixing")
        uniform = torch.rand(steps, 4, generator=source, dtype=torch.float64)
        lam = torch.from_numpy(betaincinv(alpha, alpha, uniform[:, 1].numpy()))
        center = (uniform[:, 2:] * torch.tensor(size)).long()
        drawn.append((uniform[:, 0], lam, center, torch.rand(steps, batch, generator=source).argsort(-1)))
    return [Draws(*one) for one in zip(*(torch.stack(parts, 1) for parts in zip(*drawn, strict=True)), strict=True)]


def augment(arm: str, images: Tensor, drawn: Draws, probability: float) -> tuple[Tensor, Tensor]:
    """Return one arm's batch [S, N, H, W] and the weight λ of each picture's own label [S]."""
    own = weight = torch.ones_like(drawn.lam)
    if arm == PLAIN:
        return images, own
    if arm == CUTOUT:
        changed = method.cutout(images, drawn.center)
    elif arm == MIXUP:
        changed, weight = method.mixup(images, drawn.order, drawn.lam), drawn.lam
    else:
        changed, visible = method.cutmix(images, drawn.order, drawn.lam, drawn.center)
        weight = own if arm == ONE_LABEL else visible
    chosen = drawn.coin < probability
    return torch.where(chosen[:, None, None, None], changed, images), torch.where(chosen, weight, own)


BATCH, EVERY, CHUNK = 25, 50, 50
"""Size of a batch, steps between two measurements, pictures that are measured at once."""

Events = Iterator[Frame | Tick]


@torch.no_grad()
def measure(
    network: ConvNets, work: Callable[..., Tensor], tick: Tick, *shared: Tensor
) -> Generator[Tick, None, Tensor]:
    """Apply `work` to what all arms of a seed share: [S, N, ...] -> [A, S, N, ...]; yield a tick for each piece."""
    network.eval()
    copies, found = network.count // len(shared[0]), []
    for piece in zip(*(one.split(CHUNK, 1) for one in shared), strict=True):
        found.append(work(*(one.repeat(copies, *[1] * (one.dim() - 1)) for one in piece)))
        yield tick
    return torch.cat(found, 1).unflatten(0, (copies, -1))


def score(network: ConvNets, name: str, images: Tensor, labels: Tensor, tick: Tick, **at: int) -> Events:
    """Yield the accuracy on pictures that all arms of a seed share, under a name: [S, N, H, W], [S, N]."""
    logits = yield from measure(network, network, tick, images)
    yield Frame(at, {name: metrics.accuracy(logits, labels)})


def center_hole(images: Tensor, side: int) -> Tensor:
    """Set the middle of pictures to 0, a square of the given side: [..., H, W]."""
    top, left = ((length - side) // 2 for length in images.shape[-2:])
    holed = images.clone()
    holed[..., top : top + side, left : left + side] = 0
    return holed


def class_maps(network: ConvNets, images: Tensor, labels: Tensor) -> Tensor:
    """Return the maps of the labels' classes: [M, N, H, W], [M, N] -> [M, N, h, w]."""
    features = network.features(images)
    weights = network.logits.weight.mT.gather(1, labels.unsqueeze(-1).expand(-1, -1, features.shape[2]))
    return method.class_activation_map(features, weights)


@dataclass(frozen=True)
class Mixed(Experiment):
    """Train all arms on mixed pictures; those of a seed share pictures, first weights, batches and draws."""

    probability: float = knob(0.5, low=0, high=1, step=0.25, symbol="p", help="probability that a batch is changed")
    alpha: float = knob(1.0, stops=(0.1, 0.2, 0.5, 1, 2, 4), symbol="α", help="λ is drawn from Beta(α, α); 1: uniform")
    examples: int = knob(100, low=50, high=400, step=50, symbol="n", help="pictures for training")
    steps: int = knob(400, low=25, high=1600, step=25, help="training steps, batches of 25")

    arms = ARMS
    outputs = {
        "accuracy": Var("arm seed step", "test accuracy", "share of test pictures classified right", high=1),
        "loss": Var("arm seed step", "training loss", "on the changed batches, mean since the last measurement", low=0),
        "nll": Var("arm seed", "NLL", "negative log-likelihood of the test pictures", "nats", low=0),
        "hidden": share("arm seed hole", "test accuracy", "share of test pictures classified right behind a hole"),
    }
    views: ClassVar[tuple[View, ...]] = (
        View("Accuracy", (
            Curves("Who is right about new pictures?", ["accuracy"], tuple(ARMS)),
            Curves("How well are the changed batches fitted?", ["loss"], tuple(ARMS)),
        ), height=3),
    )  # fmt: skip
    smoke = {"steps": 25}
    equals_baseline = tuple(({"probability": 0}, arm) for arm in (CUTOUT, MIXUP, CUTMIX, ONE_LABEL))
    size, rate, classes = (8, 8), 0.005, 10
    holes: ClassVar[Sequence[int]] = (0, 2, 4, 6)
    layers: ClassVar[Sequence[Convolution]] = (
        Convolution(1, 24, 3, 1), Convolution(24, 24, 3, 2), Convolution(24, 48, 3, 1),
    )  # fmt: skip

    def axes(self) -> dict[str, Axis]:
        """Every fiftieth training step and the last one; sides of the hole."""
        return {
            "step": Axis(sorted({*range(EVERY, self.steps + 1, EVERY), self.steps}), label="training step"),
            "hole": Axis(self.holes, unit="pixels", label="side of the hole, pixels"),
        }

    def sets(self, seeds: Seeds) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Return what trains and what tests: pictures [S, n, H, W], labels [S, n], and what else belongs to them."""
        raise NotImplementedError

    def probe(self, network: ConvNets, test: Any, seeds: Seeds) -> Events:
        """Measure after training; ticks from 0.83 on."""
        raise NotImplementedError

    def network(self, seeds: Seeds) -> ConvNets:
        """Return the networks of all arms and seeds before training."""
        return ConvNets(self.layers, self.classes, self.lanes(seeds).generators("weights"), len(self.arms))

    def train(self, network: ConvNets, images: Tensor, labels: Tensor, seeds: Seeds) -> Iterator[Tensor]:
        """Train every arm on the same batches of [S, n, H, W]; yield the losses [A, S] after each step.

        AdamW with weight decay 1e-3; the learning rate falls to 0 along a cosine.
        """
        optimizer = torch.optim.AdamW(network.parameters(), lr=self.rate, weight_decay=1e-3, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        drawn, row = draw(seeds, self.steps, BATCH, self.alpha, self.size), torch.arange(len(seeds)).unsqueeze(1)
        chances = {name: arm.value("probability", self.settings()) for name, arm in self.arms.items()}
        epochs = (data.batches(seeds, images.shape[1], BATCH, epoch) for epoch in itertools.count(1))
        for one, index in zip(drawn, itertools.chain.from_iterable(epochs), strict=False):
            network.train()
            batch, own = images[row, index], labels[row, index]
            pictures, weights = zip(*(augment(arm, batch, one, p) for arm, p in chances.items()), strict=True)
            logits = network(torch.cat(pictures)).unflatten(0, (len(pictures), -1))
            mine, theirs = (y.expand(len(pictures), -1, -1) for y in (own, method.partners(own, one.order)))
            losses = method.mixed_cross_entropy(logits, mine, theirs, torch.stack(weights).float())
            optimizer.zero_grad()
            losses.sum().backward()
            optimizer.step()
            schedule.step()
            yield losses.detach()

    def frames(self, seeds: Seeds) -> Events:
        """Train; accuracy and loss at every fiftieth step; the NLL, the accuracy behind holes, and what is probed."""
        (images, labels, *_), test = self.sets(seeds)
        network, losses, when, truth = self.network(seeds), [], list(self.axes()["step"].values), test[1]
        for step, loss in enumerate(self.train(network, images, labels, seeds), start=1):
            losses.append(loss)
            tick = Tick(0.75 * step / self.steps)
            yield tick
            if step in when and "accuracy" in self.outputs:
                logits = yield from measure(network, network, tick, test[0])
                accuracy = metrics.accuracy(logits, truth)
                yield Frame({"step": when.index(step)}, {"accuracy": accuracy, "loss": torch.stack(losses).mean(0)})
                losses = []
        if "hidden" in self.outputs:
            every = truth.expand(len(logits), -1, -1)
            nll = method.mixed_cross_entropy(logits, every, every, torch.ones(()))
            yield Frame({"hole": 0}, {"hidden": accuracy, "nll": nll})
            for i, side in enumerate(self.holes[1:], start=1):
                hole = Tick(0.75 + 0.08 * i / len(self.holes))
                yield from score(network, "hidden", center_hole(test[0], side), truth, hole, hole=i)
        yield from self.probe(network, test, seeds)


@dataclass(frozen=True)
class Digits(Mixed):
    """Train small networks on 100 digits; test them on 900 others, whole, with a hole, attacked, and on pure noise."""

    outputs = {
        **Mixed.outputs,
        "inside": Var("arm seed", "test accuracy", "accuracy when only the inner 6 x 6 pixels are left", high=1),
        "attacked": Var("arm seed", "test accuracy", "accuracy on 300 of them, each pixel moved by 0.1 (FGSM)", low=0),
        "noise_confidence": share("arm seed", "mean confidence", "mean largest probability for uniform noise"),
    }
    views = (
        View("Occlusion", (
            Curves("What is seen behind a hole?", ["hidden"]),
            Dots("And when the border is gone?", "inside"),
        ), height=3.2),
        View("Trust", (
            Dots("How sure is it of pure noise?", "noise_confidence"),
            Dots("How right is it under attack?", "attacked"),
        )),
        *Mixed.views,
    )  # fmt: skip
    scaled = "CIFAR and ImageNet became 100 digits of 8x8 pixels, 300 epochs became 100; mixing and labels are kept"
    headline = "accuracy"
    grid = {"probability": (0, 0.25, 0.5, 0.75, 1), "alpha": (0.2, 0.5, 1, 2, 4)}
    tests, attacked = 900, 300

    def sets(self, seeds: Seeds) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Return the digits for training and 900 others."""
        split = data.digits(seeds, self.examples, standardize=False)
        test, truth = split.test_inputs[:, : self.tests], split.test_labels[:, : self.tests]
        return (split.train_inputs.unflatten(-1, self.size), split.train_labels), (test.unflatten(-1, self.size), truth)

    def probe(self, network: ConvNets, test: Any, seeds: Seeds) -> Events:
        """Erase the border, attack, and show noise."""
        images, truth = test
        yield from score(network, "inside", F.pad(images[..., 1:-1, 1:-1], (1, 1, 1, 1)), truth, Tick(0.9))
        some = images[:, : self.attacked], truth[:, : self.attacked]
        logits = yield from measure(network, lambda x, y: network(method.attack(network, x, y, 0.1)), Tick(0.92), *some)
        yield Frame({}, {"attacked": metrics.accuracy(logits, some[1])})
        noise = torch.stack([torch.rand(300, *self.size, generator=generator(seed, "noise")) for seed in seeds])
        logits = yield from measure(network, network, Tick(0.98), noise)
        yield Frame({}, {"noise_confidence": logits.softmax(-1).amax(-1).mean(-1)})


@dataclass(frozen=True)
class Mixing(Experiment):
    """Show what the arms make of one digit and a partner of another class, and of its label."""

    lam: float = knob(0.6, low=0, high=1, step=0.05, symbol="λ", help="share of the own picture that is asked for")
    center: int = knob(3, low=0, high=7, step=1, help="row and column of the center of the box")

    arms = ARMS
    outputs = {
        "sample": share("arm seed height width", "pixel", "a training picture as each arm sees it"),
        "own": share("arm seed", "own label", "weight of the picture's own class in its label"),
    }
    views = (
        View("One picture from two", (
            Images("What does each arm see?", "sample"),
            Dots("How much does its own class count in the label?", "own"),
        )),
    )  # fmt: skip
    scaled = "photographs became digits of 8x8 pixels; the equations are kept"
    headline = "own"
    equals_baseline = tuple(({"lam": 1}, arm) for arm in (MIXUP, CUTMIX, ONE_LABEL))

    def axes(self) -> dict[str, Axis]:
        """Pixels of the picture."""
        return {"height": Axis(range(8)), "width": Axis(range(8))}

    def frames(self, seeds: Seeds) -> Events:
        """Mix the first training digit of each seed with the next one of another class, arm by arm."""
        split, row = data.digits(seeds, Digits().examples, standardize=False), torch.arange(len(seeds)).unsqueeze(1)
        other = (split.train_labels != split.train_labels[:, :1]).int().argmax(1, keepdim=True)
        pair = split.train_inputs[row, torch.cat([torch.zeros_like(other), other], 1)].unflatten(-1, (8, 8))
        lam = torch.full((len(seeds),), self.lam, dtype=torch.float64)
        center, order = (torch.tensor(two).expand(len(seeds), 2) for two in ([self.center, self.center], [1, 0]))
        for i, arm in enumerate(self.arms, start=1):
            mixed, own = augment(arm, pair, Draws(torch.zeros_like(lam), lam, center, order), 1)
            yield Frame({"arm": arm}, {"sample": mixed[:, 0], "own": own})
            yield Tick(i / len(self.arms))


SIDE, CLASSES, NOISE = 16, 6, 0.25


class Scenes(NamedTuple):
    """Pictures of one object each: images [n, H, W], labels [n], pixels of object and head, true boxes [n, 4]."""

    images: Tensor
    labels: Tensor
    objects: Tensor
    heads: Tensor
    boxes: Tensor


def scenes(source: torch.Generator, count: int, length: int, contrast: float) -> Scenes:
    """Draw pictures of 16x16 pixels, noise around 0 and a rectangle of `length` by two thirds of it, upright or not.

    The rectangle is tiled with the weak pattern ±1 of its class, times `contrast`: the body. One of its corners is
    replaced by the strong pattern of its class: the head. Patterns are the same in every run.
    """
    heads, bodies = torch.from_numpy(np.sign(np.random.default_rng(1234).normal(size=(2, CLASSES, 4, 4)))).float()
    labels = torch.randint(CLASSES, (count,), generator=source)
    upright = torch.rand(count, generator=source) < 0.5
    place = torch.rand(count, 2, generator=source)
    corner = torch.randint(2, (count, 2), generator=source)
    noise = NOISE * torch.randn(count, SIDE, SIDE, generator=source)
    sides = torch.tensor([length, 2 * length // 3]).expand(count, 2)
    sides = torch.where(upright.unsqueeze(1), sides, sides.flip(1))
    first = (place * (SIDE - sides + 1)).long()
    head = first + corner * (sides - 4)

    def pattern(tiled: Tensor, origin: Tensor) -> Tensor:
        row, column = ((torch.arange(SIDE) - origin[:, i, None]) % 4 for i in range(2))
        return tiled[labels[:, None, None], row[:, :, None], column[:, None, :]]

    on_object, on_head = (method.box_mask(at, at + side, (SIDE, SIDE)) for at, side in ((first, sides), (head, 4)))
    body = torch.where(on_object, contrast * pattern(bodies, first), 0)
    images = noise + torch.where(on_head, pattern(heads, head), body)
    return Scenes(images, labels, on_object, on_head, torch.cat([first, first + sides], 1))


def scenes_of(seeds: Seeds, purpose: str, count: int, length: int, contrast: float) -> Scenes:
    """Draw scenes for every seed: every field [S, count, ...]."""
    drawn = [scenes(generator(seed, purpose), count, length, contrast) for seed in seeds]
    return Scenes(*(torch.stack(parts) for parts in zip(*drawn, strict=True)))


@dataclass(frozen=True)
class Localization(Mixed):
    """Train on 100 scenes with objects of a strong head and a weak body; erase the head, ask where networks look."""

    contrast: float = knob(0.25, low=0.1, high=0.6, step=0.05, help="strength of the body's pattern; the head's is 1")
    length: int = knob(12, stops=(6, 9, 12, 15), unit="pixels", help="longer side of the object, of 16 pixels")
    threshold: float = knob(0.15, low=0.05, high=0.5, step=0.05, symbol="τ", help="threshold of the boxes shown")

    arms = {**ARMS, ALWAYS: Arm("further", probability=1)}
    outputs = {
        **Mixed.outputs,
        "headless": Var("arm seed", "test accuracy", "share of scenes classified right with the head erased", high=1),
        "localization": Var("arm seed tau", "share found", "share of scenes with IoU ≥ 0.5 of both boxes", low=0),
        "body_share": Var("arm seed", "share on the body", "share of the map on the object that lies on its body"),
        "scene": Var("look height width", "pixel", "the first test scene of the first seed, and without its noise"),
        "map": share("arm height width", "map", "class activation map of this scene"),
        "boxes": share("arm height width", "in both boxes", "1 in the object's box and the map's, 1/2 in one of them"),
    }
    views = (
        View("Maps", (
            Images("Where is the object?", "scene", by="look"),
            Images("Where does each arm see it?", "map"),
            Images("Do the true box and the map's agree?", "boxes"),
        ), columns=3),
        View("Head and body", (
            Dots("How right is it when the head is erased?", "headless"),
            Curves("And behind a hole in the middle?", ["hidden"], tuple(ARMS)),
        ), height=3),
        View("Where is the object", (
            Curves("How often is the object found?", ["localization"], tuple(ARMS)),
            Dots("How much of the map lies on the body?", "body_share"),
        ), height=3),
        *Mixed.views,
    )  # fmt: skip
    scaled = "photographs became drawn scenes of 16x16 pixels; mixing, maps, thresholds and boxes are kept"
    headline = "headless"
    size, tests, holes, rate = (SIDE, SIDE), 300, (0, 2, 4, 6, 8, 10, 12), 0.01
    layers, classes = (Convolution(1, 24, 4, 2), Convolution(24, 24, 3, 1)), CLASSES
    thresholds = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)

    def axes(self) -> dict[str, Axis]:
        """Steps and holes; thresholds; the pixels of one scene."""
        return {
            **super().axes(),
            "tau": Axis(self.thresholds, label="threshold τ of the map"),
            "look": Axis(["scene", "object"], label="the"),
            "height": Axis(range(SIDE)),
            "width": Axis(range(SIDE)),
        }

    def sets(self, seeds: Seeds) -> tuple[Scenes, Scenes]:
        """Return the scenes for training and for testing."""
        training = scenes_of(seeds, "training scenes", self.examples, self.length, self.contrast)
        return training, scenes_of(seeds, "test scenes", self.tests, self.length, self.contrast)

    def probe(self, network: ConvNets, test: Any, seeds: Seeds) -> Events:
        """Erase the heads; find the object in the map of its true class, arm by arm and threshold by threshold."""
        yield from score(network, "headless", test.images.masked_fill(test.heads, 0), test.labels, Tick(0.84))
        if "map" not in self.outputs:
            return
        scene = test.images[0, 0]
        yield Frame({}, {"scene": torch.stack([scene, scene * test.objects[0, 0]])})
        body, work = test.objects & ~test.heads, functools.partial(class_maps, network)
        found = yield from measure(network, work, Tick(0.85), test.images, test.labels)
        for a, arm in enumerate(self.arms):
            warm = method.heat(found[a].flatten(0, 1), self.size)
            each = warm.unflatten(0, (len(seeds), -1))
            on_object, on_body = ((each * mask).sum((-2, -1)) for mask in (test.objects, body))
            edges = torch.from_numpy(method.found_box(warm[:1].numpy(), self.threshold))
            boxes = (method.box_mask(edges[0, :2], edges[0, 2:], self.size).float() + test.objects[0, 0].float()) / 2
            values = {"body_share": (on_body / on_object.clamp(min=1e-12)).mean(-1), "map": warm[0], "boxes": boxes}
            yield Frame({"arm": arm}, values)
            for i, tau in enumerate(self.thresholds):
                iou = method.overlap(method.found_box(warm.numpy(), tau), test.boxes.flatten(0, 1).numpy())
                yield Frame({"arm": arm, "tau": i}, {"localization": (iou.reshape(len(seeds), -1) >= 0.5).mean(1)})
                yield Tick(0.88 + 0.12 * (a + (i + 1) / len(self.thresholds)) / len(self.arms))


class Pair(Localization):
    """The same with two arms."""

    arms = {arm: ARMS[arm] for arm in (PLAIN, CUTMIX)}


CONTRASTS = Axis((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), label="strength of the body's pattern")


class Contrast(Across, sibling=Pair, knob="contrast", values=CONTRASTS, outputs=("headless",)):
    """Draw the bodies weaker and stronger: when does CutMix teach the network to do without the head?"""

    views = (View("Weak and strong bodies", (Curves("How right is it when the head is erased?", ["headless"]),)),)
    headline = "headless"
    smoke = Mixed.smoke
    equals_baseline = (({"probability": 0}, CUTMIX),)


EXPERIMENTS = (Digits, Mixing, Localization, Contrast)
