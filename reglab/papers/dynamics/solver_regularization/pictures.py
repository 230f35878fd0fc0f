"""Solver regularization: pictures that occur only here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reglab.papers.dynamics.solver_regularization.experiments import Digits
from reglab.pictures.views import WIDE, styles

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def draw_steps(figure: Figure, results: xr.Dataset) -> str:
    """Draw the first seed's accepted steps after training as bars along the time, the color is the error estimate."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    arms = ("vanilla", "SR", "ER²", "ER")
    axes, said = figure.subplots(), []
    scale = ScalarMappable(Normalize(0, 1), "viridis")
    for row, arm in enumerate(arms):
        sizes, errors = (results[name].sel(arm=arm).isel(seed=0).values for name in ("size", "error"))
        sizes, errors = sizes[sizes > 0], errors[sizes > 0]
        starts = np.cumsum(sizes) - sizes
        axes.barh(
            [row] * len(sizes), sizes, left=starts, height=0.6, color=scale.to_rgba(errors), edgecolor="white", lw=2
        )
        said.append(f"{arm} {len(sizes)}, the longest {sizes.max():.2f}")
    axes.set_yticks(range(len(arms)), arms)
    axes.set(xlim=(0, 1), xlabel="time t", title="How large are the steps?")
    axes.grid(False)
    figure.colorbar(scale, ax=axes, label="error estimate E")
    return f"Accepted steps of the first seed from t = 0 to 1, one bar each. Number of steps: {'; '.join(said)}."


def draw_price(figure: Figure, results: xr.Dataset) -> str:
    """Draw accuracy against evaluations, one dot for each run, color and marker for the price."""
    from matplotlib import colormaps

    axes, said = figure.subplots(), []
    strengths = results.strength.values
    for i, (strength, marker) in enumerate(zip(strengths, "os^Dv*P", strict=True)):
        work, accuracy = (results[name].sel(strength=strength).values for name in ("evaluations", "accuracy"))
        color = colormaps["viridis"](i / len(strengths))
        shifted = work + np.linspace(-0.8, 0.8, len(work))  # many runs have the same count
        axes.plot(shifted, accuracy, marker, color=color, ms=8, mec="white", mew=0.4, label=f"λ = {strength:g}")
        said.append(f"λ = {strength:g}: {work.mean():.1f} evaluations, accuracy {accuracy.mean():.3f}")
    axes.set(xlabel="evaluations of f (NFE)", ylabel="test accuracy", title="What does an easier equation cost?")
    axes.legend(fontsize=9, ncols=2)
    return f"Each dot is a run. Means: {'; '.join(said)}."


def draw_paths(figure: Figure, results: xr.Dataset) -> str:
    """Draw the ways of 20 test digits through the equation, without and with the error penalty."""
    arms, look, said = ("vanilla", "ER"), styles(Digits.arms), []
    rows = 1 if figure.get_figwidth() >= WIDE else 2
    figure.set_figheight(3.4 * rows)
    for axes, arm in zip(figure.subplots(rows, 2 // rows), arms, strict=True):
        paths = results.path.sel(arm=arm).transpose("example", "moment", "plane").values
        axes.plot(*paths.transpose(2, 1, 0), color=look[arm].color, lw=1, alpha=0.8)
        axes.plot(*paths[:, -1].T, look[arm].marker, color=look[arm].color, ms=5, mec="white")
        across, along = paths - paths[:, :1], paths[:, -1:] - paths[:, :1]
        aside = np.abs(across[..., 0] * along[..., 1] - across[..., 1] * along[..., 0]).max(1)
        bend = np.median(aside / np.square(along).sum((1, 2)))
        axes.set_title(f"{arm}: how do digits move?")
        axes.set(xlabel="first direction", ylabel="second direction")
        said.append(f"{arm}: a path leaves its straight line by {100 * bend:.1f} % of its length")
    where = "Paths of 20 test digits of the first seed in the plane where their ends spread most"
    return f"{where}. At the median, {'; '.join(said)}."
