"""What to draw, as data; results reduced to series with intervals; matplotlib draws them in the house's one style."""

from __future__ import annotations

import base64
import contextlib
import html
import io
import textwrap
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from reglab.claims import mean_interval

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

WIDE, NARROW = 7.6, 3.8
"""Widths of a picture in inches, on a page and on a phone; 100 pixels of the page are one inch."""

PAGE_DPI, COLORS = 150, 128
"""Sharpness and number of colors of a finished picture: enough to look crisp, few enough to keep pages light."""


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
}
"""matplotlib settings of every figure."""


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
    picks one position along further axes by its name.
    """

    question: str
    variables: Sequence[str]
    arms: Sequence[str] = ()
    y: str = ""
    lines: Sequence[Line] = ()
    peak: str = ""
    at: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Shares:
    """Variables of one arm that add up to 1, stacked, against their remaining axis."""

    question: str
    variables: Sequence[str]
    arm: str


Panel = Curves | Shares


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


def axis_of(data: xr.Dataset, panel: Panel) -> str:
    """Return the axis along which a panel's curves run: what is left besides arm, seed and the chosen positions."""
    chosen = panel.at if isinstance(panel, Curves) else {}
    left = [str(dim) for dim in data[panel.variables[0]].dims if dim not in ("arm", "seed", *chosen)]
    if len(left) != 1:
        raise ValueError(f"panel {panel.question!r} needs one axis for its curves, found {left}")
    return left[0]


def reduce(data: xr.Dataset, panel: Panel, arms: Mapping[str, str]) -> list[Series]:
    """Reduce results to the series of one panel: mean over seeds, 95 % interval of the mean, single seeds."""
    axis = axis_of(data, panel)
    x = data[axis].values
    look = styles(arms)
    if isinstance(panel, Shares):
        chosen: list[str] = [panel.arm]
    else:
        chosen = list(panel.arms or arms) or [""]
    palette = (FURTHER[3], FURTHER[1], FURTHER[2], FURTHER[0]) if len(chosen) == 1 else None
    series = []
    for number, variable in enumerate(panel.variables):
        for arm in chosen:
            values = data[variable]
            if isinstance(panel, Curves):
                values = values.sel(panel.at)
            if arm and "arm" in values.dims:
                values = values.sel(arm=arm)
            seeds = values.transpose("seed", axis).values
            name = str(values.attrs["long_name"])
            several = len(panel.variables) > 1
            label = name if several and len(chosen) == 1 else f"{arm}, {name}" if several else arm or name
            style = palette[number] if palette and several else look.get(arm, METHOD)
            series.append(Series(label, style, x, *mean_interval(seeds, axis=0), seeds))
    return series


def number(value: float) -> str:
    """Write a number with about three digits, for sentences and labels."""
    if not np.isfinite(value):
        return "none"
    if abs(value) < 1e-6:
        return "0"
    text = f"{value:.2f}" if 0.095 <= abs(value) < 100 else f"{value:.3g}"
    return text.replace("-", "−")


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

        self.view, self.arms = view, arms
        columns = 1 if width <= NARROW else min(view.columns, len(view.panels))
        rows = -(-len(view.panels) // columns)
        self._letters = int((width / columns - 0.55) * 11)
        with _look():
            self.figure = Figure(figsize=(width, view.height * rows), layout="constrained")
            self.canvas = FigureCanvasAgg(self.figure)
            grid = self.figure.subplots(rows, columns, squeeze=False).flat
            self._panels = [self._frame(data, axes, panel) for axes, panel in zip(grid, view.panels, strict=False)]
            for empty in list(grid)[len(view.panels) :]:
                empty.set_axis_off()
        self._background: Any = None
        self._drawn_at = 0.0
        self.update(data)

    def _frame(self, data: xr.Dataset, axes: Axes, panel: Panel) -> _Panel:
        coordinate = data[axis_of(data, panel)]
        axes.set_title("\n".join(textwrap.wrap(panel.question, self._letters)))
        unit = coordinate.attrs["units"]
        label = str(coordinate.attrs["long_name"])
        axes.set_xlabel(label if unit in ("1", label, label + "s") or unit in label else f"{label} ({unit})")
        x = coordinate.values.astype(float)
        if coordinate.attrs.get("log"):
            linear = float(x[x > 0].min())
            axes.set_xscale("symlog", linthresh=linear) if x.min() <= 0 else axes.set_xscale("log")
        if len(x) <= 8:
            axes.set_xticks(x, [f"{value:g}" for value in x])
            axes.minorticks_off()
        axes.set_xlim(x.min(), x.max() if x.max() > x.min() else x.min() + 1)
        first = data[panel.variables[0]].attrs
        if isinstance(panel, Shares):
            axes.set_ylabel("share")
            axes.set_ylim(0, 1)
            axes.grid(False)
        else:
            unit = "" if first["units"] == "1" else f" ({first['units']})"
            axes.set_ylabel(panel.y or str(first["long_name"]) + unit)
        return _Panel(axes, panel, reduce(data, panel, self.arms))

    def fits(self, data: xr.Dataset, view: View) -> bool:
        """Tell whether this figure can show a view of some results: the same view, the same positions on its axes."""
        return view is self.view and all(
            np.array_equal(data[axis_of(data, one.panel)].values, one.series[0].x) for one in self._panels
        )

    def update(
        self, data: xr.Dataset, pinned: xr.Dataset | None = None, final: bool = True, growing: xr.Dataset | None = None
    ) -> None:
        """Fill the figure with results; `final` fits the axes to what is there.

        Behind them: a `pinned` run, dotted, and seeds still `growing`, as thin lines that do not count yet.
        """
        for panel in self._panels:
            series, before, more = (
                reduce(one, panel.panel, self.arms) if one is not None else [] for one in (data, pinned, growing)
            )
            if panel.fill(data, series, before, more, final):
                self._background = None

    def png(self, dpi: float = 100, colors: int = 0) -> bytes:
        """Return the figure as PNG; `colors` > 0 reduces it to a palette of so many colours (smaller files)."""
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
        return encode(Image.frombuffer("RGBA", self.canvas.get_width_height(), self.canvas.buffer_rgba()), colors)

    def describe(self) -> str:
        """Say in words what the figure shows, with the numbers that matter: its alternative text."""
        return " ".join(panel.describe() for panel in self._panels)


def encode(image: Any, colors: int) -> bytes:
    """Return a Pillow image as PNG bytes, quickly, or with a palette of so many colours, small."""
    target = io.BytesIO()
    if colors:
        image.convert("RGB").quantize(colors, dither=0).save(target, "png", optimize=True)
    else:
        image.convert("RGB").save(target, "png", compress_level=1)
    return target.getvalue()


class _Panel:
    """One set of axes with its artists, which are made once and then filled."""

    def __init__(self, axes: Axes, panel: Panel, series: Sequence[Series]) -> None:
        from matplotlib.collections import LineCollection, PolyCollection

        self.axes, self.panel, self.series = axes, panel, list(series)
        self._limits: tuple[float, float] | None = None
        self.artists: list[Artist] = []
        self._lines, self._bands, self._threads, self._old, self._labels = [], [], [], [], []
        self._references = [self._reference(line) for line in getattr(panel, "lines", ())]
        shares = isinstance(panel, Shares)
        for i, one in enumerate(series):
            color, hatch = LAYERS[i % len(LAYERS)] if shares else (one.style.color, "")
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
            (line,) = axes.plot(
                [],
                [],
                color=color,
                ls=one.style.line,
                lw=0 if shares else 2,
                marker="" if shares else one.style.marker,
                ms=5,
            )
            self._lines.append(line)
            ink = "#222222" if shares else one.style.ink
            place = axes.get_yaxis_transform()
            name = "\n".join(textwrap.wrap(one.label, 16))
            text = axes.text(1.015, 0, name, color=ink, va="center", transform=place, fontsize=9.5, clip_on=False)
            self._labels.append(text)
        (self._peak,) = axes.plot([], [], marker="*", ms=13, color="#F0E442", mec="black", ls="", zorder=5)
        self._peak_label = axes.annotate(
            "", (0, 0), (5, -17), textcoords="offset points", ha="left", fontsize=9, zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1},
        )  # fmt: skip
        if len(series) == 1 and not shares:
            self._labels[0].set_visible(False)
        dynamic = [*self._bands, *self._threads, *self._old, *self._lines, self._peak, self._peak_label, *self._labels]
        self.artists = dynamic + [artist for pair in self._references for artist in pair]
        for artist in self.artists:
            artist.set_animated(True)

    def _reference(self, line: Line) -> tuple[Line2D, Text]:
        straight = self.axes.axvline if line.axis == "x" else self.axes.axhline
        drawn = straight(np.nan, color="black", lw=1, ls=(0, (2, 2)))
        place = self.axes.get_xaxis_transform() if line.axis == "x" else self.axes.get_yaxis_transform()
        return drawn, self.axes.text(0, 0, "", transform=place, fontsize=9, ha="left", va="bottom")

    def fill(
        self,
        data: xr.Dataset,
        series: Sequence[Series],
        pinned: Sequence[Series],
        growing: Sequence[Series],
        final: bool,
    ) -> bool:
        """Put new results in; returns whether the axes changed, so that all must be drawn anew."""
        self.series = list(series)
        changed = self._fit(data, [*series, *pinned, *growing], final)
        if isinstance(self.panel, Shares):
            self._fill_shares(series, pinned, growing)
        else:
            self._fill_curves(series, pinned, growing)
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
            text.set_text(line.label if np.isfinite(at) else "")

    def _fit(self, data: xr.Dataset, series: Sequence[Series], final: bool) -> bool:
        """Fit the y axis: declared ends stay, the others grow with the results."""
        if isinstance(self.panel, Shares):
            return False
        ends = [data[variable].attrs for variable in self.panel.variables]
        low = min((e["low"] for e in ends), default=None) if all("low" in e for e in ends) else None
        high = max((e["high"] for e in ends), default=None) if all("high" in e for e in ends) else None
        values = np.concatenate([np.concatenate([one.seeds.ravel(), one.mean]) for one in series])
        values = np.append(
            values, [line.at for line in self.panel.lines if line.axis == "y" and not isinstance(line.at, str)]
        )
        values = values[np.isfinite(values)]
        smallest, largest = (values.min(), values.max()) if len(values) else (0.0, 1.0)
        margin = (0.06 if final else 0.25) * max(largest - smallest, 1e-9)
        wanted = (smallest - margin if low is None else low, largest + margin if high is None else high * 1.02)
        kept = self._limits
        if kept and not final and kept[0] <= smallest and largest <= kept[1]:
            return False
        if kept == wanted:
            return False
        self._limits = (float(wanted[0]), float(wanted[1] if wanted[1] > wanted[0] else wanted[0] + 1))
        self.axes.set_ylim(*self._limits)
        return True

    def _place_labels(self) -> None:
        """Put each label at the end of its line, moved apart where they would overlap."""
        bottom, top = self.axes.get_ylim()
        height = self.axes.get_window_extent().height / self.axes.figure.dpi * 72
        gap = 12 / max(height, 1) * (top - bottom)
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
        places = np.array([np.clip(ends[i], bottom, top) for i in order])
        for _ in range(50):
            close = np.diff(places) < gap * 0.999
            if not close.any():
                break
            for i in np.flatnonzero(close):
                middle = (places[i] + places[i + 1]) / 2
                places[i], places[i + 1] = middle - gap / 2, middle + gap / 2
        for place, i in zip(places, order, strict=True):
            self._labels[i].set_y(place)

    def draw(self) -> None:
        """Draw what changes onto the prepared background."""
        for artist in self.artists:
            self.axes.draw_artist(artist)

    def describe(self) -> str:
        """Say in words what the panel shows."""
        x = self.axes.get_xlabel()
        what = "Stacked shares" if isinstance(self.panel, Shares) else self.axes.get_ylabel()
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
        return f"{self.panel.question} {what} against {x}, {seeds}: {'; '.join(parts)}."


def _outline(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.column_stack([np.concatenate([x, x[::-1]]), np.concatenate([low, high[::-1]])])


@dataclass(frozen=True)
class Picture:
    """A finished picture with its alternative text, in a wide and (for phones) a narrow form, as PNG bytes."""

    wide: bytes
    narrow: bytes
    alt: str

    @property
    def html(self) -> str:
        """The picture as HTML that needs nothing else."""
        wide, narrow = (base64.b64encode(png).decode() for png in (self.wide, self.narrow))
        style = f"width:100%;max-width:{WIDE * 100:.0f}px"
        return (
            '<picture class="reglab-picture">'
            f'<source media="(max-width: 600px)" srcset="data:image/png;base64,{narrow}">'
            f'<img alt="{html.escape(self.alt)}" src="data:image/png;base64,{wide}" style="{style}"></picture>'
        )

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        return {"text/html": self.html, "image/png": base64.b64encode(self.wide).decode(), "text/plain": self.alt}


def draw(data: xr.Dataset, view: View, arms: Mapping[str, str]) -> Picture:
    """Draw a view of some results as a picture for the page."""
    charts = [Chart(data, view, arms, width) for width in (WIDE, NARROW)]
    wide, narrow = (chart.png(PAGE_DPI, COLORS) for chart in charts)
    return Picture(wide, narrow, charts[0].describe())


def picture(plot: Any, *arguments: Any, height: float = 3.2) -> Picture:
    """Make a picture with a paper's own matplotlib function, `plot(figure, *arguments)`, which returns the alt text.

    It is called for a wide and for a narrow figure; `figure.get_figwidth()` tells which.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    images, alt = [], ""
    for width, tall in ((WIDE, height), (NARROW, height * 1.7)):
        with _look():
            figure = Figure(figsize=(width, tall), dpi=PAGE_DPI, layout="constrained")
            canvas = FigureCanvasAgg(figure)
            alt = plot(figure, *arguments)
            canvas.draw()
        images.append(encode(Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba()), COLORS))
    return Picture(images[0], images[1], alt)


def sentence(data: xr.Dataset, headline: str, arms: Mapping[str, str]) -> str:
    """Say in one sentence what the results show about the headline quantity, with its uncertainty in words.

    Curves are reported at the last position that all seeds and arms have reached.
    """
    values = data[headline]
    name, seeds = str(values.attrs["long_name"]), data.sizes["seed"]
    place, start = "At the end", ""
    rest = [str(dim) for dim in values.dims if dim not in ("arm", "seed")]
    if rest:
        axis = data[rest[0]]
        reached = np.flatnonzero(values.notnull().all([dim for dim in values.dims if dim != rest[0]]).values)
        if not len(reached):
            return "Nothing to report yet."
        place = f"At {axis.attrs['long_name']} {axis.values[reached[-1]]:g}"
        start = f", from {number(float(values.isel({rest[0]: reached[0]}).mean()))} at {axis.values[reached[0]]:g}"
        values = values.isel({rest[0]: reached[-1]})
    roles = {role: arm for arm, role in arms.items() if role in ("baseline", "method")}
    if len(roles) < 2:
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
