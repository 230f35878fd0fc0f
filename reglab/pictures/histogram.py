"""Histogram: how the values of a variable are distributed over an axis of items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from reglab.pictures.artist import PanelArtist, legend
from reglab.pictures.panel import Panel, Read, span
from reglab.pictures.reached import latest
from reglab.pictures.series import Series, Source, Strokes, sources
from reglab.pictures.words import averaged, named, number, typeset
from reglab.statistics import mean_interval

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from reglab.pictures.vega import Scene


@dataclass(frozen=True)
class Histogram(Panel):
    """Which share of the positions along `items` has a value in each of `bins` equal bins, for each arm.

    All arms share the bins. The shares are taken seed by seed: the line is their mean, with its interval, or with the
    single seeds where they are fewer than four. `limits` are the ends of the bins, else the declared ends of the
    variable, else its smallest and largest value; values beyond them count in the outermost bins. Where a further axis
    remains, its last position that has results is shown; `at` picks one position along further axes by its name.
    """

    question: str
    variable: str
    items: str
    arms: Sequence[str] = ()
    bins: int = 20
    limits: tuple[float, float] | None = None
    at: Mapping[str, Any] = field(default_factory=dict)

    def reads(self) -> Iterator[Read]:
        """Yield what the panel reads: the end of a variable at all items."""
        yield Read(self.variable, self.arms, whole=False, items=[self.items])

    def sources(self, data: xr.Dataset, arms: Mapping[str, str]) -> list[Source]:
        """Return where each line comes from."""
        return sources(data, [self.variable], self.arms, self.at, arms)

    def values(self, data: xr.Dataset, source: Source) -> np.ndarray:
        """Return the values of an arm [seed, item]."""
        return latest(data[self.variable].sel(source.at), "seed", self.items)[0].transpose("seed", self.items).values

    def edges(self, values: np.ndarray, attributes: Mapping[str, Any]) -> np.ndarray:
        """Return the ends of all bins [bins + 1]."""
        low, high = span(values, attributes, self.limits)
        return np.linspace(low, high, self.bins + 1) if high > low else np.linspace(low - 0.5, low + 0.5, self.bins + 1)

    def series(self, data: xr.Dataset, arms: Mapping[str, str], edges: np.ndarray) -> list[Series]:
        """Reduce results to steps, one series for each arm: every bin has its ends and its middle."""
        found = []
        for one in self.sources(data, arms):
            seeds = np.repeat(shares(self.values(data, one), edges), 3, axis=-1)
            found.append(Series(one.label, one.style, stepped(edges), *mean_interval(seeds, 0, (0, 1)), seeds))
        return found

    def artist(self, axes: Axes, data: xr.Dataset, arms: Mapping[str, str]) -> HistogramArtist:
        """Return what draws the panel."""
        return HistogramArtist(axes, self, data, arms)

    def chart(self, scene: Scene) -> dict[str, Any]:
        """Return the panel for the site."""
        return _chart(self, scene)


def shares(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the share of finite values [..., item] in each bin [..., bin]; NaN where there are none."""
    count = len(edges) - 1
    place = np.floor((values - edges[0]) / (edges[-1] - edges[0]) * count).clip(0, count - 1)
    inside = place[..., None] == np.arange(count)
    total = np.isfinite(values).sum(-1)[..., None]
    return np.where(total > 0, inside.sum(-2) / np.maximum(total, 1), np.nan)


def stepped(edges: np.ndarray) -> np.ndarray:
    """Return the positions of steps [3 · bins]: left end, middle and right end of every bin."""
    return np.column_stack([edges[:-1], (edges[:-1] + edges[1:]) / 2, edges[1:]]).ravel()


class HistogramArtist(PanelArtist):
    """Steps of several arms with their seeds and intervals."""

    def __init__(self, axes: Axes, panel: Histogram, data: xr.Dataset, arms: Mapping[str, str]) -> None:
        from matplotlib.ticker import MaxNLocator

        super().__init__(axes)
        self.panel, self._arms = panel, arms
        self._edges = panel.edges(np.array([]), data[panel.variable].attrs)
        self.series = panel.series(data, arms, self._edges)
        self._x = named(data[panel.variable].attrs)
        axes.set_xlabel(typeset(self._x))
        axes.set_ylabel("share per bin")
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        self._strokes = [Strokes(axes, one.style, one.style.marker) for one in self.series]
        legend(axes, [one.line for one in self._strokes], [one.label for one in self.series])
        for part in ("band", "threads", "old", "line"):
            self._animate(*(getattr(one, part) for one in self._strokes))

    def fits(self, data: xr.Dataset) -> bool:
        """Tell whether results have the positions for which the axes were made: any have."""
        return True

    def fill(self, data: xr.Dataset, pinned: xr.Dataset | None, growing: xr.Dataset | None, final: bool) -> bool:
        """Put new results in."""
        panel, there = self.panel, [one for one in (data, pinned, growing) if one is not None]
        values = [panel.values(one, source).ravel() for one in there for source in panel.sources(one, self._arms)]
        edges = panel.edges(np.concatenate(values), data[panel.variable].attrs)
        moved = not np.array_equal(edges, self._edges) or self._limits is None
        self._edges = edges
        self.series, before, more = (
            panel.series(one, self._arms, edges) if one is not None else [] for one in (data, pinned, growing)
        )
        for i, (one, strokes) in enumerate(zip(self.series, self._strokes, strict=True)):
            strokes.fill(one, before[i] if before else None, more[i] if more else None)
            strokes.line.set_markevery((1, 3 * -(-panel.bins // 8)))  # in the middle of some bins
            strokes.threads.set_visible(len(one.seeds) < 4)  # steps of many seeds hide each other
        heights = np.concatenate([one.seeds.ravel() for one in (*self.series, *before, *more)])
        if changed := self._widen(heights, [{"low": 0}], final) or moved:
            assert self._limits is not None
            self.axes.set(xlim=(edges[0], edges[-1]), ylim=self._limits)
        return changed

    def describe(self) -> str:
        """Say in words what the panel shows."""
        parts = []
        for one in self.series:
            if not np.isfinite(one.mean).any():
                parts.append(f"{one.label}: no data")
                continue
            share, most = one.mean[::3], int(np.nanargmax(one.mean[::3]))
            middle = float((share * (self._edges[1:] + self._edges[:-1]) / 2).sum())
            low, high = (number(self._edges[i]) for i in (most, most + 1))
            parts.append(f"{one.label} mean {number(middle)}, most from {low} to {high} (share {number(share[most])})")
        said = f"{self._x}, {len(self._edges) - 1} bins, {averaged(len(self.series[0].seeds))}"
        return f"{self.panel.question} {said}: {'; '.join(parts)}."


def _chart(panel: Histogram, scene: Scene) -> dict[str, Any]:
    import altair as alt

    from reglab.pictures.vega import number_axis, strips, strokes

    found = panel.sources(scene.first, scene.arms)
    lines = scene.lines(found)
    arrays = [scene.grid[panel.variable].sel(one.at) for one in found]
    edges = panel.edges(np.concatenate([one.values.ravel() for one in arrays]), scene.first[panel.variable].attrs)
    heights = [shares(one.transpose(..., panel.items).values, edges) for one in arrays]
    top = 1.05 * max(float(np.nanmax(one)) for one in heights)
    across = alt.Scale(domain=[float(edges[0]), float(edges[-1])], nice=False, zero=False)
    upward = alt.Scale(domain=[0, top], nice=False)
    x = alt.X("x:Q", title=None, scale=across, axis=number_axis(across, 4))

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title=None, scale=upward, axis=number_axis(upward, 4))

    name = named(scene.first[panel.variable].attrs)
    return {
        "kind": "histogram",
        "lines": lines,
        "items": panel.items,
        "edges": [float(f"{edge:.9g}") for edge in edges],
        "along": f"{name}, from",
        "x": name,
        "y": "share per bin",
        "spec": scene.specification(alt.layer(*strokes(lines, x, y, marks=True), strips(across))),
    }
