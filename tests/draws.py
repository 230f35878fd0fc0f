"""Random numbers for tests."""

from __future__ import annotations

import torch
from torch import Tensor


def normal(seed: int, *shape: int) -> Tensor:
    """Draw standard normal numbers, float64, from a generator of their own."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
