"""Lines with their uncertainty: results reduced to means, intervals and seeds, and the artist that draws them.

Curves, shares and histograms are such lines; dots are such means at one place.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reglab.pictures.artist import PanelArtist
from reglab.pictures.style import FURTHER, METHOD, Style, styles
from reglab.pictures.words import averaged, estimate, number, typeset
from reglab.statistics import mean_interval, possible

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

PALETTE = (FURTHER[3], FURTHER[1], FURTHER[2], FURTHER[0])
"""The looks of several variables of one arm."""


@dataclass(frozen=True)
class Source:
    """Where a line or a row of a panel comes from: its label and look, the variable and the chosen positions."""

    label: str
    style: Style
    variable: str
    at: Mapping[str, Any]


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


def sources(
    data: xr.Dataset, variables: Sequence[str], shown: Sequence[str], at: Mapping[str, Any], arms: Mapping[str, str]
) -> list[Source]:
    """Return what a panel shows, line by line, for each of its variables and the arms that are `shown` (all if none).

    Labels name what differs. Several variables of one arm take the looks of `PALETTE`.
    """
    look, chosen, several = styles(arms), list(shown or arms) or [""], len(variables) > 1
    found = []
    for i, variable in enumerate(variables):
        for arm in chosen:
            values = data[variable]
            place = {**at, "arm": arm} if arm and "arm" in values.dims else dict(at)
            name = str(values.attrs["long_name"])
            label = name if several and len(chosen) == 1 else f"{arm}, {name}" if several else arm or name
            style = PALETTE[i] if several and len(chosen) == 1 else look.get(arm, METHOD)
            found.append(Source(label, style, variable, place))
    return found


def axis_of(data: xr.Dataset, panel: Any) -> str:
    """Return the axis along which a panel's curves run: what is left besides arm, seed and the chosen positions."""
    left = [str(dim) for dim in data[panel.variables[0]].dims if dim not in ("arm", "seed", *getattr(panel, "at", ()))]
    if len(left) != 1:
        raise ValueError(f"panel {panel.question!r} needs one axis for its curves, found {left}")
    return left[0]


def reduce(data: xr.Dataset, lines: Sequence[Source], axis: str) -> list[Series]:
    """Reduce results to series: mean over seeds, 95 % interval of the mean, single seeds."""
    x, series = data[axis].values, []
    for one in lines:
        seeds, ends = data[one.variable].sel(one.at).transpose("seed", axis).values, possible(data[one.variable].attrs)
        series.append(Series(one.label, one.style, x, *mean_interval(seeds, 0, ends), seeds))
    return series


def outline(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the corners of the band between two lines."""
    return np.column_stack([np.concatenate([x, x[::-1]]), np.concatenate([low, high[::-1]])])


class Strokes:
    """One series as artists: its interval as a band, seeds as thin lines, a pinned run dotted, the mean as a line."""

    def __init__(self, axes: Axes, style: Style, marker: str | None = None) -> None:
        from matplotlib.collections import LineCollection, PolyCollection

        self.band = PolyCollection([], facecolor=style.color, alpha=0.18, linewidth=0)
        self.threads = LineCollection([], colors=style.color, linewidths=0.6, alpha=0.35)
        axes.add_collection(self.band, autolim=False)
        axes.add_collection(self.threads, autolim=False)
        (self.old,) = axes.plot([], [], color=style.color, ls=":", lw=1.6, alpha=0.8)
        (self.line,) = axes.plot([], [], color=style.color, ls=style.line, marker=marker, lw=2, ms=5)
        self.line.set(clip_on=False, in_layout=False)  # its first and last marker are whole

    def fill(self, one: Series, pinned: Series | None, growing: Series | None) -> None:
        """Put new results in."""
        there = np.isfinite(one.mean)
        x, count = one.x[there], int(there.sum())
        self.line.set_data(x, one.mean[there])
        self.line.set_markevery(max(1, -(-count // 8)))
        many = len(one.seeds) >= 4 and count > 1
        self.band.set_verts([outline(x, one.low[there], one.high[there])] if many else [])
        single = [*(one.seeds if len(one.seeds) > 1 else []), *(growing.seeds if growing else [])]
        self.threads.set_segments([np.column_stack([one.x, row])[np.isfinite(row)] for row in single])
        self.old.set_data(pinned.x if pinned else [], pinned.mean if pinned else [])


def _apart(axes: Axes, x: np.ndarray) -> list[str]:
    """Return the names of positions along an axis; those too near to the one before have none."""
    places = (axes.transScale + axes.transLimits).transform(np.column_stack([x, np.ones(len(x))]))[:, 0]
    room = 0.75 * axes.bbox.width / axes.figure.dpi  # in inches, less what the labels of lines will take
    names, end = [], -1.0
    for value, place in zip(x, places * room, strict=True):
        half = 0.04 * len(f"{value:g}")
        names.append(f"{value:g}" if place - half > end else "")
        end = place + half + 0.05 if names[-1] else end
    return names


class SeriesArtist(PanelArtist):
    """Series along one axis with their names at their ends; a kind adds what stands at the heights."""

    def __init__(self, axes: Axes, coordinate: xr.DataArray, series: Sequence[Series]) -> None:
        super().__init__(axes)
        self.series = series
        x = coordinate.values.astype(float)
        if coordinate.attrs.get("log"):
            linear = float(x[x > 0].min())
            axes.set_xscale("symlog", linthresh=linear) if x.min() <= 0 else axes.set_xscale("log")
        axes.set_xlim(x.min(), x.max() if x.max() > x.min() else x.min() + 1)
        if len(x) <= 8:
            axes.set_xticks(x, _apart(axes, x))
            axes.minorticks_off()

    def _label(self, inks: Sequence[str]) -> None:
        """Make the labels at the ends of the lines."""
        self._labels = [
            self.axes.text(1.015, 0, typeset("\n".join(textwrap.wrap(one.label, 16))), color=ink, va="center",
                           transform=self.axes.transAxes, fontsize=9.5)
            for one, ink in zip(self.series, inks, strict=True)
        ]  # fmt: skip

    def _place_labels(self, ends: Sequence[float] | np.ndarray) -> None:
        """Put each label at the end of its line, moved apart where they would overlap."""
        for text, end in zip(self._labels, ends, strict=True):
            text.set_alpha(1.0 if np.isfinite(end) else 0.0)  # without results it is not seen, but keeps its room
        order = [i for i in np.argsort(ends) if np.isfinite(ends[i])]
        if not order:
            return
        points = np.column_stack([np.full(len(order), self.axes.get_xlim()[1]), np.array(ends)[order]])
        places = self.axes.transAxes.inverted().transform(self.axes.transData.transform(points))[:, 1]
        height = max(self.axes.get_window_extent().height / self.axes.figure.dpi * 72, 1)
        tall = np.array([12.0 * (1 + self._labels[i].get_text().count("\n")) for i in order]) / height
        lowest = tall / 2 - 6 / height  # below the axes stands the last number of the x axis
        places = np.clip(places, lowest, 1)
        gaps = (tall[1:] + tall[:-1]) / 2
        for _ in range(50):
            close = np.diff(places) < gaps * 0.999
            if not close.any():
                break
            for i in np.flatnonzero(close):
                middle = (places[i] + places[i + 1]) / 2
                places[i], places[i + 1] = middle - gaps[i] / 2, middle + gaps[i] / 2
        # the topmost may reach as far above the axes as a line at their top would; above that stands the title
        places[-1] = min(places[-1], 1 + 6 / height - tall[-1] / 2)
        for k in range(len(order) - 2, -1, -1):
            places[k] = min(places[k], places[k + 1] - gaps[k])
        for k, i in enumerate(order):
            places[k] = max(places[k], lowest[k], places[k - 1] + gaps[k - 1] * 0.999 if k else -np.inf)
            self._labels[i].set_y(places[k])

    def _said(self, what: str, x: str) -> str:
        """Say where each line starts, peaks and ends."""
        parts = []
        for one in self.series:
            there = np.flatnonzero(np.isfinite(one.mean))
            if not len(there):
                parts.append(f"{one.label}: no data")
                continue
            first, final, best = there[0], there[-1], int(np.nanargmax(one.mean))
            text = f"{one.label} starts at {number(one.mean[first])}"
            if best not in (first, final):
                text += f", peaks at {number(one.mean[best])} ({x} {one.x[best]:g})"
            parts.append(f"{text}, ends at {estimate(one.mean[final], one.low[final], one.high[final])}")
        return f"{what} against {x}, {averaged(len(self.series[0].seeds))}: {'; '.join(parts)}"


def last_of(values: np.ndarray) -> float:
    """Return the last finite value, or NaN."""
    there = values[np.isfinite(values)]
    return float(there[-1]) if len(there) else np.nan
