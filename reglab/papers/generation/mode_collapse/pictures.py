"""Mode collapse: pictures that occur only here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reglab.papers.generation.mode_collapse.experiments import ModeCollapse
from reglab.pictures.style import WIDE, styles

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def draw_film(figure: Figure, results: xr.Dataset) -> str:
    """Draw the samples of the first seed: a row for each arm, a column for each of five steps (narrow: of three)."""
    arms = ("GAN", "GAN + embedding", "MEE", "GAN, balanced", "MEE, balanced")
    columns = 5 if figure.get_figwidth() >= WIDE else 3
    steps = results.step.values[np.linspace(0, len(results.step) - 1, columns).round().astype(int)]
    figure.set_figheight(len(arms) * figure.get_figwidth() / (columns + 0.2))
    grid = figure.subplots(len(arms), columns, sharex=True, sharey=True)
    for (row, column), axes in np.ndenumerate(grid):
        points, look = results.samples.sel(arm=arms[row], step=steps[column]), styles(ModeCollapse.arms)[arms[row]]
        axes.plot(*points.values.T, ".", color=look.color, ms=2.5, mec="none")
        axes.plot(*results.centers.values.T, "x", color="black", ms=4, mew=0.9)
        axes.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xticks=[-2, 0, 2], yticks=[-2, 0, 2])
        axes.set_title(f"step {steps[column]}" if row == 0 else "")
        axes.set_ylabel(arms[row].replace(", ", ",\n").replace(" + ", " +\n") if column == 0 else "")
    covered = results.covered.sel(step=steps[-1]).isel(seed=0)
    said = "; ".join(f"{arm} covers {float(covered.sel(arm=arm)):g}" for arm in arms)
    return (
        f"Samples of the first seed at steps {', '.join(map(str, steps))}; crosses are the {results.sizes['place']} "
        f"true centers. In the end {said} of them."
    )
