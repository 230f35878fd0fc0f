"""The Bayes-optimal network: a picture that occurs only here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reglab.papers.dynamics.bayes_optimal_network import experiments, method
from reglab.results import settings_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def draw_phase(figure: Figure, results: xr.Dataset) -> str:
    """Draw the best possible error over sample ratio and width at the noise of some results: a closed form."""
    axes, sigma = figure.subplots(), settings_of(results)["sigma"]
    alpha, kappa = np.linspace(0.02, 0.6, 30), np.array([*np.arange(0.1, 1, 0.1), 1, 1.25, 1.5, 2])
    phase = [one * method.optimal_error(alpha, one, sigma) for one in kappa]
    filled = axes.contourf(alpha, kappa, phase, levels=np.linspace(0, 1, 11), cmap="viridis", extend="max")
    figure.colorbar(filled, ax=axes, label=f"best possible κE, σ = {sigma:g}")
    threshold = np.array([method.recovery_threshold(one) for one in kappa])
    axes.plot(threshold, kappa, color="white", lw=2, ls=(0, (5, 2)))
    axes.text(0.55, 1.4, "0 if σ = 0", color="white", fontsize=10, rotation=90, ha="center", va="center")
    axes.set(xlabel=experiments.SAMPLES, ylabel="width κ of the teacher", title="How much data is enough?")
    axes.grid(False)
    return (
        f"Best possible error times κ over sample ratio α and width κ, σ = {sigma:g}. It is 1 without data and, if "
        f"σ = 0, 0 right of a dashed line, which runs from α = {threshold[0]:.3f} at κ = {kappa[0]:g} to "
        f"{threshold[-1]:g} at κ = 1 and above."
    )
