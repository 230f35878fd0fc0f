"""What is kept of a run: the numbers that pictures and headline show, chosen once, for the file and for the page."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from reglab.experiment import Experiment
from reglab.pictures.panel import Use, uses
from reglab.pictures.reached import latest

if TYPE_CHECKING:
    import xarray as xr

POSITIONS, LEAST = 24, 8
"""At most so many positions of a curve are kept; where the numbers are too many for a page fewer, but so many."""

POINTS = 200
"""At most so many points of a cloud are kept."""

NUMBERS = 105_000
"""About so many numbers travel with an experiment, counted from what it declares, as if no number were missing."""


def thin(data: xr.Dataset, kind: type[Experiment], like: xr.Dataset | None = None) -> xr.Dataset:
    """Leave away from the results of a run, or from a whole grid, what no picture shows.

    Variables that neither views nor headline use go; arms that no picture of a variable shows become NaN, and so does
    all but the last position that has results of what is shown as one: dots and clouds. Curves keep all seeds at up to
    24 positions, first and last among them, more of them where curves bend (`bending`); fewer, down to 8, where the
    whole grid would have too many numbers for a page. Clouds keep 200 points.
    All points of a grid are thinned `like` the first one that was; what was thinned stays as it is.
    Raises `KeyError` for positions of that one that the results do not have.
    """
    wanted = {name: use for name, use in uses(kind).items() if name in data}
    data = data[list(wanted)].copy(deep=True)
    if like is None:
        data = data.isel(_positions(data, kind, wanted))
    else:
        data = data.sel({dim: like[dim].values for dim in _numbered(data, kind)})
    for name, use in wanted.items():
        values = data[name]
        if "arm" in values.dims:
            values = values.where(values.arm.isin(list(use.arms)))
        for axis in _ending(values, kind, use):
            last = latest(values, *(str(dim) for dim in values.dims if dim != axis))[0]
            values = values.where(values[axis] == last[axis])
        data[name].values[:] = values.transpose(*data[name].dims).values
    return data


def whole(use: Use) -> bool:
    """Tell whether a picture shows all along the axes of a variable, not only the last position that has results."""
    return use.whole and not use.cloud


def _ending(values: xr.DataArray, kind: type[Experiment], use: Use) -> list[str]:
    """Return the axis of a variable along which only the last position with results is shown, if there is one."""
    known = {"arm", "seed", *kind.grid, *use.items}
    further = [str(dim) for dim in values.dims if dim not in known and values[dim].dtype != object]
    return further if len(further) == 1 and not whole(use) else []


def _positions(data: xr.Dataset, kind: type[Experiment], wanted: Mapping[str, Use]) -> dict[str, np.ndarray]:
    """Return which positions along each axis of numbers are kept."""
    found, curves = {}, []
    for dim in _numbered(data, kind):
        if all(use.cloud and dim in use.items for name, use in wanted.items() if dim in data[name].dims):
            size = data.sizes[dim]
            found[dim] = np.linspace(0, size - 1, min(POINTS, size)).round().astype(int)
        else:
            curves.append(dim)
    for most in range(POSITIONS, LEAST - 1, -2):
        found |= {dim: bending(data[dim], most, *_drawn(data, dim, wanted)) for dim in curves}
        if _numbers(data, kind, wanted, found) <= NUMBERS:
            break
    return found


def _numbered(data: xr.Dataset, kind: type[Experiment]) -> list[str]:
    """Return the axes along which there are numbers."""
    return [str(dim) for dim in data.dims if dim not in ("arm", "seed", *kind.grid) and data[dim].dtype != object]


def _drawn(data: xr.Dataset, dim: str, wanted: Mapping[str, Use]) -> tuple[np.ndarray, np.ndarray]:
    """Return the means that pictures show along an axis, and twice their standard errors; [curves, positions] each.

    Both are shares of the span of their variable; curves with gaps are left out.
    """
    found = [np.zeros((2, 0, data.sizes[dim]))]
    for name, use in wanted.items():
        values = data[name]
        if dim not in values.dims or not use.shown or not whole(use):
            continue
        values = values.isel(arm=values.arm.isin(list(use.arms))) if "arm" in values.dims else values
        seeds = values if "seed" in values.dims else values.expand_dims("seed")
        rows = seeds.transpose("seed", ..., dim).values.reshape(seeds.sizes["seed"], -1, data.sizes[dim])
        rows = np.log10(np.where(rows > 0, rows, np.nan)) if use.log else rows
        rows = rows[:, np.isfinite(rows).all((0, 2))]
        means, errors = rows.mean(0), 2 * rows.std(0) / max(1, len(rows) - 1) ** 0.5
        found.append(np.stack([means, errors]) / (np.ptp(means) if means.size and np.ptp(means) else 1))
    means, errors = np.concatenate(found, 1)
    return means, errors


def _numbers(
    data: xr.Dataset, kind: type[Experiment], wanted: Mapping[str, Use], positions: Mapping[str, np.ndarray]
) -> int:
    """Return how many numbers the pictures of the whole grid show, if none is missing.

    What a run happens to have does not count: every point of a grid, with whichever arms, finds the same number.
    """
    total = 0
    for name, use in wanted.items():
        sizes = {str(dim): len(positions.get(str(dim), range(size))) for dim, size in data[name].sizes.items()}
        sizes |= {dim: 1 for dim in (*kind.grid, *_ending(data[name], kind, use))}
        if "arm" in sizes:
            sizes["arm"] = len(use.arms)
        total += math.prod(sizes.values()) if use.shown else 0
    return total * math.prod(len(values) for values in kind.grid.values())


def bending(axis: xr.DataArray, most: int, curves: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Return at most so many positions along an axis, half of them evenly spread and the others where curves bend.

    One after the other is added that brings the straight strokes between neighbors nearest to the curves, in squares
    of what is beyond their `errors`, [curves, positions] each; where nothing is, the middle of the widest gap. On a
    logarithmic axis strokes are straight in the logarithm.
    """
    if axis.size <= most:
        return np.arange(axis.size)
    scale = axis.values.astype(float)
    scale = np.log(np.maximum(scale, scale[scale > 0].min() / 2)) if axis.attrs.get("log") else scale

    @functools.cache
    def missed(i: int, j: int) -> float:
        part, share = curves[:, i : j + 1], (scale[i : j + 1] - scale[i]) / (scale[j] - scale[i])
        off = np.abs(part - part[:, :1] - share * (part[:, -1:] - part[:, :1])) - errors[:, i : j + 1]
        return float(np.square(off.clip(0)).sum())

    def gain(i: int, k: int, j: int) -> tuple[float, float]:
        return missed(i, j) - missed(i, k) - missed(k, j), min(scale[k] - scale[i], scale[j] - scale[k])

    chosen = evenly(axis, max(3, most // 2)).tolist()
    while len(chosen) < most:
        gains = {k: gain(i, k, j) for i, j in pairwise(chosen) for k in range(i + 1, j)}
        chosen = sorted([*chosen, max(gains, key=lambda k: gains[k])])
    return np.array(chosen)


def evenly(axis: xr.DataArray, most: int) -> np.ndarray:
    """Return at most so many positions along an axis, first and last among them, about evenly spread over its values.

    On a logarithmic axis they are evenly spread in the logarithm, beside a first value that has none.
    """
    values = axis.values.astype(float)
    if len(values) <= most:
        return np.arange(len(values))
    first = int(np.argmax(values > 0)) if axis.attrs.get("log") else 0
    scale = np.log(values[first:]) if axis.attrs.get("log") else values
    targets = np.linspace(scale[0], scale[-1], most - (first > 0))
    nearest = first + np.abs(scale[:, None] - targets).argmin(0)
    return np.unique([0, *nearest])
