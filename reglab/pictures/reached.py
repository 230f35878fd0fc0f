"""How far results have come along an axis while they grow: where there are numbers, and the last place of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr


def reached(values: xr.DataArray, axis: str, by_all: bool = False) -> np.ndarray:
    """Return the positions along an axis where something has a result, or everything (`by_all`)."""
    others = [dim for dim in values.dims if dim != axis]
    there = values.notnull()
    return np.flatnonzero((there.all(others) if by_all else there.any(others)).values)


def latest(values: xr.DataArray, *kept: str) -> tuple[xr.DataArray, str]:
    """Return values at the last position of their one further axis that has results, and that position in words.

    `kept` are the axes that stay. Without a further axis all is returned, with no words; without results the first
    position. Raises `ValueError` for more than one further axis, or one of names.
    """
    further = [str(dim) for dim in values.dims if dim not in kept]
    if not further:
        return values, ""
    if len(further) > 1:
        raise ValueError(f"{values.name}: one axis is left at most besides {kept}, found {further}")
    if values[further[0]].dtype == object:
        raise ValueError(f"{values.name}: name one of {list(values[further[0]].values)} along {further[0]!r}")
    positions = reached(values, further[0])
    last = int(positions[-1]) if len(positions) else 0
    axis = values[further[0]]
    return values.isel({further[0]: last}), f"{axis.attrs['long_name']} {axis.values[last]:g}"
