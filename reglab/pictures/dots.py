"""Dots: one row for each arm, with every seed and the mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from reglab.pictures.artist import PanelArtist
from reglab.pictures.panel import Line, Panel, Read
from reglab.pictures.reached import latest
from reglab.pictures.series import Source, sources
from reglab.pictures.style import Style
from reglab.pictures.words import averaged, estimate, named, number, typeset
from reglab.statistics import mean_interval, possible

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from reglab.pictures.vega import Scene


@dataclass(frozen=True)
class Dots(Panel):
    """One row for each arm: every seed a small mark, the mean with its interval a large one.

    Where the variable has a remaining axis, its last position that has results is shown. `lines` stand upright, at
    values or at means of variables (axis "x"); `at` picks one position along further axes by its name.
    """

    question: str
    variable: str
    arms: Sequence[str] = ()
    lines: Sequence[Line] = ()
    at: Mapping[str, Any] = field(default_factory=dict)

    def reads(self) -> Iterator[Read]:
        """Yield what the panel reads: the end of one variable."""
        yield Read(self.variable, self.arms, whole=False)
        for line in self.lines:
            yield from line.reads()

    def sources(self, data: xr.Dataset, arms: Mapping[str, str]) -> list[Source]:
        """Return where each row comes from."""
        return sources(data, [self.variable], self.arms, self.at, arms)

    def rows(self, data: xr.Dataset, arms: Mapping[str, str]) -> list[Row]:
        """Reduce results to the rows of the panel, each at the last position of a remaining axis that has results."""
        found = []
        for one in self.sources(data, arms):
            seeds = latest(data[one.variable].sel(one.at), "seed")[0].values
            ends = possible(data[one.variable].attrs)
            mean, low, high = (float(end) for end in mean_interval(seeds, ends=ends))
            found.append(Row(one.label, one.style, mean, low, high, seeds))
        return found

    def artist(self, axes: Axes, data: xr.Dataset, arms: Mapping[str, str]) -> DotsArtist:
        """Return what draws the panel."""
        return DotsArtist(axes, self, data, arms)

    def chart(self, scene: Scene) -> dict[str, Any]:
        """Return the panel for the site."""
        from reglab.pictures import vega

        found = self.sources(scene.first, scene.arms)
        lines, given = scene.lines(found), np.concatenate([[], *(line.places(scene.grid) for line in self.lines)])
        return {
            "kind": "dots",
            "lines": lines,
            "rules": scene.rules(self.lines),
            "x": named(scene.grid[self.variable].attrs),
            "spec": scene.specification(_layers(lines, vega.domain(scene.grid, found, given=given))),
        }


@dataclass(frozen=True)
class Row:
    """One row of dots: its label and look, mean and interval, single seeds [S]."""

    label: str
    style: Style
    mean: float
    low: float
    high: float
    seeds: np.ndarray


class DotsArtist(PanelArtist):
    """One row for each arm, from above: every seed a small mark, mean and interval a large one, the mean in figures."""

    def __init__(self, axes: Axes, panel: Dots, data: xr.Dataset, arms: Mapping[str, str]) -> None:
        from matplotlib.collections import LineCollection
        from matplotlib.ticker import MaxNLocator

        super().__init__(axes)
        self.panel, self._arms = panel, arms
        self.rows = panel.rows(data, arms)
        count = len(self.rows)
        axes.set_yticks(range(count), [typeset(row.label) for row in self.rows])
        self.side = 0.075 * max(len(row.label) for row in self.rows)
        axes.set_ylim(count - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        self._x = named(data[panel.variable].attrs)
        axes.set_xlabel(typeset(self._x))
        axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 2.5, 5, 10]))  # many digits need room
        self._seeds, self._means, self._bars, self._old, self._texts = [], [], [], [], []
        for place, row in enumerate(self.rows):
            color = row.style.color
            self._seeds += axes.plot([], [], ls="", marker=row.style.marker, color=color, ms=4, alpha=0.5, mec="none")
            bar = LineCollection([], colors="black", linewidths=1.4)
            axes.add_collection(bar, autolim=False)
            self._bars.append(bar)
            self._means += axes.plot([], [], ls="", marker=row.style.marker, color=color, ms=9, mec="black")
            self._old += axes.plot([], [], ls="", marker="|", color="black", ms=16, mew=2)
            place_right = axes.get_yaxis_transform()
            text = axes.text(1.02, place, "−0.000", transform=place_right, va="center", fontsize=9, color=row.style.ink)
            self._texts.append(text)
        self._references = [
            (axes.axvline(np.nan, color="black", lw=1, ls=(0, (2, 2))), axes.text(0, -0.45, "", fontsize=9, va="top"))
            for _ in panel.lines
        ]
        self._animate(*(one for pair in self._references for one in pair))
        self._animate(*self._seeds, *self._bars, *self._means, *self._old, *self._texts)

    def fits(self, data: xr.Dataset) -> bool:
        """Tell whether results have the positions for which the axes were made."""
        return True

    def fill(self, data: xr.Dataset, pinned: xr.Dataset | None, growing: xr.Dataset | None, final: bool) -> bool:
        """Put new results in."""
        self.rows, before, more = (
            self.panel.rows(one, self._arms) if one is not None else [] for one in (data, pinned, growing)
        )
        given = np.concatenate([[], *(line.places(data) for line in self.panel.lines)])
        for line, at, (drawn, text) in zip(self.panel.lines, given, self._references, strict=True):
            drawn.set_xdata([at, at])
            text.set_x(at)
            text.set_text(typeset(line.label) if np.isfinite(at) else "")
        values = np.concatenate([*(np.append(row.seeds, row.mean) for row in (*self.rows, *before, *more)), given])
        changed = self._widen(values, [data[self.panel.variable].attrs], final)
        if changed and self._limits is not None:
            margin = 0.02 * (self._limits[1] - self._limits[0])
            self.axes.set_xlim(self._limits[0] - margin, self._limits[1] + margin)
        for i, row in enumerate(self.rows):
            seeds = np.append(row.seeds, more[i].seeds if more else [])
            self._seeds[i].set_data(seeds, i + 0.3 * _spread(len(seeds)))
            self._means[i].set_data([row.mean], [i])
            self._bars[i].set_segments([[(row.low, i), (row.high, i)]] if np.isfinite(row.low) else [])
            self._old[i].set_data([before[i].mean] if before else [], [i] if before else [])
            self._texts[i].set_text(number(row.mean) if np.isfinite(row.mean) else "")
        return changed

    def describe(self) -> str:
        """Say in words what the panel shows."""
        said = [_said(row) for row in self.rows]
        return f"{self.panel.question} {self._x}, {averaged(len(self.rows[0].seeds))}: {'; '.join(said)}."


def _said(row: Row) -> str:
    if not np.isfinite(row.mean):
        return f"{row.label}: no data"
    return f"{row.label} {estimate(row.mean, row.low, row.high)}"


def _spread(count: int) -> np.ndarray:
    """Return places from -1 to 1 that keep the marks of neighboring seeds apart."""
    return np.zeros(1) if count == 1 else np.linspace(-1, 1, count)


def _layers(lines: Sequence[Mapping[str, Any]], domain: list[float]) -> Any:
    import altair as alt

    from reglab.pictures.vega import looks, number_axis, rules

    color, _, shape = looks(lines)
    scale = alt.Scale(domain=domain, nice=False, zero=False)
    x = alt.X("x:Q", title=None, scale=scale, axis=number_axis(scale, 4))
    labels = [line["label"] for line in lines]
    names = alt.Axis(labelLimit=150, ticks=False, grid=False)
    y = alt.Y("line:N", title=None, scale=alt.Scale(domain=labels), axis=names)
    means = alt.Chart(alt.NamedData("lines"))
    return alt.layer(
        alt.Chart(alt.NamedData("threads"))
        .mark_point(filled=True, opacity=0.5, size=22, clip=True)
        .encode(x, y, color, shape, yOffset=alt.YOffset("place:Q", scale=alt.Scale(domain=[-1.6, 1.6]))),
        alt.Chart(alt.NamedData("bands")).mark_rule(color="#000000", strokeWidth=1.6, clip=True)
        .encode(alt.X("low:Q", scale=scale, title=None), y, alt.X2("high:Q")),
        alt.Chart(alt.NamedData("pinned"))
        .mark_tick(color="#000000", thickness=2.5, size=20, clip=True).encode(x, y),
        means.mark_point(filled=True, opacity=1, size=90, stroke="#000000", strokeWidth=0.8, clip=True)
        .encode(x, y, color, shape),
        means.mark_text(dy=-11, fontSize=11, color="#000000").encode(x, y, text="text:N"),
        *rules(x, y)[2:],  # upright ones only
        means.mark_bar(opacity=0).encode(y, x=alt.value(0), x2=alt.value("width"), tooltip="said:N"),
    )  # fmt: skip
