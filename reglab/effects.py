"""Effects: what a claim measures of results, as values that can be subtracted, divided and compared by their digest.

`end("accuracy", "ELR") - end("accuracy", "cross-entropy")` is called with a data set and gives one number per seed.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from reglab.statistics import possible

if TYPE_CHECKING:
    import xarray as xr

OPERATORS = {"-": operator.sub, "/": operator.truediv}


class Effect:
    """A number for each seed, read from the data sets of a claim."""

    def __call__(self, *runs: xr.Dataset) -> xr.DataArray:
        """Return the effect: [seed]."""
        raise NotImplementedError

    def ends(self, results: xr.Dataset) -> tuple[float, float]:
        """Return the ends of what the effect can be, as the results say them; infinite where they are not known."""
        return -math.inf, math.inf

    def __sub__(self, other: Effect | float) -> Effect:
        return Combined("-", self, other)

    def __truediv__(self, other: Effect | float) -> Effect:
        return Combined("/", self, other)

    def __neg__(self) -> Effect:
        return Combined("-", 0, self)


@dataclass(frozen=True)
class Combined(Effect):
    """The difference or the ratio of two effects, or of an effect and a number."""

    how: Literal["-", "/"]
    left: Effect | float
    right: Effect | float

    def __call__(self, *runs: xr.Dataset) -> xr.DataArray:
        """Return the effect: [seed]."""
        left, right = (one(*runs) if isinstance(one, Effect) else one for one in (self.left, self.right))
        return OPERATORS[self.how](left, right)

    def ends(self, results: xr.Dataset) -> tuple[float, float]:
        """Return the ends of what the effect can be: no ratio of two that are never negative is below 0."""
        parts = [one for one in (self.left, self.right) if isinstance(one, Effect)]
        if self.how == "/" and len(parts) == 2 and all(one.ends(results)[0] >= 0 for one in parts):
            return 0, math.inf
        return super().ends(results)


@dataclass(frozen=True)
class Reading(Effect):
    """A variable of one arm at some positions, then `how` it is taken along the axis that is left beside the seed.

    Without an axis left, it is the number itself. One NaN on the way makes the effect NaN.
    """

    how: Literal["end", "peak", "late"]
    variable: str
    arm: str = ""
    at: tuple[tuple[str, Any], ...] = ()

    def __call__(self, *runs: xr.Dataset) -> xr.DataArray:
        """Return the effect of one run: [seed]; raises `ValueError` where more than one axis is left."""
        (results,) = runs
        values = results[self.variable].sel({**({"arm": self.arm} if self.arm else {}), **dict(self.at)})
        left = [str(dim) for dim in values.dims if dim != "seed"]
        if len(left) > 1:
            raise ValueError(f"{self.how} of {self.variable!r}: say where along {', '.join(left[:-1])}, or which arm")
        if not left:
            return values
        (axis,) = left
        if self.how == "end":
            return values.isel({axis: -1})
        if self.how == "peak":
            return values.max(axis, skipna=False)
        return values[{axis: (values[axis] >= values[axis][-1] / 3).values}].mean(axis, skipna=False)

    def ends(self, results: xr.Dataset) -> tuple[float, float]:
        """Return the ends of what the variable can be: no share is above 1."""
        return possible(results[self.variable].attrs)


def end(variable: str, arm: str = "", **at: Any) -> Effect:
    """Return the last value of a variable, of an arm where it has arms, at positions along its further axes."""
    return Reading("end", variable, arm, tuple(sorted(at.items())))


def peak(variable: str, arm: str = "", **at: Any) -> Effect:
    """Return the largest value of a variable; arguments as for `end`."""
    return Reading("peak", variable, arm, tuple(sorted(at.items())))


def late(variable: str, arm: str = "", **at: Any) -> Effect:
    """Return the mean of a variable from one third of its last position on; arguments as for `end`."""
    return Reading("late", variable, arm, tuple(sorted(at.items())))


def fall(variable: str, arm: str = "", **at: Any) -> Effect:
    """Return how far a variable falls from its largest to its last value; arguments as for `end`."""
    return peak(variable, arm, **at) - end(variable, arm, **at)


def advantage(variable: str, arm: str, over: str, **at: Any) -> Effect:
    """Return by how much the last value of one arm is above that of another; arguments as for `end`."""
    return end(variable, arm, **at) - end(variable, over, **at)
