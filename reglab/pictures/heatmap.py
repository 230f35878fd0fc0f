"""Heatmap: a variable over two axes, or over one axis and the arms, as colours."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from reglab.pictures.artist import PanelArtist, bar
from reglab.pictures.panel import Panel, Read, position, span
from reglab.pictures.reached import latest
from reglab.pictures.series import sources
from reglab.pictures.style import DIVERGING, SEQUENTIAL
from reglab.pictures.words import averaged, named, number, positions, typeset
from reglab.statistics import mean_interval

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from reglab.pictures.vega import Scene

TICKS = 6
"""At most so many cells of a side are labelled."""


@dataclass(frozen=True)
class Cells:
    """A heatmap's numbers: mean over seeds with its interval [Y, X], their names, and where on a further axis."""

    x: list[str]
    y: list[str]
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    seeds: int
    when: str


@dataclass(frozen=True)
class Heatmap(Panel):
    """A variable over the axes `x` and `y`, or over `x` and the arms: the mean over seeds as the colour of a cell.

    Each position is one cell of equal size, whatever its distance to the next. `arm` is the arm to show where `y` is
    an axis, `arms` chooses some where it is not; `at` picks one position along further axes by its name, and where one
    remains, its last position that has results is shown. `diverging` colours have white at zero; `limits` holds their
    ends still. Colours show no uncertainty: words say how wide the widest interval is. A pinned run is not shown.
    """

    question: str
    variable: str
    x: str
    y: str = "arm"
    arm: str = ""
    arms: Sequence[str] = ()
    at: Mapping[str, Any] = field(default_factory=dict)
    diverging: bool = False
    limits: tuple[float, float] | None = None

    def reads(self) -> Iterator[Read]:
        """Yield what the panel reads: the variable along both axes."""
        yield Read(self.variable, [self.arm] if self.arm else self.arms)

    def cells(self, data: xr.Dataset) -> Cells:
        """Reduce results to the cells of the panel."""
        values = data[self.variable].sel(position(self.at, self.arm))
        if self.y == "arm" and self.arms:
            values = values.sel(arm=list(self.arms))
        last, when = latest(values, "seed", self.x, self.y)
        seeds = last.transpose("seed", self.y, self.x).values
        return Cells(positions(last[self.x]), positions(last[self.y]), *mean_interval(seeds, axis=0), len(seeds), when)

    def ends(self, values: np.ndarray, attributes: Mapping[str, Any]) -> tuple[float, float]:
        """Return the numbers of the first and the last colour: given, declared, or so that all values have one."""
        low, high = span(values, {} if self.diverging else attributes, self.limits)
        if self.diverging and self.limits is None:
            high = max(abs(low), abs(high)) or 1.0
            low = -high
        return low, high if high > low else low + 1

    def artist(self, axes: Axes, data: xr.Dataset, arms: Mapping[str, str]) -> HeatmapArtist:
        """Return what draws the panel."""
        return HeatmapArtist(axes, self, data)

    def chart(self, scene: Scene) -> dict[str, Any]:
        """Return the panel for the site."""
        return _chart(self, scene)


def labelled(count: int) -> list[int]:
    """Return which cells of a side are labelled, first and last among them."""
    return np.unique(np.linspace(0, count - 1, min(TICKS, count)).round().astype(int)).tolist()


def _every(axis: str, names: Sequence[str]) -> list[int]:
    """Return which cells are labelled: all where they are names and no numbers."""
    numbers = axis != "arm" and all(re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?", name) for name in names)
    return labelled(len(names)) if numbers else list(range(len(names)))


class HeatmapArtist(PanelArtist):
    """Cells in colour with a colour bar."""

    def __init__(self, axes: Axes, panel: Heatmap, data: xr.Dataset) -> None:
        from matplotlib.colors import LinearSegmentedColormap

        super().__init__(axes)
        self.panel, self.cells = panel, panel.cells(data)
        height, width = self.cells.mean.shape
        colors = LinearSegmentedColormap.from_list("cells", DIVERGING if panel.diverging else SEQUENTIAL)
        self._mesh = axes.pcolormesh(
            np.arange(width + 1) - 0.5, np.arange(height + 1) - 0.5, self.cells.mean, cmap=colors, shading="flat"
        )
        for set_ticks, axis, names in (
            (axes.set_xticks, panel.x, self.cells.x),
            (axes.set_yticks, panel.y, self.cells.y),
        ):
            places = _every(axis, names)
            set_ticks(places, [typeset("\n".join(textwrap.wrap(names[i], 10))) for i in places])
        axes.set_xlabel(typeset(named(data[panel.x].attrs)))
        self._columns = f"{data[panel.x].attrs['long_name']} "
        self._rows = "" if panel.y == "arm" else f"{data[panel.y].attrs['long_name']} "
        if panel.y == "arm":
            axes.set_ylim(height - 0.5, -0.5)
            self.side = 0.075 * min(10, max(map(len, self.cells.y)))
        else:
            axes.set_ylabel(typeset(named(data[panel.y].attrs)))
        axes.grid(visible=False)
        axes.tick_params(length=0)
        axes.set_facecolor("#eeeeee")
        self._name = named(data[panel.variable].attrs)
        bar(axes, self._mesh, self._name)
        self._animate(self._mesh)

    def fits(self, data: xr.Dataset) -> bool:
        """Tell whether results have the same cells."""
        found = self.panel.cells(data)
        return (found.x, found.y) == (self.cells.x, self.cells.y)

    def fill(self, data: xr.Dataset, pinned: xr.Dataset | None, growing: xr.Dataset | None, final: bool) -> bool:
        """Put new results in; seeds that are still growing do not count yet."""
        self.cells = self.panel.cells(data)
        self._mesh.set_array(self.cells.mean)
        wanted, kept = self.panel.ends(self.cells.mean, data[self.panel.variable].attrs), self._limits
        if kept == wanted or (kept and not final and kept[0] <= wanted[0] and wanted[1] <= kept[1]):
            return False
        self._limits = wanted
        self._mesh.set_clim(*wanted)
        return True

    def describe(self) -> str:
        """Say in words what the panel shows."""
        cells, panel = self.cells, self.panel
        if not np.isfinite(cells.mean).any():
            return f"{panel.question} {self._name}: no data."

        def said(flat: int) -> str:
            row, column = np.unravel_index(flat, cells.mean.shape)
            return f"{number(cells.mean[row, column])} ({self._rows}{cells.y[row]}, {self._columns}{cells.x[column]})"

        text = f"lowest {said(int(np.nanargmin(cells.mean)))}, highest {said(int(np.nanargmax(cells.mean)))}"
        half = (cells.high - cells.low) / 2
        if np.isfinite(half).any():
            text += f"; 95 % intervals at most ±{number(float(np.nanmax(half)))}"
        arm = f" of {panel.arm}" if panel.arm else ""
        when = f", {cells.when}" if cells.when else ""
        return f"{panel.question} Colours{arm}{when}: {self._name}, {averaged(cells.seeds)}: {text}."


def _chart(panel: Heatmap, scene: Scene) -> dict[str, Any]:
    import altair as alt

    values = scene.grid[panel.variable].sel(position(panel.at, panel.arm))
    shown = panel.arms if panel.y == "arm" else [panel.arm]
    lines = scene.lines(sources(scene.first, [panel.variable], shown, panel.at, scene.arms))
    names = {"x": positions(scene.axes[panel.x])}
    names["y"] = [line["label"] for line in lines] if panel.y == "arm" else positions(scene.axes[panel.y])
    low, high = panel.ends(values.mean("seed").values, values.attrs)

    def side(axis: str, which: str) -> Any:
        places = _every(axis, names[which])
        shown: Any = {
            "labelExpr": f"{json.dumps(names[which], ensure_ascii=False)}[datum.value]",
            "values": places,
            "ticks": False,
            "grid": False,
        }
        order = list(range(len(names[which])))
        scale = alt.Scale(domain=order if which == "x" or axis == "arm" else order[::-1], padding=0)
        kind = alt.X if which == "x" else alt.Y
        return kind(f"{which}:O", title=None, scale=scale, sort=None,
                    axis=alt.Axis(**shown, labelAngle=0, labelLimit=110, domain=False))  # fmt: skip

    bar_ = alt.Legend(title=None, gradientThickness=12, tickCount=4, offset=8, labelLimit=60, format=".3~g")
    scale = alt.Scale(domain=[low, high], range=list(DIVERGING if panel.diverging else SEQUENTIAL), clamp=True)
    chart = (
        alt.Chart(alt.NamedData("cells"))
        .mark_rect(strokeWidth=0)
        .encode(
            side(panel.x, "x"), side(panel.y, "y"), alt.Color("value:Q", scale=scale, legend=bar_), tooltip="said:N"
        )
    )
    return {
        "kind": "heatmap",
        "lines": lines,
        "across": panel.x,
        "upward": "" if panel.y == "arm" else panel.y,
        "names": names,
        "upwards": "" if panel.y == "arm" else str(scene.first[panel.y].attrs["long_name"]) + " ",
        "along": str(scene.first[panel.x].attrs["long_name"]),
        "x": named(scene.first[panel.x].attrs),
        "y": ("" if panel.y == "arm" else named(scene.first[panel.y].attrs) + " · ") + f"colour: {named(values.attrs)}",
        "swatch": "none",
        "spec": scene.specification(chart),
    }
