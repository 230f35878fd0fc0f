"""Small transformers for many seeds at once: pure functions of a plain dict of weights, and their pretraining.

Every tensor has a leading axis of S seeds; one with S = 1 (frozen pretrained weights, shared data) broadcasts against
the others. Matrices are stored as (inputs, outputs). The only hook that an adapter or a mask needs is the linear map:
each function takes `linear`, which computes the map of a name, and calls it for every matrix that may be adapted.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from reglab.models import replicas
from reglab.seeds import generator

Weights = dict[str, Tensor]
"""A model: a tensor [S, ...] for each name."""

Linear = Callable[[Weights, str, Tensor], Tensor]
"""Computes a linear map by its name: (weights, name, hidden [S, ..., inputs]) -> [S, ..., outputs]."""

WIDTH, HEADS, HIDDEN = 48, 4, 96
"""Width of a token, heads of an attention, width of the layer between `u` and `d`."""

BLOCK = ("q", "k", "v", "o", "u", "d")
"""The linear maps of a block: queries, keys, values, output of the attention, up and down."""


# ---------------------------------------------------------------------------------------------------- the forward pass


def product(hidden: Tensor, matrix: Tensor) -> Tensor:
    """Multiply every token by its seed's matrix: [S, ..., inputs], [S, inputs, outputs] -> [S, ..., outputs]."""
    flat = hidden.reshape(len(hidden), -1, hidden.shape[-1]) @ matrix
    return flat.reshape(len(flat), *hidden.shape[1:-1], matrix.shape[-1])


def linear(weights: Weights, name: str, hidden: Tensor) -> Tensor:
    """Return hidden · W + b for the map of this name, or hidden · W: [S, ..., inputs] -> [S, ..., outputs]."""
    mapped, bias = product(hidden, weights[f"{name}.weight"]), weights.get(f"{name}.bias")
    return mapped if bias is None else mapped + _per_token(bias, mapped)


def norm(weights: Weights, name: str, hidden: Tensor) -> Tensor:
    """Return the layer norm over the last axis (ε = 1e-5), with gain and bias: [S, ..., d] -> [S, ..., d]."""
    scaled = F.layer_norm(hidden, hidden.shape[-1:])
    return scaled * _per_token(weights[f"{name}.gain"], scaled) + _per_token(weights[f"{name}.bias"], scaled)


def attention(weights: Weights, name: str, hidden: Tensor, linear: Linear = linear, causal: bool = False) -> Tensor:
    """Return multi-head self-attention, softmax(q kᵀ/√(d/H)) v, then `o`: [S, N, T, d] -> [S, N, T, d].

    With `causal` a token sees itself and earlier ones only.
    """
    q, k, v = (
        linear(weights, f"{name}.{part}", hidden).unflatten(-1, (HEADS, -1)).transpose(-3, -2) for part in BLOCK[:3]
    )
    scores = q @ k.mT / math.sqrt(q.shape[-1])  # [S, N, H, T, T]
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    mixed = (scores.softmax(-1) @ v).transpose(-3, -2).flatten(-2)
    return linear(weights, f"{name}.o", mixed)


def block(weights: Weights, name: str, hidden: Tensor, linear: Linear = linear, causal: bool = False) -> Tensor:
    """Return x + attention(norm1(x)) and to that d(gelu(u(norm2(·)))): [S, N, T, d] -> [S, N, T, d]."""
    hidden = hidden + attention(weights, name, norm(weights, f"{name}.norm1", hidden), linear, causal)
    inner = F.gelu(linear(weights, f"{name}.u", norm(weights, f"{name}.norm2", hidden)))
    return hidden + linear(weights, f"{name}.d", inner)


def _per_token(vector: Tensor, like: Tensor) -> Tensor:
    """Shape a vector per seed [S, d] so that it broadcasts against tokens [S, ..., d]."""
    return vector.reshape(len(vector), *[1] * (like.dim() - 2), -1)


# --------------------------------------------------------------------------------------------------------- pretraining


class Start(NamedTuple):
    """The first values of a tensor: its shape without the axis of seeds, normal with this mean and deviation."""

    shape: tuple[int, ...]
    deviation: float = 0.0
    mean: float = 0.0


def start_linear(name: str, inputs: int, outputs: int, shrink: float = 1.0, bias: bool = True) -> dict[str, Start]:
    """Return how a linear map starts: weights of variance 1/inputs, divided by `shrink`²; biases at zero."""
    start = {f"{name}.weight": Start((inputs, outputs), inputs**-0.5 / shrink)}
    return start | {f"{name}.bias": Start((outputs,))} if bias else start


def start_norm(name: str) -> dict[str, Start]:
    """Return how a layer norm starts: gain 1, bias 0."""
    return {f"{name}.gain": Start((WIDTH,), mean=1.0), f"{name}.bias": Start((WIDTH,))}


def start_blocks(name: str, blocks: int) -> dict[str, Start]:
    """Return how the blocks `name.0`, `name.1`, ... start; what is added to the stream is divided by √(2·blocks)."""
    start: dict[str, Start] = {}
    for one in (f"{name}.{number}" for number in range(blocks)):
        for part in BLOCK:
            inputs, outputs = {"u": (WIDTH, HIDDEN), "d": (HIDDEN, WIDTH)}.get(part, (WIDTH, WIDTH))
            shrink = math.sqrt(2 * blocks) if part in ("o", "d") else 1.0
            start |= start_linear(f"{one}.{part}", inputs, outputs, shrink)
        start |= start_norm(f"{one}.norm1") | start_norm(f"{one}.norm2")
    return start


@dataclass(frozen=True)
class Recipe(ABC):
    """How a tiny model is pretrained: AdamW, a warm-up, then a cosine down to a floor, gradients clipped per seed.

    A model is a subclass that says how its weights start, what a batch and its loss are, and how good it must become.
    """

    name: ClassVar[str]
    start: ClassVar[Mapping[str, Start]]
    targets: ClassVar[Mapping[str, float]]
    """The least value of some figures of `quality`."""
    version: ClassVar[int] = 1
    """Raised by one when code changes what is trained, so that older checkpoints are told apart."""

    steps: int
    batch: int
    learning_rate: float
    warmup: int
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.01
    floor: float = 0.02
    clip: float = 1.0

    @abstractmethod
    def draw(self, source: torch.Generator) -> tuple[Tensor, ...]:
        """Draw one batch for one seed, with `batch` examples along the first axis of each tensor."""

    @abstractmethod
    def losses(self, weights: Weights, *batch: Tensor) -> Tensor:
        """Return the loss of every seed on its own batch [S, N, ...] each: [S]."""

    @abstractmethod
    def quality(self, weights: Weights) -> dict[str, Tensor]:
        """Measure what the model can do, on examples that it has not been trained on: [S] each, in [0, 1]."""

    def describe(self) -> dict[str, Any]:
        """Return the recipe as plain values that JSON can hold."""
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}
        return {"name": self.name, "version": self.version, **values}

    def initial(self, seeds: Sequence[int]) -> Weights:
        """Draw the first weights of every seed, the same whichever seeds are beside it: [S, ...] each."""
        return {
            name: torch.stack(
                [
                    torch.randn(start.shape, generator=generator(seed, f"{self.name}: {name}")) * start.deviation
                    + start.mean
                    for seed in seeds
                ]
            )
            for name, start in self.start.items()
        }

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * max(self.floor, (1 + math.cos(math.pi * done)) / 2)

    def training(self, seeds: Sequence[int]) -> Iterator[tuple[Weights, Tensor]]:
        """Pretrain all seeds side by side; yields the weights and the losses [S] of every step, `steps` times.

        The weights are the same dict all the time and go on changing. All randomness is that of
        `generator(seed, purpose)`, so a seed gives the same weights whichever seeds are beside it (up to rounding).
        """
        weights = {name: value.requires_grad_() for name, value in self.initial(seeds).items()}
        optimizer = torch.optim.AdamW(
            weights.values(), self.learning_rate, betas=self.betas, weight_decay=self.weight_decay
        )
        sources = [generator(seed, f"{self.name}: batches") for seed in seeds]
        for step in range(self.steps):
            batch = [torch.stack(parts) for parts in zip(*map(self.draw, sources), strict=True)]
            losses = self.losses(weights, *batch)
            optimizer.zero_grad()
            losses.sum().backward()
            replicas.clip_gradients(weights.values(), self.clip)
            for group in optimizer.param_groups:
                group["lr"] = self.rate(step)
            optimizer.step()
            yield weights, losses.detach()

    def train(self, seeds: Sequence[int], progress: Callable[[float], object] = lambda fraction: None) -> Weights:
        """Pretrain all seeds and return their weights, frozen: [S, ...] each."""
        trained: Weights = {}
        for step, (weights, _) in enumerate(self.training(seeds), 1):
            trained = weights
            progress(step / self.steps)
        return {name: value.detach() for name, value in trained.items()}
