"""Views drawn by matplotlib in the house's one style: charts that are filled while they are watched, and pictures."""

from __future__ import annotations

import base64
import contextlib
import gzip
import html
import io
import re
import textwrap
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reglab.pictures import views
from reglab.pictures.views import (
    NARROW,
    WIDE,
    Curves,
    Dots,
    Line,
    Panel,
    Points,
    Row,
    Series,
    Shares,
    View,
    named,
    number,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

PAGE_DPI, COLORS = 120, 64
"""Sharpness and number of colors of a finished picture in pixels: crisp enough, light enough for a page."""

HEAVY = 24_000
"""A vector picture of more compressed bytes has so many shapes that pixels are lighter."""


LOOK: Any = {
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
    "axes.edgecolor": "#808080",
    "hatch.linewidth": 0.6,
    "hatch.color": "#ffffff",
    "figure.facecolor": "white",
    "svg.fonttype": "none",  # outlines of letters would weigh more than all lines
    "svg.hashsalt": "reglab",  # the same picture is the same file in every run
}
"""matplotlib settings of every figure."""


_LOCK = threading.RLock()


@contextlib.contextmanager
def _look() -> Iterator[None]:
    """Draw in the house's style; one thread at a time, since matplotlib has one set of settings for all threads."""
    import matplotlib

    with _LOCK, matplotlib.rc_context(LOOK):
        yield


class Chart:
    """A view as one figure that can be filled again and again; only what changed is drawn anew."""

    def __init__(self, data: xr.Dataset, view: View, arms: Mapping[str, str], width: float = WIDE) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.view = view
        columns = min(view.columns, len(view.panels))
        columns = max(1, columns // 2) if width <= NARROW else columns
        rows = -(-len(view.panels) // columns)
        with _look():
            self.figure = Figure(figsize=(width, view.height * rows), layout="constrained")
            self.canvas = FigureCanvasAgg(self.figure)
            grid = self.figure.subplots(rows, columns, squeeze=False).flat
            self._panels = []
            for axes, panel in zip(grid, view.panels, strict=False):
                self._panels.append(_kind(panel)(axes, panel, data, arms))
            for i, (one, panel) in enumerate(zip(self._panels, view.panels, strict=True)):
                # the axes of a column stand in line
                side = max(other.side for other in self._panels[i % columns :: columns])
                letters = int((width / columns - 0.55 - side) * 10.5)
                one.axes.set_title(_typeset("\n".join(textwrap.wrap(panel.question, letters))))
            for empty in list(grid)[len(view.panels) :]:
                empty.set_axis_off()
        self._background: Any = None
        self._drawn_at = 0.0
        self.update(data)

    def fits(self, data: xr.Dataset, view: View) -> bool:
        """Tell whether this figure can show a view of some results: the same view, the same positions on its axes."""
        return view is self.view and all(panel.fits(data) for panel in self._panels)

    def update(
        self, data: xr.Dataset, pinned: xr.Dataset | None = None, final: bool = True, growing: xr.Dataset | None = None
    ) -> None:
        """Fill the figure with results; `final` fits the axes to what is there.

        Behind them: a `pinned` run, dotted, and seeds still `growing`, thin, that do not count yet.
        """
        for panel in self._panels:
            if panel.fill(data, pinned, growing, final):
                self._background = None

    def png(self, dpi: float = 100) -> bytes:
        """Return the figure as PNG bytes, quickly: this is what a live figure sends."""
        target = io.BytesIO()
        self._image(dpi).save(target, "png", compress_level=1)
        return target.getvalue()

    def finished(self) -> Figure:
        """Return the figure as it is, to be saved; from then on it cannot be filled any more."""
        for panel in self._panels:
            for artist in panel.artists:
                artist.set_animated(False)
        return self.figure

    def _image(self, dpi: float) -> Any:
        from PIL import Image

        with _look():
            if self._background is None or self._drawn_at != dpi:
                self.figure.set_dpi(dpi)
                self.canvas.draw()
                self._background = self.canvas.copy_from_bbox(self.figure.bbox)
                self._drawn_at = dpi
            else:
                self.canvas.restore_region(self._background)
            for panel in self._panels:
                panel.draw()
        size = self.canvas.get_width_height()
        return Image.frombuffer("RGBA", size, self.canvas.buffer_rgba()).convert("RGB")

    def describe(self) -> str:
        """Say in words what the figure shows, with the numbers that matter: its alternative text."""
        return " ".join(panel.describe() for panel in self._panels)


class _Panel:
    """One set of axes with its artists, which are made once and then filled; one subclass for each kind of panel."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        self.artists: list[Artist] = []
        self._limits: tuple[float, float] | None = None
        self.side = 0.0  # inches to the left of the axes that names of rows take from the title

    def fits(self, data: xr.Dataset) -> bool:
        """Tell whether results have the positions for which the axes were made."""
        raise NotImplementedError

    def fill(self, data: xr.Dataset, pinned: xr.Dataset | None, growing: xr.Dataset | None, final: bool) -> bool:
        """Put new results in; returns whether the axes changed, so that all must be drawn anew."""
        raise NotImplementedError

    def describe(self) -> str:
        """Say in words what the panel shows."""
        raise NotImplementedError

    def draw(self) -> None:
        """Draw what changes onto the prepared background."""
        for artist in self.artists:
            self.axes.draw_artist(artist)

    def _animate(self, *artists: Artist) -> None:
        """Register artists, from below to above, that are drawn onto the background."""
        for artist in artists:
            artist.set_animated(True)
            self.artists.append(artist)

    def _widen(self, values: np.ndarray, ends: Sequence[Mapping[str, Any]], final: bool, log: bool = False) -> bool:
        """Set `_limits` so that they hold all values: declared ends stay, the others grow with the results."""
        low = min((e["low"] for e in ends), default=None) if all("low" in e for e in ends) else None
        high = max((e["high"] for e in ends), default=None) if all("high" in e for e in ends) else None
        values = values[np.isfinite(values)]
        if log:
            values, low, high = np.log10(values[values > 0]), None, None
        smallest, largest = (values.min(), values.max()) if len(values) else (0.0, 1.0)
        margin = (0.06 if final else 0.25) * max(largest - smallest, 1e-9)
        wanted = (smallest - margin if low is None else low, largest + margin if high is None else high * 1.02)
        kept = self._limits
        if kept and not final and kept[0] <= smallest and largest <= kept[1]:
            return False
        if kept == wanted:
            return False
        self._limits = (float(wanted[0]), float(wanted[1] if wanted[1] > wanted[0] else wanted[0] + 1))
        return True


def _kind(panel: Panel) -> type[Any]:
    return _Dots if isinstance(panel, Dots) else _Points if isinstance(panel, Points) else _Curves


def _typeset(text: str) -> str:
    """Return a text with subscripts in the place of underscores: λ_H, Tr Σ_W."""
    return views.SUBSCRIPT.sub(r"$\\mathrm{\1}_{\2}$", text)


class _Curves(_Panel):
    """Curves with seeds and intervals, or shares stacked on each other."""

    def __init__(self, axes: Axes, panel: Curves | Shares, data: xr.Dataset, arms: Mapping[str, str]) -> None:
        from matplotlib.collections import LineCollection, PolyCollection

        super().__init__(axes)
        self.panel, self._arms = panel, arms
        self.series = views.reduce(data, panel, arms)
        self._prepare(data)
        self._lines, self._bands, self._threads, self._old, self._labels = [], [], [], [], []
        self._references = [self._reference(line) for line in getattr(panel, "lines", ())]
        shares = isinstance(panel, Shares)
        for i, one in enumerate(self.series):
            color, hatch = views.LAYERS[i % len(views.LAYERS)] if shares else (one.style.color, "")
            band = PolyCollection([], facecolor=color, alpha=1 if shares else 0.18, hatch=hatch or None, linewidth=0)
            if shares:
                band.set_edgecolor("white")
            threads = LineCollection([], colors=one.style.color, linewidths=0.6, alpha=0.35)
            axes.add_collection(band, autolim=False)
            axes.add_collection(threads, autolim=False)
            self._bands.append(band)
            self._threads.append(threads)
            (old,) = axes.plot([], [], color="black" if shares else color, ls=":", lw=1.6, alpha=0.8)
            self._old.append(old)
            (line,) = axes.plot([], [], color=color, ls=one.style.line, marker=one.style.marker, lw=2, ms=5)
            line.set(clip_on=False, in_layout=False)  # its first and last marker are whole
            line.set_visible(not shares)
            self._lines.append(line)
            ink = "#222222" if shares else one.style.ink
            name = _typeset("\n".join(textwrap.wrap(one.label, 16)))
            text = axes.text(1.015, 0, name, color=ink, va="center", transform=axes.transAxes, fontsize=9.5)
            self._labels.append(text)
        self._theory = [
            axes.plot([], [], color="black", lw=1.2, ls=(0, (4, 3)), zorder=4)[0] for _ in self._expected(data)
        ]
        (self._peak,) = axes.plot([], [], marker="*", ms=13, color="#F0E442", mec="black", ls="", zorder=5)
        self._peak_label = axes.annotate(
            "", (0, 0), (5, -17), textcoords="offset points", ha="left", fontsize=9, zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1},
        )  # fmt: skip
        if len(self.series) == 1 and not shares:
            self._labels[0].set_visible(False)
        self._animate(*self._bands, *self._threads, *self._old, *self._lines, *self._theory)
        self._animate(self._peak, self._peak_label, *self._labels, *(one for pair in self._references for one in pair))

    def _prepare(self, data: xr.Dataset) -> None:
        """Name and scale the axes."""
        from matplotlib.ticker import NullLocator

        axes, panel = self.axes, self.panel
        coordinate = data[views.axis_of(data, panel)]
        x = coordinate.values.astype(float)
        self._x, self._y = named(coordinate.attrs), "share"
        label = self._x
        if isinstance(panel, Curves):
            self._y = panel.y or named(data[panel.variables[0]].attrs)
            if panel.theory:
                self._expectation = str(data[panel.theory].attrs["long_name"])
                label += f"\ndashed: {self._expectation}"
        axes.set_xlabel(_typeset(label))
        axes.set_ylabel(_typeset(self._y))
        if coordinate.attrs.get("log"):
            linear = float(x[x > 0].min())
            axes.set_xscale("symlog", linthresh=linear) if x.min() <= 0 else axes.set_xscale("log")
        if len(x) <= 8:
            axes.set_xticks(x, [f"{value:g}" for value in x])
            axes.minorticks_off()
        axes.set_xlim(x.min(), x.max() if x.max() > x.min() else x.min() + 1)
        if isinstance(panel, Shares):
            axes.set_ylim(0, 1)
            axes.grid(False)
        elif panel.log:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_locator(NullLocator())

    def _expected(self, data: xr.Dataset) -> list[np.ndarray]:
        """Return the lines of the theory, mean over seeds, one for each arm that is shown."""
        if isinstance(self.panel, Shares) or not self.panel.theory:
            return []
        values = data[self.panel.theory].sel(
            {k: v for k, v in self.panel.at.items() if k in data[self.panel.theory].dims}
        )
        values = values.mean("seed") if "seed" in values.dims else values
        if "arm" not in values.dims:
            return [values.values]
        return [values.sel(arm=arm).values for arm in self.panel.arms or self._arms]

    def _reference(self, line: Line) -> tuple[Line2D, Text]:
        straight = self.axes.axvline if line.axis == "x" else self.axes.axhline
        drawn = straight(np.nan, color="black", lw=1, ls=(0, (2, 2)))
        place = self.axes.get_xaxis_transform() if line.axis == "x" else self.axes.get_yaxis_transform()
        text = self.axes.text(0, 0, "", transform=place, fontsize=9, ha="left", va="bottom")
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.5})
        return drawn, text

    def fits(self, data: xr.Dataset) -> bool:
        return np.array_equal(data[views.axis_of(data, self.panel)].values, self.series[0].x)

    def fill(self, data: xr.Dataset, pinned: xr.Dataset | None, growing: xr.Dataset | None, final: bool) -> bool:
        series, before, more = (
            views.reduce(one, self.panel, self._arms) if one is not None else [] for one in (data, pinned, growing)
        )
        self.series = series
        expected = self._expected(data)
        for values, line in zip(expected, self._theory, strict=True):
            line.set_data(series[0].x, values)
        changed = self._fit(data, [*series, *before, *more], expected, final)
        if isinstance(self.panel, Shares):
            self._fill_shares(series, before, more)
        else:
            self._fill_curves(series, before, more)
        self._fill_references(data)
        self._place_labels()
        return changed

    def _fill_curves(self, series: Sequence[Series], pinned: Sequence[Series], growing: Sequence[Series]) -> None:
        for i, (one, line, band, threads) in enumerate(
            zip(series, self._lines, self._bands, self._threads, strict=True)
        ):
            there = np.isfinite(one.mean)
            x, count = one.x[there], int(there.sum())
            line.set_data(x, one.mean[there])
            line.set_markevery(max(1, -(-count // 8)))
            many = len(one.seeds) >= 4 and count > 1
            band.set_verts([_outline(x, one.low[there], one.high[there])] if many else [])
            single = [*(one.seeds if len(one.seeds) > 1 else []), *(growing[i].seeds if growing else [])]
            threads.set_segments([np.column_stack([one.x, row])[np.isfinite(row)] for row in single])
        for i, line in enumerate(self._old):
            line.set_data(pinned[i].x if pinned else [], pinned[i].mean if pinned else [])
        self._fill_peak(series)

    def _fill_peak(self, series: Sequence[Series]) -> None:
        name = self.panel.peak if isinstance(self.panel, Curves) else ""
        for one in series:
            if name and one.label == name and np.isfinite(one.mean).any():
                best = int(np.nanargmax(one.mean))
                self._peak.set_data([one.x[best]], [one.mean[best]])
                self._peak_label.xy = (one.x[best], one.mean[best])
                self._peak_label.set_text(f"best {number(one.mean[best])}")

    def _fill_shares(self, series: Sequence[Series], pinned: Sequence[Series], growing: Sequence[Series]) -> None:
        lower = np.zeros(len(series[0].x))
        for i, (one, band) in enumerate(zip(series, self._bands, strict=True)):
            mean = one.mean
            if growing:
                # as far as the growing seeds have come, they count already
                mean = np.nanmean(np.concatenate([one.seeds, growing[i].seeds]), axis=0)
            there = np.isfinite(mean)
            upper = lower + mean
            band.set_verts([_outline(one.x[there], lower[there], upper[there])] if there.any() else [])
            lower = upper
        total = np.zeros(len(series[0].x))
        for before, line in zip(pinned, self._old[: len(pinned) - 1], strict=False):
            total = total + before.mean
            line.set_data(before.x, total)
        for line in self._old if not pinned else []:
            line.set_data([], [])

    def _fill_references(self, data: xr.Dataset) -> None:
        for line, (drawn, text) in zip(getattr(self.panel, "lines", ()), self._references, strict=True):
            if isinstance(line.at, str):
                values = data[line.at].sel(arm=line.arm) if line.arm else data[line.at]
                at = float(values.mean())
            else:
                at = line.at
            if line.axis == "x":
                drawn.set_xdata([at, at])
                text.set_position((at, 0.02))
            else:
                drawn.set_ydata([at, at])
                text.set_position((0.02, at))
            text.set_text(_typeset(line.label) if np.isfinite(at) else "")

    def _fit(self, data: xr.Dataset, series: Sequence[Series], expected: Sequence[np.ndarray], final: bool) -> bool:
        """Fit the y axis."""
        if isinstance(self.panel, Shares):
            return False
        given = [line.at for line in self.panel.lines if line.axis == "y" and not isinstance(line.at, str)]
        values = np.concatenate([*(np.append(one.seeds, one.mean) for one in series), *expected, given])
        if not self._widen(values, [data[variable].attrs for variable in self.panel.variables], final, self.panel.log):
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

    def _place_labels(self) -> None:
        """Put each label at the end of its line, moved apart where they would overlap."""
        ends, running = [], 0.0
        for one in self.series:
            there = one.mean[np.isfinite(one.mean)]
            end = float(there[-1]) if len(there) else np.nan
            if isinstance(self.panel, Shares):
                ends.append(running + end / 2)
                running += end
            else:
                ends.append(end)
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
        for k, i in enumerate(order):
            places[k] = max(places[k], lowest[k], places[k - 1] + gaps[k - 1] * 0.999 if k else -np.inf)
            self._labels[i].set_y(places[k])

    def describe(self) -> str:
        """Say in words what the panel shows."""
        x, what = self._x, "Stacked shares" if isinstance(self.panel, Shares) else self._y
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
            text += f", ends at {number(one.mean[final])}"
            if np.isfinite(one.low[final]):
                text += f" (95 % interval {number(one.low[final])} to {number(one.high[final])})"
            parts.append(text)
        count = len(self.series[0].seeds)
        seeds = f"mean of {count} seeds" if count > 1 else "one seed"
        if self._theory and self._far() is not None:
            parts.append(f"dashed: {self._expectation}, at most {number(self._far() or 0)} from the mean")
        return f"{self.panel.question} {what} against {x}, {seeds}: {'; '.join(parts)}."

    def _far(self) -> float | None:
        """Return the largest distance of a mean from the theory; one theory may stand for several lines."""
        lines = [np.asarray(line.get_ydata(), dtype=float) for line in self._theory]
        lines = lines * len(self.series) if len(lines) == 1 else lines
        gaps = np.abs([one.mean - line for one, line in zip(self.series, lines, strict=False)])
        return float(np.nanmax(gaps)) if np.isfinite(gaps).any() else None


class _Dots(_Panel):
    """One row for each arm, from above: every seed a small mark, mean and interval a large one, the mean in figures."""

    def __init__(self, axes: Axes, panel: Dots, data: xr.Dataset, arms: Mapping[str, str]) -> None:
        from matplotlib.collections import LineCollection
        from matplotlib.ticker import MaxNLocator

        super().__init__(axes)
        self.panel, self._arms = panel, arms
        self.rows = views.rows(data, panel, arms)
        count = len(self.rows)
        axes.set_yticks(range(count), [_typeset(row.label) for row in self.rows])
        self.side = 0.075 * max(len(row.label) for row in self.rows)
        axes.set_ylim(count - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        self._x = named(data[panel.variable].attrs)
        axes.set_xlabel(_typeset(self._x))
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
        for line in panel.lines:
            axes.axvline(float(line.at), color="black", lw=1, ls=(0, (2, 2)))
            axes.text(float(line.at), -0.45, line.label, fontsize=9, va="top")
        self._animate(*self._seeds, *self._bars, *self._means, *self._old, *self._texts)

    def fits(self, data: xr.Dataset) -> bool:
        return True

    def fill(self, data: xr.Dataset, pinned: xr.Dataset | None, growing: xr.Dataset | None, final: bool) -> bool:
        self.rows, before, more = (
            views.rows(one, self.panel, self._arms) if one is not None else [] for one in (data, pinned, growing)
        )
        given = [float(line.at) for line in self.panel.lines]
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
        said = [_said(row) for row in self.rows]
        count = len(self.rows[0].seeds)
        seeds = f"mean of {count} seeds" if count > 1 else "one seed"
        return f"{self.panel.question} {self._x}, {seeds}: {'; '.join(said)}."


def _said(row: Row) -> str:
    if not np.isfinite(row.mean):
        return f"{row.label}: no data"
    interval = f" (95 % interval {number(row.low)} to {number(row.high)})" if np.isfinite(row.low) else ""
    return f"{row.label} {number(row.mean)}{interval}"


def _spread(count: int) -> np.ndarray:
    """Return places from -1 to 1 that keep the marks of neighboring seeds apart."""
    return np.zeros(1) if count == 1 else np.linspace(-1, 1, count)


class _Points(_Panel):
    """Points in a plane, with arrows from where they come and crosses where they should be."""

    def __init__(self, axes: Axes, panel: Points, data: xr.Dataset, arms: Mapping[str, str]) -> None:
        from matplotlib.collections import LineCollection

        super().__init__(axes)
        self.panel = panel
        self._shape = data[panel.variable].shape
        axes.set_aspect("equal", adjustable="box")
        several = bool(panel.groups)
        looks = [views.METHOD, *views.FURTHER, views.BASELINE]
        looks = looks if several else [views.styles(arms).get(panel.arm, views.METHOD)]
        self._trails = LineCollection([], colors="#808080", linewidths=0.7, alpha=0.7)
        axes.add_collection(self._trails, autolim=False)
        (self._before,) = axes.plot([], [], ls="", marker="o", ms=3, mfc="none", mec="#808080", mew=0.6)
        self._clouds = []
        for look in looks:
            marker, size, edge = (look.marker, 6, "white") if several else ("o", 3.5, "none")
            self._clouds += axes.plot([], [], ls="", marker=marker, color=look.color, ms=size, mec=edge, alpha=0.75)
        (self._crosses,) = axes.plot([], [], ls="", marker="x", color="black", ms=8, mew=1.6)
        self._when = axes.text(0.02, 0.98, "", transform=axes.transAxes, va="top", fontsize=9, zorder=6)
        self._when.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1})
        self._animate(self._trails, self._before, *self._clouds, self._crosses, self._when)
        nothing = np.empty((0, 2))
        self._shown = nothing, nothing, nothing, ""  # points, crosses, origin, and when

    def fits(self, data: xr.Dataset) -> bool:
        return data[self.panel.variable].shape == self._shape

    def _places(self, data: xr.Dataset, variable: str) -> tuple[np.ndarray, str]:
        """Return points [P, 2] of the panel's arm and the first seed, and where on a further axis they are."""
        values = data[variable]
        values = values.sel(arm=self.panel.arm) if "arm" in values.dims else values
        values = values.isel(seed=0) if "seed" in values.dims else values
        last, when = views.latest(values, *(str(dim) for dim in values.dims[-2:]))
        return last.values, when

    def fill(self, data: xr.Dataset, pinned: xr.Dataset | None, growing: xr.Dataset | None, final: bool) -> bool:
        points, when = self._places(data, self.panel.variable)
        before = self._places(pinned, self.panel.variable)[0] if pinned is not None else np.empty((0, 2))
        groups = data[self.panel.groups].values if self.panel.groups else np.zeros(len(points))
        for i, cloud in enumerate(self._clouds):
            cloud.set_data(*points[groups == i].T)
        self._before.set_data(*before.T)
        crosses = data[self.panel.crosses].values if self.panel.crosses else np.empty((0, 2))
        self._crosses.set_data(*crosses.T)
        origin = self._places(data, self.panel.origin)[0] if self.panel.origin else np.empty((0, 2))
        self._trails.set_segments([*np.stack([origin, points], 1)] if len(origin) else [])
        self._when.set_text(when)
        self._shown = points, crosses, origin, when
        if self.panel.limits is not None:
            changed, self._limits = self._limits is None, self.panel.limits
        else:
            changed = self._widen(np.concatenate([points, before, crosses, origin]).ravel(), [{}], final)
        if changed and self._limits is not None:
            self.axes.set_xlim(*self._limits)
            self.axes.set_ylim(*self._limits)
        return changed

    def describe(self) -> str:
        points, crosses, origin, when = self._shown
        there = points[np.isfinite(points).all(-1)]
        if not len(there):
            return f"{self.panel.question} First seed: {self.panel.arm or 'points'}: no data."
        x, y = there.mean(0)
        said = f"{len(there)} points of {self.panel.arm}" if self.panel.arm else f"{len(there)} points"
        said += f" at {when}" if when else ""
        said += f", middle at ({number(x)}, {number(y)}), standard deviation {number(float(there.std(0).mean()))}"
        crosses = crosses[np.isfinite(crosses).all(-1)]
        if len(crosses):
            nearest = np.linalg.norm(there[:, None] - crosses, axis=-1).argmin(1)
            said += f"; {len(np.unique(nearest))} of {len(crosses)} crosses are nearest to some point"
        if len(origin):
            way = np.linalg.norm(points - origin, axis=-1).mean()
            said += f"; mean way from where they start {number(float(way))}"
        return f"{self.panel.question} First seed: {said}."


def _outline(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.column_stack([np.concatenate([x, x[::-1]]), np.concatenate([low, high[::-1]])])


@dataclass(frozen=True)
class Form:
    """One form of a picture: the bytes of an SVG or WebP file, and its size in pixels of a page."""

    content: bytes
    width: int
    height: int

    @property
    def mime(self) -> str:
        """The kind of the file."""
        return "image/svg+xml" if self.content.startswith(b"<") else "image/webp"

    def attributes(self, source: str) -> str:
        """Return the attributes of an HTML element that shows it; `source` names the one with the address."""
        data = base64.b64encode(self.content).decode()
        return f'{source}="data:{self.mime};base64,{data}" width="{self.width}" height="{self.height}"'


@dataclass(frozen=True)
class Picture:
    """A finished picture with its alternative text, in a wide and (for phones) a narrow form."""

    wide: Form
    narrow: Form
    png: bytes
    alt: str

    @property
    def html(self) -> str:
        """The picture as HTML that needs nothing else."""
        style = f"width:100%;max-width:{WIDE * 100:.0f}px;height:auto"
        return (
            f'<picture class="reglab-picture"><source media="(max-width: 600px)" {self.narrow.attributes("srcset")}>'
            f'<img alt="{html.escape(self.alt)}" {self.wide.attributes("src")} style="{style}"></picture>'
        )

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        return {"text/html": self.html, "image/png": base64.b64encode(self.png).decode(), "text/plain": self.alt}


def draw(data: xr.Dataset, view: View, arms: Mapping[str, str]) -> Picture:
    """Draw a view of some results as a picture for the page."""
    wide, narrow = (Chart(data, view, arms, width) for width in (WIDE, NARROW))
    return _picture(wide.finished(), narrow.finished(), wide.describe())


def picture(plot: Callable[..., str], *arguments: Any, height: float = 3.2) -> Picture:
    """Make a picture with a paper's own matplotlib function, `plot(figure, *arguments)`, which returns the alt text.

    It is called for a wide and for a narrow figure; `figure.get_figwidth()` tells which.
    """
    from matplotlib.figure import Figure

    figures, alt = [], ""
    for width, tall in ((WIDE, height), (NARROW, height * 1.7)):
        with _look():
            figures.append(Figure(figsize=(width, tall), layout="constrained"))
            alt = plot(figures[-1], *arguments)
    return _picture(figures[0], figures[1], alt)


def _picture(wide: Figure, narrow: Figure, alt: str) -> Picture:
    forms = [_form(figure) for figure in (wide, narrow)]
    return Picture(forms[0], forms[1], _saved(wide, "png"), alt)


def _form(figure: Figure) -> Form:
    """Return a figure in the lighter form: shapes, which stay sharp at any size, unless there are too many of them."""
    content = _lighter(_saved(figure, "svg"))
    if len(gzip.compress(content)) > HEAVY:
        content = _pixels(_saved(figure, "png"))
    width, height = (round(inches * 100) for inches in figure.get_size_inches())
    return Form(content, width, height)


def _saved(figure: Figure, kind: str) -> bytes:
    """Return a figure as a file; the first call finds the layout, which then stays.

    The canvas writes it at once: `savefig` would draw every figure twice to find out what is already known.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    target = io.BytesIO()
    with _look():
        if kind == "svg":
            FigureCanvasSVG(figure).print_svg(target, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
        else:
            figure.set_dpi(PAGE_DPI)
            FigureCanvasAgg(figure).print_png(target)
    figure.set_layout_engine("none")
    return target.getvalue()


def _lighter(svg: bytes) -> bytes:
    """Leave away what nobody sees in a vector picture: hundredths of a point, turns by nothing, long lists of fonts."""
    text = re.sub(r'\b(?:d|x|y)="[^"]*"', lambda found: re.sub(r"(\.\d)\d+", r"\1", found[0]), svg.decode())
    text = re.sub(r' transform="rotate\(-0 [^"]*"', "", text)
    return re.sub(r"'DejaVu Sans'[^;\"]*sans-serif", "'DejaVu Sans', Verdana, sans-serif", text).encode()


def _pixels(png: bytes) -> bytes:
    """Return a picture in few colours as lossless WebP, which takes two thirds of the bytes of PNG."""
    from PIL import Image

    target = io.BytesIO()
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.quantize(COLORS, dither=Image.Dither.NONE).convert("RGB").save(target, "webp", lossless=True, method=6)
    return target.getvalue()
