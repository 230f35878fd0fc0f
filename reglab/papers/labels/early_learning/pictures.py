"""ELR: pictures that occur only here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reglab.pictures.style import METHOD, RIVAL, WIDE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def draw_paths(figure: Figure, results: xr.Dataset) -> str:
    """Draw how the predictions for some digits of the first seed wander between three corners, a panel for each arm.

    Corners: the true digit, one other digit (the wrong label where there is one), all other digits together.
    """
    rows, ends = 2 if figure.get_figwidth() < WIDE else 1, []
    corners = np.array([[0, 0], [1, 0], [0.5, 0.75**0.5]])
    grid = figure.subplots(rows, 2 // rows, squeeze=False).flat
    for axes, arm in zip(grid, ("cross-entropy", "ELR"), strict=True):
        axes.set(aspect="equal", xlim=(-0.15, 1.15))
        axes.set_axis_off()
        axes.set_title(f"{arm}: where do predictions go?", pad=12)
        axes.fill(*corners.T, facecolor="#f7f7f7", edgecolor="#808080")
        axes.text(0, -0.03, "true digit", ha="center", va="top")
        axes.text(1, -0.03, "wrong label or\nother digit", ha="center", va="top")
        axes.text(0.53, 0.87, "all others", ha="left", va="center")
        for kind, look, marker in (("right label", METHOD, "s"), ("wrong label", RIVAL, "^")):
            chosen = [name for name in results.example.values if name.startswith(kind)]
            paths = results.path.isel(seed=0).sel(arm=arm, example=chosen).transpose("example", "epoch", ...).values
            shown = np.unique(np.geomspace(1, paths.shape[1], 12).round().astype(int)) - 1
            for path in paths[:, shown] @ corners:
                axes.plot(*path.T, color=look.color, ls=look.line, lw=1.2, alpha=0.7)
                axes.plot(*path[-1], color=look.color, marker=marker, ms=8, mec="white", ls="", zorder=4)
            axes.plot([], [], color=look.color, ls=look.line, marker=marker, label=f"5 digits, {kind}")
            ends.append(f"{arm}, {kind}: {(paths[:, -1].argmax(-1) == 0).sum()} of {len(paths)} end at the true digit")
        axes.legend(loc="upper left", fontsize=8.5, frameon=False, borderaxespad=0, bbox_to_anchor=(-0.08, 1.0))
    said = "Triangles of predicted probabilities, first seed, one path for each digit at twelve epochs. "
    return said + "; ".join(ends) + "."
