"""What the charts of all kinds of panels share on the site: Vega specifications, written by Altair."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reglab.pictures.panel import Line
from reglab.pictures.series import Source
from reglab.pictures.style import SHAPES, Style

if TYPE_CHECKING:
    import altair as alt
    import xarray as xr

DECADES, FEW, MANY, MORE = 2.5, (1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)
"""Over more decades a logarithmic axis has marks at few multiples of each power of ten, over fewer at many."""


@dataclass(frozen=True)
class Scene:
    """What a panel's chart is made from.

    `grid` holds all recorded settings, `first` one of them, `axes` the positions along each axis that travel with the
    page; `height` is that of the panel in inches.
    """

    grid: xr.Dataset
    first: xr.Dataset
    axes: Mapping[str, xr.DataArray]
    arms: Mapping[str, str]
    height: float = 2.7

    def positions(self, at: Mapping[str, Any]) -> dict[str, int]:
        """Return the numbers of named positions along their axes."""
        return {name: self.axes[name].values.tolist().index(value) for name, value in at.items()}

    def lines(self, sources: Sequence[Source]) -> list[dict[str, Any]]:
        """Return sources as the page needs them: label, variable, positions and look."""
        return [
            {"label": one.label, "variable": one.variable, "at": self.positions(one.at), **look(one.style)}
            for one in sources
        ]

    def rules(self, lines: Sequence[Line]) -> list[dict[str, Any]]:
        """Return reference lines as the page needs them: axis, label, and a number or a variable with its positions."""
        found = []
        for line in lines:
            at = {"variable": line.at, "at": self.positions({"arm": line.arm} if line.arm else {})}
            place = at if isinstance(line.at, str) else {"at": line.at}
            found.append({"axis": line.axis, "label": line.label, **place})
        return found

    def specification(self, chart: Any) -> dict[str, Any]:
        """Return a chart, as wide as its place on the page, as Vega: the page need not know Vega-Lite."""
        import vl_convert

        content = chart.properties(width="container", height=round(self.height * 78)).to_dict()
        content |= {"autosize": {"type": "fit", "contains": "padding"}, "background": None}
        content.pop("config", None)
        drawn = vl_convert.vegalite_to_vega(content, vl_version="6.1")
        return {name: value for name, value in drawn.items() if name not in ("$schema", "usermeta", "config")}


def look(style: Style) -> dict[str, Any]:
    """Return a look as the page needs it: colour, dashes in pixels, Vega's marker."""
    dash = [] if style.line == "-" else [2 * part for part in style.line[1]]
    return {"color": style.color, "dash": dash, "shape": SHAPES[style.marker]}


def looks(lines: Sequence[Mapping[str, Any]]) -> tuple[Any, Any, Any]:
    """Return how lines look, as colour, dashes and marker by label; the controls beside the chart are the legend."""
    import altair as alt

    labels = [line["label"] for line in lines]
    color = alt.Color("line:N", legend=None, scale=alt.Scale(domain=labels, range=[line["color"] for line in lines]))
    dashes = [line["dash"] or [1, 0] for line in lines]
    dash = alt.StrokeDash("line:N", legend=None, scale=alt.Scale(domain=labels, range=dashes))
    shapes = [line["shape"] for line in lines]
    return color, dash, alt.Shape("line:N", legend=None, scale=alt.Scale(domain=labels, range=shapes))


def domain(
    grid: xr.Dataset, sources: Sequence[Source], log: bool = False, given: Sequence[float] | np.ndarray = ()
) -> list[float]:
    """Return the ends of an axis that stays still over the whole grid, so that settings can be compared.

    Declared ends stay; single seeds beyond all but a hundredth of the values may leave the chart, means may not.
    """
    arrays = [grid[one.variable].sel(one.at) for one in sources]
    means = np.concatenate([array.mean("seed").values.ravel() for array in arrays])
    single = np.concatenate([array.values.ravel() for array in arrays])
    single = single[np.isfinite(single) & ((single > 0) | (not log))]
    values = np.concatenate([means[np.isfinite(means)], np.quantile(single, [0.005, 0.995]), given])
    if log:
        low, high = np.log10(values[values > 0].min()), np.log10(values.max())
        margin = 0.04 * (high - low) or 0.1
        return [float(10 ** (low - margin)), float(10 ** (high + margin))]
    attributes = [array.attrs for array in arrays]
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * (high - low) or 0.1
    return [
        min(one["low"] for one in attributes) if all("low" in one for one in attributes) else low - margin,
        max(one["high"] for one in attributes) if all("high" in one for one in attributes) else high + margin,
    ]


def along(coordinate: xr.DataArray) -> alt.Scale:
    """Return the scale of an axis of positions."""
    import altair as alt

    x = coordinate.values.astype(float)
    ends = [float(x.min()), float(x.max())]
    if not coordinate.attrs.get("log"):
        return alt.Scale(domain=ends, nice=False, zero=False)
    if ends[0] <= 0:
        return alt.Scale(type="symlog", constant=float(x[x > 0].min()), domain=ends, nice=False)
    return alt.Scale(type="log", domain=ends, nice=False)


def number_axis(scale: alt.Scale, ticks: int = 5) -> alt.Axis:
    """Return an axis with plain numbers; a logarithmic one has marks at powers of ten, or at 1, 2 and 5 of each."""
    import altair as alt

    if scale.type in (alt.Undefined, "linear"):
        return _plain(ticks)
    low, high = scale.domain
    small = scale.constant if scale.type == "symlog" else low
    marks = _marks(small, high, FEW if np.log10(high / small) > DECADES else MANY)
    marks = [0.0, *marks] if scale.type == "symlog" else marks
    return _plain(ticks, labelOverlap="greedy", values=[mark for mark in marks if low <= mark <= high])


def following(name: str, domain: list[float], log: bool) -> tuple[alt.Scale, alt.Axis]:
    """Return scale and axis of heights whose ends are a parameter of the chart, which the page sets; at first `domain`.

    The marks of a logarithmic axis are those of `number_axis`, more below one decade, and Vega's own below a third.
    """
    import altair as alt

    ends = [alt.ExprRef(f"{name}[{end}]") for end in (0, 1)]
    scale = alt.Scale(type="log" if log else "linear", domain=ends, nice=False, zero=False)
    if not log:
        return scale, _plain(5)
    few, many, more = (_marks(domain[0], domain[1], factors) for factors in (FEW, MANY, MORE))
    decades = f"log({name}[1] / {name}[0]) / LN10"
    values = f"{decades} > {DECADES} ? {few} : {decades} > 1 ? {many} : {decades} > 0.33 ? {more} : null"
    return scale, _plain(5, labelOverlap="greedy", values=alt.ExprRef(values))


def _plain(ticks: int, **further: Any) -> alt.Axis:
    import altair as alt

    text = "datum.value && abs(datum.value) < 0.001 ? format(datum.value, '.0e') : format(datum.value, '.4~r')"
    return alt.Axis(labelExpr=text, tickCount=ticks, labelFlush=False, **further)


def _marks(low: float, high: float, factors: Sequence[float]) -> list[float]:
    """Return these multiples of all powers of ten about a range."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    return [float(f"{factor * 10.0**decade:.6g}") for decade in decades for factor in factors]


def strokes(lines: Sequence[Mapping[str, Any]], x: Any, y: Callable[[str], Any], marks: bool = False) -> list[Any]:
    """Return the layers of lines: intervals as bands, seeds as thin lines, a pinned run dotted, means, `marks`."""
    import altair as alt

    color, dash, shape = looks(lines)

    def rows(name: str) -> alt.Chart:
        return alt.Chart(alt.NamedData(name))

    one = alt.Detail("line:N")
    dotted: Any = {"strokeWidth": 2, "strokeDash": [1, 4], "strokeCap": "round", "clip": True}
    layers = [
        rows("bands").mark_area(opacity=0.2, clip=True).encode(x, y("low"), alt.Y2("high:Q"), color, one),
        rows("threads").mark_line(strokeWidth=0.8, opacity=0.5, clip=True).encode(x, y("y"), color, detail="seed:N"),
        rows("pinned").mark_line(**dotted).encode(x, y("y"), color),
        rows("lines").mark_line(strokeWidth=2.4, clip=True).encode(x, y("y"), color, dash),
    ]
    if marks:
        point: Any = {"opacity": 1, "clip": True}
        hollow = rows("hollow").mark_point(size=70, strokeWidth=1.5, **point)  # of a pinned run
        solid = rows("marks").mark_point(filled=True, size=45, **point)
        layers += [one.encode(x, y("y"), color, shape) for one in (hollow, solid)]
    return layers


def strips(scale: alt.Scale) -> Any:
    """Return the layer, unseen, that tells what lies nearest to each place along an axis; the page fills it."""
    import altair as alt

    x = alt.X("low:Q", title=None, scale=scale)
    return alt.Chart(alt.NamedData("strips")).mark_rect(opacity=0).encode(x, alt.X2("high:Q"), tooltip="said:N")


def rules(x: Any, y: Any) -> list[Any]:
    """Return straight reference lines with their names, across and upright."""
    import altair as alt

    across, upright = alt.Chart(alt.NamedData("across")), alt.Chart(alt.NamedData("upright"))
    quiet: Any = {"color": "#000000", "strokeDash": [2, 3], "clip": True}
    return [
        across.mark_rule(**quiet).encode(y=y),
        across.mark_text(align="left", baseline="bottom", dx=4, dy=-2, fontSize=11, color="#000000")
        .encode(y=y, x=alt.value(0), text="label:N"),
        upright.mark_rule(**quiet).encode(x=x),
        upright.mark_text(align="center", baseline="bottom", dy=-2, fontSize=11, color="#000000")
        .encode(x=x, y=alt.value(0), text="label:N"),
    ]  # fmt: skip
