"""What is kept of a run: the numbers that pictures and headline show, chosen once, for the file and for the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
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


def thin(data: xr.Dataset, kind: type[Experiment]) -> xr.Dataset:
    """Leave away from the results of a run, or from a whole grid, what no picture shows.

    Variables that neither views nor headline use go; arms that no picture of a variable shows become NaN, and so does
    all but the last position that has results of what is shown as one: dots and clouds. Curves keep all seeds at up to
    24 positions, evenly chosen (in the logarithm on a logarithmic axis), first and last among them; fewer, down to 8,
    where the whole grid would have too many numbers for a page. Clouds keep 200 points.
    All points of a grid are thinned alike, and what was thinned stays as it is.
    """
    wanted = {name: use for name, use in uses(kind).items() if name in data}
    data = data[list(wanted)].copy(deep=True)
    data = data.isel(_positions(data, kind, wanted))
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
    for dim in [str(dim) for dim in data.dims if dim not in ("arm", "seed", *kind.grid) and data[dim].dtype != object]:
        if all(use.cloud and dim in use.items for name, use in wanted.items() if dim in data[name].dims):
            size = data.sizes[dim]
            found[dim] = np.linspace(0, size - 1, min(POINTS, size)).round().astype(int)
        else:
            curves.append(dim)
    for most in range(POSITIONS, LEAST - 1, -2):
        found |= {dim: evenly(data[dim], most) for dim in curves}
        if _numbers(data, kind, wanted, found) <= NUMBERS:
            break
    return found


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
