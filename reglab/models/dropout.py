"""Dropout for many models at once, whose noise is drawn outside and handed in."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def noise(generators: Iterable[torch.Generator], *shape: int) -> Tensor:
    """Draw what decides which units are dropped, uniform in [0, 1), from each generator: [S, *shape].

    A generator for each seed, asked at every step, gives a seed the same draws whichever seeds are beside it. Arms of
    any rate share them: what a smaller rate drops, a larger one drops, too.
    """
    return torch.stack([torch.rand(*shape, generator=source) for source in generators])


def dropout(hidden: Tensor, noise: Tensor, rate: float | Tensor) -> Tensor:
    """Return m·h/(1-p), where m is 0 for a unit whose noise is below p, else 1 (inverted dropout): [..., N, D].

    The rate 0 ≤ p < 1 may be a number for each model, [M, 1, 1]. Noise [M, N, D] drops every unit of every example on
    its own, [M, N, 1] whole examples. With p = 0 this is h exactly; on average over the noise it always is.
    """
    return hidden * ((noise >= rate).to(hidden.dtype) / (1 - rate))
