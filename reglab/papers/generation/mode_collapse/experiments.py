"""Mode collapse: the experiments."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reglab import metrics
from reglab.experiment import Experiment
from reglab.knobs import Arm, knob
from reglab.models import replicas
from reglab.papers.generation.mode_collapse import method
from reglab.pictures import Curves, Dots, Line, Points, View
from reglab.results import Axis, Frame, Tick, Var
from reglab.seeds import Seeds, generator
from reglab.training import Lanes

BATCH, CODE, WIDTH, RATE = 64, 8, 64, 4e-3
"""Samples of a batch N, numbers of a code K, hidden units, step size of the generator."""

LATENT, FILM, PROBES, TWIN = 2000, 500, 192, 1e-7
"""Samples measured, points shown, codes measured; nearer samples are equal in single precision and count as this."""


ORDER = ("GAN", "GAN, balanced", "GAN + embedding", "official buffer", "MEE", "MEE, balanced", "entropy only",
         "entropy of samples")  # fmt: skip
"""How arms are trained side by side: those that share a term stand together, so that slices of models are views."""


class Draws(NamedTuple):
    """All noise of a training, drawn ahead: real points, latent z, α, noise of codes and points [steps, S, ...]."""

    real: Tensor
    latent: Tensor
    alpha: Tensor
    noise: Tensor
    shift: Tensor


class Modes(NamedTuple):
    """A mixture of round Gaussians with equal weights: centers [M, 2] and their standard deviation."""

    centers: Tensor
    deviation: float

    @classmethod
    def of(cls, target: str, modes: int = 8) -> Modes:
        """Return the modes of a data set: a ring of radius 2, a 5 x 5 grid or one Gaussian at (2, 0)."""
        if target == "grid":
            return cls(torch.cartesian_prod(*2 * [torch.arange(-2.0, 3)]), 0.05)
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
    """Draw the noise of all steps for one seed, one generator for each purpose: [steps, N, ...]."""

    def normal(purpose: str, *shape: int) -> Tensor:
        return torch.randn(steps, *shape, generator=generator(seed, purpose))

    return Draws(
        modes.sample((steps, BATCH), generator(seed, "real points")),
        normal("latent", BATCH, 2),
        normal("alpha", BATCH, 1),
        0.05 * normal("code noise", BATCH, CODE),
        0.02 * normal("shift", 2 * BATCH, 2),
    )


def perceptron(widths: Sequence[int], lanes: Lanes, purpose: str) -> list[Tensor]:
    """Return weights and biases in turn, all uniform in ±1/√inputs: [M, in, out], [M, 1, out]."""
    sources, layers = lanes.generators(purpose), list[Tensor]()
    for inputs, outputs in itertools.pairwise(widths):
        bound = inputs**-0.5
        layers += replicas.linear(inputs, outputs, sources, len(lanes.arms), weights=bound, biases=bound).parameters()
    return layers


def network(inputs: Tensor, layers: Sequence[Tensor], slope: float) -> Tensor:
    """Apply perceptrons side by side, [M, N, in] -> [M, N, out]; a negative activation is multiplied by `slope`."""
    for weight, bias in zip(layers[:-2:2], layers[1:-2:2], strict=True):
        inputs = F.leaky_relu_(torch.baddbmm(bias, inputs, weight), slope)
    return torch.baddbmm(layers[-1], inputs, layers[-2])


def log_entropy(codes: Tensor) -> Tensor:
    """Return log(Ê + 1e-8) of the first 64 codes among the others: [..., N, K] -> [...]."""
    batch, others = codes[..., :BATCH, :], codes[..., BATCH:, :]
    return -method.entropy_loss(batch, method.nearest(batch, others), 1.0)


@dataclass
class Entropy:
    """The entropy term of some models: the first `before` compare with the batch before, the rest with the last Q."""

    models: slice
    strength: Tensor
    before: int
    queue: int
    memory: Tensor

    def partners(self, codes: Tensor) -> Tensor:
        """Return the partner of each code, a constant: [M, N, K]."""
        first, batch = self.before, codes.shape[-2]
        nearest = method.nearest(codes[first:], self.memory[first:, -max(self.queue, 1) :])
        return torch.cat([self.memory[:first, -batch:], nearest])

    def loss(self, codes: Tensor, warm: float) -> Tensor:
        """Return R of the models that have the term, from the codes of all models [M, N, K], and remember these."""
        codes = codes[self.models]
        found = method.entropy_loss(codes, self.partners(codes), (warm * self.strength).to(codes.dtype))
        self.memory = method.remember(self.memory, codes)
        return found


class Training:
    """Generators and discriminators of all arms and seeds, trained side by side; model m = arm · S + seed."""

    def __init__(self, setting: ModeCollapse, seeds: Seeds, draws: Draws) -> None:
        arms = {arm: setting.arms[arm] for arm in ORDER if arm in setting.arms}
        self.lanes, self.draws = Lanes(arms, seeds, setting.settings()), draws
        self.arms, self.embedded = list(self.lanes.arms), self._models("isometry")
        self.generator = perceptron((2, WIDTH, WIDTH, 2), self.lanes, "generator")
        self.discriminator = perceptron((2, WIDTH, WIDTH, CODE), self.lanes, "discriminator")
        # the learning rate is 1 because discriminators have their own, given at each step; not fused, because that
        # kernel rounds the last few numbers of a tensor otherwise than the rest, and models that are equal would part
        players = self.generator, self.discriminator
        self.optimizers = [torch.optim.Adam(layers, lr=1, betas=(0.5, 0.9), foreach=True) for layers in players]
        self.real_codes, self.fake_codes = (self._entropy(term, setting.memory) for term in ("real", "fake"))
        self.fake_samples = self._entropy("sample", setting.memory, 2)

    def _models(self, term: str) -> slice:
        """Return the models of the arms that have a term."""
        chosen = [term in arm.settings for arm in self.lanes.arms.values()]
        first, seeds = chosen.index(True) if any(chosen) else 0, len(self.lanes.seeds)
        assert all(chosen[first : first + sum(chosen)])
        return slice(first * seeds, (first + sum(chosen)) * seeds)

    def _entropy(self, term: str, queue: int, size: int = CODE) -> Entropy:
        """Return an entropy term; it remembers codes uniform in ±1, the same for all arms of a seed."""
        models, sources = self._models(term), self.lanes.generators(f"{term} memory")
        drawn = [torch.empty(max(queue, BATCH), size).uniform_(-1, 1, generator=source) for source in sources]
        memory = self.lanes.repeat(torch.stack(drawn))[models]
        before = int(self.lanes.each("before", 0)[models].sum()) if queue else len(memory)
        return Entropy(models, self.lanes.each(term, 0, torch.float64)[models], before, queue, memory)

    def step(self, time: int) -> None:
        """Take one step of all discriminators and one of all generators."""
        steps, draws = len(self.draws.real), Draws(*(part[time] for part in self.draws))
        warm, rate = min(1.0, 10 * time / steps), RATE * min(1.0, 2 - 2 * time / steps)
        fake = network(self.lanes.repeat(draws.latent), self.generator, 0.0)
        _slopes(self.discriminator, self._discriminator_losses(draws, fake.detach(), warm))
        replicas.step(self.optimizers[1], rate * self.lanes.each("ratio", 0))
        codes = network(fake, [parameter.detach() for parameter in self.discriminator], 0.2)
        spread = (self.fake_codes.loss(codes, warm), self.fake_samples.loss(fake, warm))
        _slopes(self.generator, [method.generator_loss(codes), *spread])
        self.optimizers[0].param_groups[0]["lr"] = rate
        self.optimizers[0].step()

    def _discriminator_losses(self, draws: Draws, fake: Tensor, warm: float) -> list[Tensor]:
        """Return the terms of the discriminators' loss, each for the models that have it."""
        inputs, models = torch.cat([self.lanes.repeat(draws.real), fake], 1), self.embedded
        codes = network(inputs, self.discriminator, 0.2)
        losses = [method.discriminator_loss(*codes.split(BATCH, 1))]
        if len(codes[models]):
            layers = [parameter[models] for parameter in self.discriminator]
            alpha, noise, shift = (self.lanes.repeat(part)[models] for part in draws[2:])
            (x, x_fake), (c, c_fake) = inputs[models].split(BATCH, 1), codes[models].split(BATCH, 1)
            with torch.no_grad():
                near, near_fake = network(inputs[models] + shift, layers, 0.2).split(BATCH, 1)
            mixed = network(alpha * x + (1 - alpha) * x_fake, layers, 0.2)
            local = method.locality_loss(c, near) + method.locality_loss(c_fake, near_fake)
            losses.append(self.lanes.each("locality", 0)[models] * local)
            losses.append(self.lanes.each("isometry", 0)[models] * method.isometry_loss(mixed, c, c_fake, alpha, noise))
        return [*losses, self.real_codes.loss(codes[:, :BATCH], warm)]

    @torch.no_grad()
    def measure(self, arms: Sequence[str], modes: Modes, latent: Tensor, real: Tensor) -> dict[str, Tensor]:
        """Measure some arms that stand together, each with the same latent and real points [S, ...]: [A, S, ...]."""
        first, seeds = self.arms.index(arms[0]), len(self.lanes.seeds)
        models = slice(first * seeds, (first + len(arms)) * seeds)
        samples = network(latent.repeat(len(arms), 1, 1), [p[models] for p in self.generator], 0.0)
        inputs = torch.cat([real.repeat(len(arms), 1, 1), samples[:, :PROBES]], 1)
        codes, fake = network(inputs, [p[models] for p in self.discriminator], 0.2).split(PROBES, 1)
        coverage = metrics.mode_coverage(samples, modes.centers, 3 * modes.deviation)
        found = dict(zip(("covered", "quality", "divergence", "distance"), coverage, strict=True))
        found |= {"fake_entropy": log_entropy(fake), "real_entropy": log_entropy(codes), "samples": samples}
        found["discriminator_loss"] = method.discriminator_loss(codes, fake)
        found["generator_loss"] = method.generator_loss(fake)
        return {name: values.unflatten(0, (len(arms), seeds)) for name, values in found.items()}


def _slopes(layers: Sequence[Tensor], losses: Sequence[Tensor]) -> None:
    """Give the layers the gradients of the sum of some losses."""
    for layer, gradient in zip(layers, torch.autograd.grad(torch.cat(list(losses)).sum(), layers), strict=True):
        layer.grad = gradient


LINE = "arm seed step"

EMBEDDING = {"locality": "locality", "isometry": "isometry"}
ENTROPY = {"real": "strength_real", "fake": "strength"}
"""Settings of arms: the weights of DLLE and DIsoMap; of the entropies of real and of generated codes."""

OFF = {"strength": 0, "strength_real": 0, "locality": 0, "isometry": 0}
"""Without these weights every arm is a GAN."""


def coverage(*arms: str) -> tuple[Curves, ...]:
    """Return panels that show over the steps how well some arms cover the modes."""
    return (
        Curves("How many modes?", ["covered"], arms),
        Curves("How many samples near one?", ["quality"], arms, "share, HQ"),
    )


@dataclass(frozen=True)
class ModeCollapse(Experiment):
    """Train a generator that is four times faster than its discriminator, with and without entropy of codes.

    Both are perceptrons with two hidden layers of 64 units; Adam, batches of 64, codes of 8 numbers. In the two
    balanced arms both are equally fast. All arms of a seed share first weights, real points and all noise.
    """

    # fmt: off
    strength: float = knob(0.02, stops=(0, 0.002, 0.005, 0.02, 0.05, 0.2, 0.5), symbol="λ",
                           help="weight of the entropy")
    rate_ratio: float = knob(0.25, stops=(0.125, 0.25, 0.5, 1, 2),
                             help="step size of the discriminator, for 1 of the generator")
    isometry: float = knob(0.003, stops=(0, 0.001, 0.003, 0.01, 0.1, 1), symbol="λ_Iso",
                           help="weight of DIsoMap: mixtures stay mixtures")
    memory: int = knob(128, stops=(0, 16, 64, 128, 512), symbol="Q",
                       help="remembered codes; 0 is the batch before only")
    target: str = knob("ring", choices=("ring", "grid", "one"), help="where the true samples lie")
    modes: int = knob(8, low=1, high=16, step=1, help="number of modes on the ring")
    strength_real: float = knob(0.001, stops=(0, 0.001, 0.005, 0.05), symbol="λ_real",
                                help="weight of the entropy of real codes")
    locality: float = knob(1.0, stops=(0, 0.1, 1, 10), symbol="λ_LLE", help="weight of DLLE: neighbors stay neighbors")
    steps: int = knob(800, low=20, high=2000, step=20, help="steps of the discriminator and of the generator")

    arms = {  # settings are the weights of terms; all but "before" name knobs or are given
        "GAN": Arm("baseline", ratio="rate_ratio"),
        "MEE": Arm("method", ratio="rate_ratio", **EMBEDDING, **ENTROPY),
        "GAN + embedding": Arm("ablation", ratio="rate_ratio", **EMBEDDING),
        "entropy only": Arm("ablation", ratio="rate_ratio", fake="strength"),
        "official buffer": Arm("ablation", ratio="rate_ratio", **EMBEDDING, **ENTROPY, before=1),
        "GAN, balanced": Arm("further", ratio=1),
        "MEE, balanced": Arm("further", ratio=1, **EMBEDDING, **ENTROPY),
    }
    outputs = {
        "covered": Var(LINE, "modes covered", "centers with at least 2 % of their fair share of samples near them",
                       "modes", 0),
        "quality": Var(LINE, "HQ", "share of samples within three standard deviations of a center", low=0),
        "divergence": Var(LINE, "KL of shares", "divergence of the modes' shares from equal shares", "nats", low=0),
        "distance": Var(LINE, "distance", "mean distance of samples to the nearest center", low=0),
        "fake_entropy": Var(LINE, "generated", "log Ê of 64 codes of generated samples among 128 others"),
        "real_entropy": Var(LINE, "real", "log Ê of 64 codes of real samples among 128 others"),
        "discriminator_loss": Var(LINE, "discriminator", "logistic loss of the discriminator, no regularizer", low=0),
        "generator_loss": Var(LINE, "generator", "logistic loss of the generator, no regularizer", low=0),
        "entropy": Var("arm seed", "entropy", "nearest-neighbor estimate of 2000 samples after the last step", "nats"),
        "true_entropy": Var("seed", "exact", "entropy of the true distribution", "nats"),
        "samples": Var("arm step point plane", "samples", "generated points of the first seed"),
        "centers": Var("place plane", "centers", "centers of the true modes"),
    }
    views: ClassVar[tuple[View, ...]] = (
        View("Samples", tuple(
            Points(f"{arm}: all?", "samples", arm, crosses="centers", limits=(-3, 3))
            for arm in ("GAN", "MEE", "GAN, balanced", "MEE, balanced")
        ), columns=4, height=2.3),
        View("Coverage", coverage("GAN", "MEE", "GAN + embedding", "entropy only", "official buffer")),
        View("When nothing collapses", coverage("GAN", "MEE", "GAN, balanced", "MEE, balanced")),
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
    smoke = {"steps": 20}
    equals_baseline = (
        *((OFF, arm) for arm in ("MEE", "GAN + embedding", "entropy only", "official buffer")),
        ({"rate_ratio": 1}, "GAN, balanced"),
        ({**OFF, "rate_ratio": 1}, "MEE, balanced"),
    )

    def axes(self) -> dict[str, Axis]:
        """Every 25th step and the last, and the points of the pictures."""
        step, places = Axis([*range(0, self.steps, 25), self.steps], label="step"), Modes.of(self.target, self.modes)
        if "samples" not in self.outputs:
            return {"step": step}
        points = {"point": Axis(range(FILM)), "plane": Axis(["x", "y"]), "place": Axis(range(len(places.centers)))}
        return {"step": step, **points}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train all arms and seeds side by side; two frames at every 25th step, of half the arms each."""
        modes, shown, draws = Modes.of(self.target, self.modes), list(self.axes()["step"].values), []
        for seed in seeds:
            draws.append(draw(seed, self.steps, modes))
            yield Tick(0)
        training = Training(self, seeds, Draws(*(torch.stack(parts, 1) for parts in zip(*draws, strict=True))))
        latent = torch.stack([torch.randn(LATENT, 2, generator=generator(seed, "probe latent")) for seed in seeds])
        real = torch.stack([modes.sample((PROBES,), generator(seed, "probe")) for seed in seeds])
        half = -(-len(training.arms) // 2)
        for step in range(self.steps + 1):
            for arms in (training.arms[:half], training.arms[half:]) if step in shown else ():
                found = training.measure(arms, modes, latent, real)
                if step == self.steps and "entropy" in self.outputs:
                    found["entropy"] = metrics.knn_entropy(found["samples"], smallest=TWIN)
                found |= {"samples": found["samples"][:, 0, :FILM], "centers": modes.centers}
                found["true_entropy"] = torch.full((len(seeds),), modes.entropy, dtype=torch.float64)
                kept = {name: values for name, values in found.items() if name in self.outputs}
                yield Frame({"step": shown.index(step), "arm": arms}, kept)
            if step < self.steps:
                training.step(step)
                if step % 2:
                    yield Tick((step + 1) / self.steps)


@dataclass(frozen=True)
class RawSamples(ModeCollapse):
    """Spread the raw samples instead of their codes: in the plane, distances between samples mean something already."""

    # fmt: off
    strength_samples: float = knob(0.05, stops=(0, 0.005, 0.02, 0.05, 0.2), symbol="λ_x",
                                   help="weight of the entropy of raw samples")
    # fmt: on

    arms = {
        "GAN": ModeCollapse.arms["GAN"],
        "MEE": ModeCollapse.arms["MEE"],
        "entropy of samples": Arm("ablation", ratio="rate_ratio", sample="strength_samples"),
    }
    outputs = {name: ModeCollapse.outputs[name] for name in ("covered", "quality")}
    views = (View("Codes or samples", coverage()),)
    grid = {}
    equals_baseline = (({"strength_samples": 0}, "entropy of samples"),)


@dataclass(frozen=True)
class Estimators(Experiment):
    """Estimate entropies that are known exactly from nearest neighbors: the right way, and as MEE takes them."""

    modes: int = knob(8, low=1, high=16, step=1, help="number of modes on the ring")

    arms = {"nearest neighbor": "baseline", "log of mean": "method", "4th neighbor": "ablation"}
    outputs = {"error": Var("arm seed distribution examples", "estimate − exact", "error of the estimate", "nats")}
    # fmt: off
    distributions = {"plane": "A Gaussian in the plane", "8 dimensions": "A Gaussian in 8 dimensions",
                     "square": "A square", "ring": "The ring"}
    counts = (64, 256, 1000, 4000)
    views = (View("Errors of the estimates", tuple(
        Curves(f"{text}: how wrong?", ["error"], lines=[Line("y", 0, "")], at={"distribution": name})
        for name, text in distributions.items()
    )),)
    # fmt: on
    headline = "error"
    scaled = "known distributions stand for the codes of images"
    smoke = {"modes": 4}

    def axes(self) -> dict[str, Axis]:
        """Four distributions and four numbers of points."""
        return {
            "distribution": Axis(list(self.distributions), label="four distributions"),
            "examples": Axis(self.counts, label="number of points N", log=True),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """One frame for each distribution, number of points and seed."""
        ring, places = Modes.of("ring", self.modes), list(np.ndindex(len(self.distributions), 4, len(seeds)))
        for done, (d, n, s) in enumerate(places, 1):
            name, count = list(self.distributions)[d], self.counts[n]
            points, exact = known(name, count, generator(seeds[s], f"{name} {count}"), ring)
            found = metrics.knn_entropy(points), method.log_of_mean_entropy(points), metrics.knn_entropy(points, 4)
            yield Frame({"distribution": d, "examples": n, "seed": s}, {"error": [float(one) - exact for one in found]})
            yield Tick(done / len(places))


def known(name: str, count: int, draws: torch.Generator, ring: Modes) -> tuple[Tensor, float]:
    """Draw points [count, D] of a distribution and return them with its exact entropy in nats."""
    if name == "ring":
        return ring.sample((count,), draws), ring.entropy
    if name == "square":
        return torch.rand(count, 2, generator=draws), 0.0
    dimensions = 8 if name == "8 dimensions" else 2
    points = torch.randn(count, dimensions, generator=draws)
    return points, dimensions / 2 * math.log(2 * math.pi * math.e)


EXPERIMENTS = (ModeCollapse, RawSamples, Estimators)
