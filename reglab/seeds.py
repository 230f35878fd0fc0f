"""The one source of randomness: a generator for each (seed, purpose)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import torch

Seeds = tuple[int, ...]


def as_seeds(seeds: int | Iterable[int]) -> Seeds:
    """Return the seeds as a tuple: `8` means 0 to 7, any other iterable of whole numbers is taken as it is.

    Raises `ValueError` for no seeds, negative or repeated seeds and for anything that is not a whole number.
    """
    if isinstance(seeds, bool) or (not isinstance(seeds, int | np.integer) and not isinstance(seeds, Iterable)):
        raise ValueError(f"seeds = {seeds!r}: give how many (1 or more) or a list of different whole numbers")
    if isinstance(seeds, int | np.integer):
        if seeds < 1:
            raise ValueError(f"seeds = {seeds}: at least 1 seed is needed")
        return tuple(range(int(seeds)))
    found = tuple(seeds)
    whole = all(isinstance(seed, int | np.integer) and not isinstance(seed, bool) and seed >= 0 for seed in found)
    if not found or not whole or len(set(found)) < len(found):
        raise ValueError(f"seeds = {found!r}: give how many (1 or more) or a list of different whole numbers")
    return tuple(int(seed) for seed in found)


def generator(seed: int, purpose: str) -> torch.Generator:
    """Return a fresh generator that depends on the seed and the purpose only, never on what else runs."""
    number = int.from_bytes(hashlib.sha256(f"{purpose}/{seed}".encode()).digest()[:7], "big")
    return torch.Generator().manual_seed(number)
