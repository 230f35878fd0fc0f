"""Splits, label noise and batches: what each promises about its randomness."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from reglab import data
from reglab.seeds import generator


def test_digits_are_split_and_standardized() -> None:
    split = data.digits((0, 7), train=1000)
    assert split.train_inputs.shape == (2, 1000, 64) and split.test_inputs.shape == (2, 797, 64)
    assert split.train_labels.shape == (2, 1000) and split.test_labels.shape == (2, 797)
    assert split.train_inputs.dtype == torch.float32 and split.train_labels.dtype == torch.int64
    for s in range(2):
        assert float(split.train_inputs[s].mean()) == pytest.approx(0, abs=1e-5)
        assert float(split.train_inputs[s].std()) == pytest.approx(1, abs=1e-5)
    assert not torch.equal(split.train_inputs[0], split.train_inputs[1])


def test_every_digit_is_in_train_or_test_once_with_its_label() -> None:
    split = data.digits((2,), train=600)
    images, labels = load_digits(return_X_y=True)
    inputs = torch.cat([split.train_inputs, split.test_inputs], 1)[0].double().numpy()
    found = torch.cat([split.train_labels, split.test_labels], 1)[0].numpy()
    low, high = inputs.min(), inputs.max()
    pixels = ((inputs - low) / (high - low) * 16).round()
    ours = sorted((*row, label) for row, label in zip(pixels.tolist(), found.tolist(), strict=True))
    assert ours == sorted((*row, label) for row, label in zip(images.tolist(), labels.tolist(), strict=True))


@pytest.mark.parametrize("beside", [(3,), (1, 3), (3, 0, 8)])
def test_a_seed_sees_the_same_whichever_seeds_run_beside_it(beside: tuple[int, ...]) -> None:
    alone, together, at = data.digits((3,)), data.digits(beside), beside.index(3)
    assert torch.equal(alone.train_inputs[0], together.train_inputs[at])
    assert torch.equal(alone.test_labels[0], together.test_labels[at])
    noisy = data.symmetric_noise(alone.train_labels, 0.4, 10, (3,))
    assert torch.equal(noisy[0], data.symmetric_noise(together.train_labels, 0.4, 10, beside)[at])
    assert torch.equal(data.batches((3,), 100, 20, 1)[:, 0], data.batches(beside, 100, 20, 1)[:, at])


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_more_noise_contains_less_noise(a: float, b: float, seed: int) -> None:
    labels = torch.zeros(1, 60, dtype=torch.int64)
    less, more = (data.symmetric_noise(labels, rate, 10, (seed,)) for rate in sorted((a, b)))
    assert (more[less != labels] == less[less != labels]).all()
    assert int((more != labels).sum()) <= round(max(a, b) * 60)


def test_noise_leaves_its_input_and_no_noise_leaves_the_labels() -> None:
    labels = torch.arange(50).remainder(10).repeat(2, 1)
    assert torch.equal(data.symmetric_noise(labels, 0, 10, (0, 1)), labels)
    noisy = data.symmetric_noise(labels, 1.0, 10, (0, 1))
    assert torch.equal(labels, torch.arange(50).remainder(10).repeat(2, 1))
    assert not torch.equal(noisy[0], noisy[1])


@pytest.mark.parametrize(("rate", "classes"), [(0.4, 10), (0.8, 10), (0.5, 2)])
def test_the_share_of_wrong_labels(rate: float, classes: int) -> None:
    seeds = tuple(range(40))
    labels = torch.arange(1000).remainder(classes).repeat(len(seeds), 1)
    noisy = data.symmetric_noise(labels, rate, classes, seeds)
    assert noisy.min() == 0 and noisy.max() == classes - 1
    expected = rate * (classes - 1) / classes
    spread = math.sqrt(rate * (classes - 1) / classes**2 / labels.numel())
    assert float((noisy != labels).double().mean()) == pytest.approx(expected, abs=4 * spread)


def test_an_epoch_shows_each_example_at_most_once() -> None:
    order = data.batches((0, 5), 103, 20, epoch=4)
    assert order.shape == (5, 2, 20)
    for s in range(2):
        seen = order[:, s].flatten().tolist()
        assert len(set(seen)) == 100 and set(seen) <= set(range(103))
    assert not torch.equal(order, data.batches((0, 5), 103, 20, epoch=5))
    assert not torch.equal(order[:, 0], order[:, 1])


def test_normal_numbers_do_not_depend_on_the_seeds_beside_them() -> None:
    drawn = data.normal((3, 7), "weights", 4, 2)
    assert drawn.shape == (2, 4, 2) and drawn.dtype == torch.float64
    assert torch.equal(data.normal((7,), "weights", 4, 2)[0], drawn[1])
    assert torch.equal(drawn[0], torch.randn(4, 2, generator=generator(3, "weights"), dtype=torch.float64))
    assert not torch.equal(data.normal((3,), "inputs", 4, 2)[0], drawn[0])
