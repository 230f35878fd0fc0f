"""Dropout with its noise handed in: worked numbers, the mean, one seed beside others, many models against torch."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from reglab.models.dropout import dropout, noise
from reglab.seeds import generator


def test_worked_numbers() -> None:
    hidden, drawn = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([0.0, 0.249, 0.25, 0.9])
    assert dropout(hidden.double(), drawn, 0.25).tolist() == pytest.approx([0, 0, 4, 4 / 0.75], abs=1e-12)


def test_without_a_rate_nothing_changes() -> None:
    hidden, drawn = torch.randn(2, 5, 7, generator=generator(0, "hidden")), noise([generator(0, "noise")], 5, 7)
    assert torch.equal(dropout(hidden, drawn, 0.0), hidden)
    rates = torch.tensor([0.0, 0.5]).reshape(2, 1, 1)
    both = dropout(hidden, drawn, rates)
    assert torch.equal(both[0], hidden[0])
    assert torch.equal(both[1], dropout(hidden[1:], drawn, 0.5)[0])


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_the_mean_over_the_noise_is_what_went_in(rate: float) -> None:
    count = 200_000
    found = dropout(torch.ones(count).double(), noise([generator(0, "noise")], count)[0], rate)
    assert found.unique().tolist() == pytest.approx([0, 1 / (1 - rate)])
    deviation = math.sqrt(rate / (1 - rate))  # of m/(1-p)
    assert abs(float(found.mean()) - 1) < 4 * deviation / math.sqrt(count)
    assert float(found.std()) == pytest.approx(deviation, rel=0.02)


def test_what_a_smaller_rate_drops_a_larger_one_drops_too() -> None:
    drawn = noise([generator(0, "noise")], 100, 10)
    little, much = (dropout(torch.ones(100, 10), drawn, rate) == 0 for rate in (0.2, 0.6))
    assert (much | ~little).all()
    assert int(much.sum()) > int(little.sum())


def test_a_seed_sees_the_same_noise_whichever_seeds_are_beside_it() -> None:
    alone, several = [generator(5, "noise")], [generator(seed, "noise") for seed in (3, 5)]
    for _ in range(3):
        one, both = noise(alone, 4, 6), noise(several, 4, 6)
        assert torch.equal(one[0], both[1])
        assert not torch.equal(both[0], both[1])
        assert both.shape == (2, 4, 6)


def test_value_and_gradient_are_those_of_torch_for_the_same_mask() -> None:
    hidden = torch.randn(3, 8, dtype=torch.float64, generator=generator(0, "hidden"))
    ours, theirs = hidden.clone().requires_grad_(), hidden.clone().requires_grad_()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = F.dropout(theirs, 0.3)
    found = dropout(ours, torch.where(expected == 0, 0.0, 1.0), 0.3)
    torch.testing.assert_close(found, expected, atol=1e-15, rtol=0)
    weights = torch.arange(24.0, dtype=torch.float64).reshape(3, 8)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-12, rtol=0)


def test_noise_per_example_drops_whole_examples() -> None:
    found = dropout(torch.ones(2, 50, 4), noise([generator(seed, "noise") for seed in (0, 1)], 50, 1), 0.5)
    assert torch.equal(found, found[..., :1].expand_as(found))
    assert found.unique().tolist() == [0, 2]
