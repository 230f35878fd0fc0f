"""A map for each part whose papers measure what a network costs: change of accuracy against cost, page by page.

It shows what is recorded, for the arms that each page's own picture of cost compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from reglab import catalogue
from reglab.experiment import Experiment
from reglab.pictures import Scatter, page, words
from reglab.pictures.style import METHOD, NARROW, Style, styles
from reglab.recordings import store
from reglab.statistics import mean_interval

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHANGE = "accuracy_change"
"""The output that stands upright: accuracy minus that of the page's own dense network."""

TICKS, FEW_TICKS = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2, 0.3, 0.5, 0.7, 1), (0.01, 0.03, 0.1, 0.3, 1)
"""Shares of the dense network's cost that an axis names; few of them where it is longer than a factor of four."""

INTRODUCTION = (
    "## Accuracy against cost\n\n"
    "Each panel is one page. Upright: what an arm gains or loses in test accuracy beside the dense network of its "
    "page, seed by seed, with 95 % intervals over the seeds that the page was built with. Across: what it costs beside "
    "that network, counted, not timed. Large marks are the page's default settings; a line leads along the setting "
    "that is named below. Tasks and networks differ from page to page: compare within a panel, not between panels.\n"
)


class Point(NamedTuple):
    """One mark: its cost, the mean change of accuracy with its interval, whether it is the page's default."""

    cost: float
    change: float
    low: float
    high: float
    default: bool


@dataclass(frozen=True)
class Track:
    """The marks of one arm, from the cheapest on."""

    arm: str
    style: Style
    points: Sequence[Point]


@dataclass(frozen=True)
class Place:
    """One panel of the map: a paper, the name of its cost, along which setting lines lead (or ""), its arms."""

    paper: catalogue.Paper
    cost: str
    along: str
    tracks: Sequence[Track]


def written(part: str) -> str:
    """Return the map of a part as Markdown with a picture, "" where no page of it measures cost."""
    found = list(places(part))
    if not found:
        return ""
    drawn = page.picture(_draw, found)
    return f'{INTRODUCTION}\n<figure class="reglab-map">{drawn.html}</figure>\n'


def places(part: str) -> Iterator[Place]:
    """Yield a panel for each paper of a part that draws change of accuracy against a cost and is recorded."""
    for paper in catalogue.papers():
        for kind in catalogue.experiments(paper.name) if paper.part == part else ():
            panels = (panel for view in kind.views for panel in view.panels)
            panel = next((one for one in panels if isinstance(one, Scatter) and one.y == CHANGE), None)
            grid = store.read(kind) if panel and kind.grid else None
            if panel is not None and grid is not None:
                yield _place(paper, kind, panel, grid)


def _place(paper: catalogue.Paper, kind: type[Experiment], panel: Scatter, grid: xr.Dataset) -> Place:
    start = {name: value for name, value in kind().settings().items() if name in kind.grid}
    arms, looks, tracks = list(panel.arms or kind.arms), styles(kind.arms), []
    method = next((arm for arm in arms if kind.arms[arm] == "method"), arms[0])

    def along(axis: str, name: str, arm: str) -> xr.DataArray:
        """Return a variable of an arm along an axis, all else at the default: [position, seed]."""
        rest = {knob: value for knob, value in start.items() if knob != axis}
        return grid[name].sel(rest).sel(arm=arm).transpose(axis, "seed")

    def ratio(axis: str) -> float:
        """Return by how much the method's cost changes along an axis."""
        cost = along(axis, panel.x, method).mean("seed")
        return float(cost.max() / cost.min())

    axis = panel.items or max(start, key=ratio)
    moves = ratio(axis) > 1
    for arm in arms:
        costs, changes = along(axis, panel.x, arm).mean("seed").values, along(axis, CHANGE, arm).values
        defaults = [value == start.get(axis) for value in grid[axis].values]
        found = zip(costs, *mean_interval(changes), defaults, strict=True)
        points = [
            Point(float(cost), float(mean), float(low), float(high), default)
            for cost, mean, low, high, default in found
            if np.isfinite([cost, mean]).all()
        ]
        tracks.append(Track(arm, looks[arm], sorted(point for point in points if moves or point.default)))
    label = kind.knobs()[axis].full(axis) if axis in start else str(grid[axis].attrs["long_name"])
    return Place(paper, words.named(grid[panel.x].attrs), label if moves else "", tracks)


def _draw(figure: Figure, found: Sequence[Place]) -> str:
    """Draw the map; returns what it says."""
    columns = 1 if figure.get_figwidth() <= NARROW else min(3, len(found))
    rows = -(-len(found) // columns)
    figure.set_figheight(3.1 * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, place in zip(grid, found, strict=False):
        _panel(axes, place)
    for axes in grid[len(found) :]:
        axes.set_axis_off()
    return "Change of accuracy against cost. " + " ".join(map(_said, found))


def _panel(axes: Axes, place: Place) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("log")
    costs = [point.cost for track in place.tracks for point in track.points]
    axes.xaxis.set_major_locator(FixedLocator(TICKS if max(costs) < 4 * min(costs) else FEW_TICKS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.axhline(0, color="black", lw=0.8, ls=(0, (2, 3)))
    method = next((track for track in place.tracks if track.style == METHOD), None)  # drawn above the others
    for track in place.tracks:
        cost, change, low, high, _ = np.array(track.points).T.reshape(5, -1)
        look: dict[str, Any] = {
            "color": track.style.color,
            "marker": track.style.marker,
            "zorder": 3 if track is method else 2,
        }
        axes.plot(cost, change, ls=track.style.line, ms=3.5, lw=1.2, label=track.arm, **look)
        axes.vlines(cost, low, high, color=track.style.color, lw=1, alpha=0.6)
        for point in (one for one in track.points if one.default):
            axes.plot(point.cost, point.change, ms=8, mec="white", **look)
    axes.set_title(place.paper.short)
    axes.set_xlabel(words.typeset(f"share of {place.cost}" + (f"\nline: {place.along}" if place.along else "")))
    axes.set_ylabel("change of accuracy")
    axes.legend(fontsize=7.5, frameon=False, loc="upper center", bbox_to_anchor=(0.45, -0.36), ncols=2)


def _said(place: Place) -> str:
    """Say what a panel shows: the default of each arm, or both ends of its line."""
    parts = []
    for track in place.tracks:
        points = [point for point in track.points if point.default] or [*track.points[:1], *track.points[-1:]]
        marks = (f"{words.estimate(one.change, one.low, one.high)} at {words.number(one.cost)}" for one in points)
        parts.append(f"{track.arm} {' and '.join(marks)}")
    return f"{place.paper.short}, {place.cost}: {'; '.join(parts)}."
