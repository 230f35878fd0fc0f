"""Estimates with their uncertainty: the one home of intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

RESAMPLES = 1000
"""So many times a bootstrap draws the seeds again."""


class Interval(NamedTuple):
    """An estimate with the lower and upper end of its 95 % interval (NaN where one run cannot give any)."""

    mean: float
    low: float
    high: float


def quantile(count: int) -> float:
    """Return by how many standard errors the 95 % interval of a mean of `count` values reaches out (Student's t)."""
    from scipy.special import stdtrit

    return float(stdtrit(count - 1, 0.975))


def mean_interval(
    values: np.ndarray | Sequence[float], axis: int = -1, ends: tuple[float, float] = (-math.inf, math.inf)
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, lower and upper end of the 95 % interval of the mean over seeds (Student's t).

    Student's t interval is exact for few seeds when the effect is normally distributed over seeds, which a bootstrap
    of eight values is not: it comes out too narrow. For paired arms the values are the differences seed by seed.
    The interval is cut at the `ends` of what is possible: no share is above 1. NaN for fewer than two values.
    """
    array = np.asarray(values, dtype=float)
    count = array.shape[axis]
    mean = array.mean(axis)
    if count < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    half = quantile(count) * array.std(axis, ddof=1) / math.sqrt(count)
    return mean, np.clip(mean - half, *ends), np.clip(mean + half, *ends)


def possible(attributes: Mapping[str, Any]) -> tuple[float, float]:
    """Return the ends of what a variable can be, as its attributes say them; infinite where there is none."""
    return attributes.get("low", -math.inf), attributes.get("high", math.inf)


def over_seeds(values: xr.DataArray) -> xr.DataArray:
    """Return the mean over seeds; what has no seeds as it is."""
    return values.mean("seed") if "seed" in values.dims else values


def bootstrap(effect: Callable[..., float], datasets: Sequence[xr.Dataset]) -> Interval:
    """Return one number from all seeds of some data sets, with its 95 % percentile interval over resampled seeds.

    A resample takes the same seeds of all data sets. Ends are NaN for one seed, and where one resample gives NaN.
    """
    found = float(effect(*datasets))
    count = datasets[0].sizes["seed"]
    if count < 2:
        return Interval(found, math.nan, math.nan)
    draws = np.random.default_rng(0).integers(count, size=(RESAMPLES, count))
    values = [float(effect(*(data.isel(seed=draw) for data in datasets))) for draw in draws]
    low, high = np.percentile(values, [2.5, 97.5])
    return Interval(found, float(low), float(high))
