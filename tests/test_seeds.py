"""Seeds and their generators: what is a list of seeds, and what randomness depends on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reglab.seeds import as_seeds, generator


@given(st.integers(1, 200))
def test_a_number_of_seeds_counts_from_zero(count: int) -> None:
    assert as_seeds(count) == tuple(range(count))


@given(st.lists(st.integers(0, 10**6), min_size=1, unique=True))
def test_a_list_of_seeds_stays_as_it_is(seeds: list[int]) -> None:
    assert as_seeds(seeds) == as_seeds(np.array(seeds)) == as_seeds(iter(seeds)) == tuple(seeds)


@pytest.mark.parametrize("seeds", [0, -1, True, 1.5, None, [], [1, 1], "a", "12", [1.0], [-1], [True, 2], [0, None]])
def test_seeds_that_make_no_sense_are_refused(seeds: Any) -> None:
    with pytest.raises(ValueError, match=r"^seeds = .*(at least 1|how many)"):
        as_seeds(seeds)


def test_generators_depend_on_seed_and_purpose_only() -> None:
    def first(seed: int, purpose: str) -> float:
        return float(torch.rand(1, generator=generator(seed, purpose)))

    pairs = [(seed, purpose) for seed in range(50) for purpose in ("weights", "noise", "1/2", "2")]
    torch.manual_seed(3)
    before = [first(*pair) for pair in pairs]
    torch.manual_seed(4)
    assert before == [first(*pair) for pair in reversed(pairs)][::-1]
    assert len(set(before)) == len(pairs)


def test_generators_of_neighboring_seeds_are_independent() -> None:
    draws = torch.stack([torch.randn(4000, generator=generator(seed, "x")) for seed in range(6)])
    correlation = torch.corrcoef(draws) - torch.eye(6)
    assert correlation.abs().max() < 5 / math.sqrt(4000)
