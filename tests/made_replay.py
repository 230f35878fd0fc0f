"""A made experiment that shows every newer kind of panel, its recorded grid, and a page that replays it."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from reglab.experiment import Experiment
from reglab.knobs import knob
from reglab.pictures import Heatmap, Histogram, Images, Scatter, View
from reglab.recordings import codec, thin
from reglab.results import Axis, Frame, Tick, Var, share
from reglab.seeds import Seeds
from reglab.site import replay

TIMES, DEPTHS, WEIGHTS, SEEDS = (0, 1, 2, 5, 10), (1, 2, 4, 8), 60, 5
STATIC = Path(__file__).parent.parent / "book" / "_static"

HEAT = Heatmap("Where does noise spread?", "field", "time", "depth", arm="new", diverging=True)
ARMS_HEAT = Heatmap("Which arm learns when?", "score", "time")
LAST = Heatmap("Which depth reacts in the end?", "field", "depth", limits=(-1, 1))
PICTURES = Images("What does it see?", "picture")
FILM = Images("How does it see?", "picture", by="time", arm="new", limits=(0, 1))
CLOUD = Scatter("Do small weights score higher?", "size", "score", line="fit")
ITEMS = Scatter("Which weights move?", "start", "weight", items="item", arms=("plain", "new"), line="y = x")
SPREAD = Histogram("How large are the weights?", "weight", "item", bins=12)
VIEWS = (
    View("Fields", (HEAT, ARMS_HEAT)),
    View("Pictures", (PICTURES, FILM)),
    View("Marks", (CLOUD, ITEMS)),
    View("Weights", (SPREAD, LAST)),
)


@dataclass(frozen=True)
class Made(Experiment):
    """Weights that shrink, fields that swing, pictures that fade; nothing is trained."""

    decay: float = knob(0.5, low=0.0, high=1.0, step=0.5, symbol="λ", help="how fast weights shrink")
    noise: float = knob(0.1, low=0.1, high=0.4, step=0.1, help="spread of everything")

    arms = {"plain": "baseline", "new": "method", "early stopping": "rival", "random": "null", "other": "ablation"}
    outputs = {
        "score": share("arm seed time", "score", "made"),
        "size": Var("arm seed time", "size of the weights", "made", unit="m"),
        "weight": Var("arm seed time item", "weight", "made", unit="mV"),
        "start": Var("arm seed item", "weight at the start", "made", unit="mV"),
        "field": Var("arm seed time depth", "field", "made", unit="V"),
        "picture": Var("arm time row column", "brightness", "made", low=0, high=1),
    }
    views = VIEWS
    headline = "score"
    grid = {"decay": (0.0, 0.5, 1.0), "noise": (0.1, 0.4)}

    def axes(self) -> dict[str, Axis]:
        return {"time": Axis(TIMES, "s", "time"), "depth": Axis(DEPTHS, "layer", "depth"),
                "item": Axis(range(WEIGHTS)), "row": Axis(range(6)), "column": Axis(range(8))}  # fmt: skip

    def frames(self, seeds: Seeds) -> Iterator[Frame | Tick]:
        draws = [np.random.default_rng(seed) for seed in seeds]
        start = np.stack([draw.normal(size=(len(self.arms), WEIGHTS)) for draw in draws], 1)  # [arm, seed, item]
        yield Frame({}, {"start": start})
        shift = np.arange(len(self.arms))[:, None]
        row, column = np.mgrid[:6, :8]
        for i, time in enumerate(TIMES):
            noise = self.noise * np.stack([draw.normal(size=len(self.arms)) for draw in draws], 1)
            weight = start * np.exp(-self.decay * time / 5 * (shift[..., None] > 0)) + 0.3 * shift[..., None]
            field = np.sin(np.log(DEPTHS) * (1 + shift[..., None]) - time / 3) * np.exp(-time / 10) + noise[..., None]
            picture = 0.5 + 0.5 * np.sin(row / 2 + shift[..., None] + i / 2) * np.cos(column * (1 + self.decay) / 3)
            values = {
                "weight": weight, "field": field, "picture": picture, "size": weight.std(-1),
                "score": np.clip(0.2 + 0.1 * shift + 0.04 * time + 0.1 * noise, 0, 1),
            }  # fmt: skip
            yield Frame({"time": i}, values)


@functools.cache
def steps() -> xr.Dataset:
    """Return the results at all settings as whole steps, as a recording holds them."""
    rows = []
    for decay in Made.grid["decay"]:
        row = [Made(decay=decay, noise=noise).run(SEEDS) for noise in Made.grid["noise"]]
        rows.append(xr.concat(row, xr.DataArray(list(Made.grid["noise"]), dims="noise", name="noise")))
    whole = xr.concat(rows, xr.DataArray(list(Made.grid["decay"]), dims="decay", name="decay"))
    return codec.spread(codec.encode(thin.thin(whole, Made), Made))


@functools.cache
def grid() -> xr.Dataset:
    """Return the numbers at all settings that a recording gives back."""
    return codec.decode(steps())


@functools.cache
def payload() -> dict[str, Any]:
    """Return what the page reads."""
    return replay.payload(Made, grid(), steps())


def settings() -> list[dict[str, float]]:
    """Return all settings of the grid in the order of the page."""
    return [dict(zip(Made.grid, values, strict=True)) for values in itertools.product(*Made.grid.values())]


def page(folder: Path) -> Path:
    """Write a page that replays the experiment, as a reader opens it from disk; returns its path."""
    (folder / "charts").mkdir(parents=True, exist_ok=True)
    (folder / "charts" / "vega.js").write_text(replay.bundle(), encoding="utf-8")
    (folder / "made.js").write_text(replay.written("made.js", payload()), encoding="utf-8")
    for name in ("replay.js", "reglab.css"):
        (folder / name).write_bytes((STATIC / name).read_bytes())
    path = folder / "page.html"
    path.write_text(
        '<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><title>Made</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="reglab.css"><style>'
        "html {--pst-color-background:#fff; --pst-color-text-base:#222; --pst-color-surface:#f5f5f5;"
        " --pst-color-border:#ccc; --pst-color-primary:#0072b2; font-family:system-ui,sans-serif}"
        "html[data-theme=dark] {--pst-color-background:#14181e; --pst-color-text-base:#ced6dd;"
        " --pst-color-surface:#222832; --pst-color-border:#48566b; background:#14181e; color:#ced6dd}"
        "body {margin:8px} figure {margin:0; max-width:760px} svg {vertical-align:middle}</style>"
        '<figure data-replay="made" data-grid="made.js"><img alt="made" src="data:,"></figure>'
        '<script src="replay.js"></script></html>',
        encoding="utf-8",
    )
    return path
