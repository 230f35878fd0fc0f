"""Images: pictures in grey, side by side for the arms or along an axis."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from reglab.pictures.artist import PanelArtist
from reglab.pictures.panel import Panel, Read, position, span
from reglab.pictures.reached import latest
from reglab.pictures.series import sources
from reglab.pictures.words import named, number, positions, typeset

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from reglab.pictures.vega import Scene

GAP, LINE = 6, 14
"""Pixels of a page between pictures, and of one line of their names."""


class Tile(NamedTuple):
    """Where one picture lies, in pixels from the upper left corner, and the lines of its name, which stand above it."""

    left: float
    top: float
    width: float
    height: float
    name: list[str]


@dataclass(frozen=True)
class Images(Panel):
    """Pictures of the first seed in grey with one range: a variable whose last two axes are height and width.

    They stand side by side for each arm, or for one `arm` along an axis `by`. `at` picks one position along further
    axes by its name, and where one remains, its last position that has results is shown. `limits` are the numbers that
    are black and white. A pinned run is not shown.
    """

    question: str
    variable: str
    by: str = "arm"
    arm: str = ""
    arms: Sequence[str] = ()
    at: Mapping[str, Any] = field(default_factory=dict)
    limits: tuple[float, float] | None = None

    def reads(self) -> Iterator[Read]:
        """Yield what the panel reads: pictures of some arms."""
        items = (-2, -1) if self.by == "arm" else (self.by, -2, -1)
        yield Read(self.variable, [self.arm] if self.arm else self.arms, items=items, limits=self.limits)

    def pictures(self, data: xr.Dataset) -> tuple[xr.DataArray, list[str], str]:
        """Return the pictures [by, height, width], their names, and where on a further axis they are."""
        values = data[self.variable].sel(position(self.at, self.arm))
        values = values.isel(seed=0) if "seed" in values.dims else values
        if self.by == "arm" and self.arms:
            values = values.sel(arm=list(self.arms))
        height, width = values.dims[-2:]
        if self.by not in values.dims:
            values = values.expand_dims(self.by)
        last, when = latest(values, self.by, str(height), str(width))
        last = last.transpose(self.by, height, width)
        names = positions(last[self.by])
        if self.by != "arm":
            name, unit = (data[self.by].attrs[key] for key in ("long_name", "units"))
            names = [f"{name} {place}" + ("" if unit in ("1", f"{name}s") else f" {unit}") for place in names]
        return last, names, when

    def ends(self, values: np.ndarray, attributes: Mapping[str, Any]) -> tuple[float, float]:
        """Return the numbers that are black and white: given, declared, or the smallest and the largest."""
        low, high = span(values, attributes, self.limits)
        return low, high if high > low else low + 1

    def artist(self, axes: Axes, data: xr.Dataset, arms: Mapping[str, str]) -> ImagesArtist:
        """Return what draws the panel."""
        return ImagesArtist(axes, self, data)

    def chart(self, scene: Scene) -> dict[str, Any]:
        """Return the panel for the site."""
        return _chart(self, scene)


def tiles(names: Sequence[str], ratio: float, width: float, height: float) -> list[Tile]:
    """Return where pictures of a ratio (width by height) lie in a room, as large as they can be there."""

    def laid(columns: int) -> list[Tile]:
        wide = (width - GAP * (columns - 1)) / columns
        for _ in range(3):  # narrower pictures need more lines for their names, and so become narrower
            lines = [textwrap.wrap(name, max(4, int(wide / 6.2))) for name in names]
            head = LINE * max(map(len, lines)) + 2
            rows = -(-len(names) // columns)
            tall = (height - (head + GAP) * rows) / rows
            wide = min(wide, max(tall, 8) * ratio)
        step = wide + GAP, head + wide / ratio + GAP
        return [
            Tile(i % columns * step[0], i // columns * step[1] + head, wide, wide / ratio, line)
            for i, line in enumerate(lines)
        ]

    return max(map(laid, range(1, len(names) + 1)), key=lambda found: found[0].width)


def size(found: Sequence[Tile]) -> tuple[float, float]:
    """Return width and height of the room that pictures take."""
    return max(one.left + one.width for one in found), max(one.top + one.height for one in found)


class ImagesArtist(PanelArtist):
    """Pictures in one set of axes whose units are pixels of the page."""

    def __init__(self, axes: Axes, panel: Images, data: xr.Dataset) -> None:
        super().__init__(axes)
        self.panel = panel
        values, self._names, _ = panel.pictures(data)
        self._shape = values.shape
        figure, grid = axes.get_figure(root=True), axes.get_gridspec()
        assert figure is not None and grid is not None
        room = 100 * figure.get_size_inches() / (grid.ncols, grid.nrows) - (20, 70)
        found = tiles(self._names, values.shape[2] / values.shape[1], *room)
        width, height = size(found)
        axes.set(xlim=(0, max(width, 1)), ylim=(height, 0), aspect="equal", anchor="NW")
        axes.grid(visible=False)
        axes.tick_params(length=0, labelbottom=False, labelleft=False)
        axes.spines[:].set_visible(False)
        axes.set_facecolor("none")
        self._images = []
        for tile, picture in zip(found, values.values, strict=True):
            box = (tile.left, tile.left + tile.width, tile.top + tile.height, tile.top)
            self._images.append(
                axes.imshow(picture, cmap="gray", extent=box, interpolation="nearest", aspect="equal", zorder=2)
            )
            axes.text(tile.left, tile.top - 2, typeset("\n".join(tile.name)), fontsize=9, va="bottom", linespacing=1.1)
        axes.set(xlim=(0, max(width, 1)), ylim=(height, 0))
        self._name = named(data[panel.variable].attrs)
        axes.set_xlabel(" ", loc="left", fontsize=9)
        self._under = axes.text(0, -0.02, "", transform=axes.transAxes, va="top", fontsize=9)
        self._under.set_in_layout(False)  # the empty label keeps its room
        self._animate(*self._images, self._under)
        self._said = ""

    def fits(self, data: xr.Dataset) -> bool:
        """Tell whether results have the same pictures."""
        values, names, _ = self.panel.pictures(data)
        return values.shape == self._shape and names == self._names

    def fill(self, data: xr.Dataset, pinned: xr.Dataset | None, growing: xr.Dataset | None, final: bool) -> bool:
        """Put new results in."""
        values, names, when = self.panel.pictures(data)
        low, high = self.panel.ends(values.values, values.attrs)
        for image, picture in zip(self._images, values.values, strict=True):
            image.set_data(np.ma.masked_invalid(picture))
            image.set_clim(low, high)
        self._under.set_text(_under(self._name, low, high) + (f", {when}" if when else ""))
        means = [f"{name} mean {number(float(one.mean()))}" for name, one in zip(names, values.values, strict=True)]
        there = bool(np.isfinite(values.values).any())
        self._said = f"{self._under.get_text()}: {'; '.join(means)}" if there else f"{self._name}: no data"
        return False

    def describe(self) -> str:
        """Say in words what the panel shows."""
        height, width = self._shape[1:]
        return f"{self.panel.question} {self._shape[0]} pictures of {width} × {height} pixels. {self._said}."


def _under(name: str, low: float, high: float) -> str:
    return f"{name}: black {number(low)}, white {number(high)}; first seed"


def _chart(panel: Images, scene: Scene) -> dict[str, Any]:
    import altair as alt

    first, names, _ = panel.pictures(scene.first)
    shown_at = position(panel.at, panel.arm)
    low, high = panel.ends(scene.grid[panel.variable].sel(shown_at).values, first.attrs)
    found = tiles(names, first.shape[2] / first.shape[1], 350, scene.height * 78)
    width, height = size(found)

    def place(field: str, most: float) -> Any:
        kind = alt.X if field == "x" else alt.Y
        ends = [0, most] if field == "x" else [most, -3]
        return kind(f"{field}:Q", title=None, axis=None, scale=alt.Scale(domain=ends, nice=False, zero=False))

    grey = alt.Scale(domain=[low, high], range=["black", "white"], clamp=True)
    x, y = place("x", width), place("y", height)
    chart = alt.layer(
        alt.Chart(alt.NamedData("pixels"))
        .mark_rect(strokeWidth=0)
        .encode(x, y, alt.X2("x2:Q"), alt.Y2("y2:Q"), alt.Color("value:Q", scale=grey, legend=None)),
        alt.Chart(alt.NamedData("names"))
        .mark_text(align="left", baseline="top", color="#000000")
        .encode(x, y, text="text:N"),
    )
    shown = panel.arms if panel.by == "arm" else [panel.arm]
    return {
        "kind": "images",
        "lines": scene.lines(sources(scene.first, [panel.variable], shown, panel.at, scene.arms)),
        "by": "" if panel.by == "arm" else panel.by,
        "axes": [str(dim) for dim in first.dims[-2:]],
        "tiles": [{**one._asdict(), "label": name} for one, name in zip(found, names, strict=True)],
        "x": _under(named(first.attrs), low, high),
        "aspect": width / (height + 3),
        "spec": scene.specification(chart),
    }
