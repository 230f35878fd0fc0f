"""Mask tuning: the experiments."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from reglab import data, metrics
from reglab.experiment import Experiment
from reglab.knobs import Knob, knob
from reglab.models import pretrained, replicas, tiny_clip
from reglab.models.transformer import Weights
from reglab.papers.finetuning.mask_tuning import method
from reglab.pictures.views import Curves, Dots, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator

ROUNDING = 1e-6
"""A smaller gradient b is rounding: while no weight is off it is 0, and 1e-10 in single precision."""

ANGLE = 25.0
"""The new data are digits rotated by so many degrees."""

ATTENTION = ("patch", *(f"image.{block}.{name}" for block in (0, 1) for name in "qkvo"))

MLP = tuple(f"image.{block}.{name}" for block in (0, 1) for name in "ud")
"""Names of the matrices that carry a mask: the attention variant, and what `mask_mlp` adds."""


# --------------------------------------------------------------------------------------------------------- the new task


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


# ------------------------------------------------------------------------------------------------------------- training


class Trace(NamedTuple):
    """What one step saw: losses of M models, and what GDR did to the gradients of the first rule's S models.

    `conflict` is the share of elements where a and b have two signs, `dropped` the share that GDR does not keep. Among
    the elements in conflict `kept` survive, `expected` = Σ P and `variance` = Σ P(1 - P); `agreeing` is the share
    that survives where both have one sign. All are [S]. `elements` are a, b and U of one query matrix, first seed:
    [3, 48, 48].
    """

    cross_entropy: Tensor
    divergence: Tensor
    conflict: Tensor
    dropped: Tensor
    kept: Tensor
    expected: Tensor
    variance: Tensor
    agreeing: Tensor
    elements: Tensor


class Rule(NamedTuple):
    """How an arm updates its scores: the strength λ of GDR, whether b is added, and the weight w of the norms."""

    strength: float = 0.0
    adds: bool = False
    norm_weight: float = method.NORM_WEIGHT


def tune(
    task: Task,
    seeds: Seeds,
    scores: method.Scores,
    rules: Sequence[Rule],
    rates: Sequence[float],
    threshold: float,
    steps: int,
) -> Iterator[tuple[int, Trace | None]]:
    """Tune the scores of all rules and seeds as one; yield the number of the step halfway and, with its trace, after.

    Model m = rule · S + seed has a learning rate of its own for each rule. All rules of a seed share batches and draws.
    """
    copies, count = len(rules), task.labels.shape[1]
    per_model = [torch.tensor(values).repeat_interleave(len(seeds)) for values in zip(*rules, strict=True)]
    strength, adds, norm_weight = per_model[0].reshape(-1, 1, 1), per_model[1].reshape(-1, 1, 1), per_model[2]
    rate = torch.tensor(rates).repeat_interleave(len(seeds))
    optimizer, parameters = torch.optim.Adam(scores.values(), lr=1.0), list(scores.values())
    draws, row = [generator(seed, "gradient dropout") for seed in seeds], torch.arange(len(seeds)).unsqueeze(1)
    size = min(32, count)
    order = itertools.chain.from_iterable(data.batches(seeds, count, size, epoch) for epoch in itertools.count())
    for step, index in zip(range(steps), order, strict=False):
        images, labels, teacher = (
            t[row, index].repeat(copies, *[1] * (t.dim() - 1)) for t in (task.images, task.labels, task.teacher)
        )
        logits = logits_of(method.masked(task.weights, scores, threshold), task.classes, images)
        task_losses, teacher_losses = (
            method.task_loss(logits, labels, scores, norm_weight),
            method.teacher_loss(logits, teacher),
        )
        a = torch.autograd.grad(task_losses.sum(), parameters, retain_graph=True)
        yield step, None
        b = torch.autograd.grad(teacher_losses.sum(), parameters)
        uniform = [torch.stack([torch.rand(one.shape[1:], generator=g) for g in draws]) for one in a]
        for score, one, other, u in zip(parameters, a, b, uniform, strict=True):
            score.grad = method.gradient_dropout(one, other, u.repeat(copies, 1, 1), strength) + adds * other
        replicas.step(optimizer, rate * method.cosine_rate(step, steps))
        entropy = F.cross_entropy(logits.detach().mT, labels, reduction="none").mean(-1)
        distance = (teacher_losses - method.teacher_loss(teacher, teacher)).detach()
        yield step, Trace(entropy, distance, *_dropout_trace(a, b, uniform))


def _dropout_trace(a: Sequence[Tensor], b: Sequence[Tensor], uniform: Sequence[Tensor]) -> Iterator[Tensor]:
    """Return what `Trace` holds of the first rule's gradients, all matrices of a model laid end to end."""
    task, old, u = (torch.cat([one[: len(uniform[0])].flatten(1) for one in parts], 1) for parts in (a, b, uniform))
    p = method.keep_probability(task, old)
    kept, conflict = p > u, (task * old < 0) & (old.abs() > ROUNDING)
    yield conflict.float().mean(1)
    yield 1 - kept.float().mean(1)
    for count in (kept, p, p * (1 - p)):
        yield (count * conflict).double().sum(1)
    yield metrics.share_where(kept, task * old > 0)
    yield torch.stack([parts[QUERY][0] for parts in (a, b, uniform)])


def fresh_scores(weights: Weights, matrices: Sequence[str], models: int) -> method.Scores:
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
            found["harmonic"] = 2 * found["base"] * found["novel"] / (found["base"] + found["novel"])
    return found


def switched_off(scores: method.Scores, threshold: float) -> Tensor:
    """Return which maskable weights are off, all matrices of a model laid end to end: [M, n] bool."""
    return torch.cat([(score <= threshold).flatten(1) for score in scores.values()], 1)


def off_share(scores: method.Scores, threshold: float) -> Tensor:
    """Return the share of maskable weights that is switched off in each model: [M]."""
    return switched_off(scores, threshold).float().mean(1)


def of_copy(scores: method.Scores, copy: int, seeds: int) -> method.Scores:
    """Return the scores of all seeds of one rule, without gradient."""
    return {name: score.detach()[copy * seeds : (copy + 1) * seeds] for name, score in scores.items()}


# ---------------------------------------------------------------------------------------- experiment 1: which gradients


RATES = (1e-4, 1.2e-4, 1.4e-4, 1.8e-4, 2.4e-4, 3.2e-4, 4e-4)

RATE = Knob(1.8e-4, 1e-4, 4e-4, stops=RATES, symbol="η", help="first learning rate of Adam; it falls as a cosine")

STRENGTH = Knob(1.0, 0, 1, 0.25, symbol="λ", help="part of a gradient that is taken away where it is dropped")

SHOTS = Knob(16, 1, 16, stops=(1, 2, 4, 8, 16), symbol="k", help="labeled examples of each class")

THRESHOLD = Knob(0.005, 0.002, 0.009, 0.001, symbol="τ", help="a weight is on while its score, first 0.01, is above τ")

WITH_MLP = Knob(False, help="also mask the two matrices of each MLP")

CHECKPOINT = Knob(0, 0, 2, 1, help="which of three pretrained models")

STEPS = Knob(80, 8, 240, 8, help="training steps, batches of at most 32")

CURVE, TRACE, END = "arm seed moment", "arm seed step", "arm seed"

QUERY = ATTENTION.index("image.0.q")
"""Place of the query matrix whose mask is drawn: the first block's."""


@dataclass(frozen=True)
class Masks(Experiment):
    """Adapt a frozen image model to rotated digits by switching weights off, with and without gradient dropout.

    Batches of 32, Adam, cosine. All trained arms of a seed share examples and batches; the random mask switches off as
    many weights of each matrix as R-AMT does for the same seed.
    """

    learning_rate: float = knob(RATE)
    strength: float = knob(STRENGTH)
    shots: int = knob(SHOTS)
    threshold: float = knob(THRESHOLD)
    mask_mlp: bool = knob(WITH_MLP)
    classes: str = knob("all ten", choices=("all ten", "digits 0-4"), help="which rotated digits are learned")
    checkpoint: int = knob(CHECKPOINT)
    steps: int = knob(STEPS)

    arms = {
        "zero-shot": "baseline",
        "R-AMT": "method",
        "MT": "ablation",
        "KL-sum": "ablation",
        "random mask": "ablation",
    }
    outputs = {
        "rotated": share(CURVE, "accuracy, rotated digits", "share of 497 rotated test digits told apart among ten"),
        "plain": share(CURVE, "accuracy, plain digits", "share of the same digits, not rotated, classified right"),
        "glyphs": share(CURVE, "accuracy, glyphs", "share of 300 drawn glyphs told apart among ten"),
        "masked": Var(CURVE, "share switched off", "share of maskable weights that are off", low=0),
        "base": share(END, "accuracy, rotated 0-4", "share of rotated digits 0-4 told apart among these five"),
        "novel": share(END, "accuracy, rotated 5-9", "share of rotated digits 5-9 told apart among these five"),
        "harmonic": share(END, "harmonic mean", "harmonic mean of the accuracies on rotated 0-4 and 5-9"),
        "overlap": share(END, "share of R-AMT's choice", "share of the weights off in R-AMT that are off here too"),
        "cross_entropy": Var(TRACE, "cross-entropy", "cross-entropy of the batch before the step", low=0),
        "divergence": Var(TRACE, "KL", "divergence of the batch's predictions from the zero-shot model's", "nats"),
        "conflict": share("seed step", "in conflict", "share of elements where both gradients have two signs"),
        "dropped": share("seed step", "dropped by GDR", "share of elements of R-AMT's gradient that are dropped"),
        "draws": Var("seed", "deviation", "kept elements in conflict minus their expectation, in standard deviations"),
        "agreeing": share("seed", "agreeing kept", "share of elements with one sign in both gradients that are kept"),
        "by_matrix": share("seed matrix", "share switched off", "share of weights of each matrix that R-AMT has off"),
        "query_mask": share("moment row column", "mask", "R-AMT's mask of the first query matrix, first seed"),
        "elements": Var(
            "element quantity", "gradient", "a, b and whether it is kept, in the last step's query matrix, first seed"
        ),
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
        ), columns=1, height=3),
        View("Same choice", (
            Dots("Which part of R-AMT's choice do other arms share?", "overlap"),
        ), columns=1, height=2.4),
        View("Losses", (
            Curves("How well are the few examples fitted?", ["cross_entropy"], ("R-AMT", "MT", "KL-sum")),
            Curves("How far from the zero-shot model?", ["divergence"], ("R-AMT", "MT", "KL-sum")),
        )),
        View("Classes learned and not", (
            Dots("Rotated 0-4: told apart?", "base"),
            Dots("Rotated 5-9: told apart?", "novel"),
        ), height=2.5),
    )
    # fmt: on
    scaled = (
        "CLIP became a model of 63 thousand weights, eleven data sets one, 30 epochs 80 steps with a larger learning "
        "rate; masks, losses, gradient dropout and optimizer are kept"
    )
    headline = "rotated"
    grid = {"learning_rate": RATES, "strength": (0, 0.25, 0.5, 0.75, 1)}
    smoke = {"steps": 8, "learning_rate": 4e-4, "threshold": 0.009, "shots": 4}
    equals_baseline = (({"learning_rate": 1e-4, "threshold": 0.005}, "random mask"),)
    may_be_nan = ("cross_entropy", "divergence")  # arms that are not trained have none

    def _moments(self) -> list[int]:
        return [self.steps * quarter // 4 for quarter in range(5)]

    def _matrices(self) -> tuple[str, ...]:
        return ATTENTION + MLP * self.mask_mlp

    def axes(self) -> dict[str, Axis]:
        """Every step, five moments from before training to its end, the matrices with masks, and one matrix's cells."""
        return {
            "step": Axis(range(1, self.steps + 1), label="training step"),
            "moment": Axis(self._moments(), label="training step"),
            "matrix": Axis(self._matrices()),
            "row": Axis(range(48), label="input"),
            "column": Axis(range(48), label="output"),
            "element": Axis(range(48 * 48)),
            "quantity": Axis(["a", "b", "kept"]),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Tune all arms and seeds as one; a frame for each step, and one for each arm at five moments."""
        yield Tick(0)
        task = new_task(seeds, self.checkpoint, self.shots, 10 if self.classes == "all ten" else 5)
        rules = {"R-AMT": Rule(self.strength), "MT": Rule(norm_weight=0.0), "KL-sum": Rule(adds=True)}
        scores = fresh_scores(task.weights, self._matrices(), len(rules) * len(seeds))
        ranks = [generator(seed, "random mask") for seed in seeds]
        rankings = {
            name: torch.stack([torch.randperm(score[0].numel(), generator=g) for g in ranks])
            for name, score in scores.items()
        }
        zero_shot = yield from tested(task, task.weights, 1, 0)
        zero_shot = {name: value.expand(len(seeds)) for name, value in zero_shot.items()}
        yield from self._measure(0, task, zero_shot, scores, rankings)
        counts, elements = torch.zeros(4, len(seeds), dtype=torch.double), torch.zeros(3, 48 * 48)
        rates = [self.learning_rate] * len(rules)
        for step, trace in tune(task, seeds, scores, list(rules.values()), rates, self.threshold, self.steps):
            if trace is None:
                yield Tick((step + 0.5) / self.steps)
                continue
            losses = {"cross_entropy": trace.cross_entropy, "divergence": trace.divergence}
            yield Frame(
                {"step": step, "arm": list(rules)}, {k: v.unflatten(0, (len(rules), -1)) for k, v in losses.items()}
            )
            yield Frame({"step": step}, {"conflict": trace.conflict, "dropped": trace.dropped})
            yield Tick((step + 1) / self.steps)
            elements = trace.elements.flatten(1)
            counts += torch.stack([trace.kept, trace.expected, trace.variance, trace.agreeing])
            if step + 1 in self._moments():
                yield from self._measure(self._moments().index(step + 1), task, zero_shot, scores, rankings)
        kept, expected, variance, agreeing = counts
        a, b, uniform = elements
        yield Frame(
            {},
            {
                "draws": (kept - expected) / variance.sqrt(),
                "agreeing": agreeing / self.steps,
                "elements": torch.stack([a, b, (method.keep_probability(a, b) > uniform).float()], 1),
            },
        )

    def _measure(
        self,
        moment: int,
        task: Task,
        zero_shot: dict[str, Tensor],
        scores: method.Scores,
        rankings: Mapping[str, Tensor],
    ) -> Iterator[Frame | Tick]:
        """Measure every arm, one after the other; every value is [S]. Before training all are the zero-shot model."""
        seeds, done = len(task.labels), self._moments()[moment] / self.steps
        tuned = {arm: of_copy(scores, i, seeds) for i, arm in enumerate(("R-AMT", "MT", "KL-sum"))}
        tuned["random mask"] = method.random_scores(tuned["R-AMT"], self.threshold, rankings)
        none = {"masked": torch.zeros(seeds), "overlap": torch.zeros(seeds)}
        yield Frame({"moment": moment, "arm": "zero-shot"}, {**zero_shot, **none})
        chosen = switched_off(tuned["R-AMT"], self.threshold)
        for arm, own in tuned.items():
            found = zero_shot
            if moment:
                found = yield from tested(task, method.masked(task.weights, own, self.threshold), seeds, done)
            off = switched_off(own, self.threshold)
            shares = {"masked": off.float().mean(1), "overlap": (off & chosen).sum(1) / chosen.sum(1).clamp(min=1)}
            yield Frame({"moment": moment, "arm": arm}, {**found, **shares})
        scores = tuned["R-AMT"]
        by_matrix = torch.stack([off_share({name: scores[name]}, self.threshold) for name in scores], 1)
        mask = method.binary_mask(scores["image.0.q"][0], self.threshold)
        yield Frame({"moment": moment}, {"by_matrix": by_matrix, "query_mask": mask})


# ------------------------------------------------------------------------------------- experiment 2: how much is enough


@dataclass(frozen=True)
class LearningRates(Experiment):
    """Tune masks with seven learning rates: too small a rate switches nothing off, too large a one too much.

    Everything else as in `Masks`, with R-AMT only.
    """

    strength: float = knob(STRENGTH)
    shots: int = knob(SHOTS)
    threshold: float = knob(THRESHOLD)
    checkpoint: int = knob(CHECKPOINT)
    steps: int = knob(STEPS)

    arms = {"zero-shot": "baseline", "R-AMT": "method"}
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
    scaled = Masks.scaled
    smoke = {"steps": 8, "threshold": 0.009, "shots": 4}

    def axes(self) -> dict[str, Axis]:
        """Seven learning rates, in units of 1e-4."""
        return {"rate": Axis([round(1e4 * rate, 1) for rate in RATES], unit="10⁻⁴", label="learning rate", log=True)}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Tune with all rates and seeds as one; everything is measured at the end."""
        yield Tick(0)
        task = new_task(seeds, self.checkpoint, self.shots, 10)
        rules = [Rule(self.strength)] * len(RATES)
        scores = fresh_scores(task.weights, ATTENTION, len(RATES) * len(seeds))
        for step, trace in tune(task, seeds, scores, rules, RATES, self.threshold, self.steps):
            yield Tick((step + (0.5 if trace is None else 1)) / self.steps * 0.9)
        zero_shot = yield from tested(task, task.weights, 1, 0.9)
        zero_shot["masked"] = torch.zeros(1)
        for i in range(len(RATES)):
            own = of_copy(scores, i, len(seeds))
            found = yield from tested(
                task, method.masked(task.weights, own, self.threshold), len(seeds), 0.9 + 0.1 * i / len(RATES)
            )
            found["masked"] = off_share(own, self.threshold)
            for arm, values in (("zero-shot", zero_shot), ("R-AMT", found)):
                yield Frame({"rate": i, "arm": arm}, {name: values[name].expand(len(seeds)) for name in self.outputs})


EXPERIMENTS = (Masks, LearningRates)
