"""Intervals: against SciPy and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from reglab import statistics


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20))
@settings(deadline=None)
def test_the_interval_is_scipy_s(values: list[float]) -> None:
    mean, low, high = statistics.mean_interval(values)
    assert float(mean) == pytest.approx(np.mean(values), abs=1e-9)
    error = scipy.stats.sem(values)
    if error > 1e-9:
        expected = scipy.stats.t.interval(0.95, len(values) - 1, np.mean(values), error)
        assert (float(low), float(high)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_intervals_run_along_any_axis() -> None:
    values = np.random.default_rng(0).normal(size=(5, 3))
    ours = np.array(statistics.mean_interval(values, axis=0))
    np.testing.assert_allclose(ours.T, [np.array(statistics.mean_interval(column)) for column in values.T])


def test_one_seed_gives_no_interval_and_nan_stays() -> None:
    mean, low, high = statistics.mean_interval(np.array([[3.0], [4.0]]))
    assert mean.tolist() == [3, 4] and np.isnan(low).all() and np.isnan(high).all()
    assert np.isnan(statistics.mean_interval([1.0, math.nan, 2.0])).all()


def test_the_interval_of_eight_normal_values_covers_the_mean_in_95_of_100_cases() -> None:
    trials = 10_000
    _, low, high = statistics.mean_interval(np.random.default_rng(1).normal(2, 3, size=(trials, 8)))
    covered = ((low < 2) & (high > 2)).mean()
    assert covered == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / trials))


def test_an_interval_is_cut_at_the_ends_of_what_is_possible() -> None:
    shares = np.array([[0.9, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.1], [0.4, 0.5, 0.5, 0.6]])
    mean, low, high = statistics.mean_interval(shares, ends=statistics.possible({"low": 0, "high": 1}))
    free = statistics.mean_interval(shares, ends=statistics.possible({}))
    np.testing.assert_allclose(mean, free[0])
    assert free[2][0] > 1 and high[0] == 1 and low[0] == free[1][0]
    assert free[1][1] < 0 and low[1] == 0 and high[1] == free[2][1]
    assert (low[2], high[2]) == (free[1][2], free[2][2])
