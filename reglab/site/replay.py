"""Recorded grids as charts that need no kernel: what the website's script reads, one file for each experiment.

The views that draw the live figure become Vega charts here, written by Altair, one for each panel. The numbers travel
as whole numbers, seed by seed; mean and interval are computed in the page as `statistics.mean_interval` does.
"""

from __future__ import annotations

import dataclasses
import html
import importlib.resources
import itertools
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from reglab.experiment import Experiment
from reglab.pictures import View, words
from reglab.pictures.panel import Use, uses
from reglab.pictures.reached import latest
from reglab.pictures.style import NIGHT, SWATCHES, styles
from reglab.pictures.vega import Scene, look
from reglab.recordings import recorded
from reglab.statistics import quantile

if TYPE_CHECKING:
    import xarray as xr

STEPS = 1000
"""Into so many steps the usual span of a variable is divided (a quarter for clouds); charts are 200 pixels high."""

NUMBERS = 100_000
"""About so many numbers of curves travel with an experiment; where there are more, curves get fewer positions."""

EMPTY: dict[str, Any] = {"lines": [], "rules": []}
"""What a panel for the page has at least: `question`, and

- `kind` (its script), `spec` (the chart, in Vega) and what that script reads,
- `lines`: what it shows, each with `label`, `variable`, `at` (positions along axes) and look; the arms in them can be
  switched off,
- `rules`: straight lines across ("y") or upright ("x"), at a number or at the mean of a variable,
- `x`, `y`: names of the axes; `along`: the name of `x` in the table; `expected`: what a dashed line is,
- `swatch`: "mark" where the lines of the legend have no line; `aspect`: width by height, where that matters.
"""


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
    if not recorded.has(setting):
        return ""
    start, found = kind().settings(), setting.settings()
    knobs = [f"{name}={found[name]:g}" for name in kind.grid if found[name] != start[name]]
    return f"{key(kind)}:{'&'.join(knobs)}"


def script(kind: type[Experiment]) -> str:
    """Return the file with an experiment's recorded grid: a script, since a page opened from disk may load no other.

    Where nothing is recorded it says so to the page. Raises `ValueError` when the recording is damaged.
    """
    grid = recorded.read(kind)
    found = None if grid is None else payload(kind, grid)
    return written(key(kind), found)


def written(name: str, found: Mapping[str, Any] | None) -> str:
    """Return the script that gives the page what `payload` found for the experiment of a short name."""
    content = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    return f"window.reglabGrids=window.reglabGrids||{{}};window.reglabGrids[{json.dumps(name)}]={content};\n"


def bundle() -> str:
    """Return the script that draws the charts of the site: Vega, as the library brings it, and the kinds of panels."""
    import vl_convert

    # in a function of its own, since its short names would meet those of other scripts
    vega = "(() => {" + vl_convert.javascript_bundle(snippet="window.vegaEmbed = vegaEmbed;") + "})();\n"
    folder = importlib.resources.files("reglab.pictures")
    kinds = sorted((file for file in folder.iterdir() if file.name.endswith(".js")), key=lambda file: file.name)
    scripts = "".join(file.read_text(encoding="utf-8") for file in kinds)
    return f'{vega}(() => {{\n"use strict";\nconst kinds = window.reglabKinds = {{}};\n{scripts}}})();\n'


def payload(kind: type[Experiment], grid: xr.Dataset) -> dict[str, Any]:
    """Return everything that a page needs to replay a recorded grid, as plain values for JSON."""
    defaults, declared = kind().settings(), kind.knobs()
    point = {name: values[list(values).index(defaults[name])] for name, values in kind.grid.items()}
    first, count = grid.sel(point), grid.sizes["seed"]
    used = uses(kind)
    shown = {name: _shown(grid[name], use, kind) for name, use in sorted(used.items()) if use.shown}
    shown = _lighter(shown, used, kind)
    axes = {name: values[name] for values in shown.values() for name in values.dims}
    scene = Scene(grid, first, {str(name): axis for name, axis in {**first.coords, **axes}.items()}, kind.arms)
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
        "variables": {name: _encode(values, used[name]) for name, values in shown.items()},
        "sentences": _sentences(kind, grid),
        "night": NIGHT,
        "html": _controls(kind, grid),
        "views": [_view(view, kind, scene) for view in kind.views],
    }


def _plain(values: np.ndarray) -> list[Any]:
    return [value if isinstance(value, str) else float(f"{value:.6g}") for value in values.tolist()]


def _shown(values: xr.DataArray, use: Use, kind: type[Experiment]) -> xr.DataArray:
    """Leave away all but the last position that has results where no picture shows how it came there."""
    known = {"arm", "seed", *kind.grid, *use.items}
    kept = [str(dim) for dim in values.dims if dim in known]
    further = [dim for dim in values.dims if dim not in known and values[dim].dtype != object]
    return values if (use.whole and not use.cloud) or len(further) != 1 else latest(values, *kept)[0]


def _lighter(
    shown: Mapping[str, xr.DataArray], used: Mapping[str, Use], kind: type[Experiment]
) -> dict[str, xr.DataArray]:
    """Leave away positions along the curves until the numbers are few enough for a page; eight stay at least."""
    fixed = {"arm", "seed", *kind.grid, *(dim for name, one in shown.items() if used[name].cloud for dim in one.dims)}
    curves = {dim: one[dim] for one in shown.values() for dim in one.dims if dim not in fixed}
    for most in range(recorded.POSITIONS, 7, -2):
        kept = {dim: recorded.evenly(axis, most) for dim, axis in curves.items() if axis.dtype != object}
        lighter = {
            name: values.isel({dim: places for dim, places in kept.items() if dim in values.dims})
            for name, values in shown.items()
        }
        if sum(int(values.notnull().sum()) for values in lighter.values()) <= NUMBERS:
            break
    return lighter


def _encode(values: xr.DataArray, use: Use) -> dict[str, Any]:
    """Return a variable as whole steps (`recorded.code`), as differences along its last axis (null: no number)."""
    array = values.values.astype(float)
    log = use.log and bool(np.nanmin(array, initial=np.inf) > 0)
    step, offset, log, _ = recorded.code(array, log, STEPS // 4 if use.cloud else STEPS)
    scaled = np.log10(array) if log else array
    there = np.isfinite(scaled)
    steps = np.where(there, np.rint((scaled - offset) / step), 0).astype(int)
    differences = np.diff(steps, axis=-1, prepend=0) if steps.ndim else steps
    return {
        "dims": [str(dim) for dim in values.dims],
        "shape": list(values.shape),
        "log": log,
        "low": offset,
        "step": step,
        "data": [n if ok else None for n, ok in zip(differences.ravel().tolist(), there.ravel().tolist(), strict=True)],
    }


def _sentences(kind: type[Experiment], grid: xr.Dataset) -> list[list[str]]:
    """Return for each grid point what the headline says, with all seeds and with each seed alone."""
    found = []
    for values in itertools.product(*kind.grid.values()):
        data = grid.sel(dict(zip(kind.grid, values, strict=True)))
        single = [data.isel(seed=[i]) for i in range(data.sizes["seed"])]
        found.append([words.sentence(one, kind.headline, kind.arms) for one in (data, *single)])
    return found


# ----------------------------------------------------------------------------------------- the controls and their texts


def typeset(text: str) -> str:
    """Return a text as HTML, with subscripts in the place of underscores: λ_H, Tr Σ_W."""
    return words.SUBSCRIPT.sub(r"\1<sub>\2</sub>", html.escape(text))


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

    declared, looks, count = kind.knobs(), styles(kind.arms), grid.sizes["seed"]
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
        f'<label><input type="checkbox" name="{html.escape(arm)}" checked>{_swatch(look(looks[arm]))}'
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
    lines = panel["lines"]
    named = [list(kind.arms)[line["at"]["arm"]] if "arm" in line["at"] else "" for line in lines]
    keys = []
    if [line["label"] for line in lines] != named and len(lines) > 1:
        keys = [_swatch(line, line=panel.get("swatch") != "mark") + typeset(line["label"]) for line in lines]
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


def _view(view: View, kind: type[Experiment], scene: Scene) -> dict[str, Any]:
    columns = min(view.columns, len(view.panels))
    scene = dataclasses.replace(scene, height=view.height)
    panels = [{**EMPTY, "question": panel.question, **panel.chart(scene)} for panel in view.panels]
    frames = "".join(_frame(panel, kind) for panel in panels)
    box = f'<div class="reglab-grid" style="--columns:{columns}">{frames}</div>'
    return {"title": view.title, "html": box, "panels": panels}
