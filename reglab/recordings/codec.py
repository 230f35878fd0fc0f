"""Numbers as whole steps and back: the form in which a recording keeps them and a page gets them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from reglab.experiment import Experiment
from reglab.pictures.panel import uses

if TYPE_CHECKING:
    import xarray as xr

STEPS, CLOUD_STEPS = 2000, 400
"""In how many steps the usual span of a variable is divided, and that of clouds of points."""

MISSING = -(2**15)
"""Stands in the place of a step where there is no number."""

_LARGEST = 2**15 - 1


class Scale(NamedTuple):
    """What whole steps mean: a number is `offset + step * steps`; with `log`, its logarithm to base 10 is that.

    With `log`, a step below 0 is the number zero. `exact` where rounding changes nothing: whole numbers.
    """

    step: float
    offset: float
    log: bool = False
    exact: bool = False


def fit_scale(values: np.ndarray, log: bool, count: int) -> Scale:
    """Return the scale for the numbers of a variable: `count` steps over their usual span.

    The outer 0.5 % of the numbers on either side do not count for the span; with `log` it is that of the logarithms,
    unless there are negative numbers; zeros then lie one step below the smallest number. Otherwise zero is a whole
    step, so that it stays zero. No step is finer than what a number in double precision can tell apart.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Scale(1.0, 0.0)
    log = log and bool((finite >= 0).all() and (finite > 0).any())
    low, high = float(finite.min()), float(finite.max())
    if not log and high - low < _LARGEST and not (finite % 1).any():
        return Scale(1.0, low, exact=True)
    if log:
        finite = np.log10(finite[finite > 0])
        low, high = float(finite.min()), float(finite.max())
    usual = np.quantile(finite, [0.005, 0.995])
    span = float(usual[1] - usual[0]) or high - low or 1.0
    told_apart = 8 * float(np.finfo(float).eps) * max(abs(low), abs(high), float(log))
    step = max(span / count, (high - low) / (_LARGEST - 2), told_apart, float(np.finfo(float).tiny))
    return Scale(step, low if log else math.floor(low / step) * step, log)


def quantize(values: np.ndarray, scale: Scale) -> np.ndarray:
    """Return numbers as whole steps of a scale, int16, with `MISSING` where there is none."""
    if scale.log:
        with np.errstate(divide="ignore"):
            values = np.log10(values).clip(scale.offset - scale.step)
    steps = np.round((values - scale.offset) / scale.step)
    return np.where(np.isfinite(values), steps, MISSING).astype(np.int16)


def dequantize(steps: np.ndarray, scale: Scale) -> np.ndarray:
    """Return the numbers that whole steps mean, NaN where there is none."""
    numbers = scale.offset + scale.step * steps.astype(float)
    if scale.log:
        numbers = np.where(steps < 0, 0.0, 10.0**numbers)
    return np.where(steps == MISSING, np.nan, numbers)


# ------------------------------------------------------------------------------------------------------ whole grids


def encode(grid: xr.Dataset, kind: type[Experiment]) -> xr.Dataset:
    """Return a grid as it is stored: whole steps, with their scale in the attributes of each variable.

    Clouds of points are cut off a quarter beyond the `limits` of their picture. What is the same all along a knob stays
    at its first value only.
    """
    wanted, coded = uses(kind), grid.copy(deep=True)
    for name, values in grid.data_vars.items():
        use, numbers = wanted[str(name)], values.values
        if use.limits is not None:
            middle, half = sum(use.limits) / 2, 1.25 * (use.limits[1] - use.limits[0]) / 2
            numbers = numbers.clip(middle - half, middle + half)
        found = fit_scale(numbers, use.log, CLOUD_STEPS if use.cloud else STEPS)
        same = _same_along(values, tuple(kind.grid))
        steps = quantize(_once(values.copy(data=numbers), same).values, found)
        attributes = {**values.attrs, "scale_factor": found.step, "add_offset": found.offset}
        attributes["_FillValue"] = np.int16(MISSING)
        attributes["accuracy_log10" if found.log else "accuracy"] = 0.0 if found.exact else found.step / 2
        if found.log:
            attributes["stored"] = "log10"
        if same:
            attributes["same_along"] = json.dumps(same, ensure_ascii=False)
        coded[name] = (values.dims, steps, attributes)
    return coded


def spread(coded: xr.Dataset) -> xr.Dataset:
    """Return the whole steps of a stored grid, with what is the same along a knob at all its values."""
    steps = coded.copy(deep=True)
    for name, places in coded.coords.items():
        text = places.dtype.kind in "US"  # a run has objects there
        steps[name] = (places.dims, places.values.astype(object) if text else places.values, plain(places.attrs))
    for values in steps.data_vars.values():
        values.attrs = plain(values.attrs)
        for arm, knobs in json.loads(values.attrs.pop("same_along", "{}")).items():
            for knob in knobs:
                part = values.sel(arm=arm) if arm else values
                everywhere = part.isel({knob: [0] * part.sizes[knob]}).transpose(*part.dims).values
                values.loc[{"arm": arm} if arm else {}] = everywhere
    steps.attrs = plain(coded.attrs)
    return steps


def scale_of(steps: xr.DataArray) -> Scale:
    """Return the scale of a variable's whole steps, which `spread` gave."""
    known = steps.attrs
    log = known.get("stored") == "log10"
    return Scale(known["scale_factor"], known["add_offset"], log, known.get("accuracy") == 0)


def decode(steps: xr.Dataset) -> xr.Dataset:
    """Return the numbers that the whole steps of a grid mean; the arguments are what `spread` gives."""
    data = steps.copy()
    for name, values in steps.data_vars.items():
        of_numbers = {key: value for key, value in values.attrs.items() if key not in _OF_STEPS}
        data[name] = (values.dims, dequantize(values.values, scale_of(values)), of_numbers)
    return data


_OF_STEPS = ("scale_factor", "add_offset", "_FillValue", "stored")


def plain(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Return attributes with Python's own numbers."""
    return {str(key): value.item() if isinstance(value, np.generic) else value for key, value in attributes.items()}


def _same_along(values: xr.DataArray, knobs: tuple[str, ...]) -> dict[str, list[str]]:
    """Return along which knobs the values of each arm ("" for a variable without arms) are all the same."""
    found = {}
    for arm in values.arm.values.tolist() if "arm" in values.dims else [""]:
        part = values.sel(arm=arm) if arm else values
        same = []
        for knob in knobs:
            first = part.isel({knob: [0] * part.sizes[knob]}).transpose(*part.dims)
            if np.array_equal(first.values, part.values, equal_nan=True) and part.sizes[knob] > 1:
                same.append(knob)
        if same and part.notnull().any():
            found[arm] = same
    return found


def _once(values: xr.DataArray, same: Mapping[str, list[str]]) -> xr.DataArray:
    """Keep what is the same along a knob at its first value only; the rest becomes NaN and packs to nothing."""
    values = values.copy(deep=True)
    for arm, knobs in same.items():
        for knob in knobs:
            chosen = {"arm": arm} if arm else {}
            later = {knob: values[knob].values[1:]}
            values.loc[{**chosen, **later}] = np.nan
    return values
