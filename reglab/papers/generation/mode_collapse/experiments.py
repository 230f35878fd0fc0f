"""Mode collapse: the experiments."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from reglab import metrics
from reglab.experiment import Experiment
from reglab.knobs import Knob, knob
from reglab.models import replicas
from reglab.papers.generation.mode_collapse import method
from reglab.pictures.views import Curves, Dots, Line, Points, View
from reglab.results import Axis, Frame, Tick, Var
from reglab.seeds import Seeds, generator


class Arm(NamedTuple):
    """What an arm trains with: DLLE and DIsoMap; entropies of real and of fake codes; equal step sizes.

    `partners` of the fake codes: "" (no entropy), "before" (code i of the batch before), "nearest" (of Q codes), or
    "samples" (nearest again, of raw samples instead of codes).
    """

    embedding: bool = False
    real: bool = False
    partners: str = ""
    balanced: bool = False


ARMS = {
    "GAN": Arm(),
    "GAN, balanced": Arm(balanced=True),
    "GAN + embedding": Arm(embedding=True),
    "official buffer": Arm(embedding=True, real=True, partners="before"),
    "MEE": Arm(embedding=True, real=True, partners="nearest"),
    "MEE, balanced": Arm(embedding=True, real=True, partners="nearest", balanced=True),
    "entropy only": Arm(partners="nearest"),
    "entropy of samples": Arm(partners="samples"),
}
"""All arms in the order in which they are trained: arms that share a term stand together, so that slices are views."""

BATCH, CODE, WIDTH, RATE = 64, 8, 64, 4e-3
"""Samples of a batch N, numbers of a code K, hidden units, step size of the generator."""


@dataclass(frozen=True)
class Weights:
    """The weights of all terms and the number of remembered codes Q (0: partners are those of the batch before)."""

    strength: float
    strength_real: float
    locality: float
    isometry: float
    memory: int
    rate_ratio: float
    strength_samples: float = 0.0


class Draws(NamedTuple):
    """All chance of a training, drawn ahead: real points, latent z, α, noise of codes and points [steps, S, ...]."""

    real: Tensor
    latent: Tensor
    alpha: Tensor
    noise: Tensor
    shift: Tensor


@dataclass(frozen=True)
class Modes:
    """A mixture of round Gaussians with equal weights: centers [M, 2] and their standard deviation."""

    centers: Tensor
    deviation: float

    @classmethod
    def of(cls, target: str, modes: int) -> Modes:
        """Return the modes of a data set: a ring of radius 2, a 5 x 5 grid or one Gaussian at (2, 0)."""
        if target == "grid":
            line = torch.arange(-2.0, 3)
            return cls(torch.cartesian_prod(line, line), 0.05)
        angles = 2 * math.pi * torch.arange(modes if target == "ring" else 1) / modes
        return cls(2 * torch.stack([angles.cos(), angles.sin()], -1), 0.1)

    @property
    def entropy(self) -> float:
        """The entropy of the mixture in nats, log M + log 2πe + 2 log σ, exact as far as modes do not overlap."""
        return math.log(len(self.centers)) + math.log(2 * math.pi * math.e) + 2 * math.log(self.deviation)

    def sample(self, shape: tuple[int, ...], draws: torch.Generator) -> Tensor:
        """Draw points of the mixture: [*shape, 2]."""
        places = torch.randint(len(self.centers), shape, generator=draws)
        return self.centers[places] + self.deviation * torch.randn(*shape, 2, generator=draws)


def draw(seed: int, steps: int, modes: Modes) -> Draws:
    """Draw the chance of all steps for one seed, one generator for each purpose: [steps, N, ...]."""
    names = ("real points", "latent", "alpha", "code noise", "shift")
    points, latent, alpha, noise, shift = (generator(seed, name) for name in names)
    return Draws(
        modes.sample((steps, BATCH), points),
        torch.randn(steps, BATCH, 2, generator=latent),
        torch.randn(steps, BATCH, 1, generator=alpha),
        0.05 * torch.randn(steps, BATCH, CODE, generator=noise),
        0.02 * torch.randn(steps, 2 * BATCH, 2, generator=shift),
    )


def perceptron(widths: Sequence[int], seeds: Seeds, purpose: str, copies: int) -> list[Tensor]:
    """Return weights and biases in turn, all uniform in ±1/√inputs: [M, in, out], [M, 1, out]."""
    sources = [generator(seed, purpose) for seed in seeds]
    layers: list[Tensor] = []
    for inputs, outputs in itertools.pairwise(widths):
        bound = inputs**-0.5
        layers += replicas.linear(inputs, outputs, sources, copies, weights=bound, biases=bound).parameters()
    return layers


def network(inputs: Tensor, layers: Sequence[Tensor], slope: float) -> Tensor:
    """Apply perceptrons side by side, [M, N, in] -> [M, N, out]; a negative activation is multiplied by `slope`."""
    for weight, bias in zip(layers[:-2:2], layers[1:-2:2], strict=True):
        inputs = F.leaky_relu_(torch.baddbmm(bias, inputs, weight), slope)
    return torch.baddbmm(layers[-1], inputs, layers[-2])


class Memory:
    """Earlier codes of some models; the first of them remember one batch only, the rest the last Q codes."""

    def __init__(self, before: Tensor, earlier: Tensor) -> None:
        self.before, self.earlier = before, earlier

    def partners(self, codes: Tensor) -> Tensor:
        """Return the partner of each code, a constant: [M, N, K]."""
        return torch.cat([self.before, method.nearest(codes[len(self.before) :], self.earlier)])

    def add(self, codes: Tensor) -> None:
        """Remember a batch of codes [M, N, K]."""
        first = len(self.before)
        self.before, self.earlier = codes[:first].detach(), method.remember(self.earlier, codes[first:])


class Training:
    """Generators and discriminators of all arms and seeds, trained side by side; model m = arm · S + seed."""

    def __init__(self, arms: Sequence[str], seeds: Seeds, weights: Weights, draws: Draws) -> None:
        self.arms = [name for name in ARMS if name in arms]
        self.weights, self.draws, self.seeds = weights, draws, len(seeds)
        kinds = [ARMS[name] for name in self.arms]
        self.embedded = self._models([kind.embedding for kind in kinds])
        self.scattered = self._models([kind.real for kind in kinds])
        self.spread = self._models([kind.partners in ("before", "nearest") for kind in kinds])
        self.samples = self._models([kind.partners == "samples" for kind in kinds])
        self.generator = perceptron((2, WIDTH, WIDTH, 2), seeds, "generator", len(kinds))
        self.discriminator = perceptron((2, WIDTH, WIDTH, CODE), seeds, "discriminator", len(kinds))
        # the learning rate is 1 because discriminators have their own, given at each step; not fused, because that
        # kernel rounds the last few numbers of a tensor otherwise than the rest, and models that are equal would part
        self.optimizers = [
            torch.optim.Adam(layers, lr=1, betas=(0.5, 0.9), foreach=True)
            for layers in (self.generator, self.discriminator)
        ]
        ratios = torch.tensor([1.0 if kind.balanced else weights.rate_ratio for kind in kinds])
        self.ratios = ratios.repeat_interleave(self.seeds)
        self.real_codes = self._memory(kinds, self.scattered, seeds, "real memory", CODE)
        self.fake_codes = self._memory(kinds, self.spread, seeds, "fake memory", CODE)
        self.fake_samples = self._memory(kinds, self.samples, seeds, "sample memory", 2)

    def _models(self, chosen: Sequence[bool]) -> slice:
        """Return the models of the chosen arms, which stand together."""
        first = chosen.index(True) if any(chosen) else 0
        assert all(chosen[first : first + sum(chosen)])
        return slice(first * self.seeds, (first + sum(chosen)) * self.seeds)

    def _memory(self, kinds: Sequence[Arm], models: slice, seeds: Seeds, purpose: str, size: int) -> Memory:
        """Return a memory filled with codes uniform in ±1, the same for all arms of a seed."""
        chosen = kinds[models.start // self.seeds : models.stop // self.seeds]
        queue = self.weights.memory
        before = sum(kind.partners == "before" or not queue for kind in chosen)

        def filled(rows: int, copies: int) -> Tensor:
            drawn = [torch.empty(rows, size).uniform_(-1, 1, generator=generator(seed, purpose)) for seed in seeds]
            return torch.stack(drawn).repeat(copies, 1, 1)

        return Memory(filled(BATCH, before), filled(max(queue, 1), len(chosen) - before))

    def step(self, time: int) -> None:
        """Take one step of all discriminators and one of all generators."""
        steps, copies = len(self.draws.real), len(self.arms)
        draws = Draws(*(part[time] for part in self.draws))
        fake = network(draws.latent.repeat(copies, 1, 1), self.generator, 0.0)
        warm, rate = min(1.0, 10 * time / steps), RATE * min(1.0, 2 - 2 * time / steps)
        losses = self._discriminator_losses(draws, fake.detach(), warm)
        self._slopes(self.discriminator, losses)
        replicas.step(self.optimizers[1], rate * self.ratios)
        losses = self._generator_losses(fake, warm)
        self._slopes(self.generator, losses)
        self.optimizers[0].param_groups[0]["lr"] = rate
        self.optimizers[0].step()

    def _discriminator_losses(self, draws: Draws, fake: Tensor, warm: float) -> list[Tensor]:
        """Return the terms of the discriminators' loss, each for the models that have it."""
        weights, inputs = self.weights, torch.cat([draws.real.repeat(len(self.arms), 1, 1), fake], 1)
        codes = network(inputs, self.discriminator, 0.2)
        losses = [method.discriminator_loss(*codes.split(BATCH, 1))]
        models = self.embedded
        if copies := (models.stop - models.start) // self.seeds:
            layers = [parameter[models] for parameter in self.discriminator]
            with torch.no_grad():
                near = network(inputs[models] + draws.shift.repeat(copies, 1, 1), layers, 0.2)
            (x, x_fake), (c, c_fake) = inputs[models].split(BATCH, 1), codes[models].split(BATCH, 1)
            alpha, noise = draws.alpha.repeat(copies, 1, 1), draws.noise.repeat(copies, 1, 1)
            mixed = network(alpha * x + (1 - alpha) * x_fake, layers, 0.2)
            local = method.locality_loss(c, near[:, :BATCH]) + method.locality_loss(c_fake, near[:, BATCH:])
            losses.append(weights.locality * local)
            losses.append(weights.isometry * method.isometry_loss(mixed, c, c_fake, alpha, noise))
        real = codes[self.scattered, :BATCH]
        losses.append(method.entropy_loss(real, self.real_codes.partners(real), warm * weights.strength_real))
        self.real_codes.add(real)
        return losses

    def _generator_losses(self, fake: Tensor, warm: float) -> list[Tensor]:
        """Return the terms of the generators' loss; the discriminators are constants here."""
        codes = network(fake, [parameter.detach() for parameter in self.discriminator], 0.2)
        chosen, samples = codes[self.spread], fake[self.samples]
        losses = [
            method.generator_loss(codes),
            method.entropy_loss(chosen, self.fake_codes.partners(chosen), warm * self.weights.strength),
            method.entropy_loss(samples, self.fake_samples.partners(samples), warm * self.weights.strength_samples),
        ]
        self.fake_codes.add(chosen)
        self.fake_samples.add(samples)
        return losses

    @staticmethod
    def _slopes(layers: Sequence[Tensor], losses: Sequence[Tensor]) -> None:
        """Give the layers the gradients of the sum of some losses."""
        total = torch.cat(list(losses)).sum()
        for parameter, gradient in zip(layers, torch.autograd.grad(total, layers), strict=True):
            parameter.grad = gradient


# ------------------------------------------------------------------------------------------------------ the experiments


STEPS = Knob(800, 20, 2000, 20, help="steps of the discriminator and of the generator")

STRENGTH = Knob(
    0.02, stops=(0, 0.002, 0.005, 0.02, 0.05, 0.2, 0.5), low=0, high=0.5, symbol="λ", help="weight of the entropy"
)

RATIO = Knob(
    0.25, 0.125, 2, stops=(0.125, 0.25, 0.5, 1, 2), help="step size of the discriminator, for 1 of the generator"
)

TARGET = Knob("ring", choices=("ring", "grid", "one"), help="where the true samples lie")

LINE = "arm seed step"

LATENT, FILM, PROBES = 2000, 500, 192
"""Samples that are measured, points that are shown, codes whose entropy is measured."""

TWIN = 1e-7
"""Samples nearer than this are equal in single precision; their distance counts as this."""


def steps_shown(steps: int) -> list[int]:
    """Return every 25th step and the last."""
    return [*range(0, steps, 25), steps]


class Probe:
    """What all models are measured with: the same latent and real points for all arms of a seed."""

    def __init__(self, training: Training, seeds: Seeds, modes: Modes) -> None:
        self.training, self.modes = training, modes
        self.latent = torch.stack([torch.randn(LATENT, 2, generator=generator(seed, "probe latent")) for seed in seeds])
        self.real = torch.stack([modes.sample((PROBES,), generator(seed, "probe")) for seed in seeds])

    @torch.no_grad()
    def measure(self, at: Mapping[str, int], outputs: Sequence[str]) -> Iterator[Frame]:
        """Measure all models as they are now; one frame for each half of the arms."""
        training, seeds = self.training, self.training.seeds
        half = -(-len(training.arms) // 2)
        for arms in (training.arms[:half], training.arms[half:]):
            first = training.arms.index(arms[0]) * seeds
            models = slice(first, first + len(arms) * seeds)
            samples = network(self.latent.repeat(len(arms), 1, 1), [p[models] for p in training.generator], 0.0)
            inputs = torch.cat([self.real.repeat(len(arms), 1, 1), samples[:, :PROBES]], 1)
            real, fake = network(inputs, [p[models] for p in training.discriminator], 0.2).split(PROBES, 1)
            coverage = metrics.mode_coverage(samples, self.modes.centers, 3 * self.modes.deviation)
            values = {
                "covered": coverage.modes,
                "quality": coverage.quality,
                "divergence": coverage.divergence,
                "distance": coverage.distance,
                "fake_entropy": log_entropy(fake),
                "real_entropy": log_entropy(real),
                "discriminator_loss": method.discriminator_loss(real, fake),
                "generator_loss": method.generator_loss(fake),
            }
            values = {name: value.unflatten(0, (len(arms), seeds)) for name, value in values.items()}
            values["samples"] = samples[::seeds, :FILM]
            yield Frame({**at, "arm": arms}, {name: values[name] for name in outputs if name in values})

    @torch.no_grad()
    def entropies(self) -> Iterator[Frame]:
        """Estimate the entropy of the samples of each model; one frame for each arm."""
        for i, arm in enumerate(self.training.arms):
            models = slice(i * self.training.seeds, (i + 1) * self.training.seeds)
            samples = network(self.latent, [p[models] for p in self.training.generator], 0.0)
            yield Frame({"arm": arm}, {"entropy": metrics.knn_entropy(samples, smallest=TWIN)})


def log_entropy(codes: Tensor) -> Tensor:
    """Return log(Ê + 1e-8) of the first 64 codes among the others: [..., N, K] -> [...]."""
    batch, others = codes[..., :BATCH, :], codes[..., BATCH:, :]
    return torch.log(method.spread(batch, method.nearest(batch, others)) + method.SMALLEST)


def film(
    arms: Sequence[str], seeds: Seeds, weights: Weights, modes: Modes, steps: int, outputs: Sequence[str]
) -> Iterator[Frame | Tick]:
    """Train arms and seeds side by side, and measure all that is among the outputs at each step that is shown."""
    draws = []
    for seed in seeds:
        draws.append(draw(seed, steps, modes))
        yield Tick(0)
    training = Training(arms, seeds, weights, Draws(*(torch.stack(parts, 1) for parts in zip(*draws, strict=True))))
    probe, shown = Probe(training, seeds, modes), steps_shown(steps)
    for step in range(steps + 1):
        if step in shown:
            yield from probe.measure({"step": shown.index(step)}, outputs)
        if step < steps:
            training.step(step)
            if step % 2:
                yield Tick((step + 1) / steps)
    if "entropy" in outputs:
        yield from probe.entropies()


COVERED = Var(LINE, "modes covered", "centers with at least 2 % of their fair share of samples near them", "modes", 0)

FAST = ("GAN", "MEE", "GAN + embedding", "entropy only", "official buffer")

FAIR = ("GAN", "MEE", "GAN, balanced", "MEE, balanced")

QUALITY = Var(LINE, "HQ", "share of samples within three standard deviations of a center", low=0)


@dataclass(frozen=True)
class ModeCollapse(Experiment):
    """Train a generator that is four times faster than its discriminator, with and without entropy of codes.

    Both are perceptrons with two hidden layers of 64 units; Adam, batches of 64, codes of 8 numbers. In the two
    balanced arms both are equally fast. All arms of a seed share first weights, real points and all noise.
    """

    strength: float = knob(STRENGTH)
    rate_ratio: float = knob(RATIO)
    isometry: float = knob(
        0.003, stops=(0, 0.001, 0.003, 0.01, 0.1, 1), symbol="λ_Iso", help="weight of DIsoMap: mixtures stay mixtures"
    )
    memory: int = knob(
        128, stops=(0, 16, 64, 128, 512), symbol="Q", help="remembered codes; 0 is the batch before only"
    )
    target: str = knob(TARGET)
    modes: int = knob(8, low=1, high=16, step=1, help="number of modes on the ring")
    strength_real: float = knob(
        0.001, stops=(0, 0.001, 0.005, 0.05), symbol="λ_real", help="weight of the entropy of real codes"
    )
    locality: float = knob(1.0, stops=(0, 0.1, 1, 10), symbol="λ_LLE", help="weight of DLLE: neighbors stay neighbors")
    steps: int = knob(STEPS)

    arms = {
        "GAN": "baseline",
        "MEE": "method",
        "GAN + embedding": "ablation",
        "entropy only": "ablation",
        "official buffer": "ablation",
        "GAN, balanced": "further",
        "MEE, balanced": "further",
    }
    outputs = {
        "covered": COVERED,
        "quality": QUALITY,
        "divergence": Var(LINE, "KL of shares", "divergence of the modes' shares from equal shares", "nats", low=0),
        "distance": Var(LINE, "distance", "mean distance of samples to the nearest center", low=0),
        "fake_entropy": Var(LINE, "generated", "log Ê of 64 codes of generated samples among 128 others"),
        "real_entropy": Var(LINE, "real", "log Ê of 64 codes of real samples among 128 others"),
        "discriminator_loss": Var(LINE, "discriminator", "logistic loss of the discriminator, no regularizer", low=0),
        "generator_loss": Var(LINE, "generator", "logistic loss of the generator, no regularizer", low=0),
        "entropy": Var(
            "arm seed", "entropy", "nearest-neighbor estimate from 2000 samples after the last step", "nats"
        ),
        "true_entropy": Var("seed", "exact", "entropy of the true distribution", "nats"),
        "samples": Var("arm step point plane", "samples", "generated points of the first seed"),
        "centers": Var("place plane", "centers", "centers of the true modes"),
    }
    # fmt: off
    views = (
        View("Samples", tuple(
            Points(f"{arm}: all modes?", "samples", arm, crosses="centers", limits=(-3, 3))
            for arm in ("GAN", "MEE", "GAN, balanced", "MEE, balanced")
        ), columns=4, height=2.3),
        View("What the embedding does alone", tuple(
            Points(f"{arm}: all modes?", "samples", arm, crosses="centers", limits=(-3, 3))
            for arm in ("GAN", "GAN + embedding", "MEE")
        ), columns=3, height=2.9),
        View("Coverage", (
            Curves("How many modes are covered?", ["covered"], FAST),
            Curves("How many samples lie near a center?", ["quality"], FAST, "share, HQ"),
        )),
        View("Shares and distances", (
            Curves("Do all modes get equal shares?", ["divergence"], FAST),
            Curves("How far from the nearest center?", ["distance"], FAST),
        )),
        View("When nothing collapses", (
            Curves("How many modes are covered?", ["covered"], FAIR),
            Curves("How many samples lie near a center?", ["quality"], FAIR, "share, HQ"),
        )),
        View("After the last step", (
            Dots("How many modes are covered?", "covered"),
            Dots("Which share is near a center?", "quality"),
            Dots("What is their entropy?", "entropy"),
            Dots("How far from a center?", "distance"),
        )),
        View("Entropy of codes", tuple(
            Curves(f"{arm}: are its codes as spread as real ones?", ["fake_entropy", "real_entropy"], [arm], "log Ê")
            for arm in ("GAN", "MEE")
        )),
        View("Losses", tuple(
            Curves(f"{arm}: who is winning?", ["discriminator_loss", "generator_loss"], [arm], "logistic loss",
                   [Line("y", 2 * math.log(2), "D guesses")])
            for arm in ("GAN", "MEE", "GAN, balanced", "MEE, balanced")
        )),
    )
    # fmt: on
    scaled = "images became points in the plane, deep networks became small perceptrons"
    headline = "covered"
    grid = {"strength": (0, 0.002, 0.005, 0.02, 0.05, 0.2, 0.5), "rate_ratio": (0.125, 0.25, 0.5, 1, 2)}
    unaffected = {
        "strength": ("GAN", "GAN + embedding", "GAN, balanced"),
        "rate_ratio": ("GAN, balanced", "MEE, balanced"),
    }
    smoke = {"steps": 20}
    off = {"strength": 0, "strength_real": 0, "locality": 0, "isometry": 0}
    equals_baseline = (
        (off, "MEE"),
        (off, "GAN + embedding"),
        (off, "entropy only"),
        (off, "official buffer"),
        ({"rate_ratio": 1}, "GAN, balanced"),
        ({**off, "rate_ratio": 1}, "MEE, balanced"),
    )

    def axes(self) -> dict[str, Axis]:
        """Every 25th step, and the points of the pictures."""
        mode = Modes.of(self.target, self.modes)
        return {
            "step": Axis(steps_shown(self.steps), label="step"),
            "point": Axis(range(FILM)),
            "plane": Axis(["x", "y"]),
            "place": Axis(range(len(mode.centers))),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; frames at every 25th step."""
        mode = Modes.of(self.target, self.modes)
        yield Frame({}, {"centers": mode.centers, "true_entropy": [mode.entropy] * len(seeds)})
        weights = Weights(self.strength, self.strength_real, self.locality, self.isometry, self.memory, self.rate_ratio)
        yield from film(list(self.arms), seeds, weights, mode, self.steps, list(self.outputs))


@dataclass(frozen=True)
class RawSamples(Experiment):
    """Spread the raw samples instead of their codes: in the plane, distances between samples mean something already."""

    strength: float = knob(STRENGTH)
    strength_samples: float = knob(
        0.05, stops=(0, 0.005, 0.02, 0.05, 0.2), symbol="λ_x", help="weight of the entropy of raw samples"
    )
    rate_ratio: float = knob(RATIO)
    target: str = knob(TARGET)
    steps: int = knob(STEPS)

    arms = {"GAN": "baseline", "MEE": "method", "entropy of samples": "ablation"}
    outputs = {"covered": COVERED, "quality": QUALITY}
    views = (
        View(
            "Codes or samples",
            (
                Curves("How many modes are covered?", ["covered"]),
                Curves("How many samples lie near a center?", ["quality"], y="share, HQ"),
            ),
        ),
    )
    scaled = ModeCollapse.scaled
    headline = "covered"
    smoke = {"steps": 20}
    equals_baseline = (({"strength_samples": 0}, "entropy of samples"),)

    def axes(self) -> dict[str, Axis]:
        """Every 25th step."""
        return {"step": Axis(steps_shown(self.steps), label="step")}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds as one; frames at every 25th step."""
        weights = Weights(self.strength, 0.001, 1.0, 0.003, 128, self.rate_ratio, self.strength_samples)
        yield from film(list(self.arms), seeds, weights, Modes.of(self.target, 8), self.steps, list(self.outputs))


# ------------------------------------------------------------------------------------------------------- the estimators


@dataclass(frozen=True)
class Estimators(Experiment):
    """Estimate entropies that are known exactly from nearest neighbors: the right way, and as MEE takes them."""

    modes: int = knob(8, low=1, high=16, step=1, help="number of modes on the ring")

    arms = {"nearest neighbor": "baseline", "log of mean": "method", "4th neighbor": "ablation"}
    outputs = {"error": Var("arm seed distribution examples", "estimate − exact", "error of the estimate", "nats")}
    views = (
        View(
            "Errors of the estimates",
            tuple(
                Curves(question, ["error"], lines=[Line("y", 0, "")], at={"distribution": name})
                for name, question in (
                    ("plane", "A Gaussian in the plane: how wrong?"),
                    ("8 dimensions", "A Gaussian in 8 dimensions: how wrong?"),
                    ("square", "A square: how wrong?"),
                    ("ring", "The ring: how wrong?"),
                )
            ),
        ),
    )
    headline = "error"
    scaled = "known distributions stand for the codes of images"
    smoke = {"modes": 4}
    distributions = ("plane", "8 dimensions", "square", "ring")
    counts = (64, 256, 1000, 4000)

    def axes(self) -> dict[str, Axis]:
        """Four distributions and four numbers of points."""
        return {
            "distribution": Axis(self.distributions, label="four distributions"),
            "examples": Axis(self.counts, label="number of points N", log=True),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """One frame for each distribution, number of points and seed."""
        ring, total = Modes.of("ring", self.modes), len(self.distributions) * len(self.counts) * len(seeds)
        done = 0
        for d, name in enumerate(self.distributions):
            for n, count in enumerate(self.counts):
                for s, seed in enumerate(seeds):
                    points, exact = known(name, count, generator(seed, f"{name} {count}"), ring)
                    estimates = (
                        metrics.knn_entropy(points),
                        method.log_of_mean_entropy(points),
                        metrics.knn_entropy(points, 4),
                    )
                    values = {"error": [float(estimate) - exact for estimate in estimates]}
                    yield Frame({"distribution": d, "examples": n, "seed": s}, values)
                    done += 1
                    yield Tick(done / total)


def known(name: str, count: int, draws: torch.Generator, ring: Modes) -> tuple[Tensor, float]:
    """Draw points [count, D] of a distribution and return them with its exact entropy in nats."""
    if name == "ring":
        return ring.sample((count,), draws), ring.entropy
    if name == "square":
        return torch.rand(count, 2, generator=draws), 0.0
    dimensions = 8 if name == "8 dimensions" else 2
    points = torch.randn(count, dimensions, generator=draws)
    return points, dimensions / 2 * math.log(2 * math.pi * math.e)


# --------------------------------------------------------------------------------------------------------------- claims


EXPERIMENTS = (ModeCollapse, RawSamples, Estimators)
