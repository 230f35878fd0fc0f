"""Shares: parts of a whole, stacked on each other, along an axis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reglab.pictures.panel import Panel, Read
from reglab.pictures.series import Series, SeriesArtist, Source, axis_of, last_of, outline, reduce, sources
from reglab.pictures.style import LAYERS
from reglab.pictures.words import named, typeset

if TYPE_CHECKING:
    import altair as alt
    import xarray as xr
    from matplotlib.axes import Axes

    from reglab.pictures.vega import Scene


@dataclass(frozen=True)
class Shares(Panel):
    """Variables of one arm that add up to 1, stacked, against their remaining axis; a pinned run is dotted."""

    question: str
    variables: Sequence[str]
    arm: str

    def reads(self) -> Iterator[Read]:
        """Yield what the panel reads: whole curves of one arm."""
        for name in self.variables:
            yield Read(name, [self.arm])

    def sources(self, data: xr.Dataset, arms: Mapping[str, str]) -> list[Source]:
        """Return where each share comes from."""
        return sources(data, self.variables, [self.arm], {}, arms)

    def series(self, data: xr.Dataset, arms: Mapping[str, str]) -> list[Series]:
        """Reduce results to the shares of the panel, from below."""
        return reduce(data, self.sources(data, arms), axis_of(data, self))

    def artist(self, axes: Axes, data: xr.Dataset, arms: Mapping[str, str]) -> SharesArtist:
        """Return what draws the panel."""
        return SharesArtist(axes, self, data, arms)

    def chart(self, scene: Scene) -> dict[str, Any]:
        """Return the panel for the site."""
        from reglab.pictures import vega

        axis, found = axis_of(scene.first, self), self.sources(scene.first, scene.arms)
        looks = [{"color": color, "dash": [], "shape": "square"} for color, _ in LAYERS]
        lines = [{**line, **looks[i % len(looks)]} for i, line in enumerate(scene.lines(found))]
        return {
            "kind": "shares",
            "lines": lines,
            "swatch": "mark",
            "axis": axis,
            "along": str(scene.first[axis].attrs["long_name"]),
            "x": named(scene.first[axis].attrs),
            "y": "share",
            "spec": scene.specification(_layers(lines, vega.along(scene.first[axis]))),
        }


class SharesArtist(SeriesArtist):
    """Shares stacked on each other."""

    def __init__(self, axes: Axes, panel: Shares, data: xr.Dataset, arms: Mapping[str, str]) -> None:
        from matplotlib.collections import PolyCollection

        coordinate = data[axis_of(data, panel)]
        super().__init__(axes, coordinate, panel.series(data, arms))
        self.panel, self._arms = panel, arms
        self._x = named(coordinate.attrs)
        axes.set_xlabel(typeset(self._x))
        axes.set_ylabel("share")
        axes.set_ylim(0, 1)
        axes.grid(False)
        self._bands, self._old = [], []
        for i in range(len(self.series)):
            color, hatch = LAYERS[i % len(LAYERS)]
            band = PolyCollection([], facecolor=color, alpha=1, hatch=hatch or None, linewidth=0)
            band.set_edgecolor("white")
            axes.add_collection(band, autolim=False)
            self._bands.append(band)
            self._old += axes.plot([], [], color="black", ls=":", lw=1.6, alpha=0.8)
        self._label(["#222222"] * len(self.series))
        self._animate(*self._bands, *self._old, *self._labels)

    def fits(self, data: xr.Dataset) -> bool:
        """Tell whether results have the same axis."""
        return np.array_equal(data[axis_of(data, self.panel)].values, self.series[0].x)

    def fill(self, data: xr.Dataset, pinned: xr.Dataset | None, growing: xr.Dataset | None, final: bool) -> bool:
        """Put new results in."""
        self.series, before, more = (
            self.panel.series(one, self._arms) if one is not None else [] for one in (data, pinned, growing)
        )
        lower, ends = np.zeros(len(self.series[0].x)), []
        for i, (one, band) in enumerate(zip(self.series, self._bands, strict=True)):
            mean = one.mean
            if more:
                # as far as the growing seeds have come, they count already
                mean = np.nanmean(np.concatenate([one.seeds, more[i].seeds]), axis=0)
            there = np.isfinite(mean)
            upper = lower + mean
            band.set_verts([outline(one.x[there], lower[there], upper[there])] if there.any() else [])
            lower = upper
            ends.append(last_of(one.mean))
        total = np.zeros(len(self.series[0].x))
        for one, line in zip(before, self._old[: len(before) - 1], strict=False):
            total = total + one.mean
            line.set_data(one.x, total)
        for line in self._old if not before else []:
            line.set_data([], [])
        self._place_labels(np.cumsum(ends) - np.array(ends) / 2)
        return False

    def describe(self) -> str:
        """Say in words what the panel shows."""
        return f"{self.panel.question} {self._said('Stacked shares', self._x)}."


def _layers(lines: Sequence[Mapping[str, Any]], scale: alt.Scale) -> Any:
    import altair as alt

    from reglab.pictures.vega import looks, number_axis, strips

    color = looks(lines)[0]
    x = alt.X("x:Q", title=None, scale=scale, axis=number_axis(scale))
    whole = alt.Scale(domain=[0, 1], nice=False)
    y = alt.Y("low:Q", title=None, scale=whole, axis=number_axis(whole))
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
        strips(scale),
    )  # fmt: skip
