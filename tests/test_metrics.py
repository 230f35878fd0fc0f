"""Measures against scikit-learn and NumPy."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from reglab import metrics

SEED = st.integers(0, 2**31)


def source(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_accuracy_is_scikit_learn_s(seed: int) -> None:
    logits = torch.randn(2, 3, 17, 4, generator=source(seed))
    labels = torch.randint(4, (3, 17), generator=source(seed))
    found = metrics.accuracy(logits, labels)
    assert found.shape == (2, 3)
    for arm in range(2):
        for s in range(3):
            expected = accuracy_score(labels[s], logits[arm, s].argmax(-1))
            np.testing.assert_allclose(found[arm, s], expected, atol=1e-6)


@given(SEED)
@settings(max_examples=20, deadline=None)
def test_masked_means_are_numpy_s(seed: int) -> None:
    values = torch.randn(2, 3, 9, generator=source(seed), dtype=torch.float64)
    mask = torch.rand(3, 9, generator=source(seed + 1)) < 0.5
    masked = np.ma.array(values, mask=np.broadcast_to(~mask.numpy(), values.shape))
    np.testing.assert_allclose(metrics.mean_where(values, mask), masked.mean(-1).filled(np.nan), atol=1e-12)
    shares = np.ma.array(values > 0, mask=masked.mask).mean(-1).filled(np.nan)
    np.testing.assert_allclose(metrics.share_where(values > 0, mask), shares, atol=1e-6)


def test_the_mean_over_nothing_is_not_a_number() -> None:
    nothing = torch.zeros(4, dtype=torch.bool)
    assert metrics.mean_where(torch.ones(4), nothing).isnan()
    assert metrics.share_where(torch.ones(4, dtype=torch.bool), nothing).isnan()


def test_what_is_masked_does_not_count_even_if_it_is_not_a_number() -> None:
    values = torch.tensor([1.0, torch.nan, 3.0, torch.inf])
    assert metrics.mean_where(values, torch.tensor([True, False, True, False])) == 2
