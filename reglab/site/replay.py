"""Recorded grids as charts that need no kernel: what the website's script reads, one file for each experiment.

The views that draw the live figure become Vega charts here, written by Altair, one for each panel. The numbers travel
as the whole steps of the recording, seed by seed; mean and interval are computed in the page as
`statistics.mean_interval` does.
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
from reglab.pictures.style import NIGHT, SWATCHES, styles
from reglab.pictures.vega import Scene, look
from reglab.recordings import codec, store
from reglab.recordings.thin import whole
from reglab.statistics import quantile

if TYPE_CHECKING:
    import xarray as xr

EMPTY: dict[str, Any] = {"lines": [], "rules": []}
"""What a panel for the page has at least: `question`, and

- `kind` (its script), `spec` (the chart, in Vega) and what that script reads,
- `lines`: what it shows, each with `label`, `variable`, `at` (positions along axes) and look; the arms in them can be
  switched off,
- `rules`: straight lines across ("y") or upright ("x"), at a number or at the mean of a variable,
- `x`, `y`: names of the axes; `along`: the name of `x` in the table; `expected`: what a dashed line is;
  `peak`: the line whose best place has a star,
- `edges`: where its bins end, if it has bins,
- `heights`, `log`: the common ends of an axis that follows what is shown (`reglab.pictures.heights`), and whether it
  is logarithmic,
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
    if not store.has(setting):
        return ""
    start, found = kind().settings(), setting.settings()
    knobs = [f"{name}={found[name]:g}" for name in kind.grid if found[name] != start[name]]
    return f"{key(kind)}:{'&'.join(knobs)}"


def script(kind: type[Experiment]) -> str:
    """Return the file with an experiment's recorded grid: a script, since a page opened from disk may load no other.

    Where nothing is recorded it says so to the page. Raises `ValueError` when the recording is damaged.
    """
    return written(file_name(kind), recorded(kind))


def written(name: str, found: Mapping[str, Any] | None) -> str:
    """Return the script that gives the page what `payload` found, by the name of the file."""
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


def recorded(kind: type[Experiment]) -> dict[str, Any] | None:
    """Return what `payload` does for what is recorded; None without a recording, `ValueError` for a damaged one."""
    grid, steps = store.read(kind), store.steps(kind)
    return None if grid is None or steps is None else payload(kind, grid, steps)


def payload(kind: type[Experiment], grid: xr.Dataset, steps: xr.Dataset) -> dict[str, Any]:
    """Return everything that a page needs to replay a grid, as plain values for JSON.

    The numbers travel as the whole `steps` that a recording holds of the grid (`codec.spread`).
    """
    defaults, declared = kind().settings(), kind.knobs()
    point = {name: values[list(values).index(defaults[name])] for name, values in kind.grid.items()}
    first, count = grid.sel(point), grid.sizes["seed"]
    shown = {name: _shown(steps[name], use, kind) for name, use in sorted(uses(kind).items()) if use.shown}
    axes = {name: grid[name] for values in shown.values() for name in values.dims}
    scene = Scene(grid, first, {str(name): axis for name, axis in {**first.coords, **axes}.items()}, kind.arms)
    axes = {name: axis for name, axis in axes.items() if name not in ("arm", "seed", *kind.grid)}
    return {
        "name": kind.__name__,
        "knobs": [
            {"name": name, "label": declared[name].words(name), "values": list(values)}
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
        "views": [_view(view, kind, scene) for view in kind.views],
    }


def _plain(values: np.ndarray) -> list[Any]:
    return [value if isinstance(value, str) else float(f"{value:.6g}") for value in values.tolist()]


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
        "ends": [steps.attrs.get("low"), steps.attrs.get("high")],  # of what it can be; null where there is none
        "data": [n if ok else None for n, ok in zip(numbers.ravel().tolist(), there.ravel().tolist(), strict=True)],
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
    return words.lowered(html.escape(text))


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
        f"<b>{typeset(declared[name].full(name))}</b>"
        f'<span><input type="range" name="{name}" min="0" max="{len(values) - 1}" step="1"><output></output></span>'
        "</label>"
        for name, values in kind.grid.items()
    )
    pictures = "".join(option(i, view.title) for i, view in enumerate(kind.views))
    seeds = option("mean", f"mean of {count}, 95 % interval") + option("all", f"all {count}, as thin lines")
    seeds += "".join(option(i, f"only run {seed}") for i, seed in enumerate(grid.seed.values))
    arms = "".join(
        f'<label><input type="checkbox" name="{html.escape(arm)}" checked>{_swatch(look(looks[arm]))}'
        f"<span>{typeset(arm)}</span></label>"
        for arm in kind.arms
    )
    actions = {"pin": "Pin", "reset": "Reset", "copy": "Copy link", "download": "Download CSV", "presenting": "Present"}
    buttons = "".join(f'<button type="button" data-does="{does}">{text}</button>' for does, text in actions.items())
    others = {name: value for name, value in kind().settings().items() if name not in kind.grid}
    fixed = ", ".join(f"{declared[name].full(name)} {value}" for name, value in others.items())
    note = f"Recorded runs of {kind.__name__}" + (f"; live only, in a running notebook: {fixed}." if fixed else ".")
    return (
        '<div class="reglab-replay">'
        f'<div class="reglab-controls" role="group" aria-label="Settings of {kind.__name__}">{sliders}'
        f'<label class="reglab-control">picture<select name="picture">{pictures}</select></label>'
        f'<label class="reglab-control">runs<select name="seeds">{seeds}</select></label></div>'
        f'<div class="reglab-arms" role="group" aria-label="Arms of {kind.__name__}">{arms}</div>'
        '<div class="reglab-panels"></div><p class="reglab-summary" aria-live="polite"></p><p class="reglab-then"></p>'
        f'<div class="reglab-buttons">{buttons}</div>'
        '<details class="reglab-table"><summary>Show as table</summary><div tabindex="0"></div></details>'
        f'<p class="reglab-note">{typeset(note)}</p><div class="reglab-tip" aria-hidden="true"></div></div>'
    )


def _frame(panel: Mapping[str, Any], kind: type[Experiment]) -> str:
    """Return the HTML around one chart: question, names of the axes and, where the arms do not say it, a legend."""
    lines = panel["lines"]
    named = [list(kind.arms)[line["at"]["arm"]] if "arm" in line["at"] else "" for line in lines]
    keys = []
    if [line["label"] for line in lines] != named and len(lines) > 1:
        drawn = panel.get("swatch") != "mark"
        keys = [f"{_swatch(one, line=drawn)}<span>{typeset(one['label'])}</span>" for one in lines]
    if panel.get("expected"):
        plain = {"color": "#000000", "dash": [6, 4], "shape": "M0,0"}
        keys.append(f"{_swatch(plain)}<span>{typeset(panel['expected'])}</span>")
    if panel.get("peak"):
        keys.append(f"<span>★ best of {typeset(panel['peak'])}</span>")
    legend = "".join(f"<span>{one}</span>" for one in keys)
    y = f'<p class="reglab-axis">{typeset(panel["y"])}</p>' if panel.get("y") else ""
    x = f'<p class="reglab-axis reglab-x">{typeset(panel["x"])}</p>' if panel.get("x") else ""
    return (
        f'<div class="reglab-{panel["kind"]}"><p class="reglab-question">{typeset(panel["question"])}</p>{y}'
        f'<div class="reglab-chart" role="img"></div>{x}<p class="reglab-keys">{legend}</p></div>'
    )


# ------------------------------------------------------------------------------------------------ views become charts


def _view(view: View, kind: type[Experiment], scene: Scene) -> dict[str, Any]:
    columns = min(view.columns, len(view.panels))
    scene = dataclasses.replace(scene, height=view.height)
    panels = [{**EMPTY, "question": panel.question, **panel.chart(scene)} for panel in view.panels]
    frames = "".join(_frame(panel, kind) for panel in panels)
    box = f'<div class="reglab-grid" style="--columns:{columns}">{frames}</div>'
    return {"title": view.title, "html": box, "panels": panels, "headline": view.shows(kind.headline)}
