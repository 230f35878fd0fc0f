"""Mask tuning: the experiments."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from reglab import data, metrics
from reglab.experiment import Experiment
from reglab.knobs import Arm, Knob, knob
from reglab.models import pretrained, replicas, tiny_clip
from reglab.models.transformer import Weights
from reglab.papers.finetuning.mask_tuning import method
from reglab.pictures import Curves, Dots, Heatmap, Images, Scatter, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds
from reglab.training import Lanes

Events = Iterator[Frame | Tick]

Tensors = dict[str, Tensor]

ROUNDING = 1e-6
"""A smaller gradient b is rounding: while no weight is off it is 0, and 1e-10 in single precision."""

ANGLE = 25.0
"""The new data are digits rotated by so many degrees."""

QUERY = "image.0.q"
"""The matrix that is looked into: queries of the first block."""

ATTENTION = ("patch", *(f"image.{block}.{name}" for block in (0, 1) for name in "qkvo"))

MLP = tuple(f"image.{block}.{name}" for block in (0, 1) for name in "ud")
"""Names of the matrices that carry a mask: the attention variant, and what `mask_mlp` adds."""


class Task(NamedTuple):
    """The frozen model and the data of S seeds.

    `images` [S, n, 8, 8] to learn from, with `labels` [S, n] and `teacher` [S, n, C], the logits of the zero-shot
    model; `text` [1, 20, 32] are features of all concepts, `tests` the test images [N, 8, 8] and their labels [N].
    """

    weights: Weights
    text: Tensor
    images: Tensor
    labels: Tensor
    teacher: Tensor
    tests: dict[str, tiny_clip.Pictures]

    @property
    def classes(self) -> Tensor:
        """The text features of the classes to learn: [1, C, 32]."""
        return self.text[:, : self.teacher.shape[-1]]


@torch.no_grad()
def new_task(seeds: Seeds, checkpoint: int, shots: int, classes: int) -> Task:
    """Return the checkpoint and, for each seed, a few rotated digits of each of the first classes to learn from."""
    weights = pretrained.load("tiny_clip", checkpoint)
    text = tiny_clip.encode_text(weights, tiny_clip.prompts(tiny_clip.CONCEPTS))
    images, labels = tiny_clip.few_shot(shots, seeds, range(classes), ANGLE)
    plain, truth = tiny_clip.digit_split().test
    turned = tiny_clip.Pictures(tiny_clip.rotated(plain, ANGLE), truth)
    tests = {"rotated": turned, "plain": tiny_clip.Pictures(plain, truth), "glyphs": tiny_clip.glyphs()}
    teacher = torch.cat([logits_of(weights, text[:, :classes], of_seed[None]) for of_seed in images])
    return Task(weights, text, images, labels, teacher, tests)


def logits_of(weights: Weights, text: Tensor, images: Tensor) -> Tensor:
    """Return the scaled cosines of images [M, N, 8, 8] with text features [1, C, 32]: [M, N, C]."""
    return tiny_clip.clip_logits(weights, tiny_clip.encode_images(weights, images), text)


class Step(NamedTuple):
    """What one training step saw: gradients of both losses for each matrix [M, in, out], and draws U [S, in, out]."""

    number: int
    a: Sequence[Tensor]
    b: Sequence[Tensor]
    uniform: Sequence[Tensor]


def conflicts(step: Step) -> dict[str, Tensor]:
    """Return what GDR did to the gradients of the first arm, all matrices of a model laid end to end: [S] each.

    `conflict` is the share of elements where a and b have two signs, `dropped` the share that is not kept. Among the
    elements in conflict `kept` survive, `expected` = Σ P and `variance` = Σ P(1 - P); `agreeing` is the share that
    survives where both have one sign.
    """
    first = slice(len(step.uniform[0]))
    a, b, u = (torch.cat([one[first].flatten(1) for one in parts], 1) for parts in (step.a, step.b, step.uniform))
    p = method.keep_probability(a, b)
    kept, conflict = p > u, (a * b < 0) & (b.abs() > ROUNDING)
    counts = {"kept": kept, "expected": p, "variance": p * (1 - p)}
    return {
        "conflict": conflict.float().mean(1),
        "dropped": 1 - kept.float().mean(1),
        "agreeing": metrics.share_where(kept, a * b > 0),
        **{name: (count * conflict).double().sum(1) for name, count in counts.items()},
    }


def fresh_scores(weights: Weights, matrices: Sequence[str], models: int) -> Tensors:
    """Return the first scores, all 0.01, for M models: every weight is on."""
    return {
        name: torch.full((models, *weights[f"{name}.weight"].shape[1:]), method.START).requires_grad_()
        for name in matrices
    }


def tested(task: Task, weights: Weights, models: int, done: float) -> Generator[Tick, None, dict[str, Tensor]]:
    """Measure M models on all test images, a few images at a time; return shares of right answers, each [M].

    All ten digits or glyphs are told apart, but base and novel, rotated digits 0-4 and 5-9, among their own five.
    """
    found = {}
    for name, (images, labels) in task.tests.items():
        text, parts = task.text[:, 10:] if name == "glyphs" else task.text[:, :10], []
        for some in images.split(250):
            with torch.no_grad():
                parts.append(logits_of(weights, text, some.expand(models, *some.shape)))
            yield Tick(done)
        logits = torch.cat(parts, 1)
        found[name] = metrics.accuracy(logits, labels)
        if name == "rotated":
            base = labels < 5
            found["base"] = metrics.accuracy(logits[:, base, :5], labels[base])
            found["novel"] = metrics.accuracy(logits[:, ~base, 5:], labels[~base] - 5)
    return found


def switched_off(scores: Tensors, threshold: float) -> Tensor:
    """Return which maskable weights are off, all matrices of a model laid end to end: [M, n] bool."""
    return torch.cat([(score <= threshold).flatten(1) for score in scores.values()], 1)


def of_arm(scores: Tensors, lanes: Lanes, arm: int) -> Tensors:
    """Return the scores of all seeds of one arm, without gradient."""
    return {name: lanes.split(score.detach())[arm] for name, score in scores.items()}


def moments(steps: int) -> list[int]:
    """Return five moments of a training, from before the first step to the last."""
    return [steps * quarter // 4 for quarter in range(5)]


RATES = (1e-4, 1.2e-4, 1.4e-4, 1.8e-4, 2.4e-4, 3.2e-4, 4e-4)

CURVE, END = "arm seed moment", "arm seed"

BOTH = {"zero-shot": Arm("baseline"), "R-AMT": Arm("method", drops=1, norms=1)}


@dataclass(frozen=True)
class Tuning(Experiment):
    """Adapt a frozen image model to a few rotated digits by switching weights off: batches of 32, Adam, cosine."""

    strength: float = knob(1.0, low=0, high=1, step=0.25, symbol="λ", help="part of a dropped gradient taken away")
    shots: int = knob(16, stops=(1, 2, 4, 8, 16), symbol="k", help="labeled examples of each class")
    threshold: float = knob(
        0.005, low=0.002, high=0.009, step=0.001, symbol="τ", help="scores above it leave weights on"
    )
    checkpoint: int = knob(0, low=0, high=2, step=1, help="which of three pretrained models")
    steps: int = knob(80, low=8, high=240, step=8, help="training steps, batches of at most 32")

    scaled = ("CLIP became a model of 63 thousand weights, eleven data sets one, 30 epochs 80 steps with a larger "
              "learning rate; masks, losses, gradient dropout and optimizer are kept")  # fmt: skip
    smoke = {"steps": 8, "threshold": 0.009, "shots": 4}

    def tune(self, task: Task, lanes: Lanes, scores: Tensors, rates: Tensor) -> Iterator[Tick | Step]:
        """Tune the scores of all arms and seeds as one, with a learning rate for each model [M]; yield steps and ticks.

        Settings of arms: `drops` is the part of λ that GDR has, `adds` of b that is added, `norms` of the weight w.
        """
        drops, adds, norm_weight = self.strength * lanes.each("drops"), lanes.each("adds"), lanes.each("norms", 0)
        norm_weight, count, parameters = method.NORM_WEIGHT * norm_weight, task.labels.shape[1], list(scores.values())
        optimizer, draws = torch.optim.Adam(parameters, lr=1.0), lanes.generators("gradient dropout")
        epochs = (data.batches(lanes.seeds, count, min(32, count), epoch) for epoch in itertools.count())
        for step, index in zip(range(self.steps), itertools.chain.from_iterable(epochs), strict=False):
            images, labels, teacher = (lanes.pick(one, index) for one in (task.images, task.labels, task.teacher))
            logits = logits_of(method.masked(task.weights, scores, self.threshold), task.classes, images)
            task_losses = method.task_loss(logits, labels, scores, norm_weight)
            a = torch.autograd.grad(task_losses.sum(), parameters, retain_graph=True)
            yield Tick((step + 0.5) / self.steps)
            b = torch.autograd.grad(method.teacher_loss(logits, teacher).sum(), parameters)
            uniform = [torch.stack([torch.rand(one.shape[1:], generator=g) for g in draws]) for one in a]
            for score, one, other, u in zip(parameters, a, b, uniform, strict=True):
                score.grad = method.gradient_dropout(one, other, lanes.repeat(u), drops) + adds * other
            replicas.step(optimizer, rates * method.cosine_rate(step, self.steps))
            yield Step(step, a, b, uniform)
            yield Tick((step + 1) / self.steps)


RATE = Knob(1.8e-4, 1e-4, 4e-4, stops=RATES, symbol="η", help="first learning rate of Adam; it falls as a cosine")


@dataclass(frozen=True)
class Masks(Tuning):
    """Compare masks with and without gradient dropout; all trained arms of a seed share examples and batches.

    The random mask switches off as many weights of each matrix as R-AMT does for the same seed.
    """

    learning_rate: float = knob(RATE)
    mask_mlp: bool = knob(False, help="also mask the two matrices of each MLP")
    classes: str = knob("all ten", choices=("all ten", "digits 0-4"), help="which rotated digits are learned")

    arms = {
        **BOTH,
        "MT": Arm("ablation", drops=0),
        "KL-sum": Arm("ablation", drops=0, adds=1, norms=1),
        "random mask": Arm("ablation"),
    }
    outputs = {
        "rotated": share(CURVE, "accuracy, rotated digits", "share of 497 rotated test digits told apart among ten"),
        "plain": share(CURVE, "accuracy, plain digits", "share of the same digits, not rotated, classified right"),
        "glyphs": share(CURVE, "accuracy, glyphs", "share of 300 drawn glyphs told apart among ten"),
        "masked": Var(CURVE, "share switched off", "share of maskable weights that are off", low=0),
        "base": share(END, "accuracy, rotated 0-4", "share of rotated digits 0-4 told apart among these five"),
        "novel": share(END, "accuracy, rotated 5-9", "share of rotated digits 5-9 told apart among these five"),
        "overlap": share(END, "share of R-AMT's choice", "share of the weights off in R-AMT that are off here too"),
        "conflict": share("seed step", "in conflict", "share of elements where both gradients have two signs"),
        "dropped": share("seed step", "dropped by GDR", "share of elements of R-AMT's gradient that are dropped"),
        "draws": Var("seed", "deviation", "kept elements in conflict minus their expectation, in standard deviations"),
        "agreeing": share("seed", "agreeing kept", "share of elements with one sign in both gradients that are kept"),
    }
    # fmt: off
    views = (
        View("Gain and loss", (
            Dots("New: how well are rotated digits read?", "rotated"),
            Dots("How many weights are off?", "masked"),
            Dots("Old: how well are plain digits read?", "plain"),
            Dots("Old: how well are glyphs read?", "glyphs"),
        ), height=2.5),
        View("On the way", (
            Curves("How well are rotated digits read?", ["rotated"]),
            Curves("How many weights are off?", ["masked"]),
        ), height=3),
        View("Gradients in conflict", (
            Curves("How often do both gradients disagree, how much is dropped?", ["conflict", "dropped"], ["R-AMT"],
                   "share of elements"),
        ), height=3),
        View("Same choice", (Dots("Which part of R-AMT's choice do other arms share?", "overlap"),), height=2.4),
        View("Classes learned and not", (
            Dots("Rotated 0-4: told apart?", "base"),
            Dots("Rotated 5-9: told apart?", "novel"),
        ), height=2.5),
    )
    # fmt: on
    headline = "rotated"
    grid = {"learning_rate": RATES, "strength": (0, 0.25, 0.5, 0.75, 1)}
    smoke = {**Tuning.smoke, "learning_rate": 4e-4}
    equals_baseline = (({"learning_rate": 1e-4, "threshold": 0.005}, "random mask"),)

    def axes(self) -> dict[str, Axis]:
        """Every step, and five moments from before training to its end."""
        return {
            "step": Axis(range(1, self.steps + 1), label="training step"),
            "moment": Axis(moments(self.steps), label="training step"),
        }

    def frames(self, seeds: Seeds) -> Events:
        """Tune all arms and seeds as one; a frame for each step, and one for each arm at five moments."""
        yield Tick(0)
        task = new_task(seeds, self.checkpoint, self.shots, 10 if self.classes == "all ten" else 5)
        tuned = {name: arm for name, arm in self.arms.items() if "drops" in arm.settings}
        lanes = replace(self.lanes(seeds), arms=tuned)
        scores = fresh_scores(task.weights, ATTENTION + MLP * self.mask_mlp, len(lanes))
        ranks = lanes.generators("random mask")
        rankings = {
            name: torch.stack([torch.randperm(score[0].numel(), generator=g) for g in ranks])
            for name, score in scores.items()
        }
        zero_shot = yield from tested(task, task.weights, 1, 0)
        zero_shot = {name: value.expand(len(seeds)) for name, value in zero_shot.items()}
        yield from self._measure(0, task, lanes, zero_shot, scores, rankings)
        total, rates = torch.zeros(4, len(seeds), dtype=torch.double), torch.full((len(lanes),), self.learning_rate)
        for event in self.tune(task, lanes, scores, rates):
            if isinstance(event, Tick):
                yield event
                continue
            found = conflicts(event)
            yield Frame({"step": event.number}, {name: found[name] for name in ("conflict", "dropped")})
            total += torch.stack([found[name] for name in ("kept", "expected", "variance", "agreeing")])
            if event.number + 1 in moments(self.steps):
                yield from self._measure(event.number + 1, task, lanes, zero_shot, scores, rankings)
        kept, expected, variance, agreeing = total
        yield Frame({}, {"draws": (kept - expected) / variance.sqrt(), "agreeing": agreeing / self.steps})

    def _measure(
        self, step: int, task: Task, lanes: Lanes, zero_shot: Tensors, scores: Tensors, rankings: Tensors
    ) -> Events:
        """Measure every arm, one after the other; every value is [S]. Before training all are the zero-shot model."""
        seeds, moment = len(lanes.seeds), moments(self.steps).index(step)
        tuned = {arm: of_arm(scores, lanes, i) for i, arm in enumerate(lanes.arms)}
        tuned["random mask"] = method.random_scores(tuned["R-AMT"], self.threshold, rankings)
        none = {"masked": torch.zeros(seeds), "overlap": torch.zeros(seeds)}
        yield Frame({"moment": moment, "arm": "zero-shot"}, {**zero_shot, **none})
        chosen = switched_off(tuned["R-AMT"], self.threshold)
        for arm, own in tuned.items():
            found = zero_shot
            if step:
                masked = method.masked(task.weights, own, self.threshold)
                found = yield from tested(task, masked, seeds, step / self.steps)
            off = switched_off(own, self.threshold)
            shares = {"masked": off.float().mean(1), "overlap": (off & chosen).sum(1) / chosen.sum(1).clamp(min=1)}
            yield Frame({"moment": moment, "arm": arm}, {**found, **shares})


PLANE = np.linspace(-3, 3, 31).round(1)
"""Where P is drawn, for a and for b."""


@dataclass(frozen=True)
class QueryMatrix(Tuning):
    """Look into R-AMT: the first query matrix's mask on its way, and what became of its gradients in the last step."""

    learning_rate: float = knob(RATE)

    arms = {"kept": "method", "dropped": "baseline"}
    outputs = {
        "part": share("arm seed", "share of the elements", "share of the gradient's elements that are kept or dropped"),
        "wanted": Var("arm seed element", "a, wanted by the task", "a in units of its root mean square"),
        "opposed": Var("arm seed element", "b, wanted by the old model", "b in the same units"),
        "probability": share("seed b a", "P, probability to be kept", "how often a gradient is kept"),
        "off": share("seed moment row column", "off", "which weights are off, inputs in rows, outputs in columns"),
    }
    # fmt: off
    views = (
        View("Kept or dropped", (
            Heatmap("When is a gradient kept?", "probability", "a", "b"),
            Scatter("Where do real ones lie?", "wanted", "opposed", "element"),
        ), height=3.2),
        View("One matrix", (Images("Which weights are off (white)?", "off", by="moment"),)),
    )
    # fmt: on
    headline = "part"
    smoke = Masks.smoke
    may_be_nan = ("wanted", "opposed")  # each element is one of kept or dropped

    def axes(self) -> dict[str, Axis]:
        """Five moments, the matrix's cells, and the plane of both gradients."""
        return {
            "moment": Axis(moments(self.steps), label="step"),
            "row": Axis(range(48)),
            "column": Axis(range(48)),
            "element": Axis(range(48 * 48)),
            "a": Axis(PLANE, label="a, wanted by the task"),
            "b": Axis(PLANE, label="b, wanted by the old model"),
        }

    def frames(self, seeds: Seeds) -> Events:
        """Tune with R-AMT alone."""
        task, lanes = new_task(seeds, self.checkpoint, self.shots, 10), Lanes({"R-AMT": BOTH["R-AMT"]}, seeds, {})
        scores, line = fresh_scores(task.weights, ATTENTION, len(seeds)), torch.tensor(PLANE)
        probability = method.keep_probability(line, line.unsqueeze(1)).expand(len(seeds), -1, -1)
        yield Frame({"moment": 0}, {"probability": probability, "off": torch.zeros(len(seeds), 48, 48)})
        rates, place = torch.full((len(seeds),), self.learning_rate), ATTENTION.index(QUERY)
        for event in self.tune(task, lanes, scores, rates):
            if isinstance(event, Tick):
                yield event
                continue
            a, b, uniform = (parts[place].flatten(1) for parts in (event.a, event.b, event.uniform))
            if event.number + 1 in moments(self.steps):
                off = scores[QUERY].detach() <= self.threshold
                yield Frame({"moment": moments(self.steps).index(event.number + 1)}, {"off": off})
        kept, scale = method.keep_probability(a, b) > uniform, a.square().mean(1, keepdim=True).sqrt()
        for arm, chosen in (("kept", kept), ("dropped", ~kept)):
            wanted, opposed = (torch.where(chosen, one / scale, torch.nan) for one in (a, b))
            yield Frame({"arm": arm}, {"wanted": wanted, "opposed": opposed, "part": chosen.float().mean(1)})


@dataclass(frozen=True)
class LearningRates(Tuning):
    """Tune R-AMT with seven learning rates: too small a rate switches nothing off, too large a one too much."""

    arms = BOTH
    outputs = {
        name: replace(var, axes="arm seed rate")
        for name, var in Masks.outputs.items()
        if name in ("rotated", "plain", "glyphs", "masked")
    }
    # fmt: off
    views = (
        View("How many switches", (
            Curves("New: how well are rotated digits read?", ["rotated"]),
            Curves("How many weights are off?", ["masked"]),
            Curves("Old: how well are plain digits read?", ["plain"]),
            Curves("Old: how well are glyphs read?", ["glyphs"]),
        )),
    )
    # fmt: on
    headline = "rotated"

    def axes(self) -> dict[str, Axis]:
        """Seven learning rates, in units of 1e-4."""
        return {"rate": Axis([round(1e4 * rate, 1) for rate in RATES], unit="10⁻⁴", label="learning rate", log=True)}

    def frames(self, seeds: Seeds) -> Events:
        """Tune with all rates and seeds as one; everything is measured at the end."""
        yield Tick(0)
        task, rated = new_task(seeds, self.checkpoint, self.shots, 10), BOTH["R-AMT"].settings
        lanes = Lanes({f"{rate:g}": Arm("method", **rated, rate=rate) for rate in RATES}, seeds, {})
        scores = fresh_scores(task.weights, ATTENTION, len(lanes))
        for event in self.tune(task, lanes, scores, lanes.each("rate", 0)):
            if isinstance(event, Tick):
                yield Tick(0.9 * event.fraction)
        zero_shot = yield from tested(task, task.weights, 1, 0.9)
        zero_shot["masked"] = torch.zeros(1)
        for i in range(len(RATES)):
            own, done = of_arm(scores, lanes, i), 0.9 + 0.1 * i / len(RATES)
            found = yield from tested(task, method.masked(task.weights, own, self.threshold), len(seeds), done)
            found["masked"] = switched_off(own, self.threshold).float().mean(1)
            for arm, values in (("zero-shot", zero_shot), ("R-AMT", found)):
                yield Frame({"rate": i, "arm": arm}, {name: values[name].expand(len(seeds)) for name in self.outputs})


EXPERIMENTS = (Masks, QueryMatrix, LearningRates)
