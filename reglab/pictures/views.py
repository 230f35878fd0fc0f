"""What to draw, as data: marks over named variables, the looks of arms, results reduced to series with intervals."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from reglab.statistics import mean_interval

if TYPE_CHECKING:
    import xarray as xr


WIDE, NARROW = 7.6, 3.8
"""Widths of a picture in inches, on a page and on a phone; 100 pixels of the page are one inch."""


@dataclass(frozen=True)
class Style:
    """How a role looks everywhere: colour, the darker colour of its label, line style, marker."""

    color: str
    ink: str
    line: Any
    marker: str


BASELINE = Style("#595959", "#404040", "-", "o")
METHOD = Style("#0072B2", "#005a8f", "-", "s")
FURTHER = (
    Style("#E69F00", "#8a5f00", (0, (6, 2)), "^"),
    Style("#009E73", "#006e50", (0, (4, 1.5, 1, 1.5)), "D"),
    Style("#CC79A7", "#9a4674", (0, (1.5, 1.5)), "v"),
    Style("#D55E00", "#a34700", (0, (3, 1)), "P"),
    Style("#56B4E9", "#1b74a6", (0, (2, 1, 1, 1)), "X"),
)
"""Okabe-Ito colours: grey for the baseline, blue for the method, the rest in order for everything else."""

LAYERS = (("#0072B2", ""), ("#D55E00", "////"), ("#BBBBBB", "...."))
"""Colour and hatching of stacked shares, from below."""


@dataclass(frozen=True)
class Line:
    """A reference line: at a value of `axis` ("x" or "y"), or at the mean over seeds of a variable of one arm."""

    axis: Literal["x", "y"]
    at: float | str
    label: str
    arm: str = ""


@dataclass(frozen=True)
class Curves:
    """Variables against their remaining axis, one line for each arm (or variable), with seeds and interval.

    `question` is the panel's title. `arms` chooses some arms; `peak` names an arm whose highest mean is marked; `at`
    picks one position along further axes by its name; `log` is a logarithmic y axis; `theory` names a variable on the
    same axis, with or without arms, that is drawn as a thin dashed line: a closed form, a bound.
    """

    question: str
    variables: Sequence[str]
    arms: Sequence[str] = ()
    y: str = ""
    lines: Sequence[Line] = ()
    peak: str = ""
    at: Mapping[str, Any] = field(default_factory=dict)
    log: bool = False
    theory: str = ""


@dataclass(frozen=True)
class Shares:
    """Variables of one arm that add up to 1, stacked, against their remaining axis."""

    question: str
    variables: Sequence[str]
    arm: str


@dataclass(frozen=True)
class Dots:
    """One row for each arm: every seed a small mark, the mean with its interval a large one.

    Where the variable has a remaining axis, its last position that has results is shown. `lines` stand at values
    (axis "x"); `at` picks one position along further axes by its name.
    """

    question: str
    variable: str
    arms: Sequence[str] = ()
    lines: Sequence[Line] = ()
    at: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Points:
    """Points in a plane for the first seed: a variable whose last two axes are point and plane (two coordinates).

    Where it has a remaining axis (time), the last position that has results is shown, so that it is a film while it
    runs. Arrows lead there from `origin`, a variable with the same points; `groups` [point] holds whole numbers that
    choose color and marker; `crosses` [place, plane] marks places. `limits` holds both axes still.
    """

    question: str
    variable: str
    arm: str = ""
    origin: str = ""
    groups: str = ""
    crosses: str = ""
    limits: tuple[float, float] | None = None


Panel = Curves | Shares | Dots | Points


@dataclass(frozen=True)
class View:
    """One picture of a data set: a title for menus, and panels side by side in `columns`."""

    title: str
    panels: Sequence[Panel]
    columns: int = 2
    height: float = 2.7


@dataclass(frozen=True)
class Series:
    """One line of a panel: its label and look, positions [X], mean and interval [X], single seeds [S, X]."""

    label: str
    style: Style
    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    seeds: np.ndarray


def styles(arms: Mapping[str, str]) -> dict[str, Style]:
    """Return the look of every arm from its role; further roles take the further looks in order."""
    if len(arms) > len(FURTHER) + 2:
        raise ValueError(f"{len(arms)} arms: there are looks for {len(FURTHER) + 2}; a page shows at most five at once")
    further = iter(FURTHER)
    fixed = {"baseline": BASELINE, "method": METHOD}
    return {arm: fixed[role] if role in fixed else next(further) for arm, role in arms.items()}


def axis_of(data: xr.Dataset, panel: Curves | Shares) -> str:
    """Return the axis along which a panel's curves run: what is left besides arm, seed and the chosen positions."""
    chosen = panel.at if isinstance(panel, Curves) else {}
    left = [str(dim) for dim in data[panel.variables[0]].dims if dim not in ("arm", "seed", *chosen)]
    if len(left) != 1:
        raise ValueError(f"panel {panel.question!r} needs one axis for its curves, found {left}")
    return left[0]


@dataclass(frozen=True)
class Source:
    """Where a line or a row of a panel comes from: its label and look, the variable and the chosen positions."""

    label: str
    style: Style
    variable: str
    at: Mapping[str, Any]


def sources(data: xr.Dataset, panel: Curves | Shares | Dots, arms: Mapping[str, str]) -> list[Source]:
    """Return what a panel shows, line by line or row by row, for each of its variables and arms."""
    look = styles(arms)
    chosen = [panel.arm] if isinstance(panel, Shares) else list(panel.arms or arms) or [""]
    variables = [panel.variable] if isinstance(panel, Dots) else list(panel.variables)
    palette = (FURTHER[3], FURTHER[1], FURTHER[2], FURTHER[0]) if len(chosen) == 1 and len(variables) > 1 else None
    found = []
    for number, variable in enumerate(variables):
        for arm in chosen:
            values = data[variable]
            at = {} if isinstance(panel, Shares) else dict(panel.at)
            if arm and "arm" in values.dims:
                at["arm"] = arm
            name = str(values.attrs["long_name"])
            several = len(variables) > 1
            label = name if several and len(chosen) == 1 else f"{arm}, {name}" if several else arm or name
            found.append(Source(label, palette[number] if palette else look.get(arm, METHOD), variable, at))
    return found


def reduce(data: xr.Dataset, panel: Curves | Shares, arms: Mapping[str, str]) -> list[Series]:
    """Reduce results to the series of one panel: mean over seeds, 95 % interval of the mean, single seeds."""
    axis = axis_of(data, panel)
    x, series = data[axis].values, []
    for one in sources(data, panel, arms):
        seeds = data[one.variable].sel(one.at).transpose("seed", axis).values
        series.append(Series(one.label, one.style, x, *mean_interval(seeds, axis=0), seeds))
    return series


@dataclass(frozen=True)
class Row:
    """One row of dots: its label and look, mean and interval, single seeds [S]."""

    label: str
    style: Style
    mean: float
    low: float
    high: float
    seeds: np.ndarray


def rows(data: xr.Dataset, panel: Dots, arms: Mapping[str, str]) -> list[Row]:
    """Reduce results to the rows of one panel, each at the last position of a remaining axis that has results."""
    found = []
    for one in sources(data, panel, arms):
        seeds = latest(data[one.variable].sel(one.at), "seed")[0].values
        mean, low, high = (float(end) for end in mean_interval(seeds))
        found.append(Row(one.label, one.style, mean, low, high, seeds))
    return found


def latest(values: xr.DataArray, *kept: str) -> tuple[xr.DataArray, str]:
    """Return values at the last position of their one further axis that has results, and that position in words.

    `kept` are the axes that stay. Without a further axis all is returned, with no words; without results the first
    position. Raises `ValueError` for more than one further axis.
    """
    further = [str(dim) for dim in values.dims if dim not in kept]
    if not further:
        return values, ""
    if len(further) > 1:
        raise ValueError(f"{values.name}: one axis is left at most besides {kept}, found {further}")
    reached = np.flatnonzero(values.notnull().any(list(kept)).values)
    last = int(reached[-1]) if len(reached) else 0
    axis = values[further[0]]
    return values.isel({further[0]: last}), f"{axis.attrs['long_name']} {axis.values[last]:g}"


SUBSCRIPT = re.compile(r"(?<![^\W\d_])([^\W\d_])_(\w+)")
"""A letter with what stands below it, as names write it: λ_H, Tr Σ_W."""


def named(attributes: Mapping[str, Any]) -> str:
    """Return the name of a variable or axis with its unit, if it has one that the name does not say."""
    label, unit = str(attributes["long_name"]), attributes["units"]
    return label if unit in ("1", label + "s") or unit in label else f"{label} ({unit})"


def seeds(count: int) -> str:
    """Write how many seeds: `1 seed`, `8 seeds`."""
    return "1 seed" if count == 1 else f"{count} seeds"


def number(value: float) -> str:
    """Write a number with about three digits, for sentences and labels."""
    if not np.isfinite(value):
        return "none"
    if abs(value) < 1e-6:
        return "0"
    text = f"{value:.2f}" if 0.095 <= abs(value) < 100 else f"{value:.3g}"
    return text.replace("-", "−")


def sentence(data: xr.Dataset, headline: str, arms: Mapping[str, str]) -> str:
    """Say in one sentence what the results show about the headline quantity, with its uncertainty in words.

    Curves are reported at the last position that all seeds and arms have reached, axes of names as their mean.
    """
    values = data[headline]
    name, seeds = str(values.attrs["long_name"]), data.sizes["seed"]
    place, start = "At the end", ""
    roles = {role: arm for arm, role in arms.items() if role in ("baseline", "method")}
    if roles:
        values = values.sel(arm=list(roles.values()))
    rest = [str(dim) for dim in values.dims if dim not in ("arm", "seed")]
    for dim in [dim for dim in rest if data[dim].dtype == object]:
        values, name = values.mean(dim, skipna=False), f"{name} (mean over {data[dim].attrs['long_name']})"
        rest.remove(dim)
    if rest:
        axis = data[rest[0]]
        reached = np.flatnonzero(values.notnull().all([dim for dim in values.dims if dim != rest[0]]).values)
        if not len(reached):
            return "Nothing to report yet."
        place = f"At {axis.attrs['long_name']} {axis.values[reached[-1]]:g}"
        start = f", from {number(float(values.isel({rest[0]: reached[0]}).mean()))} at {axis.values[reached[0]]:g}"
        values = values.isel({rest[0]: reached[-1]})
    if not roles:
        mean, low, high = (float(end) for end in mean_interval(values.values.ravel()))
        interval = (
            f"95 % interval {number(low)} to {number(high)}, {seeds} seeds" if seeds > 1 else "one seed: no interval"
        )
        return f"{place}: {name} {number(mean)} ({interval}){start}."
    method, baseline = (values.sel(arm=roles[role]).values for role in ("method", "baseline"))
    mean, low, high = (float(end) for end in mean_interval(method - baseline))
    interval = f"95 % interval of the difference {number(low)} to {number(high)}, {seeds} seeds"
    ends = (
        f"{number(float(values.sel(arm=roles[role]).mean()))} with {roles[role]}" for role in ("method", "baseline")
    )
    both = ", ".join(ends)
    if seeds < 2:
        return f"{place}: {name} {both}; one seed gives no interval, so this may be chance."
    if low <= 0 <= high:
        return f"{place}: no clear difference in {name}: {both}; {number(mean)} may be chance ({interval})."
    direction = "higher" if mean > 0 else "lower"
    return (
        f"{place}: {name} is {number(abs(mean))} {direction} with {roles['method']} than with {roles['baseline']} "
        f"({both}); chance alone hardly explains it ({interval})."
    )
