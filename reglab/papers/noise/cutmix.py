"""CutMix: fill a box of each picture with the same box of another picture, and mix the labels by area.

Sangdoo Yun, Dongyoon Han, Seong Joon Oh, Sanghyuk Chun, Junsuk Choe, Youngjoon Yoo, ICCV 2019, arXiv 1905.04899.

Departures from the paper: digits of 8x8 pixels and drawn scenes of 16x16 pixels instead of photographs, networks of two
or three layers, AdamW instead of SGD, no other augmentation. Mixup and Cutout change a batch with the same probability
as CutMix, so that all arms see as many changed batches; Cutout cuts one square for the whole batch, and fills it with
0, which is the background of a digit and the mean of a scene.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reglab import data, metrics
from reglab.catalogue import Paper
from reglab.claims import Claim
from reglab.data import Seeds, generator
from reglab.exercise import Wrong
from reglab.experiment import Axis, Experiment, Frame, Knob, Tick, Var, knob, settings_of, share
from reglab.models import replicas
from reglab.pictures.views import FURTHER, METHOD, WIDE, Curves, Dots, Style, View

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes as Plot
    from matplotlib.figure import Figure

PAPER = Paper(
    part="noise",
    slug="cutmix",
    title="CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features",
    short="CutMix",
    authors=("Sangdoo Yun", "Dongyoon Han", "Seong Joon Oh", "Sanghyuk Chun", "Junsuk Choe", "Youngjoon Yoo"),
    venue="ICCV",
    year=2019,
    arxiv="1905.04899",
    code="https://github.com/clovaai/CutMix-PyTorch",
    sources=(
        "the abstract, the first table and the start of the introduction, the official training code and its page "
        "with all tables of results; not the sections on occlusion, attacks and unknown pictures"
    ),
    idea=(
        "Fill a box of each training picture with the same box of another one and mix the labels by area, so that no "
        "pixel is wasted and no single part of an object is enough."
    ),
    minutes=45,
    prerequisites=("convolutional networks", "softmax and cross-entropy", "data augmentation"),
)

Size = tuple[int, int]


# ---------------------------------------------------------------------------------------------------- the method


def cut_box(lam: Tensor, center: Tensor, size: Size) -> tuple[Tensor, Tensor]:
    """Return the first row and column of the box and those after its last: [...], [..., 2] int -> two of [..., 2] int.

    Each side is √(1 - λ) of the picture, cut to a whole number; half of it, rounded down, lies on either side of the
    center, and the box ends where the picture ends (Eq. 2, and `rand_bbox` of the official code).
    """
    extent = torch.tensor(size)
    half = ((1 - lam).sqrt().unsqueeze(-1) * extent).long() // 2
    return (center - half).clamp(min=0), torch.minimum(center + half, extent)


def box_mask(first: Tensor, end: Tensor, size: Size) -> Tensor:
    """Return which pixels lie in a box, 1 - M of Eq. 1: [..., 2], [..., 2] -> [..., H, W] bool."""
    rows, columns = (
        (torch.arange(length) >= first[..., i, None]) & (torch.arange(length) < end[..., i, None])
        for i, length in enumerate(size)
    )
    return rows.unsqueeze(-1) & columns.unsqueeze(-2)


def cutmix(images: Tensor, order: Tensor, lam: Tensor, center: Tensor) -> tuple[Tensor, Tensor]:
    """Paste one box of each picture's partner: pictures [..., N, H, W], and the area that is left, λ [...] (Eq. 1).

    `order` [..., N] names the partners; λ and center [..., 2] hold for the whole batch. λ is computed anew from the
    pixels, since a box that crosses the border is smaller than asked for.
    """
    size = (images.shape[-2], images.shape[-1])
    mask = box_mask(*cut_box(lam, center, size), size)
    mixed = torch.where(mask.unsqueeze(-3), partners(images, order), images)
    return mixed, 1 - mask.double().mean((-2, -1))


def mixup(images: Tensor, order: Tensor, lam: Tensor) -> Tensor:
    """Return λ x_A + (1 - λ) x_B, whole pictures laid over each other: [..., N, H, W] (Mixup)."""
    weight = lam.to(images.dtype)[..., None, None, None]
    return weight * images + (1 - weight) * partners(images, order)


def cutout(images: Tensor, center: Tensor) -> Tensor:
    """Set a square of half the picture's side to 0: [..., N, H, W], [..., 2] (Cutout)."""
    size = (images.shape[-2], images.shape[-1])
    quarter = torch.tensor(0.75, dtype=torch.float64).expand(center.shape[:-1])
    return images.masked_fill(box_mask(*cut_box(quarter, center, size), size).unsqueeze(-3), 0)


def partners(values: Tensor, order: Tensor) -> Tensor:
    """Return a copy of a batch in another order: [..., N, H, W] or [..., N], order [..., N]."""
    extra = values.dim() - order.dim()
    return values.gather(order.dim() - 1, order.reshape(*order.shape, *[1] * extra).expand_as(values))


def mixed_cross_entropy(logits: Tensor, labels: Tensor, others: Tensor, lam: Tensor) -> Tensor:
    """Return λ CE(y_A) + (1 - λ) CE(y_B), averaged over the batch: [..., N, C], twice [..., N], [...] -> [...]."""
    log_p = logits.log_softmax(-1)
    own, other = (log_p.gather(-1, y.unsqueeze(-1)).squeeze(-1).mean(-1) for y in (labels, others))
    return -(lam * own + (1 - lam) * other)


def class_activation_map(features: Tensor, weights: Tensor) -> Tensor:
    """Return A_c = Σ_d w_cd F_d, where in the picture a class is seen: [..., D, h, w], [..., D] -> [..., h, w].

    Its mean over all places, plus the bias, is the logit of class c, if the features are averaged before the last
    layer.
    """
    return (features * weights[..., None, None]).sum(-3)


def heat(maps: Tensor, size: Size) -> Tensor:
    """Return the positive part of maps, enlarged smoothly and scaled to a maximum of 1: [B, h, w] -> [B, H, W]."""
    positive = maps.clamp(min=0)
    positive = positive / positive.amax((-2, -1), keepdim=True).clamp(min=1e-12)
    return F.interpolate(positive.unsqueeze(1), size, mode="bilinear", align_corners=False).squeeze(1)


def largest_component(masks: np.ndarray) -> np.ndarray:
    """Return the largest group of connected pixels (side by side, not corner to corner) of each mask: [B, H, W]."""
    from scipy.ndimage import label

    cross = np.zeros((3, 3, 3), dtype=int)
    cross[1, 1, :] = cross[1, :, 1] = 1
    groups = np.asarray(label(masks, cross)[0])
    sizes = np.bincount(groups.ravel())
    sizes[0] = 0
    flat = groups.reshape(len(groups), -1)
    largest = flat[np.arange(len(flat)), sizes[flat].argmax(1)]
    return (groups == largest[:, None, None]) & (groups > 0)


def tight_box(masks: np.ndarray) -> np.ndarray:
    """Return first row, first column, row and column after the last of each mask: [B, H, W] -> [B, 4]; 0 if empty."""
    sides = []
    for axis in (2, 1):
        line = np.asarray(masks.any(axis))
        first, last = line.argmax(1), line.shape[1] - line[:, ::-1].argmax(1)
        sides.append((first, np.where(line.any(1), last, 0)))
    (top, bottom), (left, right) = sides
    return np.stack([top, left, bottom, right], 1)


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return intersection over union (IoU) of boxes: [B, 4], [B, 4] -> [B]."""
    sides = (np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])).clip(min=0)
    shared = sides.prod(1)
    areas = [(box[:, 2:] - box[:, :2]).prod(1) for box in (a, b)]
    return shared / (areas[0] + areas[1] - shared)


# ------------------------------------------------------------------------------------------------- the training


class Draws(NamedTuple):
    """What chance decides for one batch of each seed: everything [S], but center [S, 2] and partners' order [S, N]."""

    coin: Tensor
    lam: Tensor
    center: Tensor
    order: Tensor


def draw(seeds: Seeds, steps: int, batch: int, alpha: float, size: Size) -> list[Draws]:
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
        changed = cutout(images, drawn.center)
    elif arm == MIXUP:
        changed, weight = mixup(images, drawn.order, drawn.lam), drawn.lam
    else:
        changed, visible = cutmix(images, drawn.order, drawn.lam, drawn.center)
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
        losses = mixed_cross_entropy(
            logits,
            own.expand(len(arms), -1, -1),
            partners(own, one.order).expand(len(arms), -1, -1),
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
    yield Frame({}, {"nll": mixed_cross_entropy(logits, labels, labels, torch.ones(()))})
    yield Frame({"hole": 0}, {"hidden": values["accuracy"]})


# ------------------------------------------------------------------------------------------ experiment A: digits

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
            key=lambda each: abs(float(cutmix(batch, each.order, each.lam, each.center)[1]) - 0.6),
        )
        other = partners(own, one.order)
        chosen = (own != other)[0].nonzero().flatten()[:2]
        pictures, weights = zip(
            *(augment(arm, batch, one, float(self.probability > 0)) for arm in self.arms), strict=True
        )
        weight = torch.cat(weights)[:, None, None]
        given = weight * F.one_hot(own[0, chosen], 10) + (1 - weight) * F.one_hot(other[0, chosen], 10)
        pasted = torch.cat(cut_box(one.lam, one.center, self.size), -1)
        cut = torch.cat(cut_box(torch.full_like(one.lam, 0.75), one.center, self.size), -1)
        boxes = {CUTOUT: cut, CUTMIX: pasted, ONE_LABEL: pasted} if self.probability else {}
        box = torch.cat([boxes.get(arm, torch.zeros_like(cut)) for arm in self.arms])
        return {"sample": torch.cat(pictures)[:, chosen], "given": given, "box": box}


# ------------------------------------------------------------------------------------ experiment B: localization

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

    object_mask = box_mask(first, first + sides, (SIDE, SIDE))
    head_mask = box_mask(head, head + 4, (SIDE, SIDE))
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
            warm = heat(maps[a].flatten(0, 1), self.size)
            on_object, on_body = (
                (warm.unflatten(0, (seeds, -1)) * mask).sum((-2, -1))
                for mask in (test.objects, test.objects & ~test.heads)
            )
            shown = warm[: self.shown]
            yield Frame({"arm": arm}, {"body_share": (on_body / on_object.clamp(min=1e-12)).mean(-1), "map": shown})
            box = tight_box(largest_component(shown.numpy() >= self.threshold))
            yield Frame({"arm": arm}, {"found_box": box})
            for i, tau in enumerate(self.thresholds):
                boxes = tight_box(largest_component(warm.numpy() >= tau))
                found = overlap(boxes, truth).reshape(seeds, -1)
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
        found.append(class_activation_map(features, weights))
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


# ---------------------------------------------------------------------------------- pictures that occur only once


def outline(axes: Plot, box: np.ndarray, look: Style, line: str = "--") -> None:
    """Draw the outline of a box (top, left, bottom, right, as pixels), if it is not empty."""
    from matplotlib.patches import Rectangle

    top, left, bottom, right = box
    if bottom > top and right > left:
        corner = (left - 0.5, top - 0.5)
        axes.add_patch(Rectangle(corner, right - left, bottom - top, fill=False, lw=2, ls=line, ec=look.color))


def draw_samples(figure: Figure, results: xr.Dataset) -> str:
    """Draw two training pictures as each arm sees them, with the weights of the classes in their label below."""
    arms, said = (PLAIN, MIXUP, CUTOUT, CUTMIX), []
    cells = [(i, arm) for i in range(len(results.example)) for arm in arms]
    columns = 4 if figure.get_figwidth() >= WIDE else 2
    rows = len(cells) // columns
    grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[5, 1] * rows)
    for number, (i, arm) in enumerate(cells):
        row, column = divmod(number, columns)
        picture, bar = grid[2 * row, column], grid[2 * row + 1, column]
        one = results.isel(example=i)
        picture.imshow(one["sample"].sel(arm=arm).values, cmap="cividis", vmin=0, vmax=1)
        picture.set_title(arm, loc="center")
        outline(picture, one.box.sel(arm=arm).values, FURTHER[0])
        weights, own = one.given.sel(arm=arm).values, int(one.given.sel(arm=PLAIN).values.argmax())
        left, words = 0.0, []
        for label in (own, *(other for other in np.flatnonzero(weights) if other != own)):
            look, hatch = (METHOD, "") if label == own else (FURTHER[0], "////")
            bar.barh(0, weights[label], left=left, color=look.color, hatch=hatch)
            words.append(f"{label}: {weights[label]:.2f}")
            left += weights[label]
        bar.set_title("  ".join(words), fontsize=9, loc="center", weight="normal", pad=2)
        bar.set_xlim(0, 1)
        said.append(f"{arm}, picture {i + 1}: label " + " and ".join(words))
    for axes in grid.flat:
        axes.set_axis_off()
    return "Two training pictures as four arms see them, with their labels. " + "; ".join(said) + "."


def draw_maps(figure: Figure, results: xr.Dataset) -> str:
    """Draw the maps of all arms on the same test scenes, with the true box and the box of the map."""
    arms, count = list(results.arm.values), len(results.example)
    wide = figure.get_figwidth() >= WIDE
    grid = figure.subplots(count if wide else len(arms) + 1, len(arms) + 1 if wide else count, squeeze=False)
    grid = grid if wide else grid.T
    said, tau = [], settings_of(results)["threshold"]
    for i in range(count):
        truth = results.true_box.isel(example=i).values
        panels = [("scene", results.scene.isel(example=i).values, "RdBu_r", (-1.2, 1.2), np.zeros(4))]
        for arm in arms:
            one = results.sel(arm=arm).isel(example=i)
            panels.append((arm, one["map"].values, "gray", (0, 1), one.found_box.values))
        for axes, (name, values, colors, (low, high), found) in zip(grid[i], panels, strict=True):
            axes.imshow(values, cmap=colors, vmin=low, vmax=high)
            outline(axes, truth, FURTHER[1], "-")
            outline(axes, found, FURTHER[3])
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(False)
            if wide and i == 0:
                axes.set_title(name, loc="center", fontsize=9)
            elif not wide and i == 0:
                axes.set_ylabel(name, fontsize=9, rotation=0, ha="right", va="center")
    for arm in arms:
        one = results.sel(arm=arm)
        found = overlap(one.found_box.values, results.true_box.values)
        said.append(f"{arm} {', '.join(f'{value:.2f}' for value in found)}")
    return (
        f"Class activation maps of {count} test scenes for all arms, with the true box (solid) and the box of the map "
        f"at threshold {tau:g} (dashed). Overlap (IoU): " + "; ".join(said) + "."
    )


# ------------------------------------------------------------------------------------------------------ the claims


def gain(results: xr.Dataset, variable: str, over: str = PLAIN) -> xr.DataArray:
    """Return the last value of a variable with CutMix minus that of another arm: one number per seed."""
    values = results[variable]
    values = values.isel(step=-1) if "step" in values.dims else values
    return values.sel(arm=CUTMIX) - values.sel(arm=over)


def best_gain(results: xr.Dataset, variable: str) -> xr.DataArray:
    """Return the gain of CutMix over plain at the best threshold of each: one number per seed."""
    best = results[variable].max("tau")
    return best.sel(arm=CUTMIX) - best.sel(arm=PLAIN)


def middle_gain(results: xr.Dataset) -> xr.DataArray:
    """Return the gain without heads for bodies of middle strength minus that for the weakest and the strongest."""
    gains = gain(results, "headless")
    return gains.sel(contrast=[0.2, 0.3, 0.4]).mean("contrast") - gains.sel(contrast=[0.1, 0.6]).mean("contrast")


# fmt: off
CLAIMS = (
    Claim("more accurate", Digits,
          "CutMix is more accurate on new digits than plain: difference of the accuracies",
          "CIFAR-100, PyramidNet-200: error 16.45 % → 14.23 %; ImageNet, ResNet-50: 23.68 % → 21.40 %",
          lambda r: gain(r, "accuracy"), above=0, seeds=16),
    Claim("more accurate than Cutout", Digits,
          "CutMix is more accurate than Cutout: difference of the accuracies",
          "CIFAR-100: error 16.53 % → 14.23 %; ImageNet: 22.93 % → 21.40 %",
          lambda r: gain(r, "accuracy", CUTOUT), above=0, seeds=16),
    Claim("more accurate than Mixup", Digits,
          "CutMix is more accurate than Mixup: difference of the accuracies",
          "CIFAR-100: error 15.63 % → 14.23 %; ImageNet: 22.58 % → 21.40 %",
          lambda r: gain(r, "accuracy", MIXUP), above=0, seeds=16),
    Claim("labels must be mixed", Digits,
          "CutMix is more accurate than boxes pasted without mixing labels: difference of the accuracies",
          "Not in the parts that we read",
          lambda r: gain(r, "accuracy", ONE_LABEL), above=0, seeds=16),
    Claim("sees around a hole", Digits,
          "With the middle 4x4 pixels erased CutMix is more accurate than plain: difference of the accuracies",
          "More robust when the center of ImageNet pictures is occluded (a figure that we did not read)",
          lambda r: gain(r, "hidden").sel(hole=4), above=0.05, essential=True),
    Claim("needs the border", Digits,
          "With only the inner 6x6 pixels left CutMix is less accurate than plain: difference of the accuracies",
          "Not reported; a limit that we found",
          lambda r: gain(r, "inside"), below=0),
    Claim("less sure of noise", Digits,
          "CutMix is less sure of pictures of pure noise: difference of the mean confidences",
          "Less overconfident for pictures of unknown kinds (a table that we did not read)",
          lambda r: gain(r, "noise_confidence"), below=-0.1, essential=True),
    Claim("withstands attacks", Digits,
          "Attacked by the fast gradient sign method CutMix is more accurate: difference of the accuracies",
          "More robust against this attack on ImageNet (a table that we did not read)",
          lambda r: gain(r, "attacked"), above=0),
    Claim("less dependent on the head", Localization,
          "With the head of the object erased CutMix is more accurate than plain: difference of the accuracies",
          "It looks at the whole object, not only at its most telling part (Section 1)",
          lambda r: gain(r, "headless"), above=0, essential=True),
    Claim("finds the object", Localization,
          "CutMix finds the object more often, at the best threshold of each arm: difference of the shares",
          "ImageNet: 46.3 % → 47.3 % (46.25 % on the page of the code); CUB200: 49.41 % → 54.81 %",
          lambda r: best_gain(r, "localization"), above=0,
          why="The map of plain training lies on the body almost as much as that of CutMix, so there is little to "
              "gain; the paper's gain on ImageNet is small too."),
    Claim("finds the object, longer", Localization,
          "The same after four times as many training steps",
          "The paper trains for 300 epochs",
          lambda r: best_gain(r, "localization"), at={"longer": {"steps": 1600}}, above=0,
          why="After longer training the map of CutMix lies more on the body, yet a box around it fits worse: what "
              "helps without the head does not make a better box here."),
    Claim("overlaps the object", Localization,
          "The box of CutMix overlaps the object better, at the best threshold of each arm: difference of the mean IoU",
          "Not reported in this form; it follows from better localization",
          lambda r: best_gain(r, "iou"), above=0,
          why="As for the share of objects found: the maps of both arms are nearly equal here."),
    Claim("slower to fit", Localization,
          "Where the task is easy and training short, the loss of CutMix is higher on new scenes: difference of NLL",
          "Not reported; the paper trains for 300 epochs",
          lambda r: gain(r, "nll"), above=0, robust=True),
    Claim("no gain where it is easy", Localization,
          "There the accuracy does not rise by a percent or more: difference of the accuracies",
          "Not reported; a limit we checked",
          lambda r: gain(r, "accuracy"), below=0.01),
    Claim("small objects", Localization,
          "With small objects, 6x4 pixels, the area says little about the object, and CutMix is less accurate: "
          "difference of the accuracies",
          "Not reported; a limit we checked",
          lambda r: gain(r, "accuracy"), at={"small": {"length": 6}}, below=0),
    Claim("bodies of middle strength", Contrast,
          "The gain without heads is larger for bodies of middle strength (0.2 to 0.4) than for the weakest and the "
          "strongest (0.1 and 0.6): difference of the gains",
          "Not reported; the question of exercise 3",
          middle_gain, above=0),
)
# fmt: on


# ------------------------------------------------------------------------------------------- checks of the exercises

CLIPPED = 0.5 - 0.2 + 1 / 48
"""The mean share of the picture that a box with real-valued sides covers inside it: ∫ (s - s²/4)² 2s ds over [0, 1]."""


def check_clipping(answer: Callable[[int], float]) -> str:
    """Check a student's simulation of the mean share of the picture that the box covers after clipping."""
    draws = 200_000
    found = answer(draws)
    if found is None:
        raise NotImplementedError
    try:
        value = float(found)
    except (TypeError, ValueError) as error:
        raise Wrong("return one number, the mean over all draws.") from error
    if abs(value - CLIPPED) < 0.004:
        return f"Your simulation gives {value:.4f}; the integral is 1/2 − 1/5 + 1/48 = {CLIPPED:.4f}."
    hints = {
        0.5: "this is the mean area before clipping: parts of the box lie outside the picture.",
        1 - CLIPPED: "this is the mean of λ, the share of picture A; asked for is the share of the box.",
        1 / 3 - 1 / 8 + 1 / 80: "the side is √(1 − λ), not 1 − λ.",
    }
    for wrong, hint in hints.items():
        if abs(value - wrong) < 0.004:
            raise Wrong(hint)
    raise Wrong(f"{value:.4f} is not the mean area; draw λ and both centers uniformly in [0, 1], and clip each side.")
