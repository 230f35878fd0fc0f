"""Points: a cloud in a plane, a film while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from reglab.pictures.artist import PanelArtist
from reglab.pictures.panel import Panel, Read
from reglab.pictures.reached import latest
from reglab.pictures.style import BASELINE, FURTHER, METHOD, styles
from reglab.pictures.words import number

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from reglab.pictures.vega import Scene

LOOKS = (METHOD, *FURTHER, BASELINE)
"""The looks of groups of points."""


@dataclass(frozen=True)
class Points(Panel):
    """Points in a plane for the first seed: a variable whose last two axes are point and plane (two coordinates).

    Where it has a remaining axis (time), the last position that has results is shown, so that it is a film while it
    runs. Arrows lead there from `origin`, a variable with the same points; `groups` [point] holds whole numbers that
    choose color and marker; `crosses` [place, plane] marks places. `limits` holds both axes still.
    """

    question: str
    variable: str
    arm: str = ""
    origin: str = ""
    groups: str = ""
    crosses: str = ""
    limits: tuple[float, float] | None = None

    def reads(self) -> Iterator[Read]:
        """Yield what the panel reads: clouds of one arm."""
        for name in filter(None, (self.variable, self.origin, self.groups, self.crosses)):
            limits = self.limits if name == self.variable else None
            items = (-1,) if name == self.groups else (-2, -1)
            yield Read(name, [self.arm] if self.arm else (), items=items, limits=limits)

    def places(self, data: xr.Dataset, variable: str) -> tuple[np.ndarray, str]:
        """Return points [P, 2] of the panel's arm and the first seed, and where on a further axis they are."""
        values = data[variable]
        values = values.sel(arm=self.arm) if "arm" in values.dims else values
        values = values.isel(seed=0) if "seed" in values.dims else values
        last, when = latest(values, *(str(dim) for dim in values.dims[-2:]))
        return last.values, when

    def artist(self, axes: Axes, data: xr.Dataset, arms: Mapping[str, str]) -> PointsArtist:
        """Return what draws the panel."""
        return PointsArtist(axes, self, data, arms)

    def chart(self, scene: Scene) -> dict[str, Any]:
        """Return the panel for the site."""
        return _chart(self, scene)


class PointsArtist(PanelArtist):
    """Points in a plane, with arrows from where they come and crosses where they should be."""

    def __init__(self, axes: Axes, panel: Points, data: xr.Dataset, arms: Mapping[str, str]) -> None:
        from matplotlib.collections import LineCollection

        super().__init__(axes)
        self.panel = panel
        self._shape = data[panel.variable].shape
        axes.set_aspect("equal", adjustable="box")
        several = bool(panel.groups)
        looks = LOOKS if several else (styles(arms).get(panel.arm, METHOD),)
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
        """Tell whether results have the positions for which the axes were made."""
        return data[self.panel.variable].shape == self._shape

    def fill(self, data: xr.Dataset, pinned: xr.Dataset | None, growing: xr.Dataset | None, final: bool) -> bool:
        """Put new results in."""
        points, when = self.panel.places(data, self.panel.variable)
        before = self.panel.places(pinned, self.panel.variable)[0] if pinned is not None else np.empty((0, 2))
        groups = data[self.panel.groups].values if self.panel.groups else np.zeros(len(points))
        for i, cloud in enumerate(self._clouds):
            cloud.set_data(*points[groups == i].T)
        self._before.set_data(*before.T)
        crosses = data[self.panel.crosses].values if self.panel.crosses else np.empty((0, 2))
        self._crosses.set_data(*crosses.T)
        origin = self.panel.places(data, self.panel.origin)[0] if self.panel.origin else np.empty((0, 2))
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
        """Say in words what the panel shows."""
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


def _chart(panel: Points, scene: Scene) -> dict[str, Any]:
    import altair as alt

    from reglab.pictures.vega import look, looks, number_axis

    def place(variable: str) -> dict[str, Any]:
        at = {"arm": panel.arm} if "arm" in scene.first[variable].dims else {}
        return {"variable": variable, "at": scene.positions(at)}

    found = [look(one) for one in LOOKS]
    if not panel.groups:
        found = [{**look(styles(scene.arms).get(panel.arm, METHOD)), "shape": "circle"}]
    color, _, shape = looks([{"label": str(i), **one} for i, one in enumerate(found)])
    if panel.limits is not None:
        ends = list(panel.limits)
    else:
        values = np.concatenate([scene.grid[name].values.ravel() for name in (panel.variable, panel.origin) if name])
        ends = [float(end) for end in np.nanquantile(values, [0.001, 0.999])]
    scale = alt.Scale(domain=ends, nice=False, zero=False)
    axis = number_axis(scale, 4)
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
        "kind": "points",
        "lines": [{"label": panel.arm or str(scene.first[panel.variable].attrs["long_name"]), **place(panel.variable)}],
        "origin": panel.origin and place(panel.origin),
        "groups": panel.groups and place(panel.groups),
        "crosses": panel.crosses and place(panel.crosses),
        "aspect": 1,
        "spec": replace(scene, height=3.0).specification(chart),
    }
