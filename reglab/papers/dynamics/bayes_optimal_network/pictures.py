"""The Bayes-optimal network: pictures that occur only here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reglab.papers.dynamics.bayes_optimal_network import experiments, method
from reglab.pictures.views import BASELINE, METHOD, WIDE
from reglab.results import settings_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def draw_spectrum(figure: Figure, results: xr.Dataset) -> str:
    """Draw eigenvalues of one noisy matrix with their limiting density, and what the cleaning makes of them."""
    noise, kappa = 0.1, settings_of(results)["kappa"]
    values, cleaned = (results[name].sel(noise=noise).values for name in ("eigenvalues", "cleaned"))
    x = np.linspace(values.min() - 0.2, values.max() + 0.2, 600)
    rows = 1 if figure.get_figwidth() >= WIDE else 2
    figure.set_figheight(3.2 * rows)
    left, right = figure.subplots(rows, 2 // rows, squeeze=False).flat
    left.hist(values, 50, density=True, color=METHOD.color, alpha=0.35)
    left.plot(x, method.density(x, noise, kappa), color="black", lw=1.6, ls=(0, (4, 3)))
    left.set(xlabel="eigenvalue λ of Y", ylabel="density", title="How are the eigenvalues spread?")
    right.plot(x, x, color=BASELINE.color, lw=1)
    right.text(x[-1], x[-1], "unchanged", color=BASELINE.ink, ha="right", va="bottom", fontsize=9)
    right.plot(values, cleaned, METHOD.marker, color=METHOD.color, ms=3.5)
    right.set(xlabel="eigenvalue λ of Y", ylabel="cleaned eigenvalue", title="What does cleaning do to them?")
    small = int((values < 0.5).sum())
    rounded = [f"{one:.2f}" for one in (values[0], values[small - 1], cleaned[0], cleaned[small - 1])]
    return (
        f"Eigenvalues of one matrix of {len(values)} rows with noise t = {noise:g}: {small} lie around zero and "
        f"the others from 0.5 to {values.max():.1f}, as the dashed density says. Cleaning pulls those around zero "
        f"together, from {rounded[0]} to {rounded[1]} before to {rounded[2]} to {rounded[3]} after, and lowers the "
        f"largest from {values[-1]:.2f} to {cleaned[-1]:.2f}."
    )


def draw_phase(figure: Figure, results: xr.Dataset) -> str:
    """Draw the best possible error over sample ratio and width, with the line from which on nothing is left."""
    axes = figure.subplots()
    alpha, kappa = results.ratio.values, results.kappa.values
    filled = axes.contourf(alpha, kappa, results.phase.values, levels=np.linspace(0, 1, 11), cmap="viridis")
    figure.colorbar(filled, ax=axes, label="best possible κE")
    threshold = np.array([method.recovery_threshold(one) for one in kappa])
    axes.plot(threshold, kappa, color="white", lw=2, ls=(0, (5, 2)))
    axes.text(0.55, 1.4, "exact recovery", color="white", fontsize=10, rotation=90, ha="center", va="center")
    axes.set(xlabel=experiments.SAMPLES, ylabel="width κ of the teacher", title="How much data is enough?")
    axes.grid(False)
    return (
        "Best possible error times κ over sample ratio α and width κ. It is 1 without data and 0 right of a dashed "
        f"line, which runs from α = {threshold[0]:.3f} at κ = {kappa[0]:g} to {threshold[-1]:g} at κ = 1 and above."
    )
