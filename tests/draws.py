"""Random numbers and precise ones, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from reglab import experiment


def normal(seed: int, *shape: int) -> Tensor:
    """Draw standard normal numbers, float64, from a generator of their own."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@contextmanager
def twice_the_digits() -> Iterator[None]:
    """Let everything be computed in double precision, runs of experiments too."""
    torch.set_default_dtype(torch.float64)
    experiment.DTYPE = torch.float64
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)
        experiment.DTYPE = torch.float32
