"""Mode collapse: pictures that occur only here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reglab.papers.generation.mode_collapse.experiments import ModeCollapse
from reglab.pictures.views import WIDE, styles

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def draw_film(figure: Figure, results: xr.Dataset) -> str:
    """Draw the samples of the first seed: a row for each arm, a column for each of five steps (narrow: of three)."""
    arms = ("GAN", "GAN + embedding", "MEE", "GAN, balanced", "MEE, balanced")
    columns = 5 if figure.get_figwidth() >= WIDE else 3
    steps = results.step.values[np.linspace(0, len(results.step) - 1, columns).round().astype(int)]
    figure.set_figheight(len(arms) * figure.get_figwidth() / (columns + 0.2))
    look = styles(ModeCollapse.arms)
    said = []
    for row, arm in zip(figure.subplots(len(arms), columns, sharex=True, sharey=True), arms, strict=True):
        for axes, step in zip(row, steps, strict=True):
            axes.plot(*results.samples.sel(arm=arm, step=step).values.T, ".", color=look[arm].color, ms=2.5, mec="none")
            axes.plot(*results.centers.values.T, "x", color="black", ms=4, mew=0.9)
            axes.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xticks=[-2, 0, 2], yticks=[-2, 0, 2])
            if arm == arms[0]:
                axes.set_title(f"step {step}")
        row[0].set_ylabel(arm.replace(", ", ",\n").replace(" + ", " +\n"))
        covered = results.covered.sel(arm=arm, step=steps[-1]).isel(seed=0)
        said.append(f"{arm} covers {float(covered):g}")
    return (
        f"Samples of the first seed at steps {', '.join(map(str, steps))}; crosses are the {results.sizes['place']} "
        f"true centers. In the end {'; '.join(said)} of them."
    )
