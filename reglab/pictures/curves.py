"""Curves: variables against their axis, with seeds, interval, theory and reference lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from reglab.pictures.panel import Line, Panel, Read
from reglab.pictures.series import Series, SeriesArtist, Source, Strokes, axis_of, last_of, reduce, sources
from reglab.pictures.words import named, number, typeset
from reglab.statistics import over_seeds

if TYPE_CHECKING:
    import altair as alt
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

    from reglab.pictures.vega import Scene


STAR = "M0,-1L.22,-.31L.95,-.31L.36,.12L.59,.81L0,.38L-.59,.81L-.36,.12L-.95,-.31L-.22,-.31Z"
"""What marks the highest mean, as a Vega shape."""


@dataclass(frozen=True)
class Curves(Panel):
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

    def reads(self) -> Iterator[Read]:
        """Yield what the panel reads: whole curves."""
        for name in (*self.variables, *filter(None, [self.theory])):
            yield Read(name, self.arms, log=self.log)
        for line in self.lines:
            yield from line.reads()

    def sources(self, data: xr.Dataset, arms: Mapping[str, str]) -> list[Source]:
        """Return where each line comes from."""
        return sources(data, self.variables, self.arms, self.at, arms)

    def series(self, data: xr.Dataset, arms: Mapping[str, str]) -> list[Series]:
        """Reduce results to the lines of the panel."""
        return reduce(data, self.sources(data, arms), axis_of(data, self))

    def artist(self, axes: Axes, data: xr.Dataset, arms: Mapping[str, str]) -> CurvesArtist:
        """Return what draws the panel."""
        return CurvesArtist(axes, self, data, arms)

    def chart(self, scene: Scene) -> dict[str, Any]:
        """Return the panel for the site."""
        return _chart(self, scene)


class CurvesArtist(SeriesArtist):
    """Curves with seeds and intervals."""

    def __init__(self, axes: Axes, panel: Curves, data: xr.Dataset, arms: Mapping[str, str]) -> None:
        coordinate = data[axis_of(data, panel)]
        super().__init__(axes, coordinate, panel.series(data, arms))
        self.panel, self._arms = panel, arms
        self._name_axes(data, coordinate)
        references = [self._reference(line) for line in panel.lines]
        self.head = 11 if any(line.axis == "x" and line.label for line in panel.lines) else 0
        self._references = references
        self._strokes = [Strokes(axes, one.style, one.style.marker) for one in self.series]
        self._label([one.style.ink for one in self.series])
        self._theory = [
            axes.plot([], [], color="black", lw=1.2, ls=(0, (4, 3)), zorder=4)[0] for _ in self._expected(data)
        ]
        (self._peak,) = axes.plot([], [], marker="*", ms=13, color="#F0E442", mec="black", ls="", zorder=5)
        self._names = [label.get_text() for label in self._labels]
        for one, label in zip(self.series, self._labels, strict=True):
            if one.label == panel.peak:
                label.set_text(f"{label.get_text()}\n★ best 0.000")  # so that there is room for it
        if len(self.series) == 1 and not panel.peak:
            self._labels[0].set_visible(False)
        for part in ("band", "threads", "old", "line"):
            self._animate(*(getattr(one, part) for one in self._strokes))
        self._animate(*self._theory, self._peak, *self._labels)
        self._animate(*(one for pair in references for one in pair))

    def _name_axes(self, data: xr.Dataset, coordinate: xr.DataArray) -> None:
        from matplotlib.ticker import NullLocator

        axes, panel = self.axes, self.panel
        self._x = label = named(coordinate.attrs)
        self._y = panel.y or named(data[panel.variables[0]].attrs)
        if panel.theory:
            self._expectation = str(data[panel.theory].attrs["long_name"])
            label += f"\ndashed: {self._expectation}"
        axes.set_xlabel(typeset(label))
        axes.set_ylabel(typeset(self._y))
        if panel.log:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_locator(NullLocator())

    def _expected(self, data: xr.Dataset) -> list[np.ndarray]:
        """Return the lines of the theory, mean over seeds, one for each arm that is shown."""
        if not self.panel.theory:
            return []
        values = data[self.panel.theory].sel(
            {k: v for k, v in self.panel.at.items() if k in data[self.panel.theory].dims}
        )
        values = over_seeds(values)
        if "arm" not in values.dims:
            return [values.values]
        return [values.sel(arm=arm).values for arm in self.panel.arms or self._arms]

    def _reference(self, line: Line) -> tuple[Line2D, Text]:
        straight = self.axes.axvline if line.axis == "x" else self.axes.axhline
        drawn = straight(np.nan, color="black", lw=1, ls=(0, (2, 2)))
        place = self.axes.get_xaxis_transform() if line.axis == "x" else self.axes.get_yaxis_transform()
        side = "center" if line.axis == "x" else "left"
        text = self.axes.text(0, 0, "", transform=place, fontsize=9, ha=side, va="bottom")
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.5})
        return drawn, text

    def fits(self, data: xr.Dataset) -> bool:
        """Tell whether results have the same axis."""
        return np.array_equal(data[axis_of(data, self.panel)].values, self.series[0].x)

    def fill(self, data: xr.Dataset, pinned: xr.Dataset | None, growing: xr.Dataset | None, final: bool) -> bool:
        """Put new results in."""
        series, before, more = (
            self.panel.series(one, self._arms) if one is not None else [] for one in (data, pinned, growing)
        )
        self.series = series
        expected = self._expected(data)
        for values, line in zip(expected, self._theory, strict=True):
            line.set_data(series[0].x, values)
        changed = self._fit(data, [*series, *before, *more], expected, final)
        for i, (one, strokes) in enumerate(zip(series, self._strokes, strict=True)):
            strokes.fill(one, before[i] if before else None, more[i] if more else None)
        self._fill_peak()
        self._fill_references(data)
        self._place_labels([last_of(one.mean) for one in series])
        return changed

    def _fill_peak(self) -> None:
        """Mark the highest mean; the label at the end of the line says how high, where it lies over nothing."""
        for one, label, name in zip(self.series, self._labels, self._names, strict=True):
            if self.panel.peak and one.label == self.panel.peak and np.isfinite(one.mean).any():
                best = int(np.nanargmax(one.mean))
                self._peak.set_data([one.x[best]], [one.mean[best]])
                label.set_text(f"{name}\n★ best {number(one.mean[best])}")

    def _fill_references(self, data: xr.Dataset) -> None:
        for line, (drawn, text) in zip(self.panel.lines, self._references, strict=True):
            (at,) = line.places(data)
            if line.axis == "x":
                drawn.set_xdata([at, at])
                text.set_position((at, 1.0))
            else:
                drawn.set_ydata([at, at])
                text.set_position((0.02, at))
                low, high = self.axes.get_ylim()
                text.set_visible(low <= at <= high)  # a name outside would take all room of the layout
            text.set_text(typeset(line.label) if np.isfinite(at) else "")

    def _fit(self, data: xr.Dataset, series: Sequence[Series], expected: Sequence[np.ndarray], final: bool) -> bool:
        """Fit the y axis."""
        given = [line.at for line in self.panel.lines if line.axis == "y" and not isinstance(line.at, str)]
        curves = np.concatenate([np.append(one.seeds, one.mean) for one in series])
        ends = [data[variable].attrs for variable in self.panel.variables]
        values = np.concatenate([curves, *expected, given])
        if not self._widen(values, ends, final, self.panel.log, curves):
            return False
        assert self._limits is not None
        if self.panel.log:
            from matplotlib.ticker import LogLocator

            decades = self._limits[1] - self._limits[0]
            steps = (1,) if decades > 2 else (1, 2, 5) if decades > 0.7 else range(1, 10)
            self.axes.yaxis.set_major_locator(LogLocator(subs=tuple(steps)))
            self.axes.set_ylim(*(10 ** np.array(self._limits)))
        else:
            self.axes.set_ylim(*self._limits)
        return True

    def describe(self) -> str:
        """Say in words what the panel shows."""
        said = self._said(self._y, self._x)
        far = self._far()
        if far is not None:
            said += f"; dashed: {self._expectation}, at most {number(far)} from the mean"
        return f"{self.panel.question} {said}."

    def _far(self) -> float | None:
        """Return the largest distance of a mean from the theory; one theory may stand for several lines."""
        lines = [np.asarray(line.get_ydata(), dtype=float) for line in self._theory]
        lines = lines * len(self.series) if len(lines) == 1 else lines
        gaps = np.abs([one.mean - line for one, line in zip(self.series, lines, strict=False)])
        return float(np.nanmax(gaps)) if np.isfinite(gaps).any() else None


def _chart(panel: Curves, scene: Scene) -> dict[str, Any]:
    from reglab.pictures import vega

    first, found = scene.first, panel.sources(scene.first, scene.arms)
    axis, lines = axis_of(first, panel), scene.lines(found)
    given = [line.at for line in panel.lines if line.axis == "y" and not isinstance(line.at, str)]
    domain = vega.domain(scene.grid, found, panel.log, given)
    theory = []
    if panel.theory:
        dims = first[panel.theory].dims
        theory = [
            {"variable": panel.theory, "at": scene.positions({k: v for k, v in one.at.items() if k in dims})}
            for one in (found if "arm" in dims else found[:1])
        ]
    return {
        "kind": "curves",
        "lines": lines,
        "axis": axis,
        "along": str(first[axis].attrs["long_name"]),
        "rules": scene.rules(panel.lines),
        "theory": theory,
        "peak": panel.peak,
        "expected": str(first[panel.theory].attrs["long_name"]) if panel.theory else "",
        "x": named(first[axis].attrs),
        "y": panel.y or named(scene.grid[panel.variables[0]].attrs),
        "heights": domain,
        "log": panel.log,
        "spec": scene.specification(_layers(lines, vega.along(first[axis]), domain, panel.log)),
    }


def _layers(lines: Sequence[Mapping[str, Any]], scale: alt.Scale, domain: list[float], log: bool) -> Any:
    import altair as alt

    from reglab.pictures.vega import following, number_axis, rules, strips, strokes

    x = alt.X("x:Q", title=None, scale=scale, axis=number_axis(scale))
    heights, marks = following("heights", domain, log)

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title=None, scale=heights, axis=marks)

    dashed: Any = {"color": "#000000", "strokeWidth": 1.4, "strokeDash": [6, 4], "clip": True}
    theory = alt.Chart(alt.NamedData("theory")).mark_line(**dashed).encode(x, y("y"), alt.Detail("line:N"))
    star: Any = {"shape": STAR, "size": 320, "fill": "#F0E442", "stroke": "#000000", "strokeWidth": 0.8, "opacity": 1}
    peak = alt.Chart(alt.NamedData("peak")).mark_point(**star).encode(x, y("y"))
    layers = alt.layer(*strokes(lines, x, y, marks=True), theory, *rules(x, y("y")), peak, strips(scale))
    return layers.add_params(alt.param(name="heights", value=domain))
