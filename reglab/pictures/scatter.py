"""Scatter: two variables against each other, one mark for each seed or item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from reglab.pictures.artist import PanelArtist, legend
from reglab.pictures.panel import Panel, Read
from reglab.pictures.reached import latest
from reglab.pictures.series import Source, sources
from reglab.pictures.style import Style
from reglab.pictures.words import named, number, seeds, typeset

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from reglab.pictures.vega import Scene


@dataclass(frozen=True)
class Marks:
    """The marks of one arm: its label and look, and where they lie; NaN where there is no result."""

    label: str
    style: Style
    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class Scatter(Panel):
    """The variable `y` against the variable `x`: one mark for each seed, or for each seed and position along `items`.

    Arms differ in colour and marker. `line` is drawn through them: "y = x", a "fit" by least squares to all marks, or
    the slope and the intercept of a theory. Where `y` has a remaining axis, its last position that has results is
    shown; `at` picks one position along further axes by its name. The marks of a pinned run are grey and hollow. `log`
    is a logarithmic x axis, without a line: marks at 0 or below have no place on it.
    """

    question: str
    x: str
    y: str
    items: str = ""
    arms: Sequence[str] = ()
    line: Literal["", "y = x", "fit"] | tuple[float, float] = ""
    at: Mapping[str, Any] = field(default_factory=dict)
    log: bool = False

    def reads(self) -> Iterator[Read]:
        """Yield what the panel reads: the ends of two variables."""
        for name in (self.x, self.y):
            items = [self.items] if self.items else ()
            yield Read(name, self.arms, whole=False, items=items, log=self.log and name == self.x)

    def sources(self, data: xr.Dataset, variable: str, arms: Mapping[str, str]) -> list[Source]:
        """Return where the marks of each arm come from."""
        return sources(data, [variable], self.arms, self.at_of(data, variable), arms)

    def at_of(self, data: xr.Dataset, variable: str) -> dict[str, Any]:
        """Return the chosen positions along the axes that a variable has."""
        return {name: place for name, place in self.at.items() if name in data[variable].dims}

    def marks(self, data: xr.Dataset, arms: Mapping[str, str]) -> list[Marks]:
        """Return the marks of each arm."""
        kept, found = [dim for dim in ("seed", self.items) if dim], []
        both = (self.sources(data, name, arms) for name in (self.x, self.y))
        for across, upward in zip(*both, strict=True):
            y = latest(data[upward.variable].sel(upward.at, drop=True), *kept)[0]
            x = data[across.variable].sel(across.at, drop=True)
            x = x.sel({str(dim): y[dim] for dim in x.dims if dim in y.coords and dim not in y.dims})
            x = latest(x, *kept)[0]
            x = x.where(x > 0) if self.log else x
            pairs = np.broadcast_arrays(*(_seeds_by_items(one, kept) for one in (x, y)))
            there = np.isfinite(pairs).all(0)
            found.append(Marks(upward.label, upward.style, *(np.where(there, one, np.nan).ravel() for one in pairs)))
        return found

    def straight(self, marks: Sequence[Marks]) -> tuple[float, float] | None:
        """Return slope and intercept of the line; None where there is none."""
        if not self.line:
            return None
        if self.line == "fit":
            x, y = (np.concatenate([getattr(one, name) for one in marks]) for name in ("x", "y"))
            x, y = x[np.isfinite(x)], y[np.isfinite(y)]
            if len(x) < 2 or not x.std():
                return None
            slope = float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())
            return slope, float(y.mean() - slope * x.mean())
        return (1.0, 0.0) if self.line == "y = x" else (float(self.line[0]), float(self.line[1]))

    def named_line(self) -> str:
        """Return what the line is called."""
        if self.line == "fit":
            return "least squares"
        return self.line if isinstance(self.line, str) else f"y = {number(self.line[0])} x + {number(self.line[1])}"

    def artist(self, axes: Axes, data: xr.Dataset, arms: Mapping[str, str]) -> ScatterArtist:
        """Return what draws the panel."""
        return ScatterArtist(axes, self, data, arms)

    def chart(self, scene: Scene) -> dict[str, Any]:
        """Return the panel for the site."""
        return _chart(self, scene)


def _seeds_by_items(values: xr.DataArray, kept: Sequence[str]) -> np.ndarray:
    """Return values [seed, item], with one position where an axis is missing."""
    missing = [dim for dim in kept if dim not in values.dims]
    return values.expand_dims(missing).transpose(*kept).values if missing else values.transpose(*kept).values


class ScatterArtist(PanelArtist):
    """Marks of several arms and a straight line."""

    def __init__(self, axes: Axes, panel: Scatter, data: xr.Dataset, arms: Mapping[str, str]) -> None:
        from matplotlib.ticker import NullLocator

        super().__init__(axes)
        self.panel, self._arms = panel, arms
        self.marks = panel.marks(data, arms)
        self._count = data.sizes["seed"]
        self._names = [named(data[name].attrs) for name in (panel.x, panel.y)]
        label = self._names[0] + (f"\ndashed: {panel.named_line()}" if panel.line else "")
        axes.set_xlabel(typeset(label))
        axes.set_ylabel(typeset(self._names[1]))
        if panel.log:
            axes.set_xscale("log")
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter("{x:g}")
        self._clouds, self._old, self._more = [], [], []
        size = 4 if panel.items else 6
        for one in self.marks:
            look: dict[str, Any] = {"ls": "", "marker": one.style.marker, "clip_on": False, "in_layout": False}
            self._old += axes.plot([], [], mfc="none", mec="#808080", mew=0.9, ms=size, **look)
            self._more += axes.plot([], [], color=one.style.color, alpha=0.35, ms=size, mec="none", **look)
            self._clouds += axes.plot([], [], color=one.style.color, ms=size, mec="none", alpha=0.85, **look)
        (self._line,) = axes.plot([], [], color="black", lw=1.2, ls=(0, (4, 3)), zorder=1.5)
        legend(axes, self._clouds, [one.label for one in self.marks])
        self._ends: tuple[tuple[float, float], tuple[float, float]] | None = None
        self._animate(self._line, *self._old, *self._more, *self._clouds)

    def fits(self, data: xr.Dataset) -> bool:
        """Tell whether results have the positions for which the axes were made: any have."""
        return True

    def fill(self, data: xr.Dataset, pinned: xr.Dataset | None, growing: xr.Dataset | None, final: bool) -> bool:
        """Put new results in."""
        from matplotlib.ticker import LogLocator, MaxNLocator

        self.marks, before, more = (
            self.panel.marks(one, self._arms) if one is not None else [] for one in (data, pinned, growing)
        )
        self._count = data.sizes["seed"]
        for drawn, marks in ((self._clouds, self.marks), (self._old, before), (self._more, more)):
            for i, cloud in enumerate(drawn):
                cloud.set_data(marks[i].x if marks else [], marks[i].y if marks else [])
        changed, ends = False, []
        for i, name in enumerate((self.panel.x, self.panel.y)):
            values = np.concatenate([one.x if i == 0 else one.y for one in (*self.marks, *before, *more)])
            self._limits = self._ends[i] if self._ends else None
            changed |= self._widen(values, [data[name].attrs], final, self.panel.log and i == 0)
            assert self._limits is not None
            ends.append(self._limits)
        self._ends = (ends[0], ends[1])
        if changed:
            across = [10**end for end in ends[0]] if self.panel.log else ends[0]
            self.axes.set(xlim=across, ylim=ends[1])
            decades = self.panel.log and across[1] / across[0] > 5
            self.axes.xaxis.set_major_locator(
                LogLocator(subs=(1, 2, 5)) if decades else MaxNLocator(4, steps=[1, 2, 2.5, 5, 10])
            )
        line = self.panel.straight(self.marks)
        self._line.set_data(ends[0] if line else [], [line[0] * x + line[1] for x in ends[0]] if line else [])
        return changed

    def describe(self) -> str:
        """Say in words what the panel shows."""
        parts = []
        for one in self.marks:
            x, y = one.x[np.isfinite(one.x)], one.y[np.isfinite(one.y)]
            if not len(x):
                parts.append(f"{one.label}: no data")
                continue
            text = f"{one.label} {len(x)} marks, mean at ({number(x.mean())}, {number(y.mean())})"
            if len(x) > 2 and x.std() and y.std():
                text += f", correlation {number(float(np.corrcoef(x, y)[0, 1]))}"
            parts.append(text)
        line = self.panel.straight(self.marks)
        if line:
            parts.append(f"dashed: {self.panel.named_line()}, slope {number(line[0])}, intercept {number(line[1])}")
        against = f"{self._names[1]} against {self._names[0]}"
        return f"{self.panel.question} {against}, {seeds(self._count)}: {'; '.join(parts)}."


def _chart(panel: Scatter, scene: Scene) -> dict[str, Any]:
    import altair as alt

    from reglab.pictures.vega import domain, looks, number_axis

    found = {name: panel.sources(scene.first, name, scene.arms) for name in (panel.x, panel.y)}
    lines = scene.lines(found[panel.y])
    scales = []
    for name in (panel.x, panel.y):
        log = panel.log and name == panel.x
        values = np.concatenate([scene.grid[name].sel(one.at).values.ravel() for one in found[name]])
        values = values[values > 0] if log else values
        ends = domain(scene.grid, found[name], log, given=[float(np.nanmin(values)), float(np.nanmax(values))])
        scales.append(alt.Scale(type="log" if log else "linear", domain=ends, nice=False, zero=False))
    x = alt.X("x:Q", title=None, scale=scales[0], axis=number_axis(scales[0], 4))
    y = alt.Y("y:Q", title=None, scale=scales[1], axis=number_axis(scales[1]))
    color, _, shape = looks(lines)
    size = 22 if panel.items else 50
    chart = alt.layer(
        alt.Chart(alt.NamedData("straight"))
        .mark_line(color="#000000", strokeWidth=1.4, strokeDash=[6, 4], clip=True)
        .encode(x, y),
        alt.Chart(alt.NamedData("pinned")).mark_point(color="#808080", size=size).encode(x, y, shape),
        alt.Chart(alt.NamedData("marks"))
        .mark_point(filled=True, opacity=0.75 if panel.items else 0.95, size=size)
        .encode(x, y, color, shape, tooltip="said:N"),
    )
    across = [{"variable": one.variable, "at": scene.positions(one.at)} for one in found[panel.x]]
    straight = panel.line if panel.line in ("", "fit") else panel.straight([])
    return {
        "kind": "scatter",
        "lines": [{**line, "across": source} for line, source in zip(lines, across, strict=True)],
        "items": panel.items,
        "log": panel.log,
        "straight": straight,
        "ends": scales[0].domain,
        "swatch": "mark",
        "expected": panel.named_line(),
        "along": str(scene.first[panel.x].attrs["long_name"]),
        "x": named(scene.first[panel.x].attrs),
        "y": named(scene.first[panel.y].attrs),
        "spec": scene.specification(chart),
    }
