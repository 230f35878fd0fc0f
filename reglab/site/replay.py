"""Recorded grids as charts that need no kernel: what the website's script reads, one file for each experiment.

The views that draw the live figure become Vega charts here, written by Altair, one for each panel. The numbers travel
as the whole steps of the recording, seed by seed; mean and interval are computed in the page as
`statistics.mean_interval` does.
"""

from __future__ import annotations

import html
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from reglab.experiment import Experiment
from reglab.pictures import views
from reglab.pictures.views import Dots, Panel, Points, Shares, Source, View
from reglab.recordings import codec, store
from reglab.recordings.thin import whole
from reglab.recordings.uses import Use, uses
from reglab.statistics import quantile

if TYPE_CHECKING:
    import altair as alt
    import xarray as xr

NIGHT = {"#595959": "#b4b4b4", "#0072B2": "#4aa8e0", "#E69F00": "#f0b32e", "#009E73": "#2fc79b", "#CC79A7": "#dd9cc0",
         "#D55E00": "#f08a45", "#56B4E9": "#8ccdf2", "#BBBBBB": "#6a6a6a", "#000000": "#f0f0f0"}  # fmt: skip
"""The colours of the house on a dark page."""

SHAPES = {"o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down", "P": "cross",
          "X": "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z"}  # fmt: skip
"""matplotlib's markers by the names that Vega knows, or as a path."""

SWATCHES = {"circle": "M3.5,0A3.5,3.5,0,1,1,-3.5,0A3.5,3.5,0,1,1,3.5,0Z", "square": "M-3,-3H3V3H-3Z",
            "triangle-up": "M0,-4L4,3H-4Z", "triangle-down": "M0,4L4,-3H-4Z", "diamond": "M0,-4.5L4.5,0L0,4.5L-4.5,0Z",
            "cross": "M-1.5,-4H1.5V-1.5H4V1.5H1.5V4H-1.5V1.5H-4V-1.5H-1.5Z"}  # fmt: skip
"""The same markers as paths, for the legend beside the charts."""


def key(kind: type[Experiment]) -> str:
    """Return the short name of an experiment in addresses: its name in small letters."""
    return kind.__name__.lower()


def file_name(kind: type[Experiment]) -> str:
    """Return the name of the file with an experiment's recorded grid; it lies beside the page of its paper."""
    return f"{kind.paper().split('/')[1]}-{key(kind)}.js"


def attributes(kind: type[Experiment]) -> str:
    """Return what makes a figure of a page a replay for the website's script; "" where no grid is declared."""
    return f' data-replay="{key(kind)}" data-grid="{file_name(kind)}"' if kind.grid else ""


def address(setting: Experiment) -> str:
    """Return the part of an address after `#` that opens a recorded setting; "" where the setting is not recorded."""
    kind = type(setting)
    if not store.has(setting):
        return ""
    start, found = kind().settings(), setting.settings()
    knobs = [f"{name}={found[name]:g}" for name in kind.grid if found[name] != start[name]]
    return f"{key(kind)}:{'&'.join(knobs)}"


def script(kind: type[Experiment]) -> str:
    """Return the file with an experiment's recorded grid: a script, since a page opened from disk may load no other.

    Where nothing is recorded it says so to the page. Raises `ValueError` when the recording is damaged.
    """
    content = json.dumps(payload(kind), ensure_ascii=False, separators=(",", ":"))
    return f"window.reglabGrids=window.reglabGrids||{{}};window.reglabGrids[{json.dumps(key(kind))}]={content};\n"


def bundle() -> str:
    """Return the one script of the whole site that draws charts: Vega, as the installed library brings it."""
    import vl_convert

    # in a function of its own, since its short names would meet those of other scripts
    return "(() => {" + vl_convert.javascript_bundle(snippet="window.vegaEmbed = vegaEmbed;") + "})();\n"


def payload(kind: type[Experiment]) -> dict[str, Any] | None:
    """Return everything that a page needs to replay a recorded grid, as plain values for JSON; None without one.

    The numbers are the whole steps that the recording holds. Raises `ValueError` when it is damaged.
    """
    grid, steps = store.read(kind), store.steps(kind)
    if grid is None or steps is None:
        return None
    defaults, declared = kind().settings(), kind.knobs()
    point = {name: values[list(values).index(defaults[name])] for name, values in kind.grid.items()}
    first, count = grid.sel(point), grid.sizes["seed"]
    shown = {name: _shown(steps[name], use, kind) for name, use in sorted(uses(kind).items()) if use.shown}
    axes = {name: grid[name] for values in shown.values() for name in values.dims}
    axes = {name: axis for name, axis in axes.items() if name not in ("arm", "seed", *kind.grid)}
    return {
        "name": kind.__name__,
        "knobs": [
            {"name": name, "label": declared[name].label(name), "values": list(values)}
            for name, values in kind.grid.items()
        ],
        "start": [list(values).index(defaults[name]) for name, values in kind.grid.items()],
        "arms": list(kind.arms),
        "seeds": [int(seed) for seed in grid.seed.values],
        "quantiles": [None, None, *(round(quantile(n), 6) for n in range(2, count + 1))],
        "axes": {
            str(name): {"label": str(axis.attrs.get("long_name", name)), "values": _plain(axis.values)}
            for name, axis in axes.items()
        },
        "variables": {name: _encode(values) for name, values in shown.items()},
        "sentences": _sentences(kind, grid),
        "night": NIGHT,
        "html": _controls(kind, grid),
        "views": [_view(view, kind, grid, first) for view in kind.views],
    }


def _plain(values: np.ndarray) -> list[Any]:
    return [value if isinstance(value, str) else float(f"{value:.6g}") for value in values.tolist()]


def _style(style: views.Style) -> dict[str, Any]:
    dash = [] if style.line == "-" else [2 * part for part in style.line[1]]
    return {"color": style.color, "dash": dash, "shape": SHAPES[style.marker]}


def _shown(steps: xr.DataArray, use: Use, kind: type[Experiment]) -> xr.DataArray:
    """Leave away an axis with results at one position only, unless a curve goes along it."""
    known = steps != codec.MISSING
    for dim in [dim for dim in steps.dims if dim not in ("arm", "seed", *kind.grid) and not whole(use)]:
        reached = known.any([other for other in steps.dims if other != dim]).values
        if reached.sum() == 1 and len(reached) > 1:
            steps = steps.isel({dim: int(reached.argmax())})
    return steps


def _encode(steps: xr.DataArray) -> dict[str, Any]:
    """Return a variable as the whole steps of its recording, as differences along its last axis (null: no number)."""
    scale, there = codec.scale_of(steps), steps.values != codec.MISSING
    numbers = np.where(there, steps.values, 0).astype(int)
    if steps.ndim:  # where there is no number stands the one before, from which the next one differs
        before = np.maximum.accumulate(np.where(there, np.arange(steps.shape[-1]), 0), axis=-1)
        numbers = np.diff(np.take_along_axis(numbers, before, axis=-1), axis=-1, prepend=0)
    return {
        "dims": [str(dim) for dim in steps.dims],
        "shape": list(steps.shape),
        "log": scale.log,
        "low": scale.offset,
        "step": scale.step,
        "data": [n if ok else None for n, ok in zip(numbers.ravel().tolist(), there.ravel().tolist(), strict=True)],
    }


def _sentences(kind: type[Experiment], grid: xr.Dataset) -> list[list[str]]:
    """Return for each grid point what the headline says, with all seeds and with each seed alone."""
    found = []
    for values in itertools.product(*kind.grid.values()):
        data = grid.sel(dict(zip(kind.grid, values, strict=True)))
        single = [data.isel(seed=[i]) for i in range(data.sizes["seed"])]
        found.append([views.sentence(one, kind.headline, kind.arms) for one in (data, *single)])
    return found


# ----------------------------------------------------------------------------------------- the controls and their texts


def typeset(text: str) -> str:
    """Return a text as HTML, with subscripts in the place of underscores: λ_H, Tr Σ_W."""
    return views.SUBSCRIPT.sub(r"\1<sub>\2</sub>", html.escape(text))


def _swatch(look: Mapping[str, Any], line: bool = True) -> str:
    """Return a small picture of a line with its dashes and marker, in the colours of the page by day and by night."""
    night = NIGHT.get(look["color"], look["color"])
    path = SWATCHES.get(look["shape"], look["shape"])
    scale = "scale(4)" if path == look["shape"] else ""
    dashes = " ".join(map(str, look["dash"]))
    drawn = f'<path d="M0,6H30" stroke="currentColor" stroke-width="2.4" stroke-dasharray="{dashes}"/>' if line else ""
    return (
        f'<svg class="reglab-swatch" width="30" height="12" aria-hidden="true" style="--day:{look["color"]};'
        f'--night:{night}">{drawn}<path transform="translate(15 6){scale}" d="{path}" fill="currentColor"/></svg>'
    )


def _controls(kind: type[Experiment], grid: xr.Dataset) -> str:
    """Return the HTML of all controls, with places for charts, sentence and table."""

    def option(value: object, text: str) -> str:
        return f'<option value="{value}">{html.escape(text)}</option>'

    declared, look, count = kind.knobs(), views.styles(kind.arms), grid.sizes["seed"]
    sliders = "".join(
        f'<label class="reglab-control" title="{html.escape(declared[name].help)}">'
        f"{typeset(declared[name].label(name))}"
        f'<span><input type="range" name="{name}" min="0" max="{len(values) - 1}" step="1"><output></output></span>'
        "</label>"
        for name, values in kind.grid.items()
    )
    pictures = "".join(option(i, view.title) for i, view in enumerate(kind.views))
    seeds = option("mean", f"mean of {count}, 95 % interval") + option("all", f"all {count}, as thin lines")
    seeds += "".join(option(i, f"only run {seed}") for i, seed in enumerate(grid.seed.values))
    arms = "".join(
        f'<label><input type="checkbox" name="{html.escape(arm)}" checked>{_swatch(_style(look[arm]))}'
        f"{typeset(arm)}</label>"
        for arm in kind.arms
    )
    actions = {"pin": "Pin", "reset": "Reset", "copy": "Copy link", "download": "Download CSV", "presenting": "Present"}
    buttons = "".join(f'<button type="button" data-does="{does}">{text}</button>' for does, text in actions.items())
    others = {name: value for name, value in kind().settings().items() if name not in kind.grid}
    fixed = ", ".join(f"{declared[name].symbol or name.replace('_', ' ')} {value}" for name, value in others.items())
    note = f"Recorded runs of {kind.__name__}" + (f"; all else stays fixed: {fixed}." if fixed else ".")
    return (
        '<div class="reglab-replay">'
        f'<div class="reglab-controls" role="group" aria-label="Settings of {kind.__name__}">{sliders}'
        f'<label class="reglab-control">picture<select name="picture">{pictures}</select></label>'
        f'<label class="reglab-control">runs<select name="seeds">{seeds}</select></label></div>'
        f'<div class="reglab-arms" role="group" aria-label="Arms of {kind.__name__}">{arms}</div>'
        '<div class="reglab-panels"></div><p class="reglab-summary" aria-live="polite"></p><p class="reglab-then"></p>'
        f'<div class="reglab-buttons">{buttons}</div>'
        '<details class="reglab-table"><summary>Show as table</summary><div tabindex="0"></div></details>'
        f'<p class="reglab-note">{typeset(note)}</p></div>'
    )


def _frame(panel: Mapping[str, Any], kind: type[Experiment]) -> str:
    """Return the HTML around one chart: question, names of the axes and, where the arms do not say it, a legend."""
    lines, shares = panel["lines"], panel["kind"] == "shares"
    named = [list(kind.arms)[line["at"]["arm"]] if "arm" in line["at"] else "" for line in lines]
    keys = []
    if panel["kind"] in ("curves", "shares") and [line["label"] for line in lines] != named and len(lines) > 1:
        keys = [_swatch(line, line=not shares) + typeset(line["label"]) for line in lines]
    if panel.get("expected"):
        plain = {"color": "#000000", "dash": [6, 4], "shape": "M0,0"}
        keys.append(_swatch(plain) + typeset(panel["expected"]))
    legend = "".join(f"<span>{one}</span>" for one in keys)
    y = f'<p class="reglab-axis">{typeset(panel["y"])}</p>' if panel.get("y") else ""
    x = f'<p class="reglab-axis reglab-x">{typeset(panel["x"])}</p>' if panel.get("x") else ""
    return (
        f'<div class="reglab-panel"><p class="reglab-question">{typeset(panel["question"])}</p>{y}'
        f'<div class="reglab-chart" role="img"></div>{x}<p class="reglab-keys">{legend}</p></div>'
    )


# ------------------------------------------------------------------------------------------------ views become charts


def _view(view: View, kind: type[Experiment], grid: xr.Dataset, first: xr.Dataset) -> dict[str, Any]:
    columns = min(view.columns, len(view.panels))
    panels = [_panel(panel, kind, grid, first, view.height) for panel in view.panels]
    frames = "".join(_frame(panel, kind) for panel in panels)
    box = f'<div class="reglab-grid" style="--columns:{columns}">{frames}</div>'
    return {"title": view.title, "html": box, "panels": panels}


def _panel(panel: Panel, kind: type[Experiment], grid: xr.Dataset, first: xr.Dataset, height: float) -> dict[str, Any]:
    """Return a panel: its question, where its numbers come from, and its chart as a Vega specification."""
    if isinstance(panel, Points):
        return _points(panel, kind, grid, first)
    sources = views.sources(first, panel, kind.arms)
    if isinstance(panel, Shares):
        layers = [{"color": color, "dash": [], "shape": "square"} for color, _ in views.LAYERS]
        looks = [layers[i % len(layers)] for i in range(len(sources))]
    else:
        looks = [_style(one.style) for one in sources]
    lines = [
        {"label": one.label, "variable": one.variable, "at": _positions(first, one.at), **look}
        for one, look in zip(sources, looks, strict=True)
    ]
    attributes = grid[lines[0]["variable"]].attrs
    found: dict[str, Any] = {"question": panel.question, "lines": lines, "rules": [], "theory": []}
    if isinstance(panel, Dots):
        domain = _domain(grid, sources, False, [float(line.at) for line in panel.lines])
        rules = [{"axis": "x", "at": float(line.at), "label": line.label} for line in panel.lines]
        spec = _specification(_dots(lines, domain), height)
        return {**found, "kind": "dots", "x": views.named(attributes), "rules": rules, "spec": spec}
    axis = views.axis_of(first, panel)
    found |= {"kind": "curves", "axis": axis, "x": views.named(first[axis].attrs)}
    x = _x_scale(first[axis])
    if isinstance(panel, Shares):
        return {**found, "kind": "shares", "y": "share", "spec": _specification(_shares(lines, x), height)}
    given = [line.at for line in panel.lines if line.axis == "y" and not isinstance(line.at, str)]
    domain = _domain(grid, sources, panel.log, given)
    found["y"] = panel.y or views.named(attributes)
    for line in panel.lines:
        at = {"variable": line.at, "at": _positions(first, {"arm": line.arm} if line.arm else {})}
        place = at if isinstance(line.at, str) else {"at": line.at}
        found["rules"].append({"axis": line.axis, "label": line.label.strip(), **place})
    if panel.theory:
        found["expected"] = str(first[panel.theory].attrs["long_name"])
        dims = first[panel.theory].dims
        found["theory"] = [
            {"variable": panel.theory, "at": _positions(first, {k: v for k, v in one.at.items() if k in dims})}
            for one in (sources if "arm" in dims else sources[:1])
        ]
    return {**found, "spec": _specification(_curves(lines, x, domain, panel.log), height)}


def _positions(data: xr.Dataset, at: Mapping[str, Any]) -> dict[str, int]:
    """Return the numbers of named positions along their axes."""
    return {name: data[name].values.tolist().index(value) for name, value in at.items()}


def _domain(grid: xr.Dataset, sources: Sequence[Source], log: bool, given: Sequence[float] = ()) -> list[float]:
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


def _x_scale(coordinate: xr.DataArray) -> alt.Scale:
    import altair as alt

    x = coordinate.values.astype(float)
    ends = [float(x.min()), float(x.max())]
    if not coordinate.attrs.get("log"):
        return alt.Scale(domain=ends, nice=False, zero=False)
    if ends[0] <= 0:
        return alt.Scale(type="symlog", constant=float(x[x > 0].min()), domain=ends, nice=False)
    return alt.Scale(type="log", domain=ends, nice=False)


def _specification(chart: Any, height: float) -> dict[str, Any]:
    """Return a chart, as wide as its place on the page, as a Vega specification: the page need not know Vega-Lite."""
    import vl_convert

    content = chart.properties(width="container", height=round(height * 78)).to_dict()
    content |= {"autosize": {"type": "fit", "contains": "padding"}, "background": None}
    content.pop("config", None)
    drawn = vl_convert.vegalite_to_vega(content, vl_version="6.1")
    return {name: value for name, value in drawn.items() if name not in ("$schema", "usermeta", "config")}


def _looks(lines: Sequence[Mapping[str, Any]]) -> tuple[Any, Any, Any]:
    """Return how lines look, as colour, dashes and marker by label; the controls beside the chart are the legend."""
    import altair as alt

    labels = [line["label"] for line in lines]
    color = alt.Color("line:N", legend=None, scale=alt.Scale(domain=labels, range=[line["color"] for line in lines]))
    dashes = [line["dash"] or [1, 0] for line in lines]
    dash = alt.StrokeDash("line:N", legend=None, scale=alt.Scale(domain=labels, range=dashes))
    shapes = [line["shape"] for line in lines]
    return color, dash, alt.Shape("line:N", legend=None, scale=alt.Scale(domain=labels, range=shapes))


def _curves(lines: Sequence[Mapping[str, Any]], scale: alt.Scale, domain: list[float], log: bool) -> Any:
    import altair as alt

    color, dash, shape = _looks(lines)
    x = alt.X("x:Q", title=None, scale=scale, axis=_number_axis(scale))
    heights = alt.Scale(type="log" if log else "linear", domain=domain, nice=False, zero=False)
    axis = _number_axis(heights)

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title=None, scale=heights, axis=axis)

    def rows(name: str) -> alt.Chart:
        return alt.Chart(alt.NamedData(name))

    one = alt.Detail("line:N")
    dotted: Any = {"strokeWidth": 2, "strokeDash": [1, 4], "strokeCap": "round", "clip": True}
    dashed: Any = {"color": "#000000", "strokeWidth": 1.4, "strokeDash": [6, 4], "clip": True}
    return alt.layer(
        rows("bands").mark_area(opacity=0.2, clip=True).encode(x, y("low"), alt.Y2("high:Q"), color, one),
        rows("threads").mark_line(strokeWidth=0.8, opacity=0.5, clip=True).encode(x, y("y"), color, detail="seed:N"),
        rows("pinned").mark_line(**dotted).encode(x, y("y"), color),
        rows("lines").mark_line(strokeWidth=2.4, clip=True).encode(x, y("y"), color, dash),
        rows("marks").mark_point(filled=True, opacity=1, size=45, clip=True).encode(x, y("y"), color, shape),
        rows("theory").mark_line(**dashed).encode(x, y("y"), one),
        *_rules(x, y("y")),
    )


def _rules(x: Any, y: Any) -> list[Any]:
    """Return straight reference lines with their names, across and upright."""
    import altair as alt

    across, upright = alt.Chart(alt.NamedData("across")), alt.Chart(alt.NamedData("upright"))
    quiet: Any = {"color": "#000000", "strokeDash": [2, 3], "clip": True}
    return [
        across.mark_rule(**quiet).encode(y=y),
        across.mark_text(align="left", baseline="bottom", dx=4, dy=-2, fontSize=11, color="#000000")
        .encode(y=y, x=alt.value(0), text="label:N"),
        upright.mark_rule(**quiet).encode(x=x),
        upright.mark_text(align="left", baseline="bottom", dx=4, dy=-4, fontSize=11, color="#000000")
        .encode(x=x, y=alt.value(alt.expr("height")), text="label:N"),
    ]  # fmt: skip


def _shares(lines: Sequence[Mapping[str, Any]], scale: alt.Scale) -> Any:
    import altair as alt

    color = _looks(lines)[0]
    x = alt.X("x:Q", title=None, scale=scale, axis=_number_axis(scale))
    whole = alt.Scale(domain=[0, 1], nice=False)
    y = alt.Y("low:Q", title=None, scale=whole, axis=_number_axis(whole))
    text = alt.Chart(alt.NamedData("labels"))
    return alt.layer(
        alt.Chart(alt.NamedData("bands")).mark_area(clip=True, stroke="white").encode(x, y, alt.Y2("high:Q"), color),
        alt.Chart(alt.NamedData("pinned"))
        .mark_line(color="#000000", strokeDash=[1, 4], strokeWidth=2, clip=True)
        .encode(x, alt.Y("y:Q"), alt.Detail("line:N")),
        text.mark_text(align="right", dx=-6, fontSize=12, fontWeight="bold", stroke="white", strokeWidth=3, opacity=0.9)
        .encode(alt.Y("y:Q"), x=alt.value(alt.expr("width")), text="line:N"),
        text.mark_text(align="right", dx=-6, fontSize=12, fontWeight="bold", color="black")
        .encode(alt.Y("y:Q"), x=alt.value(alt.expr("width")), text="line:N"),
    )  # fmt: skip


def _dots(lines: Sequence[Mapping[str, Any]], domain: list[float]) -> Any:
    import altair as alt

    color, _, shape = _looks(lines)
    scale = alt.Scale(domain=domain, nice=False, zero=False)
    x = alt.X("x:Q", title=None, scale=scale, axis=_number_axis(scale, 4))
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
        alt.Chart(alt.NamedData("upright")).mark_rule(color="#000000", strokeDash=[2, 3]).encode(x=x),
    )  # fmt: skip


def _number_axis(scale: alt.Scale, ticks: int = 5) -> alt.Axis:
    """Return an axis with plain numbers; a logarithmic one has marks at powers of ten, or at 1, 2 and 5 of each."""
    import altair as alt

    text = "datum.value && abs(datum.value) < 0.001 ? format(datum.value, '.0e') : format(datum.value, '.4~r')"
    plain: dict[str, Any] = {"labelExpr": text, "tickCount": ticks, "labelFlush": False}
    if scale.type in (alt.Undefined, "linear"):
        return alt.Axis(**plain)
    low, high = scale.domain
    small = scale.constant if scale.type == "symlog" else low
    decades = range(int(np.floor(np.log10(small))), int(np.ceil(np.log10(high))) + 1)
    factors = (1,) if np.log10(high / small) > 2.5 else (1, 2, 5)
    marks = [float(f"{factor * 10.0**decade:.6g}") for decade in decades for factor in factors]
    marks = [0.0, *marks] if scale.type == "symlog" else marks
    return alt.Axis(**plain, labelOverlap="greedy", values=[mark for mark in marks if low <= mark <= high])


def _points(panel: Points, kind: type[Experiment], grid: xr.Dataset, first: xr.Dataset) -> dict[str, Any]:
    import altair as alt

    def place(variable: str) -> dict[str, Any] | None:
        if not variable:
            return None
        at = {"arm": panel.arm} if "arm" in first[variable].dims else {}
        return {"variable": variable, "at": _positions(first, at)}

    looks = [_style(look) for look in (views.METHOD, *views.FURTHER, views.BASELINE)]
    if not panel.groups:
        looks = [{**_style(views.styles(kind.arms).get(panel.arm, views.METHOD)), "shape": "circle"}]
    lines = [{"label": str(i), **look} for i, look in enumerate(looks)]
    color, _, shape = _looks(lines)
    if panel.limits is not None:
        ends = list(panel.limits)
    else:
        values = np.concatenate([grid[name].values.ravel() for name in (panel.variable, panel.origin) if name])
        ends = [float(end) for end in np.nanquantile(values, [0.001, 0.999])]
    scale = alt.Scale(domain=ends, nice=False, zero=False)
    axis = _number_axis(scale, 4)
    x, y = alt.X("x:Q", title=None, scale=scale, axis=axis), alt.Y("y:Q", title=None, scale=scale, axis=axis)
    chart = alt.layer(
        alt.Chart(alt.NamedData("trails")).mark_rule(color="#808080", opacity=0.6, clip=True)
        .encode(x, y, alt.X2("x2:Q"), alt.Y2("y2:Q")),
        alt.Chart(alt.NamedData("pinned")).mark_point(color="#808080", size=16, clip=True).encode(x, y),
        alt.Chart(alt.NamedData("lines"))
        .mark_point(filled=True, opacity=0.8, size=40 if panel.groups else 18, clip=True).encode(x, y, color, shape),
        alt.Chart(alt.NamedData("crosses"))
        .mark_point(shape="M-1,-1L1,1M-1,1L1,-1", stroke="#000000", strokeWidth=2, size=50, opacity=1, clip=True)
        .encode(x, y),
    )  # fmt: skip
    return {
        "question": panel.question,
        "kind": "points",
        "lines": [],
        "rules": [],
        "theory": [],
        "points": place(panel.variable),
        "origin": place(panel.origin),
        "groups": place(panel.groups),
        "crosses": place(panel.crosses),
        "spec": _specification(chart, 3.0),
    }
