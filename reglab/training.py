"""Many models trained as one: lanes of arms and seeds, batches, and the loop that reports how far it is.

A paper with a loop of its own uses `Lanes` and `within` only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from reglab import data
from reglab.knobs import Arm
from reglab.models import replicas
from reglab.results import Frame, Tick
from reglab.seeds import Seeds, generator

PAUSE = 0.02
"""Seconds of work after which a loop yields a tick."""

Batch = TypeVar("Batch")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Lanes:
    """Arms x seeds as one batch of M = A·S models: model m = arm · S + seed. `knobs` are the values of all knobs."""

    arms: Mapping[str, Arm]
    seeds: Seeds
    knobs: Mapping[str, Any]

    def __len__(self) -> int:
        """Return how many models there are, M."""
        return len(self.arms) * len(self.seeds)

    def each(self, setting: str, dims: int = 2, dtype: torch.dtype | None = None) -> Tensor:
        """Return a setting of the arms as one number for each model, 0 for an arm without it: [M, 1, 1].

        It has `dims` trailing axes of length 1, so that it multiplies [M, ...]; 0 gives [M].
        """
        numbers = [float(arm.value(setting, self.knobs)) for arm in self.arms.values()]
        values = torch.tensor(numbers, dtype=dtype)
        return values.repeat_interleave(len(self.seeds)).reshape(-1, *[1] * dims)

    def split(self, values: Tensor) -> Tensor:
        """Return what belongs to the models by arm and seed: [M, ...] -> [A, S, ...]."""
        return values.unflatten(0, (len(self.arms), len(self.seeds)))

    def repeat(self, values: Tensor) -> Tensor:
        """Return what belongs to the seeds once for each arm: [S, ...] -> [M, ...]."""
        return values.repeat(len(self.arms), *[1] * (values.dim() - 1))

    def pick(self, values: Tensor, index: Tensor) -> Tensor:
        """Return the examples of a batch [S, B] from what belongs to the seeds: [S, N, ...] -> [M, B, ...]."""
        return self.repeat(values[torch.arange(len(index)).unsqueeze(1), index])

    def generators(self, purpose: str) -> list[torch.Generator]:
        """Return a fresh generator for each seed."""
        return [generator(seed, purpose) for seed in self.seeds]


def minibatches(lanes: Lanes, examples: int, size: int) -> Callable[[int], Tensor]:
    """Return what gives the batches of an epoch, the same for all arms: indices of examples [steps, S, size].

    The last batch of an epoch is left out when it would be smaller than `size`.
    """
    return lambda epoch: data.batches(lanes.seeds, examples, size, epoch)


def fit(
    optimizer: torch.optim.Optimizer,
    losses: Callable[[Batch], Tensor],
    batches: Callable[[int], Sequence[Batch] | Tensor],
    measure: Callable[[int], Frame],
    *,
    epochs: int,
    rates: Tensor | None = None,
) -> Iterator[Frame | Tick]:
    """Train M models by the sum of their losses; yield a frame before training and after each epoch, and ticks.

    `batches(epoch)` gives the batches of epochs 1 to `epochs`, `losses(batch)` the loss of each model [M], and
    `measure(epoch)`, called without gradients, the frame of epochs 0 to `epochs`. `rates` [M] are learning rates of
    the single models, for an optimizer with `lr=1`, see `replicas.step`.
    """
    with torch.no_grad():
        found = measure(0)
    yield found
    before = time.perf_counter()
    for epoch in range(1, epochs + 1):
        several = batches(epoch)
        for step, batch in enumerate(several):
            optimizer.zero_grad()
            losses(batch).sum().backward()
            if rates is None:
                optimizer.step()
            else:
                replicas.step(optimizer, rates)
            if time.perf_counter() - before > PAUSE:
                yield Tick((epoch - 1 + (step + 1) / len(several)) / epochs)
                before = time.perf_counter()
        with torch.no_grad():
            found = measure(epoch)
        yield Tick(epoch / epochs)
        yield found


def within(
    events: Generator[Frame | Tick, None, Result] | Iterator[Frame | Tick], start: float, end: float
) -> Generator[Frame | Tick, None, Result]:
    """Pass on frames and ticks of a part of a run, whose progress from 0 to 1 is that from `start` to `end` of the run.

    Returns what the part returns.
    """
    passing = iter(events)
    while True:
        try:
            event = next(passing)
        except StopIteration as stop:
            return stop.value
        yield Tick(start + (end - start) * event.fraction) if isinstance(event, Tick) else event
