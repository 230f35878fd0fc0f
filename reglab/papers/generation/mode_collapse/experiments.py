"""Mode collapse: the experiments."""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reglab import metrics
from reglab.experiment import Experiment
from reglab.knobs import Arm, Knob, knob, tuned
from reglab.models import replicas
from reglab.papers.generation.mode_collapse import method
from reglab.pictures import Curves, Dots, Line, Points, Scatter, View
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds, generator
from reglab.training import Lanes

BATCH, CODE, WIDTH, RATE = 64, 8, 64, 4e-3
"""Samples of a batch N, numbers of a code K, hidden units, step size of the generator."""

LATENT, FILM, PROBES, TWIN = 2000, 500, 192, 1e-7
"""Samples measured, points shown, codes measured; nearer samples are equal in single precision and count as this."""

ORDER = ("GAN", "tuned GAN", "GAN + R1", "GAN + embedding", "official buffer", "MEE", "entropy only")
"""How arms are trained side by side: those that share a term stand together, so that slices of models are views."""


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


def draw(seed: int, steps: int, modes: Modes) -> list[Tensor]:
    """Draw the noise of all steps: real points, latent z, α, noise of codes and of points [steps, N, ...].

    Each has its own generator, so that an arm feels nothing of what another one needs.
    """
    found, scales = [modes.sample((steps, BATCH), generator(seed, "real points"))], (1, 1, 0.05, 0.02)
    shapes = {"latent": (BATCH, 2), "alpha": (BATCH, 1), "code noise": (BATCH, CODE), "shift": (2 * BATCH, 2)}
    for (purpose, shape), scale in zip(shapes.items(), scales, strict=True):
        found.append(scale * torch.randn(steps, *shape, generator=generator(seed, purpose)))
    return found


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
    """Generators and discriminators of some arms and all seeds, trained side by side; model m = arm · S + seed."""

    def __init__(self, arms: Mapping[str, Arm], seeds: Seeds, knobs: Mapping[str, Any], draws: list[Tensor]) -> None:
        self.lanes, self.draws, queue = Lanes(arms, seeds, knobs), draws, knobs["memory"]
        self.embedded, self.smoothed = self._models("isometry"), self._models("penalty")
        self.generator = perceptron((2, WIDTH, WIDTH, 2), self.lanes, "generator")
        self.discriminator = perceptron((2, WIDTH, WIDTH, CODE), self.lanes, "discriminator")
        # the learning rate is 1 because discriminators have their own, given at each step; not fused, because that
        # kernel rounds the last few numbers of a tensor otherwise than the rest, and models that are equal would part
        players = self.generator, self.discriminator
        self.optimizers = [torch.optim.Adam(layers, lr=1, betas=(0.5, 0.9), foreach=True) for layers in players]
        self.real_codes, self.fake_codes = (self._entropy(term, queue) for term in ("real", "fake"))

    def _models(self, term: str) -> slice:
        """Return the models of the arms that have a term."""
        chosen = [term in arm.settings for arm in self.lanes.arms.values()]
        first, seeds = chosen.index(True) if any(chosen) else 0, len(self.lanes.seeds)
        assert all(chosen[first : first + sum(chosen)])
        return slice(first * seeds, (first + sum(chosen)) * seeds)

    def _entropy(self, term: str, queue: int) -> Entropy:
        """Return an entropy term; it remembers codes uniform in ±1, the same for all arms of a seed."""
        models, sources = self._models(term), self.lanes.generators(f"{term} memory")
        drawn = [torch.empty(max(queue, BATCH), CODE).uniform_(-1, 1, generator=source) for source in sources]
        memory = self.lanes.repeat(torch.stack(drawn))[models]
        before = int(self.lanes.each("before", 0)[models].sum()) if queue else len(memory)
        return Entropy(models, self.lanes.each(term, 0, torch.float64)[models], before, queue, memory)

    def step(self, time: int) -> None:
        """Take one step of all discriminators and one of all generators."""
        steps = len(self.draws[0])
        warm, rate = min(1.0, 10 * time / steps), RATE * min(1.0, 2 - 2 * time / steps)
        real, latent, *noise = (self.lanes.repeat(part[time]) for part in self.draws)
        fake = network(latent, self.generator, 0.0)
        _slopes(self.discriminator, self._discriminator_losses(real, fake.detach(), noise, warm))
        replicas.step(self.optimizers[1], rate * self.lanes.each("ratio", 0))
        codes = network(fake, [parameter.detach() for parameter in self.discriminator], 0.2)
        _slopes(self.generator, [method.generator_loss(codes), self.fake_codes.loss(codes, warm)])
        self.optimizers[0].param_groups[0]["lr"] = rate
        self.optimizers[0].step()

    def _discriminator_losses(self, real: Tensor, fake: Tensor, noise: Sequence[Tensor], warm: float) -> list[Tensor]:
        """Return the terms of the discriminators' loss, each for the models that have it."""
        inputs, models = torch.cat([real, fake], 1), self.embedded
        codes = network(inputs, self.discriminator, 0.2)
        losses = [method.discriminator_loss(*codes.split(BATCH, 1)), self.real_codes.loss(codes[:, :BATCH], warm)]
        if len(codes[models]):
            layers = [parameter[models] for parameter in self.discriminator]
            alpha, ripple, shift = (part[models] for part in noise)
            (x, x_fake), (c, c_fake) = inputs[models].split(BATCH, 1), codes[models].split(BATCH, 1)
            with torch.no_grad():
                near, near_fake = network(inputs[models] + shift, layers, 0.2).split(BATCH, 1)
            mixed = network(alpha * x + (1 - alpha) * x_fake, layers, 0.2)
            losses.append(method.locality_loss(c, near) + method.locality_loss(c_fake, near_fake))
            weight = self.lanes.each("isometry", 0)[models]
            losses.append(weight * method.isometry_loss(mixed, c, c_fake, alpha, ripple))
        if len(codes[self.smoothed]):
            x = real[self.smoothed].requires_grad_()
            scores = network(x, [parameter[self.smoothed] for parameter in self.discriminator], 0.2).mean(-1)
            losses.append(self.lanes.each("penalty", 0)[self.smoothed] * method.gradient_penalty(scores, x))
        return losses

    @torch.no_grad()
    def measure(self, arms: Sequence[str], latent: Tensor, real: Tensor) -> dict[str, Tensor]:
        """Return samples and log Ê of codes of arms that stand together: [A, S, ...].

        Each has the same latent and real points [S, ...].
        """
        first, seeds = list(self.lanes.arms).index(arms[0]), len(self.lanes.seeds)
        models = slice(first * seeds, (first + len(arms)) * seeds)
        samples = network(latent.repeat(len(arms), 1, 1), [p[models] for p in self.generator], 0.0)
        inputs = torch.cat([real.repeat(len(arms), 1, 1), samples[:, :PROBES]], 1)
        codes = network(inputs, [p[models] for p in self.discriminator], 0.2).split(PROBES, 1)
        found = {"samples": samples, "real_entropy": log_entropy(codes[0]), "fake_entropy": log_entropy(codes[1])}
        return {name: values.unflatten(0, (len(arms), seeds)) for name, values in found.items()}


def _slopes(layers: Sequence[Tensor], losses: Sequence[Tensor]) -> None:
    """Give the layers the gradients of the sum of some losses."""
    for layer, gradient in zip(layers, torch.autograd.grad(torch.cat(list(losses)).sum(), layers), strict=True):
        layer.grad = gradient


Beginning = Generator[Tick, None, Training]
"""Ticks, and then a training."""


def cover(samples: Tensor, modes: Modes) -> dict[str, Tensor]:
    """Return how well samples [..., N, 2] cover the modes: [...]."""
    found = metrics.mode_coverage(samples, modes.centers, 3 * modes.deviation)
    return dict(zip(("covered", "quality", "divergence", "distance"), found, strict=True))


def latents(seeds: Seeds, purpose: str) -> Tensor:
    """Return Gaussian points for each seed: [S, N, 2]."""
    return torch.stack([torch.randn(LATENT, 2, generator=generator(seed, purpose)) for seed in seeds])


def ignorant(null: str, target: str, seeds: Seeds) -> Tensor:
    """Return points that know nothing of the modes: in the square that holds them, or around a circle [S, N, 2]."""
    if null == "uniform square":
        return (5 if target == "grid" else 6) * (torch.special.ndtr(latents(seeds, null)) - 0.5)
    return 2 * F.normalize(latents(seeds, null), dim=-1) + 0.5 * latents(seeds, "blur")


def begin(arms: Mapping[str, Arm], seeds: Seeds, knobs: Mapping[str, Any], modes: Modes) -> Beginning:
    """Return the training of some arms before its first step."""
    draws = []
    for seed in seeds:
        draws.append(draw(seed, knobs["steps"], modes))
        yield Tick(0)
    return Training(arms, seeds, knobs, [torch.stack(parts, 1) for parts in zip(*draws, strict=True)])


LINE = "arm seed step"

ENTROPY: Mapping[str, float | str] = {"real": 0.001, "fake": "strength"}
"""Settings of arms: the weights of the entropies of real and of generated codes."""

# fmt: off
STRENGTH = Knob(0.02, 0, 0.5, stops=(0, 0.002, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5), symbol="λ",
                help="weight of the entropy")
STEPS = Knob(1200, 20, 2400, 20, help="steps of the discriminator and of the generator")
COVERED = ("modes counted", "centers with at least half their fair share of samples near them", "modes", 0)
QUALITY = ("HQ", "share of samples within three standard deviations of a center")
# fmt: on


@dataclass(frozen=True)
class ModeCollapse(Experiment):
    """Train a generator that is twice as fast as its discriminator, with and without entropy of codes.

    Both are perceptrons with two hidden layers of 64 units; Adam, batches of 64, codes of 8 numbers. The discriminator
    of the tuned GAN is twice as fast as its generator. Trained arms of a seed share first weights, real points and all
    noise; the nulls are noise that was never trained.
    """

    # fmt: off
    strength: float = knob(replace(STRENGTH, tuned=tuned(0.02, (0.005, 0.02, 0.05, 0.1, 0.2), "validation")))
    rate_ratio: float = knob(0.5, stops=(0.125, 0.25, 0.5, 1, 2), symbol="r",
                             help="step size of the discriminator, for 1 of the generator")
    isometry: float = knob(0.003, stops=(0, 0.001, 0.003, 0.01, 0.1, 1), symbol="λ_Iso",
                           help="weight of DIsoMap: mixtures stay mixtures")
    memory: int = knob(128, stops=(0, 16, 64, 128, 512), symbol="Q",
                       help="remembered codes; 0 is the batch before only")
    target: str = knob("ring", choices=("ring", "grid", "one"), help="where the true samples lie")
    modes: int = knob(8, low=1, high=16, step=1, help="number of modes on the ring")
    steps: int = knob(STEPS)

    arms = {  # settings are weights of terms and step sizes; all but "before" name knobs or are given
        "GAN": Arm("baseline", ratio="rate_ratio"),
        "MEE": Arm("method", ratio="rate_ratio", isometry="isometry", **ENTROPY),
        "tuned GAN": Arm("rival", ratio=tuned(2, (0.25, 0.5, 1, 2, 4), "validation")),
        "GAN + R1": Arm("rival", ratio="rate_ratio", penalty=tuned(1, (0.1, 0.3, 1, 3), "validation")),
        "GAN + embedding": Arm("ablation", ratio="rate_ratio", isometry="isometry"),
        "entropy only": Arm("ablation", ratio="rate_ratio", fake="strength"),
        "official buffer": Arm("ablation", ratio="rate_ratio", isometry="isometry", **ENTROPY, before=1),
        "uniform square": Arm("null"),
        "blurred annulus": Arm("null"),
    }
    outputs = {
        "covered": Var(LINE, *COVERED),
        "quality": share(LINE, *QUALITY),
        "divergence": Var(LINE, "KL of shares", "divergence of the modes' shares from equal shares", "nats", low=0),
        "distance": Var(LINE, "distance", "mean distance of samples to the nearest center", low=0),
        "fake_entropy": Var(LINE, "generated", "log Ê of 64 codes of generated samples among 128 others"),
        "real_entropy": Var(LINE, "real", "log Ê of 64 codes of real samples among 128 others"),
        "entropy": Var("arm seed", "entropy", "nearest-neighbor estimate of 2000 samples after the last step", "nats"),
        "validation": Var("arm seed", "HQ × modes", "share times modes counted, of validation samples", "modes", 0),
        "samples": Var("arm step point plane", "samples", "generated points of the first seed"),
        "centers": Var("place plane", "centers", "centers of the true modes"),
    }
    views: ClassVar[tuple[View, ...]] = (
        View("Samples", tuple(
            Points(f"{arm}: all?", "samples", arm, crosses="centers", limits=(-3, 3))
            for arm in ("GAN", "MEE", "tuned GAN", "blurred annulus")
        ), columns=4, height=2.3),
        View("Modes and quality", (
            Scatter("How many modes, and how good?", "quality", "covered",
                    arms=("GAN", "MEE", "tuned GAN", "GAN + R1", "uniform square", "blurred annulus")),
            Scatter("Which part of MEE does it?", "quality", "covered",
                    arms=("GAN", "MEE", "GAN + embedding", "entropy only", "official buffer")),
        )),
        View("Over the steps", (
            Curves("How many modes?", ["covered"], ("GAN", "MEE", "tuned GAN", "GAN + R1")),
            Curves("How many samples near one?", ["quality"], ("GAN", "MEE", "tuned GAN", "GAN + R1"), "share, HQ"),
        )),
        View("Every arm", (
            Dots("How many modes are counted?", "covered"),
            Dots("Which share is near a center?", "quality"),
            Dots("How unequal are the modes' shares?", "divergence"),
            Dots("What is the entropy of samples?", "entropy"),
        )),
        View("Entropy of codes", tuple(
            Curves(f"{arm}: are its codes as spread as real ones?", ["fake_entropy", "real_entropy"], [arm], "log Ê")
            for arm in ("GAN", "MEE")
        )),
    )
    # fmt: on
    scaled = "images became points in the plane, deep networks became small perceptrons"
    headline = "quality"
    grid = {"strength": (0, 0.005, 0.02, 0.05, 0.5), "rate_ratio": (0.125, 0.25, 0.5, 1, 2)}
    smoke = {"steps": 20}
    equals_baseline = (({"strength": 0}, "entropy only"), ({"rate_ratio": 2}, "tuned GAN"))
    may_be_nan = ("fake_entropy", "real_entropy")  # nulls have no codes

    def axes(self) -> dict[str, Axis]:
        """Every 40th step and the last, and the points of the pictures."""
        step, places = Axis([*range(0, self.steps, 40), self.steps], label="step"), Modes.of(self.target, self.modes)
        points = {"point": Axis(range(FILM)), "plane": Axis(["x", "y"]), "place": Axis(range(len(places.centers)))}
        return {"step": step, **points}

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """Train arms and seeds side by side; two frames at every 40th step, of half the arms each."""
        modes, shown = Modes.of(self.target, self.modes), list(self.axes()["step"].values)
        yield Frame({}, {"centers": modes.centers})
        for null in (arm for arm in self.arms if self.arms[arm] == "null"):
            points = ignorant(null, self.target, seeds)
            found = {name: values.unsqueeze(-1) for name, values in cover(points, modes).items()}
            found["validation"] = (found["covered"] * found["quality"]).squeeze(-1)
            yield Frame({"arm": null}, {**found, "entropy": metrics.knn_entropy(points), "samples": points[:1, :FILM]})
        training = yield from begin({a: self.arms[a] for a in ORDER if a in self.arms}, seeds, self.settings(), modes)
        test, validation = latents(seeds, "probe latent"), latents(seeds, "validation latent")
        real = torch.stack([modes.sample((PROBES,), generator(seed, "probe")) for seed in seeds])
        arms = list(training.lanes.arms)
        half = -(-len(arms) // 2)
        for step in range(self.steps + 1):
            for some in filter(None, (arms[:half], arms[half:])) if step in shown else ():
                found = training.measure(some, test, real)
                samples = found["samples"]
                found |= {**cover(samples, modes), "samples": samples[:, 0, :FILM]}
                if step == self.steps:
                    held_out = cover(training.measure(some, validation, real)["samples"], modes)
                    found["validation"] = held_out["covered"] * held_out["quality"]
                    found["entropy"] = metrics.knn_entropy(samples, smallest=TWIN)
                yield Frame({"step": shown.index(step), "arm": some}, found)
            if step < self.steps:
                training.step(step)
                yield Tick((step + 1) / self.steps)


@dataclass(frozen=True)
class Estimators(Experiment):
    """Estimate entropies that are known exactly from nearest neighbors: the right way, and as MEE takes them."""

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

    def axes(self) -> dict[str, Axis]:
        """Four distributions and four numbers of points."""
        return {
            "distribution": Axis(list(self.distributions), label="four distributions"),
            "examples": Axis(self.counts, label="number of points N", log=True),
        }

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        """One frame for each distribution, number of points and seed."""
        places = list(np.ndindex(len(self.distributions), len(self.counts), len(seeds)))
        for done, (d, n, s) in enumerate(places, 1):
            name, count = list(self.distributions)[d], self.counts[n]
            points, exact = known(name, count, generator(seeds[s], f"{name} {count}"))
            found = metrics.knn_entropy(points), method.log_of_mean_entropy(points), metrics.knn_entropy(points, 4)
            yield Frame({"distribution": d, "examples": n, "seed": s}, {"error": [float(one) - exact for one in found]})
            yield Tick(done / len(places))


def known(name: str, count: int, draws: torch.Generator) -> tuple[Tensor, float]:
    """Draw points [count, D] of a distribution and return them with its exact entropy in nats."""
    if name == "ring":
        ring = Modes.of("ring")
        return ring.sample((count,), draws), ring.entropy
    if name == "square":
        return torch.rand(count, 2, generator=draws), 0.0
    dimensions = 8 if name == "8 dimensions" else 2
    points = torch.randn(count, dimensions, generator=draws)
    return points, dimensions / 2 * math.log(2 * math.pi * math.e)


EXPERIMENTS = (ModeCollapse, Estimators)
