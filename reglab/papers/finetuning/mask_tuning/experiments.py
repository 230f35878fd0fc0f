"""Mask tuning: the experiments."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from reglab import data, metrics
from reglab.experiment import Experiment
from reglab.knobs import Arm, Knob, knob, tuned
from reglab.models import pretrained, replicas, tiny_clip
from reglab.models.transformer import Weights
from reglab.papers.finetuning.mask_tuning import method
from reglab.pictures import Curves, Dots, Heatmap, Images, Scatter, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds
from reglab.training import Lanes

Events = Iterator[Frame | Tick]

Tensors = dict[str, Tensor]

Batch = Sequence[Tensor]
"""Images, labels, and the logits of the zero-shot model."""

ROUNDING = 1e-6
"""A smaller gradient b is rounding: while no weight is off it is 0, and 1e-10 in single precision."""

ANGLE = 25.0
"""The new data are digits rotated by so many degrees."""

QUERY = "image.0.q"
"""The matrix that is looked into: queries of the first block."""

ATTENTION = ("patch", *(f"image.{block}.{name}" for block in (0, 1) for name in "qkvo"))

MLP = tuple(f"image.{block}.{name}" for block in (0, 1) for name in "ud")
"""Names of the matrices that are masked or fine-tuned: the attention variant, and what `mlp` adds."""

TESTS = ("rotated", "plain", "glyphs", "validation")

RATES = (1e-4, 1.2e-4, 1.4e-4, 1.8e-4, 2.4e-4, 3.2e-4, 4e-4)

CURVE, END, STEPS = "arm seed moment", "arm seed", "arm seed step"


class Task(NamedTuple):
    """The frozen model and the data of S seeds.

    `images` [S, n, 8, 8] to learn from, with `labels` [S, n] and `teacher` [S, n, C], the logits of the zero-shot
    model; `classes` [1, C, 32] are the text features of what is learned. `tests` has images, labels, and the text
    features to tell them apart: [N, 8, 8] for all seeds, for "validation" [S, N, 8, 8] that are left in the pool.
    """

    weights: Weights
    classes: Tensor
    images: Tensor
    labels: Tensor
    teacher: Tensor
    tests: dict[str, tuple[Tensor, Tensor, Tensor]]


@torch.no_grad()
def new_task(seeds: Seeds, checkpoint: int, shots: int, classes: int = 10) -> Task:
    """Return the checkpoint and, for each seed, a few rotated digits of each of the first classes to learn from."""
    weights = pretrained.load("tiny_clip", checkpoint)
    text = tiny_clip.encode_text(weights, tiny_clip.prompts(tiny_clip.CONCEPTS))
    digits, glyphs, learned = text[:, :10], text[:, 10:], text[:, :classes]
    images, labels = tiny_clip.few_shot(shots, seeds, range(classes), ANGLE)
    plain, truth = tiny_clip.digit_split().test
    tests = {
        "rotated": (tiny_clip.rotated(plain, ANGLE), truth, digits),
        "plain": (plain, truth, digits),
        "glyphs": (*tiny_clip.glyphs(), glyphs),
        "validation": (*tiny_clip.held_out(shots, seeds, range(classes), ANGLE), learned),
    }
    teacher = torch.cat([logits_of(weights, learned, of_seed[None]) for of_seed in images])
    return Task(weights, learned, images, labels, teacher, tests)


def logits_of(weights: Weights, text: Tensor, images: Tensor) -> Tensor:
    """Return the scaled cosines of images [M, N, 8, 8] with text features [1, C, 32]: [M, N, C]."""
    return tiny_clip.clip_logits(weights, tiny_clip.encode_images(weights, images), text)


class Models(NamedTuple):
    """What is trained: scores of the lanes `masks`, weights of the lanes `tuned`, [M, in, out] for each matrix."""

    masks: Lanes
    tuned: Lanes
    scores: Tensors
    weights: Tensors

    @torch.no_grad()
    def of(self, arm: str, frozen: Weights, threshold: float) -> Weights:
        """Return the weights that all seeds of one arm use; a random mask has as many zeros in each matrix as R-AMT."""
        if arm in self.tuned.arms:
            return {**frozen, **of_arm(self.weights, self.tuned, arm)}
        scores = of_arm(self.scores, self.masks, arm.replace("random mask", "R-AMT"))
        if arm not in self.masks.arms:
            draws = self.masks.generators("random mask")
            sizes = {name: score[0].numel() for name, score in scores.items()}
            ranks = {name: torch.stack([torch.randperm(n, generator=g) for g in draws]) for name, n in sizes.items()}
            scores = method.random_scores(scores, threshold, ranks)
        return method.masked(frozen, scores, threshold)


def new_models(weights: Weights, lanes: Lanes, matrices: Sequence[str] = ATTENTION) -> Models:
    """Return the models of the arms that have `masks` or `tunes`, all equal to the zero-shot model."""
    masks, tuned = (
        replace(lanes, arms={name: arm for name, arm in lanes.arms.items() if kind in arm.settings})
        for kind in ("masks", "tunes")
    )
    frozen = {f"{name}.weight": weights[f"{name}.weight"] for name in matrices}
    copies = {name: one.repeat(len(tuned), 1, 1).requires_grad_() for name, one in frozen.items()}
    shapes = {name: (len(masks), *frozen[f"{name}.weight"].shape[1:]) for name in matrices}
    scores = {name: torch.full(shape, method.START).requires_grad_() for name, shape in shapes.items()}
    return Models(masks, tuned, scores, copies)


def of_arm(tensors: Tensors, lanes: Lanes, arm: str) -> Tensors:
    """Return what belongs to all seeds of one arm, without gradient."""
    return {name: lanes.split(one.detach())[list(lanes.arms).index(arm)] for name, one in tensors.items()}


def conflicts(a: Sequence[Tensor], b: Sequence[Tensor], uniform: Sequence[Tensor]) -> Tensors:
    """Return what GDR did to gradients [M, in, out] of the first arm, with draws [S, in, out]: numbers [S].

    `conflict` is the share of elements where a and b have two signs, `dropped` the share that is not kept, `excess` the
    number of those that are kept minus Σ P, and `variance` = Σ P(1 - P).
    """
    first = slice(len(uniform[0]))
    one, other, u = (torch.cat([part[first].flatten(1) for part in parts], 1) for parts in (a, b, uniform))
    p, conflict = method.keep_probability(one, other), (one * other < 0) & (other.abs() > ROUNDING)
    kept = p > u
    return {
        "conflict": conflict.float().mean(1),
        "dropped": 1 - kept.float().mean(1),
        "excess": (kept.double() - p).sum(1),
        "variance": (p * (1 - p)).double().sum(1),
    }


def measured(
    task: Task, weights: Weights, matrices: Iterable[str], done: float, tests: Sequence[str] = TESTS
) -> Generator[Tick, None, Tensors]:
    """Test one model for each seed, a few images at a time; return shares of right answers and more, each [S].

    All ten digits or glyphs are told apart, but novel, rotated digits 5-9, among these five.
    """
    found, seeds = {}, len(task.images)
    for name in tests:
        images, labels, text = task.tests[name]
        parts = []
        for some in images.split(250, -3):
            parts.append(logits_of(weights, text, some.expand(seeds, *some.shape[-3:])))
            yield Tick(done)
        logits = torch.cat(parts, 1)
        found[name] = metrics.accuracy(logits, labels)
        if name == "rotated":
            high = labels > 4
            found["novel"] = metrics.accuracy(logits[:, high, 5:], labels[high] - 5)
    off = torch.cat([(weights[f"{name}.weight"] == 0).flatten(1) for name in matrices], 1)
    squares = [(one - task.weights[name]).flatten(1).square().sum(1).expand(seeds) for name, one in weights.items()]
    return {**found, "masked": off.double().mean(1).expand(seeds), "moved": torch.stack(squares).sum(0).sqrt()}


def moments(steps: int) -> list[int]:
    """Return five moments of a training, from before the first step to the last."""
    return [steps * quarter // 4 for quarter in range(5)]


# fmt: off
@dataclass(frozen=True)
class Tuning(Experiment):
    """Adapt a frozen image model to a few rotated digits: batches of 32, Adam, cosine."""

    strength: float = knob(1.0, low=0, high=1, step=0.25, symbol="λ", help="part of a dropped gradient taken away")
    shots: int = knob(16, stops=(1, 2, 4, 8, 16), symbol="k", help="labeled examples of each class")
    threshold: float = knob(0.005, low=0.002, high=0.009, step=0.001, symbol="τ",
                            help="scores above it leave weights on")
    checkpoint: int = knob(0, low=0, high=2, step=1, help="which of three pretrained models")
    steps: int = knob(80, low=8, high=240, step=8, help="training steps, batches of at most 32")

    scaled = ("CLIP became a model of 63 thousand weights, eleven data sets one, 30 epochs 80 steps with a larger "
              "learning rate; masks, losses, gradient dropout and optimizer are kept")
    smoke = {"steps": 8, "threshold": 0.009, "shots": 4}
    # fmt: on

    def train(self, task: Task, models: Models) -> Events:
        """Train all arms and seeds side by side; yield an empty frame after each step, and what GDR did in R-AMT."""
        parts = ((models.masks, models.scores, self._masks), (models.tuned, models.weights, self._weights))
        learners = [(lanes, torch.optim.Adam(own.values(), lr=1.0), learn) for lanes, own, learn in parts if lanes.arms]
        count, draws = task.labels.shape[1], models.masks.generators("gradient dropout")
        epochs = (data.batches(models.masks.seeds, count, min(32, count), epoch) for epoch in itertools.count())
        for step, index in zip(range(self.steps), itertools.chain.from_iterable(epochs), strict=False):
            for lanes, optimizer, learn in learners:
                batch = [lanes.pick(one, index) for one in (task.images, task.labels, task.teacher)]
                for found in learn(task, models, batch, draws):
                    yield Frame({"step": step, "arm": "R-AMT"}, found) if found else Tick((step + 0.5) / self.steps)
                replicas.step(optimizer, lanes.each("rate", 0) * method.cosine_rate(step, self.steps))
            yield Frame({"step": step}, {})
            yield Tick((step + 1) / self.steps)

    def _masks(self, task: Task, models: Models, batch: Batch, draws: Sequence[torch.Generator]) -> Iterator[Tensors]:
        """Set the gradients of the scores; yield what GDR did in R-AMT, and nothing for a tick.

        Settings of arms: `drops` is λ of GDR, `norms` the part of the weight w, `adds` that of b that is added; with
        `blind` as many elements are dropped as of the first arm, R-AMT, but any.
        """
        lanes, scores, (images, labels, teacher) = models.masks, models.scores, batch
        drops, adds, blind = (lanes.each(name) for name in ("drops", "adds", "blind"))
        logits = logits_of(method.masked(task.weights, scores, self.threshold), task.classes, images)
        losses = method.task_loss(logits, labels, scores, method.NORM_WEIGHT * lanes.each("norms", 0))
        a = torch.autograd.grad(losses.sum(), list(scores.values()), retain_graph=True)
        yield {}
        b = torch.autograd.grad(method.teacher_loss(logits, teacher).sum(), list(scores.values()))
        uniform = [torch.stack([torch.rand(one.shape[1:], generator=g) for g in draws]) for one in a]
        for score, one, other, u in zip(scores.values(), a, b, uniform, strict=True):
            keep = method.keep_probability(one, other)
            share = (keep[: len(u)] > u).to(keep.dtype).mean((1, 2), keepdim=True)
            keep = torch.where(blind > 0, lanes.repeat(share), keep)
            score.grad = method.gradient_dropout(one, keep, lanes.repeat(u), drops) + adds * other
        if "R-AMT" in lanes.arms:
            yield conflicts(a, b, uniform)

    def _weights(self, task: Task, models: Models, batch: Batch, draws: Sequence[torch.Generator]) -> Iterator[Tensors]:
        """Set the gradients of the weights of fine-tuning; `adds` is the factor of the teacher's loss."""
        (images, labels, teacher), parameters = batch, list(models.weights.values())
        logits = logits_of({**task.weights, **models.weights}, task.classes, images)
        pull = models.tuned.each("adds", 0) * method.teacher_loss(logits, teacher)
        losses = method.task_loss(logits, labels, {}, 0) + pull
        for weight, one in zip(parameters, torch.autograd.grad(losses.sum(), parameters), strict=True):
            weight.grad = one
        yield {}


RATE = Knob(1.8e-4, 1e-4, 4e-4, stops=RATES, symbol="η", help="first learning rate of Adam; it falls as a cosine")


# fmt: off
@dataclass(frozen=True)
class Masks(Tuning):
    """Compare masks with each other and with fine-tuning; all trained arms of a seed share examples and batches.

    The random mask switches off as many weights of each matrix as R-AMT does for the same seed. Random drop drops as
    many elements of each gradient as R-AMT does in the same step. Fine-tuning changes the weights that can be masked.
    """

    learning_rate: float = knob(RATE)
    mlp: bool = knob(False, label="MLP too", help="also mask or fine-tune the two matrices of each MLP")
    classes: str = knob("all ten", choices=("all ten", "digits 0-4"), help="which rotated digits are learned")

    arms = {
        "zero-shot": Arm("baseline"),
        "R-AMT": Arm("method", masks=1, rate="learning_rate", drops="strength", norms=1),
        "fine-tune": Arm("rival", tunes=1, rate=tuned(3e-3, (1e-4, 3e-4, 1e-3, 3e-3, 1e-2), "validation")),
        "fine-tune + KL": Arm("rival", tunes=1, rate=3e-3, adds=0.1),  # the least of 0.1 to 10 reads held-out ones best
        "MT": Arm("ablation", masks=1, rate="learning_rate"),
        "KL-sum": Arm("ablation", masks=1, rate="learning_rate", norms=1, adds=1),
        "random drop": Arm("ablation", masks=1, rate="learning_rate", drops="strength", norms=1, blind=1),
        "random mask": Arm("null", rate="learning_rate", drops="strength"),  # on these its number of zeros depends
    }
    outputs = {
        "rotated": share(CURVE, "accuracy, rotated digits", "share of 497 rotated test digits told apart among ten"),
        "masked": Var(CURVE, "share switched off", "share of maskable weights that are off", low=0),
        "plain": share(END, "accuracy, plain digits", "share of the same digits, not rotated, classified right"),
        "glyphs": share(END, "accuracy, glyphs", "share of 300 drawn glyphs told apart among ten"),
        "validation": share(END, "accuracy, held out", "share of rotated digits told apart that no arm learns from"),
        "novel": share(END, "accuracy, rotated 5-9", "share of rotated digits 5-9 told apart among these five"),
        "moved": Var(END, "length of the change", "root of the sum of the squared changes of all weights", low=0),
        "conflict": share(STEPS, "in conflict", "share of elements where both gradients have two signs"),
        "dropped": share(STEPS, "dropped by GDR", "share of elements of R-AMT's gradient that are dropped"),
        "excess": Var(STEPS, "excess", "number of elements that are kept, minus what is expected"),
        "variance": Var(STEPS, "variance", "variance of the number of elements that are kept", low=0),
    }
    views = (
        View("Gain and loss", (
            Dots("New: how well are rotated digits read?", "rotated"),
            Dots("How many weights are off?", "masked"),
            Dots("Old: how well are plain digits read?", "plain"),
            Dots("Old: how well are glyphs read?", "glyphs"),
        ), height=2.8),
        View("On the way", (
            Curves("How well are rotated digits read?", ["rotated"],
                   ["zero-shot", "R-AMT", "fine-tune", "random mask"]),
            Curves("How many weights are off?", ["masked"], ["R-AMT", "MT", "KL-sum"]),
        ), height=3),
        View("Gradients in conflict", (
            Curves("How often do both gradients disagree, how much is dropped?", ["conflict", "dropped"], ["R-AMT"],
                   "share of elements"),
        ), height=3),
        View("Five digits alone", (Dots("How well are rotated 5 to 9 told apart?", "novel"),), height=2.5),
    )
    headline = "rotated"
    grid = {"learning_rate": (1e-4, 1.4e-4, 1.8e-4, 2.4e-4, 4e-4), "strength": (0, 0.25, 0.5, 0.75, 1)}
    smoke = {**Tuning.smoke, "learning_rate": 4e-4}
    equals_baseline = (({"learning_rate": 1e-4, "threshold": 0.005}, "random mask"),)
    may_be_nan = ("conflict", "dropped", "excess", "variance")  # of R-AMT alone
    # fmt: on

    def axes(self) -> dict[str, Axis]:
        """Every step, and five moments from before training to its end."""
        return {
            "step": Axis(range(1, self.steps + 1), label="training step"),
            "moment": Axis(moments(self.steps), label="training step"),
        }

    def frames(self, seeds: Seeds) -> Events:
        """Train all arms and seeds as one; a frame for each step, and one for each arm at five moments."""
        yield Tick(0)
        task = new_task(seeds, self.checkpoint, self.shots, 10 if self.classes == "all ten" else 5)
        models = new_models(task.weights, self.lanes(seeds), ATTENTION + MLP * self.mlp)
        zero_shot = yield from measured(task, task.weights, models.scores, 0)
        for arm in self.arms:
            yield Frame({"moment": 0, "arm": arm}, zero_shot)
        for event in self.train(task, models):
            yield event
            step = event.at["step"] + 1 if isinstance(event, Frame) and not event.values else 0
            for arm in self.arms if step in moments(self.steps)[1:] else ():
                found, tests = zero_shot, TESTS if step == self.steps else TESTS[:1]
                if arm != "zero-shot":
                    weights = models.of(arm, task.weights, self.threshold)
                    found = yield from measured(task, weights, models.scores, step / self.steps, tests)
                yield Frame({"moment": moments(self.steps).index(step), "arm": arm}, found)


PLANE = np.linspace(-3, 3, 31).round(1)
"""Where P is drawn, for a and for b."""


@dataclass(frozen=True)
class QueryMatrix(Tuning):
    """Look into R-AMT: when it keeps a gradient, and the mask of the first query matrix on its way."""

    learning_rate: float = knob(RATE)

    # fmt: off
    outputs = {
        "probability": share("seed b a", "P, probability to be kept", "how often a gradient is kept"),
        "off": share("seed moment row column", "off", "which weights are off, inputs in rows, outputs in columns"),
        "masked": share("seed moment", "share of this matrix that is off", "share of its weights that are off"),
    }
    views = (
        View("Kept or dropped", (Heatmap("When is a gradient kept?", "probability", "a", "b"),), height=3.2),
        View("One matrix", (Images("Which weights are off (white)?", "off", by="moment"),)),
    )
    headline = "masked"
    smoke = Masks.smoke
    # fmt: on

    def axes(self) -> dict[str, Axis]:
        """Five moments, the matrix's cells, and the plane of both gradients."""
        sides = {name: Axis(range(48)) for name in ("row", "column")}
        plane = {"a": Axis(PLANE, label="a, wanted by the task"), "b": Axis(PLANE, label="b, wanted by the old model")}
        return {"moment": Axis(moments(self.steps), label="step"), **sides, **plane}

    def frames(self, seeds: Seeds) -> Events:
        """Tune with R-AMT alone."""
        task, line = new_task(seeds, self.checkpoint, self.shots), torch.tensor(PLANE)
        models = new_models(task.weights, Lanes({"R-AMT": Masks.arms["R-AMT"]}, seeds, self.settings()))
        yield Frame({}, {"probability": method.keep_probability(line, line.unsqueeze(1)).expand(len(seeds), -1, -1)})
        for event in itertools.chain([Frame({"step": -1}, {})], self.train(task, models)):
            if isinstance(event, Tick):
                yield event
            elif not event.values and event.at["step"] + 1 in moments(self.steps):
                off = (models.scores[QUERY].detach() <= self.threshold).float()
                moment = moments(self.steps).index(event.at["step"] + 1)
                yield Frame({"moment": moment}, {"off": off, "masked": off.mean((1, 2))})


PATHS = {
    **dict.fromkeys(("R-AMT", "KL-sum", "random mask"), (1.4e-4, 1.8e-4, 2.4e-4, 4e-4)),
    "fine-tune": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "fine-tune + KL": (1e-4, 3e-4, 1e-3, 3e-3),
}
"""The learning rates of each arm's path."""

PLACES = sorted(set().union(*PATHS.values()))


@dataclass(frozen=True)
class Fronts(Tuning):
    """Give each arm several learning rates of its own: how much is learned, and what is forgotten for it."""

    # fmt: off
    arms = {name: str(arm) for name, arm in Masks.arms.items() if name in ("zero-shot", *PATHS)}
    outputs = {
        name: replace(Masks.outputs[name], axes="arm seed rate", low=None, high=None)
        for name in (*TESTS, "masked", "moved")
    }
    views = (
        View("New against old", (
            Scatter("What is lost of plain digits?", "rotated", "plain", "rate"),
            Scatter("What is lost of glyphs?", "rotated", "glyphs", "rate"),
        ), height=3.2),
        View("How many switches", (
            Curves("How well are rotated digits read?", ["rotated"], ["zero-shot", "R-AMT", "fine-tune"]),
            Curves("How many weights are off?", ["masked"], ["R-AMT", "KL-sum"]),
            Curves("How well are plain digits read?", ["plain"], ["zero-shot", "R-AMT", "fine-tune"]),
            Curves("How far do the weights move?", ["moved"], ["R-AMT", "fine-tune"]),
        )),
    )
    headline = "rotated"
    may_be_nan = tuple(outputs)  # an arm has results at its own rates
    # fmt: on

    def axes(self) -> dict[str, Axis]:
        """All learning rates, in units of 1e-4."""
        return {"rate": Axis([round(1e4 * rate, 1) for rate in PLACES], unit="10⁻⁴", label="learning rate", log=True)}

    def frames(self, seeds: Seeds) -> Events:
        """Train with all rates and seeds as one; everything is measured at the end."""
        yield Tick(0)
        task, arms = new_task(seeds, self.checkpoint, self.shots), dict[str, Arm]()
        for name, rates in PATHS.items():
            own = Masks.arms[name]
            arms |= {f"{name} {rate:g}": Arm(str(own), **{**own.settings, "rate": rate}) for rate in rates}
        models = new_models(task.weights, Lanes(arms, seeds, self.settings()))
        yield from (Tick(0.8 * event.fraction) for event in self.train(task, models) if isinstance(event, Tick))
        zero_shot = yield from measured(task, task.weights, ATTENTION, 0.8)
        zero_shot = {name: zero_shot[name].unsqueeze(1).expand(-1, len(PLACES)) for name in self.outputs}
        yield Frame({"arm": "zero-shot"}, zero_shot)
        for i, rate in enumerate(PLACES):
            for arm in (arm for arm, rates in PATHS.items() if rate in rates):
                weights = models.of(f"{arm} {rate:g}", task.weights, self.threshold)
                found = yield from measured(task, weights, ATTENTION, 0.8 + 0.2 * i / len(PLACES))
                yield Frame({"rate": i, "arm": arm}, {name: found[name] for name in self.outputs})


EXPERIMENTS = (Masks, QueryMatrix, Fronts)
