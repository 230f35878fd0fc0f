"""Results in words: numbers as text, names with their units, what the headline says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from reglab.pictures.reached import reached
from reglab.statistics import mean_interval, possible

if TYPE_CHECKING:
    import xarray as xr

SUBSCRIPT = re.compile(r"(?<![^\W\d_])([^\W\d_])\\?_(\w+)")
"""A letter with what stands below it, as names write it: λ_H, Tr Σ_W. Markdown may have a backslash between them."""


def lowered(markup: str) -> str:
    """Return HTML or Markdown with subscripts in the place of underscores."""
    return SUBSCRIPT.sub(r"\1<sub>\2</sub>", markup)


def typeset(text: str) -> str:
    """Return a text for matplotlib with subscripts in the place of underscores: λ_H, Tr Σ_W."""
    return SUBSCRIPT.sub(r"$\\mathrm{\1}_{\2}$", text)


def positions(axis: xr.DataArray) -> list[str]:
    """Return the positions along an axis as text."""
    return [value if isinstance(value, str) else f"{value:.6g}" for value in axis.values.tolist()]


def named(attributes: Mapping[str, Any]) -> str:
    """Return the name of a variable or axis with its unit, if it has one that the name does not say."""
    label, unit = str(attributes["long_name"]), attributes["units"]
    return label if unit in ("1", label + "s") or unit in label else f"{label} ({unit})"


def seeds(count: int) -> str:
    """Write how many seeds: `1 seed`, `8 seeds`."""
    return "1 seed" if count == 1 else f"{count} seeds"


def blocks(firsts: Iterable[int]) -> str:
    """Write on which seeds claims were measured, given the first of each: `the exam seeds 2000, 2001, …`."""
    kinds = [f"{'exam' if first else 'building'} seeds {first}, {first + 1}, …" for first in sorted(set(firsts))]
    return f"the {' and '.join(kinds)}"


def tally(verdicts: Sequence[str], of: str = "") -> str:
    """Count verdicts in one sentence: `Of 18 claims, 14 hold, 3 are unclear and 1 does not hold.`"""
    forms = {
        "holds": ("holds", "hold"),
        "unclear": ("is unclear", "are unclear"),
        "does not hold": ("does not hold", "do not hold"),
    }
    counts = {one: verdicts.count(one) for one in forms}
    said = [f"{count} {forms[one][count != 1]}" for one, count in counts.items()]
    claims = "1 claim" if len(verdicts) == 1 else f"{len(verdicts)} claims"
    return f"Of {claims}{of}, {said[0]}, {said[1]} and {said[2]}."


def measured(effect: float | None, low: float | None, high: float | None, then: str = "") -> str:
    """Write an effect with its interval, if it has one, and a word between them: `0.105 lower [0.074, 0.136]`."""
    if effect is None:
        return "not defined"
    if low is None or high is None or not np.isfinite(low):
        return number(effect) + then
    middle, below, above = even(effect, low, high)
    return f"{middle}{then} [{below}, {above}]"


def averaged(count: int) -> str:
    """Write over how many seeds a mean is taken: `one seed`, `mean of 8 seeds`."""
    return "one seed" if count == 1 else f"mean of {count} seeds"


def number(value: float) -> str:
    """Write a number with about three digits, for sentences and labels."""
    if not np.isfinite(value):
        return "none"
    if abs(value) < 1e-6:
        return "0"
    text = f"{value:.2f}" if 0.095 <= abs(value) < 100 else f"{value:.3g}"
    return text.replace("-", "−")


def even(mean: float, low: float, high: float, *others: float) -> list[str]:
    """Write a mean, the ends of its interval, and numbers that belong to it, all with the same decimals.

    There are as many as half the interval needs for one digit, or for two where its first digit is 1 or 2. Without an
    interval, and where numbers are too large or too small to be read this way, each is written alone.
    """
    values, half = (mean, low, high, *others), (high - low) / 2
    if not (half > 0 and np.isfinite(values).all()):
        return [number(value) for value in values]
    place = int(np.floor(np.log10(half)))
    decimals = max(0, -place + (half < 3 * 10.0**place))
    if decimals > 6 or max(map(abs, values)) >= 1e5:
        return [number(value) for value in values]
    # adding 0 makes zero of minus zero
    return [f"{round(value, decimals) + 0:.{decimals}f}".replace("-", "−") for value in values]


def estimate(mean: float, low: float, high: float) -> str:
    """Write a mean and its interval, where there is one, in words: `0.84 (95 % interval 0.79 to 0.89)`."""
    middle, below, above = even(mean, low, high)
    return f"{middle} (95 % interval {below} to {above})" if np.isfinite(low) else middle


class Ended(NamedTuple):
    """What is left of a variable at the end of its axes, its name, where that is, and where it came from."""

    values: xr.DataArray
    name: str
    place: str
    start: str


def ended(values: xr.DataArray) -> Ended | None:
    """Return a variable at the last position that all seeds and arms have reached; None where there is none yet.

    Axes of names are averaged; the axes `arm` and `seed` stay.
    """
    name, place, start = str(values.attrs["long_name"]), "At the end", ""
    rest = [str(dim) for dim in values.dims if dim not in ("arm", "seed")]
    for dim in [dim for dim in rest if values[dim].dtype == object]:
        values, name = values.mean(dim, skipna=False), f"{name} (mean over {values[dim].attrs['long_name']})"
        rest.remove(dim)
    if rest:
        axis = values[rest[0]]
        positions = reached(values, rest[0], by_all=True)
        if not len(positions):
            return None
        first, last = positions[0], positions[-1]
        place = f"At {axis.attrs['long_name']} {axis.values[last]:g}"
        start = f", from {number(float(values.isel({rest[0]: first}).mean()))} at {axis.values[first]:g}"
        values = values.isel({rest[0]: last})
    return Ended(values, name, place, start)


def sentence(data: xr.Dataset, headline: str, arms: Mapping[str, str]) -> str:
    """Say in one sentence what the results show about the headline quantity, with its uncertainty in words.

    Curves are reported at the last position that all seeds and arms have reached, axes of names as their mean.
    """
    count = data.sizes["seed"]
    roles = {role: arm for arm, role in arms.items() if role in ("baseline", "method")}
    values = data[headline].sel(arm=list(roles.values())) if roles else data[headline]
    found = ended(values)
    if found is None:
        return "Nothing to report yet."
    values, name, place, start = found
    if not roles:
        limits = possible(values.attrs)
        middle, below, above = even(*(float(end) for end in mean_interval(values.values.ravel(), ends=limits)))
        how_sure = f"95 % interval {below} to {above}, {count} seeds" if count > 1 else "one seed: no interval"
        return f"{place}: {name} {middle} ({how_sure}){start}."
    method, baseline = (values.sel(arm=roles[role]).values for role in ("method", "baseline"))
    mean, low, high = (float(end) for end in mean_interval(method - baseline))
    difference, below, above, *ends = even(mean, low, high, float(method.mean()), float(baseline.mean()))
    how_sure = f"95 % interval of the difference {below} to {above}, {count} seeds"
    both = f"{ends[0]} with {roles['method']}, {ends[1]} with {roles['baseline']}"
    if count < 2:
        return f"{place}: {name} {both}; one seed gives no interval, so this may be random variation."
    if low <= 0 <= high:
        return f"{place}: no clear difference in {name}: {both}; {difference} may be random variation ({how_sure})."
    direction = "higher" if mean > 0 else "lower"
    return (
        f"{place}: {name} is {difference.removeprefix('−')} {direction} with {roles['method']} than with "
        f"{roles['baseline']} ({both}); random variation alone hardly explains it ({how_sure})."
    )
