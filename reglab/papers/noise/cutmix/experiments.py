"""CutMix: the experiments."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reglab import data, metrics
from reglab.across import Across
from reglab.experiment import Experiment
from reglab.knobs import Arm, Knob, knob, tuned
from reglab.models.convolution import ConvNets, Convolution
from reglab.papers.noise.cutmix import method
from reglab.pictures import Curves, Dots, Images, Line, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator

PLAIN, MIXUP, CUTOUT, CUTMIX, ONE_LABEL = SHOWN = ("plain", "Mixup", "Cutout", "CutMix", "one label")

# fmt: off
PROBABILITY = Knob(0.75, 0, 1, 0.25, symbol="p", help="probability that a batch is changed")
ALPHA = Knob(0.5, 0.1, 4, stops=(0.1, 0.2, 0.5, 1, 2, 4), symbol="α", label="box sizes", help="Beta(α, α); 1: uniform")
# fmt: on

UNTRAINED, JUDGE = "untrained", "validation_accuracy"
"""The arm that knows nothing, and what settings were chosen by."""

Events = Iterator[Frame | Tick]
Measured = Generator[Tick, None, Tensor]


# -------------------------------------------------------------------------------------------------- what an arm sees


class Draws(NamedTuple):
    """What is random in one batch of each seed.

    Everything [S], but center [S, 2], partners' order [S, N] and where each picture moves, in [0, 1), [S, N, 2].
    """

    coin: Tensor
    uniform: Tensor
    center: Tensor
    order: Tensor
    offset: Tensor


def draw(seeds: Seeds, steps: int, batch: int, size: method.Size) -> list[Draws]:
    """Draw for every step whether to change the batch, the quantile of λ, a center and the partners, for all seeds."""
    drawn = []
    for seed in seeds:
        source = generator(seed, "mixing")
        uniform = torch.rand(steps, 4, generator=source, dtype=torch.float64)
        order = torch.rand(steps, batch, generator=source).argsort(-1)
        offset = torch.rand(steps, batch, 2, generator=generator(seed, "shifts"), dtype=torch.float64)
        drawn.append((uniform[:, 0], uniform[:, 1], (uniform[:, 2:] * torch.tensor(size)).long(), order, offset))
    return [Draws(*one) for one in zip(*(torch.stack(parts, 1) for parts in zip(*drawn, strict=True)), strict=True)]


def level(uniform: Tensor, alpha: float) -> Tensor:
    """Return λ ~ Beta(α, α) as the quantile of a uniform number, so that another α moves the same draws."""
    from scipy.special import betaincinv

    return torch.from_numpy(betaincinv(alpha, alpha, uniform.numpy()))


def augment(arm: Arm, knobs: Mapping[str, Any], images: Tensor, drawn: Draws,
            of: Callable[[Tensor, float], Tensor] = level) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return one arm's batch [S, N, H, W] and the weight λ of each picture's own label [S]."""
    names = ("probability", "alpha", "blend", "side", "reach", "one_label")
    probability, alpha, blend, side, reach, one_label = (arm.value(name, knobs) for name in names)
    if reach:
        images = method.shifted(images, (drawn.offset * (2 * reach + 1)).long() - int(reach))
    changed, weight = images, own = images, torch.ones_like(drawn.uniform)
    if side:
        changed = method.cutout(images, drawn.center, int(side))
    elif blend:
        weight = of(drawn.uniform, blend)
        changed = method.mixup(images, drawn.order, weight)
    elif alpha:
        changed, visible = method.cutmix(images, drawn.order, of(drawn.uniform, alpha), drawn.center)
        weight = own if one_label else visible
    chosen = drawn.coin < probability
    return torch.where(chosen[:, None, None, None], changed, images), torch.where(chosen, weight, own)


# --------------------------------------------------------------------------------------------------------- measuring


@torch.no_grad()
def measure(network: ConvNets, work: Callable[..., Tensor], tick: Tick, *shared: Tensor) -> Measured:
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


def class_maps(network: ConvNets, images: Tensor, labels: Tensor) -> Tensor:
    """Return the maps of the labels' classes: [M, N, H, W], [M, N] -> [M, N, h, w]."""
    features = network.features(images)
    weights = network.logits.weight.mT.gather(1, labels.unsqueeze(-1).expand(-1, -1, features.shape[2]))
    return method.class_activation_map(features, weights)


BATCH, EVERY, CHUNK = 25, 10, 25
"""Size of a batch, steps between two measurements, pictures that are measured at once."""


@dataclass(frozen=True)
class Mixed(Experiment):
    """Train all arms on mixed pictures; those of a seed share pictures, first weights, batches and draws."""

    # fmt: off
    probability: float = knob(PROBABILITY)
    alpha: float = knob(ALPHA)
    examples: int = knob(100, low=50, high=400, step=50, symbol="n", help="pictures for training")
    steps: int = knob(400, low=25, high=1600, step=25, help="training steps, batches of 25")

    outputs = {
        "accuracy": Var("arm seed", "test accuracy", "share of test pictures classified right", high=1),
        "loss": Var("arm seed step", "training loss", "on the changed batches, mean since the last measurement", low=0),
        "nll": Var("arm seed", "NLL", "negative log-likelihood of the test pictures", "nats", low=0),
    }
    smoke = {"steps": 25}
    equals_baseline = tuple(({"probability": 0}, arm) for arm in (CUTMIX, ONE_LABEL))
    rate, classes = 0.005, 10
    layers: ClassVar[Sequence[Convolution]] = (
        Convolution(1, 24, 3, 1), Convolution(24, 24, 3, 2), Convolution(24, 48, 3, 1))
    size: ClassVar[Any] = (8, 8)
    # fmt: on

    def axes(self) -> dict[str, Axis]:
        """Every tenth training step and the last one."""
        return {"step": Axis(sorted({*range(EVERY, self.steps + 1, EVERY), self.steps}), label="training step")}

    def sets(self, seeds: Seeds) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Return what trains and what tests: pictures [S, n, H, W], labels [S, n], and what else belongs to them."""
        raise NotImplementedError

    def watch(self, network: ConvNets, test: Any, tick: Tick) -> Generator[Tick, None, dict[str, Tensor]]:
        """Measure during training, beside the loss."""
        yield tick
        return {}

    def probe(self, network: ConvNets, test: Any, seeds: Seeds) -> Events:
        """Measure after training; ticks from 0.8 on."""
        raise NotImplementedError

    def network(self, seeds: Seeds) -> ConvNets:
        """Return the networks of all arms and seeds before training."""
        return ConvNets(self.layers, self.classes, self.lanes(seeds).generators("weights"), len(self.arms))

    def train(self, network: ConvNets, images: Tensor, labels: Tensor, seeds: Seeds) -> Iterator[Tensor]:
        """Train every arm on the same batches of [S, n, H, W]; yield the losses [A, S] after each step.

        AdamW with weight decay 1e-3; the learning rate falls to 0 along a cosine. Losses of nulls do not count.
        """
        lanes, knobs = self.lanes(seeds), self.settings()
        smoothing, counts = lanes.split(lanes.each("smoothing", 0)), 1 - lanes.split(lanes.each("ignorant", 0))
        optimizer = torch.optim.AdamW(network.parameters(), lr=self.rate, weight_decay=1e-3, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        drawn, row = draw(seeds, self.steps, BATCH, self.size), torch.arange(len(seeds)).unsqueeze(1)
        epochs = (data.batches(seeds, images.shape[1], BATCH, epoch) for epoch in itertools.count(1))
        for one, index in zip(drawn, itertools.chain.from_iterable(epochs), strict=False):
            network.train()
            batch, own = images[row, index], labels[row, index]
            pictures, weights = zip(*(augment(arm, knobs, batch, one) for arm in self.arms.values()), strict=True)
            logits = network(torch.cat(pictures)).unflatten(0, (len(pictures), -1))
            mine, theirs = (y.expand(len(pictures), -1, -1) for y in (own, method.partners(own, one.order)))
            losses = method.mixed_cross_entropy(logits, mine, theirs, torch.stack(weights).to(logits.dtype))
            losses = method.smooth_labels(losses, logits, smoothing)
            optimizer.zero_grad()
            (counts * losses).sum().backward()
            optimizer.step()
            schedule.step()
            yield losses.detach()

    def frames(self, seeds: Seeds) -> Events:
        """Train, and watch every tenth step; then accuracy, NLL and what is probed."""
        (images, labels, *_), test = self.sets(seeds)
        network, losses, when, truth = self.network(seeds), [], list(self.axes()["step"].values), test[1]
        for step, loss in enumerate(self.train(network, images, labels, seeds), start=1):
            losses.append(loss)
            yield (tick := Tick(0.8 * step / self.steps))
            if step in when and "loss" in self.outputs:
                watched = yield from self.watch(network, test, tick)
                yield Frame({"step": when.index(step)}, {"loss": torch.stack(losses).mean(0), **watched})
                losses = []
        if "nll" in self.outputs:
            logits = yield from measure(network, network, Tick(0.8), test[0])
            every = truth.expand(len(logits), -1, -1)
            nll = method.mixed_cross_entropy(logits, every, every, torch.ones(()))
            yield Frame({}, {"accuracy": metrics.accuracy(logits, truth), "nll": nll})
        yield from self.probe(network, test, seeds)


@dataclass(frozen=True)
class Digits(Mixed):
    """Train small networks on 100 digits; test them on 900 others, whole, with a hole, attacked, and beside noise.

    Settings were chosen by the accuracy on 100 further digits, 8 to 16 of each kind and three sizes of shifts; where
    two were chosen together (a probability with α or a side), each is the best at the chosen value of the other.
    """

    # fmt: off
    probability: float = knob(replace(PROBABILITY, tuned=tuned(0.75, (0.25, 0.5, 0.75, 1), JUDGE)))
    alpha: float = knob(replace(ALPHA, tuned=tuned(0.5, (0.2, 0.5, 1, 2), JUDGE)))

    arms = {
        PLAIN: Arm("baseline"), MIXUP: Arm("rival", probability=1, blend=tuned(0.2, (0.1, 0.2, 0.4, 1), JUDGE)),
        CUTOUT: Arm("rival", probability=1, side=tuned(3, (2, 3, 4, 5), JUDGE)),
        CUTMIX: Arm("method", probability="probability", alpha="alpha"),
        ONE_LABEL: Arm("ablation", probability="probability", alpha="alpha", one_label=1),
        "label smoothing": Arm("further", smoothing=tuned(0.4, (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8), JUDGE)),
        "shifts": Arm("further", reach=tuned(1, (0, 1, 2), JUDGE)), UNTRAINED: Arm("null", ignorant=1),
    }
    outputs = {
        **Mixed.outputs,
        JUDGE: share("arm seed step", "validation accuracy", "share of 100 further digits classified right"),
        "hidden": share("arm seed hole", "test accuracy", "share of test digits classified right behind a hole"),
        "inside": Var("arm seed", "test accuracy", "accuracy when only the inner 6 x 6 pixels are left", high=1),
        "attacked": Var("arm seed", "test accuracy", "accuracy on 300 of them, each pixel moved by 0.1 (FGSM)", low=0),
        "sample": share("arm seed height width", "pixel", "a training picture as each arm sees it"),
        "own": share("arm seed", "own label", "weight of this picture's class in its label"),
        "gap": share("arm seed", "wrong label", "largest distance of such a weight from the share of own pixels"),
        "auroc": Var("arm seed", "AUROC", "how often a digit has a larger largest probability than noise", high=1),
    }
    views = (
        View("One picture from two", (Images("What does each arm see?", "sample", arms=SHOWN),
                                      Dots("How much does its own class count in the label?", "own", SHOWN))),
        View("Occlusion", (Curves("What is seen behind a hole?", ["hidden"], SHOWN),
                           Dots("And behind one of 4x4 pixels?", "hidden", at={"hole": 4})), height=3.2),
        View("Accuracy", (Dots("Who reads new digits?", "accuracy", (*SHOWN, "label smoothing", "shifts")),
                          Curves("How soon, on 100 others?", [JUDGE], (PLAIN, CUTMIX, "shifts"))), height=3.2),
        View("Trust", (Dots("Is it less sure of noise?", "auroc", lines=[Line("x", 0.5, "")]),
                       Dots("How right is it under attack?", "attacked", lines=[Line("x", 0.1, "")])), height=3.2),
        View("When it does not help", (Dots("Who is right without the border?", "inside"),
                                       Curves("How well are batches fitted?", ["loss"], SHOWN)), height=3.2),
    )
    # fmt: on
    scaled = "CIFAR and ImageNet became 100 digits of 8x8 pixels, 300 epochs became 100; mixing and labels are kept"
    headline = "hidden"
    grid = {"probability": (0, 0.25, 0.5, 0.75, 1), "alpha": (0.2, 0.5, 1, 2, 4)}
    tests, further, holes = 900, 100, (0, 2, 4)

    def axes(self) -> dict[str, Axis]:
        """Steps; sides of the hole; the pixels of one digit."""
        hole = Axis(self.holes, unit="pixels", label="side of the hole, pixels")
        return {**super().axes(), "hole": hole, "height": Axis(range(8)), "width": Axis(range(8))}

    def sets(self, seeds: Seeds) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Return the digits for training, and 900 others with 100 further ones for validation."""
        parts = [self.examples, self.further]
        split = data.digits(seeds, sum(parts), standardize=False)
        images, held = split.train_inputs.unflatten(-1, self.size).split(parts, 1)
        labels, truth = split.train_labels.split(parts, 1)
        test = split.test_inputs[:, : self.tests].unflatten(-1, self.size)
        return (images, labels), (test, split.test_labels[:, : self.tests], held, truth)

    def frames(self, seeds: Seeds) -> Events:
        """Show what arms make, for λ = 0.6, of a digit and a partner of another class, and of its label; then train.

        How right labels are is seen on white pictures with black partners, in 1000 random ways with λ uniform: their
        mean pixel is the share that is left of white.
        """
        (images, labels), _ = self.sets(seeds)
        row, other = torch.arange(len(seeds)), (labels != labels[:, :1]).int().argmax(1)
        pair = torch.stack([images[:, 0], images[row, other]], 1)
        white = torch.tensor([1.0, 0.0])[:, None, None].expand(1000 * len(seeds), 2, 8, 8)
        drawn = Draws(*(torch.cat(one) for one in zip(*draw(seeds, 1001, 2, self.size), strict=True)))
        drawn.coin[:], drawn.order[:], drawn.uniform[row], drawn.center[row] = 0, torch.tensor([1, 0]), 0.6, 3
        for name, arm in self.arms.items():
            mixed, own = augment(arm, self.settings(), torch.cat([pair, white]), drawn, lambda uniform, _: uniform)
            left = (mixed[:, 0].mean((-2, -1)) - own).abs().unflatten(0, (-1, len(seeds)))
            yield Frame({"arm": name}, {"sample": mixed[row, 0], "own": own[row], "gap": left[1:].amax(0)})
        yield from super().frames(seeds)

    def watch(self, network: ConvNets, test: Any, tick: Tick) -> Generator[Tick, None, dict[str, Tensor]]:
        """Validate."""
        *_, held, labels = test
        logits = yield from measure(network, network, tick, held)
        return {JUDGE: metrics.accuracy(logits, labels)}

    def probe(self, network: ConvNets, test: Any, seeds: Seeds) -> Events:
        """Erase the middle and the border, attack, and show noise."""
        images, truth, *_ = test
        for i, side in enumerate(self.holes):
            around = F.pad(torch.ones(side, side), [(8 - side) // 2] * 4) == 0
            yield from score(network, "hidden", images * around, truth, Tick(0.82 + 0.02 * i), hole=i)
        yield from score(network, "inside", F.pad(images[..., 1:-1, 1:-1], (1, 1, 1, 1)), truth, Tick(0.9))
        some = images[:, :300], truth[:, :300]
        logits = yield from measure(network, lambda x, y: network(method.attack(network, x, y, 0.1)), Tick(0.92), *some)
        yield Frame({}, {"attacked": metrics.accuracy(logits, some[1])})
        noise = torch.stack([torch.rand(300, *self.size, generator=generator(seed, "noise")) for seed in seeds])
        shown = yield from measure(network, network, Tick(0.98), torch.cat([some[0], noise], 1))
        yield Frame({}, {"auroc": method.auroc(*shown.softmax(-1).amax(-1).split(300, -1))})


# -------------------------------------------------------------------------------------------------------- the scenes


class Scenes(NamedTuple):
    """Pictures of one object each: images [n, H, W], labels [n], pixels of object and head, true boxes [n, 4]."""

    images: Tensor
    labels: Tensor
    objects: Tensor
    heads: Tensor
    boxes: Tensor


def scenes(source: torch.Generator, count: int, length: int, contrast: float, canvas: int) -> Scenes:
    """Draw square pictures, noise around 0 and a rectangle of `length` by two thirds of it, upright or not.

    The rectangle is tiled with the weak pattern ±1 of its class, times `contrast`: the body. One of its corners is
    replaced by the strong pattern of its class: the head. Patterns are the same in every run.
    """
    drawn = np.sign(np.random.default_rng(1234).normal(size=(2, Localization.classes, 4, 4)))
    heads, bodies = torch.from_numpy(drawn).float()
    labels = torch.randint(len(heads), (count,), generator=source)
    upright = torch.rand(count, generator=source) < 0.5
    place = torch.rand(count, 2, generator=source)
    corner = torch.randint(2, (count, 2), generator=source)
    noise = 0.25 * torch.randn(count, canvas, canvas, generator=source)
    sides = torch.tensor([length, 2 * length // 3]).expand(count, 2)
    sides = torch.where(upright.unsqueeze(1), sides, sides.flip(1))
    first = (place * (canvas - sides + 1)).long()
    head = first + corner * (sides - 4)

    def pattern(tiled: Tensor, origin: Tensor) -> Tensor:
        row, column = ((torch.arange(canvas) - origin[:, i, None]) % 4 for i in range(2))
        return tiled[labels[:, None, None], row[:, :, None], column[:, None, :]]

    on_object, on_head = (method.box_mask(at, at + side, (canvas, canvas)) for at, side in ((first, sides), (head, 4)))
    body = torch.where(on_object, contrast * pattern(bodies, first), 0)
    images = noise + torch.where(on_head, pattern(heads, head), body)
    return Scenes(images, labels, on_object, on_head, torch.cat([first, first + sides], 1))


def scenes_of(seeds: Seeds, purpose: str, *settings: Any) -> Scenes:
    """Draw scenes for every seed, settings as `scenes` takes them: every field [S, count, ...]."""
    drawn = [scenes(generator(seed, purpose), *settings) for seed in seeds]
    return Scenes(*(torch.stack(parts) for parts in zip(*drawn, strict=True)))


@dataclass(frozen=True)
class Localization(Mixed):
    """Train on 100 scenes with objects of a strong head and a weak body; erase the head, ask where networks look.

    All settings are those chosen on digits; the square of Cutout is as long beside the default scene as there.
    """

    # fmt: off
    contrast: float = knob(0.25, low=0.1, high=0.6, step=0.05, help="strength of the body's pattern; the head's is 1")
    length: int = knob(12, stops=(6, 9, 12, 15), unit="pixels", label="object", help="longer side of the object")
    canvas: int = knob(16, stops=(16, 20, 24), unit="pixels", label="scene", help="side of the picture")
    threshold: float = knob(0.15, low=0.05, high=0.5, step=0.05, symbol="τ", help="threshold of the boxes shown")

    arms = {PLAIN: Digits.arms[PLAIN], CUTOUT: Arm("rival", probability=1, side=6),
            **{arm: Digits.arms[arm] for arm in (CUTMIX, ONE_LABEL, UNTRAINED)}}
    outputs = {
        **Mixed.outputs,
        "headless": Var("arm seed", "test accuracy", "share of scenes classified right with the head erased", high=1),
        "localization": share("arm seed tau", "share found", "share of scenes with IoU ≥ 0.5 of both boxes"),
        "fixed": share("seed", "share found", "the same for a square of the object's length in the middle"),
        "scene": Var("look height width", "ink", "the first test scene of the first seed, and without its noise"),
        "map": share("arm height width", "map", "class activation map of this scene"),
        "boxes": share("arm height width", "boxes", "1 in the object's box and the map's, 1/2 in one of them"),
    }
    views = (
        View("Maps", (Images("Where is the object?", "scene", by="look", limits=(-1, 1)),
                      Images("Where does each arm see it?", "map"),
                      Images("Do the true box and the map's agree?", "boxes")), columns=3),
        View("Head and object", (Dots("How right is it when the head is erased?", "headless"),
                                 Dots("How large is the loss on whole scenes?", "nll"),
            Curves("How often is the object found?", ["localization"], lines=[Line("y", "fixed", "middle")])), 1, 2.2),
    )
    scaled = "photographs became drawn scenes of 16x16 pixels; mixing, maps, thresholds and boxes are kept"
    headline = "headless"
    tests, rate, layers, classes = 300, 0.01, (Convolution(1, 24, 4, 2), Convolution(24, 24, 3, 1)), 6
    thresholds = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
    # fmt: on

    @property
    def size(self) -> method.Size:
        """Height and width of the scenes."""
        return self.canvas, self.canvas

    def axes(self) -> dict[str, Axis]:
        """Steps; thresholds; the pixels of one scene."""
        tau, look = Axis(self.thresholds, label="threshold τ of the map"), Axis(["scene", "object"], label="the")
        pixels = {"height": Axis(range(self.canvas)), "width": Axis(range(self.canvas))}
        return {**super().axes(), "tau": tau, "look": look, **pixels}

    def sets(self, seeds: Seeds) -> tuple[Scenes, Scenes]:
        """Return the scenes for training and for testing."""
        settings = self.length, self.contrast, self.canvas
        training = scenes_of(seeds, "training scenes", self.examples, *settings)
        return training, scenes_of(seeds, "test scenes", self.tests, *settings)

    def probe(self, network: ConvNets, test: Any, seeds: Seeds) -> Events:
        """Erase the heads; find the object in the map of its true class, arm by arm and threshold by threshold."""
        yield from score(network, "headless", test.images.masked_fill(test.heads, 0), test.labels, Tick(0.84))
        if "map" not in self.outputs:
            return
        scene, truth, first = test.images[0, 0], test.boxes.flatten(0, 1).numpy(), (self.canvas - self.length) // 2

        def found(boxes: np.ndarray) -> np.ndarray:
            return (method.overlap(boxes, truth) >= 0.5).reshape(len(seeds), -1).mean(1)

        fixed = found(np.array([2 * [first] + 2 * [first + self.length]]))
        yield Frame({}, {"scene": torch.stack([scene, scene * test.objects[0, 0]]), "fixed": fixed})
        maps = yield from measure(network, lambda x, y: class_maps(network, x, y), Tick(0.85), test.images, test.labels)
        for a, arm in enumerate(self.arms):
            warm = method.heat(maps[a].flatten(0, 1), self.size)
            edges = torch.from_numpy(method.found_box(warm[:1].numpy(), self.threshold))
            boxes = (method.box_mask(edges[0, :2], edges[0, 2:], self.size).float() + test.objects[0, 0].float()) / 2
            yield Frame({"arm": arm}, {"map": warm[0], "boxes": boxes})
            for i, tau in enumerate(self.thresholds):
                yield Frame({"arm": arm, "tau": i}, {"localization": found(method.found_box(warm.numpy(), tau))})
                yield Tick(0.88 + 0.12 * (a + (i + 1) / len(self.thresholds)) / len(self.arms))


class Few(Localization):
    """The same with three arms."""

    arms = {arm: Localization.arms[arm] for arm in (PLAIN, CUTMIX, CUTOUT)}


CONTRASTS = Axis((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), label="strength of the body's pattern")


class Contrast(Across, sibling=Few, knob="contrast", values=CONTRASTS, outputs=("headless",)):
    """Draw the bodies weaker and stronger: when does CutMix teach the network to do without the head?"""

    views = (View("Weak and strong bodies", (Curves("How right is it when the head is erased?", ["headless"]),)),)
    headline = "headless"
    smoke = Mixed.smoke
    equals_baseline = (({"probability": 0}, CUTMIX),)


EXPERIMENTS = (Digits, Localization, Contrast)
