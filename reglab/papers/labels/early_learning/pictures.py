"""ELR: pictures that occur only here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reglab.papers.labels.early_learning.experiments import LinearTheory
from reglab.pictures.views import FURTHER, METHOD, WIDE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


WRONG = FURTHER[3]
"""The look of wrongly labeled examples in the pictures of this page."""


def draw_paths(figure: Figure, results: xr.Dataset) -> str:
    """Draw how the predictions for some digits of the first seed wander between three corners, a panel for each arm.

    Corners: the true digit, one other digit (the wrong label where there is one), all other digits together.
    """
    arms = ("cross-entropy", "ELR")
    rows = 2 if figure.get_figwidth() < WIDE else 1
    corners = np.array([[0, 0], [1, 0], [0.5, 0.75**0.5]])
    ends = []
    for axes, arm in zip(figure.subplots(rows, len(arms) // rows, squeeze=False).flat, arms, strict=True):
        axes.set_aspect("equal")
        axes.set_axis_off()
        axes.set_title(f"{arm}: where do predictions go?", pad=12)
        axes.fill(*corners.T, facecolor="#f7f7f7", edgecolor="#808080")
        axes.text(0, -0.03, "true digit", ha="center", va="top")
        axes.text(1, -0.03, "wrong label or\nother digit", ha="center", va="top")
        axes.text(0.53, 0.87, "all others", ha="left", va="center")
        for kind, look, marker in (("right label", METHOD, "s"), ("wrong label", WRONG, "^")):
            chosen = [name for name in results.example.values if name.startswith(kind)]
            paths = (
                results.path.isel(seed=0).sel(arm=arm, example=chosen).transpose("example", "epoch", "corner").values
            )
            shown = np.unique(np.geomspace(1, paths.shape[1], 12).round().astype(int)) - 1
            for path in paths[:, shown] @ corners:
                axes.plot(*path.T, color=look.color, ls=look.line, lw=1.2, alpha=0.7)
                axes.plot(*path[-1], color=look.color, marker=marker, ms=8, mec="white", ls="", zorder=4)
            axes.plot([], [], color=look.color, ls=look.line, marker=marker, label=f"5 digits, {kind}")
            ends.append(f"{arm}, {kind}: {(paths[:, -1].argmax(-1) == 0).sum()} of {len(paths)} end at the true digit")
        axes.legend(loc="upper left", fontsize=8.5, frameon=False, borderaxespad=0, bbox_to_anchor=(-0.08, 1.0))
        axes.set_xlim(-0.15, 1.15)
    return (
        "Triangles of predicted probabilities, first seed, one path for each digit at twelve epochs. "
        + "; ".join(ends)
        + "."
    )


def draw_projection(figure: Figure, results: xr.Dataset) -> str:
    """Draw the first seed's points on the true direction v and on the rest of the final weights, for both arms."""
    rows = 2 if figure.get_figwidth() < WIDE else 1
    said = []
    grid = figure.subplots(rows, len(LinearTheory.arms) // rows, squeeze=False, sharex=True, sharey=True).flat
    for axes, arm in zip(grid, LinearTheory.arms, strict=True):
        along, rest, truth, observed = results.projection.sel(arm=arm).transpose("direction", "point").values
        last_theta = (
            results.along_truth.sel(arm=arm).isel(seed=0, time=-1),
            results.norm.sel(arm=arm).isel(seed=0, time=-1),
        )
        a, length = (float(value) for value in last_theta)
        b = max(length**2 - a**2, 1e-12) ** 0.5
        for sign, look in ((1, METHOD), (-1, WRONG)):
            for wrong, marker in ((False, "o"), (True, "X")):
                chosen = (observed == sign) & ((observed != truth) == wrong)
                name = f"label {'+' if sign > 0 else '−'}, {'wrong' if wrong else 'right'}"
                axes.plot(
                    along[chosen],
                    rest[chosen],
                    marker,
                    color=look.color,
                    ms=8 if wrong else 4,
                    label=name,
                    mec="black" if wrong else "none",
                    alpha=0.9 if wrong else 0.5,
                )
        height = np.array([rest.min(), rest.max()])
        axes.plot(-b / a * height, height, color="black", lw=1.5)
        axes.set_xlim(along.min() - 0.1, along.max() + 0.1)
        axes.set_title(f"{arm}: where is the border?")
        axes.set_xlabel("x along v (the truth)")
        axes.set_ylabel("x along the rest of θ")
        wrong = observed != truth
        missed = int(((a * along + b * rest) * observed < 0)[wrong].sum())
        said.append(f"{arm}: the border leaves {missed} of {wrong.sum()} wrongly labeled points on their true side")
    axes.legend(fontsize=8.5, loc="best")
    return "Points of the first seed in the plane of v and the rest of the final weights. " + "; ".join(said) + "."
